/* CLIENT: what connections are and how to steer them. */
#include "command/args.h"
#include "command/help.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "node/acl.h"
#include "node/node_internal.h"

static void cmd_client_id(struct hl_call *call)
{
    hl_write_int(call->out, (int64_t)call->session->id);
}

static void cmd_client_setname(struct hl_call *call)
{
    if (hl_session_set_name(call, call->argv[2])) {
        hl_write_ok(call->out);
    }
}

static void cmd_client_getname(struct hl_call *call)
{
    if (call->session->name == NULL) {
        hl_write_null(call->out);
    } else {
        hl_write_bulk_text(call->out, call->session->name);
    }
}

static void cmd_client_setinfo(struct hl_call *call)
{
    struct hl_session *session = call->session;
    bool name = hl_arg_is(call, 2, "lib-name");
    if (!name && !hl_arg_is(call, 2, "lib-ver")) {
        hl_reply_errorf(call, "ERR Unrecognized option '%.*s'",
                        (int)(call->argv[2].len < 128 ? call->argv[2].len : 128),
                        call->argv[2].ptr);
        return;
    }
    for (size_t i = 0; i < call->argv[3].len; i++) {
        if (call->argv[3].ptr[i] < '!' || call->argv[3].ptr[i] > '~') {
            hl_reply_errorf(call, "ERR %s cannot contain spaces, newlines or special characters.",
                            name ? "lib-name" : "lib-ver");
            return;
        }
    }
    char **field = name ? &session->lib_name : &session->lib_ver;
    hl_free(*field);
    *field = call->argv[3].len != 0 ? hl_strndup(call->argv[3].ptr, call->argv[3].len) : NULL;
    hl_write_ok(call->out);
}

static void cmd_client_info(struct hl_call *call)
{
    struct hl_buf line = {0};
    hl_session_describe(call->node, call->session, &line);
    hl_buf_append_text(&line, "\n");
    hl_write_verbatim(call->out, "txt", hl_buf_view(&line));
    hl_buf_fini(&line);
}

/* The class that CLIENT LIST TYPE and CLIENT KILL TYPE name. */
static bool is_of_type(const struct hl_session *session, struct hl_slice type, bool *known)
{
    *known = true;
    if (hl_slice_is(type, "normal")) {
        return (session->flags & HL_SESSION_PUBSUB) == 0;
    }
    if (hl_slice_is(type, "pubsub")) {
        return (session->flags & HL_SESSION_PUBSUB) != 0;
    }
    *known =
        hl_slice_is(type, "master") || hl_slice_is(type, "replica") || hl_slice_is(type, "slave");
    return false;
}

/* CLIENT LIST's filters; false after replying with an error. */
struct list_filter {
    struct hl_slice type; /* ptr NULL: any */
    int ids_from;         /* argv index of the first id; 0: any */
};

static bool list_filter(struct hl_call *call, struct list_filter *out)
{
    *out = (struct list_filter){0};
    bool known = true;
    if (call->argc == 2) {
        return true;
    }
    if (call->argc == 4 && hl_arg_is(call, 2, "type")) {
        out->type = call->argv[3];
        (void)is_of_type(call->session, out->type, &known);
        if (!known) {
            hl_reply_errorf(call, "ERR Unknown client type '%.*s'",
                            (int)(out->type.len < 128 ? out->type.len : 128), out->type.ptr);
        }
        return known;
    }
    if (call->argc >= 4 && hl_arg_is(call, 2, "id")) {
        out->ids_from = 3;
        for (int i = 3; i < call->argc; i++) {
            int64_t id = 0;
            if (!hl_parse_i64(call->argv[i], &id) || id <= 0) {
                hl_reply_error(call, "ERR Invalid client ID");
                return false;
            }
        }
        return true;
    }
    hl_reply_error(call, HL_ERR_SYNTAX);
    return false;
}

static bool listed(struct hl_call *call, const struct list_filter *filter,
                   const struct hl_session *session)
{
    bool known = true;
    if ((session->flags & HL_SESSION_HIDDEN) != 0 ||
        (filter->type.ptr != NULL && !is_of_type(session, filter->type, &known))) {
        return false;
    }
    for (int i = filter->ids_from; i != 0 && i < call->argc; i++) {
        int64_t id = 0;
        if (hl_parse_i64(call->argv[i], &id) && (uint64_t)id == session->id) {
            return true;
        }
    }
    return filter->ids_from == 0;
}

