/* What each command promises, one sentence a test. */
#include "jobs_case.h"

#include <stdio.h>

TestSuite(jobs, .init = setup, .fini = teardown);

Test(jobs, are_pulled_in_the_order_of_their_pushes)
{
    uint64_t a = push("a");
    uint64_t b = push("b");
    cr_assert_eq(pull(), a);
    cr_assert_eq(pull(), b);
    cr_assert_eq(pull(), 0);
}

Test(jobs, of_higher_priority_go_first)
{
    struct jobs_options options = world_options();
    uint64_t low = push("low");
    options.pri = 5;
    uint64_t high = push_with("high", options);
    options.pri = -128;
    uint64_t least = push_with("least", options);
    cr_assert_eq(pull(), high);
    cr_assert_eq(pull(), low);
    cr_assert_eq(pull(), least);
}

Test(jobs, wait_until_their_delay_is_over)
{
    struct jobs_options options = world_options();
    options.delay_ms = 1000;
    uint64_t late = push_with("late", options);
    w.env.now_ms = T0 + 999;
    cr_assert_eq(pull(), 0);
    w.env.now_ms = T0 + 1000;
    cr_assert_eq(pull(), late);
}

Test(jobs, are_done_after_ack_and_keep_their_result)
{
    uint64_t seq = push("a");
    pull();
    struct token token = token_of(seq);
    cr_assert_eq(ack(seq, token), JOBS_OK);
    cr_assert_eq(state_of(seq), JOBS_DONE);
    cr_assert(hl_slice_equal(jobs_note_text(jobs_find(queue, seq)), hl_slice_of("result")));
    cr_assert_eq(ack(seq, token), JOBS_OK, "a second ACK under the token is harmless");
    w.env.now_ms += 60000;
    jobs_tick(queue, &w.env, 10);
    cr_assert_null(jobs_find(queue, seq), "the retention is over");
    cr_assert_eq(ack(seq, token), JOBS_NO_JOB);
}

Test(jobs, are_not_kept_when_nothing_is_to_be_kept)
{
    w.env.done_keep_ms = 0;
    uint64_t seq = push("a");
    pull();
    cr_assert_eq(ack(seq, token_of(seq)), JOBS_OK);
    cr_assert_null(jobs_find(queue, seq));
    cr_assert_eq(jobs_total(queue), 0);
}

Test(jobs, refuse_a_stale_token)
{
    uint64_t seq = push("a");
    pull();
    struct token old = token_of(seq);
    w.env.now_ms += 30000;
    jobs_tick(queue, &w.env, 10);
    w.env.now_ms += 1000;
    cr_assert_eq(pull(), seq);
    struct token now = token_of(seq);
    cr_assert(memcmp(old.bytes, now.bytes, JOBS_TOKEN_LEN) != 0);
    cr_assert_eq(ack(seq, old), JOBS_LEASE_LOST);
    cr_assert_eq(nack(seq, old), JOBS_LEASE_LOST);
    cr_assert_eq(jobs_extend(queue, &w.env, seq, view(&old), 5), JOBS_LEASE_LOST);
    cr_assert_eq(ack(seq, now), JOBS_OK);
    cr_assert_eq(ack(seq, old), JOBS_LEASE_LOST);
}

Test(jobs, are_lost_to_their_worker_at_the_deadline_even_if_no_timer_ran)
{
    uint64_t seq = push("a");
    pull();
    struct token token = token_of(seq);
    w.env.now_ms += 30000;
    cr_assert_eq(ack(seq, token), JOBS_LEASE_LOST);
    cr_assert_eq(state_of(seq), JOBS_SCHEDULED);
}

Test(jobs, are_lost_at_the_deadline_however_many_others_are)
{
    uint64_t seqs[JOBS_TICK_COMMAND * 3];
    for (size_t i = 0; i < HL_ARRAY_LEN(seqs); i++) {
        push("a");
    }
    cr_assert_eq(jobs_pull(queue, &w.env, (struct hl_slice){0}, seqs, HL_ARRAY_LEN(seqs)),
                 HL_ARRAY_LEN(seqs));
    uint64_t last = seqs[HL_ARRAY_LEN(seqs) - 1];
    struct token token = token_of(last);
    w.env.now_ms += 30000;
    cr_assert_eq(ack(last, token), JOBS_LEASE_LOST);
    cr_assert_eq(state_of(last), JOBS_SCHEDULED);
}

