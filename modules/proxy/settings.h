/* The module's settings, `proxy.<name>` for CONFIG GET and SET; net/settings.h says who may read
 * them.  Times are milliseconds, sizes bytes. */
#ifndef PROXY_SETTINGS_H
#define PROXY_SETTINGS_H

#include "net/settings.h"

/* name, in the configuration, default, least, most */
#define PROXY_NUMBERS(X)                                                                           \
    X(MAX_CONNECTIONS, "max-connections", 10000, 1, 1000000)                                       \
    X(MAX_PER_ADDRESS, "max-connections-per-address", 4096, 1, 1000000)                            \
    X(REQUESTS_MAX, "requests-per-connection", 10000, 1, INT64_MAX)                                \
    X(HEAD_MAX, "head-max", 32768, 1024, 1048576)                                                  \
    X(HEADERS_MAX, "headers-max", 100, 8, 128)                                                     \
    X(BODY_MAX, "body-max", 104857600, 0, INT64_MAX)                                               \
    X(BUFFER, "buffer", 65536, 4096, 67108864)                                                     \
    X(HEAD_TIMEOUT, "head-timeout", 10000, 10, 3600000)                                            \
    X(BODY_TIMEOUT, "body-timeout", 10000, 10, 3600000)                                            \
    X(BODY_RATE_MIN, "body-rate-min", 1024, 1, 1073741824)                                         \
    X(IDLE_TIMEOUT, "idle-timeout", 60000, 10, 86400000)                                           \
    X(WRITE_TIMEOUT, "write-timeout", 30000, 10, 3600000)                                          \
    X(CONNECT_TIMEOUT, "connect-timeout", 5000, 10, 3600000)                                       \
    X(SEND_TIMEOUT, "send-timeout", 30000, 10, 3600000)                                            \
    X(RESPONSE_TIMEOUT, "response-timeout", 60000, 10, 86400000)                                   \
    X(READ_TIMEOUT, "read-timeout", 60000, 10, 86400000)                                           \
    X(TOTAL_TIMEOUT, "total-timeout", 300000, 10, 86400000)                                        \
    X(TUNNEL_TIMEOUT, "tunnel-timeout", 3600000, 10, 86400000)                                     \
    X(POOL_MAX, "pool-max-idle", 64, 0, 65536)                                                     \
    X(POOL_TIMEOUT, "pool-idle-timeout", 4000, 10, 86400000)                                       \
    X(RETRIES, "retries", 1, 0, 1)                                                                 \
    X(TRUST, "trust-forwarded", 0, 0, 1)                                                           \
    X(HEALTH_INTERVAL, "health-check-interval", 5000, 100, 86400000)                               \
    X(HEALTH_TIMEOUT, "health-check-timeout", 5000, 10, 3600000)                                   \
    X(HEALTH_RISE, "health-check-rise", 2, 1, 1000)                                                \
    X(HEALTH_FALL, "health-check-fall", 3, 1, 1000)                                                \
    X(BREAKER_FAILURES, "circuit-breaker-failure-threshold", 5, 1, 1000000)                        \
    X(BREAKER_SUCCESSES, "circuit-breaker-success-threshold", 2, 1, 1000)                          \
    X(BREAKER_COOLDOWN, "circuit-breaker-cooldown", 60000, 10, 86400000)                           \
    X(RESOLVE_INTERVAL, "resolve-interval", 30000, 100, 86400000)                                  \
    X(DRAIN_TIMEOUT, "drain-timeout", 5000, 0, 600000)

/* name, in the configuration, default */
#define PROXY_TEXTS(X)                                                                             \
    X(LISTEN, "listen", ":8080")                                                                   \
    X(TLS_LISTEN, "tls-listen", "")                                                                \
    X(TLS_CERT_FILE, "tls-cert-file", "")                                                          \
    X(TLS_KEY_FILE, "tls-key-file", "")                                                            \
    X(TLS_CA_FILE, "tls-ca-file", "")                                                              \
    X(HEALTH_PATH, "health-check-path", "/health")

enum setting {
#define X(id, name, initial, min, max) SETTING_##id,
    PROXY_NUMBERS(X)
#undef X
        SETTING_COUNT
};

enum text {
#define X(id, name, initial) TEXT_##id,
    PROXY_TEXTS(X)
#undef X
        TEXT_COUNT
};

/* A number's value now; from any thread. */
int64_t setting(enum setting which);

/* A text, which does not change once the module is loaded. */
const char *setting_text(enum text which);

/* net_settings_load() of them. */
bool settings_load(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* Give back what settings_load() took. */
void settings_unload(void);

#endif
