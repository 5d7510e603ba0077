/* The slow work of the example `blocking`: right, and told to stop in time. */
#include "primes.h"

#include <criterion/criterion.h>

Test(primes, counts_what_lies_below)
{
    static const struct {
        int64_t below, count;
    } cases[] = {{0, 0}, {2, 0}, {3, 1}, {10, 4}, {100, 25}, {1000, 168}, {100000, 9592}};
    atomic_bool stop = false;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(primes_below(cases[i].below, &stop), cases[i].count);
    }
}

Test(primes, ends_when_told)
{
    atomic_bool stop = true;
    cr_assert_eq(primes_below(PRIMES_MAX, &stop), -1);
}
