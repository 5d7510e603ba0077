#include "server/clock.h"

#include <criterion/criterion.h>
#include <time.h>

#define SLACK_US 1000
#define LONG_US 300000

static uint64_t kernel_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

/* Method: readings for LONG_US, through many settings, each between two of the kernel's. */
static void follows(struct hl_clock *clock)
{
    uint64_t begin = kernel_us();
    uint64_t last = 0;
    for (uint64_t after = begin; after - begin < LONG_US;) {
        uint64_t before = kernel_us();
        uint64_t us = hl_clock_us(clock);
        after = kernel_us();
        cr_assert_geq(us, last);
        cr_assert(us + SLACK_US >= before && us <= after + SLACK_US, "%lu < %lu < %lu",
                  (unsigned long)before, (unsigned long)us, (unsigned long)after);
        last = us;
    }
}

Test(clock, follows_the_kernels_and_never_steps_back)
{
    struct hl_clock clock;
    hl_clock_init(&clock, false);
    follows(&clock);
}

Test(clock, works_without_a_counter)
{
    struct hl_clock clock;
    hl_clock_init(&clock, false);
    clock.counts = false;
    follows(&clock);
}

/* As after a SIGSTOP: many settings were missed. */
Test(clock, survives_a_long_pause)
{
    struct hl_clock clock;
    hl_clock_init(&clock, false);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    (void)hl_clock_us(&clock);
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    follows(&clock);
}
