/* Timers: one shot each, in order of their time. */
#include "abi/unit.h"

#define TIMERS_PER_ROUND 1000 /* so that a timer of no time cannot hold the loop */

struct timer {
    struct hl_list_node node; /* in abi->timers, earliest first */
    struct hl_module *module;
    RedisModuleTimerID id;
    int64_t at_us; /* monotonic */
    RedisModuleTimerProc run;
    void *data;
    int db;
};

static int64_t now_us(struct hl_abi *abi)
{
    return abi->services->monotonic_us(abi->services->ctx);
}

/* Insert behind all that are not later: equal times run in order of creation. */
static void insert(struct hl_abi *abi, struct timer *timer)
{
    struct hl_list_node *at = abi->timers.prev;
    while (at != &abi->timers && HL_LIST_ENTRY(at, struct timer, node)->at_us > timer->at_us) {
        at = at->prev;
    }
    timer->node.prev = at;
    timer->node.next = at->next;
    at->next->prev = &timer->node;
    at->next = &timer->node;
}

RedisModuleTimerID hl_rm_CreateTimer(RedisModuleCtx *ctx, mstime_t period,
                                     RedisModuleTimerProc callback, void *data)
{
    struct hl_abi *abi = ctx->abi;
    if (ctx->module == NULL || callback == NULL || !hl_ctx_usable(ctx)) {
        return 0;
    }
    struct timer *timer = hl_calloc(1, sizeof *timer);
    int64_t wait_us = 0;
    if (__builtin_mul_overflow(period < 0 ? 0 : period, 1000, &wait_us) ||
        wait_us > INT64_MAX / 2) {
        wait_us = INT64_MAX / 2; /* for ever, as far as anybody can tell */
    }
    *timer = (struct timer){
        .module = ctx->module,
        .id = ++abi->next_timer,
        .at_us = now_us(abi) + wait_us,
        .run = callback,
        .data = data,
        .db = ctx->db,
    };
    ctx->module->timers++;
    insert(abi, timer);
    abi->services->wake(abi->services->ctx); /* the loop may have to wake earlier than it meant */
    return timer->id;
}

static struct timer *find(RedisModuleCtx *ctx, RedisModuleTimerID id)
{
    HL_LIST_EACH(t, &ctx->abi->timers)
    {
        struct timer *timer = HL_LIST_ENTRY(t, struct timer, node);
        if (timer->id == id && timer->module == ctx->module) {
            return timer;
        }
    }
    return NULL;
}

static void end(struct timer *timer)
{
    timer->module->timers--;
    hl_list_remove(&timer->node);
    hl_free(timer);
}

int hl_rm_StopTimer(RedisModuleCtx *ctx, RedisModuleTimerID id, void **data)
{
    struct timer *timer = find(ctx, id);
    if (timer == NULL) {
        return REDISMODULE_ERR;
    }
    if (data != NULL) {
        *data = timer->data;
    }
    end(timer);
    return REDISMODULE_OK;
}

int hl_rm_GetTimerInfo(RedisModuleCtx *ctx, RedisModuleTimerID id, uint64_t *remaining, void **data)
{
    struct timer *timer = find(ctx, id);
    if (timer == NULL) {
        return REDISMODULE_ERR;
    }
    if (remaining != NULL) {
        int64_t left_us = timer->at_us - now_us(ctx->abi);
        *remaining = left_us < 0 ? 0 : (uint64_t)left_us / 1000;
    }
    if (data != NULL) {
        *data = timer->data;
    }
    return REDISMODULE_OK;
}

int64_t hl_timers_run(struct hl_abi *abi)
{
    int64_t now = now_us(abi);
    for (int i = 0; i < TIMERS_PER_ROUND && !hl_list_empty(&abi->timers); i++) {
        struct timer *timer = HL_LIST_ENTRY(abi->timers.next, struct timer, node);
        if (timer->at_us > now) {
            break;
        }
        struct timer due = *timer;
        end(timer);
        RedisModuleCtx ctx;
        hl_ctx_init(&ctx, abi, due.module);
        ctx.db = due.db;
        hl_frame_begin(&ctx);
        due.run(&ctx, due.data);
        hl_ctx_fini(&ctx);
        (void)hl_frame_end(&ctx);
    }
    return hl_list_empty(&abi->timers) ? INT64_MAX
                                       : HL_LIST_ENTRY(abi->timers.next, struct timer, node)->at_us;
}

void hl_timer_drop(struct hl_module *module)
{
    HL_LIST_EACH(t, &module->abi->timers)
    {
        struct timer *timer = HL_LIST_ENTRY(t, struct timer, node);
        if (timer->module == module) {
            end(timer);
        }
    }
}
