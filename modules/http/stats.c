/* Counters. */
#include "stats.h"

#include "kit/assert.h"

static atomic_llong counted[COUNTER_COUNT];

static const char *const names[COUNTER_COUNT] = {
#define X(name) [COUNT_##name] = #name,
    HTTP_COUNTERS(X)
#undef X
};

static const struct net_counters counters = {names, counted, COUNTER_COUNT};

void stats_add(enum counter counter, long long by)
{
    net_counter_add(&counters, counter, by);
}

long long stats_get(enum counter counter)
{
    return net_counter_get(&counters, counter);
}

const char *stats_name(enum counter counter)
{
    HL_ASSERT(counter < COUNTER_COUNT);
    return names[counter];
}

void stats_load(RedisModuleCtx *ctx)
{
    net_counters_load(ctx, &counters);
}
