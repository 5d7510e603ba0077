/* blocking: commands that answer later.  See README.md.
 *
 *   BLOCKING.PRIMES below [timeout-ms]   slow work on a thread of its own
 *   BLOCKING.PUT key text                leave a text
 *   BLOCKING.TAKE key timeout-ms         take it, or wait until somebody leaves one
 */
#include "helios/module.h"
#include "helios/extensions.h"
#include "primes.h"

#include <pthread.h>
#include <stdbool.h>

#define BLOCKING_VERSION 1
#define THREADS_MAX 16 /* at work at once: bound whatever a client can make you start */

/* ---- Slow work on a thread ------------------------------------------------------------------- */

struct job {
    RedisModuleBlockedClient *client;
    pthread_t thread;
    int64_t below, count;
    atomic_bool stop; /* nobody wants the answer any more */
};

static struct job *jobs[THREADS_MAX]; /* those at work; the server's thread alone looks at it */

/* Where the job of a client stands in the table; NULL: a free place. */
static struct job **place_of(const RedisModuleBlockedClient *client)
{
    for (size_t i = 0; i < THREADS_MAX; i++) {
        if (client == NULL ? jobs[i] == NULL : jobs[i] != NULL && jobs[i]->client == client) {
            return &jobs[i];
        }
    }
    return NULL;
}

/* On its own thread: it may use its job, and of the server only what says so (UnblockClient). */
static void *work(void *arg)
{
    struct job *job = arg;
    job->count = primes_below(job->below, &job->stop);
    RedisModule_UnblockClient(job->client, job); /* job is the server's thread's from here on */
    return NULL;
}

/* The rest runs on the server's thread again. */
static int reply_primes(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    const struct job *job = RedisModule_GetBlockedClientPrivateData(ctx);
    return RedisModule_ReplyWithLongLong(ctx, job->count);
}

static int on_timeout(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    atomic_store(&(*place_of(RedisModule_GetBlockedClientHandle(ctx)))->stop, true);
    return RedisModule_ReplyWithError(ctx, "ERR it took too long");
}

/* The client has left: the thread still calls UnblockClient, which ends the job. */
static void on_disconnect(RedisModuleCtx *ctx, RedisModuleBlockedClient *client)
{
    (void)ctx;
    atomic_store(&(*place_of(client))->stop, true);
}

/* Called once for each job, whether its client got the answer, got tired of waiting, or left. */
static void free_job(RedisModuleCtx *ctx, void *privdata)
{
    (void)ctx;
    struct job *job = privdata;
    *place_of(job->client) = NULL;
    pthread_join(job->thread, NULL); /* it has done its last call: no code of ours runs on it now */
    RedisModule_Free(job);
}

/* BLOCKING.PRIMES below [timeout-ms] */
static int cmd_primes(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long below = 0;
    long long timeout_ms = 0;
    if (argc < 2 || argc > 3) {
        return RedisModule_WrongArity(ctx);
    }
    if (RedisModule_StringToLongLong(argv[1], &below) != REDISMODULE_OK || below < 0 ||
        below > PRIMES_MAX ||
        (argc == 3 && (RedisModule_StringToLongLong(argv[2], &timeout_ms) != REDISMODULE_OK ||
                       timeout_ms < 0))) {
        return RedisModule_ReplyWithError(ctx, "ERR value is not an integer or out of range");
    }
    int flags = RedisModule_GetContextFlags(ctx);
    if ((flags & (REDISMODULE_CTX_FLAGS_MULTI | REDISMODULE_CTX_FLAGS_LUA |
                  REDISMODULE_CTX_FLAGS_DENY_BLOCKING)) != 0) {
        return RedisModule_ReplyWithError(ctx, "ERR not inside a transaction or a script");
    }
    struct job **place = place_of(NULL);
    if (place == NULL) {
        return RedisModule_ReplyWithError(ctx, "BUSY too many are at work, try again");
    }
    struct job *job = RedisModule_Calloc(1, sizeof *job);
    job->below = below;
    job->client = RedisModule_BlockClient(ctx, reply_primes, on_timeout, free_job, timeout_ms);
    if (pthread_create(&job->thread, NULL, work, job) != 0) {
        RedisModule_AbortBlock(job->client); /* as if it had never waited */
        RedisModule_Free(job);
        return RedisModule_ReplyWithError(ctx, "ERR no thread can be started");
    }
    RedisModule_SetDisconnectCallback(job->client, on_disconnect);
    *place = job;
    return REDISMODULE_OK; /* without a reply: that is what blocking is */
}

