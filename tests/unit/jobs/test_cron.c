/* Goal: schedules push exactly one job for each of their times, whoever leads, and what was missed
 * as they were told; leader and follower hold the same. Method: a queue with a clock of our own and
 * a follower that only sees effects; tables, and a hundred thousand random steps. */
#include "jobs/cron.h"
#include "jobs/cron_expr.h"
#include "jobs_world.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static struct world w;
static struct jobs_queue *queue, *follower;
static bool zone_is_gone;

/* Without zones: test_cron_expr.c sees to them. */
static int64_t next_time(void *ctx, struct hl_slice cron, struct hl_slice zone, int64_t after_ms)
{
    (void)ctx;
    struct cron_expr expr;
    if (cron_parse(cron, &expr, NULL) != HL_OK || (zone.len != 0 && zone_is_gone)) {
        return 0;
    }
    return cron_next(&expr, NULL, after_ms / 1000) * 1000;
}

static void begin(void)
{
    world_init(&w, 9);
    w.env.cron_next = next_time;
    w.env.now_ms = T0 / DAY * DAY; /* midnight */
    w.env.done_keep_ms = -1;
    queue = world_queue(&w);
    follower = world_follower();
    zone_is_gone = false;
}

static void end(void)
{
    jobs_destroy(queue);
    jobs_destroy(follower);
    world_fini(&w);
}

TestSuite(cron, .init = begin, .fini = end);

/* What the leader said reaches the follower, and both are the same then. */
static void replicate(void)
{
    cr_assert_eq(jobs_apply_bytes(follower, hl_buf_view(&w.effects)), HL_OK);
    hl_buf_clear(&w.effects);
    struct hl_buf a = world_dump(queue);
    struct hl_buf b = world_dump(follower);
    cr_assert(hl_slice_equal(hl_buf_view(&a), hl_buf_view(&b)));
    hl_buf_fini(&a);
    hl_buf_fini(&b);
    cr_assert_null(jobs_check(queue), "%s", jobs_check(queue));
    cr_assert_null(jobs_check(follower), "%s", jobs_check(follower));
}

static enum jobs_verdict set(const char *name, const char *cron, enum jobs_misfire misfire)
{
    struct jobs_cron_def def = {.name = hl_slice_of(name),
                                .cron = hl_slice_of(cron),
                                .payload = hl_slice_of("do it"),
                                .misfire = misfire,
                                .options = world_options()};
    int64_t next_ms = 0;
    enum jobs_verdict verdict = jobs_cron_set(queue, &w.env, &def, &next_ms);
    if (verdict == JOBS_OK) {
        cr_assert_eq(next_ms, jobs_cron_find(queue, def.name)->when.due_ms);
    }
    return verdict;
}

static const struct jobs_schedule *get(const char *name)
{
    return jobs_cron_find(queue, hl_slice_of(name));
}

/* Go on to a time, in steps, as a timer would; jobs pushed meanwhile. */
static uint64_t go_to(int64_t at_ms, int64_t step_ms)
{
    uint64_t before = jobs_total(queue);
    while (w.env.now_ms < at_ms) {
        w.env.now_ms = w.env.now_ms + step_ms < at_ms ? w.env.now_ms + step_ms : at_ms;
        (void)jobs_tick(queue, &w.env, 1000);
    }
    return jobs_total(queue) - before;
}

Test(cron, a_job_is_pushed_at_each_time)
{
    int64_t midnight = w.env.now_ms;
    cr_assert_eq(set("hourly", "0 * * * *", JOBS_MISFIRE_ONE), JOBS_OK);
    cr_assert_eq(get("hourly")->when.due_ms, midnight + HOUR);
    cr_assert_eq(jobs_deadline(queue), midnight + HOUR);
    cr_assert_eq(go_to(midnight + HOUR - 1, 17000), 0);
    cr_assert_eq(go_to(midnight + HOUR, 1), 1);
    const struct jobs_job *job = jobs_front(queue);
    cr_assert(hl_slice_equal(jobs_payload(job), hl_slice_of("do it")));
    cr_assert_eq(job->vis_ms, world_options().vis_ms);
    cr_assert_eq(get("hourly")->last_seq, job->when.tie);
    cr_assert_eq(get("hourly")->last_ms, midnight + HOUR);
    cr_assert_eq(go_to(midnight + DAY, 31000), 23);
    cr_assert_eq(get("hourly")->runs, 24);
    cr_assert_eq(get("hourly")->skipped, 0);
    replicate();
}

