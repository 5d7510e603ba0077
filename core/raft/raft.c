/* The step function: what every event and every message has in common, and the invariants. */
#include "raft/raft.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "raft/internal.h"

#include <string.h>

#define ELECTION_DEFAULT_US 500000
#define HEARTBEAT_DEFAULT_US 100000

#if defined(HL_MUTANTS) && HL_MUTANTS
int hl_raft_mutant;
#endif

struct hl_raft_msg *hl_raft_send(struct hl_raft *raft, enum hl_raft_msg_type type, hl_peer to)
{
    HL_ASSERT(raft->message_count < HL_RAFT_MESSAGES_MAX);
    HL_ASSERT(to != 0 && to != raft->self);
    struct hl_raft_msg *msg = &raft->messages[raft->message_count++];
    *msg = (struct hl_raft_msg){.type = type, .from = raft->self, .to = to, .term = raft->term};
    return msg;
}

bool hl_raft_is_saved(const struct hl_raft *raft)
{
    if (HL_MUTANT(EARLY_VOTE)) {
        return true;
    }
    return raft->saved_term == raft->term && raft->saved_vote == raft->vote;
}

void hl_raft_become_follower(struct hl_raft *raft, hl_term term, hl_peer leader)
{
    HL_ASSERT(term >= raft->term);
    HL_ASSERT(leader != raft->self);
    bool led = raft->role == HL_RAFT_LEADER;
    if (led) {
        hl_raft_leave_leader(raft);
    }
    if (term != raft->term) {
        raft->vote = 0;
        raft->vote_due = false;
    }
    if (term != raft->term || leader != raft->leader || raft->role != HL_RAFT_FOLLOWER) {
        raft->matched = 0;
        raft->acked = 0;
        raft->seen_round = 0;
        raft->acked_round = 0;
        raft->ack_due = false;
        raft->read_retry_us = 0;
    }
    raft->role = HL_RAFT_FOLLOWER;
    raft->term = term;
    raft->leader = leader;
    if (led) {
        hl_raft_reset_election(raft);
    }
}

/* ---- Start ---- */

static void init_configs(struct hl_raft *raft, const struct hl_raft_start *start)
{
    for (uint32_t i = 0; i < start->config_count; i++) {
        const struct hl_raft_config_entry *entry = &start->configs[i];
        HL_ASSERT(entry->index <= raft->log.last);
        if (entry->config.count != 0) {
            hl_raft_config_push(raft, entry->index, &entry->config);
        }
    }
    if (raft->log.base != 0) {
        hl_raft_config_compact(raft, raft->log.base);
    }
}

void hl_raft_set_timeouts(struct hl_raft *raft, uint64_t election_us, uint64_t heartbeat_us)
{
    raft->election_us = election_us != 0 ? election_us : ELECTION_DEFAULT_US;
    raft->heartbeat_us = heartbeat_us != 0 ? heartbeat_us : HEARTBEAT_DEFAULT_US;
    HL_ASSERT(raft->heartbeat_us < raft->election_us);
}

void hl_raft_init(struct hl_raft *raft, const struct hl_raft_start *start)
{
    HL_ASSERT(start->self != 0);
    HL_ASSERT(start->commit <= start->log->last);
    memset(raft, 0, sizeof *raft);
    raft->self = start->self;
    raft->role = HL_RAFT_FOLLOWER;
    raft->saved_term = start->term;
    raft->saved_vote = start->vote;
    raft->term = start->term;
    raft->vote = start->vote;
    hl_terms_copy(&raft->log, start->log);
    hl_terms_check(&raft->log);
    if (raft->term < hl_terms_last(&raft->log)) { /* entries are proof of a term */
        raft->term = hl_terms_last(&raft->log);
        raft->vote = 0;
    }
    raft->durable = raft->log.last;
    raft->commit = start->commit > raft->log.base ? start->commit : raft->log.base;
    init_configs(raft, start);
    hl_raft_set_timeouts(raft, start->election_us, start->heartbeat_us);
    raft->drift_ppm = start->drift_ppm;
    raft->lease = start->lease;
    raft->fit = start->fit;
    raft->fit_ctx = start->ctx;
    raft->now_us = start->now_us;
    hl_rng_seed(&raft->rng, start->seed);
    raft->read_nonce = hl_rng_next(&raft->rng);
    raft->barred_id = hl_rng_next(&raft->rng);
    raft->barred = start->barred && !hl_raft_is_sole_voter(raft);
    raft->barred_until = start->barred_until;
    raft->heard_us = start->now_us;
    raft->promised = !HL_MUTANT(RESTART_VOTES); /* E2: as if it had just answered */
    hl_raft_reset_election(raft);
    raft->checked_term = raft->term;
    raft->checked_vote = raft->vote;
    raft->checked_commit = raft->commit;
    hl_raft_check(raft);
}

