/* limit: what is allowed, as numbers; and what a limiter answers.
 *
 *   token    a bucket of `capacity` tokens that gains num/den of them each second
 *   gcra     the generic cell rate algorithm: the same long-term rate and burst, kept as one time
 *   window   at most `capacity` in any span of `num` milliseconds (den is 1)
 *
 *   L1  A full refill takes at most LIMIT_SPAN_MAX_MS.  With that and the bounds of time below, no
 *       product of the engines leaves 128 bits and no time leaves 64.
 */
#ifndef RATELIMIT_LIMIT_H
#define RATELIMIT_LIMIT_H

#include "kit/bytes.h"

#define LIMIT_CAPACITY_MAX INT64_C(1000000000000)
#define LIMIT_WINDOW_CAPACITY_MAX INT64_C(1000000000) /* a slot's count is 32 bits */
#define LIMIT_RATE_MAX INT64_C(1000000000)            /* num; den too, but for gcra */
#define LIMIT_SPAN_MAX_MS INT64_C(1600000000000)      /* fifty years */
#define LIMIT_NOW_MAX_MS INT64_C(7000000000000)       /* the year 2191 */
#define LIMIT_NEVER (-1)                              /* a retry_ms: it asks for too much */

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

__extension__ typedef __int128 rl_wide;

/* Stored as numbers: never changed. */
enum limit_algorithm {
    LIMIT_TOKEN = 1,
    LIMIT_GCRA = 2,
    LIMIT_WINDOW = 3,
};

struct limit {
    enum limit_algorithm algorithm;
    int64_t capacity; /* 1..LIMIT_CAPACITY_MAX */
    int64_t num;      /* tokens in `den` seconds; window: its length in milliseconds */
    int64_t den;
};

struct limit_result {
    bool allowed;
    int64_t remaining; /* whole tokens that could be taken now, after this */
    int64_t retry_ms;  /* 0 when allowed; LIMIT_NEVER when it can never be */
    int64_t reset_ms;  /* until all is there again; 0 when it is */
};

/* Whether the numbers are within the bounds above and L1 holds.  All else asserts it. */
bool limit_valid(const struct limit *limit);

/* Whether two limits are the same in every number. */
bool limit_equal(const struct limit *a, const struct limit *b);

/* "token", "gcra", "window". */
const char *limit_algorithm_name(enum limit_algorithm algorithm);

/* Read such a name in any case; false when it is none. */
bool limit_algorithm_parse(struct hl_slice name, enum limit_algorithm *out);

/* a / b rounded up, for a >= 0 and b > 0; the result must fit in 64 bits. */
int64_t rl_divide_up(rl_wide a, rl_wide b);

#endif
