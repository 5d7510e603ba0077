/* /api/v1/kv: keys and their values, as strings under `kv:` (README.md). */
#include "keys.h"
#include "routes.h"

#include "kit/assert.h"
#include "kit/json.h"

#define VALUE_MAX ((size_t)GW_BODY_MAX)

/* The name in the keyspace; false when the client was told that it is none. */
static bool name_key(struct gw_call *call, struct hl_slice key, struct hl_buf *name)
{
    if (!gw_kv_name(name, key)) {
        gw_fail(call, 400, "invalid_key", "a key has 1 to %d bytes", GW_KEY_MAX);
        return false;
    }
    return true;
}

/* --- reading ---------------------------------------------------------------------------------- */

static void answer_value(struct gw_call *call, RedisModuleCallReply *reply)
{
    RedisModuleCallReply *value = gw_reply_at(reply, 0);
    if (gw_reply_is_null(value)) {
        gw_fail(call, 404, "not_found", "there is no such key");
        return;
    }
    json_t *object = json_object();
    json_object_set_new(object, "key", gw_json_text(gw_param(call, "key")));
    gw_kv_put_value(object, gw_reply_text(value));
    json_object_set_new(object, "ttl", json_integer(gw_reply_number(gw_reply_at(reply, 1))));
    gw_answer(call, 200, object);
}

static void get(struct gw_call *call)
{
    struct hl_buf name = {0};
    if (name_key(call, gw_param(call, "key"), &name)) {
        struct gw_command commands[2] = {0};
        gw_arg_text(&commands[0], "GET");
        gw_arg(&commands[0], hl_buf_view(&name));
        gw_arg_text(&commands[1], "TTL");
        gw_arg(&commands[1], hl_buf_view(&name));
        gw_run(call, commands, 2, answer_value);
    }
    hl_buf_fini(&name);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void answer_set(struct gw_call *call, RedisModuleCallReply *reply)
{
    (void)reply;
    struct hl_slice key = gw_param(call, "key");
    json_t *object = json_object();
    json_object_set_new(object, "ok", json_true());
    if (key.ptr == NULL) { /* POST without a key in its path has it in the body */
        json_object_set(object, "key", json_object_get(gw_body(call), "key"));
    } else {
        json_object_set_new(object, "key", gw_json_text(key));
    }
    gw_answer(call, 200, object);
}

/* SET it to what the body says. */
static void set_key(struct gw_call *call, struct hl_slice key)
{
    struct gw_form form = {.object = gw_body(call)};
    struct hl_buf decoded = {0};
    struct hl_buf name = {0};
    struct hl_slice value = gw_kv_value(&form, &decoded, VALUE_MAX);
    int64_t ttl_s = gw_form_number_or(&form, "ttl", 0, 0, GW_KV_TTL_MAX_S);
    if (!gw_is_bad(call, &form) && name_key(call, key, &name)) {
        struct gw_command set = {0};
        gw_arg_text(&set, "SET");
        gw_arg(&set, hl_buf_view(&name));
        gw_arg(&set, value);
        if (ttl_s != 0) {
            gw_arg_text(&set, "EX");
            gw_arg_number(&set, ttl_s);
        }
        gw_run(call, &set, 1, answer_set);
    }
    hl_buf_fini(&name);
    hl_buf_fini(&decoded);
}

static void set(struct gw_call *call)
{
    set_key(call, gw_param(call, "key"));
}

static void set_named_in_body(struct gw_call *call)
{
    set_key(call, hl_json_text(gw_body(call), "key"));
}

static void check_named_in_body(struct gw_call *call)
{
    struct hl_slice key = hl_json_text(gw_body(call), "key");
    struct hl_buf name = {0};
    if (name_key(call, key, &name)) {
        gw_check(call, "kv:set", key, set_named_in_body);
    }
    hl_buf_fini(&name);
}

/* --- deleting --------------------------------------------------------------------------------- */

static void answer_deleted(struct gw_call *call, RedisModuleCallReply *reply)
{
    gw_answer(call, 200,
              json_pack("{s:b, s:I}", "ok", 1, "deleted", (json_int_t)gw_reply_number(reply)));
}

static void delete_key(struct gw_call *call)
{
    struct hl_buf name = {0};
    if (name_key(call, gw_param(call, "key"), &name)) {
        struct gw_command del = {0};
        gw_arg_text(&del, "DEL");
        gw_arg(&del, hl_buf_view(&name));
        gw_run(call, &del, 1, answer_deleted);
    }
    hl_buf_fini(&name);
}

#define KEY_ROUTE "/api/v1/kv/{key...}"

const struct gw_route gw_kv_routes[] = {
    {"GET", KEY_ROUTE, "kv:get", "key", get, 0, 0},
    {"PUT", KEY_ROUTE, "kv:set", "key", set, GW_BODY | GW_ONCE, 0},
    {"POST", KEY_ROUTE, "kv:set", "key", set, GW_BODY | GW_ONCE, 0},
    {"DELETE", KEY_ROUTE, "kv:delete", "key", delete_key, GW_ONCE, 0},
    {"POST", "/api/v1/kv", GW_IN_HANDLER, NULL, check_named_in_body, GW_BODY | GW_ONCE, 0},
};
const size_t gw_kv_route_count = HL_ARRAY_LEN(gw_kv_routes);
