/* Data types: registration, saving and loading into memory, and a restart of the whole fake. */
#include "testing/fake_internal.h"

#define NAME_LEN 9
#define ENCVER_MAX 1023
#define METHODS_VERSION_MAX 5

/* Sizes of RedisModuleTypeMethods by version: no more than that may be read. */
static const size_t methods_sizes[METHODS_VERSION_MAX + 1] = {0, 56, 80, 112, 144, 152};

static RedisModuleType *fake_CreateDataType(RedisModuleCtx *ctx, const char *name, int encver,
                                            RedisModuleTypeMethods *methods)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    struct fake *fake = ctx->fake;
    bool named = strlen(name) == NAME_LEN && strspn(name, letters) == NAME_LEN;
    if (!fake->loading || !named || encver < 0 || encver > ENCVER_MAX || methods->version == 0) {
        return NULL;
    }
    HL_ASSERT(methods->version <= METHODS_VERSION_MAX);
    HL_ASSERT(fake->type_count < FAKE_ITEMS_MAX);
    RedisModuleType *type = hl_calloc(1, sizeof *type);
    memcpy(type->name, name, NAME_LEN);
    type->encver = encver;
    memcpy(&type->methods, methods, methods_sizes[methods->version]);
    fake->types[fake->type_count++] = type;
    return type;
}

static int fake_GetTypeMethodVersion(void)
{
    return METHODS_VERSION_MAX;
}

/* ---- Saving and loading: each value is a tag, then its bytes ---- */

static void save(RedisModuleIO *io, char tag, const void *bytes, size_t len)
{
    hl_buf_append(&io->bytes, &tag, 1);
    hl_buf_append_le64(&io->bytes, len);
    hl_buf_append(&io->bytes, bytes, len);
}

/* The bytes of the next value when it has that tag; else the stream is bad from here on. */
static struct hl_slice load(RedisModuleIO *io, char tag)
{
    if (io->failed || io->bytes.len - io->at < 9 || io->bytes.ptr[io->at] != tag) {
        io->failed = true;
        return (struct hl_slice){0};
    }
    size_t len = hl_get_le64(io->bytes.ptr + io->at + 1);
    struct hl_slice value = {.ptr = io->bytes.ptr + io->at + 9, .len = len};
    io->at += 9 + len;
    return value;
}

static void fake_SaveUnsigned(RedisModuleIO *io, uint64_t value)
{
    save(io, 'u', &value, sizeof value);
}

static uint64_t fake_LoadUnsigned(RedisModuleIO *io)
{
    struct hl_slice bytes = load(io, 'u');
    uint64_t value = 0;
    memcpy(&value, bytes.len == sizeof value ? bytes.ptr : (const char *)&value, sizeof value);
    return value;
}

static void fake_SaveSigned(RedisModuleIO *io, int64_t value)
{
    fake_SaveUnsigned(io, (uint64_t)value);
}

static int64_t fake_LoadSigned(RedisModuleIO *io)
{
    return (int64_t)fake_LoadUnsigned(io);
}

static void fake_SaveDouble(RedisModuleIO *io, double value)
{
    save(io, 'd', &value, sizeof value);
}

static double fake_LoadDouble(RedisModuleIO *io)
{
    struct hl_slice bytes = load(io, 'd');
    double value = 0;
    memcpy(&value, bytes.len == sizeof value ? bytes.ptr : (const char *)&value, sizeof value);
    return value;
}

static void fake_SaveStringBuffer(RedisModuleIO *io, const char *str, size_t len)
{
    save(io, 's', str, len);
}

static void fake_SaveString(RedisModuleIO *io, RedisModuleString *str)
{
    save(io, 's', str->ptr, str->len);
}

static RedisModuleString *fake_LoadString(RedisModuleIO *io)
{
    struct hl_slice bytes = load(io, 's');
    if (io->failed) {
        return NULL;
    }
    RedisModuleString *str = fake_string_new(io->fake, bytes.ptr, bytes.len);
    fake_ctx_add(NULL, FAKE_STRING, str);
    return str;
}

static char *fake_LoadStringBuffer(RedisModuleIO *io, size_t *len)
{
    struct hl_slice bytes = load(io, 's');
    if (io->failed) {
        return NULL;
    }
    if (len != NULL) {
        *len = bytes.len;
    }
    return hl_strndup(bytes.ptr, bytes.len);
}

static int fake_IsIOError(RedisModuleIO *io)
{
    return io->failed;
}

static RedisModuleCtx *fake_GetContextFromIO(RedisModuleIO *io)
{
    return io->ctx;
}

static const RedisModuleString *fake_GetKeyNameFromIO(RedisModuleIO *io)
{
    return io->key;
}

static int fake_GetDbIdFromIO(RedisModuleIO *io)
{
    return io->key == NULL ? -1 : 0;
}

