#include "limiter.h"

#include "kit/assert.h"

#define FORMAT 1
#define HEAD_LEN 34
#define TIMES_LEN (HEAD_LEN + 16)
#define COUNTS_AT (HEAD_LEN + 9)

/* S1: what counts as now; the state is brought there. */
static int64_t go_on(struct limiter *limiter, int64_t now_ms)
{
    HL_ASSERT(now_ms >= 0 && now_ms <= LIMIT_NOW_MAX_MS);
    if (now_ms < limiter->latest_ms) {
        now_ms = limiter->latest_ms;
    }
    switch (limiter->limit.algorithm) {
    case LIMIT_TOKEN:
        bucket_refill(&limiter->bucket, &limiter->limit, now_ms - limiter->latest_ms);
        break;
    case LIMIT_GCRA:
        break; /* it keeps a time, and needs none brought up */
    case LIMIT_WINDOW:
        window_advance(&limiter->window, &limiter->limit, now_ms);
        break;
    }
    limiter->latest_ms = now_ms;
    return now_ms;
}

void limiter_begin(struct limiter *limiter, const struct limit *limit, int64_t now_ms)
{
    HL_ASSERT(limit_valid(limit));
    HL_ASSERT(now_ms >= 0 && now_ms <= LIMIT_NOW_MAX_MS);
    memset(limiter, 0, sizeof *limiter);
    limiter->limit = *limit;
    limiter->latest_ms = now_ms;
    switch (limit->algorithm) {
    case LIMIT_TOKEN:
        limiter->bucket = bucket_full(limit);
        break;
    case LIMIT_GCRA:
        limiter->gcra = gcra_full(now_ms);
        break;
    case LIMIT_WINDOW:
        limiter->window = window_full(limit, now_ms);
        break;
    }
}

int64_t limiter_used(const struct limiter *limiter, int64_t now_ms)
{
    struct limiter copy = *limiter;
    now_ms = go_on(&copy, now_ms);
    switch (copy.limit.algorithm) {
    case LIMIT_TOKEN:
        return copy.limit.capacity - copy.bucket.tokens;
    case LIMIT_GCRA:
        return gcra_refund(&copy.gcra, &copy.limit, INT64_MAX, now_ms);
    case LIMIT_WINDOW:
        return window_used(&copy.window);
    }
    HL_ASSERT(false);
    return 0;
}

/* Whether the state means the same under both limits. */
static bool keeps_state(const struct limit *from, const struct limit *to)
{
    return from->algorithm == to->algorithm &&
           (from->algorithm != LIMIT_WINDOW || from->num == to->num);
}

void limiter_adapt(struct limiter *limiter, const struct limit *limit, int64_t now_ms)
{
    HL_ASSERT(limit_valid(limit));
    if (limit_equal(&limiter->limit, limit)) {
        return;
    }
    now_ms = go_on(limiter, now_ms);
    if (!keeps_state(&limiter->limit, limit)) {
        int64_t used = limiter_used(limiter, now_ms);
        limiter_begin(limiter, limit, now_ms);
        struct limit_result taken =
            limiter_take(limiter, used < limit->capacity ? used : limit->capacity, now_ms);
        HL_ASSERT(taken.allowed);
        return;
    }
    if (limit->algorithm == LIMIT_TOKEN) {
        bucket_adapt(&limiter->bucket, &limiter->limit, limit);
    } else if (limit->algorithm == LIMIT_GCRA) {
        gcra_adapt(&limiter->gcra, &limiter->limit, limit);
    }
    limiter->limit = *limit;
}

struct limit_result limiter_take(struct limiter *limiter, int64_t want, int64_t now_ms)
{
    HL_ASSERT(want >= 0);
    now_ms = go_on(limiter, now_ms);
    switch (limiter->limit.algorithm) {
    case LIMIT_TOKEN:
        return bucket_take(&limiter->bucket, &limiter->limit, want);
    case LIMIT_GCRA:
        return gcra_take(&limiter->gcra, &limiter->limit, want, now_ms);
    case LIMIT_WINDOW:
        return window_take(&limiter->window, &limiter->limit, want, now_ms);
    }
    HL_ASSERT(false);
    return (struct limit_result){0};
}

int64_t limiter_refund(struct limiter *limiter, int64_t count, int64_t now_ms)
{
    HL_ASSERT(count >= 0);
    now_ms = go_on(limiter, now_ms);
    switch (limiter->limit.algorithm) {
    case LIMIT_TOKEN:
        return bucket_refund(&limiter->bucket, &limiter->limit, count);
    case LIMIT_GCRA:
        return gcra_refund(&limiter->gcra, &limiter->limit, count, now_ms);
    case LIMIT_WINDOW:
        return window_refund(&limiter->window, count);
    }
    HL_ASSERT(false);
    return 0;
}

