#include "keyspace/hash.h"

#include "keyspace/entry.h"
#include "keyspace/listpack.h"

HL_STATIC(HL_HASH_SCRATCH >= 2 * HL_LP_SCRATCH);

struct hl_hash_table {
    struct hl_table table; /* of struct field */
    uint64_t seed[2];
};

/* A field and its value in one allocation of hl_size_class() bytes. */
struct field {
    uint32_t hash;
    uint32_t name_len;
    uint32_t value_len;
    char bytes[]; /* name, value */
};

struct field_key {
    struct hl_slice name;
    uint32_t hash;
};

static struct hl_slice name_of(const struct field *f)
{
    return (struct hl_slice){.ptr = f->bytes, .len = f->name_len};
}

static struct hl_slice value_of(const struct field *f)
{
    return (struct hl_slice){.ptr = f->bytes + f->name_len, .len = f->value_len};
}

static size_t field_alloc(size_t name_len, size_t value_len)
{
    return hl_size_class(sizeof(struct field) + name_len + value_len);
}

static bool has_name(const void *entry, const void *key)
{
    const struct field *f = entry;
    const struct field_key *k = key;
    return f->hash == k->hash && hl_slice_equal(name_of(f), k->name);
}

static uint64_t hash_name(const struct hl_hash_table *hash, struct hl_slice name)
{
    return hl_hash(hash->seed, name.ptr, name.len);
}

static void **table_slot(const struct hl_hash_table *hash, struct hl_slice name, uint64_t name_hash)
{
    struct field_key key = {.name = name, .hash = (uint32_t)name_hash};
    return hl_table_find(&hash->table, name_hash, has_name, &key);
}

static struct field *field_create(uint64_t name_hash, struct hl_slice name, struct hl_slice value)
{
    HL_ASSERT(name.len <= UINT32_MAX && value.len <= UINT32_MAX);
    struct field *f = hl_malloc(field_alloc(name.len, value.len));
    f->hash = (uint32_t)name_hash;
    f->name_len = (uint32_t)name.len;
    f->value_len = (uint32_t)value.len;
    if (name.len != 0) {
        memcpy(f->bytes, name.ptr, name.len);
    }
    if (value.len != 0) {
        memcpy(f->bytes + name.len, value.ptr, value.len);
    }
    return f;
}

static bool table_set(struct hl_hash_table *hash, struct hl_slice name, struct hl_slice value)
{
    uint64_t name_hash = hash_name(hash, name);
    void **slot = table_slot(hash, name, name_hash);
    if (slot == NULL) {
        hl_table_insert(&hash->table, name_hash, field_create(name_hash, name, value));
        return true;
    }
    struct field *f = *slot;
    if (field_alloc(f->name_len, value.len) == field_alloc(f->name_len, f->value_len)) {
        memmove(f->bytes + f->name_len, value.ptr != NULL ? value.ptr : "", value.len);
        f->value_len = (uint32_t)value.len;
    } else {
        *slot = field_create(name_hash, name, value);
        hl_free(f);
    }
    return false;
}

static void end_field(void *ctx, void *entry)
{
    (void)ctx;
    hl_free(entry);
}

void hl_hash_table_destroy(struct hl_hash_table *hash)
{
    hl_table_fini(&hash->table, end_field, NULL);
    hl_free(hash);
}

static struct hl_hash_table *table_create(const uint64_t seed[2])
{
    struct hl_hash_table *hash = hl_malloc(sizeof *hash);
    hl_table_init(&hash->table);
    hash->seed[0] = seed[0];
    hash->seed[1] = seed[1];
    return hash;
}

static bool is_listpack(const struct hl_entry *entry)
{
    HL_ASSERT(entry->kind == HL_KIND_HASH_LISTPACK || entry->kind == HL_KIND_HASH_TABLE);
    return entry->kind == HL_KIND_HASH_LISTPACK;
}

static void convert(struct hl_keyspace *ks, struct hl_entry *entry)
{
    unsigned char *lp = hl_entry_pointer(entry);
    struct hl_hash_table *hash = table_create(ks->seed);
    for (size_t at = hl_lp_first(lp); at != 0;) {
        char name_scratch[HL_LP_SCRATCH];
        char value_scratch[HL_LP_SCRATCH];
        struct hl_slice name = hl_lp_get(lp, at, name_scratch);
        at = hl_lp_next(lp, at);
        HL_ASSERT(at != 0);
        bool added = table_set(hash, name, hl_lp_get(lp, at, value_scratch));
        HL_ASSERT(added);
        at = hl_lp_next(lp, at);
    }
    hl_free(lp);
    hl_entry_put_pointer(entry, hash);
    entry->kind = HL_KIND_HASH_TABLE;
}

