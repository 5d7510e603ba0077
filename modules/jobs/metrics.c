/* Counters move where things are decided, on the node that leads: the sum over the nodes of a
 * cluster counts each thing once.  The depth is part of the state, the same on every node. */
#include "metrics.h"

#include "helios/metrics.h"
#include "kit/assert.h"
#include "type.h"

static const struct row {
    const char *name;
    const char *help;
    unsigned counters; /* bits of enum jobs_counter */
} rows[] = {
    {"worker_jobs_enqueued_total", "Jobs added to queues.", 1u << JOBS_C_PUSHED},
    {"worker_jobs_dequeued_total", "Leases given to workers.", 1u << JOBS_C_PULLED},
    {"worker_jobs_completed_total", "Jobs that workers have done.", 1u << JOBS_C_ACKED},
    {"worker_jobs_failed_total",
     "Attempts that ended without success: refused by the worker, out of time, or connection lost.",
     1u << JOBS_C_NACKED | 1u << JOBS_C_LEASE_EXPIRED | 1u << JOBS_C_LEASE_DROPPED},
};

HL_STATIC(JOBS_COUNTERS <= 32);

static HeliosModuleMetric *series[HL_ARRAY_LEN(rows)];
static HeliosModuleMetric *depth;

static HeliosModuleMetric *define(RedisModuleCtx *ctx, const char *name, const char *help, int kind)
{
    const HeliosModuleMetricInfo info = {
        .version = HELIOSMODULE_METRIC_VERSION, .name = name, .help = help, .kind = kind};
    return HeliosMetric_Series(HeliosMetric_Define(ctx, &info), NULL);
}

static int collect(void *data, uint64_t *progress)
{
    (void)data;
    (void)progress;
    struct type_totals totals = type_sum();
    HeliosMetric_Set(depth, (double)(totals.count[JOBS_READY] + totals.count[JOBS_SCHEDULED]));
    return 0;
}

void metrics_register(RedisModuleCtx *ctx)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
        series[i] = define(ctx, rows[i].name, rows[i].help, HELIOSMODULE_METRIC_COUNTER);
    }
    depth = define(ctx, "worker_job_queue_depth", "Jobs that wait for a worker, now or later.",
                   HELIOSMODULE_METRIC_GAUGE);
    HeliosMetric_Collector(ctx, collect, NULL);
}

void metrics_count(const uint64_t before[JOBS_COUNTERS], const uint64_t after[JOBS_COUNTERS])
{
    for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
        uint64_t more = 0;
        for (unsigned c = 0; c < JOBS_COUNTERS; c++) {
            more += (rows[i].counters >> c & 1) != 0 ? after[c] - before[c] : 0;
        }
        if (more != 0) {
            HeliosMetric_Add(series[i], (double)more);
        }
    }
}
