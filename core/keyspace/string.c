#include "keyspace/string.h"

#include "keyspace/entry.h"
#include "kit/num.h"

#define BLOB_CAP_MIN 512
#define BLOB_STEP_MAX ((size_t)1 << 20) /* most that an append reserves beyond what it needs */

HL_STATIC(HL_STRING_SCRATCH >= HL_I64_TEXT_MAX);

/* How a string will be kept. */
struct shape {
    enum hl_kind kind;
    bool outside;
    size_t value_len; /* of the value part */
    int64_t number;   /* of HL_KIND_INT */
};

static inline struct shape shape_of(struct hl_slice value)
{
    struct shape shape = {.kind = HL_KIND_RAW, .value_len = value.len};
    if (value.len <= HL_INT_TEXT_MAX && value.len != 0 && (unsigned char)value.ptr[0] <= '9' &&
        hl_parse_i64(value, &shape.number)) {
        shape.kind = HL_KIND_INT;
        shape.value_len = sizeof shape.number;
    } else if (value.len <= HL_EMBSTR_MAX) {
        shape.kind = HL_KIND_EMBSTR;
    } else if (value.len > HL_EMBED_MAX) {
        shape.outside = true;
        shape.value_len = sizeof(struct hl_blob *);
    }
    return shape;
}

static struct hl_blob *blob_create(size_t len, size_t reserve)
{
    size_t cap = hl_size_class(sizeof(struct hl_blob) + len + reserve) - sizeof(struct hl_blob);
    struct hl_blob *blob = hl_malloc(sizeof *blob + cap);
    blob->len = len;
    blob->cap = cap;
    return blob;
}

/* Write the value part of an entry that has the shape but no value yet. */
static void write_value(struct hl_entry *entry, const struct shape *shape, struct hl_slice value)
{
    entry->kind = shape->kind;
    entry->outside = shape->outside;
    if (shape->kind == HL_KIND_INT) {
        memcpy(hl_entry_value(entry), &shape->number, sizeof shape->number);
    } else if (shape->outside) {
        struct hl_blob *blob = blob_create(value.len, 0);
        memcpy(blob->bytes, value.ptr, value.len);
        hl_entry_put_pointer(entry, blob);
    } else if (value.len != 0) {
        memmove(hl_entry_value(entry), value.ptr, value.len);
    }
}

/* A long value over a long value whose memory it fills at least half. */
static bool overwrite_blob(struct hl_entry *entry, const struct shape *shape, struct hl_slice value)
{
    if (!entry->outside || !shape->outside) {
        return false;
    }
    struct hl_blob *blob = hl_entry_pointer(entry);
    if (value.len > blob->cap || value.len < blob->cap / 2) {
        return false;
    }
    memmove(blob->bytes, value.ptr, value.len);
    blob->len = value.len;
    entry->kind = shape->kind;
    return true;
}

/* Store over the entry in `slot`.  `value` may be a view of it. */
static struct hl_entry *overwrite(struct hl_db *db, void **slot, const struct shape *shape,
                                  struct hl_slice value, bool timed)
{
    struct hl_entry *old = *slot;
    if (old->timed == timed && overwrite_blob(old, shape, value)) {
        return old;
    }
    size_t size = sizeof *old + (timed ? HL_TIMED_SIZE : 0) + old->key_len + shape->value_len;
    if (hl_entry_is_string(old) && !old->outside && old->timed == timed &&
        hl_size_class(size) == hl_size_class(hl_entry_size(old))) {
        old->value_len = (uint32_t)shape->value_len;
        write_value(old, shape, value);
        return old;
    }
    struct hl_entry *entry =
        hl_entry_create(old->hash, hl_entry_key(old), timed, shape->kind, shape->value_len);
    write_value(entry, shape, value);
    entry->access = old->access & 0xffffffu;
    *slot = entry;
    if (old->timed) {
        uint32_t index = hl_entry_index(old);
        if (timed) {
            memcpy(hl_entry_timed_part(entry), hl_entry_timed_part(old), HL_TIMED_SIZE);
            *hl_expires_at(&db->expires, index) = entry;
        } else {
            hl_expires_remove(&db->expires, index);
        }
    }
    hl_entry_destroy(db->ks, old);
    return entry;
}

