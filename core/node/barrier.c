#include "node/barrier.h"

#include "command/args.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/cursor.h"
#include "node/node_internal.h"

enum state { DRAINING, ASKING, COMMITTING };

/* Another member. */
struct asked {
    hl_peer peer;
    bool answered; /* with yes */
    bool skipped;  /* it is down */
    bool busy;     /* it said so last */
    struct hl_buf answer;
    struct hl_errmsg why; /* while busy */
};

struct hl_barrier {
    enum state state;
    uint64_t id; /* of the question */
    struct hl_session *session;
    int argc;
    struct hl_slice *argv; /* owned, in one block */
    struct hl_buf question;
    struct hl_buf own;        /* this node's answer */
    struct hl_errmsg own_why; /* while it is busy */
    uint64_t until_us, again_us;
    hl_index index; /* of the entry */
    uint32_t count;
    struct asked members[HL_MEMBERS_MAX];
    uint32_t answer_count;
    struct hl_slice answers[HL_MEMBERS_MAX];
};

static uint64_t now_us(const struct hl_node *node)
{
    return node->world->mono_us(node->world->ctx);
}

static void clear_members(struct hl_barrier *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        hl_buf_fini(&b->members[i].answer);
    }
    b->count = 0;
}

void hl_barrier_fini(struct hl_node *node)
{
    struct hl_barrier *b = node->barrier;
    if (b == NULL) {
        return;
    }
    clear_members(b);
    hl_buf_fini(&b->question);
    hl_buf_fini(&b->own);
    hl_free(b->argv);
    hl_free(b);
    node->barrier = NULL;
}

/* Others go on. */
static void lift(struct hl_node *node)
{
    hl_barrier_fini(node);
    hl_resume_postponed(node);
}

/* The order is off, and whoever gave it is told why. */
static void fail(struct hl_node *node, const char *error)
{
    struct hl_session *session = node->barrier->session;
    lift(node);
    if (session != NULL) {
        hl_write_error(&session->writer, error);
        hl_session_answered(node, session, 0);
    }
}

/* hl_blocked.end of the session. */
static void on_end(struct hl_node *node, struct hl_session *session, int reason)
{
    HL_ASSERT(node->barrier != NULL && node->barrier->session == session);
    if (reason == HL_UNBLOCK_CLOSED) {
        hl_session_unblock(node, session);
        node->barrier->session = NULL;
        lift(node); /* nobody wants it any more */
        return;
    }
    fail(node, "NOTLEADER this server leads no more; nothing was changed, try again");
}

void hl_barrier_begin(struct hl_call *call, struct hl_slice question)
{
    struct hl_node *node = call->node;
    HL_ASSERT(question.len <= HL_BARRIER_QUESTION_MAX);
    if ((call->flags & (HL_CALL_DENY_BLOCK | HL_CALL_NESTED | HL_CALL_MULTI)) != 0 ||
        (call->session->flags & HL_SESSION_INTERNAL) != 0) {
        hl_reply_error(call, "ERR this command waits for the whole cluster, which is not possible "
                             "here");
        return;
    }
    if (node->barrier != NULL) { /* B1 */
        hl_reply_error(call, "BUSY another order to the modules is being carried out, try again");
        return;
    }
    struct hl_barrier *b = hl_calloc(1, sizeof *b);
    b->session = call->session;
    b->argc = call->argc;
    b->argv = hl_slices_dup(call->argv, (size_t)call->argc);
    hl_buf_append_slice(&b->question, question);
    node->world->entropy(node->world->ctx, &b->id, sizeof b->id);
    b->until_us = now_us(node) + HL_BARRIER_US;
    node->barrier = b;
    struct hl_blocked blocked = {.owner = b, .end = on_end};
    hl_session_block(node, call->session, &blocked);
}

bool hl_barrier_holds(const struct hl_node *node, const struct hl_session *session,
                      const struct hl_command *cmd)
{
    bool queued =
        (session->flags & HL_SESSION_MULTI) != 0 && (cmd->flags & HL_CMD_RUNS_IN_MULTI) == 0;
    return node->barrier != NULL && !queued && (session->flags & HL_SESSION_INTERNAL) == 0 &&
           (hl_reveals(cmd) || (cmd->flags & HL_CMD_LOGGED) != 0);
}

