/* Keyspace notifications for modules, and the jobs they leave for later.
 *
 *   Y1  a notification waits until the command that caused it is over, and is delivered inside the
 *       same unit: so a module may read and write keys in it, and the log stays one entry per unit.
 *   Y2  what a callback writes is told only to listeners of modules that allow nesting; the total
 *       per command is bounded, so two modules cannot keep each other busy for ever.
 */
#include "abi/unit.h"

#define ROUNDS_MAX 10000 /* notifications and jobs delivered for one command */
#define NOTIFY_KNOWN                                                                               \
    (REDISMODULE_NOTIFY_KEYSPACE | REDISMODULE_NOTIFY_KEYEVENT | REDISMODULE_NOTIFY_ALL |          \
     REDISMODULE_NOTIFY_KEY_MISS | REDISMODULE_NOTIFY_LOADED | REDISMODULE_NOTIFY_NEW)

struct listener {
    struct hl_list_node node; /* in abi->listeners */
    struct hl_module *module;
    int types;
    RedisModuleNotificationFunc run;
};

/* Something to run when the command is over: a notification, or a job of a module. */
struct job {
    struct hl_list_node node; /* in abi->jobs */
    struct hl_module *module; /* of a job; NULL for a notification */
    RedisModulePostNotificationJobFunc run;
    void *data;
    void (*free_data)(void *data);
    int db, type;
    char *event;
    RedisModuleString *key;
    bool nested; /* caused by a callback (Y2) */
};

int hl_rm_GetKeyspaceNotificationFlagsAll(void)
{
    return NOTIFY_KNOWN;
}

int hl_rm_GetNotifyKeyspaceEvents(void)
{
    return (int)hl_abi_current->ks->notify_mask;
}

int hl_rm_SubscribeToKeyspaceEvents(RedisModuleCtx *ctx, int types, RedisModuleNotificationFunc cb)
{
    if (ctx->module == NULL || cb == NULL || types == 0) {
        return REDISMODULE_ERR;
    }
    struct listener *listener = hl_calloc(1, sizeof *listener);
    *listener = (struct listener){.module = ctx->module, .types = types, .run = cb};
    hl_list_append(&ctx->abi->listeners, &listener->node);
    hl_notify_mask(ctx->abi);
    return REDISMODULE_OK;
}

int hl_rm_UnsubscribeFromKeyspaceEvents(RedisModuleCtx *ctx, int types,
                                        RedisModuleNotificationFunc cb)
{
    int result = REDISMODULE_ERR;
    HL_LIST_EACH(l, &ctx->abi->listeners)
    {
        struct listener *listener = HL_LIST_ENTRY(l, struct listener, node);
        if (listener->module == ctx->module && listener->types == types && listener->run == cb) {
            hl_list_remove(l);
            hl_free(listener);
            result = REDISMODULE_OK;
        }
    }
    return result;
}

void hl_notify_mask(struct hl_abi *abi)
{
    HL_LIST_EACH(l, &abi->listeners)
    {
        abi->ks->notify_mask |= (uint32_t)HL_LIST_ENTRY(l, struct listener, node)->types;
    }
}

static bool wanted(const struct hl_abi *abi, uint32_t classes)
{
    HL_LIST_EACH(l, (struct hl_list_node *)&abi->listeners)
    {
        if (((uint32_t)HL_LIST_ENTRY(l, struct listener, node)->types & classes) != 0) {
            return true;
        }
    }
    return false;
}

void hl_notify_happened(void *ctx, uint32_t classes, const char *event, int db, struct hl_slice key)
{
    struct hl_abi *abi = ctx;
    if (!wanted(abi, classes)) {
        return;
    }
    struct job *job = hl_calloc(1, sizeof *job);
    job->db = db;
    job->type = (int)classes;
    job->event = hl_strndup(event, strlen(event));
    job->key = hl_string_new(key);
    job->nested = abi->notify_depth > 0;
    hl_list_append(&abi->jobs, &job->node);
}

