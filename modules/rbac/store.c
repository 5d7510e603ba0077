#include "store.h"

#include "helios/home_key.h"
#include "kit/assert.h"

#include <stdatomic.h>

#define TYPE_NAME "hlrbacpol" /* stored with each value: for ever */
#define ENCODING 1
#define KEY_NAME "rbac:policy"

static RedisModuleType *type;
static struct policy *built_in;  /* what holds while there is no key */
static _Atomic uint64_t changes; /* values may be freed on another thread */

uint64_t store_changes(void)
{
    return atomic_load(&changes);
}

static void type_free(void *value)
{
    policy_destroy(value);
    atomic_fetch_add(&changes, 1);
}

static void *type_load(RedisModuleIO *io, int encoding)
{
    size_t len = 0;
    struct policy *policy = NULL;
    if (encoding != ENCODING) {
        RedisModule_LogIOError(io, "warning", "a policy of encoding %d is from a later release",
                               encoding);
        return NULL;
    }
    char *bytes = RedisModule_LoadStringBuffer(io, &len);
    if (bytes == NULL) {
        return NULL; /* cut short: the server reports it */
    }
    hl_err err = policy_decode(&policy, (struct hl_slice){bytes, len});
    RedisModule_Free(bytes);
    if (err != HL_OK) {
        RedisModule_LogIOError(io, "warning", "%s",
                               err == HL_EVERSION ? "a policy is from a later release"
                                                  : "a policy is damaged");
        return NULL;
    }
    atomic_fetch_add(&changes, 1);
    return policy;
}

static void type_save(RedisModuleIO *io, void *value)
{
    struct hl_buf bytes = {0};
    policy_encode(value, &bytes);
    RedisModule_SaveStringBuffer(io, bytes.ptr, bytes.len);
    hl_buf_fini(&bytes);
}

static void type_rewrite(RedisModuleIO *io, RedisModuleString *key, void *value)
{
    struct hl_buf bytes = {0};
    policy_encode(value, &bytes);
    RedisModule_EmitAOF(io, "RBAC._PUT", "sb", key, bytes.ptr, bytes.len);
    hl_buf_fini(&bytes);
}

static size_t type_mem_usage(const void *value)
{
    return policy_bytes(value);
}

static void type_digest(RedisModuleDigest *digest, void *value)
{
    struct hl_buf bytes = {0};
    policy_encode(value, &bytes);
    RedisModule_DigestAddStringBuffer(digest, bytes.ptr, bytes.len);
    RedisModule_DigestEndSequence(digest);
    hl_buf_fini(&bytes);
}

static void *type_copy(RedisModuleString *from, RedisModuleString *to, const void *value)
{
    (void)from;
    (void)to;
    struct hl_buf bytes = {0};
    struct policy *copy = NULL;
    policy_encode(value, &bytes);
    hl_err err = policy_decode(&copy, hl_buf_view(&bytes));
    HL_ASSERT(err == HL_OK);
    hl_buf_fini(&bytes);
    return copy;
}

int store_register(RedisModuleCtx *ctx)
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
        return REDISMODULE_ERR;
    }
    built_in = policy_create();
    return REDISMODULE_OK;
}

void store_end(void)
{
    policy_destroy(built_in);
    built_in = NULL;
}

struct policy *store_policy(RedisModuleCtx *ctx, bool write)
{
    struct helios_home_key home = HeliosModule_OpenHome(ctx, KEY_NAME, write);
    struct policy *found = HeliosModule_HomeValue(&home, type);
    if (HeliosModule_HomeIsEmpty(&home)) {
        found = write ? policy_create() : built_in;
        if (write && RedisModule_ModuleTypeSetValue(home.key, type, found) != REDISMODULE_OK) {
            policy_destroy(found);
            found = NULL;
        }
    }
    HeliosModule_CloseHome(&home);
    return found;
}

void store_changed(RedisModuleCtx *ctx)
{
    struct helios_home_key home = HeliosModule_OpenHome(ctx, KEY_NAME, true);
    const struct policy *policy = HeliosModule_HomeValue(&home, type);
    if (policy != NULL && policy_is_empty(policy)) {
        RedisModule_DeleteKey(home.key);
    }
    HeliosModule_CloseHome(&home);
    atomic_fetch_add(&changes, 1);
}

bool store_replace(RedisModuleCtx *ctx, RedisModuleString *name, struct hl_slice bytes)
{
    struct policy *policy = NULL;
    if (policy_decode(&policy, bytes) != HL_OK) {
        return false;
    }
    RedisModuleKey *key = RedisModule_OpenKey(ctx, name, REDISMODULE_READ | REDISMODULE_WRITE);
    bool done = RedisModule_ModuleTypeSetValue(key, type, policy) == REDISMODULE_OK;
    if (!done) {
        policy_destroy(policy);
    }
    RedisModule_CloseKey(key);
    atomic_fetch_add(&changes, 1);
    return done;
}
