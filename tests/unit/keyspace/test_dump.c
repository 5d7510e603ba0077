#include "keyspace/dump.h"

#include "base/crc64.h"
#include "keyspace/entry.h"
#include "keyspace/hash.h"
#include "keyspace/lzf.h"
#include "keyspace/quicklist.h"
#include "keyspace/rdb.h"
#include "keyspace/string.h"
#include "kit/alloc.h"
#include "kit/num.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct hl_keyspace ks;
static struct hl_rng rng;
static struct hl_db *db;
static char hundred_a[101];
static int freed; /* module values */

static void module_free(void *ctx, void *type, void *value)
{
    (void)ctx;
    (void)type;
    hl_free(value);
    freed++;
}

static void setup(void)
{
    hl_rng_seed(&rng, 13);
    hl_ks_init(&ks, 2, (uint64_t[2]){5, 6}, &rng);
    ks.hooks.module_free = module_free;
    db = hl_ks_db(&ks, 0);
    memset(hundred_a, 'a', 100);
}

static void teardown(void)
{
    hl_ks_fini(&ks);
}

TestSuite(dump, .init = setup, .fini = teardown);

static size_t unhex(const char *hex, char *out)
{
    size_t len = strlen(hex) / 2;
    for (size_t i = 0; i < len; i++) {
        unsigned byte = 0;
        cr_assert_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (char)byte;
    }
    return len;
}

static struct hl_entry *string(const char *value)
{
    return hl_db_set_string(db, hl_slice_of("k"), hl_slice_of(value), false);
}

static void expect_payload(const struct hl_entry *entry, const char *hex)
{
    char want[512];
    size_t len = unhex(hex, want);
    struct hl_buf out = {0};
    cr_assert_eq(hl_dump_payload(entry, 0, NULL, &out), HL_OK);
    cr_assert_eq(out.len, len);
    cr_assert_arr_eq(out.ptr, want, len);
    hl_buf_fini(&out);
}

/* The payloads are what redis-server 7.0.15 answered to DUMP. */
Test(dump, strings_are_written_as_redis_writes_them)
{
    expect_payload(string("hello"), "000568656c6c6f0a006372df766534200a");
    expect_payload(string("12345"), "00c139300a009d94ea2793fc08b9");
    expect_payload(string("-5"), "00c0fb0a0049c4c6f4d7263f68");
    expect_payload(string("9223372036854775807"),
                   "0013393232333337323033363835343737353830370a003a657e9481e85f22");
    expect_payload(string("70000"), "00c2701101000a0001a408fe953095a5");
    expect_payload(string(hundred_a), "00c3094064016161e057000161610a00e8a3b507b06df271");
}

static const char small_hash[] =
    "1032320000000800846e616d65058668656c696f7307816e022a01836e656704f178ec038362696704f4cb04fb711f"
    "01000009ff0a0009c4dffc64fa0dc3";

static struct hl_entry *make_small_hash(void)
{
    static const char *const pairs[][2] = {
        {"name", "helios"}, {"n", "42"}, {"neg", "-5000"}, {"big", "1234567890123"}};
    struct hl_entry *entry = hl_db_add_hash(db, hl_slice_of("h"));
    for (int i = 0; i < 4; i++) {
        cr_assert(hl_hash_set(&ks, entry, hl_slice_of(pairs[i][0]), hl_slice_of(pairs[i][1])));
    }
    return entry;
}

Test(dump, hashes_are_written_as_redis_writes_them)
{
    expect_payload(make_small_hash(), small_hash);
    ks.limits.hash_max_listpack_entries = 0;
    struct hl_entry *entry = hl_db_add_hash(db, hl_slice_of("g"));
    cr_assert(hl_hash_set(&ks, entry, hl_slice_of("only"), hl_slice_of("one")));
    expect_payload(entry, "0401046f6e6c79036f6e650a00ef8b824ec0e532c5");
}

static hl_err load_value(struct hl_slice value, struct hl_entry **entry)
{
    size_t used = 0;
    struct hl_errmsg msg = {{0}};
    hl_err err = hl_dump_load(db, hl_slice_of("r"), value, NULL, &used, entry, &msg);
    cr_assert_eq(err == HL_OK, msg.text[0] == '\0', "a refusal must say why");
    cr_assert(err != HL_OK || used <= value.len);
    return err;
}