/* The commonest overwrite: text of the same length and kind.  False when it is not that. */
static inline bool overwrite_same(struct hl_entry *entry, struct hl_slice value)
{
    if (entry->timed || entry->outside || entry->value_len != value.len ||
        entry->kind != (value.len > HL_EMBSTR_MAX ? HL_KIND_RAW : HL_KIND_EMBSTR)) {
        return false;
    }
    if (value.len <= HL_INT_TEXT_MAX && (value.len == 0 || (unsigned char)value.ptr[0] <= '9')) {
        return false; /* perhaps an integer */
    }
    memmove(hl_entry_value(entry), value.ptr, value.len);
    return true;
}

static struct hl_entry *overwrite_other(struct hl_db *db, void **slot, struct hl_slice value,
                                        bool keep_ttl)
{
    struct hl_entry *entry = *slot;
    struct shape shape = shape_of(value);
    return overwrite(db, slot, &shape, value, keep_ttl && entry->timed);
}

struct hl_entry *hl_string_create(struct hl_slice key, uint32_t key_hash, bool timed,
                                  struct hl_slice value)
{
    struct shape shape = shape_of(value);
    struct hl_entry *entry = hl_entry_create(key_hash, key, timed, shape.kind, shape.value_len);
    write_value(entry, &shape, value);
    return entry;
}

struct hl_entry *hl_string_dup(const struct hl_entry *entry, struct hl_slice key, uint32_t key_hash,
                               bool timed)
{
    char scratch[HL_STRING_SCRATCH];
    struct hl_slice value = hl_string_view(entry, scratch);
    struct shape shape = {.kind = (enum hl_kind)entry->kind,
                          .outside = value.len > HL_EMBED_MAX,
                          .value_len = value.len};
    if (shape.outside) {
        shape.value_len = sizeof(struct hl_blob *);
    } else if (shape.kind == HL_KIND_INT) {
        shape.number = hl_entry_int(entry);
        shape.value_len = sizeof shape.number;
    }
    struct hl_entry *copy = hl_entry_create(key_hash, key, timed, shape.kind, shape.value_len);
    write_value(copy, &shape, value);
    return copy;
}

struct hl_entry *hl_db_set_string(struct hl_db *db, struct hl_slice key, struct hl_slice value,
                                  bool keep_ttl)
{
    struct hl_keyspace *ks = db->ks;
    uint64_t hash = hl_db_hash(db, key);
    void **slot = hl_db_slot(db, key, hash);
    if (slot != NULL && hl_entry_is_dead(ks, *slot) && ks->expiry == HL_EXPIRY_DELETE) {
        (void)hl_db_find(db, key, HL_FIND_WRITE | HL_FIND_NOTOUCH);
        slot = NULL;
    }
    struct hl_entry *entry;
    if (slot != NULL) {
        entry = *slot;
        if (!overwrite_same(entry, value)) {
            entry = overwrite_other(db, slot, value, keep_ttl);
        }
        if (!ks->lfu) {
            entry->access = ks->lru_clock & 0xffffffu;
        }
    } else {
        entry = hl_string_create(key, (uint32_t)hash, false, value);
        entry->access = hl_access_fresh(ks) & 0xffffffu;
        hl_db_insert(db, hash, entry);
    }
    hl_db_modified_hash(db, key, hash);
    return entry;
}

/* --- reading ---------------------------------------------------------------------------------- */

struct hl_slice hl_string_view(const struct hl_entry *entry, char scratch[HL_STRING_SCRATCH])
{
    HL_ASSERT(hl_entry_is_string(entry));
    if (entry->kind == HL_KIND_INT) {
        int len = hl_format_i64(scratch, hl_entry_int(entry));
        return (struct hl_slice){.ptr = scratch, .len = (size_t)len};
    }
    if (entry->outside) {
        const struct hl_blob *blob = hl_entry_pointer(entry);
        return (struct hl_slice){.ptr = blob->bytes, .len = blob->len};
    }
    return (struct hl_slice){.ptr = (const char *)hl_entry_value(entry), .len = entry->value_len};
}

size_t hl_string_len(const struct hl_entry *entry)
{
    char scratch[HL_STRING_SCRATCH];
    return hl_string_view(entry, scratch).len;
}

bool hl_string_int(const struct hl_entry *entry, int64_t *out)
{
    HL_ASSERT(hl_entry_is_string(entry));
    if (entry->kind == HL_KIND_INT) {
        *out = hl_entry_int(entry);
        return true;
    }
    char scratch[HL_STRING_SCRATCH];
    return hl_parse_i64(hl_string_view(entry, scratch), out);
}

