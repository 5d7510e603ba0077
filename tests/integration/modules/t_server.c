/* t_server: settings, INFO, events, notifications, filters, shared functions, dictionaries, scans
 * and globals, for test_modules.py. */
#include "helios/module.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* ---- Settings ---- */

static long long number;
static int flag;
static int color;
static RedisModuleString *text;

static long long get_number(const char *name, void *privdata)
{
    (void)name;
    return *(long long *)privdata;
}

static int set_number(const char *name, long long val, void *privdata, RedisModuleString **err)
{
    (void)name;
    if (val == 13) {
        *err = RedisModule_CreateString(NULL, "unlucky number", 14);
        return REDISMODULE_ERR;
    }
    *(long long *)privdata = val;
    return REDISMODULE_OK;
}

static int get_int(const char *name, void *privdata)
{
    (void)name;
    return *(int *)privdata;
}

static int set_int(const char *name, int val, void *privdata, RedisModuleString **err)
{
    (void)name;
    (void)err;
    *(int *)privdata = val;
    return REDISMODULE_OK;
}

static RedisModuleString *get_text(const char *name, void *privdata)
{
    (void)name;
    (void)privdata;
    return text;
}

static int set_text(const char *name, RedisModuleString *val, void *privdata,
                    RedisModuleString **err)
{
    (void)name;
    (void)privdata;
    (void)err;
    if (text != NULL) {
        RedisModule_FreeString(NULL, text);
    }
    RedisModule_RetainString(NULL, val);
    text = val;
    return REDISMODULE_OK;
}

static int register_settings(RedisModuleCtx *ctx)
{
    static const char *words[] = {"red", "green", "blue"};
    static const int values[] = {1, 2, 4};
    static long long memory;
    static long long fixed;
    static int colors;
    int err = 0;
    err |= RedisModule_RegisterNumericConfig(ctx, "number", 5, REDISMODULE_CONFIG_DEFAULT, 1, 100,
                                             get_number, set_number, NULL, &number);
    err |= RedisModule_RegisterNumericConfig(ctx, "memory", 1024, REDISMODULE_CONFIG_MEMORY, 0,
                                             1 << 30, get_number, set_number, NULL, &memory);
    err |= RedisModule_RegisterNumericConfig(ctx, "fixed", 7, REDISMODULE_CONFIG_IMMUTABLE, 1, 100,
                                             get_number, set_number, NULL, &fixed);
    err |= RedisModule_RegisterBoolConfig(ctx, "flag", 1, REDISMODULE_CONFIG_DEFAULT, get_int,
                                          set_int, NULL, &flag);
    err |= RedisModule_RegisterStringConfig(ctx, "text", "hi there", REDISMODULE_CONFIG_DEFAULT,
                                            get_text, set_text, NULL, NULL);
    err |= RedisModule_RegisterEnumConfig(ctx, "color", 2, REDISMODULE_CONFIG_DEFAULT, words,
                                          values, 3, get_int, set_int, NULL, &color);
    err |= RedisModule_RegisterEnumConfig(ctx, "colors", 1, REDISMODULE_CONFIG_BITFLAGS, words,
                                          values, 3, get_int, set_int, NULL, &colors);
    bool refused = RedisModule_RegisterBoolConfig(ctx, "flag", 1, 0, get_int, set_int, NULL,
                                                  &flag) == REDISMODULE_ERR &&
                   RedisModule_RegisterBoolConfig(ctx, "bad name", 1, 0, get_int, set_int, NULL,
                                                  &flag) == REDISMODULE_ERR;
    return err == 0 && refused ? RedisModule_LoadConfigs(ctx) : REDISMODULE_ERR;
}

/* ---- INFO ---- */

static void info(RedisModuleInfoCtx *ctx, int for_crash_report)
{
    (void)for_crash_report;
    RedisModule_InfoAddFieldLongLong(ctx, "early", 1); /* outside a section: not shown */
    RedisModule_InfoAddSection(ctx, "");
    RedisModule_InfoAddFieldLongLong(ctx, "number", number);
    RedisModule_InfoAddFieldCString(ctx, "words", "a b");
    RedisModule_InfoAddFieldDouble(ctx, "half", 0.5);
    RedisModule_InfoAddSection(ctx, "second");
    RedisModule_InfoBeginDictField(ctx, "dict");
    RedisModule_InfoAddFieldLongLong(ctx, "x", -1);
    RedisModule_InfoAddFieldULongLong(ctx, "y", 2);
    RedisModule_InfoEndDictField(ctx);
    RedisModule_InfoAddFieldCString(ctx, "after", "z");
}

