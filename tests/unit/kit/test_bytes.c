/* Slices, the growing buffer, and fixed-width fields. */
#include "kit/bytes.h"

#include <criterion/criterion.h>

static struct hl_slice of(const char *ptr, size_t len)
{
    return (struct hl_slice){.ptr = ptr, .len = len};
}

Test(bytes, words_match_in_any_case)
{
    cr_assert(hl_slice_is(hl_slice_of("KeepTTL"), "KEEPTTL"));
    cr_assert(hl_slice_is(hl_slice_of(""), ""));
    cr_assert_not(hl_slice_is(hl_slice_of("EX"), "EXAT"));
    cr_assert_not(hl_slice_is(hl_slice_of("EXAT"), "EX"));
    cr_assert_not(hl_slice_is(of("EX\0", 3), "EX"));
    cr_assert_not(hl_slice_is(of("\0", 1), ""));
    cr_assert_not(hl_slice_is(hl_slice_of("["), "{"), "only letters fold");
    cr_assert_not(hl_slice_is(hl_slice_of("@"), "`"));
}

Test(bytes, order_is_of_unsigned_bytes_then_length)
{
    cr_assert_lt(hl_slice_compare(hl_slice_of("a"), hl_slice_of("b")), 0);
    cr_assert_lt(hl_slice_compare(hl_slice_of("a"), hl_slice_of("ab")), 0);
    cr_assert_gt(hl_slice_compare(hl_slice_of("\xff"), hl_slice_of("a")), 0);
    cr_assert_eq(hl_slice_compare(of("a\0b", 3), of("a\0b", 3)), 0);
    cr_assert_lt(hl_slice_compare(of(NULL, 0), hl_slice_of("a")), 0);
    cr_assert_eq(hl_slice_compare(of(NULL, 0), of(NULL, 0)), 0);
    cr_assert(hl_slice_equal(of(NULL, 0), hl_slice_of("")));
    cr_assert_not(hl_slice_equal(of("a\0b", 3), of("a\0c", 3)));
}

Test(bytes, an_empty_buffer_grows_and_is_usable_after_its_end)
{
    struct hl_buf buf = {0};
    hl_buf_append(&buf, NULL, 0);
    cr_assert_eq(buf.len, 0);
    for (int i = 0; i < 1000; i++) {
        hl_buf_append_u8(&buf, (uint8_t)i);
    }
    cr_assert_eq(buf.len, 1000);
    for (int i = 0; i < 1000; i++) {
        cr_assert_eq((uint8_t)buf.ptr[i], (uint8_t)i);
    }
    hl_buf_fini(&buf);
    hl_buf_fini(&buf);
    hl_buf_append_text(&buf, "again");
    cr_assert(hl_slice_equal(hl_buf_view(&buf), hl_slice_of("again")));
    hl_buf_fini(&buf);
}

Test(bytes, growing_makes_room_for_all_that_was_asked)
{
    struct hl_buf buf = {0};
    hl_buf_append_text(&buf, "abc");
    hl_buf_grow(&buf, 100000);
    cr_assert_geq(buf.cap - buf.len, 100000);
    cr_assert_eq(buf.len, 3);
    cr_assert_eq(memcmp(buf.ptr, "abc", 3), 0);
    hl_buf_fini(&buf);
}

Test(bytes, formatting_appends_without_a_nul)
{
    struct hl_buf buf = {0};
    hl_buf_printf(&buf, "%s-%d", "x", 12);
    hl_buf_printf(&buf, "%*d", 200, 7);
    cr_assert_eq(buf.len, 204);
    cr_assert_eq(memcmp(buf.ptr, "x-12  ", 6), 0);
    cr_assert_eq(buf.ptr[203], '7');
    hl_buf_fini(&buf);
}

Test(bytes, consuming_keeps_the_rest)
{
    struct hl_buf buf = {0};
    hl_buf_append_text(&buf, "hello world");
    hl_buf_consume(&buf, 6);
    cr_assert(hl_slice_equal(hl_buf_view(&buf), hl_slice_of("world")));
    hl_buf_consume(&buf, 0);
    cr_assert_eq(buf.len, 5);
    hl_buf_consume(&buf, 5);
    cr_assert_eq(buf.len, 0);
    hl_buf_append_text(&buf, "!");
    hl_buf_clear(&buf);
    cr_assert_eq(buf.len, 0);
    hl_buf_fini(&buf);
}

Test(bytes, fields_are_little_endian_everywhere)
{
    unsigned char bytes[8];
    hl_put_le64(bytes, 0x0102030405060708u);
    cr_assert_eq(memcmp(bytes, "\x08\x07\x06\x05\x04\x03\x02\x01", 8), 0);
    cr_assert_eq(hl_get_le64(bytes), 0x0102030405060708u);
    cr_assert_eq(hl_get_le32(bytes), 0x05060708u);
    cr_assert_eq(hl_get_le16(bytes), 0x0708u);
    memset(bytes, 0xff, sizeof bytes);
    cr_assert_eq(hl_get_le64(bytes), UINT64_MAX);
    cr_assert_eq(hl_get_le16(bytes), UINT16_MAX);
    struct hl_buf buf = {0};
    hl_buf_append_le32(&buf, 0xdeadbeefu);
    hl_buf_append_le64(&buf, 1);
    cr_assert_eq(buf.len, 12);
    cr_assert_eq(hl_get_le32(buf.ptr), 0xdeadbeefu);
    cr_assert_eq(hl_get_le64(buf.ptr + 4), 1);
    hl_buf_fini(&buf);
}
