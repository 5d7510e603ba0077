/* Connection commands: PING ECHO QUIT RESET SELECT HELLO AUTH. */
#include "command/args.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "node/forward.h"
#include "node/node_internal.h"
#include "node/observe.h"

static void cmd_ping(struct hl_call *call)
{
    if (call->argc > 2) {
        hl_reply_arity(call);
        return;
    }
    if ((call->session->flags & HL_SESSION_PUBSUB) != 0 && call->out->proto == 2) {
        hl_write_array(call->out, 2);
        hl_write_bulk_text(call->out, "pong");
        hl_write_bulk(call->out, call->argc == 2 ? call->argv[1] : (struct hl_slice){"", 0});
        return;
    }
    if (call->argc == 1) {
        hl_write_raw(call->out, HL_REPLY_PONG, sizeof HL_REPLY_PONG - 1);
    } else {
        hl_write_bulk(call->out, call->argv[1]);
    }
}

static void cmd_echo(struct hl_call *call)
{
    hl_write_bulk(call->out, call->argv[1]);
}

static void cmd_quit(struct hl_call *call)
{
    hl_write_ok(call->out);
    hl_session_close(call->node, call->session, true);
}

static void cmd_select(struct hl_call *call)
{
    int index = 0;
    if (!hl_arg_db(call, 1, &index)) {
        return;
    }
    call->session->db = index;
    hl_write_ok(call->out);
}

static void set_name(char **name, struct hl_slice value)
{
    hl_free(*name);
    *name = value.len != 0 ? hl_strndup(value.ptr, value.len) : NULL;
}

bool hl_session_set_name(struct hl_call *call, struct hl_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] < '!' || name.ptr[i] > '~') {
            hl_reply_error(call, "ERR Client names cannot contain spaces, newlines or special "
                                 "characters.");
            return false;
        }
    }
    set_name(&call->session->name, name);
    return true;
}

static void cmd_reset(struct hl_call *call)
{
    struct hl_session *session = call->session;
    hl_txn_discard(call->node, session);
    hl_monitor_remove(call->node, session);
    session->flags &= ~(HL_SESSION_REPLY_OFF | HL_SESSION_REPLY_SKIP | HL_SESSION_SKIP_NEXT |
                        HL_SESSION_PUBSUB | HL_SESSION_NO_EVICT | HL_SESSION_NO_TOUCH);
    session->db = 0;
    session->own_consistency = false;
    session->read_token = 0;
    hl_forward_session_ended(call->node, session);
    session->writer.proto = 2;
    set_name(&session->name, (struct hl_slice){0});
    hl_session_authenticate_default(call->node, session);
    hl_write_simple(call->out, "RESET");
}

static void reply_hello(struct hl_call *call)
{
    struct hl_writer *out = call->out;
    hl_write_map(out, 7);
    hl_write_bulk_text(out, "server");
    hl_write_bulk_text(out, "redis");
    hl_write_bulk_text(out, "version");
    hl_write_bulk_text(out, HL_REDIS_VERSION);
    hl_write_bulk_text(out, "proto");
    hl_write_int(out, out->proto);
    hl_write_bulk_text(out, "id");
    hl_write_int(out, (int64_t)call->session->id);
    hl_write_bulk_text(out, "mode");
    hl_write_bulk_text(out, "standalone");
    hl_write_bulk_text(out, "role");
    hl_write_bulk_text(out, "master");
    hl_write_bulk_text(out, "modules");
    if (call->node->hooks.list_modules != NULL) {
        call->node->hooks.list_modules(call->node->hooks.ctx, out);
    } else {
        hl_write_array(out, 0);
    }
}

/* HELLO's options after the version, each of which acts at once; false after replying with an
 * error. */
static bool hello_options(struct hl_call *call)
{
    for (int i = 2; i < call->argc; i++) {
        int more = call->argc - i - 1;
        if (hl_arg_is(call, i, "auth") && more >= 2) {
            if (!hl_auth_password(call, call->argv[i + 1], call->argv[i + 2])) {
                return false;
            }
            i += 2;
        } else if (hl_arg_is(call, i, "setname") && more >= 1) {
            if (!hl_session_set_name(call, call->argv[++i])) {
                return false;
            }
        } else {
            hl_reply_errorf(call, "ERR Syntax error in HELLO option '%.*s'",
                            (int)(call->argv[i].len < 128 ? call->argv[i].len : 128),
                            call->argv[i].ptr);
            return false;
        }
    }
    return true;
}

