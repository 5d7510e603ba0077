/* The breaker's story, with the time as an argument. */
#include "proxy/breaker.h"

#include <criterion/criterion.h>

static const struct breaker_rules rules = {
    .failure_threshold = 5, .success_threshold = 2, .cooldown_ms = 60000};

static struct breaker opened_at(int64_t now_ms)
{
    struct breaker b = {0};
    for (int i = 0; i < 5; i++) {
        cr_assert(breaker_admits(&b, &rules, now_ms));
        breaker_failure(&b, &rules, breaker_begin(&b), now_ms);
    }
    return b;
}

Test(breaker, opens_at_the_fifth_failure_in_a_row)
{
    struct breaker b = {0};
    for (int i = 0; i < 4; i++) {
        breaker_failure(&b, &rules, breaker_begin(&b), 0);
    }
    breaker_success(&b, &rules, breaker_begin(&b));
    for (int i = 0; i < 4; i++) {
        breaker_failure(&b, &rules, breaker_begin(&b), 0);
        cr_assert_eq(b.state, BREAKER_CLOSED);
    }
    breaker_failure(&b, &rules, breaker_begin(&b), 0);
    cr_assert_eq(b.state, BREAKER_OPEN);
}

Test(breaker, stays_open_for_sixty_seconds_to_the_millisecond)
{
    struct breaker b = opened_at(1000);
    cr_assert_not(breaker_admits(&b, &rules, 1000));
    cr_assert_not(breaker_admits(&b, &rules, 60999));
    cr_assert(breaker_admits(&b, &rules, 61000));
}

Test(breaker, lets_one_trial_through_at_a_time_and_closes_after_good_ones)
{
    struct breaker b = opened_at(0);
    cr_assert(breaker_begin(&b), "a trial");
    cr_assert_eq(b.state, BREAKER_HALF_OPEN);
    cr_assert_not(breaker_admits(&b, &rules, 70000), "PK1");
    breaker_success(&b, &rules, true);
    cr_assert_eq(b.state, BREAKER_HALF_OPEN, "two are wanted");
    cr_assert(breaker_admits(&b, &rules, 70000));
    breaker_success(&b, &rules, breaker_begin(&b));
    cr_assert_eq(b.state, BREAKER_CLOSED);
    cr_assert_not(breaker_begin(&b), "no trial any more");
}

Test(breaker, opens_again_when_a_trial_fails)
{
    struct breaker b = opened_at(0);
    breaker_failure(&b, &rules, breaker_begin(&b), 61000);
    cr_assert_eq(b.state, BREAKER_OPEN);
    cr_assert_not(breaker_admits(&b, &rules, 120999));
    cr_assert(breaker_admits(&b, &rules, 121000));
}

Test(breaker, a_trial_that_nobody_waited_for_makes_room_for_another)
{
    struct breaker b = opened_at(0);
    breaker_abandon(&b, breaker_begin(&b));
    cr_assert_eq(b.state, BREAKER_HALF_OPEN);
    cr_assert(breaker_admits(&b, &rules, 61000));
}

Test(breaker, what_went_before_it_opened_changes_nothing_when_it_ends)
{
    struct breaker b = opened_at(0);
    breaker_success(&b, &rules, false);
    breaker_failure(&b, &rules, false, 50000);
    cr_assert_eq(b.state, BREAKER_OPEN);
    cr_assert_eq(b.opened_ms, 0, "PK2");
    cr_assert(breaker_begin(&b));
    breaker_failure(&b, &rules, false, 61000);
    breaker_success(&b, &rules, false);
    cr_assert_eq(b.state, BREAKER_HALF_OPEN);
    cr_assert(b.trial);
}
