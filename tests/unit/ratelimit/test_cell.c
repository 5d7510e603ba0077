/* Goal: CL.THROTTLE answers what redis-cell answers.
 *
 * Method: its arithmetic, written down a second time from its documentation in the plainest way
 * (one time, doubles for what remains), walked beside ours; and dialogues worked out by hand. */
#include "kit/assert.h"
#include "ratelimit/cell.h"

#include <criterion/criterion.h>

#define T0 INT64_C(1700000000000)

/* The plain form: `due_ns` is the only state, -1 when the key is missing. */
static struct cell_reply plain(int64_t *due_ns, const struct cell_request *r, int64_t now_ms)
{
    int64_t now = now_ms * NS_PER_MS;
    int64_t interval = (int64_t)((double)(r->period_s * NS_PER_S) / (double)r->count);
    int64_t tolerance = interval * (r->max_burst + 1);
    int64_t due = *due_ns < now ? now : *due_ns;
    int64_t next_due = due + interval * r->quantity;
    int64_t diff = now - (next_due - tolerance);
    int64_t retry = -NS_PER_S;
    int64_t ttl = next_due - now;
    bool limited = diff < 0;
    if (limited) {
        retry = interval * r->quantity <= tolerance ? -diff : -NS_PER_S;
        ttl = due - now;
    } else {
        *due_ns = next_due;
    }
    int64_t room = tolerance - ttl;
    int64_t remaining =
        room > -interval ? (int64_t)((double)(room / 1000) / (double)(interval / 1000)) : 0;
    return (struct cell_reply){
        .limited = limited,
        .limit = r->max_burst + 1,
        .remaining = remaining,
        .retry_s = retry / NS_PER_S + (retry % NS_PER_S >= NS_PER_MS),
        .reset_s = ttl / NS_PER_S + (ttl % NS_PER_S >= NS_PER_MS),
    };
}

static void expect(const struct cell_reply *got, int limited, int limit, int remaining, int retry,
                   int reset)
{
    cr_assert_eq(got->limited, limited);
    cr_assert_eq(got->limit, limit);
    cr_assert_eq(got->remaining, remaining, "remaining %ld", (long)got->remaining);
    cr_assert_eq(got->retry_s, retry, "retry %ld", (long)got->retry_s);
    cr_assert_eq(got->reset_s, reset, "reset %ld", (long)got->reset_s);
}

static struct cell_reply ask(struct limiter *limiter, struct cell_request request, int64_t now_ms)
{
    struct limit limit;
    bool none = false;
    cr_assert_null(cell_limit(&request, &limit, &none));
    cr_assert_not(none);
    if (limiter->latest_ms == 0) {
        limiter_begin(limiter, &limit, now_ms);
    }
    limiter_adapt(limiter, &limit, now_ms);
    return cell_take(limiter, &request, now_ms);
}

Test(cell, the_first_of_fifteen_and_one_leaves_fifteen)
{
    struct limiter l = {0};
    struct cell_reply r = ask(&l, (struct cell_request){15, 30, 60, 1}, T0);
    expect(&r, 0, 16, 15, -1, 2);
}

Test(cell, a_dialogue_at_one_each_second)
{
    struct limiter l = {0};
    struct cell_request one = {4, 1, 1, 1};
    struct cell_request six = {4, 1, 1, 6};
    struct cell_reply r = ask(&l, six, T0);
    expect(&r, 1, 5, 5, -1, 0); /* more than it can ever be */
    for (int i = 0; i < 5; i++) {
        r = ask(&l, one, T0);
        expect(&r, 0, 5, 4 - i, -1, 1 + i);
    }
    r = ask(&l, one, T0);
    expect(&r, 1, 5, 0, 1, 5);
    r = ask(&l, one, T0 + 3000);
    expect(&r, 0, 5, 2, -1, 3);
    r = ask(&l, one, T0 + 3100);
    expect(&r, 0, 5, 1, -1, 4);
    struct cell_request look = {4, 1, 1, 0};
    r = ask(&l, look, T0 + 3100);
    expect(&r, 0, 5, 1, -1, 4);
    struct cell_request five = {4, 1, 1, 5};
    r = ask(&l, five, T0 + 3100);
    expect(&r, 1, 5, 1, 4, 4);
}

