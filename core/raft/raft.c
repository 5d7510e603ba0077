#include "raft/raft.h"

#include "kit/assert.h"

#include <string.h>

void hl_raft_check(const struct hl_raft *raft)
{
    HL_ASSERT(raft->commit <= raft->durable); /* R1 */
    HL_ASSERT(raft->durable <= raft->last);
    HL_ASSERT(raft->voter_count >= 1);
    HL_ASSERT(raft->voter_count <= HL_RAFT_VOTERS_MAX);
    HL_ASSERT(raft->role != HL_RAFT_LEADER || raft->noop != 0); /* R4 */
}

static uint32_t self_position(const struct hl_raft *raft)
{
    for (uint32_t i = 0; i < raft->voter_count; i++) {
        if (raft->voters[i] == raft->self) {
            return i;
        }
    }
    HL_ASSERT(!"this server is among the voters");
    return 0;
}

void hl_raft_init(struct hl_raft *raft, const struct hl_raft_start *start)
{
    HL_ASSERT(start->voter_count >= 1);
    HL_ASSERT(start->voter_count <= HL_RAFT_VOTERS_MAX);
    HL_ASSERT(start->commit <= start->last);
    *raft = (struct hl_raft){
        .self = start->self,
        .voter_count = start->voter_count,
        .role = HL_RAFT_FOLLOWER,
        .term = start->term,
        .vote = start->vote,
        .last = start->last,
        .durable = start->last,
        .commit = start->commit,
    };
    memcpy(raft->voters, start->voters, start->voter_count * sizeof *start->voters);
    raft->match[self_position(raft)] = raft->durable;
    hl_raft_check(raft);
}

hl_index hl_raft_quorum_match(const hl_index *match, uint32_t count)
{
    HL_ASSERT(count >= 1);
    HL_ASSERT(count <= HL_RAFT_VOTERS_MAX);
    hl_index sorted[HL_RAFT_VOTERS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = i;
        while (at > 0 && sorted[at - 1] < match[i]) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = match[i];
    }
    /* Descending: the (majority - 1)-th value is held by a majority, floor(n/2) + 1 of them. */
    return sorted[count / 2];
}

static void advance_commit(struct hl_raft *raft)
{
    hl_index reached = hl_raft_quorum_match(raft->match, raft->voter_count);
    /* R3: entries of older terms commit only along with one of ours; ours start at the no-op. */
    if (reached > raft->commit && reached >= raft->noop) {
        raft->commit = reached;
    }
}

/* Alone in the group, our own vote is a majority. */
static void on_start(struct hl_raft *raft, struct hl_raft_ready *ready)
{
    if (raft->voter_count != 1) {
        return;
    }
    raft->term++;
    raft->vote = raft->self;
    raft->role = HL_RAFT_LEADER;
    raft->last++;
    raft->noop = raft->last;
    ready->save_hard_state = true;
    ready->append_noop = true;
}

static void on_durable(struct hl_raft *raft, hl_index index)
{
    HL_ASSERT(index <= raft->last);
    if (index <= raft->durable) {
        return;
    }
    raft->durable = index;
    raft->match[self_position(raft)] = index;
    if (raft->role == HL_RAFT_LEADER) {
        advance_commit(raft);
    }
}

hl_err hl_raft_step(struct hl_raft *raft, const struct hl_raft_event *event,
                    struct hl_raft_ready *ready)
{
    *ready = (struct hl_raft_ready){0};
    switch (event->type) {
    case HL_RAFT_ON_START:
        on_start(raft, ready);
        break;
    case HL_RAFT_ON_PROPOSE:
        if (raft->role != HL_RAFT_LEADER) {
            return HL_EBUSY;
        }
        raft->last += event->propose.count;
        break;
    case HL_RAFT_ON_DURABLE:
        on_durable(raft, event->durable.index);
        break;
    }
    ready->term = raft->term;
    ready->vote = raft->vote;
    ready->commit = raft->commit;
    hl_raft_check(raft);
    return HL_OK;
}
