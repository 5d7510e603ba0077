/* How long to make somebody wait after failed logins: exponential back-off, pure arithmetic.
 *
 * Failures below the threshold cost nothing; the one that reaches it locks for base_ms, each
 * further one for twice as long as the one before, up to max_ms.  forget_ms without a failure start
 * over.
 */
#ifndef AUTH_LOCKOUT_H
#define AUTH_LOCKOUT_H

#include "record.h"

#define LOCKOUT_THRESHOLD_MAX 1000
#define LOCKOUT_MS_MAX (INT64_C(1000) * 86400 * 30)

struct lockout_policy {
    uint32_t threshold;                 /* 1..LOCKOUT_THRESHOLD_MAX */
    int64_t base_ms, max_ms, forget_ms; /* 1..LOCKOUT_MS_MAX each, base_ms <= max_ms */
};

/* Milliseconds to wait at `now_ms`; 0 when the next attempt may be made.  Never more than
 * `policy` could have imposed, even when the clock stepped back. */
int64_t lockout_wait_ms(const struct failure_record *failure, const struct lockout_policy *policy,
                        int64_t now_ms);

/* Count a failure at `now_ms`. */
void lockout_fail(struct failure_record *failure, const struct lockout_policy *policy,
                  int64_t now_ms);

/* When the record means nothing any more and may expire. */
int64_t lockout_forget_at_ms(const struct failure_record *failure,
                             const struct lockout_policy *policy);

#endif
