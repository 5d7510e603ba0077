/* Elections: pre-vote, vote, and the promise of voters that makes leases possible.
 *
 * A vote counts only when it is on the voter's disk, so the candidate's own requests and every
 * granted vote wait for ON_SAVED.  Within the minimum election timeout after hearing a leader, or
 * after its start, a voter grants neither vote nor pre-vote (E2), unless that leader itself asked
 * for the election.
 *
 * A barred voter (PROTOCOL 1) may have lost entries that it acknowledged, so a majority with its
 * vote proves nothing about the candidate's log.  Its term and its vote are whole, and so is every
 * configuration, for these are synced in every mode.  So there are two ways to win:
 *   - grants of a majority that is not barred;
 *   - grants of all voters of every configuration in force, barred or not.  No copy of the log that
 *     survived is better than the winner's then; what it lacks was stored nowhere.
 * A candidate may be barred itself; by winning it has the log that all others are measured against.
 * A voter with a damaged log votes in neither way.
 */
#include "kit/assert.h"
#include "raft/internal.h"

void hl_raft_reset_election(struct hl_raft *raft)
{
    raft->election_at_us =
        raft->now_us + raft->election_us + hl_rng_below(&raft->rng, raft->election_us / 2 + 1);
}

/* A voter said no, so it is alive and somebody is about to be elected, or nobody: what is worth
 * finding out soon.  Silence is not answered so, for a slow disk takes its time to vote. */
static void retry_soon(struct hl_raft *raft)
{
    uint64_t quarter_us = raft->election_us / 4 + 1;
    uint64_t at_us = raft->now_us + quarter_us + hl_rng_below(&raft->rng, quarter_us);
    if (at_us < raft->election_at_us) {
        raft->election_at_us = at_us;
    }
}

/* As long as the entry that removes it is not known to be committed, a voter must campaign: perhaps
 * only its log holds that entry, and then nobody else can win (Ongaro, section 4.2.2). */
static bool may_be_needed(const struct hl_raft *raft)
{
    hl_index ignored;
    const struct hl_raft_config *committed = hl_raft_config_at(raft, raft->commit, &ignored);
    return hl_raft_has_voter(raft, raft->self) || hl_raft_config_has_voter(committed, raft->self);
}

bool hl_raft_is_damaged(const struct hl_raft *raft)
{
    return raft->barred && raft->barred_until != 0;
}

bool hl_raft_is_promotable(const struct hl_raft *raft)
{
    return raft->started && !hl_raft_is_damaged(raft) && may_be_needed(raft);
}

/* ---- Counting ---- */

/* The configurations in force: the newest, and while that is not known to be committed also the one
 * before it, which is (F1).  False when there is no i-th. */
static bool config_in_force(const struct hl_raft *raft, uint32_t i,
                            const struct hl_raft_config **config)
{
    if (i > 1 || i >= raft->config_count) {
        return false;
    }
    const struct hl_raft_config_entry *newest = &raft->configs[raft->config_count - 1];
    *config = &newest[-(int)i].config;
    return i == 0 || newest->index > raft->commit;
}

static bool counts(const struct hl_raft *raft, hl_peer voter)
{
    const struct hl_raft_config *config;
    for (uint32_t i = 0; config_in_force(raft, i, &config); i++) {
        if (hl_raft_config_has_voter(config, voter)) {
            return true;
        }
    }
    return false;
}

static bool has_granted(const struct hl_raft *raft, hl_peer voter)
{
    for (uint32_t i = 0; i < raft->granted_count; i++) {
        if (raft->granted[i].voter == voter) {
            return true;
        }
    }
    return false;
}

static void grant(struct hl_raft *raft, hl_peer from, bool barred)
{
    if (!counts(raft, from) || has_granted(raft, from)) {
        return;
    }
    HL_ASSERT(raft->granted_count < HL_RAFT_MEMBERS_MAX);
    raft->granted[raft->granted_count].voter = from;
    raft->granted[raft->granted_count].barred = barred;
    raft->granted_count++;
}

static bool has_majority(const struct hl_raft *raft)
{
    uint32_t grants = 0;
    for (uint32_t i = 0; i < raft->granted_count; i++) {
        bool barred = raft->granted[i].barred && !HL_MUTANT(BARRED_VOTE);
        grants += !barred && hl_raft_has_voter(raft, raft->granted[i].voter);
    }
    return grants > hl_raft_voter_count(raft) / 2;
}

