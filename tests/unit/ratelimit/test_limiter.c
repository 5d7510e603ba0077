/* Goal: the three algorithms give what their headers promise, at the edges too.
 *
 * Method: small stories with times as numbers, then a million random steps beside a judge that
 * knows only the promise: capacity and rate for bucket and gcra, a log of all that was allowed for
 * the window. */
#include "kit/assert.h"
#include "ratelimit/limiter.h"

#include <criterion/criterion.h>

#define T0 INT64_C(1700000000000)

static const struct limit three_each_second = {LIMIT_TOKEN, 3, 1, 1};

static struct limiter full(const struct limit *limit, int64_t now_ms)
{
    struct limiter limiter;
    cr_assert(limit_valid(limit));
    limiter_begin(&limiter, limit, now_ms);
    return limiter;
}

static bool take(struct limiter *limiter, int64_t want, int64_t now_ms)
{
    return limiter_take(limiter, want, now_ms).allowed;
}

/* How many of `polls` are allowed, `every_ms` apart, behind a drained limiter. */
static int allowed_of(struct limiter *limiter, int polls, int64_t every_ms)
{
    int allowed = 0;
    while (take(limiter, 1, T0)) {
    }
    for (int i = 1; i <= polls; i++) {
        allowed += take(limiter, 1, T0 + i * every_ms);
    }
    return allowed;
}

Test(limiter, a_drained_bucket_polled_often_still_gains)
{
    struct limiter l = full(&three_each_second, T0);
    int allowed = allowed_of(&l, 25, 200);
    cr_assert_eq(allowed, 5, "5 s at 1 each second, got %d", allowed);
    struct limit gcra = {LIMIT_GCRA, 3, 1, 1};
    l = full(&gcra, T0);
    cr_assert_eq(allowed_of(&l, 25, 200), 5);
}

Test(limiter, fractional_rates_are_exact)
{
    static const enum limit_algorithm kinds[] = {LIMIT_TOKEN, LIMIT_GCRA};
    for (size_t k = 0; k < HL_ARRAY_LEN(kinds); k++) {
        struct limit seven_in_three_s = {kinds[k], 1000, 7, 3};
        struct limiter l = full(&seven_in_three_s, T0);
        cr_assert(take(&l, 1000, T0));
        int64_t got = 0;
        for (int64_t ms = 1; ms <= 300000; ms++) {
            got += take(&l, 1, T0 + ms);
        }
        cr_assert_eq(got, 700, "%s: 7 in 3 s are 700 in 300 s, got %ld",
                     limit_algorithm_name(kinds[k]), (long)got);
    }
}

Test(limiter, retry_is_when_it_is_allowed_and_not_a_millisecond_before)
{
    static const struct limit limits[] = {
        {LIMIT_TOKEN, 10, 3, 7},
        {LIMIT_GCRA, 10, 3, 7},
        {LIMIT_WINDOW, 10, 7001, 1},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(limits); i++) {
        for (int64_t want = 1; want <= 10; want++) {
            struct limiter l = full(&limits[i], T0);
            cr_assert(take(&l, 5, T0));
            cr_assert(take(&l, 5, T0 + 100));
            struct limit_result r = limiter_take(&l, want, T0 + 101);
            cr_assert_not(r.allowed);
            cr_assert_gt(r.retry_ms, 0);
            struct limiter early = l;
            cr_assert_not(take(&early, want, T0 + 101 + r.retry_ms - 1), "%zu %ld", i, (long)want);
            cr_assert(take(&l, want, T0 + 101 + r.retry_ms), "%zu %ld", i, (long)want);
        }
    }
}