const struct hl_slice *hl_barrier_answers(const struct hl_node *node, uint32_t *count)
{
    HL_ASSERT(node->barrier != NULL);
    *count = node->barrier->answer_count;
    return node->barrier->answers;
}

/* --- asking ----------------------------------------------------------------------------------- */

/* What this node says. */
static enum hl_barrier_word ask_self(struct hl_node *node, struct hl_slice question,
                                     struct hl_buf *answer, struct hl_errmsg *why)
{
    if (node->hooks.asked == NULL) {
        (void)hl_fail(why, HL_EINVAL, "it knows no such order");
        return HL_BARRIER_NO;
    }
    hl_buf_clear(answer);
    hl_err err = node->hooks.asked(node->hooks.ctx, question, answer, why);
    HL_ASSERT(answer->len <= HL_BARRIER_ANSWER_MAX);
    return err == HL_OK ? HL_BARRIER_YES : err == HL_EBUSY ? HL_BARRIER_BUSY : HL_BARRIER_NO;
}

struct said {
    uint64_t id;
    enum hl_barrier_word word;
    struct hl_slice bytes;
};

static void fill_question(struct hl_buf *out, const void *arg)
{
    const struct hl_barrier *b = arg;
    hl_buf_append_le64(out, b->id);
    hl_buf_append_slice(out, hl_buf_view(&b->question));
}

static void fill_answer(struct hl_buf *out, const void *arg)
{
    const struct said *said = arg;
    hl_buf_append_le64(out, said->id);
    hl_buf_append_u8(out, (uint8_t)said->word);
    hl_buf_append_slice(out, said->bytes);
}

static bool is_down(const struct hl_node *node, hl_peer peer)
{
    if (node->world->reaches != NULL &&
        !node->world->reaches(node->world->ctx, peer, HL_PEER_RAFT)) {
        return true;
    }
    struct hl_raft_peer_status status;
    uint64_t election_us = node->config.cluster.election_us;
    election_us = election_us == 0 ? HL_ELECTION_US : election_us;
    return hl_raft_peer_status(&node->raft, peer, &status) &&
           now_us(node) > status.heard_us + HL_BARRIER_SILENT * election_us;
}

static const char *name_of(const struct hl_node *node, hl_peer peer)
{
    const struct hl_member *member = hl_members_find(hl_node_members(node), peer);
    return member == NULL || member->name[0] == '\0' ? "?" : member->name;
}

static void begin_asking(struct hl_node *node)
{
    struct hl_barrier *b = node->barrier;
    const struct hl_members *members = hl_node_members(node);
    b->state = ASKING;
    b->again_us = 0;
    clear_members(b);
    for (uint32_t i = 0; i < members->count; i++) {
        if (members->at[i].id != node->node_id) {
            b->members[b->count++] = (struct asked){.peer = members->at[i].id};
        }
    }
}

/* Ask those that have not said yes. */
static void ask(struct hl_node *node)
{
    struct hl_barrier *b = node->barrier;
    b->again_us = now_us(node) + HL_BARRIER_AGAIN_US;
    for (uint32_t i = 0; i < b->count; i++) {
        struct asked *m = &b->members[i];
        m->skipped = !m->answered && is_down(node, m->peer);
        if (!m->answered && !m->skipped) {
            hl_replica_send(node, m->peer, HL_PEER_RAFT, HL_FRAME_QUESTION, fill_question, b);
        }
    }
}

/* Everybody who is there has said yes, and they are a majority. */
static bool is_agreed(struct hl_node *node)
{
    struct hl_barrier *b = node->barrier;
    const struct hl_members *members = hl_node_members(node);
    const struct hl_member *self = hl_members_find(members, node->node_id);
    uint32_t voters = self == NULL || self->voter; /* without a log there are no members */
    for (uint32_t i = 0; i < b->count; i++) {
        const struct hl_member *m = hl_members_find(members, b->members[i].peer);
        if (!b->members[i].answered && !b->members[i].skipped && m != NULL) {
            return false;
        }
        voters += b->members[i].answered && m != NULL && m->voter;
    }
    return 2 * voters > hl_members_voters(members);
}

