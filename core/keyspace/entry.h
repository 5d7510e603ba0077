/* Inside core/keyspace only: the layout of an entry, and of a database.
 *
 *   entry   0  u32  hash of the key, low half (what hl_table needs)
 *           4  u32  access (24 bits), kind (5), timed (1), outside (1)
 *           8  u32  length of the key
 *          12  u32  length of the value part below
 *          16  key
 *           .  i64  deadline                        } only when timed; unaligned
 *           .  u32  index in the database's expires }
 *           .  value part: the bytes of a string, an int64_t, or one or two pointers (unaligned)
 *
 * Invariants:
 *   E1  the allocation of an entry is hl_size_class(hl_entry_size()) bytes, always: whether a new
 *       value fits in place is arithmetic.
 *   E2  `outside` is set iff the value is a string in a struct hl_blob.
 *   E3  expires.at[entry's index] is the entry, for every timed entry of the database.
 */
#ifndef HL_KEYSPACE_ENTRY_H
#define HL_KEYSPACE_ENTRY_H

#include "base/siphash.h"
#include "base/table.h"
#include "keyspace/keyspace.h"
#include "kit/alloc.h"
#include "kit/assert.h"

/* Longest string kept inside its entry. */
#define HL_EMBED_MAX 256
/* Longest string that OBJECT ENCODING calls embstr. */
#define HL_EMBSTR_MAX 44
/* Longest text that may be an integer. */
#define HL_INT_TEXT_MAX 20

enum hl_kind {
    HL_KIND_RAW = 0,
    HL_KIND_EMBSTR,
    HL_KIND_INT,
    HL_KIND_HASH_LISTPACK,
    HL_KIND_HASH_TABLE,
    HL_KIND_LIST,
    HL_KIND_MODULE,
};

struct hl_entry {
    uint32_t hash;
    uint32_t access : 24; /* LRU: seconds; LFU: minutes (16 bits), counter (8 bits) */
    uint32_t kind : 5;    /* enum hl_kind */
    uint32_t timed : 1;
    uint32_t outside : 1;
    uint32_t key_len;
    uint32_t value_len;
    unsigned char bytes[];
};

/* A long string beside its entry. */
struct hl_blob {
    size_t len;
    size_t cap;
    char bytes[];
};

#define HL_TIMED_SIZE 12 /* deadline and index */
#define HL_EXPIRES_CHUNK 512

/* The entries with a deadline, in no order. */
struct hl_expires {
    struct hl_entry ***chunks; /* of HL_EXPIRES_CHUNK each */
    size_t chunk_cap;
    size_t chunk_count;
    size_t count;
    size_t cursor; /* of the expire cycle: entries below it were not looked at yet */
};

struct hl_db {
    struct hl_table table;
    struct hl_expires expires;
    struct hl_keyspace *ks;
    int index;
};

/* The size classes of the allocator: 16 bytes apart up to 128, then four to a doubling. */
static inline size_t hl_size_class(size_t size)
{
    if (size <= 128) {
        return (size + 15) & ~(size_t)15;
    }
    size_t step = (size_t)1 << (61 - __builtin_clzll(size - 1));
    return (size + step - 1) & ~(step - 1);
}

static inline size_t hl_entry_timed_size(const struct hl_entry *entry)
{
    return entry->timed ? HL_TIMED_SIZE : 0;
}

/* Deadline and index. */
static inline unsigned char *hl_entry_timed_part(const struct hl_entry *entry)
{
    return (unsigned char *)entry->bytes + entry->key_len;
}

static inline unsigned char *hl_entry_value(const struct hl_entry *entry)
{
    return hl_entry_timed_part(entry) + hl_entry_timed_size(entry);
}

/* Bytes in use; the allocation is the class of it (E1). */
static inline size_t hl_entry_size(const struct hl_entry *entry)
{
    return sizeof *entry + entry->key_len + hl_entry_timed_size(entry) + entry->value_len;
}

