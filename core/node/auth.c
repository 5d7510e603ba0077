/* Who a session is, and whether it may: the bridge between sessions and users. */
#include "command/args.h"
#include "kit/assert.h"
#include "node/acl.h"
#include "node/admit.h"
#include "node/node_internal.h"

static const char wrong_password[] =
    "WRONGPASS invalid username-password pair or user is disabled.";

void hl_auth_as_server(struct hl_session *session)
{
    session->user = NULL;
    session->flags |= HL_SESSION_AUTHENTICATED;
}

void hl_session_authenticate_default(struct hl_node *node, struct hl_session *session)
{
    if ((session->flags & HL_SESSION_INTERNAL) != 0) {
        hl_auth_as_server(session);
        return;
    }
    session->user = hl_acl_default(node->acl);
    session->flags &= ~HL_SESSION_AUTHENTICATED;
    if (hl_acl_is_open(session->user)) {
        session->flags |= HL_SESSION_AUTHENTICATED;
    }
}

bool hl_node_default_is_open(const struct hl_node *node)
{
    return hl_acl_is_open(hl_acl_default(node->acl));
}

bool hl_auth_default_has_password(struct hl_node *node)
{
    return hl_acl_needs_password(hl_acl_default(node->acl));
}

const char *hl_session_user_name(const struct hl_session *session)
{
    return session->user == NULL ? "default" : hl_acl_name(session->user).ptr;
}

/* Note a refusal in ACL LOG, with the session as it is now. */
static void note(struct hl_node *node, struct hl_session *session, enum hl_acl_log_reason reason,
                 struct hl_slice object, struct hl_slice user)
{
    enum hl_acl_log_context context =
        (session->flags & HL_SESSION_MULTI) != 0 ? HL_ACL_LOG_MULTI : HL_ACL_LOG_TOPLEVEL;
    struct hl_buf client = {0};
    hl_session_describe(node, session, &client);
    hl_acl_log_add(node->acl, reason, context, object, user, hl_buf_view(&client), node->now_ms);
    hl_buf_fini(&client);
}

bool hl_auth_password(struct hl_call *call, struct hl_slice user, struct hl_slice password)
{
    const struct hl_node_hooks *hooks = &call->node->hooks;
    if (hooks->authenticate != NULL) {
        switch (hooks->authenticate(hooks->ctx, call, user, password)) {
        case HL_AUTH_NEXT:
            break;
        case HL_AUTH_ACCEPTED:
            return true;
        case HL_AUTH_REFUSED:
            note(call->node, call->session, HL_ACL_LOG_AUTH, call->argv[0], user);
            return false;
        case HL_AUTH_LATER:
            return false;
        }
    }
    struct hl_user *found = hl_acl_login(call->node->acl, user, password);
    if (found == NULL) {
        note(call->node, call->session, HL_ACL_LOG_AUTH, call->argv[0], user);
        hl_reply_error(call, wrong_password);
        return false;
    }
    hl_auth_as(call->session, found);
    return true;
}

void hl_auth_as(struct hl_session *session, struct hl_user *user)
{
    HL_ASSERT(user != NULL);
    session->user = user;
    session->flags |= HL_SESSION_AUTHENTICATED;
}

void hl_auth_user_gone(struct hl_node *node, struct hl_user *user, struct hl_session *current,
                       hl_index when)
{
    HL_LIST_EACH(it, &node->sessions)
    {
        struct hl_session *session = HL_LIST_ENTRY(it, struct hl_session, all);
        if (session->user != user) {
            continue;
        }
        session->user = hl_acl_default(node->acl);
        session->flags &= ~HL_SESSION_AUTHENTICATED;
        if (session == current || when == 0) {
            hl_session_close(node, session, session == current);
            continue;
        }
        session->doomed = when;
        node->admin.doomed = when;
    }
}

/* Note a verdict that is a refusal. */
static void note_verdict(struct hl_node *node, struct hl_session *session,
                         const struct hl_command *cmd, const struct hl_slice *argv,
                         enum hl_acl_verdict verdict, int index)
{
    enum hl_acl_log_reason reason = verdict == HL_ACL_NO_COMMAND ? HL_ACL_LOG_COMMAND
                                    : verdict == HL_ACL_NO_KEY   ? HL_ACL_LOG_KEY
                                                                 : HL_ACL_LOG_CHANNEL;
    struct hl_slice object =
        verdict == HL_ACL_NO_COMMAND ? hl_slice_of(cmd->row->name) : argv[index];
    note(node, session, reason, object, hl_acl_name(session->user));
}

bool hl_auth_permits(struct hl_node *node, struct hl_session *session, struct hl_command *cmd,
                     int argc, const struct hl_slice *argv)
{
    int index = 0;
    enum hl_acl_verdict verdict = hl_acl_check(node->acl, session->user, cmd, argv, argc, &index);
    if (verdict == HL_ACL_ALLOWED) {
        return true;
    }
    note_verdict(node, session, cmd, argv, verdict, index);
    switch (verdict) {
    case HL_ACL_ALLOWED:
        break;
    case HL_ACL_NO_COMMAND:
        hl_write_error_printf(&session->writer,
                              "NOPERM this user has no permissions to run the '%s' command",
                              cmd->row->name);
        break;
    case HL_ACL_NO_KEY:
        hl_write_error(&session->writer, "NOPERM this user has no permissions to access one of "
                                         "the keys used as arguments");
        break;
    case HL_ACL_NO_CHANNEL:
        hl_write_error(&session->writer, "NOPERM this user has no permissions to access one of "
                                         "the channels used as arguments");
        break;
    }
    return false;
}

#define CHANGED                                                                                    \
    "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC "   \
    "call. This command is no longer allowed for the following reason: "

const char *hl_exec_recheck(struct hl_node *node, struct hl_session *session,
                            const struct hl_queued *queued)
{
    int index = 0;
    enum hl_acl_verdict verdict =
        hl_acl_check(node->acl, session->user, queued->cmd, queued->argv, queued->argc, &index);
    if (verdict != HL_ACL_ALLOWED) {
        note_verdict(node, session, queued->cmd, queued->argv, verdict, index);
    }
    switch (verdict) {
    case HL_ACL_ALLOWED:
        return NULL;
    case HL_ACL_NO_COMMAND:
        return CHANGED "no permission to execute the command or subcommand";
    case HL_ACL_NO_KEY:
        return CHANGED "no permission to touch the specified keys";
    case HL_ACL_NO_CHANNEL:
        return CHANGED "no permission to access one of the channels used as arguments to the "
                       "command";
    }
    return NULL;
}
