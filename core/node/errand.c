#include "node/errand.h"

#include "command/args.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "node/acl.h"
#include "node/forward.h"
#include "node/node_internal.h"

static struct hl_errand *errand_of(const struct hl_session *session)
{
    return session->edge;
}

/* What an errand's session has instead of a socket. */
static void on_told(void *ctx, struct hl_session *session)
{
    (void)ctx;
    errand_of(session)->told(errand_of(session));
}

static const struct hl_session_port errand_port = {.output = on_told, .resume = on_told};

/* --- requests --------------------------------------------------------------------------------- */

static bool is_transaction(const struct hl_errand_order *order)
{
    return order->count > 1;
}

/* How many requests it takes: a transaction's MULTI and EXEC, or CLIENT SESSION, come along. */
static int request_count(const struct hl_errand_order *order)
{
    return is_transaction(order) ? order->count + 2 : order->once.len != 0 ? 2 : 1;
}

/* What its commands are decides what an error, or no answer, tells. */
static void look_at_commands(struct hl_node *node, struct hl_errand *errand)
{
    const uint32_t changes =
        HL_CMD_WRITE | HL_CMD_MAY_REPLICATE | HL_CMD_LOGGED | HL_CMD_AT_LEADER | HL_CMD_ADMIN;
    const struct hl_errand_order *order = errand->order;
    errand->reads_only = order->once.len == 0;
    for (int i = 0; i < order->count; i++) {
        const struct hl_command *cmd =
            hl_command_of(node->commands, order->commands[i].argv, order->commands[i].argc);
        uint32_t flags = cmd == NULL ? 0 : cmd->flags;
        errand->reads_only = errand->reads_only && (flags & HL_CMD_READONLY) != 0 &&
                             (flags & (changes | HL_CMD_BLOCKING)) == 0;
        errand->strict = errand->strict || (flags & HL_CMD_MODULE) != 0;
    }
}

/* Commands that change whose or what the connection is, or answer more or less than once. */
static bool belongs_to_connections(const struct hl_command *cmd)
{
    static const char *const names[] = {"monitor", "seq", "client|reply", "client|session"};
    if ((cmd->flags & (HL_CMD_RUNS_IN_MULTI | HL_CMD_NO_AUTH)) != 0 ||
        ((cmd->flags & HL_CMD_PUBSUB) != 0 && (cmd->acl & HL_ACL_CONNECTION) != 0)) {
        return true;
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(names); i++) {
        if (strcmp(cmd->row->name, names[i]) == 0) {
            return true;
        }
    }
    return hl_slice_is(hl_slice_of(cmd->row->name), "exec"); /* runs in no MULTI, ends one */
}

static void run(struct hl_node *node, struct hl_errand *errand, int argc,
                const struct hl_slice *argv)
{
    if (hl_node_execute(node, errand->session, argc, argv) != HL_EXEC_POSTPONE) {
        errand->made++;
    }
}

/* SEQ n command. */
static void run_once(struct hl_node *node, struct hl_errand *errand)
{
    const struct hl_errand_command *inner = &errand->order->commands[0];
    char number[HL_I64_TEXT_MAX];
    int len = hl_format_i64(number, (int64_t)errand->order->once_seq);
    struct hl_slice *argv = hl_calloc((size_t)inner->argc + 2, sizeof *argv);
    argv[0] = hl_slice_of("SEQ");
    argv[1] = (struct hl_slice){.ptr = number, .len = (size_t)len};
    memcpy(argv + 2, inner->argv, (size_t)inner->argc * sizeof *argv);
    run(node, errand, inner->argc + 2, argv);
    hl_free(argv);
}

/* Make the next request; errand->made tells whether it had to wait. */
static void run_next(struct hl_node *node, struct hl_errand *errand)
{
    const struct hl_errand_order *order = errand->order;
    int at = errand->made;
    if (order->once.len != 0 && at == 0) {
        struct hl_slice session[3] = {hl_slice_of("CLIENT"), hl_slice_of("SESSION"), order->once};
        run(node, errand, 3, session);
        return;
    }
    if (order->once.len != 0) {
        run_once(node, errand);
        return;
    }
    if (is_transaction(order)) {
        struct hl_slice frame = hl_slice_of(at == 0 ? "MULTI" : "EXEC");
        if (at == 0 || at == order->count + 1) {
            run(node, errand, 1, &frame);
            return;
        }
        at--;
    }
    run(node, errand, order->commands[at].argc, order->commands[at].argv);
}

