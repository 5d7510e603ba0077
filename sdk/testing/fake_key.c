/* A keyspace of one database: strings and values of module types, with expiry. */
#include "testing/fake_internal.h"

#include <errno.h>

struct fake_value *fake_value_find(struct fake *fake, struct hl_slice name)
{
    struct fake_value *value = fake->values;
    while (value != NULL && !hl_slice_equal(value->name, name)) {
        value = value->next;
    }
    bool dead = value != NULL && value->expire_at != REDISMODULE_NO_EXPIRE &&
                value->expire_at <= fake->now_ms;
    if (dead) {
        fake_value_delete(fake, name);
        return NULL;
    }
    return value;
}

static void free_value(struct fake_value *value)
{
    if (value->type == REDISMODULE_KEYTYPE_MODULE && value->module_type->methods.free != NULL) {
        value->module_type->methods.free(value->value);
    }
    hl_buf_fini(&value->string);
}

bool fake_value_delete(struct fake *fake, struct hl_slice name)
{
    struct fake_value **at = &fake->values;
    while (*at != NULL && !hl_slice_equal((*at)->name, name)) {
        at = &(*at)->next;
    }
    struct fake_value *value = *at;
    if (value == NULL) {
        return false;
    }
    *at = value->next;
    free_value(value);
    hl_free((char *)value->name.ptr);
    hl_free(value);
    return true;
}

/* The value of that name, emptied, or a new one. */
static struct fake_value *make_value(struct fake *fake, struct hl_slice name)
{
    struct fake_value *value = fake_value_find(fake, name);
    if (value == NULL) {
        value = hl_calloc(1, sizeof *value);
        value->name = (struct hl_slice){.ptr = hl_strndup(name.ptr, name.len), .len = name.len};
        value->next = fake->values;
        fake->values = value;
    } else {
        free_value(value);
    }
    value->string = (struct hl_buf){0};
    value->module_type = NULL;
    value->value = NULL;
    value->expire_at = REDISMODULE_NO_EXPIRE;
    return value;
}

void fake_value_set(struct fake *fake, struct hl_slice name, struct hl_slice bytes)
{
    struct hl_buf copy = {0}; /* the bytes may be those of the old value */
    hl_buf_append_slice(&copy, bytes);
    struct fake_value *value = make_value(fake, name);
    value->type = REDISMODULE_KEYTYPE_STRING;
    value->string = copy;
}

/* ---- Handles ---- */

static struct hl_slice name_of(const RedisModuleKey *key)
{
    return (struct hl_slice){.ptr = key->name->ptr, .len = key->name->len};
}

static struct fake_value *value_of(const RedisModuleKey *key)
{
    return key == NULL ? NULL : fake_value_find(fake_current, name_of(key));
}

static bool writable(const RedisModuleKey *key)
{
    return key != NULL && (key->mode & REDISMODULE_WRITE) != 0;
}

static int fake_KeyExists(RedisModuleCtx *ctx, RedisModuleString *name)
{
    (void)ctx;
    return fake_value_find(fake_current, (struct hl_slice){.ptr = name->ptr, .len = name->len}) !=
           NULL;
}

static RedisModuleKey *fake_OpenKey(RedisModuleCtx *ctx, RedisModuleString *name, int mode)
{
    if ((mode & REDISMODULE_WRITE) == 0 && !fake_KeyExists(ctx, name)) {
        return NULL;
    }
    RedisModuleKey *key = hl_calloc(1, sizeof *key);
    *key = (RedisModuleKey){.ctx = ctx, .name = name, .mode = mode};
    name->refs++;
    fake_ctx_add(ctx, FAKE_KEY, key);
    return key;
}

static void fake_CloseKey(RedisModuleKey *key)
{
    if (key == NULL) {
        return;
    }
    fake_ctx_remove(key->ctx, key);
    fake_current->live--;
    fake_string_unref(key->name);
    hl_free(key);
}

static int fake_KeyType(RedisModuleKey *key)
{
    struct fake_value *value = value_of(key);
    return value == NULL ? REDISMODULE_KEYTYPE_EMPTY : value->type;
}

static size_t fake_ValueLength(RedisModuleKey *key)
{
    struct fake_value *value = value_of(key);
    return value == NULL ? 0 : value->string.len;
}

static int fake_DeleteKey(RedisModuleKey *key)
{
    if (!writable(key)) {
        return REDISMODULE_ERR;
    }
    fake_value_delete(fake_current, name_of(key));
    return REDISMODULE_OK;
}

static int fake_UnlinkKey(RedisModuleKey *key)
{
    return fake_DeleteKey(key);
}

static mstime_t fake_GetAbsExpire(RedisModuleKey *key)
{
    struct fake_value *value = value_of(key);
    return value == NULL ? REDISMODULE_NO_EXPIRE : value->expire_at;
}

static mstime_t fake_GetExpire(RedisModuleKey *key)
{
    mstime_t at = fake_GetAbsExpire(key);
    return at == REDISMODULE_NO_EXPIRE ? at : at - fake_current->now_ms;
}

