/* A look at the server at each of its cron's turns. */
#include "health.h"

#include "kit/assert.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum state { STARTING, LOADING, NO_LEADER, STOPPED, READY };

static atomic_int state;
static atomic_llong looked_ms;
static atomic_bool draining;

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* As a member of a cluster; a server that knows nothing of clusters has no such fields. */
static enum state state_in_cluster(RedisModuleCtx *ctx)
{
    enum state found = READY;
    if (RedisModule_GetServerInfo == NULL || RedisModule_ServerInfoGetFieldC == NULL) {
        return READY;
    }
    RedisModuleServerInfoData *info = RedisModule_GetServerInfo(ctx, "raft");
    const char *enabled = RedisModule_ServerInfoGetFieldC(info, "raft_enabled");
    const char *leader = RedisModule_ServerInfoGetFieldC(info, "raft_leader");
    const char *stopped = RedisModule_ServerInfoGetFieldC(info, "raft_apply_stopped");
    if (enabled != NULL && strcmp(enabled, "true") == 0) {
        found = leader == NULL || leader[0] == '\0'            ? NO_LEADER
                : stopped != NULL && strcmp(stopped, "0") != 0 ? STOPPED
                                                               : READY;
    }
    RedisModule_FreeServerInfo(ctx, info);
    return found;
}

static void look(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t subevent, void *data)
{
    (void)event;
    (void)subevent;
    (void)data;
    bool loading = (RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_LOADING) != 0;
    atomic_store(&state, loading ? LOADING : state_in_cluster(ctx));
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
        [STOPPED] = "this node cannot apply the log",
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
