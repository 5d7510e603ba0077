/* Commands that show metrics. */
#include "commands.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/glob.h"

#include <stdio.h>

static struct endpoint *endpoint;

void show_open(struct endpoint *opened)
{
    endpoint = opened;
}

struct hl_slice arg_slice(const RedisModuleString *arg)
{
    struct hl_slice slice;
    slice.ptr = RedisModule_StringPtrLen(arg, &slice.len);
    return slice;
}

/* A client that waits until values are collected. */
struct wait {
    struct endpoint_job job;
    RedisModuleBlockedClient *client;
    bool text;
    enum render_form form;
    struct hl_buf made; /* the text */
    char *name;         /* or the family that is asked for; owned */
};

static void free_wait(RedisModuleCtx *ctx, void *data)
{
    struct wait *wait = data;
    (void)ctx;
    hl_buf_fini(&wait->made);
    hl_free(wait->name);
    hl_free(wait);
}

/* On the module's thread (ME1). */
static void values_are_there(struct endpoint_job *job)
{
    struct wait *wait = (struct wait *)job; /* its first member */
    if (wait->text) {
        wait->made = endpoint_text(endpoint, wait->form);
    }
    (void)RedisModule_UnblockClient(wait->client, wait);
}

static bool may_block(RedisModuleCtx *ctx)
{
    return (RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_DENY_BLOCKING) == 0;
}

/* Let the client wait; false, with `given` still the caller's, when it cannot. */
static bool wait_for_values(RedisModuleCtx *ctx, RedisModuleCmdFunc reply, struct wait *given)
{
    given->client = RedisModule_BlockClient(ctx, reply, NULL, free_wait, 0);
    if (given->client == NULL) {
        return false;
    }
    bool taken = endpoint_collect(endpoint, &given->job);
    HL_ASSERT(taken);
    return true;
}

/* --- METRICS.RENDER --------------------------------------------------------------------------- */

static int reply_text(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    const struct wait *wait = RedisModule_GetBlockedClientPrivateData(ctx);
    (void)argv;
    (void)argc;
    return RedisModule_ReplyWithStringBuffer(ctx, wait->made.ptr == NULL ? "" : wait->made.ptr,
                                             wait->made.len);
}

int cmd_render(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    enum render_form form = RENDER_TEXT;
    if (argc > 2) {
        return RedisModule_WrongArity(ctx);
    }
    if (argc == 2 && hl_slice_is(arg_slice(argv[1]), "openmetrics")) {
        form = RENDER_OPENMETRICS;
    } else if (argc == 2 && !hl_slice_is(arg_slice(argv[1]), "text")) {
        return RedisModule_ReplyWithError(ctx, "ERR the form is TEXT or OPENMETRICS");
    }
    if (!may_block(ctx)) { /* inside MULTI: what was collected last */
        struct hl_buf text = endpoint_text(endpoint, form);
        RedisModule_ReplyWithStringBuffer(ctx, text.ptr == NULL ? "" : text.ptr, text.len);
        hl_buf_fini(&text);
        return REDISMODULE_OK;
    }
    struct wait *wait = hl_calloc(1, sizeof *wait);
    wait->job.run = values_are_there;
    wait->text = true;
    wait->form = form;
    if (!wait_for_values(ctx, reply_text, wait)) {
        free_wait(NULL, wait);
    }
    return REDISMODULE_OK;
}

/* --- METRICS.GET ------------------------------------------------------------------------------ */

struct look {
    RedisModuleCtx *ctx;
    const char *name;
    bool found;
    long series;
};

static int look_family(void *data, const HeliosModuleMetricInfo *info)
{
    struct look *look = data;
    if (strcmp(info->name, look->name) != 0) {
        return 0;
    }
    look->found = true;
    RedisModule_ReplyWithMap(look->ctx, 4);
    RedisModule_ReplyWithCString(look->ctx, "name");
    RedisModule_ReplyWithCString(look->ctx, info->name);
    RedisModule_ReplyWithCString(look->ctx, "type");
    RedisModule_ReplyWithCString(look->ctx, render_kind(info->kind));
    RedisModule_ReplyWithCString(look->ctx, "help");
    RedisModule_ReplyWithCString(look->ctx, info->help);
    RedisModule_ReplyWithCString(look->ctx, "series");
    RedisModule_ReplyWithArray(look->ctx, REDISMODULE_POSTPONED_LEN);
    return 1;
}

static void reply_buckets(RedisModuleCtx *ctx, const HeliosModuleMetricInfo *info,
                          const HeliosModuleMetricSample *sample)
{
    uint64_t below = 0;
    RedisModule_ReplyWithMap(ctx, (long)info->bound_count + 1);
    for (size_t i = 0; i <= info->bound_count; i++) {
        char bound[RENDER_NUMBER_MAX] = "+Inf";
        below += sample->counts[i];
        if (i < info->bound_count) {
            (void)render_number(bound, info->bounds[i], false);
        }
        RedisModule_ReplyWithCString(ctx, bound);
        RedisModule_ReplyWithLongLong(ctx, (long long)below);
    }
}

