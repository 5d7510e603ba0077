/* Metrics as text: every sample is one line that says the same labels and the same number.
 *
 * Method: families and series by hand; the text is compared, or read back by a strict reader. */
#include "metrics/render.h"

#include "kit/assert.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct render render;

static void teardown(void)
{
    hl_buf_fini(&render.out);
}

TestSuite(render, .fini = teardown);

static const char *text(void)
{
    hl_buf_append_u8(&render.out, 0);
    render.out.len--;
    return render.out.ptr;
}

static const char *const labels[] = {"a", "b"};
static const double bounds[] = {0.5, 1};

static HeliosModuleMetricInfo info_of(const char *name, int kind, size_t label_count)
{
    return (HeliosModuleMetricInfo){.version = HELIOSMODULE_METRIC_VERSION,
                                    .name = name,
                                    .help = "Help.",
                                    .kind = kind,
                                    .labels = labels,
                                    .label_count = label_count,
                                    .bounds = bounds,
                                    .bound_count = kind == HELIOSMODULE_METRIC_HISTOGRAM ? 2 : 0};
}

static void put(const HeliosModuleMetricInfo *info, const char *a, const char *b, double value)
{
    HeliosModuleText values[] = {{a, strlen(a)}, {b, strlen(b)}};
    const uint64_t counts[] = {3, 0, 2};
    HeliosModuleMetricSample sample = {
        .values = values, .value = value, .count = 5, .counts = counts};
    render_series(&render, info, &sample);
}

static void put_family(const char *name, int kind, size_t label_count, double value)
{
    HeliosModuleMetricInfo info = info_of(name, kind, label_count);
    render_family(&render, &info);
    put(&info, "x", "y", value);
}

Test(render, text_has_a_head_for_each_family_and_a_line_for_each_sample)
{
    put_family("a_total", HELIOSMODULE_METRIC_COUNTER, 2, 7);
    put_family("b", HELIOSMODULE_METRIC_GAUGE, 0, -0.5);
    put_family("c_seconds", HELIOSMODULE_METRIC_HISTOGRAM, 1, 12.5);
    render_end(&render);
    cr_assert_str_eq(text(), "# HELP a_total Help.\n"
                             "# TYPE a_total counter\n"
                             "a_total{a=\"x\",b=\"y\"} 7\n"
                             "# HELP b Help.\n"
                             "# TYPE b gauge\n"
                             "b -0.5\n"
                             "# HELP c_seconds Help.\n"
                             "# TYPE c_seconds histogram\n"
                             "c_seconds_bucket{a=\"x\",le=\"0.5\"} 3\n"
                             "c_seconds_bucket{a=\"x\",le=\"1\"} 3\n"
                             "c_seconds_bucket{a=\"x\",le=\"+Inf\"} 5\n"
                             "c_seconds_sum{a=\"x\"} 12.5\n"
                             "c_seconds_count{a=\"x\"} 5\n");
}

Test(render, openmetrics_names_counters_without_their_end_and_has_an_end_itself)
{
    render.form = RENDER_OPENMETRICS;
    put_family("a_total", HELIOSMODULE_METRIC_COUNTER, 1, 7);
    put_family("c_seconds", HELIOSMODULE_METRIC_HISTOGRAM, 0, 12.5);
    render_end(&render);
    cr_assert_str_eq(text(), "# HELP a Help.\n"
                             "# TYPE a counter\n"
                             "a_total{a=\"x\"} 7\n"
                             "# HELP c_seconds Help.\n"
                             "# TYPE c_seconds histogram\n"
                             "c_seconds_bucket{le=\"0.5\"} 3\n"
                             "c_seconds_bucket{le=\"1.0\"} 3\n"
                             "c_seconds_bucket{le=\"+Inf\"} 5\n"
                             "c_seconds_sum 12.5\n"
                             "c_seconds_count 5\n"
                             "# EOF\n");
}

Test(render, a_family_without_series_leaves_no_trace)
{
    HeliosModuleMetricInfo info = info_of("a", HELIOSMODULE_METRIC_GAUGE, 1);
    render_family(&render, &info);
    put_family("b", HELIOSMODULE_METRIC_GAUGE, 0, 1);
    cr_assert_str_eq(text(), "# HELP b Help.\n# TYPE b gauge\nb 1\n");
}

