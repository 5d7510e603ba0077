#include "base/table.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#define GROW_PER_BUCKET 6 /* entries per bucket, on average, that start growing */
#define SHRINK_DIVISOR 2  /* shrink when there are more buckets than this times the entries */
#define STEP_EMPTY 16     /* empty buckets one step may pass over */
#define CHAIN_FAIR 16     /* longest chain hl_table_random() is fair to */
#define RANDOM_TRIES 1024 /* before hl_table_random() takes the next entry it meets */
#define SAMPLE_EMPTY 64   /* empty buckets hl_table_sample() passes over per entry wanted */
#define BUCKETS_MAX ((size_t)1 << 32)

HL_STATIC(sizeof(struct hl_bucket) == 64);

/* What an empty table points to, so that lookups need no special case.  Never written. */
static struct hl_bucket nothing;

static uint32_t hash_of(const void *entry)
{
    return *(const uint32_t *)entry;
}

static uint64_t tag_at(const struct hl_bucket *bucket, unsigned i)
{
    return bucket->tags >> (8 * (i + 1)) & 0xff;
}

static void put_tag(struct hl_bucket *bucket, unsigned i, uint64_t tag)
{
    unsigned shift = 8 * (i + 1);
    bucket->tags = (bucket->tags & ~((uint64_t)0xff << shift)) | tag << shift;
}

static bool is_chained(const struct hl_bucket *bucket)
{
    return (bucket->tags & HL_BUCKET_CHAINED) != 0;
}

static struct hl_bucket *next_of(const struct hl_bucket *bucket)
{
    return is_chained(bucket) ? bucket->slot[HL_BUCKET_SLOTS - 1] : NULL;
}

void hl_table_init(struct hl_table *table)
{
    *table = (struct hl_table){.buckets = {&nothing, NULL}};
}

static void free_chain(struct hl_table *table, struct hl_bucket *first)
{
    struct hl_bucket *bucket = next_of(first);
    while (bucket != NULL) {
        struct hl_bucket *next = next_of(bucket);
        hl_free(bucket);
        table->chained--;
        bucket = next;
    }
    first->tags = 0;
}

static void end_entries(struct hl_bucket *bucket, hl_table_visit *end, void *ctx)
{
    for (; bucket != NULL; bucket = next_of(bucket)) {
        for (unsigned i = 0; i < HL_BUCKET_SLOTS; i++) {
            if (tag_at(bucket, i) != 0) {
                end(ctx, bucket->slot[i]);
            }
        }
    }
}

void hl_table_fini(struct hl_table *table, hl_table_visit *end, void *ctx)
{
    HL_ASSERT(table->paused == 0);
    for (int side = 0; side < 2; side++) {
        struct hl_bucket *buckets = table->buckets[side];
        if (buckets == NULL || buckets == &nothing) {
            continue;
        }
        for (size_t i = 0; i <= table->mask[side]; i++) {
            if (end != NULL) {
                end_entries(&buckets[i], end, ctx);
            }
            free_chain(table, &buckets[i]);
        }
        hl_free(buckets);
    }
    HL_ASSERT(table->chained == 0);
    hl_table_init(table);
}

/* Put an entry into the first free slot of a chain, lengthening it when there is none. */
static void place(struct hl_table *table, struct hl_bucket *bucket, uint64_t tag, void *entry)
{
    for (;;) {
        uint64_t free_slots = hl_bucket_match(bucket->tags, 0);
        if (is_chained(bucket)) {
            free_slots &= ~((uint64_t)0xff << (8 * HL_BUCKET_SLOTS));
        }
        if (free_slots != 0) {
            unsigned i = (unsigned)__builtin_ctzll(free_slots) / 8 - 1;
            bucket->slot[i] = entry;
            bucket->tags |= tag << (8 * (i + 1)); /* the byte was 0 */
            return;
        }
        if (!is_chained(bucket)) {
            struct hl_bucket *next = hl_calloc_lines(sizeof *next);
            table->chained++;
            next->slot[0] = bucket->slot[HL_BUCKET_SLOTS - 1];
            put_tag(next, 0, tag_at(bucket, HL_BUCKET_SLOTS - 1));
            put_tag(bucket, HL_BUCKET_SLOTS - 1, 0);
            bucket->slot[HL_BUCKET_SLOTS - 1] = next;
            bucket->tags |= HL_BUCKET_CHAINED;
        }
        bucket = bucket->slot[HL_BUCKET_SLOTS - 1];
    }
}

