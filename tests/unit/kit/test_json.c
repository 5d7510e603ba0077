/* Goal: bounds hold before anything is built, faults have a place, and strings come back whole. */
#include "kit/json.h"

#include <criterion/criterion.h>

static const struct hl_json_limits limits = {.size_max = 1000, .depth_max = 4};

static hl_err parse(const char *text, struct hl_errmsg *msg)
{
    json_t *value = NULL;
    hl_err err = hl_json_parse(&value, hl_slice_of(text), &limits, msg);
    cr_assert_eq(err == HL_OK, value != NULL);
    json_decref(value);
    return err;
}

Test(json, texts_are_taken_or_refused)
{
    static const struct {
        const char *text;
        hl_err err;
    } cases[] = {
        {"{\"a\":[1,2,{\"b\":null}]}", HL_OK},
        {"3", HL_OK},
        {"\"[[[[[[[[\"", HL_OK},
        {"\"\\\"[[[[[[[[\"", HL_OK},
        {"[[[[1]]]]", HL_OK},
        {"[[[[[1]]]]]", HL_ELIMIT},
        {"[[[[[", HL_ELIMIT},
        {"", HL_EINVAL},
        {"{\"a\":1,\"a\":2}", HL_EINVAL},
        {"{\"a\":1} x", HL_EINVAL},
        {"{'a':1}", HL_EINVAL},
        {"[1,]", HL_EINVAL},
        {"\"\xff\"", HL_EINVAL},
        {"\"\\u0000\"", HL_EINVAL},
        {"\"\\ud800\"", HL_EINVAL},
        {"[1", HL_EINVAL},
        {"NaN", HL_EINVAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hl_errmsg msg = {0};
        cr_assert_eq(parse(cases[i].text, &msg), cases[i].err, "%s: %s", cases[i].text, msg.text);
        cr_assert_eq(msg.text[0] == '\0', cases[i].err == HL_OK);
    }
}

Test(json, a_fault_has_a_place)
{
    struct hl_errmsg msg = {0};
    cr_assert_eq(parse("{\n  \"a\": tru\n}", &msg), HL_EINVAL);
    cr_assert_not_null(strstr(msg.text, "line 2, column 10"), "%s", msg.text);
}

Test(json, the_size_is_bounded_exactly)
{
    char text[1002];
    memset(text, ' ', sizeof text);
    text[0] = '1';
    text[1000] = '\0';
    cr_assert_eq(parse(text, NULL), HL_OK);
    text[1000] = ' ';
    text[1001] = '\0';
    cr_assert_eq(parse(text, NULL), HL_ELIMIT);
}

Test(json, any_bytes_become_a_string)
{
    static const struct {
        struct hl_slice in;
        const char *out;
    } cases[] = {
        {{"a\"b\\c", 5}, "\"a\\\"b\\\\c\""},
        {{"\n\0\x7f", 3}, "\"\\u000a\\u0000\\u007f\""},
        {{"caf\xc3\xa9", 5}, "\"caf\xc3\xa9\""},
        {{"caf\xe9", 4}, "\"caf\xef\xbf\xbd\""},
        {{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {{"\xc3", 1}, "\"\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hl_buf out = {0};
        hl_json_append_string(&out, cases[i].in);
        cr_assert(hl_slice_equal(hl_buf_view(&out), hl_slice_of(cases[i].out)), "case %zu", i);
        hl_buf_fini(&out);
    }
}

Test(json, members_are_borrowed_and_values_written)
{
    json_t *value = NULL;
    struct hl_buf out = {0};
    cr_assert_eq(
        hl_json_parse(&value, hl_slice_of("{\"b\": \"x\", \"a\": [1, 2.5]}"), &limits, NULL),
        HL_OK);
    cr_assert(hl_slice_equal(hl_json_text(value, "b"), hl_slice_of("x")));
    cr_assert_null(hl_json_text(value, "a").ptr);
    cr_assert_null(hl_json_text(value, "c").ptr);
    hl_json_append(&out, value);
    cr_assert(hl_slice_equal(hl_buf_view(&out), hl_slice_of("{\"b\":\"x\",\"a\":[1,2.5]}")));
    hl_buf_fini(&out);
    json_decref(value);
}
