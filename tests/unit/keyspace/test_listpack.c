#include "keyspace/listpack.h"

#include "base/rng.h"
#include "kit/alloc.h"
#include "kit/num.h"

#include <criterion/criterion.h>

#define ITEMS 60
#define TEXT_MAX 20000

static struct hl_slice slice(const unsigned char *lp)
{
    return (struct hl_slice){.ptr = (const char *)lp, .len = hl_lp_bytes(lp)};
}

/* Bytes that Redis 7.0 wrote for HSET h name helios n 42 neg -5000 big 1234567890123. */
static const unsigned char golden[] =
    "\x32\x00\x00\x00\x08\x00\x84name\x05\x86helios\x07\x81n\x02\x2a\x01\x83neg\x04\xf1\x78\xec\x03"
    "\x83"
    "big\x04\xf4\xcb\x04\xfb\x71\x1f\x01\x00\x00\x09\xff";

Test(listpack, the_bytes_are_those_of_redis)
{
    static const char *const values[] = {"name", "helios", "n",   "42",
                                         "neg",  "-5000",  "big", "1234567890123"};
    unsigned char *lp = hl_lp_create();
    for (int i = 0; i < 8; i++) {
        lp = hl_lp_insert(lp, 0, hl_slice_of(values[i]));
    }
    cr_assert_eq(hl_lp_bytes(lp), sizeof golden - 1);
    cr_assert_arr_eq(lp, golden, sizeof golden - 1);
    hl_free(lp);
}

static void expect_integer(int64_t v, size_t head)
{
    char text[HL_I64_TEXT_MAX];
    char scratch[HL_LP_SCRATCH];
    size_t len = (size_t)hl_format_i64(text, v);
    unsigned char *lp = hl_lp_insert(hl_lp_create(), 0, (struct hl_slice){.ptr = text, .len = len});
    cr_assert_eq(hl_lp_bytes(lp), HL_LP_EMPTY + head + 1, "%s", text);
    struct hl_slice got = hl_lp_get(lp, hl_lp_first(lp), scratch);
    cr_assert(hl_slice_equal(got, (struct hl_slice){.ptr = text, .len = len}), "%s", text);
    cr_assert(hl_lp_validate(slice(lp), NULL));
    hl_free(lp);
}

Test(listpack, integers_take_the_shortest_form_at_every_edge)
{
    static const struct {
        int64_t low, high;
        size_t head;
    } rows[] = {{0, 127, 1},
                {-4096, 4095, 2},
                {-32768, 32767, 3},
                {-8388608, 8388607, 4},
                {INT32_MIN, INT32_MAX, 5},
                {INT64_MIN, INT64_MAX, 9}};
    size_t before = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect_integer(rows[i].low, rows[i].head);
        expect_integer(rows[i].high, rows[i].head);
        if (i != 0) {
            expect_integer(rows[i - 1].low - 1, i == 1 ? 2 : rows[i].head);
            expect_integer(rows[i - 1].high + 1, rows[i].head);
        }
        cr_assert_gt(rows[i].head, before);
        before = rows[i].head;
    }
}

/* --- the model -------------------------------------------------------------------------------- */

static char texts[ITEMS][TEXT_MAX];
static size_t lens[ITEMS];
static size_t items;
static struct hl_rng rng;

static size_t make_value(char *out)
{
    static const size_t limits[] = {5, 70, 140, 5000, TEXT_MAX};
    if (hl_rng_below(&rng, 2) == 0) {
        return (size_t)hl_format_i64(out, (int64_t)(hl_rng_next(&rng) >> hl_rng_below(&rng, 64)));
    }
    size_t len = hl_rng_below(
        &rng,
        limits[hl_rng_below(&rng, 100) < 95 ? hl_rng_below(&rng, 3) : 3 + hl_rng_below(&rng, 2)]);
    memset(out, (int)('a' + hl_rng_below(&rng, 26)), len);
    return len;
}

static void model_make_room(size_t index)
{
    memmove(texts[index + 1], texts[index], (items - index) * TEXT_MAX);
    memmove(&lens[index + 1], &lens[index], (items - index) * sizeof lens[0]);
    items++;
}

static void model_close_gap(size_t index, size_t count)
{
    memmove(texts[index], texts[index + count], (items - index - count) * TEXT_MAX);
    memmove(&lens[index], &lens[index + count], (items - index - count) * sizeof lens[0]);
    items -= count;
}