static void start_resize(struct hl_table *table, size_t buckets)
{
    HL_ASSERT(table->buckets[1] == NULL);
    HL_ASSERT(buckets != 0 && (buckets & (buckets - 1)) == 0);
    table->buckets[1] = hl_calloc_lines(buckets * sizeof(struct hl_bucket));
    table->mask[1] = buckets - 1;
    table->moved = 0;
}

static void finish_resize(struct hl_table *table)
{
    hl_free(table->buckets[0]);
    table->buckets[0] = table->buckets[1];
    table->mask[0] = table->mask[1];
    table->buckets[1] = NULL;
    table->mask[1] = 0;
    table->moved = 0;
}

/* Move one chain; false when it was empty. */
static bool move_bucket(struct hl_table *table)
{
    struct hl_bucket *first = &table->buckets[0][table->moved];
    table->moved++;
    if (first->tags == 0) {
        return false;
    }
    for (struct hl_bucket *b = first; b != NULL; b = next_of(b)) {
        for (unsigned i = 0; i < HL_BUCKET_SLOTS; i++) {
            __builtin_prefetch(b->slot[i]); /* the hashes: misses overlap */
        }
    }
    for (struct hl_bucket *b = first; b != NULL; b = next_of(b)) {
        for (unsigned i = 0; i < HL_BUCKET_SLOTS; i++) {
            uint64_t tag = tag_at(b, i);
            if (tag != 0) {
                size_t index = hash_of(b->slot[i]) & table->mask[1];
                place(table, &table->buckets[1][index], tag, b->slot[i]);
            }
        }
    }
    free_chain(table, first);
    return true;
}

bool hl_table_step(struct hl_table *table, size_t buckets)
{
    if (table->buckets[1] == NULL || table->paused != 0) {
        return false;
    }
    size_t empty = STEP_EMPTY * buckets;
    while (buckets != 0 && empty != 0 && table->moved <= table->mask[0]) {
        if (move_bucket(table)) {
            buckets--;
        } else {
            empty--;
        }
    }
    if (table->moved > table->mask[0]) {
        finish_resize(table);
    }
    return table->buckets[1] != NULL;
}

void hl_table_insert(struct hl_table *table, uint64_t hash, void *entry)
{
    HL_ASSERT(hash_of(entry) == (uint32_t)hash);
    if (table->buckets[0] == &nothing) {
        table->buckets[0] = hl_calloc_lines(sizeof(struct hl_bucket));
    } else if (table->buckets[1] != NULL) {
        (void)hl_table_step(table, 1);
    } else if (table->count >= GROW_PER_BUCKET * (table->mask[0] + 1) && table->paused == 0 &&
               table->mask[0] < BUCKETS_MAX - 1) {
        start_resize(table, 2 * (table->mask[0] + 1));
    }
    place(table, hl_table_bucket(table, hash), hl_table_tag(hash), entry);
    table->count++;
}

/* Fill the hole `i` of `bucket` from the end of its chain and drop the last bucket when that
 * empties it. */
static void close_hole(struct hl_table *table, struct hl_bucket *bucket, unsigned i)
{
    struct hl_bucket *before = NULL;
    struct hl_bucket *last = bucket;
    while (is_chained(last)) {
        before = last;
        last = next_of(last);
    }
    if (before == NULL) {
        return;
    }
    uint64_t taken = last->tags & ~(uint64_t)0xff;
    if (last != bucket && taken != 0) {
        unsigned from = (63 - (unsigned)__builtin_clzll(taken)) / 8 - 1;
        bucket->slot[i] = last->slot[from];
        put_tag(bucket, i, tag_at(last, from));
        put_tag(last, from, 0);
    }
    if ((last->tags & ~(uint64_t)0xff) == 0) {
        hl_free(last);
        table->chained--;
        before->slot[HL_BUCKET_SLOTS - 1] = NULL;
        before->tags &= ~(uint64_t)HL_BUCKET_CHAINED;
    }
}

