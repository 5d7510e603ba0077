/* Exponential back-off on failure records. */
#include "lockout.h"

#include "kit/assert.h"

static void check(const struct lockout_policy *policy)
{
    HL_ASSERT(policy->threshold >= 1 && policy->threshold <= LOCKOUT_THRESHOLD_MAX);
    HL_ASSERT(policy->base_ms >= 1 && policy->base_ms <= policy->max_ms);
    HL_ASSERT(policy->max_ms <= LOCKOUT_MS_MAX);
    HL_ASSERT(policy->forget_ms >= 1 && policy->forget_ms <= LOCKOUT_MS_MAX);
}

int64_t lockout_wait_ms(const struct failure_record *failure, const struct lockout_policy *policy,
                        int64_t now_ms)
{
    check(policy);
    if (failure->locked_until_ms <= now_ms) {
        return 0;
    }
    int64_t wait_ms = failure->locked_until_ms - now_ms;
    return wait_ms < policy->max_ms ? wait_ms : policy->max_ms;
}

void lockout_fail(struct failure_record *failure, const struct lockout_policy *policy,
                  int64_t now_ms)
{
    check(policy);
    HL_ASSERT(now_ms >= 0 && now_ms <= INT64_MAX - LOCKOUT_MS_MAX);
    if (now_ms > failure->last_ms && now_ms - failure->last_ms >= policy->forget_ms &&
        now_ms >= failure->locked_until_ms) {
        failure->count = 0;
    }
    failure->count += failure->count < UINT32_MAX;
    failure->last_ms = now_ms;
    if (failure->count < policy->threshold) {
        return;
    }
    int64_t lock_ms = policy->base_ms;
    for (uint32_t i = policy->threshold; i < failure->count && lock_ms < policy->max_ms; i++) {
        lock_ms *= 2;
    }
    lock_ms = lock_ms < policy->max_ms ? lock_ms : policy->max_ms;
    failure->locked_until_ms = now_ms + lock_ms;
}

int64_t lockout_forget_at_ms(const struct failure_record *failure,
                             const struct lockout_policy *policy)
{
    check(policy);
    int64_t quiet_ms = failure->last_ms > INT64_MAX - policy->forget_ms
                           ? INT64_MAX
                           : failure->last_ms + policy->forget_ms;
    return quiet_ms > failure->locked_until_ms ? quiet_ms : failure->locked_until_ms;
}
