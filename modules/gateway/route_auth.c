/* /api/v1/auth: registering, signing in and out.  Commands of the module auth; nothing is kept. */
#include "routes.h"

#include "kit/assert.h"

#define NAME_MAX_BYTES 256 /* auth knows what a name and a password may be, and says so */
#define PASSWORD_MAX_BYTES 1024
#define TOKEN_MAX_BYTES 4096
#define DEVICE_MAX_BYTES 64

/* Copy a field of a reply to a member of the answer; a missing one is left out. */
static void copy(json_t *answer, const char *member, RedisModuleCallReply *reply, const char *field)
{
    RedisModuleCallReply *value = gw_reply_field(reply, field);
    if (value != NULL) {
        json_object_set_new(answer, member, gw_reply_json(value));
    }
}

/* --- registering ------------------------------------------------------------------------------ */

static void answer_registered(struct gw_call *call, RedisModuleCallReply *reply)
{
    json_t *answer = json_object();
    copy(answer, "user_id", reply, "user_id");
    copy(answer, "username", reply, "username");
    copy(answer, "roles", reply, "roles");
    gw_answer(call, 201, answer);
}

static void register_user(struct gw_call *call)
{
    struct gw_form form = {.object = gw_body(call)};
    struct gw_command command = {0};
    gw_arg_text(&command, "AUTH.REGISTER");
    gw_arg(&command, gw_form_text(&form, "username", 1, NAME_MAX_BYTES));
    gw_arg(&command, gw_form_text(&form, "password", 1, PASSWORD_MAX_BYTES));
    if (!gw_is_bad(call, &form)) {
        gw_run(call, &command, 1, answer_registered);
    }
}

/* --- tokens ----------------------------------------------------------------------------------- */

static void answer_pair(struct gw_call *call, RedisModuleCallReply *reply)
{
    json_t *answer = json_object();
    copy(answer, "token", reply, "access");
    copy(answer, "refresh_token", reply, "refresh");
    copy(answer, "token_type", reply, "token_type");
    copy(answer, "expires_in", reply, "expires_in");
    copy(answer, "refresh_expires_in", reply, "refresh_expires_in");
    copy(answer, "session", reply, "session");
    copy(answer, "user_id", reply, "user_id");
    gw_add_header(call, "Cache-Control", "no-store");
    gw_answer(call, 200, answer);
}

/* The first administrator, once, by the token that auth left in a file. */
static void bootstrap(struct gw_call *call)
{
    struct gw_form form = {.object = gw_body(call)};
    struct gw_command command = {0};
    gw_arg_text(&command, "AUTH.BOOTSTRAP");
    gw_arg(&command, gw_form_text(&form, "bootstrap_token", 1, TOKEN_MAX_BYTES));
    gw_arg(&command, gw_form_text(&form, "username", 1, NAME_MAX_BYTES));
    gw_arg(&command, gw_form_text(&form, "password", 1, PASSWORD_MAX_BYTES));
    if (!gw_is_bad(call, &form)) {
        gw_run(call, &command, 1, answer_registered);
    }
}

/* What a client calls itself, as auth keeps it: printable, and no longer. */
static struct hl_slice printable(struct hl_slice agent, char out[DEVICE_MAX_BYTES])
{
    size_t len = agent.len < DEVICE_MAX_BYTES ? agent.len : DEVICE_MAX_BYTES;
    for (size_t i = 0; i < len; i++) {
        out[i] = agent.ptr[i];
        if (out[i] < ' ' || out[i] > '~') {
            out[i] = '?';
        }
    }
    return (struct hl_slice){.ptr = out, .len = len};
}

static void login(struct gw_call *call)
{
    char agent[DEVICE_MAX_BYTES];
    struct gw_form form = {.object = gw_body(call)};
    struct gw_command command = {0};
    gw_arg_text(&command, "AUTH.LOGIN");
    gw_arg(&command, gw_form_text(&form, "username", 1, NAME_MAX_BYTES));
    gw_arg(&command, gw_form_text(&form, "password", 1, PASSWORD_MAX_BYTES));
    struct hl_slice device = gw_form_text_or(&form, "device", 1, DEVICE_MAX_BYTES);
    if (device.ptr == NULL) {
        device = printable(gw_header(call, "User-Agent"), agent);
    }
    if (device.len != 0) {
        gw_arg_text(&command, "DEVICE");
        gw_arg(&command, device);
    }
    if (!gw_is_bad(call, &form)) {
        gw_run(call, &command, 1, answer_pair);
    }
}