Test(limiter, reset_is_when_all_is_there_again)
{
    static const struct limit limits[] = {
        {LIMIT_TOKEN, 10, 3, 7},
        {LIMIT_GCRA, 10, 3, 7},
        {LIMIT_WINDOW, 10, 7001, 1},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(limits); i++) {
        struct limiter l = full(&limits[i], T0);
        int64_t reset_ms = limiter_take(&l, 7, T0).reset_ms;
        cr_assert_gt(reset_ms, 0);
        cr_assert_neq(limiter_used(&l, T0 + reset_ms - 1), 0, "%zu", i);
        cr_assert_eq(limiter_used(&l, T0 + reset_ms), 0, "%zu", i);
        cr_assert_eq(limiter_take(&l, 0, T0 + reset_ms).reset_ms, 0);
        cr_assert(take(&l, 10, T0 + reset_ms));
    }
}

Test(limiter, more_than_the_capacity_is_never_allowed)
{
    static const struct limit limits[] = {
        {LIMIT_TOKEN, 3, 1, 1}, {LIMIT_GCRA, 3, 1, 1}, {LIMIT_WINDOW, 3, 1000, 1}};
    for (size_t i = 0; i < HL_ARRAY_LEN(limits); i++) {
        struct limiter l = full(&limits[i], T0);
        struct limit_result r = limiter_take(&l, 4, T0);
        cr_assert_not(r.allowed);
        cr_assert_eq(r.retry_ms, LIMIT_NEVER);
        cr_assert_eq(r.remaining, 3);
        r = limiter_take(&l, INT64_MAX, T0);
        cr_assert_eq(r.retry_ms, LIMIT_NEVER);
        cr_assert(take(&l, 3, T0), "nothing was taken");
    }
}

Test(limiter, asking_for_nothing_is_always_allowed_and_takes_nothing)
{
    struct limiter l = full(&three_each_second, T0);
    cr_assert(take(&l, 3, T0));
    struct limit_result r = limiter_take(&l, 0, T0);
    cr_assert(r.allowed);
    cr_assert_eq(r.remaining, 0);
    cr_assert_eq(r.reset_ms, 3000);
}

Test(limiter, a_clock_that_steps_back_gives_nothing_and_loses_nothing)
{
    static const struct limit limits[] = {
        {LIMIT_TOKEN, 3, 1, 1}, {LIMIT_GCRA, 3, 1, 1}, {LIMIT_WINDOW, 3, 3000, 1}};
    for (size_t i = 0; i < HL_ARRAY_LEN(limits); i++) {
        struct limiter l = full(&limits[i], T0);
        cr_assert(take(&l, 3, T0));
        for (int64_t back = 1; back < 100000; back *= 7) {
            cr_assert_not(take(&l, 1, T0 - back));
            cr_assert_eq(l.latest_ms, T0);
        }
        cr_assert_not(take(&l, 1, 0));
        cr_assert(take(&l, 3, T0 + 3094), "%zu", i);
    }
}

Test(limiter, the_edges_of_what_is_valid_do_not_overflow)
{
    static const struct limit limits[] = {
        {LIMIT_TOKEN, LIMIT_CAPACITY_MAX, LIMIT_RATE_MAX, 1},
        {LIMIT_TOKEN, LIMIT_CAPACITY_MAX, 625, 1},
        {LIMIT_TOKEN, 1, 1, LIMIT_RATE_MAX},
        {LIMIT_GCRA, LIMIT_CAPACITY_MAX, LIMIT_RATE_MAX, 1},
        {LIMIT_GCRA, 1, LIMIT_RATE_MAX, LIMIT_SPAN_MAX_MS * NS_PER_MS},
        {LIMIT_WINDOW, LIMIT_WINDOW_CAPACITY_MAX, LIMIT_SPAN_MAX_MS, 1},
        {LIMIT_WINDOW, 1, 1, 1},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(limits); i++) {
        const struct limit *limit = &limits[i];
        struct limiter l = full(limit, 0);
        cr_assert(take(&l, limit->capacity, 0), "%zu", i);
        cr_assert_not(take(&l, limit->capacity, 0), "%zu", i);
        cr_assert_geq(limiter_take(&l, 1, LIMIT_NOW_MAX_MS).remaining, 0);
        l = full(limit, LIMIT_NOW_MAX_MS);
        cr_assert(take(&l, limit->capacity, LIMIT_NOW_MAX_MS));
        cr_assert_eq(limiter_used(&l, LIMIT_NOW_MAX_MS), limit->capacity);
        cr_assert_eq(limiter_refund(&l, INT64_MAX, LIMIT_NOW_MAX_MS), limit->capacity);
        unsigned char bytes[LIMITER_BYTES_MAX];
        struct limiter again;
        size_t len = limiter_encode(&l, bytes);
        cr_assert_eq(limiter_decode(&again, (struct hl_slice){(char *)bytes, len}), HL_OK);
    }
}

