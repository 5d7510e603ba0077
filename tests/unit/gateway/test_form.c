/* Goal: members of bodies are taken within their bounds, and the first fault is told.
 * Method: small objects. */
#include "gateway/form.h"
#include "gateway/keys.h"

#include <criterion/criterion.h>

static json_t *object;

static struct gw_form form_of(const char *text)
{
    object = json_loads(text, 0, NULL);
    cr_assert_not_null(object, "%s", text);
    return (struct gw_form){.object = object};
}

static void end(void)
{
    json_decref(object);
    object = NULL;
}

TestSuite(form, .fini = end);

Test(form, members_of_the_right_kind_and_size_are_taken)
{
    struct gw_form form = form_of("{\"t\":\"abc\",\"n\":7,\"b\":true,\"z\":null}");
    cr_assert(hl_slice_equal(gw_form_text(&form, "t", 1, 3), hl_slice_of("abc")));
    cr_assert_eq(gw_form_number(&form, "n", 7, 7), 7);
    cr_assert(gw_form_flag_or(&form, "b", false));
    cr_assert_null(gw_form_text_or(&form, "z", 1, 3).ptr);
    cr_assert_eq(gw_form_number_or(&form, "none", 5, 0, 9), 5);
    cr_assert(gw_form_flag_or(&form, "none", true));
    cr_assert_str_eq(form.why, "");
}

Test(form, what_is_wrong_is_told_and_the_first_fault_stays)
{
    struct gw_form form = form_of("{\"t\":7,\"n\":\"x\",\"f\":1.5,\"b\":1}");
    cr_assert_null(gw_form_text(&form, "t", 1, 3).ptr);
    cr_assert_str_eq(form.why, "'t' must be a string");
    (void)gw_form_number(&form, "n", 0, 1);
    cr_assert_str_eq(form.why, "'t' must be a string");
    form.why[0] = '\0';
    cr_assert_eq(gw_form_number_or(&form, "f", 3, 0, 9), 3);
    cr_assert_str_eq(form.why, "'f' must be a whole number");
    form.why[0] = '\0';
    cr_assert_not(gw_form_flag_or(&form, "b", false));
    cr_assert_str_eq(form.why, "'b' must be true or false");
    form.why[0] = '\0';
    (void)gw_form_text(&form, "none", 0, 9);
    cr_assert_str_eq(form.why, "'none' is missing");
}

Test(form, bounds_are_inclusive)
{
    struct gw_form form = form_of("{\"t\":\"abc\",\"n\":5}");
    (void)gw_form_text(&form, "t", 3, 3);
    (void)gw_form_number(&form, "n", 5, 5);
    cr_assert_str_eq(form.why, "");
    (void)gw_form_text(&form, "t", 0, 2);
    cr_assert_str_eq(form.why, "'t' must have 0 to 2 bytes");
    form.why[0] = '\0';
    (void)gw_form_text(&form, "t", 4, 9);
    cr_assert_str_neq(form.why, "");
    form.why[0] = '\0';
    cr_assert_eq(gw_form_number_or(&form, "n", 1, 6, 9), 1);
    cr_assert_str_eq(form.why, "'n' must be from 6 to 9");
}

Test(form, a_body_that_is_missing_has_no_members)
{
    struct gw_form form = {0};
    cr_assert_null(gw_form_text_or(&form, "t", 1, 3).ptr);
    cr_assert_eq(gw_form_number_or(&form, "n", 5, 0, 9), 5);
    cr_assert_str_eq(form.why, "");
}

Test(form, numbers_of_a_query_are_whole_and_within_bounds)
{
    struct gw_form form = {0};
    cr_assert_eq(gw_form_query_number(&form, "n", (struct hl_slice){0}, 5, 0, 9), 5);
    cr_assert_eq(gw_form_query_number(&form, "n", hl_slice_of("9"), 5, 0, 9), 9);
    cr_assert_str_eq(form.why, "");
    static const char *const bad[] = {"",    "x",  "10", "-1",
                                      "1.0", " 1", "+1", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        form.why[0] = '\0';
        cr_assert_eq(gw_form_query_number(&form, "n", hl_slice_of(bad[i]), 5, 0, 9), 5);
        cr_assert_str_neq(form.why, "", "%s", bad[i]);
    }
}

Test(form, keys_are_named_and_bounded)
{
    struct hl_buf name = {0};
    char long_key[GW_KEY_MAX + 1];
    memset(long_key, 'k', sizeof long_key);
    cr_assert(gw_kv_name(&name, hl_slice_of("a")));
    cr_assert(hl_slice_equal(hl_buf_view(&name), hl_slice_of("kv:a")));
    cr_assert_not(gw_kv_name(&name, (struct hl_slice){0}));
    cr_assert_not(gw_kv_name(&name, (struct hl_slice){.ptr = long_key, .len = sizeof long_key}));
    cr_assert(gw_kv_name(&name, (struct hl_slice){.ptr = long_key, .len = sizeof long_key - 1}));
    hl_buf_clear(&name);
    gw_kv_pattern(&name, hl_slice_of("a*b?[c\\"));
    cr_assert(hl_slice_equal(hl_buf_view(&name), hl_slice_of("kv:a\\*b\\?\\[c\\\\*")));
    hl_buf_fini(&name);
}

Test(form, values_travel_as_text_or_base64)
{
    struct hl_buf decoded = {0};
    struct gw_form form = form_of("{\"value\":\"_wA\",\"encoding\":\"base64url\"}");
    struct hl_slice value = gw_kv_value(&form, &decoded, 100);
    cr_assert_str_eq(form.why, "");
    cr_assert(hl_slice_equal(value, (struct hl_slice){.ptr = "\xff\x00", .len = 2}));
    json_t *shown = json_object();
    gw_kv_put_value(shown, value);
    cr_assert_str_eq(json_string_value(json_object_get(shown, "value")), "_wA");
    cr_assert_str_eq(json_string_value(json_object_get(shown, "encoding")), "base64url");
    json_object_clear(shown);
    gw_kv_put_value(shown, hl_slice_of("text"));
    cr_assert_str_eq(json_string_value(json_object_get(shown, "value")), "text");
    cr_assert_null(json_object_get(shown, "encoding"));
    json_decref(shown);
    hl_buf_fini(&decoded);
}
