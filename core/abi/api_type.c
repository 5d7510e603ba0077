/* Data types of modules: registration, values under keys, and copies. */
#include "abi/internal.h"
#include "keyspace/dump.h"

#define TYPE_NAME_LEN 9
#define METHODS_VERSION_MAX 5 /* what this server reads */
/* A version beyond any that exists: the word at the front is a function's address, because the
 * module was built for the eight-argument CreateDataType of 4.0's release candidates. */
#define METHODS_VERSION_INSANE 16

/* Bytes of RedisModuleTypeMethods in each version: no more may be read of an older module's. */
static const size_t methods_sizes[METHODS_VERSION_MAX + 1] = {0, 56, 80, 112, 144, 152};

/* Name and version as the 64-bit id that is stored with values; 0 when the name is malformed. */
static uint64_t make_id(const char *name, int encver)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint64_t id = 0;
    if (name == NULL || strlen(name) != TYPE_NAME_LEN || encver < 0 ||
        encver > HL_TYPE_ENCODING_MAX) {
        return 0;
    }
    for (int i = 0; i < TYPE_NAME_LEN; i++) {
        const char *at = strchr(letters, name[i]);
        if (at == NULL) {
            return 0;
        }
        id = id << 6 | (uint64_t)(at - letters);
    }
    return id << 10 | (uint64_t)encver;
}

RedisModuleType *hl_type_by_id(struct hl_abi *abi, uint64_t id)
{
    HL_LIST_EACH(m, &abi->modules)
    {
        struct hl_module *module = HL_LIST_ENTRY(m, struct hl_module, node);
        HL_LIST_EACH(t, &module->types)
        {
            RedisModuleType *type = HL_LIST_ENTRY(t, RedisModuleType, node);
            if (type->id >> 10 == id >> 10) {
                return type;
            }
        }
    }
    return NULL;
}

/* A type of the module that is being loaded is not in abi->modules yet. */
static bool id_taken(RedisModuleCtx *ctx, struct hl_module *module, uint64_t id)
{
    HL_LIST_EACH(t, &module->types)
    {
        if (HL_LIST_ENTRY(t, RedisModuleType, node)->id >> 10 == id >> 10) {
            return true;
        }
    }
    return hl_type_by_id(ctx->abi, id) != NULL;
}

RedisModuleType *hl_rm_CreateDataType(RedisModuleCtx *ctx, const char *name, int encver,
                                      RedisModuleTypeMethods *typemethods)
{
    struct hl_module *module = ctx->module;
    uint64_t id = make_id(name, encver);
    if (module == NULL || !module->loading || id == 0 || typemethods == NULL) {
        return NULL;
    }
    uint64_t version = typemethods->version;
    if (version == 0 || version > METHODS_VERSION_INSANE || id_taken(ctx, module, id)) {
        return NULL;
    }
    RedisModuleType *type = hl_calloc(1, sizeof *type);
    type->module = module;
    type->id = id;
    memcpy(type->name, name, TYPE_NAME_LEN);
    size_t known = version > METHODS_VERSION_MAX ? METHODS_VERSION_MAX : version;
    memcpy(&type->methods, typemethods, methods_sizes[known]);
    hl_list_append(&module->types, &type->node);
    return type;
}

int hl_rm_GetTypeMethodVersion(void)
{
    return METHODS_VERSION_MAX;
}

void hl_type_drop(struct hl_module *module)
{
    HL_LIST_EACH(t, &module->types)
    {
        RedisModuleType *type = HL_LIST_ENTRY(t, RedisModuleType, node);
        HL_ASSERT(type->live == 0); /* the loader refuses to unload before */
        hl_list_remove(t);
        hl_free(type);
    }
}

/* ---- Values ---- */

void hl_type_free_value(void *ctx, void *type_ptr, void *value)
{
    (void)ctx;
    RedisModuleType *type = type_ptr;
    HL_ASSERT(type->live > 0);
    type->live--;
    if (type->methods.free != NULL) {
        type->methods.free(value);
    }
}

