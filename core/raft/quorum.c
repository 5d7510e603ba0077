/* Counting: what a majority of the voters in force holds, has acknowledged, or was heard of.
 *
 * A barred voter counts like any other: it says what its disk holds now and which term it is in.
 * What it promised before its start may be lost (PROTOCOL 1), which is why its vote is not like
 * others, and why nothing is left of its match when it says for the first time that it is barred.
 */
#include "kit/assert.h"
#include "raft/internal.h"

#define LEASE_MARGIN_US 1000 /* what a clock may be read late */
#define MILLION 1000000u

/* The value that a majority has reached: the (majority - 1)-th of the descending values, which
 * floor(n/2) + 1 of them have. */
static uint64_t majority_value(const uint64_t *values, uint32_t count)
{
    HL_ASSERT(count >= 1);
    HL_ASSERT(count <= HL_RAFT_VOTERS_MAX);
    uint64_t sorted[HL_RAFT_VOTERS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = i;
        while (at > 0 && sorted[at - 1] < values[i]) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = values[i];
    }
    return sorted[count / 2];
}

hl_index hl_raft_quorum_match(const hl_index *match, uint32_t count)
{
    return majority_value(match, count);
}

enum quantity { MATCH, ROUND, HEARD };

static uint64_t of_self(const struct hl_raft *raft, enum quantity quantity)
{
    switch (quantity) {
    case MATCH:
        return HL_MUTANT(EARLY_ACK) ? raft->log.last : raft->durable;
    case ROUND:
        return raft->round;
    case HEARD:
        return raft->now_us;
    }
    return 0;
}

static uint64_t of_peer(const struct hl_raft_peer *peer, enum quantity quantity)
{
    switch (quantity) {
    case MATCH:
        return peer->match;
    case ROUND:
        return peer->round;
    case HEARD:
        return peer->heard_us;
    }
    return 0;
}

static uint64_t of_majority(const struct hl_raft *raft, enum quantity quantity)
{
    HL_ASSERT(raft->role == HL_RAFT_LEADER);
    uint64_t values[HL_RAFT_VOTERS_MAX];
    uint32_t count = 0;
    if (hl_raft_has_voter(raft, raft->self)) {
        values[count++] = of_self(raft, quantity);
    }
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        if (raft->peers[i].voter) {
            HL_ASSERT(count < HL_RAFT_VOTERS_MAX);
            values[count++] = of_peer(&raft->peers[i], quantity);
        }
    }
    return majority_value(values, count);
}

void hl_raft_advance_commit(struct hl_raft *raft)
{
    hl_index reached = of_majority(raft, MATCH);
    /* R3: entries of older terms commit only along with one of ours; ours start at the no-op. */
    bool ours = reached >= raft->noop || HL_MUTANT(PREVIOUS_TERM);
    if (reached <= raft->commit || !ours) {
        return;
    }
    raft->commit = reached;
    raft->flush_due = raft->flush_due || raft->peer_count != 0;
    hl_raft_release_reads(raft);
    hl_index config_index;
    (void)hl_raft_config(raft, &config_index);
    if (raft->commit >= config_index && !hl_raft_has_voter(raft, raft->self)) {
        hl_raft_hand_over(raft); /* it led until the entry that removes it was committed */
        return;
    }
    hl_raft_transfer_go(raft);
}

bool hl_raft_has_quorum_contact(const struct hl_raft *raft)
{
    return raft->now_us - of_majority(raft, HEARD) < raft->election_us;
}

void hl_raft_start_round(struct hl_raft *raft)
{
    HL_ASSERT(raft->role == HL_RAFT_LEADER);
    raft->round++;
    raft->round_start_us[raft->round % HL_ARRAY_LEN(raft->round_start_us)] = raft->now_us;
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        raft->peers[i].sending_due = true;
        raft->flush_due = true;
    }
}

uint64_t hl_raft_quorum_round(const struct hl_raft *raft)
{
    return of_majority(raft, ROUND);
}

bool hl_raft_lease_valid(const struct hl_raft *raft, uint64_t now_us)
{
    if (raft->role != HL_RAFT_LEADER || !raft->lease || raft->lease_given_up) {
        return false;
    }
    if (hl_raft_is_sole_voter(raft)) {
        return true;
    }
    uint64_t round = hl_raft_quorum_round(raft);
    if (round == 0 || raft->round - round >= HL_ARRAY_LEN(raft->round_start_us)) {
        return false;
    }
    uint64_t sent_us = raft->round_start_us[round % HL_ARRAY_LEN(raft->round_start_us)];
    /* A voter's clock may run fast and ours slow: what it promised is shorter for us. */
    uint64_t drift = raft->drift_ppm < MILLION ? raft->drift_ppm : MILLION;
    uint64_t length_us = raft->election_us * (MILLION - drift) / (MILLION + drift);
    if (HL_MUTANT(LONG_LEASE)) {
        length_us *= 4;
    }
    return now_us + LEASE_MARGIN_US < sent_us + length_us;
}
