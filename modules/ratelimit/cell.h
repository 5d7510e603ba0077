/* cell: CL.THROTTLE as clients of redis-cell know it: its arguments, its five integers, its errors.
 *
 *   C1  The interval is the period in nanoseconds divided by the count, cut to whole ones; the
 *       burst is one more than `max_burst`; what remains is counted in microseconds.
 *   C2  Where redis-cell's numbers run over, or mean nothing (a negative count, period or
 *       quantity), we refuse instead.
 */
#ifndef RATELIMIT_CELL_H
#define RATELIMIT_CELL_H

#include "limiter.h"

struct cell_request {
    int64_t max_burst;
    int64_t count;    /* in each period */
    int64_t period_s; /* seconds */
    int64_t quantity; /* 1 when it was not given; 0 only looks */
};

struct cell_reply {
    int64_t limited;
    int64_t limit;
    int64_t remaining;
    int64_t retry_s; /* -1 when allowed, or when it never will be */
    int64_t reset_s;
};

/* Read an integer as redis-cell does: a sign, digits, leading zeros allowed. */
bool cell_parse(struct hl_slice text, int64_t *out);

/* The limit of a request.  NULL, or why it is refused, as the text behind "Cell error: ".  *none
 * is set when its burst lets nothing through: such a limit has no state. */
const char *cell_limit(const struct cell_request *request, struct limit *limit, bool *none);

/* The reply of a limit that lets nothing through. */
struct cell_reply cell_refuse(const struct cell_request *request);

/* Decide, changing `limiter`, which is under the request's limit, when it allows something. */
struct cell_reply cell_take(struct limiter *limiter, const struct cell_request *request,
                            int64_t now_ms);

#endif
