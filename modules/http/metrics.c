#include "metrics.h"

#include "stats.h"

#include "helios/metrics.h"
#include "kit/assert.h"
#include "kit/bytes.h"

#include <stdio.h>

#define ENDPOINTS_MAX 1024 /* series of times: method and pattern */
#define REQUESTS_MAX 4096  /* and of these with each status */

static HeliosModuleMetricFamily *requests, *seconds;

/* Counters that INFO shows, too, and how they are called here. */
static const struct shown {
    enum counter counter;
    int kind;
    const char *name, *help;
} shown[] = {
    {COUNT_connections_open, HELIOSMODULE_METRIC_GAUGE, "helios_http_open_connections",
     "Connections that are open."},
    {COUNT_connections_total, HELIOSMODULE_METRIC_COUNTER, "helios_http_connections_total",
     "Connections that were accepted."},
    {COUNT_connections_refused, HELIOSMODULE_METRIC_COUNTER,
     "helios_http_connections_refused_total", "Connections that were one too many."},
    {COUNT_tls_failures, HELIOSMODULE_METRIC_COUNTER, "helios_http_tls_failures_total",
     "TLS handshakes that failed."},
    {COUNT_requests_open, HELIOSMODULE_METRIC_GAUGE, "helios_http_requests_open",
     "Requests that are being answered."},
    {COUNT_requests_malformed, HELIOSMODULE_METRIC_COUNTER, "helios_http_requests_malformed_total",
     "Requests that could not be read."},
    {COUNT_timeouts_handler, HELIOSMODULE_METRIC_COUNTER, "helios_http_handler_timeouts_total",
     "Requests that were not answered in time."},
    {COUNT_websockets_open, HELIOSMODULE_METRIC_GAUGE, "helios_http_websockets",
     "WebSockets that are open."},
    {COUNT_bytes_in, HELIOSMODULE_METRIC_COUNTER, "helios_http_receive_bytes_total",
     "Bytes received from web clients."},
    {COUNT_bytes_out, HELIOSMODULE_METRIC_COUNTER, "helios_http_transmit_bytes_total",
     "Bytes sent to web clients."},
    {COUNT_access_log_dropped, HELIOSMODULE_METRIC_COUNTER, "helios_http_access_log_dropped_total",
     "Lines of the access log that the disk did not take in time."},
};
static HeliosModuleMetric *copied[HL_ARRAY_LEN(shown)];

/* Methods are few; anybody may send others. */
static HeliosModuleText known_method(struct helios_http_text method)
{
    static const char *const known[] = {"GET",   "HEAD",    "POST",  "PUT",    "DELETE",
                                        "PATCH", "OPTIONS", "TRACE", "CONNECT"};
    struct hl_slice given = {.ptr = method.ptr, .len = method.len};
    for (size_t i = 0; i < HL_ARRAY_LEN(known); i++) {
        if (hl_slice_equal(given, hl_slice_of(known[i]))) {
            return (HeliosModuleText){known[i], given.len};
        }
    }
    return HELIOSMODULE_TEXT("other");
}

void metrics_exchange(const struct helios_http_done *done)
{
    char status[16];
    int len = snprintf(status, sizeof status, "%d", done->status);
    HeliosModuleText endpoint = {done->pattern.ptr, done->pattern.len};
    if (endpoint.len == 0) {
        endpoint = HELIOSMODULE_TEXT("none"); /* no route: the path is the client's choice */
    }
    const HeliosModuleText labels[] = {known_method(done->method), endpoint, {status, (size_t)len}};
    HeliosMetric_Add(HeliosMetric_Series(requests, labels), 1);
    HeliosMetric_Observe(HeliosMetric_Series(seconds, labels), (double)done->duration_us / 1e6);
}

static int collect(void *data, uint64_t *progress)
{
    (void)data;
    (void)progress;
    for (size_t i = 0; i < HL_ARRAY_LEN(shown); i++) {
        HeliosMetric_Set(copied[i], (double)stats_get(shown[i].counter));
    }
    return 0;
}

void metrics_load(RedisModuleCtx *ctx)
{
    static const char *const labels[] = {"method", "endpoint", "status"};
    static const double bounds[] = HELIOSMODULE_METRIC_SECONDS;
    HeliosModuleMetricInfo info = {.version = HELIOSMODULE_METRIC_VERSION,
                                   .name = "helios_requests_total",
                                   .help = "HTTP requests, by route and status; 0: the client "
                                           "left before the answer.",
                                   .kind = HELIOSMODULE_METRIC_COUNTER,
                                   .labels = labels,
                                   .label_count = 3,
                                   .series_max = REQUESTS_MAX};
    requests = HeliosMetric_Define(ctx, &info);
    info.name = "helios_request_duration_seconds";
    info.help = "Time from the head of an HTTP request to the end of its answer.";
    info.kind = HELIOSMODULE_METRIC_HISTOGRAM;
    info.label_count = 2;
    info.bounds = bounds;
    info.bound_count = HL_ARRAY_LEN(bounds);
    info.series_max = ENDPOINTS_MAX;
    seconds = HeliosMetric_Define(ctx, &info);
    for (size_t i = 0; i < HL_ARRAY_LEN(shown); i++) {
        HeliosModuleMetricInfo plain = {.version = HELIOSMODULE_METRIC_VERSION,
                                        .name = shown[i].name,
                                        .help = shown[i].help,
                                        .kind = shown[i].kind};
        copied[i] = HeliosMetric_Series(HeliosMetric_Define(ctx, &plain), NULL);
    }
    HeliosMetric_Collector(ctx, collect, NULL);
}
