/* Forwarding on the node of the client: lines.
 *
 * A line is bound to a leader when its first request is sent, and to another one only when nothing
 * that was sent is unanswered (W3).
 */
#include "command/args.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/forward_internal.h"
#include "raft/mutant.h"

struct hl_line {
    struct hl_list_node all;  /* in forwarding->all_lines */
    struct hl_list_node busy; /* in forwarding->busy_lines while requests wait */
    struct hl_session *session;
    uint64_t handle; /* 0: not bound */
    hl_peer leader;  /* who has its guest; 0: not bound */
    uint64_t next_seq;
    uint64_t offset; /* of the output taken so far */
    uint32_t flags;  /* HL_FORWARD_* as the guest last said */
    bool aborted;    /* the leader changed inside MULTI: nothing until EXEC or DISCARD runs */
    bool disturbed;  /* the leader changed under WATCH: the next EXEC must fail */
    struct hl_list_node
        waiting; /* struct hl_forwarded, oldest first; sent ones before the others */
    int waiting_count, sent_count;
    size_t waiting_size;
    bool held; /* refused: nothing is sent before the next cron or another leader */
    int64_t
        orphaned_ms; /* since when what was sent waits for one that leads no more; 0: it leads */
};

static hl_peer leader_of(const struct hl_node *node)
{
    if (hl_node_leads(node)) {
        return node->node_id;
    }
    const struct hl_member *leader = hl_node_leader(node);
    return leader != NULL ? leader->id : 0;
}

/* --- lines ------------------------------------------------------------------------------------ */

static void unbind(struct hl_node *node, struct hl_line *line)
{
    if (line->handle == 0) {
        return;
    }
    struct hl_buf body = {0};
    struct hl_forward_msg end = {.kind = HL_FORWARD_END, .handle = line->handle};
    hl_forward_msg_encode(&end, &body);
    hl_forward_post(node, line->leader, HL_FRAME_FORWARD, hl_buf_view(&body));
    hl_buf_fini(&body);
    node->forwarding->lines[HL_FORWARD_SLOT(line->handle)] = NULL;
    line->handle = 0;
    line->leader = 0;
    line->next_seq = 1;
    line->offset = 0;
    line->flags = 0;
}

/* Take a handle whose slot is free; false when all are taken. */
static bool bind(struct hl_node *node, struct hl_line *line, hl_peer leader)
{
    struct hl_forwarding *f = node->forwarding;
    for (uint32_t tries = 0; tries < HL_FORWARD_LINES_MAX; tries++) {
        uint32_t slot = HL_FORWARD_SLOT(f->serial + 1 + tries);
        if (f->lines[slot] == NULL) {
            f->serial++;
            f->lines[slot] = line;
            line->handle = f->serial << HL_FORWARD_SLOT_BITS | slot;
            line->leader = leader;
            return true;
        }
    }
    return false;
}

static struct hl_line *line_of(struct hl_node *node, struct hl_session *session)
{
    if (session->line == NULL) {
        session->line = hl_calloc(1, sizeof *session->line);
        session->line->session = session;
        session->line->next_seq = 1;
        hl_list_init(&session->line->waiting);
        hl_list_append(&node->forwarding->all_lines, &session->line->all);
        node->forwarding->stats.lines++;
    }
    return session->line;
}

static void add_request(struct hl_node *node, struct hl_line *line, struct hl_forwarded *request)
{
    hl_list_append(&line->waiting, &request->list);
    line->waiting_size += request->size;
    if (line->waiting_count++ == 0) {
        hl_list_append(&node->forwarding->busy_lines, &line->busy);
    }
}

static void drop_request(struct hl_line *line, struct hl_forwarded *request)
{
    HL_ASSERT(line->waiting_count > 0);
    line->waiting_size -= request->size;
    line->sent_count -= request->seq != 0;
    hl_forwarded_destroy(request);
    if (--line->waiting_count == 0) {
        hl_list_remove(&line->busy);
    }
}