/* S.INFO section field: as text and as a number. */
static int cmd_info(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModuleServerInfoData *data =
        RedisModule_GetServerInfo(ctx, RedisModule_StringPtrLen(argv[1], NULL));
    const char *field = RedisModule_StringPtrLen(argv[2], NULL);
    const char *value = RedisModule_ServerInfoGetFieldC(data, field);
    int err = 0;
    long long n = RedisModule_ServerInfoGetFieldSigned(data, field, &err);
    RedisModule_ReplyWithArray(ctx, 3);
    if (value == NULL) {
        RedisModule_ReplyWithNull(ctx);
    } else {
        RedisModule_ReplyWithCString(ctx, value);
    }
    RedisModule_ReplyWithLongLong(ctx, err);
    RedisModule_ReplyWithLongLong(ctx, n);
    RedisModule_FreeServerInfo(ctx, data);
    return REDISMODULE_OK;
}

/* ---- Events and notifications: counted ---- */

static int flushes, crons;
static char last_module[64];
static char last_event[128];
static int deleted, stored;

static void on_event(RedisModuleCtx *ctx, RedisModuleEvent eid, uint64_t subevent, void *data)
{
    (void)ctx;
    if (eid.id == REDISMODULE_EVENT_FLUSHDB && subevent == REDISMODULE_SUBEVENT_FLUSHDB_END) {
        flushes++;
    } else if (eid.id == REDISMODULE_EVENT_CRON_LOOP) {
        crons++;
    } else if (eid.id == REDISMODULE_EVENT_MODULE_CHANGE) {
        const RedisModuleModuleChange *change = data;
        snprintf(last_module, sizeof last_module, "%s %d", change->module_name, (int)subevent);
    }
}

static int on_key(RedisModuleCtx *ctx, int type, const char *event, RedisModuleString *key)
{
    (void)ctx;
    (void)type;
    size_t len = 0;
    const char *name = RedisModule_StringPtrLen(key, &len);
    if (len >= 8 && memcmp(name, "counted:", 8) == 0) {
        stored += strcmp(event, "set") == 0;
        deleted += strcmp(event, "del") == 0;
        snprintf(last_event, sizeof last_event, "%s %.*s", event, (int)len, name);
    }
    return REDISMODULE_OK;
}

static int cmd_seen(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    RedisModule_ReplyWithArray(ctx, 6);
    RedisModule_ReplyWithLongLong(ctx, flushes);
    RedisModule_ReplyWithLongLong(ctx, crons > 0);
    RedisModule_ReplyWithCString(ctx, last_module);
    RedisModule_ReplyWithCString(ctx, last_event);
    RedisModule_ReplyWithLongLong(ctx, stored);
    return RedisModule_ReplyWithLongLong(ctx, deleted);
}

/* ---- A filter: ECHO filtered becomes ECHO "was <text>" ---- */

static void filter(RedisModuleCommandFilterCtx *ctx)
{
    if (RedisModule_CommandFilterArgsCount(ctx) != 2) {
        return;
    }
    size_t len = 0;
    const char *arg = RedisModule_StringPtrLen(RedisModule_CommandFilterArgGet(ctx, 1), &len);
    if (len == 8 && memcmp(arg, "filtered", 8) == 0) {
        RedisModule_CommandFilterArgReplace(ctx, 1,
                                            RedisModule_CreateStringPrintf(NULL, "was %s", arg));
    }
}

/* ---- A dictionary ---- */

