/* ratelimit: who may do how much in what time.  See README.md for the commands.
 *
 * Glue only: registration, INFO, and the end.  Commands are in cmd_*.c, decisions in limiter.c and
 * the algorithms below it, state in store.c.
 */
#include "commands.h"
#include "service.h"
#include "settings.h"

#include "helios/extensions.h"
#include "helios/needed.h"
#include "kit/assert.h"

#define RATELIMIT_VERSION 1

/* All but POLICY and TOP look at no more than the keys they open. */
static const struct command {
    const char *name;
    RedisModuleCmdFunc run;
    const char *flags;
    int first_key, last_key;
    bool precise;
} commands[] = {
    {"ratelimit.take", cmd_take, "write deny-oom fast getkeys-api", 1, 1, true},
    {"ratelimit.peek", cmd_peek, "readonly fast getkeys-api", 1, 1, true},
    {"ratelimit.refund", cmd_refund, "write fast", 1, 1, true},
    {"ratelimit.reset", cmd_reset, "write fast", 1, -1, true},
    {"ratelimit.get", cmd_get, "readonly fast", 1, 1, true},
    {"ratelimit.policy", cmd_policy, "write deny-oom admin", 0, 0, false},
    {"ratelimit.top", cmd_top, "readonly admin", 0, 0, false},
    {"ratelimit.help", cmd_help, "readonly fast", 0, 0, false},
    {"ratelimit._put", cmd_put, "write admin deny-script", 1, 1, true},
    {"cl.throttle", cmd_throttle, "write deny-oom fast", 1, 1, true},
    {"rate_take", cmd_rate_take, "write deny-oom fast getkeys-api", 1, 1, true},
};

static void add_info(RedisModuleInfoCtx *info, int for_crash_report)
{
    (void)for_crash_report;
    RedisModule_InfoAddSection(info, "");
    RedisModule_InfoAddFieldULongLong(info, "allowed", stats()->allowed);
    RedisModule_InfoAddFieldULongLong(info, "refused", stats()->refused);
    RedisModule_InfoAddFieldULongLong(info, "looked", stats()->looked);
    RedisModule_InfoAddFieldULongLong(info, "refunded", stats()->refunded);
    RedisModule_InfoAddFieldULongLong(info, "reset", stats()->reset);
    RedisModule_InfoAddFieldULongLong(info, "top_bytes", note_bytes());
}

/* What the module calls without looking whether the server has it. */
static const struct helios_needed needed[] = {
    HELIOS_NEEDED(Alloc),
    HELIOS_NEEDED(Calloc),
    HELIOS_NEEDED(CloseKey),
    HELIOS_NEEDED(CreateCommand),
    HELIOS_NEEDED(CreateDataType),
    HELIOS_NEEDED(CreateString),
    HELIOS_NEEDED(DeleteKey),
    HELIOS_NEEDED(Free),
    HELIOS_NEEDED(FreeString),
    HELIOS_NEEDED(GetContextFlags),
    HELIOS_NEEDED(GetSelectedDb),
    HELIOS_NEEDED(IsKeysPositionRequest),
    HELIOS_NEEDED(KeyAtPos),
    HELIOS_NEEDED(KeyType),
    HELIOS_NEEDED(LoadStringBuffer),
    HELIOS_NEEDED(LogIOError),
    HELIOS_NEEDED(Milliseconds),
    HELIOS_NEEDED(ModuleTypeGetType),
    HELIOS_NEEDED(ModuleTypeGetValue),
    HELIOS_NEEDED(ModuleTypeSetValue),
    HELIOS_NEEDED(OpenKey),
    HELIOS_NEEDED(Replicate),
    HELIOS_NEEDED(ReplicateVerbatim),
    HELIOS_NEEDED(ReplyWithArray),
    HELIOS_NEEDED(ReplyWithCString),
    HELIOS_NEEDED(ReplyWithError),
    HELIOS_NEEDED(ReplyWithLongLong),
    HELIOS_NEEDED(ReplyWithMap),
    HELIOS_NEEDED(ReplyWithNull),
    HELIOS_NEEDED(ReplyWithSimpleString),
    HELIOS_NEEDED(ReplyWithStringBuffer),
    HELIOS_NEEDED(SaveStringBuffer),
    HELIOS_NEEDED(SelectDb),
    HELIOS_NEEDED(SetAbsExpire),
    HELIOS_NEEDED(SetExpire),
    HELIOS_NEEDED(SetModuleOptions),
    HELIOS_NEEDED(StringPtrLen),
    HELIOS_NEEDED(StringToLongLong),
    HELIOS_NEEDED(WrongArity),
};

