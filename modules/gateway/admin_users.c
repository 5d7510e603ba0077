/* /admin/users and /admin/roles: users by AUTH.*, roles and grants by RBAC.*.
 *
 * {id} is a user's name or his id.  Roles are rbac's: what is granted there is what counts.
 */
#include "admin.h"
#include "form.h"
#include "routes.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/json.h"

#define USER_MAX 128 /* bytes of a name or an id */
#define PASSWORD_MAX 1024
#define ROLES_MAX 16 /* named in one request */
#define RULES_MAX 24 /* of a role, in one request, its parents included */
#define RULE_MAX 256
#define DESCRIPTION_MAX 1024
#define PAGE_DEFAULT 100
#define PAGE_MAX 1000

/* The path's {id}; false when the client was told that it is none. */
static bool read_user(struct gw_call *call, struct hl_slice *user)
{
    *user = gw_param(call, "id");
    bool good = user->len != 0 && user->len <= USER_MAX;
    for (size_t i = 0; good && i < user->len; i++) {
        unsigned char c = (unsigned char)user->ptr[i];
        good = c > ' ' && c != '/' && c != 0x7f;
    }
    good = good && user->ptr[0] != '@'; /* a group of rbac */
    if (!good) {
        gw_fail(call, 400, "invalid", "that is no user's name or id");
    }
    return good;
}

/* --- users ------------------------------------------------------------------------------------ */

/* What AUTH.USER and AUTH.USERS call `name` the API calls `username`. */
static json_t *user_of(json_t *user)
{
    json_object_set(user, "username", json_object_get(user, "name"));
    json_object_del(user, "name");
    return user;
}

static void answer_users(struct gw_call *call, RedisModuleCallReply *reply)
{
    json_t *users = gw_reply_json(reply);
    size_t at = 0;
    json_t *user = NULL;
    json_array_foreach(users, at, user)
    {
        (void)user_of(user);
    }
    gw_answer(call, 200,
              json_pack("{s:i, s:o}", "count", (int)json_array_size(users), "users", users));
}

static void list_users(struct gw_call *call)
{
    struct gw_form form = {0};
    struct hl_slice after = gw_query(call, "after");
    int64_t count =
        gw_form_query_number(&form, "limit", gw_query(call, "limit"), PAGE_DEFAULT, 1, PAGE_MAX);
    if (form.why[0] != '\0' || after.len > USER_MAX) {
        gw_fail(call, 400, "invalid", "%s", form.why[0] != '\0' ? form.why : "after: too long");
        return;
    }
    struct gw_command users = {0};
    gw_arg_text(&users, "AUTH.USERS");
    if (after.len != 0) {
        gw_arg_text(&users, "AFTER");
        gw_arg(&users, after);
    }
    gw_arg_text(&users, "COUNT");
    gw_arg_number(&users, count);
    gw_run(call, &users, 1, answer_users);
}

static void answer_user(struct gw_call *call, RedisModuleCallReply *reply)
{
    gw_answer(call, 200, user_of(gw_reply_json(reply)));
}

static void get_user(struct gw_call *call)
{
    struct hl_slice user;
    if (read_user(call, &user)) {
        struct gw_command get = {0};
        gw_arg_text(&get, "AUTH.USER");
        gw_arg(&get, user);
        gw_run(call, &get, 1, answer_user);
    }
}

static void drop_json(void *state)
{
    json_decref(state);
}

static void answer_made(struct gw_call *call, RedisModuleCallReply *reply)
{
    (void)reply;
    json_t *user = json_incref(gw_kept(call));
    json_object_set(user, "roles", json_object_get(gw_body(call), "roles"));
    gw_answer(call, 201, user);
}

/* A rule is no bare word, which RBAC.ROLE SET might take for one of its own. */
static bool are_rules(const json_t *list)
{
    size_t at = 0;
    const json_t *item = NULL;
    json_array_foreach(list, at, item)
    {
        struct hl_slice text = {.ptr = json_string_value(item), .len = json_string_length(item)};
        if (text.ptr != NULL && gw_admin_is_name(text)) {
            return false;
        }
    }
    return true;
}

