/* What holders of leases may do beside ending them, and when a lease is one. */
#include "jobs_case.h"

TestSuite(jobs_leases, .init = setup, .fini = teardown);

static enum jobs_verdict progress(uint64_t seq, struct token token, int percent, const char *text)
{
    return jobs_progress(queue, &w.env, seq, view(&token), percent, hl_slice_of(text));
}

Test(jobs_leases, that_are_given_back_spend_no_attempt)
{
    uint64_t seq = push("a");
    uint64_t other = push("b");
    cr_assert_eq(pull(), seq);
    struct token token = token_of(seq);
    cr_assert_eq(jobs_release(queue, &w.env, seq, view(&token)), JOBS_OK);
    cr_assert_eq(state_of(seq), JOBS_READY);
    cr_assert_eq(jobs_release(queue, &w.env, seq, view(&token)), JOBS_LEASE_LOST);
    cr_assert_eq(pull(), other, "behind those that are ready already");
    cr_assert_eq(pull(), seq);
    cr_assert_eq(jobs_find(queue, seq)->attempts, 1);
    cr_assert_eq(queue->counters[JOBS_C_RELEASED], 1);
}

Test(jobs_leases, whose_connection_is_gone_are_over_at_once)
{
    uint64_t seq = push("a");
    pull();
    jobs_bind(queue, &w.env, seq);
    cr_assert(jobs_job_extra(jobs_find(queue, seq))->bound);
    struct token token = token_of(seq);
    cr_assert_eq(jobs_drop(queue, &w.env, seq, view(&token)), JOBS_OK);
    cr_assert_eq(state_of(seq), JOBS_READY, "no back-off: nobody works on it");
    cr_assert_eq(ack(seq, token), JOBS_LEASE_LOST);
    cr_assert_eq(jobs_drop(queue, &w.env, seq, view(&token)), JOBS_LEASE_LOST);
    for (int attempt = 2; attempt <= 3; attempt++) {
        cr_assert_eq(pull(), seq);
        cr_assert_not(jobs_job_extra(jobs_find(queue, seq))->bound, "each lease for itself");
        token = token_of(seq);
        cr_assert_eq(jobs_drop(queue, &w.env, seq, view(&token)), JOBS_OK);
    }
    cr_assert_eq(state_of(seq), JOBS_DEAD, "a job that kills its workers dies");
    cr_assert_eq(queue->counters[JOBS_C_LEASE_DROPPED], 3);
}

Test(jobs_leases, tell_how_far_their_holder_has_come)
{
    uint64_t seq = push("a");
    struct token none = {{0}};
    cr_assert_eq(progress(seq, none, 1, ""), JOBS_LEASE_LOST);
    pull();
    struct token token = token_of(seq);
    cr_assert_eq(progress(seq, token, 40, "two of five"), JOBS_OK);
    const struct jobs_job *job = jobs_find(queue, seq);
    cr_assert_eq(jobs_job_extra(job)->percent, 40);
    cr_assert(hl_slice_equal(jobs_progress_text(job), hl_slice_of("two of five")));
    cr_assert_eq(job->when.due_ms, T0 + 30000, "progress lengthens no lease");
    cr_assert_eq(nack(seq, token), JOBS_OK);
    cr_assert_eq(progress(seq, token, 50, ""), JOBS_LEASE_LOST);
    w.env.now_ms += 300000;
    cr_assert_eq(pull(), seq);
    cr_assert_eq(jobs_job_extra(jobs_find(queue, seq))->percent, 0, "each attempt begins anew");
    cr_assert_eq(progress(seq, token_of(seq), 100, ""), JOBS_OK);
    cr_assert_eq(ack(seq, token_of(seq)), JOBS_OK);
    cr_assert_eq(jobs_job_extra(jobs_find(queue, seq))->percent, 100, "kept with the result");
}

Test(jobs_leases, are_held_until_their_deadline_and_no_longer)
{
    uint64_t seq = push("a");
    struct token none = {{0}};
    cr_assert_not(jobs_holds(queue, &w.env, seq, view(&none)));
    pull();
    struct token token = token_of(seq);
    cr_assert(jobs_holds(queue, &w.env, seq, view(&token)));
    cr_assert_not(jobs_holds(queue, &w.env, seq, view(&none)));
    cr_assert_not(jobs_holds(queue, &w.env, seq + 1, view(&token)));
    w.env.now_ms += 29999;
    cr_assert(jobs_holds(queue, &w.env, seq, view(&token)));
    w.env.now_ms += 1;
    cr_assert_not(jobs_holds(queue, &w.env, seq, view(&token)));
}

/* In a transaction: whatever its commands do to the queue, time ends no lease in between. */
Test(jobs_leases, count_in_a_transaction_until_their_end_was_recorded)
{
    uint64_t seq = push("a");
    pull();
    struct token token = token_of(seq);
    w.env.now_ms += 1000000;
    w.env.frozen = true;
    push("b");
    cr_assert_neq(pull(), 0);
    cr_assert_eq(jobs_tick(queue, &w.env, 100), 0);
    cr_assert(jobs_holds(queue, &w.env, seq, view(&token)));
    cr_assert_eq(ack(seq, token), JOBS_OK);
    w.env.frozen = false;
    cr_assert_eq(state_of(seq), JOBS_DONE);
}

Test(jobs_leases, that_were_recorded_as_over_do_not_come_back_in_a_transaction)
{
    uint64_t seq = push("a");
    pull();
    struct token token = token_of(seq);
    w.env.now_ms += 30000;
    jobs_tick(queue, &w.env, 10);
    w.env.frozen = true;
    cr_assert_not(jobs_holds(queue, &w.env, seq, view(&token)));
    cr_assert_eq(ack(seq, token), JOBS_LEASE_LOST);
}

static uint64_t turned[64];
static size_t turns;

static void note_turn(void *ctx, uint64_t seq)
{
    cr_assert_eq(ctx, &w);
    cr_assert_lt(turns, HL_ARRAY_LEN(turned));
    turned[turns++] = seq;
}

/* What WATCH of a job's id rests on. */
Test(jobs_leases, tell_whenever_they_end)
{
    uint64_t a = push("a");
    uint64_t b = push("b");
    w.env.turned = note_turn;
    w.env.turned_ctx = &w;
    push("c");
    cr_assert_eq(pull(), a);
    struct token token = token_of(a);
    cr_assert_eq(progress(a, token, 5, ""), JOBS_OK);
    cr_assert_eq(jobs_extend(queue, &w.env, a, view(&token), 40000), JOBS_OK);
    cr_assert_eq(pull(), b);
    cr_assert_eq(turns, 0, "nobody has lost a lease");
    w.env.now_ms += 30000;
    jobs_tick(queue, &w.env, 10);
    cr_assert_eq(turns, 1);
    cr_assert_eq(turned[0], b, "its time is over");
    cr_assert_eq(ack(a, token), JOBS_OK);
    cr_assert_eq(ack(a, token), JOBS_OK);
    cr_assert_eq(turns, 2, "once, although it was said twice");
    cr_assert_eq(turned[1], a);
    w.env.now_ms += 300000;
    uint64_t c = pull();
    token = token_of(c);
    cr_assert_eq(jobs_release(queue, &w.env, c, view(&token)), JOBS_OK);
    cr_assert_eq(turned[turns - 1], c);
    cr_assert_eq(jobs_cancel(queue, &w.env, b), JOBS_OK);
    cr_assert_eq(turned[turns - 1], b);
}
