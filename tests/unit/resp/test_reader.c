/* The reply reader: every type of both protocols, in any cutting, and what must be refused. */
#include "kit/alloc.h"
#include "resp/reader.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

/* Where the first reply of `input` ends when it arrives in pieces of `step`, -1 when it does not,
 * -2 when it is refused; *nodes is set in the first case. */
static long extent(struct hl_slice input, size_t step, size_t *nodes)
{
    struct hl_reader r;
    hl_reader_init(&r);
    size_t fed = 0;
    while (fed < input.len) {
        fed = input.len - fed < step ? input.len : fed + step;
        char *copy = hl_malloc(fed); /* a new address each time, and ASan guards its end */
        memcpy(copy, input.ptr, fed);
        enum hl_read_result result = hl_reader_next(&r, copy, fed);
        hl_free(copy);
        if (result == HL_READ_ERROR) {
            cr_assert_neq(r.error[0], '\0');
            return -2;
        }
        if (result == HL_READ_REPLY) {
            cr_assert_eq(r.size, r.pos);
            *nodes = r.nodes;
            return (long)r.pos;
        }
    }
    return -1;
}

static long extent_any(const char *input, size_t len, size_t *nodes)
{
    struct hl_slice bytes = {.ptr = input, .len = len};
    size_t other = 0;
    long whole = extent(bytes, len, nodes);
    cr_assert_eq(extent(bytes, 1, &other), whole, "%s", input);
    cr_assert_eq(extent(bytes, 3, &other), whole, "%s", input);
    return whole;
}

static struct hl_reply *parse(const char *input)
{
    size_t nodes = 0;
    cr_assert_eq(extent_any(input, strlen(input), &nodes), (long)strlen(input), "%s", input);
    struct hl_reply *reply = NULL;
    cr_assert_eq(hl_reply_parse(hl_slice_of(input), &reply), HL_OK);
    cr_assert(hl_slice_equal(reply->raw, hl_slice_of(input)) || reply->attributes != NULL);
    return reply;
}

static void refused(const char *input)
{
    size_t nodes = 0;
    cr_assert_eq(extent_any(input, strlen(input), &nodes), -2, "%s", input);
    struct hl_reply *reply = NULL;
    cr_assert_eq(hl_reply_parse(hl_slice_of(input), &reply), HL_ECORRUPT);
    cr_assert_null(reply);
}

static void text_is(const struct hl_reply *reply, enum hl_reply_type type, const char *text)
{
    cr_assert_eq(reply->type, type);
    cr_assert(hl_slice_equal(reply->text, hl_slice_of(text)));
}

Test(reader, scalars)
{
    static const struct {
        const char *input;
        enum hl_reply_type type;
        const char *text;
    } rows[] = {
        {"+OK\r\n", HL_REPLY_SIMPLE, "OK"},
        {"-ERR no\r\n", HL_REPLY_ERROR, "ERR no"},
        {"!6\r\nERR no\r\n", HL_REPLY_ERROR, "ERR no"},
        {":-12\r\n", HL_REPLY_INTEGER, "-12"},
        {"$0\r\n\r\n", HL_REPLY_STRING, ""},
        {"$4\r\na\r\nb\r\n", HL_REPLY_STRING, "a\r\nb"},
        {"=7\r\ntxt:abc\r\n", HL_REPLY_VERBATIM, "abc"},
        {"(123456789012345678901234567890\r\n", HL_REPLY_BIG_NUMBER,
         "123456789012345678901234567890"},
        {",1.5\r\n", HL_REPLY_DOUBLE, "1.5"},
        {"#t\r\n", HL_REPLY_BOOL, "t"},
        {"_\r\n", HL_REPLY_NULL, ""},
        {"$-1\r\n", HL_REPLY_NULL, ""},
        {"*-1\r\n", HL_REPLY_NULL, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hl_reply *reply = parse(rows[i].input);
        text_is(reply, rows[i].type, rows[i].text);
        cr_assert_eq(reply->count, 0);
        hl_free(reply);
    }
}

Test(reader, values_of_scalars)
{
    struct hl_reply *reply = parse("*7\r\n:9223372036854775807\r\n,-inf\r\n,nan\r\n#t\r\n#f\r\n"
                                   "=4\r\nmkd:\r\n,1e3\r\n");
    cr_assert_eq(reply->count, 7);
    cr_assert_eq(reply->children[0].integer, INT64_MAX);
    cr_assert(isinf(reply->children[1].number) && reply->children[1].number < 0);
    cr_assert(isnan(reply->children[2].number));
    cr_assert_eq(reply->children[3].integer, 1);
    cr_assert_eq(reply->children[4].integer, 0);
    cr_assert_str_eq(reply->children[5].format, "mkd");
    cr_assert_eq(reply->children[6].number, 1000.0);
    hl_free(reply);
}

Test(reader, aggregates_nest_and_keep_their_bytes)
{
    const char *in = "*3\r\n%2\r\n+a\r\n:1\r\n+b\r\n~2\r\n:2\r\n:3\r\n*0\r\n>1\r\n*1\r\n+c\r\n";
    struct hl_reply *reply = parse(in);
    cr_assert_eq(reply->count, 3);
    const struct hl_reply *map = &reply->children[0];
    cr_assert_eq(map->type, HL_REPLY_MAP);
    cr_assert_eq(map->count, 4);
    text_is(&map->children[2], HL_REPLY_SIMPLE, "b");
    cr_assert_eq(map->children[3].type, HL_REPLY_SET);
    cr_assert_eq(map->children[3].children[1].integer, 3);
    cr_assert(hl_slice_equal(map->children[3].raw, hl_slice_of("~2\r\n:2\r\n:3\r\n")));
    cr_assert_eq(reply->children[1].type, HL_REPLY_ARRAY);
    cr_assert_eq(reply->children[1].count, 0);
    cr_assert_eq(reply->children[2].type, HL_REPLY_PUSH);
    text_is(&reply->children[2].children[0].children[0], HL_REPLY_SIMPLE, "c");
    hl_free(reply);
}

Test(reader, attributes_belong_to_the_value_that_follows)
{
    struct hl_reply *reply =
        parse("|1\r\n+ttl\r\n|0\r\n*1\r\n:5\r\n*2\r\n|1\r\n+k\r\n+v\r\n:1\r\n:2\r\n");
    cr_assert_eq(reply->type, HL_REPLY_ARRAY);
    cr_assert_eq(reply->count, 2);
    cr_assert_eq(reply->attributes->type, HL_REPLY_ATTRIBUTE);
    cr_assert_eq(reply->attributes->count, 2);
    text_is(&reply->attributes->children[0], HL_REPLY_SIMPLE, "ttl");
    cr_assert_eq(reply->attributes->children[1].attributes->count, 0);
    cr_assert_eq(reply->attributes->children[1].children[0].integer, 5);
    text_is(&reply->children[0].attributes->children[1], HL_REPLY_SIMPLE, "v");
    cr_assert_eq(reply->children[0].integer, 1);
    cr_assert_null(reply->children[1].attributes);
    hl_free(reply);
}

Test(reader, replies_follow_one_another)
{
    const char *in = "+a\r\n*2\r\n:1\r\n:2\r\n$1\r\nb\r\n+c";
    struct hl_reader r;
    hl_reader_init(&r);
    static const size_t sizes[] = {4, 12, 7};
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(hl_reader_next(&r, in, strlen(in)), HL_READ_REPLY);
        cr_assert_eq(r.size, sizes[i]);
    }
    cr_assert_eq(hl_reader_next(&r, in, strlen(in)), HL_READ_MORE);
    size_t done = r.pos;
    hl_reader_consumed(&r, done);
    cr_assert_eq(hl_reader_next(&r, "+c\r\n", 4), HL_READ_REPLY);
}

