#include "render.h"

#include "kit/assert.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int render_number(char out[RENDER_NUMBER_MAX], double number, bool point)
{
    if (isnan(number)) {
        return snprintf(out, RENDER_NUMBER_MAX, "NaN");
    }
    if (isinf(number)) {
        return snprintf(out, RENDER_NUMBER_MAX, number > 0 ? "+Inf" : "-Inf");
    }
    int len = 0;
    for (int digits = 15; digits <= 17; digits++) {
        len = snprintf(out, RENDER_NUMBER_MAX, "%.*g", digits, number);
        if (strtod(out, NULL) == number) {
            break;
        }
    }
    if (point && strpbrk(out, ".e") == NULL) {
        memcpy(out + len, ".0", 3);
        len += 2;
    }
    return len;
}

const char *render_type(enum render_form form)
{
    return form == RENDER_OPENMETRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                      : "text/plain; version=0.0.4; charset=utf-8";
}

const char *render_kind(int kind)
{
    switch (kind) {
    case HELIOSMODULE_METRIC_COUNTER:
        return "counter";
    case HELIOSMODULE_METRIC_HISTOGRAM:
        return "histogram";
    default:
        return "gauge";
    }
}

/* The name of a family: OpenMetrics takes the end off that all counters have. */
static struct hl_slice family_name(const struct render *render, const HeliosModuleMetricInfo *info)
{
    struct hl_slice name = hl_slice_of(info->name);
    if (render->form == RENDER_OPENMETRICS && info->kind == HELIOSMODULE_METRIC_COUNTER &&
        name.len > strlen("_total")) {
        name.len -= strlen("_total");
    }
    return name;
}

/* Text with its backslashes and line ends escaped, and quotes when they would end it (MR1). */
static void put_escaped(struct hl_buf *out, struct hl_slice text, bool quotes)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\n') {
            hl_buf_append_text(out, "\\n");
        } else if (c == '\\' || (c == '"' && quotes)) {
            hl_buf_append_u8(out, '\\');
            hl_buf_append_u8(out, (uint8_t)c);
        } else {
            hl_buf_append_u8(out, (uint8_t)c);
        }
    }
}

static void put_head(struct render *render, const HeliosModuleMetricInfo *info)
{
    struct hl_buf *out = &render->out;
    struct hl_slice name = family_name(render, info);
    hl_buf_append_text(out, "# HELP ");
    hl_buf_append_slice(out, name);
    hl_buf_append_u8(out, ' ');
    put_escaped(out, hl_slice_of(info->help), render->form == RENDER_OPENMETRICS);
    hl_buf_append_text(out, "\n# TYPE ");
    hl_buf_append_slice(out, name);
    hl_buf_printf(out, " %s\n", render_kind(info->kind));
}

/* One line: name, end of the name, labels, "le" when there is a bound, number. */
static void put_sample(struct render *render, const HeliosModuleMetricInfo *info,
                       const HeliosModuleMetricSample *sample, const char *end, const char *bound,
                       const char *number)
{
    struct hl_buf *out = &render->out;
    const char *between = "{";
    hl_buf_append_text(out, info->name);
    hl_buf_append_text(out, end);
    for (size_t i = 0; i < info->label_count; i++) {
        struct hl_slice value = {.ptr = sample->values[i].ptr, .len = sample->values[i].len};
        hl_buf_printf(out, "%s%s=\"", between, info->labels[i]);
        put_escaped(out, value, true);
        hl_buf_append_text(out, "\"");
        between = ",";
    }
    if (bound != NULL) {
        hl_buf_printf(out, "%sle=\"%s\"", between, bound);
        between = ",";
    }
    hl_buf_printf(out, "%s %s\n", between[0] == ',' ? "}" : "", number);
}

static void put_histogram(struct render *render, const HeliosModuleMetricInfo *info,
                          const HeliosModuleMetricSample *sample)
{
    char number[RENDER_NUMBER_MAX];
    char bound[RENDER_NUMBER_MAX];
    uint64_t below = 0;
    for (size_t i = 0; i <= info->bound_count; i++) {
        double upper = i < info->bound_count ? info->bounds[i] : INFINITY;
        below += sample->counts[i];
        (void)render_number(bound, upper, render->form == RENDER_OPENMETRICS);
        (void)snprintf(number, sizeof number, "%llu", (unsigned long long)below);
        put_sample(render, info, sample, "_bucket", bound, number);
    }
    (void)render_number(number, sample->value, false);
    put_sample(render, info, sample, "_sum", NULL, number);
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)below);
    put_sample(render, info, sample, "_count", NULL, number);
}

void render_family(struct render *render, const HeliosModuleMetricInfo *info)
{
    HL_ASSERT(info->name != NULL);
    render->headed = false; /* MR2 */
}

void render_series(struct render *render, const HeliosModuleMetricInfo *info,
                   const HeliosModuleMetricSample *sample)
{
    size_t before = render->out.len;
    bool headed = render->headed;
    if (!headed) {
        put_head(render, info);
        render->headed = true;
    }
    if (info->kind == HELIOSMODULE_METRIC_HISTOGRAM) {
        put_histogram(render, info, sample);
    } else {
        char number[RENDER_NUMBER_MAX];
        (void)render_number(number, sample->value, false);
        put_sample(render, info, sample, "", NULL, number);
    }
    if (render->out.len > (render->max == 0 ? RENDER_MAX : render->max)) { /* MR3 */
        render->out.len = before;
        render->headed = headed;
        render->left_out++;
    }
}

void render_end(struct render *render)
{
    if (render->form == RENDER_OPENMETRICS) {
        hl_buf_append_text(&render->out, "# EOF\n");
    }
}
