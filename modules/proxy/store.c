/* The configuration in the keyspace: the data type, the key, and handing it on. */
#include "store.h"

#include "proxy.h"

#include "helios/extensions.h"
#include "helios/home_key.h"
#include "kit/assert.h"

#include <stdatomic.h>

#define TYPE_NAME "hlproxycf" /* stored with each value: for ever */
#define ENCODING 1
#define KEY_NAME "proxy:config"

static RedisModuleType *type;
static struct config *none;      /* what holds while there is no key */
static struct proxy *served;     /* who works with it */
static _Atomic uint64_t changes; /* values may be freed on another thread */
static uint64_t seen;            /* of `changes`, by who works with it */

/* --- type ------------------------------------------------------------------------------------- */

static void type_free(void *value)
{
    config_destroy(value);
    atomic_fetch_add(&changes, 1);
}

static void *type_load(RedisModuleIO *io, int encoding)
{
    size_t len = 0;
    struct config *config = NULL;
    if (encoding != ENCODING) {
        RedisModule_LogIOError(io, "warning",
                               "a proxy configuration of encoding %d is from a later release",
                               encoding);
        return NULL;
    }
    char *bytes = RedisModule_LoadStringBuffer(io, &len);
    if (bytes == NULL) {
        return NULL; /* cut short: the server reports it */
    }
    hl_err err = len > CONFIG_BYTES_MAX ? HL_ECORRUPT
                                        : config_decode(&config, (struct hl_slice){bytes, len});
    RedisModule_Free(bytes);
    if (err != HL_OK) {
        RedisModule_LogIOError(io, "warning", "%s",
                               err == HL_EVERSION ? "a proxy configuration is from a later release"
                                                  : "a proxy configuration is damaged");
        return NULL;
    }
    atomic_fetch_add(&changes, 1);
    return config;
}

static void type_save(RedisModuleIO *io, void *value)
{
    struct hl_buf bytes = {0};
    config_encode(value, &bytes);
    RedisModule_SaveStringBuffer(io, bytes.ptr, bytes.len);
    hl_buf_fini(&bytes);
}

static void type_rewrite(RedisModuleIO *io, RedisModuleString *key, void *value)
{
    struct hl_buf bytes = {0};
    config_encode(value, &bytes);
    RedisModule_EmitAOF(io, "PROXY._PUT", "sb", key, bytes.ptr, bytes.len);
    hl_buf_fini(&bytes);
}

static size_t type_mem_usage(const void *value)
{
    return config_bytes(value);
}

static void type_digest(RedisModuleDigest *digest, void *value)
{
    struct hl_buf bytes = {0};
    config_encode(value, &bytes);
    RedisModule_DigestAddStringBuffer(digest, bytes.ptr, bytes.len);
    RedisModule_DigestEndSequence(digest);
    hl_buf_fini(&bytes);
}

static void *type_copy(RedisModuleString *from, RedisModuleString *to, const void *value)
{
    (void)from;
    (void)to;
    atomic_fetch_add(&changes, 1);
    return config_dup(value);
}

/* --- the key ---------------------------------------------------------------------------------- */

struct config *store_config(RedisModuleCtx *ctx, bool write)
{
    struct helios_home_key home = HeliosModule_OpenHome(ctx, KEY_NAME, write);
    struct config *found = HeliosModule_HomeValue(&home, type);
    if (HeliosModule_HomeIsEmpty(&home)) {
        found = write ? config_create() : none;
        if (write && RedisModule_ModuleTypeSetValue(home.key, type, found) != REDISMODULE_OK) {
            config_destroy(found);
            found = NULL;
        }
    }
    HeliosModule_CloseHome(&home);
    return found;
}

void store_unchanged(RedisModuleCtx *ctx)
{
    struct helios_home_key home = HeliosModule_OpenHome(ctx, KEY_NAME, true);
    const struct config *config = HeliosModule_HomeValue(&home, type);
    if (config != NULL && config->version == 0) {
        RedisModule_DeleteKey(home.key);
    }
    HeliosModule_CloseHome(&home);
}

bool store_replace(RedisModuleCtx *ctx, RedisModuleString *name, struct hl_slice bytes)
{
    struct config *config = NULL;
    if (bytes.len > CONFIG_BYTES_MAX || config_decode(&config, bytes) != HL_OK) {
        return false;
    }
    RedisModuleKey *key = RedisModule_OpenKey(ctx, name, REDISMODULE_READ | REDISMODULE_WRITE);
    bool done = RedisModule_ModuleTypeSetValue(key, type, config) == REDISMODULE_OK;
    if (!done) {
        config_destroy(config);
    }
    RedisModule_CloseKey(key);
    atomic_fetch_add(&changes, 1);
    return done;
}

/* --- handing it on ---------------------------------------------------------------------------- */

/* Hand on what is in the keyspace now. */
static void publish(RedisModuleCtx *ctx)
{
    const struct config *config = store_config(ctx, false);
    seen = atomic_load(&changes);
    if (served != NULL) {
        proxy_publish(served, config_dup(config != NULL ? config : none));
    }
}

static void committed(void *data)
{
    struct config *config = data;
    if (served != NULL) {
        proxy_publish(served, config);
    } else {
        config_destroy(config);
    }
}

void store_changed(RedisModuleCtx *ctx)
{
    RedisModule_ReplicateVerbatim(ctx);
    const struct config *config = store_config(ctx, false);
    if (config == NULL) {
        return;
    }
    struct config *copy = config_dup(config);
    if (HeliosModule_OnCommit == NULL ||
        HeliosModule_OnCommit(ctx, committed, copy) != REDISMODULE_OK) {
        committed(copy);
    }
}

/* Whatever else changes it: a snapshot, FLUSHALL, RESTORE, a leader that is deposed. */
static void look(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t subevent, void *data)
{
    (void)event;
    (void)subevent;
    (void)data;
    bool loading = (RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_LOADING) != 0;
    if (!loading && served != NULL && seen != atomic_load(&changes)) {
        publish(ctx);
    }
}

void store_serve(struct proxy *proxy)
{
    served = proxy;
    seen = 0;
    atomic_store(&changes, 1); /* look at what is there at the next turn */
}

/* --- life ------------------------------------------------------------------------------------- */

bool store_register(RedisModuleCtx *ctx)
{
    RedisModuleTypeMethods methods = {
        .version = REDISMODULE_TYPE_METHOD_VERSION,
        .rdb_load = type_load,
        .rdb_save = type_save,
        .aof_rewrite = RedisModule_EmitAOF == NULL ? NULL : type_rewrite,
        .mem_usage = type_mem_usage,
        .digest = RedisModule_DigestAddStringBuffer == NULL ? NULL : type_digest,
        .free = type_free,
        .copy = type_copy,
    };
    type = RedisModule_CreateDataType(ctx, TYPE_NAME, ENCODING, &methods);
    if (type == NULL) {
        RedisModule_Log(ctx, "warning", "cannot register the data type " TYPE_NAME);
        return false;
    }
    none = config_create();
    return RedisModule_SubscribeToServerEvent(ctx, RedisModuleEvent_CronLoop, look) ==
           REDISMODULE_OK;
}

void store_end(void)
{
    config_destroy(none);
    none = NULL;
    served = NULL;
}
