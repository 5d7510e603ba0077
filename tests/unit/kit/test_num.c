/* Numbers to text and back, as Redis 7.0 spells and refuses them. */
#include "kit/num.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

static bool i64(const char *text, int64_t *out)
{
    return hl_parse_i64(hl_slice_of(text), out);
}

static bool dbl(const char *text, double *out)
{
    return hl_parse_double(hl_slice_of(text), out);
}

Test(num, integers_are_read_strictly)
{
    static const struct {
        const char *text;
        int64_t v;
    } good[] = {{"0", 0},
                {"-1", -1},
                {"10", 10},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t v = 77;
        cr_assert(i64(good[i].text, &v), "%s", good[i].text);
        cr_assert_eq(v, good[i].v);
    }
    static const char *const bad[] = {"",
                                      "-",
                                      "-0",
                                      "+1",
                                      "01",
                                      "00",
                                      "-01",
                                      " 1",
                                      "1 ",
                                      "1a",
                                      "0x1",
                                      "1.0",
                                      "--1",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "18446744073709551616",
                                      "99999999999999999999",
                                      "100000000000000000000000000"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t v = 77;
        cr_assert_not(i64(bad[i], &v), "%s", bad[i]);
        cr_assert_eq(v, 77, "out must be left alone");
    }
    int64_t v = 77;
    cr_assert_not(hl_parse_i64((struct hl_slice){.ptr = "1\0", .len = 2}, &v));
    cr_assert_not(hl_parse_i64((struct hl_slice){.ptr = NULL, .len = 0}, &v));
}

Test(num, unsigned_integers_reach_their_own_end)
{
    uint64_t v = 77;
    cr_assert(hl_parse_u64(hl_slice_of("18446744073709551615"), &v));
    cr_assert_eq(v, UINT64_MAX);
    cr_assert_not(hl_parse_u64(hl_slice_of("18446744073709551616"), &v));
    cr_assert_not(hl_parse_u64(hl_slice_of("-1"), &v));
    cr_assert_not(hl_parse_u64(hl_slice_of("/"), &v));
    cr_assert_not(hl_parse_u64(hl_slice_of(":"), &v));
}

Test(num, integers_go_round)
{
    static const int64_t edges[] = {0,   1,   -1,  9,    10,    -10,       99,       100,
                                    -99, 255, 999, 1000, -1000, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        char text[HL_I64_TEXT_MAX];
        char want[32];
        int len = hl_format_i64(text, edges[i]);
        (void)snprintf(want, sizeof want, "%lld", (long long)edges[i]);
        cr_assert_str_eq(text, want);
        cr_assert_eq((size_t)len, strlen(want));
        int64_t v = 0;
        cr_assert(i64(text, &v));
        cr_assert_eq(v, edges[i]);
    }
}

Test(num, doubles_are_read_as_redis_does)
{
    double v = 0;
    cr_assert(dbl("1e5", &v) && v == 1e5);
    cr_assert(dbl("0x10", &v) && v == 16);
    cr_assert(dbl("+1", &v) && v == 1);
    cr_assert(dbl(".5", &v) && v == 0.5);
    cr_assert(dbl("5.", &v) && v == 5);
    cr_assert(dbl("-inf", &v) && isinf(v));
    cr_assert(dbl("infinity", &v) && isinf(v));
    cr_assert(dbl("4.9406564584124654e-324", &v) && v > 0, "a denormal is a number");
    static const char *const bad[] = {"",    " 1",    "\t1",    "1 ",     "1x",  "nan",
                                      "1_0", "1e400", "1e-400", "-1e400", "1,5", "e5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        v = 77;
        cr_assert_not(dbl(bad[i], &v), "%s", bad[i]);
        cr_assert_eq(v, 77);
    }
    cr_assert_not(hl_parse_double((struct hl_slice){.ptr = "1\0", .len = 2}, &v));
}

Test(num, long_float_texts_are_accepted_up_to_a_bound)
{
    char text[6000];
    memset(text, '0', sizeof text);
    text[5118] = '1';
    long double wide = 0;
    double v = 0;
    cr_assert(hl_parse_ldouble((struct hl_slice){.ptr = text, .len = 5119}, &wide));
    cr_assert(wide == 1);
    cr_assert(hl_parse_double((struct hl_slice){.ptr = text, .len = 5119}, &v));
    cr_assert_not(hl_parse_ldouble((struct hl_slice){.ptr = text, .len = 5120}, &wide));
}

