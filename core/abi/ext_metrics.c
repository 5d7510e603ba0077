/* Extensions of Helios: metrics of modules, and reading all metrics.
 *
 * What a module defines is owned, in the registry (base/metrics.h), by its struct hl_module, and
 * dropped with it.  Collecting goes on in rounds: one call of one collector in each round of
 * hl_abi_service(), so that no client waits for all of them.
 */
#include "abi/unit.h"
#include "base/metrics.h"

#include <errno.h>

HL_STATIC(HELIOSMODULE_METRIC_COUNTER == (int)HL_METRIC_COUNTER);
HL_STATIC(HELIOSMODULE_METRIC_GAUGE == (int)HL_METRIC_GAUGE);
HL_STATIC(HELIOSMODULE_METRIC_HISTOGRAM == (int)HL_METRIC_HISTOGRAM);
HL_STATIC(HELIOSMODULE_METRIC_LABELS_MAX == HL_METRIC_LABELS_MAX);
HL_STATIC(HELIOSMODULE_METRIC_BOUNDS_MAX == HL_METRIC_BOUNDS_MAX);
HL_STATIC(HELIOSMODULE_METRIC_SERIES == HL_METRIC_SERIES);
HL_STATIC(HELIOSMODULE_METRIC_SERIES_MAX == HL_METRIC_SERIES_MAX);

/* A collector of a module. */
struct collector {
    struct hl_list_node node; /* in abi->collectors */
    struct hl_module *module;
    HeliosModuleMetricCollectFunc collect;
    void *data;
};

/* Somebody who waits for a round to end. */
struct waiter {
    struct hl_list_node node; /* in abi->collecting, or in abi->collect_next */
    struct hl_module *module;
    HeliosModuleMetricDoneFunc done;
    void *data;
};

static struct hl_metric_family *family_of(HeliosModuleMetricFamily *family)
{
    return (struct hl_metric_family *)(void *)family;
}

static struct hl_metric *metric_of(HeliosModuleMetric *metric)
{
    return (struct hl_metric *)(void *)metric;
}

static struct hl_module *owner_of(const RedisModuleCtx *ctx)
{
    return ctx->module != NULL ? ctx->module : ctx->loading;
}

/* --- defining --------------------------------------------------------------------------------- */

HeliosModuleMetricFamily *hl_hm_MetricDefine(RedisModuleCtx *ctx,
                                             const HeliosModuleMetricInfo *info)
{
    struct hl_metrics *metrics = ctx->abi->services->metrics;
    struct hl_module *module = owner_of(ctx);
    if (metrics == NULL || module == NULL || info == NULL ||
        info->version != HELIOSMODULE_METRIC_VERSION || info->kind < HELIOSMODULE_METRIC_COUNTER ||
        info->kind > HELIOSMODULE_METRIC_HISTOGRAM) {
        errno = EINVAL;
        return NULL;
    }
    struct hl_metric_info inner = {.name = info->name,
                                   .help = info->help,
                                   .kind = (enum hl_metric_kind)info->kind,
                                   .labels = info->labels,
                                   .label_count = info->label_count,
                                   .bounds = info->bounds,
                                   .bound_count = info->bound_count,
                                   .series_max = info->series_max};
    struct hl_metric_family *family = NULL;
    struct hl_errmsg msg = {{0}};
    hl_err err = hl_metric_define(metrics, module, &inner, &family, &msg);
    if (err != HL_OK) {
        hl_module_log(ctx->abi, HL_ABI_LOG_WARNING, "Module %s: %s",
                      module->name == NULL ? module->path : module->name, msg.text);
        errno = err == HL_EBUSY ? EEXIST : err == HL_EFULL ? ENOSPC : EINVAL;
        return NULL;
    }
    return (HeliosModuleMetricFamily *)(void *)family;
}

void hl_hm_MetricUndefine(HeliosModuleMetricFamily *family)
{
    hl_metric_undefine(family_of(family));
}

/* The given label values as slices. */
static const struct hl_slice *slices_of(struct hl_slice out[HL_METRIC_LABELS_MAX],
                                        const struct hl_metric_family *family,
                                        const HeliosModuleText *values)
{
    size_t count = hl_metric_family_info(family)->label_count;
    for (size_t i = 0; i < count; i++) {
        out[i] = (struct hl_slice){.ptr = values[i].ptr, .len = values[i].len};
    }
    return out;
}

HeliosModuleMetric *hl_hm_MetricSeries(HeliosModuleMetricFamily *family,
                                       const HeliosModuleText *values)
{
    struct hl_slice slices[HL_METRIC_LABELS_MAX];
    struct hl_metric_family *inner = family_of(family);
    return (HeliosModuleMetric *)(void *)hl_metric_series(inner, slices_of(slices, inner, values));
}

