/* metrics: what the server and its modules count, for Prometheus and by RESP.  See README.md. */
#include "commands.h"
#include "custom.h"
#include "settings.h"

#include "helios/extensions.h"
#include "helios/module.h"
#include "kit/assert.h"
#include "net/desk.h"

#define METRICS_MODULE_VERSION 1

static struct endpoint *endpoint;

static int cmd_help(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

static const struct command {
    const char *name;
    RedisModuleCmdFunc run;
    const char *flags;
    int arity;
    const char *summary;
} commands[] = {
    {"metrics.render", cmd_render, "readonly allow-loading allow-stale", -1,
     "METRICS.RENDER [TEXT | OPENMETRICS]: all metrics, as Prometheus reads them."},
    {"metrics.get", cmd_get, "readonly allow-loading allow-stale", 2,
     "METRICS.GET name: what a metric is, and its series."},
    {"metrics.list", cmd_list, "readonly allow-loading allow-stale", -1,
     "METRICS.LIST [pattern]: name, type and help of each."},
    {"metrics.status", cmd_status, "readonly fast allow-loading allow-stale", 1,
     "METRICS.STATUS: where metrics are served."},
    {"metrics.define", cmd_define, "admin allow-loading allow-stale", -3,
     "METRICS.DEFINE name COUNTER | GAUGE | HISTOGRAM [HELP text] [LABEL name value]... "
     "[BUCKETS bound...]: makes one, on this node."},
    {"metrics.add", cmd_add, "readonly fast allow-loading allow-stale", -2,
     "METRICS.ADD name [delta]: adds to a counter or a gauge that was made so; its value."},
    {"metrics.set", cmd_set, "readonly fast allow-loading allow-stale", 3,
     "METRICS.SET name value: sets a gauge; its value."},
    {"metrics.observe", cmd_observe, "readonly fast allow-loading allow-stale", 3,
     "METRICS.OBSERVE name value: counts a value in a histogram; how many it has."},
    {"metrics.del", cmd_del, "admin allow-loading allow-stale", 2,
     "METRICS.DEL name: ends one that was made so."},
    {"metrics.reset", cmd_reset, "admin allow-loading allow-stale", 1,
     "METRICS.RESET: all that were made so begin at zero again."},
    {"metrics.custom", cmd_custom, "readonly allow-loading allow-stale", -1,
     "METRICS.CUSTOM [name]: all that were made so, or one."},
    {"metrics.help", cmd_help, "readonly fast allow-loading allow-stale", 1,
     "METRICS.HELP: this text."},
};

static int cmd_help(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModule_ReplyWithArray(ctx, (long)HL_ARRAY_LEN(commands));
    for (size_t i = 0; i < HL_ARRAY_LEN(commands); i++) {
        RedisModule_ReplyWithSimpleString(ctx, commands[i].summary);
    }
    return REDISMODULE_OK;
}

static bool register_commands(RedisModuleCtx *ctx)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(commands); i++) {
        const struct command *c = &commands[i];
        if (RedisModule_CreateCommand(ctx, c->name, c->run, c->flags, 0, 0, 0) != REDISMODULE_OK) {
            RedisModule_Log(ctx, "warning", "cannot register %s: is the name taken?", c->name);
            return false;
        }
        RedisModuleCommand *command = RedisModule_GetCommand(ctx, c->name);
        (void)HeliosModule_SetKeyPrecise(command); /* no key: nothing to wait for */
        RedisModuleCommandInfo info = {
            .version = REDISMODULE_COMMAND_INFO_VERSION,
            .summary = c->summary,
            .since = "1.0.0",
            .arity = c->arity,
        };
        RedisModule_SetCommandInfo(command, &info);
    }
    return true;
}

static bool server_suffices(RedisModuleCtx *ctx)
{
    bool good = HeliosModule_MetricsVisit != NULL && HeliosModule_MetricsReader(ctx) != NULL;
    if (!good) {
        RedisModule_Log(ctx, "warning",
                        "this server keeps no metrics for modules: it is no Helios");
    }
    return good;
}

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct hl_errmsg msg = {0};
    if (RedisModule_Init(ctx, "metrics", METRICS_MODULE_VERSION, REDISMODULE_APIVER_1) !=
            REDISMODULE_OK ||
        RedisModule_Log == NULL) {
        return REDISMODULE_ERR; /* nothing can be logged yet */
    }
    HeliosModule_LookUp(ctx);
    if (!server_suffices(ctx)) {
        return REDISMODULE_ERR;
    }
    RedisModule_SetModuleOptions(ctx, HELIOSMODULE_OPTION_NO_GLOBALS);
    if (!settings_load(ctx, argv, argc) || !register_commands(ctx) ||
        !net_desk_open(ctx, "metrics")) {
        settings_unload();
        return REDISMODULE_ERR;
    }
    endpoint = endpoint_start(ctx, HeliosModule_MetricsReader(ctx), &msg);
    if (endpoint == NULL) {
        RedisModule_Log(ctx, "warning", "%s", msg.text);
        net_desk_close();
        settings_unload();
        return REDISMODULE_ERR;
    }
    show_open(endpoint);
    for (size_t i = 0; i < endpoint->net.listener_count; i++) {
        RedisModule_Log(ctx, "notice", "metrics at http://%s/metrics",
                        endpoint->net.listeners[i].name);
    }
    return REDISMODULE_OK;
}

int RedisModule_OnUnload(RedisModuleCtx *ctx)
{
    (void)ctx;
    endpoint_stop(endpoint);
    show_open(NULL);
    net_desk_close();
    endpoint_free(endpoint);
    endpoint = NULL;
    custom_end();
    settings_unload();
    return REDISMODULE_OK;
}
