/* Backends in the metrics: one set of series for each id, however often a backend of that id comes
 * and goes while the last of it is still at work.
 */
#include "metrics.h"

#include "fleet.h"

#include "helios/metrics.h"
#include "kit/alloc.h"
#include "kit/assert.h"

struct backend_metrics {
    struct backend_metrics *next;
    unsigned refs;
    HeliosModuleMetric *latency, *errors, *healthy;
    char id[CONFIG_ID_MAX + 1];
};

static HeliosModuleMetricFamily *latency, *errors, *healthy;
static struct backend_metrics *all; /* of the proxy's thread */

void metrics_load(RedisModuleCtx *ctx)
{
    static const char *const labels[] = {"backend_id"};
    static const double bounds[] = HELIOSMODULE_METRIC_SECONDS;
    HeliosModuleMetricInfo info = {
        .version = HELIOSMODULE_METRIC_VERSION,
        .labels = labels,
        .label_count = 1,
        .series_max = CONFIG_BACKENDS_MAX,
    };
    info.kind = HELIOSMODULE_METRIC_COUNTER;
    info.name = "proxy_backend_errors_total";
    info.help = "Requests that a backend failed.";
    errors = HeliosMetric_Define(ctx, &info);
    info.kind = HELIOSMODULE_METRIC_GAUGE;
    info.name = "proxy_backend_healthy";
    info.help = "1 while a backend is well and its circuit breaker closed.";
    healthy = HeliosMetric_Define(ctx, &info);
    info.kind = HELIOSMODULE_METRIC_HISTOGRAM;
    info.name = "proxy_backend_latency_seconds";
    info.help = "Time from handing a request to a backend to its response.";
    info.bounds = bounds;
    info.bound_count = HL_ARRAY_LEN(bounds);
    latency = HeliosMetric_Define(ctx, &info);
}

static HeliosModuleText label_of(const struct backend_metrics *m)
{
    return (HeliosModuleText){.ptr = m->id, .len = strlen(m->id)};
}

struct backend_metrics *metrics_backend_create(const char *id)
{
    struct backend_metrics *m = all;
    while (m != NULL && strcmp(m->id, id) != 0) {
        m = m->next;
    }
    if (m == NULL) {
        m = hl_calloc(1, sizeof *m);
        memcpy(m->id, id, strlen(id) + 1);
        HeliosModuleText label = label_of(m);
        m->latency = HeliosMetric_Series(latency, &label);
        m->errors = HeliosMetric_Series(errors, &label);
        m->healthy = HeliosMetric_Series(healthy, &label);
        m->next = all;
        all = m;
    }
    m->refs++;
    HeliosMetric_Set(m->healthy, 1);
    return m;
}

void metrics_backend_destroy(struct backend_metrics *m)
{
    if (m == NULL || --m->refs != 0) {
        return;
    }
    struct backend_metrics **at = &all;
    while (*at != m) {
        at = &(*at)->next;
    }
    *at = m->next;
    HeliosModuleText label = label_of(m);
    HeliosMetric_Forget(latency, &label);
    HeliosMetric_Forget(errors, &label);
    HeliosMetric_Forget(healthy, &label);
    hl_free(m);
}

void metrics_backend_latency(struct backend_metrics *m, uint64_t ns)
{
    HeliosMetric_Observe(m->latency, (double)ns / 1e9);
}

void metrics_backend_error(struct backend_metrics *m)
{
    HeliosMetric_Add(m->errors, 1);
}

void metrics_backend_health(const struct backend *backend)
{
    if (!backend->retired) {
        bool well = !backend->check.down && backend->breaker.state == BREAKER_CLOSED;
        HeliosMetric_Set(backend->metrics->healthy, well);
    }
}
