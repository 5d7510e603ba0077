#include "keyspace/entry.h"

#define RANDOM_TRIES 100 /* dead keys hl_db_random() may draw before it gives up */

static void clear_memo(struct hl_hash_memo *memo)
{
    memo->next = 1;
    for (size_t i = 0; i < HL_ARRAY_LEN(memo->slots); i++) {
        memo->slots[i].len = SIZE_MAX;
    }
}

void hl_ks_init(struct hl_keyspace *ks, int db_count, const uint64_t seed[2], struct hl_rng *rng)
{
    HL_ASSERT(db_count >= 1 && db_count <= HL_DB_MAX);
    HL_ASSERT(rng != NULL);
    *ks = (struct hl_keyspace){
        .db_count = db_count,
        .rng = rng,
        .lfu_log_factor = 10,
        .lfu_decay_minutes = 1,
        .gated = true,
        .limits = {.hash_max_listpack_entries = 128,
                   .hash_max_listpack_value = 64,
                   .list_max_listpack_size = -2},
        .seed = {seed[0], seed[1]},
    };
    ks->dbs = hl_calloc((size_t)db_count, sizeof *ks->dbs);
    ks->gate = hl_calloc(HL_GATE_SLOTS, sizeof *ks->gate);
    ks->memo = hl_malloc(sizeof *ks->memo);
    clear_memo(ks->memo);
    for (int i = 0; i < db_count; i++) {
        ks->dbs[i].ks = ks;
        ks->dbs[i].index = i;
        hl_table_init(&ks->dbs[i].table);
    }
}

static void end_entry(void *ctx, void *entry)
{
    hl_entry_destroy(ctx, entry);
}

static void empty_db(struct hl_db *db)
{
    hl_expires_fini(&db->expires);
    hl_table_fini(&db->table, end_entry, db->ks);
}

void hl_ks_fini(struct hl_keyspace *ks)
{
    for (int i = 0; i < ks->db_count; i++) {
        empty_db(&ks->dbs[i]);
    }
    hl_evict_pool_destroy(ks->pool);
    hl_free(ks->dbs);
    hl_free(ks->gate);
    hl_free(ks->memo);
    *ks = (struct hl_keyspace){0};
}

struct hl_db *hl_ks_db(struct hl_keyspace *ks, int index)
{
    HL_ASSERT(index >= 0 && index < ks->db_count);
    return &ks->dbs[index];
}

int hl_db_index(const struct hl_db *db)
{
    return db->index;
}

size_t hl_db_count(const struct hl_db *db)
{
    return db->table.count;
}

size_t hl_db_expires_count(const struct hl_db *db)
{
    return db->expires.count;
}

struct hl_db_shape hl_db_shape(const struct hl_db *db)
{
    const struct hl_table *table = &db->table;
    return (struct hl_db_shape){
        .keys = table->count,
        .buckets = table->buckets[0] != NULL ? table->mask[0] + 1 : 0,
        .new_buckets = table->buckets[1] != NULL ? table->mask[1] + 1 : 0,
        .moved = table->moved,
        .chained = table->chained,
        .bytes = hl_table_memory(table),
    };
}

/* --- names ------------------------------------------------------------------------------------ */

static inline void see_gate(struct hl_keyspace *ks, uint64_t hash)
{
    if (!ks->gated) {
        return; /* all gates are open: their memory is not touched */
    }
    uint64_t gate = *hl_ks_gate(ks, hash);
    if (gate > ks->gate_seen) {
        ks->gate_seen = gate;
    }
}

void hl_db_modified(struct hl_db *db, struct hl_slice key)
{
    hl_db_modified_hash(db, key, hl_db_hash(db, key));
}

void hl_entry_modified(struct hl_db *db, const struct hl_entry *entry)
{
    hl_db_modified_hash(db, hl_entry_key(entry), entry->hash);
}

static struct hl_entry *miss(struct hl_db *db, struct hl_slice key, unsigned flags)
{
    struct hl_keyspace *ks = db->ks;
    if ((flags & (HL_FIND_NOSTATS | HL_FIND_WRITE)) == 0) {
        ks->misses++;
        hl_ks_notify(ks, HL_NOTIFY_KEY_MISS, "keymiss", db->index, key);
    }
    return NULL;
}

