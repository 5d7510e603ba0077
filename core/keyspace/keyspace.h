/* The keyspace: numbered databases of keys and values, without replies, clocks or randomness.
 *
 * Time arrives as `now_ms`, randomness as a struct hl_rng.  Everything runs on one thread.
 *
 * Invariants:
 *   K1  a key is in a database's main table once; it is in the expires list iff it has a deadline.
 *   K2  an entry's address is stable until a function documented as moving it is called for it.
 *   K3  with `expiry` HL_EXPIRY_HIDE or HL_EXPIRY_OFF nothing is ever removed but by the caller.
 *   K4  while `gated`, every lookup by name raises `gate_seen` to the gate of that name, whether it
 *       exists or not.
 */
#ifndef HL_KEYSPACE_KEYSPACE_H
#define HL_KEYSPACE_KEYSPACE_H

#include "base/rng.h"
#include "kit/bytes.h"
#include "kit/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hl_type { /* numbered as the RDB and OBJECT commands order them */
               HL_TYPE_STRING = 0,
               HL_TYPE_LIST = 1,
               HL_TYPE_SET = 2,
               HL_TYPE_ZSET = 3,
               HL_TYPE_HASH = 4,
               HL_TYPE_MODULE = 5,
               HL_TYPE_STREAM = 6,
};

enum hl_encoding { /* what OBJECT ENCODING prints */
                   HL_ENC_RAW = 0,
                   HL_ENC_EMBSTR,
                   HL_ENC_INT,
                   HL_ENC_LISTPACK,
                   HL_ENC_HASHTABLE,
                   HL_ENC_INTSET,
                   HL_ENC_SKIPLIST,
                   HL_ENC_QUICKLIST,
                   HL_ENC_STREAM,
                   HL_ENC_MODULE,
};

/* What a lookup does with a key whose deadline has passed. */
enum hl_expiry {
    HL_EXPIRY_DELETE, /* a leader: report it to hooks.expired and remove it */
    HL_EXPIRY_HIDE,   /* a follower: answer "missing", leave it in place */
    HL_EXPIRY_OFF,    /* applying effects or loading: it is still there */
};

#define HL_NO_EXPIRE (-1) /* a key without a deadline */
#define HL_DB_MAX 1024
#define HL_PREFETCH_MAX 16

/* Flags of hl_db_find(). */
#define HL_FIND_NOTOUCH 1u /* leave the access time and frequency alone */
#define HL_FIND_NOSTATS 2u /* do not count a hit or a miss */
#define HL_FIND_WRITE 4u   /* the caller is about to write: no hit or miss is counted */
#define HL_FIND_EXPIRED 8u /* return the key even when its deadline has passed */

/* Number of slots in the gate filter: a power of two. */
#define HL_GATE_SLOTS 16384

struct hl_entry; /* a key and its value in one allocation; opaque outside core/keyspace */

/* Thresholds between compact and general encodings; plain values that CONFIG SET may change. */
struct hl_encoding_limits {
    uint32_t hash_max_listpack_entries; /* 128 */
    uint32_t hash_max_listpack_value;   /* 64 bytes */
    /* Of a list's block: so many elements, or -1 to -5 for 4, 8, 16, 32, 64 KiB; -2. */
    int32_t list_max_listpack_size;
};

/* What the keyspace tells its owner.  Any may be NULL.  All are called on the loop thread and must
 * not change the database that is calling. */
struct hl_keyspace_hooks {
    void *ctx;
    /* The key died of old age and is about to be removed (HL_EXPIRY_DELETE only): the owner records
     * a DEL effect.  `key` is borrowed for the call. */
    void (*expired)(void *ctx, int db, struct hl_slice key);
    /* The key's value or deadline changed; called only while `watching` is not 0. */
    void (*modified)(void *ctx, int db, struct hl_slice key);
    /* A name appeared; called only while `creating`. */
    void (*created)(void *ctx, int db, struct hl_slice key);
    /* A keyspace event of a class that is in `notify_mask`. */
    void (*notify)(void *ctx, uint32_t classes, const char *event, int db, struct hl_slice key);
    /* Ends a value of a module type.  Required before any is stored. */
    void (*module_free)(void *ctx, void *type, void *value);
};

