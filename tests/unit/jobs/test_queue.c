/* What a whole queue can be told, and what it tells: pause, drain, retention, redrive, its feed. */
#include "jobs_case.h"

#include <stdio.h>
#include <string.h>

TestSuite(jobs_queue, .init = setup, .fini = teardown);

/* Push, lease and fail a job for good or by all its attempts. */
static uint64_t bury(const char *payload, const char *error)
{
    struct jobs_options options = world_options();
    options.tries = 1;
    uint64_t seq = push_with(payload, options);
    cr_assert_eq(pull(), seq);
    struct token token = token_of(seq);
    struct jobs_nack how = {.error = hl_slice_of(error)};
    cr_assert_eq(jobs_nack(queue, &w.env, seq, view(&token), &how), JOBS_OK);
    cr_assert_eq(state_of(seq), JOBS_DEAD);
    return seq;
}

static uint64_t finish(const char *payload)
{
    uint64_t seq = push(payload);
    cr_assert_eq(pull(), seq);
    cr_assert_eq(ack(seq, token_of(seq)), JOBS_OK);
    return seq;
}

Test(jobs_queue, that_is_paused_gives_out_nothing_and_takes_everything)
{
    uint64_t seq = push("a");
    pull();
    cr_assert(jobs_set(queue, &w.env, JOBS_A_PAUSED, 1));
    cr_assert_not(jobs_set(queue, &w.env, JOBS_A_PAUSED, 1), "it was already");
    uint64_t next = push("b");
    cr_assert_eq(pull(), 0);
    cr_assert_eq(ack(seq, token_of(seq)), JOBS_OK);
    cr_assert(jobs_set(queue, &w.env, JOBS_A_PAUSED, 0));
    cr_assert_eq(pull(), next);
}

Test(jobs_queue, that_drains_takes_nothing_new_and_lets_the_rest_end)
{
    uint64_t seq = push("a");
    jobs_set(queue, &w.env, JOBS_A_DRAINING, 1);
    struct jobs_options options = world_options();
    uint64_t other = 0;
    bool duplicate = false;
    cr_assert_eq(jobs_push(queue, &w.env, hl_slice_of("b"), (struct hl_slice){0}, 0, &options,
                           &other, &duplicate),
                 JOBS_IS_DRAINING);
    cr_assert_eq(pull(), seq);
    cr_assert_eq(nack(seq, token_of(seq)), JOBS_OK);
    w.env.now_ms += 300000;
    cr_assert_eq(pull(), seq, "tried again");
    cr_assert_eq(ack(seq, token_of(seq)), JOBS_OK);
}

/* The job's own word counts before the queue's, and that before the setting. */
Test(jobs_queue, keeps_results_as_long_as_the_job_or_the_queue_or_the_setting_says)
{
    uint64_t plain = finish("setting");
    cr_assert_eq(jobs_find(queue, plain)->when.due_ms, T0 + 60000);
    jobs_set(queue, &w.env, JOBS_A_KEEP, 5000 - JOBS_KEEP_DEFAULT);
    uint64_t by_queue = finish("queue");
    cr_assert_eq(jobs_find(queue, by_queue)->when.due_ms, T0 + 5000);
    struct jobs_options options = world_options();
    options.has_keep = true;
    options.keep_ms = JOBS_KEEP_FOR_EVER;
    uint64_t by_job = push_with("job", options);
    pull();
    cr_assert_eq(ack(by_job, token_of(by_job)), JOBS_OK);
    cr_assert_eq(jobs_find(queue, by_job)->when.due_ms, 0);
    options.keep_ms = 0;
    uint64_t forgotten = push_with("job", options);
    pull();
    cr_assert_eq(ack(forgotten, token_of(forgotten)), JOBS_OK);
    cr_assert_null(jobs_find(queue, forgotten));
    jobs_set(queue, &w.env, JOBS_A_KEEP, 0);
    cr_assert_eq(jobs_find(queue, finish("setting"))->when.due_ms, T0 + 60000);
}

Test(jobs_queue, keeps_no_more_results_than_it_may)
{
    uint64_t first = push("old");
    pull();
    struct token token = token_of(first);
    for (int i = 0; i < 5; i++) {
        finish("a");
    }
    w.env.done_max = 3;
    uint64_t last = finish("b");
    cr_assert_eq(queue->count[JOBS_DONE], 4, "a few at a time");
    cr_assert_eq(ack(first, token), JOBS_OK);
    cr_assert_eq(queue->count[JOBS_DONE], 3);
    cr_assert_eq(state_of(first), JOBS_DONE, "the newest result stays, however old its job is");
    cr_assert_eq(state_of(last), JOBS_DONE);
}