static inline void *hl_entry_pointer(const struct hl_entry *entry)
{
    void *ptr;
    memcpy(&ptr, hl_entry_value(entry), sizeof ptr);
    return ptr;
}

static inline void hl_entry_put_pointer(struct hl_entry *entry, const void *ptr)
{
    memcpy(hl_entry_value(entry), &ptr, sizeof ptr);
}

static inline int64_t hl_entry_int(const struct hl_entry *entry)
{
    int64_t v;
    memcpy(&v, hl_entry_value(entry), sizeof v);
    return v;
}

static inline int64_t hl_entry_deadline(const struct hl_entry *entry)
{
    int64_t when_ms;
    memcpy(&when_ms, hl_entry_timed_part(entry), sizeof when_ms);
    return when_ms;
}

static inline void hl_entry_put_deadline(struct hl_entry *entry, int64_t when_ms)
{
    memcpy(hl_entry_timed_part(entry), &when_ms, sizeof when_ms);
}

static inline uint32_t hl_entry_index(const struct hl_entry *entry)
{
    uint32_t index;
    memcpy(&index, hl_entry_timed_part(entry) + 8, sizeof index);
    return index;
}

static inline void hl_entry_put_index(struct hl_entry *entry, size_t index)
{
    uint32_t v = (uint32_t)index;
    memcpy(hl_entry_timed_part(entry) + 8, &v, sizeof v);
}

/* Whether the deadline has passed. */
static inline bool hl_entry_is_dead(const struct hl_keyspace *ks, const struct hl_entry *entry)
{
    return entry->timed && hl_entry_deadline(entry) < ks->now_ms;
}

static inline bool hl_entry_is_string(const struct hl_entry *entry)
{
    return entry->kind <= HL_KIND_INT;
}

/* Whether `len` bytes agree; inline, because keys are short and a call would cost more. */
static inline bool hl_bytes_equal(const unsigned char *a, const unsigned char *b, size_t len)
{
    uint64_t x;
    uint64_t y;
    if (len >= sizeof x) {
        size_t at = 0;
        for (; at + sizeof x < len; at += sizeof x) {
            memcpy(&x, a + at, sizeof x);
            memcpy(&y, b + at, sizeof y);
            if (x != y) {
                return false;
            }
        }
        memcpy(&x, a + len - sizeof x, sizeof x); /* overlaps what was compared */
        memcpy(&y, b + len - sizeof y, sizeof y);
        return x == y;
    }
    for (size_t at = 0; at < len; at++) {
        if (a[at] != b[at]) {
            return false;
        }
    }
    return true;
}

static inline bool hl_entry_has_key(const void *entry, const void *key)
{
    const struct hl_entry *e = entry;
    const struct hl_slice *k = key;
    return e->key_len == k->len && hl_bytes_equal(e->bytes, (const unsigned char *)k->ptr, k->len);
}

/* The slot of a name in the main table, dead or alive, without side effects; NULL when missing. */
static inline void **hl_db_slot(const struct hl_db *db, struct hl_slice name, uint64_t hash)
{
    return hl_table_find(&db->table, hash, hl_entry_has_key, &name);
}

/* Hashes that hl_db_prefetch() computed, in the order in which they are likely to be asked for.  A
 * slot holds the bytes of its name: what it answers is right whatever happened since. */
#define HL_MEMO_LEN_MAX 24

struct hl_hash_memo {
    uint32_t next; /* 1..HL_PREFETCH_MAX + 1: slots[next] is likely; slots[next - 1] came last */
    struct hl_memo_slot {
        uint64_t hash;
        size_t len; /* SIZE_MAX: empty, as the first and the last slot always are */
        unsigned char bytes[HL_MEMO_LEN_MAX];
    } slots[HL_PREFETCH_MAX + 2];
};

static inline bool hl_memo_has(const struct hl_memo_slot *slot, struct hl_slice key)
{
    return slot->len == key.len &&
           hl_bytes_equal(slot->bytes, (const unsigned char *)key.ptr, key.len);
}

