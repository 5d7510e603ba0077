/* What a module says of itself, clocks, and small questions to the server. */
#include "abi/internal.h"

#include <errno.h>

/* The version of Redis whose API is served, as 0x00MMmmpp. */
#define SERVED_VERSION 0x00070200
#define OPTIONS_ALL                                                                                \
    (REDISMODULE_OPTIONS_HANDLE_IO_ERRORS | REDISMODULE_OPTION_NO_IMPLICIT_SIGNAL_MODIFIED |       \
     REDISMODULE_OPTIONS_HANDLE_REPL_ASYNC_LOAD |                                                  \
     REDISMODULE_OPTIONS_ALLOW_NESTED_KEYSPACE_NOTIFICATIONS)
#define CTX_FLAGS_ALL ((REDISMODULE_CTX_FLAGS_SERVER_STARTUP << 1) - 1)

static struct hl_module *module_by_name(struct hl_abi *abi, const char *name)
{
    HL_LIST_EACH(m, &abi->modules)
    {
        struct hl_module *module = HL_LIST_ENTRY(m, struct hl_module, node);
        if (module->name != NULL && strcmp(module->name, name) == 0) {
            return module;
        }
    }
    return NULL;
}

int hl_rm_IsModuleNameBusy(const char *name)
{
    return name != NULL && module_by_name(hl_abi_current, name) != NULL;
}

void hl_rm_SetModuleAttribs(RedisModuleCtx *ctx, const char *name, int ver, int apiver)
{
    struct hl_module *module = ctx->loading;
    if (ctx->module != NULL || module == NULL || name == NULL) {
        return; /* only the first call of OnLoad counts */
    }
    size_t len = strnlen(name, HL_ABI_NAME_MAX);
    module->name = hl_strndup(name, len);
    module->version = ver;
    module->apiver = apiver;
    ctx->module = module;
}

void hl_rm_SetModuleOptions(RedisModuleCtx *ctx, int options)
{
    if (ctx->module != NULL) {
        ctx->module->options = options;
    }
}

int hl_rm_GetModuleOptionsAll(void)
{
    return OPTIONS_ALL;
}

int hl_rm_GetServerVersion(void)
{
    return SERVED_VERSION;
}

int hl_rm_GetContextFlagsAll(void)
{
    return CTX_FLAGS_ALL;
}

int hl_rm_GetContextFlags(RedisModuleCtx *ctx)
{
    const struct hl_abi_services *services = hl_abi_current->services;
    int flags = ctx == NULL ? 0 : hl_client_flags(ctx);
    return flags | (services->context_flags == NULL ? 0 : services->context_flags(services->ctx));
}

int hl_rm_AvoidReplicaTraffic(void)
{
    const struct hl_node *node = hl_abi_current->node;
    return node->pause_until_ms > node->now_ms; /* CLIENT PAUSE, of writes or of all */
}

/* ---- Clocks ---- */

ustime_t hl_rm_Microseconds(void)
{
    return hl_abi_current->services->wall_us(hl_abi_current->services->ctx);
}

mstime_t hl_rm_Milliseconds(void)
{
    return hl_rm_Microseconds() / 1000;
}

uint64_t hl_rm_MonotonicMicroseconds(void)
{
    return (uint64_t)hl_abi_current->services->monotonic_us(hl_abi_current->services->ctx);
}

ustime_t hl_rm_CachedMicroseconds(void)
{
    return hl_abi_current->ks->now_ms * 1000;
}

void hl_rm_Yield(RedisModuleCtx *ctx, int flags, const char *busy_reply)
{
    (void)ctx;
    (void)flags;
    (void)busy_reply; /* a command runs to its end: yielding is allowed to do nothing */
}

void hl_rm_LatencyAddSample(const char *event, mstime_t latency)
{
    (void)event;
    (void)latency;
}

/* ---- Random bytes ---- */

void hl_rm_GetRandomBytes(unsigned char *dst, size_t len)
{
    hl_abi_current->services->entropy(hl_abi_current->services->ctx, dst, len);
}

void hl_rm_GetRandomHexChars(char *dst, size_t len)
{
    hl_rm_GetRandomBytes((unsigned char *)dst, len);
    for (size_t i = 0; i < len; i++) {
        dst[i] = "0123456789abcdef"[(unsigned char)dst[i] & 15];
    }
}

/* ---- The database ---- */

int hl_rm_GetSelectedDb(RedisModuleCtx *ctx)
{
    return ctx->db;
}

int hl_rm_SelectDb(RedisModuleCtx *ctx, int newid)
{
    if (newid < 0 || newid >= ctx->abi->ks->db_count) {
        return REDISMODULE_ERR;
    }
    ctx->db = newid;
    return REDISMODULE_OK;
}