/* Report and remove the dead entry in `slot`. */
static void expire_entry(struct hl_db *db, void **slot)
{
    struct hl_keyspace *ks = db->ks;
    struct hl_entry *entry = *slot;
    struct hl_slice key = hl_entry_key(entry);
    if (ks->hooks.expired != NULL) {
        ks->hooks.expired(ks->hooks.ctx, db->index, key);
    }
    ks->expired++;
    hl_expires_remove(&db->expires, hl_entry_index(entry));
    hl_table_remove(&db->table, slot);
    hl_entry_modified(db, entry);
    hl_ks_notify(ks, HL_NOTIFY_EXPIRED, "expired", db->index, key);
    hl_entry_destroy(ks, entry);
}

/* What a lookup does with a dead entry: true when the caller must not see it. */
static bool hides_dead(struct hl_db *db, void **slot)
{
    switch (db->ks->expiry) {
    case HL_EXPIRY_DELETE:
        expire_entry(db, slot);
        return true;
    case HL_EXPIRY_HIDE:
        return true;
    case HL_EXPIRY_OFF:
        return false;
    }
    HL_ASSERT(false);
    return false;
}

struct hl_entry *hl_db_find(struct hl_db *db, struct hl_slice key, unsigned flags)
{
    struct hl_keyspace *ks = db->ks;
    uint64_t hash = hl_db_hash(db, key);
    see_gate(ks, hash);
    void **slot = hl_db_slot(db, key, hash);
    if (slot == NULL) {
        return miss(db, key, flags);
    }
    struct hl_entry *entry = *slot;
    if (hl_entry_is_dead(ks, entry) && (flags & HL_FIND_EXPIRED) == 0 && hides_dead(db, slot)) {
        return miss(db, key, flags);
    }
    if ((flags & (HL_FIND_NOSTATS | HL_FIND_WRITE)) == 0) {
        ks->hits++;
    }
    if ((flags & HL_FIND_NOTOUCH) == 0) {
        hl_entry_touch(ks, entry);
    }
    return entry;
}

uint64_t hl_db_hash_other(const struct hl_db *db, struct hl_slice key)
{
    const struct hl_memo_slot *last = &db->ks->memo->slots[db->ks->memo->next - 1];
    return hl_memo_has(last, key) ? last->hash : hl_hash(db->ks->seed, key.ptr, key.len);
}

void hl_db_prefetch(const struct hl_db *db, const struct hl_slice *keys, size_t count)
{
    struct hl_hash_memo *memo = db->ks->memo;
    struct hl_memo_slot *slots = &memo->slots[1];
    size_t limit = count < HL_PREFETCH_MAX ? count : HL_PREFETCH_MAX;
    for (size_t i = 0; i < limit; i++) {
        slots[i].hash = hl_hash(db->ks->seed, keys[i].ptr, keys[i].len);
        __builtin_prefetch(hl_table_bucket(&db->table, slots[i].hash));
        if (db->ks->gate_index != 0) {
            __builtin_prefetch(hl_ks_gate(db->ks, slots[i].hash));
        }
        slots[i].len = SIZE_MAX;
        if (keys[i].len != 0 && keys[i].len <= HL_MEMO_LEN_MAX) {
            slots[i].len = keys[i].len;
            memcpy(slots[i].bytes, keys[i].ptr, keys[i].len);
        }
    }
    slots[limit].len = SIZE_MAX;
    memo->next = 1;
    for (size_t i = 0; i < limit; i++) {
        const struct hl_bucket *bucket = hl_table_bucket(&db->table, slots[i].hash);
        uint64_t hits = hl_bucket_match(bucket->tags, hl_table_tag(slots[i].hash));
        if (hits != 0) {
            const char *entry = bucket->slot[__builtin_ctzll(hits) / 8 - 1];
            __builtin_prefetch(entry);
            __builtin_prefetch(entry + sizeof(struct hl_bucket)); /* most values reach there */
        }
    }
}

/* --- changing the tables ---------------------------------------------------------------------- */

void hl_db_moved(struct hl_db *db, uintptr_t from, struct hl_entry *moved)
{
    if (from == (uintptr_t)moved) {
        return;
    }
    *hl_table_locate(&db->table, moved->hash, from) = moved;
    if (moved->timed) {
        *hl_expires_at(&db->expires, hl_entry_index(moved)) = moved;
    }
}

void hl_db_drop(struct hl_db *db, void **slot)
{
    struct hl_entry *entry = *slot;
    if (entry->timed) {
        hl_expires_remove(&db->expires, hl_entry_index(entry));
    }
    hl_table_remove(&db->table, slot);
    hl_entry_destroy(db->ks, entry);
}

