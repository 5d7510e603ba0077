/* gcra: the generic cell rate algorithm.  One time is kept: when, at exactly the rate, the next
 * would be due (the theoretical arrival time).  Its distance from now is the backlog; a request is
 * allowed while backlog and request together fit in `capacity` intervals.
 *
 *   G1  The interval between two tokens is den * 10^9 / num nanoseconds, which need not be whole:
 *       due_ns has a fraction of part / num nanoseconds, 0 <= part < num, so that no rate drifts.
 *   G2  0 <= due_ns <= (LIMIT_NOW_MAX_MS + LIMIT_SPAN_MAX_MS) in nanoseconds.
 */
#ifndef RATELIMIT_GCRA_H
#define RATELIMIT_GCRA_H

#include "limit.h"

struct gcra {
    int64_t due_ns;
    int64_t part;
};

/* Nothing taken as of `now_ms`. */
struct gcra gcra_full(int64_t now_ms);

/* Take `want` (0 or more) at `now_ms`, or nothing, and tell what is left. */
struct limit_result gcra_take(struct gcra *gcra, const struct limit *limit, int64_t want,
                              int64_t now_ms);

/* Give back up to `count` of what is not yet due; returns how many, a started one counts whole. */
int64_t gcra_refund(struct gcra *gcra, const struct limit *limit, int64_t count, int64_t now_ms);

/* Nanoseconds until nothing is due any more, rounded up; 0 when that is so. */
int64_t gcra_backlog_ns(const struct gcra *gcra, const struct limit *limit, int64_t now_ms);

/* Go on under another limit: the due time stays, its fraction rounded up. */
void gcra_adapt(struct gcra *gcra, const struct limit *from, const struct limit *to);

/* Whether G1 and G2 hold. */
bool gcra_valid(const struct gcra *gcra, const struct limit *limit);

#endif
