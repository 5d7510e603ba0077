#include "base/log.h"

#include <criterion/criterion.h>

/* A sink that keeps the last line. */
struct kept {
    char line[HL_LOG_LINE_MAX + 1];
    size_t len;
    int count;
    int64_t now_us;
};

static int64_t now(void *ctx)
{
    return ((struct kept *)ctx)->now_us;
}

static void keep(void *ctx, enum hl_log_level level, struct hl_slice line)
{
    struct kept *kept = ctx;
    (void)level;
    cr_assert_leq(line.len, HL_LOG_LINE_MAX);
    memcpy(kept->line, line.ptr, line.len);
    kept->line[line.len] = '\0';
    kept->len = line.len;
    kept->count++;
}

static struct kept kept;

static struct hl_log make_log(enum hl_log_form form)
{
    kept = (struct kept){.now_us = INT64_C(1795263174914000)};
    return (struct hl_log){.level = HL_LOG_NOTICE,
                           .form = form,
                           .pid = 4711,
                           .role = 'M',
                           .now_us = now,
                           .write = keep,
                           .ctx = &kept};
}

Test(log, a_text_line_looks_like_one_of_redis)
{
    struct hl_log log = make_log(HL_LOG_TEXT);
    hl_log(&log, HL_LOG_NOTICE, "", "ready after %d ms", 5);
    cr_assert_str_eq(kept.line, "4711:M 21 Nov 2026 12:12:54.914 * ready after 5 ms\n");
    log.utc_offset_s = 3600;
    struct hl_log_field fields[2] = {{"term", hl_slice_of("2")}, {"votes", hl_slice_of("3")}};
    hl_log_event(&log, HL_LOG_WARNING, "raft", "won election", fields, 2, NULL);
    cr_assert_str_eq(kept.line,
                     "4711:M 21 Nov 2026 13:12:54.914 # raft: won election [term 2 votes 3]\n");
}

Test(log, a_json_line_has_the_documented_fields)
{
    struct hl_log log = make_log(HL_LOG_JSON);
    struct hl_log_trace trace = {"0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"};
    struct hl_log_field fields[1] = {{"term", hl_slice_of("2")}};
    hl_log_event(&log, HL_LOG_WARNING, "raft", "a \"b\"\n\x1b\xff", fields, 1, &trace);
    cr_assert_str_eq(kept.line,
                     "{\"timestamp\":\"2026-11-21T12:12:54.914Z\",\"level\":\"warn\","
                     "\"component\":\"raft\",\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\","
                     "\"span_id\":\"b7ad6b7169203331\","
                     "\"message\":\"a \\\"b\\\"\\n\\u001b\\ufffd\",\"extra\":{\"term\":\"2\"}}\n");
}

Test(log, a_json_line_without_fields_says_so)
{
    struct hl_log log = make_log(HL_LOG_JSON);
    hl_log(&log, HL_LOG_NOTICE, "server", "ready");
    cr_assert_not_null(strstr(kept.line, "\"message\":\"ready\",\"extra\":{}}\n"), "%s", kept.line);
}

Test(log, a_line_is_one_line_whatever_it_holds)
{
    struct hl_log log = make_log(HL_LOG_TEXT);
    hl_log(&log, HL_LOG_NOTICE, "", "%s", "a\nb\rc\x1b[31m\xc2\x9b\xff \xc3\xa9");
    cr_assert_not_null(strstr(kept.line, "* a\\nb\\x0dc\\x1b[31m\\xc2\\x9b\\xff \xc3\xa9\n"), "%s",
                       kept.line);
}

Test(log, unimportant_lines_and_no_log_cost_nothing)
{
    struct hl_log log = make_log(HL_LOG_TEXT);
    hl_log(&log, HL_LOG_VERBOSE, "", "x");
    hl_log(&log, HL_LOG_DEBUG, "", "x");
    cr_assert_eq(kept.count, 0);
    log.level = HL_LOG_DEBUG;
    hl_log(&log, HL_LOG_DEBUG, "", "x");
    cr_assert_eq(kept.count, 1);
    hl_log(NULL, HL_LOG_WARNING, "", "x");
}

