/* From a request to a reply: admission, execution, stats, gate.
 *
 * The order of the checks is Redis's, since clients see which error wins.
 */
#include "command/args.h"
#include "kit/assert.h"
#include "node/admit.h"
#include "node/barrier.h"
#include "node/forward.h"
#include "node/node_internal.h"
#include "raft/mutant.h"

/* Remember a command that no argument but its name chose. */
static void remember(struct hl_session *session, struct hl_command *cmd, struct hl_slice name,
                     uint64_t epoch)
{
    session->last_cmd = cmd;
    session->last_cmd_epoch = epoch;
    session->last_name_len = 0;
    if (cmd->sub_count == 0 && cmd->parent == NULL && name.len <= HL_LAST_NAME_MAX) {
        session->last_name_len = name.len;
        memcpy(session->last_name, name.ptr, name.len);
    }
}

/* The command; often the session's last one, spelled as before: a pipeline repeats itself. */
static struct hl_command *lookup(struct hl_node *node, struct hl_session *session,
                                 const struct hl_slice *argv, int argc)
{
    uint64_t epoch = hl_command_table_epoch(node->commands);
    if (argv[0].len == session->last_name_len && session->last_cmd_epoch == epoch &&
        argv[0].len != 0 && memcmp(argv[0].ptr, session->last_name, argv[0].len) == 0) {
        return session->last_cmd;
    }
    struct hl_command *cmd = hl_command_of(node->commands, argv, argc);
    if (cmd != NULL) {
        remember(session, cmd, argv[0], epoch);
    }
    return cmd;
}

static void note_time(struct hl_node *node, struct hl_session *session, struct hl_command *cmd,
                      int argc, const struct hl_slice *argv)
{
    uint64_t end_us = node->world->mono_us(node->world->ctx);
    uint64_t took_us = end_us - node->mark_us;
    node->mark_us = end_us;
    cmd->usec += took_us;
    if (node->config.latency_tracking) {
        hl_histogram_note(cmd, took_us);
    }
    if (node->config.slowlog_slower_than_us >= 0 &&
        (int64_t)took_us >= node->config.slowlog_slower_than_us) {
        hl_slowlog_note(node, session, cmd, argc, argv, (int64_t)took_us);
    }
    if (node->config.latency_threshold_ms > 0 &&
        took_us >= (uint64_t)node->config.latency_threshold_ms * 1000) {
        hl_latency_note(node, (cmd->flags & HL_CMD_FAST) != 0 ? "fast-command" : "command",
                        took_us / 1000);
    }
}

/* Commands whose answer no set of keys describes wait for everything executed so far. */
static bool waits_for_all(const struct hl_command *cmd)
{
    return (cmd->flags & HL_CMD_WHOLE_KEYSPACE) != 0 ||
           (cmd->flags & (HL_CMD_MODULE | HL_CMD_KEY_PRECISE)) == HL_CMD_MODULE;
}

void hl_call_init(struct hl_call *call, struct hl_node *node, struct hl_session *session,
                  struct hl_command *cmd, int argc, const struct hl_slice *argv)
{
    *call = (struct hl_call){
        .cmd = cmd,
        .argc = argc,
        .argv = argv,
        .ks = &node->ks,
        .db = hl_ks_db(&node->ks, session->db),
        .out = &session->writer,
        .now_ms = node->ks.now_ms,
        .rng = &node->rng,
        .session = session,
        .node = node,
        .services = &node->services,
    };
}

bool hl_node_call(struct hl_node *node, struct hl_session *session, struct hl_command *cmd,
                  int argc, const struct hl_slice *argv, struct hl_writer *out, uint32_t flags)
{
    HL_ASSERT(node->unit.open);
    HL_ASSERT(cmd->run != NULL);
    struct hl_call call;
    hl_call_init(&call, node, session, cmd, argc, argv);
    call.out = out;
    call.flags = flags;
    int db = session->db;
    size_t start = out->out->len;
    cmd->calls++;
    if (HL_MUTANT(VERBATIM)) {
        node->unit.verbatim = (flags & HL_CALL_REPLICATED) == 0;
    }
    cmd->run(&call);
    if (HL_MUTANT(VERBATIM) && call.effects_own) {
        call.effects_own = !node->unit.verbatim;
        node->unit.verbatim = false;
    }
    if (call.changes != 0 && !call.effects_own) {
        hl_unit_effect(node, db, argc, argv);
    }
    if (node->hooks.settle != NULL) {
        node->hooks.settle(node->hooks.ctx);
    }
    if (waits_for_all(cmd) && node->ks.gate_seen < node->last) {
        node->ks.gate_seen = node->last;
    }
    if (call.failed) {
        cmd->failed++;
        hl_error_note(node, out->out, start);
    }
    return !call.failed;
}

