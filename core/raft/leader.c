/* Leading: a progress record for each other member, and what is sent to it.
 *
 * PROBE      one message until an answer says what the peer's log has in common with ours
 * REPLICATE  messages of entries follow one another; up to HL_RAFT_WINDOW are unacknowledged
 * SNAPSHOT   the entry before the next one is gone from our log; only heartbeats until it has
 * caught up
 *
 * Everything is sent from hl_raft_leader_flush(), at the end of an iteration, so that what happened
 * in it shares messages.  A lost message is noticed by the next heartbeat: it continues where the
 * peer should be, and the peer's refusal says where it is.
 *
 * A peer whose disk is busy with entries gains nothing from a few more of them at once: it would
 * write them after those.  So a flush may let them wait (raft.h), and with them the commit index.
 */
#include "kit/assert.h"
#include "raft/internal.h"

#include <stddef.h>

struct hl_raft_peer *hl_raft_find_peer(struct hl_raft *raft, hl_peer id)
{
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        if (raft->peers[i].id == id) {
            return &raft->peers[i];
        }
    }
    return NULL;
}

/* ---- Becoming and ceasing ---- */

static void init_peer(struct hl_raft *raft, struct hl_raft_peer *peer, hl_peer id)
{
    *peer = (struct hl_raft_peer){
        .id = id,
        .state = HL_RAFT_PROBE,
        .next = raft->log.last + 1,
        .heard_us = raft->now_us,
        .sending_due = true,
        .round_goal = raft->log.last,
        .round_start_us = raft->now_us,
        .round_took_us = UINT64_MAX,
    };
}

void hl_raft_rebuild_peers(struct hl_raft *raft)
{
    hl_index ignored;
    const struct hl_raft_config *config = hl_raft_config(raft, &ignored);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        bool stays = false;
        for (uint32_t j = 0; j < config->count; j++) {
            stays = stays || config->members[j].id == raft->peers[i].id;
        }
        if (stays) {
            if (kept != i) {
                raft->peers[kept] = raft->peers[i];
            }
            kept++;
        }
    }
    raft->peer_count = kept;
    for (uint32_t i = 0; i < config->count; i++) {
        hl_peer id = config->members[i].id;
        if (id == raft->self) {
            continue;
        }
        struct hl_raft_peer *peer = hl_raft_find_peer(raft, id);
        if (peer == NULL) {
            peer = &raft->peers[raft->peer_count++];
            init_peer(raft, peer, id);
        }
        peer->voter = config->members[i].voter;
    }
    if (raft->transfer_to != 0 && !hl_raft_has_voter(raft, raft->transfer_to)) {
        raft->transfer_to = 0;
        raft->ready->transfer_failed = true;
    }
}

void hl_raft_become_leader(struct hl_raft *raft)
{
    HL_ASSERT(raft->role == HL_RAFT_CANDIDATE);
    raft->role = HL_RAFT_LEADER;
    raft->barred = false; /* no copy that had to take part is better than its log */
    raft->leader = raft->self;
    raft->peer_count = 0;
    raft->lease_given_up = false;
    raft->transfer_to = 0;
    raft->round = 0;
    raft->read_first = 0;
    raft->read_count = 0;
    raft->read_waiting = raft->read_wanted > raft->read_done ? raft->read_wanted : 0;
    hl_raft_rebuild_peers(raft);
    raft->noop = raft->log.last + 1;
    hl_terms_append(&raft->log, raft->noop, raft->term);
    hl_raft_config_found(raft, raft->noop);
    raft->ready->became_leader = true;
    raft->ready->append_noop = true;
    raft->heartbeat_at_us = raft->now_us + raft->heartbeat_us;
    hl_raft_start_round(raft);
    raft->flush_due = raft->peer_count != 0;
}

void hl_raft_leave_leader(struct hl_raft *raft)
{
    HL_ASSERT(raft->role == HL_RAFT_LEADER);
    raft->ready->stepped_down = true;
    hl_raft_fail_reads(raft);
    if (raft->transfer_to != 0) {
        raft->transfer_to = 0; /* whether it came about, `leader` will tell */
    }
    raft->noop = 0;
    raft->peer_count = 0;
    raft->flush_due = false;
    raft->held = false;
}

/* ---- Sending ---- */

/* A message holds at most one CFG entry, whose configuration the receiver hands to its raft. */
static hl_index cut_at_config(const struct hl_raft *raft, hl_index prev, hl_index last)
{
    bool seen = false;
    for (uint32_t i = 0; i < raft->config_count; i++) {
        hl_index index = raft->configs[i].index;
        if (index <= prev || index > last) {
            continue;
        }
        if (seen) {
            return index - 1;
        }
        seen = true;
    }
    return last;
}