/* Method: messages and fields of every length around the limits; each line must end as it should.
 */
Test(log, a_long_line_is_cut_and_stays_well_formed)
{
    static char text[HL_LOG_LINE_MAX * 2];
    memset(text, '"', sizeof text - 1);
    for (int form = HL_LOG_TEXT; form <= HL_LOG_JSON; form++) {
        struct hl_log log = make_log((enum hl_log_form)form);
        for (size_t len = 0; len < sizeof text - 1; len += 97) {
            struct hl_log_field fields[3] = {{"a", {.ptr = text, .len = len}},
                                             {"b", {.ptr = text, .len = 700}},
                                             {"c", {.ptr = text, .len = len / 2}}};
            text[len] = '\0';
            hl_log_event(&log, HL_LOG_NOTICE, "c", text, fields, 3, NULL);
            text[len] = '"';
            cr_assert_eq(kept.line[kept.len - 1], '\n');
            cr_assert_eq(kept.line[kept.len - 2], form == HL_LOG_JSON ? '}' : ']');
            bool inside = false;
            int depth = 0;
            for (size_t i = 0; form == HL_LOG_JSON && i < kept.len; i++) {
                i += inside && kept.line[i] == '\\';
                inside ^= kept.line[i] == '"' && (i == 0 || kept.line[i - 1] != '\\');
                depth += inside ? 0 : (kept.line[i] == '{') - (kept.line[i] == '}');
            }
            cr_assert_eq(depth, 0);
            cr_assert_not(inside);
        }
        hl_log(&log, HL_LOG_NOTICE, "", "%s", text);
        cr_assert_not_null(strstr(kept.line, "..."));
    }
}

/* Method: a field's value of every length around the limit, so that the next has every little room.
 */
Test(log, a_field_that_does_not_fit_is_left_out_whole)
{
    static char text[HL_LOG_LINE_MAX];
    memset(text, 'x', sizeof text);
    struct hl_log log = make_log(HL_LOG_JSON);
    for (size_t len = sizeof text - 300; len < sizeof text; len++) {
        struct hl_log_field fields[2] = {{"a", {.ptr = text, .len = len}}, {"b", hl_slice_of("1")}};
        hl_log_event(&log, HL_LOG_NOTICE, "c", "m", fields, 2, NULL);
        cr_assert_not_null(strstr(kept.line, "\"}}\n"), "%zu: %s", len, kept.line);
        size_t quotes = 0;
        for (size_t i = 0; i < kept.len; i++) {
            quotes += kept.line[i] == '"';
        }
        cr_assert_eq(quotes % 4, 2, "%zu: %s", len, kept.line); /* extra has a name and no quotes */
    }
}

Test(log, dates_are_right_at_the_edges)
{
    struct hl_log log = make_log(HL_LOG_JSON);
    static const struct {
        int64_t s;
        const char *stamp;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {951782400, "2000-02-29T00:00:00.000Z"},
        {4107542399, "2100-02-28T23:59:59.000Z"},
        {4107542400, "2100-03-01T00:00:00.000Z"},
        {INT64_MAX / 2000000, "9999-12-31T23:59:59.000Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kept.now_us = cases[i].s * 1000000;
        hl_log(&log, HL_LOG_NOTICE, "", "x");
        cr_assert_not_null(strstr(kept.line, cases[i].stamp), "%s", kept.line);
    }
}

Test(log, level_names_of_both_families_are_known)
{
    enum hl_log_level level = HL_LOG_DEBUG;
    cr_assert(hl_log_parse_level(hl_slice_of("INFO"), &level));
    cr_assert_eq(level, HL_LOG_NOTICE);
    cr_assert(hl_log_parse_level(hl_slice_of("error"), &level));
    cr_assert_eq(level, HL_LOG_WARNING);
    cr_assert_not(hl_log_parse_level(hl_slice_of("loud"), &level));
}
