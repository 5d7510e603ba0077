#include "keyspace/entry.h"
#include "keyspace/keyspace.h"
#include "keyspace/string.h"
#include "kit/num.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define KEYS 3000
#define STEPS 1000000
#define VALUE_MAX 1500

static struct hl_keyspace ks;
static struct hl_rng rng;
static struct hl_db *db;
static int64_t died; /* calls of hooks.expired */
static int64_t modified;

static void on_expired(void *ctx, int index, struct hl_slice key)
{
    (void)ctx;
    (void)index;
    (void)key;
    died++;
}

static void on_modified(void *ctx, int index, struct hl_slice key)
{
    (void)ctx;
    (void)index;
    (void)key;
    modified++;
}

static void setup(void)
{
    hl_rng_seed(&rng, 11);
    hl_ks_init(&ks, 4, (uint64_t[2]){5, 6}, &rng);
    ks.hooks.expired = on_expired;
    ks.hooks.modified = on_modified;
    ks.now_ms = 1000;
    db = hl_ks_db(&ks, 0);
    died = 0;
    modified = 0;
}

static void teardown(void)
{
    hl_ks_fini(&ks);
}

TestSuite(keyspace, .init = setup, .fini = teardown);

static struct hl_slice text(const char *s)
{
    return hl_slice_of(s);
}

static struct hl_entry *find(const char *name)
{
    return hl_db_find(db, text(name), 0);
}

static void expect_value(const struct hl_entry *entry, const char *want, size_t len)
{
    char scratch[HL_STRING_SCRATCH];
    struct hl_slice got = hl_string_view(entry, scratch);
    cr_assert_eq(got.len, len, "length %zu, not %zu", got.len, len);
    cr_assert_eq(hl_string_len(entry), len);
    cr_assert(len == 0 || memcmp(got.ptr, want, len) == 0);
}

/* --- the model -------------------------------------------------------------------------------- */

struct model {
    bool present;
    size_t len;
    int64_t deadline;
    char value[VALUE_MAX];
};

static struct model models[KEYS];

static size_t random_value(char *out)
{
    switch (hl_rng_below(&rng, 5)) {
    case 0:
        return (size_t)hl_format_i64(out, (int64_t)hl_rng_next(&rng));
    case 1:
        return (size_t)hl_format_i64(out, (int64_t)hl_rng_below(&rng, 100));
    default:
        break;
    }
    static const size_t limits[] = {8, 50, 300, 1000};
    size_t len = hl_rng_below(&rng, limits[hl_rng_below(&rng, 4)]);
    for (size_t i = 0; i < len; i++) {
        out[i] = (char)('a' + hl_rng_below(&rng, 26));
    }
    return len;
}

static struct hl_slice key_of(uint32_t i, char out[64])
{
    int len =
        snprintf(out, 64, "key:%u%s", i, i % 7 == 0 ? ":with a longer tail than the others" : "");
    return (struct hl_slice){.ptr = out, .len = (size_t)len};
}

static void model_extend(struct model *m, struct hl_entry *entry, size_t offset)
{
    char bytes[64];
    size_t len = hl_rng_below(&rng, sizeof bytes);
    memset(bytes, 'x', len);
    size_t end = offset + len > m->len ? offset + len : m->len;
    if (end > VALUE_MAX) {
        return;
    }
    struct hl_slice slice = {.ptr = bytes, .len = len};
    if (offset == m->len && offset % 2 == 0) {
        entry = hl_string_append(db, entry, slice);
    } else {
        entry = hl_string_set_range(db, entry, offset, slice);
    }
    if (offset > m->len) {
        memset(m->value + m->len, 0, offset - m->len);
    }
    memcpy(m->value + offset, bytes, len);
    m->len = end;
    cr_assert_eq(hl_entry_encoding(entry), HL_ENC_RAW);
}

static void model_rename(struct model *m, struct hl_slice key)
{
    uint32_t i = (uint32_t)hl_rng_below(&rng, KEYS);
    char name[64];
    struct hl_slice to = key_of(i, name);
    struct hl_entry *moved = hl_db_rename(db, key, db, to);
    struct model copy = *m;
    m->present = false;
    models[i] = copy;
    cr_assert_eq(hl_entry_expire(moved), copy.deadline);
}

