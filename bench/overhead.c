/* GET and SET once more, as a module's commands: what they cost beyond the server's own is the
 * price of the module API. */
#include "helios/module.h"

static int cmd_get(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModuleKey *key = RedisModule_OpenKey(ctx, argv[1], REDISMODULE_READ);
    if (key == NULL) {
        return RedisModule_ReplyWithNull(ctx);
    }
    size_t len = 0;
    const char *value = RedisModule_StringDMA(key, &len, REDISMODULE_READ);
    if (value == NULL) {
        RedisModule_CloseKey(key);
        return RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    RedisModule_ReplyWithStringBuffer(ctx, value, len);
    RedisModule_CloseKey(key);
    return REDISMODULE_OK;
}

static int cmd_set(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModuleKey *key = RedisModule_OpenKey(ctx, argv[1], REDISMODULE_WRITE);
    int rc = RedisModule_StringSet(key, argv[2]);
    RedisModule_CloseKey(key);
    if (rc != REDISMODULE_OK) {
        return RedisModule_ReplyWithError(ctx, "ERR the key cannot be written");
    }
    RedisModule_ReplicateVerbatim(ctx);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

static int reply_with_call(RedisModuleCtx *ctx, RedisModuleCallReply *reply)
{
    if (reply == NULL) {
        return RedisModule_ReplyWithError(ctx, "ERR the call failed");
    }
    RedisModule_ReplyWithCallReply(ctx, reply);
    RedisModule_FreeCallReply(reply);
    return REDISMODULE_OK;
}

static int cmd_call_get(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    return argc != 2 ? RedisModule_WrongArity(ctx)
                     : reply_with_call(ctx, RedisModule_Call(ctx, "GET", "s", argv[1]));
}

static int cmd_call_set(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    return argc != 3 ? RedisModule_WrongArity(ctx)
                     : reply_with_call(ctx, RedisModule_Call(ctx, "SET", "!ss", argv[1], argv[2]));
}

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    if (RedisModule_Init(ctx, "overhead", 1, REDISMODULE_APIVER_1) != REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    const struct {
        const char *name, *flags;
        RedisModuleCmdFunc run;
    } commands[] = {
        {"overhead.get", "readonly fast", cmd_get},
        {"overhead.set", "write deny-oom", cmd_set},
        {"overhead.callget", "readonly", cmd_call_get},
        {"overhead.callset", "write deny-oom", cmd_call_set},
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (RedisModule_CreateCommand(ctx, commands[i].name, commands[i].run, commands[i].flags, 1,
                                      1, 1) != REDISMODULE_OK) {
            return REDISMODULE_ERR;
        }
    }
    return REDISMODULE_OK;
}