struct hl_entry *hl_db_put(struct hl_db *db, struct hl_entry *entry)
{
    struct hl_slice key = hl_entry_key(entry);
    uint64_t hash = hl_db_hash(db, key);
    HL_ASSERT(entry->hash == (uint32_t)hash);
    entry->access = hl_access_fresh(db->ks);
    void **slot = hl_db_slot(db, key, hash);
    if (slot != NULL) {
        struct hl_entry *old = *slot;
        if (old->timed) {
            hl_expires_remove(&db->expires, hl_entry_index(old));
        }
        *slot = entry;
        hl_entry_destroy(db->ks, old);
    } else {
        hl_db_insert(db, hash, entry);
    }
    if (entry->timed) {
        hl_expires_add(&db->expires, entry);
    }
    hl_db_modified_hash(db, key, hash);
    return entry;
}

struct hl_entry *hl_db_set_module(struct hl_db *db, struct hl_slice key, void *type, void *value)
{
    uint32_t hash = (uint32_t)hl_db_hash(db, key);
    struct hl_entry *entry = hl_entry_create(hash, key, false, HL_KIND_MODULE, 2 * sizeof(void *));
    hl_entry_put_pointer(entry, type);
    memcpy(hl_entry_value(entry) + sizeof value, &value, sizeof value);
    return hl_db_put(db, entry);
}

struct hl_entry *hl_db_add_hash(struct hl_db *db, struct hl_slice key)
{
    uint64_t hash = hl_db_hash(db, key);
    HL_ASSERT(hl_db_slot(db, key, hash) == NULL);
    return hl_db_put(db, hl_hash_create(key, (uint32_t)hash, false));
}

struct hl_entry *hl_db_add_list(struct hl_db *db, struct hl_slice key)
{
    uint64_t hash = hl_db_hash(db, key);
    HL_ASSERT(hl_db_slot(db, key, hash) == NULL);
    return hl_db_put(db, hl_ql_create(key, (uint32_t)hash, false));
}

bool hl_db_delete(struct hl_db *db, struct hl_slice key)
{
    uint64_t hash = hl_db_hash(db, key);
    see_gate(db->ks, hash);
    void **slot = hl_db_slot(db, key, hash);
    if (slot == NULL) {
        return false;
    }
    struct hl_entry *entry = *slot;
    if (entry->timed) {
        hl_expires_remove(&db->expires, hl_entry_index(entry));
    }
    hl_table_remove(&db->table, slot);
    hl_db_modified_hash(db, key, hash);
    hl_entry_destroy(db->ks, entry);
    return true;
}

struct hl_entry *hl_db_rename(struct hl_db *db, struct hl_slice from, struct hl_db *to_db,
                              struct hl_slice to)
{
    uint64_t from_hash = hl_db_hash(db, from);
    void **slot = hl_db_slot(db, from, from_hash);
    HL_ASSERT(slot != NULL);
    struct hl_entry *old = *slot;
    if (db == to_db && hl_slice_equal(from, to)) {
        hl_db_modified_hash(db, from, from_hash);
        return old;
    }
    /* The value part moves over as it is, pointers and all. */
    struct hl_entry *entry = hl_entry_create((uint32_t)hl_db_hash(to_db, to), to, old->timed,
                                             (enum hl_kind)old->kind, old->value_len);
    entry->outside = old->outside;
    memcpy(hl_entry_value(entry), hl_entry_value(old), old->value_len);
    if (old->timed) {
        hl_entry_put_deadline(entry, hl_entry_deadline(old));
        hl_expires_remove(&db->expires, hl_entry_index(old));
    }
    uint32_t access = old->access;
    hl_table_remove(&db->table, slot);
    hl_db_modified_hash(db, from, from_hash);
    entry = hl_db_put(to_db, entry);
    entry->access = access & 0xffffffu;
    hl_free(old);
    return entry;
}

static struct hl_entry *copy_entry(const struct hl_entry *entry, struct hl_slice key, uint32_t hash)
{
    switch ((enum hl_kind)entry->kind) {
    case HL_KIND_RAW:
    case HL_KIND_EMBSTR:
    case HL_KIND_INT:
        return hl_string_dup(entry, key, hash, entry->timed);
    case HL_KIND_HASH_LISTPACK:
    case HL_KIND_HASH_TABLE:
        return hl_hash_dup(entry, key, hash, entry->timed);
    case HL_KIND_LIST:
        return hl_ql_dup(entry, key, hash, entry->timed);
    case HL_KIND_MODULE:
        return NULL;
    }
    HL_ASSERT(false);
    return NULL;
}