/* Nobody is waited for any longer. */
static void give_up(struct hl_node *node)
{
    struct hl_barrier *b = node->barrier;
    struct hl_errmsg error = {{0}};
    (void)hl_fail(&error, HL_EBUSY,
                  "ERR what was executed before is not committed in time; nothing was changed, try "
                  "again");
    if (b->own_why.text[0] != '\0') {
        (void)hl_fail(&error, HL_EBUSY, "ERR %.300s", b->own_why.text);
    }
    for (uint32_t i = 0; b->state == ASKING && i < b->count; i++) {
        const struct asked *m = &b->members[i];
        if (m->answered) {
            continue;
        }
        const char *name = name_of(node, m->peer);
        if (m->busy) {
            (void)hl_fail(&error, HL_EBUSY, "ERR node %s: %.200s", name, m->why.text);
        } else {
            (void)hl_fail(&error, HL_EBUSY,
                          "ERR node %s did not answer in %d seconds; nothing was changed: start or "
                          "repair it, or remove it with RAFT.REMOVE",
                          name, HL_BARRIER_US / 1000000);
        }
        break;
    }
    fail(node, error.text);
}

void hl_barrier_on_frame(struct hl_node *node, const struct hl_wire_frame *frame)
{
    struct hl_cursor in = hl_cursor_over(frame->body);
    struct said said = {.id = hl_cursor_u64(&in)};
    if (frame->type == HL_FRAME_QUESTION) {
        struct hl_slice question = hl_cursor_bytes(&in, in.left);
        struct hl_buf answer = {0};
        struct hl_errmsg why = {{0}};
        if (!in.ok || question.len > HL_BARRIER_QUESTION_MAX) {
            return;
        }
        said.word = ask_self(node, question, &answer, &why);
        said.bytes = said.word == HL_BARRIER_YES ? hl_buf_view(&answer) : hl_slice_of(why.text);
        hl_replica_send(node, frame->from, HL_PEER_RAFT, HL_FRAME_ANSWER, fill_answer, &said);
        hl_buf_fini(&answer);
        return;
    }
    struct hl_barrier *b = node->barrier;
    uint8_t word = hl_cursor_u8(&in);
    said.bytes = hl_cursor_bytes(&in, in.left);
    if (!in.ok || b == NULL || b->state != ASKING || said.id != b->id || word < HL_BARRIER_YES ||
        word > HL_BARRIER_BUSY || said.bytes.len > sizeof((struct hl_errmsg *)0)->text) {
        return;
    }
    for (uint32_t i = 0; i < b->count; i++) {
        struct asked *m = &b->members[i];
        if (m->peer != frame->from || m->answered) {
            continue;
        }
        if (word == HL_BARRIER_NO) {
            struct hl_errmsg error = {{0}};
            (void)hl_fail(&error, HL_EINVAL, "ERR node %s: %.*s; nothing was changed",
                          name_of(node, m->peer), (int)said.bytes.len, said.bytes.ptr);
            fail(node, error.text);
            return;
        }
        m->busy = word == HL_BARRIER_BUSY;
        m->answered = word == HL_BARRIER_YES && said.bytes.len <= HL_BARRIER_ANSWER_MAX;
        if (m->answered) {
            hl_buf_append_slice(&m->answer, said.bytes);
        } else {
            (void)hl_fail(&m->why, HL_EBUSY, "%.*s", (int)said.bytes.len, said.bytes.ptr);
        }
        return;
    }
}

/* --- running ---------------------------------------------------------------------------------- */

static void tell_skipped(struct hl_node *node)
{
    const struct hl_barrier *b = node->barrier;
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->members[i].skipped) {
            hl_node_log(
                node, 3,
                "%.*s %.*s: node %s is down and was not asked; if it cannot do this when it "
                "comes back, it stops there",
                (int)b->argv[0].len, b->argv[0].ptr, b->argc > 1 ? (int)b->argv[1].len : 0,
                b->argc > 1 ? b->argv[1].ptr : "", name_of(node, b->members[i].peer));
        }
    }
}

