/* Functions that modules share: one exports under a name, others ask for it. */
#include "abi/internal.h"

struct export
{
    struct hl_list_node node; /* in abi->exports */
    struct hl_module *module;
    char *name;
    void *function;
};

/* A module uses something of another one; in user->used, once per provider. */
struct use {
    struct hl_list_node node;
    struct hl_module *provider;
};

static struct export *find(struct hl_abi *abi, const char *name)
{
    HL_LIST_EACH(e, &abi->exports)
    {
        struct export *export = HL_LIST_ENTRY(e, struct export, node);
        if (strcmp(export->name, name) == 0) {
            return export;
        }
    }
    return NULL;
}

int hl_rm_ExportSharedAPI(RedisModuleCtx *ctx, const char *apiname, void *func)
{
    if (ctx->module == NULL || apiname == NULL || func == NULL || find(ctx->abi, apiname) != NULL) {
        return REDISMODULE_ERR;
    }
    struct export *export = hl_calloc(1, sizeof *export);
    export->module = ctx->module;
    export->name = hl_strndup(apiname, strlen(apiname));
    export->function = func;
    hl_list_append(&ctx->abi->exports, &export->node);
    return REDISMODULE_OK;
}

static bool uses(const struct hl_module *user, const struct hl_module *provider)
{
    HL_LIST_EACH(u, (struct hl_list_node *)&user->used)
    {
        if (HL_LIST_ENTRY(u, struct use, node)->provider == provider) {
            return true;
        }
    }
    return false;
}

void *hl_rm_GetSharedAPI(RedisModuleCtx *ctx, const char *apiname)
{
    struct export *export = apiname == NULL ? NULL : find(ctx->abi, apiname);
    if (export == NULL) {
        return NULL;
    }
    struct hl_module *user = ctx->module;
    if (user != NULL && user != export->module && !uses(user, export->module)) {
        struct use *use = hl_calloc(1, sizeof *use);
        use->provider = export->module;
        hl_list_append(&user->used, &use->node);
    }
    return export->function;
}

bool hl_export_used(const struct hl_module *module)
{
    HL_LIST_EACH(m, &module->abi->modules)
    {
        if (uses(HL_LIST_ENTRY(m, struct hl_module, node), module)) {
            return true;
        }
    }
    return false;
}

void hl_export_print_users(const struct hl_module *module, struct hl_buf *out)
{
    const char *between = "";
    HL_LIST_EACH(m, &module->abi->modules)
    {
        const struct hl_module *user = HL_LIST_ENTRY(m, struct hl_module, node);
        if (uses(user, module)) {
            hl_buf_printf(out, "%s%s", between, user->name);
            between = "|";
        }
    }
}

void hl_export_print_used(const struct hl_module *module, struct hl_buf *out)
{
    const char *between = "";
    HL_LIST_EACH(u, (struct hl_list_node *)&module->used)
    {
        hl_buf_printf(out, "%s%s", between, HL_LIST_ENTRY(u, struct use, node)->provider->name);
        between = "|";
    }
}

void hl_export_drop(struct hl_module *module)
{
    HL_LIST_EACH(e, &module->abi->exports)
    {
        struct export *export = HL_LIST_ENTRY(e, struct export, node);
        if (export->module == module) {
            hl_list_remove(e);
            hl_free(export->name);
            hl_free(export);
        }
    }
    HL_LIST_EACH(u, &module->used)
    {
        hl_list_remove(u);
        hl_free(HL_LIST_ENTRY(u, struct use, node));
    }
    HL_LIST_EACH(m, &module->abi->modules)
    { /* at the server's end, users may outlive providers */
        HL_LIST_EACH(u, &HL_LIST_ENTRY(m, struct hl_module, node)->used)
        {
            struct use *use = HL_LIST_ENTRY(u, struct use, node);
            if (use->provider == module) {
                hl_list_remove(u);
                hl_free(use);
            }
        }
    }
}