static void cmd_client_list(struct hl_call *call)
{
    struct list_filter filter;
    if (!list_filter(call, &filter)) {
        return;
    }
    struct hl_buf lines = {0};
    HL_LIST_EACH(it, &call->node->sessions)
    {
        struct hl_session *session = HL_LIST_ENTRY(it, struct hl_session, all);
        if (listed(call, &filter, session)) {
            hl_session_describe(call->node, session, &lines);
            hl_buf_append_text(&lines, "\n");
        }
    }
    hl_write_verbatim(call->out, "txt", hl_buf_view(&lines));
    hl_buf_fini(&lines);
}

/* --- CLIENT KILL ------------------------------------------------------------------------------ */

struct kill_filter {
    int64_t id;
    struct hl_slice addr, laddr, type, user;
    bool skip_me;
};

static bool kill_options(struct hl_call *call, struct kill_filter *out)
{
    *out = (struct kill_filter){.skip_me = true};
    for (int i = 2; i < call->argc; i += 2) {
        if (i + 1 >= call->argc) {
            hl_reply_error(call, HL_ERR_SYNTAX);
            return false;
        }
        struct hl_slice value = call->argv[i + 1];
        bool known = true;
        if (hl_arg_is(call, i, "id")) {
            if (!hl_parse_i64(value, &out->id) || out->id <= 0) {
                hl_reply_error(call, "ERR client-id should be greater than 0");
                return false;
            }
        } else if (hl_arg_is(call, i, "type")) {
            out->type = value;
            (void)is_of_type(call->session, value, &known);
            if (!known) {
                hl_reply_errorf(call, "ERR Unknown client type '%.*s'",
                                (int)(value.len < 128 ? value.len : 128), value.ptr);
                return false;
            }
        } else if (hl_arg_is(call, i, "addr")) {
            out->addr = value;
        } else if (hl_arg_is(call, i, "laddr")) {
            out->laddr = value;
        } else if (hl_arg_is(call, i, "user")) {
            out->user = value;
            if (hl_acl_find(call->node->acl, value) == NULL) {
                hl_reply_errorf(call, "ERR No such user '%.*s'",
                                (int)(value.len < 128 ? value.len : 128), value.ptr);
                return false;
            }
        } else if (hl_arg_is(call, i, "skipme") &&
                   (hl_slice_is(value, "yes") || hl_slice_is(value, "no"))) {
            out->skip_me = hl_slice_is(value, "yes");
        } else {
            hl_reply_error(call, HL_ERR_SYNTAX);
            return false;
        }
    }
    return true;
}

static bool text_is(struct hl_slice wanted, const char *have)
{
    return wanted.ptr == NULL || hl_slice_equal(wanted, hl_slice_of(have));
}

static bool kills(struct hl_call *call, const struct kill_filter *f,
                  const struct hl_session *session)
{
    bool known = true;
    if ((session->flags & HL_SESSION_HIDDEN) != 0 || (f->skip_me && session == call->session) ||
        (f->id != 0 && (uint64_t)f->id != session->id)) {
        return false;
    }
    return text_is(f->addr, session->addr) && text_is(f->laddr, session->laddr) &&
           text_is(f->user, hl_session_user_name(session)) &&
           (f->type.ptr == NULL || is_of_type(session, f->type, &known));
}

static int64_t kill_all(struct hl_call *call, const struct kill_filter *filter)
{
    int64_t killed = 0;
    HL_LIST_EACH(it, &call->node->sessions)
    {
        struct hl_session *session = HL_LIST_ENTRY(it, struct hl_session, all);
        if (kills(call, filter, session)) {
            hl_session_close(call->node, session, session == call->session);
            killed++;
        }
    }
    return killed;
}

static void cmd_client_kill(struct hl_call *call)
{
    if (call->argc == 3) {
        struct kill_filter filter = {.addr = call->argv[2]};
        if (kill_all(call, &filter) == 0) {
            hl_reply_error(call, "ERR No such client");
        } else {
            hl_write_ok(call->out);
        }
        return;
    }
    struct kill_filter filter;
    if (kill_options(call, &filter)) {
        hl_write_int(call->out, kill_all(call, &filter));
    }
}

/* --- the rest --------------------------------------------------------------------------------- */

