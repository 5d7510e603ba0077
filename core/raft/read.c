/* Reads: proof of leadership after they arrived (PROTOCOL 4), and the leader's commit index for the
 * reads of followers (PROTOCOL 5).
 *
 * All reads of an iteration share one round of heartbeats; when a majority has acknowledged it, no
 * newer leader can have committed anything before the round began.  Until the term's no-op is
 * committed the commit index may lag behind the truth, and reads wait for it: what they are told is
 * always an index that is committed, so it cannot be truncated under them.
 */
#include "kit/assert.h"
#include "raft/internal.h"

#include <stddef.h>

static bool knows_commit(const struct hl_raft *raft)
{
    return raft->commit >= raft->noop;
}

/* No round needed: nobody else can be elected now. */
static bool is_proven(const struct hl_raft *raft)
{
    return hl_raft_is_sole_voter(raft) || hl_raft_lease_valid(raft, raft->now_us) ||
           HL_MUTANT(UNPROVEN_READ);
}

static void confirm_local(struct hl_raft *raft, uint64_t id, hl_index index)
{
    if (id > raft->ready->read_id) {
        raft->ready->read_id = id;
    }
    if (index > raft->ready->read_index) {
        raft->ready->read_index = index;
    }
    if (id > raft->read_done) {
        raft->read_done = id;
    }
}

static void answer(struct hl_raft *raft, hl_peer to, uint64_t read_id, uint64_t nonce,
                   hl_index index)
{
    struct hl_raft_msg *reply = hl_raft_send(raft, HL_RAFT_READ_REPLY, to);
    reply->read_id = read_id;
    reply->round = nonce;
    reply->read_index = index;
    reply->reject = index == 0;
}

/* ---- On a leader ---- */

/* Move what waits into `round`, which the caller numbers or confirms at once. */
static void gather(struct hl_raft *raft, struct hl_raft_read_round *round)
{
    *round =
        (struct hl_raft_read_round){.read_index = raft->commit, .local_id = raft->read_waiting};
    raft->read_waiting = 0;
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        struct hl_raft_peer *peer = &raft->peers[i];
        if (peer->read_id == 0) {
            continue;
        }
        round->askers[round->asker_count].peer = peer->id;
        round->askers[round->asker_count].read_id = peer->read_id;
        round->askers[round->asker_count].nonce = peer->read_nonce;
        round->asker_count++;
        peer->read_id = 0;
    }
}

static void confirm_round(struct hl_raft *raft, const struct hl_raft_read_round *round)
{
    if (round->local_id != 0) {
        confirm_local(raft, round->local_id, round->read_index);
    }
    for (uint32_t i = 0; i < round->asker_count; i++) {
        answer(raft, round->askers[i].peer, round->askers[i].read_id, round->askers[i].nonce,
               round->read_index);
    }
}

static bool reads_wait(const struct hl_raft *raft)
{
    if (raft->read_waiting != 0) {
        return true;
    }
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        if (raft->peers[i].read_id != 0) {
            return true;
        }
    }
    return false;
}

void hl_raft_start_reads(struct hl_raft *raft)
{
    HL_ASSERT(raft->role == HL_RAFT_LEADER);
    if (!knows_commit(raft) || !reads_wait(raft)) {
        return;
    }
    struct hl_raft_read_round round;
    if (is_proven(raft)) {
        gather(raft, &round);
        confirm_round(raft, &round);
        return;
    }
    if (raft->read_count == HL_RAFT_ROUNDS) {
        return; /* they share the round that starts when the oldest is confirmed */
    }
    gather(raft, &round);
    hl_raft_start_round(raft);
    round.round = raft->round;
    raft->reads[(raft->read_first + raft->read_count) % HL_RAFT_ROUNDS] = round;
    raft->read_count++;
}

/* Several rounds are confirmed at once: each asker gets one answer, to its newest question. */
static void merge(struct hl_raft_read_round *all, const struct hl_raft_read_round *round)
{
    all->read_index = round->read_index;
    if (round->local_id > all->local_id) {
        all->local_id = round->local_id;
    }
    for (uint32_t i = 0; i < round->asker_count; i++) {
        uint32_t at = 0;
        while (at < all->asker_count && all->askers[at].peer != round->askers[i].peer) {
            at++;
        }
        if (at == HL_RAFT_MEMBERS_MAX) {
            continue; /* some have left meanwhile; it will ask again */
        }
        all->askers[at] = round->askers[i];
        all->asker_count = at == all->asker_count ? at + 1 : all->asker_count;
    }
}