static void model_step(void)
{
    uint32_t i = (uint32_t)hl_rng_below(&rng, KEYS);
    struct model *m = &models[i];
    char name[64];
    struct hl_slice key = key_of(i, name);
    struct hl_entry *entry = hl_db_find(db, key, 0);
    if (m->present && m->deadline != HL_NO_EXPIRE && m->deadline < ks.now_ms) {
        m->present = false;
    }
    cr_assert_eq(entry != NULL, m->present, "key %u", i);
    if (entry != NULL) {
        expect_value(entry, m->value, m->len);
        cr_assert_eq(hl_entry_expire(entry), m->deadline);
        cr_assert(hl_slice_equal(hl_entry_key(entry), key));
    }
    unsigned dice = (unsigned)hl_rng_below(&rng, 100);
    if (dice < 40 || entry == NULL) {
        bool keep = hl_rng_below(&rng, 2) != 0;
        m->deadline = m->present && keep ? m->deadline : HL_NO_EXPIRE;
        m->len = random_value(m->value);
        m->present = true;
        struct hl_slice value = {.ptr = m->value, .len = m->len};
        expect_value(hl_db_set_string(db, key, value, keep), m->value, m->len);
    } else if (dice < 60) {
        cr_assert(hl_db_delete(db, key));
        m->present = false;
    } else if (dice < 75) {
        m->deadline = ks.now_ms + (int64_t)hl_rng_below(&rng, 20000);
        entry = hl_db_set_expire(db, entry, m->deadline);
        expect_value(entry, m->value, m->len);
    } else if (dice < 80) {
        m->deadline = HL_NO_EXPIRE;
        entry = hl_db_set_expire(db, entry, HL_NO_EXPIRE);
        expect_value(entry, m->value, m->len);
    } else if (dice < 85) {
        int64_t v = (int64_t)hl_rng_next(&rng);
        entry = hl_string_set_int(db, entry, v);
        cr_assert_eq(hl_entry_encoding(entry), HL_ENC_INT);
        m->len = (size_t)hl_format_i64(m->value, v);
    } else if (dice < 95) {
        model_extend(m, entry, dice < 90 ? m->len : hl_rng_below(&rng, m->len + 20));
    } else {
        model_rename(m, key);
    }
}

/* K1 and E3, entry by entry. */
static void check_tables(size_t present)
{
    size_t timed = 0;
    uint64_t position[3] = {0};
    struct hl_entry *entry;
    while ((entry = hl_table_walk(&db->table, position)) != NULL) {
        if (entry->timed) {
            timed++;
            cr_assert_eq(*hl_expires_at(&db->expires, hl_entry_index(entry)), entry);
        }
    }
    cr_assert_eq(timed, hl_db_expires_count(db));
    cr_assert_geq(hl_db_count(db), present);
}

/* Goal: every operation on strings does what it says.  Method: random steps against flat arrays,
 * with time going on, filling and then emptying. */
Test(keyspace, a_million_random_steps_agree_with_arrays, .timeout = 200)
{
    for (int step = 0; step < STEPS; step++) {
        model_step();
        ks.now_ms += step % 100 == 0;
        if (step % 100000 == 0) {
            size_t present = 0;
            for (int i = 0; i < KEYS; i++) {
                present += models[i].present &&
                           (models[i].deadline == HL_NO_EXPIRE || models[i].deadline >= ks.now_ms);
            }
            check_tables(present);
        }
    }
    cr_assert_gt(ks.expired, 0);
    cr_assert_eq((int64_t)ks.expired, died);
}

/* --- encodings -------------------------------------------------------------------------------- */

static enum hl_encoding encoding_of(const char *value)
{
    return hl_entry_encoding(hl_db_set_string(db, text("k"), text(value), false));
}

Test(keyspace, encodings_are_those_of_redis)
{
    cr_assert_eq(encoding_of("0"), HL_ENC_INT);
    cr_assert_eq(encoding_of("-9223372036854775808"), HL_ENC_INT);
    cr_assert_eq(encoding_of("9223372036854775808"), HL_ENC_EMBSTR);
    cr_assert_eq(encoding_of("01"), HL_ENC_EMBSTR);
    cr_assert_eq(encoding_of("-0"), HL_ENC_EMBSTR);
    cr_assert_eq(encoding_of("+1"), HL_ENC_EMBSTR);
    cr_assert_eq(encoding_of(""), HL_ENC_EMBSTR);
    cr_assert_eq(encoding_of("12345678901234567890123456789012345678901234"), HL_ENC_EMBSTR);
    cr_assert_eq(encoding_of("123456789012345678901234567890123456789012345"), HL_ENC_RAW);
}