static void cmd_client_reply(struct hl_call *call)
{
    uint32_t *flags = &call->session->flags;
    if (hl_arg_is(call, 2, "on")) {
        *flags &= ~(HL_SESSION_REPLY_OFF | HL_SESSION_REPLY_SKIP | HL_SESSION_SKIP_NEXT);
        hl_write_ok(call->out);
    } else if (hl_arg_is(call, 2, "off")) {
        *flags |= HL_SESSION_REPLY_OFF;
        hl_write_ok(call->out); /* dropped with all that follow */
    } else if (hl_arg_is(call, 2, "skip")) {
        if ((*flags & HL_SESSION_REPLY_OFF) == 0) {
            *flags |= HL_SESSION_SKIP_NEXT | HL_SESSION_REPLY_SKIP;
        }
        hl_write_ok(call->out); /* dropped as well */
    } else {
        hl_reply_error(call, HL_ERR_SYNTAX);
    }
}

static void cmd_client_pause(struct hl_call *call)
{
    int64_t ms = 0;
    bool all = true;
    if (call->argc == 4) {
        all = hl_arg_is(call, 3, "all");
        if (!all && !hl_arg_is(call, 3, "write")) {
            hl_reply_error(call, "ERR CLIENT PAUSE mode must be WRITE or ALL");
            return;
        }
    }
    if (!hl_parse_i64(call->argv[2], &ms)) {
        hl_reply_error(call, "ERR timeout is not an integer or out of range");
        return;
    }
    if (ms < 0) {
        hl_reply_error(call, "ERR timeout is negative");
        return;
    }
    int64_t until_ms = 0;
    if (__builtin_add_overflow(call->now_ms, ms, &until_ms)) {
        hl_reply_error(call, "ERR timeout is out of range");
        return;
    }
    struct hl_node *node = call->node;
    bool running = node->pause_until_ms > node->now_ms;
    node->pause_all = all || (running && node->pause_all);
    if (!running || until_ms > node->pause_until_ms) {
        node->pause_until_ms = until_ms;
    }
    hl_write_ok(call->out);
}

static void cmd_client_unpause(struct hl_call *call)
{
    hl_pause_end(call->node);
    hl_write_ok(call->out);
}

