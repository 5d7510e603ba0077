/* t_globals: uses another module's function, writes in notifications, and has globals that
 * snapshots carry; for test_modules.py. */
#include "helios/module.h"

#include <string.h>

static RedisModuleType *type; /* only for its aux methods: no key ever holds one */
static long long before, after;

static int cmd_set(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3 || RedisModule_StringToLongLong(argv[1], &before) != REDISMODULE_OK ||
        RedisModule_StringToLongLong(argv[2], &after) != REDISMODULE_OK) {
        return RedisModule_WrongArity(ctx);
    }
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

static int cmd_get(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    RedisModule_ReplyWithArray(ctx, 2);
    RedisModule_ReplyWithLongLong(ctx, before);
    return RedisModule_ReplyWithLongLong(ctx, after);
}

/* G.TWICE n: by t_server's function; an error while that is not loaded. */
static int cmd_twice(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long n = 0;
    if (argc != 2 || RedisModule_StringToLongLong(argv[1], &n) != REDISMODULE_OK) {
        return RedisModule_WrongArity(ctx);
    }
    int (*twice)(int) = (int (*)(int))RedisModule_GetSharedAPI(ctx, "t_server.twice");
    return twice == NULL ? RedisModule_ReplyWithError(ctx, "ERR nobody offers it")
                         : RedisModule_ReplyWithLongLong(ctx, twice((int)n));
}

static void aux_save(RedisModuleIO *rdb, int when)
{
    RedisModule_SaveSigned(rdb, when == REDISMODULE_AUX_BEFORE_RDB ? before : after);
}

static int aux_load(RedisModuleIO *rdb, int encver, int when)
{
    (void)encver;
    *(when == REDISMODULE_AUX_BEFORE_RDB ? &before : &after) = RedisModule_LoadSigned(rdb);
    return RedisModule_IsIOError(rdb) ? REDISMODULE_ERR : REDISMODULE_OK;
}

static void *load(RedisModuleIO *rdb, int encver)
{
    (void)rdb;
    (void)encver;
    return NULL;
}

static void save(RedisModuleIO *rdb, void *value)
{
    (void)rdb;
    (void)value;
}

static void release(void *value)
{
    (void)value;
}

/* Every key that is set with the prefix "log:" is counted in "logged". */
static int on_key(RedisModuleCtx *ctx, int kind, const char *event, RedisModuleString *key)
{
    (void)kind;
    size_t len = 0;
    const char *name = RedisModule_StringPtrLen(key, &len);
    if (strcmp(event, "set") == 0 && len > 4 && memcmp(name, "log:", 4) == 0) {
        RedisModule_FreeCallReply(RedisModule_Call(ctx, "INCR", "!c", "logged"));
    }
    return REDISMODULE_OK;
}

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    static RedisModuleTypeMethods methods = {
        .version = REDISMODULE_TYPE_METHOD_VERSION,
        .rdb_load = load,
        .rdb_save = save,
        .free = release,
        .aux_load = aux_load,
        .aux_save = aux_save,
        .aux_save_triggers = REDISMODULE_AUX_BEFORE_RDB | REDISMODULE_AUX_AFTER_RDB,
    };
    if (RedisModule_Init(ctx, "t_globals", 1, REDISMODULE_APIVER_1) != REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    type = RedisModule_CreateDataType(ctx, "t_globals", 3, &methods);
    RedisModule_CreateCommand(ctx, "g.set", cmd_set, "write", 0, 0, 0);
    RedisModule_CreateCommand(ctx, "g.get", cmd_get, "readonly", 0, 0, 0);
    RedisModule_CreateCommand(ctx, "g.twice", cmd_twice, "readonly", 0, 0, 0);
    RedisModule_SubscribeToKeyspaceEvents(ctx, REDISMODULE_NOTIFY_STRING, on_key);
    return type == NULL ? REDISMODULE_ERR : REDISMODULE_OK;
}