Test(limiter, what_is_out_of_range_is_no_limit)
{
    static const struct limit limits[] = {
        {LIMIT_TOKEN, 0, 1, 1},
        {LIMIT_TOKEN, 1, 0, 1},
        {LIMIT_TOKEN, 1, 1, 0},
        {LIMIT_TOKEN, -1, 1, 1},
        {LIMIT_TOKEN, INT64_MAX, 1, 1},
        {LIMIT_TOKEN, LIMIT_CAPACITY_MAX, 1, 1}, /* 30000 years to fill */
        {LIMIT_TOKEN, 1, 1, LIMIT_RATE_MAX + 1},
        {LIMIT_GCRA, 1, 1, INT64_MAX},
        {LIMIT_GCRA, INT64_MAX, INT64_MAX, INT64_MAX},
        {LIMIT_WINDOW, 1, 1000, 2},
        {LIMIT_WINDOW, 1, 0, 1},
        {LIMIT_WINDOW, LIMIT_WINDOW_CAPACITY_MAX + 1, 1, 1},
        {(enum limit_algorithm)0, 1, 1, 1},
        {(enum limit_algorithm)4, 1, 1, 1},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(limits); i++) {
        cr_assert_not(limit_valid(&limits[i]), "%zu", i);
    }
}

Test(limiter, a_refund_gives_back_what_was_taken_and_no_more)
{
    static const struct limit limits[] = {
        {LIMIT_TOKEN, 10, 1, 1}, {LIMIT_GCRA, 10, 1, 1}, {LIMIT_WINDOW, 10, 10000, 1}};
    for (size_t i = 0; i < HL_ARRAY_LEN(limits); i++) {
        struct limiter l = full(&limits[i], T0);
        cr_assert_eq(limiter_refund(&l, 5, T0), 0);
        cr_assert(take(&l, 6, T0));
        cr_assert_eq(limiter_refund(&l, 2, T0), 2);
        cr_assert_eq(limiter_used(&l, T0), 4);
        cr_assert_eq(limiter_refund(&l, 100, T0), 4);
        cr_assert_eq(limiter_take(&l, 0, T0).remaining, 10);
    }
}

Test(limiter, a_changed_limit_keeps_what_was_taken)
{
    struct limiter l = full(&three_each_second, T0);
    cr_assert(take(&l, 3, T0));
    struct limit larger = {LIMIT_TOKEN, 10, 2, 1};
    limiter_adapt(&l, &larger, T0 + 500); /* half a token under the old rate stays half a token */
    cr_assert_eq(l.bucket.tokens, 0);
    cr_assert(take(&l, 1, T0 + 750));
    struct limit smaller = {LIMIT_TOKEN, 2, 2, 1};
    limiter_adapt(&l, &smaller, T0 + 60000);
    cr_assert_eq(limiter_take(&l, 0, T0 + 60000).remaining, 2);
    cr_assert(take(&l, 1, T0 + 60000));
    struct limit window = {LIMIT_WINDOW, 5, 1000, 1};
    limiter_adapt(&l, &window, T0 + 60000);
    cr_assert_eq(limiter_used(&l, T0 + 60000), 1);
    struct limit gcra = {LIMIT_GCRA, 1, 1, 1};
    limiter_adapt(&l, &gcra, T0 + 60000);
    cr_assert_not(take(&l, 1, T0 + 60000));
    cr_assert(take(&l, 1, T0 + 61000));
}