Test(jobs_queue, tries_dead_jobs_again_that_failed_alike)
{
    uint64_t a = bury("a", "connection refused");
    uint64_t b = bury("b", "bad input");
    uint64_t c = bury("c", "connection reset");
    struct jobs_redrive which = {.states = JOBS_IN(JOBS_DEAD),
                                 .error = hl_slice_of("connection*"),
                                 .max = 10,
                                 .scan_max = 100,
                                 .bytes_max = 1000};
    uint64_t cursor = 0;
    size_t moved = 0;
    cr_assert_eq(jobs_redrive(queue, &w.env, NULL, NULL, &which, &cursor, &moved), JOBS_OK);
    cr_assert_eq(moved, 2);
    cr_assert_eq(cursor, 0);
    cr_assert_eq(state_of(b), JOBS_DEAD);
    cr_assert_eq(pull(), a);
    cr_assert_eq(pull(), c);
}

Test(jobs_queue, redrives_in_portions_that_a_cursor_goes_on_with)
{
    for (int i = 0; i < 5; i++) {
        bury("a", i % 2 == 0 ? "even" : "odd");
    }
    struct jobs_redrive which = {.states = JOBS_IN(JOBS_DEAD),
                                 .error = hl_slice_of("even"),
                                 .max = 10,
                                 .scan_max = 2,
                                 .bytes_max = 1000};
    uint64_t cursor = 0;
    size_t moved = 0;
    size_t total = 0;
    int calls = 0;
    do {
        cr_assert_eq(jobs_redrive(queue, &w.env, NULL, NULL, &which, &cursor, &moved), JOBS_OK);
        total += moved;
        calls++;
    } while (cursor != 0);
    cr_assert_eq(total, 3);
    cr_assert_eq(calls, 3);
}

Test(jobs_queue, moves_dead_jobs_to_another_queue_as_they_were_pushed)
{
    struct world other;
    world_init(&other, 5);
    struct jobs_queue *to = world_queue(&other);
    struct jobs_options options = world_options();
    options.tries = 1;
    options.pri = 7;
    options.vis_ms = 1234;
    options.scope = JOBS_UNTIL_END;
    options.unique = hl_slice_of("key");
    uint64_t seq = push_with("payload", options);
    pull();
    cr_assert_eq(nack(seq, token_of(seq)), JOBS_OK);
    uint64_t stays = bury("large", "boom");
    struct jobs_redrive which = {
        .states = JOBS_IN(JOBS_DEAD), .max = 10, .scan_max = 100, .bytes_max = 5};
    uint64_t cursor = 0;
    size_t moved = 0;
    cr_assert_eq(jobs_redrive(queue, &w.env, to, &other.env, &which, &cursor, &moved), JOBS_OK);
    cr_assert_eq(moved, 1, "one effect is only so large");
    cr_assert_eq(cursor, stays);
    cr_assert_null(jobs_find(queue, seq));
    const struct jobs_job *job = jobs_front(to);
    cr_assert(hl_slice_equal(jobs_payload(job), hl_slice_of("payload")));
    cr_assert(job->pri == 7 && job->vis_ms == 1234 && job->tries == 1 && job->attempts == 0);
    cr_assert_eq(jobs_unique_holder(to, hl_slice_of("key")), job->when.tie);
    jobs_set(to, &other.env, JOBS_A_DRAINING, 1);
    cr_assert_eq(jobs_redrive(queue, &w.env, to, &other.env, &which, &cursor, &moved),
                 JOBS_IS_DRAINING);
    cr_assert_eq(state_of(stays), JOBS_DEAD);
    cr_assert_null(jobs_check(to));
    jobs_destroy(to);
    world_fini(&other);
}

static const char *facts_from(uint64_t number)
{
    static char text[512];
    text[0] = '\0';
    for (uint64_t n = number; n < queue->feed.next; n++) {
        const struct jobs_fact *fact = jobs_feed_at(&queue->feed, n);
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s %llu %s;",
                 jobs_happening_name((enum jobs_happening)fact->what),
                 (unsigned long long)fact->seq, jobs_state_name((enum jobs_state)fact->state));
    }
    return text;
}

Test(jobs_queue, tells_what_happened_in_order)
{
    uint64_t seq = finish("a");
    cr_assert_eq(seq, 1);
    cr_assert_str_eq(facts_from(1), "enqueued 1 ready;dequeued 1 leased;acked 1 done;");
    uint64_t dead = bury("b", "boom");
    jobs_revive(queue, &w.env, dead);
    pull();
    w.env.now_ms += 30000;
    jobs_tick(queue, &w.env, 10);
    cr_assert_str_eq(facts_from(6), "nacked 2 dead;retried 2 ready;dequeued 2 leased;"
                                    "lease_expired 2 dead;");
}

Test(jobs_queue, tells_of_the_latest_only_and_counts_on)
{
    for (int i = 0; i < JOBS_FEED_MAX; i++) {
        finish("a");
    }
    cr_assert_eq(queue->feed.next, 3 * JOBS_FEED_MAX + 1);
    cr_assert_eq(jobs_feed_first(&queue->feed), 2 * JOBS_FEED_MAX + 1);
    cr_assert_eq(jobs_feed_at(&queue->feed, 3 * JOBS_FEED_MAX)->seq, JOBS_FEED_MAX);
}
