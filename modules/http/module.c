/* http: what the module registers.  See README.md. */
#include "health.h"
#include "loop.h"
#include "metrics.h"
#include "service.h"
#include "settings.h"
#include "stats.h"

#include "helios/extensions.h"
#include "helios/module.h"
#include "helios/needed.h"
#include "kit/assert.h"
#include "net/desk.h"

#define HTTP_MODULE_VERSION 1
#define UNLOAD_DRAIN_MS 1000 /* the server stands still meanwhile */

static struct loop *loop;

/* --- commands --------------------------------------------------------------------------------- */

struct status {
    RedisModuleCtx *ctx;
    size_t connections, sockets, routes, filters, listeners;
    bool draining;
    char names[NET_LISTENERS_MAX][96];
};

static void look(struct loop *l, void *arg)
{
    struct status *status = arg;
    status->connections = l->conn_count;
    status->sockets = l->socket_count;
    status->routes = l->router.count;
    status->filters = l->filter_count;
    status->draining = l->draining;
    for (size_t i = 0; i < l->net.listener_count; i++) {
        if (l->net.listeners[i].open) {
            snprintf(status->names[status->listeners++], sizeof status->names[0], "%s://%s",
                     l->net.listeners[i].tls ? "https" : "http", l->net.listeners[i].name);
        }
    }
}

static void reply_number(RedisModuleCtx *ctx, const char *name, long long value)
{
    RedisModule_ReplyWithCString(ctx, name);
    RedisModule_ReplyWithLongLong(ctx, value);
}

static int cmd_status(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct status status = {0};
    const char *why = "";
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    loop_ask(loop, look, &status);
    bool ready = health_ready((int64_t)(uv_hrtime() / 1000000), &why);
    RedisModule_ReplyWithMap(ctx, 7 + COUNTER_COUNT);
    RedisModule_ReplyWithCString(ctx, "listening");
    RedisModule_ReplyWithArray(ctx, (long)status.listeners);
    for (size_t i = 0; i < status.listeners; i++) {
        RedisModule_ReplyWithCString(ctx, status.names[i]);
    }
    RedisModule_ReplyWithCString(ctx, "state");
    RedisModule_ReplyWithCString(ctx, ready ? "ready" : why);
    reply_number(ctx, "draining", status.draining);
    reply_number(ctx, "routes", (long long)status.routes);
    reply_number(ctx, "filters", (long long)status.filters);
    reply_number(ctx, "connections", (long long)status.connections);
    reply_number(ctx, "websockets", (long long)status.sockets);
    for (int i = 0; i < COUNTER_COUNT; i++) {
        reply_number(ctx, stats_name((enum counter)i), stats_get((enum counter)i));
    }
    return REDISMODULE_OK;
}

/* The server's thread waits meanwhile, so the context may be used on the other. */
static void list_routes(struct loop *l, void *arg)
{
    RedisModuleCtx *ctx = arg;
    RedisModule_ReplyWithArray(ctx, (long)l->router.count);
    for (size_t i = 0; i < l->router.count; i++) {
        const struct route *route = &l->router.routes[i];
        RedisModule_ReplyWithArray(ctx, 3);
        RedisModule_ReplyWithCString(ctx, route->method);
        RedisModule_ReplyWithCString(ctx, route->pattern);
        RedisModule_ReplyWithCString(ctx, service_owner_name(route->owner));
    }
}

static int cmd_routes(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    loop_ask(loop, list_routes, ctx);
    return REDISMODULE_OK;
}

