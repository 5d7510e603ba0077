/* t_commit: the extensions of Helios, absent elsewhere; for test_modules.py. */
#include "helios/extensions.h"
#include "helios/module.h"

static RedisModuleBlockedClient *waiting;

static int reply(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    return RedisModule_ReplyWithSimpleString(ctx, "committed");
}

static void committed(void *data)
{
    RedisModule_UnblockClient(data, NULL);
}

/* C.SET key value: answers when it is committed, told by a callback. */
static int cmd_set(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModule_FreeCallReply(RedisModule_Call(ctx, "SET", "!ss", argv[1], argv[2]));
    if (HeliosModule_OnCommit == NULL) {
        return RedisModule_ReplyWithSimpleString(ctx, "done");
    }
    waiting = RedisModule_BlockClient(ctx, reply, NULL, NULL, 0);
    if (HeliosModule_OnCommit(ctx, committed, waiting) != REDISMODULE_OK) {
        RedisModule_AbortBlock(waiting);
        return RedisModule_ReplyWithError(ctx, "ERR refused");
    }
    return REDISMODULE_OK;
}

/* C.GET key: key-precise where the server knows that. */
static int cmd_get(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModuleCallReply *value = RedisModule_Call(ctx, "GET", "s", argv[1]);
    RedisModule_ReplyWithArray(ctx, 2);
    RedisModule_ReplyWithCallReply(ctx, value);
    RedisModule_FreeCallReply(value);
    return RedisModule_ReplyWithLongLong(
        ctx, HeliosModule_IsLeader == NULL ? -1 : HeliosModule_IsLeader());
}

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    if (RedisModule_Init(ctx, "t_commit", 1, REDISMODULE_APIVER_1) != REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    HeliosModule_LookUp(ctx);
    RedisModule_CreateCommand(ctx, "c.set", cmd_set, "write", 1, 1, 1);
    RedisModule_CreateCommand(ctx, "c.get", cmd_get, "readonly", 1, 1, 1);
    RedisModuleCommand *get = RedisModule_GetCommand(ctx, "c.get");
    if (HeliosModule_SetKeyPrecise != NULL && HeliosModule_SetKeyPrecise(get) != REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    return REDISMODULE_OK;
}