static void maybe_shrink(struct hl_table *table)
{
    size_t buckets = table->mask[0] + 1;
    if (table->buckets[1] != NULL || buckets == 1 || buckets / SHRINK_DIVISOR <= table->count) {
        return;
    }
    size_t wanted = 1;
    while (wanted * (GROW_PER_BUCKET / 2) < table->count) {
        wanted *= 2;
    }
    if (wanted < buckets) {
        start_resize(table, wanted);
    }
}

void hl_table_remove(struct hl_table *table, void **slot)
{
    /* Buckets are aligned to their size, so the slot's address names bucket and index. */
    struct hl_bucket *bucket = (struct hl_bucket *)((uintptr_t)slot & ~(uintptr_t)63);
    unsigned i = (unsigned)(slot - bucket->slot);
    HL_ASSERT(tag_at(bucket, i) != 0);
    HL_ASSERT(table->count != 0);
    put_tag(bucket, i, 0);
    bucket->slot[i] = NULL;
    table->count--;
    if (table->paused != 0) {
        return; /* T3: the hole stays until something is inserted or moved there */
    }
    if (is_chained(bucket)) {
        close_hole(table, bucket, i);
    }
    maybe_shrink(table);
    (void)hl_table_step(table, 1);
}

void **hl_table_locate(const struct hl_table *table, uint32_t hash, uintptr_t entry)
{
    struct hl_bucket *bucket = hl_table_bucket(table, hash);
    for (; bucket != NULL; bucket = next_of(bucket)) {
        for (unsigned i = 0; i < HL_BUCKET_SLOTS; i++) {
            if ((uintptr_t)bucket->slot[i] == entry && tag_at(bucket, i) != 0) {
                return &bucket->slot[i];
            }
        }
    }
    HL_ASSERT(bucket != NULL);
    return NULL;
}

static void visit_chain(struct hl_bucket *bucket, hl_table_visit *visit, void *ctx)
{
    for (; bucket != NULL; bucket = next_of(bucket)) {
        for (unsigned i = 0; i < HL_BUCKET_SLOTS; i++) {
            if (tag_at(bucket, i) != 0) {
                visit(ctx, bucket->slot[i]);
            }
        }
    }
}

static uint64_t reverse_bits(uint64_t v)
{
    v = __builtin_bswap64(v);
    v = (v >> 4 & 0x0f0f0f0f0f0f0f0fu) | (v & 0x0f0f0f0f0f0f0f0fu) << 4;
    v = (v >> 2 & 0x3333333333333333u) | (v & 0x3333333333333333u) << 2;
    return (v >> 1 & 0x5555555555555555u) | (v & 0x5555555555555555u) << 1;
}

/* Count from the highest bit of `mask` down: what was visited in a table of one size covers whole
 * buckets of a table of another. */
static uint64_t next_cursor(uint64_t cursor, uint64_t mask)
{
    return reverse_bits(reverse_bits(cursor | ~mask) + 1);
}

uint64_t hl_table_scan(struct hl_table *table, uint64_t cursor, hl_table_visit *visit, void *ctx)
{
    if (table->count == 0) {
        return 0;
    }
    int small = table->buckets[1] != NULL && table->mask[1] < table->mask[0];
    uint64_t mask = table->mask[small];
    table->paused++;
    visit_chain(&table->buckets[small][cursor & mask], visit, ctx);
    if (table->buckets[1] != NULL) {
        /* The buckets of the larger table that the small one's bucket stands for. */
        const struct hl_bucket *large = table->buckets[!small];
        uint64_t large_mask = table->mask[!small];
        for (uint64_t i = cursor & mask; i <= large_mask; i += mask + 1) {
            visit_chain((struct hl_bucket *)&large[i], visit, ctx);
        }
    }
    table->paused--;
    return next_cursor(cursor, mask);
}

/* Bucket `index` counted over both sides, or NULL beyond the last. */
static struct hl_bucket *bucket_at(const struct hl_table *table, uint64_t index)
{
    if (index <= table->mask[0]) {
        return &table->buckets[0][index];
    }
    index -= table->mask[0] + 1;
    return table->buckets[1] != NULL && index <= table->mask[1] ? &table->buckets[1][index] : NULL;
}