struct hl_db;

/* Fields are inputs of, or counters for, the owner; `dbs` belongs to the keyspace. */
struct hl_keyspace {
    struct hl_db *dbs; /* opaque array; use hl_ks_db() */
    int db_count;
    enum hl_expiry expiry;
    int64_t now_ms;             /* log time of the execution unit, milliseconds since the epoch */
    uint32_t lru_clock;         /* seconds, for access times; advanced by the owner */
    bool lfu;                   /* keep access frequencies instead of access times */
    bool forked;                /* a child shares our pages: lookups leave access times alone */
    uint32_t lfu_log_factor;    /* 10: the larger, the more accesses one step takes */
    uint32_t lfu_decay_minutes; /* 1; 0: never */
    struct hl_rng *rng;         /* borrowed; for LFU increments and sampling */
    struct hl_encoding_limits limits;
    struct hl_keyspace_hooks hooks;
    uint32_t watching;    /* not 0: call hooks.modified */
    bool creating;        /* call hooks.created */
    uint32_t notify_mask; /* HL_NOTIFY_* classes somebody listens to */

    /* The gate filter (PROTOCOL section 3): gate[hash(name) % HL_GATE_SLOTS] is the index of the
     * last entry that changed a name of that slot.  A collision only delays a reply. */
    uint64_t *gate;
    bool gated;          /* something executed is not committed yet: look at the gates of names */
    uint64_t gate_index; /* index the running unit's entry will have; 0: nothing is gated */
    uint64_t gate_seen;  /* highest gate of the names looked up since the owner cleared it */

    uint64_t hits, misses; /* of reads */
    uint64_t expired;      /* keys removed because their deadline passed */

    uint64_t seed[2];           /* of the tables; set by hl_ks_init() */
    struct hl_evict_pool *pool; /* the keyspace's own, as is: */
    struct hl_hash_memo *memo;
};

/*
 * Make `db_count` empty databases (1..HL_DB_MAX) in `ks`, which is the caller's memory.
 * seed  keys the hash functions: draw it from entropy so that clients cannot aim at one bucket.
 */
void hl_ks_init(struct hl_keyspace *ks, int db_count, const uint64_t seed[2], struct hl_rng *rng);

/* Release every key and the memory of hl_ks_init(). */
void hl_ks_fini(struct hl_keyspace *ks);

/* Database `index` (0..db_count-1, asserted); valid until hl_ks_fini(). */
struct hl_db *hl_ks_db(struct hl_keyspace *ks, int index);

/* The number of a database. */
int hl_db_index(const struct hl_db *db);

/* Number of keys. */
size_t hl_db_count(const struct hl_db *db);

/* Number of keys with a deadline. */
size_t hl_db_expires_count(const struct hl_db *db);

/*
 * Look a name up.  NULL when it is missing (or expired, see `ks->expiry`).  Raises ks->gate_seen
 * (K4), counts a hit or miss and notes the access as `flags` (HL_FIND_*) say.  O(1).
 */
struct hl_entry *hl_db_find(struct hl_db *db, struct hl_slice key, unsigned flags);

/*
 * Bring what hl_db_find() will read for `count` names (at most HL_PREFETCH_MAX are looked at) into
 * the cache, so that their misses overlap: for commands of one pipeline, or MGET.  Changes nothing.
 */
void hl_db_prefetch(const struct hl_db *db, const struct hl_slice *keys, size_t count);

/*
 * Note that the name changed: raises its gate to ks->gate_index, reports to hooks.modified.  Every
 * hl_db_* function below that changes a key calls it; code that changes a value in place (a field
 * of a hash) must call it itself.
 */
void hl_db_modified(struct hl_db *db, struct hl_slice key);

/* As hl_db_modified() for the name of an entry of `db`, without hashing it again. */
void hl_entry_modified(struct hl_db *db, const struct hl_entry *entry);

/* Tell listeners of `classes` (HL_NOTIFY_*): cheap when nobody listens. */
static inline void hl_ks_notify(struct hl_keyspace *ks, uint32_t classes, const char *event, int db,
                                struct hl_slice key)
{
    if ((ks->notify_mask & classes) != 0 && ks->hooks.notify != NULL) {
        ks->hooks.notify(ks->hooks.ctx, classes, event, db, key);
    }
}

