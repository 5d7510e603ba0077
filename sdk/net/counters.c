/* Counters. */
#include "net/counters.h"

static const struct net_counters *shown; /* each module links a library of its own */

static void tell(RedisModuleInfoCtx *info, int for_crash_report)
{
    (void)for_crash_report;
    RedisModule_InfoAddSection(info, "");
    for (size_t i = 0; i < shown->count; i++) {
        RedisModule_InfoAddFieldLongLong(info, shown->names[i], net_counter_get(shown, i));
    }
}

void net_counters_load(RedisModuleCtx *ctx, const struct net_counters *counters)
{
    shown = counters;
    for (size_t i = 0; i < counters->count; i++) {
        atomic_store(&counters->values[i], 0);
    }
    if (RedisModule_RegisterInfoFunc != NULL && RedisModule_InfoAddSection != NULL &&
        RedisModule_InfoAddFieldLongLong != NULL) {
        RedisModule_RegisterInfoFunc(ctx, tell);
    }
}
