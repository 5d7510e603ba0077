/* Counters of the module, from any thread; and their section in INFO. */
#ifndef PROXY_STATS_H
#define PROXY_STATS_H

#include "net/counters.h"

#define PROXY_COUNTERS(X)                                                                          \
    X(connections_open)                                                                            \
    X(connections_total)                                                                           \
    X(connections_refused)                                                                         \
    X(tls_failures)                                                                                \
    X(requests_total)                                                                              \
    X(requests_open)                                                                               \
    X(requests_malformed)                                                                          \
    X(requests_abandoned)                                                                          \
    X(no_route)                                                                                    \
    X(no_backend)                                                                                  \
    X(responses_2xx)                                                                               \
    X(responses_3xx)                                                                               \
    X(responses_4xx)                                                                               \
    X(responses_5xx)                                                                               \
    X(retries)                                                                                     \
    X(backend_connections)                                                                         \
    X(backend_reuses)                                                                              \
    X(backend_errors)                                                                              \
    X(backend_timeouts)                                                                            \
    X(responses_malformed)                                                                         \
    X(tunnels_open)                                                                                \
    X(tunnels_total)                                                                               \
    X(timeouts_head)                                                                               \
    X(timeouts_body)                                                                               \
    X(timeouts_idle)                                                                               \
    X(timeouts_write)                                                                              \
    X(health_checks)                                                                               \
    X(health_checks_failed)                                                                        \
    X(breaker_opened)                                                                              \
    X(bytes_in)                                                                                    \
    X(bytes_out)

enum counter {
#define X(name) COUNT_##name,
    PROXY_COUNTERS(X)
#undef X
        COUNTER_COUNT
};

/* Change a counter. */
void stats_add(enum counter counter, long long by);

/* Count a response to a client by its status. */
void stats_response(int status);

/* A counter now. */
long long stats_get(enum counter counter);

/* Its name. */
const char *stats_name(enum counter counter);

/* All zero, and shown in INFO where the server can; in OnLoad, before the thread begins. */
void stats_load(RedisModuleCtx *ctx);

#endif