static void look_series(void *data, const HeliosModuleMetricInfo *info,
                        const HeliosModuleMetricSample *sample)
{
    struct look *look = data;
    RedisModuleCtx *ctx = look->ctx;
    bool histogram = info->kind == HELIOSMODULE_METRIC_HISTOGRAM;
    look->series++;
    RedisModule_ReplyWithMap(ctx, histogram ? 4 : 2);
    RedisModule_ReplyWithCString(ctx, "labels");
    RedisModule_ReplyWithMap(ctx, (long)info->label_count);
    for (size_t i = 0; i < info->label_count; i++) {
        RedisModule_ReplyWithCString(ctx, info->labels[i]);
        RedisModule_ReplyWithStringBuffer(ctx, sample->values[i].ptr, sample->values[i].len);
    }
    RedisModule_ReplyWithCString(ctx, histogram ? "sum" : "value");
    RedisModule_ReplyWithDouble(ctx, sample->value);
    if (histogram) {
        RedisModule_ReplyWithCString(ctx, "count");
        RedisModule_ReplyWithLongLong(ctx, (long long)sample->count);
        RedisModule_ReplyWithCString(ctx, "buckets");
        reply_buckets(ctx, info, sample);
    }
}

static int reply_family(RedisModuleCtx *ctx, const char *name)
{
    struct look look = {.ctx = ctx, .name = name};
    HeliosModuleMetricVisitor visitor = {.version = HELIOSMODULE_METRIC_VERSION,
                                         .data = &look,
                                         .family = look_family,
                                         .series = look_series};
    (void)HeliosModule_MetricsVisit(&visitor);
    if (!look.found) {
        return RedisModule_ReplyWithNull(ctx);
    }
    RedisModule_ReplySetArrayLength(ctx, look.series);
    return REDISMODULE_OK;
}

static int reply_waited_family(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    const struct wait *wait = RedisModule_GetBlockedClientPrivateData(ctx);
    (void)argv;
    (void)argc;
    return reply_family(ctx, wait->name);
}

int cmd_get(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    struct hl_slice name = arg_slice(argv[1]);
    struct wait *wait = hl_calloc(1, sizeof *wait);
    wait->job.run = values_are_there;
    wait->name = hl_strndup(name.ptr, name.len);
    if (!may_block(ctx)) {
        (void)reply_family(ctx, wait->name);
        free_wait(NULL, wait);
    } else if (!wait_for_values(ctx, reply_waited_family, wait)) {
        free_wait(NULL, wait);
    }
    return REDISMODULE_OK;
}

/* --- METRICS.LIST ----------------------------------------------------------------------------- */

struct listing {
    RedisModuleCtx *ctx;
    struct hl_slice pattern;
    long count;
};

static int list_family(void *data, const HeliosModuleMetricInfo *info)
{
    struct listing *listing = data;
    if (hl_glob_match(listing->pattern, hl_slice_of(info->name), false)) {
        listing->count++;
        RedisModule_ReplyWithArray(listing->ctx, 3);
        RedisModule_ReplyWithCString(listing->ctx, info->name);
        RedisModule_ReplyWithCString(listing->ctx, render_kind(info->kind));
        RedisModule_ReplyWithCString(listing->ctx, info->help);
    }
    return 0;
}

static void list_no_series(void *data, const HeliosModuleMetricInfo *info,
                           const HeliosModuleMetricSample *sample)
{
    (void)data;
    (void)info;
    (void)sample;
}

int cmd_list(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc > 2) {
        return RedisModule_WrongArity(ctx);
    }
    struct listing listing = {.ctx = ctx,
                              .pattern = argc == 2 ? arg_slice(argv[1]) : hl_slice_of("*")};
    HeliosModuleMetricVisitor visitor = {.version = HELIOSMODULE_METRIC_VERSION,
                                         .data = &listing,
                                         .family = list_family,
                                         .series = list_no_series};
    RedisModule_ReplyWithArray(ctx, REDISMODULE_POSTPONED_LEN);
    (void)HeliosModule_MetricsVisit(&visitor);
    RedisModule_ReplySetArrayLength(ctx, listing.count);
    return REDISMODULE_OK;
}

/* --- METRICS.STATUS --------------------------------------------------------------------------- */

int cmd_status(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModule_ReplyWithMap(ctx, 1);
    RedisModule_ReplyWithCString(ctx, "listening");
    RedisModule_ReplyWithArray(ctx, (long)endpoint->net.listener_count);
    for (size_t i = 0; i < endpoint->net.listener_count; i++) { /* fixed since the start */
        RedisModule_ReplyWithCString(ctx, endpoint->net.listeners[i].name);
    }
    return REDISMODULE_OK;
}
