/* API keys on a live server: the whole check, and when each was last used.
 *
 *   Q1  A use is written at most once a minute for each key, whichever nodes saw it: a node keeps
 *       it in memory and has the leader write it.
 *
 * The functions run on the server's thread.
 */
#ifndef AUTH_KEYED_H
#define AUTH_KEYED_H

#include "apikey.h"
#include "live.h"

#include "helios/module.h"

/* An API key that was checked, and whose it is. */
struct keyed {
    struct apikey_record key;
    struct user_record user;
};

/* Check the text of an API key (any bytes): NULL and *out filled, or the error to reply; *out is
 * then undefined. */
const char *keyed_check(RedisModuleCtx *ctx, struct hl_slice text, struct keyed *out);

/* The half of keyed_check() that changes: the key lives and its user is enabled. */
const char *keyed_alive(RedisModuleCtx *ctx, const unsigned char id[RECORD_APIKEY_LEN],
                        struct keyed *out);

/* Delete all keys of a user. */
void keyed_drop_all(RedisModuleCtx *ctx, const struct user_record *user);

/* Whether uses wait to be written. */
bool keyed_pending(void);

/* Have the uses written that this node saw (Q1).  Where writing is allowed. */
void keyed_flush(RedisModuleCtx *ctx);

/* Forget the uses that wait. */
void keyed_unload(void);

#endif
