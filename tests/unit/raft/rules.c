#include "unit/raft/rules.h"

#include "kit/assert.h"
#include "raft/mutant.h"

#include <stddef.h>

#define EXPECT(group, c)                                                                           \
    do {                                                                                           \
        if (!(c)) {                                                                                \
            group_fail(group, "line %d: %s", __LINE__, #c);                                        \
        }                                                                                          \
    } while (0)

/* All of `count` servers up and server 1 leading, everything settled. */
static struct server *led(struct group *group, uint32_t count)
{
    group_init(group, 1, count, count);
    for (uint32_t i = 1; i <= count; i++) {
        group_start(group, &group->servers[i], false);
    }
    struct server *leader = group_elect(group, 1);
    EXPECT(group, leader != NULL);
    return &group->servers[1];
}

static void pre_vote_now(struct group *group, hl_peer from, hl_peer to)
{
    const struct server *candidate = &group->servers[from];
    struct hl_raft_msg msg = {.type = HL_RAFT_PRE_VOTE,
                              .from = from,
                              .to = to,
                              .term = candidate->raft.term + 1,
                              .last = candidate->raft.log.last,
                              .last_term = candidate->raft.term};
    group_tell(group, &msg);
}

/* Entries of its former term reach a majority before the no-op of the new one does. */
static void only_own_entries_commit_by_counting(struct group *group)
{
    struct server *leader = led(group, 3);
    group_isolate(group, 1, true);
    (void)group_propose(group, leader, 2 * FIT_MAX);
    group_settle(group);
    group_crash(group, leader, true);
    group_start(group, leader, false);
    group_isolate(group, 1, false);
    EXPECT(group, group_elect(group, 1) == leader);
    EXPECT(group, leader->raft.commit == 2 * FIT_MAX + 2);
}

/* Nobody answers for as long as voters keep their promise. */
static void a_lease_ends_with_the_voters_promise(struct group *group)
{
    group->lease = true;
    struct server *leader = led(group, 3);
    leader->raft.lease = true;
    EXPECT(group, hl_raft_lease_valid(&leader->raft, group->now_us));
    EXPECT(group, !hl_raft_lease_valid(&leader->raft, group->now_us + ELECTION_US));
}

static void an_acknowledgement_means_on_disk(struct group *group)
{
    struct server *leader = led(group, 3);
    (void)group_propose(group, leader, 3);
    group_settle(group);
    EXPECT(group, leader->raft.commit == 4);
    leader->hold_disk = true;
    group->servers[2].hold_disk = true;
    (void)group_propose(group, leader, 1);
    group_settle(group);
    EXPECT(group, leader->raft.commit == 4);
}

static void a_vote_leaves_after_it_is_saved(struct group *group)
{
    (void)led(group, 3);
    struct server *voter = &group->servers[2];
    voter->hold_disk = true;
    group->servers[3].hold_disk = true;
    group_crash(group, &group->servers[1], true);
    group_start(group, &group->servers[1], false);
    EXPECT(group, group_elect(group, 1) == NULL);
}

static void a_restarted_voter_keeps_the_promise_it_may_have_given(struct group *group)
{
    (void)led(group, 3);
    group_crash(group, &group->servers[2], true);
    group_start(group, &group->servers[2], false);
    pre_vote_now(group, 3, 2);
}

static void a_voter_with_a_leader_grants_nothing(struct group *group)
{
    (void)led(group, 3);
    pre_vote_now(group, 3, 2);
    struct hl_raft_msg vote = {
        .type = HL_RAFT_VOTE, .from = 3, .to = 2, .term = 9, .last = 100, .last_term = 8};
    group_tell(group, &vote);
    EXPECT(group, group->servers[2].raft.term == 1);
}

static struct hl_raft_config with(const struct server *leader, hl_peer id)
{
    hl_index ignored;
    struct hl_raft_config config = *hl_raft_config(&leader->raft, &ignored);
    config.members[config.count++] = (struct hl_raft_member){.id = id, .voter = true};
    return config;
}

static void members_change_after_the_noop_is_committed(struct group *group)
{
    group_init(group, 1, 5, 3);
    for (uint32_t i = 1; i <= 5; i++) {
        group_start(group, &group->servers[i], false);
    }
    struct server *leader = group_elect_only(group, 1, ELECTION_TYPES);
    EXPECT(group, leader != NULL);
    struct hl_raft_config next = with(&group->servers[1], 4);
    EXPECT(group, hl_raft_may_config(&group->servers[1].raft, &next) == HL_EBUSY);
    group_settle(group);
    EXPECT(group, hl_raft_may_config(&group->servers[1].raft, &next) == HL_OK);
}

static void members_change_one_change_at_a_time(struct group *group)
{
    group_init(group, 1, 5, 3);
    for (uint32_t i = 1; i <= 5; i++) {
        group_start(group, &group->servers[i], false);
    }
    struct server *leader = group_elect(group, 1);
    EXPECT(group, leader != NULL);
    struct hl_raft_config next = with(&group->servers[1], 4);
    EXPECT(group, group_config(group, &group->servers[1], &next) == HL_OK);
    struct hl_raft_config second = with(&group->servers[1], 5);
    EXPECT(group, hl_raft_may_config(&group->servers[1].raft, &second) == HL_EBUSY);
    group_settle(group);
    EXPECT(group, hl_raft_may_config(&group->servers[1].raft, &second) == HL_OK);
}

/* Servers 1 and 3 alone hold three entries of term 1; 2 leads term 2 with 4 and 5. */
static void split(struct group *group)
{
    struct server *first = led(group, 5);
    group_isolate(group, 2, true);
    group_isolate(group, 4, true);
    group_isolate(group, 5, true);
    (void)group_propose(group, first, 3);
    group_settle(group);
    group_isolate(group, 1, true);
    group_isolate(group, 3, true);
    group->cut[2][4] = group->cut[4][2] = false;
    group->cut[2][5] = group->cut[5][2] = false;
    struct server *second = group_elect(group, 2);
    EXPECT(group, second != NULL);
    (void)group_propose(group, &group->servers[2], 2);
    group_settle(group);
    EXPECT(group, group->servers[2].raft.commit == 4);
}

/* A flush of entries that are truncated meanwhile ends when others stand in their place. */
static void a_flush_of_truncated_entries_says_nothing(struct group *group)
{
    struct server *first = led(group, 5);
    struct server *third = &group->servers[3];
    group_isolate(group, 2, true);
    group_isolate(group, 4, true);
    group_isolate(group, 5, true);
    third->hold_disk = true;
    (void)group_propose(group, first, 3);
    group_settle(group);
    EXPECT(group, third->now.last == 4);
    group_isolate(group, 2, false);
    group_isolate(group, 4, false);
    group_isolate(group, 5, false);
    group_isolate(group, 1, true);
    EXPECT(group, group_elect_only(group, 2, ELECTION_TYPES) != NULL);
    EXPECT(group, third->raft.term == 2);
    group_flush_begin(group, third);
    group_settle(group);
    EXPECT(group, third->now.last == 2);
    group_flush_end(group, third);
    EXPECT(group, third->raft.durable == 1);
    third->hold_disk = false;
    group_settle(group);
    EXPECT(group, third->raft.durable == 2);
}

/* A heartbeat with a high commit index meets a tail that the leader does not have. */
static void a_follower_commits_what_matched(struct group *group)
{
    split(group);
    group->cut[2][3] = group->cut[3][2] = false;
    group_run(group, 3 * (uint64_t)HEARTBEAT_US);
    EXPECT(group, group->servers[3].raft.commit == 4);
}

static void a_deposed_leader_confirms_no_read(struct group *group)
{
    struct server *first = led(group, 3);
    group_isolate(group, 1, true);
    struct server *second = group_elect(group, 2);
    EXPECT(group, second != NULL);
    (void)group_propose(group, &group->servers[2], 2);
    group_settle(group);
    group_read(group, first);
    group_settle(group);
    EXPECT(group, first->read_count == 1);
}

/* The longer log has the lower term, and the third server is gone. */
static void a_refused_candidate_learns_the_higher_term(struct group *group)
{
    struct server *first = led(group, 3);
    group_isolate(group, 1, true);
    (void)group_propose(group, first, 1);
    group_settle(group);
    group->now_us += 2 * ELECTION_US;
    (void)group_step(group, &group->servers[2], (struct hl_raft_event){.type = HL_RAFT_ON_TICK});
    group_settle_only(group, 1u << HL_RAFT_PRE_VOTE | 1u << HL_RAFT_PRE_VOTE_REPLY);
    EXPECT(group, group->servers[2].raft.term == 2);
    group_crash(group, &group->servers[3], true);
    group_isolate(group, 1, false);
    group_isolate(group, 3, true);
    group_run(group, 20 * (uint64_t)ELECTION_US);
    EXPECT(group, group_leader(group) == first);
    EXPECT(group, first->raft.commit == first->raft.log.last);
}

static void lose(struct group *group, hl_peer id, hl_index last)
{
    struct server *server = &group->servers[id];
    group_crash(group, server, true);
    EXPECT(group, server->disk.last >= last);
    server->disk.last = last;
}

/* A server forgets what it acknowledged, and the one that never had it would be elected by it; the
 * third, which has it, is down. */
static void a_barred_vote_is_not_one_of_a_majority(struct group *group)
{
    struct server *leader = led(group, 3);
    group_isolate(group, 2, true);
    (void)group_propose(group, leader, 3);
    group_settle(group);
    hl_index committed = leader->raft.commit;
    EXPECT(group, committed == 4);
    lose(group, 3, 1);
    group_crash(group, leader, true);
    group_isolate(group, 2, false);
    group_start(group, &group->servers[3], true);
    group_run(group, 20 * (uint64_t)ELECTION_US);
    EXPECT(group, group_leader(group) == NULL);
    group_start(group, leader, false);
    group_run(group, 20 * (uint64_t)ELECTION_US);
    const struct server *now = group_leader(group);
    EXPECT(group, now != NULL && now->raft.commit > committed);
    EXPECT(group, !hl_raft_barred(&group->servers[3].raft));
}

/* The leader's own disk is late; what a follower acknowledged for it is gone before that. */
static void what_a_barred_server_held_before_counts_no_more(struct group *group)
{
    struct server *leader = led(group, 3);
    group_isolate(group, 2, true);
    leader->hold_disk = true;
    (void)group_propose(group, leader, 2);
    group_settle(group);
    hl_index committed = leader->raft.commit;
    EXPECT(group, committed == 1);
    lose(group, 3, 1);
    struct hl_raft_msg question = {.type = HL_RAFT_READ,
                                   .from = 3,
                                   .to = 1,
                                   .term = leader->raft.term,
                                   .read_id = 1,
                                   .round = 7,
                                   .barred = true};
    group_tell(group, &question);
    leader->hold_disk = false;
    group_settle(group);
    EXPECT(group, leader->raft.durable == 3);
    EXPECT(group, leader->raft.commit == committed);
}

/* A leader that was cut off has removed server 3, which nobody heard of; 3 commits with 2, which
 * forgets that.  Those that the first one counts are not all that count. */
static void all_of_what_may_be_taken_back_are_not_all(struct group *group)
{
    struct server *first = led(group, 3);
    struct server *third = &group->servers[3];
    group_isolate(group, 1, true);
    hl_index ignored;
    struct hl_raft_config config = *hl_raft_config(&first->raft, &ignored);
    config.count--;
    EXPECT(group, config.members[config.count].id == 3);
    EXPECT(group, group_config(group, first, &config) == HL_OK);
    group_settle(group);
    EXPECT(group, group_elect(group, 3) == third);
    (void)group_propose(group, third, 1);
    group_settle(group);
    EXPECT(group, third->raft.commit == third->raft.log.last);
    group_crash(group, first, true);
    group_crash(group, third, true);
    lose(group, 2, 1);
    group_isolate(group, 1, false);
    group_start(group, first, false);
    group_start(group, &group->servers[2], true);
    group_run(group, 20 * (uint64_t)ELECTION_US);
    EXPECT(group, group_leader(group) == NULL);
    group_start(group, third, false);
    group_run(group, 20 * (uint64_t)ELECTION_US);
    EXPECT(group, group_leader(group) != NULL);
}

const struct rule rules[] = {
    {HL_MUTANT_PREVIOUS_TERM, "only own entries commit by counting",
     only_own_entries_commit_by_counting},
    {HL_MUTANT_LONG_LEASE, "a lease ends with the voters' promise",
     a_lease_ends_with_the_voters_promise},
    {HL_MUTANT_EARLY_ACK, "an acknowledgement means on disk", an_acknowledgement_means_on_disk},
    {HL_MUTANT_EARLY_VOTE, "a vote leaves after it is saved", a_vote_leaves_after_it_is_saved},
    {HL_MUTANT_RESTART_VOTES, "a restarted voter keeps the promise it may have given",
     a_restarted_voter_keeps_the_promise_it_may_have_given},
    {HL_MUTANT_CONFIG_EARLY, "members change after the no-op is committed",
     members_change_after_the_noop_is_committed},
    {HL_MUTANT_DURABLE_ABA, "a flush of truncated entries says nothing",
     a_flush_of_truncated_entries_says_nothing},
    {HL_MUTANT_COMMIT_BY_LAST, "a follower commits what matched", a_follower_commits_what_matched},
    {HL_MUTANT_UNPROVEN_READ, "a deposed leader confirms no read",
     a_deposed_leader_confirms_no_read},
    {HL_MUTANT_NO_STICKINESS, "a voter with a leader grants nothing",
     a_voter_with_a_leader_grants_nothing},
    {HL_MUTANT_TWO_CONFIGS, "members change one change at a time",
     members_change_one_change_at_a_time},
    {HL_MUTANT_SILENT_REJECT, "a refused candidate learns the higher term",
     a_refused_candidate_learns_the_higher_term},
    {HL_MUTANT_BARRED_VOTE, "a barred vote is not one of a majority",
     a_barred_vote_is_not_one_of_a_majority},
    {HL_MUTANT_FORMER_MATCH, "what a barred server held before counts no more",
     what_a_barred_server_held_before_counts_no_more},
    {HL_MUTANT_NEWEST_ONLY, "all of what may be taken back are not all",
     all_of_what_may_be_taken_back_are_not_all},
};
const uint32_t rule_count = HL_ARRAY_LEN(rules);