void hl_forward_session_ended(struct hl_node *node, struct hl_session *session)
{
    struct hl_line *line = session->line;
    if (line == NULL) {
        return;
    }
    unbind(node, line);
    HL_LIST_EACH(it, &line->waiting)
    {
        drop_request(line, HL_LIST_ENTRY(it, struct hl_forwarded, list));
    }
    node->forwarding->stats.lines--;
    hl_list_remove(&line->all);
    hl_free(line);
    session->line = NULL;
}

/* What was sent has no known outcome (W2, PROTOCOL section 6): only the end of the connection says
 * so to every client. */
static void give_up(struct hl_node *node, struct hl_line *line, const char *why)
{
    node->forwarding->stats.unknown++;
    hl_node_log(node, 2, "closing client %llu: its request may or may not have been executed: %s",
                (unsigned long long)line->session->id, why);
    unbind(node, line);
    HL_LIST_EACH(it, &line->waiting)
    {
        drop_request(line, HL_LIST_ENTRY(it, struct hl_forwarded, list));
    }
    hl_session_close(node, line->session, true);
}

/* --- requests --------------------------------------------------------------------------------- */

static bool runs_at_leader(const struct hl_command *cmd)
{
    const uint32_t anywhere = HL_CMD_READONLY | HL_CMD_ADMIN;
    if ((cmd->flags & (HL_CMD_WRITE | HL_CMD_MAY_REPLICATE | HL_CMD_LOGGED | HL_CMD_AT_LEADER)) !=
        0) {
        return true;
    }
    return (cmd->flags & HL_CMD_MODULE) != 0 && (cmd->flags & anywhere) == 0;
}

/* Commands that end what the connection was doing, wherever that was. */
static bool is_leaving(const struct hl_command *cmd)
{
    return hl_slice_is(hl_slice_of(cmd->row->name), "reset") ||
           hl_slice_is(hl_slice_of(cmd->row->name), "quit");
}

/* Between MULTI and EXEC. */
static bool is_inside(const struct hl_line *line)
{
    return line != NULL && ((line->flags & HL_FORWARD_IN_MULTI) != 0 || line->aborted);
}

bool hl_forward_is_busy(const struct hl_session *session)
{
    return session->line != NULL && session->line->waiting_count != 0;
}

bool hl_forward_has_unsent(const struct hl_session *session)
{
    const struct hl_line *line = session->line;
    return line != NULL && line->waiting_count > line->sent_count;
}

enum hl_forward_verdict hl_forward_verdict(const struct hl_node *node,
                                           const struct hl_session *session,
                                           const struct hl_command *cmd)
{
    const struct hl_line *line = session->line;
    bool busy = hl_forward_is_busy(session), inside = is_inside(line);
    const uint32_t own = HL_SESSION_INTERNAL | HL_SESSION_GUEST;
    if ((session->flags & own) != 0 || (node->loading && !busy)) {
        return HL_FORWARD_LOCAL;
    }
    bool forwards = node->config.cluster.follower_writes == HL_FOLLOWER_WRITES_FORWARD;
    bool off = !node->cluster.live || node->cluster.handing || !forwards;
    if (off && !busy && !inside) {
        return HL_FORWARD_LOCAL;
    }
    bool local = (session->flags & HL_SESSION_MULTI) != 0 || !hl_list_empty(&session->watches);
    if (local && !busy && !inside) {
        return HL_FORWARD_LOCAL; /* it began while this node led, or did not forward */
    }
    bool stateful = line != NULL && (line->flags & HL_FORWARD_STATEFUL) != 0;
    if (hl_node_leads(node) && !busy && !inside && !stateful) {
        return HL_FORWARD_LOCAL;
    }
    if ((session->flags & HL_SESSION_AUTHENTICATED) == 0 && !hl_node_default_is_open(node)) {
        return busy ? HL_FORWARD_WAIT : HL_FORWARD_LOCAL; /* which refuses it */
    }
    /* Between requests under way an error has to come in its place: the leader makes it.  What is
     * read under WATCH is what the watch guards, so it is read where that is. */
    bool unheard = session->last_gate > node->last; /* perhaps of the module that has the command */
    bool goes = cmd == NULL ? busy || inside || unheard
                            : runs_at_leader(cmd) || (inside && !is_leaving(cmd)) ||
                                  ((busy || stateful) && (cmd->flags & HL_CMD_READONLY) != 0);
    if (!goes) {
        return busy ? HL_FORWARD_WAIT : HL_FORWARD_LOCAL;
    }
    return busy && line->waiting_size > HL_FORWARD_WAITING_MAX ? HL_FORWARD_WAIT : HL_FORWARD_SEND;
}

