#include "store.h"

#include "helios/home_key.h"
#include "kit/assert.h"

#define LIMITER_TYPE "hlratelim" /* stored with each value: for ever */
#define POLICIES_TYPE "hlratepol"
#define ENCODING 1
#define POLICIES_KEY "ratelimit:policies"

/* A limiter is kept as its stored form: checked at every door, small, and equal when equal. */
struct blob {
    size_t len;
    char bytes[];
};

static RedisModuleType *limiter_type;
static RedisModuleType *policies_type;

/* ---- The type of a limiter ------------------------------------------------------------------ */

static struct blob *blob_create(const void *bytes, size_t len)
{
    struct blob *blob = RedisModule_Alloc(sizeof *blob + len);
    blob->len = len;
    memcpy(blob->bytes, bytes, len);
    return blob;
}

/* The one string that a value was saved as; NULL when it is cut short or of a later release. */
static char *load_bytes(RedisModuleIO *io, int encoding, size_t *len)
{
    if (encoding != ENCODING) {
        RedisModule_LogIOError(io, "warning", "encoding %d is from a later release", encoding);
        return NULL;
    }
    return RedisModule_LoadStringBuffer(io, len);
}

static void *limiter_load(RedisModuleIO *io, int encoding)
{
    size_t len = 0;
    struct limiter limiter;
    char *bytes = load_bytes(io, encoding, &len);
    if (bytes == NULL) {
        return NULL;
    }
    hl_err err = limiter_decode(&limiter, (struct hl_slice){bytes, len});
    struct blob *blob = err == HL_OK ? blob_create(bytes, len) : NULL;
    if (blob == NULL) {
        RedisModule_LogIOError(io, "warning", "%s",
                               err == HL_EVERSION ? "a rate limiter is from a later release"
                                                  : "a rate limiter is damaged");
    }
    RedisModule_Free(bytes);
    return blob;
}

static void limiter_save(RedisModuleIO *io, void *value)
{
    const struct blob *blob = value;
    RedisModule_SaveStringBuffer(io, blob->bytes, blob->len);
}

/* The server adds the expiry itself. */
static void limiter_rewrite(RedisModuleIO *io, RedisModuleString *key, void *value)
{
    const struct blob *blob = value;
    RedisModule_EmitAOF(io, "RATELIMIT._PUT", "slb", key, 0LL, blob->bytes, blob->len);
}

static size_t limiter_mem_usage(const void *value)
{
    const struct blob *blob = value;
    return sizeof *blob + blob->len;
}

static void limiter_digest(RedisModuleDigest *digest, void *value)
{
    const struct blob *blob = value;
    RedisModule_DigestAddStringBuffer(digest, blob->bytes, blob->len);
    RedisModule_DigestEndSequence(digest);
}

static void *limiter_copy(RedisModuleString *from, RedisModuleString *to, const void *value)
{
    (void)from;
    (void)to;
    const struct blob *blob = value;
    return blob_create(blob->bytes, blob->len);
}

static void limiter_free(void *value)
{
    RedisModule_Free(value);
}

/* ---- The type of the table of policies ------------------------------------------------------ */

static struct policies *policies_create(void)
{
    return RedisModule_Calloc(1, sizeof(struct policies));
}

static void policies_free(void *value)
{
    policies_fini(value);
    RedisModule_Free(value);
}

static void *policies_load(RedisModuleIO *io, int encoding)
{
    size_t len = 0;
    char *bytes = load_bytes(io, encoding, &len);
    if (bytes == NULL) {
        return NULL;
    }
    struct policies *policies = policies_create();
    if (policies_decode(policies, (struct hl_slice){bytes, len}) != HL_OK) {
        RedisModule_LogIOError(io, "warning", "the table of rate limit policies is damaged");
        policies_free(policies);
        policies = NULL;
    }
    RedisModule_Free(bytes);
    return policies;
}

static void policies_save(RedisModuleIO *io, void *value)
{
    struct hl_buf bytes = {0};
    policies_encode(value, &bytes);
    RedisModule_SaveStringBuffer(io, bytes.ptr, bytes.len);
    hl_buf_fini(&bytes);
}

