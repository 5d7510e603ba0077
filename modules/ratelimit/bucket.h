/* bucket: the token bucket.  Pure arithmetic: time comes in as an argument.
 *
 *   B1  0 <= tokens <= capacity.
 *   B2  0 <= part < 1000 * den: what was gained beyond whole tokens; one token is 1000 * den parts.
 *       It is kept, so that a bucket that is asked often gains as much as one asked seldom, and
 *       fractional rates are exact.  A full bucket has none.
 */
#ifndef RATELIMIT_BUCKET_H
#define RATELIMIT_BUCKET_H

#include "limit.h"

struct bucket {
    int64_t tokens;
    int64_t part;
};

/* A full bucket. */
struct bucket bucket_full(const struct limit *limit);

/* Gain what `elapsed_ms` (0..LIMIT_NOW_MAX_MS) brings. */
void bucket_refill(struct bucket *bucket, const struct limit *limit, int64_t elapsed_ms);

/* Take `want` (0 or more) of a refilled bucket, or nothing, and tell what is left. */
struct limit_result bucket_take(struct bucket *bucket, const struct limit *limit, int64_t want);

/* Give back up to `count` of a refilled bucket's missing tokens; returns how many. */
int64_t bucket_refund(struct bucket *bucket, const struct limit *limit, int64_t count);

/* Go on under another limit: tokens above its capacity are lost, the part keeps its share of a
 * token, rounded down. */
void bucket_adapt(struct bucket *bucket, const struct limit *from, const struct limit *to);

/* Whether B1 and B2 hold. */
bool bucket_valid(const struct bucket *bucket, const struct limit *limit);

#endif
