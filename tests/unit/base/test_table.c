#include "base/rng.h"
#include "base/siphash.h"
#include "base/table.h"
#include "kit/alloc.h"

#include <criterion/criterion.h>

#define KEYS 20000
#define STEPS 1000000

struct item {
    uint32_t hash;
    uint32_t key;
};

struct world {
    struct hl_table table;
    struct hl_rng rng;
    struct item *items[KEYS];
    size_t present;
    uint64_t seed[2];
};

static bool same_key(const void *entry, const void *key)
{
    return ((const struct item *)entry)->key == *(const uint32_t *)key;
}

static uint64_t hash_key(const struct world *w, uint32_t key)
{
    return hl_hash(w->seed, &key, sizeof key);
}

static void **find(struct world *w, uint32_t key)
{
    return hl_table_find(&w->table, hash_key(w, key), same_key, &key);
}

static void init(struct world *w, uint64_t seed)
{
    *w = (struct world){.seed = {seed, 7}};
    hl_table_init(&w->table);
    hl_rng_seed(&w->rng, seed);
}

static void add(struct world *w, uint32_t key)
{
    uint64_t hash = hash_key(w, key);
    struct item *item = hl_malloc(sizeof *item);
    *item = (struct item){.hash = (uint32_t)hash, .key = key};
    hl_table_insert(&w->table, hash, item);
    w->items[key] = item;
    w->present++;
}

static void drop(struct world *w, uint32_t key)
{
    void **slot = find(w, key);
    cr_assert_not_null(slot);
    hl_table_remove(&w->table, slot);
    hl_free(w->items[key]);
    w->items[key] = NULL;
    w->present--;
}

static void end_item(void *ctx, void *entry)
{
    size_t *ended = ctx;
    (*ended)++;
    hl_free(entry);
}

static void fini(struct world *w)
{
    size_t ended = 0;
    size_t present = w->present;
    hl_table_fini(&w->table, end_item, &ended);
    cr_assert_eq(ended, present);
    cr_assert_eq(w->table.count, 0);
    cr_assert_eq(hl_table_memory(&w->table), 0);
}

/* Goal: the table is a set.  Method: a random mix that swings between filling and emptying, so that
 * it grows and shrinks through many sizes, against an array. */
Test(table, a_million_random_steps_agree_with_an_array)
{
    static struct world w;
    init(&w, 1);
    unsigned percent_add = 60;
    size_t resizing = 0;
    for (int step = 0; step < STEPS; step++) {
        if (step % 50000 == 0) {
            percent_add = (step / 50000) % 2 == 0 ? 70 : 20;
        }
        uint32_t key = (uint32_t)hl_rng_below(&w.rng, KEYS);
        void **slot = find(&w, key);
        cr_assert_eq(slot != NULL ? *slot : NULL, w.items[key]);
        bool fill = hl_rng_below(&w.rng, 100) < percent_add;
        if (fill && slot == NULL) {
            add(&w, key);
        } else if (!fill && slot != NULL) {
            drop(&w, key);
        }
        cr_assert_eq(w.table.count, w.present);
        resizing += w.table.buckets[1] != NULL;
    }
    cr_assert_gt(resizing, 1000, "the test must cross resizes");
    uint64_t position[3] = {0};
    size_t walked = 0;
    const struct item *item;
    while ((item = hl_table_walk(&w.table, position)) != NULL) {
        cr_assert_eq(w.items[item->key], item);
        walked++;
    }
    cr_assert_eq(walked, w.present);
    fini(&w);
}

static unsigned char seen[KEYS];

static void note_seen(void *ctx, void *entry)
{
    (void)ctx;
    seen[((struct item *)entry)->key] = 1;
}

/* Keys below `stay` are there all along; between calls others come and go. */
static void scan_while(uint64_t seed, uint32_t stay, uint32_t first, uint32_t last)
{
    static struct world w;
    init(&w, seed);
    memset(seen, 0, sizeof seen);
    for (uint32_t key = 0; key < first; key++) {
        add(&w, key);
    }
    uint32_t now = first;
    uint64_t cursor = 0;
    size_t calls = 0;
    do {
        cursor = hl_table_scan(&w.table, cursor, note_seen, NULL);
        for (int i = 0; i < 20 && now != last; i++) {
            if (now < last) {
                add(&w, now++);
            } else {
                drop(&w, --now);
            }
        }
        calls++;
        cr_assert_lt(calls, 1000000, "the cursor must come round");
    } while (cursor != 0);
    for (uint32_t key = 0; key < stay; key++) {
        cr_assert(seen[key], "key %u was there all along and was not visited", key);
    }
    fini(&w);
}

Test(table, a_scan_visits_what_stays_while_the_table_grows)
{
    for (uint64_t seed = 1; seed < 20; seed++) {
        scan_while(seed, 100 * (uint32_t)seed, 100 * (uint32_t)seed, KEYS);
    }
}

