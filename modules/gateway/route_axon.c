/* /kv: the routes of Axon's nodes, in its forms, over the same keys as /api/v1/kv.
 *
 * GET /kv shows all keys, in rounds of SCAN and MGET, and ends early at the bounds below: then the
 * header X-Next-Cursor says where to go on.
 */
#include "keys.h"
#include "routes.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <stdio.h>

#define COUNT_MAX 10000             /* keys in one answer */
#define BYTES_MAX ((size_t)8 << 20) /* of keys and values in it */
#define SCAN_COUNT 1000             /* of one SCAN */
#define ROUNDS_MAX 1000             /* of them */
#define CURSOR_MAX 20

static bool name_key(struct gw_call *call, struct hl_buf *name)
{
    if (!gw_kv_name(name, gw_param(call, "key"))) {
        gw_fail(call, 400, "invalid_key", "a key has 1 to %d bytes", GW_KEY_MAX);
        return false;
    }
    return true;
}

static void answer_success(struct gw_call *call, RedisModuleCallReply *reply)
{
    (void)reply;
    gw_answer(call, 200, json_pack("{s:s}", "status", "success"));
}

static void put(struct gw_call *call)
{
    struct gw_form form = {.object = gw_body(call)};
    struct gw_command command = {0};
    struct hl_buf name = {0};
    struct hl_slice value = gw_form_text(&form, "value", 0, GW_BODY_MAX);
    if (!gw_is_bad(call, &form) && name_key(call, &name)) {
        gw_arg_text(&command, "SET");
        gw_arg(&command, hl_buf_view(&name));
        gw_arg(&command, value);
        gw_run(call, &command, 1, answer_success);
    }
    hl_buf_fini(&name);
}

static void delete_key(struct gw_call *call)
{
    struct gw_command command = {0};
    struct hl_buf name = {0};
    if (name_key(call, &name)) {
        gw_arg_text(&command, "DEL");
        gw_arg(&command, hl_buf_view(&name));
        gw_run(call, &command, 1, answer_success);
    }
    hl_buf_fini(&name);
}

static void answer_value(struct gw_call *call, RedisModuleCallReply *reply)
{
    if (gw_reply_is_null(reply)) {
        gw_fail(call, 404, "not_found", "there is no such key");
        return;
    }
    json_t *answer = json_object();
    json_object_set_new(answer, "key", gw_json_text(gw_param(call, "key")));
    gw_kv_put_value(answer, gw_reply_text(reply));
    gw_answer(call, 200, answer);
}

static void get(struct gw_call *call)
{
    struct gw_command command = {0};
    struct hl_buf name = {0};
    if (name_key(call, &name)) {
        gw_arg_text(&command, "GET");
        gw_arg(&command, hl_buf_view(&name));
        gw_run(call, &command, 1, answer_value);
    }
    hl_buf_fini(&name);
}

/* --- all keys --------------------------------------------------------------------------------- */

struct listing {
    json_t *found;       /* key -> value */
    struct hl_buf match; /* the pattern of SCAN */
    char cursor[CURSOR_MAX + 1];
    int64_t left; /* keys that may still be shown */
    size_t bytes, rounds;
    struct gw_how how;
    size_t key_count;      /* of the round */
    struct hl_slice *keys; /* in key_bytes */
    struct hl_buf key_bytes;
};

static void end_listing(void *state)
{
    struct listing *l = state;
    json_decref(l->found);
    hl_buf_fini(&l->match);
    hl_buf_fini(&l->key_bytes);
    hl_free(l->keys);
    hl_free(l);
}

static void next_round(struct gw_call *call);

static bool is_over(const struct listing *l)
{
    return strcmp(l->cursor, "0") == 0 || l->left <= 0 || l->bytes > BYTES_MAX ||
           l->rounds >= ROUNDS_MAX;
}

static void end_round(struct gw_call *call)
{
    struct listing *l = gw_kept(call);
    if (!is_over(l)) {
        next_round(call);
        return;
    }
    if (strcmp(l->cursor, "0") != 0) {
        gw_add_header(call, "X-Next-Cursor", l->cursor);
    }
    gw_answer(call, 200, json_incref(l->found));
}

static void on_values(struct gw_call *call, RedisModuleCallReply *reply)
{
    struct listing *l = gw_kept(call);
    size_t prefix = strlen(GW_KV_PREFIX);
    for (size_t i = 0; i < gw_reply_count(reply) && i < l->key_count; i++) {
        RedisModuleCallReply *value = gw_reply_at(reply, i);
        if (gw_reply_is_null(value)) {
            continue; /* it went meanwhile */
        }
        struct hl_slice key = {.ptr = l->keys[i].ptr + prefix, .len = l->keys[i].len - prefix};
        json_t *name = gw_json_text(key);
        l->left -= json_object_get(l->found, json_string_value(name)) == NULL;
        json_object_set_new(l->found, json_string_value(name), gw_json_text(gw_reply_text(value)));
        json_decref(name);
        l->bytes += key.len + gw_reply_text(value).len;
    }
    end_round(call);
}

