/* hello: the smallest useful module.  HELLO.GREET [name] answers a greeting. */
#include "helios/module.h"
#include "helios/extensions.h"

#define HELLO_VERSION 1

/* HELLO.GREET [name] */
static int cmd_greet(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc > 2) {
        return RedisModule_WrongArity(ctx); /* replies "wrong number of arguments for ..." */
    }
    if (argc == 1) {
        return RedisModule_ReplyWithSimpleString(ctx, "Hello, world");
    }
    size_t len = 0;
    const char *name = RedisModule_StringPtrLen(argv[1], &len); /* may hold NUL bytes */
    RedisModuleString *text = RedisModule_CreateString(ctx, "Hello, ", 7);
    RedisModule_StringAppendBuffer(ctx, text, name, len);
    RedisModule_ReplyWithString(ctx, text);
    RedisModule_FreeString(ctx, text);
    return REDISMODULE_OK;
}

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    if (RedisModule_Init(ctx, "hello", HELLO_VERSION, REDISMODULE_APIVER_1) != REDISMODULE_OK) {
        return REDISMODULE_ERR; /* nothing can be logged yet */
    }
    /* It keeps nothing in memory, so Helios may swap it while it runs; Redis does not mind. */
    RedisModule_SetModuleOptions(ctx, HELIOSMODULE_OPTION_NO_GLOBALS);
    /* It reads no key (0, 0, 0), writes nothing, and takes constant time. */
    return RedisModule_CreateCommand(ctx, "hello.greet", cmd_greet, "readonly fast", 0, 0, 0);
}
