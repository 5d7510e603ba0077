/* ratelimit: who may do how much in what time.  See README.md for the commands.
 *
 * Glue only: registration, INFO, and the end.  Commands are in cmd_*.c, decisions in limiter.c and
 * the algorithms below it, state in store.c.
 */
#include "commands.h"
#include "settings.h"

#include "helios/extensions.h"
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

/* What the module calls without looking whether the server has it: where its pointer lives. */
static const struct {
    const char *name;
    const void *pointer;
} needed[] = {
#define NEEDED(name)                                                                               \
    {                                                                                              \
#name, &RedisModule_##name                                                                 \
    }
    NEEDED(Alloc),
    NEEDED(Calloc),
    NEEDED(CloseKey),
    NEEDED(CreateCommand),
    NEEDED(CreateDataType),
    NEEDED(CreateString),
    NEEDED(DeleteKey),
    NEEDED(Free),
    NEEDED(FreeString),
    NEEDED(GetContextFlags),
    NEEDED(GetSelectedDb),
    NEEDED(IsKeysPositionRequest),
    NEEDED(KeyAtPos),
    NEEDED(KeyType),
    NEEDED(LoadStringBuffer),
    NEEDED(LogIOError),
    NEEDED(Milliseconds),
    NEEDED(ModuleTypeGetType),
    NEEDED(ModuleTypeGetValue),
    NEEDED(ModuleTypeSetValue),
    NEEDED(OpenKey),
    NEEDED(Replicate),
    NEEDED(ReplicateVerbatim),
    NEEDED(ReplyWithArray),
    NEEDED(ReplyWithCString),
    NEEDED(ReplyWithError),
    NEEDED(ReplyWithLongLong),
    NEEDED(ReplyWithMap),
    NEEDED(ReplyWithNull),
    NEEDED(ReplyWithSimpleString),
    NEEDED(ReplyWithStringBuffer),
    NEEDED(SaveStringBuffer),
    NEEDED(SelectDb),
    NEEDED(SetAbsExpire),
    NEEDED(SetExpire),
    NEEDED(SetModuleOptions),
    NEEDED(StringPtrLen),
    NEEDED(StringToLongLong),
    NEEDED(WrongArity),
#undef NEEDED
};

/* Refuse a server that lacks something: a clear refusal instead of a crash later. */
static bool has_needed(RedisModuleCtx *ctx)
{
    bool all = true;
    for (size_t i = 0; i < HL_ARRAY_LEN(needed); i++) {
        if (*(void *const *)needed[i].pointer == NULL) {
            RedisModule_Log(ctx, "warning", "the server lacks RedisModule_%s", needed[i].name);
            all = false;
        }
    }
    return all;
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
    if (!has_needed(ctx)) {
        return REDISMODULE_ERR;
    }
    RedisModule_SetModuleOptions(ctx, REDISMODULE_OPTIONS_HANDLE_IO_ERRORS |
                                          HELIOSMODULE_OPTION_NO_GLOBALS);
    if (store_register(ctx) != REDISMODULE_OK || !register_commands(ctx) ||
        settings_register(ctx) != REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    if (RedisModule_RegisterInfoFunc != NULL && RedisModule_InfoAddSection != NULL &&
        RedisModule_InfoAddFieldULongLong != NULL) {
        RedisModule_RegisterInfoFunc(ctx, add_info);
    }
    return REDISMODULE_OK;
}

int RedisModule_OnUnload(RedisModuleCtx *ctx)
{
    (void)ctx;
    note_end();
    return REDISMODULE_OK;
}
