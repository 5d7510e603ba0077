#include "plugins.h"

#include "admin.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/json.h"
#include "kit/num.h"

#include <stdio.h>
#include <time.h>

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- plans ------------------------------------------------------------------------------------ */

static void plan_destroy(void *state)
{
    struct gw_plan *plan = state;
    for (size_t i = 0; i < plan->count; i++) {
        gw_plugin_fini(&plan->orders[i].before);
        gw_plugin_fini(&plan->orders[i].after);
        json_decref(plan->orders[i].old_settings);
    }
    json_decref(plan->modules);
    json_decref(plan->wishes);
    json_decref(plan->answer);
    hl_free(plan);
}

struct gw_plan *gw_plan_make(struct gw_call *call)
{
    struct gw_plan *plan = hl_calloc(1, sizeof *plan);
    plan->begun_ms = now_ms();
    gw_keep(call, plan, plan_destroy);
    return plan;
}

struct gw_plan *gw_plan_of(const struct gw_call *call)
{
    HL_ASSERT(gw_kept(call) != NULL);
    return gw_kept(call);
}

bool gw_plan_runs(const struct gw_plan *plan, const char *name)
{
    return json_object_get(plan->modules, name) != NULL;
}

bool gw_plan_knows(const struct gw_plan *plan, const char *name)
{
    return gw_plan_runs(plan, name) || json_object_get(plan->wishes, name) != NULL;
}

struct gw_plugin gw_plan_wishes(const struct gw_plan *plan, const char *name)
{
    struct gw_plugin out;
    char why[200] = "";
    const json_t *wish = json_object_get(plan->wishes, name);
    gw_plugin_init(&out);
    /* Whoever may write to the key can write anything there: what is malformed counts as nothing.
     */
    (void)(wish != NULL && gw_plugin_change(&out, wish, why, sizeof why));
    return out;
}

/* --- looking ---------------------------------------------------------------------------------- */

static void take_wishes(struct gw_call *call, RedisModuleCallReply *reply)
{
    struct gw_plan *plan = gw_plan_of(call);
    json_t *texts = gw_reply_json(reply);
    const char *name = NULL;
    json_t *text = NULL;
    json_decref(plan->wishes);
    plan->wishes = json_object();
    json_object_foreach(texts, name, text)
    {
        json_t *wish = NULL;
        struct hl_json_limits limits = {.size_max = GW_BODY_MAX, .depth_max = 8};
        struct hl_slice bytes = {.ptr = json_string_value(text), .len = json_string_length(text)};
        struct hl_slice as_text = hl_slice_of(name);
        if (bytes.ptr != NULL && gw_admin_is_name(as_text) &&
            hl_json_parse(&wish, bytes, &limits, NULL) == HL_OK && json_is_object(wish)) {
            json_object_set(plan->wishes, name, wish);
        }
        json_decref(wish);
    }
    json_decref(texts);
    plan->then(call);
}

static void then_wishes(struct gw_call *call, RedisModuleCallReply *reply)
{
    struct gw_plan *plan = gw_plan_of(call);
    json_t *list = gw_reply_json(reply);
    size_t at = 0;
    json_t *module = NULL;
    json_decref(plan->modules);
    plan->modules = json_object();
    json_array_foreach(list, at, module)
    {
        const char *name = json_string_value(json_object_get(module, "name"));
        if (name != NULL) {
            json_object_set(plan->modules, name, module);
        }
    }
    json_decref(list);
    struct gw_command get = {0};
    gw_arg_text(&get, "HGETALL");
    gw_arg_text(&get, GW_PLUGIN_KEY);
    gw_run(call, &get, 1, take_wishes);
}

void gw_plan_look(struct gw_call *call, gw_go_on then)
{
    struct gw_command list = {0};
    gw_plan_of(call)->then = then;
    gw_arg_text(&list, "MODULE");
    gw_arg_text(&list, "LIST");
    gw_admin_look(call, &list, then_wishes);
}

/* --- preparing -------------------------------------------------------------------------------- */

static void fail_order(struct gw_order *order, int status, const char *code, const char *why)
{
    order->state = GW_ORDER_FAILED;
    order->status = status;
    order->code = code;
    if (why != order->why) {
        (void)snprintf(order->why, sizeof order->why, "%s", why);
    }
}

