/* counter_type: a module with a data type of its own.  See README.md for the commands.
 *
 * Glue only: arguments in, counter.c decides, reply out, and the methods by which the server saves,
 * loads, copies and frees values. */
#include "counter.h"

#include "helios/extensions.h"
#include "helios/module.h"

#define COUNTER_VERSION 1

/* The type's name is stored with each value: nine characters, chosen once and for ever.  The number
 * beside it tells later versions of this module how old a value is. */
#define TYPE_NAME "countertp"
#define TYPE_ENCODING 0

static RedisModuleType *counter_type;

/* Open argv[1].  False, with an error replied, when it holds something else; else *counter is the
 * value, NULL when there is none. */
static bool open_counter(RedisModuleCtx *ctx, RedisModuleString *name, int mode,
                         RedisModuleKey **key, struct counter **counter)
{
    *key = RedisModule_OpenKey(ctx, name, mode);
    *counter = NULL;
    if (RedisModule_KeyType(*key) == REDISMODULE_KEYTYPE_EMPTY) {
        return true;
    }
    if (RedisModule_ModuleTypeGetType(*key) != counter_type) {
        RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
        return false;
    }
    *counter = RedisModule_ModuleTypeGetValue(*key);
    return true;
}

/* COUNTER.ADD key by: the new total. */
static int cmd_add(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long by = 0;
    RedisModuleKey *key = NULL;
    struct counter *counter = NULL;
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModule_AutoMemory(ctx); /* closes `key` on every path below */
    if (RedisModule_StringToLongLong(argv[2], &by) != REDISMODULE_OK) {
        return RedisModule_ReplyWithError(ctx, "ERR value is not an integer or out of range");
    }
    if (!open_counter(ctx, argv[1], REDISMODULE_READ | REDISMODULE_WRITE, &key, &counter)) {
        return REDISMODULE_OK;
    }
    if (counter == NULL) {
        counter = RedisModule_Calloc(1, sizeof *counter);
        RedisModule_ModuleTypeSetValue(key, counter_type, counter); /* the key owns it now */
    }
    if (!counter_add(counter, by)) {
        return RedisModule_ReplyWithError(ctx, "ERR increment would overflow");
    }
    RedisModule_ReplicateVerbatim(ctx); /* it depends on nothing but the value: say it as it came */
    return RedisModule_ReplyWithLongLong(ctx, counter->total);
}

/* COUNTER.GET key: total and number of updates, or null. */
static int cmd_get(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    RedisModuleKey *key = NULL;
    struct counter *counter = NULL;
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModule_AutoMemory(ctx);
    if (!open_counter(ctx, argv[1], REDISMODULE_READ, &key, &counter)) {
        return REDISMODULE_OK;
    }
    if (counter == NULL) {
        return RedisModule_ReplyWithNull(ctx);
    }
    RedisModule_ReplyWithArray(ctx, 2);
    RedisModule_ReplyWithLongLong(ctx, counter->total);
    return RedisModule_ReplyWithLongLong(ctx, (long long)counter->updates);
}

/* COUNTER.RESTORE key total updates: what the append-only file of Redis holds after a rewrite. */
static int cmd_restore(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long total = 0;
    long long updates = 0;
    if (argc != 4) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModule_AutoMemory(ctx);
    if (RedisModule_StringToLongLong(argv[2], &total) != REDISMODULE_OK ||
        RedisModule_StringToLongLong(argv[3], &updates) != REDISMODULE_OK || updates < 0) {
        return RedisModule_ReplyWithError(ctx, "ERR value is not an integer or out of range");
    }
    RedisModuleKey *key = RedisModule_OpenKey(ctx, argv[1], REDISMODULE_READ | REDISMODULE_WRITE);
    struct counter *counter = RedisModule_Alloc(sizeof *counter);
    *counter = (struct counter){.total = total, .updates = (uint64_t)updates};
    RedisModule_ModuleTypeSetValue(key, counter_type, counter);
    RedisModule_ReplicateVerbatim(ctx);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

/* ---- Methods of the type ---- */

static void *load(RedisModuleIO *rdb, int encver)
{
    if (encver != TYPE_ENCODING) {
        return NULL; /* written by a later version of this module */
    }
    int64_t total = RedisModule_LoadSigned(rdb);
    uint64_t updates = RedisModule_LoadUnsigned(rdb);
    if (RedisModule_IsIOError(rdb)) {
        return NULL; /* the file is cut or damaged */
    }
    struct counter *counter = RedisModule_Alloc(sizeof *counter);
    *counter = (struct counter){.total = total, .updates = updates};
    return counter;
}

static void save(RedisModuleIO *rdb, void *value)
{
    const struct counter *counter = value;
    RedisModule_SaveSigned(rdb, counter->total);
    RedisModule_SaveUnsigned(rdb, counter->updates);
}

static void rewrite(RedisModuleIO *aof, RedisModuleString *key, void *value)
{
    const struct counter *counter = value;
    RedisModule_EmitAOF(aof, "counter.restore", "sll", key, (long long)counter->total,
                        (long long)counter->updates);
}

static size_t memory_usage(const void *value)
{
    (void)value;
    return sizeof(struct counter);
}

static void digest(RedisModuleDigest *md, void *value)
{
    const struct counter *counter = value;
    RedisModule_DigestAddLongLong(md, counter->total);
    RedisModule_DigestAddLongLong(md, (long long)counter->updates);
    RedisModule_DigestEndSequence(md);
}

static void *copy(RedisModuleString *from, RedisModuleString *to, const void *value)
{
    (void)from;
    (void)to;
    struct counter *duplicate = RedisModule_Alloc(sizeof *duplicate);
    *duplicate = *(const struct counter *)value;
    return duplicate;
}

static void release(void *value)
{
    RedisModule_Free(value);
}

static RedisModuleTypeMethods methods = {
    .version = REDISMODULE_TYPE_METHOD_VERSION,
    .rdb_load = load,
    .rdb_save = save,
    .aof_rewrite = rewrite,
    .mem_usage = memory_usage,
    .digest = digest,
    .copy = copy,
    .free = release,
};

static const struct command {
    const char *name;
    RedisModuleCmdFunc run;
    const char *flags;
} commands[] = {
    {"counter.add", cmd_add, "write deny-oom fast"},
    {"counter.get", cmd_get, "readonly fast"},
    {"counter.restore", cmd_restore, "write deny-oom"},
};

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    if (RedisModule_Init(ctx, "counter_type", COUNTER_VERSION, REDISMODULE_APIVER_1) !=
        REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    /* All that this module knows is in its values: Helios may swap it while it runs. */
    RedisModule_SetModuleOptions(ctx, REDISMODULE_OPTIONS_HANDLE_IO_ERRORS |
                                          HELIOSMODULE_OPTION_NO_GLOBALS);
    counter_type = RedisModule_CreateDataType(ctx, TYPE_NAME, TYPE_ENCODING, &methods);
    if (counter_type == NULL) {
        RedisModule_Log(ctx, "warning", "cannot register the type " TYPE_NAME);
        return REDISMODULE_ERR;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const struct command *c = &commands[i];
        if (RedisModule_CreateCommand(ctx, c->name, c->run, c->flags, 1, 1, 1) != REDISMODULE_OK) {
            RedisModule_Log(ctx, "warning", "cannot register %s: is the name taken?", c->name);
            return REDISMODULE_ERR;
        }
    }
    return REDISMODULE_OK;
}
