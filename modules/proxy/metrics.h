/* What the metrics module shows of backends; nothing where there is none. */
#ifndef PROXY_METRICS_H
#define PROXY_METRICS_H

#include "helios/module.h"

#include <stdint.h>

struct backend;
struct backend_metrics;

/* Register the families; in OnLoad only. */
void metrics_load(RedisModuleCtx *ctx);

/* The cells of a backend, ended with metrics_backend_destroy(). */
struct backend_metrics *metrics_backend_create(const char *id);

/* Let go of them.  NULL is allowed. */
void metrics_backend_destroy(struct backend_metrics *metrics);

/* A response began so many nanoseconds after the request went. */
void metrics_backend_latency(struct backend_metrics *metrics, uint64_t ns);

/* A request failed. */
void metrics_backend_error(struct backend_metrics *metrics);

/* Its health may have changed. */
void metrics_backend_health(const struct backend *backend);

#endif
