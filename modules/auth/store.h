/* Records in the keyspace: the data type `helauth01`, the names of keys, and every write as an
 * effect.
 *
 * All keys live in database 0, whichever one a client has selected:
 *
 *   auth:user:<name>       USER      no expiry
 *   auth:session:<sid>     SESSION   expires with the session
 *   auth:fail:user:<name>  FAILURE   expires when the failures are forgotten
 *   auth:fail:addr:<ip>    FAILURE
 *   auth:keys              KEYRING   no expiry
 *   auth:apikey:<id>       APIKEY    no expiry: an expired one is listed until it is revoked
 *   auth:bootstrap         CLOSED    no expiry
 *   auth:audit             TRAIL     no expiry
 *   auth:audit:<index>     AUDIT     dropped when newer ones push it out
 *   auth:users             a plain hash with a field for each name, for listing
 *   auth:apikeys           a plain hash with a field for each API key's id, for listing
 *
 * Every write replicates as `AUTH.PUT key deadline record` (deadline in milliseconds since the
 * epoch, 0 for none) or as DEL or HSET: absolute values, nothing to decide, nothing secret that
 * is not hashed or sealed.  The functions below run on the server's thread.
 *
 * Results: HL_OK; HL_ENOENT no such record; HL_ECORRUPT the key holds something else, or bytes
 * that are no such record (nothing is then changed); HL_EVERSION a later release wrote it.
 */
#ifndef AUTH_STORE_H
#define AUTH_STORE_H

#include "record.h"

#include "helios/module.h"

#define STORE_KEY_MAX 128

/* Register the data type.  In OnLoad only; false, after logging why, when the server refuses. */
bool store_register(RedisModuleCtx *ctx);

/* Changes with every record that is written, deleted, expires or is loaded, failures apart.  Any
 * thread. */
uint64_t store_epoch(void);

/* How many sessions' records this node holds.  Any thread. */
size_t store_session_count(void);

/* Read a user's record. */
HL_MUST_USE hl_err store_get_user(RedisModuleCtx *ctx, const char *name, struct user_record *out);

/* Write a user's record, and close the connections that it no longer allows. */
HL_MUST_USE hl_err store_put_user(RedisModuleCtx *ctx, const struct user_record *user);

/* Delete a user's record; nothing happens when there is none.  Whoever deletes a user writes the
 * record once more before, disabled, which closes the user's connections. */
void store_drop_user(RedisModuleCtx *ctx, const char *name);

/* What is listed. */
enum store_list {
    STORE_USERS,   /* names */
    STORE_APIKEYS, /* ids in hexadecimal */
};

/* Add a name to a list. */
HL_MUST_USE hl_err store_list_add(RedisModuleCtx *ctx, enum store_list list, const char *name);

/* Take a name out of a list; nothing happens when it is not there. */
HL_MUST_USE hl_err store_list_remove(RedisModuleCtx *ctx, enum store_list list, const char *name);

/* How many names a list has; 0 when it is damaged. */
size_t store_list_count(RedisModuleCtx *ctx, enum store_list list);

/* Copy up to `max` names that follow `after` ("" for the first) in byte order to `names`, and set
 * *count; looks at every name of the list. */
HL_MUST_USE hl_err store_page(RedisModuleCtx *ctx, enum store_list list, const char *after,
                              size_t max, char (*names)[USER_NAME_MAX + 1], size_t *count);

/* Read a session's record. */
HL_MUST_USE hl_err store_get_session(RedisModuleCtx *ctx, const unsigned char sid[TOKEN_ID_LEN],
                                     struct session_record *out);

/* Write a session's record, to expire with the session. */
HL_MUST_USE hl_err store_put_session(RedisModuleCtx *ctx, const struct session_record *session);

/* Delete a session's record; nothing happens when there is none. */
void store_drop_session(RedisModuleCtx *ctx, const unsigned char sid[TOKEN_ID_LEN]);

/* Read the failures of a user, or of a client address. */
HL_MUST_USE hl_err store_get_failure(RedisModuleCtx *ctx, bool address, const char *who,
                                     struct failure_record *out);

/* Write them, to expire at `forget_at_ms`. */
HL_MUST_USE hl_err store_put_failure(RedisModuleCtx *ctx, bool address, const char *who,
                                     const struct failure_record *failure, int64_t forget_at_ms);

/* Forget them; nothing happens when there are none. */
void store_drop_failure(RedisModuleCtx *ctx, bool address, const char *who);

/* The key ring's stored bytes, appended to `out`. */
HL_MUST_USE hl_err store_get_keyring(RedisModuleCtx *ctx, struct hl_buf *out);

/* Write the key ring. */
HL_MUST_USE hl_err store_put_keyring(RedisModuleCtx *ctx, const struct keyring_record *ring);

/* Read an API key's record. */
HL_MUST_USE hl_err store_get_apikey(RedisModuleCtx *ctx, const unsigned char id[RECORD_APIKEY_LEN],
                                    struct apikey_record *out);

/* Write an API key's record. */
HL_MUST_USE hl_err store_put_apikey(RedisModuleCtx *ctx, const struct apikey_record *apikey);

/* Delete an API key's record; nothing happens when there is none.  Whoever revokes one writes its
 * user's record afterwards, which closes the connections that used it. */
void store_drop_apikey(RedisModuleCtx *ctx, const unsigned char id[RECORD_APIKEY_LEN]);

/* Read when the first administrator was made, and who it is. */
HL_MUST_USE hl_err store_get_closed(RedisModuleCtx *ctx, struct closed_record *out);

/* Write that. */
HL_MUST_USE hl_err store_put_closed(RedisModuleCtx *ctx, const struct closed_record *closed);

/* Read where the audit trail begins and ends. */
HL_MUST_USE hl_err store_get_trail(RedisModuleCtx *ctx, struct trail_record *out);

/* Write that. */
HL_MUST_USE hl_err store_put_trail(RedisModuleCtx *ctx, const struct trail_record *trail);

/* Read one entry of the audit trail. */
HL_MUST_USE hl_err store_get_audit(RedisModuleCtx *ctx, uint64_t index, struct audit_record *out);

/* Write one. */
HL_MUST_USE hl_err store_put_audit(RedisModuleCtx *ctx, const struct audit_record *audit);

/* Delete one. */
void store_drop_audit(RedisModuleCtx *ctx, uint64_t index);

/* AUTH.PUT: apply an effect.  Refused to clients. */
int cmd_put(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

#endif
