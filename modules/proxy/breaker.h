/* A circuit breaker: failures in a row open it, after a while one trial at a time may close it.
 *
 *     closed --failure_threshold failures in a row--> open
 *     open --cooldown_ms--> half-open, when the next request asks
 *     half-open --a failed trial--> open;  --success_threshold good ones in a row--> closed
 *
 *   PK1  while open nothing is let through; while half-open one trial at a time.
 *   PK2  what was let through while closed and ends later changes nothing but a closed breaker.
 */
#ifndef PROXY_BREAKER_H
#define PROXY_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker_rules {
    uint32_t failure_threshold; /* at least 1 */
    uint32_t success_threshold; /* at least 1 */
    int64_t cooldown_ms;
};

/* All zero is closed. */
struct breaker {
    enum breaker_state state;
    uint32_t failures;  /* in a row, while closed */
    uint32_t successes; /* in a row, while half-open */
    int64_t opened_ms;
    bool trial; /* one is on its way */
};

/* Whether a request would be let through now. */
bool breaker_admits(const struct breaker *breaker, const struct breaker_rules *rules,
                    int64_t now_ms);

/* A request goes, which breaker_admits() allowed.  True when it is a trial: say so when it ends. */
bool breaker_begin(struct breaker *breaker);

/* It ended well. */
void breaker_success(struct breaker *breaker, const struct breaker_rules *rules, bool trial);

/* It ended badly. */
void breaker_failure(struct breaker *breaker, const struct breaker_rules *rules, bool trial,
                     int64_t now_ms);

/* It ended with no verdict about the backend. */
void breaker_abandon(struct breaker *breaker, bool trial);

/* "closed", "open", "half-open". */
const char *breaker_name(enum breaker_state state);

#endif
