/* t_api: one command per corner of the ABI, for test_modules.py.
 *
 * T.* commands of strings, replies, calls, keys and hashes. */
#include "helios/module.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* T.REPLY kind: one reply of that kind. */
static int cmd_reply(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    const char *kind = RedisModule_StringPtrLen(argv[1], NULL);
    if (strcmp(kind, "int") == 0) {
        return RedisModule_ReplyWithLongLong(ctx, -42);
    }
    if (strcmp(kind, "double") == 0) {
        return RedisModule_ReplyWithDouble(ctx, 3.25);
    }
    if (strcmp(kind, "bool") == 0) {
        return RedisModule_ReplyWithBool(ctx, 1);
    }
    if (strcmp(kind, "null") == 0) {
        return RedisModule_ReplyWithNull(ctx);
    }
    if (strcmp(kind, "nullarray") == 0) {
        return RedisModule_ReplyWithNullArray(ctx);
    }
    if (strcmp(kind, "bignum") == 0) {
        return RedisModule_ReplyWithBigNumber(ctx, "123456789012345678901234567890", 30);
    }
    if (strcmp(kind, "verbatim") == 0) {
        return RedisModule_ReplyWithVerbatimString(ctx, "text", 4);
    }
    if (strcmp(kind, "error") == 0) {
        return RedisModule_ReplyWithError(ctx, "CODE message");
    }
    if (strcmp(kind, "map") == 0) {
        RedisModule_ReplyWithMap(ctx, 2);
        RedisModule_ReplyWithCString(ctx, "a");
        RedisModule_ReplyWithLongLong(ctx, 1);
        RedisModule_ReplyWithCString(ctx, "b");
        RedisModule_ReplyWithEmptyArray(ctx);
        return REDISMODULE_OK;
    }
    if (strcmp(kind, "set") == 0) {
        RedisModule_ReplyWithSet(ctx, 2);
        RedisModule_ReplyWithCString(ctx, "a");
        return RedisModule_ReplyWithEmptyString(ctx);
    }
    if (strcmp(kind, "nested") == 0) {
        RedisModule_ReplyWithArray(ctx, REDISMODULE_POSTPONED_LEN);
        for (int i = 0; i < 12; i++) {
            RedisModule_ReplyWithArray(ctx, REDISMODULE_POSTPONED_LEN);
            RedisModule_ReplyWithLongLong(ctx, i);
            RedisModule_ReplySetArrayLength(ctx, 1);
        }
        RedisModule_ReplySetArrayLength(ctx, 12);
        return REDISMODULE_OK;
    }
    return RedisModule_ReplyWithError(ctx, "ERR no such kind");
}

/* T.PARSE text: how text reads as each kind of number. */
static int cmd_parse(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    long long ll = 0;
    double d = 0;
    RedisModule_ReplyWithArray(ctx, 2);
    if (RedisModule_StringToLongLong(argv[1], &ll) == REDISMODULE_OK) {
        RedisModule_ReplyWithLongLong(ctx, ll);
    } else {
        RedisModule_ReplyWithNull(ctx);
    }
    if (RedisModule_StringToDouble(argv[1], &d) == REDISMODULE_OK) {
        return RedisModule_ReplyWithDouble(ctx, d);
    }
    return RedisModule_ReplyWithNull(ctx);
}

/* T.CALL command arg...: what the command answers, replicated. */
static int cmd_call(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc < 2) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModule_AutoMemory(ctx);
    const char *name = RedisModule_StringPtrLen(argv[1], NULL);
    RedisModuleCallReply *reply = RedisModule_Call(ctx, name, "!v", argv + 2, (size_t)(argc - 2));
    if (reply == NULL) {
        return RedisModule_ReplyWithError(ctx, errno == ENOENT   ? "ERR none"
                                               : errno == EINVAL ? "ERR arguments"
                                                                 : "ERR refused");
    }
    return RedisModule_ReplyWithCallReply(ctx, reply);
}

/* T.QUIET command arg...: the same, and the log is told nothing. */
static int cmd_quiet(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc < 2) {
        return RedisModule_WrongArity(ctx);
    }
    const char *name = RedisModule_StringPtrLen(argv[1], NULL);
    RedisModuleCallReply *reply = RedisModule_Call(ctx, name, "v", argv + 2, (size_t)(argc - 2));
    if (reply == NULL) {
        return RedisModule_ReplyWithError(ctx, "ERR refused");
    }
    RedisModule_ReplyWithCallReply(ctx, reply);
    RedisModule_FreeCallReply(reply);
    return REDISMODULE_OK;
}

/* T.INCRTWICE key: two calls without "!", and the command itself stated: it must count once when it
 * is applied again. */
