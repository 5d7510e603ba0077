/* The gate: which bytes may leave, and when (PROTOCOL section 3).
 *
 * A session's output is one buffer; marks say up to where it needs which entry committed.  Marks
 * are few: replies of one loop iteration share a batch, so the last mark is extended by its
 * successors.
 */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/node_internal.h"
#include "raft/mutant.h"

#define MARKS_FIRST 4

bool hl_gate_is_own(const struct hl_node *node, const struct hl_gate_mark *mark)
{
    const struct hl_cluster *c = &node->cluster;
    return (c->leads || c->handing) && mark->term == c->term;
}

static void push_mark(struct hl_session *session, const struct hl_gate_mark *mark)
{
    if (session->mark_count == session->mark_cap) {
        uint32_t live = session->mark_count - session->mark_first;
        if (session->mark_first > 0) {
            memmove(session->marks, session->marks + session->mark_first,
                    live * sizeof *session->marks);
        } else {
            session->mark_cap = session->mark_cap == 0 ? MARKS_FIRST : session->mark_cap * 2;
            session->marks = hl_realloc(session->marks, session->mark_cap * sizeof *session->marks);
        }
        session->mark_first = 0;
        session->mark_count = live;
    }
    session->marks[session->mark_count++] = *mark;
}

/* The last mark takes in what follows: one mark for a loop iteration. */
static bool extend(struct hl_node *node, struct hl_session *session,
                   const struct hl_gate_mark *need)
{
    struct hl_gate_mark *last = &session->marks[session->mark_count - 1];
    if (!hl_gate_is_own(node, last)) {
        return false; /* an earlier term's: it has its own fate */
    }
    uint64_t gate = need->gate > last->gate ? need->gate : last->gate; /* S3 */
    uint64_t read = need->read > last->read ? need->read : last->read;
    bool same = gate == last->gate && read == last->read && need->first == 0;
    if (!same && session->mark_batch != node->iteration) {
        return false;
    }
    last->end = session->out.len;
    last->gate = gate;
    last->read = read;
    last->first = last->first == 0 ? need->first : last->first;
    return true;
}

void hl_session_hold(struct hl_node *node, struct hl_session *session,
                     const struct hl_gate_mark *need)
{
    bool waiting = session->mark_count > session->mark_first;
    bool free = need->gate <= node->commit && need->read <= node->cluster.read_done;
    if (!waiting && (free || HL_MUTANT(EARLY_REPLY))) {
        session->open = session->out.len;
        return;
    }
    if (waiting && extend(node, session, need)) {
        return;
    }
    struct hl_gate_mark mark = *need;
    if (waiting) {
        const struct hl_gate_mark *last = &session->marks[session->mark_count - 1];
        bool own = hl_gate_is_own(node, last);
        mark.gate = own && mark.gate < last->gate ? last->gate : mark.gate; /* S3 */
    } else {
        hl_list_append(&node->waiting, &session->waiting);
    }
    mark.end = session->out.len;
    mark.term = node->cluster.term;
    push_mark(session, &mark);
    session->mark_batch = node->iteration;
}

void hl_session_gate(struct hl_node *node, struct hl_session *session, uint64_t gate)
{
    struct hl_gate_mark need = {.gate = gate};
    if (gate != 0) {
        need.first = gate > node->commit ? gate : 0;
        need.read = hl_replica_read(node);
    }
    hl_session_hold(node, session, &need);
}

/* May what the first mark holds back leave?  False as well when that will never be known. */
static bool may_leave(struct hl_node *node, struct hl_session *session)
{
    const struct hl_gate_mark *mark = &session->marks[session->mark_first];
    if (hl_gate_is_own(node, mark) || node->wal == NULL) {
        return mark->gate <= node->commit && mark->read <= node->cluster.read_done;
    }
    if (mark->gate == 0 && mark->read == 0) {
        return true;
    }
    switch (hl_parked_fate(node, session, session->mark_first)) {
    case HL_PARKED_WAITS:
        return false;
    case HL_PARKED_HOLDS:
    case HL_PARKED_UNDONE:
        return true;
    case HL_PARKED_UNKNOWN:
        break;
    }
    if ((session->flags & HL_SESSION_CLOSE_NOW) == 0) {
        hl_session_close(node, session, false);
    }
    return false;
}

/* Open what the commit index has reached; true when something new may leave. */
static bool release(struct hl_node *node, struct hl_session *session)
{
    bool opened = false;
    while (session->mark_first < session->mark_count) {
        if (!may_leave(node, session)) {
            return opened;
        }
        struct hl_gate_mark *mark = &session->marks[session->mark_first];
        HL_ASSERT(mark->end >= session->open); /* S3 */
        session->open = mark->end;
        session->mark_first++;
        opened = true;
    }
    session->mark_first = 0;
    session->mark_count = 0;
    hl_list_remove(&session->waiting);
    return opened;
}

void hl_gate_release(struct hl_node *node)
{
    HL_LIST_EACH(it, &node->waiting)
    {
        struct hl_session *session = HL_LIST_ENTRY(it, struct hl_session, waiting);
        if (release(node, session)) {
            hl_session_tell_output(node, session);
        }
    }
}

struct hl_slice hl_session_output(const struct hl_session *session)
{
    return (struct hl_slice){.ptr =
                                 session->out.ptr != NULL ? session->out.ptr + session->left : NULL,
                             .len = session->open - session->left};
}

/* Give the room of what has left back, when that costs no more than it saves: a client that takes
 * much output in small pieces must not move the rest each time. */
static void drop_left(struct hl_session *session)
{
    size_t len = session->left;
    if (len <= session->out.len / 2) {
        return;
    }
    hl_buf_consume(&session->out, len);
    session->open -= len;
    session->left = 0;
    for (uint32_t i = session->mark_first; i < session->mark_count; i++) {
        session->marks[i].end -= len;
    }
}

void hl_session_taken(struct hl_session *session, size_t len)
{
    HL_ASSERT(len <= session->open - session->left); /* S1 */
    session->left += len;
    drop_left(session);
}

/* After a flush every name has changed: each waits for the entry of the running unit. */
void hl_gate_everything(struct hl_node *node)
{
    for (size_t i = 0; i < HL_GATE_SLOTS; i++) {
        node->ks.gate[i] = node->ks.gate_index;
    }
}