static hl_err restore(struct hl_slice payload, struct hl_entry **entry)
{
    struct hl_slice value;
    hl_err err = hl_dump_payload_open(payload, &value);
    return err != HL_OK ? err : load_value(value, entry);
}

static hl_err restore_hex(const char *hex, struct hl_entry **entry)
{
    static char bytes[512];
    size_t len = unhex(hex, bytes);
    return restore((struct hl_slice){.ptr = bytes, .len = len}, entry);
}

Test(dump, other_types_are_refused_by_name)
{
    struct hl_entry *entry = NULL;
    /* a set and a sorted set of Redis 7.0 */
    cr_assert_eq(restore_hex("0b0a020000000100000001000a00056f61290c490534", &entry), HL_EINVAL);
    cr_assert_eq(restore_hex("110c0c0000000200816d020101ff0a0026e3fd9ddd7d6ecb", &entry),
                 HL_EINVAL);
    cr_assert_null(entry);
    cr_assert_eq(hl_db_count(db), 0);
}

/* {"a": "1", "bc": "-70000"} as a ziplist, put together by hand. */
static const char ziplist[] = "\x0d\x1a"
                              "\x1a\0\0\0\x13\0\0\0\x04\0"
                              "\x00\x01"
                              "a"
                              "\x03\xf2"
                              "\x02\x02"
                              "bc"
                              "\x04\xd0\x90\xee\xfe\xff"
                              "\xff";

Test(dump, ziplists_of_older_servers_are_read)
{
    struct hl_entry *entry = NULL;
    struct hl_slice in = {.ptr = ziplist, .len = sizeof ziplist - 1};
    cr_assert_eq(load_value(in, &entry), HL_OK);
    cr_assert_eq(hl_hash_len(entry), 2);
    char scratch[HL_HASH_SCRATCH];
    struct hl_slice got;
    cr_assert(hl_hash_get(entry, hl_slice_of("a"), &got, scratch));
    cr_assert(hl_slice_equal(got, hl_slice_of("1")));
    cr_assert(hl_hash_get(entry, hl_slice_of("bc"), &got, scratch));
    cr_assert(hl_slice_equal(got, hl_slice_of("-70000")));
}

static struct hl_entry *make_list(const char *const *elements, size_t count)
{
    struct hl_entry *entry = hl_db_add_list(db, hl_slice_of("l"));
    for (size_t i = 0; i < count; i++) {
        hl_ql_push(&ks, entry, hl_slice_of(elements[i]), false);
    }
    return entry;
}

static const char *const five[] = {"a", "1", "-300", "70000", "hello"};

static void expect_elements(const struct hl_entry *entry, const char *const *want, size_t count)
{
    struct hl_ql_cursor cursor;
    char scratch[HL_QL_SCRATCH];
    cr_assert_eq(hl_ql_len(entry), count);
    for (size_t i = 0; i < count; i++) {
        cr_assert(hl_ql_seek(entry, (int64_t)i, &cursor));
        cr_assert(hl_slice_equal(hl_ql_value(&cursor, scratch), hl_slice_of(want[i])), "%zu", i);
    }
}

/* The payload is what redis-server 7.0.15 answered to DUMP. */
Test(dump, lists_are_written_and_read_as_redis_does)
{
    static const char payload[] =
        "1201021b1b00000005008161020101ded402f2701101048568656c6c6f06ff0a00df863f96c9a086f3";
    struct hl_entry *entry = NULL;
    expect_payload(make_list(five, HL_ARRAY_LEN(five)), payload);
    cr_assert_eq(restore_hex(payload, &entry), HL_OK);
    expect_elements(entry, five, HL_ARRAY_LEN(five));
}

Test(dump, lists_of_older_servers_are_read)
{
    static const char *const want[] = {"a", "1", "bc", "-70000"};
    struct hl_entry *entry = NULL;
    struct hl_buf bytes = {0};
    struct hl_slice body = {.ptr = ziplist + 1, .len = sizeof ziplist - 2};
    hl_buf_append_u8(&bytes, 10); /* a ziplist */
    hl_buf_append_slice(&bytes, body);
    cr_assert_eq(load_value(hl_buf_view(&bytes), &entry), HL_OK);
    expect_elements(entry, want, 4);
    cr_assert(hl_db_delete(db, hl_slice_of("r")));
    hl_buf_clear(&bytes);
    hl_buf_append(&bytes, "\x0e\x01", 2); /* one ziplist of several */
    hl_buf_append_slice(&bytes, body);
    cr_assert_eq(load_value(hl_buf_view(&bytes), &entry), HL_OK);
    expect_elements(entry, want, 4);
    cr_assert(hl_db_delete(db, hl_slice_of("r")));
    cr_assert_eq(load_value((struct hl_slice){"\x01\x02\x01x\xc0\x05", 6}, &entry), HL_OK);
    expect_elements(entry, (const char *const[]){"x", "5"}, 2);
    hl_buf_fini(&bytes);
}

