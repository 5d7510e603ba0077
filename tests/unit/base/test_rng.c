/* The generator: same seed, same sequence; bounds hold and every value is reached. */
#include "base/rng.h"

#include <criterion/criterion.h>

Test(rng, a_seed_fixes_the_sequence)
{
    struct hl_rng a;
    struct hl_rng b;
    struct hl_rng c;
    hl_rng_seed(&a, 7);
    hl_rng_seed(&b, 7);
    hl_rng_seed(&c, 8);
    int same = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t v = hl_rng_next(&a);
        cr_assert_eq(v, hl_rng_next(&b));
        same += v == hl_rng_next(&c);
    }
    cr_assert_eq(same, 0);
}

/* The first value of xoshiro256** for a known state: rotl(2 * 5, 7) * 9. */
Test(rng, is_xoshiro256_starstar)
{
    struct hl_rng rng = {.s = {1, 2, 3, 4}};
    cr_assert_eq(hl_rng_next(&rng), 11520);
    cr_assert_eq(hl_rng_next(&rng), 0);
    cr_assert_eq(hl_rng_next(&rng), 1509978240);
    cr_assert_eq(hl_rng_next(&rng), 1215971899390074240);
}

Test(rng, below_stays_below_and_reaches_all)
{
    struct hl_rng rng;
    hl_rng_seed(&rng, 0);
    int seen[10] = {0};
    for (int i = 0; i < 10000; i++) {
        uint64_t v = hl_rng_below(&rng, 10);
        cr_assert_lt(v, 10);
        seen[v]++;
    }
    for (int i = 0; i < 10; i++) {
        cr_assert_gt(seen[i], 800, "%d came %d times of 10000", i, seen[i]);
    }
    cr_assert_eq(hl_rng_below(&rng, 1), 0);
    cr_assert_lt(hl_rng_below(&rng, UINT64_MAX), UINT64_MAX);
}
