/* t_swap: values, globals and settings that survive MODULE RELOAD, and a failure at each of its
 * steps; for test_modules_reload.py.  t_swap2.c is the same module in its second version.
 *
 * The setting t_swap.fail says which step fails: 1 in the first version, the others in the second.
 */
#include "helios/extensions.h"
#include "helios/module.h"

#include <stdbool.h>
#include <string.h>

#ifndef SWAP_VERSION
#define SWAP_VERSION 1
#endif

enum fail {
    FAIL_NOT,
    FAIL_ON_UNLOAD,
    FAIL_SETTING,
    FAIL_ON_LOAD,
    FAIL_NO_TYPE,
    FAIL_GLOBALS_BEFORE,
    FAIL_VALUE,
    FAIL_GLOBALS_AFTER,
};

static RedisModuleType *type;
static long long before, after; /* globals */
static long long fail, loaded, events;

static bool fails(enum fail step)
{
    bool second = SWAP_VERSION == 2;
    return fail == (long long)step && second == (step != FAIL_ON_UNLOAD);
}

/* SWAP.SET key text */
static int cmd_set(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModuleKey *key = RedisModule_OpenKey(ctx, argv[1], REDISMODULE_READ | REDISMODULE_WRITE);
    RedisModuleString *text = RedisModule_CreateStringFromString(NULL, argv[2]);
    RedisModule_ModuleTypeSetValue(key, type, text);
    RedisModule_CloseKey(key);
    RedisModule_ReplicateVerbatim(ctx);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

/* SWAP.GET key */
static int cmd_get(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModuleKey *key = RedisModule_OpenKey(ctx, argv[1], REDISMODULE_READ);
    if (RedisModule_KeyType(key) == REDISMODULE_KEYTYPE_EMPTY) {
        RedisModule_ReplyWithNull(ctx);
    } else if (RedisModule_ModuleTypeGetType(key) != type) {
        RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    } else {
        RedisModule_ReplyWithString(ctx, RedisModule_ModuleTypeGetValue(key));
    }
    RedisModule_CloseKey(key);
    return REDISMODULE_OK;
}

/* SWAP.NOTE n: sets both globals. */
static int cmd_note(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 2 || RedisModule_StringToLongLong(argv[1], &before) != REDISMODULE_OK) {
        return RedisModule_WrongArity(ctx);
    }
    after = -before;
    RedisModule_ReplicateVerbatim(ctx);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

/* SWAP.SEE: version, globals, values loaded and loading events heard since OnLoad. */
static int cmd_see(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    RedisModule_ReplyWithArray(ctx, 5);
    RedisModule_ReplyWithLongLong(ctx, SWAP_VERSION);
    RedisModule_ReplyWithLongLong(ctx, before);
    RedisModule_ReplyWithLongLong(ctx, after);
    RedisModule_ReplyWithLongLong(ctx, loaded);
    return RedisModule_ReplyWithLongLong(ctx, events);
}

/* SWAP.WAIT: for ever, but for its time-out in milliseconds. */
static int on_timeout(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    return RedisModule_ReplyWithSimpleString(ctx, "late");
}

static int on_ready(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    return RedisModule_ReplyWithSimpleString(ctx, "ready");
}

static int cmd_wait(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long wait_ms = 0;
    if (argc != 3 || RedisModule_StringToLongLong(argv[2], &wait_ms) != REDISMODULE_OK) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModule_BlockClientOnKeys(ctx, on_ready, on_timeout, NULL, wait_ms, argv + 1, 1, NULL);
    return REDISMODULE_OK;
}

static void aux_save(RedisModuleIO *rdb, int when)
{
    RedisModule_SaveSigned(rdb, when == REDISMODULE_AUX_BEFORE_RDB ? before : after);
}

static int aux_load(RedisModuleIO *rdb, int encver, int when)
{
    (void)encver;
    bool first = when == REDISMODULE_AUX_BEFORE_RDB;
    *(first ? &before : &after) = RedisModule_LoadSigned(rdb);
    return RedisModule_IsIOError(rdb) || fails(first ? FAIL_GLOBALS_BEFORE : FAIL_GLOBALS_AFTER)
               ? REDISMODULE_ERR
               : REDISMODULE_OK;
}

/* The second version writes one more number in front, and reads what the first wrote. */
static void *load(RedisModuleIO *rdb, int encver)
{
    if (encver > SWAP_VERSION - 1 || (loaded == 1 && fails(FAIL_VALUE))) {
        return NULL;
    }
    if (encver == 1) {
        (void)RedisModule_LoadUnsigned(rdb);
    }
    loaded++;
    return RedisModule_LoadString(rdb);
}

static void save(RedisModuleIO *rdb, void *value)
{
    if (SWAP_VERSION == 2) {
        RedisModule_SaveUnsigned(rdb, 2);
    }
    RedisModule_SaveString(rdb, value);
}

static void release(void *value)
{
    RedisModule_FreeString(NULL, value);
}

static long long get_fail(const char *name, void *privdata)
{
    (void)name;
    (void)privdata;
    return fail;
}

static int set_fail(const char *name, long long value, void *privdata, RedisModuleString **err)
{
    (void)name;
    (void)privdata;
    fail = value;
    if (fails(FAIL_SETTING)) {
        *err = RedisModule_CreateString(NULL, "as told", 7);
        return REDISMODULE_ERR;
    }
    return REDISMODULE_OK;
}

static void on_loading(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data)
{
    (void)ctx;
    (void)event;
    (void)sub;
    (void)data;
    events++;
}

static RedisModuleTypeMethods methods = {
    .version = REDISMODULE_TYPE_METHOD_VERSION,
    .rdb_load = load,
    .rdb_save = save,
    .free = release,
    .aux_load = aux_load,
    .aux_save = aux_save,
    .aux_save_triggers = REDISMODULE_AUX_BEFORE_RDB | REDISMODULE_AUX_AFTER_RDB,
};

static const struct {
    const char *name;
    RedisModuleCmdFunc run;
    const char *flags;
    int first;
} commands[] = {
    {"swap.set", cmd_set, "write", 1},    {"swap.get", cmd_get, "readonly", 1},
    {"swap.note", cmd_note, "write", 0},  {"swap.see", cmd_see, "readonly", 0},
    {"swap.wait", cmd_wait, "write", 1},
#if SWAP_VERSION == 2
    {"swap.new", cmd_see, "readonly", 0},
#endif
};

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    if (RedisModule_Init(ctx, "t_swap", SWAP_VERSION, REDISMODULE_APIVER_1) != REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    RedisModule_SetModuleOptions(ctx, REDISMODULE_OPTIONS_HANDLE_IO_ERRORS);
    if (RedisModule_RegisterNumericConfig(ctx, "fail", 0, REDISMODULE_CONFIG_DEFAULT, 0, 100,
                                          get_fail, set_fail, NULL, NULL) != REDISMODULE_OK ||
        RedisModule_LoadConfigs(ctx) != REDISMODULE_OK || fails(FAIL_ON_LOAD)) {
        return REDISMODULE_ERR;
    }
    type = fails(FAIL_NO_TYPE)
               ? NULL
               : RedisModule_CreateDataType(ctx, "swapvalue", SWAP_VERSION - 1, &methods);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (RedisModule_CreateCommand(ctx, commands[i].name, commands[i].run, commands[i].flags,
                                      commands[i].first, commands[i].first,
                                      commands[i].first) != REDISMODULE_OK) {
            return REDISMODULE_ERR;
        }
    }
    RedisModuleEvent loading = {.id = REDISMODULE_EVENT_LOADING, .dataver = 1};
    return RedisModule_SubscribeToServerEvent(ctx, loading, on_loading);
}

int RedisModule_OnUnload(RedisModuleCtx *ctx)
{
    (void)ctx;
    return fails(FAIL_ON_UNLOAD) ? REDISMODULE_ERR : REDISMODULE_OK;
}
