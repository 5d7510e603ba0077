/* /admin/plugins: modules as plugins.  What is done is in plugins.h; here is what is asked and
 * answered. */
#include "admin.h"
#include "form.h"
#include "plugins.h"
#include "routes.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/json.h"

#include <stdio.h>
#include <time.h>

#define BULK_BODY_MAX (UINT64_C(1) << 20)

/* What the answer shows beside the bare module. */
struct show {
    bool runtime, stats, health;
};

static struct show show_of_query(const struct gw_call *call)
{
    return (struct show){.runtime = gw_admin_flag(call, "include_runtime"),
                         .stats = gw_admin_flag(call, "include_stats"),
                         .health = gw_admin_flag(call, "refresh_health")};
}

/* --- describing ------------------------------------------------------------------------------- */

static json_t *health_of(const struct gw_plan *plan, const char *name)
{
    bool runs = gw_plan_runs(plan, name);
    return json_pack("{s:s, s:b, s:s, s:I}", "status", runs ? "healthy" : "stopped", "healthy",
                     (int)runs, "message",
                     runs ? "the module is loaded on this node" : "the module is not loaded",
                     "checked_at_unix", (json_int_t)time(NULL));
}

/* Beside its settings nothing of what is wished of a loaded module can be enforced: see plugin.h.
 */
static json_t *describe(const struct gw_plan *plan, const char *name, const struct show *show)
{
    const json_t *module = json_object_get(plan->modules, name);
    struct gw_plugin wishes = gw_plan_wishes(plan, name);
    json_t *out = json_object();
    json_object_set_new(out, "name", json_string(name));
    json_object_set_new(out, "enabled", json_boolean(module != NULL));
    json_object_set_new(out, "version",
                        module != NULL ? json_incref(json_object_get(module, "ver")) : json_null());
    json_object_set_new(out, "config", gw_plugin_json(&wishes));
    json_object_set_new(out, "enforced", json_pack("[s]", "settings"));
    if (show->runtime) {
        json_t *runtime = json_object();
        json_object_set_new(runtime, "enabled", json_boolean(module != NULL));
        if (module != NULL) {
            json_object_set(runtime, "args", json_object_get(module, "args"));
        }
        json_object_set_new(out, "runtime", runtime);
    }
    if (show->health) {
        json_object_set_new(out, "health", health_of(plan, name));
    }
    gw_plugin_fini(&wishes);
    return out;
}

/* --- statistics: INFO modules ----------------------------------------------------------------- */

/* The module that a section "name" or "name_part" belongs to; NULL: none that is asked for. */
static json_t *owner_of(json_t *plugins, struct hl_slice section)
{
    size_t at = 0;
    json_t *plugin = NULL;
    json_array_foreach(plugins, at, plugin)
    {
        const char *name = json_string_value(json_object_get(plugin, "name"));
        size_t len = strlen(name);
        if (section.len >= len && memcmp(section.ptr, name, len) == 0 &&
            (section.len == len || section.ptr[len] == '_')) {
            return plugin;
        }
    }
    return NULL;
}

static void add_field(json_t *stats, struct hl_slice line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    char name[128];
    if (colon == NULL || (size_t)(colon - line.ptr) >= sizeof name) {
        return;
    }
    size_t len = (size_t)(colon - line.ptr);
    memcpy(name, line.ptr, len);
    name[len] = '\0';
    struct hl_slice value = {.ptr = colon + 1, .len = line.len - len - 1};
    json_object_set_new(stats, name, gw_json_text(value));
}

static void add_stats(json_t *plugins, struct hl_slice info)
{
    size_t at = 0;
    json_t *plugin = NULL;
    json_t *stats = NULL;
    json_array_foreach(plugins, at, plugin)
    {
        json_object_set_new(plugin, "stats", json_object());
    }
    while (info.len != 0) {
        const char *end = memchr(info.ptr, '\n', info.len);
        size_t len = end != NULL ? (size_t)(end - info.ptr) : info.len;
        struct hl_slice line = {.ptr = info.ptr, .len = len};
        info.ptr += end != NULL ? len + 1 : len;
        info.len -= end != NULL ? len + 1 : len;
        line.len -= line.len != 0 && line.ptr[line.len - 1] == '\r';
        if (line.len > 2 && line.ptr[0] == '#') {
            struct hl_slice section = {.ptr = line.ptr + 2, .len = line.len - 2};
            json_t *owner = owner_of(plugins, section);
            stats = owner != NULL ? json_object_get(owner, "stats") : NULL;
        } else if (stats != NULL && line.len != 0) {
            add_field(stats, line);
        }
    }
}

