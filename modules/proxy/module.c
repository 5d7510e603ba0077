/* proxy: what the module registers.  See README.md. */
#include "commands.h"
#include "metrics.h"
#include "proxy.h"
#include "settings.h"
#include "stats.h"
#include "store.h"

#include "helios/extensions.h"
#include "helios/needed.h"
#include "net/desk.h"

#define PROXY_MODULE_VERSION 1
#define UNLOAD_DRAIN_MS 1000 /* the server stands still meanwhile */

static struct proxy *proxy;

/* The server ends: requests are finished, as far as they can be. */
static void on_shutdown(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t subevent, void *data)
{
    (void)event;
    (void)subevent;
    (void)data;
    if (proxy != NULL) {
        proxy_drain(proxy);
        if (!proxy_wait_drained(proxy, setting(SETTING_DRAIN_TIMEOUT))) {
            RedisModule_Log(ctx, "notice", "connections are cut: drain-timeout has passed");
        }
    }
}

/* What the module calls without looking whether the server has it. */
static const struct helios_needed needed[] = {
    HELIOS_NEEDED(CreateSubcommand),       HELIOS_NEEDED(EventLoopAdd),
    HELIOS_NEEDED(EventLoopDel),           HELIOS_NEEDED(GetCommand),
    HELIOS_NEEDED(ReplyWithMap),           HELIOS_NEEDED(SetModuleOptions),
    HELIOS_NEEDED(SubscribeToServerEvent),
};

static void log_listeners(struct proxy *p, void *ctx)
{
    for (size_t i = 0; i < p->net.listener_count; i++) {
        const struct net_listener *listener = &p->net.listeners[i];
        RedisModule_Log(ctx, "notice", "listening on %s://%s", listener->tls ? "https" : "http",
                        listener->name);
    }
}

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct hl_errmsg msg = {0};
    if (RedisModule_Init(ctx, "proxy", PROXY_MODULE_VERSION, REDISMODULE_APIVER_1) !=
        REDISMODULE_OK) {
        return REDISMODULE_ERR; /* nothing can be logged yet */
    }
    HeliosModule_LookUp(ctx);
    if (!HELIOS_HAS_ALL(ctx, needed)) {
        return REDISMODULE_ERR;
    }
    RedisModule_SetModuleOptions(ctx, REDISMODULE_OPTIONS_HANDLE_IO_ERRORS |
                                          HELIOSMODULE_OPTION_NO_GLOBALS);
    stats_load(ctx);
    if (!settings_load(ctx, argv, argc) || !store_register(ctx) || !commands_register(ctx) ||
        RedisModule_SubscribeToServerEvent(ctx, RedisModuleEvent_Shutdown, on_shutdown) !=
            REDISMODULE_OK ||
        !net_desk_open(ctx, "proxy")) {
        goto fail_store;
    }
    metrics_load(ctx);
    proxy = proxy_start(&msg); /* the thread comes last, so that nothing can fail once it runs */
    if (proxy == NULL) {
        RedisModule_Log(ctx, "warning", "%s", msg.text);
        goto fail_desk;
    }
    commands_serve(proxy);
    store_serve(proxy);
    proxy_ask(proxy, log_listeners, ctx);
    return REDISMODULE_OK;

fail_desk:
    net_desk_close();
fail_store:
    store_end();
    settings_unload();
    return REDISMODULE_ERR;
}

int RedisModule_OnUnload(RedisModuleCtx *ctx)
{
    (void)ctx;
    int64_t drain_ms = setting(SETTING_DRAIN_TIMEOUT);
    store_serve(NULL);
    proxy_stop(proxy, drain_ms < UNLOAD_DRAIN_MS ? drain_ms : UNLOAD_DRAIN_MS);
    proxy = NULL;
    net_desk_close();
    store_end();
    settings_unload();
    return REDISMODULE_OK;
}
