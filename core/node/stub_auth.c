#include "command/args.h"
#include "node/node_internal.h"
void hl_session_authenticate_default(struct hl_node *node, struct hl_session *session)
{
    (void)node;
    session->flags |= HL_SESSION_AUTHENTICATED;
}
bool hl_auth_password(struct hl_call *call, struct hl_slice user, struct hl_slice password)
{
    (void)user;
    (void)password;
    hl_reply_error(call, "WRONGPASS invalid username-password pair or user is disabled.");
    return false;
}
bool hl_auth_default_has_password(struct hl_node *node)
{
    (void)node;
    return false;
}
const char *hl_session_user_name(const struct hl_session *session)
{
    (void)session;
    return "default";
}
const char *hl_exec_recheck(struct hl_node *node, struct hl_session *session,
                            const struct hl_queued *queued)
{
    (void)node;
    (void)session;
    (void)queued;
    return NULL;
}
bool hl_node_default_is_open(const struct hl_node *node)
{
    (void)node;
    return true;
}