/* Classes of keyspace events, the values of the module ABI. */
#define HL_NOTIFY_KEYSPACE (1u << 0)
#define HL_NOTIFY_KEYEVENT (1u << 1)
#define HL_NOTIFY_GENERIC (1u << 2)
#define HL_NOTIFY_STRING (1u << 3)
#define HL_NOTIFY_LIST (1u << 4)
#define HL_NOTIFY_SET (1u << 5)
#define HL_NOTIFY_HASH (1u << 6)
#define HL_NOTIFY_ZSET (1u << 7)
#define HL_NOTIFY_EXPIRED (1u << 8)
#define HL_NOTIFY_EVICTED (1u << 9)
#define HL_NOTIFY_STREAM (1u << 10)
#define HL_NOTIFY_KEY_MISS (1u << 11)
#define HL_NOTIFY_LOADED (1u << 12)
#define HL_NOTIFY_MODULE (1u << 13)
#define HL_NOTIFY_NEW (1u << 14)

/*
 * Store a string under `key`, replacing whatever was there.  Drops the deadline unless `keep_ttl`.
 * Both slices are copied.  Calls hl_db_modified().  Returns the entry.  The hot path of SET: one
 * lookup, at most one allocation.
 */
struct hl_entry *hl_db_set_string(struct hl_db *db, struct hl_slice key, struct hl_slice value,
                                  bool keep_ttl);

/* Add an empty hash under `key`, which must be missing (asserted).  Calls hl_db_modified(). */
struct hl_entry *hl_db_add_hash(struct hl_db *db, struct hl_slice key);

/* The same, an empty list. */
struct hl_entry *hl_db_add_list(struct hl_db *db, struct hl_slice key);

/* Store a module value, replacing what was there and dropping its deadline; both pointers belong to
 * the keyspace from now on and end through hooks.module_free.  Calls hl_db_modified(). */
struct hl_entry *hl_db_set_module(struct hl_db *db, struct hl_slice key, void *type, void *value);

/* Remove a key, whatever its deadline (find it first where a dead key counts as missing); false
 * when it was missing.  Raises ks->gate_seen (K4); calls hl_db_modified() when it was there.  `key`
 * may be a view of the entry. */
bool hl_db_delete(struct hl_db *db, struct hl_slice key);

/* Rename `from`, which must exist (asserted), to `to`, replacing what was there; the deadline goes
 * along.  Also moves between databases.  Calls hl_db_modified() for both.  Returns the new entry.
 */
struct hl_entry *hl_db_rename(struct hl_db *db, struct hl_slice from, struct hl_db *to_db,
                              struct hl_slice to);

/* Copy the value and deadline of `entry` to `to` in `to_db`, replacing what was there.  Module
 * values are not copied: returns NULL for them.  Calls hl_db_modified(). */
struct hl_entry *hl_db_copy(struct hl_entry *entry, struct hl_db *to_db, struct hl_slice to);

/* Set (or, with HL_NO_EXPIRE, clear) the deadline in milliseconds since the epoch.  May move the
 * entry (K2): returns its new address.  Calls hl_db_modified(). */
struct hl_entry *hl_db_set_expire(struct hl_db *db, struct hl_entry *entry, int64_t when_ms);

/* Remove every key of one database.  Raises every gate; reports each key to hooks.modified while
 * somebody watches.  O(keys). */
void hl_db_flush(struct hl_db *db);

/* Remove every key of all databases; otherwise as hl_db_flush(). */
void hl_ks_flush(struct hl_keyspace *ks);

/* Exchange the contents of two databases.  Raises every gate; hooks.modified is not called: the
 * owner knows which names are watched.  O(1). */
void hl_ks_swap(struct hl_keyspace *ks, int a, int b);

/* A random key's entry that is not expired, or NULL when there is none (after bounded tries). */
struct hl_entry *hl_db_random(struct hl_db *db);

/*
 * Visit part of the database: start with cursor 0, pass back what is returned until it is 0.  Every
 * key present all along is visited at least once, whatever is added, removed or resized meanwhile.
 * `visit` may change keys, but not flush, swap or scan the database itself.
 */