/* Append the texts of an array to a command; false after a fault. */
static bool take_names(struct gw_form *form, const char *member, size_t max, struct gw_command *out,
                       size_t most)
{
    const json_t *list = json_object_get(form->object, member);
    size_t at = 0;
    const json_t *item = NULL;
    if (list == NULL || json_is_null(list)) {
        return true;
    }
    if (!json_is_array(list) || json_array_size(list) > max) {
        gw_form_fault(form, "%s: an array of at most %zu texts", member, max);
        return false;
    }
    json_array_foreach(list, at, item)
    {
        struct hl_slice text = {.ptr = json_string_value(item), .len = json_string_length(item)};
        if (text.ptr == NULL || text.len == 0 || text.len > most) {
            gw_form_fault(form, "%s: texts of 1 to %zu bytes", member, most);
            return false;
        }
        gw_arg(out, text);
    }
    return true;
}

static void then_grant(struct gw_call *call, RedisModuleCallReply *reply)
{
    struct gw_form form = {.object = gw_body(call)};
    struct gw_command grant = {0};
    json_t *user = gw_reply_json(reply);
    gw_keep(call, user, drop_json);
    gw_arg_text(&grant, "RBAC.GRANT");
    gw_arg(&grant, hl_json_text(form.object, "username"));
    bool good = take_names(&form, "roles", ROLES_MAX, &grant, ADMIN_NAME_MAX);
    if (!good || grant.argc == 2) { /* checked before: so there are none */
        gw_answer(call, 201, json_incref(user));
        return;
    }
    gw_run(call, &grant, 1, answer_made);
}

static void make_user(struct gw_call *call)
{
    struct gw_form form = {.object = gw_body(call)};
    struct gw_command unused = {0};
    struct hl_slice name = gw_form_text(&form, "username", 1, USER_MAX);
    struct hl_slice password = gw_form_text(&form, "password", 1, PASSWORD_MAX);
    (void)take_names(&form, "roles", ROLES_MAX, &unused, ADMIN_NAME_MAX);
    if (form.why[0] != '\0') {
        gw_fail(call, 400, "invalid", "%s", form.why);
        return;
    }
    struct gw_command make = {0};
    gw_arg_text(&make, "AUTH.REGISTER");
    gw_arg(&make, name);
    gw_arg(&make, password);
    gw_run(call, &make, 1, then_grant);
}

static void answer_deleted(struct gw_call *call, RedisModuleCallReply *reply)
{
    (void)reply; /* rbac may be missing, or know nothing of the user: he is gone either way */
    gw_admin_say(call, 200, "User deleted successfully");
}

static void then_revoke_all(struct gw_call *call, RedisModuleCallReply *reply)
{
    (void)reply;
    struct gw_command revoke = {0};
    struct hl_slice name = hl_json_text(gw_kept(call), "name");
    gw_arg_text(&revoke, "RBAC.REVOKE");
    gw_arg(&revoke, name.ptr != NULL ? name : gw_param(call, "id"));
    gw_admin_change(call, &revoke, true, answer_deleted);
}

static void then_delete(struct gw_call *call, RedisModuleCallReply *reply)
{
    struct gw_command delete = {0};
    gw_keep(call, gw_reply_json(reply), drop_json);
    gw_arg_text(&delete, "AUTH.DELUSER");
    gw_arg(&delete, gw_param(call, "id"));
    gw_run(call, &delete, 1, then_revoke_all);
}

static void delete_user(struct gw_call *call)
{
    struct hl_slice user;
    if (read_user(call, &user)) {
        struct gw_command get = {0};
        gw_arg_text(&get, "AUTH.USER"); /* for the name that rbac knows him by */
        gw_arg(&get, user);
        gw_run(call, &get, 1, then_delete);
    }
}

/* --- a user's roles --------------------------------------------------------------------------- */