/* Entries prev + 1 .. wanted, or as many of them as fit one message.  Returns the last sent. */
static hl_index send_append(struct hl_raft *raft, struct hl_raft_peer *peer, hl_index prev,
                            hl_index wanted)
{
    HL_ASSERT(prev >= raft->log.base);
    HL_ASSERT(wanted >= prev && wanted <= raft->log.last);
    struct hl_raft_msg *msg = hl_raft_send(raft, HL_RAFT_APPEND, peer->id);
    msg->prev = prev;
    (void)hl_terms_at(&raft->log, prev, &msg->prev_term);
    msg->last = prev;
    if (wanted > prev) {
        hl_index last = cut_at_config(raft, prev, wanted);
        if (raft->fit != NULL) {
            last = raft->fit(raft->fit_ctx, prev + 1, last);
        }
        HL_ASSERT(last > prev && last <= wanted);
        msg->run_count = hl_terms_view(&raft->log, prev + 1, &last, msg->runs, HL_RAFT_RUNS_MAX);
        msg->last = last;
    }
    msg->commit = raft->commit;
    msg->round = raft->round;
    peer->sent_commit = raft->commit < msg->last ? raft->commit : msg->last;
    peer->sending_due = false;
    return msg->last;
}

static void send_probe(struct hl_raft *raft, struct hl_raft_peer *peer)
{
    if (!peer->probing) {
        peer->probing = true;
        (void)send_append(raft, peer, peer->next - 1, raft->log.last);
    } else if (peer->sending_due) {
        (void)send_append(raft, peer, peer->next - 1, peer->next - 1);
    }
}

/* Is there a commit index that the peer was not told and can use? */
static bool lacks_commit(const struct hl_raft *raft, const struct hl_raft_peer *peer)
{
    return peer->sent_commit < raft->commit && peer->sent_commit < peer->next - 1;
}

static bool lacks(const struct hl_raft *raft, const struct hl_raft_peer *peer)
{
    return peer->next <= raft->log.last || lacks_commit(raft, peer);
}

static void send_entries(struct hl_raft *raft, struct hl_raft_peer *peer, bool may_wait)
{
    uint32_t sent = 0;
    if (may_wait && peer->window_count != 0 && !peer->sending_due) {
        raft->held = raft->held || lacks(raft, peer);
        return;
    }
    while (peer->next <= raft->log.last && peer->window_count < HL_RAFT_WINDOW) {
        if (sent == HL_RAFT_BURST) {
            raft->flush_due = true;
            break;
        }
        hl_index last = send_append(raft, peer, peer->next - 1, raft->log.last);
        uint32_t at = (peer->window_first + peer->window_count) % HL_RAFT_WINDOW;
        peer->window[at] = last;
        peer->window_count++;
        peer->next = last + 1;
        sent++;
    }
    if (peer->sending_due || lacks_commit(raft, peer)) {
        (void)send_append(raft, peer, peer->next - 1, peer->next - 1);
    }
}

static void send_to(struct hl_raft *raft, struct hl_raft_peer *peer, bool may_wait)
{
    bool gone = peer->next - 1 < raft->log.base;
    if (gone && peer->state != HL_RAFT_SNAPSHOT && (!peer->probing || peer->sending_due)) {
        peer->state = HL_RAFT_SNAPSHOT;
        peer->window_count = 0;
        raft->ready->snapshot_to[raft->ready->snapshot_count++] = peer->id;
    }
    switch (peer->state) {
    case HL_RAFT_PROBE:
        if (!gone) {
            send_probe(raft, peer);
        }
        break;
    case HL_RAFT_REPLICATE:
        send_entries(raft, peer, may_wait);
        break;
    case HL_RAFT_SNAPSHOT:
        if (peer->sending_due) {
            (void)send_append(raft, peer, raft->log.base, raft->log.base);
        }
        break;
    }
}

void hl_raft_leader_flush(struct hl_raft *raft, bool may_wait)
{
    HL_ASSERT(raft->role == HL_RAFT_LEADER);
    hl_raft_start_reads(raft);
    raft->flush_due = false;
    raft->held = false;
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        send_to(raft, &raft->peers[i], may_wait);
    }
}

void hl_raft_leader_tick(struct hl_raft *raft)
{
    HL_ASSERT(raft->role == HL_RAFT_LEADER);
    hl_raft_transfer_tick(raft);
    if (raft->peer_count == 0) {
        return;
    }
    if (raft->now_us >= raft->heartbeat_at_us) {
        if (!hl_raft_has_quorum_contact(raft)) {
            hl_raft_become_follower(raft, raft->term, 0);
            return;
        }
        raft->heartbeat_at_us = raft->now_us + raft->heartbeat_us;
        hl_raft_start_round(raft);
        hl_raft_transfer_again(raft);
    }
}

/* ---- Answers ---- */

static void start_probe(struct hl_raft_peer *peer, hl_index next)
{
    peer->state = HL_RAFT_PROBE;
    peer->probing = false;
    peer->window_count = 0;
    peer->next = next;
}