Test(jobs, remember_when_they_last_changed)
{
    uint64_t seq = push("a");
    w.env.now_ms += 5;
    pull();
    cr_assert_eq(jobs_find(queue, seq)->created_ms, T0);
    cr_assert_eq(jobs_find(queue, seq)->changed_ms, T0 + 5);
    struct token token = token_of(seq);
    w.env.now_ms += 5;
    cr_assert_eq(jobs_extend(queue, &w.env, seq, view(&token), 50), JOBS_OK);
    cr_assert_eq(jobs_find(queue, seq)->changed_ms, T0 + 10);
    w.env.now_ms += 5;
    cr_assert_eq(ack(seq, token), JOBS_OK);
    cr_assert_eq(jobs_find(queue, seq)->changed_ms, T0 + 15);
}

Test(jobs, live_longer_when_extended)
{
    uint64_t seq = push("a");
    pull();
    struct token token = token_of(seq);
    w.env.now_ms += 29999;
    cr_assert_eq(jobs_extend(queue, &w.env, seq, view(&token), 30000), JOBS_OK);
    w.env.now_ms += 29999;
    cr_assert_eq(ack(seq, token), JOBS_OK);
}

Test(jobs, die_when_their_attempts_are_spent)
{
    uint64_t seq = push("a");
    for (int attempt = 1; attempt <= 3; attempt++) {
        w.env.now_ms += 300000;
        cr_assert_eq(pull(), seq);
        cr_assert_eq(jobs_find(queue, seq)->attempts, attempt);
        cr_assert_eq(nack(seq, token_of(seq)), JOBS_OK);
    }
    cr_assert_eq(state_of(seq), JOBS_DEAD);
    w.env.now_ms += 300000;
    cr_assert_eq(pull(), 0);
    cr_assert_eq(jobs_revive(queue, &w.env, seq), JOBS_OK);
    cr_assert_eq(pull(), seq);
    cr_assert_eq(jobs_find(queue, seq)->attempts, 1);
}

Test(jobs, die_by_lease_expiry_alone_after_the_last_attempt)
{
    uint64_t seq = push("a");
    for (int attempt = 1; attempt <= 3; attempt++) {
        w.env.now_ms += 300000;
        cr_assert_eq(pull(), seq);
        w.env.now_ms += 30000;
        jobs_tick(queue, &w.env, 10);
    }
    cr_assert_eq(state_of(seq), JOBS_DEAD);
    cr_assert_eq(queue->counters[JOBS_C_LEASE_EXPIRED], 3);
}

Test(jobs, fail_for_good_when_the_worker_says_so)
{
    uint64_t seq = push("a");
    pull();
    struct token token = token_of(seq);
    struct jobs_nack how = {.error = hl_slice_of("bad input"), .permanent = true};
    cr_assert_eq(jobs_nack(queue, &w.env, seq, view(&token), &how), JOBS_OK);
    cr_assert_eq(state_of(seq), JOBS_FAILED);
}

Test(jobs, back_off_twice_as_long_each_time_up_to_the_cap)
{
    struct jobs_options options = world_options();
    options.tries = 9;
    options.base_ms = 1000;
    options.cap_ms = 5000;
    uint64_t seq = push_with("a", options);
    const int64_t pauses[] = {1000, 2000, 4000, 5000, 5000};
    for (size_t i = 0; i < HL_ARRAY_LEN(pauses); i++) {
        cr_assert_eq(pull(), seq);
        cr_assert_eq(nack(seq, token_of(seq)), JOBS_OK);
        cr_assert_eq(jobs_find(queue, seq)->when.due_ms - w.env.now_ms, pauses[i]);
        w.env.now_ms += pauses[i];
    }
}

Test(jobs, back_off_the_same_each_time_when_fixed)
{
    struct jobs_options options = world_options();
    options.backoff = JOBS_FIXED;
    options.base_ms = 700;
    uint64_t seq = push_with("a", options);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pull(), seq);
        cr_assert_eq(nack(seq, token_of(seq)), JOBS_OK);
        cr_assert_eq(jobs_find(queue, seq)->when.due_ms - w.env.now_ms, 700);
        w.env.now_ms += 700;
    }
}

