/* A look at the server at each of its cron's turns. */
#include "health.h"

#include "kit/assert.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum state { STARTING, LOADING, NO_LEADER, READY };

static atomic_int state;
static atomic_llong looked_ms;
static atomic_bool draining;

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A server that knows nothing of clusters has no such field, and needs no leader. */
static bool lacks_leader(RedisModuleCtx *ctx)
{
    if (RedisModule_GetServerInfo == NULL || RedisModule_ServerInfoGetFieldC == NULL) {
        return false;
    }
    RedisModuleServerInfoData *info = RedisModule_GetServerInfo(ctx, "raft");
    const char *leader = RedisModule_ServerInfoGetFieldC(info, "raft_leader");
    bool lacks = leader != NULL && (leader[0] == '\0' || strcmp(leader, "none") == 0);
    RedisModule_FreeServerInfo(ctx, info);
    return lacks;
}

static void look(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t subevent, void *data)
{
    (void)event;
    (void)subevent;
    (void)data;
    bool loading = (RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_LOADING) != 0;
    atomic_store(&state, loading ? LOADING : lacks_leader(ctx) ? NO_LEADER : READY);
    atomic_store(&looked_ms, clock_ms());
}

bool health_load(RedisModuleCtx *ctx)
{
    atomic_store(&state, STARTING);
    atomic_store(&draining, false);
    return RedisModule_SubscribeToServerEvent(ctx, RedisModuleEvent_CronLoop, look) ==
           REDISMODULE_OK;
}

bool health_ready(int64_t now_ms, const char **why)
{
    static const char *const reasons[] = {
        [STARTING] = "starting",
        [LOADING] = "loading",
        [NO_LEADER] = "no leader is known",
        [READY] = "ready",
    };
    int seen = atomic_load(&state);
    *why = reasons[seen];
    if (atomic_load(&draining)) {
        *why = "draining";
        return false;
    }
    if (seen != STARTING && now_ms - atomic_load(&looked_ms) > HEALTH_STALE_MS) {
        *why = "the server does not answer";
        return false;
    }
    return seen == READY;
}

void health_set_draining(bool now)
{
    atomic_store(&draining, now);
}