struct hl_entry *hl_hash_create(struct hl_slice key, uint32_t key_hash, bool timed)
{
    struct hl_entry *entry =
        hl_entry_create(key_hash, key, timed, HL_KIND_HASH_LISTPACK, sizeof(void *));
    hl_entry_put_pointer(entry, hl_lp_create());
    return entry;
}

void hl_hash_adopt(struct hl_entry *entry, unsigned char *given_lp)
{
    HL_ASSERT(is_listpack(entry));
    hl_free(hl_entry_pointer(entry));
    hl_entry_put_pointer(entry, given_lp);
}

const unsigned char *hl_hash_listpack(const struct hl_entry *entry)
{
    return is_listpack(entry) ? hl_entry_pointer(entry) : NULL;
}

struct hl_entry *hl_hash_dup(const struct hl_entry *entry, struct hl_slice key, uint32_t key_hash,
                             bool timed)
{
    struct hl_entry *copy = hl_hash_create(key, key_hash, timed);
    if (is_listpack(entry)) {
        hl_hash_adopt(copy, hl_lp_dup(hl_entry_pointer(entry)));
        return copy;
    }
    const struct hl_hash_table *from = hl_entry_pointer(entry);
    struct hl_hash_table *to = table_create(from->seed);
    uint64_t position[3] = {0};
    const struct field *f;
    while ((f = hl_table_walk(&from->table, position)) != NULL) {
        table_set(to, name_of(f), value_of(f));
    }
    hl_free(hl_entry_pointer(copy));
    hl_entry_put_pointer(copy, to);
    copy->kind = HL_KIND_HASH_TABLE;
    return copy;
}

size_t hl_hash_memory(const struct hl_entry *entry, size_t samples)
{
    if (is_listpack(entry)) {
        return hl_size_class(hl_lp_bytes(hl_entry_pointer(entry)));
    }
    const struct hl_hash_table *hash = hl_entry_pointer(entry);
    size_t fields = 0;
    size_t looked = 0;
    uint64_t position[3] = {0};
    const struct field *f;
    while ((samples == 0 || looked < samples) &&
           (f = hl_table_walk(&hash->table, position)) != NULL) {
        fields += field_alloc(f->name_len, f->value_len);
        looked++;
    }
    if (looked != 0) {
        fields = (size_t)((double)fields / (double)looked * (double)hash->table.count);
    }
    return hl_size_class(sizeof *hash) + hl_table_memory(&hash->table) + fields;
}

/* --- the contract ----------------------------------------------------------------------------- */

size_t hl_hash_len(const struct hl_entry *entry)
{
    if (is_listpack(entry)) {
        return hl_lp_count(hl_entry_pointer(entry)) / 2;
    }
    return ((const struct hl_hash_table *)hl_entry_pointer(entry))->table.count;
}

static bool listpack_set(struct hl_entry *entry, struct hl_slice name, struct hl_slice value)
{
    unsigned char *lp = hl_entry_pointer(entry);
    size_t at = hl_lp_find(lp, hl_lp_first(lp), name, 1);
    bool added = at == 0;
    if (added) {
        lp = hl_lp_insert(lp, 0, name);
        lp = hl_lp_insert(lp, 0, value);
    } else {
        lp = hl_lp_replace(lp, hl_lp_next(lp, at), value);
    }
    hl_entry_put_pointer(entry, lp);
    return added;
}

bool hl_hash_set(struct hl_keyspace *ks, struct hl_entry *entry, struct hl_slice field,
                 struct hl_slice value)
{
    const struct hl_encoding_limits *limits = &ks->limits;
    if (is_listpack(entry) &&
        (field.len > limits->hash_max_listpack_value ||
         value.len > limits->hash_max_listpack_value ||
         hl_lp_bytes(hl_entry_pointer(entry)) + field.len + value.len > HL_LP_MAX)) {
        convert(ks, entry);
    }
    if (!is_listpack(entry)) {
        return table_set(hl_entry_pointer(entry), field, value);
    }
    bool added = listpack_set(entry, field, value);
    if (hl_hash_len(entry) > limits->hash_max_listpack_entries) { /* the limit may have sunk */
        convert(ks, entry);
    }
    return added;
}