Test(jobs, jitter_only_shortens_the_pause_and_by_no_more_than_it_may)
{
    struct jobs_options options = world_options();
    options.jitter = 25;
    options.tries = JOBS_TRIES_MAX;
    options.backoff = JOBS_FIXED;
    uint64_t seq = push_with("a", options);
    int64_t least = INT64_MAX;
    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(pull(), seq);
        cr_assert_eq(nack(seq, token_of(seq)), JOBS_OK);
        int64_t pause = jobs_find(queue, seq)->when.due_ms - w.env.now_ms;
        cr_assert(pause >= 750 && pause <= 1000);
        least = pause < least ? pause : least;
        w.env.now_ms += 1000;
    }
    cr_assert_lt(least, 800, "chance must matter");
}

Test(jobs, retry_at_once_or_later_as_the_worker_asks)
{
    uint64_t seq = push("a");
    pull();
    struct token token = token_of(seq);
    struct jobs_nack how = {.delay_ms = 0};
    cr_assert_eq(jobs_nack(queue, &w.env, seq, view(&token), &how), JOBS_OK);
    cr_assert_eq(pull(), seq);
    token = token_of(seq);
    how.delay_ms = 77;
    cr_assert_eq(jobs_nack(queue, &w.env, seq, view(&token), &how), JOBS_OK);
    cr_assert_eq(jobs_find(queue, seq)->when.due_ms, T0 + 77);
}

Test(jobs, with_a_used_dedup_id_are_not_added_within_the_window)
{
    bool duplicate = false;
    uint64_t seq = push_unique("order-1", 5000, &duplicate);
    cr_assert_not(duplicate);
    w.env.now_ms += 4999;
    cr_assert_eq(push_unique("order-1", 5000, &duplicate), seq);
    cr_assert(duplicate);
    cr_assert_neq(push_unique("order-2", 5000, &duplicate), seq);
    cr_assert_not(duplicate);
    w.env.now_ms += 1;
    cr_assert_neq(push_unique("order-1", 5000, &duplicate), seq);
    cr_assert_not(duplicate);
}

Test(jobs, cancelled_are_never_pulled_and_their_lease_is_lost)
{
    uint64_t a = push("a");
    uint64_t b = push("b");
    cr_assert_eq(jobs_cancel(queue, &w.env, b), JOBS_OK);
    cr_assert_eq(pull(), a);
    struct token token = token_of(a);
    cr_assert_eq(jobs_cancel(queue, &w.env, a), JOBS_OK);
    cr_assert_eq(ack(a, token), JOBS_LEASE_LOST);
    cr_assert_eq(pull(), 0);
    cr_assert_eq(jobs_cancel(queue, &w.env, a), JOBS_WRONG_STATE);
    cr_assert_eq(jobs_cancel(queue, &w.env, 99), JOBS_NO_JOB);
}

Test(jobs, not_begun_within_their_ttl_die)
{
    struct jobs_options options = world_options();
    options.ttl_ms = 1000;
    uint64_t seq = push_with("a", options);
    w.env.now_ms += 1000;
    cr_assert_eq(pull(), 0);
    cr_assert_eq(state_of(seq), JOBS_DEAD);
    cr_assert_eq(jobs_revive(queue, &w.env, seq), JOBS_OK);
    cr_assert_eq(pull(), seq, "revived without its TTL");
}

Test(jobs, fences_grow_with_every_delivery)
{
    uint64_t a = push("a");
    uint64_t b = push("b");
    pull();
    pull();
    cr_assert_lt(jobs_find(queue, a)->fence, jobs_find(queue, b)->fence);
    uint64_t fence = jobs_find(queue, b)->fence;
    struct token token = token_of(a);
    struct jobs_nack how = {.delay_ms = 0};
    cr_assert_eq(jobs_nack(queue, &w.env, a, view(&token), &how), JOBS_OK);
    pull();
    cr_assert_gt(jobs_find(queue, a)->fence, fence);
}

