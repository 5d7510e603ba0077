/* Connections that logged in as an ACL user: what ends them when their right to be there ends.
 *
 *   L1  Every revocation (logout, disabling, a new password, reuse) rewrites the user's record, so
 *       live_check() after each such write is the only hook, on the leader and on followers alike.
 *
 * Node-local and in memory: a connection does not survive the process either.  One entry for each
 * such connection; a check walks over all of them.
 */
#ifndef AUTH_LIVE_H
#define AUTH_LIVE_H

#include "record.h"

#include "helios/module.h"

/* Make the context's client act as the ACL user `user->name`, for as long as the session `sid`
 * (NULL: the credential version alone) allows.  False, nothing changed, when there is no such ACL
 * user, it is off, or the context has no client. */
bool live_login(RedisModuleCtx *ctx, const struct user_record *user, const unsigned char *sid);

/* The context's client proved the new password of `user`: it may stay although sessions end. */
void live_keep(RedisModuleCtx *ctx, const struct user_record *user);

/* Close the connections of this user that the record no longer allows. */
void live_check(RedisModuleCtx *ctx, const struct user_record *user);

/* Forget all connections, closing none. */
void live_unload(void);

#endif
