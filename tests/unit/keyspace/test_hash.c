#include "keyspace/hash.h"

#include "keyspace/entry.h"
#include "kit/num.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define FIELDS 600
#define VALUE_MAX 100

static struct hl_keyspace ks;
static struct hl_rng rng;
static struct hl_db *db;

static void setup(void)
{
    hl_rng_seed(&rng, 12);
    hl_ks_init(&ks, 2, (uint64_t[2]){5, 6}, &rng);
    db = hl_ks_db(&ks, 0);
}

static void teardown(void)
{
    hl_ks_fini(&ks);
}

TestSuite(hash, .init = setup, .fini = teardown);

static bool set(struct hl_entry *entry, const char *field, const char *value)
{
    return hl_hash_set(&ks, entry, hl_slice_of(field), hl_slice_of(value));
}

static void expect(const struct hl_entry *entry, const char *field, const char *want)
{
    char scratch[HL_HASH_SCRATCH];
    struct hl_slice got;
    cr_assert(hl_hash_get(entry, hl_slice_of(field), &got, scratch), "%s is missing", field);
    cr_assert(hl_slice_equal(got, hl_slice_of(want)), "%s is %.*s", field, (int)got.len, got.ptr);
}

struct model {
    bool present;
    char value[VALUE_MAX];
};

static struct model models[FIELDS];

static void field_name(unsigned i, char out[32])
{
    (void)snprintf(out, 32, i % 3 == 0 ? "%u" : "field-%u", i);
}

static void compare_all(const struct hl_entry *entry, size_t present)
{
    struct hl_hash_iter iter;
    struct hl_slice field;
    struct hl_slice value;
    size_t walked = 0;
    hl_hash_iter_init(&iter, entry);
    while (hl_hash_iter_next(&iter, &field, &value)) {
        char name[32];
        const char *digits = field.ptr + (field.ptr[0] == 'f' ? 6 : 0);
        unsigned i = 0;
        for (; digits < field.ptr + field.len; digits++) {
            i = 10 * i + (unsigned)(*digits - '0');
        }
        field_name(i, name);
        cr_assert(hl_slice_equal(field, hl_slice_of(name)));
        cr_assert(models[i].present);
        cr_assert(hl_slice_equal(value, hl_slice_of(models[i].value)));
        walked++;
    }
    cr_assert_eq(walked, present);
    cr_assert_eq(hl_hash_len(entry), present);
}

/* Goal: a hash is a map in both encodings.  Method: random steps against an array, starting again
 * from an empty hash each time all fields are gone. */
Test(hash, random_steps_agree_with_an_array, .timeout = 100)
{
    struct hl_entry *entry = hl_db_add_hash(db, hl_slice_of("h"));
    size_t present = 0;
    size_t conversions = 0;
    for (int step = 0; step < 300000; step++) {
        unsigned range = step / 1000 % 3 == 0 ? FIELDS : 60;
        unsigned i = (unsigned)hl_rng_below(&rng, range);
        struct model *m = &models[i];
        char name[32];
        char scratch[HL_HASH_SCRATCH];
        struct hl_slice got;
        field_name(i, name);
        struct hl_slice field = hl_slice_of(name);
        bool found = hl_hash_get(entry, field, &got, scratch);
        cr_assert_eq(found, m->present);
        cr_assert(!found || hl_slice_equal(got, hl_slice_of(m->value)));
        if (hl_rng_below(&rng, 10) < (step / 3000 % 2 == 0 ? 7u : 2u)) {
            unsigned long value = (unsigned long)hl_rng_below(&rng, 1000000);
            if (value % 2 == 0) {
                (void)snprintf(m->value, VALUE_MAX, "%lu", value);
            } else {
                (void)snprintf(m->value, VALUE_MAX, "%0*lu", (int)(value % 60), value);
            }
            cr_assert_eq(hl_hash_set(&ks, entry, field, hl_slice_of(m->value)), !m->present);
            present += !m->present;
            m->present = true;
        } else {
            cr_assert_eq(hl_hash_delete(entry, field), m->present);
            present -= m->present;
            m->present = false;
        }
        if (step % 1000 == 0) {
            compare_all(entry, present);
        }
        if (step % 9000 == 8999) {
            conversions += hl_entry_encoding(entry) == HL_ENC_HASHTABLE;
            cr_assert(hl_db_delete(db, hl_slice_of("h")));
            entry = hl_db_add_hash(db, hl_slice_of("h"));
            memset(models, 0, sizeof models);
            present = 0;
        }
    }
    cr_assert_gt(conversions, 5, "the test must see both encodings");
}