static void cmd_client_unblock(struct hl_call *call)
{
    int64_t id = 0;
    int reason = HL_UNBLOCK_TIMEOUT;
    if (call->argc == 4) {
        if (hl_arg_is(call, 3, "error")) {
            reason = HL_UNBLOCK_ERROR;
        } else if (!hl_arg_is(call, 3, "timeout")) {
            hl_reply_error(call, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
            return;
        }
    }
    if (!hl_arg_i64(call, 2, &id)) {
        return;
    }
    struct hl_session *session = id > 0 ? hl_session_by_id(call->node, (uint64_t)id) : NULL;
    bool can = session != NULL && (session->flags & HL_SESSION_BLOCKED) != 0 &&
               session->blocked.end != NULL && session->blocked.unblockable;
    if (can) {
        session->blocked.end(call->node, session, reason);
    }
    hl_write_int(call->out, can);
}

static void on_off(struct hl_call *call, uint32_t flag)
{
    if (hl_arg_is(call, 2, "on")) {
        call->session->flags |= flag;
    } else if (hl_arg_is(call, 2, "off")) {
        call->session->flags &= ~flag;
    } else {
        hl_reply_error(call, HL_ERR_SYNTAX);
        return;
    }
    hl_write_ok(call->out);
}

static void cmd_client_no_evict(struct hl_call *call)
{
    on_off(call, HL_SESSION_NO_EVICT);
}

static void cmd_client_no_touch(struct hl_call *call)
{
    on_off(call, HL_SESSION_NO_TOUCH);
}

static void cmd_client_getredir(struct hl_call *call)
{
    hl_write_int(call->out, -1);
}

static void cmd_client_trackinginfo(struct hl_call *call)
{
    hl_write_map(call->out, 3);
    hl_write_bulk_text(call->out, "flags");
    hl_write_set(call->out, 1);
    hl_write_bulk_text(call->out, "off");
    hl_write_bulk_text(call->out, "redirect");
    hl_write_int(call->out, -1);
    hl_write_bulk_text(call->out, "prefixes");
    hl_write_array(call->out, 0);
}

#define FLAGS (HL_CMD_NOSCRIPT | HL_CMD_LOADING | HL_CMD_STALE)
#define ROW(cmd_name, fn, n, more, cats, version, cost, words, grammar)                            \
    {                                                                                              \
        .name = (cmd_name), .run = (fn), .arity = (n), .flags = FLAGS | (more),                    \
        .acl = HL_ACL_CONNECTION | (cats), .group = "connection", .since = (version),              \
        .complexity = (cost), .summary = (words), .args = (grammar)                                \
    }
#define PER_CLIENT "O(N) where N is the number of connections"

const struct hl_command_row hl_commands_client[] = {
    {.name = "client",
     .arity = -2,
     .group = "connection",
     .since = "2.4.0",
     .complexity = "Depends on the subcommand",
     .summary = "Look at connections and steer them."},
    ROW("client|id", cmd_client_id, 2, 0, 0, "5.0.0", "O(1)", "Answer the connection's id.", NULL),
    ROW("client|info", cmd_client_info, 2, 0, 0, "6.2.0", "O(1)",
        "Describe the connection as CLIENT LIST does.", NULL),
    ROW("client|list", cmd_client_list, -2, HL_CMD_ADMIN, 0, "2.4.0", PER_CLIENT,
        "Describe the connections, one a line.",
        "[TYPE (normal|master|replica|pubsub)] [ID client-id:integer...]"),
    ROW("client|consistency", hl_cmd_client_consistency, -2, 0, 0, "8.0.0", "O(1)",
        "Choose how fresh this connection's reads are on a node that follows, or tell it.",
        "[mode:string] [bound:integer]"),
    ROW("client|token", hl_cmd_client_token, 2, 0, 0, "8.0.0", "O(1)",
        "Answer a token for CLIENT CONSISTENCY SESSION that covers what this connection saw.",
        NULL),
    {.name = "client|session",
     .run = hl_cmd_client_session,
     .arity = 3,
     .flags = HL_CMD_WRITE | HL_CMD_NO_MULTI | HL_CMD_NOSCRIPT | HL_CMD_NO_MANDATORY_KEYS,
     .acl = HL_ACL_CONNECTION,
     .group = "connection",
     .since = "8.0.0",
     .complexity = "O(1)",
     .summary = "Bind the connection to a session; answers the number of its last SEQ.",
     .args = "session:string"},
    ROW("client|setname", cmd_client_setname, 3, 0, 0, "2.6.9", "O(1)", "Name the connection.",
        "connection-name:string"),
    ROW("client|getname", cmd_client_getname, 2, 0, 0, "2.6.9", "O(1)",
        "Answer the connection's name.", NULL),
    ROW("client|setinfo", cmd_client_setinfo, 4, 0, 0, "7.2.0", "O(1)",
        "Tell which client library this is.", "(LIB-NAME libname:string|LIB-VER libver:string)"),
    ROW("client|kill", cmd_client_kill, -3, HL_CMD_ADMIN, 0, "2.4.0", PER_CLIENT,
        "Close connections.",
        "(ip-port:string|[ID client-id:integer] [TYPE (normal|master|replica|pubsub)] "
        "[USER username] [ADDR ip-port:string] [LADDR ip-port:string] [SKIPME (yes|no)])"),
    ROW("client|reply", cmd_client_reply, 3, 0, 0, "3.2.0", "O(1)",
        "Choose whether commands are answered.", "(ON|OFF|SKIP)"),
    ROW("client|pause", cmd_client_pause, -3, HL_CMD_ADMIN, 0, "3.0.0", "O(1)",
        "Hold back all commands, or the writing ones, for a while.", "timeout:integer [WRITE|ALL]"),
    ROW("client|unpause", cmd_client_unpause, 2, HL_CMD_ADMIN, 0, "6.2.0", PER_CLIENT,
        "End a pause.", NULL),
    ROW("client|unblock", cmd_client_unblock, -3, HL_CMD_ADMIN, 0, "5.0.0", PER_CLIENT,
        "End another connection's wait.", "client-id:integer [TIMEOUT|ERROR]"),
    ROW("client|no-evict", cmd_client_no_evict, 3, HL_CMD_ADMIN, 0, "7.0.0", "O(1)",
        "Spare the connection when buffers must shrink.", "(ON|OFF)"),
    ROW("client|no-touch", cmd_client_no_touch, 3, 0, 0, "7.2.0", "O(1)",
        "Leave access times alone.", "(ON|OFF)"),
    ROW("client|trackinginfo", cmd_client_trackinginfo, 2, 0, 0, "6.2.0", "O(1)",
        "Answer how the connection tracks keys.", NULL),
    ROW("client|getredir", cmd_client_getredir, 2, 0, 0, "6.0.0", "O(1)",
        "Answer where tracking messages go.", NULL),
    HL_HELP_ROW("client", HL_ACL_CONNECTION, "connection", "5.0.0"),
};
const size_t hl_commands_client_count = HL_ARRAY_LEN(hl_commands_client);
