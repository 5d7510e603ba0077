/* Goal: records of Idempotency-Keys come back as they were kept, and nothing else passes for one.
 * Method: a record of every kind of item, cut and changed at every byte. */
#include "gateway/once.h"

#include <criterion/criterion.h>

static struct hl_buf items, bytes;

static void put(char kind, const char *text, int64_t number)
{
    struct gw_once_item item = {.kind = kind, .number = number};
    if (text != NULL) {
        item.text = hl_slice_of(text);
    }
    gw_once_put(&items, &item);
}

static void make(void)
{
    put('*', NULL, 3);
    put('$', "text", 0);
    put('%', NULL, 1);
    put('+', "key", 0);
    put('_', NULL, 0);
    put(':', NULL, -7);
    struct gw_once_record record = {.until_ms = 123456789, .reply = hl_buf_view(&items)};
    memset(record.digest, 0xab, sizeof record.digest);
    gw_once_encode(&bytes, &record);
}

static void end(void)
{
    hl_buf_fini(&items);
    hl_buf_fini(&bytes);
}

TestSuite(once, .init = make, .fini = end);

Test(once, a_record_comes_back)
{
    struct gw_once_record record;
    struct gw_once_item item;
    cr_assert(gw_once_decode(hl_buf_view(&bytes), &record));
    cr_assert_eq(record.until_ms, 123456789);
    cr_assert_eq(record.digest[31], 0xab);
    struct hl_slice rest = record.reply;
    static const char kinds[] = "*$%+_:";
    for (size_t i = 0; kinds[i] != '\0'; i++) {
        cr_assert(gw_once_take(&rest, &item));
        cr_assert_eq(item.kind, kinds[i]);
    }
    cr_assert_eq(item.number, -7);
    cr_assert_eq(rest.len, 0);
    cr_assert_not(gw_once_take(&rest, &item));
}

Test(once, a_record_that_was_cut_or_lengthened_is_none)
{
    struct gw_once_record record;
    for (size_t len = 0; len < bytes.len; len++) {
        cr_assert_not(gw_once_decode((struct hl_slice){.ptr = bytes.ptr, .len = len}, &record));
    }
    hl_buf_append_u8(&bytes, '_');
    cr_assert_not(gw_once_decode(hl_buf_view(&bytes), &record));
}

Test(once, no_changed_byte_makes_it_read_behind_the_end)
{
    struct gw_once_record record;
    for (size_t at = 0; at < bytes.len; at++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes.ptr[at] = (char)(bytes.ptr[at] ^ 1 << bit);
            char *exact = malloc(bytes.len); /* so that a sanitizer sees its end */
            memcpy(exact, bytes.ptr, bytes.len);
            (void)gw_once_decode((struct hl_slice){.ptr = exact, .len = bytes.len}, &record);
            free(exact);
            bytes.ptr[at] = (char)(bytes.ptr[at] ^ 1 << bit);
        }
    }
    cr_assert(gw_once_decode(hl_buf_view(&bytes), &record));
}

Test(once, an_array_that_promises_more_than_there_may_be_is_none)
{
    struct gw_once_record record = {0};
    hl_buf_clear(&items);
    hl_buf_clear(&bytes);
    put('*', NULL, 1000000);
    record.reply = hl_buf_view(&items);
    gw_once_encode(&bytes, &record);
    cr_assert_not(gw_once_decode(hl_buf_view(&bytes), &record));
}

Test(once, keys_are_printable_and_bounded)
{
    char key[GW_ONCE_KEY_MAX + 1];
    memset(key, 'k', sizeof key);
    cr_assert(gw_once_key_valid((struct hl_slice){.ptr = key, .len = GW_ONCE_KEY_MAX}));
    cr_assert_not(gw_once_key_valid((struct hl_slice){.ptr = key, .len = sizeof key}));
    cr_assert_not(gw_once_key_valid((struct hl_slice){0}));
    cr_assert_not(gw_once_key_valid(hl_slice_of("a\tb")));
    cr_assert_not(gw_once_key_valid(hl_slice_of("\xc3\xbc")));
    cr_assert(gw_once_key_valid(hl_slice_of("\"8e03978e-40d5\"")));
}

Test(once, requests_differ_when_any_part_does)
{
    unsigned char a[HL_SHA256_BYTES];
    unsigned char b[HL_SHA256_BYTES];
    struct hl_slice parts[4] = {hl_slice_of("POST"), hl_slice_of("/a"), hl_slice_of("q"),
                                hl_slice_of("body")};
    gw_once_digest(parts[0], parts[1], parts[2], parts[3], a);
    for (int i = 0; i < 4; i++) {
        struct hl_slice other[4] = {parts[0], parts[1], parts[2], parts[3]};
        other[i] = hl_slice_of("else");
        gw_once_digest(other[0], other[1], other[2], other[3], b);
        cr_assert(memcmp(a, b, sizeof a) != 0);
    }
    gw_once_digest(parts[0], hl_slice_of("/aq"), (struct hl_slice){0}, parts[3], b);
    cr_assert(memcmp(a, b, sizeof a) != 0, "parts do not run into one another");
    gw_once_digest(parts[0], parts[1], parts[2], parts[3], b);
    cr_assert(memcmp(a, b, sizeof a) == 0);
}