bool hl_forward_checks_here(const struct hl_session *session)
{
    return !hl_forward_is_busy(session) && !is_inside(session->line);
}

/* False when no handle is free. */
static bool send_request(struct hl_node *node, struct hl_line *line, struct hl_forwarded *request,
                         hl_peer leader)
{
    if (line->handle == 0 && !bind(node, line, leader)) {
        return false;
    }
    struct hl_session *session = line->session;
    request->seq = line->next_seq++;
    line->sent_count++;
    struct hl_forward_msg msg = {
        .kind = HL_FORWARD_REQUEST,
        .handle = line->handle,
        .seq = request->seq,
        .db = session->db,
        .proto = session->writer.proto,
        .user = hl_slice_of(hl_session_user_name(session)),
        .client = hl_slice_of(session->addr),
        .once = {.ptr = session->once_id, .len = session->once_id_len},
        .local = (session->flags & HL_SESSION_LOCAL) != 0,
        .disturbed = line->disturbed,
        .trusted = session->user == NULL,
        .argc = request->argc,
        .argv = request->argv,
    };
    request->disturbed = line->disturbed; /* it goes there with this one, unless it is refused */
    line->disturbed = false;
    struct hl_buf body = {0};
    hl_forward_msg_encode(&msg, &body);
    hl_forward_post(node, leader, HL_FRAME_FORWARD, hl_buf_view(&body));
    hl_buf_fini(&body);
    node->forwarding->stats.sent++;
    return true;
}

/* An answer made here; only when nothing before it waits. */
static void answer(struct hl_node *node, struct hl_line *line, const char *error)
{
    struct hl_session *session = line->session;
    hl_write_error(&session->writer, error);
    hl_session_gate(node, session, 0);
    hl_session_tell_output(node, session);
}

/* Send what can be sent to the leader of now. */
static void send_waiting(struct hl_node *node, struct hl_line *line)
{
    hl_peer leader = leader_of(node);
    bool orphaned = line->leader != 0 && line->leader != leader; /* those come first */
    if (leader == 0 || orphaned || line->held || !hl_forward_reaches(node, leader)) {
        return;
    }
    HL_LIST_EACH(it, &line->waiting)
    {
        struct hl_forwarded *request = HL_LIST_ENTRY(it, struct hl_forwarded, list);
        if (request->seq == 0 && !send_request(node, line, request, leader)) {
            HL_ASSERT(line->sent_count == 0);
            drop_request(line, request);
            answer(node, line, "ERR this node forwards for too many clients: ask another node");
        }
    }
}

/* The leader changed inside MULTI, and with it went what was queued. */
static bool answer_aborted(struct hl_node *node, struct hl_line *line, struct hl_slice name)
{
    if (!line->aborted) {
        return false;
    }
    if (hl_slice_is(name, "discard")) {
        hl_buf_append_text(&line->session->out, "+OK\r\n");
        hl_session_gate(node, line->session, 0);
    } else if (hl_slice_is(name, "exec")) {
        answer(node, line,
               "EXECABORT Transaction discarded because of: the leader changed, "
               "nothing of it was executed");
    } else {
        answer(node, line,
               "TRYAGAIN the leader changed and the transaction was dropped, nothing "
               "of it was executed: EXEC or DISCARD it, then begin again");
        return true;
    }
    line->aborted = false;
    return true;
}