/* An answer whose "plugins" or "plugin" wait for their statistics. */
static void answer_with_stats(struct gw_call *call, RedisModuleCallReply *reply)
{
    json_t *answered = json_incref(gw_plan_of(call)->answer);
    json_t *one = json_object_get(answered, "plugin");
    json_t *list =
        one != NULL ? json_pack("[O]", one) : json_incref(json_object_get(answered, "plugins"));
    add_stats(list, gw_reply_text(reply));
    json_decref(list);
    gw_answer(call, 200, answered);
}

static void answer(struct gw_call *call, json_t *given, const struct show *show)
{
    if (!show->stats) {
        gw_answer(call, 200, given);
        return;
    }
    struct gw_command info = {0};
    gw_plan_of(call)->answer = given;
    gw_arg_text(&info, "INFO");
    gw_arg_text(&info, "modules");
    gw_admin_look(call, &info, answer_with_stats);
}

/* --- looking ---------------------------------------------------------------------------------- */

static void answer_list(struct gw_call *call)
{
    const struct gw_plan *plan = gw_plan_of(call);
    struct show show = show_of_query(call);
    json_t *plugins = json_array();
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(plan->modules, name, value)
    {
        json_array_append_new(plugins, describe(plan, name, &show));
    }
    json_object_foreach(plan->wishes, name, value)
    {
        if (!gw_plan_runs(plan, name)) {
            json_array_append_new(plugins, describe(plan, name, &show));
        }
    }
    int count = (int)json_array_size(plugins);
    json_t *manager = json_pack("{s:b, s:i, s:i, s:i}", "running", 1, "plugin_count", count,
                                "published_events", 0, "dropped_events", 0);
    answer(call,
           json_pack("{s:b, s:o, s:b, s:o, s:i}", "success", 1, "manager", manager,
                     "health_refreshed", (int)show.health, "plugins", plugins, "count", count),
           &show);
}

static void list_plugins(struct gw_call *call)
{
    (void)gw_plan_make(call);
    gw_plan_look(call, answer_list);
}

/* The path's name into `out`; false when the client was told that it is none. */
static bool read_name(struct gw_call *call, char *out, size_t size)
{
    struct hl_slice name = gw_param(call, "name");
    if (!gw_admin_is_name(name) || name.len >= size) {
        gw_fail(call, 400, "invalid",
                "a plugin's name has letters, digits, '_', '-' and '.', at most %d: no path",
                ADMIN_NAME_MAX);
        return false;
    }
    memcpy(out, name.ptr, name.len);
    out[name.len] = '\0';
    return true;
}

/* The name of a call whose plan was looked up; NULL when the client was told that nothing has it.
 */
static const char *known_name(struct gw_call *call, char *name, size_t size)
{
    if (!read_name(call, name, size)) {
        return NULL;
    }
    if (!gw_plan_knows(gw_plan_of(call), name)) {
        gw_fail(call, 404, "no_such_plugin", "there is no plugin of that name");
        return NULL;
    }
    return name;
}

static void answer_one(struct gw_call *call)
{
    char text[ADMIN_NAME_MAX + 1];
    struct show show = show_of_query(call);
    const char *name = known_name(call, text, sizeof text);
    if (name != NULL) {
        json_t *plugin = describe(gw_plan_of(call), name, &show);
        answer(call, json_pack("{s:b, s:o}", "success", 1, "plugin", plugin), &show);
    }
}

static void answer_health(struct gw_call *call)
{
    char text[ADMIN_NAME_MAX + 1];
    const char *name = known_name(call, text, sizeof text);
    if (name != NULL) {
        gw_answer(call, 200,
                  json_pack("{s:b, s:s, s:o}", "success", 1, "plugin", name, "health",
                            health_of(gw_plan_of(call), name)));
    }
}

static void look_at_one(struct gw_call *call, gw_go_on then)
{
    char name[ADMIN_NAME_MAX + 1];
    if (read_name(call, name, sizeof name)) {
        (void)gw_plan_make(call);
        gw_plan_look(call, then);
    }
}

static void get_plugin(struct gw_call *call)
{
    look_at_one(call, answer_one);
}

static void get_health(struct gw_call *call)
{
    look_at_one(call, answer_health);
}

/* --- one order -------------------------------------------------------------------------------- */

static const char *const done_words[] = {"enabled", "disabled", "reloaded", "looked at"};

static json_t *error_of(const struct gw_order *order)
{
    return json_pack("{s:s, s:o}", "code", order->code, "message",
                     gw_json_text(hl_slice_of(order->why)));
}

static void answer_order(struct gw_call *call)
{
    const struct gw_plan *plan = gw_plan_of(call);
    const struct gw_order *order = &plan->orders[0];
    struct show show = {.runtime = true, .health = true};
    char message[160];
    if (order->state == GW_ORDER_FAILED) {
        gw_answer(call, order->status,
                  json_pack("{s:b, s:o}", "success", 0, "error", error_of(order)));
        return;
    }
    (void)snprintf(message, sizeof message, "Plugin %s %s", order->name, done_words[order->kind]);
    gw_answer(call, 200,
              json_pack("{s:b, s:s, s:o}", "success", 1, "message", message, "plugin",
                        describe(plan, order->name, &show)));
}