static bool is_unanimous(const struct hl_raft *raft)
{
    HL_ASSERT(raft->config_count != 0);
    const struct hl_raft_config *config;
    for (uint32_t i = 0; config_in_force(raft, i, &config); i++) {
        if (i > 0 && HL_MUTANT(NEWEST_ONLY)) {
            break;
        }
        for (uint32_t m = 0; m < config->count; m++) {
            if (config->members[m].voter && !has_granted(raft, config->members[m].id)) {
                return false;
            }
        }
    }
    return true;
}

static bool is_elected(const struct hl_raft *raft)
{
    return has_majority(raft) || is_unanimous(raft);
}

static void ask_voters(struct hl_raft *raft, enum hl_raft_msg_type type, hl_term term)
{
    hl_peer asked[HL_RAFT_MEMBERS_MAX];
    uint32_t asked_count = 0;
    const struct hl_raft_config *config;
    for (uint32_t i = 0; config_in_force(raft, i, &config); i++) {
        for (uint32_t m = 0; m < config->count; m++) {
            hl_peer id = config->members[m].id;
            bool again = id == raft->self;
            for (uint32_t a = 0; a < asked_count; a++) {
                again = again || asked[a] == id;
            }
            if (!config->members[m].voter || again) {
                continue;
            }
            HL_ASSERT(asked_count < HL_RAFT_MEMBERS_MAX);
            asked[asked_count++] = id;
            struct hl_raft_msg *msg = hl_raft_send(raft, type, id);
            msg->term = term;
            msg->last = raft->log.last;
            msg->last_term = hl_terms_last(&raft->log);
            msg->transfer = type == HL_RAFT_VOTE && raft->campaign_transfer;
        }
    }
}

/* ---- Campaigning ---- */

static void send_campaign(struct hl_raft *raft)
{
    HL_ASSERT(raft->role == HL_RAFT_CANDIDATE);
    HL_ASSERT(raft->vote == raft->self);
    if (raft->campaign_sent) {
        return;
    }
    if (!hl_raft_is_saved(raft) && !hl_raft_is_alone(raft)) {
        return;
    }
    raft->campaign_sent = true;
    grant(raft, raft->self, raft->barred);
    if (is_elected(raft)) {
        hl_raft_become_leader(raft);
        return;
    }
    ask_voters(raft, HL_RAFT_VOTE, raft->term);
}

void hl_raft_campaign(struct hl_raft *raft, bool transfer)
{
    HL_ASSERT(hl_raft_is_promotable(raft));
    hl_raft_become_follower(raft, raft->term + 1, 0);
    raft->role = HL_RAFT_CANDIDATE;
    raft->vote = raft->self;
    raft->granted_count = 0;
    raft->campaign_transfer = transfer;
    raft->campaign_sent = false;
    hl_raft_reset_election(raft);
    send_campaign(raft);
}

static void pre_campaign(struct hl_raft *raft)
{
    hl_raft_become_follower(raft, raft->term, 0);
    raft->role = HL_RAFT_PRE_CANDIDATE;
    raft->granted_count = 0;
    hl_raft_reset_election(raft);
    grant(raft, raft->self, raft->barred);
    if (is_elected(raft)) {
        hl_raft_campaign(raft, false);
        return;
    }
    ask_voters(raft, HL_RAFT_PRE_VOTE, raft->term + 1);
}

void hl_raft_election_tick(struct hl_raft *raft)
{
    if (raft->now_us >= raft->election_at_us) {
        if (!hl_raft_is_promotable(raft)) {
            if (raft->leader != 0) {
                hl_raft_become_follower(raft, raft->term, 0); /* it is no longer known to lead */
            }
        } else if (raft->now_us >= raft->not_before_us) {
            pre_campaign(raft);
        }
    }
    hl_raft_ask_reads(raft);
}

/* ---- Voting ---- */

static bool is_up_to_date(const struct hl_raft *raft, const struct hl_raft_msg *msg)
{
    hl_term mine = hl_terms_last(&raft->log);
    return msg->last_term > mine || (msg->last_term == mine && msg->last >= raft->log.last);
}