void hl_hm_MetricForget(HeliosModuleMetricFamily *family, const HeliosModuleText *values)
{
    struct hl_slice slices[HL_METRIC_LABELS_MAX];
    hl_metric_forget(family_of(family), slices_of(slices, family_of(family), values));
}

/* --- moving ----------------------------------------------------------------------------------- */

void hl_hm_MetricAdd(HeliosModuleMetric *metric, double delta)
{
    hl_metric_add(metric_of(metric), delta);
}

void hl_hm_MetricSet(HeliosModuleMetric *metric, double value)
{
    hl_metric_set(metric_of(metric), value);
}

void hl_hm_MetricObserve(HeliosModuleMetric *metric, double value)
{
    hl_metric_observe(metric_of(metric), value);
}

/* --- collecting ------------------------------------------------------------------------------- */

static bool run_collector(void *data, uint64_t *progress)
{
    struct collector *collector = data;
    struct hl_module *module = collector->module;
    RedisModuleCtx ctx;
    hl_ctx_init(&ctx, module->abi, module);
    hl_frame_begin(&ctx);
    bool more = collector->collect(collector->data, progress) == 1;
    hl_ctx_fini(&ctx);
    (void)hl_frame_end(&ctx);
    return more;
}

int hl_hm_MetricCollector(RedisModuleCtx *ctx, HeliosModuleMetricCollectFunc collect, void *data)
{
    struct hl_metrics *metrics = ctx->abi->services->metrics;
    struct hl_module *module = owner_of(ctx);
    if (metrics == NULL || module == NULL || collect == NULL) {
        return REDISMODULE_ERR;
    }
    struct collector *collector = hl_calloc(1, sizeof *collector);
    *collector = (struct collector){.module = module, .collect = collect, .data = data};
    if (!hl_metrics_add_collector(metrics, module, run_collector, collector)) {
        hl_free(collector);
        return REDISMODULE_ERR;
    }
    hl_list_append(&ctx->abi->collectors, &collector->node);
    return REDISMODULE_OK;
}

HeliosModuleMetricReader *hl_hm_MetricsReader(RedisModuleCtx *ctx)
{
    bool has = ctx->abi->services->metrics != NULL;
    return has ? (HeliosModuleMetricReader *)(void *)owner_of(ctx) : NULL;
}

int hl_hm_MetricsCollect(HeliosModuleMetricReader *reader, HeliosModuleMetricDoneFunc done,
                         void *data)
{
    if (reader == NULL || done == NULL) {
        return REDISMODULE_ERR;
    }
    struct hl_module *module = (struct hl_module *)(void *)reader;
    struct hl_abi *abi = module->abi;
    struct waiter *waiter = hl_calloc(1, sizeof *waiter);
    *waiter = (struct waiter){.module = module, .done = done, .data = data};
    hl_list_append(&abi->collect_next, &waiter->node);
    abi->services->wake(abi->services->ctx);
    return REDISMODULE_OK;
}

/* Whoever asks while a round goes on waits for the next: this one may be past what it wants. */
static void begin_round(struct hl_abi *abi)
{
    HL_LIST_EACH(w, &abi->collect_next)
    {
        hl_list_remove(w);
        hl_list_append(&abi->collecting, w);
    }
    abi->collect_round = (struct hl_metrics_round){0};
}

static void end_round(struct hl_abi *abi)
{
    while (!hl_list_empty(&abi->collecting)) {
        struct waiter *waiter = HL_LIST_ENTRY(abi->collecting.next, struct waiter, node);
        struct waiter due = *waiter;
        hl_list_remove(&waiter->node);
        hl_free(waiter);
        RedisModuleCtx ctx;
        hl_ctx_init(&ctx, abi, due.module);
        hl_frame_begin(&ctx);
        due.done(due.data);
        hl_ctx_fini(&ctx);
        (void)hl_frame_end(&ctx);
    }
}

int64_t hl_metrics_run(struct hl_abi *abi)
{
    if (hl_list_empty(&abi->collecting)) {
        if (hl_list_empty(&abi->collect_next)) {
            return INT64_MAX;
        }
        begin_round(abi);
    }
    if (!hl_metrics_collect(abi->services->metrics, &abi->collect_round)) {
        end_round(abi);
    }
    return hl_list_empty(&abi->collecting) && hl_list_empty(&abi->collect_next) ? INT64_MAX : 0;
}

void hl_metrics_module_drop(struct hl_module *module)
{
    struct hl_abi *abi = module->abi;
    if (abi->services->metrics != NULL) {
        hl_metrics_drop(abi->services->metrics, module);
    }
    HL_LIST_EACH(c, &abi->collectors)
    {
        struct collector *collector = HL_LIST_ENTRY(c, struct collector, node);
        if (collector->module == module) {
            hl_list_remove(c);
            hl_free(collector);
        }
    }
    struct hl_list_node *const waiting[] = {&abi->collecting, &abi->collect_next};
    for (size_t i = 0; i < HL_ARRAY_LEN(waiting); i++) {
        HL_LIST_EACH(w, waiting[i])
        {
            struct waiter *waiter = HL_LIST_ENTRY(w, struct waiter, node);
            if (waiter->module == module) {
                hl_list_remove(w);
                hl_free(waiter);
            }
        }
    }
}

