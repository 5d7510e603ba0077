/* Which key a policy would evict next.
 *
 * A few keys of each database are sampled; the best seen stay in a pool across calls, so that it
 * approaches the true order with small samples.  The pool keeps names, not entries: a key may go or
 * come back between two calls.
 *
 * Invariants:
 *   V1  slots[0..count) are in ascending order of score: the last is the best candidate.
 *   V2  a name is in the pool once per database.
 */
#include "keyspace/entry.h"

#define POOL_SLOTS 16
#define SAMPLES_MAX 64

struct candidate {
    uint64_t score; /* the larger, the sooner it goes */
    int db;
    uint32_t hash;
    size_t key_len;
    char *key;
};

struct hl_evict_pool {
    enum hl_evict_policy policy;
    int next_db; /* of the random policies */
    size_t count;
    struct candidate slots[POOL_SLOTS];
};

static void clear(struct hl_evict_pool *pool)
{
    while (pool->count != 0) {
        hl_free(pool->slots[--pool->count].key);
    }
}

void hl_evict_pool_destroy(struct hl_evict_pool *pool)
{
    if (pool != NULL) {
        clear(pool);
        hl_free(pool);
    }
}

static bool is_volatile(enum hl_evict_policy policy)
{
    return policy >= HL_EVICT_VOLATILE_LRU;
}

static uint64_t score_of(const struct hl_keyspace *ks, enum hl_evict_policy policy,
                         const struct hl_entry *entry)
{
    switch (policy) {
    case HL_EVICT_ALLKEYS_LRU:
    case HL_EVICT_VOLATILE_LRU:
        return hl_entry_idle(ks, entry);
    case HL_EVICT_ALLKEYS_LFU:
    case HL_EVICT_VOLATILE_LFU:
        return 255 - hl_entry_freq(ks, entry);
    case HL_EVICT_VOLATILE_TTL:
        return UINT64_MAX - (uint64_t)hl_entry_deadline(entry);
    case HL_EVICT_NOEVICTION:
    case HL_EVICT_ALLKEYS_RANDOM:
    case HL_EVICT_VOLATILE_RANDOM:
        return 0;
    }
    HL_ASSERT(false);
    return 0;
}

static void drop_candidate(struct hl_evict_pool *pool, size_t i)
{
    hl_free(pool->slots[i].key);
    pool->count--;
    memmove(&pool->slots[i], &pool->slots[i + 1], (pool->count - i) * sizeof pool->slots[0]);
}

/* Keep V2: a key that is sampled again gets its present score. */
static void forget(struct hl_evict_pool *pool, int db, const struct hl_entry *entry)
{
    for (size_t i = 0; i < pool->count; i++) {
        struct candidate *c = &pool->slots[i];
        struct hl_slice key = {.ptr = c->key, .len = c->key_len};
        if (c->db == db && c->hash == entry->hash && hl_slice_equal(key, hl_entry_key(entry))) {
            drop_candidate(pool, i);
            return;
        }
    }
}

static void offer(struct hl_evict_pool *pool, int db, const struct hl_entry *entry, uint64_t score)
{
    forget(pool, db, entry);
    if (pool->count == POOL_SLOTS) {
        if (score <= pool->slots[0].score) {
            return;
        }
        drop_candidate(pool, 0);
    }
    size_t at = pool->count;
    while (at != 0 && pool->slots[at - 1].score > score) {
        pool->slots[at] = pool->slots[at - 1];
        at--;
    }
    struct hl_slice key = hl_entry_key(entry);
    pool->slots[at] = (struct candidate){
        .score = score,
        .db = db,
        .hash = entry->hash,
        .key_len = key.len,
        .key = hl_strndup(key.ptr, key.len),
    };
    pool->count++;
}

static size_t sample_db(const struct hl_db *db, bool timed, size_t samples, void **out)
{
    if (!timed) {
        return hl_table_sample(&db->table, db->ks->rng, out, samples);
    }
    size_t count = db->expires.count;
    size_t wanted = samples < count ? samples : count;
    for (size_t i = 0; i < wanted; i++) {
        out[i] = *hl_expires_at(&db->expires, (size_t)hl_rng_below(db->ks->rng, count));
    }
    return wanted;
}

static void fill(struct hl_keyspace *ks, struct hl_evict_pool *pool, size_t samples)
{
    for (int i = 0; i < ks->db_count; i++) {
        void *sampled[SAMPLES_MAX];
        size_t count = sample_db(&ks->dbs[i], is_volatile(pool->policy), samples, sampled);
        for (size_t j = 0; j < count; j++) {
            offer(pool, i, sampled[j], score_of(ks, pool->policy, sampled[j]));
        }
    }
}

/* Take the best candidate that still is one; NULL when the pool is used up. */
static struct hl_entry *take_best(struct hl_keyspace *ks, struct hl_evict_pool *pool,
                                  struct hl_db **db)
{
    while (pool->count != 0) {
        struct candidate *best = &pool->slots[--pool->count];
        struct hl_db *home = &ks->dbs[best->db];
        struct hl_slice key = {.ptr = best->key, .len = best->key_len};
        void **slot = hl_db_slot(home, key, hl_db_hash(home, key));
        hl_free(best->key);
        if (slot != NULL && (!is_volatile(pool->policy) || ((struct hl_entry *)*slot)->timed)) {
            *db = home;
            return *slot;
        }
    }
    return NULL;
}

static struct hl_entry *random_entry(struct hl_keyspace *ks, struct hl_evict_pool *pool,
                                     struct hl_db **db)
{
    for (int i = 0; i < ks->db_count; i++) {
        struct hl_db *home = &ks->dbs[pool->next_db];
        pool->next_db = (pool->next_db + 1) % ks->db_count;
        struct hl_entry *entry = NULL;
        if (!is_volatile(pool->policy)) {
            entry = hl_table_random(&home->table, ks->rng);
        } else if (home->expires.count != 0) {
            entry =
                *hl_expires_at(&home->expires, (size_t)hl_rng_below(ks->rng, home->expires.count));
        }
        if (entry != NULL) {
            *db = home;
            return entry;
        }
    }
    return NULL;
}

struct hl_entry *hl_ks_evict_candidate(struct hl_keyspace *ks, enum hl_evict_policy policy,
                                       int samples, struct hl_db **db)
{
    HL_ASSERT(samples >= 1);
    if (policy == HL_EVICT_NOEVICTION) {
        return NULL;
    }
    if (ks->pool == NULL) {
        ks->pool = hl_calloc(1, sizeof *ks->pool);
    }
    struct hl_evict_pool *pool = ks->pool;
    if (pool->policy != policy) {
        clear(pool); /* scores of another policy mean nothing */
        pool->policy = policy;
    }
    if (policy == HL_EVICT_ALLKEYS_RANDOM || policy == HL_EVICT_VOLATILE_RANDOM) {
        return random_entry(ks, pool, db);
    }
    fill(ks, pool, samples < SAMPLES_MAX ? (size_t)samples : SAMPLES_MAX);
    return take_best(ks, pool, db);
}