Test(num, long_doubles_have_a_wider_range)
{
    long double v = 0;
    cr_assert(hl_parse_ldouble(hl_slice_of("1e400"), &v) && v > 1e300L);
    cr_assert(hl_parse_ldouble(hl_slice_of("1e-400"), &v) && v > 0);
    cr_assert_not(hl_parse_ldouble(hl_slice_of("1e5000"), &v));
    cr_assert_not(hl_parse_ldouble(hl_slice_of("1e-5000"), &v));
    cr_assert_not(hl_parse_ldouble(hl_slice_of("nan"), &v));
}

/* The expected texts are what ZSCORE of Redis 7.0.15 answered. */
Test(num, doubles_are_printed_as_redis_does)
{
    static const struct {
        double v;
        const char *text;
    } rows[] = {{0.1, "0.10000000000000001"},
                {1e15, "1000000000000000"},
                {1e16, "10000000000000000"},
                {1e17, "1e+17"},
                {123456789012345680.0, "1.2345678901234568e+17"},
                {1e-5, "1.0000000000000001e-05"},
                {4503599627370496.0, "4503599627370496"},
                {-3.0, "-3"},
                {-0.0, "-0"},
                {INFINITY, "inf"},
                {-INFINITY, "-inf"},
                {1.7976931348623157e308, "1.7976931348623157e+308"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[HL_DOUBLE_TEXT_MAX];
        int len = hl_format_double(text, rows[i].v);
        cr_assert_str_eq(text, rows[i].text);
        cr_assert_eq((size_t)len, strlen(text));
    }
    char text[HL_DOUBLE_TEXT_MAX];
    hl_format_double(text, NAN);
    cr_assert_str_eq(text, "nan");
}

/* Every double comes back as itself: sign, size and fraction. */
Test(num, doubles_go_round)
{
    uint64_t bits = 1;
    for (int i = 0; i < 20000; i++) {
        bits = bits * 6364136223846793005u + 1442695040888963407u;
        double v;
        memcpy(&v, &bits, sizeof v);
        char text[HL_DOUBLE_TEXT_MAX];
        double back = 0;
        int len = hl_format_double(text, v);
        cr_assert_lt(len, HL_DOUBLE_TEXT_MAX);
        if (!isnan(v)) {
            cr_assert(dbl(text, &back), "%s", text);
            cr_assert_eq(memcmp(&back, &v, sizeof v), 0, "%s", text);
        }
    }
}

Test(num, long_doubles_are_printed_without_exponent)
{
    static const struct {
        const char *in;
        const char *out;
    } rows[] = {{"3.0", "3"},
                {"0.1", "0.1"},
                {"10.50", "10.5"},
                {"-0", "0"},
                {"-0.000000000000000001", "0"},
                {"5.0e3", "5000"},
                {"1e20", "100000000000000000000"},
                {"0.30000000000000001", "0.30000000000000001"}};
    char text[HL_LDOUBLE_TEXT_MAX];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        long double v = 0;
        cr_assert(hl_parse_ldouble(hl_slice_of(rows[i].in), &v));
        int len = hl_format_ldouble(text, v);
        cr_assert_str_eq(text, rows[i].out);
        cr_assert_eq((size_t)len, strlen(text));
    }
    long double huge = 0;
    cr_assert(hl_parse_ldouble(hl_slice_of("-1.1e4932"), &huge));
    cr_assert_lt(hl_format_ldouble(text, huge), HL_LDOUBLE_TEXT_MAX);
    hl_format_ldouble(text, -INFINITY);
    cr_assert_str_eq(text, "-inf");
}

Test(num, sizes_and_durations_have_units)
{
    int64_t v = 0;
    cr_assert(hl_parse_size(hl_slice_of("64mb"), &v) && v == 64 << 20);
    cr_assert(hl_parse_size(hl_slice_of("1K"), &v) && v == 1000);
    cr_assert(hl_parse_size(hl_slice_of("1kB"), &v) && v == 1024);
    cr_assert(hl_parse_size(hl_slice_of("0"), &v) && v == 0);
    cr_assert(hl_parse_duration(hl_slice_of("100ms"), 1000, &v) && v == 100);
    cr_assert(hl_parse_duration(hl_slice_of("5"), 1000, &v) && v == 5000);
    cr_assert(hl_parse_duration(hl_slice_of("720h"), 1000, &v) && v == 720LL * 3600 * 1000);
    v = 77;
    static const char *const bad[] = {"",     "mb", "-1mb", "1xb", "1 mb", "9223372036854775807kb",
                                      "1.5mb"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(hl_parse_size(hl_slice_of(bad[i]), &v), "%s", bad[i]);
    }
    cr_assert_not(hl_parse_duration(hl_slice_of("-5s"), 1000, &v));
    cr_assert_not(hl_parse_duration(hl_slice_of("5d"), 1000, &v));
    cr_assert_not(hl_parse_duration(hl_slice_of("9223372036854775807h"), 1000, &v));
    cr_assert_eq(v, 77);
}
