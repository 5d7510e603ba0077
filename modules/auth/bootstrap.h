/* The first administrator.
 *
 *   F1  There is one first administrator: whoever makes it writes the record `auth:bootstrap` in
 * the same effect, and nobody is made where that record is.  The log decides who was first. F2 With
 * a password in the environment (HELIOS_ADMIN_PASSWORD, HELIOS_ADMIN_USER) or in the file of the
 * setting admin-password-file the leader makes the user by itself. F3  Otherwise each node that
 * leads meanwhile makes a token, which is in a file of its own (0600) and nowhere else: the log of
 * the server names the file.  AUTH.BOOTSTRAP takes it, once.
 */
#ifndef AUTH_BOOTSTRAP_H
#define AUTH_BOOTSTRAP_H

#include "record.h"

#include "helios/module.h"

/* Take the password of F2.  In OnLoad, behind the settings; false, after logging why, when the file
 * of the setting is none to trust. */
bool bootstrap_load(RedisModuleCtx *ctx);

/* Forget and wipe all of it. */
void bootstrap_unload(void);

/* Whether bootstrap_act() has something to do on this node; reads only. */
bool bootstrap_due(RedisModuleCtx *ctx, bool leads);

/* Make the administrator (F2) or the token (F3), where writing is allowed; or forget what is void
 * now that one was made, on any node. */
void bootstrap_act(RedisModuleCtx *ctx);

/* Whether no first administrator was made yet. */
bool bootstrap_open(RedisModuleCtx *ctx);

/* Whether `token` is the one of this node, in time that does not depend on it. */
bool bootstrap_matches(struct hl_slice token);

/* Whether `name` is kept for the administrator of F2, who is not made yet. */
bool bootstrap_keeps(RedisModuleCtx *ctx, const char *name);

/* Make `name` with a bcrypt hash the first administrator, and close the door (F1).  NULL, or the
 * error to reply. */
const char *bootstrap_make(RedisModuleCtx *ctx, const char *name, const char *hash,
                           struct user_record *user);

#endif