void hl_raft_fini(struct hl_raft *raft)
{
    hl_terms_fini(&raft->log);
    hl_free(raft->configs);
    memset(raft, 0, sizeof *raft);
}

/* ---- Invariants ---- */

static void check_leader(const struct hl_raft *raft)
{
    HL_ASSERT(raft->noop != 0); /* R4 */
    HL_ASSERT(raft->noop <= raft->log.last);
    HL_ASSERT(hl_terms_last(&raft->log) == raft->term);          /* R4 */
    HL_ASSERT(hl_raft_is_saved(raft) || hl_raft_is_alone(raft)); /* R5 */
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        const struct hl_raft_peer *peer = &raft->peers[i];
        HL_ASSERT(peer->match < peer->next); /* R7 */
        HL_ASSERT(peer->next <= raft->log.last + 1);
        HL_ASSERT(peer->window_count <= HL_RAFT_WINDOW); /* R9 */
        HL_ASSERT(peer->window_count == 0 || peer->state == HL_RAFT_REPLICATE);
    }
}

void hl_raft_check(struct hl_raft *raft)
{
    HL_ASSERT(raft->log.base <= raft->commit); /* R1 */
    HL_ASSERT(raft->commit <= raft->log.last);
    HL_ASSERT(raft->durable <= raft->log.last);
    HL_ASSERT(raft->term >= raft->checked_term); /* R2 */
    HL_ASSERT(raft->term > raft->checked_term || raft->vote == raft->checked_vote ||
              raft->checked_vote == 0);
    HL_ASSERT(raft->commit >= raft->checked_commit);          /* R3 */
    HL_ASSERT(!raft->barred || raft->role != HL_RAFT_LEADER); /* R6 */
    HL_ASSERT(!hl_raft_is_damaged(raft) || raft->role == HL_RAFT_FOLLOWER);
    if (raft->role == HL_RAFT_LEADER) {
        check_leader(raft);
    }
    uint32_t configs = raft->config_count;
    if (configs != 0) { /* R8 */
        HL_ASSERT(raft->configs[configs - 1].index <= raft->log.last);
        HL_ASSERT(configs == 1 ||
                  raft->configs[configs - 2].index < raft->configs[configs - 1].index);
    }
    raft->checked_term = raft->term;
    raft->checked_vote = raft->vote;
    raft->checked_commit = raft->commit;
}

/* ---- Messages ---- */

/* Of an older term: a sender that may still believe in it is told. */
static void answer_old(struct hl_raft *raft, const struct hl_raft_msg *msg)
{
    if (msg->type == HL_RAFT_APPEND) {
        hl_raft_refuse_append(raft, msg);
    } else if (msg->type == HL_RAFT_READ) {
        hl_raft_on_read_msg(raft, msg);
    }
}