struct hl_entry *hl_db_copy(struct hl_entry *entry, struct hl_db *to_db, struct hl_slice to)
{
    struct hl_entry *copy = copy_entry(entry, to, (uint32_t)hl_db_hash(to_db, to));
    if (copy == NULL) {
        return NULL;
    }
    if (copy->timed) {
        hl_entry_put_deadline(copy, hl_entry_deadline(entry));
    }
    return hl_db_put(to_db, copy);
}

struct hl_entry *hl_db_set_expire(struct hl_db *db, struct hl_entry *entry, int64_t when_ms)
{
    uintptr_t from = (uintptr_t)entry;
    struct hl_entry *moved = entry;
    if (when_ms == HL_NO_EXPIRE) {
        if (entry->timed) {
            hl_expires_remove(&db->expires, hl_entry_index(entry));
            moved = hl_entry_reshape(entry, false, entry->value_len);
            hl_db_moved(db, from, moved);
        }
    } else if (entry->timed) {
        hl_entry_put_deadline(entry, when_ms);
    } else {
        moved = hl_entry_reshape(entry, true, entry->value_len);
        hl_entry_put_deadline(moved, when_ms);
        hl_expires_add(&db->expires, moved);
        hl_db_moved(db, from, moved);
    }
    hl_entry_modified(db, moved);
    return moved;
}

/* --- whole databases -------------------------------------------------------------------------- */

/* Whoever looks any name up from now on sees what this unit did. */
static void raise_all_gates(struct hl_keyspace *ks)
{
    for (size_t i = 0; ks->gate_index != 0 && i < HL_GATE_SLOTS; i++) {
        if (ks->gate[i] < ks->gate_index) {
            ks->gate[i] = ks->gate_index;
        }
    }
}

void hl_db_visit(struct hl_db *db, void (*visit)(void *ctx, struct hl_entry *entry), void *ctx)
{
    uint64_t position[3] = {0};
    struct hl_entry *entry;
    while ((entry = hl_table_walk(&db->table, position)) != NULL) {
        visit(ctx, entry);
    }
}

void hl_db_flush(struct hl_db *db)
{
    struct hl_keyspace *ks = db->ks;
    raise_all_gates(ks);
    if (ks->watching != 0 && ks->hooks.modified != NULL) {
        uint64_t position[3] = {0};
        const struct hl_entry *entry;
        while ((entry = hl_table_walk(&db->table, position)) != NULL) {
            ks->hooks.modified(ks->hooks.ctx, db->index, hl_entry_key(entry));
        }
    }
    empty_db(db);
}

void hl_ks_flush(struct hl_keyspace *ks)
{
    for (int i = 0; i < ks->db_count; i++) {
        hl_db_flush(&ks->dbs[i]);
    }
}

void hl_ks_swap(struct hl_keyspace *ks, int a, int b)
{
    struct hl_db *left = hl_ks_db(ks, a);
    struct hl_db *right = hl_ks_db(ks, b);
    raise_all_gates(ks);
    struct hl_table table = left->table;
    struct hl_expires expires = left->expires;
    left->table = right->table;
    left->expires = right->expires;
    right->table = table;
    right->expires = expires;
}

struct hl_entry *hl_db_random(struct hl_db *db)
{
    for (int i = 0; i < RANDOM_TRIES; i++) {
        struct hl_entry *entry = hl_table_random(&db->table, db->ks->rng);
        if (entry == NULL || db->ks->expiry == HL_EXPIRY_OFF || !hl_entry_is_dead(db->ks, entry)) {
            return entry;
        }
        if (db->ks->expiry == HL_EXPIRY_DELETE) {
            expire_entry(db, hl_table_locate(&db->table, entry->hash, (uintptr_t)entry));
        }
    }
    return NULL;
}

struct scan {
    void (*visit)(void *ctx, struct hl_entry *entry);
    void *ctx;
};

static void scan_visit(void *ctx, void *entry)
{
    const struct scan *scan = ctx;
    scan->visit(scan->ctx, entry);
}

uint64_t hl_db_scan(struct hl_db *db, uint64_t cursor,
                    void (*visit)(void *ctx, struct hl_entry *entry), void *ctx)
{
    struct scan scan = {.visit = visit, .ctx = ctx};
    return hl_table_scan(&db->table, cursor, scan_visit, &scan);
}

void hl_ks_rehash_step(struct hl_keyspace *ks, int buckets)
{
    HL_ASSERT(buckets > 0);
    for (int i = 0; i < ks->db_count; i++) {
        (void)hl_table_step(&ks->dbs[i].table, (size_t)buckets);
    }
}
