/* The request parser: what Redis accepts and refuses, in any cutting of the input. */
#include "kit/alloc.h"
#include "resp/parser.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* Everything the parser says about some input, as text: commands as [a|b], then the error. */
static void describe(const struct hl_parser *p, enum hl_parse_result result, struct hl_buf *out)
{
    if (result == HL_PARSE_COMMAND) {
        for (int i = 0; i < p->argc; i++) {
            hl_buf_append_text(out, i == 0 ? "[" : "|");
            hl_buf_append_slice(out, p->argv[i]);
        }
        hl_buf_append_text(out, "]");
    } else if (result == HL_PARSE_ERROR) {
        hl_buf_printf(out, "!%s", p->error);
    }
}

/* Feed `input` in pieces of `step` bytes; each piece arrives in a buffer at a new address, of
 * which used-up bytes have been dropped. */
static void feed(struct hl_slice input, size_t step, const struct hl_parser_limits *limits,
                 struct hl_buf *out)
{
    struct hl_parser p;
    hl_parser_init(&p, limits);
    char *bytes = NULL;
    size_t have = 0;
    size_t fed = 0;
    enum hl_parse_result result = HL_PARSE_MORE;
    while (fed < input.len && result != HL_PARSE_ERROR) {
        size_t piece = input.len - fed < step ? input.len - fed : step;
        size_t done = p.pos;
        char *moved = hl_malloc(have - done + piece);
        if (have != done) {
            memcpy(moved, bytes + done, have - done);
        }
        memcpy(moved + have - done, input.ptr + fed, piece);
        hl_free(bytes);
        bytes = moved;
        have += piece - done;
        fed += piece;
        hl_parser_consumed(&p, done);
        while ((result = hl_parser_next(&p, bytes, have)) == HL_PARSE_COMMAND) {
            describe(&p, result, out);
        }
        describe(&p, result, out);
    }
    hl_parser_fini(&p);
    hl_free(bytes);
}

static void expect_slice(struct hl_slice input, const struct hl_parser_limits *limits,
                         const char *want)
{
    static const size_t steps[] = {1, 2, 3, 7, 1 << 20};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct hl_buf got = {0};
        feed(input, steps[i], limits, &got);
        hl_buf_append(&got, "", 1);
        cr_assert_str_eq(got.ptr, want, "in pieces of %zu: got %s, want %s", steps[i], got.ptr,
                         want);
        hl_buf_fini(&got);
    }
}

static void expect(const char *input, const char *want)
{
    expect_slice(hl_slice_of(input), &hl_parser_limits_default, want);
}

static const struct hl_parser_limits resp3 = {.bulk_max = HL_REQUEST_BULK_MAX, .resp3 = true};

static void expect3(const char *input, const char *want)
{
    expect_slice(hl_slice_of(input), &resp3, want);
}

Test(parser, arrays_of_bulk_strings_are_commands)
{
    expect("*1\r\n$4\r\nPING\r\n", "[PING]");
    expect("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n*1\r\n$4\r\nPING\r\n", "[SET|k|][PING]");
    expect("*2\r\n$4\r\nECHO\r\n$12\r\nhello\r\nworld\r\n", "[ECHO|hello\r\nworld]");
    expect(
        "*1\r\n$101\r\n"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaa\r\n",
        "[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaa]");
}

Test(parser, an_unfinished_command_says_nothing)
{
    expect("*1\r\n$4\r\nPING\r", "");
    expect("*2\r\n$4\r\nPING\r\n", "");
    expect("*1\r", "");
    expect("PING", "");
    expect("*1\r\nf", "");
}

Test(parser, empty_arrays_and_empty_lines_are_passed_over)
{
    expect("*0\r\n*-1\r\n*-5\r\n\r\n\n  \r\n*1\r\n$4\r\nPING\r\n", "[PING]");
}

/* The bytes that Redis does not look at: those after a CR and after an argument. */
Test(parser, line_ends_are_not_inspected)
{
    expect("*1\r\n$4\r\nPINGxxPING\r\n", "[PING][PING]");
    expect("*1\rx$4\r\nPING\r\n", "[PING]");
    expect("*1\r$4\r\nPING\r\n", "!Protocol error: expected '$', got '4'");
}

Test(parser, bad_counts_are_refused_as_by_redis)
{
    static const char *const bad[] = {"*\r\n",
                                      "*abc\r\n",
                                      "*01\r\n",
                                      "*+1\r\n",
                                      "*2147483648\r\n",
                                      "*1048577\r\n",
                                      "*1\n$4\r\n",
                                      "*-0\r\n",
                                      "* 1\r\n",
                                      "*1 \r\n",
                                      "*9223372036854775808\r\n",
                                      "*99999999999999999999999999\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        expect(bad[i], "!Protocol error: invalid multibulk length");
    }
    expect("*1048576\r\n", "");
}

