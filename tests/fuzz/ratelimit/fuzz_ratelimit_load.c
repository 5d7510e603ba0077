/* Bytes of a hostile dump.  The first byte chooses limiter or table; what is accepted encodes to
 * the same bytes, and whatever is asked of it, at any time, trips nothing. */
#include "kit/assert.h"
#include "ratelimit/limiter.h"
#include "ratelimit/policy.h"

static void use(struct limiter *limiter)
{
    static const int64_t times[] = {0, 1, INT64_C(1700000000000), LIMIT_NOW_MAX_MS};
    static const struct limit others[] = {{LIMIT_TOKEN, 5, 3, 7},
                                          {LIMIT_GCRA, 5, 3, 7},
                                          {LIMIT_WINDOW, 5, 1000, 1},
                                          {LIMIT_GCRA, 1, LIMIT_RATE_MAX, 1}};
    for (size_t i = 0; i < HL_ARRAY_LEN(times); i++) {
        struct limit_result r = limiter_take(limiter, 1, times[i]);
        HL_ASSERT(r.remaining >= 0 && r.reset_ms >= 0 && r.retry_ms >= LIMIT_NEVER);
        (void)limiter_refund(limiter, 1, times[i]);
        limiter_adapt(limiter, &others[i], times[i]);
        (void)limiter_take(limiter, 2, times[i]);
        (void)limiter_used(limiter, times[i]);
    }
}

static void feed_limiter(struct hl_slice bytes)
{
    struct limiter limiter;
    unsigned char again[LIMITER_BYTES_MAX];
    if (limiter_decode(&limiter, bytes) != HL_OK) {
        return;
    }
    size_t len = limiter_encode(&limiter, again);
    HL_ASSERT(hl_slice_equal(bytes, (struct hl_slice){(const char *)again, len}));
    use(&limiter);
    struct limiter read;
    len = limiter_encode(&limiter, again);
    hl_err err = limiter_decode(&read, (struct hl_slice){(const char *)again, len});
    HL_ASSERT(err == HL_OK);
}

static void feed_policies(struct hl_slice bytes)
{
    struct policies policies = {0};
    struct hl_buf again = {0};
    if (policies_decode(&policies, bytes) == HL_OK) {
        policies_encode(&policies, &again);
        HL_ASSERT(hl_slice_equal(bytes, hl_buf_view(&again)));
        hl_buf_fini(&again);
        policies_fini(&policies);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size != 0) {
        struct hl_slice bytes = {(const char *)data + 1, size - 1};
        if (data[0] % 2 == 0) {
            feed_limiter(bytes);
        } else {
            feed_policies(bytes);
        }
    }
    return 0;
}
