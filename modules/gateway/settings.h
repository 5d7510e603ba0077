/* The module's settings, `gateway.<name>`: changed on the server's thread, read on any. */
#ifndef GATEWAY_SETTINGS_H
#define GATEWAY_SETTINGS_H

#include "helios/module.h"

#include <stdbool.h>
#include <stdint.h>

/* name, in the configuration, default, least, most */
#define GW_SETTINGS(X)                                                                             \
    X(COMMAND_TIMEOUT, "command-timeout", 10000, 1, 600000)                                        \
    X(LOCAL_KV, "local-kv", 1, 0, 1)                                                               \
    X(STRICT_DUPLICATES, "strict-duplicates", 0, 0, 1)

enum gw_setting {
#define X(id, name, initial, min, max) GW_SETTING_##id,
    GW_SETTINGS(X)
#undef X
        GW_SETTING_COUNT
};

/* A number's value now. */
int64_t gw_setting(enum gw_setting which);

/* Register all and take the values given at load time.  In OnLoad only.  False, after logging why,
 * when one is refused. */
bool gw_settings_load(RedisModuleCtx *ctx);

#endif
