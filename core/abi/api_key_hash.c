/* Hash values: RM_HashSet and RM_HashGet, whose arguments end with NULL. */
#include "abi/internal.h"
#include "keyspace/hash.h"

#include <errno.h>

/* The next field as bytes; false at the end of the arguments. */
static bool next_field(va_list *args, int flags, struct hl_slice *field)
{
    if ((flags & REDISMODULE_HASH_CFIELDS) != 0) {
        const char *text = va_arg(*args, const char *);
        if (text == NULL) {
            return false;
        }
        *field = hl_slice_of(text);
        return true;
    }
    const RedisModuleString *str = va_arg(*args, const RedisModuleString *);
    if (str == NULL) {
        return false;
    }
    *field = hl_string_slice(str);
    return true;
}

static bool has_field(struct hl_entry *entry, struct hl_slice field)
{
    char scratch[HL_HASH_SCRATCH];
    struct hl_slice value;
    return entry != NULL && hl_hash_get(entry, field, &value, scratch);
}

/* Set or delete one field; 1 when it counts for the result of HashSet. */
static int set_field(RedisModuleKey *key, struct hl_slice field, RedisModuleString *value,
                     int flags)
{
    struct hl_db *db = hl_key_db(key);
    struct hl_entry *entry = hl_key_entry(key);
    bool exists = has_field(entry, field);
    if (((flags & REDISMODULE_HASH_NX) != 0 && exists) ||
        ((flags & REDISMODULE_HASH_XX) != 0 && !exists)) {
        return 0;
    }
    if (value == REDISMODULE_HASH_DELETE) {
        if (!exists) {
            return 0;
        }
        hl_hash_delete(entry, field);
        if (hl_hash_len(entry) == 0) {
            hl_db_delete(db, hl_string_slice(key->name));
        }
        hl_key_changed(key);
        return 1;
    }
    if (entry == NULL) {
        entry = hl_db_add_hash(db, hl_string_slice(key->name));
    }
    hl_hash_set(key->abi->ks, entry, field, hl_string_slice(value));
    hl_key_changed(key);
    return exists || (flags & REDISMODULE_HASH_COUNT_ALL) != 0;
}

int hl_rm_HashSet(RedisModuleKey *key, int flags, ...)
{
    static const int known = REDISMODULE_HASH_NX | REDISMODULE_HASH_XX | REDISMODULE_HASH_CFIELDS |
                             REDISMODULE_HASH_COUNT_ALL;
    if (key == NULL || (flags & ~known) != 0) {
        errno = EINVAL;
        return 0;
    }
    struct hl_entry *entry = hl_key_entry(key);
    if (entry != NULL && hl_entry_type(entry) != HL_TYPE_HASH) {
        errno = ENOTSUP;
        return 0;
    }
    if (!hl_key_writable(key)) {
        errno = EBADF;
        return 0;
    }
    int count = 0;
    struct hl_slice field;
    va_list args;
    va_start(args, flags);
    while (next_field(&args, flags, &field)) {
        count += set_field(key, field, va_arg(args, RedisModuleString *), flags);
    }
    va_end(args);
    if (count == 0) {
        errno = ENOENT;
    }
    return count;
}

int hl_rm_HashGet(RedisModuleKey *key, int flags, ...)
{
    struct hl_entry *entry = hl_key_entry(key);
    if (key == NULL || (entry != NULL && hl_entry_type(entry) != HL_TYPE_HASH)) {
        return REDISMODULE_ERR;
    }
    struct hl_slice field;
    va_list args;
    va_start(args, flags);
    while (next_field(&args, flags, &field)) {
        if ((flags & REDISMODULE_HASH_EXISTS) != 0) {
            *va_arg(args, int *) = has_field(entry, field);
            continue;
        }
        char scratch[HL_HASH_SCRATCH];
        struct hl_slice value;
        RedisModuleString **out = va_arg(args, RedisModuleString **);
        bool exists = entry != NULL && hl_hash_get(entry, field, &value, scratch);
        *out = exists ? hl_rm_CreateString(key->ctx, value.ptr, value.len) : NULL;
    }
    va_end(args);
    return REDISMODULE_OK;
}