Test(dump, a_list_without_elements_is_corrupt)
{
    struct hl_entry *entry = NULL;
    static const char *const rows[] = {
        "0100",                         /* elements */
        "0e00",                         /* ziplists */
        "1200",                         /* listpacks */
        "12010207070000000000ff",       /* an empty one */
        "1201030a0a0000000100816102ff", /* neither plain nor packed */
        "0181ffffffffffffffff0161",     /* more than there are */
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
        char bytes[64];
        size_t len = unhex(rows[i], bytes);
        cr_assert_eq(load_value((struct hl_slice){.ptr = bytes, .len = len}, &entry), HL_ECORRUPT,
                     "row %zu", i);
    }
}

Test(dump, a_field_twice_is_corrupt)
{
    struct hl_entry *entry = NULL;
    static const char plain[] = "\x04\x02\x01"
                                "a\x01"
                                "1\x01"
                                "a\x01"
                                "2";
    cr_assert_eq(load_value((struct hl_slice){.ptr = plain, .len = sizeof plain - 1}, &entry),
                 HL_ECORRUPT);
    static const char packed[] = "\x10\x11\x11\0\0\0\x04\0\x81"
                                 "a\x02\x01\x01\x81"
                                 "a\x02\x02\x01\xff";
    cr_assert_eq(load_value((struct hl_slice){.ptr = packed, .len = sizeof packed - 1}, &entry),
                 HL_ECORRUPT);
    cr_assert_eq(load_value((struct hl_slice){.ptr = "\x04\x00", .len = 2}, &entry), HL_ECORRUPT);
}

Test(dump, a_wrong_version_or_checksum_is_corrupt)
{
    struct hl_slice value;
    char bytes[64];
    size_t len = unhex("000568656c6c6f0a006372df766534200a", bytes);
    struct hl_slice payload = {.ptr = bytes, .len = len};
    cr_assert_eq(hl_dump_payload_open(payload, &value), HL_OK);
    cr_assert_eq(value.len, 7);
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 1;
        cr_assert_eq(hl_dump_payload_open(payload, &value), HL_ECORRUPT);
        bytes[i] ^= 1;
    }
    for (size_t cut = 0; cut < len; cut++) {
        cr_assert_eq(hl_dump_payload_open((struct hl_slice){.ptr = bytes, .len = cut}, &value),
                     HL_ECORRUPT);
    }
    bytes[len - 10] = 11;
    hl_put_le64(bytes + len - 8, hl_crc64(0, bytes, len - 8));
    cr_assert_eq(hl_dump_payload_open(payload, &value), HL_ECORRUPT, "a version we do not know");
}

/* Goal: hostile values are refused without a trace or read without harm.  Method: every truncation
 * and every change of one byte of four values, each in memory of its exact size. */
static void mutate(const char *bytes, size_t len)
{
    struct hl_entry *entry = NULL;
    for (size_t cut = 0; cut < len; cut++) {
        char *copy = hl_malloc(cut);
        memcpy(copy, bytes, cut);
        cr_assert_eq(load_value((struct hl_slice){.ptr = copy, .len = cut}, &entry), HL_ECORRUPT);
        hl_free(copy);
    }
    for (size_t i = 0; i < len; i++) {
        for (int byte = 0; byte < 256; byte++) {
            char *copy = hl_malloc(len);
            memcpy(copy, bytes, len);
            copy[i] = (char)byte;
            size_t before = hl_db_count(db);
            if (load_value((struct hl_slice){.ptr = copy, .len = len}, &entry) == HL_OK) {
                cr_assert_leq(hl_entry_memory(entry, 0), HL_LZF_RATIO_MAX * len + 10000);
                cr_assert(hl_db_delete(db, hl_slice_of("r")));
            } else {
                cr_assert_eq(hl_db_count(db), before);
            }
            hl_free(copy);
        }
    }
}

