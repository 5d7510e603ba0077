/* Server events: subscriptions, and the hooks of the node turned into events. */
#include "abi/unit.h"

struct listener {
    struct hl_list_node node; /* in abi->events */
    struct hl_module *module;
    uint64_t id;
    RedisModuleEventCallback run;
};

/* How many sub-events of each event this server may fire; 0: it never fires the event. */
static const uint64_t subevents[] = {
    [REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED] = 2,
    [REDISMODULE_EVENT_PERSISTENCE] = 6,
    [REDISMODULE_EVENT_FLUSHDB] = 2,
    [REDISMODULE_EVENT_LOADING] = 5,
    [REDISMODULE_EVENT_CLIENT_CHANGE] = 2,
    [REDISMODULE_EVENT_SHUTDOWN] = 0,
    [REDISMODULE_EVENT_REPLICA_CHANGE] = 2,
    [REDISMODULE_EVENT_MASTER_LINK_CHANGE] = 2,
    [REDISMODULE_EVENT_CRON_LOOP] = 0,
    [REDISMODULE_EVENT_MODULE_CHANGE] = 2,
    [REDISMODULE_EVENT_LOADING_PROGRESS] = 2,
    [REDISMODULE_EVENT_SWAPDB] = 0,
    [REDISMODULE_EVENT_REPL_BACKUP] = 3,
    [REDISMODULE_EVENT_FORK_CHILD] = 2,
    [REDISMODULE_EVENT_REPL_ASYNC_LOAD] = 3,
    [REDISMODULE_EVENT_EVENTLOOP] = 2,
    [REDISMODULE_EVENT_CONFIG] = 1,
    [REDISMODULE_EVENT_KEY] = 4,
};

static struct listener *find(const struct hl_abi *abi, const struct hl_module *module, uint64_t id)
{
    HL_LIST_EACH(l, (struct hl_list_node *)&abi->events)
    {
        struct listener *listener = HL_LIST_ENTRY(l, struct listener, node);
        if (listener->id == id && (module == NULL || listener->module == module)) {
            return listener;
        }
    }
    return NULL;
}

static void end(struct listener *listener)
{
    hl_list_remove(&listener->node);
    hl_free(listener);
}

int hl_rm_SubscribeToServerEvent(RedisModuleCtx *ctx, RedisModuleEvent event,
                                 RedisModuleEventCallback callback)
{
    if (ctx->module == NULL || event.id >= HL_ARRAY_LEN(subevents) || event.dataver != 1) {
        return REDISMODULE_ERR;
    }
    struct listener *listener = find(ctx->abi, ctx->module, event.id);
    if (callback == NULL) {
        if (listener == NULL) {
            return REDISMODULE_ERR;
        }
        end(listener);
        return REDISMODULE_OK;
    }
    if (listener == NULL) {
        listener = hl_calloc(1, sizeof *listener);
        listener->module = ctx->module;
        listener->id = event.id;
        hl_list_append(&ctx->abi->events, &listener->node);
    }
    listener->run = callback;
    return REDISMODULE_OK;
}

int hl_rm_IsSubEventSupported(RedisModuleEvent event, uint64_t subevent)
{
    return event.id < HL_ARRAY_LEN(subevents) && subevent < subevents[event.id];
}

static void fire(struct listener *listener, uint64_t subevent, void *data)
{
    RedisModuleCtx ctx;
    hl_ctx_init(&ctx, listener->module->abi, listener->module);
    hl_frame_begin(&ctx);
    listener->run(&ctx, (RedisModuleEvent){.id = listener->id, .dataver = 1}, subevent, data);
    hl_ctx_fini(&ctx);
    (void)hl_frame_end(&ctx);
}

void hl_abi_fire(struct hl_abi *abi, uint64_t id, uint64_t subevent, void *data)
{
    HL_LIST_EACH(l, &abi->events)
    {
        struct listener *listener = HL_LIST_ENTRY(l, struct listener, node);
        if (listener->id == id) {
            fire(listener, subevent, data);
        }
    }
}

void hl_event_tell(struct hl_module *module, uint64_t id, uint64_t subevent)
{
    struct listener *listener = find(module->abi, module, id);
    if (listener != NULL) {
        fire(listener, subevent, NULL);
    }
}

bool hl_event_wanted(const struct hl_abi *abi, uint64_t id)
{
    return find(abi, NULL, id) != NULL;
}

void hl_event_flushed(void *ctx, int db, bool after)
{
    RedisModuleFlushInfo info = {.version = 1, .sync = 1, .dbnum = db};
    hl_abi_fire(ctx, REDISMODULE_EVENT_FLUSHDB,
                after ? REDISMODULE_SUBEVENT_FLUSHDB_END : REDISMODULE_SUBEVENT_FLUSHDB_START,
                &info);
}

void hl_event_swapped(struct hl_abi *abi, int a, int b)
{
    RedisModuleSwapDbInfo info = {.version = 1, .dbnum_first = a, .dbnum_second = b};
    hl_abi_fire(abi, REDISMODULE_EVENT_SWAPDB, 0, &info);
}

void hl_event_loading(void *ctx, bool ended)
{
    hl_abi_fire(ctx, REDISMODULE_EVENT_LOADING,
                ended ? REDISMODULE_SUBEVENT_LOADING_ENDED : REDISMODULE_SUBEVENT_LOADING_AOF_START,
                NULL);
}

void hl_event_role(void *ctx, bool leads)
{
    hl_abi_fire(ctx, REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED,
                leads ? REDISMODULE_EVENT_REPLROLECHANGED_NOW_MASTER
                      : REDISMODULE_EVENT_REPLROLECHANGED_NOW_REPLICA,
                NULL);
}

void hl_event_cron(void *ctx)
{
    struct hl_abi *abi = ctx;
    RedisModuleCronLoopInfo info = {.version = 1, .hz = abi->node->config.hz};
    hl_abi_fire(abi, REDISMODULE_EVENT_CRON_LOOP, 0, &info);
}

/* Clients of other nodes whose commands this one runs (guests) are told like its own. */
static void tell_client(struct hl_abi *abi, const struct hl_session *session, uint64_t subevent)
{
    if ((session->flags & (HL_SESSION_HIDDEN & ~HL_SESSION_GUEST)) == 0 &&
        hl_event_wanted(abi, REDISMODULE_EVENT_CLIENT_CHANGE)) {
        RedisModuleClientInfo info = {.version = 1};
        hl_client_info(session, &info);
        hl_abi_fire(abi, REDISMODULE_EVENT_CLIENT_CHANGE, subevent, &info);
    }
}

void hl_event_session_began(void *ctx, struct hl_session *session)
{
    tell_client(ctx, session, REDISMODULE_SUBEVENT_CLIENT_CHANGE_CONNECTED);
}

void hl_event_session_ended(void *ctx, struct hl_session *session)
{
    hl_acl_user_changed(ctx, session);
    tell_client(ctx, session, REDISMODULE_SUBEVENT_CLIENT_CHANGE_DISCONNECTED);
}

void hl_event_drop(struct hl_module *module)
{
    HL_LIST_EACH(l, &module->abi->events)
    {
        struct listener *listener = HL_LIST_ENTRY(l, struct listener, node);
        if (listener->module == module) {
            end(listener);
        }
    }
}