Test(table, a_scan_visits_what_stays_while_the_table_shrinks)
{
    for (uint64_t seed = 1; seed < 20; seed++) {
        scan_while(seed, 10 * (uint32_t)seed, KEYS, 10 * (uint32_t)seed);
    }
}

static void drop_visited(void *ctx, void *entry)
{
    drop(ctx, ((struct item *)entry)->key);
}

Test(table, a_scan_may_remove_what_it_visits)
{
    static struct world w;
    init(&w, 3);
    for (uint32_t key = 0; key < 5000; key++) {
        add(&w, key);
    }
    uint64_t cursor = 0;
    do {
        cursor = hl_table_scan(&w.table, cursor, drop_visited, &w);
    } while (cursor != 0);
    cr_assert_eq(w.present, 0);
    add(&w, 1);
    drop(&w, 1);
    while (hl_table_step(&w.table, 100)) {
    }
    cr_assert_leq(hl_table_memory(&w.table), 64 * 2, "an empty table gives its memory back");
    fini(&w);
}

static void add_more(void *ctx, void *entry)
{
    struct world *w = ctx;
    uint32_t key = ((struct item *)entry)->key;
    seen[key] = 1;
    if (key < 5000 && w->items[key + 5000] == NULL) {
        add(w, key + 5000);
    } else if (key >= 5000 && w->items[key + 5000] == NULL) {
        drop(w, key);
    }
}

Test(table, a_scan_visits_what_stays_whatever_its_visitor_does)
{
    static struct world w;
    init(&w, 8);
    memset(seen, 0, sizeof seen);
    for (uint32_t key = 0; key < 5000; key++) {
        add(&w, key);
    }
    uint64_t cursor = 0;
    do {
        cursor = hl_table_scan(&w.table, cursor, add_more, &w);
    } while (cursor != 0);
    for (uint32_t key = 0; key < 5000; key++) {
        cr_assert(seen[key]);
    }
    fini(&w);
}

/* Goal: chains work however bad the hash.  Method: all keys in one bucket with one tag. */
Test(table, keys_with_one_hash_are_found_and_removed)
{
    static struct world w;
    init(&w, 4);
    for (uint32_t key = 0; key < 300; key++) {
        struct item *item = hl_malloc(sizeof *item);
        *item = (struct item){.hash = 9, .key = key};
        hl_table_insert(&w.table, 9, item);
        w.items[key] = item;
    }
    for (uint32_t key = 0; key < 300; key++) {
        uint32_t other = (key * 7) % 300;
        void **slot = hl_table_find(&w.table, 9, same_key, &other);
        cr_assert_not_null(slot);
        cr_assert_eq(*slot, w.items[other]);
        cr_assert_eq(hl_table_locate(&w.table, 9, (uintptr_t)w.items[other]), slot);
        hl_table_remove(&w.table, slot);
        hl_free(w.items[other]);
        cr_assert_null(hl_table_find(&w.table, 9, same_key, &other));
    }
    cr_assert_eq(w.table.count, 0);
    cr_assert_eq(w.table.chained, 0);
    fini(&w);
}

/* Method: 100 keys, 100,000 draws; each expects 1,000 with a deviation of about 32. */
Test(table, random_entries_are_uniform)
{
    static struct world w;
    static unsigned drawn[100];
    init(&w, 5);
    cr_assert_null(hl_table_random(&w.table, &w.rng));
    for (uint32_t key = 0; key < 100; key++) {
        add(&w, key);
    }
    for (int i = 0; i < 100000; i++) {
        const struct item *item = hl_table_random(&w.table, &w.rng);
        drawn[item->key]++;
    }
    for (int i = 0; i < 100; i++) {
        cr_assert(drawn[i] > 800 && drawn[i] < 1200, "key %d was drawn %u times", i, drawn[i]);
    }
    void *sample[200];
    cr_assert_eq(hl_table_sample(&w.table, &w.rng, sample, 10), 10);
    cr_assert_eq(hl_table_sample(&w.table, &w.rng, sample, 200), 100);
    fini(&w);
}

Test(table, at_a_million_keys_the_buckets_cost_at_most_22_bytes_a_key)
{
    struct hl_table table;
    hl_table_init(&table);
    uint64_t seed[2] = {1, 2};
    struct item *items = hl_calloc(1000000, sizeof *items);
    for (uint32_t i = 0; i < 1000000; i++) {
        uint64_t hash = hl_hash(seed, &i, sizeof i);
        items[i] = (struct item){.hash = (uint32_t)hash, .key = i};
        hl_table_insert(&table, hash, &items[i]);
        if (i > 1000) {
            size_t bound = table.buckets[1] != NULL ? 36 : 22;
            cr_assert_leq(hl_table_memory(&table), bound * (i + 1), "at %u keys", i);
        }
    }
    hl_table_fini(&table, NULL, NULL);
    hl_free(items);
}