Test(jobs, purge_removes_no_more_than_asked_oldest_first)
{
    for (int i = 0; i < 10; i++) {
        push("a");
    }
    cr_assert_eq(jobs_purge(queue, &w.env, JOBS_FINISHED, 100), 0);
    cr_assert_eq(jobs_purge(queue, &w.env, JOBS_WAITING, 4), 4);
    cr_assert_eq(jobs_next(queue, JOBS_ANY, 0)->when.tie, 5);
    cr_assert_eq(jobs_purge(queue, &w.env, JOBS_ANY, 100), 6);
}

Test(jobs, a_clock_that_steps_back_ends_no_lease_and_starts_no_job)
{
    struct jobs_options options = world_options();
    options.delay_ms = 10;
    push_with("late", options);
    uint64_t seq = push("a");
    pull();
    w.env.now_ms = T0 - 1000000;
    cr_assert_eq(jobs_tick(queue, &w.env, 10), 0);
    cr_assert_eq(ack(seq, token_of(seq)), JOBS_OK);
}

Test(jobs, the_deadline_is_when_tick_has_something_to_do)
{
    cr_assert_eq(jobs_deadline(queue), 0);
    push("a");
    cr_assert_eq(jobs_deadline(queue), 0, "a ready job waits for no time");
    uint64_t seq = pull();
    cr_assert_eq(jobs_deadline(queue), T0 + 30000);
    cr_assert_eq(ack(seq, token_of(seq)), JOBS_OK);
    cr_assert_eq(jobs_deadline(queue), T0 + 60000, "the retention of the result");
}

Test(jobs, impossible_events_are_refused_and_change_nothing)
{
    uint64_t seq = push("a");
    struct hl_buf before = world_dump(queue);
    for (int kind = JOBS_EV_META; kind < JOBS_EV_KINDS; kind++) {
        struct jobs_event event = {.kind = (enum jobs_kind)kind};
        event.num[N_VERSION] = JOBS_FORMAT;
        event.num[N_SEQ] = kind == JOBS_EV_JOB ? (int64_t)seq : 77;
        event.num[N_TRIES] = 1;
        event.text[T_DEDUP] = hl_slice_of("unknown");
        if (kind == JOBS_EV_CLOCK || kind == JOBS_EV_COUNTER || kind == JOBS_EV_SET) {
            continue; /* always possible */
        }
        cr_assert_eq(jobs_apply(queue, &event), HL_ECORRUPT, "kind %d", kind);
    }
    struct hl_buf after = world_dump(queue);
    cr_assert(hl_slice_equal(hl_buf_view(&before), hl_buf_view(&after)));
    hl_buf_fini(&before);
    hl_buf_fini(&after);
}

Test(jobs, every_truncation_of_a_snapshot_is_refused_or_sound)
{
    bool duplicate = false;
    push_unique("order-1", 5000, &duplicate);
    push("b");
    pull();
    struct hl_buf dump = world_dump(queue);
    for (size_t len = 0; len < dump.len; len++) {
        struct jobs_queue *copy = world_follower();
        char *exact = hl_malloc(len);
        memcpy(exact, dump.ptr, len);
        hl_err err = jobs_apply_bytes(copy, (struct hl_slice){exact, len});
        HL_MAYBE(err == HL_OK); /* at the end of an event */
        cr_assert_null(jobs_check(copy));
        jobs_destroy(copy);
        hl_free(exact);
    }
    hl_buf_fini(&dump);
}

Test(jobs, a_million_of_them_are_no_burden)
{
    static char payload[101];
    memset(payload, 'x', 100);
    for (int i = 0; i < 1000000; i++) {
        push(payload);
        w.effects.len = 0;
    }
    size_t each = (jobs_bytes(queue) - sizeof *queue) / 1000000 - 100;
    printf("bytes per job beside its payload: %zu\n", each);
    cr_assert_lt(each, 120);
    cr_assert_neq(pull(), 0);
    struct hl_buf dump = world_dump(queue);
    struct jobs_queue *copy = world_follower();
    cr_assert_eq(jobs_apply_bytes(copy, hl_buf_view(&dump)), HL_OK);
    jobs_destroy(queue);
    queue = copy;
    w.effects.len = 0;
    hl_buf_append_slice(&w.effects, hl_buf_view(&dump)); /* for the teardown */
    hl_buf_fini(&dump);
}
