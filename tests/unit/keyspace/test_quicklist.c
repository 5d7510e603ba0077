#include "keyspace/quicklist.h"

#include "keyspace/entry.h"
#include "keyspace/listpack.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define ELEMENTS_MAX 400
#define VALUE_MAX 64
#define STEPS 60000

static struct hl_keyspace ks;
static struct hl_rng rng;
static struct hl_db *db;

static void setup(void)
{
    hl_rng_seed(&rng, 14);
    hl_ks_init(&ks, 2, (uint64_t[2]){5, 6}, &rng);
    db = hl_ks_db(&ks, 0);
}

static void teardown(void)
{
    hl_ks_fini(&ks);
}

TestSuite(quicklist, .init = setup, .fini = teardown);

/* --- a model: an array ------------------------------------------------------------------------ */

static char model[ELEMENTS_MAX][VALUE_MAX];
static size_t model_len;

static void model_insert(size_t at, const char *value)
{
    memmove(model[at + 1], model[at], (model_len - at) * VALUE_MAX);
    (void)snprintf(model[at], VALUE_MAX, "%s", value);
    model_len++;
}

static void model_delete(size_t at, size_t count)
{
    memmove(model[at], model[at + count], (model_len - at - count) * VALUE_MAX);
    model_len -= count;
}

static void make_value(char out[VALUE_MAX])
{
    switch (hl_rng_below(&rng, 4)) {
    case 0:
        (void)snprintf(out, VALUE_MAX, "%d", (int)hl_rng_below(&rng, 100000) - 50000);
        return;
    case 1:
        (void)snprintf(out, VALUE_MAX, "%s", "");
        return;
    default:
        (void)snprintf(out, VALUE_MAX, "v%0*d", 1 + (int)hl_rng_below(&rng, 50),
                       (int)hl_rng_below(&rng, 1000));
    }
}

static void expect_all(const struct hl_entry *entry, bool forward)
{
    struct hl_ql_cursor cursor;
    char scratch[HL_QL_SCRATCH];
    size_t seen = 0;
    bool more = hl_ql_seek(entry, forward ? 0 : -1, &cursor);
    cr_assert_eq(hl_ql_len(entry), model_len);
    for (; more; more = hl_ql_step(&cursor, forward)) {
        size_t at = forward ? seen : model_len - 1 - seen;
        cr_assert_lt(seen, model_len);
        cr_assert(hl_slice_equal(hl_ql_value(&cursor, scratch), hl_slice_of(model[at])));
        seen++;
    }
    cr_assert_eq(seen, model_len);
}

/* --- random steps ----------------------------------------------------------------------------- */

static void seek(const struct hl_entry *entry, size_t at, struct hl_ql_cursor *cursor)
{
    bool from_end = hl_rng_below(&rng, 2) == 0;
    int64_t index = from_end ? (int64_t)at - (int64_t)model_len : (int64_t)at;
    cr_assert(hl_ql_seek(entry, index, cursor));
    cr_assert(hl_ql_value_is(cursor, hl_slice_of(model[at])));
}

static void step_insert(struct hl_entry *entry)
{
    char value[VALUE_MAX];
    struct hl_ql_cursor cursor;
    size_t at = hl_rng_below(&rng, model_len);
    bool after = hl_rng_below(&rng, 2) == 0;
    make_value(value);
    seek(entry, at, &cursor);
    hl_ql_insert(&ks, entry, &cursor, after, hl_slice_of(value));
    model_insert(at + after, value);
}

static void step_replace(struct hl_entry *entry)
{
    char value[VALUE_MAX];
    struct hl_ql_cursor cursor;
    size_t at = hl_rng_below(&rng, model_len);
    make_value(value);
    seek(entry, at, &cursor);
    hl_ql_replace(&ks, entry, &cursor, hl_slice_of(value));
    (void)snprintf(model[at], VALUE_MAX, "%s", value);
}

static void step_remove(struct hl_entry *entry)
{
    struct hl_ql_cursor cursor;
    size_t at = hl_rng_below(&rng, model_len);
    bool forward = hl_rng_below(&rng, 2) == 0;
    seek(entry, at, &cursor);
    bool more = hl_ql_remove(entry, &cursor, forward);
    model_delete(at, 1);
    cr_assert_eq(more, forward ? at < model_len : at > 0);
    if (more) {
        cr_assert(hl_ql_value_is(&cursor, hl_slice_of(model[forward ? at : at - 1])));
    }
}

static void step_delete(struct hl_entry *entry)
{
    size_t at = hl_rng_below(&rng, model_len + 1);
    size_t count = hl_rng_below(&rng, 12);
    hl_ql_delete(entry, at, count);
    model_delete(at, count < model_len - at ? count : model_len - at);
}

static void step_push(struct hl_entry *entry)
{
    char value[VALUE_MAX];
    bool head = hl_rng_below(&rng, 2) == 0;
    make_value(value);
    hl_ql_push(&ks, entry, hl_slice_of(value), head);
    model_insert(head ? 0 : model_len, value);
}