void hl_raft_note_barred(struct hl_raft_peer *peer, const struct hl_raft_msg *msg)
{
    if (msg->barred && (!peer->barred || msg->type == HL_RAFT_READ) &&
        !HL_MUTANT(FORMER_MATCH)) {
        peer->match = 0; /* of a former start; the next acknowledgement says what is there now */
    }
    peer->barred = msg->barred;
}

/* The peer's log differs at msg->prev: continue where it may be equal, skipping whole terms. */
static void on_reject(struct hl_raft *raft, struct hl_raft_peer *peer,
                      const struct hl_raft_msg *msg)
{
    if (peer->barred) {
        peer->match = 0; /* it may have lost what it acknowledged */
    }
    bool stale = peer->state == HL_RAFT_PROBE ? msg->prev != peer->next - 1
                                              : msg->prev <= peer->match || msg->prev >= peer->next;
    if (peer->state == HL_RAFT_SNAPSHOT || stale) {
        return;
    }
    hl_index held = msg->hint;
    if (msg->hint <= msg->prev) {
        /* Below prev, which differs; and where our own terms allow it to be equal. */
        hl_index below = msg->hint < msg->prev || msg->prev == 0 ? msg->hint : msg->prev - 1;
        held = below <= raft->log.base ? below : hl_terms_find(&raft->log, below, msg->hint_term);
    }
    hl_index next = (held > peer->match ? held : peer->match) + 1;
    bool nearer = next < peer->next || peer->state == HL_RAFT_REPLICATE;
    start_probe(peer, next <= raft->log.last + 1 ? next : raft->log.last + 1);
    peer->probing = !nearer; /* no progress: wait for the next heartbeat */
    raft->flush_due = raft->flush_due || nearer;
}

/* Catching up goes in rounds: each ends when the peer holds what was the end when it began. */
static void measure(const struct hl_raft *raft, struct hl_raft_peer *peer)
{
    if (peer->match >= peer->round_goal) {
        peer->round_took_us = raft->now_us - peer->round_start_us;
        peer->round_start_us = raft->now_us;
        peer->round_goal = raft->log.last;
    }
}

static void on_accept(struct hl_raft *raft, struct hl_raft_peer *peer,
                      const struct hl_raft_msg *msg)
{
    if (msg->last > raft->log.last) {
        return; /* nobody can have verified what we do not have */
    }
    if (msg->match > peer->match || peer->barred) {
        peer->match = msg->match;
    }
    if (peer->state != HL_RAFT_REPLICATE && msg->last >= raft->log.base) {
        start_probe(peer, msg->last + 1);
        peer->state = HL_RAFT_REPLICATE;
    }
    if (peer->next <= msg->last) {
        peer->next = msg->last + 1;
    }
    if (peer->next <= peer->match) {
        peer->next = peer->match + 1;
    }
    while (peer->window_count > 0 && peer->window[peer->window_first] <= peer->match) {
        peer->window_first = (peer->window_first + 1) % HL_RAFT_WINDOW;
        peer->window_count--;
    }
    measure(raft, peer);
    if (lacks(raft, peer)) {
        raft->flush_due = true;
    }
}

void hl_raft_on_append_reply(struct hl_raft *raft, const struct hl_raft_msg *msg)
{
    struct hl_raft_peer *peer =
        raft->role == HL_RAFT_LEADER ? hl_raft_find_peer(raft, msg->from) : NULL;
    if (peer == NULL) {
        return;
    }
    peer->heard_us = raft->now_us;
    hl_raft_note_barred(peer, msg);
    if (msg->round > peer->round && msg->round <= raft->round) {
        peer->round = msg->round;
    }
    if (msg->reject) {
        on_reject(raft, peer, msg);
    } else {
        on_accept(raft, peer, msg);
    }
    hl_raft_confirm_reads(raft);
    hl_raft_advance_commit(raft);
    if (raft->role == HL_RAFT_LEADER) {
        hl_raft_transfer_go(raft);
    }
}

void hl_raft_on_snapshot_sent(struct hl_raft *raft, hl_peer id, hl_index index, bool ok)
{
    struct hl_raft_peer *peer = raft->role == HL_RAFT_LEADER ? hl_raft_find_peer(raft, id) : NULL;
    if (peer == NULL || peer->state != HL_RAFT_SNAPSHOT) {
        return;
    }
    bool usable = ok && index <= raft->log.last;
    start_probe(peer, usable && index > peer->match ? index + 1 : peer->match + 1);
    peer->probing = !usable; /* a failure waits for the next heartbeat */
    raft->flush_due = raft->flush_due || usable;
}

void hl_raft_on_unreachable(struct hl_raft *raft, hl_peer id)
{
    struct hl_raft_peer *peer = raft->role == HL_RAFT_LEADER ? hl_raft_find_peer(raft, id) : NULL;
    if (peer != NULL && peer->state == HL_RAFT_REPLICATE) {
        start_probe(peer, peer->match + 1);
        peer->probing = true; /* whatever is sent now would be lost as well */
    }
}