int hl_rm_NotifyKeyspaceEvent(RedisModuleCtx *ctx, int type, const char *event,
                              RedisModuleString *key)
{
    if (event == NULL || key == NULL || !hl_ctx_usable(ctx)) {
        return REDISMODULE_ERR;
    }
    hl_ks_notify(ctx->abi->ks, (uint32_t)type, event, ctx->db, hl_string_slice(key));
    return REDISMODULE_OK;
}

int hl_rm_AddPostNotificationJob(RedisModuleCtx *ctx, RedisModulePostNotificationJobFunc callback,
                                 void *pd, void (*free_pd)(void *))
{
    bool may = ctx->module != NULL && callback != NULL && hl_ctx_usable(ctx) &&
               !ctx->abi->node->loading && ctx->abi->ks->expiry == HL_EXPIRY_DELETE;
    if (!may) {
        return REDISMODULE_ERR;
    }
    struct job *job = hl_calloc(1, sizeof *job);
    *job = (struct job){
        .module = ctx->module, .run = callback, .data = pd, .free_data = free_pd, .db = ctx->db};
    hl_list_append(&ctx->abi->jobs, &job->node);
    return REDISMODULE_OK;
}

static void free_job(struct job *job)
{
    if (job->free_data != NULL) {
        job->free_data(job->data);
    }
    hl_free(job->event);
    hl_string_unref(job->key);
    hl_free(job);
}

/* Run a job of a module. */
static void run_job(struct hl_abi *abi, struct job *job)
{
    RedisModuleCtx ctx;
    hl_ctx_init(&ctx, abi, job->module);
    ctx.db = job->db;
    hl_frame_begin(&ctx);
    job->run(&ctx, job->data);
    hl_ctx_fini(&ctx);
    (void)hl_frame_end(&ctx);
}

/* Tell the listeners of a notification. */
static void deliver(struct hl_abi *abi, const struct job *job)
{
    HL_LIST_EACH(l, &abi->listeners)
    {
        const struct listener *listener = HL_LIST_ENTRY(l, struct listener, node);
        bool allows = (listener->module->options &
                       REDISMODULE_OPTIONS_ALLOW_NESTED_KEYSPACE_NOTIFICATIONS) != 0;
        if ((listener->types & job->type) == 0 || (job->nested && !allows)) {
            continue;
        }
        RedisModuleCtx ctx;
        hl_ctx_init(&ctx, abi, listener->module);
        ctx.db = job->db;
        hl_frame_begin(&ctx);
        (void)listener->run(&ctx, job->type, job->event, job->key);
        hl_ctx_fini(&ctx);
        (void)hl_frame_end(&ctx);
    }
}

void hl_notify_settle(void *ctx)
{
    struct hl_abi *abi = ctx;
    if (hl_list_empty(&abi->jobs) || abi->notify_depth > 0) {
        return; /* nothing to do, or it is being done further out */
    }
    abi->notify_depth++;
    for (int i = 0; i < ROUNDS_MAX && !hl_list_empty(&abi->jobs); i++) {
        struct job *job = HL_LIST_ENTRY(abi->jobs.next, struct job, node);
        hl_list_remove(&job->node);
        if (job->module != NULL) {
            run_job(abi, job);
        } else {
            deliver(abi, job);
        }
        free_job(job);
    }
    while (!hl_list_empty(&abi->jobs)) { /* Y2 */
        struct job *job = HL_LIST_ENTRY(abi->jobs.next, struct job, node);
        hl_list_remove(&job->node);
        free_job(job);
    }
    abi->notify_depth--;
}

void hl_notify_drop(struct hl_module *module)
{
    HL_LIST_EACH(l, &module->abi->listeners)
    {
        struct listener *listener = HL_LIST_ENTRY(l, struct listener, node);
        if (listener->module == module) {
            hl_list_remove(l);
            hl_free(listener);
        }
    }
    HL_LIST_EACH(j, &module->abi->jobs)
    {
        struct job *job = HL_LIST_ENTRY(j, struct job, node);
        if (job->module == module) {
            hl_list_remove(j);
            free_job(job);
        }
    }
}