static void policies_rewrite(RedisModuleIO *io, RedisModuleString *key, void *value)
{
    (void)key;
    const struct policies *policies = value;
    for (size_t i = 0; i < policies->count; i++) {
        const struct policy *policy = &policies->items[i];
        const struct limit *limit = &policy->limit;
        const char *algorithm = limit_algorithm_name(limit->algorithm);
        if (limit->algorithm == LIMIT_WINDOW) {
            RedisModule_EmitAOF(io, "RATELIMIT.POLICY", "cccll", "SET", policy->name, algorithm,
                                (long long)limit->capacity, (long long)limit->num);
        } else {
            RedisModule_EmitAOF(io, "RATELIMIT.POLICY", "ccclll", "SET", policy->name, algorithm,
                                (long long)limit->capacity, (long long)limit->num,
                                (long long)limit->den);
        }
    }
}

static size_t policies_mem_usage(const void *value)
{
    const struct policies *policies = value;
    return sizeof *policies + policies->count * sizeof *policies->items;
}

static void policies_digest(RedisModuleDigest *digest, void *value)
{
    struct hl_buf bytes = {0};
    policies_encode(value, &bytes);
    RedisModule_DigestAddStringBuffer(digest, bytes.ptr, bytes.len);
    RedisModule_DigestEndSequence(digest);
    hl_buf_fini(&bytes);
}

static void *policies_copy(RedisModuleString *from, RedisModuleString *to, const void *value)
{
    (void)from;
    (void)to;
    struct hl_buf bytes = {0};
    struct policies *copy = policies_create();
    policies_encode(value, &bytes);
    hl_err err = policies_decode(copy, hl_buf_view(&bytes));
    HL_ASSERT(err == HL_OK);
    hl_buf_fini(&bytes);
    return copy;
}

int store_register(RedisModuleCtx *ctx)
{
    RedisModuleTypeMethods limiters = {
        .version = REDISMODULE_TYPE_METHOD_VERSION,
        .rdb_load = limiter_load,
        .rdb_save = limiter_save,
        .aof_rewrite = RedisModule_EmitAOF == NULL ? NULL : limiter_rewrite,
        .mem_usage = limiter_mem_usage,
        .digest = RedisModule_DigestAddStringBuffer == NULL ? NULL : limiter_digest,
        .free = limiter_free,
        .copy = limiter_copy,
    };
    RedisModuleTypeMethods policies = {
        .version = REDISMODULE_TYPE_METHOD_VERSION,
        .rdb_load = policies_load,
        .rdb_save = policies_save,
        .aof_rewrite = RedisModule_EmitAOF == NULL ? NULL : policies_rewrite,
        .mem_usage = policies_mem_usage,
        .digest = RedisModule_DigestAddStringBuffer == NULL ? NULL : policies_digest,
        .free = policies_free,
        .copy = policies_copy,
    };
    limiter_type = RedisModule_CreateDataType(ctx, LIMITER_TYPE, ENCODING, &limiters);
    policies_type = RedisModule_CreateDataType(ctx, POLICIES_TYPE, ENCODING, &policies);
    if (limiter_type == NULL || policies_type == NULL) {
        RedisModule_Log(ctx, "warning", "cannot register the data types");
        return REDISMODULE_ERR;
    }
    return REDISMODULE_OK;
}

/* ---- Limiters ------------------------------------------------------------------------------- */

int64_t store_now_ms(void)
{
    int64_t now_ms = RedisModule_CachedMicroseconds != NULL
                         ? RedisModule_CachedMicroseconds() / 1000
                         : RedisModule_Milliseconds();
    if (now_ms < 0) {
        return 0;
    }
    return now_ms < LIMIT_NOW_MAX_MS ? now_ms : LIMIT_NOW_MAX_MS;
}

static bool is_empty(RedisModuleKey *key)
{
    return key == NULL || RedisModule_KeyType(key) == REDISMODULE_KEYTYPE_EMPTY;
}

bool store_open(RedisModuleCtx *ctx, struct place *place, RedisModuleString *name, bool write)
{
    int mode = write ? REDISMODULE_READ | REDISMODULE_WRITE : REDISMODULE_READ;
    place->name = name;
    place->key = RedisModule_OpenKey(ctx, name, mode);
    place->present = !is_empty(place->key);
    if (!place->present) {
        return true;
    }
    if (RedisModule_ModuleTypeGetType(place->key) != limiter_type) {
        store_close(place);
        return false;
    }
    const struct blob *blob = RedisModule_ModuleTypeGetValue(place->key);
    hl_err err = limiter_decode(&place->limiter, (struct hl_slice){blob->bytes, blob->len});
    HL_ASSERT(err == HL_OK); /* every door checks */
    return true;
}