uint64_t hl_db_scan(struct hl_db *db, uint64_t cursor,
                    void (*visit)(void *ctx, struct hl_entry *entry), void *ctx);

/* Visit every key once, changing nothing meanwhile. */
void hl_db_visit(struct hl_db *db, void (*visit)(void *ctx, struct hl_entry *entry), void *ctx);

/* How a database's table of keys is made. */
struct hl_db_shape {
    size_t keys;
    size_t buckets;     /* each of HL_BUCKET_SLOTS keys */
    size_t new_buckets; /* of the table it is being moved to; 0: none */
    size_t moved;       /* buckets moved so far */
    size_t chained;     /* buckets behind another one */
    size_t bytes;
};

/* The shape of the database's table, for DEBUG HTSTATS. */
struct hl_db_shape hl_db_shape(const struct hl_db *db);

/* Advance incremental resizing by a bounded amount of work; the owner calls it when idle. */
void hl_ks_rehash_step(struct hl_keyspace *ks, int buckets);

/*
 * Find keys whose deadline has passed, looking at no more than `effort` keys: calls `dead` for
 * each, which must remove it (hl_db_delete()) or leave it.  Returns the number of keys looked at,
 * and in *stale_percent (may be NULL) the share that were dead.  PROTOCOL section 7: only a leader
 * calls it.
 */
size_t hl_ks_expire_cycle(struct hl_keyspace *ks, size_t effort,
                          void (*dead)(void *ctx, int db, struct hl_slice key), void *ctx,
                          unsigned *stale_percent);

enum hl_evict_policy {
    HL_EVICT_NOEVICTION,
    HL_EVICT_ALLKEYS_LRU,
    HL_EVICT_ALLKEYS_LFU,
    HL_EVICT_ALLKEYS_RANDOM,
    HL_EVICT_VOLATILE_LRU,
    HL_EVICT_VOLATILE_LFU,
    HL_EVICT_VOLATILE_RANDOM,
    HL_EVICT_VOLATILE_TTL,
};

/* The key that `policy` would evict next, sampling `samples` keys of each database; NULL when none
 * qualifies.  *db is set to its database. */
struct hl_entry *hl_ks_evict_candidate(struct hl_keyspace *ks, enum hl_evict_policy policy,
                                       int samples, struct hl_db **db);

/* --- entries ---------------------------------------------------------------------------------- */

/* The type of the value. */
enum hl_type hl_entry_type(const struct hl_entry *entry);

/* The encoding of the value, as OBJECT ENCODING names it. */
enum hl_encoding hl_entry_encoding(const struct hl_entry *entry);

/* The name; the view is valid until the entry is next moved or removed. */
struct hl_slice hl_entry_key(const struct hl_entry *entry);

/* Deadline in milliseconds since the epoch, or HL_NO_EXPIRE. */
int64_t hl_entry_expire(const struct hl_entry *entry);

/* Seconds since the last access (0 under LFU). */
uint32_t hl_entry_idle(const struct hl_keyspace *ks, const struct hl_entry *entry);

/* The LFU counter after decay (0..255; 0 under LRU). */
uint32_t hl_entry_freq(const struct hl_keyspace *ks, const struct hl_entry *entry);

/* Set what RESTORE … IDLETIME gives (nothing under LFU). */
void hl_entry_set_idle(struct hl_keyspace *ks, struct hl_entry *entry, uint32_t seconds);

/* Set what RESTORE … FREQ gives (nothing under LRU). */
void hl_entry_set_freq(struct hl_keyspace *ks, struct hl_entry *entry, uint32_t freq);

/* Bytes the key and its value take from the allocator, sampling `samples` members (0 is all). */
size_t hl_entry_memory(const struct hl_entry *entry, size_t samples);

/* The type of a module value (asserted). */
void *hl_entry_module_type(const struct hl_entry *entry);

/* The module value itself; the entry keeps it. */
void *hl_entry_module_value(const struct hl_entry *entry);

/* Put a value of another type in place of the module value, which is not ended: for a module that
 * is swapped. */
void hl_entry_module_set(struct hl_entry *entry, void *type, void *value);

/* Put `value`, of the same type, in place of the module value; returns the old one, which the
 * caller owns. */
void *hl_entry_module_swap(struct hl_entry *entry, void *value);

#endif
