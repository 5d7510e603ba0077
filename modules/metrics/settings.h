/* The module's settings. */
#ifndef METRICS_SETTINGS_H
#define METRICS_SETTINGS_H

#include "net/settings.h"

#define METRICS_NUMBERS(X)                                                                         \
    X(COLLECT_TIMEOUT, "collect-timeout", 2000, 1, 60000)                                          \
    X(IDLE_TIMEOUT, "idle-timeout", 60000, 100, 3600000)                                           \
    X(HEAD_TIMEOUT, "head-timeout", 5000, 100, 3600000)                                            \
    X(WRITE_TIMEOUT, "write-timeout", 10000, 100, 3600000)                                         \
    X(CONNECTIONS_MAX, "max-connections", 64, 1, 10000)

#define METRICS_TEXTS(X) X(LISTEN, "listen", "127.0.0.1:9090")

enum setting {
#define X(id, name, initial, min, max) SETTING_##id,
    METRICS_NUMBERS(X)
#undef X
        SETTING_COUNT
};

enum text {
#define X(id, name, initial) TEXT_##id,
    METRICS_TEXTS(X)
#undef X
        TEXT_COUNT
};

/* A number now; from any thread. */
int64_t setting(enum setting which);

/* A text; fixed when the module is loaded. */
const char *setting_text(enum text which);

/* Register them and take what is given at load time; in OnLoad.  False, after logging why, when
 * one is refused. */
bool settings_load(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* Release them. */
void settings_unload(void);

#endif
