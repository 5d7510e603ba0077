/* t_wait: blocked clients, threads and timers, for test_modules.py. */
#include "helios/module.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* ---- W.SLEEP ms [timeout_ms]: a thread answers after ms ---- */

struct job {
    RedisModuleBlockedClient *client;
    long long ms;
};

static int freed, disconnected;

static int reply_sleep(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    long long *ms = RedisModule_GetBlockedClientPrivateData(ctx);
    return RedisModule_ReplyWithLongLong(ctx, *ms);
}

static int timeout_sleep(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    return RedisModule_ReplyWithSimpleString(ctx, "timeout");
}

static void free_ms(RedisModuleCtx *ctx, void *privdata)
{
    (void)ctx;
    freed++;
    RedisModule_Free(privdata);
}

static void on_disconnect(RedisModuleCtx *ctx, RedisModuleBlockedClient *bc)
{
    (void)ctx;
    (void)bc;
    disconnected++;
}

static void *sleeper(void *arg)
{
    struct job *job = arg;
    usleep((useconds_t)job->ms * 1000);
    long long *ms = RedisModule_Alloc(sizeof *ms);
    *ms = job->ms;
    RedisModule_UnblockClient(job->client, ms);
    RedisModule_Free(job);
    return NULL;
}

static bool start(void *(*run)(void *), void *arg)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, arg) != 0) {
        return false;
    }
    pthread_detach(thread);
    return true;
}

static int cmd_sleep(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long ms = 0;
    long long timeout = 0;
    if (argc < 2 || RedisModule_StringToLongLong(argv[1], &ms) != REDISMODULE_OK ||
        (argc > 2 && RedisModule_StringToLongLong(argv[2], &timeout) != REDISMODULE_OK)) {
        return RedisModule_WrongArity(ctx);
    }
    struct job *job = RedisModule_Alloc(sizeof *job);
    job->ms = ms;
    job->client = RedisModule_BlockClient(ctx, reply_sleep, timeout_sleep, free_ms, timeout);
    RedisModule_SetDisconnectCallback(job->client, on_disconnect);
    if (!start(sleeper, job)) {
        RedisModule_AbortBlock(job->client);
        RedisModule_Free(job);
        return RedisModule_ReplyWithError(ctx, "ERR no thread");
    }
    return REDISMODULE_OK;
}

/* ---- W.COUNTS: how often private data was freed, clients left, timers ran ---- */

static int ticks;

static int cmd_counts(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    RedisModule_ReplyWithArray(ctx, 3);
    RedisModule_ReplyWithLongLong(ctx, freed);
    RedisModule_ReplyWithLongLong(ctx, disconnected);
    return RedisModule_ReplyWithLongLong(ctx, ticks);
}

/* ---- W.INCR key n: a thread takes the lock n times and counts up ---- */

struct counting {
    RedisModuleBlockedClient *client;
    RedisModuleString *key;
    long long n;
};

static void *counter(void *arg)
{
    struct counting *counting = arg;
    RedisModuleCtx *ctx = RedisModule_GetThreadSafeContext(counting->client);
    long long last = 0;
    for (long long i = 0; i < counting->n; i++) {
        RedisModule_ThreadSafeContextLock(ctx);
        RedisModuleCallReply *reply = RedisModule_Call(ctx, "INCR", "!s", counting->key);
        last = RedisModule_CallReplyInteger(reply);
        RedisModule_FreeCallReply(reply);
        RedisModule_ThreadSafeContextUnlock(ctx);
    }
    RedisModule_ReplyWithLongLong(ctx, last);
    RedisModule_ThreadSafeContextLock(ctx);
    RedisModule_FreeString(ctx, counting->key);
    RedisModule_ThreadSafeContextUnlock(ctx);
    RedisModule_FreeThreadSafeContext(ctx);
    RedisModule_UnblockClient(counting->client, NULL);
    RedisModule_Free(counting);
    return NULL;
}

static int cmd_incr(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long n = 0;
    if (argc != 3 || RedisModule_StringToLongLong(argv[2], &n) != REDISMODULE_OK) {
        return RedisModule_WrongArity(ctx);
    }
    struct counting *counting = RedisModule_Alloc(sizeof *counting);
    counting->n = n;
    counting->key = RedisModule_CreateStringFromString(NULL, argv[1]);
    counting->client = RedisModule_BlockClient(ctx, NULL, NULL, NULL, 0);
    if (!start(counter, counting)) {
        RedisModule_AbortBlock(counting->client);
        return RedisModule_ReplyWithError(ctx, "ERR no thread");
    }
    return REDISMODULE_OK;
}

