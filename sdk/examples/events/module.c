/* events: a module that listens.  See README.md.
 *
 *   EVENTS.SEEN                what was heard since the module was loaded: names and counts
 *   EVENTS.QUIET milliseconds  the setting: after so long without a change, "events:quiet" is
 * raised
 *
 * Every key named "watched:..." that is deleted, expires or is evicted is counted in the key
 * "events:lost".
 */
#include "helios/module.h"
#include "helios/extensions.h"

#include <stdbool.h>
#include <string.h>

#define EVENTS_VERSION 1
#define WATCHED "watched:"
#define QUIET_MS_MAX 86400000

/* What is counted.  These are of this process, since it was loaded: nothing that belongs to the
 * data, so neither a file nor a replica has them. */
enum { CHANGED, REMOVED, FLUSHED, CONNECTED, DISCONNECTED, KINDS };

static const char *const names[KINDS] = {
    [CHANGED] = "changed",     [REMOVED] = "removed",           [FLUSHED] = "flushed",
    [CONNECTED] = "connected", [DISCONNECTED] = "disconnected",
};
static long long counts[KINDS];

/* ---- Writing because of what was heard ---------------------------------------------------------
 */

/* Only the leader writes; replicas hear of the same changes and get this one from it. */
static bool may_write(RedisModuleCtx *ctx)
{
    int flags = RedisModule_GetContextFlags(ctx);
    return (flags & REDISMODULE_CTX_FLAGS_MASTER) != 0 &&
           (flags & REDISMODULE_CTX_FLAGS_LOADING) == 0;
}

static void count_lost(RedisModuleCtx *ctx, void *data)
{
    (void)data;
    RedisModule_FreeCallReply(RedisModule_Call(ctx, "INCR", "!c", "events:lost"));
}

/* ---- A timer -----------------------------------------------------------------------------------
 */

static long long quiet_ms; /* 0: off */
static bool armed;
static RedisModuleTimerID timer;

static void on_quiet(RedisModuleCtx *ctx, void *data)
{
    (void)data;
    armed = false; /* a timer fires once */
    if (may_write(ctx)) {
        RedisModule_FreeCallReply(RedisModule_Call(ctx, "INCR", "!c", "events:quiet"));
    }
}

/* Begin to wait anew. */
static void wait_for_quiet(RedisModuleCtx *ctx)
{
    if (armed) {
        RedisModule_StopTimer(ctx, timer, NULL);
        armed = false;
    }
    if (quiet_ms != 0) {
        timer = RedisModule_CreateTimer(ctx, quiet_ms, on_quiet, NULL);
        armed = true;
    }
}

/* ---- Listening
 * ----------------------------------------------------------------------------------- */

/* Runs inside the command that changed the key, before it is answered: be quick, and do not write
 * here, but ask for a job that runs right after (where the server knows them, since 7.2). */
static int on_key(RedisModuleCtx *ctx, int kind, const char *event, RedisModuleString *key)
{
    const int removals =
        REDISMODULE_NOTIFY_EXPIRED | REDISMODULE_NOTIFY_EVICTED | REDISMODULE_NOTIFY_GENERIC;
    size_t len = 0;
    const char *name = RedisModule_StringPtrLen(key, &len);
    bool ours = len >= 7 && memcmp(name, "events:", 7) == 0;
    bool removed = (kind & removals) != 0 &&
                   (strcmp(event, "del") == 0 || (kind & REDISMODULE_NOTIFY_GENERIC) == 0);
    if (ours) {
        return REDISMODULE_OK; /* or each of our own writes would cause the next */
    }
    counts[removed ? REMOVED : CHANGED]++;
    wait_for_quiet(ctx);
    bool watched = len >= strlen(WATCHED) && memcmp(name, WATCHED, strlen(WATCHED)) == 0;
    if (removed && watched && may_write(ctx)) {
        if (RedisModule_AddPostNotificationJob != NULL) {
            RedisModule_AddPostNotificationJob(ctx, count_lost, NULL, NULL);
        } else {
            count_lost(ctx, NULL); /* Redis before 7.2 */
        }
    }
    return REDISMODULE_OK;
}

static void on_server_event(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t sub, void *data)
{
    (void)ctx;
    (void)data; /* of a struct that belongs to the event: RedisModuleFlushInfo, for one */
    if (event.id == REDISMODULE_EVENT_FLUSHDB && sub == REDISMODULE_SUBEVENT_FLUSHDB_END) {
        counts[FLUSHED]++;
    } else if (event.id == REDISMODULE_EVENT_CLIENT_CHANGE) {
        counts[sub == REDISMODULE_SUBEVENT_CLIENT_CHANGE_CONNECTED ? CONNECTED : DISCONNECTED]++;
    }
}

/* ---- Commands
 * ------------------------------------------------------------------------------------ */

/* EVENTS.SEEN */
static int cmd_seen(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModule_ReplyWithArray(ctx, 2 * KINDS);
    for (int i = 0; i < KINDS; i++) {
        RedisModule_ReplyWithCString(ctx, names[i]);
        RedisModule_ReplyWithLongLong(ctx, counts[i]);
    }
    return REDISMODULE_OK;
}

/* EVENTS.QUIET milliseconds: 0 turns it off. */
static int cmd_quiet(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long wanted = 0;
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    if (RedisModule_StringToLongLong(argv[1], &wanted) != REDISMODULE_OK || wanted < 0 ||
        wanted > QUIET_MS_MAX) {
        return RedisModule_ReplyWithError(ctx, "ERR value is not an integer or out of range");
    }
    quiet_ms = wanted;
    wait_for_quiet(ctx);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

/* ---- Coming and going
 * ---------------------------------------------------------------------------- */

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    static const uint64_t events[] = {REDISMODULE_EVENT_FLUSHDB, REDISMODULE_EVENT_CLIENT_CHANGE};
    (void)argv;
    (void)argc;
    if (RedisModule_Init(ctx, "events", EVENTS_VERSION, REDISMODULE_APIVER_1) != REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    if (RedisModule_CreateCommand(ctx, "events.seen", cmd_seen, "readonly fast", 0, 0, 0) !=
            REDISMODULE_OK ||
        RedisModule_CreateCommand(ctx, "events.quiet", cmd_quiet, "admin fast", 0, 0, 0) !=
            REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        RedisModuleEvent event = {.id = events[i], .dataver = 1};
        if (RedisModule_SubscribeToServerEvent(ctx, event, on_server_event) != REDISMODULE_OK) {
            return REDISMODULE_ERR;
        }
    }
    /* Loaded keys are no changes: REDISMODULE_NOTIFY_LOADED is not among these. */
    int types = REDISMODULE_NOTIFY_GENERIC | REDISMODULE_NOTIFY_STRING | REDISMODULE_NOTIFY_HASH |
                REDISMODULE_NOTIFY_EXPIRED | REDISMODULE_NOTIFY_EVICTED;
    return RedisModule_SubscribeToKeyspaceEvents(ctx, types, on_key);
}

/* What was subscribed ends by itself; a timer must not outlive the code that it calls. */
int RedisModule_OnUnload(RedisModuleCtx *ctx)
{
    quiet_ms = 0;
    wait_for_quiet(ctx);
    return REDISMODULE_OK;
}
