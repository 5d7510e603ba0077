/* Contexts: one per execution of module code, and what ends with it. */
#include "abi/internal.h"

#include <string.h>

#define POOL_BLOCK_BYTES 8192

void hl_ctx_init(RedisModuleCtx *ctx, struct hl_abi *abi, struct hl_module *module)
{
    memset(ctx, 0, sizeof *ctx);
    ctx->get_api = (void *)hl_abi_get_api;
    ctx->abi = abi;
    ctx->module = module;
    hl_abi_enter(abi);
}

void hl_ctx_fini(RedisModuleCtx *ctx)
{
    bool automatic = (ctx->flags & HL_CTX_AUTO) != 0;
    while (ctx->object_count > 0) {
        struct hl_object object = ctx->objects[--ctx->object_count];
        if (object.back != NULL) {
            *object.back = NULL; /* whether it ends now or was leaked by the module */
        }
        if (automatic) {
            object.end(object.ptr);
        }
    }
    hl_free(ctx->objects);
    ctx->objects = NULL;
    while (ctx->pool != NULL) {
        struct hl_pool_block *next = ctx->pool->next;
        hl_free(ctx->pool);
        ctx->pool = next;
    }
    hl_free(ctx->refs);
    hl_buf_fini(&ctx->own_out);
}

void hl_ctx_add(RedisModuleCtx *ctx, void *ptr, void (*end)(void *ptr), RedisModuleCtx **back)
{
    if (back != NULL) {
        *back = ctx;
    }
    if (ctx == NULL) {
        return;
    }
    if (ctx->object_count == ctx->object_cap) {
        ctx->object_cap = ctx->object_cap == 0 ? 8 : ctx->object_cap * 2;
        ctx->objects = hl_realloc(ctx->objects, ctx->object_cap * sizeof *ctx->objects);
    }
    ctx->objects[ctx->object_count++] = (struct hl_object){.ptr = ptr, .end = end, .back = back};
}

bool hl_ctx_forget(RedisModuleCtx *ctx, const void *ptr)
{
    if (ctx == NULL) {
        return false;
    }
    for (size_t i = ctx->object_count; i > 0; i--) { /* what was made last is freed first */
        if (ctx->objects[i - 1].ptr == ptr) {
            ctx->objects[i - 1] = ctx->objects[--ctx->object_count];
            return true;
        }
    }
    return false;
}

struct hl_db *hl_ctx_db(const RedisModuleCtx *ctx)
{
    return hl_ks_db(ctx->abi->ks, ctx->db);
}

void hl_rm_AutoMemory(RedisModuleCtx *ctx)
{
    ctx->flags |= HL_CTX_AUTO;
}

void *hl_rm_PoolAlloc(RedisModuleCtx *ctx, size_t bytes)
{
    if (bytes == 0 || bytes > SIZE_MAX / 2) {
        return NULL;
    }
    size_t want = (bytes + 15) & ~(size_t)15;
    struct hl_pool_block *block = ctx->pool;
    if (block == NULL || block->size - block->used < want) {
        size_t size = want > POOL_BLOCK_BYTES ? want : POOL_BLOCK_BYTES;
        block = hl_malloc(sizeof *block + size);
        *block = (struct hl_pool_block){.next = ctx->pool, .size = size};
        ctx->pool = block;
    }
    void *ptr = block->bytes + block->used;
    block->used += want;
    return ptr;
}
