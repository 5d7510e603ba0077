/* A module's counters: written on any thread, read on any; and their section in INFO. */
#ifndef NET_COUNTERS_H
#define NET_COUNTERS_H

#include "helios/module.h"

#include <stdatomic.h>

/* Static tables of the module, of `count` each. */
struct net_counters {
    const char *const *names;
    atomic_llong *values;
    size_t count;
};

/* Change a counter. */
static inline void net_counter_add(const struct net_counters *counters, size_t which, long long by)
{
    atomic_fetch_add_explicit(&counters->values[which], by, memory_order_relaxed);
}

/* A counter now. */
static inline long long net_counter_get(const struct net_counters *counters, size_t which)
{
    return atomic_load_explicit(&counters->values[which], memory_order_relaxed);
}

/* Begin with zero, and show all in INFO, where the server can.  Once, in OnLoad. */
void net_counters_load(RedisModuleCtx *ctx, const struct net_counters *counters);

#endif
