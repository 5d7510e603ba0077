/* /admin/metrics, and /admin/cluster/metrics: metrics that clients make, by METRICS.*.
 *
 * They are of this node alone and gone with it, as all metrics are.
 */
#include "admin.h"
#include "form.h"
#include "routes.h"

#include "kit/assert.h"
#include "kit/json.h"

#include <math.h>
#include <stdio.h>

#define NAME_MAX_BYTES 128
#define HELP_MAX 512
#define LABELS_MAX 8
#define BUCKETS_MAX 8 /* by REST; more by RESP */
#define NUMBER_TEXT 32

static bool is_metric_name(struct hl_slice name)
{
    bool good = name.len != 0 && name.len <= NAME_MAX_BYTES;
    for (size_t i = 0; good && i < name.len; i++) {
        char c = name.ptr[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == ':';
    }
    return good;
}

static struct hl_slice read_name(struct gw_form *form)
{
    struct hl_slice name = gw_form_text(form, "name", 1, NAME_MAX_BYTES);
    if (form->why[0] == '\0' && !is_metric_name(name)) {
        gw_form_fault(form, "name: letters, digits, '_' and ':'");
    }
    return name;
}

/* --- all metrics ------------------------------------------------------------------------------ */

static void answer_text(struct gw_call *call, RedisModuleCallReply *reply)
{
    gw_answer_text(call, 200, "text/plain; version=0.0.4; charset=utf-8", gw_reply_text(reply));
}

static void render(struct gw_call *call)
{
    struct gw_command command = {0};
    gw_arg_text(&command, "METRICS.RENDER");
    gw_admin_look(call, &command, answer_text);
}

/* --- custom ones ------------------------------------------------------------------------------ */

static void get_custom(struct gw_call *call)
{
    struct gw_command command = {0};
    struct hl_slice name = gw_query(call, "name");
    gw_arg_text(&command, "METRICS.CUSTOM");
    if (name.ptr != NULL) {
        if (!is_metric_name(name)) {
            gw_fail(call, 400, "invalid", "name: letters, digits, '_' and ':'");
            return;
        }
        gw_arg(&command, name);
    }
    gw_admin_look(call, &command, gw_admin_answer);
}

static void answer_named(struct gw_call *call, int status, const char *message)
{
    json_t *name = json_object_get(gw_body(call), "name");
    gw_answer(call, status, json_pack("{s:s, s:O}", "message", message, "name", name));
}

static void answer_defined(struct gw_call *call, RedisModuleCallReply *reply)
{
    (void)reply;
    answer_named(call, 201, "Metric registered successfully");
}

static void take_labels(struct gw_form *form, struct gw_command *command)
{
    json_t *labels = json_object_get(form->object, "labels");
    const char *name = NULL;
    json_t *value = NULL;
    if (labels == NULL || json_is_null(labels)) {
        return;
    }
    if (!json_is_object(labels) || json_object_size(labels) > LABELS_MAX) {
        gw_form_fault(form, "labels: an object of at most %d texts", LABELS_MAX);
        return;
    }
    json_object_foreach(labels, name, value)
    {
        if (!json_is_string(value) || !is_metric_name(hl_slice_of(name))) {
            gw_form_fault(form, "labels: an object of at most %d texts", LABELS_MAX);
            return;
        }
        gw_arg_text(command, "LABEL");
        gw_arg_text(command, name);
        gw_arg(command, (struct hl_slice){.ptr = json_string_value(value),
                                          .len = json_string_length(value)});
    }
}

static void take_buckets(struct gw_form *form, struct gw_command *command,
                         char texts[BUCKETS_MAX][NUMBER_TEXT])
{
    json_t *buckets = json_object_get(form->object, "buckets");
    size_t at = 0;
    json_t *bound = NULL;
    if (buckets == NULL || json_is_null(buckets)) {
        return;
    }
    if (!json_is_array(buckets) || json_array_size(buckets) > BUCKETS_MAX) {
        gw_form_fault(form, "buckets: an array of at most %d numbers", BUCKETS_MAX);
        return;
    }
    gw_arg_text(command, "BUCKETS");
    json_array_foreach(buckets, at, bound)
    {
        if (!json_is_number(bound)) {
            gw_form_fault(form, "buckets: an array of at most %d numbers", BUCKETS_MAX);
            return;
        }
        (void)snprintf(texts[at], NUMBER_TEXT, "%.17g", json_number_value(bound));
        gw_arg_text(command, texts[at]);
    }
}

static void define(struct gw_call *call)
{
    char texts[BUCKETS_MAX][NUMBER_TEXT];
    struct gw_form form = {.object = gw_body(call)};
    struct gw_command command = {0};
    struct hl_slice name = read_name(&form);
    struct hl_slice kind = gw_form_text(&form, "type", 1, 16);
    struct hl_slice help = gw_form_text_or(&form, "help", 0, HELP_MAX);
    gw_arg_text(&command, "METRICS.DEFINE");
    gw_arg(&command, name);
    gw_arg(&command, kind);
    if (help.len != 0) {
        gw_arg_text(&command, "HELP");
        gw_arg(&command, help);
    }
    take_labels(&form, &command);
    take_buckets(&form, &command, texts);
    if (form.why[0] == '\0' && !hl_slice_is(kind, "counter") && !hl_slice_is(kind, "gauge") &&
        !hl_slice_is(kind, "histogram")) {
        gw_form_fault(&form, "type: counter, gauge or histogram");
    }
    if (form.why[0] != '\0') {
        gw_fail(call, 400, "invalid", "%s", form.why);
        return;
    }
    gw_admin_look(call, &command, answer_defined);
}

static void answer_moved(struct gw_call *call, RedisModuleCallReply *reply)
{
    (void)reply;
    answer_named(call, 200, "Metric updated successfully");
}

/* A member that is a finite number; false when it is there and none. */
static bool read_number(const struct gw_call *call, const char *member, bool *given, double *out)
{
    const json_t *value = json_object_get(gw_body(call), member);
    *given = value != NULL && !json_is_null(value);
    *out = json_number_value(value);
    return !*given || (json_is_number(value) && isfinite(*out));
}

/* What kind it is decides how it moves. */
static void then_move(struct gw_call *call, RedisModuleCallReply *reply)
{
    char text[NUMBER_TEXT];
    bool by = false;
    bool to = false;
    double delta = 0;
    double value = 0;
    struct gw_command command = {0};
    struct hl_slice kind = gw_reply_text(gw_reply_field(reply, "type"));
    (void)read_number(call, "delta", &by, &delta);
    (void)read_number(call, "value", &to, &value);
    if (hl_slice_is(kind, "counter") && to && !by) {
        by = true; /* a counter only grows: its value is what is added */
        delta = value;
        to = false;
    }
    gw_arg_text(&command, !to                              ? "METRICS.ADD"
                          : hl_slice_is(kind, "histogram") ? "METRICS.OBSERVE"
                                                           : "METRICS.SET");
    gw_arg(&command, hl_json_text(gw_body(call), "name"));
    (void)snprintf(text, sizeof text, "%.17g", to ? value : by ? delta : 1);
    gw_arg_text(&command, text);
    gw_admin_look(call, &command, answer_moved);
}

static void move(struct gw_call *call)
{
    bool given = false;
    double number = 0;
    struct gw_form form = {.object = gw_body(call)};
    struct gw_command command = {0};
    struct hl_slice name = read_name(&form);
    if (!read_number(call, "value", &given, &number) ||
        !read_number(call, "delta", &given, &number)) {
        gw_form_fault(&form, "value, delta: numbers");
    }
    if (form.why[0] != '\0') {
        gw_fail(call, 400, "invalid", "%s", form.why);
        return;
    }
    gw_arg_text(&command, "METRICS.CUSTOM");
    gw_arg(&command, name);
    gw_admin_look(call, &command, then_move);
}

static void answer_deleted(struct gw_call *call, RedisModuleCallReply *reply)
{
    if (gw_reply_number(reply) == 0) {
        gw_fail(call, 404, "no_such_metric", "there is no metric of that name");
        return;
    }
    gw_answer(call, 200,
              json_pack("{s:s, s:o}", "message", "Metric deleted successfully", "name",
                        gw_json_text(gw_query(call, "name"))));
}

static void delete_custom(struct gw_call *call)
{
    struct gw_command command = {0};
    struct hl_slice name = gw_query(call, "name");
    if (!is_metric_name(name)) {
        gw_fail(call, 400, "invalid", "name: letters, digits, '_' and ':'");
        return;
    }
    gw_arg_text(&command, "METRICS.DEL");
    gw_arg(&command, name);
    gw_admin_look(call, &command, answer_deleted);
}

static void answer_reset(struct gw_call *call, RedisModuleCallReply *reply)
{
    (void)reply;
    gw_admin_say(call, 200, "Metrics reset successfully");
}

static void reset(struct gw_call *call)
{
    struct gw_command command = {0};
    gw_arg_text(&command, "METRICS.RESET");
    gw_admin_look(call, &command, answer_reset);
}

#define CUSTOM "/admin/cluster/metrics"

const struct gw_route gw_admin_metrics_routes[] = {
    {"GET", "/admin/metrics", ADMIN_PERMISSION, NULL, render, 0, 0},
    {"GET", CUSTOM, ADMIN_PERMISSION, NULL, get_custom, 0, 0},
    {"POST", CUSTOM, ADMIN_PERMISSION, NULL, define, GW_BODY, 0},
    {"PUT", CUSTOM, ADMIN_PERMISSION, NULL, move, GW_BODY, 0},
    {"DELETE", CUSTOM, ADMIN_PERMISSION, NULL, delete_custom, 0, 0},
    {"POST", CUSTOM "/reset", ADMIN_PERMISSION, NULL, reset, 0, 0},
};
const size_t gw_admin_metrics_route_count = HL_ARRAY_LEN(gw_admin_metrics_routes);
