/* Counters: written on http's thread (some on others), read anywhere; and their section in INFO. */
#ifndef HTTP_STATS_H
#define HTTP_STATS_H

#include "net/counters.h"

#define HTTP_COUNTERS(X)                                                                           \
    X(connections_open)                                                                            \
    X(connections_total)                                                                           \
    X(connections_refused)                                                                         \
    X(tls_failures)                                                                                \
    X(requests_total)                                                                              \
    X(requests_open)                                                                               \
    X(responses_2xx)                                                                               \
    X(responses_3xx)                                                                               \
    X(responses_4xx)                                                                               \
    X(responses_5xx)                                                                               \
    X(requests_malformed)                                                                          \
    X(requests_abandoned)                                                                          \
    X(timeouts_head)                                                                               \
    X(timeouts_body)                                                                               \
    X(timeouts_idle)                                                                               \
    X(timeouts_write)                                                                              \
    X(timeouts_handler)                                                                            \
    X(websockets_open)                                                                             \
    X(websockets_total)                                                                            \
    X(websocket_messages_in)                                                                       \
    X(websocket_messages_out)                                                                      \
    X(bytes_in)                                                                                    \
    X(bytes_out)                                                                                   \
    X(access_log_dropped)

enum counter {
#define X(name) COUNT_##name,
    HTTP_COUNTERS(X)
#undef X
        COUNTER_COUNT
};

/* Change a counter; from any thread. */
void stats_add(enum counter counter, long long by);

/* A counter now. */
long long stats_get(enum counter counter);

/* Its name. */
const char *stats_name(enum counter counter);

/* All zero, and shown in INFO where the server can; in OnLoad, before the thread begins. */
void stats_load(RedisModuleCtx *ctx);

#endif
