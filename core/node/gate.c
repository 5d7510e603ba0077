/* The gate: which bytes may leave, and when (PROTOCOL section 3).
 *
 * A session's output is one buffer; marks say up to where it needs which entry committed.  Marks
 * are few: replies of one loop iteration share a batch, so the last mark is extended by its
 * successors.
 */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/node_internal.h"

#define MARKS_FIRST 4

static void push_mark(struct hl_session *session, size_t end, uint64_t gate)
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
    session->marks[session->mark_count++] = (struct hl_gate_mark){.end = end, .gate = gate};
}

void hl_session_gate(struct hl_node *node, struct hl_session *session, uint64_t gate)
{
    bool waiting = session->mark_count > session->mark_first;
    if (gate <= node->commit && !waiting) {
        session->open = session->out.len;
        return;
    }
    if (!waiting) {
        push_mark(session, session->out.len, gate);
        session->mark_batch = node->iteration;
        hl_list_append(&node->waiting, &session->waiting);
        return;
    }
    struct hl_gate_mark *last = &session->marks[session->mark_count - 1];
    if (gate < last->gate) {
        gate = last->gate; /* S3: what comes later leaves later */
    }
    if (gate == last->gate || session->mark_batch == node->iteration) {
        last->end = session->out.len;
        last->gate = gate;
        return;
    }
    push_mark(session, session->out.len, gate);
    session->mark_batch = node->iteration;
}

/* Open what the commit index has reached; true when something new may leave. */
static bool release(struct hl_node *node, struct hl_session *session)
{
    bool opened = false;
    while (session->mark_first < session->mark_count) {
        struct hl_gate_mark *mark = &session->marks[session->mark_first];
        if (mark->gate > node->commit) {
            return opened;
        }
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
            node->world->output(node->world->ctx, session);
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
