/* A hash table of entries that somebody else owns, in buckets of one cache line.
 *
 *   bucket   0  u64   byte 0: 1 when slot[6] points to the next bucket of the chain, else 0
 *                     byte 1+i: tag of slot[i], 8 bits of the hash; 0 when the slot is empty
 *            8  7 pointers
 *
 * An entry is any memory that starts with a uint32_t: the low half of its hash.  Resizing reads
 * that and never the key.
 *
 * Invariants:
 *   T1  an entry of hash h is in one place: bucket h of buckets[1] if bucket h of buckets[0] was
 *       moved already (its index is below `moved`), else bucket h of buckets[0].  So a lookup reads
 *       one chain, resizing or not.
 *   T2  without resizing buckets[1] is NULL and `moved` is 0.
 *   T3  while `paused` is not 0 no bucket is freed and no entry leaves its chain.
 */
#ifndef HL_BASE_TABLE_H
#define HL_BASE_TABLE_H

#include "base/rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HL_BUCKET_SLOTS 7
#define HL_BUCKET_CHAINED 1u

struct hl_bucket {
    _Alignas(64) uint64_t tags;
    void *slot[HL_BUCKET_SLOTS];
};

/* All fields are the table's own; it may be moved by assignment. */
struct hl_table {
    struct hl_bucket *buckets[2];
    size_t mask[2];  /* number of buckets - 1 */
    size_t moved;    /* buckets of buckets[0] below this one were moved */
    size_t count;    /* entries */
    size_t chained;  /* buckets beyond the first of their chain */
    unsigned paused; /* scans under way */
};

/* Whether `entry` has the key that is searched. */
typedef bool hl_table_equal(const void *entry, const void *key);

/* Called with each entry. */
typedef void hl_table_visit(void *ctx, void *entry);

/* An empty table; takes no memory before the first insertion. */
void hl_table_init(struct hl_table *table);

/* Call `end` (may be NULL) for every entry and release the buckets; the table is then empty and
 * usable again. */
void hl_table_fini(struct hl_table *table, hl_table_visit *end, void *ctx);

/* Insert an entry that is not there yet.  `hash` is of its key; the entry starts with the low 32
 * bits of it.  Also advances resizing. */
void hl_table_insert(struct hl_table *table, uint64_t hash, void *entry);

/* Remove the entry in `slot`, which came from hl_table_find() or hl_table_locate() since the table
 * was last changed.  Also advances resizing. */
void hl_table_remove(struct hl_table *table, void **slot);

/* The slot that holds the address `entry` (asserted) of hash `hash`; `entry` is not read, so it may
 * have been freed. */
void **hl_table_locate(const struct hl_table *table, uint32_t hash, uintptr_t entry);

/* Move up to `buckets` buckets if the table is being resized; false when there is nothing to do. */
bool hl_table_step(struct hl_table *table, size_t buckets);

/*
 * Visit part of the table: start with cursor 0 and go on with what is returned until it is 0.
 * Entries present all along are visited at least once, whatever is inserted, removed or resized
 * between the calls or by `visit`; only hl_table_fini() is forbidden to `visit`.
 */
uint64_t hl_table_scan(struct hl_table *table, uint64_t cursor, hl_table_visit *visit, void *ctx);

/* Walk all entries once: `position` starts zeroed; NULL at the end.  The table must not change. */
void *hl_table_walk(const struct hl_table *table, uint64_t position[3]);

/* A random entry, each equally likely but for chains of more than 16, or NULL when it is empty. */
void *hl_table_random(const struct hl_table *table, struct hl_rng *rng);

/* Up to `max` entries from neighbouring buckets at a random place: cheap, not independent.  Returns
 * how many; 0 only when the table is empty. */
size_t hl_table_sample(const struct hl_table *table, struct hl_rng *rng, void **out, size_t max);

/* Bytes of the buckets. */
size_t hl_table_memory(const struct hl_table *table);

/* The tag of a hash, 1..255: bits that do not choose the bucket. */
static inline uint64_t hl_table_tag(uint64_t hash)
{
    uint64_t tag = hash >> 56;
    return tag + (tag == 0);
}

/* 0x80 in byte 1+i for each slot i whose tag is `tag`, exactly. */
static inline uint64_t hl_bucket_match(uint64_t tags, uint64_t tag)
{
    const uint64_t low7 = 0x7f7f7f7f7f7f7f7fu;
    uint64_t x = tags ^ tag * 0x0101010101010101u;
    return ~(((x & low7) + low7) | x | low7) & ~(uint64_t)0xff;
}

/* The first bucket of the chain of a hash (T1). */
static inline struct hl_bucket *hl_table_bucket(const struct hl_table *table, uint64_t hash)
{
    uint32_t low = (uint32_t)hash;
    size_t index = low & table->mask[0];
    if (__builtin_expect(index < table->moved, 0)) {
        return &table->buckets[1][low & table->mask[1]];
    }
    return &table->buckets[0][index];
}

/* The slot of the entry of `hash` that `equal` says has `key`, or NULL; valid until the table
 * changes.  The caller may exchange the entry in it for one with the same hash. */
__attribute__((always_inline)) static inline void **
hl_table_find(const struct hl_table *table, uint64_t hash, hl_table_equal *equal, const void *key)
{
    struct hl_bucket *bucket = hl_table_bucket(table, hash);
    uint64_t tag = hl_table_tag(hash);
    for (;;) {
        uint64_t hits = hl_bucket_match(bucket->tags, tag);
        for (; hits != 0; hits &= hits - 1) {
            void **slot = &bucket->slot[__builtin_ctzll(hits) / 8 - 1];
            if (equal(*slot, key)) {
                return slot;
            }
        }
        if (__builtin_expect((bucket->tags & HL_BUCKET_CHAINED) == 0, 1)) {
            return NULL;
        }
        bucket = bucket->slot[HL_BUCKET_SLOTS - 1];
    }
}

#endif
