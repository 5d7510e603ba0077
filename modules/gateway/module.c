/* gateway: the HTTP API.  See README.md.
 *
 * Glue only: what the module registers, and the order in which it comes and goes.
 */
#include "access.h"
#include "cmd_once.h"
#include "door.h"
#include "feed.h"
#include "routes.h"
#include "services.h"
#include "settings.h"
#include "sockets.h"
#include "throttle.h"

#include "helios/extensions.h"
#include "helios/module.h"
#include "kit/assert.h"

#define GATEWAY_VERSION 1

/* --- commands --------------------------------------------------------------------------------- */

static void reply_number(RedisModuleCtx *ctx, const char *name, long long value)
{
    RedisModule_ReplyWithCString(ctx, name);
    RedisModule_ReplyWithLongLong(ctx, value);
}

static int cmd_status(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    const struct gw_services *services = gw_services();
    HeliosModuleExecuteStats stats = gw_execute_stats();
    RedisModule_ReplyWithMap(ctx, 11);
    reply_number(ctx, "routes", services->http != NULL ? (long long)gw_routes_count() : 0);
    reply_number(ctx, "http", services->http != NULL);
    reply_number(ctx, "auth", services->auth != NULL);
    reply_number(ctx, "rbac", services->rbac != NULL);
    reply_number(ctx, "ratelimit", services->ratelimit != NULL);
    reply_number(ctx, "rate_limited", (long long)gw_throttle_refused());
    reply_number(ctx, "calls_under_way", (long long)stats.under_way);
    reply_number(ctx, "calls_answered", (long long)stats.answered);
    reply_number(ctx, "calls_not_executed", (long long)stats.not_executed);
    reply_number(ctx, "calls_unknown", (long long)stats.unknown);
    reply_number(ctx, "calls_refused", (long long)stats.refused);
    return REDISMODULE_OK;
}

static int cmd_help(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

static const struct command {
    const char *name;
    RedisModuleCmdFunc run;
    const char *flags;
    int arity, key;
    const char *help; /* NULL: not for people */
} commands[] = {
    {"gateway.status", cmd_status, "readonly allow-loading allow-stale", 1, 0,
     "GATEWAY.STATUS: which modules it found, and its calls."},
    {"gateway.help", cmd_help, "readonly fast allow-loading allow-stale", 1, 0,
     "GATEWAY.HELP: this text."},
    {"gateway._access", gw_cmd_access, "readonly admin no-monitor no-slowlog", 2, 0, NULL},
    {"gateway._watch", gw_cmd_watch, "readonly admin no-monitor no-slowlog", 1, 0, NULL},
    {"gateway.once", gw_cmd_once, "write deny-oom admin deny-script", -6, 1, NULL},
};

static int cmd_help(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    long count = 0;
    RedisModule_ReplyWithArray(ctx, REDISMODULE_POSTPONED_LEN);
    for (size_t i = 0; i < HL_ARRAY_LEN(commands); i++) {
        if (commands[i].help != NULL) {
            RedisModule_ReplyWithSimpleString(ctx, commands[i].help);
            count++;
        }
    }
    RedisModule_ReplySetArrayLength(ctx, count);
    return REDISMODULE_OK;
}

static bool register_commands(RedisModuleCtx *ctx)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(commands); i++) {
        const struct command *c = &commands[i];
        if (RedisModule_CreateCommand(ctx, c->name, c->run, c->flags, c->key, c->key, c->key) !=
            REDISMODULE_OK) {
            RedisModule_Log(ctx, "warning", "cannot register %s: is the name taken?", c->name);
            return false;
        }
        RedisModuleCommand *command = RedisModule_GetCommand(ctx, c->name);
        if (HeliosModule_SetKeyPrecise != NULL) {
            (void)HeliosModule_SetKeyPrecise(command); /* they look at keys by opening them */
        }
        RedisModuleCommandInfo info = {
            .version = REDISMODULE_COMMAND_INFO_VERSION,
            .summary = c->help != NULL ? c->help : "A part of the gateway; not for clients.",
            .since = "1.0.0",
            .arity = c->arity,
        };
        (void)RedisModule_SetCommandInfo(command, &info);
    }
    return true;
}

/* --- life ------------------------------------------------------------------------------------- */

/* A module came: perhaps one that was missing. */
static void on_module(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t subevent, void *data)
{
    (void)event;
    (void)data;
    if (subevent == REDISMODULE_SUBEVENT_MODULE_LOADED) {
        gw_services_look(ctx);
        (void)gw_routes_join(ctx); /* it says itself what it lacks */
    }
}

static void add_info(RedisModuleInfoCtx *info, int for_crash_report)
{
    (void)for_crash_report;
    HeliosModuleExecuteStats stats = gw_execute_stats();
    RedisModule_InfoAddSection(info, "");
    RedisModule_InfoAddFieldULongLong(info, "calls_under_way", stats.under_way);
    RedisModule_InfoAddFieldULongLong(info, "calls_answered", stats.answered);
    RedisModule_InfoAddFieldULongLong(info, "calls_not_executed", stats.not_executed);
    RedisModule_InfoAddFieldULongLong(info, "calls_unknown", stats.unknown);
    RedisModule_InfoAddFieldULongLong(info, "calls_refused", stats.refused);
    RedisModule_InfoAddFieldULongLong(info, "rate_limited", gw_throttle_refused());
}

static void end(void)
{
    gw_feed_stop();
    gw_door_close();   /* what is under way is answered */
    gw_routes_leave(); /* what came meanwhile was told to go */
    gw_throttle_end();
    gw_services_forget();
    gw_settings_unload();
}

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (RedisModule_Init(ctx, "gateway", GATEWAY_VERSION, REDISMODULE_APIVER_1) != REDISMODULE_OK) {
        return REDISMODULE_ERR; /* nothing can be logged yet */
    }
    HeliosModule_LookUp(ctx);
    if (HeliosModule_Execute == NULL) {
        RedisModule_Log(ctx, "warning",
                        "the server has no HeliosModule_Execute: load it in Helios");
        return REDISMODULE_ERR;
    }
    if (!register_commands(ctx) || !gw_settings_load(ctx, argv, argc) ||
        RedisModule_SubscribeToServerEvent(ctx, RedisModuleEvent_ModuleChange, on_module) !=
            REDISMODULE_OK ||
        !gw_door_open(ctx)) {
        gw_settings_unload();
        return REDISMODULE_ERR;
    }
    gw_services_look(ctx);
    if (!gw_feed_start() || !gw_routes_join(ctx)) {
        end();
        return REDISMODULE_ERR;
    }
    if (gw_services()->http == NULL) {
        RedisModule_Log(ctx, "notice", "the module http is not loaded yet: nothing is served");
    }
    RedisModule_RegisterInfoFunc(ctx, add_info);
    return REDISMODULE_OK;
}

int RedisModule_OnUnload(RedisModuleCtx *ctx)
{
    (void)ctx;
    end();
    return REDISMODULE_OK;
}