void hl_forward_send(struct hl_node *node, struct hl_session *session, int argc,
                     const struct hl_slice *argv)
{
    struct hl_line *line = line_of(node, session);
    if (answer_aborted(node, line, argv[0])) {
        return;
    }
    struct hl_forwarded *request = hl_forwarded_create(argc, argv);
    request->since_ms = node->now_ms;
    add_request(node, line, request);
    send_waiting(node, line);
}

/* --- answers ---------------------------------------------------------------------------------- */

/* What happened under WATCH goes to where the next request runs: this node's own session, or with a
 * request that waits to the next guest. */
static void pass_on(struct hl_node *node, struct hl_line *line)
{
    if (line->disturbed && line->waiting_count == 0 && hl_node_leads(node)) {
        line->session->flags |= HL_SESSION_DIRTY_CAS;
        line->disturbed = false;
    }
}

/* Nothing that was sent is unanswered: leave the guest, remembering what goes with it. */
static void move(struct hl_node *node, struct hl_line *line)
{
    HL_ASSERT(line->sent_count == 0);
    line->aborted = line->aborted || (line->flags & HL_FORWARD_IN_MULTI) != 0;
    line->disturbed = line->disturbed || (line->flags & HL_FORWARD_STATEFUL) != 0;
    unbind(node, line);
    pass_on(node, line);
    if (!line->aborted) {
        send_waiting(node, line);
        return;
    }
    while (!hl_list_empty(&line->waiting)) {
        struct hl_forwarded *oldest = HL_LIST_ENTRY(line->waiting.next, struct hl_forwarded, list);
        if (!answer_aborted(node, line, oldest->argv[0])) {
            send_waiting(node, line);
            return;
        }
        drop_request(line, oldest);
    }
}

static void take_reply(struct hl_node *node, struct hl_line *line,
                       const struct hl_forward_reply *reply)
{
    struct hl_session *session = line->session;
    if (reply->offset != line->offset) {
        give_up(node, line, "a part of the leader's replies was lost");
        return;
    }
    line->offset += reply->bytes.len;
    line->flags = reply->flags;
    if ((session->flags & HL_SESSION_REPLY_OFF) == 0) {
        hl_buf_append_slice(&session->out, reply->bytes);
    }
    while (!hl_list_empty(&line->waiting)) {
        struct hl_forwarded *oldest = HL_LIST_ENTRY(line->waiting.next, struct hl_forwarded, list);
        if (oldest->seq == 0 || oldest->seq > reply->seq) {
            break;
        }
        drop_request(line, oldest);
    }
    hl_forward_set_once(session, reply->once);
    if (reply->index > session->last_gate) {
        session->last_gate = reply->index;
    }
    if (reply->db < node->ks.db_count) {
        session->db = reply->db;
    }
    hl_session_gate(node, session, 0);
    hl_session_tell_output(node, session);
    if ((reply->flags & HL_FORWARD_CLOSE) != 0) {
        hl_session_close(node, session, true);
        return;
    }
    if (line->sent_count == 0 && line->leader != leader_of(node)) {
        move(node, line);
    }
    if ((session->flags & HL_SESSION_POSTPONED) != 0) {
        hl_session_tell_resume(node, session);
    }
}

static void take_refusal(struct hl_node *node, struct hl_line *line, uint64_t from_seq)
{
    node->forwarding->stats.refused++;
    HL_LIST_EACH(it, &line->waiting)
    {
        struct hl_forwarded *request = HL_LIST_ENTRY(it, struct hl_forwarded, list);
        if (request->seq >= from_seq) {
            request->seq = 0;
            line->sent_count--;
            line->disturbed = line->disturbed || request->disturbed;
            request->disturbed = false;
        }
    }
    if (line->sent_count == 0) {
        line->held = true; /* who refuses may not know yet that it leads, or we that it does not */
        move(node, line);
    }
}

