/* The module's settings, `http.<name>` for CONFIG GET and SET.
 *
 * They change on the server's thread and are read on http's: numbers are atomic, texts are fixed
 * when the module loads.
 */
#ifndef HTTP_SETTINGS_H
#define HTTP_SETTINGS_H

#include "helios/module.h"

#include <stdbool.h>
#include <stdint.h>

#define SETTINGS_TEXT_MAX 1024

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

struct http_texts {
    char listen[SETTINGS_TEXT_MAX + 1];
    char tls_listen[SETTINGS_TEXT_MAX + 1];
    char tls_cert_file[SETTINGS_TEXT_MAX + 1];
    char tls_key_file[SETTINGS_TEXT_MAX + 1];
    char tls_ca_file[SETTINGS_TEXT_MAX + 1];
    char access_log[SETTINGS_TEXT_MAX + 1];
};

/* A number's value now; from any thread. */
int64_t setting(enum setting which);

/* The texts, which do not change once the module is loaded. */
const struct http_texts *settings_texts(void);

/* Register all settings, where the server has settings of modules, take the values given at load
 * time, then pairs of a name and a value from the arguments.  In OnLoad only.  False, after logging
 * why, when one is refused. */
bool settings_load(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* Give back what settings_load() took. */
void settings_unload(void);

#endif