static uint64_t seed = 88172645463325252u;

static int64_t draw(int64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (int64_t)(seed % (uint64_t)below);
}

Test(cell, answers_as_the_plain_form_does_in_random_dialogues)
{
    int limited = 0;
    int allowed = 0;
    for (int round = 0; round < 2000; round++) {
        struct cell_request request = {draw(20), 1 + draw(1000), 1 + draw(100), 1};
        struct limiter l = {0};
        int64_t due_ns = -1;
        int64_t now_ms = T0;
        int64_t pace_ms = 1 + request.period_s * 1000 / request.count;
        for (int step = 0; step < 200; step++) {
            now_ms += draw(2 * pace_ms);
            request.quantity = draw(4);
            struct cell_reply want = plain(&due_ns, &request, now_ms);
            struct cell_reply got = ask(&l, request, now_ms);
            cr_assert(got.limited == want.limited && got.limit == want.limit &&
                          got.remaining == want.remaining && got.retry_s == want.retry_s &&
                          got.reset_s == want.reset_s,
                      "%ld of %ld in %ld s, %ld more: [%ld %ld %ld %ld %ld] not [%ld %ld %ld %ld]",
                      (long)request.quantity, (long)request.count, (long)request.period_s,
                      (long)request.max_burst, (long)got.limited, (long)got.limit,
                      (long)got.remaining, (long)got.retry_s, (long)got.reset_s, (long)want.limited,
                      (long)want.remaining, (long)want.retry_s, (long)want.reset_s);
            limited += got.limited != 0;
            allowed += got.limited == 0;
        }
    }
    cr_assert_gt(limited, 10000);
    cr_assert_gt(allowed, 10000);
}

Test(cell, numbers_that_mean_nothing_are_refused)
{
    static const struct {
        struct cell_request request;
        const char *why;
    } cases[] = {
        {{1, 0, 1, 1}, "Zero rates are not supported"},
        {{1, 1, 0, 1}, "Zero rates are not supported"},
        {{1, INT64_MAX, 1, 1}, "Zero rates are not supported"},
        {{1, -1, 1, 1}, "Negative rates and quantities are not supported"},
        {{1, 1, -1, 1}, "Negative rates and quantities are not supported"},
        {{1, 1, 1, -1}, "Negative rates and quantities are not supported"},
        {{INT64_MAX, 1, 1, 1}, "The limit is too large"},
        {{1, 1, INT64_MAX, 1}, "The limit is too large"},
        {{1000000, 1, 86400, 1}, "The limit is too large"},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(cases); i++) {
        struct limit limit;
        bool none = false;
        const char *why = cell_limit(&cases[i].request, &limit, &none);
        cr_assert_not_null(why, "%zu", i);
        cr_assert_str_eq(why, cases[i].why, "%zu", i);
    }
}

Test(cell, a_burst_below_nothing_lets_nothing_through)
{
    struct limit limit;
    bool none = false;
    struct cell_request request = {-5, 1, 1, 1};
    cr_assert_null(cell_limit(&request, &limit, &none));
    cr_assert(none);
    struct cell_reply r = cell_refuse(&request);
    expect(&r, 1, -4, 0, -1, 0);
}

Test(cell, integers_are_read_as_rust_reads_them)
{
    static const struct {
        const char *text;
        int64_t value;
        bool good;
    } cases[] = {
        {"0", 0, true},
        {"007", 7, true},
        {"+5", 5, true},
        {"-5", -5, true},
        {"-0", 0, true},
        {"9223372036854775807", INT64_MAX, true},
        {"-9223372036854775808", INT64_MIN, true},
        {"9223372036854775808", 0, false},
        {"", 0, false},
        {"+", 0, false},
        {"-", 0, false},
        {"1.5", 0, false},
        {" 1", 0, false},
        {"1 ", 0, false},
        {"0x10", 0, false},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(cases); i++) {
        int64_t value = 0;
        cr_assert_eq(cell_parse(hl_slice_of(cases[i].text), &value), cases[i].good, "%s",
                     cases[i].text);
        cr_assert_eq(value, cases[i].value, "%s", cases[i].text);
    }
}
