#include "world.h"

#include "follow.h"
#include "id.h"
#include "cron_clock.h"
#include "kit/assert.h"
#include "metrics.h"
#include "roster.h"
#include "settings.h"
#include "type.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#define POOL_LEN 256 /* what getrandom() gives without being interrupted */

int64_t world_now_ms(void)
{
    int64_t now_ms = RedisModule_Milliseconds();
    if (now_ms < 1) {
        return 1;
    }
    return now_ms < JOBS_TIME_MAX / 2 ? now_ms : JOBS_TIME_MAX / 2;
}

void world_random(void *ctx, void *out, size_t len)
{
    (void)ctx;
    static unsigned char pool[POOL_LEN];
    static size_t left;
    HL_ASSERT(len <= POOL_LEN);
    if (left < len) {
        ssize_t got = -1;
        do {
            got = getrandom(pool, sizeof pool, 0);
        } while (got < 0 && errno == EINTR);
        HL_ASSERT(got == (ssize_t)sizeof pool);
        left = sizeof pool;
    }
    left -= len;
    memcpy(out, pool + left, len);
    memset(pool + left, 0, len); /* a token must not be found in memory twice */
}

struct hl_slice world_slice(const RedisModuleString *string)
{
    struct hl_slice slice;
    slice.ptr = RedisModule_StringPtrLen(string, &slice.len);
    return slice;
}

static int64_t retention_ms(int64_t seconds)
{
    return seconds < 0 ? -1 : seconds * 1000;
}

bool world_is_frozen(RedisModuleCtx *ctx)
{
    int flags = RedisModule_GetContextFlags(ctx);
    return (flags & (REDISMODULE_CTX_FLAGS_MULTI | REDISMODULE_CTX_FLAGS_LUA)) != 0;
}

bool world_may_decide(RedisModuleCtx *ctx)
{
    int flags = RedisModule_GetContextFlags(ctx);
    return (flags & REDISMODULE_CTX_FLAGS_MASTER) != 0 &&
           (flags & REDISMODULE_CTX_FLAGS_LOADING) == 0;
}

bool world_must_wait(void)
{
    return RedisModule_AvoidReplicaTraffic != NULL && RedisModule_AvoidReplicaTraffic() != 0;
}

/* The holder of a job may have changed: so has what WATCH of the job's id guards. */
static void turned(void *ctx, uint64_t seq)
{
    const struct work *work = ctx;
    struct hl_buf text = {0};
    struct jobs_id id = {.queue = world_slice(work->name), .seq = seq, .epoch = work->queue->epoch};
    jobs_id_format(&text, id);
    RedisModuleString *name = RedisModule_CreateString(work->ctx, text.ptr, text.len);
    (void)RedisModule_SignalModifiedKey(work->ctx, name);
    RedisModule_FreeString(work->ctx, name);
    hl_buf_fini(&text);
}

bool work_begin(struct work *work, RedisModuleCtx *ctx, RedisModuleString *name,
                enum work_mode mode)
{
    *work = (struct work){.ctx = ctx, .name = name};
    work->key = RedisModule_OpenKey(ctx, name, REDISMODULE_READ | REDISMODULE_WRITE);
    bool wrong_type = false;
    work->queue = type_queue_of(work->key, &wrong_type);
    if (wrong_type) {
        RedisModule_CloseKey(work->key);
        return false;
    }
    work->env = (struct jobs_env){
        .now_ms = world_now_ms(),
        .random = world_random,
        .done_keep_ms = retention_ms(jobs_settings.result_retention_s),
        .dead_keep_ms = retention_ms(jobs_settings.dead_retention_s),
        .done_max = (uint64_t)jobs_settings.max_results,
        .effects = &work->effects,
        .frozen = world_is_frozen(ctx),
        .turned = RedisModule_SignalModifiedKey != NULL ? turned : NULL,
        .turned_ctx = work,
        .cron_next = cron_clock_next,
        .cron_ctx = ctx,
    };
    if (work->queue == NULL && mode == WORK_MAKE) {
        work->queue = type_make_queue(work->key);
        if (work->queue != NULL) {
            jobs_begin(work->queue, &work->env);
        }
    }
    if (work->queue != NULL) {
        work->ready_before = work->queue->count[JOBS_READY];
        memcpy(work->counters_before, work->queue->counters, sizeof work->counters_before);
    }
    return true;
}

void work_end(struct work *work)
{
    if (work->queue != NULL && work->effects.len != 0) {
        RedisModule_Replicate(work->ctx, "JOB._APPLY", "sb", work->name, work->effects.ptr,
                              work->effects.len);
        metrics_count(work->counters_before, work->queue->counters);
        roster_note(work->ctx, work->name, work->queue);
        if (work->queue->count[JOBS_READY] > work->ready_before && !work->queue->paused) {
            world_signal(work->ctx, work->name);
        } else {
            follow_changed(work->ctx, work->name, work->queue);
        }
    }
    hl_buf_fini(&work->effects);
    if (work->key != NULL) {
        RedisModule_CloseKey(work->key);
    }
    *work = (struct work){0};
}

void world_signal(RedisModuleCtx *ctx, RedisModuleString *name)
{
    if (RedisModule_SignalKeyAsReady != NULL) {
        RedisModule_SignalKeyAsReady(ctx, name);
    }
}

void world_notify(RedisModuleCtx *ctx, RedisModuleString *name, const char *event)
{
    if (RedisModule_NotifyKeyspaceEvent != NULL) {
        RedisModule_NotifyKeyspaceEvent(ctx, REDISMODULE_NOTIFY_MODULE, event, name);
    }
}
