/* Goal: waits double up to the maximum, are forgotten in time, and survive any clock. */
#include "auth/lockout.h"

#include <criterion/criterion.h>

#define NOW INT64_C(1700000000000)

static const struct lockout_policy policy = {
    .threshold = 3, .base_ms = 1000, .max_ms = 8000, .forget_ms = 60000};

Test(lockout, failures_below_the_threshold_cost_nothing_then_waits_double)
{
    static const int64_t waits[] = {0, 0, 1000, 2000, 4000, 8000, 8000, 8000};
    struct failure_record f = {0};
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        lockout_fail(&f, &policy, NOW);
        cr_assert_eq(lockout_wait_ms(&f, &policy, NOW), waits[i], "failure %zu", i + 1);
        cr_assert_eq(lockout_wait_ms(&f, &policy, NOW + waits[i]), 0);
    }
}

Test(lockout, a_quiet_time_starts_over)
{
    struct failure_record f = {0};
    for (int i = 0; i < 5; i++) {
        lockout_fail(&f, &policy, NOW);
    }
    cr_assert_eq(lockout_forget_at_ms(&f, &policy), NOW + 60000);
    lockout_fail(&f, &policy, NOW + 59999);
    cr_assert_eq(f.count, 6);
    lockout_fail(&f, &policy, NOW + 59999 + 60000);
    cr_assert_eq(f.count, 1);
    cr_assert_eq(lockout_wait_ms(&f, &policy, NOW + 59999 + 60000), 0);
}

Test(lockout, a_clock_that_steps_back_locks_no_longer_than_the_maximum)
{
    struct failure_record f = {0};
    for (int i = 0; i < 4; i++) {
        lockout_fail(&f, &policy, NOW);
    }
    cr_assert_eq(lockout_wait_ms(&f, &policy, 1), policy.max_ms);
    lockout_fail(&f, &policy, 1);
    cr_assert_eq(f.count, 5);
    cr_assert_leq(lockout_wait_ms(&f, &policy, 1), policy.max_ms);
}

Test(lockout, a_hostile_record_overflows_nothing)
{
    struct failure_record f = {
        .count = UINT32_MAX, .last_ms = INT64_MAX, .locked_until_ms = INT64_MAX};
    cr_assert_eq(lockout_wait_ms(&f, &policy, NOW), policy.max_ms);
    lockout_fail(&f, &policy, NOW);
    cr_assert_eq(f.count, UINT32_MAX);
    cr_assert_eq(lockout_wait_ms(&f, &policy, NOW), policy.max_ms);
    f.last_ms = INT64_MAX;
    cr_assert_eq(lockout_forget_at_ms(&f, &policy), INT64_MAX);
}