/* ---- W.TIMER ms: counts a tick, and sets "ticked" ---- */

static void tick(RedisModuleCtx *ctx, void *data)
{
    (void)data;
    ticks++;
    RedisModule_FreeCallReply(RedisModule_Call(ctx, "SET", "!cl", "ticked", (long long)ticks));
}

static int cmd_timer(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long ms = 0;
    if (argc != 2 || RedisModule_StringToLongLong(argv[1], &ms) != REDISMODULE_OK) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModuleTimerID id = RedisModule_CreateTimer(ctx, ms, tick, NULL);
    RedisModuleTimerID other = RedisModule_CreateTimer(ctx, ms, tick, NULL);
    uint64_t remaining = 0;
    int known = RedisModule_GetTimerInfo(ctx, id, &remaining, NULL);
    int stopped = RedisModule_StopTimer(ctx, other, NULL);
    int again = RedisModule_StopTimer(ctx, other, NULL);
    RedisModule_ReplyWithArray(ctx, 4);
    RedisModule_ReplyWithLongLong(ctx, known);
    RedisModule_ReplyWithLongLong(ctx, remaining <= (uint64_t)ms);
    RedisModule_ReplyWithLongLong(ctx, stopped);
    return RedisModule_ReplyWithLongLong(ctx, again);
}

/* ---- W.POP key timeout_ms / W.PUSH key value: wait for a key ---- */

static int try_pop(RedisModuleCtx *ctx, RedisModuleString *name)
{
    RedisModuleCallReply *reply = RedisModule_Call(ctx, "GETDEL", "!s", name);
    if (RedisModule_CallReplyType(reply) != REDISMODULE_REPLY_STRING) {
        RedisModule_FreeCallReply(reply);
        return REDISMODULE_ERR;
    }
    RedisModule_ReplyWithCallReply(ctx, reply);
    RedisModule_FreeCallReply(reply);
    return REDISMODULE_OK;
}

static int reply_pop(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    return try_pop(ctx, RedisModule_GetBlockedClientReadyKey(ctx));
}

static int cmd_pop(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long timeout = 0;
    if (argc != 3 || RedisModule_StringToLongLong(argv[2], &timeout) != REDISMODULE_OK) {
        return RedisModule_WrongArity(ctx);
    }
    if (try_pop(ctx, argv[1]) == REDISMODULE_OK) {
        return REDISMODULE_OK;
    }
    RedisModule_BlockClientOnKeys(ctx, reply_pop, timeout_sleep, NULL, timeout, &argv[1], 1, NULL);
    return REDISMODULE_OK;
}

static int cmd_push(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModule_FreeCallReply(RedisModule_Call(ctx, "SET", "!ss", argv[1], argv[2]));
    RedisModule_SignalKeyAsReady(ctx, argv[1]);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

/* ---- W.ABORT: block, and think again ---- */

static int cmd_abort(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    RedisModule_AbortBlock(RedisModule_BlockClient(ctx, reply_sleep, NULL, NULL, 0));
    return RedisModule_ReplyWithSimpleString(ctx, "aborted");
}

/* ---- W.OUTSIDE key: count up through a context that belongs to no call ---- */

static int cmd_outside(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModuleCtx *outside = RedisModule_GetThreadSafeContext(NULL);
    RedisModuleCallReply *reply = RedisModule_Call(outside, "INCR", "!s", argv[1]);
    long long count = reply == NULL ? -1 : RedisModule_CallReplyInteger(reply);
    if (reply != NULL) {
        RedisModule_FreeCallReply(reply);
    }
    RedisModule_FreeThreadSafeContext(outside);
    return RedisModule_ReplyWithLongLong(ctx, count);
}

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    static const struct {
        const char *name;
        RedisModuleCmdFunc run;
        const char *flags;
        int first;
    } commands[] = {
        {"w.sleep", cmd_sleep, "blocking", 0},     {"w.counts", cmd_counts, "readonly", 0},
        {"w.incr", cmd_incr, "write blocking", 1}, {"w.timer", cmd_timer, "write", 0},
        {"w.pop", cmd_pop, "write blocking", 1},   {"w.push", cmd_push, "write", 1},
        {"w.abort", cmd_abort, "blocking", 0},     {"w.outside", cmd_outside, "write", 1},
    };
    if (RedisModule_Init(ctx, "t_wait", 1, REDISMODULE_APIVER_1) != REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        int first = commands[i].first;
        if (RedisModule_CreateCommand(ctx, commands[i].name, commands[i].run, commands[i].flags,
                                      first, first, first) != REDISMODULE_OK) {
            return REDISMODULE_ERR;
        }
    }
    return REDISMODULE_OK;
}