Test(cron, push_and_next_time_are_one_effect)
{
    cr_assert_eq(set("a", "* * * * *", JOBS_MISFIRE_ONE), JOBS_OK);
    replicate();
    cr_assert_eq(go_to(w.env.now_ms + MINUTE, MINUTE), 1);
    replicate();
    /* The follower leads now, at the same moment and a little later. */
    struct hl_buf effects = {0};
    struct jobs_env env = w.env;
    env.effects = &effects;
    cr_assert_eq(jobs_tick(follower, &env, 100), 0);
    env.now_ms += MINUTE - 1;
    cr_assert_eq(jobs_tick(follower, &env, 100), 0);
    env.now_ms += 1;
    cr_assert_eq(jobs_tick(follower, &env, 100), 1);
    cr_assert_eq(jobs_total(follower), 2);
    hl_buf_fini(&effects);
}

Test(cron, a_clock_that_steps_back_repeats_no_run)
{
    int64_t midnight = w.env.now_ms;
    cr_assert_eq(set("a", "*/5 * * * *", JOBS_MISFIRE_ONE), JOBS_OK);
    cr_assert_eq(go_to(midnight + 10 * MINUTE, MINUTE), 2);
    w.env.now_ms = midnight + 2 * MINUTE;
    cr_assert_eq(go_to(midnight + 14 * MINUTE, MINUTE), 0);
    w.env.now_ms = midnight + 2 * MINUTE;
    /* Made anew it has its times again; what ran lately does not run twice all the same. */
    cr_assert_eq(set("a", "*/5 * * * *", JOBS_MISFIRE_ONE), JOBS_OK);
    cr_assert_eq(go_to(midnight + 10 * MINUTE, MINUTE), 0);
    cr_assert_eq(get("a")->skipped, 2);
    cr_assert_eq(go_to(midnight + 15 * MINUTE, MINUTE), 1);
    replicate();
}

