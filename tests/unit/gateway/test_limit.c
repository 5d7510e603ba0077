/* Goal: limits are read as they are written, and told as clients expect.  Method: tables. */
#include "gateway/limit.h"
#include "kit/assert.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct gw_limit limits[GW_LIMITS_MAX];

Test(limit, several_are_read_with_their_words)
{
    size_t count = 0;
    struct hl_errmsg msg = {0};
    const char *text = "POST /a/login 10 1 6 replicated closed; GET /b/{id} 5 2 1;  "
                       "PUT /c 1 1 1 open local ;";
    cr_assert_eq(gw_limits_parse(hl_slice_of(text), limits, &count, &msg), HL_OK, "%s", msg.text);
    cr_assert_eq(count, 3);
    cr_assert_str_eq(limits[0].method, "POST");
    cr_assert_str_eq(limits[0].path, "/a/login");
    cr_assert_eq(limits[0].capacity, 10);
    cr_assert_eq(limits[0].num, 1);
    cr_assert_eq(limits[0].den, 6);
    cr_assert(limits[0].replicated);
    cr_assert(limits[0].closed);
    cr_assert_not(limits[1].replicated);
    cr_assert_not(limits[2].closed);
    cr_assert_eq(gw_limits_parse(hl_slice_of("  "), limits, &count, &msg), HL_OK);
    cr_assert_eq(count, 0);
}

Test(limit, what_is_none_is_refused)
{
    static const char *const bad[] = {
        "POST",
        "POST /a",
        "POST /a 1 1",
        "POST a 1 1 1",
        "POST /a 0 1 1",
        "POST /a 1 0 1",
        "POST /a 1 1 0",
        "POST /a -1 1 1",
        "POST /a x 1 1",
        "POST /a 1 1 1 no",
        "POST /a 1 1 1;;",
        "; POST /a 1 1 1",
        "POST /a 1000000000 1 1000000",
        "POST /a 1.5 1 1",
        "VERYLONGMETHODNAME /a 1 1 1",
        "POST /a 10000000000 1 1",
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++) {
        size_t count = 77;
        struct hl_errmsg msg = {0};
        cr_assert_neq(gw_limits_parse(hl_slice_of(bad[i]), limits, &count, &msg), HL_OK, "%s",
                      bad[i]);
        cr_assert_eq(count, 77);
        cr_assert_neq(msg.text[0], '\0');
    }
}

Test(limit, there_is_a_most)
{
    struct hl_buf text = {0};
    struct hl_errmsg msg = {0};
    size_t count = 0;
    for (int i = 0; i < GW_LIMITS_MAX; i++) {
        hl_buf_append_text(&text, "A /b 1 1 1;");
    }
    cr_assert_eq(gw_limits_parse(hl_buf_view(&text), limits, &count, &msg), HL_OK);
    hl_buf_append_text(&text, "A /b 1 1 1;");
    cr_assert_eq(gw_limits_parse(hl_buf_view(&text), limits, &count, &msg), HL_ELIMIT);
    hl_buf_fini(&text);
}

Test(limit, headers_name_the_limit_its_quota_and_its_time)
{
    char text[256];
    struct gw_limit limit = {.path = "/api/v1/auth/login", .capacity = 10, .num = 1, .den = 6};
    struct gw_limit_state state = {.remaining = 3, .reset_ms = 41001, .retry_ms = 5001};
    gw_limit_policy_text(&limit, text, sizeof text);
    cr_assert_str_eq(text, "\"login\";q=10;w=60");
    gw_limit_state_text(&limit, &state, text, sizeof text);
    cr_assert_str_eq(text, "\"login\";r=3;t=42");
    cr_assert_eq(gw_limit_retry_s(&state), 6);
    state.retry_ms = 0;
    cr_assert_eq(gw_limit_retry_s(&state), 1);
    limit.path[0] = '\0';
    gw_limit_policy_text(&limit, text, sizeof text);
    cr_assert_str_eq(text, "\"client\";q=10;w=60");
}