Test(reader, an_unfinished_reply_is_no_reply)
{
    static const char *const rows[] = {
        "+",           "+OK\r", "$3\r\nabc\r", "*1\r\n", "|1\r\n+a\r\n+b\r\n", "%1\r\n+a\r\n",
        "*2\r\n*0\r\n"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t nodes = 0;
        cr_assert_eq(extent_any(rows[i], strlen(rows[i]), &nodes), -1, "%s", rows[i]);
    }
}

Test(reader, garbage_is_refused)
{
    static const char *const rows[] = {"x\r\n",
                                       "OK\r\n",
                                       ":\r\n",
                                       ":1.5\r\n",
                                       ":01\r\n",
                                       ",\r\n",
                                       ",1x\r\n",
                                       "#\r\n",
                                       "#x\r\n",
                                       "#tt\r\n",
                                       "_x\r\n",
                                       "(12a\r\n",
                                       "(-\r\n",
                                       "$-2\r\n",
                                       "$x\r\n",
                                       "$1\r\nabc\r\n",
                                       "=3\r\n",
                                       "=-1\r\n",
                                       "=5\r\nabcde\r\n",
                                       "*-2\r\n",
                                       "%-1\r\n",
                                       "~-1\r\n",
                                       "|-1\r\n",
                                       "!-1\r\n",
                                       "+a\rb\r\n",
                                       "*67108865\r\n",
                                       "$9999999999999999999\r\n",
                                       "\r\n",
                                       "$?\r\n",
                                       "$1099511627777\r\n",
                                       "*1\r\n\r\n"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        refused(rows[i]);
    }
}

Test(reader, depth_and_line_length_are_bounded)
{
    struct hl_buf in = {0};
    for (int i = 0; i < HL_REPLY_DEPTH_MAX; i++) {
        hl_buf_append_text(&in, "*1\r\n");
    }
    size_t deep = in.len;
    hl_buf_append_text(&in, "*0\r\n");
    size_t nodes = 0;
    cr_assert_eq(extent_any(in.ptr, in.len, &nodes), (long)in.len);
    cr_assert_eq(nodes, HL_REPLY_DEPTH_MAX + 1);
    in.len = deep;
    hl_buf_append_text(&in, "*1\r\n:1\r\n");
    cr_assert_eq(extent_any(in.ptr, in.len, &nodes), -2);

    hl_buf_clear(&in);
    hl_buf_append_text(&in, "+");
    hl_buf_grow(&in, HL_REPLY_LINE_MAX);
    memset(in.ptr + 1, 'a', HL_REPLY_LINE_MAX);
    in.len += HL_REPLY_LINE_MAX;
    cr_assert_eq(extent(hl_buf_view(&in), in.len, &nodes), -2);
    in.len--;
    hl_buf_append_text(&in, "\r\n");
    cr_assert_eq(extent(hl_buf_view(&in), in.len, &nodes), (long)in.len);
    hl_buf_fini(&in);
}

Test(reader, the_missing_bytes_of_a_string_are_told)
{
    struct hl_reader r;
    hl_reader_init(&r);
    cr_assert_eq(hl_reader_next(&r, "$100\r\nab", 8), HL_READ_MORE);
    cr_assert_eq(hl_reader_want(&r), 100);
}
