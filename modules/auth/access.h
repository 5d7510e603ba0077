/* Access tokens on a live server: the signing keys in use, issuing, and the whole check.
 *
 *   A1  A key-encryption key is created only when the keyspace holds no signing key: a lost file
 *       is an error that names it, and never the start of a second set of keys.
 *   A2  A token is good only while its session lives and its user is enabled at the token's
 *       credential version: logging out, disabling and changing a password end it at once, and
 *       no list of revoked tokens is needed.
 *
 * The functions run on the server's thread.
 */
#ifndef AUTH_ACCESS_H
#define AUTH_ACCESS_H

#include "session.h"

#include "helios/module.h"

/* A token that was checked, and what it belongs to. */
struct access {
    struct token_claims claims;
    struct user_record user;
    struct session_record session;
};

/* Make sure that a key to sign with exists, creating the first one.  Every error, with `msg`
 * saying why, leaves the keyspace as it was. */
HL_MUST_USE hl_err access_ready(RedisModuleCtx *ctx, struct hl_errmsg *msg);

/* Make a new signing key of `alg`; older ones verify until their tokens have expired, or not at all
 * when `at_once`.  Sets `kid`.  Errors as access_ready(), and HL_EFULL when too many keys still
 * verify. */
HL_MUST_USE hl_err access_rotate(RedisModuleCtx *ctx, enum jws_alg alg, bool at_once,
                                 char kid[JWS_KID_LEN + 1], struct hl_errmsg *msg);

/* Publish a new signing key of `alg`, which signs when the setting key-publish has passed.
 * Otherwise as access_rotate(). */
HL_MUST_USE hl_err access_plan(RedisModuleCtx *ctx, enum jws_alg alg, char kid[JWS_KID_LEN + 1],
                               struct hl_errmsg *msg);

/* Whether the key ring is due for access_advance(); reads only, on the node that leads. */
bool access_due(RedisModuleCtx *ctx);

/* Let the next key sign, drop those that no longer verify, publish a next one when the active one
 * has lived long enough: whatever is due.  Where writing is allowed, on the node that leads. */
void access_advance(RedisModuleCtx *ctx);

/* Append an access token for `user` in session `sid`, issued at `now_ms`.  Needs access_ready(). */
HL_MUST_USE hl_err access_issue(struct hl_buf *out, const struct user_record *user,
                                const unsigned char sid[TOKEN_ID_LEN], int64_t now_ms);

/* Check `token` (any bytes): NULL and *out filled, or the error to reply, which is valid until the
 * next call; *out is then undefined. */
const char *access_check(RedisModuleCtx *ctx, struct hl_slice token, struct access *out);

/* Whether a session and its user still let a token of theirs in: the half of access_check() that
 * changes.  NULL, or the error to reply. */
const char *access_alive(RedisModuleCtx *ctx, const char *name, const unsigned char *user_id,
                         const unsigned char *sid, uint64_t cv, struct access *out);

/* Whether a key that is still in use may have signed a token at `issued_ms`: not when that was
 * before the oldest of them was made, clock differences forgiven. */
bool access_may_have_signed(RedisModuleCtx *ctx, int64_t issued_ms);

/* Read the key ring; an empty one when there is none. */
HL_MUST_USE hl_err access_ring(RedisModuleCtx *ctx, struct keyring_record *out);

/* Forget all keys. */
void access_unload(void);

#endif
