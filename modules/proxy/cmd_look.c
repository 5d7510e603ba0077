/* What shows the configuration and what becomes of it here. */
#include "commands.h"
#include "proxy.h"
#include "stats.h"
#include "store.h"

#include "kit/assert.h"

#include <stdio.h>

static struct proxy *served;

void commands_serve(struct proxy *proxy)
{
    served = proxy;
}

static void reply_number(RedisModuleCtx *ctx, const char *name, long long value)
{
    RedisModule_ReplyWithCString(ctx, name);
    RedisModule_ReplyWithLongLong(ctx, value);
}

static void reply_text(RedisModuleCtx *ctx, const char *name, const char *value)
{
    RedisModule_ReplyWithCString(ctx, name);
    RedisModule_ReplyWithCString(ctx, value);
}

struct look {
    RedisModuleCtx *ctx;
    const struct config *config;
};

static void reply_backend(RedisModuleCtx *ctx, const struct backend_config *config,
                          const struct backend *b)
{
    static const struct backend nobody = {0};
    const struct backend *now = b != NULL ? b : &nobody;
    enum breaker_state breaker = now->breaker.state;
    RedisModule_ReplyWithMap(ctx, 16);
    reply_text(ctx, "id", config->id);
    reply_text(ctx, "address", config->address);
    reply_number(ctx, "weight", config->weight);
    reply_number(ctx, "max_connections", config->connections_max);
    reply_text(ctx, "health_path", config->health_path);
    reply_number(ctx, "draining", config->draining);
    reply_number(ctx, "healthy", b != NULL && now->resolved && !now->check.down);
    reply_number(ctx, "last_checked", now->checked_s);
    reply_number(ctx, "active_connections", now->active);
    reply_number(ctx, "idle_connections", (long long)now->idle_count);
    reply_text(ctx, "circuit", breaker_name(breaker));
    reply_number(ctx, "circuit_open", breaker == BREAKER_OPEN);
    reply_number(ctx, "failure_count", (long long)now->errors);
    reply_number(ctx, "consecutive_fails", now->breaker.failures);
    reply_number(ctx, "consecutive_failed_checks", now->check.fails);
    reply_number(ctx, "requests", (long long)now->requests);
}

/* The server's thread waits meanwhile, so the context and the configuration may be used here. */
static void list_backends(struct proxy *proxy, void *arg)
{
    const struct look *look = arg;
    RedisModule_ReplyWithArray(look->ctx, (long)look->config->backend_count);
    for (size_t i = 0; i < look->config->backend_count; i++) {
        const struct backend_config *config = &look->config->backends[i];
        reply_backend(look->ctx, config, fleet_backend(proxy, config->id));
    }
}

int cmd_backend_list(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    struct look look = {.ctx = ctx, .config = store_config(ctx, false)};
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    if (look.config == NULL) {
        return RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    proxy_ask(served, list_backends, &look);
    return REDISMODULE_OK;
}

int cmd_route_list(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    const struct config *config = store_config(ctx, false);
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    if (config == NULL) {
        return RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    RedisModule_ReplyWithArray(ctx, (long)config->route_count);
    for (size_t i = 0; i < config->route_count; i++) {
        const struct route_config *route = &config->routes[i];
        RedisModule_ReplyWithMap(ctx, 6);
        reply_text(ctx, "id", route->id);
        reply_text(ctx, "host_match", route->host[0] != '\0' ? route->host : "*");
        reply_text(ctx, "path_match", route->path);
        RedisModule_ReplyWithCString(ctx, "backend_pool");
        RedisModule_ReplyWithArray(ctx, (long)route->pool_count);
        for (size_t k = 0; k < route->pool_count; k++) {
            RedisModule_ReplyWithCString(ctx, route->pool[k]);
        }
        reply_text(ctx, "algorithm", config_algorithm_name(route->algorithm));
        reply_number(ctx, "strip", route->strips);
    }
    return REDISMODULE_OK;
}

int cmd_stats(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModule_ReplyWithMap(ctx, COUNTER_COUNT);
    for (int i = 0; i < COUNTER_COUNT; i++) {
        reply_number(ctx, stats_name((enum counter)i), stats_get((enum counter)i));
    }
    return REDISMODULE_OK;
}

struct status {
    size_t clients, upstreams, tunnels, backends, routes, listeners;
    uint64_t version;
    bool draining;
    char names[NET_LISTENERS_MAX][NET_NAME_MAX + 8];
};

static void look(struct proxy *proxy, void *arg)
{
    struct status *status = arg;
    status->clients = proxy->client_count;
    status->upstreams = proxy->upstream_count;
    status->tunnels = proxy->tunnel_count;
    status->backends = proxy->fleet.config->backend_count;
    status->routes = proxy->fleet.config->route_count;
    status->version = proxy->fleet.config->version;
    status->draining = proxy->draining;
    for (size_t i = 0; i < proxy->net.listener_count; i++) {
        const struct net_listener *listener = &proxy->net.listeners[i];
        if (listener->open) {
            snprintf(status->names[status->listeners++], sizeof status->names[0], "%s://%s",
                     listener->tls ? "https" : "http", listener->name);
        }
    }
}

int cmd_status(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct status status = {0};
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    proxy_ask(served, look, &status);
    RedisModule_ReplyWithMap(ctx, 8);
    RedisModule_ReplyWithCString(ctx, "listening");
    RedisModule_ReplyWithArray(ctx, (long)status.listeners);
    for (size_t i = 0; i < status.listeners; i++) {
        RedisModule_ReplyWithCString(ctx, status.names[i]);
    }
    reply_number(ctx, "draining", status.draining);
    reply_number(ctx, "version", (long long)status.version);
    reply_number(ctx, "backends", (long long)status.backends);
    reply_number(ctx, "routes", (long long)status.routes);
    reply_number(ctx, "clients", (long long)status.clients);
    reply_number(ctx, "backend_connections", (long long)status.upstreams);
    reply_number(ctx, "tunnels", (long long)status.tunnels);
    return REDISMODULE_OK;
}

int cmd_reload(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct hl_errmsg msg = {0};
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    if (proxy_reload(served, &msg) != HL_OK) {
        char error[sizeof msg.text + 8];
        snprintf(error, sizeof error, "ERR %s", msg.text);
        return RedisModule_ReplyWithError(ctx, error);
    }
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

int cmd_drain(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    proxy_drain(served);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}
