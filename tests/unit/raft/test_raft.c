/* Consensus with one voter, and the majority arithmetic of any number. */
#include "raft/raft.h"

#include <criterion/criterion.h>

static struct hl_raft alone(hl_index last, hl_index commit)
{
    hl_peer self = 7;
    struct hl_raft_start start = {
        .self = self, .voters = &self, .voter_count = 1, .term = 4, .last = last, .commit = commit};
    struct hl_raft raft;
    hl_raft_init(&raft, &start);
    return raft;
}

static struct hl_raft_ready step(struct hl_raft *raft, const struct hl_raft_event *event)
{
    struct hl_raft_ready ready;
    cr_assert_eq(hl_raft_step(raft, event, &ready), HL_OK);
    return ready;
}

static struct hl_raft_ready start(struct hl_raft *raft)
{
    struct hl_raft_event event = {.type = HL_RAFT_ON_START};
    return step(raft, &event);
}

static struct hl_raft_ready durable(struct hl_raft *raft, hl_index index)
{
    struct hl_raft_event event = {.type = HL_RAFT_ON_DURABLE, .durable = {.index = index}};
    return step(raft, &event);
}

Test(raft, a_majority_is_more_than_half_for_one_to_seven_voters)
{
    /* With the k-th lowest voter behind, exactly the majority size decides. */
    for (uint32_t n = 1; n <= 7; n++) {
        uint32_t majority = n / 2 + 1;
        for (uint32_t holders = 0; holders <= n; holders++) {
            hl_index match[HL_RAFT_VOTERS_MAX] = {0};
            for (uint32_t i = 0; i < holders; i++) {
                match[i] = 10;
            }
            cr_assert_eq(hl_raft_quorum_match(match, n), holders >= majority ? 10 : 0, "%u of %u",
                         holders, n);
        }
    }
}

Test(raft, the_majority_does_not_depend_on_the_order_of_voters)
{
    hl_index match[5] = {9, 3, 7, 5, 1};
    cr_assert_eq(hl_raft_quorum_match(match, 5), 5);
    hl_index reversed[5] = {1, 5, 7, 3, 9};
    cr_assert_eq(hl_raft_quorum_match(reversed, 5), 5);
}

Test(raft, alone_it_leads_a_new_term_and_owes_a_noop)
{
    struct hl_raft raft = alone(12, 0);
    struct hl_raft_ready ready = start(&raft);
    cr_assert(ready.save_hard_state);
    cr_assert(ready.append_noop);
    cr_assert_eq(ready.term, 5);
    cr_assert_eq(ready.vote, 7);
    cr_assert_eq(raft.last, 13);
}

Test(raft, inherited_entries_commit_only_with_the_noop)
{
    struct hl_raft raft = alone(12, 3);
    (void)start(&raft);
    cr_assert_eq(durable(&raft, 12).commit, 3, "a term's own entry comes first (R3)");
    cr_assert_eq(durable(&raft, 13).commit, 13);
}

Test(raft, what_is_not_durable_is_not_committed)
{
    struct hl_raft raft = alone(0, 0);
    (void)start(&raft);
    (void)durable(&raft, 1);
    struct hl_raft_event propose = {.type = HL_RAFT_ON_PROPOSE, .propose = {.count = 3}};
    cr_assert_eq(step(&raft, &propose).commit, 1);
    cr_assert_eq(durable(&raft, 2).commit, 2);
    cr_assert_eq(durable(&raft, 4).commit, 4);
    cr_assert_eq(durable(&raft, 3).commit, 4, "commit never goes back");
}

Test(raft, a_follower_takes_no_proposals)
{
    struct hl_raft raft = alone(0, 0);
    struct hl_raft_event propose = {.type = HL_RAFT_ON_PROPOSE, .propose = {.count = 1}};
    struct hl_raft_ready ready;
    cr_assert_eq(hl_raft_step(&raft, &propose, &ready), HL_EBUSY);
    cr_assert_eq(raft.last, 0);
}