size_t limiter_encode(const struct limiter *limiter, unsigned char out[LIMITER_BYTES_MAX])
{
    HL_ASSERT(limit_valid(&limiter->limit));
    const struct window *window = &limiter->window;
    size_t count = WINDOW_SLOTS;
    out[0] = FORMAT;
    out[1] = (unsigned char)limiter->limit.algorithm;
    hl_put_le64(out + 2, (uint64_t)limiter->limit.capacity);
    hl_put_le64(out + 10, (uint64_t)limiter->limit.num);
    hl_put_le64(out + 18, (uint64_t)limiter->limit.den);
    hl_put_le64(out + 26, (uint64_t)limiter->latest_ms);
    switch (limiter->limit.algorithm) {
    case LIMIT_TOKEN:
        hl_put_le64(out + HEAD_LEN, (uint64_t)limiter->bucket.tokens);
        hl_put_le64(out + HEAD_LEN + 8, (uint64_t)limiter->bucket.part);
        return TIMES_LEN;
    case LIMIT_GCRA:
        hl_put_le64(out + HEAD_LEN, (uint64_t)limiter->gcra.due_ns);
        hl_put_le64(out + HEAD_LEN + 8, (uint64_t)limiter->gcra.part);
        return TIMES_LEN;
    case LIMIT_WINDOW:
        break;
    }
    while (count > 0 && window->counts[count - 1] == 0) {
        count--;
    }
    hl_put_le64(out + HEAD_LEN, (uint64_t)window->newest);
    out[HEAD_LEN + 8] = (unsigned char)count;
    for (size_t i = 0; i < count; i++) {
        hl_put_le32(out + COUNTS_AT + 4 * i, window->counts[i]);
    }
    return COUNTS_AT + 4 * count;
}

static int64_t get_i64(struct hl_slice bytes, size_t at)
{
    return (int64_t)hl_get_le64(bytes.ptr + at);
}

static bool decode_window(struct limiter *limiter, struct hl_slice bytes)
{
    if (bytes.len < COUNTS_AT) {
        return false;
    }
    size_t count = (unsigned char)bytes.ptr[HEAD_LEN + 8];
    if (count > WINDOW_SLOTS || bytes.len != COUNTS_AT + 4 * count) {
        return false;
    }
    limiter->window.newest = get_i64(bytes, HEAD_LEN);
    for (size_t i = 0; i < count; i++) {
        limiter->window.counts[i] = hl_get_le32(bytes.ptr + COUNTS_AT + 4 * i);
    }
    return (count == 0 || limiter->window.counts[count - 1] != 0) && /* S2 */
           window_valid(&limiter->window, &limiter->limit);
}

/* Read what follows the head; false when it is no state of the limit. */
static bool decode_state(struct limiter *limiter, struct hl_slice bytes)
{
    if (limiter->limit.algorithm == LIMIT_WINDOW) {
        return decode_window(limiter, bytes);
    }
    if (bytes.len != TIMES_LEN) {
        return false;
    }
    if (limiter->limit.algorithm == LIMIT_TOKEN) {
        limiter->bucket = (struct bucket){.tokens = get_i64(bytes, HEAD_LEN),
                                          .part = get_i64(bytes, HEAD_LEN + 8)};
        return bucket_valid(&limiter->bucket, &limiter->limit);
    }
    limiter->gcra =
        (struct gcra){.due_ns = get_i64(bytes, HEAD_LEN), .part = get_i64(bytes, HEAD_LEN + 8)};
    return gcra_valid(&limiter->gcra, &limiter->limit);
}

hl_err limiter_decode(struct limiter *limiter, struct hl_slice bytes)
{
    struct limiter read = {0};
    if (bytes.len < HEAD_LEN || bytes.ptr[0] == 0) {
        return HL_ECORRUPT;
    }
    if ((unsigned char)bytes.ptr[0] > FORMAT) {
        return HL_EVERSION;
    }
    read.limit = (struct limit){.algorithm = (enum limit_algorithm)bytes.ptr[1],
                                .capacity = get_i64(bytes, 2),
                                .num = get_i64(bytes, 10),
                                .den = get_i64(bytes, 18)};
    read.latest_ms = get_i64(bytes, 26);
    if (!limit_valid(&read.limit) || read.latest_ms < 0 || read.latest_ms > LIMIT_NOW_MAX_MS ||
        !decode_state(&read, bytes)) {
        return HL_ECORRUPT;
    }
    *limiter = read;
    return HL_OK;
}