Test(limiter, a_changed_window_never_counts_less)
{
    struct limit ten = {LIMIT_WINDOW, 10, 1000, 1};
    struct limiter l = full(&ten, T0);
    cr_assert(take(&l, 8, T0));
    struct limit longer = {LIMIT_WINDOW, 10, 5000, 1};
    limiter_adapt(&l, &longer, T0 + 10);
    cr_assert_eq(limiter_used(&l, T0 + 10), 8);
    cr_assert_eq(limiter_used(&l, T0 + 5000), 8, "counted from the change");
}

/* ---- A million steps ------------------------------------------------------------------------ */

enum { STEPS = 1000000 };

static uint64_t seed = 1;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

/* Of bucket and gcra: what was allowed since the start is at most capacity plus what the rate
 * gives; tokens stay within the capacity; the bytes carry everything. */
static void judge_rate(const struct limit *limit)
{
    struct limiter l = full(limit, T0);
    int64_t now_ms = T0;
    int64_t latest_ms = T0;
    int64_t allowed = 0;
    for (int i = 0; i < STEPS; i++) {
        uint64_t kind = draw(100);
        int64_t step = kind < 60 ? (int64_t)draw(5) : (int64_t)draw(3000);
        now_ms += kind < 5 ? -step : step;
        latest_ms = now_ms > latest_ms ? now_ms : latest_ms;
        int64_t want = (int64_t)draw(4);
        struct limit_result r = limiter_take(&l, want, now_ms);
        allowed += r.allowed ? want : 0;
        rl_wide due = (rl_wide)(latest_ms - T0) * limit->num / ((rl_wide)1000 * limit->den);
        cr_assert(allowed <= limit->capacity + (int64_t)due, "step %d", i);
        cr_assert(r.remaining >= 0 && r.remaining <= limit->capacity, "step %d", i);
        if (i % 64 == 0) {
            unsigned char bytes[LIMITER_BYTES_MAX];
            size_t len = limiter_encode(&l, bytes);
            struct hl_slice slice = {(char *)bytes, len};
            cr_assert_eq(limiter_decode(&l, slice), HL_OK);
        }
    }
    cr_assert_gt(allowed, limit->capacity, "the judge saw nothing");
}

Test(limiter, never_exceeds_capacity_and_rate_in_a_million_steps)
{
    static const struct limit limits[] = {{LIMIT_TOKEN, 3, 1, 1},
                                          {LIMIT_TOKEN, 100, 7, 3},
                                          {LIMIT_GCRA, 5, 3, 7},
                                          {LIMIT_GCRA, 100, 1000000, 999983}};
    for (size_t i = 0; i < HL_ARRAY_LEN(limits); i++) {
        judge_rate(&limits[i]);
    }
}

Test(limiter, token_and_gcra_agree_when_the_interval_is_whole)
{
    struct limit bucket = {LIMIT_TOKEN, 20, 8, 1};
    struct limit gcra = {LIMIT_GCRA, 20, 8, 1};
    struct limiter a = full(&bucket, T0);
    struct limiter b = full(&gcra, T0);
    int64_t now_ms = T0;
    for (int i = 0; i < STEPS; i++) {
        now_ms += (int64_t)draw(400);
        int64_t want = (int64_t)draw(5);
        struct limit_result x = limiter_take(&a, want, now_ms);
        struct limit_result y = limiter_take(&b, want, now_ms);
        cr_assert(x.allowed == y.allowed && x.remaining == y.remaining &&
                      x.retry_ms == y.retry_ms && x.reset_ms == y.reset_ms,
                  "step %d", i);
    }
}

enum { LOG_LEN = 4096 };

/* W1 and W2, against a log: no span of the window's length holds more than the capacity, and what
 * the log would allow one slot ago is allowed now. */