static void run_order(struct gw_call *call)
{
    gw_plan_prepare(gw_plan_of(call));
    gw_plan_run(call, answer_order);
}

static void order(struct gw_call *call, enum gw_order_kind kind)
{
    char name[ADMIN_NAME_MAX + 1];
    if (!read_name(call, name, sizeof name)) {
        return;
    }
    struct gw_plan *plan = gw_plan_make(call);
    plan->count = 1;
    plan->orders[0].kind = kind;
    plan->orders[0].change = kind == GW_ORDER_RELOAD ? gw_body(call) : NULL;
    memcpy(plan->orders[0].name, name, sizeof name);
    gw_plan_look(call, run_order);
}

static void enable(struct gw_call *call)
{
    order(call, GW_ORDER_ENABLE);
}

static void disable(struct gw_call *call)
{
    order(call, GW_ORDER_DISABLE);
}

static void reload(struct gw_call *call)
{
    order(call, GW_ORDER_RELOAD);
}

static void set_enabled(struct gw_call *call)
{
    const json_t *enabled = json_object_get(gw_body(call), "enabled");
    if (!json_is_boolean(enabled)) {
        gw_fail(call, 400, "invalid", "enabled: true or false");
        return;
    }
    order(call, json_is_true(enabled) ? GW_ORDER_ENABLE : GW_ORDER_DISABLE);
}

/* --- many orders ------------------------------------------------------------------------------ */

static const struct action {
    const char *name;
    enum gw_order_kind kind;
} actions[] = {
    {"enable", GW_ORDER_ENABLE}, {"disable", GW_ORDER_DISABLE}, {"set_enabled", GW_ORDER_ENABLE},
    {"reload", GW_ORDER_RELOAD}, {"health", GW_ORDER_HEALTH},
};

static const struct action *action_of(const json_t *body)
{
    const char *text = json_string_value(json_object_get(body, "action"));
    for (size_t i = 0; text != NULL && i < HL_ARRAY_LEN(actions); i++) {
        if (strcmp(text, actions[i].name) == 0) {
            return &actions[i];
        }
    }
    return NULL;
}

/* An item's member, or the one that holds for all. */
static const json_t *member_of(const json_t *item, const json_t *body, const char *own,
                               const char *common)
{
    const json_t *value = json_object_get(item, own);
    return value != NULL ? value : json_object_get(body, common);
}

static bool read_item(const json_t *item, const json_t *body, const struct action *action,
                      struct gw_order *order, struct gw_form *form)
{
    const json_t *name = json_object_get(item, "name");
    struct hl_slice text = {.ptr = json_string_value(name), .len = json_string_length(name)};
    if (text.ptr == NULL || !gw_admin_is_name(text)) {
        gw_form_fault(form, "items: each has a name: letters, digits, '_', '-' and '.'");
        return false;
    }
    memcpy(order->name, text.ptr, text.len);
    order->kind = action->kind;
    if (strcmp(action->name, "set_enabled") == 0) {
        const json_t *enabled = member_of(item, body, "enabled", "enabled");
        if (!json_is_boolean(enabled)) {
            gw_form_fault(form, "enabled: true or false, of each item or of all");
            return false;
        }
        order->kind = json_is_true(enabled) ? GW_ORDER_ENABLE : GW_ORDER_DISABLE;
    }
    if (order->kind == GW_ORDER_RELOAD) {
        order->change = member_of(item, body, "reload", "default_reload");
        if (order->change != NULL && !json_is_object(order->change)) {
            gw_form_fault(form, "reload: an object");
            return false;
        }
    }
    return true;
}

static bool read_items(const json_t *body, const struct action *action, struct gw_plan *plan,
                       struct gw_form *form)
{
    const json_t *items = json_object_get(body, "items");
    size_t at = 0;
    const json_t *item = NULL;
    if (!json_is_array(items) || json_array_size(items) == 0 ||
        json_array_size(items) > GW_ORDERS_MAX) {
        gw_form_fault(form, "items: an array of 1 to %d", GW_ORDERS_MAX);
        return false;
    }
    json_array_foreach(items, at, item)
    {
        if (!read_item(item, body, action, &plan->orders[at], form)) {
            return false;
        }
        for (size_t i = 0; i < at; i++) {
            if (strcmp(plan->orders[i].name, plan->orders[at].name) == 0) {
                gw_form_fault(form, "items: a name is there twice");
                return false;
            }
        }
    }
    plan->count = json_array_size(items);
    return true;
}

