/* Following: take the leader's entries, tell it what is durable here, catch up by snapshot. */
#include "kit/assert.h"
#include "raft/internal.h"

/* ---- Answers ---- */

/* What this leader's log and our disk have in common. */
static hl_index durable_match(const struct hl_raft *raft)
{
    if (HL_MUTANT(EARLY_ACK)) {
        return raft->matched;
    }
    return raft->durable < raft->matched ? raft->durable : raft->matched;
}

/* Entries of a term whose number is not on disk must not be counted: after a crash an older leader
 * could make us replace them. */
static void acknowledge(struct hl_raft *raft)
{
    HL_ASSERT(raft->role == HL_RAFT_FOLLOWER);
    HL_ASSERT(raft->leader != 0);
    if (!hl_raft_is_saved(raft)) {
        raft->ack_due = true;
        return;
    }
    raft->ack_due = false;
    struct hl_raft_msg *reply = hl_raft_send(raft, HL_RAFT_APPEND_REPLY, raft->leader);
    reply->match = durable_match(raft);
    reply->last = raft->matched;
    reply->round = raft->seen_round;
    reply->barred = raft->barred;
    raft->acked = reply->match;
    raft->acked_round = raft->seen_round;
}

static void reject(struct hl_raft *raft, const struct hl_raft_msg *msg)
{
    struct hl_raft_msg *reply = hl_raft_send(raft, HL_RAFT_APPEND_REPLY, msg->from);
    reply->reject = true;
    reply->prev = msg->prev;
    reply->round = raft->seen_round;
    reply->barred = raft->barred;
    reply->hint = hl_terms_find(&raft->log, msg->prev, msg->prev_term);
    (void)hl_terms_at(&raft->log, reply->hint, &reply->hint_term);
    raft->acked_round = raft->seen_round;
}

void hl_raft_refuse_append(struct hl_raft *raft, const struct hl_raft_msg *msg)
{
    HL_ASSERT(msg->term < raft->term);
    struct hl_raft_msg *reply = hl_raft_send(raft, HL_RAFT_APPEND_REPLY, msg->from);
    reply->reject = true;
    reply->prev = msg->prev;
}

/* ---- Barred ---- */

/* Where does the group stand?  Asked with every new round until a leader answers. */
static void ask_goal(struct hl_raft *raft)
{
    if (!raft->barred || raft->barred_goal != 0 || raft->seen_round == raft->acked_round) {
        return;
    }
    struct hl_raft_msg *msg = hl_raft_send(raft, HL_RAFT_READ, raft->leader);
    msg->read_id = 1;
    msg->round = raft->barred_id;
    msg->barred = true;
}

static void try_unbar(struct hl_raft *raft)
{
    if (!raft->barred || raft->barred_goal == 0) {
        return;
    }
    hl_index held = durable_match(raft);
    if (held >= raft->barred_goal && held >= raft->barred_until) {
        raft->barred = false;
        hl_raft_reset_election(raft);
    }
}

void hl_raft_barred_goal(struct hl_raft *raft, hl_index goal)
{
    if (!raft->barred || raft->barred_goal != 0) {
        return;
    }
    raft->barred_goal = goal;
    try_unbar(raft);
}

void hl_raft_follower_durable(struct hl_raft *raft)
{
    if (raft->role != HL_RAFT_FOLLOWER || raft->leader == 0) {
        return;
    }
    try_unbar(raft);
    if (durable_match(raft) > raft->acked) {
        acknowledge(raft);
    }
}

void hl_raft_follower_saved(struct hl_raft *raft)
{
    if (raft->ack_due && raft->role == HL_RAFT_FOLLOWER && raft->leader != 0) {
        acknowledge(raft);
    }
}

/* ---- Entries ---- */

/* The leader is alive: no election, and the promise of E2 starts anew. */
static void hear_leader(struct hl_raft *raft, const struct hl_raft_msg *msg)
{
    if (raft->role != HL_RAFT_FOLLOWER || raft->leader != msg->from) {
        hl_raft_become_follower(raft, raft->term, msg->from);
    }
    raft->heard_us = raft->now_us;
    raft->contact_us = raft->now_us;
    raft->contact_commit = msg->commit;
    raft->promised = true;
    if (msg->round > raft->seen_round) {
        raft->seen_round = msg->round;
    }
    hl_raft_reset_election(raft);
}

static hl_index run_end(const struct hl_raft_msg *msg, uint32_t i)
{
    return i + 1 < msg->run_count ? msg->runs[i + 1].from - 1 : msg->last;
}

/* The first entry of the message that the log does not hold with the same term, or last + 1.  The
 * log holds prev, so every entry of the message lies after base; and since terms never go back, the
 * log's entries of one term stand together. */