Test(keyspace, append_and_increments_change_the_encoding)
{
    struct hl_entry *entry = hl_db_set_string(db, text("k"), text("7"), false);
    entry = hl_string_append(db, entry, text("8"));
    cr_assert_eq(hl_entry_encoding(entry), HL_ENC_RAW);
    expect_value(entry, "78", 2);
    int64_t v = 0;
    cr_assert(hl_string_int(entry, &v));
    cr_assert_eq(v, 78);
    entry = hl_string_set_int(db, entry, v + 1);
    cr_assert_eq(hl_entry_encoding(entry), HL_ENC_INT);
    expect_value(entry, "79", 2);
    entry = hl_string_set_range(db, entry, 4, text("z"));
    expect_value(entry, "79\0\0z", 5);
    cr_assert_eq(find("k"), entry);
}

Test(keyspace, a_value_may_be_a_view_of_the_entry_it_replaces)
{
    char big[2000];
    memset(big, 'q', sizeof big);
    memcpy(big, "0123456789", 10);
    static const size_t lens[] = {4, 40, 200, 2000};
    for (size_t i = 0; i < HL_ARRAY_LEN(lens); i++) {
        struct hl_slice value = {.ptr = big, .len = lens[i]};
        struct hl_entry *entry = hl_db_set_string(db, text("k"), value, false);
        char scratch[HL_STRING_SCRATCH];
        struct hl_slice view = hl_string_view(entry, scratch);
        struct hl_slice part = {.ptr = view.ptr + 1, .len = view.len / 2};
        entry = hl_db_set_string(db, hl_entry_key(entry), part, false);
        expect_value(entry, big + 1, lens[i] / 2);
    }
}

Test(keyspace, edit_gives_writable_zeroed_bytes)
{
    struct hl_entry *entry = hl_db_set_string(db, text("k"), text("12"), false);
    char *bytes = hl_string_edit(db, &entry, 5000);
    cr_assert_eq(memcmp(bytes, "12\0\0", 4), 0);
    bytes[4999] = 'e';
    cr_assert_eq(hl_string_len(find("k")), 5000);
    bytes = hl_string_edit(db, &entry, 1);
    cr_assert_eq(bytes[0], '1');
    expect_value(find("k"), "1", 1);
}

/* --- expiry (K1, K3) -------------------------------------------------------------------------- */

static struct hl_entry *make_dead(const char *name)
{
    struct hl_entry *entry = hl_db_set_string(db, text(name), text("v"), false);
    entry = hl_db_set_expire(db, entry, 999);
    cr_assert_eq(hl_db_expires_count(db), 1);
    return entry;
}

Test(keyspace, a_leader_removes_a_dead_key_and_says_so_once)
{
    make_dead("k");
    cr_assert_null(find("k"));
    cr_assert_null(find("k"));
    cr_assert_eq(died, 1);
    cr_assert_eq(hl_db_count(db), 0);
    cr_assert_eq(hl_db_expires_count(db), 0);
    cr_assert_eq(ks.expired, 1);
    cr_assert_eq(ks.misses, 2);
}

Test(keyspace, a_follower_hides_a_dead_key_and_keeps_it)
{
    make_dead("k");
    ks.expiry = HL_EXPIRY_HIDE;
    cr_assert_null(find("k"));
    cr_assert_not_null(hl_db_find(db, text("k"), HL_FIND_EXPIRED));
    cr_assert_eq(hl_db_count(db), 1);
    cr_assert_eq(died, 0);
}

Test(keyspace, applying_effects_sees_a_dead_key)
{
    struct hl_entry *entry = make_dead("k");
    ks.expiry = HL_EXPIRY_OFF;
    cr_assert_eq(find("k"), entry);
    entry = hl_db_set_string(db, text("k"), text("w"), true);
    cr_assert_eq(hl_entry_expire(entry), 999);
}

