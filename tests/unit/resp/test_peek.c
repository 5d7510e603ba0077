#include "resp/peek.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct hl_peek peek;

static int look(const char *text)
{
    return hl_peek_requests(&peek, text, strlen(text));
}

static bool arg_is(int request, int arg, const char *text)
{
    return hl_slice_equal(peek.requests[request].argv[arg], hl_slice_of(text));
}

#define GET(key) "*2\r\n$3\r\nGET\r\n$1\r\n" key "\r\n"
#define GET_SIZE (sizeof GET("a") - 1)

Test(peek, reads_plain_requests_one_after_the_other)
{
    cr_assert_eq(look(GET("a") "*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$2\r\nbc\r\n$0\r\n\r\n"), 3);
    cr_assert_eq(peek.requests[0].argc, 2);
    cr_assert_eq(peek.requests[0].size, GET_SIZE);
    cr_assert(arg_is(0, 0, "GET") && arg_is(0, 1, "a"));
    cr_assert_eq(peek.requests[1].argc, 1);
    cr_assert(arg_is(1, 0, "PING"));
    cr_assert_eq(peek.requests[2].argc, 3);
    cr_assert(arg_is(2, 1, "bc") && arg_is(2, 2, ""));
}

Test(peek, stops_at_the_maximum)
{
    struct hl_buf text = {0};
    for (int i = 0; i <= HL_PEEK_MAX; i++) {
        hl_buf_append_text(&text, GET("a"));
    }
    hl_buf_append_u8(&text, '\0');
    cr_assert_eq(look(text.ptr), HL_PEEK_MAX);
    hl_buf_fini(&text);
}

Test(peek, stops_at_what_is_not_plain)
{
    static const char *const others[] = {
        "PING\r\n",
        "*0\r\n",
        "*-1\r\n",
        "*\r\n",
        "*01\r\n$4\r\nPING\r\n",
        "*+1\r\n$4\r\nPING\r\n",
        "*1\r\n$04\r\nPING\r\n",
        "*1\r\n$004\r\nPING\r\n",
        "*1\r\n$\r\nPING\r\n",
        "*1\r\n=4\r\nPING\r\n",
        "*9\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na"
        "\r\n$1\r\na\r\n",
        "*2\r\n$3\r\nGET\r\n:1\r\n",
        "*2\r\n$3\r\nGET\r\n$99999\r\n",
        "*2\r\n$3\r\nGET\r\n$18446744073709551615\r\n",
        "\r\n",
        "",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct hl_buf text = {0};
        hl_buf_printf(&text, "%s%s%s", GET("a"), others[i], GET("b"));
        hl_buf_append_u8(&text, '\0');
        cr_assert_eq(look(text.ptr), others[i][0] == '\0' ? 2 : 1, "case %zu", i);
        hl_buf_fini(&text);
    }
}

/* Method: every truncation, in memory that ends there. */
Test(peek, a_request_that_is_cut_does_not_count)
{
    static const char text[] = GET("a") GET("b");
    for (size_t cut = 0; cut < sizeof text - 1; cut++) {
        char *copy = malloc(cut + 1);
        memcpy(copy + 1, text, cut);
        cr_assert_eq(hl_peek_requests(&peek, copy + 1, cut), cut >= GET_SIZE ? 1 : 0);
        free(copy);
    }
}

/* The longest argument that counts as plain, and the one after it. */
Test(peek, long_arguments_are_left_to_the_parser)
{
    for (size_t len = 9999; len <= 10000; len++) {
        char head[32];
        int used = snprintf(head, sizeof head, "*1\r\n$%zu\r\n", len);
        char *text = malloc((size_t)used + len + 3);
        memcpy(text, head, (size_t)used);
        memset(text + used, 'x', len);
        memcpy(text + used + len, "\r\n", 3);
        cr_assert_eq(look(text), len == 9999 ? 1 : 0);
        cr_assert(len != 9999 || peek.requests[0].argv[0].len == len);
        free(text);
    }
}

/* Whatever is found is what the parser finds: method: every cut of texts that mix plain and other
 * requests, each found request against the parser's. */
Test(peek, agrees_with_the_parser)
{
    static const char text[] = GET("a") "*1\r\n$10\r\n0123456789\r\n" GET("b") "PING\r\n";
    for (size_t cut = 0; cut < sizeof text; cut++) {
        struct hl_parser parser;
        hl_parser_init(&parser, &hl_parser_limits_unauth);
        size_t end = 0;
        for (int i = 0; i < hl_peek_requests(&peek, text, cut); i++) {
            end += peek.requests[i].size;
            cr_assert_eq(hl_parser_next(&parser, text, cut), HL_PARSE_COMMAND);
            cr_assert_eq(parser.pos, end);
            cr_assert_eq(parser.argc, peek.requests[i].argc);
            cr_assert(hl_slice_equal(parser.argv[0], peek.requests[i].argv[0]));
        }
        hl_parser_fini(&parser);
    }
}

/* Run what `bytes` holds as a connection does: plain requests at once, others through the parser.
 */
static void take(struct hl_parser *parser, const char *bytes, size_t len, struct hl_buf *out)
{
    for (;;) {
        if (!hl_parser_is_partial(parser) &&
            hl_peek_requests(&peek, bytes + parser->pos, len - parser->pos) != 0) {
            for (int i = 0; i < peek.count; i++) {
                hl_parser_skip(parser, peek.requests[i].size);
                hl_buf_append_slice(out, peek.requests[i].argv[0]);
                hl_buf_append_text(out, peek.requests[i].argc == 1 ? "1 " : "2 ");
            }
            continue;
        }
        if (hl_parser_next(parser, bytes, len) != HL_PARSE_COMMAND) {
            return;
        }
        hl_buf_append_slice(out, parser->argv[0]);
        hl_buf_append_text(out, parser->argc == 1 ? "1 " : "2 ");
    }
}

/* Goal: however a stream is cut, looking ahead and parsing take turns without losing their place.
 */
Test(peek, takes_turns_with_the_parser_wherever_the_input_is_cut)
{
    static const char stream[] = GET("a") "*1\r\n$4\r\nPING\r\n" GET(
        "b") "\r\n*2\r\n$4\r\nECHO\r\n$2\r\nxx\r\nGET c\r\n" GET("d") "*0\r\n" GET("e") "\r\n";
    static const char want[] = "GET2 PING1 GET2 ECHO2 GET2 GET2 GET2 ";
    const size_t len = sizeof stream - 1;
    for (size_t first = 0; first <= len; first++) {
        for (size_t second = first; second <= len; second++) {
            struct hl_parser parser;
            struct hl_buf out = {0};
            hl_parser_init(&parser, &hl_parser_limits_unauth);
            take(&parser, stream, first, &out);
            take(&parser, stream, second, &out);
            take(&parser, stream, len, &out);
            cr_assert(hl_slice_equal(hl_buf_view(&out), hl_slice_of(want)),
                      "cut at %zu and %zu: %.*s", first, second, (int)out.len, out.ptr);
            hl_buf_fini(&out);
            hl_parser_fini(&parser);
        }
    }
}