/* --- what modules cost ------------------------------------------------------------------------ */

/* Add up what the commands of each module did. */
static bool collect_modules(void *data, uint64_t *progress)
{
    struct hl_abi *abi = data;
    (void)progress;
    hl_metric_forget_all(abi->module_calls);
    hl_metric_forget_all(abi->module_seconds);
    HL_LIST_EACH(m, &abi->modules)
    {
        struct hl_slice name = hl_slice_of(HL_LIST_ENTRY(m, struct hl_module, node)->name);
        (void)hl_metric_series(abi->module_calls, &name);
        (void)hl_metric_series(abi->module_seconds, &name);
    }
    for (uint32_t id = 0; id < hl_command_id_end(abi->table); id++) {
        const struct hl_command *cmd = hl_command_by_id(abi->table, id);
        const RedisModuleCommand *command = cmd == NULL ? NULL : hl_module_command_of(cmd);
        if (command != NULL && cmd->calls != 0) {
            struct hl_slice name = hl_slice_of(command->module->name);
            hl_metric_add(hl_metric_series(abi->module_calls, &name), (double)cmd->calls);
            hl_metric_add(hl_metric_series(abi->module_seconds, &name), (double)cmd->usec / 1e6);
        }
    }
    return false;
}

void hl_metrics_open(struct hl_abi *abi)
{
    static const char *const label = "module";
    struct hl_metrics *metrics = abi->services->metrics;
    struct hl_metric_info calls = {.name = "helios_module_calls_total",
                                   .help = "Calls of a module's commands.",
                                   .kind = HL_METRIC_COUNTER,
                                   .labels = &label,
                                   .label_count = 1};
    struct hl_metric_info seconds = calls;
    seconds.name = "helios_module_seconds_total";
    seconds.help = "Time that a module's commands took to execute.";
    if (metrics == NULL) {
        return;
    }
    hl_err err = hl_metric_define(metrics, abi, &calls, &abi->module_calls, NULL);
    HL_ASSERT(err == HL_OK); /* nobody else has a family of that name */
    err = hl_metric_define(metrics, abi, &seconds, &abi->module_seconds, NULL);
    HL_ASSERT(err == HL_OK);
    bool added = hl_metrics_add_collector(metrics, abi, collect_modules, abi);
    HL_ASSERT(added);
}

void hl_metrics_close(struct hl_abi *abi)
{
    if (abi->services->metrics != NULL) {
        hl_metrics_drop(abi->services->metrics, abi);
    }
}

/* --- reading ---------------------------------------------------------------------------------- */

static void export_info(HeliosModuleMetricInfo *out, const struct hl_metric_info *info)
{
    *out = (HeliosModuleMetricInfo){.version = HELIOSMODULE_METRIC_VERSION,
                                    .name = info->name,
                                    .help = info->help,
                                    .kind = (int)info->kind,
                                    .labels = info->labels,
                                    .label_count = info->label_count,
                                    .bounds = info->bounds,
                                    .bound_count = info->bound_count,
                                    .series_max = info->series_max};
}

static bool visit_family(void *ctx, const struct hl_metric_info *info)
{
    const HeliosModuleMetricVisitor *visitor = ctx;
    HeliosModuleMetricInfo outer;
    export_info(&outer, info);
    return visitor->family(visitor->data, &outer) != 0;
}

static void visit_series(void *ctx, const struct hl_metric_info *info,
                         const struct hl_metric_sample *sample)
{
    const HeliosModuleMetricVisitor *visitor = ctx;
    HeliosModuleMetricInfo outer;
    HeliosModuleText values[HL_METRIC_LABELS_MAX];
    export_info(&outer, info);
    for (size_t i = 0; i < info->label_count; i++) {
        values[i] = (HeliosModuleText){.ptr = sample->values[i].ptr, .len = sample->values[i].len};
    }
    HeliosModuleMetricSample given = {
        .values = values, .value = sample->value, .count = sample->count, .counts = sample->counts};
    visitor->series(visitor->data, &outer, &given);
}

int hl_hm_MetricsVisit(const HeliosModuleMetricVisitor *visitor)
{
    struct hl_metrics *metrics = hl_abi_current->services->metrics;
    if (metrics == NULL || visitor == NULL || visitor->version != HELIOSMODULE_METRIC_VERSION ||
        visitor->family == NULL || visitor->series == NULL) {
        return REDISMODULE_ERR;
    }
    struct hl_metrics_visitor inner = {
        .ctx = (void *)(uintptr_t)visitor, .family = visit_family, .series = visit_series};
    hl_metrics_visit(metrics, &inner);
    return REDISMODULE_OK;
}
