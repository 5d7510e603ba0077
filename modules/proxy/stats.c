/* Counters. */
#include "stats.h"

#include "kit/assert.h"

static atomic_llong counted[COUNTER_COUNT];

static const char *const names[COUNTER_COUNT] = {
#define X(name) [COUNT_##name] = #name,
    PROXY_COUNTERS(X)
#undef X
};

static const struct net_counters counters = {names, counted, COUNTER_COUNT};

void stats_add(enum counter counter, long long by)
{
    net_counter_add(&counters, counter, by);
}

void stats_response(int status)
{
    static const enum counter by_class[] = {COUNT_responses_2xx, COUNT_responses_3xx,
                                            COUNT_responses_4xx, COUNT_responses_5xx};
    HL_ASSERT(status >= 200);
    HL_ASSERT(status <= 599);
    stats_add(by_class[status / 100 - 2], 1);
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
