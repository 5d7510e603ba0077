/* Counters. */
#include "stats.h"

#include "kit/assert.h"

#include <stdatomic.h>

static atomic_llong counted[COUNTER_COUNT];

static const char *const names[COUNTER_COUNT] = {
#define X(name) [COUNT_##name] = #name,
    HTTP_COUNTERS(X)
#undef X
};

void stats_add(enum counter counter, long long by)
{
    atomic_fetch_add_explicit(&counted[counter], by, memory_order_relaxed);
}

long long stats_get(enum counter counter)
{
    return atomic_load_explicit(&counted[counter], memory_order_relaxed);
}

const char *stats_name(enum counter counter)
{
    HL_ASSERT(counter < COUNTER_COUNT);
    return names[counter];
}

static void tell(RedisModuleInfoCtx *info, int for_crash_report)
{
    (void)for_crash_report;
    RedisModule_InfoAddSection(info, "");
    for (int i = 0; i < COUNTER_COUNT; i++) {
        RedisModule_InfoAddFieldLongLong(info, names[i], stats_get((enum counter)i));
    }
}

void stats_load(RedisModuleCtx *ctx)
{
    if (RedisModule_RegisterInfoFunc != NULL && RedisModule_InfoAddSection != NULL &&
        RedisModule_InfoAddFieldLongLong != NULL) {
        RedisModule_RegisterInfoFunc(ctx, tell);
    }
}

void stats_reset(void)
{
    for (int i = 0; i < COUNTER_COUNT; i++) {
        atomic_store(&counted[i], 0);
    }
}