Test(render, the_head_is_there_once_for_many_series)
{
    HeliosModuleMetricInfo info = info_of("a", HELIOSMODULE_METRIC_GAUGE, 2);
    render_family(&render, &info);
    put(&info, "1", "", 1);
    put(&info, "2", "", 2);
    cr_assert_str_eq(text(), "# HELP a Help.\n# TYPE a gauge\n"
                             "a{a=\"1\",b=\"\"} 1\na{a=\"2\",b=\"\"} 2\n");
}

Test(render, nothing_in_a_label_ends_its_line_or_its_quotes)
{
    HeliosModuleMetricInfo info = info_of("a", HELIOSMODULE_METRIC_GAUGE, 2);
    render_family(&render, &info);
    put(&info, "\"} 1\na{a=\"x", "\\\n\\n\"", 1);
    const char *line = strstr(text(), "a{");
    cr_assert_str_eq(line, "a{a=\"\\\"} 1\\na{a=\\\"x\",b=\"\\\\\\n\\\\n\\\"\"} 1\n");
}

Test(render, a_help_text_is_one_line_in_both_forms)
{
    HeliosModuleMetricInfo info = info_of("a", HELIOSMODULE_METRIC_GAUGE, 0);
    info.help = "a \"word\"\nand \\ more";
    render_family(&render, &info);
    put(&info, "", "", 1);
    cr_assert_not_null(strstr(text(), "# HELP a a \"word\"\\nand \\\\ more\n"));
    hl_buf_clear(&render.out);
    render.form = RENDER_OPENMETRICS;
    render_family(&render, &info);
    put(&info, "", "", 1);
    cr_assert_not_null(strstr(text(), "# HELP a a \\\"word\\\"\\nand \\\\ more\n"));
}

Test(render, numbers_are_short_and_exact)
{
    static const struct {
        double number;
        const char *plain, *pointed;
    } cases[] = {
        {0, "0", "0.0"},
        {-0.0, "-0", "-0.0"},
        {1, "1", "1.0"},
        {0.1, "0.1", "0.1"},
        {1e21, "1e+21", "1e+21"},
        {123456789012345, "123456789012345", "123456789012345.0"},
        {9007199254740993.0, "9007199254740992", "9007199254740992.0"},
        {1.0 / 3, "0.3333333333333333", "0.3333333333333333"},
        {5e-324, "4.94065645841247e-324", "4.94065645841247e-324"},
        {INFINITY, "+Inf", "+Inf"},
        {-INFINITY, "-Inf", "-Inf"},
        {NAN, "NaN", "NaN"},
    };
    char out[RENDER_NUMBER_MAX];
    for (size_t i = 0; i < HL_ARRAY_LEN(cases); i++) {
        cr_assert_eq(render_number(out, cases[i].number, false), (int)strlen(cases[i].plain));
        cr_assert_str_eq(out, cases[i].plain);
        cr_assert_eq(render_number(out, cases[i].number, true), (int)strlen(cases[i].pointed));
        cr_assert_str_eq(out, cases[i].pointed);
        cr_assert(isnan(cases[i].number) || strtod(out, NULL) == cases[i].number);
    }
}

Test(render, what_does_not_fit_is_left_out_whole_and_counted)
{
    HeliosModuleMetricInfo info = info_of("a", HELIOSMODULE_METRIC_HISTOGRAM, 1);
    HeliosModuleMetricInfo small = info_of("z", HELIOSMODULE_METRIC_GAUGE, 0);
    render.max = 200;
    render_family(&render, &info);
    put(&info, "1", "", 1);
    size_t one = render.out.len;
    put(&info, "2", "", 1);
    put(&info, "3", "", 1);
    cr_assert_eq(render.left_out, 2u);
    cr_assert_eq(render.out.len, one);
    render_family(&render, &small);
    put(&small, "", "", 1);
    cr_assert_not_null(strstr(text(), "# HELP z Help.\n# TYPE z gauge\nz 1\n"));
}
