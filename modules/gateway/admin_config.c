/* /admin/config: the settings in use, without secrets; reading the file again. */
#include "admin.h"
#include "routes.h"

#include "kit/assert.h"
#include "kit/json.h"

/* --- looking ---------------------------------------------------------------------------------- */

/* YAML takes every JSON text as it is. */
static void answer_yaml(struct gw_call *call, json_t *given)
{
    struct hl_buf text = {0};
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(given, name, value)
    {
        hl_buf_printf(&text, "%s: ", name);
        hl_json_append(&text, value);
        hl_buf_append_u8(&text, '\n');
    }
    json_decref(given);
    gw_answer_text(call, 200, "application/yaml", hl_buf_view(&text));
    hl_buf_fini(&text);
}

static void answer_config(struct gw_call *call, RedisModuleCallReply *reply)
{
    json_t *config = gw_reply_json(reply);
    if (hl_slice_equal(gw_query(call, "format"), hl_slice_of("yaml"))) {
        answer_yaml(call, config);
        return;
    }
    gw_answer(call, 200, config);
}

static void get_config(struct gw_call *call)
{
    struct hl_slice format = gw_query(call, "format");
    struct gw_command export = {0};
    if (format.ptr != NULL && !hl_slice_equal(format, hl_slice_of("yaml")) &&
        !hl_slice_equal(format, hl_slice_of("json"))) {
        gw_fail(call, 400, "invalid", "format: yaml or json");
        return;
    }
    gw_arg_text(&export, "CONFIG");
    gw_arg_text(&export, "EXPORT");
    gw_admin_look(call, &export, answer_config);
}

/* --- the file --------------------------------------------------------------------------------- */

/* Whether it is an error; then it is answered: 503 without a file, else 400. */
static bool refused(struct gw_call *call, RedisModuleCallReply *reply)
{
    static const char no_file[] = "the server runs without a config file";
    if (RedisModule_CallReplyType(reply) != REDISMODULE_REPLY_ERROR) {
        return false;
    }
    struct hl_slice text = gw_reply_text(reply);
    const char prefix[] = "ERR ";
    if (text.len > sizeof prefix - 1 && memcmp(text.ptr, prefix, sizeof prefix - 1) == 0) {
        text.ptr += sizeof prefix - 1;
        text.len -= sizeof prefix - 1;
    }
    bool none = hl_slice_equal(text, hl_slice_of(no_file));
    json_t *error = json_pack("{s:s, s:o}", "code", none ? "no_config_file" : "reload_refused",
                              "message", gw_json_text(text));
    gw_answer(call, none ? 503 : 400, json_pack("{s:b, s:o}", "success", 0, "error", error));
    return true;
}

static void answer_reload(struct gw_call *call, RedisModuleCallReply *reply)
{
    if (!refused(call, reply)) {
        json_t *answer = gw_reply_json(reply);
        json_t *last_ms = json_object_get(answer, "last_reload_ms");
        json_object_set_new(answer, "success", json_true());
        json_object_set_new(answer, "message", json_string("Configuration reloaded successfully"));
        json_object_set_new(answer, "last_reload",
                            json_integer(json_integer_value(last_ms) / 1000));
        gw_answer(call, 200, answer);
    }
}

static void answer_diff(struct gw_call *call, RedisModuleCallReply *reply)
{
    if (!refused(call, reply)) {
        json_t *changes = gw_reply_json(reply);
        gw_answer(
            call, 200,
            json_pack("{s:i, s:o}", "count", (int)json_array_size(changes), "changes", changes));
    }
}

static void run_config(struct gw_call *call, const char *subcommand, gw_then then)
{
    struct gw_how how = {.read = HELIOSMODULE_READ_STALE, .own_errors = true};
    struct gw_command command = {0};
    gw_arg_text(&command, "CONFIG");
    gw_arg_text(&command, subcommand);
    gw_run_how(call, &command, 1, &how, then);
}

static void reload(struct gw_call *call)
{
    run_config(call, "RELOAD", answer_reload);
}

static void diff(struct gw_call *call)
{
    run_config(call, "DIFF", answer_diff);
}

const struct gw_route gw_admin_config_routes[] = {
    {"GET", "/admin/config", ADMIN_PERMISSION, NULL, get_config, 0, 0},
    {"POST", "/admin/config/reload", ADMIN_PERMISSION, NULL, reload, 0, 0},
    {"GET", "/admin/config/diff", ADMIN_PERMISSION, NULL, diff, 0, 0},
};
const size_t gw_admin_config_route_count = HL_ARRAY_LEN(gw_admin_config_routes);
