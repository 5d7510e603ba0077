/* limiter: one limit at work: any of the three algorithms behind one face, and its bytes.
 *
 *   S1  The clock of a limiter never goes back: an earlier time counts as the latest it has seen.
 *   S2  Equal limiters have equal bytes, and bytes that decode encode to themselves.
 *
 * Stored form, all integers 8 bytes little endian:
 *   0  u8   format, 1
 *   1  u8   algorithm
 *   2  i64  capacity   10  i64  num   18  i64  den   26  i64  latest time, ms since the epoch
 *  34  token: i64 tokens, i64 part     gcra: i64 due_ns, i64 part
 *      window: i64 newest slot, then u8 n and n u32: the counts from the newest to the last that is
 *      not zero
 */
#ifndef RATELIMIT_LIMITER_H
#define RATELIMIT_LIMITER_H

#include "bucket.h"
#include "gcra.h"
#include "window.h"

#define LIMITER_BYTES_MAX (34 + 8 + 1 + 4 * WINDOW_SLOTS)

struct limiter {
    struct limit limit;
    int64_t latest_ms; /* S1; 0..LIMIT_NOW_MAX_MS */
    union {
        struct bucket bucket;
        struct gcra gcra;
        struct window window;
    };
};

/* A limiter nothing was taken of, at `now_ms` (0..LIMIT_NOW_MAX_MS, as everywhere here). */
void limiter_begin(struct limiter *limiter, const struct limit *limit, int64_t now_ms);

/* Go on under `limit`.  The same algorithm keeps its state; another one, or a window of another
 * length, begins with as much taken as the old one counted, at most all of it. */
void limiter_adapt(struct limiter *limiter, const struct limit *limit, int64_t now_ms);

/* Take `want` (0 or more), or nothing, and tell what is left. */
struct limit_result limiter_take(struct limiter *limiter, int64_t want, int64_t now_ms);

/* Give back up to `count` of what was taken and counts; returns how many. */
int64_t limiter_refund(struct limiter *limiter, int64_t count, int64_t now_ms);

/* What was taken and still counts, in whole tokens. */
int64_t limiter_used(const struct limiter *limiter, int64_t now_ms);

/* Write the stored form to `out`; returns its length. */
size_t limiter_encode(const struct limiter *limiter, unsigned char out[LIMITER_BYTES_MAX]);

/* Read a stored form, any bytes.  HL_EVERSION a later format, HL_ECORRUPT no limiter; *limiter is
 * then unchanged. */
HL_MUST_USE hl_err limiter_decode(struct limiter *limiter, struct hl_slice bytes);

#endif