static const char *state_word(enum gw_order_state state)
{
    switch (state) {
    case GW_ORDER_WAITS:
    case GW_ORDER_SKIPPED:
        return "skipped";
    case GW_ORDER_DONE:
        return "done";
    case GW_ORDER_FAILED:
        return "failed";
    case GW_ORDER_TAKEN_BACK:
        break;
    }
    return "rolled_back";
}

static json_t *result_of(const struct gw_plan *plan, const struct gw_order *order,
                         const struct show *show)
{
    json_t *out = json_object();
    bool good = order->state == GW_ORDER_DONE;
    json_object_set_new(out, "name", json_string(order->name));
    json_object_set_new(out, "success", json_boolean(good));
    json_object_set_new(out, "result", json_string(state_word(order->state)));
    if (order->state == GW_ORDER_FAILED) {
        json_object_set_new(out, "error", error_of(order));
    } else if (order->kind == GW_ORDER_HEALTH) {
        json_object_set_new(out, "health", health_of(plan, order->name));
    } else if (gw_plan_knows(plan, order->name)) {
        json_object_set_new(out, "plugin", describe(plan, order->name, show));
    }
    return out;
}

static void answer_bulk(struct gw_call *call)
{
    const struct gw_plan *plan = gw_plan_of(call);
    const json_t *body = gw_body(call);
    struct show show = {.runtime = json_is_true(json_object_get(body, "include_runtime")),
                        .health = json_is_true(json_object_get(body, "refresh_health"))};
    json_t *results = json_array();
    int done = 0;
    int failed = 0;
    int skipped = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const struct gw_order *order = &plan->orders[i];
        done += order->state == GW_ORDER_DONE;
        failed += order->state == GW_ORDER_FAILED;
        skipped += order->state == GW_ORDER_SKIPPED;
        json_array_append_new(results, result_of(plan, order, &show));
    }
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t took_ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 - plan->begun_ms;
    json_t *bulk =
        json_pack("{s:i, s:i, s:i, s:i, s:i, s:b, s:b, s:I}", "requested", (int)plan->count,
                  "processed", (int)plan->count - skipped, "succeeded", done, "failed", failed,
                  "skipped", skipped, "dry_run", (int)plan->dry_run, "rollback_performed",
                  (int)plan->rolled_back, "duration_ms", (json_int_t)took_ms);
    gw_answer(
        call, failed != 0 ? 207 : 200,
        json_pack("{s:b, s:o, s:o}", "success", failed == 0, "bulk", bulk, "results", results));
}

static void run_bulk(struct gw_call *call)
{
    gw_plan_prepare(gw_plan_of(call));
    gw_plan_run(call, answer_bulk);
}

static void bulk(struct gw_call *call)
{
    const json_t *body = gw_body(call);
    struct gw_form form = {.object = body};
    const struct action *action = action_of(body);
    struct gw_plan *plan = gw_plan_make(call);
    if (action == NULL) {
        gw_form_fault(&form, "action: enable, disable, set_enabled, reload or health");
    }
    plan->dry_run = gw_form_flag_or(&form, "dry_run", false);
    plan->rollback = gw_form_flag_or(&form, "rollback_on_error", false);
    plan->stop_on_error = !gw_form_flag_or(&form, "continue_on_error", true);
    (void)gw_form_flag_or(&form, "include_runtime", false);
    (void)gw_form_flag_or(&form, "refresh_health", false);
    if (form.why[0] == '\0') {
        (void)read_items(body, action, plan, &form);
    }
    if (form.why[0] != '\0') {
        gw_fail(call, 400, "invalid", "%s", form.why);
        return;
    }
    gw_plan_look(call, run_bulk);
}

#define PLUGINS "/admin/plugins"
#define ONE PLUGINS "/{name}"

const struct gw_route gw_admin_plugin_routes[] = {
    {"GET", PLUGINS, ADMIN_PERMISSION, NULL, list_plugins, 0, 0},
    {"POST", PLUGINS "/bulk", ADMIN_PERMISSION, NULL, bulk, GW_BODY, BULK_BODY_MAX},
    {"GET", ONE, ADMIN_PERMISSION, NULL, get_plugin, 0, 0},
    {"GET", ONE "/health", ADMIN_PERMISSION, NULL, get_health, 0, 0},
    {"POST", ONE "/enable", ADMIN_PERMISSION, NULL, enable, 0, 0},
    {"POST", ONE "/disable", ADMIN_PERMISSION, NULL, disable, 0, 0},
    {"PUT", ONE "/enabled", ADMIN_PERMISSION, NULL, set_enabled, GW_BODY, 0},
    {"POST", ONE "/reload", ADMIN_PERMISSION, NULL, reload, GW_BODY_MAYBE, 0},
};
const size_t gw_admin_plugin_route_count = HL_ARRAY_LEN(gw_admin_plugin_routes);
