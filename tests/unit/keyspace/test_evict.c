#include "keyspace/entry.h"
#include "keyspace/keyspace.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define KEYS 2000

static struct hl_keyspace ks;
static struct hl_rng rng;

static void setup(void)
{
    hl_rng_seed(&rng, 14);
    hl_ks_init(&ks, 3, (uint64_t[2]){5, 6}, &rng);
    ks.lru_clock = 100000;
}

static void teardown(void)
{
    hl_ks_fini(&ks);
}

TestSuite(evict, .init = setup, .fini = teardown);

static struct hl_entry *add(int db, int i)
{
    char name[32];
    int len = snprintf(name, sizeof name, "k%d", i);
    struct hl_slice key = {.ptr = name, .len = (size_t)len};
    return hl_db_set_string(hl_ks_db(&ks, db), key, hl_slice_of("v"), false);
}

static int number_of(const struct hl_entry *entry)
{
    int i = 0;
    struct hl_slice key = hl_entry_key(entry);
    for (size_t at = 1; at < key.len; at++) {
        i = 10 * i + (key.ptr[at] - '0');
    }
    return i;
}

/* Evict `count` keys and return the mean of their numbers. */
static double evict_mean(enum hl_evict_policy policy, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++) {
        struct hl_db *db = NULL;
        const struct hl_entry *entry = hl_ks_evict_candidate(&ks, policy, 5, &db);
        cr_assert_not_null(entry);
        sum += number_of(entry);
        cr_assert(hl_db_delete(db, hl_entry_key(entry)));
    }
    return sum / count;
}

Test(evict, lru_takes_the_longest_idle)
{
    for (int i = 0; i < KEYS; i++) {
        hl_entry_set_idle(&ks, add(i % 3, i), (uint32_t)(KEYS - i));
    }
    double mean = evict_mean(HL_EVICT_ALLKEYS_LRU, KEYS / 10);
    cr_assert_lt(mean, KEYS * 0.15, "mean %.0f", mean);
}

Test(evict, lfu_takes_the_least_used)
{
    ks.lfu = true;
    for (int i = 0; i < KEYS; i++) {
        hl_entry_set_freq(&ks, add(0, i), (uint32_t)(i * 250 / KEYS));
    }
    double mean = evict_mean(HL_EVICT_ALLKEYS_LFU, KEYS / 10);
    cr_assert_lt(mean, KEYS * 0.15, "mean %.0f", mean);
}

Test(evict, ttl_takes_the_soonest_deadline_and_only_keys_that_have_one)
{
    for (int i = 0; i < KEYS; i++) {
        struct hl_entry *entry = add(1, i);
        if (i >= KEYS / 2) {
            hl_db_set_expire(hl_ks_db(&ks, 1), entry, 1000000 + i);
        }
    }
    double mean = evict_mean(HL_EVICT_VOLATILE_TTL, KEYS / 20);
    cr_assert(mean >= KEYS * 0.5 && mean < KEYS * 0.575, "mean %.0f", mean);
}

Test(evict, volatile_policies_find_nothing_without_deadlines)
{
    struct hl_db *db = NULL;
    add(0, 1);
    for (int p = HL_EVICT_VOLATILE_LRU; p <= HL_EVICT_VOLATILE_TTL; p++) {
        cr_assert_null(hl_ks_evict_candidate(&ks, (enum hl_evict_policy)p, 5, &db));
    }
    cr_assert_null(hl_ks_evict_candidate(&ks, HL_EVICT_NOEVICTION, 5, &db));
    cr_assert_null(db);
}

Test(evict, random_takes_from_every_database_until_nothing_is_left)
{
    for (int i = 0; i < 300; i++) {
        add(i % 3, i);
    }
    double mean = evict_mean(HL_EVICT_ALLKEYS_RANDOM, 150);
    cr_assert(mean > 110 && mean < 190, "mean %.0f", mean);
    (void)evict_mean(HL_EVICT_ALLKEYS_RANDOM, 150);
    struct hl_db *db = NULL;
    cr_assert_null(hl_ks_evict_candidate(&ks, HL_EVICT_ALLKEYS_RANDOM, 5, &db));
}

/* Method: candidates that wait in the pool are deleted, made eternal, or made anew. */
Test(evict, the_pool_forgets_keys_that_went_away)
{
    for (int i = 0; i < 100; i++) {
        hl_db_set_expire(hl_ks_db(&ks, 0), add(0, i), 5000 + i);
    }
    struct hl_db *db = NULL;
    cr_assert_not_null(hl_ks_evict_candidate(&ks, HL_EVICT_VOLATILE_TTL, 20, &db));
    for (int i = 0; i < 99; i++) {
        add(0, i); /* drops the deadline */
    }
    const struct hl_entry *left = hl_ks_evict_candidate(&ks, HL_EVICT_VOLATILE_TTL, 20, &db);
    cr_assert_eq(number_of(left), 99);
    hl_ks_flush(&ks);
    cr_assert_null(hl_ks_evict_candidate(&ks, HL_EVICT_ALLKEYS_LRU, 20, &db));
}

Test(evict, frequency_grows_logarithmically_and_decays_by_the_minute)
{
    ks.lfu = true;
    struct hl_entry *entry = add(0, 1);
    cr_assert_eq(hl_entry_freq(&ks, entry), 5);
    for (int i = 0; i < 1000; i++) {
        (void)hl_db_find(hl_ks_db(&ks, 0), hl_slice_of("k1"), 0);
    }
    uint32_t after = hl_entry_freq(&ks, entry);
    cr_assert(after > 10 && after < 30, "%u", after);
    ks.lru_clock += 3 * 60;
    cr_assert_eq(hl_entry_freq(&ks, entry), after - 3);
    ks.lru_clock += 300 * 60;
    cr_assert_eq(hl_entry_freq(&ks, entry), 0);
    (void)hl_db_find(hl_ks_db(&ks, 0), hl_slice_of("k1"), HL_FIND_NOTOUCH);
    cr_assert_eq(hl_entry_freq(&ks, entry), 0);
}

Test(evict, idle_time_is_since_the_last_access)
{
    struct hl_entry *entry = add(0, 1);
    ks.lru_clock += 77;
    cr_assert_eq(hl_entry_idle(&ks, entry), 77);
    (void)hl_db_find(hl_ks_db(&ks, 0), hl_slice_of("k1"), HL_FIND_NOTOUCH);
    cr_assert_eq(hl_entry_idle(&ks, entry), 77);
    (void)hl_db_find(hl_ks_db(&ks, 0), hl_slice_of("k1"), 0);
    cr_assert_eq(hl_entry_idle(&ks, entry), 0);
    hl_entry_set_idle(&ks, entry, 500);
    cr_assert_eq(hl_entry_idle(&ks, entry), 500);
}

Test(evict, lookups_write_nothing_while_a_child_shares_the_memory)
{
    struct hl_entry *entry = add(0, 1);
    ks.lru_clock += 50;
    ks.forked = true;
    cr_assert_eq(hl_db_find(hl_ks_db(&ks, 0), hl_slice_of("k1"), 0), entry);
    cr_assert_eq(hl_entry_idle(&ks, entry), 50);
    ks.forked = false;
    cr_assert_eq(hl_db_find(hl_ks_db(&ks, 0), hl_slice_of("k1"), 0), entry);
    cr_assert_eq(hl_entry_idle(&ks, entry), 0);
}