static int cmd_incrtwice(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModule_FreeCallReply(RedisModule_Call(ctx, "INCR", "s", argv[1]));
    RedisModuleCallReply *reply = RedisModule_Call(ctx, "INCR", "s", argv[1]);
    RedisModule_ReplicateVerbatim(ctx);
    RedisModule_ReplyWithLongLong(ctx, RedisModule_CallReplyInteger(reply));
    RedisModule_FreeCallReply(reply);
    return REDISMODULE_OK;
}

/* T.SUM command arg...: the sum of the integers in an array that the command answers. */
static int cmd_sum(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    RedisModule_AutoMemory(ctx);
    long long sum = 0;
    const char *name = RedisModule_StringPtrLen(argv[1], NULL);
    RedisModuleCallReply *reply = RedisModule_Call(ctx, name, "v", argv + 2, (size_t)(argc - 2));
    if (RedisModule_CallReplyType(reply) != REDISMODULE_REPLY_ARRAY) {
        return RedisModule_ReplyWithError(ctx, "ERR no array");
    }
    for (size_t i = 0; i < RedisModule_CallReplyLength(reply); i++) {
        long long n = 0;
        RedisModuleString *s =
            RedisModule_CreateStringFromCallReply(RedisModule_CallReplyArrayElement(reply, i));
        if (s != NULL && RedisModule_StringToLongLong(s, &n) == REDISMODULE_OK) {
            sum += n;
        }
    }
    return RedisModule_ReplyWithLongLong(ctx, sum);
}

/* T.APPEND key text: through StringDMA; states nothing. */
static int cmd_append(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModule_AutoMemory(ctx);
    RedisModuleKey *key = RedisModule_OpenKey(ctx, argv[1], REDISMODULE_READ | REDISMODULE_WRITE);
    int type = RedisModule_KeyType(key);
    if (type != REDISMODULE_KEYTYPE_EMPTY && type != REDISMODULE_KEYTYPE_STRING) {
        return RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    size_t old = RedisModule_ValueLength(key);
    size_t more = 0;
    const char *text = RedisModule_StringPtrLen(argv[2], &more);
    if (RedisModule_StringTruncate(key, old + more) != REDISMODULE_OK) {
        return RedisModule_ReplyWithError(ctx, "ERR too long");
    }
    size_t len = 0;
    char *bytes = RedisModule_StringDMA(key, &len, REDISMODULE_WRITE);
    memcpy(bytes + old, text, more);
    return RedisModule_ReplyWithLongLong(ctx, (long long)len);
}

/* T.KEY key: type, length and remaining time. */
static int cmd_key(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModuleKey *key = RedisModule_OpenKey(ctx, argv[1], REDISMODULE_READ);
    RedisModule_ReplyWithArray(ctx, 3);
    RedisModule_ReplyWithLongLong(ctx, RedisModule_KeyType(key));
    RedisModule_ReplyWithLongLong(ctx, (long long)RedisModule_ValueLength(key));
    RedisModule_ReplyWithLongLong(ctx, key == NULL ? -2 : RedisModule_GetExpire(key));
    RedisModule_CloseKey(key);
    return REDISMODULE_OK;
}

/* T.EXPIRE key ms, T.DEL key: through handles; they state nothing. */
static int cmd_expire(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long ms = 0;
    if (argc != 3 || RedisModule_StringToLongLong(argv[2], &ms) != REDISMODULE_OK) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModuleKey *key = RedisModule_OpenKey(ctx, argv[1], REDISMODULE_READ | REDISMODULE_WRITE);
    int err = RedisModule_SetExpire(key, ms);
    RedisModule_CloseKey(key);
    return RedisModule_ReplyWithLongLong(ctx, err);
}

static int cmd_del(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModuleKey *key = RedisModule_OpenKey(ctx, argv[1], REDISMODULE_READ | REDISMODULE_WRITE);
    int err = RedisModule_DeleteKey(key);
    RedisModule_CloseKey(key);
    return RedisModule_ReplyWithLongLong(ctx, err);
}

/* T.HSET key field value field value: two at once, how many were updated. */
static int cmd_hset(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 6) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModuleKey *key = RedisModule_OpenKey(ctx, argv[1], REDISMODULE_READ | REDISMODULE_WRITE);
    int count =
        RedisModule_HashSet(key, REDISMODULE_HASH_NONE, argv[2], argv[3], argv[4], argv[5], NULL);
    RedisModule_CloseKey(key);
    return RedisModule_ReplyWithLongLong(ctx, count);
}

