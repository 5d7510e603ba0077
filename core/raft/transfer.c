/* Handing leadership over: planned (the target catches up first, nothing is rolled back) or at
 * once.
 *
 * A leader that has sent TIMEOUT_NOW never uses its lease again in that term: the message may be
 * delayed, and the election it causes ignores the voters' promise.
 */
#include "kit/assert.h"
#include "raft/internal.h"

#include <stddef.h>

/* The voter with the most entries among those heard of lately, or NULL. */
static struct hl_raft_peer *most_caught_up(struct hl_raft *raft)
{
    struct hl_raft_peer *best = NULL;
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        struct hl_raft_peer *peer = &raft->peers[i];
        if (!peer->voter || peer->barred || raft->now_us - peer->heard_us >= raft->election_us) {
            continue;
        }
        if (best == NULL || peer->match > best->match) {
            best = peer;
        }
    }
    return best;
}

hl_err hl_raft_on_transfer(struct hl_raft *raft, hl_peer to)
{
    if (!hl_raft_may_propose(raft)) {
        return HL_EBUSY;
    }
    struct hl_raft_peer *peer = to == 0 ? most_caught_up(raft) : hl_raft_find_peer(raft, to);
    if (peer == NULL || !peer->voter || peer->barred) {
        return HL_EINVAL;
    }
    raft->transfer_to = peer->id;
    raft->transfer_told = false;
    raft->transfer_until_us = raft->now_us + raft->election_us;
    raft->flush_due = true;
    hl_raft_transfer_go(raft);
    return HL_OK;
}

static void tell(struct hl_raft *raft, hl_peer to)
{
    raft->lease_given_up = true;
    (void)hl_raft_send(raft, HL_RAFT_TIMEOUT_NOW, to);
}

void hl_raft_transfer_go(struct hl_raft *raft)
{
    HL_ASSERT(raft->role == HL_RAFT_LEADER);
    if (raft->transfer_to == 0 || raft->transfer_told) {
        return;
    }
    const struct hl_raft_peer *peer = hl_raft_find_peer(raft, raft->transfer_to);
    HL_ASSERT(peer != NULL);
    if (raft->commit == raft->log.last && peer->match == raft->log.last) {
        raft->transfer_told = true;
        tell(raft, peer->id);
    }
}

void hl_raft_transfer_again(struct hl_raft *raft)
{
    raft->transfer_told = false;
    hl_raft_transfer_go(raft);
}

void hl_raft_transfer_tick(struct hl_raft *raft)
{
    if (raft->transfer_to == 0) {
        return;
    }
    if (raft->now_us >= raft->transfer_until_us) {
        raft->transfer_to = 0;
        raft->ready->transfer_failed = true;
    }
}

void hl_raft_hand_over(struct hl_raft *raft)
{
    HL_ASSERT(raft->role == HL_RAFT_LEADER);
    const struct hl_raft_peer *peer = most_caught_up(raft);
    if (peer != NULL && peer->match >= raft->commit) {
        tell(raft, peer->id);
    }
    hl_raft_become_follower(raft, raft->term, 0);
}