void hl_forward_on_reply(struct hl_node *node, hl_peer from, struct hl_slice body)
{
    struct hl_forward_reply reply;
    if (!hl_forward_reply_decode(body, &reply)) {
        hl_node_log(node, 3, "a malformed answer to a forwarded request is ignored");
        return;
    }
    struct hl_line *line = node->forwarding->lines[HL_FORWARD_SLOT(reply.handle)];
    if (line == NULL || line->handle != reply.handle || line->leader != from) {
        return; /* of a line that has ended */
    }
    switch (reply.kind) {
    case HL_FORWARD_REPLY:
        take_reply(node, line, &reply);
        break;
    case HL_FORWARD_REFUSED:
        take_refusal(node, line, reply.seq);
        break;
    case HL_FORWARD_GONE:
        give_up(node, line, "the leader lost the connection's state");
        break;
    }
}

/* --- leaders come and go ---------------------------------------------------------------------- */

void hl_forward_leader_changed(struct hl_node *node)
{
    hl_peer leader = leader_of(node);
    HL_LIST_EACH(it, &node->forwarding->all_lines)
    {
        struct hl_line *line = HL_LIST_ENTRY(it, struct hl_line, all);
        pass_on(node, line);
        line->held = false;
        bool orphaned = line->leader != 0 && line->leader != leader;
        line->orphaned_ms = orphaned && line->sent_count != 0 ? node->now_ms : 0;
        if (HL_MUTANT(RESENT) && orphaned) {
            take_refusal(node, line, 1);
        } else if (orphaned && line->sent_count == 0 && leader != 0) {
            move(node, line);
        } else {
            send_waiting(node, line);
        }
    }
}

/* No connection to the leader, in one direction or both. */
static void line_peer_lost(struct hl_node *node, struct hl_line *line)
{
    if (line->sent_count != 0) {
        give_up(node, line, "the connection to the leader broke");
        return;
    }
    line->held = true;
    move(node, line);
}

void hl_forward_lines_peer_lost(struct hl_node *node, hl_peer peer)
{
    HL_LIST_EACH(it, &node->forwarding->all_lines)
    {
        struct hl_line *line = HL_LIST_ENTRY(it, struct hl_line, all);
        if (line->leader == peer) {
            line_peer_lost(node, line);
        }
    }
}

/* Definite: they were never sent, or refused. */
static void refuse_leaderless(struct hl_node *node, struct hl_line *line)
{
    while (!hl_list_empty(&line->waiting)) {
        struct hl_forwarded *oldest = HL_LIST_ENTRY(line->waiting.next, struct hl_forwarded, list);
        if (oldest->seq != 0 || node->now_ms - oldest->since_ms < HL_FORWARD_LEADERLESS_MS) {
            break;
        }
        if ((line->flags & HL_FORWARD_IN_MULTI) != 0) {
            line->aborted = true; /* EXEC must not run without it, wherever the guest is */
            unbind(node, line);
        }
        if (!answer_aborted(node, line, oldest->argv[0])) {
            answer(node, line,
                   "NOQUORUM no leader can be reached; the command was not executed, try again");
        }
        drop_request(line, oldest);
    }
    if (line->waiting_count == 0 && (line->session->flags & HL_SESSION_POSTPONED) != 0) {
        hl_session_tell_resume(node, line->session);
    }
}

void hl_forward_cron(struct hl_node *node)
{
    hl_forward_retry(node);
    HL_LIST_EACH(it, &node->forwarding->busy_lines)
    {
        struct hl_line *line = HL_LIST_ENTRY(it, struct hl_line, busy);
        HL_ASSERT(line->waiting_count > 0);
        line->held = false;
        send_waiting(node, line);
        refuse_leaderless(node, line);
        if (line->orphaned_ms != 0 && line->sent_count != 0 &&
            node->now_ms - line->orphaned_ms > HL_FORWARD_UNKNOWN_MS) {
            give_up(node, line, "its leader lost its office and did not say");
        }
    }
}