/* --- changing in place ------------------------------------------------------------------------ */

struct hl_entry *hl_string_set_int(struct hl_db *db, struct hl_entry *entry, int64_t value)
{
    HL_ASSERT(hl_entry_is_string(entry));
    if (entry->kind != HL_KIND_INT) {
        uintptr_t from = (uintptr_t)entry;
        hl_entry_end_value(db->ks, entry);
        entry->kind = HL_KIND_INT;
        entry->outside = 0;
        entry = hl_entry_reshape(entry, entry->timed, sizeof value);
        hl_db_moved(db, from, entry);
    }
    memcpy(hl_entry_value(entry), &value, sizeof value);
    hl_entry_modified(db, entry);
    return entry;
}

/* Make the string raw bytes of length `len`, keeping what it had and adding zero bytes; `reserve`
 * more are set aside when it lies outside the entry. */
static struct hl_entry *resize(struct hl_db *db, struct hl_entry *entry, size_t len, bool reserve)
{
    uintptr_t from = (uintptr_t)entry;
    char scratch[HL_STRING_SCRATCH];
    struct hl_slice old = hl_string_view(entry, scratch);
    size_t old_len = old.len;
    size_t more = !reserve ? 0 : len < BLOB_STEP_MAX ? len : BLOB_STEP_MAX;
    if (entry->outside) {
        struct hl_blob *blob = hl_entry_pointer(entry);
        if (len > blob->cap || len < blob->cap / 4) {
            size_t size = hl_size_class(sizeof *blob + len + more);
            blob = hl_realloc(blob, size);
            blob->cap = size - sizeof *blob;
            hl_entry_put_pointer(entry, blob);
        }
        blob->len = len;
        if (len > old_len) {
            memset(blob->bytes + old_len, 0, len - old_len);
        }
    } else if (len > HL_EMBED_MAX) {
        struct hl_blob *blob = blob_create(len, more < BLOB_CAP_MIN ? 0 : more);
        memcpy(blob->bytes, old.ptr, old_len);
        memset(blob->bytes + old_len, 0, len - old_len);
        entry = hl_entry_reshape(entry, entry->timed, sizeof blob);
        hl_entry_put_pointer(entry, blob);
        entry->outside = 1;
    } else {
        bool is_int = entry->kind == HL_KIND_INT;
        entry = hl_entry_reshape(entry, entry->timed, len);
        unsigned char *value = hl_entry_value(entry);
        if (is_int) {
            memcpy(value, scratch, old_len < len ? old_len : len);
        }
        if (len > old_len) {
            memset(value + old_len, 0, len - old_len);
        }
    }
    entry->kind = HL_KIND_RAW;
    hl_db_moved(db, from, entry);
    return entry;
}

static char *raw_bytes(struct hl_entry *entry)
{
    HL_ASSERT(entry->kind == HL_KIND_RAW);
    if (entry->outside) {
        struct hl_blob *blob = hl_entry_pointer(entry);
        return blob->bytes;
    }
    return (char *)hl_entry_value(entry);
}

struct hl_entry *hl_string_append(struct hl_db *db, struct hl_entry *entry, struct hl_slice bytes)
{
    return hl_string_set_range(db, entry, hl_string_len(entry), bytes);
}

struct hl_entry *hl_string_set_range(struct hl_db *db, struct hl_entry *entry, size_t offset,
                                     struct hl_slice bytes)
{
    HL_ASSERT(hl_entry_is_string(entry));
    HL_ASSERT(bytes.len <= SIZE_MAX / 2 && offset <= SIZE_MAX / 2);
    size_t len = hl_string_len(entry);
    size_t end = offset + bytes.len;
    entry = resize(db, entry, end > len ? end : len, true);
    if (bytes.len != 0) {
        memcpy(raw_bytes(entry) + offset, bytes.ptr, bytes.len);
    }
    hl_entry_modified(db, entry);
    return entry;
}

char *hl_string_edit(struct hl_db *db, struct hl_entry **entry, size_t len)
{
    HL_ASSERT(hl_entry_is_string(*entry));
    *entry = resize(db, *entry, len, false);
    return raw_bytes(*entry);
}
