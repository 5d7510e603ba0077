/* The reply writer: bytes of each value in both protocols, checked against Redis 7.0's. */
#include "resp/writer.h"

#include <criterion/criterion.h>
#include <math.h>

struct pair {
    struct hl_buf out2;
    struct hl_buf out3;
    struct hl_writer w[2];
};

static void setup(struct pair *p)
{
    *p = (struct pair){0};
    p->w[0] = (struct hl_writer){.out = &p->out2, .proto = 2};
    p->w[1] = (struct hl_writer){.out = &p->out3, .proto = 3};
}

static void expect(struct pair *p, const char *want2, const char *want3)
{
    hl_buf_append(&p->out2, "", 1);
    hl_buf_append(&p->out3, "", 1);
    cr_assert_str_eq(p->out2.ptr, want2);
    cr_assert_str_eq(p->out3.ptr, want3);
    hl_buf_fini(&p->out2);
    hl_buf_fini(&p->out3);
}

#define BOTH(calls, want2, want3)                                                                  \
    do {                                                                                           \
        struct pair pair;                                                                          \
        setup(&pair);                                                                              \
        for (int side = 0; side < 2; side++) {                                                     \
            struct hl_writer *w = &pair.w[side];                                                   \
            calls;                                                                                 \
        }                                                                                          \
        expect(&pair, want2, want3);                                                               \
    } while (0)
#define SAME(calls, want) BOTH(calls, want, want)

Test(writer, strings_and_errors)
{
    SAME(hl_write_ok(w), "+OK\r\n");
    SAME(hl_write_simple(w, "PONG"), "+PONG\r\n");
    SAME(hl_write_error(w, "ERR syntax error"), "-ERR syntax error\r\n");
    SAME(hl_write_error_printf(w, "ERR %s %d", "a\r\nb", 1), "-ERR a  b 1\r\n");
    SAME(hl_write_bulk(w, hl_slice_of("")), "$0\r\n\r\n");
    SAME(hl_write_bulk(w, hl_slice_of("a\r\nb")), "$4\r\na\r\nb\r\n");
    SAME(hl_write_bulk_text(w, "0123456789"), "$10\r\n0123456789\r\n");
    SAME(hl_write_bulk_printf(w, "%d-%d", 12, 0), "$4\r\n12-0\r\n");
    SAME(hl_write_bulk_int(w, -7), "$2\r\n-7\r\n");
    SAME(hl_write_raw(w, "+x\r\n", 4), "+x\r\n");
}

Test(writer, integers_of_every_length)
{
    SAME(hl_write_int(w, 0), ":0\r\n");
    SAME(hl_write_int(w, 9), ":9\r\n");
    SAME(hl_write_int(w, 10), ":10\r\n");
    SAME(hl_write_int(w, 99), ":99\r\n");
    SAME(hl_write_int(w, 100), ":100\r\n");
    SAME(hl_write_int(w, -1), ":-1\r\n");
    SAME(hl_write_int(w, INT64_MAX), ":9223372036854775807\r\n");
    SAME(hl_write_int(w, INT64_MIN), ":-9223372036854775808\r\n");
}

Test(writer, values_that_differ_by_protocol)
{
    BOTH(hl_write_null(w), "$-1\r\n", "_\r\n");
    BOTH(hl_write_null_array(w), "*-1\r\n", "_\r\n");
    BOTH(hl_write_bool(w, true), ":1\r\n", "#t\r\n");
    BOTH(hl_write_bool(w, false), ":0\r\n", "#f\r\n");
    BOTH(hl_write_double(w, 1.5), "$3\r\n1.5\r\n", ",1.5\r\n");
    BOTH(hl_write_double(w, -INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n");
    BOTH(hl_write_ldouble(w, 0.25L), "$4\r\n0.25\r\n", ",0.25\r\n");
    BOTH(hl_write_verbatim(w, "txt", hl_slice_of("hi")), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n");
    BOTH(hl_write_big_number(w, hl_slice_of("123")), "$3\r\n123\r\n", "(123\r\n");
    BOTH(hl_write_map(w, 2), "*4\r\n", "%2\r\n");
    BOTH(hl_write_set(w, 2), "*2\r\n", "~2\r\n");
    BOTH(hl_write_push(w, 3), "*3\r\n", ">3\r\n");
    BOTH(hl_write_array(w, 1000), "*1000\r\n", "*1000\r\n");
}

Test(writer, resp2_has_no_attributes)
{
    BOTH(
        if (hl_write_attribute(w, 1)) { hl_write_ok(w); }, "", "|1\r\n+OK\r\n");
}

Test(writer, deferred_counts_are_patched_in_place)
{
    BOTH(
        {
            struct hl_write_mark mark = hl_write_begin(w);
            hl_write_int(w, 1);
            hl_write_int(w, 2);
            hl_write_end(w, mark, HL_MAP, 1);
        },
        "*2\r\n:1\r\n:2\r\n", "%1\r\n:1\r\n:2\r\n");
    SAME({ hl_write_end(w, hl_write_begin(w), HL_ARRAY, 0); }, "*0\r\n");
}

/* Method: an aggregate of twelve values (two digits) that holds another one of eleven. */
Test(writer, deferred_counts_nest_and_make_room)
{
    struct pair p;
    setup(&p);
    struct hl_buf want = {0};
    hl_buf_append_text(&want, ":7\r\n*12\r\n");
    hl_write_int(&p.w[0], 7);
    struct hl_write_mark outer = hl_write_begin(&p.w[0]);
    for (int i = 0; i < 11; i++) {
        hl_write_int(&p.w[0], i);
        hl_buf_printf(&want, ":%d\r\n", i);
    }
    struct hl_write_mark inner = hl_write_begin(&p.w[0]);
    hl_buf_append_text(&want, "*11\r\n");
    for (int i = 0; i < 11; i++) {
        hl_write_int(&p.w[0], i);
        hl_buf_printf(&want, ":%d\r\n", i);
    }
    hl_write_end(&p.w[0], inner, HL_SET, 11);
    hl_write_end(&p.w[0], outer, HL_PUSH, 12);
    hl_buf_append(&want, "", 1);
    expect(&p, want.ptr, "");
    hl_buf_fini(&want);
}

Test(writer, an_abandoned_aggregate_leaves_nothing)
{
    SAME(
        {
            hl_write_ok(w);
            struct hl_write_mark mark = hl_write_begin(w);
            hl_write_int(w, 1);
            hl_write_abandon(w, mark);
            hl_write_error(w, "ERR no");
        },
        "+OK\r\n-ERR no\r\n");
}