void hl_session_reply_done(struct hl_node *node, struct hl_session *session,
                           const struct hl_gate_mark *need)
{
    hl_session_hold(node, session, need);
    if ((session->flags & HL_SESSION_WRITING) == 0 && session->open != session->left) {
        hl_session_tell_output(node, session);
    }
}

/* CLIENT REPLY OFF and SKIP: the command ran, its reply is not sent. */
static void drop_reply_if_asked(struct hl_session *session, size_t start)
{
    uint32_t flags = session->flags;
    if ((flags & (HL_SESSION_REPLY_OFF | HL_SESSION_REPLY_SKIP)) != 0) {
        session->out.len = start;
    }
    session->flags &= ~HL_SESSION_REPLY_SKIP;
    if ((flags & HL_SESSION_SKIP_NEXT) != 0) {
        session->flags = (session->flags & ~HL_SESSION_SKIP_NEXT) | HL_SESSION_REPLY_SKIP;
    }
}

/* On a node that follows, a read was proved before it ran, or need not be. */
static bool executes(const struct hl_node *node)
{
    return node->cluster.leads || node->cluster.handing;
}

static void run_unit(struct hl_node *node, struct hl_session *session, struct hl_command *cmd,
                     int argc, const struct hl_slice *argv)
{
    size_t start = session->out.len;
    if (!hl_list_empty(&node->monitors)) {
        hl_monitor_feed(node, session, cmd, argc, argv);
    }
    struct hl_session *outer = node->current;
    node->current = session;
    session->flags |= HL_SESSION_EXECUTING;
    hl_unit_begin(node);
    hl_node_call(node, session, cmd, argc, argv, &session->writer, 0);
    uint64_t gate = hl_unit_end(node);
    session->flags &= ~HL_SESSION_EXECUTING;
    node->current = outer;
    node->stats.commands++;
    note_time(node, session, cmd, argc, argv);
    if ((session->flags & (HL_SESSION_REPLY_OFF | HL_SESSION_REPLY_SKIP | HL_SESSION_SKIP_NEXT)) !=
        0) {
        drop_reply_if_asked(session, start);
    }
    session->last_gate = gate > session->last_gate ? gate : session->last_gate;
    struct hl_gate_mark need = {.gate = gate};
    if (node->unit.made) {
        need.first = gate; /* that its own entry commits is a proof of leadership */
    } else if (node->cluster.prove && executes(node) &&
               (hl_admin_gate(node, session) != 0 || hl_reveals(cmd))) {
        need.read = hl_replica_read(node);
    }
    hl_session_reply_done(node, session, &need);
}

static bool is_queued_in_multi(const struct hl_session *session, const struct hl_command *cmd)
{
    return (session->flags & HL_SESSION_MULTI) != 0 && (cmd->flags & HL_CMD_RUNS_IN_MULTI) == 0;
}

static void queue_in_multi(struct hl_node *node, struct hl_session *session, struct hl_command *cmd,
                           int argc, const struct hl_slice *argv)
{
    if (!hl_txn_queue(node, session, cmd, argc, argv)) {
        session->flags |= HL_SESSION_DIRTY_EXEC;
        hl_write_error(&session->writer,
                       "ERR the transaction holds more than client-query-buffer-limit bytes");
    } else {
        hl_buf_append(&session->out, HL_REPLY_QUEUED, sizeof HL_REPLY_QUEUED - 1);
    }
}

/* EXEC was refused, and answered so from `start` on: the transaction is over, and says why. */
static void abort_exec(struct hl_node *node, struct hl_session *session, size_t start)
{
    struct hl_buf why = {0};
    hl_buf_append(&why, session->out.ptr + start, session->out.len - start);
    size_t from = why.len > 5 && memcmp(why.ptr, "-ERR ", 5) == 0 ? 5 : 1;
    HL_ASSERT(why.len >= from + 2);
    session->out.len = start;
    hl_write_error_printf(&session->writer, "EXECABORT Transaction discarded because of: %.*s",
                          (int)(why.len - from - 2), why.ptr + from);
    hl_buf_fini(&why);
    hl_txn_discard(node, session);
}

/* A web browser that was tricked into talking to us starts so; what follows could be commands. */
static bool is_web_request(const struct hl_command *cmd, const struct hl_slice *argv)
{
    return cmd == NULL && (hl_slice_is(argv[0], "post") || hl_slice_is(argv[0], "host:"));
}

