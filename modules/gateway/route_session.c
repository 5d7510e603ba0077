/* /api/v1/auth/sessions and /api/v1/auth/api-keys: what a user holds, and how he gives it up.
 *
 *   N1  All this is for who came with the token of a session: an API key, perhaps a narrow one,
 * makes no other key and ends no session. N2  Nobody sees or ends what is another's: an id is
 * looked for among the user's own first.
 */
#include "form.h"
#include "routes.h"

#include "kit/assert.h"

#define ID_MAX 64
#define TTL_MAX_S (INT64_C(10) * 365 * 86400)

bool gw_has_session(struct gw_call *call)
{
    if (gw_who(call)->kind == HELIOS_AUTH_TOKEN && gw_who(call)->session[0] != '\0') {
        return true;
    }
    gw_fail(call, 403, "session_needed", "this needs the token of a session, not an API key");
    return false;
}

/* Copy a text, or a list of them. */
static void copy(json_t *object, const char *name, RedisModuleCallReply *reply)
{
    RedisModuleCallReply *value = gw_reply_field(reply, name);
    if (value != NULL) {
        json_object_set_new(object, name, gw_reply_json(value));
    }
}

/* Copy a moment: auth counts seconds, the API milliseconds. */
static void copy_moment(json_t *object, const char *member, RedisModuleCallReply *reply,
                        const char *field)
{
    int64_t seconds = gw_reply_number(gw_reply_field(reply, field));
    json_object_set_new(object, member, json_integer(seconds * 1000));
}

/* Whether one of a list's maps has this id under `field`. */
static bool has_id(RedisModuleCallReply *list, const char *field, struct hl_slice id)
{
    for (size_t i = 0; i < gw_reply_count(list); i++) {
        if (hl_slice_equal(gw_reply_text(gw_reply_field(gw_reply_at(list, i), field)), id)) {
            return true;
        }
    }
    return false;
}

/* --- sessions --------------------------------------------------------------------------------- */

static void ask_sessions(struct gw_call *call, gw_then then)
{
    struct gw_command command = {0};
    if (gw_has_session(call)) {
        gw_arg_text(&command, "AUTH.SESSIONS");
        gw_arg_text(&command, gw_who(call)->name);
        gw_run(call, &command, 1, then);
    }
}

static void answer_sessions(struct gw_call *call, RedisModuleCallReply *reply)
{
    json_t *sessions = json_array();
    for (size_t i = 0; i < gw_reply_count(reply); i++) {
        RedisModuleCallReply *one = gw_reply_at(reply, i);
        json_t *session = json_object();
        struct hl_slice id = gw_reply_text(gw_reply_field(one, "session"));
        copy(session, "session", one);
        copy(session, "device", one);
        copy(session, "address", one);
        copy_moment(session, "created_at", one, "created");
        copy_moment(session, "last_used_at", one, "last_used");
        copy_moment(session, "expires_at", one, "expires");
        bool current = hl_slice_equal(id, hl_slice_of(gw_who(call)->session));
        json_object_set_new(session, "current", json_boolean(current));
        json_array_append_new(sessions, session);
    }
    gw_answer(call, 200, json_pack("{s:o}", "sessions", sessions));
}

static void list_sessions(struct gw_call *call)
{
    ask_sessions(call, answer_sessions);
}

static void answer_ended(struct gw_call *call, RedisModuleCallReply *reply)
{
    gw_answer(call, 200,
              json_pack("{s:b, s:I}", "ok", 1, "ended", (json_int_t)gw_reply_number(reply)));
}

static void end_one(struct gw_call *call, RedisModuleCallReply *reply)
{
    struct gw_command command = {0};
    struct hl_slice id = gw_param(call, "id");
    if (!has_id(reply, "session", id)) { /* N2 */
        gw_fail(call, 404, "no_such_session", "you have no such session");
        return;
    }
    gw_arg_text(&command, "AUTH.SESSION");
    gw_arg_text(&command, "REVOKE");
    gw_arg(&command, id);
    gw_run(call, &command, 1, answer_ended);
}

static void end_session(struct gw_call *call)
{
    ask_sessions(call, end_one);
}

static void end_others(struct gw_call *call)
{
    struct gw_command command = {0};
    if (gw_has_session(call)) {
        gw_arg_text(&command, "AUTH.SESSION");
        gw_arg_text(&command, "REVOKE");
        gw_arg_text(&command, "OTHERS");
        gw_arg_text(&command, gw_who(call)->session);
        gw_run(call, &command, 1, answer_ended);
    }
}

/* --- API keys --------------------------------------------------------------------------------- */

