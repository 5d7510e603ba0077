/* Thread-safe contexts, and the lock under which modules' threads use the server. */
#include "abi/unit.h"

#include <errno.h>

/* A context that outlives the call that made it. */
static RedisModuleCtx *create(struct hl_abi *abi, struct hl_module *module, uint32_t flags)
{
    RedisModuleCtx *ctx = hl_malloc(sizeof *ctx);
    hl_ctx_init(ctx, abi, module);
    ctx->flags |= HL_CTX_THREAD | flags;
    atomic_fetch_add(module != NULL ? &module->contexts : &abi->contexts, 1);
    abi->services->wake(abi->services->ctx); /* from now on the loop polls without the lock */
    return ctx;
}

RedisModuleCtx *hl_rm_GetThreadSafeContext(RedisModuleBlockedClient *bc)
{
    if (bc == NULL) {
        return create(hl_abi_current, NULL, HL_CTX_DETACHED);
    }
    struct hl_module *module = hl_blocked_module(bc);
    RedisModuleCtx *ctx = create(module->abi, module, 0);
    ctx->own_writer.out = hl_blocked_thread_out(bc, &ctx->own_writer.proto, &ctx->db);
    ctx->out = &ctx->own_writer; /* replies gather there until the client is unblocked */
    ctx->blocked = bc;
    return ctx;
}

RedisModuleCtx *hl_rm_GetDetachedThreadSafeContext(RedisModuleCtx *ctx)
{
    return create(ctx->abi, ctx->module, HL_CTX_DETACHED);
}

void hl_rm_FreeThreadSafeContext(RedisModuleCtx *ctx)
{
    if (ctx == NULL || (ctx->flags & HL_CTX_THREAD) == 0) {
        return; /* not ours to free */
    }
    if ((ctx->flags & HL_CTX_LOCKED) != 0) {
        hl_rm_ThreadSafeContextUnlock(ctx); /* a forgotten unlock would stop the server for ever */
    }
    struct hl_module *module = ctx->module;
    struct hl_abi *abi = ctx->abi;
    hl_ctx_fini(ctx);
    hl_free(ctx);
    atomic_fetch_sub(module != NULL ? &module->contexts : &abi->contexts, 1);
}

/* The lock is ours: begin what this section is, one unit. */
static void enter(RedisModuleCtx *ctx)
{
    struct hl_abi *abi = ctx->abi;
    ctx->flags |= HL_CTX_LOCKED;
    hl_node_begin(abi->node); /* the clock has moved since the loop slept */
    hl_frame_begin(ctx);
}

void hl_rm_ThreadSafeContextLock(RedisModuleCtx *ctx)
{
    ctx->abi->services->lock(ctx->abi->services->ctx);
    enter(ctx);
}

int hl_rm_ThreadSafeContextTryLock(RedisModuleCtx *ctx)
{
    if (!ctx->abi->services->try_lock(ctx->abi->services->ctx)) {
        errno = EBUSY;
        return REDISMODULE_ERR;
    }
    enter(ctx);
    return REDISMODULE_OK;
}

void hl_rm_ThreadSafeContextUnlock(RedisModuleCtx *ctx)
{
    const struct hl_abi_services *services = ctx->abi->services;
    if ((ctx->flags & HL_CTX_LOCKED) == 0) {
        return;
    }
    (void)hl_frame_end(ctx);
    ctx->flags &= ~HL_CTX_LOCKED;
    services->unlock(services->ctx);
    services->wake(services->ctx); /* the loop seals what this section recorded */
}
