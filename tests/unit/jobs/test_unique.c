/* Unique keys: at most one job that is still to be done, for as long as was agreed. */
#include "jobs_case.h"

TestSuite(jobs_unique, .init = setup, .fini = teardown);

static uint64_t push_key(const char *key, enum jobs_scope scope, bool *duplicate)
{
    struct jobs_options options = world_options();
    options.scope = scope;
    options.unique = hl_slice_of(key);
    uint64_t seq = 0;
    cr_assert_eq(jobs_push(queue, &w.env, hl_slice_of("p"), (struct hl_slice){0}, 0, &options, &seq,
                           duplicate),
                 JOBS_OK);
    return seq;
}

/* The number of a job that was added, 0 when the key was taken. */
static uint64_t added(const char *key, enum jobs_scope scope)
{
    bool duplicate = false;
    uint64_t seq = push_key(key, scope, &duplicate);
    return duplicate ? 0 : seq;
}

Test(jobs_unique, a_second_job_is_the_first_one)
{
    bool duplicate = false;
    uint64_t seq = push_key("k", JOBS_UNTIL_END, &duplicate);
    cr_assert_not(duplicate);
    cr_assert_eq(push_key("k", JOBS_UNTIL_END, &duplicate), seq);
    cr_assert(duplicate);
    cr_assert_neq(added("other", JOBS_UNTIL_END), 0);
    cr_assert_eq(jobs_total(queue), 2);
}

Test(jobs_unique, until_the_start_is_until_the_first_lease)
{
    uint64_t seq = added("k", JOBS_UNTIL_START);
    cr_assert_eq(added("k", JOBS_UNTIL_START), 0);
    cr_assert_eq(pull(), seq);
    uint64_t second = added("k", JOBS_UNTIL_START);
    cr_assert_neq(second, 0, "what is begun may be begun again");
    struct token token = token_of(seq);
    cr_assert_eq(jobs_release(queue, &w.env, seq, view(&token)), JOBS_OK);
    cr_assert_eq(jobs_unique_holder(queue, hl_slice_of("k")), second);
}

Test(jobs_unique, until_the_end_spans_retries_and_all_ends)
{
    uint64_t seq = added("k", JOBS_UNTIL_END);
    for (int attempt = 1; attempt <= 3; attempt++) {
        cr_assert_eq(added("k", JOBS_UNTIL_END), 0);
        w.env.now_ms += 300000;
        cr_assert_eq(pull(), seq);
        cr_assert_eq(nack(seq, token_of(seq)), JOBS_OK);
    }
    cr_assert_eq(state_of(seq), JOBS_DEAD);
    uint64_t next = added("k", JOBS_UNTIL_END);
    cr_assert_neq(next, 0);
    cr_assert_eq(jobs_revive(queue, &w.env, seq), JOBS_KEY_TAKEN);
    cr_assert_eq(jobs_cancel(queue, &w.env, next), JOBS_OK);
    cr_assert_eq(jobs_revive(queue, &w.env, seq), JOBS_OK);
    cr_assert_eq(added("k", JOBS_UNTIL_END), 0, "the revived job has its key again");
}

Test(jobs_unique, until_done_a_dead_job_still_holds)
{
    uint64_t seq = added("k", JOBS_UNTIL_DONE);
    for (int attempt = 1; attempt <= 3; attempt++) {
        w.env.now_ms += 300000;
        pull();
        cr_assert_eq(nack(seq, token_of(seq)), JOBS_OK);
    }
    cr_assert_eq(state_of(seq), JOBS_DEAD);
    cr_assert_eq(added("k", JOBS_UNTIL_DONE), 0);
    cr_assert_eq(jobs_revive(queue, &w.env, seq), JOBS_OK);
    pull();
    cr_assert_eq(ack(seq, token_of(seq)), JOBS_OK);
    cr_assert_neq(added("k", JOBS_UNTIL_DONE), 0);
}

Test(jobs_unique, a_job_that_is_removed_holds_nothing)
{
    added("k", JOBS_UNTIL_DONE);
    cr_assert_eq(jobs_purge(queue, &w.env, JOBS_ANY, 10), 1);
    cr_assert_neq(added("k", JOBS_UNTIL_DONE), 0);
}

Test(jobs_unique, a_dedup_id_and_a_key_both_keep_away)
{
    struct jobs_options options = world_options();
    options.scope = JOBS_UNTIL_END;
    options.unique = hl_slice_of("k");
    uint64_t seq = 0;
    uint64_t again = 0;
    bool duplicate = false;
    struct hl_slice id = hl_slice_of("order-1");
    cr_assert_eq(jobs_push(queue, &w.env, hl_slice_of("p"), id, 1000, &options, &seq, &duplicate),
                 JOBS_OK);
    cr_assert_eq(jobs_push(queue, &w.env, hl_slice_of("p"), hl_slice_of("order-2"), 1000, &options,
                           &again, &duplicate),
                 JOBS_OK);
    cr_assert(duplicate && again == seq, "another id, the same key");
    cr_assert_eq(jobs_cancel(queue, &w.env, seq), JOBS_OK);
    cr_assert_eq(jobs_push(queue, &w.env, hl_slice_of("p"), id, 1000, &options, &again, &duplicate),
                 JOBS_OK);
    cr_assert(duplicate && again == seq, "the key is free, the id is not");
    cr_assert_eq(jobs_push(queue, &w.env, hl_slice_of("p"), hl_slice_of("order-2"), 1000, &options,
                           &again, &duplicate),
                 JOBS_OK);
    cr_assert_not(duplicate, "a duplicate by its key has used no id");
}