Test(dump, hostile_values_are_refused_or_harmless, .timeout = 60)
{
    struct hl_buf out = {0};
    cr_assert_eq(hl_dump_value(string(hundred_a), 0, NULL, &out), HL_OK);
    mutate(out.ptr, out.len);
    hl_buf_clear(&out);
    cr_assert_eq(hl_dump_value(make_small_hash(), 0, NULL, &out), HL_OK);
    mutate(out.ptr, out.len);
    mutate("\x04\x02\x01"
           "a\xc0\x05\x02"
           "bc\xc1\x10\x20",
           12);
    mutate(ziplist, sizeof ziplist - 1);
    hl_buf_clear(&out);
    cr_assert_eq(hl_dump_value(make_list(five, HL_ARRAY_LEN(five)), 0, NULL, &out), HL_OK);
    mutate(out.ptr, out.len);
    out.ptr[0] = 10; /* the same bytes as a list of another age */
    mutate(out.ptr, out.len);
    hl_buf_fini(&out);
}

Test(dump, lengths_that_promise_too_much_are_refused_without_allocating)
{
    struct hl_entry *entry = NULL;
    static const char *const rows[] = {
        "00bfff",                     /* 14 bits */
        "008000ffffff61",             /* 32 bits */
        "0081ffffffffffffffff",       /* 64 bits */
        "00c30181ffffffffffffff0061", /* LZF of one byte into 2^64 */
        "0481ffffffffffffffff0161",   /* fields */
        "00c4",                       /* no such string encoding */
        "0082",                       /* no such length */
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
        char bytes[64];
        size_t len = unhex(rows[i], bytes);
        cr_assert_eq(load_value((struct hl_slice){.ptr = bytes, .len = len}, &entry), HL_ECORRUPT,
                     "row %zu", i);
    }
}

/* --- round trips ------------------------------------------------------------------------------ */

static void digest(unsigned char out[20])
{
    hl_ks_digest(&ks, NULL, out);
}

static size_t random_text(char *out, size_t max)
{
    size_t len = hl_rng_below(&rng, max);
    unsigned letters = 1 + (unsigned)hl_rng_below(&rng, 30);
    for (size_t i = 0; i < len; i++) {
        out[i] = (char)('a' + hl_rng_below(&rng, letters));
    }
    return len;
}

/* Method: dump what is there, delete it, load it under the same name: the digest is the same. */
static void round_trip(struct hl_entry *entry)
{
    struct hl_buf out = {0};
    struct hl_buf name = {0};
    unsigned char before[20];
    unsigned char after[20];
    size_t used = 0;
    digest(before);
    hl_buf_append_slice(&name, hl_entry_key(entry));
    int64_t deadline = hl_entry_expire(entry);
    cr_assert_eq(hl_dump_value(entry, 0, NULL, &out), HL_OK);
    cr_assert(hl_db_delete(db, hl_buf_view(&name)));
    digest(after);
    cr_assert_arr_neq(before, after, 20);
    cr_assert_eq(hl_dump_load(db, hl_buf_view(&name), hl_buf_view(&out), NULL, &used, &entry, NULL),
                 HL_OK);
    cr_assert_eq(used, out.len);
    hl_db_set_expire(db, entry, deadline);
    digest(after);
    cr_assert_arr_eq(before, after, 20);
    hl_buf_fini(&out);
    hl_buf_fini(&name);
}

Test(dump, what_is_dumped_is_loaded, .timeout = 60)
{
    static char text[30000];
    for (int i = 0; i < 300; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "key:%d", i);
        size_t len = random_text(text, i % 10 == 0 ? sizeof text : 300);
        struct hl_entry *entry;
        if (i % 3 != 0) {
            struct hl_slice value = {.ptr = text, .len = len};
            entry = hl_db_set_string(db, hl_slice_of(key), value, false);
        } else {
            entry = hl_db_add_hash(db, hl_slice_of(key));
            for (int j = 0; j <= i; j++) {
                char field[40];
                size_t field_len = random_text(field, sizeof field);
                size_t value_len = random_text(text, 100);
                (void)hl_hash_set(&ks, entry, (struct hl_slice){.ptr = field, .len = field_len},
                                  (struct hl_slice){.ptr = text, .len = value_len});
            }
        }
        if (i % 4 == 0) {
            entry = hl_db_set_expire(db, entry, 1000 + i);
        }
        round_trip(entry);
    }
}