/* What to do with the roles of the user whose name is known now. */
static void with_name(struct gw_call *call, RedisModuleCallReply *reply, const char *command,
                      gw_then then)
{
    struct gw_form form = {.object = gw_body(call)};
    struct gw_command change = {0};
    json_t *user = gw_reply_json(reply);
    struct hl_slice role = gw_param(call, "role");
    gw_keep(call, user, drop_json);
    gw_arg_text(&change, command);
    gw_arg(&change, hl_json_text(user, "name"));
    if (role.ptr != NULL) {
        gw_arg(&change, role);
    } else if (form.object != NULL) {
        struct hl_slice one = gw_form_text_or(&form, "role", 1, ADMIN_NAME_MAX);
        if (one.ptr != NULL) {
            gw_arg(&change, one);
        }
        (void)take_names(&form, "roles", ROLES_MAX, &change, ADMIN_NAME_MAX);
        if (form.why[0] == '\0' && change.argc == 2) {
            gw_form_fault(&form, "role or roles is missing");
        }
    }
    if (form.why[0] != '\0') {
        gw_fail(call, 400, "invalid", "%s", form.why);
        return;
    }
    gw_run(call, &change, 1, then);
}

static void answer_granted(struct gw_call *call, RedisModuleCallReply *reply)
{
    gw_answer(call, 200,
              json_pack("{s:s, s:I}", "message", "Roles granted", "granted",
                        (json_int_t)gw_reply_number(reply)));
}

static void answer_revoked(struct gw_call *call, RedisModuleCallReply *reply)
{
    gw_answer(call, 200,
              json_pack("{s:s, s:I}", "message", "Roles revoked", "revoked",
                        (json_int_t)gw_reply_number(reply)));
}

static void answer_roles(struct gw_call *call, RedisModuleCallReply *reply)
{
    json_t *roles = gw_reply_json(reply);
    json_object_set(roles, "username", json_object_get(gw_kept(call), "name"));
    gw_answer(call, 200, roles);
}

static void then_roles(struct gw_call *call, RedisModuleCallReply *reply)
{
    with_name(call, reply, "RBAC.ROLES", answer_roles);
}

static void then_grant_roles(struct gw_call *call, RedisModuleCallReply *reply)
{
    with_name(call, reply, "RBAC.GRANT", answer_granted);
}

static void then_revoke_roles(struct gw_call *call, RedisModuleCallReply *reply)
{
    with_name(call, reply, "RBAC.REVOKE", answer_revoked);
}

static void look_up(struct gw_call *call, gw_then then)
{
    struct hl_slice user;
    if (read_user(call, &user)) {
        struct gw_command get = {0};
        gw_arg_text(&get, "AUTH.USER");
        gw_arg(&get, user);
        gw_run(call, &get, 1, then);
    }
}

static void get_user_roles(struct gw_call *call)
{
    look_up(call, then_roles);
}

static void grant_roles(struct gw_call *call)
{
    look_up(call, then_grant_roles);
}

static void revoke_roles(struct gw_call *call)
{
    look_up(call, then_revoke_roles);
}

/* --- roles ------------------------------------------------------------------------------------ */

static bool read_role(struct gw_call *call, struct hl_slice *role)
{
    *role = gw_param(call, "name");
    if (!gw_admin_is_name(*role)) {
        gw_fail(call, 400, "invalid", "a role's name: letters, digits, '_', '-' and '.'");
        return false;
    }
    return true;
}

static void answer_role_list(struct gw_call *call, RedisModuleCallReply *reply)
{
    gw_answer(call, 200, json_pack("{s:o}", "roles", gw_reply_json(reply)));
}

static void list_roles(struct gw_call *call)
{
    struct gw_command list = {0};
    gw_arg_text(&list, "RBAC.ROLE");
    gw_arg_text(&list, "LIST");
    gw_run(call, &list, 1, answer_role_list);
}

static void answer_role(struct gw_call *call, RedisModuleCallReply *reply)
{
    if (gw_reply_is_null(reply)) {
        gw_fail(call, 404, "no_such_role", "there is no such role");
        return;
    }
    gw_admin_answer(call, reply);
}

