/* Hostile bytes as a header Accept, and as the label and the help of a metric: whatever they are,
 * the text has the lines it should have, and reading a label back gives the same bytes. */
#include "kit/assert.h"
#include "metrics/accept.h"

#include <stdlib.h>

/* Undo the escapes of a label's value up to its quote. */
static void unescape(struct hl_buf *out, const char **at, const char *end)
{
    for (; *at < end && **at != '"'; (*at)++) {
        char c = **at;
        HL_ASSERT(c != '\n');
        if (c == '\\') {
            (*at)++;
            HL_ASSERT(*at < end && (**at == '\\' || **at == '"' || **at == 'n'));
            c = **at == 'n' ? '\n' : **at;
        }
        hl_buf_append_u8(out, (uint8_t)c);
    }
    HL_ASSERT(*at < end);
}

static void check(enum render_form form, struct hl_slice value, const char *help)
{
    static const char *const labels[] = {"l"};
    struct render render = {.form = form};
    HeliosModuleText text = {value.ptr, value.len};
    HeliosModuleMetricInfo info = {.version = HELIOSMODULE_METRIC_VERSION,
                                   .name = "m",
                                   .help = help,
                                   .kind = HELIOSMODULE_METRIC_GAUGE,
                                   .labels = labels,
                                   .label_count = 1};
    HeliosModuleMetricSample sample = {.values = &text, .value = 1};
    render_family(&render, &info);
    render_series(&render, &info, &sample);
    render_end(&render);
    size_t lines = 0;
    const char *line = render.out.ptr;
    const char *end = line + render.out.len;
    for (const char *p = line; p < end; p++) {
        lines += *p == '\n';
    }
    HL_ASSERT(lines == (form == RENDER_OPENMETRICS ? 4u : 3u));
    line = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1; /* TYPE */
    line = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1; /* the sample */
    HL_ASSERT(end - line > 5 && memcmp(line, "m{l=\"", 5) == 0);
    line += 5;
    struct hl_buf back = {0};
    unescape(&back, &line, end);
    HL_ASSERT(hl_slice_equal(hl_buf_view(&back), value));
    HL_ASSERT(end - line >= 5 && memcmp(line, "\"} 1\n", 5) == 0);
    hl_buf_fini(&back);
    hl_buf_fini(&render.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hl_slice bytes = {(const char *)data, size};
    enum render_form form = accept_form(bytes);
    HL_ASSERT(form == RENDER_TEXT || form == RENDER_OPENMETRICS);
    struct hl_buf help = {0};
    hl_buf_append(&help, data, size);
    hl_buf_append_u8(&help, 0);
    check(RENDER_TEXT, bytes, help.ptr);
    check(RENDER_OPENMETRICS, bytes, help.ptr);
    hl_buf_fini(&help);
    return 0;
}
