/* What the routes below /admin share.  All need the permission admin:*, and every node answers: of
 * itself, or by sending the command to the leader. */
#ifndef GATEWAY_ADMIN_H
#define GATEWAY_ADMIN_H

#include "gateway.h"

#define ADMIN_PERMISSION "admin:manage" /* asked of rbac; who has admin:* has it */
#define ADMIN_NAME_MAX 64               /* bytes of a node's, a module's, a role's name */
#define ADMIN_CHANGE_MS 30000           /* that a change of members or modules may take */

/* Run a command that looks at this node alone. */
void gw_admin_look(struct gw_call *call, const struct gw_command *command, gw_then then);

/* Run a command, of this node or sent to the leader; with `own_errors` as struct gw_how has it. */
void gw_admin_change(struct gw_call *call, const struct gw_command *command, bool own_errors,
                     gw_then then);

/* Answer {"message": message}. */
void gw_admin_say(struct gw_call *call, int status, const char *message);

/* Answer the reply as JSON: a `then`. */
void gw_admin_answer(struct gw_call *call, RedisModuleCallReply *reply);

/* Letters, digits, '_', '-' and '.', the first a letter or digit; 1 to ADMIN_NAME_MAX bytes.  So it
 * is no path and no option. */
bool gw_admin_is_name(struct hl_slice text);

/* Is the query's parameter "true" or "1"? */
bool gw_admin_flag(const struct gw_call *call, const char *name);

#endif