/* S.DICT op key: what is in a fixed dictionary from there, in both directions. */
static int cmd_dict(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    static const char *const names[] = {"b", "d", "a", "c", "cc", ""};
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModuleDict *dict = RedisModule_CreateDict(NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        RedisModule_DictSetC(dict, (void *)names[i], strlen(names[i]), (void *)names[i]);
    }
    void *old = NULL;
    RedisModule_DictDelC(dict, (void *)"d", 1, &old);
    int again = RedisModule_DictSetC(dict, (void *)"a", 1, NULL);
    const char *op = RedisModule_StringPtrLen(argv[1], NULL);
    for (int backwards = 0; backwards < 2; backwards++) {
        RedisModuleDictIter *it = RedisModule_DictIteratorStart(dict, op, argv[2]);
        size_t len = 0;
        void *data = NULL;
        if (backwards == 0) {
            RedisModule_ReplyWithArray(ctx, 4);
            RedisModule_ReplyWithLongLong(ctx, (long long)RedisModule_DictSize(dict));
            RedisModule_ReplyWithLongLong(ctx, again);
        }
        long count = 0;
        RedisModule_ReplyWithArray(ctx, REDISMODULE_POSTPONED_LEN);
        for (char *key = backwards ? RedisModule_DictPrevC(it, &len, &data)
                                   : RedisModule_DictNextC(it, &len, &data);
             key != NULL; key = backwards ? RedisModule_DictPrevC(it, &len, &data)
                                          : RedisModule_DictNextC(it, &len, &data)) {
            RedisModule_ReplyWithStringBuffer(ctx, key, len);
            count++;
        }
        RedisModule_ReplySetArrayLength(ctx, count);
        RedisModule_DictIteratorStop(it);
    }
    RedisModule_FreeDict(NULL, dict);
    return REDISMODULE_OK;
}

/* ---- Scans ---- */

static void count_key(RedisModuleCtx *ctx, RedisModuleString *keyname, RedisModuleKey *key,
                      void *privdata)
{
    (void)ctx;
    (void)keyname;
    (void)key;
    (*(long long *)privdata)++;
}

static void count_field(RedisModuleKey *key, RedisModuleString *field, RedisModuleString *value,
                        void *privdata)
{
    (void)key;
    long long n = 0;
    if (field != NULL && RedisModule_StringToLongLong(value, &n) == REDISMODULE_OK) {
        *(long long *)privdata += n;
    }
}

/* S.SCAN hash: how many keys there are, and the sum of the hash's values. */
static int cmd_scan(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long keys = 0;
    long long sum = 0;
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModule_AutoMemory(ctx);
    RedisModuleScanCursor *cursor = RedisModule_ScanCursorCreate();
    while (RedisModule_Scan(ctx, cursor, count_key, &keys)) {
    }
    RedisModule_ScanCursorRestart(cursor);
    RedisModuleKey *key = RedisModule_OpenKey(ctx, argv[1], REDISMODULE_READ);
    while (key != NULL && RedisModule_ScanKey(key, cursor, count_field, &sum)) {
    }
    RedisModule_ScanCursorDestroy(cursor);
    RedisModule_ReplyWithArray(ctx, 2);
    RedisModule_ReplyWithLongLong(ctx, keys);
    return RedisModule_ReplyWithLongLong(ctx, sum);
}

/* ---- A shared function ---- */

static int twice(int n)
{
    return 2 * n;
}

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    if (RedisModule_Init(ctx, "t_server", 1, REDISMODULE_APIVER_1) != REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    RedisModule_CreateCommand(ctx, "s.info", cmd_info, "readonly", 0, 0, 0);
    RedisModule_CreateCommand(ctx, "s.seen", cmd_seen, "readonly", 0, 0, 0);
    RedisModule_CreateCommand(ctx, "s.dict", cmd_dict, "readonly", 0, 0, 0);
    RedisModule_CreateCommand(ctx, "s.scan", cmd_scan, "readonly", 0, 0, 0);
    RedisModule_RegisterInfoFunc(ctx, info);
    RedisModule_SubscribeToServerEvent(ctx, RedisModuleEvent_FlushDB, on_event);
    RedisModule_SubscribeToServerEvent(ctx, RedisModuleEvent_CronLoop, on_event);
    RedisModule_SubscribeToServerEvent(ctx, RedisModuleEvent_ModuleChange, on_event);
    RedisModule_SubscribeToKeyspaceEvents(
        ctx, REDISMODULE_NOTIFY_GENERIC | REDISMODULE_NOTIFY_STRING, on_key);
    if (RedisModule_RegisterCommandFilter(ctx, filter, 0) == NULL ||
        RedisModule_ExportSharedAPI(ctx, "t_server.twice", (void *)twice) != REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    return register_settings(ctx);
}

/* Give back what is kept between commands. */
int RedisModule_OnUnload(RedisModuleCtx *ctx)
{
    (void)ctx;
    if (text != NULL) {
        RedisModule_FreeString(NULL, text);
        text = NULL;
    }
    return REDISMODULE_OK;
}