/* ---- Waiting for a key ------------------------------------------------------------------------
 */

/* Take the text of argv[1], if there is one: true when the client has its answer. */
static bool take(RedisModuleCtx *ctx, RedisModuleString *name)
{
    RedisModuleCallReply *text = RedisModule_Call(ctx, "GET", "s", name);
    int type = RedisModule_CallReplyType(text);
    bool there = type == REDISMODULE_REPLY_STRING || type == REDISMODULE_REPLY_ERROR;
    if (there) {
        RedisModule_ReplyWithCallReply(ctx, text); /* "WRONGTYPE", too */
    }
    if (type == REDISMODULE_REPLY_STRING) {
        RedisModule_FreeCallReply(
            RedisModule_Call(ctx, "DEL", "!s", name)); /* "!": replicas, too */
    }
    RedisModule_FreeCallReply(text);
    return there;
}

/* Somebody left a text, perhaps; another client that waited longer may have taken it. */
static int on_ready(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argc;
    return take(ctx, argv[1]) ? REDISMODULE_OK : REDISMODULE_ERR; /* ERR: it waits on */
}

static int on_empty(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    return RedisModule_ReplyWithNull(ctx);
}

/* BLOCKING.TAKE key timeout-ms */
static int cmd_take(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long timeout_ms = 0;
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    if (RedisModule_StringToLongLong(argv[2], &timeout_ms) != REDISMODULE_OK || timeout_ms < 0) {
        return RedisModule_ReplyWithError(ctx, "ERR timeout is not an integer or out of range");
    }
    if (take(ctx, argv[1])) {
        return REDISMODULE_OK;
    }
    int flags = RedisModule_GetContextFlags(ctx);
    if ((flags & (REDISMODULE_CTX_FLAGS_MULTI | REDISMODULE_CTX_FLAGS_LUA |
                  REDISMODULE_CTX_FLAGS_DENY_BLOCKING)) != 0) {
        return RedisModule_ReplyWithNull(ctx); /* cannot wait here: as if the time were over */
    }
    RedisModule_BlockClientOnKeys(ctx, on_ready, on_empty, NULL, timeout_ms, &argv[1], 1, NULL);
    return REDISMODULE_OK;
}

/* BLOCKING.PUT key text */
static int cmd_put(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModule_FreeCallReply(RedisModule_Call(ctx, "SET", "!ss", argv[1], argv[2]));
    RedisModule_SignalKeyAsReady(ctx, argv[1]); /* wakes those who wait, after this command */
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

static const struct command {
    const char *name;
    RedisModuleCmdFunc run;
    const char *flags;
    int key; /* position of the one key; 0: none */
} commands[] = {
    {"blocking.primes", cmd_primes, "readonly", 0},
    {"blocking.put", cmd_put, "write deny-oom", 1},
    {"blocking.take", cmd_take, "write", 1},
};

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    if (RedisModule_Init(ctx, "blocking", BLOCKING_VERSION, REDISMODULE_APIVER_1) !=
        REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    RedisModule_SetModuleOptions(ctx, HELIOSMODULE_OPTION_NO_GLOBALS);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const struct command *c = &commands[i];
        if (RedisModule_CreateCommand(ctx, c->name, c->run, c->flags, c->key, c->key, c->key) !=
            REDISMODULE_OK) {
            RedisModule_Log(ctx, "warning", "cannot register %s: is the name taken?", c->name);
            return REDISMODULE_ERR;
        }
    }
    return REDISMODULE_OK;
}
