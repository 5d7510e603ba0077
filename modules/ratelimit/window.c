#include "window.h"

#include "kit/assert.h"

static int64_t width_ms(const struct limit *limit)
{
    return (limit->num + WINDOW_PARTS - 1) / WINDOW_PARTS;
}

/* When a slot has left the window. */
static int64_t gone_ms(const struct limit *limit, int64_t slot)
{
    return (slot + 1) * width_ms(limit) - 1 + limit->num;
}

int64_t window_used(const struct window *window)
{
    int64_t used = 0;
    for (size_t i = 0; i < WINDOW_SLOTS; i++) {
        used += window->counts[i];
    }
    return used;
}

bool window_valid(const struct window *window, const struct limit *limit)
{
    return window->newest >= 0 && window->newest <= LIMIT_NOW_MAX_MS / width_ms(limit) &&
           window_used(window) <= LIMIT_WINDOW_CAPACITY_MAX;
}

struct window window_full(const struct limit *limit, int64_t now_ms)
{
    HL_ASSERT(limit_valid(limit));
    HL_ASSERT(now_ms >= 0);
    return (struct window){.newest = now_ms / width_ms(limit)};
}

void window_advance(struct window *window, const struct limit *limit, int64_t now_ms)
{
    int64_t current = now_ms / width_ms(limit);
    HL_ASSERT(window_valid(window, limit));
    int64_t shift = current > window->newest ? current - window->newest : 0;
    if (shift >= WINDOW_SLOTS) {
        *window = window_full(limit, now_ms);
        return;
    }
    if (shift > 0) {
        size_t kept = (size_t)(WINDOW_SLOTS - shift);
        memmove(window->counts + shift, window->counts, kept * sizeof window->counts[0]);
        memset(window->counts, 0, (size_t)shift * sizeof window->counts[0]);
        window->newest = current;
    }
    for (int64_t i = 0; i < WINDOW_SLOTS; i++) {
        if (gone_ms(limit, window->newest - i) <= now_ms) {
            window->counts[i] = 0;
        }
    }
}

/* Milliseconds until `count` of what counts has left the window. */
static int64_t wait_ms(const struct window *window, const struct limit *limit, int64_t count,
                       int64_t now_ms)
{
    int64_t freed = 0;
    int64_t i = WINDOW_SLOTS - 1;
    while (i > 0 && freed + window->counts[i] < count) {
        freed += window->counts[i];
        i--;
    }
    HL_ASSERT(freed + window->counts[i] >= count);
    return gone_ms(limit, window->newest - i) - now_ms;
}

struct limit_result window_take(struct window *window, const struct limit *limit, int64_t want,
                                int64_t now_ms)
{
    HL_ASSERT(want >= 0);
    int64_t used = window_used(window);
    struct limit_result result = {.retry_ms = LIMIT_NEVER};
    if (want <= limit->capacity) {
        int64_t over = used + want - limit->capacity;
        result.allowed = over <= 0 || want == 0;
        result.retry_ms = result.allowed ? 0 : wait_ms(window, limit, over, now_ms);
    }
    if (result.allowed) {
        window->counts[0] += (uint32_t)want;
        used += want;
    }
    result.remaining = used < limit->capacity ? limit->capacity - used : 0;
    result.reset_ms = used == 0 ? 0 : wait_ms(window, limit, used, now_ms);
    return result;
}

int64_t window_refund(struct window *window, int64_t count)
{
    HL_ASSERT(count >= 0);
    int64_t left = count;
    for (size_t i = 0; i < WINDOW_SLOTS && left > 0; i++) {
        int64_t given = left < window->counts[i] ? left : window->counts[i];
        window->counts[i] -= (uint32_t)given;
        left -= given;
    }
    return count - left;
}