bool hl_hash_get(const struct hl_entry *entry, struct hl_slice field, struct hl_slice *value,
                 char scratch[HL_HASH_SCRATCH])
{
    if (is_listpack(entry)) {
        const unsigned char *lp = hl_entry_pointer(entry);
        size_t at = hl_lp_find(lp, hl_lp_first(lp), field, 1);
        if (at == 0) {
            return false;
        }
        *value = hl_lp_get(lp, hl_lp_next(lp, at), scratch);
        return true;
    }
    const struct hl_hash_table *hash = hl_entry_pointer(entry);
    void **slot = table_slot(hash, field, hash_name(hash, field));
    if (slot == NULL) {
        return false;
    }
    *value = value_of(*slot);
    return true;
}

bool hl_hash_delete(struct hl_entry *entry, struct hl_slice field)
{
    if (is_listpack(entry)) {
        unsigned char *lp = hl_entry_pointer(entry);
        size_t at = hl_lp_find(lp, hl_lp_first(lp), field, 1);
        if (at == 0) {
            return false;
        }
        hl_entry_put_pointer(entry, hl_lp_delete(lp, at, 2));
        return true;
    }
    struct hl_hash_table *hash = hl_entry_pointer(entry);
    void **slot = table_slot(hash, field, hash_name(hash, field));
    if (slot == NULL) {
        return false;
    }
    struct field *f = *slot;
    hl_table_remove(&hash->table, slot);
    hl_free(f);
    return true;
}

void hl_hash_iter_init(struct hl_hash_iter *iter, const struct hl_entry *entry)
{
    *iter = (struct hl_hash_iter){.entry = entry};
    if (is_listpack(entry)) {
        iter->position[0] = hl_lp_first(hl_entry_pointer(entry));
    }
}

bool hl_hash_iter_next(struct hl_hash_iter *iter, struct hl_slice *field, struct hl_slice *value)
{
    if (is_listpack(iter->entry)) {
        const unsigned char *lp = hl_entry_pointer(iter->entry);
        size_t at = (size_t)iter->position[0];
        if (at == 0) {
            return false;
        }
        *field = hl_lp_get(lp, at, iter->scratch);
        at = hl_lp_next(lp, at);
        *value = hl_lp_get(lp, at, iter->scratch + HL_LP_SCRATCH);
        iter->position[0] = hl_lp_next(lp, at);
        return true;
    }
    const struct hl_hash_table *hash = hl_entry_pointer(iter->entry);
    const struct field *f = hl_table_walk(&hash->table, iter->position);
    if (f == NULL) {
        return false;
    }
    *field = name_of(f);
    *value = value_of(f);
    return true;
}

void hl_hash_random(const struct hl_entry *entry, struct hl_rng *rng, struct hl_slice *field,
                    struct hl_slice *value, char scratch[HL_HASH_SCRATCH])
{
    size_t count = hl_hash_len(entry);
    HL_ASSERT(count != 0);
    if (is_listpack(entry)) {
        const unsigned char *lp = hl_entry_pointer(entry);
        size_t at = hl_lp_seek(lp, 2 * hl_rng_below(rng, count));
        *field = hl_lp_get(lp, at, scratch);
        *value = hl_lp_get(lp, hl_lp_next(lp, at), scratch + HL_LP_SCRATCH);
        return;
    }
    const struct hl_hash_table *hash = hl_entry_pointer(entry);
    const struct field *f = hl_table_random(&hash->table, rng);
    *field = name_of(f);
    *value = value_of(f);
}

struct field_scan {
    void (*visit)(void *ctx, struct hl_slice field, struct hl_slice value);
    void *ctx;
};

static void visit_field(void *ctx, void *entry)
{
    const struct field_scan *scan = ctx;
    scan->visit(scan->ctx, name_of(entry), value_of(entry));
}

uint64_t hl_hash_scan(const struct hl_entry *entry, uint64_t cursor,
                      void (*visit)(void *ctx, struct hl_slice field, struct hl_slice value),
                      void *ctx)
{
    if (is_listpack(entry)) {
        struct hl_hash_iter iter;
        struct hl_slice field;
        struct hl_slice value;
        hl_hash_iter_init(&iter, entry);
        while (hl_hash_iter_next(&iter, &field, &value)) {
            visit(ctx, field, value);
        }
        return 0;
    }
    struct hl_hash_table *hash = hl_entry_pointer(entry);
    struct field_scan scan = {.visit = visit, .ctx = ctx};
    return hl_table_scan(&hash->table, cursor, visit_field, &scan);
}
