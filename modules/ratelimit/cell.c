#include "cell.h"

#include "kit/assert.h"
#include "kit/num.h"

#define US_NS 1000

bool cell_parse(struct hl_slice text, int64_t *out)
{
    bool minus = text.len > 1 && text.ptr[0] == '-';
    size_t at = text.len > 1 && (minus || text.ptr[0] == '+');
    rl_wide value = 0;
    if (text.len == 0) {
        return false;
    }
    for (; at < text.len; at++) {
        if (text.ptr[at] < '0' || text.ptr[at] > '9') {
            return false;
        }
        value = value * 10 + (text.ptr[at] - '0');
        if (value > (rl_wide)INT64_MAX + minus) {
            return false;
        }
    }
    *out = (int64_t)(minus ? -value : value);
    return true;
}

static int64_t interval_ns(const struct cell_request *request)
{
    return (int64_t)((rl_wide)request->period_s * NS_PER_S / request->count);
}

const char *cell_limit(const struct cell_request *request, struct limit *limit, bool *none)
{
    if (request->count < 0 || request->period_s < 0 || request->quantity < 0) {
        return "Negative rates and quantities are not supported";
    }
    if (request->period_s > LIMIT_SPAN_MAX_MS / 1000 || request->max_burst == INT64_MAX) {
        return "The limit is too large";
    }
    if (request->count == 0 || interval_ns(request) == 0) {
        return "Zero rates are not supported";
    }
    *none = request->max_burst < 0;
    *limit = (struct limit){.algorithm = LIMIT_GCRA,
                            .capacity = *none ? 1 : request->max_burst + 1,
                            .num = NS_PER_S,
                            .den = interval_ns(request)};
    return limit_valid(limit) ? NULL : "The limit is too large";
}

struct cell_reply cell_refuse(const struct cell_request *request)
{
    HL_ASSERT(request->max_burst < 0);
    bool looks = request->quantity == 0 && request->max_burst == -1;
    return (struct cell_reply){
        .limited = looks ? 0 : 1, .limit = request->max_burst + 1, .retry_s = -1};
}

/* Seconds, one more when milliseconds are left over; less than a millisecond is not. */
static int64_t seconds(int64_t ns)
{
    return ns / NS_PER_S + (ns % NS_PER_S >= NS_PER_MS);
}

struct cell_reply cell_take(struct limiter *limiter, const struct cell_request *request,
                            int64_t now_ms)
{
    HL_ASSERT(limiter->limit.algorithm == LIMIT_GCRA);
    HL_ASSERT(limiter->limit.num == NS_PER_S);
    int64_t interval = limiter->limit.den;
    int64_t capacity = limiter->limit.capacity;
    if (now_ms < limiter->latest_ms) {
        now_ms = limiter->latest_ms;
    }
    int64_t before_ns = gcra_backlog_ns(&limiter->gcra, &limiter->limit, now_ms);
    struct limit_result taken = limiter_take(limiter, request->quantity, now_ms);
    int64_t queued_ns = gcra_backlog_ns(&limiter->gcra, &limiter->limit, now_ms);
    struct cell_reply reply = {.limited = !taken.allowed, .limit = capacity, .retry_s = -1};
    if (!taken.allowed && request->quantity <= capacity) {
        reply.retry_s = seconds(before_ns + interval * request->quantity - interval * capacity);
    }
    int64_t free_ns = interval * capacity - queued_ns;
    if (free_ns > 0) {
        reply.remaining =
            interval >= US_NS ? free_ns / US_NS / (interval / US_NS) : free_ns / interval;
    }
    reply.reset_s = seconds(queued_ns);
    return reply;
}