static void compare(const unsigned char *lp)
{
    char scratch[HL_LP_SCRATCH];
    size_t count = 0;
    size_t i = 0;
    cr_assert(hl_lp_validate(slice(lp), &count));
    cr_assert_eq(count, items);
    cr_assert_eq(hl_lp_count(lp), items);
    for (size_t at = hl_lp_first(lp); at != 0; at = hl_lp_next(lp, at), i++) {
        struct hl_slice want = {.ptr = texts[i], .len = lens[i]};
        cr_assert(hl_slice_equal(hl_lp_get(lp, at, scratch), want));
    }
    cr_assert_eq(i, items);
    for (size_t at = hl_lp_last(lp); at != 0; at = hl_lp_prev(lp, at)) {
        i--;
        struct hl_slice want = {.ptr = texts[i], .len = lens[i]};
        cr_assert(hl_slice_equal(hl_lp_get(lp, at, scratch), want));
    }
    cr_assert_eq(i, 0);
}

Test(listpack, random_edits_agree_with_an_array)
{
    hl_rng_seed(&rng, 3);
    unsigned char *lp = hl_lp_create();
    for (int step = 0; step < 20000; step++) {
        size_t index = hl_rng_below(&rng, items + 1);
        size_t at = hl_lp_seek(lp, index);
        cr_assert_eq(at == 0, index == items);
        static char text[TEXT_MAX];
        size_t len = make_value(text);
        struct hl_slice value = {.ptr = text, .len = len};
        unsigned dice = (unsigned)hl_rng_below(&rng, 10);
        if (dice < 4 && items + 1 < ITEMS) {
            lp = hl_lp_insert(lp, at, value);
            model_make_room(index);
            memcpy(texts[index], text, len);
            lens[index] = len;
        } else if (dice < 7 && at != 0) {
            lp = hl_lp_replace(lp, at, value);
            memcpy(texts[index], text, len);
            lens[index] = len;
        } else if (dice < 10 && at != 0) {
            size_t count = 1 + hl_rng_below(&rng, 3);
            lp = hl_lp_delete(lp, at, count);
            model_close_gap(index, count < items - index ? count : items - index);
        }
        if (step % 10 == 0) {
            compare(lp);
        }
    }
    hl_free(lp);
}

Test(listpack, finding_skips_what_it_is_told_to)
{
    static const char *const values[] = {"a", "1", "1", "a", "b", "c"};
    unsigned char *lp = hl_lp_create();
    for (int i = 0; i < 6; i++) {
        lp = hl_lp_insert(lp, 0, hl_slice_of(values[i]));
    }
    size_t first = hl_lp_first(lp);
    cr_assert_eq(hl_lp_find(lp, first, hl_slice_of("1"), 1), hl_lp_seek(lp, 2));
    cr_assert_eq(hl_lp_find(lp, first, hl_slice_of("1"), 0), hl_lp_seek(lp, 1));
    cr_assert_eq(hl_lp_find(lp, first, hl_slice_of("c"), 1), 0);
    cr_assert_eq(hl_lp_find(lp, first, hl_slice_of("01"), 0), 0);
    cr_assert_eq(hl_lp_find(lp, 0, hl_slice_of("a"), 0), 0);
    hl_free(lp);
}

Test(listpack, counts_beyond_the_header_field_are_found_by_walking)
{
    unsigned char *lp = hl_lp_create();
    for (int i = 0; i < 65540; i++) {
        lp = hl_lp_insert(lp, 0, hl_slice_of("1"));
    }
    cr_assert_eq(hl_lp_count(lp), 65540);
    cr_assert(hl_lp_validate(slice(lp), NULL));
    lp = hl_lp_delete(lp, hl_lp_first(lp), 10);
    cr_assert_eq(hl_lp_count(lp), 65530);
    lp = hl_lp_insert(lp, 0, hl_slice_of("2"));
    cr_assert_eq(hl_lp_count(lp), 65531);
    hl_free(lp);
}

/* Goal: no bytes make the validator read outside them, and what it accepts can be walked.  Method:
 * every truncation and every change of one byte, in memory of the exact size. */
Test(listpack, hostile_bytes_are_refused_or_harmless)
{
    size_t len = sizeof golden - 1;
    for (size_t cut = 0; cut < len; cut++) {
        char *copy = hl_malloc(cut);
        memcpy(copy, golden, cut);
        cr_assert_not(hl_lp_validate((struct hl_slice){.ptr = copy, .len = cut}, NULL));
        hl_free(copy);
    }
    for (size_t i = 0; i < len; i++) {
        for (int byte = 0; byte < 256; byte++) {
            unsigned char *copy = hl_malloc(len);
            memcpy(copy, golden, len);
            copy[i] = (unsigned char)byte;
            struct hl_slice bytes = {.ptr = (char *)copy, .len = len};
            size_t count = 0;
            if (hl_lp_validate(bytes, &count)) {
                char scratch[HL_LP_SCRATCH];
                size_t walked = 0;
                for (size_t at = hl_lp_first(copy); at != 0; at = hl_lp_next(copy, at)) {
                    struct hl_slice got = hl_lp_get(copy, at, scratch);
                    cr_assert_leq(got.len, len);
                    walked++;
                }
                cr_assert_eq(walked, count);
            }
            hl_free(copy);
        }
    }
}