static void step(struct hl_entry *entry)
{
    uint64_t roll = hl_rng_below(&rng, 100);
    if (model_len == 0 || (roll < 40 && model_len < ELEMENTS_MAX - 1)) {
        step_push(entry);
    } else if (roll < 60 && model_len < ELEMENTS_MAX - 1) {
        step_insert(entry);
    } else if (roll < 75) {
        step_replace(entry);
    } else if (roll < 90) {
        step_remove(entry);
    } else {
        step_delete(entry);
    }
}

/* Goal: a list is an array, however its blocks are cut.  Method: random steps against one, under
 * limits that change. */
Test(quicklist, random_steps_agree_with_an_array, .timeout = 60)
{
    static const int32_t limits[] = {1, 2, 3, 7, -1, -2, 0, -9};
    struct hl_entry *entry = hl_db_add_list(db, hl_slice_of("l"));
    for (int i = 0; i < STEPS; i++) {
        if (i % 500 == 0) {
            ks.limits.list_max_listpack_size = limits[hl_rng_below(&rng, HL_ARRAY_LEN(limits))];
        }
        step(entry);
        if (i % 50 == 0) {
            expect_all(entry, i % 100 == 0);
        }
    }
    struct hl_entry *copy = hl_db_copy(entry, db, hl_slice_of("copy"));
    expect_all(copy, true);
}

/* --- edges ------------------------------------------------------------------------------------ */

Test(quicklist, indices_beyond_the_ends_are_nowhere)
{
    static const int64_t beyond[] = {2, -3, INT64_MAX, INT64_MIN, -INT64_MAX};
    struct hl_ql_cursor cursor;
    struct hl_entry *entry = hl_db_add_list(db, hl_slice_of("l"));
    cr_assert_not(hl_ql_seek(entry, 0, &cursor));
    cr_assert_not(hl_ql_seek(entry, -1, &cursor));
    hl_ql_push(&ks, entry, hl_slice_of("a"), false);
    hl_ql_push(&ks, entry, hl_slice_of("b"), false);
    for (size_t i = 0; i < HL_ARRAY_LEN(beyond); i++) {
        cr_assert_not(hl_ql_seek(entry, beyond[i], &cursor));
    }
}

/* Blocks of the list, none larger than its limit but those of one element. */
static size_t count_blocks(const struct hl_entry *entry, size_t bytes_max)
{
    size_t count = 0;
    const struct hl_ql_block *position = NULL;
    const unsigned char *lp;
    while ((lp = hl_ql_next_block(entry, &position)) != NULL) {
        cr_assert(hl_lp_bytes(lp) <= bytes_max || hl_lp_count(lp) == 1);
        count++;
    }
    cr_assert_eq(count, hl_ql_blocks(entry));
    return count;
}

Test(quicklist, blocks_keep_to_their_limit)
{
    char value[100];
    struct hl_ql_cursor cursor;
    struct hl_entry *entry = hl_db_add_list(db, hl_slice_of("l"));
    memset(value, 'x', sizeof value);
    struct hl_slice text = {value, sizeof value};
    for (int i = 0; i < 1000; i++) {
        hl_ql_push(&ks, entry, text, i % 2 == 0);
    }
    cr_assert_leq(count_blocks(entry, 8192), 15); /* 79 elements a block */
    for (int i = 0; i < 1000; i++) {
        cr_assert(hl_ql_seek(entry, 500, &cursor));
        hl_ql_insert(&ks, entry, &cursor, i % 2 == 0, text);
    }
    cr_assert_leq(count_blocks(entry, 8192), 55); /* half full at worst */
}

Test(quicklist, an_element_larger_than_a_block_has_its_own)
{
    static char large[100000];
    struct hl_ql_cursor cursor;
    struct hl_slice text = {large, sizeof large};
    struct hl_entry *entry = hl_db_add_list(db, hl_slice_of("l"));
    for (int i = 0; i < 4; i++) {
        hl_ql_push(&ks, entry, hl_slice_of("small"), false);
    }
    cr_assert(hl_ql_seek(entry, 2, &cursor));
    hl_ql_insert(&ks, entry, &cursor, false, text);
    cr_assert_eq(count_blocks(entry, 8192), 3);
    cr_assert(hl_ql_seek(entry, 2, &cursor));
    cr_assert(hl_ql_value_is(&cursor, text));
    hl_ql_replace(&ks, entry, &cursor, hl_slice_of("tiny"));
    cr_assert(hl_ql_seek(entry, 1, &cursor));
    hl_ql_replace(&ks, entry, &cursor, text);
    cr_assert(hl_ql_seek(entry, 1, &cursor));
    cr_assert(hl_ql_value_is(&cursor, text));
    cr_assert_eq(hl_ql_len(entry), 5);
    (void)count_blocks(entry, 8192);
}
