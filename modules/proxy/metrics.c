/* Backends in the metrics. */
#include "metrics.h"

#include "fleet.h"

void metrics_load(RedisModuleCtx *ctx)
{
    (void)ctx;
}

struct backend_metrics *metrics_backend_create(const char *id)
{
    (void)id;
    return NULL;
}

void metrics_backend_destroy(struct backend_metrics *metrics)
{
    (void)metrics;
}

void metrics_backend_latency(struct backend_metrics *metrics, uint64_t ns)
{
    (void)metrics;
    (void)ns;
}

void metrics_backend_error(struct backend_metrics *metrics)
{
    (void)metrics;
}

void metrics_backend_health(const struct backend *backend)
{
    (void)backend;
}