void store_close(struct place *place)
{
    if (place->key != NULL) {
        RedisModule_CloseKey(place->key);
        place->key = NULL;
    }
}

/* Put the bytes into the key, in place when they fit; false when it is not open for writing. */
static bool set(RedisModuleKey *key, const void *bytes, size_t len, int64_t deadline_ms)
{
    struct blob *blob = is_empty(key) ? NULL : RedisModule_ModuleTypeGetValue(key);
    if (blob != NULL && blob->len == len) {
        memcpy(blob->bytes, bytes, len);
    } else {
        blob = blob_create(bytes, len);
        if (RedisModule_ModuleTypeSetValue(key, limiter_type, blob) != REDISMODULE_OK) {
            RedisModule_Free(blob);
            return false;
        }
    }
    if (deadline_ms != 0) {
        RedisModule_SetAbsExpire(key, deadline_ms);
    } else {
        RedisModule_SetExpire(key, REDISMODULE_NO_EXPIRE);
    }
    return true;
}

bool store_put(RedisModuleCtx *ctx, struct place *place, int64_t reset_ms)
{
    HL_ASSERT(place->key != NULL);
    HL_ASSERT(reset_ms >= 0);
    unsigned char bytes[LIMITER_BYTES_MAX];
    if (reset_ms == 0) {
        store_drop(ctx, place);
        return true;
    }
    size_t len = limiter_encode(&place->limiter, bytes);
    int64_t deadline_ms = store_now_ms() + reset_ms;
    if (!set(place->key, bytes, len, deadline_ms)) {
        return false;
    }
    RedisModule_Replicate(ctx, "RATELIMIT._PUT", "slb", place->name, (long long)deadline_ms,
                          (const char *)bytes, len);
    return true;
}

void store_drop(RedisModuleCtx *ctx, struct place *place)
{
    if (place->present && RedisModule_DeleteKey(place->key) == REDISMODULE_OK) {
        RedisModule_Replicate(ctx, "DEL", "s", place->name);
        place->present = false;
    }
}

int cmd_put(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long deadline_ms = 0;
    size_t len = 0;
    struct limiter limiter;
    if (argc != 4) {
        return RedisModule_WrongArity(ctx);
    }
    int flags = RedisModule_GetContextFlags(ctx);
    if ((flags & (REDISMODULE_CTX_FLAGS_REPLICATED | REDISMODULE_CTX_FLAGS_LOADING)) == 0) {
        return RedisModule_ReplyWithError(ctx, "ERR RATELIMIT._PUT applies effects of this module; "
                                               "it is not for clients");
    }
    const char *bytes = RedisModule_StringPtrLen(argv[3], &len);
    if (RedisModule_StringToLongLong(argv[2], &deadline_ms) != REDISMODULE_OK || deadline_ms < 0 ||
        limiter_decode(&limiter, (struct hl_slice){bytes, len}) != HL_OK) {
        return RedisModule_ReplyWithError(ctx, "ERR RATELIMIT._PUT got no limiter");
    }
    struct place place;
    if (!store_open(ctx, &place, argv[1], true)) {
        return RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    bool done = set(place.key, bytes, len, deadline_ms);
    store_close(&place);
    if (!done) {
        return RedisModule_ReplyWithError(ctx, "ERR the key cannot be written here");
    }
    RedisModule_ReplicateVerbatim(ctx);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

/* ---- Policies ------------------------------------------------------------------------------- */

struct policies *store_policies(RedisModuleCtx *ctx, bool write)
{
    struct helios_home_key home = HeliosModule_OpenHome(ctx, POLICIES_KEY, write);
    struct policies *found = HeliosModule_HomeValue(&home, policies_type);
    if (write && HeliosModule_HomeIsEmpty(&home)) {
        found = policies_create();
        if (RedisModule_ModuleTypeSetValue(home.key, policies_type, found) != REDISMODULE_OK) {
            policies_free(found);
            found = NULL;
        }
    }
    HeliosModule_CloseHome(&home);
    return found;
}

void store_policies_changed(RedisModuleCtx *ctx)
{
    struct helios_home_key home = HeliosModule_OpenHome(ctx, POLICIES_KEY, true);
    const struct policies *policies = HeliosModule_HomeValue(&home, policies_type);
    if (policies != NULL && policies->count == 0) {
        RedisModule_DeleteKey(home.key);
    }
    HeliosModule_CloseHome(&home);
}