/* Put a new name's entry into the table; `hash` is hl_db_hash() of its key. */
static inline void hl_db_insert(struct hl_db *db, uint64_t hash, struct hl_entry *entry)
{
    hl_table_insert(&db->table, hash, entry);
    if (db->ks->creating) {
        db->ks->hooks.created(db->ks->hooks.ctx, db->index, hl_entry_key(entry));
    }
}

/* The hash of a name that is not the next one of the memo. */
uint64_t hl_db_hash_other(const struct hl_db *db, struct hl_slice key);

static inline uint64_t hl_db_hash(const struct hl_db *db, struct hl_slice key)
{
    struct hl_hash_memo *memo = db->ks->memo;
    const struct hl_memo_slot *slot = &memo->slots[memo->next];
    if (hl_memo_has(slot, key)) {
        memo->next++;
        return slot->hash;
    }
    return hl_db_hash_other(db, key);
}

/* --- entry.c ---------------------------------------------------------------------------------- */

/* A new entry with header and key set and room for a deadline (if `timed`) and a value part of
 * `value_len` bytes, both unset. */
struct hl_entry *hl_entry_create(uint32_t hash, struct hl_slice key, bool timed, enum hl_kind kind,
                                 size_t value_len);

/* Give the entry another shape, keeping key, deadline (if it had one and keeps one) and as much of
 * the value part as fits.  Returns the entry, which may have moved: tell hl_db_moved(). */
struct hl_entry *hl_entry_reshape(struct hl_entry *entry, bool timed, size_t value_len);

/* End what the value part points to; the entry itself stays. */
void hl_entry_end_value(struct hl_keyspace *ks, struct hl_entry *entry);

/* End an entry that is in no table. */
void hl_entry_destroy(struct hl_keyspace *ks, struct hl_entry *entry);

/* --- access.c --------------------------------------------------------------------------------- */

/* Note an access now, under LFU. */
void hl_entry_touch_lfu(const struct hl_keyspace *ks, struct hl_entry *entry);

/* The access field of a key that is made now, under LFU. */
uint32_t hl_access_fresh_lfu(const struct hl_keyspace *ks);

/* The access field of a key that is made now. */
static inline uint32_t hl_access_fresh(const struct hl_keyspace *ks)
{
    return ks->lfu ? hl_access_fresh_lfu(ks) : ks->lru_clock & 0xffffffu;
}

/* Note an access now; not while a child shares the page, which writing would copy. */
static inline void hl_entry_touch(const struct hl_keyspace *ks, struct hl_entry *entry)
{
    if (ks->forked) {
        return;
    }
    if (ks->lfu) {
        hl_entry_touch_lfu(ks, entry);
    } else {
        entry->access = ks->lru_clock & 0xffffffu;
    }
}

/* --- keyspace.c ------------------------------------------------------------------------------- */

/* Where the gate of a hash is kept. */
static inline uint64_t *hl_ks_gate(const struct hl_keyspace *ks, uint64_t hash)
{
    return &ks->gate[(uint32_t)hash % HL_GATE_SLOTS];
}

/* Raise the gate of a hash and report to hooks.modified. */
static inline void hl_db_modified_hash(struct hl_db *db, struct hl_slice key, uint64_t hash)
{
    struct hl_keyspace *ks = db->ks;
    uint64_t *gate = hl_ks_gate(ks, hash);
    if (*gate < ks->gate_index) {
        *gate = ks->gate_index;
    }
    if (ks->watching != 0 && ks->hooks.modified != NULL) {
        ks->hooks.modified(ks->hooks.ctx, db->index, key);
    }
}

/* The entry that was at address `from` is now `moved` (perhaps the same): repair the tables. */
void hl_db_moved(struct hl_db *db, uintptr_t from, struct hl_entry *moved);