Test(keyspace, a_key_is_alive_at_its_deadline_and_dead_after_it)
{
    struct hl_entry *entry = hl_db_set_string(db, text("k"), text("v"), false);
    hl_db_set_expire(db, entry, 1000);
    cr_assert_not_null(find("k"));
    ks.now_ms = 1001;
    cr_assert_null(find("k"));
}

Test(keyspace, setting_over_a_dead_key_does_not_inherit_its_deadline)
{
    make_dead("k");
    struct hl_entry *entry = hl_db_set_string(db, text("k"), text("w"), true);
    cr_assert_eq(hl_entry_expire(entry), HL_NO_EXPIRE);
    cr_assert_eq(died, 1);
}

static void delete_dead(void *ctx, int index, struct hl_slice key)
{
    size_t *calls = ctx;
    (*calls)++;
    if (key.ptr[key.len - 1] != '7') { /* a few are left for later */
        cr_assert(hl_db_delete(hl_ks_db(&ks, index), key));
    }
}

/* Method: of 4,000 deadlines in two databases half have passed; cycles of 100 until all were seen.
 */
Test(keyspace, the_expire_cycle_finds_every_dead_key_within_one_round)
{
    for (uint32_t i = 0; i < 4000; i++) {
        char name[64];
        struct hl_db *some = hl_ks_db(&ks, (int)(i % 3));
        struct hl_entry *entry = hl_db_set_string(some, key_of(i, name), text("v"), false);
        hl_db_set_expire(some, entry, i % 2 == 0 ? 10 : 5000);
    }
    size_t calls = 0;
    unsigned percent = 0;
    for (int round = 0; round < 200; round++) {
        size_t looked = hl_ks_expire_cycle(&ks, 100, delete_dead, &calls, &percent);
        cr_assert_leq(looked, 100);
        cr_assert_leq(percent, 100);
    }
    size_t left = 0;
    for (int i = 0; i < 3; i++) {
        left += hl_db_expires_count(hl_ks_db(&ks, i));
    }
    cr_assert_geq(calls, 2000);
    cr_assert_geq(left, 2000);
    cr_assert_lt(left, 2300, "only names ending in 7 may be left: %zu", left);
}

/* --- gates and watching (K4) ------------------------------------------------------------------ */

Test(keyspace, a_lookup_raises_the_gate_of_the_last_change_present_or_absent)
{
    ks.gate_index = 7;
    hl_db_set_string(db, text("a"), text("1"), false);
    ks.gate_index = 9;
    cr_assert(hl_db_delete(db, text("a")));
    ks.gate_index = 0;
    ks.gate_seen = 0;
    cr_assert_null(find("b"));
    cr_assert_eq(ks.gate_seen, 0);
    cr_assert_null(find("a"));
    cr_assert_eq(ks.gate_seen, 9);
}

Test(keyspace, a_flush_gates_every_name)
{
    ks.gate_index = 4;
    hl_ks_flush(&ks);
    ks.gate_seen = 0;
    cr_assert_null(find("never seen"));
    cr_assert_eq(ks.gate_seen, 4);
}

Test(keyspace, changes_are_reported_while_somebody_watches)
{
    hl_db_set_string(db, text("a"), text("1"), false);
    cr_assert_eq(modified, 0);
    ks.watching = 1;
    struct hl_entry *entry = hl_db_set_string(db, text("a"), text("2"), false);
    entry = hl_db_set_expire(db, entry, 5000);
    entry = hl_string_append(db, entry, text("x"));
    hl_db_rename(db, text("a"), db, text("b"));
    cr_assert_eq(modified, 5);
    hl_db_flush(db);
    cr_assert_eq(modified, 6);
}

/* --- whole databases -------------------------------------------------------------------------- */

Test(keyspace, swapping_exchanges_contents_and_keeps_numbers)
{
    make_dead("a");
    struct hl_db *other = hl_ks_db(&ks, 1);
    hl_ks_swap(&ks, 0, 1);
    cr_assert_eq(hl_db_count(db), 0);
    cr_assert_eq(hl_db_expires_count(other), 1);
    cr_assert_eq(hl_db_index(other), 1);
    cr_assert_null(hl_db_find(other, text("a"), 0));
    cr_assert_eq(hl_db_expires_count(other), 0);
}

Test(keyspace, a_random_key_is_never_a_dead_one)
{
    cr_assert_null(hl_db_random(db));
    make_dead("a");
    cr_assert_null(hl_db_random(db));
    struct hl_entry *entry = hl_db_set_string(db, text("b"), text("v"), false);
    cr_assert_eq(hl_db_random(db), entry);
}