static void on_message(struct hl_raft *raft, const struct hl_raft_msg *msg)
{
    if (!hl_raft_msg_valid(raft, msg)) {
        return;
    }
    bool election = msg->type == HL_RAFT_PRE_VOTE || msg->type == HL_RAFT_PRE_VOTE_REPLY ||
                    msg->type == HL_RAFT_VOTE;
    if (!election && msg->term > raft->term) {
        hl_raft_become_follower(raft, msg->term, 0);
    }
    if (!election && msg->term < raft->term) {
        answer_old(raft, msg);
        return;
    }
    switch (msg->type) {
    case HL_RAFT_PRE_VOTE:
        hl_raft_on_pre_vote(raft, msg);
        break;
    case HL_RAFT_PRE_VOTE_REPLY:
        hl_raft_on_pre_vote_reply(raft, msg);
        break;
    case HL_RAFT_VOTE:
        hl_raft_on_vote(raft, msg);
        break;
    case HL_RAFT_VOTE_REPLY:
        hl_raft_on_vote_reply(raft, msg);
        break;
    case HL_RAFT_APPEND:
        hl_raft_on_append(raft, msg);
        break;
    case HL_RAFT_APPEND_REPLY:
        hl_raft_on_append_reply(raft, msg);
        break;
    case HL_RAFT_TIMEOUT_NOW:
        hl_raft_on_timeout_now(raft, msg);
        break;
    case HL_RAFT_READ:
        hl_raft_on_read_msg(raft, msg);
        break;
    case HL_RAFT_READ_REPLY:
        hl_raft_on_read_reply(raft, msg);
        break;
    }
}

/* ---- Events ---- */

/* Nobody else's vote is needed, and nobody else's lease can be hurt. */
static void on_start(struct hl_raft *raft)
{
    HL_ASSERT(!raft->started);
    raft->started = true;
    if (hl_raft_is_sole_voter(raft)) {
        hl_raft_campaign(raft, false);
    }
}

static void on_flush(struct hl_raft *raft, bool may_wait)
{
    raft->flush_due = false;
    if (raft->role == HL_RAFT_LEADER) {
        hl_raft_leader_flush(raft, may_wait);
    } else {
        hl_raft_ask_reads(raft);
    }
}

static void on_tick(struct hl_raft *raft)
{
    if (raft->role == HL_RAFT_LEADER) {
        hl_raft_leader_tick(raft);
    } else {
        hl_raft_election_tick(raft);
    }
    if (raft->flush_due) {
        on_flush(raft, false); /* nobody waits for an iteration that does not end */
    }
}

static hl_err on_propose(struct hl_raft *raft, uint32_t count)
{
    if (!hl_raft_may_propose(raft)) {
        return HL_EBUSY;
    }
    hl_terms_append(&raft->log, raft->log.last + count, raft->term);
    raft->flush_due = raft->flush_due || raft->peer_count != 0;
    return HL_OK;
}

static void on_durable(struct hl_raft *raft, hl_index index, hl_term term)
{
    hl_term here = 0;
    if (HL_MUTANT(DURABLE_ABA)) {
        index = index < raft->log.last ? index : raft->log.last;
    } else if (!hl_terms_at(&raft->log, index, &here) || here != term) {
        return; /* those entries were truncated while they were on their way to the disk */
    }
    if (index <= raft->durable) {
        return;
    }
    raft->durable = index;
    if (raft->role == HL_RAFT_LEADER) {
        hl_raft_advance_commit(raft);
    } else {
        hl_raft_follower_durable(raft);
    }
}

static void on_saved(struct hl_raft *raft, hl_term term, hl_peer vote)
{
    HL_ASSERT(term <= raft->term);
    if (term < raft->saved_term) {
        return;
    }
    raft->saved_term = term;
    raft->saved_vote = vote;
    if (!hl_raft_is_saved(raft)) {
        return; /* it changed again since */
    }
    hl_raft_election_saved(raft);
    hl_raft_follower_saved(raft);
}

static void on_resign(struct hl_raft *raft, uint64_t not_before_us)
{
    raft->not_before_us = not_before_us;
    if (raft->role == HL_RAFT_LEADER) {
        hl_raft_hand_over(raft);
    } else if (raft->role != HL_RAFT_FOLLOWER) {
        hl_raft_become_follower(raft, raft->term, 0);
    }
}

static hl_err on_compacted(struct hl_raft *raft, hl_index index)
{
    if (index > raft->commit || index <= raft->log.base) {
        return HL_EINVAL;
    }
    hl_terms_compact(&raft->log, index);
    hl_raft_config_compact(raft, index);
    raft->durable = raft->durable > index ? raft->durable : index; /* the snapshot is */
    return HL_OK;
}

