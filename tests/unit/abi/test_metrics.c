/* HeliosModule_Metric*: a module's metrics live as long as it does, and are read after its
 * collectors brought them up to date.
 *
 * Method: a node without a log and the ABI on it, whose iterations the test turns by hand. */
#include "unit/abi/rig.h"

#include <criterion/criterion.h>
#include <errno.h>

static struct rig *rig;

static void setup(void)
{
    rig = rig_create();
}

static void teardown(void)
{
    rig_destroy(rig);
}

TestSuite(metrics, .init = setup, .fini = teardown);

static void iterate(void)
{
    hl_ctx_fini(&rig->ctx); /* iterations happen outside of any module's code */
    (void)hl_frame_end(&rig->ctx);
    hl_node_begin(rig->node);
    (void)hl_abi_service(rig->abi);
    hl_node_end(rig->node);
    hl_ctx_init(&rig->ctx, rig->abi, rig->module);
    hl_frame_begin(&rig->ctx);
}

static HeliosModuleMetricInfo info_of(const char *name, int kind)
{
    static const char *const labels[] = {"who"};
    static const double bounds[] = HELIOSMODULE_METRIC_SECONDS;
    HeliosModuleMetricInfo info = {.version = HELIOSMODULE_METRIC_VERSION,
                                   .name = name,
                                   .help = "Help.",
                                   .kind = kind,
                                   .labels = labels,
                                   .label_count = 1};
    if (kind == HELIOSMODULE_METRIC_HISTOGRAM) {
        info.bounds = bounds;
        info.bound_count = HL_ARRAY_LEN(bounds);
    }
    return info;
}

/* The visible series, as "name{value} number" with a blank behind each. */
static char seen[512];

static int see_family(void *data, const HeliosModuleMetricInfo *info)
{
    (void)data;
    return info->version == HELIOSMODULE_METRIC_VERSION && strncmp(info->name, "helios_", 7) != 0;
}

static void see_series(void *data, const HeliosModuleMetricInfo *info,
                       const HeliosModuleMetricSample *sample)
{
    size_t len = strlen(seen);
    (void)data;
    snprintf(seen + len, sizeof seen - len, "%s{%.*s} %g ", info->name, (int)sample->values[0].len,
             sample->values[0].ptr,
             info->kind == HELIOSMODULE_METRIC_HISTOGRAM ? (double)sample->count : sample->value);
}

static const char *visible(void)
{
    HeliosModuleMetricVisitor visitor = {
        .version = HELIOSMODULE_METRIC_VERSION, .family = see_family, .series = see_series};
    seen[0] = '\0';
    cr_assert_eq(hl_hm_MetricsVisit(&visitor), REDISMODULE_OK);
    return seen;
}

Test(metrics, all_kinds_are_moved_and_seen)
{
    static const char *const names[] = {"a_total", "b", "c"};
    HeliosModuleMetric *m[3];
    for (int kind = 0; kind < 3; kind++) {
        HeliosModuleMetricInfo info = info_of(names[kind], kind);
        HeliosModuleMetricFamily *family = hl_hm_MetricDefine(&rig->ctx, &info);
        cr_assert_not_null(family);
        m[kind] = hl_hm_MetricSeries(family, &HELIOSMODULE_TEXT("x"));
        if (kind == 1) {
            (void)hl_hm_MetricSeries(family, &HELIOSMODULE_TEXT("gone"));
            hl_hm_MetricForget(family, &HELIOSMODULE_TEXT("gone"));
        }
    }
    hl_hm_MetricAdd(m[0], 2);
    hl_hm_MetricSet(m[1], -1);
    hl_hm_MetricObserve(m[2], 0.5);
    cr_assert_str_eq(visible(), "a_total{x} 2 b{x} -1 c{x} 1 ");
}

Test(metrics, refusals_say_why)
{
    HeliosModuleMetricInfo info = info_of("a", HELIOSMODULE_METRIC_GAUGE);
    HeliosModuleMetricFamily *family = hl_hm_MetricDefine(&rig->ctx, &info);
    cr_assert_not_null(family);
    errno = 0;
    cr_assert_null(hl_hm_MetricDefine(&rig->ctx, &info));
    cr_assert_eq(errno, EEXIST);
    cr_assert_not_null(strstr(rig->logged, "there is a metric a"));
    hl_hm_MetricUndefine(family);
    static const struct {
        uint64_t version;
        int kind;
        const char *name;
    } bad[] = {{2, 1, "a"}, {1, 3, "a"}, {1, -1, "a"}, {1, 1, "a_total"}};
    for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++) {
        info = info_of(bad[i].name, HELIOSMODULE_METRIC_GAUGE);
        info.version = bad[i].version;
        info.kind = bad[i].kind;
        errno = 0;
        cr_assert_null(hl_hm_MetricDefine(&rig->ctx, &info));
        cr_assert_eq(errno, EINVAL);
    }
    cr_assert_eq(hl_hm_MetricCollector(&rig->ctx, NULL, NULL), REDISMODULE_ERR);
    cr_assert_eq(hl_hm_MetricsCollect(hl_hm_MetricsReader(&rig->ctx), NULL, NULL), REDISMODULE_ERR);
    cr_assert_eq(hl_hm_MetricsVisit(NULL), REDISMODULE_ERR);
}

static int collected, finished;

static int collect(void *data, uint64_t *progress)
{
    (void)data;
    collected++;
    return ++*progress < 3;
}

static void done(void *data)
{
    (void)data;
    finished++;
}

