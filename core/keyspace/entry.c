#include "keyspace/entry.h"

#include "keyspace/string.h"

#define ACCESS_MASK 0xffffffu

HL_STATIC(sizeof(struct hl_entry) == 16);

struct hl_entry *hl_entry_create(uint32_t hash, struct hl_slice key, bool timed, enum hl_kind kind,
                                 size_t value_len)
{
    HL_ASSERT(key.len <= UINT32_MAX);
    HL_ASSERT(value_len <= HL_EMBED_MAX);
    size_t size = sizeof(struct hl_entry) + (timed ? HL_TIMED_SIZE : 0) + key.len + value_len;
    struct hl_entry *entry = hl_malloc(hl_size_class(size));
    entry->hash = hash;
    entry->access = 0;
    entry->kind = kind;
    entry->timed = timed;
    entry->outside = 0;
    entry->key_len = (uint32_t)key.len;
    entry->value_len = (uint32_t)value_len;
    if (key.len != 0) {
        memcpy(entry->bytes, key.ptr, key.len);
    }
    return entry;
}

struct hl_entry *hl_entry_reshape(struct hl_entry *entry, bool timed, size_t value_len)
{
    HL_ASSERT(value_len <= HL_EMBED_MAX);
    size_t timed_size = timed ? HL_TIMED_SIZE : 0;
    size_t cap = hl_size_class(sizeof *entry + entry->key_len + timed_size + value_len);
    size_t kept = value_len < entry->value_len ? value_len : entry->value_len;
    const unsigned char *value = hl_entry_value(entry);
    struct hl_entry *to = entry;
    if (cap != hl_size_class(hl_entry_size(entry))) {
        to = hl_malloc(cap);
        size_t head = sizeof *entry + entry->key_len;
        memcpy(to, entry, head + (timed && entry->timed ? HL_TIMED_SIZE : 0));
    }
    to->timed = timed;
    to->value_len = (uint32_t)value_len;
    memmove(hl_entry_value(to), value, kept);
    if (to != entry) {
        hl_free(entry);
    }
    return to;
}

void hl_entry_end_value(struct hl_keyspace *ks, struct hl_entry *entry)
{
    switch ((enum hl_kind)entry->kind) {
    case HL_KIND_RAW:
    case HL_KIND_EMBSTR:
    case HL_KIND_INT:
        if (entry->outside) {
            hl_free(hl_entry_pointer(entry));
        }
        return;
    case HL_KIND_HASH_LISTPACK:
        hl_free(hl_entry_pointer(entry));
        return;
    case HL_KIND_HASH_TABLE:
        hl_hash_table_destroy(hl_entry_pointer(entry));
        return;
    case HL_KIND_LIST:
        hl_ql_destroy(hl_entry_pointer(entry));
        return;
    case HL_KIND_MODULE:
        HL_ASSERT(ks->hooks.module_free != NULL);
        ks->hooks.module_free(ks->hooks.ctx, hl_entry_module_type(entry),
                              hl_entry_module_value(entry));
        return;
    }
    HL_ASSERT(false);
}

void hl_entry_destroy(struct hl_keyspace *ks, struct hl_entry *entry)
{
    hl_entry_end_value(ks, entry);
    hl_free(entry);
}

enum hl_type hl_entry_type(const struct hl_entry *entry)
{
    switch ((enum hl_kind)entry->kind) {
    case HL_KIND_RAW:
    case HL_KIND_EMBSTR:
    case HL_KIND_INT:
        return HL_TYPE_STRING;
    case HL_KIND_HASH_LISTPACK:
    case HL_KIND_HASH_TABLE:
        return HL_TYPE_HASH;
    case HL_KIND_LIST:
        return HL_TYPE_LIST;
    case HL_KIND_MODULE:
        return HL_TYPE_MODULE;
    }
    HL_ASSERT(false);
    return HL_TYPE_STRING;
}

enum hl_encoding hl_entry_encoding(const struct hl_entry *entry)
{
    switch ((enum hl_kind)entry->kind) {
    case HL_KIND_RAW:
        return HL_ENC_RAW;
    case HL_KIND_EMBSTR:
        return HL_ENC_EMBSTR;
    case HL_KIND_INT:
        return HL_ENC_INT;
    case HL_KIND_HASH_LISTPACK:
        return HL_ENC_LISTPACK;
    case HL_KIND_HASH_TABLE:
        return HL_ENC_HASHTABLE;
    case HL_KIND_LIST:
        return HL_ENC_QUICKLIST;
    case HL_KIND_MODULE:
        return HL_ENC_MODULE;
    }
    HL_ASSERT(false);
    return HL_ENC_RAW;
}

struct hl_slice hl_entry_key(const struct hl_entry *entry)
{
    return (struct hl_slice){.ptr = (const char *)entry->bytes, .len = entry->key_len};
}

int64_t hl_entry_expire(const struct hl_entry *entry)
{
    return entry->timed ? hl_entry_deadline(entry) : HL_NO_EXPIRE;
}

size_t hl_entry_memory(const struct hl_entry *entry, size_t samples)
{
    size_t size = hl_size_class(hl_entry_size(entry));
    switch ((enum hl_kind)entry->kind) {
    case HL_KIND_RAW:
    case HL_KIND_EMBSTR:
    case HL_KIND_INT:
        if (entry->outside) {
            const struct hl_blob *blob = hl_entry_pointer(entry);
            size += sizeof *blob + blob->cap;
        }
        return size;
    case HL_KIND_HASH_LISTPACK:
    case HL_KIND_HASH_TABLE:
        return size + hl_hash_memory(entry, samples);
    case HL_KIND_LIST:
        return size + hl_ql_memory(entry, samples);
    case HL_KIND_MODULE:
        return size; /* the owner adds what the type's mem_usage says */
    }
    HL_ASSERT(false);
    return 0;
}

void *hl_entry_module_type(const struct hl_entry *entry)
{
    HL_ASSERT(entry->kind == HL_KIND_MODULE);
    return hl_entry_pointer(entry);
}

void *hl_entry_module_value(const struct hl_entry *entry)
{
    HL_ASSERT(entry->kind == HL_KIND_MODULE);
    void *value;
    memcpy(&value, hl_entry_value(entry) + sizeof value, sizeof value);
    return value;
}

void hl_entry_module_set(struct hl_entry *entry, void *type, void *value)
{
    HL_ASSERT(entry->kind == HL_KIND_MODULE);
    memcpy(hl_entry_value(entry), &type, sizeof type);
    memcpy(hl_entry_value(entry) + sizeof value, &value, sizeof value);
}

void *hl_entry_module_swap(struct hl_entry *entry, void *value)
{
    void *old = hl_entry_module_value(entry);
    memcpy(hl_entry_value(entry) + sizeof value, &value, sizeof value);
    return old;
}
