#include "bucket.h"

#include "kit/assert.h"

/* How many parts a token has: see B2. */
static int64_t parts(const struct limit *limit)
{
    return limit->den * 1000;
}

bool bucket_valid(const struct bucket *bucket, const struct limit *limit)
{
    if (bucket->tokens < 0 || bucket->tokens > limit->capacity || bucket->part < 0) {
        return false;
    }
    return bucket->part < parts(limit) && (bucket->part == 0 || bucket->tokens < limit->capacity);
}

struct bucket bucket_full(const struct limit *limit)
{
    HL_ASSERT(limit_valid(limit));
    return (struct bucket){.tokens = limit->capacity};
}

void bucket_refill(struct bucket *bucket, const struct limit *limit, int64_t elapsed_ms)
{
    HL_ASSERT(bucket_valid(bucket, limit));
    HL_ASSERT(elapsed_ms >= 0);
    rl_wide gained = (rl_wide)elapsed_ms * limit->num + bucket->part;
    rl_wide whole = gained / parts(limit);
    if (whole >= limit->capacity - bucket->tokens) {
        *bucket = bucket_full(limit);
        return;
    }
    bucket->tokens += (int64_t)whole;
    bucket->part = (int64_t)(gained % parts(limit));
}

/* Milliseconds until `count` tokens are there that are not there now. */
static int64_t wait_ms(const struct bucket *bucket, const struct limit *limit, int64_t count)
{
    rl_wide missing = (rl_wide)(count - bucket->tokens) * parts(limit) - bucket->part;
    return missing <= 0 ? 0 : rl_divide_up(missing, limit->num);
}

struct limit_result bucket_take(struct bucket *bucket, const struct limit *limit, int64_t want)
{
    HL_ASSERT(bucket_valid(bucket, limit));
    HL_ASSERT(want >= 0);
    struct limit_result result = {.allowed = want <= bucket->tokens};
    if (result.allowed) {
        bucket->tokens -= want;
    } else {
        result.retry_ms = want > limit->capacity ? LIMIT_NEVER : wait_ms(bucket, limit, want);
    }
    result.remaining = bucket->tokens;
    result.reset_ms = wait_ms(bucket, limit, limit->capacity);
    return result;
}

int64_t bucket_refund(struct bucket *bucket, const struct limit *limit, int64_t count)
{
    HL_ASSERT(bucket_valid(bucket, limit));
    HL_ASSERT(count >= 0);
    int64_t missing = limit->capacity - bucket->tokens;
    int64_t given = count < missing ? count : missing;
    bucket->tokens += given;
    if (bucket->tokens == limit->capacity) {
        bucket->part = 0;
    }
    return given;
}

void bucket_adapt(struct bucket *bucket, const struct limit *from, const struct limit *to)
{
    HL_ASSERT(bucket_valid(bucket, from));
    bucket->part = (int64_t)((rl_wide)bucket->part * to->den / from->den);
    if (bucket->tokens >= to->capacity) {
        *bucket = bucket_full(to);
    }
    HL_ASSERT(bucket_valid(bucket, to));
}
