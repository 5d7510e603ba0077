/* Connections that logged in as an ACL user: what ends them when their right to be there ends.
 *
 *   L1  Every revocation (logout, disabling, a new password, reuse) rewrites the user's record, so
 *       live_check() after each such write is the only hook, on the leader and on followers alike.
 *
 *   L2  What ends by itself, a session or a key, is looked at when it should have ended:
 * live_expire() is called about once a second.
 *
 * Node-local and in memory: a connection does not survive the process either.  One entry for each
 * such connection; a check walks over all of them.
 */
#ifndef AUTH_LIVE_H
#define AUTH_LIVE_H

#include "record.h"

#include "helios/module.h"

/* What a connection's right to be there hangs on, beside the user. */
struct live_tie {
    const unsigned char *sid;    /* a session, or NULL */
    const unsigned char *apikey; /* an API key, or NULL */
    int64_t until_ms;            /* when it ends unless it was prolonged; 0: never */
};

/* Make the context's client act as the ACL user `user->name`, for as long as `tie` and the
 * credential version allow.  False, nothing changed, when there is no such ACL user, it is off, or
 * the context has no client. */
bool live_login(RedisModuleCtx *ctx, const struct user_record *user, const struct live_tie *tie);

/* The context's client proved the new password of `user`: it may stay although sessions end. */
void live_keep(RedisModuleCtx *ctx, const struct user_record *user);

/* Close the connections of this user that the record no longer allows. */
void live_check(RedisModuleCtx *ctx, const struct user_record *user);

/* Close the connections whose session or key has expired at `now_ms`. */
void live_expire(RedisModuleCtx *ctx, int64_t now_ms);

/* The user that the context's client logged in as, or NULL; valid until it leaves. */
const char *live_name(RedisModuleCtx *ctx);

/* Forget all connections, closing none. */
void live_unload(void);

#endif