static void add_step(struct gw_order *order, enum gw_step step)
{
    HL_ASSERT(order->step_count < GW_STEPS_MAX);
    order->steps[order->step_count++] = step;
}

/* O2 */
static bool serves_us(const char *name)
{
    static const char *const ours[] = {"gateway", "http", "auth", "rbac"};
    for (size_t i = 0; i < HL_ARRAY_LEN(ours); i++) {
        if (strcmp(name, ours[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void add_settings(struct gw_order *order)
{
    if (json_object_size(order->after.settings) != 0) {
        add_step(order, GW_STEP_PEEK);
        add_step(order, GW_STEP_SET);
    }
}

/* What is to be done so that the module runs, or does not, afterwards. */
static void add_steps(struct gw_order *order, bool runs_before, bool runs_after, bool swap)
{
    if (!runs_before && runs_after) {
        add_step(order, GW_STEP_LOAD);
    }
    if (runs_after) {
        add_settings(order);
    }
    if (runs_before && runs_after && swap) {
        add_step(order, GW_STEP_SWAP);
    }
    if (runs_before && !runs_after) {
        add_step(order, GW_STEP_UNLOAD);
    }
    add_step(order, GW_STEP_STORE);
}

static void prepare(const struct gw_plan *plan, struct gw_order *order)
{
    bool runs = gw_plan_runs(plan, order->name);
    bool wanted = runs;
    bool swap = order->kind == GW_ORDER_RELOAD;
    order->loaded_before = runs;
    order->before = gw_plan_wishes(plan, order->name);
    order->after = gw_plan_wishes(plan, order->name);
    if (order->change != NULL) {
        const json_t *enabled = json_object_get(order->change, "enabled");
        if (enabled != NULL && !json_is_boolean(enabled)) {
            fail_order(order, 400, "invalid", "enabled: true or false");
            return;
        }
        if (!gw_plugin_change(&order->after, order->change, order->why, sizeof order->why)) {
            fail_order(order, 400, "invalid", order->why);
            return;
        }
        wanted = enabled != NULL ? json_is_true(enabled) : wanted;
    }
    wanted = order->kind == GW_ORDER_ENABLE    ? true
             : order->kind == GW_ORDER_DISABLE ? false
                                               : wanted;
    if (order->kind != GW_ORDER_ENABLE && !gw_plan_knows(plan, order->name)) {
        fail_order(order, 404, "no_such_plugin", "there is no plugin of that name");
    } else if (order->kind == GW_ORDER_HEALTH) {
        return;
    } else if (runs && serves_us(order->name) && (swap || !wanted)) {
        fail_order(order, 409, "in_use", "this module serves this request: use MODULE by RESP");
    } else {
        add_steps(order, runs, wanted, swap);
    }
}

void gw_plan_prepare(struct gw_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        prepare(plan, &plan->orders[i]);
    }
}

/* --- carrying out ----------------------------------------------------------------------------- */

static void go_on(struct gw_call *call);

static void module_command(struct gw_command *command, const char *subcommand, const char *name)
{
    gw_arg_text(command, "MODULE");
    gw_arg_text(command, subcommand);
    gw_arg_text(command, name);
}

/* MODULE LOAD, with the arguments that it had when it ran before. */
static void load_command(const struct gw_plan *plan, const struct gw_order *order,
                         struct gw_command *command)
{
    const json_t *args = json_object_get(json_object_get(plan->modules, order->name), "args");
    size_t at = 0;
    const json_t *arg = NULL;
    module_command(command, "LOAD", order->name);
    json_array_foreach(args, at, arg)
    {
        if (json_is_string(arg) && command->argc < GW_ARGS_MAX) {
            gw_arg(command, (struct hl_slice){.ptr = json_string_value(arg),
                                              .len = json_string_length(arg)});
        }
    }
}

/* The names and values of settings for CONFIG GET and SET; texts live in `store`. */
static void setting_args(const struct gw_order *order, bool values, struct gw_command *command,
                         struct hl_buf *store)
{
    size_t offsets[2 * GW_PLUGIN_SETTINGS_MAX][2];
    size_t count = 0;
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(order->after.settings, name, value)
    {
        offsets[count][0] = store->len;
        hl_buf_printf(store, "%s.%s", order->name, name);
        offsets[count][1] = store->len - offsets[count][0];
        count++;
        if (!values) {
            continue;
        }
        offsets[count][0] = store->len;
        if (json_is_string(value)) {
            hl_buf_append(store, json_string_value(value), json_string_length(value));
        } else if (json_is_boolean(value)) {
            hl_buf_append_text(store, json_is_true(value) ? "yes" : "no");
        } else {
            hl_buf_printf(store, "%lld", (long long)json_integer_value(value));
        }
        offsets[count][1] = store->len - offsets[count][0];
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        gw_arg(command, (struct hl_slice){.ptr = store->ptr + offsets[i][0], .len = offsets[i][1]});
    }
}

static void store_command(const struct gw_order *order, const struct gw_plugin *wishes,
                          struct gw_command *command, struct hl_buf *store)
{
    json_t *object = gw_plugin_json(wishes);
    hl_json_append(store, object);
    json_decref(object);
    gw_arg_text(command, "HSET");
    gw_arg_text(command, GW_PLUGIN_KEY);
    gw_arg_text(command, order->name);
    gw_arg(command, hl_buf_view(store));
}

static void do_step(struct gw_call *call, const struct gw_order *order, gw_then then)
{
    struct gw_command command = {0};
    struct hl_buf store = {0};
    switch (order->steps[order->at]) {
    case GW_STEP_LOAD:
        load_command(gw_plan_of(call), order, &command);
        break;
    case GW_STEP_PEEK:
        gw_arg_text(&command, "CONFIG");
        gw_arg_text(&command, "GET");
        setting_args(order, false, &command, &store);
        break;
    case GW_STEP_SET:
        gw_arg_text(&command, "CONFIG");
        gw_arg_text(&command, "SET");
        setting_args(order, true, &command, &store);
        break;
    case GW_STEP_SWAP:
        module_command(&command, "RELOAD", order->name);
        break;
    case GW_STEP_UNLOAD:
        module_command(&command, "UNLOAD", order->name);
        break;
    case GW_STEP_STORE:
        store_command(order, &order->after, &command, &store);
        break;
    }
    gw_admin_change(call, &command, true, then);
    hl_buf_fini(&store);
}

static bool contains(struct hl_slice text, const char *word)
{
    return text.len >= strlen(word) && memmem(text.ptr, text.len, word, strlen(word)) != NULL;
}

/* What an error of a step means to a client of HTTP. */
static void judge(struct gw_order *order, struct hl_slice text)
{
    enum gw_step step = order->steps[order->at];
    int status = 400;
    const char *code = "invalid";
    if (contains(text, "not allowed")) {
        status = 403;
        code = "forbidden";
    } else if (text.len > 4 && memcmp(text.ptr, "BUSY", 4) == 0) {
        status = 503;
        code = "busy";
    } else if (step == GW_STEP_SWAP || step == GW_STEP_UNLOAD) {
        status = 409;
        code = step == GW_STEP_SWAP ? "cannot_reload" : "cannot_unload";
    } else if (step == GW_STEP_LOAD) {
        status = 400;
        code = "cannot_load";
    }
    (void)snprintf(order->why, sizeof order->why, "%.*s", (int)text.len, text.ptr);
    fail_order(order, status, code, order->why);
}

/* The step is done, or the order has failed and what it did is taken back. */
static void on_step(struct gw_call *call, RedisModuleCallReply *reply)
{
    struct gw_plan *plan = gw_plan_of(call);
    struct gw_order *order = &plan->orders[plan->at];
    if (RedisModule_CallReplyType(reply) == REDISMODULE_REPLY_ERROR) {
        judge(order, gw_reply_text(reply));
        go_on(call);
        return;
    }
    if (order->steps[order->at] == GW_STEP_PEEK) {
        order->old_settings = gw_reply_json(reply);
    }
    order->at++;
    if (order->at == order->step_count) {
        order->state = GW_ORDER_DONE;
    }
    go_on(call);
}

/* --- taking back ------------------------------------------------------------------------------ */

static void on_undone(struct gw_call *call, RedisModuleCallReply *reply)
{
    (void)reply; /* what cannot be taken back stays: the answer shows how things are */
    struct gw_plan *plan = gw_plan_of(call);
    plan->orders[plan->at].taken_back++;
    go_on(call);
}

/* Take back the last step that stands; false when it is none that can be. */
static bool undo_step(struct gw_call *call, struct gw_order *order)
{
    struct gw_command command = {0};
    struct hl_buf store = {0};
    const char *name = NULL;
    json_t *value = NULL;
    switch (order->steps[order->at - 1 - order->taken_back]) {
    case GW_STEP_LOAD:
        module_command(&command, "UNLOAD", order->name);
        break;
    case GW_STEP_UNLOAD:
        load_command(gw_plan_of(call), order, &command);
        break;
    case GW_STEP_SET:
        if (json_object_size(order->old_settings) == 0 || !order->loaded_before) {
            return false;
        }
        gw_arg_text(&command, "CONFIG");
        gw_arg_text(&command, "SET");
        json_object_foreach(order->old_settings, name, value)
        {
            gw_arg_text(&command, name);
            gw_arg(&command, (struct hl_slice){.ptr = json_string_value(value),
                                               .len = json_string_length(value)});
        }
        break;
    case GW_STEP_STORE:
        store_command(order, &order->before, &command, &store);
        break;
    case GW_STEP_PEEK:
    case GW_STEP_SWAP: /* the same module, swapped: nothing of it is lost */
        return false;
    }
    gw_admin_change(call, &command, true, on_undone);
    hl_buf_fini(&store);
    return true;
}

/* One more step back of the order at hand; false when there is none left. */
static bool step_back(struct gw_call *call, struct gw_order *order)
{
    while (order->taken_back < order->at) {
        if (undo_step(call, order)) {
            return true;
        }
        order->taken_back++;
    }
    return false;
}

/* All that was done goes back, the last first; false when that is over. */
static bool roll_back(struct gw_call *call, struct gw_plan *plan)
{
    for (;;) {
        struct gw_order *order = &plan->orders[plan->at];
        if (order->state == GW_ORDER_DONE && order->step_count != 0) {
            if (step_back(call, order)) {
                return true;
            }
            order->state = GW_ORDER_TAKEN_BACK;
        }
        if (plan->at == 0) {
            return false;
        }
        plan->at--;
    }
}

/* --- the order of things ---------------------------------------------------------------------- */

static void skip_rest(struct gw_plan *plan)
{
    for (size_t i = plan->at + 1; i < plan->count; i++) {
        if (plan->orders[i].state == GW_ORDER_WAITS) {
            plan->orders[i].state = GW_ORDER_SKIPPED;
        }
    }
    plan->at = plan->count;
}

static void finish(struct gw_call *call)
{
    gw_plan_look(call, gw_plan_of(call)->then); /* the answer tells how things are now */
}

/* The next thing to do: a step of an order, a step back, the end. */
static void go_on(struct gw_call *call)
{
    struct gw_plan *plan = gw_plan_of(call);
    while (!plan->rolling_back && plan->at < plan->count) {
        struct gw_order *order = &plan->orders[plan->at];
        if (order->state == GW_ORDER_WAITS && order->at < order->step_count && !plan->dry_run) {
            do_step(call, order, on_step);
            return;
        }
        if (order->state == GW_ORDER_FAILED && step_back(call, order)) {
            return;
        }
        if (order->state == GW_ORDER_WAITS) {
            order->state = GW_ORDER_DONE; /* nothing to do, or only to say what would be */
        }
        if (order->state == GW_ORDER_FAILED && plan->rollback && !plan->dry_run) {
            size_t at = plan->at;
            skip_rest(plan);
            plan->at = at;
            plan->rolling_back = true;
            plan->rolled_back = true;
        } else if (order->state == GW_ORDER_FAILED && plan->stop_on_error) {
            skip_rest(plan);
        } else {
            plan->at++;
        }
    }
    if (plan->rolling_back && roll_back(call, plan)) {
        return;
    }
    finish(call);
}

void gw_plan_run(struct gw_call *call, gw_go_on then)
{
    gw_plan_of(call)->then = then;
    go_on(call);
}