static void get_role(struct gw_call *call)
{
    struct hl_slice role;
    if (read_role(call, &role)) {
        struct gw_command get = {0};
        gw_arg_text(&get, "RBAC.ROLE");
        gw_arg_text(&get, "GET");
        gw_arg(&get, role);
        gw_run(call, &get, 1, answer_role);
    }
}

static void answer_role_set(struct gw_call *call, RedisModuleCallReply *reply)
{
    (void)reply;
    gw_answer(call, 200,
              json_pack("{s:s, s:o}", "message", "Role saved", "name",
                        gw_json_text(gw_param(call, "name"))));
}

static void set_role(struct gw_call *call)
{
    struct gw_form form = {.object = gw_body(call)};
    struct gw_command set = {0};
    struct hl_slice role;
    if (!read_role(call, &role)) {
        return;
    }
    gw_arg_text(&set, "RBAC.ROLE");
    gw_arg_text(&set, "SET");
    gw_arg(&set, role);
    struct hl_slice description = gw_form_text_or(&form, "description", 0, DESCRIPTION_MAX);
    (void)take_names(&form, "permissions", RULES_MAX, &set, RULE_MAX);
    if (!are_rules(json_object_get(form.object, "permissions"))) {
        gw_form_fault(&form, "permissions: such as kv:get, job:*, +@read, ~app:*");
    }
    size_t before = set.argc;
    gw_arg_text(&set, "INHERITS");
    (void)take_names(&form, "inherits", GW_ARGS_MAX - 6 - RULES_MAX, &set, ADMIN_NAME_MAX);
    set.argc = set.argc == before + 1 ? before : set.argc; /* it inherits nothing */
    if (description.len != 0) {
        gw_arg_text(&set, "DESCRIPTION");
        gw_arg(&set, description);
    }
    if (form.why[0] != '\0') {
        gw_fail(call, 400, "invalid", "%s", form.why);
        return;
    }
    gw_run(call, &set, 1, answer_role_set);
}

static void answer_role_deleted(struct gw_call *call, RedisModuleCallReply *reply)
{
    (void)reply;
    gw_admin_say(call, 200, "Role deleted successfully");
}

static void delete_role(struct gw_call *call)
{
    struct hl_slice role;
    if (read_role(call, &role)) {
        struct gw_command del = {0};
        gw_arg_text(&del, "RBAC.ROLE");
        gw_arg_text(&del, "DEL");
        gw_arg(&del, role);
        gw_run(call, &del, 1, answer_role_deleted);
    }
}

#define USERS "/admin/users"
#define ROLES "/admin/roles"

const struct gw_route gw_admin_user_routes[] = {
    {"GET", USERS, ADMIN_PERMISSION, NULL, list_users, 0, 0},
    {"POST", USERS, ADMIN_PERMISSION, NULL, make_user, GW_BODY, 0},
    {"GET", USERS "/{id}", ADMIN_PERMISSION, NULL, get_user, 0, 0},
    {"DELETE", USERS "/{id}", ADMIN_PERMISSION, NULL, delete_user, 0, 0},
    {"GET", USERS "/{id}/roles", ADMIN_PERMISSION, NULL, get_user_roles, 0, 0},
    {"POST", USERS "/{id}/roles", ADMIN_PERMISSION, NULL, grant_roles, GW_BODY, 0},
    {"DELETE", USERS "/{id}/roles", ADMIN_PERMISSION, NULL, revoke_roles, GW_BODY, 0},
    {"DELETE", USERS "/{id}/roles/{role}", ADMIN_PERMISSION, NULL, revoke_roles, 0, 0},
    {"GET", ROLES, ADMIN_PERMISSION, NULL, list_roles, 0, 0},
    {"GET", ROLES "/{name}", ADMIN_PERMISSION, NULL, get_role, 0, 0},
    {"PUT", ROLES "/{name}", ADMIN_PERMISSION, NULL, set_role, GW_BODY, 0},
    {"DELETE", ROLES "/{name}", ADMIN_PERMISSION, NULL, delete_role, 0, 0},
};
const size_t gw_admin_user_route_count = HL_ARRAY_LEN(gw_admin_user_routes);
