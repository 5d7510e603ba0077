/* The metrics under their exact names, against a registry made here: what moves them, and how far.
 */
#include "helios/metrics.h"
#include "jobs/metrics.h"

#include <criterion/criterion.h>
#include <string.h>

enum { FAMILIES_MAX = 8 };

static struct {
    char name[64];
    int kind;
    double value;
} families[FAMILIES_MAX];
static size_t family_count;
static HeliosModuleMetricCollectFunc collector;

static HeliosModuleMetricFamily *define(RedisModuleCtx *ctx, const HeliosModuleMetricInfo *info)
{
    cr_assert_null(ctx);
    cr_assert_eq(info->version, HELIOSMODULE_METRIC_VERSION);
    cr_assert_lt(family_count, FAMILIES_MAX);
    cr_assert_lt(strlen(info->name), sizeof families[0].name);
    memcpy(families[family_count].name, info->name, strlen(info->name) + 1);
    families[family_count].kind = info->kind;
    return (HeliosModuleMetricFamily *)(void *)&families[family_count++];
}

static HeliosModuleMetric *series(HeliosModuleMetricFamily *family, const HeliosModuleText *values)
{
    cr_assert_null(values);
    return (HeliosModuleMetric *)(void *)family;
}

static double *value_of(HeliosModuleMetric *metric)
{
    return &families[(size_t)((char *)metric - (char *)families) / sizeof families[0]].value;
}

static void add(HeliosModuleMetric *metric, double delta)
{
    *value_of(metric) += delta;
}

static void set(HeliosModuleMetric *metric, double value)
{
    *value_of(metric) = value;
}

static int collect(RedisModuleCtx *ctx, HeliosModuleMetricCollectFunc func, void *data)
{
    cr_assert(ctx == NULL && data == NULL);
    collector = func;
    return REDISMODULE_OK;
}

static void setup(void)
{
    HeliosModule_MetricDefine = define;
    HeliosModule_MetricSeries = series;
    HeliosModule_MetricAdd = add;
    HeliosModule_MetricSet = set;
    HeliosModule_MetricCollector = collect;
    metrics_register(NULL);
}

TestSuite(jobs_metrics, .init = setup);

/* The value of a metric; fails when there is none of that name and kind. */
static double metric(const char *name, int kind)
{
    for (size_t i = 0; i < family_count; i++) {
        if (strcmp(families[i].name, name) == 0) {
            cr_assert_eq(families[i].kind, kind);
            return families[i].value;
        }
    }
    cr_assert_fail("no metric %s", name);
    return 0;
}

Test(jobs_metrics, count_what_happened_since_a_command_began)
{
    uint64_t before[JOBS_COUNTERS] = {0};
    uint64_t after[JOBS_COUNTERS];
    before[JOBS_C_PUSHED] = 1000;
    memcpy(after, before, sizeof after);
    metrics_count(before, after);
    after[JOBS_C_PUSHED] += 5;
    after[JOBS_C_PULLED] += 4;
    after[JOBS_C_ACKED] += 3;
    after[JOBS_C_NACKED] += 1;
    after[JOBS_C_LEASE_EXPIRED] += 1;
    after[JOBS_C_LEASE_DROPPED] += 1;
    after[JOBS_C_DEAD] += 1;
    after[JOBS_C_RELEASED] += 7;
    metrics_count(before, after);
    cr_assert_eq(metric("worker_jobs_enqueued_total", HELIOSMODULE_METRIC_COUNTER), 5);
    cr_assert_eq(metric("worker_jobs_dequeued_total", HELIOSMODULE_METRIC_COUNTER), 4);
    cr_assert_eq(metric("worker_jobs_completed_total", HELIOSMODULE_METRIC_COUNTER), 3);
    cr_assert_eq(metric("worker_jobs_failed_total", HELIOSMODULE_METRIC_COUNTER), 3);
}

Test(jobs_metrics, the_depth_is_that_of_all_queues_when_somebody_looks)
{
    uint64_t progress = 0;
    families[family_count - 1].value = 77;
    cr_assert_eq(collector(NULL, &progress), 0);
    cr_assert_eq(metric("worker_job_queue_depth", HELIOSMODULE_METRIC_GAUGE), 0);
}

Test(jobs_metrics, a_server_without_them_is_no_harm)
{
    uint64_t before[JOBS_COUNTERS] = {0};
    uint64_t after[JOBS_COUNTERS] = {1, 1, 1};
    HeliosModule_MetricDefine = NULL;
    HeliosModule_MetricCollector = NULL;
    metrics_register(NULL);
    metrics_count(before, after);
    cr_assert_eq(metric("worker_jobs_enqueued_total", HELIOSMODULE_METRIC_COUNTER), 0);
}
