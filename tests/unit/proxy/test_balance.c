/* Balancing: exact shares, turns, and the least under way. */
#include "proxy/balance.h"

#include <criterion/criterion.h>

static struct candidate weights(uint32_t weight)
{
    return (struct candidate){.weight = weight, .may = true};
}

Test(balance, weights_five_one_one_share_700_requests_exactly)
{
    struct balance b = {0};
    struct candidate c[] = {weights(5), weights(1), weights(1)};
    size_t got[3] = {0};
    for (int run = 0; run < 100; run++) {
        size_t in_run[3] = {0};
        for (int i = 0; i < 7; i++) {
            in_run[balance_pick(&b, WEIGHTED, c, 3)]++;
        }
        cr_assert_eq(in_run[0], 5, "PB2 holds in each run of seven");
        for (int i = 0; i < 3; i++) {
            got[i] += in_run[i];
        }
    }
    cr_assert_eq(got[0], 500);
    cr_assert_eq(got[1], 100);
    cr_assert_eq(got[2], 100);
}

Test(balance, weighted_turns_are_spread_and_not_in_blocks)
{
    struct balance b = {0};
    struct candidate c[] = {weights(5), weights(1), weights(1)};
    const size_t smooth[] = {0, 0, 1, 0, 2, 0, 0};
    for (int i = 0; i < 14; i++) {
        cr_assert_eq(balance_pick(&b, WEIGHTED, c, 3), smooth[i % 7], "turn %d", i);
    }
}

Test(balance, nobody_is_taken_who_may_not_be)
{
    enum algorithm all[] = {ROUND_ROBIN, WEIGHTED, LEAST_CONN};
    for (int a = 0; a < 3; a++) {
        struct balance b = {0};
        struct candidate c[] = {weights(5), weights(1), weights(1)};
        c[0].may = false;
        for (int i = 0; i < 20; i++) {
            cr_assert_neq(balance_pick(&b, all[a], c, 3), 0);
        }
        c[1].may = c[2].may = false;
        cr_assert_eq(balance_pick(&b, all[a], c, 3), BALANCE_NONE);
        c[0].may = true;
        cr_assert_eq(balance_pick(&b, all[a], c, 3), 0);
    }
}

Test(balance, round_robin_takes_turns_also_around_a_gap)
{
    struct balance b = {0};
    struct candidate c[] = {weights(1), weights(1), weights(1)};
    c[1].may = false;
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(balance_pick(&b, ROUND_ROBIN, c, 3), i % 2 == 0 ? 0 : 2);
    }
}

Test(balance, least_connections_counts_in_proportion_to_weight)
{
    struct balance b = {0};
    struct candidate c[] = {weights(1), weights(3)};
    for (int i = 0; i < 400; i++) {
        c[balance_pick(&b, LEAST_CONN, c, 2)].active++;
    }
    cr_assert_eq(c[0].active, 100);
    cr_assert_eq(c[1].active, 300);
    c[1].active = 0;
    cr_assert_eq(balance_pick(&b, LEAST_CONN, c, 2), 1);
}

Test(balance, equally_loaded_backends_take_turns)
{
    struct balance b = {0};
    struct candidate c[] = {weights(2), weights(2), weights(2)};
    for (size_t i = 0; i < 9; i++) {
        cr_assert_eq(balance_pick(&b, LEAST_CONN, c, 3), i % 3);
    }
}
