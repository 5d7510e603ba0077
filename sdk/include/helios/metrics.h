/* Metrics: counters, gauges and histograms that the server keeps for a module, and that the module
 * `metrics` shows to Prometheus and by RESP.
 *
 *   static HeliosModuleMetric *hits;
 *   ...
 *   static const HeliosModuleMetricInfo info = {                       // in OnLoad
 *       .version = HELIOSMODULE_METRIC_VERSION, .kind = HELIOSMODULE_METRIC_COUNTER,
 *       .name = "shop_hits_total", .help = "Visits of the shop."};
 *   hits = HeliosMetric_Series(HeliosMetric_Define(ctx, &info), NULL);
 *   ...
 *   HeliosMetric_Add(hits, 1);                                         // any thread
 *
 * The HeliosMetric_* functions below do nothing, and give NULL, in a server without metrics (Redis,
 * Valkey, an older Helios) and for a NULL family or series: a module calls them and need not ask.
 *
 *   M1  Moving a series takes no lock.
 *   M2  A module's families and collectors end when it is unloaded: after OnUnload, by when its
 *       threads have ended.
 *   M3  A family has a bounded number of series.  What comes after them shares one whose labels all
 *       say "other".  Still, never label with what clients choose freely: keys, users, raw paths.
 */
#ifndef HELIOS_METRICS_H
#define HELIOS_METRICS_H

#include "helios/execute.h"
#include "helios/module_types.h"

#include <stddef.h>

#ifndef HELIOS_API
#define HELIOS_API __attribute__((weak, visibility("hidden")))
#endif

#define HELIOSMODULE_METRIC_VERSION 1

#define HELIOSMODULE_METRIC_COUNTER 0 /* only grows */
#define HELIOSMODULE_METRIC_GAUGE 1
#define HELIOSMODULE_METRIC_HISTOGRAM 2

/* Bounds. */
#define HELIOSMODULE_METRIC_LABELS_MAX 8
#define HELIOSMODULE_METRIC_BOUNDS_MAX 64
#define HELIOSMODULE_METRIC_SERIES 256 /* of a family that does not say */
#define HELIOSMODULE_METRIC_SERIES_MAX 10000

/* Bounds, in seconds, of the buckets of a histogram of times: a request, a call, a write. */
#define HELIOSMODULE_METRIC_SECONDS                                                                \
    {                                                                                              \
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,  \
            5, 10                                                                                  \
    }

typedef struct HeliosModuleMetricFamily HeliosModuleMetricFamily;
typedef struct HeliosModuleMetric HeliosModuleMetric;
typedef struct HeliosModuleMetricReader HeliosModuleMetricReader;

/* What a family is.  All is copied but by HeliosModule_MetricsVisit(), which lends it. */
typedef struct HeliosModuleMetricInfo {
    uint64_t version; /* HELIOSMODULE_METRIC_VERSION */
    const char *name; /* letters, digits, '_'; a counter's ends in "_total", no other does */
    const char *help; /* a sentence */
    int kind;         /* HELIOSMODULE_METRIC_* */
    const char *const *labels; /* names */
    size_t label_count;
    const double *bounds; /* of a histogram: upper bounds of its buckets, finite, rising */
    size_t bound_count;   /* the bucket above the last is there by itself */
    size_t series_max;    /* 0: HELIOSMODULE_METRIC_SERIES */
} HeliosModuleMetricInfo;

/* A series as it was when it was read. */
typedef struct HeliosModuleMetricSample {
    const HeliosModuleText *values; /* of the labels */
    double value;                   /* of a counter or a gauge; the sum of a histogram */
    uint64_t count;                 /* of a histogram: all values */
    const uint64_t *counts;         /* of a histogram: bound_count + 1, each of one bucket alone */
} HeliosModuleMetricSample;

/* What to do with what is read; all is borrowed for the call. */
typedef struct HeliosModuleMetricVisitor {
    uint64_t version; /* HELIOSMODULE_METRIC_VERSION */
    void *data;
    int (*family)(void *data, const HeliosModuleMetricInfo *info); /* 0: not its series */
    void (*series)(void *data, const HeliosModuleMetricInfo *info,
                   const HeliosModuleMetricSample *sample);
} HeliosModuleMetricVisitor;

/* Brings series up to date before somebody reads: on the server's thread, as a timer's callback.
 * Called again in a later iteration while it returns 1, so that clients do not wait for long:
 * `progress` is 0 at first and the collector's own. */