static json_t *key_json(RedisModuleCallReply *reply)
{
    json_t *key = json_object();
    copy(key, "id", reply);
    copy(key, "name", reply);
    copy(key, "scopes", reply);
    copy(key, "key", reply); /* when it is made, and never again */
    copy_moment(key, "created_at", reply, "created");
    copy_moment(key, "expires_at", reply, "expires");
    copy_moment(key, "last_used_at", reply, "last_used");
    return key;
}

static void answer_made(struct gw_call *call, RedisModuleCallReply *reply)
{
    gw_add_header(call, "Cache-Control", "no-store");
    gw_answer(call, 201, key_json(reply));
}

static void add_scopes(struct gw_form *form, struct gw_command *command)
{
    const json_t *scopes = json_object_get(form->object, "scopes");
    size_t count = scopes == NULL ? 0 : json_array_size(scopes);
    if (scopes != NULL && !json_is_null(scopes) && !json_is_array(scopes)) {
        gw_form_fault(form, "'scopes' must be a list");
    }
    if (count > HELIOS_AUTH_SCOPES_MAX) {
        gw_form_fault(form, "there are at most %d scopes", HELIOS_AUTH_SCOPES_MAX);
    }
    if (count == 0 || form->why[0] != '\0') {
        return;
    }
    gw_arg_text(command, "SCOPES");
    gw_arg_number(command, (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        const json_t *scope = json_array_get(scopes, i);
        if (!json_is_string(scope)) {
            gw_form_fault(form, "a scope is a string");
            return;
        }
        gw_arg(command, (struct hl_slice){.ptr = json_string_value(scope),
                                          .len = json_string_length(scope)});
    }
}

static void make_key(struct gw_call *call)
{
    struct gw_form form = {.object = gw_body(call)};
    struct gw_command command = {0};
    gw_arg_text(&command, "AUTH.APIKEY");
    gw_arg_text(&command, "CREATE");
    gw_arg(&command, gw_form_text(&form, "name", 1, ID_MAX));
    gw_arg_text(&command, "USER");
    gw_arg_text(&command, gw_who(call)->name);
    int64_t ttl_s = gw_form_number_or(&form, "ttl", 0, 0, TTL_MAX_S);
    if (ttl_s != 0) {
        gw_arg_text(&command, "TTL");
        gw_arg_number(&command, ttl_s);
    }
    add_scopes(&form, &command);
    if (!gw_is_bad(call, &form) && gw_has_session(call)) {
        gw_run(call, &command, 1, answer_made);
    }
}

static void ask_keys(struct gw_call *call, gw_then then)
{
    struct gw_command command = {0};
    if (gw_has_session(call)) {
        gw_arg_text(&command, "AUTH.APIKEY");
        gw_arg_text(&command, "LIST");
        gw_arg_text(&command, "USER");
        gw_arg_text(&command, gw_who(call)->name);
        gw_run(call, &command, 1, then);
    }
}

static void answer_keys(struct gw_call *call, RedisModuleCallReply *reply)
{
    json_t *keys = json_array();
    for (size_t i = 0; i < gw_reply_count(reply); i++) {
        json_array_append_new(keys, key_json(gw_reply_at(reply, i)));
    }
    gw_answer(call, 200, json_pack("{s:o}", "api_keys", keys));
}

static void list_keys(struct gw_call *call)
{
    ask_keys(call, answer_keys);
}

static void end_one_key(struct gw_call *call, RedisModuleCallReply *reply)
{
    struct gw_command command = {0};
    struct hl_slice id = gw_param(call, "id");
    if (!has_id(reply, "id", id)) { /* N2 */
        gw_fail(call, 404, "no_such_key", "you have no such API key");
        return;
    }
    gw_arg_text(&command, "AUTH.APIKEY");
    gw_arg_text(&command, "REVOKE");
    gw_arg(&command, id);
    gw_run(call, &command, 1, gw_answer_ok);
}

static void end_key(struct gw_call *call)
{
    ask_keys(call, end_one_key);
}

#define SESSIONS "/api/v1/auth/sessions"
#define KEYS "/api/v1/auth/api-keys"

const struct gw_route gw_session_routes[] = {
    {"GET", SESSIONS, NULL, NULL, list_sessions, 0, 0},
    {"DELETE", SESSIONS, NULL, NULL, end_others, 0, 0},
    {"DELETE", SESSIONS "/{id}", NULL, NULL, end_session, 0, 0},
    {"POST", KEYS, NULL, NULL, make_key, GW_BODY, 16384},
    {"GET", KEYS, NULL, NULL, list_keys, 0, 0},
    {"DELETE", KEYS "/{id}", NULL, NULL, end_key, 0, 0},
};
const size_t gw_session_route_count = HL_ARRAY_LEN(gw_session_routes);
