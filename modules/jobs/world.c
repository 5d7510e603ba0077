#include "world.h"

#include "kit/assert.h"
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
        .effects = &work->effects,
    };
    if (work->queue == NULL && mode == WORK_MAKE) {
        work->queue = type_make_queue(work->key);
        if (work->queue != NULL) {
            jobs_begin(work->queue, &work->env);
        }
    }
    work->ready_before = work->queue == NULL ? 0 : work->queue->count[JOBS_READY];
    return true;
}

void work_end(struct work *work)
{
    if (work->queue != NULL && work->effects.len != 0) {
        RedisModule_Replicate(work->ctx, "JOB._APPLY", "sb", work->name, work->effects.ptr,
                              work->effects.len);
        roster_note(work->ctx, work->name, work->queue);
        if (work->queue->count[JOBS_READY] > work->ready_before) {
            world_signal(work->ctx, work->name);
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
