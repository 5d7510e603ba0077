/* A module's settings from two tables, `<module>.<name>` for CONFIG GET and SET.
 *
 * They change on the server's thread and are read on any: numbers are atomic, texts are fixed when
 * the module loads.
 */
#ifndef NET_SETTINGS_H
#define NET_SETTINGS_H

#include "helios/module.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define NET_TEXT_MAX 1024

struct net_number {
    const char *name; /* static */
    long long initial, min, max;
    atomic_llong value;
};

struct net_text {
    const char *name; /* static */
    const char *initial;
    char value[NET_TEXT_MAX + 1];
    RedisModuleString *shown; /* what the getter lends to the server */
};

/* Static tables of the module. */
struct net_settings {
    struct net_number *numbers;
    size_t number_count;
    struct net_text *texts;
    size_t text_count;
};

/* A number's value now; from any thread. */
static inline int64_t net_number(const struct net_number *number)
{
    return atomic_load_explicit(&number->value, memory_order_relaxed);
}

/* Register all, where the server has settings of modules, take the values given at load time, then
 * pairs of a name and a value from the arguments.  In OnLoad only.  False, after logging why, when
 * one is refused. */
bool net_settings_load(RedisModuleCtx *ctx, const struct net_settings *settings,
                       RedisModuleString **argv, int argc);

/* Give back what net_settings_load() took. */
void net_settings_unload(const struct net_settings *settings);

#endif
