/* USERS, USER, DELUSER, DISABLE, ENABLE, ROLES: the commands for those who look after users. */
#include "commands.h"

#include "audit.h"
#include "keyed.h"

#include "settings.h"
#include "store.h"

#include "kit/alloc.h"
#include "kit/base64.h"

#include <stdio.h>

#define PAGE_DEFAULT 100
#define PAGE_MAX 1000

/* ---- Users ------------------------------------------------------------------------------------
 */

static void reply_user(RedisModuleCtx *ctx, const char *name)
{
    struct user_record user;
    struct failure_record failure = {0};
    struct lockout_policy policy = settings_lockout(false);
    char id[TOKEN_ID_TEXT];
    int64_t locked_ms = 0;
    if (store_get_user(ctx, name, &user) != HL_OK) {
        RedisModule_ReplyWithMap(ctx, 2); /* listed, but its record is gone or damaged */
        reply_text(ctx, "name", name);
        reply_text(ctx, "error", "no record");
        return;
    }
    if (store_get_failure(ctx, false, name, &failure) == HL_OK) {
        locked_ms = lockout_wait_ms(&failure, &policy, RedisModule_Milliseconds());
    }
    RedisModule_ReplyWithMap(ctx, 7);
    reply_text(ctx, "name", user.name);
    hl_hex_format(id, user.id, sizeof user.id);
    reply_text(ctx, "user_id", id);
    reply_roles(ctx, &user);
    reply_number(ctx, "disabled", user.disabled);
    reply_number(ctx, "created", user.created_ms / 1000);
    reply_number(ctx, "sessions", (long long)user.session_count);
    reply_number(ctx, "locked_for", (locked_ms + 999) / 1000);
}

int cmd_users(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    char after[USER_NAME_MAX + 1] = "";
    long long max = PAGE_DEFAULT;
    for (int i = 1; i < argc; i += 2) {
        const char *error = NULL;
        if (i + 1 == argc) {
            error = "ERR syntax error";
        } else if (hl_slice_is(arg_slice(argv[i]), "AFTER")) {
            error = read_name(argv[i + 1], after);
        } else if (!hl_slice_is(arg_slice(argv[i]), "COUNT")) {
            error = "ERR syntax error";
        } else if (RedisModule_StringToLongLong(argv[i + 1], &max) != REDISMODULE_OK || max < 1 ||
                   max > PAGE_MAX) {
            error = "ERR COUNT must be 1 to 1000";
        }
        if (error != NULL) {
            return RedisModule_ReplyWithError(ctx, error);
        }
    }
    char(*names)[USER_NAME_MAX + 1] = hl_calloc((size_t)max, sizeof *names);
    size_t count = 0;
    if (store_page(ctx, STORE_USERS, after, (size_t)max, names, &count) == HL_OK) {
        RedisModule_ReplyWithArray(ctx, (long)count);
        for (size_t i = 0; i < count; i++) {
            reply_user(ctx, names[i]);
        }
    } else {
        reply_error(ctx, "ERR", "the list in auth:users is damaged");
    }
    hl_free(names);
    return REDISMODULE_OK;
}

/* Find a user by the id: looks at all of them. */
static hl_err find_by_id(RedisModuleCtx *ctx, struct hl_slice text, struct user_record *user)
{
    unsigned char id[TOKEN_ID_LEN];
    char(*names)[USER_NAME_MAX + 1] = NULL;
    char after[USER_NAME_MAX + 1] = "";
    size_t count = 0;
    hl_err err = HL_ENOENT;
    if (!hl_hex_parse(text, id, sizeof id)) {
        return err;
    }
    names = hl_calloc(PAGE_MAX, sizeof *names);
    do {
        if (store_page(ctx, STORE_USERS, after, PAGE_MAX, names, &count) != HL_OK) {
            break;
        }
        for (size_t i = 0; i < count && err != HL_OK; i++) {
            bool same = store_get_user(ctx, names[i], user) == HL_OK &&
                        memcmp(user->id, id, sizeof id) == 0;
            err = same ? HL_OK : HL_ENOENT;
        }
        memcpy(after, count == 0 ? "" : names[count - 1], count == 0 ? 1 : sizeof after);
    } while (err != HL_OK && count == PAGE_MAX);
    hl_free(names);
    return err;
}

const char *read_user(RedisModuleCtx *ctx, RedisModuleString *arg, struct user_record *user)
{
    char name[USER_NAME_MAX + 1];
    const char *error = read_name(arg, name);
    if (error == NULL) {
        hl_err err = store_get_user(ctx, name, user);
        err = err == HL_ENOENT ? find_by_id(ctx, arg_slice(arg), user) : err;
        error = err == HL_OK       ? NULL
                : err == HL_ENOENT ? "NOSUCHUSER there is no such user"
                                   : "ERR the user's record is damaged";
    }
    return error;
}

static int write_user(RedisModuleCtx *ctx, const struct user_record *user, const char *action)
{
    if (store_put_user(ctx, user) != HL_OK) {
        return reply_error(ctx, "ERR", "cannot store the user");
    }
    audit_note(ctx, &(struct audit_event){.action = action, .target = user->name, .result = "ok"});
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

int cmd_user(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct user_record user;
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    const char *error = read_user(ctx, argv[1], &user);
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    reply_user(ctx, user.name);
    return REDISMODULE_OK;
}

int cmd_deluser(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct user_record user;
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    const char *error = read_user(ctx, argv[1], &user);
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    user.disabled = true; /* first, since this is what ends live connections on every node */
    end_sessions(ctx, &user);
    keyed_drop_all(ctx, &user);
    if (store_put_user(ctx, &user) != HL_OK ||
        store_list_remove(ctx, STORE_USERS, user.name) != HL_OK) {
        return reply_error(ctx, "ERR", "cannot delete the user");
    }
    store_drop_user(ctx, user.name);
    store_drop_failure(ctx, false, user.name);
    audit_note(ctx,
               &(struct audit_event){.action = "deluser", .target = user.name, .result = "ok"});
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

int cmd_disable(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct user_record user;
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    const char *error = read_user(ctx, argv[1], &user);
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    user.disabled = true;
    end_sessions(ctx, &user);
    return write_user(ctx, &user, "disable");
}

int cmd_enable(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct user_record user;
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    const char *error = read_user(ctx, argv[1], &user);
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    user.disabled = false;
    store_drop_failure(ctx, false, user.name);
    return write_user(ctx, &user, "enable");
}

int cmd_roles(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct user_record user;
    if (argc < 2) {
        return RedisModule_WrongArity(ctx);
    }
    const char *error = read_user(ctx, argv[1], &user);
    if (error == NULL && argc - 2 > TOKEN_ROLES_MAX) {
        error = "ERR a user has at most 16 roles";
    }
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    memset(user.roles, 0, sizeof user.roles);
    user.role_count = (size_t)argc - 2;
    for (size_t i = 0; i < user.role_count; i++) {
        struct hl_slice role = arg_slice(argv[i + 2]);
        const char *objection = token_role_objection(role);
        if (objection != NULL) {
            return reply_error(ctx, "ERR", objection);
        }
        memcpy(user.roles[i], role.ptr, role.len);
    }
    return write_user(ctx, &user, "roles");
}