Test(cron, what_was_missed_is_made_up_for_as_told)
{
    static const struct {
        enum jobs_misfire misfire;
        uint64_t pushed, skipped;
    } rows[] = {{JOBS_MISFIRE_ONE, 1, 0}, {JOBS_MISFIRE_SKIP, 0, 1}, {JOBS_MISFIRE_ALL, 36, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t now_ms = w.env.now_ms;
        cr_assert_eq(set("a", "*/10 * * * *", rows[i].misfire), JOBS_OK);
        uint64_t skipped = get("a")->skipped;
        cr_assert_eq(go_to(now_ms + 6 * HOUR + 5 * MINUTE, 6 * HOUR + 5 * MINUTE), rows[i].pushed);
        cr_assert_eq(get("a")->skipped - skipped, rows[i].skipped);
        cr_assert_eq(get("a")->when.due_ms, now_ms + 6 * HOUR + 10 * MINUTE);
        cr_assert_eq(go_to(now_ms + 6 * HOUR + 10 * MINUTE, MINUTE), 1, "and on as before");
        go_to(now_ms + DAY, MINUTE);
        replicate();
    }
}

Test(cron, a_little_late_is_not_missed)
{
    int64_t midnight = w.env.now_ms;
    cr_assert_eq(set("a", "0 * * * *", JOBS_MISFIRE_SKIP), JOBS_OK);
    cr_assert_eq(go_to(midnight + HOUR + JOBS_CRON_LATE_MS, DAY), 1);
    cr_assert_eq(go_to(midnight + 2 * HOUR + JOBS_CRON_LATE_MS + 1, DAY), 0);
}

Test(cron, making_up_is_bounded)
{
    int64_t midnight = w.env.now_ms;
    cr_assert_eq(set("a", "* * * * * *", JOBS_MISFIRE_ALL), JOBS_OK);
    /* Those of the last minute are not late. */
    uint64_t pushed = go_to(midnight + 30 * DAY, 30 * DAY);
    cr_assert_leq(pushed, JOBS_CRON_BURST_MAX + JOBS_CRON_LATE_MS / 1000 + 1);
    cr_assert_geq(pushed, JOBS_CRON_BURST_MAX);
    cr_assert_gt(get("a")->when.due_ms, w.env.now_ms);
    cr_assert_eq(go_to(w.env.now_ms + 10000, 500), 10);
    cr_assert_eq(get("a")->burst, 0, "there is room for another time");
    replicate();
}

Test(cron, a_paused_schedule_rests_and_goes_on_from_now)
{
    struct hl_slice name = hl_slice_of("a");
    cr_assert_eq(set("a", "0 * * * *", JOBS_MISFIRE_ALL), JOBS_OK);
    cr_assert_eq(jobs_cron_pause(queue, &w.env, name, false), JOBS_WRONG_STATE);
    cr_assert_eq(jobs_cron_pause(queue, &w.env, name, true), JOBS_OK);
    cr_assert_eq(jobs_cron_pause(queue, &w.env, name, true), JOBS_WRONG_STATE);
    cr_assert_eq(jobs_deadline(queue), 0);
    cr_assert_eq(go_to(w.env.now_ms + DAY, HOUR), 0);
    cr_assert_eq(set("a", "30 * * * *", JOBS_MISFIRE_ALL), JOBS_OK, "it stays paused");
    cr_assert_eq(go_to(w.env.now_ms + DAY, HOUR), 0);
    replicate();
    cr_assert_eq(jobs_cron_pause(queue, &w.env, name, false), JOBS_OK);
    cr_assert_eq(get("a")->when.due_ms, w.env.now_ms + HOUR / 2);
    cr_assert_eq(go_to(w.env.now_ms + HOUR / 2, MINUTE), 1);
    replicate();
}

Test(cron, a_run_by_hand_changes_no_time)
{
    struct hl_slice name = hl_slice_of("a");
    uint64_t seq = 0;
    bool duplicate = false;
    cr_assert_eq(jobs_cron_run(queue, &w.env, name, &seq, &duplicate), JOBS_NO_JOB);
    cr_assert_eq(set("a", "0 * * * *", JOBS_MISFIRE_ONE), JOBS_OK);
    int64_t next_ms = get("a")->when.due_ms;
    for (int i = 1; i <= 3; i++) {
        cr_assert_eq(jobs_cron_run(queue, &w.env, name, &seq, &duplicate), JOBS_OK);
        cr_assert(!duplicate);
        cr_assert_eq(jobs_total(queue), (uint64_t)i);
        cr_assert_eq(get("a")->last_seq, seq);
        cr_assert_eq(get("a")->when.due_ms, next_ms);
    }
    cr_assert_eq(jobs_cron_pause(queue, &w.env, name, true), JOBS_OK);
    cr_assert_eq(jobs_cron_run(queue, &w.env, name, &seq, &duplicate), JOBS_OK, "paused or not");
    cr_assert_eq(get("a")->when.due_ms, 0);
    replicate();
}

Test(cron, options_count_for_each_job)
{
    struct jobs_cron_def def = {.name = hl_slice_of("a"),
                                .cron = hl_slice_of("* * * * *"),
                                .payload = hl_slice_of("x"),
                                .options = world_options()};
    def.options.pri = 7;
    def.options.delay_ms = 5000;
    def.options.scope = JOBS_UNTIL_END;
    def.options.unique = hl_slice_of("only one");
    int64_t next_ms = 0;
    cr_assert_eq(jobs_cron_set(queue, &w.env, &def, &next_ms), JOBS_OK);
    cr_assert_eq(go_to(w.env.now_ms + 3 * MINUTE + 1000, MINUTE), 1, "the others were not unique");
    const struct jobs_job *job = jobs_next(queue, JOBS_ANY, 1);
    cr_assert_eq(job->pri, 7);
    cr_assert(hl_slice_equal(jobs_unique_key(job), hl_slice_of("only one")));
    cr_assert_eq(get("a")->runs, 1);
    cr_assert_eq(get("a")->skipped, 2);
    replicate();
}

Test(cron, a_queue_that_takes_no_jobs_skips_runs)
{
    cr_assert_eq(set("a", "* * * * *", JOBS_MISFIRE_ONE), JOBS_OK);
    cr_assert(jobs_set(queue, &w.env, JOBS_A_DRAINING, 1));
    cr_assert_eq(go_to(w.env.now_ms + 3 * MINUTE, MINUTE), 0);
    cr_assert_eq(get("a")->skipped, 3);
    replicate();
}

Test(cron, nothing_runs_inside_a_transaction)
{
    cr_assert_eq(set("a", "* * * * *", JOBS_MISFIRE_ONE), JOBS_OK);
    w.env.frozen = true;
    cr_assert_eq(go_to(w.env.now_ms + 3 * MINUTE, MINUTE), 0);
    w.env.frozen = false;
    (void)jobs_tick(queue, &w.env, 100);
    cr_assert_geq(jobs_total(queue), 1);
    replicate();
}

Test(cron, a_schedule_whose_zone_is_gone_rests_until_it_is_back)
{
    struct jobs_cron_def def = {.name = hl_slice_of("a"),
                                .cron = hl_slice_of("* * * * *"),
                                .zone = hl_slice_of("Europe/Berlin"),
                                .payload = hl_slice_of("x"),
                                .options = world_options()};
    int64_t next_ms = 0;
    cr_assert_eq(jobs_cron_set(queue, &w.env, &def, &next_ms), JOBS_OK);
    zone_is_gone = true;
    cr_assert_eq(go_to(w.env.now_ms + HOUR, MINUTE), 1, "the run that was known");
    cr_assert_eq(get("a")->when.due_ms, 0);
    cr_assert_eq(jobs_cron_set(queue, &w.env, &def, &next_ms), JOBS_WRONG_STATE);
    replicate();
    zone_is_gone = false;
    cr_assert_eq(jobs_cron_pause(queue, &w.env, def.name, false), JOBS_OK);
    cr_assert_eq(go_to(w.env.now_ms + 5 * MINUTE, MINUTE), 5);
    replicate();
}

Test(cron, there_is_a_bound_to_their_number)
{
    char name[32];
    for (int i = 0; i < JOBS_CRON_MAX; i++) {
        (void)snprintf(name, sizeof name, "s%d", (i * 7919) % JOBS_CRON_MAX);
        cr_assert_eq(set(name, "0 0 1 1 *", JOBS_MISFIRE_ONE), JOBS_OK);
    }
    cr_assert_eq(jobs_cron_count(queue), JOBS_CRON_MAX);
    cr_assert_eq(set("one more", "0 0 1 1 *", JOBS_MISFIRE_ONE), JOBS_FULL);
    cr_assert_eq(set("s0", "1 0 1 1 *", JOBS_MISFIRE_ONE), JOBS_OK, "those there may change");
    replicate();
    size_t seen = 0;
    const struct jobs_schedule *s = jobs_cron_after(queue, (struct hl_slice){0});
    for (; s != NULL; s = jobs_cron_after(queue, s->def.name)) {
        seen++;
    }
    cr_assert_eq(seen, JOBS_CRON_MAX);
}

Test(cron, what_never_fires_is_refused)
{
    cr_assert_eq(set("a", "0 0 30 2 *", JOBS_MISFIRE_ONE), JOBS_WRONG_STATE);
    cr_assert_null(get("a"));
    cr_assert_eq(jobs_cron_del(queue, &w.env, hl_slice_of("a")), JOBS_NO_JOB);
}

/* Cut and changed records are refused, or leave a queue that is sound. */
Test(cron, damaged_records_do_no_harm)
{
    cr_assert_eq(set("a", "* * * * *", JOBS_MISFIRE_ALL), JOBS_OK);
    cr_assert_eq(set("b", "* * * * *", JOBS_MISFIRE_ALL), JOBS_OK);
    go_to(w.env.now_ms + MINUTE, MINUTE);
    cr_assert_eq(jobs_cron_pause(queue, &w.env, hl_slice_of("b"), true), JOBS_OK);
    cr_assert_eq(jobs_cron_del(queue, &w.env, hl_slice_of("b")), JOBS_OK);
    struct hl_slice whole = hl_buf_view(&w.effects);
    struct jobs_queue *copy = world_follower();
    struct hl_slice rest = whole;
    while (rest.len != 0) {
        struct jobs_event event;
        cr_assert_eq(jobs_event_decode(&rest, &event), HL_OK);
        struct hl_slice record = event.text[T_CRON];
        for (size_t len = 0; event.kind == JOBS_EV_CRON && len < record.len; len++) {
            char *cut = hl_malloc(len + 1);
            memcpy(cut, record.ptr, len);
            cr_assert_neq(jobs_cron_apply(copy, (struct hl_slice){cut, len}), HL_OK);
            hl_free(cut);
        }
        for (int i = 0; event.kind == JOBS_EV_CRON && i < 3000; i++) {
            char *changed = hl_malloc(record.len);
            memcpy(changed, record.ptr, record.len);
            changed[world_draw(&w) % record.len] = (char)world_draw(&w);
            hl_err err = jobs_cron_apply(copy, (struct hl_slice){changed, record.len});
            cr_assert(err == HL_OK || err == HL_ECORRUPT || err == HL_EVERSION);
            cr_assert_null(jobs_cron_check(copy), "%s", jobs_cron_check(copy));
            hl_free(changed);
        }
        hl_err err = jobs_apply(copy, &event); /* by now it may not fit */
        cr_assert(err == HL_OK || err == HL_ECORRUPT);
    }
    jobs_destroy(copy);
    hl_buf_clear(&w.effects);
}

/* A hundred thousand steps against what the rules say of one schedule at a time: the number of its
 * runs, and equal bytes on both sides, through a snapshot now and then. */
Test(cron, any_history_leaves_both_sides_equal)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    static const char *const crons[] = {"* * * * *", "*/7 * * * *", "0 * * * *", "*/20 * * * * *"};
    for (int step = 0; step < 100000; step++) {
        const char *name = names[world_draw(&w) % 5];
        uint64_t what = world_draw(&w) % 20;
        uint64_t seq = 0;
        bool duplicate = false;
        if (what < 2) {
            (void)set(name, crons[world_draw(&w) % 4], (enum jobs_misfire)(world_draw(&w) % 3));
        } else if (what == 2) {
            (void)jobs_cron_del(queue, &w.env, hl_slice_of(name));
        } else if (what < 5) {
            (void)jobs_cron_pause(queue, &w.env, hl_slice_of(name), what == 3);
        } else if (what == 5) {
            (void)jobs_cron_run(queue, &w.env, hl_slice_of(name), &seq, &duplicate);
        } else if (what == 6) {
            (void)jobs_purge(queue, &w.env, JOBS_ANY, 1000);
        } else {
            w.env.now_ms += (int64_t)(world_draw(&w) % (what == 7 ? 600000 : 20000));
            (void)jobs_tick(queue, &w.env, world_draw(&w) % 100);
            cr_assert(jobs_cron_deadline(queue) == 0 || jobs_cron_deadline(queue) > 0);
        }
        if (step % 500 == 0) {
            replicate();
        }
        if (step % 10000 == 0) { /* a new follower from a snapshot */
            struct hl_buf dump = world_dump(queue);
            jobs_destroy(follower);
            follower = world_follower();
            cr_assert_eq(jobs_apply_bytes(follower, hl_buf_view(&dump)), HL_OK);
            hl_buf_fini(&dump);
        }
    }
    replicate();
}