/* E2: it leads, or has answered a leader so lately that the leader may count on it. */
static bool is_sticky(const struct hl_raft *raft)
{
    if (HL_MUTANT(NO_STICKINESS)) {
        return false;
    }
    return raft->role == HL_RAFT_LEADER ||
           (raft->promised && raft->now_us - raft->heard_us < raft->election_us);
}

void hl_raft_on_pre_vote(struct hl_raft *raft, const struct hl_raft_msg *msg)
{
    bool granted = !hl_raft_is_damaged(raft) && msg->term > raft->term &&
                   is_up_to_date(raft, msg) && !is_sticky(raft);
    struct hl_raft_msg *reply = hl_raft_send(raft, HL_RAFT_PRE_VOTE_REPLY, msg->from);
    reply->reject = !granted;
    reply->barred = raft->barred;
    /* A refusal carries our term: a server with the longer log and the lower term must learn the
     * higher one, or neither it nor anybody else could ever win. */
    reply->term = granted || HL_MUTANT(SILENT_REJECT) ? msg->term : raft->term;
}

void hl_raft_on_pre_vote_reply(struct hl_raft *raft, const struct hl_raft_msg *msg)
{
    if (msg->reject) {
        if (msg->term > raft->term && !HL_MUTANT(SILENT_REJECT)) {
            hl_raft_become_follower(raft, msg->term, 0);
        }
        if (raft->role == HL_RAFT_PRE_CANDIDATE) {
            retry_soon(raft);
        }
        return;
    }
    if (raft->role != HL_RAFT_PRE_CANDIDATE || msg->term != raft->term + 1) {
        return;
    }
    grant(raft, msg->from, msg->barred);
    if (is_elected(raft)) {
        hl_raft_campaign(raft, false);
    }
}

static void send_vote(struct hl_raft *raft)
{
    if (!raft->vote_due || !hl_raft_is_saved(raft)) {
        return;
    }
    raft->vote_due = false;
    HL_ASSERT(raft->vote != 0);
    struct hl_raft_msg *reply = hl_raft_send(raft, HL_RAFT_VOTE_REPLY, raft->vote);
    reply->barred = raft->barred;
}

void hl_raft_on_vote(struct hl_raft *raft, const struct hl_raft_msg *msg)
{
    if (msg->term >= raft->term && !msg->transfer && is_sticky(raft)) {
        return; /* E2; without taking the term over, or it could disturb the group */
    }
    if (msg->term > raft->term && !hl_raft_is_damaged(raft)) {
        hl_raft_become_follower(raft, msg->term, 0);
    }
    bool granted = msg->term == raft->term && !hl_raft_is_damaged(raft) &&
                   (raft->vote == 0 || raft->vote == msg->from) && is_up_to_date(raft, msg);
    if (!granted) {
        struct hl_raft_msg *reply = hl_raft_send(raft, HL_RAFT_VOTE_REPLY, msg->from);
        reply->reject = true;
        return;
    }
    hl_raft_become_follower(raft, raft->term, raft->leader);
    raft->vote = msg->from;
    raft->vote_due = true;
    hl_raft_reset_election(raft);
    send_vote(raft);
}

void hl_raft_on_vote_reply(struct hl_raft *raft, const struct hl_raft_msg *msg)
{
    HL_ASSERT(msg->term == raft->term);
    if (raft->role != HL_RAFT_CANDIDATE || !raft->campaign_sent) {
        return;
    }
    if (msg->reject) {
        retry_soon(raft);
        return;
    }
    grant(raft, msg->from, msg->barred);
    if (is_elected(raft)) {
        hl_raft_become_leader(raft);
    }
}

void hl_raft_on_timeout_now(struct hl_raft *raft, const struct hl_raft_msg *msg)
{
    if (raft->role != HL_RAFT_FOLLOWER || raft->leader != msg->from ||
        !hl_raft_is_promotable(raft) || raft->now_us < raft->not_before_us) {
        return;
    }
    hl_raft_campaign(raft, true);
}

void hl_raft_election_saved(struct hl_raft *raft)
{
    if (raft->role == HL_RAFT_CANDIDATE) {
        send_campaign(raft);
    }
    send_vote(raft);
}
