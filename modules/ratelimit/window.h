/* window: a sliding window in WINDOW_SLOTS parts.
 *
 * Time is cut into slots of 1/32 of the window (rounded up to a millisecond), and what was taken is
 * counted by slot.  A slot counts in full until its last millisecond has left the window.
 *
 *   W1  So no span of the window's length ever sees more than `capacity`: the bound is strict.
 *   W2  The price: a token comes back up to one slot (1/32 of the window and a millisecond) later
 *       than an exact log of all requests would give it.
 *   W3  counts[i] belongs to slot `newest` - i, and their sum is at most `capacity`, except after
 *       the capacity was lowered.
 */
#ifndef RATELIMIT_WINDOW_H
#define RATELIMIT_WINDOW_H

#include "limit.h"

#define WINDOW_PARTS 32
#define WINDOW_SLOTS 33 /* that can count at one time: the parts, and one that is half gone */

struct window {
    int64_t newest; /* its slot's number since the epoch */
    uint32_t counts[WINDOW_SLOTS];
};

/* Nothing taken as of `now_ms`. */
struct window window_full(const struct limit *limit, int64_t now_ms);

/* Forget what has left the window at `now_ms`, which is not before that of an earlier call. */
void window_advance(struct window *window, const struct limit *limit, int64_t now_ms);

/* Take `want` (0 or more) of an advanced window, or nothing, and tell what is left. */
struct limit_result window_take(struct window *window, const struct limit *limit, int64_t want,
                                int64_t now_ms);

/* Give back up to `count`, the newest first; returns how many. */
int64_t window_refund(struct window *window, int64_t count);

/* What counts in an advanced window. */
int64_t window_used(const struct window *window);

/* Whether a window as it was read can be one: the slot is one of real time, the sum is no more
 * than a limit allows. */
bool window_valid(const struct window *window, const struct limit *limit);

#endif