/* What an answer waits for that tells nothing but whether the caller may do something. */
static struct hl_gate_mark need_of_rights(struct hl_node *node, struct hl_session *session)
{
    struct hl_gate_mark need = {.gate = hl_admin_gate(node, session)};
    if (need.gate != 0 && executes(node)) {
        need.read = hl_replica_read(node);
    }
    return need;
}

static void refuse(struct hl_node *node, struct hl_session *session, struct hl_command *cmd,
                   size_t start)
{
    if (cmd != NULL && cmd->parent == NULL && strcmp(cmd->row->name, "exec") == 0) {
        abort_exec(node, session, start);
    } else if ((session->flags & HL_SESSION_MULTI) != 0) {
        session->flags |= HL_SESSION_DIRTY_EXEC;
    }
    if (cmd != NULL) {
        cmd->rejected++;
    }
    hl_error_note(node, &session->out, start);
    drop_reply_if_asked(session, start);
    struct hl_gate_mark need = need_of_rights(node, session);
    hl_session_reply_done(node, session, &need);
}

/* What a follower does with a request for the leader. */
static void send_to_leader(struct hl_node *node, struct hl_session *session, struct hl_command *cmd,
                           int argc, const struct hl_slice *argv)
{
    size_t start = session->out.len;
    session->last_ms = node->now_ms;
    if (cmd != NULL && hl_forward_checks_here(session) &&
        !hl_admit_caller(node, session, cmd, argc, argv)) {
        refuse(node, session, cmd, start);
        return;
    }
    hl_replica_forget_reader(node, session);
    hl_forward_send(node, session, argc, argv);
}

static enum hl_exec_result postpone(struct hl_node *node, struct hl_session *session)
{
    session->flags |= HL_SESSION_POSTPONED;
    if (!hl_list_linked(&session->postponed)) {
        hl_list_append(&node->postponed, &session->postponed);
    }
    return HL_EXEC_POSTPONE;
}

enum hl_exec_result hl_node_execute(struct hl_node *node, struct hl_session *session, int argc,
                                    const struct hl_slice *argv)
{
    HL_ASSERT(argc >= 1);
    HL_ASSERT((session->flags & HL_SESSION_BLOCKED) == 0);
    if (hl_admin_holds(node, session)) {
        return postpone(node, session);
    }
    struct hl_slice *filtered = NULL;
    if (node->hooks.filter != NULL) {
        argc = node->hooks.filter(node->hooks.ctx, session, argc, argv, &filtered);
        argv = filtered != NULL ? filtered : argv;
    }
    struct hl_command *cmd = lookup(node, session, argv, argc);
    if (cmd != NULL && node->pause_until_ms != 0 && hl_admit_paused(node, session, cmd)) {
        return postpone(node, session);
    }
    if (cmd != NULL && hl_admit_crowded(node, session, cmd)) {
        return postpone(node, session);
    }
    if (cmd != NULL && node->barrier != NULL && hl_barrier_holds(node, session, cmd)) {
        return postpone(node, session);
    }
    bool elsewhere = session->line != NULL || !node->cluster.leads;
    enum hl_forward_verdict verdict =
        elsewhere ? hl_forward_verdict(node, session, cmd) : HL_FORWARD_LOCAL;
    if (verdict == HL_FORWARD_WAIT ||
        (verdict == HL_FORWARD_LOCAL && cmd != NULL && !node->cluster.leads &&
         hl_replica_postpones(node, session, cmd))) {
        return postpone(node, session);
    }
    if (node->cluster.leads) {
        hl_replica_forget_reader(node, session); /* what it asked for as a follower */
    }
    session->flags &= ~HL_SESSION_POSTPONED;
    if (verdict == HL_FORWARD_SEND) {
        send_to_leader(node, session, cmd, argc, argv);
        return HL_EXEC_DONE;
    }
    session->last_ms = node->now_ms;
    size_t start = session->out.len;
    if (is_web_request(cmd, argv)) {
        session->flags |= HL_SESSION_CLOSE_NOW;
        return HL_EXEC_DONE;
    }
    if (!hl_admit(node, session, cmd, argc, argv)) {
        refuse(node, session, cmd, start);
        return HL_EXEC_DONE;
    }
    if (is_queued_in_multi(session, cmd)) {
        queue_in_multi(node, session, cmd, argc, argv);
        drop_reply_if_asked(session, start);
        struct hl_gate_mark need = need_of_rights(node, session);
        hl_session_reply_done(node, session, &need);
        return HL_EXEC_DONE;
    }
    run_unit(node, session, cmd, argc, argv);
    return HL_EXEC_DONE;
}