static void refresh(struct gw_call *call)
{
    struct gw_form form = {.object = gw_body(call)};
    struct gw_command command = {0};
    gw_arg_text(&command, "AUTH.REFRESH");
    gw_arg(&command, gw_form_text(&form, "refresh_token", 1, TOKEN_MAX_BYTES));
    if (!gw_is_bad(call, &form)) {
        gw_run(call, &command, 1, answer_pair);
    }
}

static void logout(struct gw_call *call)
{
    struct gw_form form = {.object = gw_body(call)};
    struct gw_command command = {0};
    bool all = gw_form_flag_or(&form, "all", false);
    if (gw_is_bad(call, &form) || !gw_has_session(call)) {
        return;
    }
    gw_arg_text(&command, "AUTH.LOGOUT");
    gw_arg_text(&command, gw_who(call)->session);
    if (all) {
        gw_arg_text(&command, "ALL");
    }
    gw_run(call, &command, 1, gw_answer_ok);
}

static void change_password(struct gw_call *call)
{
    struct gw_form form = {.object = gw_body(call)};
    struct gw_command command = {0};
    gw_arg_text(&command, "AUTH.PASSWD");
    gw_arg_text(&command, gw_who(call)->name);
    gw_arg(&command, gw_form_text(&form, "old_password", 1, PASSWORD_MAX_BYTES));
    gw_arg(&command, gw_form_text(&form, "new_password", 1, PASSWORD_MAX_BYTES));
    if (!gw_is_bad(call, &form) && gw_has_session(call)) {
        gw_run(call, &command, 1, gw_answer_ok);
    }
}

/* --- looking ---------------------------------------------------------------------------------- */

static void me(struct gw_call *call)
{
    const HeliosAuthIdentity *who = gw_who(call);
    json_t *roles = json_array();
    json_t *scopes = json_array();
    for (size_t i = 0; i < who->role_count; i++) {
        json_array_append_new(roles, json_string(who->roles[i]));
    }
    for (size_t i = 0; i < who->scope_count; i++) {
        json_array_append_new(scopes, json_string(who->scopes[i]));
    }
    gw_answer(call, 200,
              json_pack("{s:s, s:s, s:s, s:o, s:o, s:I}", "user_id", who->user_id, "username",
                        who->name, "kind", who->kind == HELIOS_AUTH_TOKEN ? "token" : "api_key",
                        "roles", roles, "scopes", scopes, "expires_at",
                        (json_int_t)who->expires_ms));
}

static void answer_jwks(struct gw_call *call, RedisModuleCallReply *reply)
{
    gw_add_header(call, "Cache-Control", "public, max-age=60");
    gw_answer_text(call, 200, "application/json", gw_reply_text(reply));
}

static void jwks(struct gw_call *call)
{
    struct gw_command command = {0};
    gw_arg_text(&command, "AUTH.JWKS");
    gw_run(call, &command, 1, answer_jwks);
}

const struct gw_route gw_auth_routes[] = {
    {"POST", "/api/v1/auth/register", NULL, NULL, register_user, GW_PUBLIC | GW_BODY, 16384},
    {"POST", "/api/v1/auth/bootstrap", NULL, NULL, bootstrap, GW_PUBLIC | GW_BODY, 16384},
    {"POST", "/api/v1/auth/login", NULL, NULL, login, GW_PUBLIC | GW_BODY, 16384},
    {"POST", "/api/v1/auth/refresh", NULL, NULL, refresh, GW_PUBLIC | GW_BODY, 16384},
    {"POST", "/api/v1/auth/logout", NULL, NULL, logout, GW_BODY_MAYBE, 16384},
    {"POST", "/api/v1/auth/password", NULL, NULL, change_password, GW_BODY, 16384},
    {"GET", "/api/v1/auth/me", NULL, NULL, me, 0, 0},
    {"GET", "/.well-known/jwks.json", NULL, NULL, jwks, GW_PUBLIC, 0},
};
const size_t gw_auth_route_count = HL_ARRAY_LEN(gw_auth_routes);
