/* Consensus with one voter, and the majority arithmetic of any number. */
#include "raft/raft.h"

#include <criterion/criterion.h>

static struct hl_raft raft; /* criterion runs each test in a process of its own */

static void alone(hl_index last, hl_index commit)
{
    struct hl_raft_config_entry config = {
        .config = {.count = 1, .members = {{.id = 7, .voter = true}}}};
    struct hl_terms log = {0};
    hl_terms_append(&log, last, 4);
    struct hl_raft_start start = {
        .self = 7, .configs = &config, .config_count = 1, .term = 4, .log = &log, .commit = commit};
    hl_raft_init(&raft, &start);
    hl_terms_fini(&log);
}

static struct hl_raft_ready step(const struct hl_raft_event *event)
{
    struct hl_raft_ready ready;
    cr_assert_eq(hl_raft_step(&raft, event, &ready), HL_OK);
    return ready;
}

static struct hl_raft_ready start(void)
{
    struct hl_raft_event event = {.type = HL_RAFT_ON_START};
    return step(&event);
}

static struct hl_raft_ready durable(hl_index index, hl_term term)
{
    struct hl_raft_event event = {.type = HL_RAFT_ON_DURABLE,
                                  .durable = {.index = index, .term = term}};
    return step(&event);
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
    alone(12, 0);
    struct hl_raft_ready ready = start();
    cr_assert(ready.save_hard_state);
    cr_assert(ready.became_leader);
    cr_assert(ready.append_noop);
    cr_assert_eq(ready.role, HL_RAFT_LEADER);
    cr_assert_eq(ready.term, 5);
    cr_assert_eq(ready.vote, 7);
    cr_assert_eq(ready.leader, 7);
    cr_assert_eq(ready.message_count, 0);
    cr_assert_eq(ready.wake_us, HL_RAFT_NEVER, "nobody needs a heartbeat");
    cr_assert_eq(hl_raft_last(&raft), 13);
    hl_raft_fini(&raft);
}

Test(raft, a_log_newer_than_the_saved_term_is_proof_of_its_term)
{
    struct hl_raft_config_entry config = {
        .config = {.count = 1, .members = {{.id = 7, .voter = true}}}};
    struct hl_terms log = {0};
    hl_terms_append(&log, 3, 9);
    struct hl_raft_start from = {
        .self = 7, .configs = &config, .config_count = 1, .term = 8, .vote = 7, .log = &log};
    hl_raft_init(&raft, &from);
    hl_terms_fini(&log);
    cr_assert_eq(start().term, 10);
    hl_raft_fini(&raft);
}

Test(raft, inherited_entries_commit_only_with_the_noop)
{
    alone(12, 3);
    (void)start();
    cr_assert_eq(durable(12, 4).commit, 3, "a term's own entry comes first (R3)");
    cr_assert_eq(durable(13, 5).commit, 13);
    hl_raft_fini(&raft);
}

Test(raft, what_is_not_durable_is_not_committed)
{
    alone(0, 0);
    (void)start();
    (void)durable(1, 5);
    struct hl_raft_event propose = {.type = HL_RAFT_ON_PROPOSE, .propose = {.count = 3}};
    cr_assert_eq(step(&propose).commit, 1);
    cr_assert_eq(durable(2, 5).commit, 2);
    cr_assert_eq(durable(4, 5).commit, 4);
    cr_assert_eq(durable(3, 5).commit, 4, "commit never goes back");
    hl_raft_fini(&raft);
}

Test(raft, alone_a_read_needs_no_round_but_the_noop)
{
    alone(0, 0);
    (void)start();
    struct hl_raft_event read = {.type = HL_RAFT_ON_READ, .read = {.id = 1}};
    cr_assert_eq(step(&read).read_id, 0);
    cr_assert(durable(1, 5).flush);
    struct hl_raft_event flush = {.type = HL_RAFT_ON_FLUSH};
    struct hl_raft_ready ready = step(&flush);
    cr_assert_eq(ready.read_id, 1);
    cr_assert_eq(ready.read_index, 1);
    read.read.id = 2;
    cr_assert_eq(step(&read).read_id, 2, "from then on at once");
    hl_raft_fini(&raft);
}

/* The founder's no-op is a CFG entry: the first message to a newcomer must not hold another. */
Test(raft, a_founders_noop_counts_as_a_configuration)
{
    alone(0, 0);
    (void)start();
    struct hl_raft_event saved = {.type = HL_RAFT_ON_SAVED, .saved = {.term = 5, .vote = 7}};
    (void)step(&saved);
    (void)durable(1, 5);
    struct hl_raft_event propose = {.type = HL_RAFT_ON_PROPOSE, .propose = {.count = 2}};
    (void)step(&propose);
    struct hl_raft_config two = {.count = 2, .members = {{.id = 7, .voter = true}, {.id = 9}}};
    struct hl_raft_event config = {.type = HL_RAFT_ON_CONFIG, .config = {.config = &two}};
    (void)step(&config);
    struct hl_raft_event flush = {.type = HL_RAFT_ON_FLUSH};
    cr_assert_eq(step(&flush).messages[0].prev, 4, "a newcomer is probed at the end first");
    struct hl_raft_msg empty = {
        .type = HL_RAFT_APPEND_REPLY, .from = 9, .to = 7, .term = 5, .reject = true, .prev = 4};
    struct hl_raft_event message = {.type = HL_RAFT_ON_MESSAGE, .message = {.msg = &empty}};
    (void)step(&message);
    struct hl_raft_ready ready = step(&flush);
    cr_assert_eq(ready.message_count, 1);
    cr_assert_eq(ready.messages[0].prev, 0);
    cr_assert_eq(ready.messages[0].last, 3, "the second CFG entry is in the next message");
    hl_raft_fini(&raft);
}

Test(raft, a_follower_takes_no_proposals)
{
    alone(0, 0);
    struct hl_raft_event propose = {.type = HL_RAFT_ON_PROPOSE, .propose = {.count = 1}};
    struct hl_raft_ready ready;
    cr_assert_eq(hl_raft_step(&raft, &propose, &ready), HL_EBUSY);
    cr_assert_eq(hl_raft_last(&raft), 0);
    hl_raft_fini(&raft);
}
