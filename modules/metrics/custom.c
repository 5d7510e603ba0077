#include "custom.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <errno.h>
#include <math.h>

static struct custom *first;
static size_t count;

struct custom *custom_first(void)
{
    return first;
}

struct custom *custom_find(struct hl_slice name)
{
    for (struct custom *c = first; c != NULL; c = c->next) {
        if (hl_slice_equal(hl_slice_of(c->name), name)) {
            return c;
        }
    }
    return NULL;
}

static void release(struct custom *custom)
{
    for (size_t i = 0; i < custom->label_count; i++) {
        hl_free(custom->labels[i]);
        hl_free(custom->values[i]);
    }
    hl_free(custom->name);
    hl_free(custom->shown);
    hl_free(custom->help);
    hl_free(custom);
}

/* --- definitions ------------------------------------------------------------------------------ */

static bool has_nul(struct hl_slice text)
{
    return text.len != 0 && memchr(text.ptr, '\0', text.len) != NULL;
}

static const char *fault_of(const struct custom_order *order)
{
    if (order->name.len == 0 || order->name.len > CUSTOM_NAME_MAX || has_nul(order->name)) {
        return "ERR the name has 1 to 120 letters, digits and '_'";
    }
    if (order->help.len > CUSTOM_HELP_MAX || has_nul(order->help)) {
        return "ERR the help text has more than 512 bytes";
    }
    for (size_t i = 0; i < order->label_count; i++) {
        if (order->labels[i].len > CUSTOM_NAME_MAX || has_nul(order->labels[i]) ||
            order->values[i].len > CUSTOM_VALUE_MAX || has_nul(order->values[i])) {
            return "ERR a label's name or value is too long";
        }
    }
    if (custom_find(order->name) != NULL) {
        return "METRICEXISTS there is a metric of that name";
    }
    return count == CUSTOM_MAX ? "METRICSFULL there are 256 metrics made by command" : NULL;
}

static char *text_of(struct hl_slice text)
{
    return hl_strndup(text.len == 0 ? "" : text.ptr, text.len);
}

/* Counters end in "_total": that is how readers know them. */
static char *shown_name(const struct custom_order *order)
{
    static const char end[] = "_total";
    struct hl_buf name = {0};
    size_t len = sizeof end - 1;
    hl_buf_append_slice(&name, order->name);
    bool has_end = name.len > len && memcmp(name.ptr + name.len - len, end, len) == 0;
    if (order->kind == HELIOSMODULE_METRIC_COUNTER && !has_end) {
        hl_buf_append_text(&name, end);
    }
    char *text = hl_strndup(name.ptr, name.len);
    hl_buf_fini(&name);
    return text;
}

static struct custom *copy_of(const struct custom_order *order)
{
    static const double seconds[] = HELIOSMODULE_METRIC_SECONDS;
    struct custom *custom = hl_calloc(1, sizeof *custom);
    custom->name = text_of(order->name);
    custom->shown = shown_name(order);
    custom->help = order->help.len == 0 ? text_of(hl_slice_of("Made by METRICS.DEFINE."))
                                        : text_of(order->help);
    custom->kind = order->kind;
    custom->label_count = order->label_count;
    for (size_t i = 0; i < order->label_count; i++) {
        custom->labels[i] = text_of(order->labels[i]);
        custom->values[i] = text_of(order->values[i]);
    }
    if (order->kind == HELIOSMODULE_METRIC_HISTOGRAM) {
        bool given = order->bound_count != 0;
        custom->bound_count = given ? order->bound_count : HL_ARRAY_LEN(seconds);
        memcpy(custom->bounds, given ? order->bounds : seconds,
               custom->bound_count * sizeof custom->bounds[0]);
    }
    return custom;
}

/* MC1 */
static bool open_family(RedisModuleCtx *ctx, struct custom *custom)
{
    HeliosModuleText values[HELIOSMODULE_METRIC_LABELS_MAX];
    const char *labels[HELIOSMODULE_METRIC_LABELS_MAX];
    HeliosModuleMetricInfo info = {.version = HELIOSMODULE_METRIC_VERSION,
                                   .name = custom->shown,
                                   .help = custom->help,
                                   .kind = custom->kind,
                                   .labels = labels,
                                   .label_count = custom->label_count,
                                   .bounds = custom->bounds,
                                   .bound_count = custom->bound_count,
                                   .series_max = 1};
    for (size_t i = 0; i < custom->label_count; i++) {
        labels[i] = custom->labels[i];
        values[i] = (HeliosModuleText){custom->values[i], strlen(custom->values[i])};
    }
    custom->family = HeliosMetric_Define(ctx, &info);
    custom->metric = HeliosMetric_Series(custom->family, values);
    return custom->family != NULL;
}

const char *custom_define(RedisModuleCtx *ctx, const struct custom_order *order)
{
    const char *fault = fault_of(order);
    if (fault != NULL) {
        return fault;
    }
    struct custom *custom = copy_of(order);
    if (!open_family(ctx, custom)) {
        release(custom);
        return errno == EEXIST   ? "METRICEXISTS there is a metric of that name"
               : errno == ENOSPC ? "METRICSFULL the server has no room for another metric"
                                 : "ERR the name, a label or the buckets are not allowed";
    }
    struct custom **end = &first;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = custom;
    count++;
    return NULL;
}

/* --- moving (MC2) ----------------------------------------------------------------------------- */

const char *custom_add(struct custom *custom, double delta)
{
    if (custom->kind == HELIOSMODULE_METRIC_HISTOGRAM) {
        return "WRONGKIND a histogram is moved by METRICS.OBSERVE";
    }
    if (custom->kind == HELIOSMODULE_METRIC_COUNTER && delta < 0) {
        return "ERR a counter does not fall";
    }
    if (!isfinite(custom->value + delta)) {
        return "ERR the value would not be finite";
    }
    custom->value += delta;
    HeliosMetric_Set(custom->metric, custom->value);
    return NULL;
}

const char *custom_set(struct custom *custom, double value)
{
    if (custom->kind != HELIOSMODULE_METRIC_GAUGE) {
        return "WRONGKIND only a gauge can be set";
    }
    custom->value = value;
    HeliosMetric_Set(custom->metric, value);
    return NULL;
}

const char *custom_observe(struct custom *custom, double value)
{
    size_t at = 0;
    if (custom->kind != HELIOSMODULE_METRIC_HISTOGRAM) {
        return "WRONGKIND only a histogram observes";
    }
    if (!isfinite(value) || !isfinite(custom->value + value)) {
        return "ERR the value is not finite";
    }
    while (at < custom->bound_count && custom->bounds[at] < value) {
        at++;
    }
    custom->counts[at]++;
    custom->count++;
    custom->value += value;
    HeliosMetric_Observe(custom->metric, value);
    return NULL;
}

/* --- ending ----------------------------------------------------------------------------------- */

void custom_reset(RedisModuleCtx *ctx, struct custom *custom)
{
    custom->value = 0;
    custom->count = 0;
    memset(custom->counts, 0, sizeof custom->counts);
    HeliosModule_MetricUndefine(custom->family);
    bool opened = open_family(ctx, custom); /* its name and its room have just become free */
    HL_ASSERT(opened);
}

void custom_delete(struct custom *custom)
{
    struct custom **at = &first;
    while (*at != custom) {
        HL_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = custom->next;
    count--;
    HeliosModule_MetricUndefine(custom->family);
    release(custom);
}

void custom_end(void)
{
    while (first != NULL) {
        struct custom *next = first->next;
        release(first);
        first = next;
    }
    count = 0;
}