void hl_raft_release_reads(struct hl_raft *raft)
{
    raft->flush_due = raft->flush_due || (knows_commit(raft) && reads_wait(raft));
}

void hl_raft_confirm_reads(struct hl_raft *raft)
{
    HL_ASSERT(raft->role == HL_RAFT_LEADER);
    if (raft->read_count == 0) {
        return;
    }
    uint64_t acknowledged = hl_raft_quorum_round(raft);
    bool was_full = raft->read_count == HL_RAFT_ROUNDS;
    struct hl_raft_read_round all = {0};
    while (raft->read_count > 0 && raft->reads[raft->read_first].round <= acknowledged) {
        merge(&all, &raft->reads[raft->read_first]);
        raft->read_first = (raft->read_first + 1) % HL_RAFT_ROUNDS;
        raft->read_count--;
    }
    confirm_round(raft, &all);
    if (was_full && raft->read_count < HL_RAFT_ROUNDS && reads_wait(raft)) {
        raft->flush_due = true;
    }
}

void hl_raft_fail_reads(struct hl_raft *raft)
{
    uint64_t newest = raft->read_waiting;
    for (uint32_t i = 0; i < raft->read_count; i++) {
        uint64_t id = raft->reads[(raft->read_first + i) % HL_RAFT_ROUNDS].local_id;
        newest = id > newest ? id : newest;
    }
    raft->read_waiting = 0;
    raft->read_count = 0;
    raft->ready->read_failed = newest;
    if (newest > raft->read_done) {
        raft->read_done = newest; /* the node will not wait for them any more */
    }
}

/* ---- On others ---- */

void hl_raft_ask_reads(struct hl_raft *raft)
{
    if (raft->role == HL_RAFT_LEADER || raft->leader == 0 || raft->read_wanted <= raft->read_done ||
        raft->now_us < raft->read_retry_us) {
        return;
    }
    struct hl_raft_msg *msg = hl_raft_send(raft, HL_RAFT_READ, raft->leader);
    msg->read_id = raft->read_wanted;
    msg->round = raft->read_nonce;
    msg->barred = raft->barred;
    raft->read_retry_us = raft->now_us + raft->heartbeat_us;
}

/* ---- Events and messages ---- */

void hl_raft_on_read(struct hl_raft *raft, uint64_t id)
{
    HL_ASSERT(id > raft->read_wanted);
    raft->read_wanted = id;
    if (raft->role != HL_RAFT_LEADER) {
        raft->read_retry_us = 0;
        raft->flush_due = raft->flush_due || raft->leader != 0;
        return;
    }
    if (knows_commit(raft) && is_proven(raft)) {
        confirm_local(raft, id, raft->commit);
        return;
    }
    raft->read_waiting = id;
    raft->flush_due = raft->flush_due || knows_commit(raft);
}

void hl_raft_on_read_msg(struct hl_raft *raft, const struct hl_raft_msg *msg)
{
    struct hl_raft_peer *peer =
        raft->role == HL_RAFT_LEADER ? hl_raft_find_peer(raft, msg->from) : NULL;
    if (peer == NULL || msg->term != raft->term) {
        answer(raft, msg->from, msg->read_id, msg->round, 0);
        return;
    }
    hl_raft_note_barred(peer, msg);
    /* A barred server's own question has another nonce: the newest asked is answered, and the other
     * is asked again. */
    peer->read_id = msg->read_id;
    peer->read_nonce = msg->round;
    raft->flush_due = raft->flush_due || knows_commit(raft);
}

void hl_raft_on_read_reply(struct hl_raft *raft, const struct hl_raft_msg *msg)
{
    if (msg->reject || raft->role != HL_RAFT_FOLLOWER || msg->from != raft->leader) {
        return; /* it is asked again when the time has come */
    }
    if (msg->round == raft->barred_id) {
        hl_raft_barred_goal(raft, msg->read_index);
        return;
    }
    if (msg->round != raft->read_nonce || msg->read_id > raft->read_wanted ||
        msg->read_id <= raft->read_done) {
        return;
    }
    confirm_local(raft, msg->read_id, msg->read_index);
}
