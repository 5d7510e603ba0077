#include "resp/peek.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define MAX 4

static struct hl_slice words[MAX];

static int peek(const char *text)
{
    return hl_peek_words(text, strlen(text), words, MAX);
}

#define GET(key) "*2\r\n$3\r\nGET\r\n$1\r\n" key "\r\n"

Test(peek, finds_the_second_word_of_each_request)
{
    cr_assert_eq(peek(GET("a") "*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$2\r\nbc\r\n$0\r\n\r\n"), 2);
    cr_assert(hl_slice_equal(words[0], hl_slice_of("a")));
    cr_assert(hl_slice_equal(words[1], hl_slice_of("bc")));
}

Test(peek, stops_at_the_maximum_and_at_what_is_not_plain)
{
    cr_assert_eq(peek(GET("a") GET("b") GET("c") GET("d") GET("e")), MAX);
    cr_assert_eq(peek(GET("a") "PING\r\n" GET("b")), 1);
    cr_assert_eq(peek(GET("a") "*0\r\n" GET("b")), 1);
    cr_assert_eq(peek(GET("a") "*9\r\n$1\r\na\r\n"), 1);
    cr_assert_eq(peek(GET("a") "*2\r\n$3\r\nGET\r\n:1\r\n" GET("b")), 1);
    cr_assert_eq(peek(GET("a") "*2\r\n$3\r\nGET\r\n$9999999\r\n"), 1);
    cr_assert_eq(peek(GET("a") "*-1\r\n"), 1);
    cr_assert_eq(peek("*2\r\n$3\r\nGET\r\n$18446744073709551615\r\n"), 0);
    cr_assert_eq(peek(""), 0);
}

/* Method: every truncation, in memory that ends there. */
Test(peek, a_request_that_is_cut_does_not_count)
{
    static const char text[] = GET("a") GET("b");
    size_t one = (sizeof text - 1) / 2;
    for (size_t cut = 0; cut < sizeof text - 1; cut++) {
        char *copy = malloc(cut + 1);
        memcpy(copy + 1, text, cut);
        cr_assert_eq(hl_peek_words(copy + 1, cut, words, MAX), cut >= one ? 1 : 0);
        free(copy);
    }
}