static hl_index first_new(const struct hl_raft *raft, const struct hl_raft_msg *msg)
{
    for (uint32_t i = 0; i < msg->run_count; i++) {
        hl_term here = 0;
        if (!hl_terms_at(&raft->log, msg->runs[i].from, &here) || here != msg->runs[i].term) {
            return msg->runs[i].from;
        }
        hl_index end = run_end(msg, i);
        hl_index held = hl_terms_find(&raft->log, end, msg->runs[i].term);
        if (held < end) {
            return held + 1;
        }
    }
    return msg->last + 1;
}

static void append(struct hl_raft *raft, const struct hl_raft_msg *msg, hl_index first)
{
    if (first <= raft->log.last) {
        HL_ASSERT(first > raft->commit); /* A5 */
        raft->ready->truncate = first;
        hl_terms_truncate(&raft->log, first - 1);
        hl_raft_config_truncate(raft, first);
        if (raft->durable >= first) {
            raft->durable = first - 1;
        }
    }
    raft->ready->append_first = first;
    raft->ready->append_last = msg->last;
    for (uint32_t i = 0; i < msg->run_count; i++) {
        if (run_end(msg, i) > raft->log.last) {
            hl_terms_append(&raft->log, run_end(msg, i), msg->runs[i].term);
        }
    }
    if (msg->config_index >= first) {
        hl_raft_config_push(raft, msg->config_index, msg->config);
    }
}

static void take_commit(struct hl_raft *raft, const struct hl_raft_msg *msg)
{
    hl_index bound = HL_MUTANT(COMMIT_BY_LAST) ? raft->log.last : msg->last;
    hl_index commit = msg->commit < bound ? msg->commit : bound;
    if (commit > raft->commit) {
        raft->commit = commit;
    }
}

/* Does the log hold (prev, prev_term)? */
static bool prev_matches(const struct hl_raft *raft, const struct hl_raft_msg *msg)
{
    hl_term here = 0;
    return hl_terms_at(&raft->log, msg->prev, &here) && here == msg->prev_term;
}

void hl_raft_on_append(struct hl_raft *raft, const struct hl_raft_msg *msg)
{
    HL_ASSERT(msg->term == raft->term);
    bool another = raft->role == HL_RAFT_FOLLOWER && raft->leader != 0 && raft->leader != msg->from;
    if (raft->role == HL_RAFT_LEADER || another) {
        return; /* two leaders of one term: a liar is among our peers */
    }
    hl_index first = msg->last + 1;
    bool matches = prev_matches(raft, msg);
    if (matches) {
        first = first_new(raft, msg);
        if (first <= raft->commit && first <= msg->last) {
            return; /* it contradicts what is committed: never (A5) */
        }
    }
    hear_leader(raft, msg);
    ask_goal(raft);
    if (!matches) {
        reject(raft, msg);
        return;
    }
    bool news = raft->seen_round > raft->acked_round || raft->matched == 0;
    if (first <= msg->last) {
        append(raft, msg, first);
    }
    if (msg->last > raft->matched) {
        raft->matched = msg->last;
    }
    take_commit(raft, msg);
    try_unbar(raft);
    /* Entries on their way to the disk are acknowledged when they are there, a round at once, and a
     * message that only brings the commit index not at all. */
    bool held = msg->last != msg->prev && durable_match(raft) >= msg->last;
    if (news || held || durable_match(raft) > raft->acked) {
        acknowledge(raft);
    }
}

/* ---- Snapshots ---- */

/* The label of a snapshot is a peer's word, whatever its checksum says. */
static bool label_valid(const struct hl_raft_event *event)
{
    const struct hl_raft_config *config = event->installed.config;
    return event->installed.index <= HL_RAFT_NUMBER_MAX && event->installed.term != 0 &&
           event->installed.term <= HL_RAFT_NUMBER_MAX &&
           event->installed.config_index <= event->installed.index &&
           (config->count == 0 || hl_raft_config_valid(config));
}

hl_err hl_raft_on_installed(struct hl_raft *raft, const struct hl_raft_event *event)
{
    hl_index index = event->installed.index;
    hl_term term = event->installed.term;
    if (index <= raft->commit || raft->role == HL_RAFT_LEADER || !label_valid(event)) {
        return HL_EINVAL; /* D2 */
    }
    /* It may come from a newer leader than the one we follow; and what a candidate told its voters
     * about its log is no longer true. */
    if (term > raft->term) {
        hl_raft_become_follower(raft, term, 0);
    } else {
        hl_raft_become_follower(raft, raft->term, raft->leader);
    }
    hl_term here = 0;
    if (hl_terms_at(&raft->log, index, &here) && here == term) {
        hl_terms_compact(&raft->log, index);
        raft->durable = raft->durable > index ? raft->durable : index;
    } else {
        raft->ready->log_reset = true;
        hl_terms_reset(&raft->log, index, term);
        hl_raft_config_truncate(raft, index + 1);
        raft->durable = index;
        raft->matched = 0;
        raft->acked = 0;
    }
    raft->commit = index;
    hl_raft_config_install(raft, index, event->installed.config, event->installed.config_index);
    return HL_OK;
}
