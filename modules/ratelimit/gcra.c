/* All sums are in units of 1 / num nanoseconds: whole numbers below 2^94, by G2 and L1. */
#include "gcra.h"

#include "kit/assert.h"

#define DUE_MAX_NS ((LIMIT_NOW_MAX_MS + LIMIT_SPAN_MAX_MS) * NS_PER_MS)
HL_STATIC(LIMIT_NOW_MAX_MS + LIMIT_SPAN_MAX_MS <= INT64_MAX / NS_PER_MS);

bool gcra_valid(const struct gcra *gcra, const struct limit *limit)
{
    return gcra->due_ns >= 0 && gcra->due_ns <= DUE_MAX_NS && gcra->part >= 0 &&
           gcra->part < limit->num;
}

struct gcra gcra_full(int64_t now_ms)
{
    HL_ASSERT(now_ms >= 0 && now_ms <= LIMIT_NOW_MAX_MS);
    return (struct gcra){.due_ns = now_ms * NS_PER_MS};
}

static rl_wide backlog(const struct gcra *gcra, const struct limit *limit, int64_t now_ms)
{
    rl_wide due = (rl_wide)gcra->due_ns * limit->num + gcra->part;
    rl_wide now = (rl_wide)now_ms * NS_PER_MS * limit->num;
    return due > now ? due - now : 0;
}

static void set_backlog(struct gcra *gcra, const struct limit *limit, int64_t now_ms, rl_wide value)
{
    rl_wide due = (rl_wide)now_ms * NS_PER_MS * limit->num + value;
    gcra->due_ns = (int64_t)(due / limit->num);
    gcra->part = (int64_t)(due % limit->num);
    HL_ASSERT(gcra_valid(gcra, limit));
}

int64_t gcra_backlog_ns(const struct gcra *gcra, const struct limit *limit, int64_t now_ms)
{
    return rl_divide_up(backlog(gcra, limit, now_ms), limit->num);
}

struct limit_result gcra_take(struct gcra *gcra, const struct limit *limit, int64_t want,
                              int64_t now_ms)
{
    HL_ASSERT(limit_valid(limit));
    HL_ASSERT(gcra_valid(gcra, limit));
    HL_ASSERT(want >= 0);
    rl_wide interval = (rl_wide)limit->den * NS_PER_S;
    rl_wide full = interval * limit->capacity;
    rl_wide queued = backlog(gcra, limit, now_ms);
    rl_wide ms = (rl_wide)NS_PER_MS * limit->num;
    struct limit_result result = {.retry_ms = LIMIT_NEVER};
    if (want <= limit->capacity) {
        rl_wide over = queued + interval * want - full;
        result.allowed = over <= 0 || want == 0;
        result.retry_ms = result.allowed ? 0 : rl_divide_up(over, ms);
    }
    if (result.allowed && want != 0) {
        queued += interval * want;
        set_backlog(gcra, limit, now_ms, queued);
    }
    result.remaining = queued < full ? (int64_t)((full - queued) / interval) : 0;
    result.reset_ms = rl_divide_up(queued, ms);
    return result;
}

int64_t gcra_refund(struct gcra *gcra, const struct limit *limit, int64_t count, int64_t now_ms)
{
    HL_ASSERT(limit_valid(limit));
    HL_ASSERT(count >= 0);
    rl_wide interval = (rl_wide)limit->den * NS_PER_S;
    rl_wide queued = backlog(gcra, limit, now_ms);
    rl_wide used = queued / interval + (queued % interval != 0);
    int64_t given = used < count ? (int64_t)used : count;
    rl_wide left = queued - interval * given;
    set_backlog(gcra, limit, now_ms, left > 0 ? left : 0);
    return given;
}

void gcra_adapt(struct gcra *gcra, const struct limit *from, const struct limit *to)
{
    HL_ASSERT(gcra_valid(gcra, from));
    if (from->num != to->num && gcra->part != 0) {
        gcra->due_ns += gcra->due_ns < DUE_MAX_NS;
        gcra->part = 0;
    }
    HL_ASSERT(gcra_valid(gcra, to));
}