int hl_rm_ModuleTypeSetValue(RedisModuleKey *key, RedisModuleType *mt, void *value)
{
    if (!hl_key_writable(key) || mt == NULL) {
        return REDISMODULE_ERR;
    }
    mt->live++;
    hl_db_set_module(hl_key_db(key), hl_string_slice(key->name), mt, value);
    hl_key_changed(key);
    hl_blocked_key_ready(key->abi, key->db, hl_string_slice(key->name));
    return REDISMODULE_OK;
}

int hl_rm_ModuleTypeReplaceValue(RedisModuleKey *key, RedisModuleType *mt, void *new_value,
                                 void **old_value)
{
    struct hl_entry *entry = hl_key_typed(key, HL_TYPE_MODULE);
    if (!hl_key_writable(key) || entry == NULL || hl_entry_module_type(entry) != mt) {
        return REDISMODULE_ERR;
    }
    void *old = hl_entry_module_swap(entry, new_value);
    if (old_value != NULL) {
        *old_value = old;
    }
    hl_key_changed(key);
    return REDISMODULE_OK;
}

RedisModuleType *hl_rm_ModuleTypeGetType(RedisModuleKey *key)
{
    struct hl_entry *entry = hl_key_typed(key, HL_TYPE_MODULE);
    return entry == NULL ? NULL : hl_entry_module_type(entry);
}

void *hl_rm_ModuleTypeGetValue(RedisModuleKey *key)
{
    struct hl_entry *entry = hl_key_typed(key, HL_TYPE_MODULE);
    return entry == NULL ? NULL : hl_entry_module_value(entry);
}

void *hl_type_copy_value(struct hl_abi *abi, void *type_ptr, void *value, struct hl_slice from,
                         struct hl_slice to)
{
    RedisModuleType *type = type_ptr;
    if (type->methods.copy2 == NULL && type->methods.copy == NULL) {
        return NULL;
    }
    RedisModuleString *from_name = hl_string_new(from);
    RedisModuleString *to_name = hl_string_new(to);
    hl_abi_enter(abi);
    void *copy = NULL;
    if (type->methods.copy2 != NULL) {
        RedisModuleKeyOptCtx opt = {.from = from_name, .to = to_name};
        copy = type->methods.copy2(&opt, value);
    } else {
        copy = type->methods.copy(from_name, to_name, value);
    }
    hl_string_unref(from_name);
    hl_string_unref(to_name);
    if (copy != NULL) {
        type->live++;
    }
    return copy;
}

size_t hl_type_memory(struct hl_abi *abi, void *type_ptr, const void *value, struct hl_slice key,
                      int db, size_t samples)
{
    RedisModuleType *type = type_ptr;
    size_t size = 0;
    hl_abi_enter(abi);
    if (type->methods.mem_usage2 != NULL) {
        RedisModuleString *name = hl_string_new(key);
        RedisModuleKeyOptCtx opt = {.from = name, .from_db = db, .to_db = -1};
        size = type->methods.mem_usage2(&opt, value, samples);
        hl_string_unref(name);
    } else if (type->methods.mem_usage != NULL) {
        size = type->methods.mem_usage(value);
    }
    return size;
}

const char *hl_type_name(void *type)
{
    return ((RedisModuleType *)type)->name;
}

/* ---- What a method may ask about its key ---- */

int hl_rm_GetDbIdFromOptCtx(RedisModuleKeyOptCtx *ctx)
{
    return ctx->from_db;
}

int hl_rm_GetToDbIdFromOptCtx(RedisModuleKeyOptCtx *ctx)
{
    return ctx->to_db;
}

const RedisModuleString *hl_rm_GetKeyNameFromOptCtx(RedisModuleKeyOptCtx *ctx)
{
    return ctx->from;
}

const RedisModuleString *hl_rm_GetToKeyNameFromOptCtx(RedisModuleKeyOptCtx *ctx)
{
    return ctx->to;
}
