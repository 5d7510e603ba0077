/* The server's cron event looks; what writes runs in a timer, which the event arms when there is
 * something to write, so that no timer keeps the module from being unloaded. */
#include "tick.h"

#include "access.h"
#include "bootstrap.h"
#include "keyed.h"
#include "live.h"

#include "helios/extensions.h"

#include <stdbool.h>

#define LOOK_EVERY_MS 500

static RedisModuleTimerID timer;
static int64_t looked_ms;

/* Whether this node decides. */
static bool leads(RedisModuleCtx *ctx)
{
    int flags = RedisModule_GetContextFlags(ctx);
    bool master = HeliosModule_IsLeader != NULL ? HeliosModule_IsLeader() != 0
                                                : (flags & REDISMODULE_CTX_FLAGS_MASTER) != 0;
    return master && (flags & REDISMODULE_CTX_FLAGS_LOADING) == 0;
}

static void act(RedisModuleCtx *ctx, void *data)
{
    (void)data;
    timer = 0;
    if (keyed_pending()) {
        keyed_flush(ctx);
    }
    if (bootstrap_due(ctx, leads(ctx))) {
        bootstrap_act(ctx);
    }
    if (leads(ctx) && access_due(ctx)) {
        access_advance(ctx);
    }
}

static void on_cron(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data)
{
    (void)event;
    (void)sub;
    (void)data;
    int64_t now_ms = RedisModule_Milliseconds();
    if (now_ms >= looked_ms && now_ms - looked_ms < LOOK_EVERY_MS) {
        return;
    }
    looked_ms = now_ms;
    live_expire(ctx, now_ms);
    bool due = keyed_pending() || bootstrap_due(ctx, leads(ctx)) || (leads(ctx) && access_due(ctx));
    if (timer == 0 && due) {
        timer = RedisModule_CreateTimer(ctx, 0, act, NULL);
    }
}

void tick_load(RedisModuleCtx *ctx)
{
    timer = 0;
    if (RedisModule_SubscribeToServerEvent == NULL || RedisModule_CreateTimer == NULL ||
        RedisModule_StopTimer == NULL ||
        RedisModule_SubscribeToServerEvent(ctx, RedisModuleEvent_CronLoop, on_cron) !=
            REDISMODULE_OK) {
        RedisModule_Log(ctx, "warning",
                        "the server has no cron event: keys are not rotated by themselves");
    }
}

void tick_unload(RedisModuleCtx *ctx)
{
    if (timer != 0) {
        RedisModule_StopTimer(ctx, timer, NULL);
    }
    timer = 0;
}
