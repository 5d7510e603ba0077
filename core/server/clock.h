/* A clock cheap enough to be read after every command. */
#ifndef HL_SERVER_CLOCK_H
#define HL_SERVER_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Fields are the clock's own. */
struct hl_clock {
    bool counts;          /* the processor's counter may be used */
    bool counts_sleep;    /* time goes on while the machine is suspended */
    uint64_t first, base; /* readings of the counter: at the start, and when last set */
    uint64_t first_us;    /* of the kernel's clock, at `first` */
    uint64_t base_us;     /* what the clock said at `base` */
    uint64_t span;        /* counts from `base` for which `scale` is used; 0: not known yet */
    uint64_t scale;       /* microseconds a count, times 2^32 */
};

/* Start a clock.  Where the kernel itself does not trust the processor's counter, or there is none,
 * every reading asks the kernel; also with `counts_sleep`, for what nodes promise each other about
 * time must hold across a suspension (PROTOCOL section 4). */
void hl_clock_init(struct hl_clock *clock, bool counts_sleep);

/* Microseconds since some fixed moment, never less than what was returned before.  Follows
 * CLOCK_MONOTONIC (CLOCK_BOOTTIME when it counts sleep) within a millisecond: for measuring how
 * long something took. */
uint64_t hl_clock_us(struct hl_clock *clock);

#endif