static bool may_run(const struct hl_errand *errand)
{
    const uint32_t stops = HL_SESSION_BLOCKED | HL_SESSION_CLOSE_NOW | HL_SESSION_CLOSE_AFTER;
    bool first_waits = errand->made == 1 && errand->answered == 0; /* N3 */
    return errand->made < request_count(errand->order) && !first_waits &&
           (errand->session->flags & stops) == 0;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void end(struct hl_node *node, struct hl_errand *errand, enum hl_errand_outcome outcome)
{
    struct hl_session *session = errand->session;
    HL_ASSERT(session != NULL); /* N1 */
    HL_ASSERT(errand->reply.len != 0);
    errand->outcome = outcome;
    errand->token = node->commit > session->last_gate ? node->commit : session->last_gate;
    errand->session = NULL;
    hl_session_destroy(node, session);
}

static void end_with(struct hl_node *node, struct hl_errand *errand, enum hl_errand_outcome outcome,
                     const char *error)
{
    struct hl_writer out = {.out = &errand->reply, .proto = errand->order->proto};
    errand->reply.len = 0;
    hl_write_error(&out, error);
    end(node, errand, outcome);
}

/* True when nothing can have happened: the request that decides was not begun, or did not leave
 * this node (N2). */
static bool nothing_happened(const struct hl_errand *errand)
{
    return errand->reads_only || errand->made < request_count(errand->order) ||
           hl_forward_has_unsent(errand->session);
}

void hl_errand_give_up(struct hl_node *node, struct hl_errand *errand, const char *why)
{
    bool nothing = nothing_happened(errand);
    struct hl_buf text = {0};
    hl_buf_printf(&text, "%s %s; %s", nothing ? "NOTEXECUTED" : "UNKNOWN", why,
                  nothing ? "nothing was changed"
                          : "the command may have been executed, or may be yet");
    hl_buf_append_u8(&text, 0);
    end_with(node, errand, nothing ? HL_ERRAND_NOT_EXECUTED : HL_ERRAND_UNKNOWN, text.ptr);
    hl_buf_fini(&text);
}

/* Of the errors that the server itself gives before a command begins, or instead of its answer:
 * those that tell of a state which passes.  The second half a module's command may say, too. */
static bool says_not_executed(struct hl_slice reply, bool strict)
{
    static const char *const codes[] = {"NOQUORUM", "NOTLEADER", "ROLLEDBACK", "TRYAGAIN",
                                        "LOADING",  "MOVED",     "MASTERDOWN", "READONLY",
                                        "MISCONF",  "OOM"};
    const size_t always = 7;
    for (size_t i = 0; i < (strict ? always : HL_ARRAY_LEN(codes)); i++) {
        size_t len = strlen(codes[i]);
        if (reply.len > len + 1 && reply.ptr[0] == '-' && reply.ptr[len + 1] == ' ' &&
            memcmp(reply.ptr + 1, codes[i], len) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_null(struct hl_slice reply)
{
    return reply.len >= 2 && (reply.ptr[0] == '_' || (reply.ptr[0] == '*' && reply.ptr[1] == '-'));
}

/* Take the reply of one request; true when the errand has ended with it. */
static bool take_reply(struct hl_node *node, struct hl_errand *errand, struct hl_slice reply)
{
    bool last = ++errand->answered == request_count(errand->order);
    bool error = reply.ptr[0] == '-';
    bool frame = is_transaction(errand->order);
    if (!last && !error) {
        return false; /* OK, QUEUED, the number of the client session's last request */
    }
    if (last && frame && is_null(reply)) {
        end_with(node, errand, HL_ERRAND_NOT_EXECUTED,
                 "TRYAGAIN the leader changed meanwhile; nothing was executed");
        return true;
    }
    /* An error before the last request spoils all: EXEC or SEQ will not run, if it was sent. */
    hl_buf_append_slice(&errand->reply, reply);
    bool strict = last && errand->strict;
    end(node, errand,
        says_not_executed(reply, strict) ? HL_ERRAND_NOT_EXECUTED : HL_ERRAND_ANSWERED);
    return true;
}

/* Take what was answered so far; true when the errand has ended with it. */
static bool take_replies(struct hl_node *node, struct hl_errand *errand)
{
    for (;;) {
        struct hl_slice out = hl_session_output(errand->session);
        enum hl_read_result result = hl_reader_next(&errand->reader, out.ptr, out.len);
        if (result == HL_READ_MORE) {
            break;
        }
        HL_ASSERT(result == HL_READ_REPLY); /* we wrote it */
        struct hl_slice reply = {.ptr = out.ptr + errand->reader.pos - errand->reader.size,
                                 .len = errand->reader.size};
        if (reply.len > errand->order->reply_size_max) {
            break;
        }
        if (reply.ptr[0] != '>' && take_reply(node, errand, reply)) {
            return true;
        }
    }
    if (hl_session_held(errand->session) > errand->order->reply_size_max) {
        bool harmless = errand->reads_only;
        end_with(node, errand, harmless ? HL_ERRAND_ANSWERED : HL_ERRAND_UNKNOWN,
                 harmless ? "ERR the reply is larger than the limit of its receiver"
                          : "UNKNOWN the command was executed, but its reply is larger than the "
                            "limit of its receiver");
        return true;
    }
    return false;
}

bool hl_errand_step(struct hl_node *node, struct hl_errand *errand)
{
    HL_ASSERT(errand->session != NULL);
    for (;;) {
        if (take_replies(node, errand)) {
            return true;
        }
        if (!may_run(errand)) {
            break;
        }
        int made = errand->made;
        errand->session->flags &= ~HL_SESSION_POSTPONED;
        run_next(node, errand);
        if (errand->made == made) {
            break; /* it has to wait: `told` says when it may go on */
        }
    }
    if ((errand->session->flags & (HL_SESSION_CLOSE_NOW | HL_SESSION_CLOSE_AFTER)) != 0) {
        hl_errand_give_up(node, errand, "the leader was lost, or the user is gone");
        return true;
    }
    return false;
}

/* --- the beginning ---------------------------------------------------------------------------- */

/* The rights of the session; false when there are none to be had. */
static bool become(struct hl_node *node, struct hl_errand *errand)
{
    struct hl_session *session = errand->session;
    if (errand->order->trusted) {
        hl_auth_as_server(session);
        return true;
    }
    struct hl_user *user = hl_acl_find(node->acl, errand->order->user);
    if (user == NULL || !hl_acl_is_on(user)) {
        return false;
    }
    hl_auth_as(session, user);
    return true;
}

static bool are_allowed(struct hl_node *node, const struct hl_errand_order *order)
{
    for (int i = 0; i < order->count; i++) {
        const struct hl_command *cmd =
            hl_command_of(node->commands, order->commands[i].argv, order->commands[i].argc);
        if (cmd != NULL && belongs_to_connections(cmd)) {
            return false;
        }
    }
    return true;
}

/* Who asks, as one word: it goes into lines of MONITOR and logs, and may be what a stranger says.
 */
static void set_client(struct hl_session *session, struct hl_slice client)
{
    size_t len = 0;
    for (; len < client.len && len < sizeof session->addr - 1; len++) {
        char c = client.ptr[len];
        session->addr[len] = c > ' ' && c <= '~' ? c : '?';
    }
    session->addr[len] = '\0';
}

static void set_up(struct hl_errand *errand, struct hl_session *session)
{
    const struct hl_errand_order *order = errand->order;
    session->edge = errand;
    session->port = &errand_port;
    session->db = order->db;
    session->writer.proto = order->proto;
    session->own_consistency = order->own_consistency;
    session->consistency = order->consistency;
    session->read_token = order->consistency == HL_READ_SESSION ? order->read_value : 0;
    session->read_bound_us = order->consistency == HL_READ_BOUNDED ? order->read_value : 0;
    set_client(session, order->client);
    errand->session = session;
}

bool hl_errand_begin(struct hl_node *node, struct hl_errand *errand,
                     const struct hl_errand_order *order, void (*told)(struct hl_errand *errand))
{
    HL_ASSERT(order->count >= 1);
    HL_ASSERT(order->count <= HL_ERRAND_COMMANDS_MAX);
    HL_ASSERT(order->count == 1 || order->once.len == 0);
    *errand = (struct hl_errand){.order = order, .told = told};
    hl_reader_init(&errand->reader);
    set_up(errand, hl_session_create(node, HL_SESSION_ERRAND));
    if (order->db < 0 || order->db >= node->ks.db_count) {
        end_with(node, errand, HL_ERRAND_ANSWERED, "ERR DB index is out of range");
        return true;
    }
    if (!become(node, errand)) {
        end_with(node, errand, HL_ERRAND_ANSWERED,
                 "NOPERM there is no user of that name, or it is off");
        return true;
    }
    if (!are_allowed(node, order)) {
        end_with(node, errand, HL_ERRAND_ANSWERED,
                 "ERR a command that belongs to connections does not run here");
        return true;
    }
    look_at_commands(node, errand);
    return hl_errand_step(node, errand);
}