/* T.HGET key field: the value, whether it exists, and delete it. */
static int cmd_hget(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModule_AutoMemory(ctx);
    RedisModuleString *value = NULL;
    int exists = 0;
    RedisModuleKey *key = RedisModule_OpenKey(ctx, argv[1], REDISMODULE_READ | REDISMODULE_WRITE);
    if (RedisModule_HashGet(key, REDISMODULE_HASH_NONE, argv[2], &value, NULL) != REDISMODULE_OK) {
        return RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    RedisModule_HashGet(key, REDISMODULE_HASH_EXISTS | REDISMODULE_HASH_CFIELDS,
                        RedisModule_StringPtrLen(argv[2], NULL), &exists, NULL);
    RedisModule_HashSet(key, REDISMODULE_HASH_NONE, argv[2], REDISMODULE_HASH_DELETE, NULL);
    RedisModule_ReplyWithArray(ctx, 3);
    if (value == NULL) {
        RedisModule_ReplyWithNull(ctx);
    } else {
        RedisModule_ReplyWithString(ctx, value);
    }
    RedisModule_ReplyWithLongLong(ctx, exists);
    return RedisModule_ReplyWithLongLong(ctx, (long long)RedisModule_ValueLength(key));
}

/* T.KEYS n key... other...: a command that names its own keys. */
static int cmd_keys(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long n = 0;
    bool good = argc >= 2 && RedisModule_StringToLongLong(argv[1], &n) == REDISMODULE_OK &&
                n >= 0 && n <= argc - 2;
    if (RedisModule_IsKeysPositionRequest(ctx)) {
        for (int i = 0; good && i < n; i++) {
            RedisModule_KeyAtPos(ctx, 2 + i);
        }
        return REDISMODULE_OK;
    }
    return good ? RedisModule_ReplyWithLongLong(ctx, n) : RedisModule_WrongArity(ctx);
}

/* T.WHO: flags that concern the caller. */
static int cmd_who(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    int flags = RedisModule_GetContextFlags(ctx);
    RedisModule_ReplyWithArray(ctx, 4);
    RedisModule_ReplyWithLongLong(ctx, RedisModule_GetClientId(ctx) > 0);
    RedisModule_ReplyWithLongLong(ctx, RedisModule_GetSelectedDb(ctx));
    RedisModule_ReplyWithLongLong(ctx, (flags & REDISMODULE_CTX_FLAGS_MULTI) != 0);
    return RedisModule_ReplyWithLongLong(ctx, (flags & REDISMODULE_CTX_FLAGS_MASTER) != 0);
}

/* T.OTHERDB key: reads the key in database 1, whatever is selected. */
static int cmd_otherdb(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argc;
    RedisModule_SelectDb(ctx, 1);
    RedisModuleCallReply *reply = RedisModule_Call(ctx, "GET", "s", argv[1]);
    RedisModule_ReplyWithCallReply(ctx, reply);
    RedisModule_FreeCallReply(reply);
    return REDISMODULE_OK;
}

static const struct {
    const char *name;
    RedisModuleCmdFunc run;
    const char *flags;
    int first, last, step;
} commands[] = {
    {"t.reply", cmd_reply, "readonly", 0, 0, 0},
    {"t.parse", cmd_parse, "readonly fast", 0, 0, 0},
    {"t.call", cmd_call, "write", 0, 0, 0},
    {"t.quiet", cmd_quiet, "write", 0, 0, 0},
    {"t.incrtwice", cmd_incrtwice, "write", 1, 1, 1},
    {"t.sum", cmd_sum, "readonly", 0, 0, 0},
    {"t.append", cmd_append, "write deny-oom", 1, 1, 1},
    {"t.key", cmd_key, "readonly", 1, 1, 1},
    {"t.expire", cmd_expire, "write", 1, 1, 1},
    {"t.del", cmd_del, "write", 1, 1, 1},
    {"t.hset", cmd_hset, "write deny-oom", 1, 1, 1},
    {"t.hget", cmd_hget, "write", 1, 1, 1},
    {"t.keys", cmd_keys, "readonly getkeys-api", 0, 0, 0},
    {"t.who", cmd_who, "readonly", 0, 0, 0},
    {"t.otherdb", cmd_otherdb, "readonly", 1, 1, 1},
};

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    if (RedisModule_Init(ctx, "t_api", 1, REDISMODULE_APIVER_1) != REDISMODULE_OK || argc > 1) {
        return REDISMODULE_ERR; /* two arguments: a module that refuses to load */
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (RedisModule_CreateCommand(ctx, commands[i].name, commands[i].run, commands[i].flags,
                                      commands[i].first, commands[i].last,
                                      commands[i].step) != REDISMODULE_OK) {
            return REDISMODULE_ERR;
        }
    }
    bool refused =
        RedisModule_CreateCommand(ctx, "get", cmd_who, "", 0, 0, 0) == REDISMODULE_ERR &&
        RedisModule_CreateCommand(ctx, "t.bad", cmd_who, "wrote", 0, 0, 0) == REDISMODULE_ERR;
    RedisModuleCommand *parent = NULL;
    RedisModule_CreateCommand(ctx, "t.sub", NULL, "", 0, 0, 0);
    parent = RedisModule_GetCommand(ctx, "t.sub");
    return refused && parent != NULL
               ? RedisModule_CreateSubcommand(parent, "who", cmd_who, "readonly", 0, 0, 0)
               : REDISMODULE_ERR;
}
