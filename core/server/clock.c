#include "server/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SET_PERIOD_US 20000 /* between two looks at the kernel's clock */
#define SCALE_BITS 32

#ifdef __x86_64__
#define CYCLES() __builtin_ia32_rdtsc()
#else
#define CYCLES() ((uint64_t)0)
#endif

static uint64_t kernel_us(const struct hl_clock *clock)
{
    struct timespec t;
    (void)clock_gettime(clock->counts_sleep ? CLOCK_BOOTTIME : CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

/* The kernel counts time by this counter only after it found it constant, synchronous on all
 * processors and never stopping. */
static bool kernel_trusts_counter(void)
{
    char name[16] = "";
    FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
    if (f == NULL) {
        return false;
    }
    bool read = fgets(name, sizeof name, f) != NULL;
    (void)fclose(f);
    return read && strcmp(name, "tsc\n") == 0 && CYCLES() != 0;
}

void hl_clock_init(struct hl_clock *clock, bool counts_sleep)
{
    /* The counter may stop while the machine sleeps. */
    *clock = (struct hl_clock){.counts = !counts_sleep && kernel_trusts_counter(),
                               .counts_sleep = counts_sleep};
    clock->first_us = clock->base_us = kernel_us(clock);
    clock->first = clock->base = CYCLES();
}

static uint64_t since_base(const struct hl_clock *clock, uint64_t passed)
{
    return clock->base_us + (uint64_t)((unsigned __int128)passed * clock->scale >> SCALE_BITS);
}

/*
 * Ask the kernel and, unless the start is too near to tell the counter's speed, set the clock by
 * it.  The kernel is asked before the counter is read: if something comes between the two, the
 * clock falls back behind what it would have said, and that is used instead.
 */
static uint64_t set(struct hl_clock *clock)
{
    uint64_t now_us = kernel_us(clock);
    uint64_t now = CYCLES();
    if (now_us - clock->first_us < SET_PERIOD_US || now <= clock->first) {
        return now_us;
    }
    uint64_t said_us = since_base(clock, now - clock->base);
    clock->base = now;
    clock->base_us = now_us > said_us ? now_us : said_us;
    clock->scale = (uint64_t)(((unsigned __int128)(now_us - clock->first_us) << SCALE_BITS) /
                              (now - clock->first));
    clock->span = (uint64_t)((unsigned __int128)(now - clock->first) * SET_PERIOD_US /
                             (now_us - clock->first_us));
    return clock->base_us;
}

uint64_t hl_clock_us(struct hl_clock *clock)
{
    if (!clock->counts) {
        return kernel_us(clock);
    }
    uint64_t passed = CYCLES() - clock->base;
    if (passed >= clock->span) {
        return set(clock);
    }
    return clock->base_us + (passed * clock->scale >> SCALE_BITS);
}