/* Goal: comparing a key takes a bounded time, whatever its value. */
Test(dump, of_large_values_a_sum_counts_only_the_size)
{
    unsigned char sums[4][20] = {{0}};
    static const char fill[4] = {'a', 'b', 'a', 'b'};
    static const size_t lens[4] = {HL_DIGEST_STRING_MAX, HL_DIGEST_STRING_MAX,
                                   HL_DIGEST_STRING_MAX + 1, HL_DIGEST_STRING_MAX + 1};
    char *bytes = hl_malloc(HL_DIGEST_STRING_MAX + 1);
    for (int i = 0; i < 4; i++) {
        memset(bytes, fill[i], lens[i]);
        struct hl_entry *entry = hl_db_set_string(
            db, hl_slice_of("large"), (struct hl_slice){.ptr = bytes, .len = lens[i]}, false);
        hl_entry_digest_add(entry, 0, NULL, sums[i]);
    }
    hl_free(bytes);
    cr_assert_neq(memcmp(sums[0], sums[1], 20), 0);
    cr_assert_neq(memcmp(sums[1], sums[2], 20), 0);
    cr_assert_eq(memcmp(sums[2], sums[3], 20), 0);
    (void)hl_db_delete(db, hl_slice_of("large"));
}

Test(dump, the_digest_ignores_order_and_encoding_and_sees_everything_else)
{
    unsigned char none[20];
    unsigned char one[20];
    unsigned char two[20];
    digest(none);
    struct hl_entry *entry = hl_db_set_string(db, hl_slice_of("a"), hl_slice_of("12"), false);
    hl_db_set_string(db, hl_slice_of("b"), hl_slice_of("x"), false);
    digest(one);
    hl_db_flush(db);
    digest(two);
    cr_assert_arr_eq(none, two, 20);
    hl_db_set_string(db, hl_slice_of("b"), hl_slice_of("x"), false);
    entry = hl_db_set_string(db, hl_slice_of("a"), hl_slice_of("1"), false);
    entry = hl_string_append(db, entry, hl_slice_of("2"));
    digest(two);
    cr_assert_arr_eq(one, two, 20);
    hl_db_set_expire(db, entry, 5);
    digest(two);
    cr_assert_arr_neq(one, two, 20);
    hl_ks_swap(&ks, 0, 1);
    digest(one);
    cr_assert_arr_neq(one, two, 20);
}

/* --- modules ---------------------------------------------------------------------------------- */

static bool save_module(void *ctx, void *type, void *value, struct hl_slice key, int index,
                        struct hl_buf *out)
{
    (void)type;
    (void)key;
    (void)index;
    hl_buf_append(out, value, 4);
    return ctx != NULL;
}

static hl_err load_module(void *ctx, struct hl_slice in, size_t *used, struct hl_slice key,
                          int index, void **type, void **value, struct hl_errmsg *msg)
{
    (void)key;
    (void)index;
    if (in.len < 4) {
        return hl_fail(msg, HL_ECORRUPT, "short");
    }
    *used = 4;
    *type = ctx;
    *value = hl_strndup(in.ptr, 4);
    return HL_OK;
}

Test(dump, module_values_go_through_their_callbacks)
{
    struct hl_dump_modules modules = {.ctx = &ks, .save = save_module, .load = load_module};
    struct hl_buf out = {0};
    struct hl_entry *entry = hl_db_set_module(db, hl_slice_of("m"), &ks, hl_strndup("abcd", 4));
    cr_assert_eq(hl_entry_encoding(entry), HL_ENC_MODULE);
    cr_assert_eq(hl_dump_value(entry, 0, NULL, &out), HL_EINVAL);
    cr_assert_eq(out.len, 0);
    cr_assert_eq(hl_dump_value(entry, 0, &modules, &out), HL_OK);
    size_t used = 0;
    cr_assert_eq(
        hl_dump_load(db, hl_slice_of("m"), hl_buf_view(&out), &modules, &used, &entry, NULL),
        HL_OK);
    cr_assert_eq(freed, 1);
    cr_assert_eq(memcmp(hl_entry_module_value(entry), "abcd", 4), 0);
    cr_assert_eq(hl_entry_module_type(entry), &ks);
    cr_assert_eq(hl_dump_load(db, hl_slice_of("m"), hl_buf_view(&out), NULL, &used, &entry, NULL),
                 HL_EINVAL);
    cr_assert_null(hl_db_copy(entry, db, hl_slice_of("n")));
    hl_ks_flush(&ks);
    cr_assert_eq(freed, 2);
    hl_buf_fini(&out);
}