static void cmd_hello(struct hl_call *call)
{
    int64_t proto = call->out->proto;
    if (call->argc >= 2) {
        if (!hl_parse_i64(call->argv[1], &proto)) {
            hl_reply_error(call, "ERR Protocol version is not an integer or out of range");
            return;
        }
        if (proto != 2 && proto != 3) {
            hl_reply_error(call, "NOPROTO unsupported protocol version");
            return;
        }
    }
    if (!hello_options(call)) {
        return;
    }
    if ((call->session->flags & HL_SESSION_AUTHENTICATED) == 0) {
        hl_reply_error(call, "NOAUTH HELLO must be called with the client already authenticated, "
                             "otherwise the HELLO <proto> AUTH <user> <pass> option can be used to "
                             "authenticate the client and select the RESP protocol version at the "
                             "same time");
        return;
    }
    call->session->writer.proto = (int)proto;
    call->out->proto = (int)proto;
    reply_hello(call);
}

static void cmd_auth(struct hl_call *call)
{
    if (call->argc > 3) {
        hl_reply_error(call, HL_ERR_SYNTAX);
        return;
    }
    struct hl_slice user = call->argc == 3 ? call->argv[1] : hl_slice_of("default");
    if (call->argc == 2 && !hl_auth_default_has_password(call->node)) {
        hl_reply_error(call, "ERR AUTH <password> called without any password configured for the "
                             "default user. Are you sure your configuration is correct?");
        return;
    }
    if (hl_auth_password(call, user, call->argv[call->argc - 1])) {
        hl_write_ok(call->out);
    }
}

#define CONNECTION_FLAGS (HL_CMD_NOSCRIPT | HL_CMD_LOADING | HL_CMD_STALE | HL_CMD_FAST)

const struct hl_command_row hl_commands_connection[] = {
    {.name = "ping",
     .run = cmd_ping,
     .arity = -1,
     .flags = HL_CMD_FAST,
     .acl = HL_ACL_CONNECTION,
     .group = "connection",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Answer PONG, or the message given.",
     .args = "[message]"},
    {.name = "echo",
     .run = cmd_echo,
     .arity = 2,
     .flags = HL_CMD_LOADING | HL_CMD_STALE | HL_CMD_FAST,
     .acl = HL_ACL_CONNECTION,
     .group = "connection",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Answer the message given.",
     .args = "message"},
    {.name = "quit",
     .run = cmd_quit,
     .arity = -1,
     .flags = CONNECTION_FLAGS | HL_CMD_NO_AUTH | HL_CMD_ALLOW_BUSY | HL_CMD_RUNS_IN_MULTI,
     .acl = HL_ACL_CONNECTION,
     .group = "connection",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Answer OK and close the connection."},
    {.name = "reset",
     .run = cmd_reset,
     .arity = 1,
     .flags = CONNECTION_FLAGS | HL_CMD_NO_AUTH | HL_CMD_ALLOW_BUSY | HL_CMD_RUNS_IN_MULTI,
     .acl = HL_ACL_CONNECTION,
     .group = "connection",
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Make the connection as good as new."},
    {.name = "select",
     .run = cmd_select,
     .arity = 2,
     .flags = HL_CMD_LOADING | HL_CMD_STALE | HL_CMD_FAST,
     .acl = HL_ACL_CONNECTION,
     .group = "connection",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Choose the database of the connection.",
     .args = "index:integer"},
    {.name = "hello",
     .run = cmd_hello,
     .arity = -1,
     .flags = CONNECTION_FLAGS | HL_CMD_NO_AUTH | HL_CMD_ALLOW_BUSY,
     .acl = HL_ACL_CONNECTION,
     .group = "connection",
     .since = "6.0.0",
     .complexity = "O(1)",
     .summary = "Choose RESP2 or RESP3, log in and name the connection in one step.",
     .args = "[protover:integer [AUTH (username password)] [SETNAME clientname]]"},
    {.name = "auth",
     .run = cmd_auth,
     .arity = -2,
     .flags = CONNECTION_FLAGS | HL_CMD_NO_AUTH | HL_CMD_ALLOW_BUSY | HL_CMD_SENSITIVE,
     .acl = HL_ACL_CONNECTION,
     .group = "connection",
     .since = "1.0.0",
     .complexity = "O(N) where N is the number of the user's passwords",
     .summary = "Log in with a password, or as a user with a password or token.",
     .args = "[username] password"},
};
const size_t hl_commands_connection_count = HL_ARRAY_LEN(hl_commands_connection);