Test(parser, bad_lengths_are_refused_as_by_redis)
{
    static const char *const bad[] = {
        "*1\r\n$abc\r\n",       "*1\r\n$-1\r\n", "*1\r\n$536870913\r\n", "*1\r\n$04\r\n",
        "*1\r\n$4\n\rPING\r\n", "*1\r\n$\r\n",   "*1\r\n$ 4\r\n",        "*1\r\n$4 \r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        expect(bad[i], "!Protocol error: invalid bulk length");
    }
    expect("*1\r\n$536870912\r\n", "");
}

Test(parser, an_element_must_be_a_bulk_string)
{
    expect("*1\r\nfoo\r\n", "!Protocol error: expected '$', got 'f'");
    expect("*1\r\n+PING\r\n", "!Protocol error: expected '$', got '+'");
    expect("*1\r\n\r\n", "!Protocol error: expected '$', got ' '");
    expect("*2\r\n$4\r\nPING\r\n*1\r\n", "!Protocol error: expected '$', got '*'");
    expect("*1\r\n|1\r\n", "!Protocol error: expected '$', got '|'");
}

Test(parser, a_client_before_auth_gets_small_limits)
{
    const struct hl_parser_limits *unauth = &hl_parser_limits_unauth;
    expect_slice(hl_slice_of("*11\r\n"), unauth,
                 "!Protocol error: unauthenticated multibulk length");
    expect_slice(hl_slice_of("*10\r\n"), unauth, "");
    expect_slice(hl_slice_of("*1\r\n$16385\r\n"), unauth,
                 "!Protocol error: unauthenticated bulk length");
    expect_slice(hl_slice_of("*1\r\n$16384\r\n"), unauth, "");
}

Test(parser, limits_change_between_commands)
{
    struct hl_parser p;
    hl_parser_init(&p, &hl_parser_limits_unauth);
    const char *in = "*1\r\n$4\r\nAUTH\r\n*11\r\n";
    cr_assert_eq(hl_parser_next(&p, in, strlen(in)), HL_PARSE_COMMAND);
    hl_parser_set_limits(&p, &hl_parser_limits_default);
    cr_assert_eq(hl_parser_next(&p, in, strlen(in)), HL_PARSE_MORE);
    hl_parser_fini(&p);
}

Test(parser, inline_commands_are_split_at_blanks)
{
    expect("PING\r\n", "[PING]");
    expect("PING\n", "[PING]");
    expect("  set\t k \v v\f \r\n", "[set|k|v]");
    expect("ping a\rb\r\n", "[ping|a|b]");
    expect("$4\r\nPING\r\n", "[$4][PING]");
    expect("|1\r\n", "[|1]");
}

Test(parser, inline_quotes_and_escapes)
{
    expect("set a \"x y\" ''\r\n", "[set|a|x y|]");
    expect("set a \"\\x41\\n\\q\\x4g\\\"\\\\\"\r\n", "[set|a|A\nqx4g\"\\]");
    expect("set a 'b\\'c\\n'\r\n", "[set|a|b'c\\n]");
    expect("set a a\"b c\" d\r\n", "[set|a|ab c|d]");
    expect("\"\" a\r\n", "[|a]");
}

Test(parser, unbalanced_quotes_are_refused)
{
    static const char *const bad[] = {"set a \"b\r\n",   "set a \"b\"c\r\n", "set a 'b'c\r\n",
                                      "set a 'b\\'\r\n", "\"a\\\r\n",        "ping \"a\r\n\"\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        expect(bad[i], "!Protocol error: unbalanced quotes in request");
    }
}

/* A line of exactly the limit is accepted and one byte more is not, however it arrives. */
Test(parser, a_line_has_a_largest_length)
{
    struct hl_buf line = {0};
    for (int i = 0; i < HL_REQUEST_LINE_MAX; i++) {
        hl_buf_append(&line, "a", 1);
    }
    struct hl_buf want = {0};
    hl_buf_append_text(&want, "[");
    hl_buf_append_slice(&want, hl_buf_view(&line));
    hl_buf_append(&want, "]", 2);
    hl_buf_append_text(&line, "\n");
    struct hl_buf got = {0};
    feed(hl_buf_view(&line), 1000, &hl_parser_limits_default, &got);
    hl_buf_append(&got, "", 1);
    cr_assert_str_eq(got.ptr, want.ptr);

    line.ptr[line.len - 1] = 'a';
    hl_buf_append_text(&line, "\n");
    expect_slice(hl_buf_view(&line), &hl_parser_limits_default,
                 "!Protocol error: too big inline request");
    line.ptr[0] = '*';
    expect_slice(hl_buf_view(&line), &hl_parser_limits_default,
                 "!Protocol error: too big mbulk count string");
    hl_buf_fini(&line);
    hl_buf_fini(&want);
    hl_buf_fini(&got);
}