static hl_err dispatch(struct hl_raft *raft, const struct hl_raft_event *event)
{
    switch (event->type) {
    case HL_RAFT_ON_START:
        on_start(raft);
        return HL_OK;
    case HL_RAFT_ON_TICK:
        on_tick(raft);
        return HL_OK;
    case HL_RAFT_ON_FLUSH:
        on_flush(raft, event->flush.may_wait);
        return HL_OK;
    case HL_RAFT_ON_PROPOSE:
        return on_propose(raft, event->propose.count);
    case HL_RAFT_ON_CONFIG:
        return hl_raft_on_config(raft, event->config.config);
    case HL_RAFT_ON_DURABLE:
        on_durable(raft, event->durable.index, event->durable.term);
        return HL_OK;
    case HL_RAFT_ON_SAVED:
        on_saved(raft, event->saved.term, event->saved.vote);
        return HL_OK;
    case HL_RAFT_ON_MESSAGE:
        on_message(raft, event->message.msg);
        return HL_OK;
    case HL_RAFT_ON_READ:
        hl_raft_on_read(raft, event->read.id);
        return HL_OK;
    case HL_RAFT_ON_TRANSFER:
        return hl_raft_on_transfer(raft, event->transfer.peer);
    case HL_RAFT_ON_RESIGN:
        on_resign(raft, event->resign.not_before_us);
        return HL_OK;
    case HL_RAFT_ON_COMPACTED:
        return on_compacted(raft, event->compacted.index);
    case HL_RAFT_ON_INSTALLED:
        return hl_raft_on_installed(raft, event);
    case HL_RAFT_ON_SNAPSHOT_SENT:
        hl_raft_on_snapshot_sent(raft, event->snapshot_sent.peer, event->snapshot_sent.index,
                                 event->snapshot_sent.ok);
        return HL_OK;
    case HL_RAFT_ON_UNREACHABLE:
        hl_raft_on_unreachable(raft, event->unreachable.peer);
        return HL_OK;
    }
    HL_ASSERT(!"an event of a known type");
    return HL_EINVAL;
}

static uint64_t wake_us(const struct hl_raft *raft)
{
    if (raft->flush_due) {
        return raft->now_us;
    }
    uint64_t wake = HL_RAFT_NEVER;
    if (raft->role == HL_RAFT_LEADER) {
        if (raft->peer_count != 0) {
            wake = raft->heartbeat_at_us;
        }
        if (raft->transfer_to != 0 && raft->transfer_until_us < wake) {
            wake = raft->transfer_until_us;
        }
        return wake;
    }
    if (hl_raft_is_promotable(raft)) {
        wake =
            raft->election_at_us > raft->not_before_us ? raft->election_at_us : raft->not_before_us;
    } else if (raft->leader != 0) {
        wake = raft->election_at_us;
    }
    if (raft->leader != 0 && raft->read_wanted > raft->read_done && raft->read_retry_us < wake) {
        wake = raft->read_retry_us;
    }
    return wake;
}

hl_err hl_raft_step(struct hl_raft *raft, const struct hl_raft_event *event,
                    struct hl_raft_ready *ready)
{
    memset(ready, 0, sizeof *ready);
    raft->ready = ready;
    raft->message_count = 0;
    if (event->now_us > raft->now_us) {
        raft->now_us = event->now_us;
    }
    hl_peer leader = raft->leader;
    hl_term term = raft->term;
    hl_peer vote = raft->vote;
    hl_err err = dispatch(raft, event);
    ready->save_hard_state = term != raft->term || vote != raft->vote ||
                             (event->type == HL_RAFT_ON_START && !hl_raft_is_saved(raft));
    ready->term = raft->term;
    ready->vote = raft->vote;
    ready->role = raft->role;
    ready->leader = raft->leader;
    ready->leader_changed = leader != raft->leader;
    ready->message_count = raft->message_count;
    ready->messages = raft->messages;
    ready->commit = raft->commit;
    ready->flush = raft->flush_due;
    ready->held = raft->held;
    ready->wake_us = wake_us(raft);
    raft->ready = NULL;
    hl_raft_check(raft);
    return err;
}