static RedisModuleString *fake_SaveDataTypeToString(RedisModuleCtx *ctx, void *data,
                                                    const RedisModuleType *type)
{
    RedisModuleCtx inner;
    fake_ctx_init(&inner, fake_current);
    RedisModuleIO io = {.fake = fake_current, .ctx = &inner};
    type->methods.rdb_save(&io, data);
    RedisModuleString *str = fake_string_new(fake_current, io.bytes.ptr, io.bytes.len);
    fake_ctx_add(ctx, FAKE_STRING, str);
    hl_buf_fini(&io.bytes);
    fake_ctx_fini(&inner);
    return str;
}

static void *fake_LoadDataTypeFromString(const RedisModuleString *str, const RedisModuleType *type)
{
    RedisModuleCtx inner;
    fake_ctx_init(&inner, fake_current);
    RedisModuleIO io = {.fake = fake_current, .ctx = &inner};
    hl_buf_append(&io.bytes, str->ptr, str->len);
    void *value = type->methods.rdb_load(&io, type->encver);
    hl_buf_fini(&io.bytes);
    fake_ctx_fini(&inner);
    return value;
}

/* ---- A restart ---- */

/* Save a value and load it anew in its place. */
static bool reload_value(struct fake *fake, struct fake_value *value)
{
    RedisModuleType *type = value->module_type;
    RedisModuleCtx ctx;
    fake_ctx_init(&ctx, fake);
    RedisModuleString *name = fake_string_new(fake, value->name.ptr, value->name.len);
    RedisModuleIO io = {.fake = fake, .ctx = &ctx, .key = name};
    type->methods.rdb_save(&io, value->value);
    void *loaded = type->methods.rdb_load(&io, type->encver);
    bool good = loaded != NULL && !io.failed && io.at == io.bytes.len;
    if (good) {
        type->methods.free(value->value);
        value->value = loaded;
    } else if (loaded != NULL) {
        type->methods.free(loaded);
    }
    hl_buf_fini(&io.bytes);
    fake_string_unref(name);
    fake_ctx_fini(&ctx);
    return good;
}

/* Save and load the globals of a type, those before the keys and those after. */
static bool reload_aux(struct fake *fake, RedisModuleType *type, int when)
{
    RedisModuleTypeAuxSaveFunc aux_save =
        type->methods.aux_save2 != NULL ? type->methods.aux_save2 : type->methods.aux_save;
    if (aux_save == NULL || type->methods.aux_load == NULL ||
        (type->methods.aux_save_triggers & when) == 0) {
        return true;
    }
    RedisModuleCtx ctx;
    fake_ctx_init(&ctx, fake);
    RedisModuleIO io = {.fake = fake, .ctx = &ctx};
    aux_save(&io, when);
    bool good = true;
    if (io.bytes.len != 0) {
        good = type->methods.aux_load(&io, type->encver, when) == REDISMODULE_OK && !io.failed &&
               io.at == io.bytes.len;
    }
    hl_buf_fini(&io.bytes);
    fake_ctx_fini(&ctx);
    return good;
}

bool fake_reload(struct fake *fake)
{
    bool good = true;
    for (size_t i = 0; i < fake->type_count; i++) {
        good = reload_aux(fake, fake->types[i], REDISMODULE_AUX_BEFORE_RDB) && good;
    }
    for (struct fake_value *value = fake->values; value != NULL; value = value->next) {
        if (value->type == REDISMODULE_KEYTYPE_MODULE) {
            good = reload_value(fake, value) && good;
        }
    }
    for (size_t i = 0; i < fake->type_count; i++) {
        good = reload_aux(fake, fake->types[i], REDISMODULE_AUX_AFTER_RDB) && good;
    }
    return good;
}

void *fake_lookup_type(const char *name)
{
    static const struct fake_row rows[] = {
        FAKE_ROW(CreateDataType), FAKE_ROW(GetTypeMethodVersion), FAKE_ROW(SaveUnsigned),
        FAKE_ROW(LoadUnsigned),   FAKE_ROW(SaveSigned),           FAKE_ROW(LoadSigned),
        FAKE_ROW(SaveDouble),     FAKE_ROW(LoadDouble),           FAKE_ROW(SaveStringBuffer),
        FAKE_ROW(SaveString),     FAKE_ROW(LoadString),           FAKE_ROW(LoadStringBuffer),
        FAKE_ROW(IsIOError),      FAKE_ROW(GetContextFromIO),     FAKE_ROW(GetKeyNameFromIO),
        FAKE_ROW(GetDbIdFromIO),  FAKE_ROW(SaveDataTypeToString), FAKE_ROW(LoadDataTypeFromString),
    };
    return fake_find(rows, HL_ARRAY_LEN(rows), name);
}