static void run(struct hl_node *node)
{
    struct hl_barrier *b = node->barrier;
    struct hl_session *session = b->session;
    struct hl_command *cmd = hl_command_of(node->commands, b->argv, b->argc);
    HL_ASSERT(session != NULL && cmd != NULL); /* core commands stay */
    b->answers[b->answer_count++] = hl_buf_view(&b->own);
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->members[i].answered) {
            b->answers[b->answer_count++] = hl_buf_view(&b->members[i].answer);
        }
    }
    tell_skipped(node);
    struct hl_session *outer = node->current;
    node->current = session;
    session->flags |= HL_SESSION_EXECUTING;
    hl_unit_begin(node);
    (void)hl_node_call(node, session, cmd, b->argc, b->argv, &session->writer, HL_CALL_BARRIER);
    uint64_t gate = hl_unit_end(node);
    node->current = outer;
    session->flags &= ~HL_SESSION_EXECUTING;
    bool made = node->unit.made;
    session->last_gate = gate;
    b->state = COMMITTING;
    b->session = NULL;
    b->index = made ? gate : 0;
    b->until_us = now_us(node) + HL_BARRIER_US;
    struct hl_gate_mark need = {.gate = gate, .first = made ? gate : 0};
    hl_session_hold(node, session, &need);
    hl_session_tell_output(node, session);
    hl_session_unblock(node, session);
}

/* This node's own answer; false when it is busy, or the order is off. */
static bool this_node_agrees(struct hl_node *node)
{
    struct hl_barrier *b = node->barrier;
    b->own_why = (struct hl_errmsg){{0}};
    enum hl_barrier_word word = ask_self(node, hl_buf_view(&b->question), &b->own, &b->own_why);
    switch (word) {
    case HL_BARRIER_YES:
        return true;
    case HL_BARRIER_BUSY:
        b->again_us = now_us(node) + HL_BARRIER_AGAIN_US;
        return false;
    case HL_BARRIER_NO:
        break;
    }
    struct hl_errmsg error = {{0}};
    (void)hl_fail(&error, HL_EINVAL, "ERR %.300s", b->own_why.text);
    fail(node, error.text);
    return false;
}

void hl_barrier_look(struct hl_node *node)
{
    struct hl_barrier *b = node->barrier;
    if (b == NULL) {
        return;
    }
    uint64_t now = now_us(node);
    if (b->state == COMMITTING) {
        if (b->index <= node->commit || now >= b->until_us) {
            lift(node);
        }
        return;
    }
    if (node->wal != NULL && !node->cluster.leads) {
        fail(node, "NOTLEADER this server leads no more; nothing was changed, try again");
        return;
    }
    if (now >= b->until_us) {
        give_up(node);
        return;
    }
    if (node->commit < node->last) {
        return;
    }
    if (b->state == DRAINING) {
        if (now < b->again_us || !this_node_agrees(node)) {
            return;
        }
        begin_asking(node);
    }
    if (now >= b->again_us) {
        ask(node);
    }
    /* While others were asked this node may have become busy again. */
    if (is_agreed(node) && (b->count == 0 || this_node_agrees(node))) {
        run(node); /* B2 */
    }
}

uint64_t hl_barrier_wake_us(const struct hl_node *node)
{
    const struct hl_barrier *b = node->barrier;
    if (b == NULL) {
        return UINT64_MAX;
    }
    bool waits = b->state == COMMITTING || node->commit < node->last;
    return waits || b->again_us > b->until_us ? b->until_us : b->again_us;
}

void hl_barrier_deposed(struct hl_node *node)
{
    if (node->barrier != NULL && node->barrier->state == COMMITTING) {
        lift(node);
    } else if (node->barrier != NULL) {
        fail(node, "NOTLEADER this server leads no more; nothing was changed, try again");
    }
}