Test(parser, binary_arguments_pass_untouched)
{
    static const char in[] = "*2\r\n$3\r\n\0\r\n\r\n$1\r\n\377\r\n";
    struct hl_parser p;
    hl_parser_init(&p, &hl_parser_limits_default);
    cr_assert_eq(hl_parser_next(&p, in, sizeof in - 1), HL_PARSE_COMMAND);
    cr_assert_eq(p.argc, 2);
    cr_assert_eq(p.argv[0].len, 3);
    cr_assert_eq(memcmp(p.argv[0].ptr, "\0\r\n", 3), 0);
    cr_assert_eq(p.argv[0].ptr, in + 8, "not copied");
    cr_assert_eq(p.argv[1].ptr[0], '\377');
    cr_assert_eq(p.pos, sizeof in - 1);
    hl_parser_fini(&p);
}

Test(parser, the_missing_bytes_of_an_argument_are_told)
{
    struct hl_parser p;
    hl_parser_init(&p, &hl_parser_limits_default);
    const char *in = "*2\r\n$3\r\nGET\r\n$1000000\r\nabc";
    cr_assert_eq(hl_parser_next(&p, in, 4), HL_PARSE_MORE);
    cr_assert_eq(hl_parser_want(&p), 0);
    cr_assert_eq(hl_parser_next(&p, in, strlen(in)), HL_PARSE_MORE);
    cr_assert_eq(hl_parser_want(&p), 1000002 - 3);
    cr_assert_eq(p.pos, 0, "the unfinished command must be kept");
    cr_assert(hl_parser_is_partial(&p));
    hl_parser_fini(&p);
}

Test(parser, memory_follows_what_arrived_not_what_was_announced)
{
    struct hl_parser p;
    hl_parser_init(&p, &hl_parser_limits_default);
    const char *in = "*1048576\r\n$1\r\na\r\n";
    cr_assert_eq(hl_parser_next(&p, in, strlen(in)), HL_PARSE_MORE);
    cr_assert_leq(p.argv_cap, 16);
    hl_parser_fini(&p);
}

Test(parser, an_error_is_final)
{
    struct hl_parser p;
    hl_parser_init(&p, &hl_parser_limits_default);
    const char *in = "*x\r\nPING\r\n";
    cr_assert_eq(hl_parser_next(&p, in, strlen(in)), HL_PARSE_ERROR);
    cr_assert_eq(hl_parser_next(&p, in, strlen(in)), HL_PARSE_ERROR);
    hl_parser_fini(&p);
}

Test(parser, trimming_frees_only_what_is_large)
{
    struct hl_buf in = {0};
    hl_buf_append_text(&in, "*5000\r\n");
    for (int i = 0; i < 5000; i++) {
        hl_buf_append_text(&in, "$1\r\na\r\n");
    }
    struct hl_parser p;
    hl_parser_init(&p, &hl_parser_limits_default);
    cr_assert_eq(hl_parser_next(&p, in.ptr, in.len), HL_PARSE_COMMAND);
    cr_assert_eq(p.argc, 5000);
    hl_parser_trim(&p);
    cr_assert_eq(p.argv_cap, 0);
    hl_parser_consumed(&p, p.pos);
    cr_assert_eq(hl_parser_next(&p, "PING\n", 5), HL_PARSE_COMMAND);
    hl_parser_trim(&p);
    cr_assert_neq(p.argv_cap, 0);
    hl_parser_fini(&p);
    hl_buf_fini(&in);
}

Test(parser, resp3_scalars_are_arguments_on_a_resp3_connection)
{
    expect3("*6\r\n+SET\r\n$1\r\nk\r\n:12\r\n,1.5\r\n(123\r\n#t\r\n", "[SET|k|12|1.5|123|t]");
    expect3("*2\r\n$4\r\nECHO\r\n=7\r\ntxt:abc\r\n", "[ECHO|abc]");
    expect3("*1\r\n=3\r\nabc\r\n", "!Protocol error: invalid bulk length");
    expect3("*1\r\n_\r\n", "!Protocol error: expected '$', got '_'");
    expect3("*1\r\n*1\r\n$1\r\na\r\n", "!Protocol error: expected '$', got '*'");
}

Test(parser, resp3_attributes_are_skipped)
{
    expect3("|1\r\n+a\r\n*2\r\n:1\r\n$1\r\nx\r\n*1\r\n$4\r\nPING\r\n", "[PING]");
    expect3("*2\r\n$4\r\nECHO\r\n|1\r\n+a\r\n%1\r\n~0\r\n|1\r\n_\r\n#t\r\n$-\r\n",
            "!Protocol error: invalid bulk length");
    expect3("*2\r\n$4\r\nECHO\r\n|1\r\n+a\r\n|1\r\n_\r\n#t\r\n=5\r\ntxt:a\r\n$1\r\nb\r\nPING\r\n",
            "[ECHO|b][PING]");
    expect3("|0\r\nPING\r\n", "[PING]");
    expect3("|1\r\n+a\r\n:1\r\n|1\r\n+a\r\n:1\r\n*1\r\n$4\r\nPING\r\n", "[PING]");
}

Test(parser, nesting_of_attributes_is_bounded)
{
    expect3("|1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n+a\r\n+b\r\nPING\r\n", "[PING]");
    expect3("|1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
            "!Protocol error: too deep nesting");
}
