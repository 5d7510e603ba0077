/* Command filters: modules see every command before it is looked up, and may change it. */
#include "abi/unit.h"

struct RedisModuleCommandFilter {
    struct hl_list_node node; /* in abi->filters */
    struct hl_module *module;
    RedisModuleCommandFilterFunc run;
    int flags;
};

/* The command on its way in. */
struct RedisModuleCommandFilterCtx {
    RedisModuleString **argv;
    int argc, cap;
    uint64_t client_id;
    bool changed;
};

RedisModuleCommandFilter *hl_rm_RegisterCommandFilter(RedisModuleCtx *ctx,
                                                      RedisModuleCommandFilterFunc cb, int flags)
{
    if (ctx->module == NULL || cb == NULL) {
        return NULL;
    }
    RedisModuleCommandFilter *filter = hl_calloc(1, sizeof *filter);
    filter->module = ctx->module;
    filter->run = cb;
    filter->flags = flags;
    hl_list_append(&ctx->abi->filters, &filter->node);
    hl_filter_hook(ctx->abi);
    return filter;
}

static void end(RedisModuleCommandFilter *filter)
{
    struct hl_abi *abi = filter->module->abi;
    hl_list_remove(&filter->node);
    hl_free(filter);
    hl_filter_hook(abi);
}

int hl_rm_UnregisterCommandFilter(RedisModuleCtx *ctx, RedisModuleCommandFilter *filter)
{
    if (filter == NULL || filter->module != ctx->module) {
        return REDISMODULE_ERR;
    }
    end(filter);
    return REDISMODULE_OK;
}

int hl_rm_CommandFilterArgsCount(RedisModuleCommandFilterCtx *fctx)
{
    return fctx->argc;
}

RedisModuleString *hl_rm_CommandFilterArgGet(RedisModuleCommandFilterCtx *fctx, int pos)
{
    return pos < 0 || pos >= fctx->argc ? NULL : fctx->argv[pos];
}

int hl_rm_CommandFilterArgInsert(RedisModuleCommandFilterCtx *fctx, int pos, RedisModuleString *arg)
{
    if (pos < 0 || pos > fctx->argc || fctx->argc >= HL_ABI_ARGS_MAX) {
        return REDISMODULE_ERR;
    }
    if (fctx->argc == fctx->cap) {
        fctx->cap = fctx->cap * 2 + 4;
        fctx->argv = hl_realloc(fctx->argv, (size_t)fctx->cap * sizeof *fctx->argv);
    }
    memmove(fctx->argv + pos + 1, fctx->argv + pos,
            (size_t)(fctx->argc - pos) * sizeof *fctx->argv);
    fctx->argv[pos] = arg;
    fctx->argc++;
    fctx->changed = true;
    return REDISMODULE_OK;
}

int hl_rm_CommandFilterArgReplace(RedisModuleCommandFilterCtx *fctx, int pos,
                                  RedisModuleString *arg)
{
    if (pos < 0 || pos >= fctx->argc) {
        return REDISMODULE_ERR;
    }
    hl_string_unref(fctx->argv[pos]);
    fctx->argv[pos] = arg;
    fctx->changed = true;
    return REDISMODULE_OK;
}

int hl_rm_CommandFilterArgDelete(RedisModuleCommandFilterCtx *fctx, int pos)
{
    if (pos < 0 || pos >= fctx->argc || fctx->argc == 1) {
        return REDISMODULE_ERR;
    }
    hl_string_unref(fctx->argv[pos]);
    fctx->argc--;
    memmove(fctx->argv + pos, fctx->argv + pos + 1,
            (size_t)(fctx->argc - pos) * sizeof *fctx->argv);
    fctx->changed = true;
    return REDISMODULE_OK;
}

unsigned long long hl_rm_CommandFilterGetClientId(RedisModuleCommandFilterCtx *fctx)
{
    return fctx->client_id;
}

/* Replace the arguments of the last filtered command, which the node still looks at. */
static void keep(struct hl_abi *abi, RedisModuleCommandFilterCtx *fctx)
{
    hl_filter_release(abi);
    abi->filtered = fctx->argv;
    abi->filtered_count = fctx->argc;
    abi->filtered_slices = hl_calloc((size_t)fctx->argc, sizeof *abi->filtered_slices);
    for (int i = 0; i < fctx->argc; i++) {
        abi->filtered_slices[i] = hl_string_slice(fctx->argv[i]);
    }
}

void hl_filter_release(struct hl_abi *abi)
{
    for (int i = 0; i < abi->filtered_count; i++) {
        hl_string_unref(abi->filtered[i]);
    }
    hl_free(abi->filtered);
    hl_free(abi->filtered_slices);
    abi->filtered = NULL;
    abi->filtered_slices = NULL;
    abi->filtered_count = 0;
}

int hl_filter_run(void *ctx, struct hl_session *session, int argc, const struct hl_slice *in,
                  struct hl_slice **out)
{
    struct hl_abi *abi = ctx;
    RedisModuleCommandFilterCtx fctx = {.argc = argc, .cap = argc, .client_id = session->id};
    fctx.argv = hl_calloc((size_t)argc, sizeof *fctx.argv);
    for (int i = 0; i < argc; i++) {
        fctx.argv[i] = hl_string_new(in[i]);
    }
    RedisModuleCtx none;
    hl_ctx_init(&none, abi, NULL);
    hl_frame_begin(&none);
    HL_LIST_EACH(f, &abi->filters)
    {
        HL_LIST_ENTRY(f, RedisModuleCommandFilter, node)->run(&fctx);
    }
    hl_ctx_fini(&none);
    (void)hl_frame_end(&none);
    if (fctx.changed) {
        keep(abi, &fctx);
        *out = abi->filtered_slices;
        return fctx.argc;
    }
    for (int i = 0; i < argc; i++) {
        hl_string_unref(fctx.argv[i]);
    }
    hl_free(fctx.argv);
    return argc;
}

void hl_filter_hook(struct hl_abi *abi)
{
    abi->node->hooks.filter = hl_list_empty(&abi->filters) ? NULL : hl_filter_run;
}

int hl_filter_count(const struct hl_module *module)
{
    int count = 0;
    HL_LIST_EACH(f, &module->abi->filters)
    {
        count += HL_LIST_ENTRY(f, RedisModuleCommandFilter, node)->module == module;
    }
    return count;
}

void hl_filter_drop(struct hl_module *module)
{
    HL_LIST_EACH(f, &module->abi->filters)
    {
        RedisModuleCommandFilter *filter = HL_LIST_ENTRY(f, RedisModuleCommandFilter, node);
        if (filter->module == module) {
            end(filter);
        }
    }
}
