/* The module's settings, `http.<name>` for CONFIG GET and SET; net/settings.h says who may read
 * them. */
#ifndef HTTP_SETTINGS_H
#define HTTP_SETTINGS_H

#include "net/settings.h"

/* name, in the configuration, default, least, most */
#define HTTP_NUMBERS(X)                                                                            \
    X(MAX_CONNECTIONS, "max-connections", 10000, 1, 1000000)                                       \
    X(MAX_PER_ADDRESS, "max-connections-per-address", 4096, 1, 1000000)                            \
    X(MAX_SOCKETS, "max-websockets", 1024, 0, 1000000)                                             \
    X(REQUESTS_MAX, "requests-per-connection", 10000, 1, INT64_MAX)                                \
    X(HEAD_MAX, "head-max", 32768, 1024, 1048576)                                                  \
    X(HEADERS_MAX, "headers-max", 100, 8, 128)                                                     \
    X(BODY_MAX, "body-max", 8388608, 0, 1073741824)                                                \
    X(WRITE_BUFFER, "write-buffer", 262144, 4096, 67108864)                                        \
    X(MESSAGE_MAX, "websocket-message-max", 1048576, 1, 67108864)                                  \
    X(HEAD_TIMEOUT, "head-timeout", 10000, 10, 3600000)                                            \
    X(BODY_TIMEOUT, "body-timeout", 10000, 10, 3600000)                                            \
    X(BODY_RATE_MIN, "body-rate-min", 1024, 1, 1073741824)                                         \
    X(IDLE_TIMEOUT, "idle-timeout", 60000, 10, 86400000)                                           \
    X(WRITE_TIMEOUT, "write-timeout", 30000, 10, 3600000)                                          \
    X(HANDLER_TIMEOUT, "handler-timeout", 30000, 10, 86400000)                                     \
    X(PING_INTERVAL, "websocket-ping", 30000, 10, 86400000)                                        \
    X(DRAIN_TIMEOUT, "drain-timeout", 5000, 0, 600000)

enum setting {
#define X(id, name, initial, min, max) SETTING_##id,
    HTTP_NUMBERS(X)
#undef X
        SETTING_COUNT
};

/* name, in the configuration, default */
#define HTTP_TEXTS(X)                                                                              \
    X(LISTEN, "listen", "127.0.0.1:8443")                                                          \
    X(TLS_LISTEN, "tls-listen", "")                                                                \
    X(TLS_CERT_FILE, "tls-cert-file", "")                                                          \
    X(TLS_KEY_FILE, "tls-key-file", "")                                                            \
    X(TLS_CA_FILE, "tls-ca-file", "")                                                              \
    X(ACCESS_LOG, "access-log", "")

enum text {
#define X(id, name, initial) TEXT_##id,
    HTTP_TEXTS(X)
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