/* Insert a made entry (untimed, or with deadline set) under its name, ending what was there.  The
 * access is set to fresh.  Calls hl_db_modified(). */
struct hl_entry *hl_db_put(struct hl_db *db, struct hl_entry *entry);

/* Remove the entry in `slot`, which is not a dead one to report.  Does not report. */
void hl_db_drop(struct hl_db *db, void **slot);

/* --- expire.c --------------------------------------------------------------------------------- */

/* Add a timed entry, setting its index (E3). */
void hl_expires_add(struct hl_expires *expires, struct hl_entry *entry);

/* Take out the entry of an index. */
void hl_expires_remove(struct hl_expires *expires, size_t index);

/* Release the memory; the entries are not touched. */
void hl_expires_fini(struct hl_expires *expires);

/* Where the entry of an index is kept. */
static inline struct hl_entry **hl_expires_at(const struct hl_expires *expires, size_t index)
{
    HL_ASSERT(index < expires->count);
    return &expires->chunks[index / HL_EXPIRES_CHUNK][index % HL_EXPIRES_CHUNK];
}

/* --- string.c --------------------------------------------------------------------------------- */

/* A new entry, in no table yet, with a copy of a string in the encoding that SET gives it. */
struct hl_entry *hl_string_create(struct hl_slice key, uint32_t key_hash, bool timed,
                                  struct hl_slice value);

/* A copy of a string's value, its encoding included, as hl_string_create(). */
struct hl_entry *hl_string_dup(const struct hl_entry *entry, struct hl_slice key, uint32_t key_hash,
                               bool timed);

/* --- evict.c ---------------------------------------------------------------------------------- */

struct hl_evict_pool;

/* Release the pool (NULL is allowed). */
void hl_evict_pool_destroy(struct hl_evict_pool *pool);

/* --- hash.c ----------------------------------------------------------------------------------- */

struct hl_hash_table;

/* End a hash in table form. */
void hl_hash_table_destroy(struct hl_hash_table *hash);

/* A new entry, in no table yet, with an empty hash. */
struct hl_entry *hl_hash_create(struct hl_slice key, uint32_t key_hash, bool timed);

/* Give a hash in listpack form another listpack. */
void hl_hash_adopt(struct hl_entry *entry, unsigned char *given_lp);

/* The listpack of a hash in that form, else NULL. */
const unsigned char *hl_hash_listpack(const struct hl_entry *entry);

/* A copy of a hash's value as a new entry under `key`, in no table yet. */
struct hl_entry *hl_hash_dup(const struct hl_entry *entry, struct hl_slice key, uint32_t key_hash,
                             bool timed);

/* Bytes of a hash beside its entry. */
size_t hl_hash_memory(const struct hl_entry *entry, size_t samples);

/* --- list.c ----------------------------------------------------------------------------------- */

struct hl_quicklist;
struct hl_ql_block;

/* End a list. */
void hl_ql_destroy(struct hl_quicklist *list);

/* A new entry, in no table yet, with an empty list. */
struct hl_entry *hl_ql_create(struct hl_slice key, uint32_t key_hash, bool timed);

/* Add the elements of a listpack behind those of a list; an empty one adds nothing. */
void hl_ql_adopt(struct hl_entry *entry, unsigned char *given_lp);

/* Number of blocks. */
size_t hl_ql_blocks(const struct hl_entry *entry);

/* The listpack of the block after *position (NULL: the first), which goes there; NULL at the
 * end. */
const unsigned char *hl_ql_next_block(const struct hl_entry *entry,
                                        const struct hl_ql_block **position);

/* A copy of a list's value as a new entry under `key`, in no table yet. */
struct hl_entry *hl_ql_dup(const struct hl_entry *entry, struct hl_slice key, uint32_t key_hash,
                             bool timed);

/* Bytes of a list beside its entry; `samples` of its blocks are looked at, 0: all. */
size_t hl_ql_memory(const struct hl_entry *entry, size_t samples);

#endif