void *hl_table_walk(const struct hl_table *table, uint64_t position[3])
{
    for (;;) {
        /* position: index of the bucket, address in its chain (0: not entered), next slot */
        struct hl_bucket *bucket = position[1] != 0 ? (struct hl_bucket *)(uintptr_t)position[1]
                                                    : bucket_at(table, position[0]);
        if (bucket == NULL) {
            return NULL;
        }
        while (position[2] < HL_BUCKET_SLOTS) {
            unsigned i = (unsigned)position[2]++;
            if (tag_at(bucket, i) != 0) {
                position[1] = (uint64_t)(uintptr_t)bucket;
                return bucket->slot[i];
            }
        }
        position[2] = 0;
        position[1] = (uint64_t)(uintptr_t)next_of(bucket);
        position[0] += position[1] == 0;
    }
}

static unsigned chain_count(const struct hl_bucket *bucket)
{
    unsigned count = 0;
    for (; bucket != NULL; bucket = next_of(bucket)) {
        for (unsigned i = 0; i < HL_BUCKET_SLOTS; i++) {
            count += tag_at(bucket, i) != 0;
        }
    }
    return count;
}

static void *chain_entry(const struct hl_bucket *bucket, unsigned nth)
{
    for (; bucket != NULL; bucket = next_of(bucket)) {
        for (unsigned i = 0; i < HL_BUCKET_SLOTS; i++) {
            if (tag_at(bucket, i) != 0 && nth-- == 0) {
                return bucket->slot[i];
            }
        }
    }
    HL_ASSERT(bucket != NULL);
    return NULL;
}

/* Buckets that may hold something, counted over both sides from `moved` on. */
static uint64_t live_buckets(const struct hl_table *table)
{
    size_t more = table->buckets[1] != NULL ? table->mask[1] + 1 : 0;
    return table->mask[0] + 1 - table->moved + more;
}

void *hl_table_random(const struct hl_table *table, struct hl_rng *rng)
{
    if (table->count == 0) {
        return NULL;
    }
    uint64_t live = live_buckets(table);
    for (int tries = 0; tries < RANDOM_TRIES; tries++) {
        uint64_t at = table->moved + hl_rng_below(rng, live);
        const struct hl_bucket *bucket = bucket_at(table, at);
        unsigned count = chain_count(bucket);
        /* Taking a bucket as often as it has entries makes every entry equally likely. */
        uint64_t nth = hl_rng_below(rng, count > CHAIN_FAIR ? count : CHAIN_FAIR);
        if (nth < count) {
            return chain_entry(bucket, (unsigned)nth);
        }
    }
    uint64_t position[3] = {table->moved + hl_rng_below(rng, live), 0, 0};
    void *entry = hl_table_walk(table, position);
    if (entry == NULL) {
        entry = hl_table_walk(table, (uint64_t[3]){0});
    }
    return entry;
}

size_t hl_table_sample(const struct hl_table *table, struct hl_rng *rng, void **out, size_t max)
{
    if (table->count == 0 || max == 0) {
        return 0;
    }
    uint64_t live = live_buckets(table);
    uint64_t at = hl_rng_below(rng, live);
    size_t count = 0;
    size_t empty = SAMPLE_EMPTY * max;
    for (uint64_t seen = 0; seen < live && count < max && empty != 0; seen++) {
        const struct hl_bucket *bucket = bucket_at(table, table->moved + at);
        at = at + 1 == live ? 0 : at + 1;
        empty -= bucket->tags == 0;
        for (; bucket != NULL; bucket = next_of(bucket)) {
            for (unsigned i = 0; i < HL_BUCKET_SLOTS && count < max; i++) {
                if (tag_at(bucket, i) != 0) {
                    out[count++] = bucket->slot[i];
                }
            }
        }
    }
    if (count == 0) {
        out[count++] = hl_table_random(table, rng);
    }
    return count;
}

size_t hl_table_memory(const struct hl_table *table)
{
    size_t buckets = table->chained;
    if (table->buckets[0] != &nothing) {
        buckets += table->mask[0] + 1;
    }
    if (table->buckets[1] != NULL) {
        buckets += table->mask[1] + 1;
    }
    return buckets * sizeof(struct hl_bucket);
}