Test(limiter, a_window_is_strict_and_late_by_at_most_a_slot)
{
    static const struct limit limit = {LIMIT_WINDOW, 50, 1000, 1};
    int64_t slot_ms = (limit.num + WINDOW_PARTS - 1) / WINDOW_PARTS;
    static int64_t times[LOG_LEN]; /* a ring of what was allowed */
    static int64_t counts[LOG_LEN];
    size_t first = 0;
    size_t end = 0;
    int64_t inside = 0;
    int64_t refused_late = 0;
    struct limiter l = full(&limit, T0);
    int64_t now_ms = T0;
    for (int i = 0; i < STEPS; i++) {
        now_ms += (int64_t)draw(30);
        while (first != end && times[first % LOG_LEN] <= now_ms - limit.num) {
            inside -= counts[first % LOG_LEN];
            first++;
        }
        int64_t want = (int64_t)draw(6);
        int64_t strict = 0; /* in a window one slot longer */
        for (size_t at = end; at != first && times[(at - 1) % LOG_LEN] > now_ms - limit.num; at--) {
            strict += counts[(at - 1) % LOG_LEN];
        }
        cr_assert_eq(strict, inside);
        int64_t longer = inside;
        for (size_t at = first; at != 0 && first - at < LOG_LEN - 64 &&
                                times[(at - 1) % LOG_LEN] > now_ms - limit.num - slot_ms;
             at--) {
            longer += counts[(at - 1) % LOG_LEN];
        }
        bool allowed = take(&l, want, now_ms);
        refused_late += !allowed && inside + want <= limit.capacity;
        cr_assert(allowed || longer + want > limit.capacity, "step %d: later than a slot", i);
        if (allowed) {
            times[end % LOG_LEN] = now_ms;
            counts[end % LOG_LEN] = want;
            inside += want;
            end++;
        }
        cr_assert_leq(inside, limit.capacity, "step %d", i);
    }
    cr_assert_gt(refused_late, 0, "the second bound was never needed");
}

/* ---- Bytes ---------------------------------------------------------------------------------- */

Test(limiter, bytes_that_are_none_are_refused_and_others_come_back_the_same)
{
    static const struct limit limits[] = {
        {LIMIT_TOKEN, 10, 3, 7}, {LIMIT_GCRA, 10, 3, 7}, {LIMIT_WINDOW, 10, 7001, 1}};
    for (size_t i = 0; i < HL_ARRAY_LEN(limits); i++) {
        unsigned char bytes[LIMITER_BYTES_MAX + 1];
        unsigned char again[LIMITER_BYTES_MAX];
        struct limiter read;
        struct limiter l = full(&limits[i], T0);
        cr_assert(take(&l, 3, T0 + 400));
        cr_assert(take(&l, 3, T0 + 900));
        size_t len = limiter_encode(&l, bytes);
        struct hl_slice whole = {(char *)bytes, len};
        cr_assert_eq(limiter_decode(&read, whole), HL_OK);
        cr_assert_eq(limiter_encode(&read, again), len);
        cr_assert_eq(memcmp(bytes, again, len), 0);
        for (size_t cut = 0; cut < len; cut++) {
            cr_assert_eq(limiter_decode(&read, (struct hl_slice){(char *)bytes, cut}), HL_ECORRUPT);
        }
        bytes[len] = 0;
        cr_assert_eq(limiter_decode(&read, (struct hl_slice){(char *)bytes, len + 1}), HL_ECORRUPT);
        bytes[0] = 2;
        cr_assert_eq(limiter_decode(&read, whole), HL_EVERSION);
        bytes[0] = 1;
        for (size_t at = 1; at < len; at++) {
            for (unsigned value = 0; value < 256; value++) {
                unsigned char was = bytes[at];
                bytes[at] = (unsigned char)value;
                if (limiter_decode(&read, whole) == HL_OK) {
                    cr_assert_eq(limiter_encode(&read, again), len);
                    cr_assert_eq(memcmp(bytes, again, len), 0, "not canonical at %zu", at);
                    (void)limiter_take(&read, 1, T0);
                    (void)limiter_refund(&read, 1, LIMIT_NOW_MAX_MS);
                }
                bytes[at] = was;
            }
        }
    }
}