typedef int (*HeliosModuleMetricCollectFunc)(void *data, uint64_t *progress);

/* Metrics are up to date: on the server's thread. */
typedef void (*HeliosModuleMetricDoneFunc)(void *data);

/* Define a family, on the server's thread.  One without labels has its series, 0, at once.  NULL
 * with errno EINVAL when a field is out of range, EEXIST when the name is taken, ENOSPC when there
 * are too many; the log says more. */
HELIOS_API
HeliosModuleMetricFamily *(*HeliosModule_MetricDefine)(RedisModuleCtx *ctx,
                                                       const HeliosModuleMetricInfo *info);

/* End a family before the module ends, on the server's thread; nobody moves its series any more. */
HELIOS_API void (*HeliosModule_MetricUndefine)(HeliosModuleMetricFamily *family);

/* The series with these values, one for each label, made at 0 when it is new; never NULL (M3).  It
 * stays until it is forgotten or its family ends: keep it.  Any thread. */
HELIOS_API HeliosModuleMetric *(*HeliosModule_MetricSeries)(HeliosModuleMetricFamily *family,
                                                            const HeliosModuleText *values);

/* End a series; nobody moves it any more.  Any thread. */
HELIOS_API void (*HeliosModule_MetricForget)(HeliosModuleMetricFamily *family,
                                             const HeliosModuleText *values);

/* Add to a counter (what would lower it is ignored) or a gauge.  Any thread. */
HELIOS_API void (*HeliosModule_MetricAdd)(HeliosModuleMetric *metric, double delta);

/* Set a gauge; or a counter, to a total that the module keeps itself.  Any thread. */
HELIOS_API void (*HeliosModule_MetricSet)(HeliosModuleMetric *metric, double value);

/* Count a value in a histogram.  Any thread. */
HELIOS_API void (*HeliosModule_MetricObserve)(HeliosModuleMetric *metric, double value);

/* Have `collect` called before metrics are read.  ERR when there are too many. */
HELIOS_API int (*HeliosModule_MetricCollector)(RedisModuleCtx *ctx,
                                               HeliosModuleMetricCollectFunc collect, void *data);

/* The module of `ctx` as one who reads metrics; of use until it is unloaded. */
HELIOS_API HeliosModuleMetricReader *(*HeliosModule_MetricsReader)(RedisModuleCtx *ctx);

/* Let all collectors bring their series up to date, over some iterations, then call `done`; not
 * when the reader is unloaded before.  On the server's thread. */
HELIOS_API int (*HeliosModule_MetricsCollect)(HeliosModuleMetricReader *reader,
                                              HeliosModuleMetricDoneFunc done, void *data);

/* Visit all families by name, their series by label values.  Any thread; stops nobody. */
HELIOS_API int (*HeliosModule_MetricsVisit)(const HeliosModuleMetricVisitor *visitor);

static inline HeliosModuleMetricFamily *HeliosMetric_Define(RedisModuleCtx *ctx,
                                                            const HeliosModuleMetricInfo *info)
{
    return HeliosModule_MetricDefine == NULL ? NULL : HeliosModule_MetricDefine(ctx, info);
}

static inline HeliosModuleMetric *HeliosMetric_Series(HeliosModuleMetricFamily *family,
                                                      const HeliosModuleText *values)
{
    return family == NULL ? NULL : HeliosModule_MetricSeries(family, values);
}

static inline void HeliosMetric_Forget(HeliosModuleMetricFamily *family,
                                       const HeliosModuleText *values)
{
    if (family != NULL) {
        HeliosModule_MetricForget(family, values);
    }
}

static inline void HeliosMetric_Add(HeliosModuleMetric *metric, double delta)
{
    if (metric != NULL) {
        HeliosModule_MetricAdd(metric, delta);
    }
}

static inline void HeliosMetric_Set(HeliosModuleMetric *metric, double value)
{
    if (metric != NULL) {
        HeliosModule_MetricSet(metric, value);
    }
}

static inline void HeliosMetric_Observe(HeliosModuleMetric *metric, double value)
{
    if (metric != NULL) {
        HeliosModule_MetricObserve(metric, value);
    }
}

static inline void HeliosMetric_Collector(RedisModuleCtx *ctx,
                                          HeliosModuleMetricCollectFunc collect, void *data)
{
    if (HeliosModule_MetricCollector != NULL) {
        (void)HeliosModule_MetricCollector(ctx, collect, data);
    }
}

#endif