/* Keep the keys of a round: the reply that they are in ends with it. */
static void keep_keys(struct listing *l, RedisModuleCallReply *keys)
{
    size_t count = gw_reply_count(keys);
    l->keys = hl_realloc(l->keys, (count + 1) * sizeof *l->keys);
    hl_buf_clear(&l->key_bytes);
    for (size_t i = 0; i < count; i++) {
        l->keys[i] = gw_reply_text(gw_reply_at(keys, i));
        hl_buf_append_slice(&l->key_bytes, l->keys[i]);
    }
    const char *at = l->key_bytes.ptr;
    for (size_t i = 0; i < count; i++) {
        l->keys[i].ptr = at;
        at += l->keys[i].len;
    }
    l->key_count = count;
}

static void on_keys(struct gw_call *call, RedisModuleCallReply *reply)
{
    struct listing *l = gw_kept(call);
    struct hl_slice cursor = gw_reply_text(gw_reply_at(reply, 0));
    snprintf(l->cursor, sizeof l->cursor, "%.*s", (int)cursor.len, cursor.ptr);
    l->rounds++;
    keep_keys(l, gw_reply_at(reply, 1));
    if (l->key_count == 0) {
        end_round(call);
        return;
    }
    gw_run_list(call, "MGET", l->keys, l->key_count, &l->how, on_values);
}

static void next_round(struct gw_call *call)
{
    struct listing *l = gw_kept(call);
    struct gw_command command = {0};
    gw_arg_text(&command, "SCAN");
    gw_arg_text(&command, l->cursor);
    gw_arg_text(&command, "MATCH");
    gw_arg(&command, hl_buf_view(&l->match));
    gw_arg_text(&command, "COUNT");
    gw_arg_number(&command, l->left < SCAN_COUNT ? l->left : SCAN_COUNT);
    gw_arg_text(&command, "TYPE");
    gw_arg_text(&command, "string");
    gw_run_how(call, &command, 1, &l->how, on_keys);
}

static bool read_consistency(struct gw_form *form, struct hl_slice text, int *read)
{
    bool local = text.ptr == NULL || hl_slice_equal(text, hl_slice_of("local"));
    if (!local && !hl_slice_equal(text, hl_slice_of("linearizable"))) {
        gw_form_fault(form, "'consistency' is local or linearizable");
    }
    *read = local ? HELIOSMODULE_READ_STALE : HELIOSMODULE_READ_LINEARIZABLE;
    return form->why[0] == '\0';
}

static void get_all(struct gw_call *call)
{
    struct gw_form form = {0};
    struct listing *l = hl_calloc(1, sizeof *l);
    l->found = json_object();
    gw_keep(call, l, end_listing);
    struct hl_slice prefix = gw_query(call, "prefix");
    l->left =
        gw_form_query_number(&form, "count", gw_query(call, "count"), COUNT_MAX, 1, COUNT_MAX);
    int64_t cursor =
        gw_form_query_number(&form, "cursor", gw_query(call, "cursor"), 0, 0, INT64_MAX);
    (void)read_consistency(&form, gw_query(call, "consistency"), &l->how.read);
    if (prefix.len > GW_KEY_MAX) {
        gw_form_fault(&form, "'prefix' has more than %d bytes", GW_KEY_MAX);
    }
    if (gw_is_bad(call, &form)) {
        return;
    }
    snprintf(l->cursor, sizeof l->cursor, "%lld", (long long)cursor);
    gw_kv_pattern(&l->match, prefix);
    next_round(call);
}

#define KEY "/kv/{key...}"

const struct gw_route gw_axon_routes[] = {
    {"PUT", KEY, "kv:set", "key", put, GW_BODY | GW_ONCE | GW_LOCAL_CLIENTS, 0},
    {"GET", KEY, "kv:get", "key", get, GW_LOCAL_CLIENTS, 0},
    {"DELETE", KEY, "kv:delete", "key", delete_key, GW_ONCE | GW_LOCAL_CLIENTS, 0},
    {"GET", "/kv", "kv:get", NULL, get_all, GW_LOCAL_CLIENTS, 0},
};
const size_t gw_axon_route_count = HL_ARRAY_LEN(gw_axon_routes);
