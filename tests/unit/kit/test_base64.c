/* Goal: base64url and hexadecimal round trip, and have one text per value.
 * Method: the vectors of RFC 4648, every length up to 64, and every single changed character. */
#include "kit/base64.h"

#include <criterion/criterion.h>

static bool decodes(const char *text)
{
    unsigned char out[64];
    size_t len = 0;
    return hl_base64url_decode(hl_slice_of(text), out, sizeof out, &len);
}

Test(base64, the_vectors_of_the_rfc_without_padding)
{
    static const char *const rows[][2] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},         {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hl_buf out = {0};
        hl_base64url_append(&out, rows[i][0], strlen(rows[i][0]));
        cr_assert(hl_slice_equal(hl_buf_view(&out), hl_slice_of(rows[i][1])), "%s", rows[i][0]);
        hl_buf_fini(&out);
    }
}

Test(base64, every_length_round_trips_and_needs_exactly_its_room)
{
    unsigned char bytes[64];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)(i * 37 + 250);
    }
    for (size_t len = 0; len <= sizeof bytes; len++) {
        struct hl_buf text = {0};
        unsigned char back[64];
        size_t got = 0;
        hl_base64url_append(&text, bytes, len);
        cr_assert_eq(text.len, HL_BASE64URL_LEN(len));
        cr_assert(hl_base64url_decode(hl_buf_view(&text), back, len, &got));
        cr_assert_eq(got, len);
        cr_assert(len == 0 || memcmp(back, bytes, len) == 0);
        cr_assert(len == 0 || !hl_base64url_decode(hl_buf_view(&text), back, len - 1, &got));
        hl_buf_fini(&text);
    }
}

Test(base64, only_one_text_means_a_value)
{
    static const char *const bad[] = {"Zh",   "Zm9",  "Zg=",   "Zg==",     "Z", "Zm9vY",   "Zm 9v",
                                      "Zm9+", "Zm9/", "Zm9\n", "Zm9v\xc3", "=", "\x80\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_not(decodes(bad[i]), "%s", bad[i]);
    }
    cr_assert(decodes("__-_"));
}

Test(base64, hexadecimal_is_lower_case_and_exact)
{
    char text[9];
    unsigned char back[4];
    hl_hex_format(text, "\x00\xff\x1a\xb2", 4);
    cr_assert_str_eq(text, "00ff1ab2");
    cr_assert(hl_hex_parse(hl_slice_of(text), back, 4));
    cr_assert_eq(memcmp(back, "\x00\xff\x1a\xb2", 4), 0);
    cr_assert_not(hl_hex_parse(hl_slice_of("00FF1AB2"), back, 4));
    cr_assert_not(hl_hex_parse(hl_slice_of("00ff1ab"), back, 4));
    cr_assert_not(hl_hex_parse(hl_slice_of("00ff1ab2c"), back, 4));
    cr_assert_not(hl_hex_parse((struct hl_slice){.ptr = "00ff1ab\0", .len = 8}, back, 4));
}