Test(keyspace, renaming_across_databases_takes_the_deadline_along)
{
    struct hl_entry *entry = hl_db_set_string(db, text("a"), text("v"), false);
    hl_db_set_expire(db, entry, 5000);
    struct hl_db *other = hl_ks_db(&ks, 2);
    hl_db_set_string(other, text("b"), text("old"), false);
    hl_db_rename(db, text("a"), other, text("b"));
    cr_assert_eq(hl_db_count(db), 0);
    cr_assert_eq(hl_db_expires_count(db), 0);
    entry = hl_db_find(other, text("b"), 0);
    expect_value(entry, "v", 1);
    cr_assert_eq(hl_entry_expire(entry), 5000);
    cr_assert_eq(hl_db_expires_count(other), 1);
}

Test(keyspace, prefetching_changes_nothing)
{
    struct hl_slice keys[40] = {{0}};
    hl_db_prefetch(db, keys, 0);
    for (int i = 0; i < 40; i++) {
        keys[i] = text(i % 2 == 0 ? "here" : "not here");
    }
    hl_db_prefetch(db, keys, 40);
    hl_db_set_string(db, text("here"), text("v"), false);
    hl_db_prefetch(db, keys, 40);
    cr_assert_eq(hl_db_count(db), 1);
    cr_assert_eq(ks.misses + ks.hits, 0);
}

/* Goal: hashes that prefetching remembers are never those of another name.  Method: prefetch names
 * in a buffer, change the buffer, look up in every order, and compare with the names themselves. */
Test(keyspace, remembered_hashes_belong_to_their_names)
{
    for (int round = 0; round < 20000; round++) {
        char names[HL_PREFETCH_MAX][40];
        struct hl_slice keys[HL_PREFETCH_MAX];
        size_t count = hl_rng_below(&rng, HL_PREFETCH_MAX + 1);
        for (size_t i = 0; i < count; i++) {
            unsigned n = (unsigned)hl_rng_below(&rng, 500);
            int len = n % 3 == 0   ? snprintf(names[i], sizeof names[i], "%u", n)
                      : n % 3 == 1 ? snprintf(names[i], sizeof names[i], "key:%04u", n)
                                   : snprintf(names[i], sizeof names[i], "a long name: %015u", n);
            keys[i] = (struct hl_slice){.ptr = names[i], .len = (size_t)len};
        }
        hl_db_prefetch(db, keys, count);
        for (size_t i = 0; i < count; i++) {
            size_t j = hl_rng_below(&rng, 4) == 0 ? hl_rng_below(&rng, count) : i;
            if (hl_rng_below(&rng, 8) == 0) {
                names[j][keys[j].len - 1] ^= 1;
            }
            struct hl_entry *entry = hl_db_find(db, keys[j], 0);
            cr_assert(entry == NULL || hl_slice_equal(hl_entry_key(entry), keys[j]));
            cr_assert_eq(hl_db_hash(db, keys[j]), hl_hash(ks.seed, keys[j].ptr, keys[j].len));
            if (entry == NULL) {
                hl_db_set_string(db, keys[j], keys[j], false);
            } else if (hl_rng_below(&rng, 4) == 0) {
                cr_assert(hl_db_delete(db, keys[j]));
            }
        }
    }
    uint64_t position[3] = {0};
    const struct hl_entry *entry;
    while ((entry = hl_table_walk(&db->table, position)) != NULL) {
        cr_assert_eq(hl_db_find(db, hl_entry_key(entry), 0), entry);
    }
}

Test(keyspace, a_key_of_16_and_a_value_of_64_bytes_take_96)
{
    struct hl_entry *entry = hl_db_set_string(
        db, text("key:000000000001"),
        text("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"), false);
    cr_assert_eq(hl_entry_memory(entry, 0), 96);
}

Test(keyspace, overwriting_with_a_value_of_the_same_class_moves_nothing)
{
    struct hl_entry *entry = hl_db_set_string(db, text("k"), text("one value"), false);
    cr_assert_eq(hl_db_set_string(db, text("k"), text("another"), false), entry);
    cr_assert_eq(hl_db_set_string(db, text("k"), text("12"), false), entry);
}
