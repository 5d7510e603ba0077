/* Commands for metrics that users make. */
#include "commands.h"
#include "custom.h"

#include "kit/assert.h"
#include "kit/num.h"

#include <stdio.h>

#define NO_METRIC "NOMETRIC no metric of that name was made by METRICS.DEFINE"

static int reply_fault(RedisModuleCtx *ctx, const char *fault)
{
    return RedisModule_ReplyWithError(ctx, fault);
}

/* --- METRICS.DEFINE --------------------------------------------------------------------------- */

static bool read_kind(struct hl_slice word, int *kind)
{
    static const int kinds[] = {HELIOSMODULE_METRIC_COUNTER, HELIOSMODULE_METRIC_GAUGE,
                                HELIOSMODULE_METRIC_HISTOGRAM};
    for (size_t i = 0; i < HL_ARRAY_LEN(kinds); i++) {
        if (hl_slice_is(word, render_kind(kinds[i]))) {
            *kind = kinds[i];
            return true;
        }
    }
    return false;
}

/* Bounds up to the end of the arguments. */
static const char *read_bounds(struct custom_order *order, RedisModuleString **argv, int argc)
{
    if (argc < 1 || argc > HELIOSMODULE_METRIC_BOUNDS_MAX) {
        return "ERR a histogram has 1 to 64 buckets";
    }
    for (int i = 0; i < argc; i++) {
        if (!hl_parse_double(arg_slice(argv[i]), &order->bounds[i])) {
            return "ERR a bound is not a number";
        }
    }
    order->bound_count = (size_t)argc;
    return NULL;
}

/* What stands behind name and kind. */
static const char *read_options(struct custom_order *order, RedisModuleString **argv, int argc)
{
    int at = 0;
    while (at < argc) {
        struct hl_slice word = arg_slice(argv[at]);
        if (hl_slice_is(word, "help") && at + 1 < argc) {
            order->help = arg_slice(argv[at + 1]);
            at += 2;
        } else if (hl_slice_is(word, "label") && at + 2 < argc) {
            if (order->label_count == HELIOSMODULE_METRIC_LABELS_MAX) {
                return "ERR there are more than 8 labels";
            }
            order->labels[order->label_count] = arg_slice(argv[at + 1]);
            order->values[order->label_count++] = arg_slice(argv[at + 2]);
            at += 3;
        } else if (hl_slice_is(word, "buckets") && order->kind == HELIOSMODULE_METRIC_HISTOGRAM) {
            return read_bounds(order, argv + at + 1, argc - at - 1);
        } else {
            return "ERR syntax error";
        }
    }
    return NULL;
}

int cmd_define(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct custom_order order = {0};
    if (argc < 3) {
        return RedisModule_WrongArity(ctx);
    }
    order.name = arg_slice(argv[1]);
    if (!read_kind(arg_slice(argv[2]), &order.kind)) {
        return RedisModule_ReplyWithError(ctx, "ERR the kind is COUNTER, GAUGE or HISTOGRAM");
    }
    const char *fault = read_options(&order, argv + 3, argc - 3);
    fault = fault == NULL ? custom_define(ctx, &order) : fault;
    return fault != NULL ? reply_fault(ctx, fault) : RedisModule_ReplyWithSimpleString(ctx, "OK");
}

/* --- moving ----------------------------------------------------------------------------------- */

typedef const char *move_fn(struct custom *custom, double number);

/* Move what argv[1] names by the number in argv[2], or by 1; answer with what it is then. */
static int move(RedisModuleCtx *ctx, RedisModuleString **argv, int argc, move_fn *how)
{
    double number = 1;
    if (argc != 3 && !(argc == 2 && how == custom_add)) {
        return RedisModule_WrongArity(ctx);
    }
    struct custom *custom = custom_find(arg_slice(argv[1]));
    if (custom == NULL) {
        return RedisModule_ReplyWithError(ctx, NO_METRIC);
    }
    if (argc == 3 && !hl_parse_double(arg_slice(argv[2]), &number)) {
        return RedisModule_ReplyWithError(ctx, "ERR value is not a valid float");
    }
    const char *fault = how(custom, number);
    if (fault != NULL) {
        return reply_fault(ctx, fault);
    }
    if (custom->kind == HELIOSMODULE_METRIC_HISTOGRAM) {
        return RedisModule_ReplyWithLongLong(ctx, (long long)custom->count);
    }
    return RedisModule_ReplyWithDouble(ctx, custom->value);
}

int cmd_add(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    return move(ctx, argv, argc, custom_add);
}

