/* The module's settings, `gateway.<name>`: numbers change at any time and are read on any thread,
 * texts are given when the module loads. */
#ifndef GATEWAY_SETTINGS_H
#define GATEWAY_SETTINGS_H

#include "limit.h"

#include "helios/module.h"

#include <stdbool.h>
#include <stdint.h>

/* name, in the configuration, default, least, most */
#define GW_SETTINGS(X)                                                                             \
    X(COMMAND_TIMEOUT, "command-timeout", 10000, 1, 600000)                                        \
    X(LOCAL_KV, "local-kv", 1, 0, 1)                                                               \
    X(STRICT_DUPLICATES, "strict-duplicates", 0, 0, 1)                                             \
    X(LIMIT_CAPACITY, "limit-capacity", 100, 0, GW_LIMIT_RATE_MAX)                                 \
    X(LIMIT_RATE_NUM, "limit-rate-num", 1, 1, GW_LIMIT_RATE_MAX)                                   \
    X(LIMIT_RATE_DEN, "limit-rate-den", 1, 1, 1000)                                                \
    X(LIMIT_REPLICATED, "limit-replicated", 0, 0, 1)                                               \
    X(LIMIT_CLOSED, "limit-closed", 0, 0, 1)                                                       \
    X(ONCE_TTL, "idempotency-ttl", 86400, 1, 604800)                                               \
    X(ONCE_MAX, "idempotency-max", 1000, 1, 100000)

enum gw_setting {
#define X(id, name, initial, min, max) GW_SETTING_##id,
    GW_SETTINGS(X)
#undef X
        GW_SETTING_COUNT
};

/* A number's value now. */
int64_t gw_setting(enum gw_setting which);

/* The limit of this route, by its method and pattern; NULL when it has none of its own. */
const struct gw_limit *gw_setting_limit(const char *method, const char *pattern);

/* Addresses of proxies that are believed, between spaces. */
const char *gw_setting_proxies(void);

/* Register all and take the values given at load time and in the arguments.  In OnLoad only.
 * False, after logging why, when one is refused. */
bool gw_settings_load(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* Give back what gw_settings_load() took. */
void gw_settings_unload(void);

#endif