/* What INFO shows, and what other modules limit by this one, as metrics of the server: copied when
 * somebody reads them. */
static unsigned long long denied(void)
{
    return stats()->refused + service_count(false);
}

static unsigned long long allowed(void)
{
    return stats()->allowed + service_count(true);
}

static unsigned long long peeked(void)
{
    return stats()->looked;
}

static const struct shown {
    const char *name, *help;
    unsigned long long (*value)(void);
} shown[] = {
    {"rate_limiter_denied_total", "Calls that took no tokens for want of them.", denied},
    {"rate_limiter_allowed_total", "Calls that took tokens.", allowed},
    {"rate_limiter_peeked_total", "Commands that only looked.", peeked},
};
static HeliosModuleMetric *copied[HL_ARRAY_LEN(shown)];

static int collect(void *data, uint64_t *progress)
{
    (void)data;
    (void)progress;
    for (size_t i = 0; i < HL_ARRAY_LEN(shown); i++) {
        HeliosMetric_Set(copied[i], (double)shown[i].value());
    }
    return 0;
}

static void metrics_register(RedisModuleCtx *ctx)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(shown); i++) {
        HeliosModuleMetricInfo info = {.version = HELIOSMODULE_METRIC_VERSION,
                                       .name = shown[i].name,
                                       .help = shown[i].help,
                                       .kind = HELIOSMODULE_METRIC_COUNTER};
        copied[i] = HeliosMetric_Series(HeliosMetric_Define(ctx, &info), NULL);
    }
    HeliosMetric_Collector(ctx, collect, NULL);
}

static bool register_commands(RedisModuleCtx *ctx)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(commands); i++) {
        const struct command *c = &commands[i];
        if (RedisModule_CreateCommand(ctx, c->name, c->run, c->flags, c->first_key, c->last_key,
                                      c->first_key != 0) != REDISMODULE_OK) {
            RedisModule_Log(ctx, "warning", "cannot register %s: is the name taken?", c->name);
            return false;
        }
        if (c->precise && HeliosModule_SetKeyPrecise != NULL && RedisModule_GetCommand != NULL) {
            (void)HeliosModule_SetKeyPrecise(RedisModule_GetCommand(ctx, c->name));
        }
    }
    docs_register(ctx);
    return true;
}

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    if (RedisModule_Init(ctx, "ratelimit", RATELIMIT_VERSION, REDISMODULE_APIVER_1) !=
        REDISMODULE_OK) {
        return REDISMODULE_ERR; /* nothing can be logged yet */
    }
    HeliosModule_LookUp(ctx);
    if (argc != 0) {
        RedisModule_Log(ctx, "warning", "takes no arguments, got %d: see CONFIG SET ratelimit.*",
                        argc);
        return REDISMODULE_ERR;
    }
    if (!HELIOS_HAS_ALL(ctx, needed)) {
        return REDISMODULE_ERR;
    }
    RedisModule_SetModuleOptions(ctx, REDISMODULE_OPTIONS_HANDLE_IO_ERRORS |
                                          HELIOSMODULE_OPTION_NO_GLOBALS);
    if (store_register(ctx) != REDISMODULE_OK || !register_commands(ctx) ||
        settings_register(ctx) != REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    service_load(ctx);
    if (RedisModule_RegisterInfoFunc != NULL && RedisModule_InfoAddSection != NULL &&
        RedisModule_InfoAddFieldULongLong != NULL) {
        RedisModule_RegisterInfoFunc(ctx, add_info);
    }
    metrics_register(ctx);
    return REDISMODULE_OK;
}

int RedisModule_OnUnload(RedisModuleCtx *ctx)
{
    (void)ctx;
    note_end();
    return REDISMODULE_OK;
}