int cmd_set(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    return move(ctx, argv, argc, custom_set);
}

int cmd_observe(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    return move(ctx, argv, argc, custom_observe);
}

int cmd_del(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    struct custom *custom = custom_find(arg_slice(argv[1]));
    if (custom != NULL) {
        custom_delete(custom);
    }
    return RedisModule_ReplyWithLongLong(ctx, custom != NULL);
}

int cmd_reset(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long count = 0;
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    for (struct custom *c = custom_first(); c != NULL; c = c->next) {
        custom_reset(ctx, c);
        count++;
    }
    return RedisModule_ReplyWithLongLong(ctx, count);
}

/* --- METRICS.CUSTOM --------------------------------------------------------------------------- */

static void reply_labels(RedisModuleCtx *ctx, const struct custom *custom)
{
    RedisModule_ReplyWithCString(ctx, "labels");
    RedisModule_ReplyWithMap(ctx, (long)custom->label_count);
    for (size_t i = 0; i < custom->label_count; i++) {
        RedisModule_ReplyWithCString(ctx, custom->labels[i]);
        RedisModule_ReplyWithCString(ctx, custom->values[i]);
    }
}

static void reply_distribution(RedisModuleCtx *ctx, const struct custom *custom)
{
    uint64_t below = 0;
    RedisModule_ReplyWithCString(ctx, "sum");
    RedisModule_ReplyWithDouble(ctx, custom->value);
    RedisModule_ReplyWithCString(ctx, "count");
    RedisModule_ReplyWithLongLong(ctx, (long long)custom->count);
    RedisModule_ReplyWithCString(ctx, "buckets");
    RedisModule_ReplyWithMap(ctx, (long)custom->bound_count);
    for (size_t i = 0; i < custom->bound_count; i++) {
        char bound[RENDER_NUMBER_MAX];
        (void)render_number(bound, custom->bounds[i], false);
        below += custom->counts[i];
        RedisModule_ReplyWithCString(ctx, bound);
        RedisModule_ReplyWithLongLong(ctx, (long long)below);
    }
}

static void reply_custom(RedisModuleCtx *ctx, const struct custom *custom)
{
    bool histogram = custom->kind == HELIOSMODULE_METRIC_HISTOGRAM;
    RedisModule_ReplyWithMap(ctx, histogram ? 7 : 5);
    RedisModule_ReplyWithCString(ctx, "name");
    RedisModule_ReplyWithCString(ctx, custom->name);
    RedisModule_ReplyWithCString(ctx, "type");
    RedisModule_ReplyWithCString(ctx, render_kind(custom->kind));
    RedisModule_ReplyWithCString(ctx, "help");
    RedisModule_ReplyWithCString(ctx, custom->help);
    reply_labels(ctx, custom);
    if (histogram) {
        reply_distribution(ctx, custom);
    } else {
        RedisModule_ReplyWithCString(ctx, "value");
        RedisModule_ReplyWithDouble(ctx, custom->value);
    }
}

static void reply_count(RedisModuleCtx *ctx, const char *name, long count)
{
    RedisModule_ReplyWithCString(ctx, name);
    RedisModule_ReplyWithLongLong(ctx, count);
}

int cmd_custom(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long counts[HELIOSMODULE_METRIC_HISTOGRAM + 1] = {0};
    long all = 0;
    if (argc > 2) {
        return RedisModule_WrongArity(ctx);
    }
    if (argc == 2) {
        const struct custom *custom = custom_find(arg_slice(argv[1]));
        if (custom == NULL) {
            return RedisModule_ReplyWithError(ctx, NO_METRIC);
        }
        reply_custom(ctx, custom);
        return REDISMODULE_OK;
    }
    for (const struct custom *c = custom_first(); c != NULL; c = c->next) {
        counts[c->kind]++;
        all++;
    }
    RedisModule_ReplyWithMap(ctx, 5);
    reply_count(ctx, "total_metrics", all);
    reply_count(ctx, "counter_metrics", counts[HELIOSMODULE_METRIC_COUNTER]);
    reply_count(ctx, "gauge_metrics", counts[HELIOSMODULE_METRIC_GAUGE]);
    reply_count(ctx, "histogram_metrics", counts[HELIOSMODULE_METRIC_HISTOGRAM]);
    RedisModule_ReplyWithCString(ctx, "metrics");
    RedisModule_ReplyWithMap(ctx, all);
    for (const struct custom *c = custom_first(); c != NULL; c = c->next) {
        RedisModule_ReplyWithCString(ctx, c->name);
        reply_custom(ctx, c);
    }
    return REDISMODULE_OK;
}