Test(hash, a_listpack_turns_into_a_table_past_the_limits)
{
    struct hl_entry *entry = hl_db_add_hash(db, hl_slice_of("h"));
    char name[32];
    for (unsigned i = 0; i < 128; i++) {
        field_name(i, name);
        cr_assert(set(entry, name, "7"));
        cr_assert_eq(hl_entry_encoding(entry), HL_ENC_LISTPACK);
    }
    cr_assert_not(set(entry, name, "8"));
    cr_assert_eq(hl_entry_encoding(entry), HL_ENC_LISTPACK);
    cr_assert(set(entry, "one more", "7"));
    cr_assert_eq(hl_entry_encoding(entry), HL_ENC_HASHTABLE);
    expect(entry, name, "8");

    entry = hl_db_add_hash(db, hl_slice_of("g"));
    cr_assert(set(entry, "f", "0123456789012345678901234567890123456789012345678901234567890123"));
    cr_assert_eq(hl_entry_encoding(entry), HL_ENC_LISTPACK);
    cr_assert(set(entry, "g", "01234567890123456789012345678901234567890123456789012345678901234"));
    cr_assert_eq(hl_entry_encoding(entry), HL_ENC_HASHTABLE);
    cr_assert_eq(hl_hash_len(entry), 2);
}

Test(hash, copies_are_independent_in_both_encodings)
{
    for (int round = 0; round < 2; round++) {
        struct hl_entry *entry = hl_db_add_hash(db, hl_slice_of("h"));
        cr_assert(set(entry, "a", "1"));
        entry = hl_db_set_expire(db, entry, 99);
        struct hl_entry *copy = hl_db_copy(entry, hl_ks_db(&ks, 1), hl_slice_of("c"));
        cr_assert(set(entry, "b", "2"));
        cr_assert_eq(hl_hash_len(copy), 1);
        expect(copy, "a", "1");
        cr_assert_eq(hl_entry_expire(copy), 99);
        cr_assert_eq(hl_entry_encoding(copy), hl_entry_encoding(entry));
        hl_ks_flush(&ks);
        ks.limits.hash_max_listpack_entries = 0;
    }
}

static void count_visit(void *ctx, struct hl_slice field, struct hl_slice value)
{
    unsigned *seen = ctx;
    int64_t i;
    cr_assert(hl_slice_equal(field, value));
    cr_assert(hl_parse_i64(field, &i));
    seen[i]++;
}

Test(hash, scans_and_random_fields_reach_every_field)
{
    static unsigned seen[2000];
    for (int size = 50; size <= 2000; size += 1950) {
        struct hl_entry *entry = hl_db_add_hash(db, hl_slice_of("h"));
        for (int i = 0; i < size; i++) {
            char text[HL_I64_TEXT_MAX];
            (void)hl_format_i64(text, i);
            cr_assert(set(entry, text, text));
        }
        memset(seen, 0, sizeof seen);
        uint64_t cursor = 0;
        do {
            cursor = hl_hash_scan(entry, cursor, count_visit, seen);
        } while (cursor != 0);
        for (int i = 0; i < size; i++) {
            cr_assert_geq(seen[i], 1);
        }
        memset(seen, 0, sizeof seen);
        for (int i = 0; i < 100 * size; i++) {
            char scratch[HL_HASH_SCRATCH];
            struct hl_slice field;
            struct hl_slice value;
            hl_hash_random(entry, &rng, &field, &value, scratch);
            count_visit(seen, field, value);
        }
        for (int i = 0; i < size; i++) {
            cr_assert(seen[i] > 40 && seen[i] < 180, "field %d of %d came %u times", i, size,
                      seen[i]);
        }
        cr_assert(hl_db_delete(db, hl_slice_of("h")));
    }
}

Test(hash, memory_counts_fields_and_table)
{
    struct hl_entry *entry = hl_db_add_hash(db, hl_slice_of("h"));
    size_t empty = hl_entry_memory(entry, 0);
    cr_assert_eq(empty, 32 + 16);
    for (unsigned i = 0; i < 1000; i++) {
        char name[32];
        field_name(i, name);
        cr_assert(set(entry, name, "some value of 24 bytes.."));
    }
    size_t memory = hl_entry_memory(entry, 0);
    cr_assert(memory > 1000 * 48 && memory < 1000 * 80, "%zu", memory);
    size_t sampled = hl_entry_memory(entry, 5);
    cr_assert(sampled > memory / 2 && sampled < memory * 2);
}