static int cmd_reload(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct hl_errmsg msg = {0};
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    if (loop_reload(loop, &msg) != HL_OK) {
        char error[sizeof msg.text + 8];
        snprintf(error, sizeof error, "ERR %s", msg.text);
        return RedisModule_ReplyWithError(ctx, error);
    }
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

static int cmd_drain(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    loop_drain(loop);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

static int cmd_help(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

static const struct command {
    const char *name;
    RedisModuleCmdFunc run;
    const char *flags;
    const char *summary;
} commands[] = {
    {"http.status", cmd_status, "readonly allow-loading allow-stale",
     "HTTP.STATUS: where http listens, and its counters."},
    {"http.routes", cmd_routes, "readonly allow-loading allow-stale",
     "HTTP.ROUTES: method, pattern and module of each."},
    {"http.reload", cmd_reload, "admin allow-loading allow-stale",
     "HTTP.RELOAD: read the certificate anew and open the access log anew."},
    {"http.drain", cmd_drain, "admin allow-loading allow-stale",
     "HTTP.DRAIN: listen no more, end connections with their requests; for good."},
    {"http.help", cmd_help, "readonly fast allow-loading allow-stale", "HTTP.HELP: this text."},
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
        RedisModuleCommand *command =
            RedisModule_GetCommand != NULL ? RedisModule_GetCommand(ctx, c->name) : NULL;
        if (HeliosModule_SetKeyPrecise != NULL && command != NULL) {
            (void)HeliosModule_SetKeyPrecise(command); /* no key: nothing to wait for */
        }
        if (RedisModule_SetCommandInfo != NULL && command != NULL) {
            RedisModuleCommandInfo info = {
                .version = REDISMODULE_COMMAND_INFO_VERSION,
                .summary = c->summary,
                .since = "1.0.0",
                .arity = 1,
            };
            RedisModule_SetCommandInfo(command, &info);
        }
    }
    return true;
}

/* --- life ------------------------------------------------------------------------------------- */

/* The server ends: requests are finished, as far as they can be without it. */
static void on_shutdown(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t subevent, void *data)
{
    (void)event;
    (void)subevent;
    (void)data;
    if (loop != NULL) {
        loop_drain(loop);
        if (!loop_wait_drained(loop, setting(SETTING_DRAIN_TIMEOUT))) {
            RedisModule_Log(ctx, "notice", "connections are cut: drain-timeout has passed");
        }
    }
}

/* What the module calls without looking whether the server has it. */
static const struct helios_needed needed[] = {
    HELIOS_NEEDED(EventLoopAdd),           HELIOS_NEEDED(EventLoopDel),
    HELIOS_NEEDED(ReplyWithMap),           HELIOS_NEEDED(ExportSharedAPI),
    HELIOS_NEEDED(SubscribeToServerEvent),
};

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct hl_errmsg msg = {0};
    if (RedisModule_Init(ctx, "http", HTTP_MODULE_VERSION, REDISMODULE_APIVER_1) !=
            REDISMODULE_OK ||
        RedisModule_Log == NULL) {
        return REDISMODULE_ERR; /* nothing can be logged yet */
    }
    HeliosModule_LookUp(ctx);
    stats_load(ctx);
    metrics_load(ctx);
    if (!HELIOS_HAS_ALL(ctx, needed) || !settings_load(ctx, argv, argc) ||
        !register_commands(ctx) ||
        RedisModule_ExportSharedAPI(ctx, HELIOS_HTTP_SERVICE, (void *)(uintptr_t)service_table()) !=
            REDISMODULE_OK ||
        !health_load(ctx) ||
        RedisModule_SubscribeToServerEvent(ctx, RedisModuleEvent_Shutdown, on_shutdown) !=
            REDISMODULE_OK ||
        !net_desk_open(ctx, "http")) {
        settings_unload();
        return REDISMODULE_ERR;
    }
    loop = loop_start(&msg); /* the thread comes last, so that nothing can fail once it runs */
    if (loop == NULL) {
        RedisModule_Log(ctx, "warning", "%s", msg.text);
        net_desk_close();
        settings_unload();
        return REDISMODULE_ERR;
    }
    service_open(loop);
    struct status status = {0};
    loop_ask(loop, look, &status);
    for (size_t i = 0; i < status.listeners; i++) {
        RedisModule_Log(ctx, "notice", "listening on %s", status.names[i]);
    }
    return REDISMODULE_OK;
}

int RedisModule_OnUnload(RedisModuleCtx *ctx)
{
    if (service_in_use()) { /* who asked for the table keeps us loaded: the server itself ends */
        RedisModule_Log(ctx, "notice", "modules still use http");
        return REDISMODULE_ERR;
    }
    int64_t drain_ms = setting(SETTING_DRAIN_TIMEOUT);
    loop_stop(loop, drain_ms < UNLOAD_DRAIN_MS ? drain_ms : UNLOAD_DRAIN_MS);
    loop = NULL;
    service_close();
    net_desk_close();
    settings_unload();
    return REDISMODULE_OK;
}
