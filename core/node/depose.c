/* Those who wait when leadership is lost (PROTOCOL section 6).
 *
 * A reply that only reads is replaced by an error at once: it has no effect, so that is definite. A
 * reply that waits for an entry is parked: when the commit index reaches the entry, the entry's
 * term tells whether it is the one that was executed here.  That an entry was cut off here decides
 * nothing: another node may still have it.  Who waits for too long is disconnected, which promises
 * nothing.
 */
#include "kit/assert.h"
#include "node/barrier.h"
#include "node/forward.h"
#include "node/node_internal.h"
#include "raft/mutant.h"
#include "resp/reader.h"

#define PARK_US 10000000 /* that a parked reply waits */
#define READ_LOST                                                                                  \
    "-NOTLEADER this server does not lead any more; nothing was changed, ask the leader\r\n"
#define WRITE_UNDONE                                                                               \
    "-ROLLEDBACK another leader took over before this was committed; it was not executed\r\n"

/* How many replies a stretch of output holds; pushes are none.  False when that cannot be told. */
static bool count_replies(const char *bytes, size_t len, size_t *count)
{
    struct hl_reader reader;
    hl_reader_init(&reader);
    *count = 0;
    while (reader.pos < len) {
        if (hl_reader_next(&reader, bytes, len) != HL_READ_REPLY) {
            return false;
        }
        *count += bytes[reader.pos - reader.size] != '>';
    }
    return true;
}

static size_t start_of(const struct hl_session *session, uint32_t at)
{
    return at == session->mark_first ? session->open : session->marks[at - 1].end;
}

/* Put as many errors in the place of a mark's replies; false when they cannot be told apart. */
static bool replace(struct hl_session *session, uint32_t at, const char *error)
{
    size_t start = start_of(session, at);
    size_t end = session->marks[at].end;
    size_t count = 0;
    if ((session->flags & HL_SESSION_MONITOR) != 0 ||
        !count_replies(session->out.ptr + start, end - start, &count)) {
        return false;
    }
    struct hl_buf rest = {0};
    hl_buf_append(&rest, session->out.ptr + end, session->out.len - end);
    session->out.len = start;
    for (size_t i = 0; i < count; i++) {
        hl_buf_append_text(&session->out, error);
    }
    size_t now_end = session->out.len;
    hl_buf_append_slice(&session->out, hl_buf_view(&rest));
    hl_buf_fini(&rest);
    for (uint32_t i = at; i < session->mark_count; i++) {
        session->marks[i].end = session->marks[i].end - end + now_end;
    }
    return true;
}

static void set_free(struct hl_gate_mark *mark)
{
    mark->gate = 0;
    mark->read = 0;
    mark->first = 0;
}

/* Reads that nobody confirms any more get their error; it leaves after what is parked before it. */
static void redirect_reads(struct hl_node *node, struct hl_session *session)
{
    for (uint32_t i = session->mark_first; i < session->mark_count; i++) {
        struct hl_gate_mark *mark = &session->marks[i];
        bool waits = mark->gate > node->commit || mark->read > node->cluster.read_done;
        bool undone = HL_MUTANT(FALSE_UNDONE);
        if (!waits || (mark->first != 0 && !undone) || HL_MUTANT(READS_STAY)) {
            continue;
        }
        if (mark->first == 0 && mark->read == 0) {
            set_free(
                mark); /* it reveals nothing: MULTI, QUEUED; what EXEC does is another mark's */
            continue;
        }
        if (!replace(session, i, mark->first != 0 ? WRITE_UNDONE : READ_LOST)) {
            hl_session_close(node, session, false);
            return;
        }
        set_free(mark);
    }
}

/* What its reads saw and were not told must not hold back what it asks for next. */
static void forget_undone(struct hl_node *node, struct hl_session *session)
{
    hl_index parked = node->commit;
    for (uint32_t i = session->mark_first; i < session->mark_count; i++) {
        const struct hl_gate_mark *mark = &session->marks[i];
        parked = mark->first != 0 && mark->gate > parked ? mark->gate : parked;
    }
    session->last_gate = session->last_gate < parked ? session->last_gate : parked;
}

static void end_blocked(struct hl_node *node)
{
    HL_LIST_EACH(it, &node->sessions)
    {
        struct hl_session *session = HL_LIST_ENTRY(it, struct hl_session, all);
        if ((session->flags & HL_SESSION_BLOCKED) != 0 && session->blocked.end != NULL) {
            session->blocked.end(node, session, HL_UNBLOCK_ERROR);
        }
    }
}

void hl_replica_depose(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    HL_ASSERT(!node->unit.open);
    bool executed = !c->inherits;
    c->leads = false;
    c->handing = false;
    c->inherits = false;
    c->backlog_count = 0;
    c->watched.index = 0;
    hl_transfers_fini(node);
    node->mingate = 0;
    node->ks.expiry = HL_EXPIRY_HIDE; /* C2 of replica.h */
    c->park_until_us = node->world->mono_us(node->world->ctx) + PARK_US;
    HL_LIST_EACH(it, &node->waiting)
    {
        redirect_reads(node, HL_LIST_ENTRY(it, struct hl_session, waiting));
        forget_undone(node, HL_LIST_ENTRY(it, struct hl_session, waiting));
    }
    hl_forward_deposed(node);
    hl_barrier_deposed(node);
    if (node->blocked_count != 0) {
        end_blocked(node);
    }
    hl_node_log(node, 3, "not leading any more; entries %llu to %llu may or may not stay",
                (unsigned long long)node->commit + 1, (unsigned long long)node->last);
    if (executed && node->hooks.role_changed != NULL) {
        node->hooks.role_changed(node->hooks.ctx, false);
    }
    hl_gate_release(node);
    hl_resume_postponed(node);
}

enum hl_parked hl_parked_fate(struct hl_node *node, struct hl_session *session, uint32_t at)
{
    struct hl_gate_mark *mark = &session->marks[at];
    hl_index first = mark->first == 0 ? mark->gate : mark->first;
    hl_term term = 0;
    if (first > node->commit) {
        return HL_PARKED_WAITS;
    }
    if (mark->first == 0 || HL_MUTANT(PARKED_BLINDLY)) {
        return HL_PARKED_HOLDS;
    }
    if (!hl_replica_term_at(node, first, &term)) {
        return HL_PARKED_UNKNOWN;
    }
    if (term != mark->term) {
        if (!replace(session, at, WRITE_UNDONE)) {
            return HL_PARKED_UNKNOWN;
        }
        set_free(mark);
        forget_undone(node, session);
        return HL_PARKED_UNDONE;
    }
    if (mark->gate > node->commit) {
        return HL_PARKED_WAITS;
    }
    if (!hl_replica_term_at(node, mark->gate, &term)) {
        return HL_PARKED_UNKNOWN;
    }
    return term == mark->term ? HL_PARKED_HOLDS : HL_PARKED_UNKNOWN;
}

void hl_parked_cron(struct hl_node *node)
{
    struct hl_cluster *c = &node->cluster;
    if (c->park_until_us == 0 || node->mark_us < c->park_until_us) {
        return;
    }
    c->park_until_us = 0;
    HL_LIST_EACH(it, &node->waiting)
    {
        struct hl_session *session = HL_LIST_ENTRY(it, struct hl_session, waiting);
        if (!hl_gate_is_own(node, &session->marks[session->mark_first])) {
            hl_session_close(node, session, false);
        }
    }
}
