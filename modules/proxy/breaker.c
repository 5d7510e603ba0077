/* A circuit breaker. */
#include "breaker.h"

#include "kit/assert.h"

#include <stddef.h>

bool breaker_admits(const struct breaker *b, const struct breaker_rules *rules, int64_t now_ms)
{
    switch (b->state) {
    case BREAKER_CLOSED:
        return true;
    case BREAKER_OPEN:
        return now_ms - b->opened_ms >= rules->cooldown_ms;
    case BREAKER_HALF_OPEN:
        return !b->trial;
    }
    return false;
}

bool breaker_begin(struct breaker *b)
{
    if (b->state == BREAKER_CLOSED) {
        return false;
    }
    HL_ASSERT(!b->trial);
    if (b->state == BREAKER_OPEN) {
        b->successes = 0;
    }
    b->state = BREAKER_HALF_OPEN;
    b->trial = true;
    return true;
}

static void open(struct breaker *b, int64_t now_ms)
{
    *b = (struct breaker){.state = BREAKER_OPEN, .opened_ms = now_ms};
}

void breaker_success(struct breaker *b, const struct breaker_rules *rules, bool trial)
{
    if (b->state == BREAKER_CLOSED) {
        b->failures = 0;
    } else if (trial && b->state == BREAKER_HALF_OPEN) {
        b->trial = false;
        b->successes++;
        if (b->successes >= rules->success_threshold) {
            *b = (struct breaker){0};
        }
    }
}

void breaker_failure(struct breaker *b, const struct breaker_rules *rules, bool trial,
                     int64_t now_ms)
{
    if (b->state == BREAKER_CLOSED) {
        b->failures++;
        if (b->failures >= rules->failure_threshold) {
            open(b, now_ms);
        }
    } else if (trial && b->state == BREAKER_HALF_OPEN) {
        open(b, now_ms);
    }
}

void breaker_abandon(struct breaker *b, bool trial)
{
    if (trial && b->state == BREAKER_HALF_OPEN) {
        b->trial = false;
    }
}

const char *breaker_name(enum breaker_state state)
{
    static const char *const names[] = {
        [BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open", [BREAKER_HALF_OPEN] = "half-open"};
    return names[state];
}