Test(metrics, collecting_takes_a_step_in_an_iteration)
{
    cr_assert_eq(hl_hm_MetricCollector(&rig->ctx, collect, NULL), REDISMODULE_OK);
    iterate();
    cr_assert_eq(collected, 0); /* nobody asked */
    cr_assert_eq(hl_hm_MetricsCollect(hl_hm_MetricsReader(&rig->ctx), done, NULL), REDISMODULE_OK);
    cr_assert_eq(hl_hm_MetricsCollect(hl_hm_MetricsReader(&rig->ctx), done, NULL), REDISMODULE_OK);
    iterate(); /* the server's own collector */
    for (int step = 1; step <= 3; step++) {
        iterate();
        cr_assert_eq(collected, step);
        cr_assert_eq(finished, 0);
    }
    iterate();
    cr_assert_eq(finished, 2); /* one round for both */
    iterate();
    cr_assert_eq(collected, 3);
    cr_assert_eq(finished, 2);
}

Test(metrics, who_asks_late_waits_for_the_next_round)
{
    cr_assert_eq(hl_hm_MetricCollector(&rig->ctx, collect, NULL), REDISMODULE_OK);
    cr_assert_eq(hl_hm_MetricsCollect(hl_hm_MetricsReader(&rig->ctx), done, NULL), REDISMODULE_OK);
    iterate();
    cr_assert_eq(hl_hm_MetricsCollect(hl_hm_MetricsReader(&rig->ctx), done, NULL), REDISMODULE_OK);
    for (int step = 0; step < 4; step++) {
        iterate();
    }
    cr_assert_eq(finished, 1);
    for (int step = 0; step < 5; step++) {
        iterate();
    }
    cr_assert_eq(finished, 2);
    cr_assert_eq(collected, 6);
}

Test(metrics, what_a_module_had_goes_with_it)
{
    struct hl_module *other = hl_module_create(rig->abi, "other.so", NULL, 0);
    other->name = hl_strndup("other", 5);
    RedisModuleCtx ctx;
    hl_ctx_init(&ctx, rig->abi, NULL);
    ctx.loading = other; /* as in OnLoad, before RedisModule_Init() */
    HeliosModuleMetricInfo info = info_of("a", HELIOSMODULE_METRIC_GAUGE);
    HeliosModuleMetricFamily *family = hl_hm_MetricDefine(&ctx, &info);
    cr_assert_not_null(family);
    (void)hl_hm_MetricSeries(family, &HELIOSMODULE_TEXT("x"));
    cr_assert_eq(hl_hm_MetricCollector(&ctx, collect, NULL), REDISMODULE_OK);
    cr_assert_eq(hl_hm_MetricsCollect(hl_hm_MetricsReader(&ctx), done, NULL), REDISMODULE_OK);
    cr_assert_eq(hl_hm_MetricsCollect(hl_hm_MetricsReader(&rig->ctx), done, NULL), REDISMODULE_OK);
    iterate(); /* the server's own collector */
    iterate(); /* that of `other` */
    hl_ctx_fini(&ctx);
    hl_module_end(other);
    cr_assert_str_eq(visible(), "");
    for (int step = 0; step < 4; step++) {
        iterate();
    }
    cr_assert_eq(collected, 1);
    cr_assert_eq(finished, 1); /* of the module that is left */
}

static int idle(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    return hl_rm_ReplyWithLongLong(ctx, 1);
}

static int see_calls(void *data, const HeliosModuleMetricInfo *info)
{
    (void)data;
    return strcmp(info->name, "helios_module_calls_total") == 0;
}

Test(metrics, calls_of_a_modules_commands_are_counted_while_it_is_loaded)
{
    cr_assert_eq(hl_rm_CreateCommand(&rig->ctx, "rig.idle", idle, "readonly", 0, 0, 0),
                 REDISMODULE_OK);
    for (int i = 0; i < 3; i++) {
        hl_rm_FreeCallReply(hl_rm_Call(&rig->ctx, "rig.idle", ""));
    }
    HeliosModuleMetricVisitor visitor = {
        .version = HELIOSMODULE_METRIC_VERSION, .family = see_calls, .series = see_series};
    for (int round = 0; round < 2; round++) { /* a second one does not count twice */
        finished = 0;
        cr_assert_eq(hl_hm_MetricsCollect(hl_hm_MetricsReader(&rig->ctx), done, NULL),
                     REDISMODULE_OK);
        while (finished == 0) {
            iterate();
        }
        seen[0] = '\0';
        cr_assert_eq(hl_hm_MetricsVisit(&visitor), REDISMODULE_OK);
        cr_assert_str_eq(seen, "helios_module_calls_total{rig} 3 ");
    }
}

Test(metrics, a_server_without_metrics_has_none)
{
    rig->services.metrics = NULL;
    HeliosModuleMetricInfo info = info_of("a", HELIOSMODULE_METRIC_GAUGE);
    HeliosModuleMetricVisitor visitor = {
        .version = HELIOSMODULE_METRIC_VERSION, .family = see_family, .series = see_series};
    cr_assert_null(hl_hm_MetricDefine(&rig->ctx, &info));
    cr_assert_eq(hl_hm_MetricCollector(&rig->ctx, collect, NULL), REDISMODULE_ERR);
    cr_assert_eq(hl_hm_MetricsCollect(hl_hm_MetricsReader(&rig->ctx), done, NULL), REDISMODULE_ERR);
    cr_assert_eq(hl_hm_MetricsVisit(&visitor), REDISMODULE_ERR);
}