static int fake_SetAbsExpire(RedisModuleKey *key, mstime_t at)
{
    struct fake_value *value = value_of(key);
    if (!writable(key) || value == NULL || (at < 0 && at != REDISMODULE_NO_EXPIRE)) {
        return REDISMODULE_ERR;
    }
    value->expire_at = at;
    return REDISMODULE_OK;
}

static int fake_SetExpire(RedisModuleKey *key, mstime_t expire)
{
    bool never = expire == REDISMODULE_NO_EXPIRE;
    if (expire < 0 && !never) {
        return REDISMODULE_ERR;
    }
    return fake_SetAbsExpire(key, never ? expire : fake_current->now_ms + expire);
}

static const RedisModuleString *fake_GetKeyNameFromModuleKey(RedisModuleKey *key)
{
    return key == NULL ? NULL : key->name;
}

/* ---- Strings ---- */

static int fake_StringSet(RedisModuleKey *key, RedisModuleString *str)
{
    if (!writable(key)) {
        return REDISMODULE_ERR;
    }
    fake_value_set(fake_current, name_of(key), (struct hl_slice){.ptr = str->ptr, .len = str->len});
    return REDISMODULE_OK;
}

static char *fake_StringDMA(RedisModuleKey *key, size_t *len, int mode)
{
    struct fake_value *value = value_of(key);
    bool wrong = value != NULL && value->type != REDISMODULE_KEYTYPE_STRING;
    if (key == NULL || wrong || ((mode & REDISMODULE_WRITE) != 0 && !writable(key))) {
        return NULL;
    }
    if (value == NULL || value->string.len == 0) {
        *len = 0;
        static char nothing[] = "<dma-empty-string>";
        return nothing;
    }
    *len = value->string.len;
    return value->string.ptr;
}

static int fake_StringTruncate(RedisModuleKey *key, size_t len)
{
    struct fake_value *value = value_of(key);
    bool wrong = value != NULL && value->type != REDISMODULE_KEYTYPE_STRING;
    if (!writable(key) || wrong || len > 512UL * 1024 * 1024) {
        return REDISMODULE_ERR;
    }
    if (value == NULL) {
        fake_value_set(fake_current, name_of(key), (struct hl_slice){0});
        value = value_of(key);
    }
    if (len > value->string.len) {
        size_t more = len - value->string.len;
        hl_buf_grow(&value->string, more);
        memset(value->string.ptr + value->string.len, 0, more);
    }
    value->string.len = len;
    if (len == 0) {
        fake_value_delete(fake_current, name_of(key));
    }
    return REDISMODULE_OK;
}

/* ---- Values of module types ---- */

static int fake_ModuleTypeSetValue(RedisModuleKey *key, RedisModuleType *type, void *what)
{
    if (!writable(key)) {
        return REDISMODULE_ERR;
    }
    struct fake_value *value = make_value(fake_current, name_of(key));
    value->type = REDISMODULE_KEYTYPE_MODULE;
    value->module_type = type;
    value->value = what;
    return REDISMODULE_OK;
}

static int fake_ModuleTypeReplaceValue(RedisModuleKey *key, RedisModuleType *type, void *what,
                                       void **old)
{
    struct fake_value *value = value_of(key);
    if (!writable(key) || value == NULL || value->module_type != type) {
        return REDISMODULE_ERR;
    }
    if (old != NULL) {
        *old = value->value;
    }
    value->value = what;
    return REDISMODULE_OK;
}

static RedisModuleType *fake_ModuleTypeGetType(RedisModuleKey *key)
{
    struct fake_value *value = value_of(key);
    return value == NULL ? NULL : value->module_type;
}

static void *fake_ModuleTypeGetValue(RedisModuleKey *key)
{
    struct fake_value *value = value_of(key);
    return value == NULL ? NULL : value->value;
}

void *fake_lookup_key(const char *name)
{
    static const struct fake_row rows[] = {
        FAKE_ROW(KeyExists),
        FAKE_ROW(OpenKey),
        FAKE_ROW(CloseKey),
        FAKE_ROW(KeyType),
        FAKE_ROW(ValueLength),
        FAKE_ROW(DeleteKey),
        FAKE_ROW(UnlinkKey),
        FAKE_ROW(GetExpire),
        FAKE_ROW(SetExpire),
        FAKE_ROW(GetAbsExpire),
        FAKE_ROW(SetAbsExpire),
        FAKE_ROW(GetKeyNameFromModuleKey),
        FAKE_ROW(StringSet),
        FAKE_ROW(StringDMA),
        FAKE_ROW(StringTruncate),
        FAKE_ROW(ModuleTypeSetValue),
        FAKE_ROW(ModuleTypeReplaceValue),
        FAKE_ROW(ModuleTypeGetType),
        FAKE_ROW(ModuleTypeGetValue),
    };
    return fake_find(rows, HL_ARRAY_LEN(rows), name);
}
