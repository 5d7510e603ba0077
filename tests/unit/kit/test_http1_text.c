/* Goal: the small texts of HTTP are read and written exactly, and nothing breaks out of a header.
 */
#include "kit/http1_text.h"
#include "kit/http1_write.h"

#include <criterion/criterion.h>
#include <time.h>

static bool is(struct hl_slice slice, const char *text)
{
    return hl_slice_equal(slice, hl_slice_of(text));
}

Test(http1_text, percent_encoding_goes_both_ways)
{
    struct hl_buf out = {0};
    struct hl_buf back = {0};
    char all[256];
    for (int i = 0; i < 256; i++) {
        all[i] = (char)i;
    }
    hl_percent_encode(&out, (struct hl_slice){all, sizeof all});
    cr_assert_eq(hl_percent_decode(&back, hl_buf_view(&out), false), HL_OK);
    cr_assert(hl_slice_equal(hl_buf_view(&back), (struct hl_slice){all, sizeof all}));
    static const char *bad[] = {"%", "%4", "a%4", "%g0", "%0g", "%%41"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(hl_percent_decode(&back, hl_slice_of(bad[i]), false), HL_EINVAL, "%s", bad[i]);
    }
    hl_buf_fini(&out);
    hl_buf_fini(&back);
}

Test(http1_text, a_query_is_searched_by_decoded_names)
{
    struct hl_buf value = {0};
    struct hl_slice query = hl_slice_of("a=1&&b%20c=x+y%2Bz&d&e=&a=2&f=%");
    cr_assert_eq(hl_query_find(query, "a", &value), HL_OK);
    cr_assert(is(hl_buf_view(&value), "1"), "the first");
    hl_buf_clear(&value);
    cr_assert_eq(hl_query_find(query, "b c", &value), HL_OK);
    cr_assert(is(hl_buf_view(&value), "x y+z"));
    hl_buf_clear(&value);
    cr_assert_eq(hl_query_find(query, "d", &value), HL_OK);
    cr_assert_eq(value.len, 0);
    cr_assert_eq(hl_query_find(query, "e", &value), HL_OK);
    cr_assert_eq(hl_query_find(query, "g", &value), HL_ENOENT);
    cr_assert_eq(hl_query_find(query, "f", &value), HL_EINVAL);
    hl_buf_fini(&value);
}

Test(http1_text, lists_are_searched_by_whole_words)
{
    cr_assert(hl_http1_list_has(hl_slice_of("keep-alive, Upgrade"), "upgrade"));
    cr_assert(hl_http1_list_has(hl_slice_of(" ,\tclose\t,"), "close"));
    cr_assert_not(hl_http1_list_has(hl_slice_of("not-close"), "close"));
    cr_assert_not(hl_http1_list_has(hl_slice_of(""), "close"));
}

/* Oracle: the C library's calendar. */
Test(http1_text, dates_are_those_of_the_calendar)
{
    char date[HL_HTTP1_DATE_MAX];
    hl_http1_date(date, 784111777);
    cr_assert_str_eq(date, "Sun, 06 Nov 1994 08:49:37 GMT");
    for (int64_t at = 0; at < 253402300799; at += 86399 * 97) {
        char want[64];
        struct tm tm;
        time_t t = (time_t)at;
        gmtime_r(&t, &tm);
        strftime(want, sizeof want, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        hl_http1_date(date, at);
        cr_assert_str_eq(date, want);
    }
}

Test(http1_text, nothing_breaks_out_of_a_line)
{
    struct hl_buf out = {0};
    static const char *names[] = {"", "a b", "a:", "a\r\nb", "caf\xe9", "a\n"};
    static const char *values[] = {"a\r\nb: c", "a\n", "\r", "a\x01", "\x7f"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        cr_assert_eq(hl_http1_put_header(&out, hl_slice_of(names[i]), hl_slice_of("v")), HL_EINVAL);
    }
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        cr_assert_eq(hl_http1_put_header(&out, hl_slice_of("N"), hl_slice_of(values[i])),
                     HL_EINVAL);
    }
    cr_assert_eq(hl_http1_put_header(&out, hl_slice_of("N"), (struct hl_slice){"a\0b", 3}),
                 HL_EINVAL);
    cr_assert_eq(hl_http1_put_request(&out, hl_slice_of("GET"), hl_slice_of("/ HTTP/1.1")),
                 HL_EINVAL);
    cr_assert_eq(hl_http1_put_request(&out, hl_slice_of("G T"), hl_slice_of("/")), HL_EINVAL);
    cr_assert_eq(hl_http1_put_request(&out, hl_slice_of("GET"), hl_slice_of("/\xe9")), HL_EINVAL);
    cr_assert_eq(out.len, 0, "WR1");
    hl_http1_put_status(&out, 200);
    hl_http1_put_length(&out, 5);
    hl_http1_put_end(&out);
    hl_http1_put_chunk(&out, hl_slice_of(""));
    hl_http1_put_chunk(&out, hl_slice_of("0123456789abcdef"));
    hl_http1_put_last_chunk(&out);
    cr_assert(is(hl_buf_view(&out), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
                                    "10\r\n0123456789abcdef\r\n0\r\n\r\n"));
    hl_buf_fini(&out);
}
