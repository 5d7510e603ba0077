/* Users and permissions, and modules that decide who may log in.
 *
 *   A1  a handle of an ACL user keeps the name, and looks the user up each time: it may be gone.
 *   A2  a module's own user lives in a list of users of its own, so that its name is nobody else's.
 */
#include "abi/unit.h"
#include "node/acl.h"
#include "node/node_internal.h"

#include <errno.h>
#include <stdio.h>

#define RULES_MAX 1024 /* words of one line of rules */

struct RedisModuleUser {
    struct hl_list_node node; /* in abi->users, when it is a module's own */
    struct hl_abi *abi;
    struct hl_module *module;
    char *name;
    struct hl_acl *own; /* A2; NULL: a user of the node */
};

/* A module that is asked before passwords are. */
struct auth {
    struct hl_list_node node; /* in abi->auths, newest first */
    struct hl_module *module;
    RedisModuleAuthCallback run;
};

/* Who wants to hear when a session is no longer who it was. */
struct changed {
    struct hl_list_node node; /* in abi->user_changes */
    struct hl_module *module;
    uint64_t client_id;
    RedisModuleUserChangedFunc run;
    void *privdata;
};

/* The user behind a handle, or NULL when it is gone (A1). */
static struct hl_user *user_of(const RedisModuleUser *user)
{
    if (user == NULL) {
        return NULL;
    }
    return hl_acl_find(user->own != NULL ? user->own : user->abi->node->acl,
                       hl_slice_of(user->name));
}

static RedisModuleUser *create(struct hl_abi *abi, struct hl_slice name)
{
    RedisModuleUser *user = hl_calloc(1, sizeof *user);
    user->abi = abi;
    user->name = hl_strndup(name.ptr, name.len);
    return user;
}

RedisModuleUser *hl_rm_CreateModuleUser(const char *name)
{
    struct hl_abi *abi = hl_abi_current;
    RedisModuleUser *user = create(abi, hl_slice_of(name));
    struct hl_errmsg msg = {{0}};
    user->own = hl_acl_create(abi->table);
    struct hl_slice reset = hl_slice_of("reset");
    if (hl_acl_set(user->own, hl_slice_of(name), &reset, 1, &msg) != HL_OK) {
        hl_acl_destroy(user->own);
        hl_free(user->name);
        hl_free(user);
        return NULL;
    }
    hl_list_append(&abi->users, &user->node);
    return user;
}

void hl_rm_FreeModuleUser(RedisModuleUser *user)
{
    if (user == NULL) {
        return;
    }
    if (user->own != NULL) {
        struct hl_user *gone = user_of(user);
        if (gone != NULL) {
            hl_auth_user_gone(user->abi->node, gone, NULL, 0);
        }
        hl_acl_destroy(user->own);
        hl_list_remove(&user->node);
    }
    hl_free(user->name);
    hl_free(user);
}

RedisModuleUser *hl_rm_GetModuleUserFromUserName(RedisModuleString *name)
{
    struct hl_abi *abi = hl_abi_current;
    if (name == NULL || hl_acl_find(abi->node->acl, hl_string_slice(name)) == NULL) {
        return NULL;
    }
    return create(abi, hl_string_slice(name));
}

/* ---- Rules ---- */

static int set_rules(RedisModuleUser *user, const char *text, struct hl_errmsg *msg)
{
    struct hl_slice words[RULES_MAX];
    size_t count = 0;
    for (const char *at = text; *at != '\0' && count < RULES_MAX;) {
        size_t len = strcspn(at, " ");
        if (len != 0) {
            words[count++] = (struct hl_slice){.ptr = at, .len = len};
        }
        at += len;
        at += *at == ' ';
    }
    struct hl_slice name = hl_slice_of(user->name);
    hl_err err = user->own != NULL ? hl_acl_set(user->own, name, words, count, msg)
                                   : hl_admin_set_user(user->abi->node, name, words, count, msg);
    return err == HL_OK ? REDISMODULE_OK : REDISMODULE_ERR;
}

int hl_rm_SetModuleUserACL(RedisModuleUser *user, const char *acl)
{
    struct hl_errmsg msg = {{0}};
    if (user == NULL || acl == NULL || set_rules(user, acl, &msg) != REDISMODULE_OK) {
        errno = EINVAL;
        return REDISMODULE_ERR;
    }
    return REDISMODULE_OK;
}

int hl_rm_SetModuleUserACLString(RedisModuleCtx *ctx, RedisModuleUser *user, const char *acl,
                                 RedisModuleString **error)
{
    struct hl_errmsg msg = {{0}};
    if (user != NULL && acl != NULL && set_rules(user, acl, &msg) == REDISMODULE_OK) {
        return REDISMODULE_OK;
    }
    if (error != NULL) {
        *error = hl_rm_CreateString(ctx, msg.text, strlen(msg.text));
    }
    return REDISMODULE_ERR;
}

RedisModuleString *hl_rm_GetModuleUserACLString(RedisModuleUser *user)
{
    struct hl_user *found = user_of(user);
    if (found == NULL) {
        return NULL;
    }
    struct hl_buf text = {0};
    hl_acl_describe(found, &text);
    size_t skip = strlen("user ") + strlen(user->name) + 1;
    struct hl_slice rules = hl_buf_view(&text);
    if (rules.len >= skip) {
        rules = (struct hl_slice){.ptr = rules.ptr + skip, .len = rules.len - skip};
    }
    RedisModuleString *str = hl_string_new(rules);
    hl_buf_fini(&text);
    return str;
}

/* ---- Permissions ---- */

int hl_rm_ACLCheckCommandPermissions(RedisModuleUser *user, RedisModuleString **argv, int argc)
{
    struct hl_user *found = user_of(user);
    if (found == NULL || argc < 1 || argc > HL_ABI_ARGS_MAX) {
        errno = EINVAL;
        return REDISMODULE_ERR;
    }
    struct hl_slice *slices = hl_calloc((size_t)argc, sizeof *slices);
    for (int i = 0; i < argc; i++) {
        slices[i] = hl_string_slice(argv[i]);
    }
    struct hl_command *cmd = hl_command_of(user->abi->table, slices, argc);
    int index = 0;
    int error = 0;
    if (cmd == NULL) {
        error = ENOENT;
    } else if (!hl_command_arity_ok(cmd, argc)) {
        error = EINVAL;
    } else if (hl_acl_check(user->abi->node->acl, found, cmd, slices, argc, &index) !=
               HL_ACL_ALLOWED) {
        error = EACCES;
    }
    hl_free(slices);
    errno = error;
    return error == 0 ? REDISMODULE_OK : REDISMODULE_ERR;
}

int hl_rm_ACLCheckKeyPermissions(RedisModuleUser *user, RedisModuleString *key, int flags)
{
    static const int known = REDISMODULE_CMD_KEY_ACCESS | REDISMODULE_CMD_KEY_INSERT |
                             REDISMODULE_CMD_KEY_DELETE | REDISMODULE_CMD_KEY_UPDATE;
    struct hl_user *found = user_of(user);
    if (found == NULL || key == NULL || (flags & ~known) != 0) {
        errno = EINVAL;
        return REDISMODULE_ERR;
    }
    if (!hl_acl_check_key(found, hl_string_slice(key), (uint32_t)flags)) {
        errno = EACCES;
        return REDISMODULE_ERR;
    }
    return REDISMODULE_OK;
}

int hl_rm_ACLCheckChannelPermissions(RedisModuleUser *user, RedisModuleString *ch, int literal)
{
    struct hl_user *found = user_of(user);
    bool allowed = found != NULL && ch != NULL &&
                   hl_acl_check_channel(found, hl_string_slice(ch), literal != 0);
    return allowed ? REDISMODULE_OK : REDISMODULE_ERR;
}

/* Whose rights module code in `ctx` has for calls that ask: SetContextUser's, or the client's. */
const struct hl_user *hl_ctx_user(const RedisModuleCtx *ctx, bool *known)
{
    const struct hl_user *user = user_of(ctx->user);
    if (user == NULL && ctx->user == NULL && ctx->session != NULL) {
        *known = true;
        return ctx->session->user;
    }
    *known = user != NULL;
    return user;
}

void hl_rm_SetContextUser(RedisModuleCtx *ctx, const RedisModuleUser *user)
{
    ctx->user = user;
}

RedisModuleString *hl_rm_GetCurrentUserName(RedisModuleCtx *ctx)
{
    const char *name = ctx->session == NULL ? "default" : hl_session_user_name(ctx->session);
    return hl_rm_CreateString(ctx, name, strlen(name));
}

RedisModuleString *hl_rm_GetClientUserNameById(RedisModuleCtx *ctx, uint64_t id)
{
    struct hl_session *session = hl_session_by_id(ctx->abi->node, id);
    if (session == NULL) {
        errno = ENOENT;
        return NULL;
    }
    if (session->user == NULL) {
        errno = ENOTSUP;
        return NULL;
    }
    struct hl_slice name = hl_acl_name(session->user);
    return hl_rm_CreateString(ctx, name.ptr, name.len);
}

/* ---- The log of refusals ---- */

static void log_refusal(RedisModuleCtx *ctx, struct hl_slice name, RedisModuleString *object,
                        RedisModuleACLLogEntryReason reason)
{
    enum hl_acl_log_reason why = HL_ACL_LOG_COMMAND;
    struct hl_buf client = {0};
    switch (reason) {
    case REDISMODULE_ACL_LOG_AUTH:
        why = HL_ACL_LOG_AUTH;
        break;
    case REDISMODULE_ACL_LOG_CMD:
        why = HL_ACL_LOG_COMMAND;
        break;
    case REDISMODULE_ACL_LOG_KEY:
        why = HL_ACL_LOG_KEY;
        break;
    case REDISMODULE_ACL_LOG_CHANNEL:
        why = HL_ACL_LOG_CHANNEL;
        break;
    }
    if (ctx->session != NULL) {
        hl_session_describe(ctx->abi->node, ctx->session, &client);
    }
    hl_acl_log_add(ctx->abi->node->acl, why, HL_ACL_LOG_MODULE, hl_string_slice(object), name,
                   hl_buf_view(&client), ctx->abi->node->now_ms);
    hl_buf_fini(&client);
}

void hl_rm_ACLAddLogEntry(RedisModuleCtx *ctx, RedisModuleUser *user, RedisModuleString *object,
                          RedisModuleACLLogEntryReason reason)
{
    if (user != NULL && object != NULL) {
        log_refusal(ctx, hl_slice_of(user->name), object, reason);
    }
}

void hl_rm_ACLAddLogEntryByUserName(RedisModuleCtx *ctx, RedisModuleString *user,
                                    RedisModuleString *object, RedisModuleACLLogEntryReason reason)
{
    if (user != NULL && object != NULL) {
        log_refusal(ctx, hl_string_slice(user), object, reason);
    }
}

/* ---- Logging clients in and out ---- */

static int login(RedisModuleCtx *ctx, struct hl_user *user, RedisModuleUserChangedFunc callback,
                 void *privdata, uint64_t *client_id)
{
    struct hl_session *session = ctx->session;
    if (session == NULL || user == NULL || !hl_acl_is_on(user) || !hl_ctx_usable(ctx)) {
        return REDISMODULE_ERR;
    }
    hl_acl_user_changed(ctx->abi, session); /* it is not who it was */
    hl_auth_as(session, user);
    if (callback != NULL) {
        struct changed *changed = hl_calloc(1, sizeof *changed);
        *changed = (struct changed){
            .module = ctx->module, .client_id = session->id, .run = callback, .privdata = privdata};
        hl_list_append(&ctx->abi->user_changes, &changed->node);
    }
    if (client_id != NULL) {
        *client_id = session->id;
    }
    return REDISMODULE_OK;
}

int hl_rm_AuthenticateClientWithACLUser(RedisModuleCtx *ctx, const char *name, size_t len,
                                        RedisModuleUserChangedFunc callback, void *privdata,
                                        uint64_t *client_id)
{
    struct hl_slice slice = {.ptr = name, .len = len};
    return login(ctx, hl_acl_find(ctx->abi->node->acl, slice), callback, privdata, client_id);
}

int hl_rm_AuthenticateClientWithUser(RedisModuleCtx *ctx, RedisModuleUser *module_user,
                                     RedisModuleUserChangedFunc callback, void *privdata,
                                     uint64_t *client_id)
{
    return login(ctx, user_of(module_user), callback, privdata, client_id);
}

int hl_rm_DeauthenticateAndCloseClient(RedisModuleCtx *ctx, uint64_t client_id)
{
    struct hl_session *session = hl_session_by_id(ctx->abi->node, client_id);
    if (session == NULL || !hl_ctx_usable(ctx)) {
        return REDISMODULE_ERR;
    }
    hl_acl_user_changed(ctx->abi, session);
    session->user = hl_acl_default(ctx->abi->node->acl);
    session->flags &= ~HL_SESSION_AUTHENTICATED;
    hl_session_close(ctx->abi->node, session, session == ctx->session);
    return REDISMODULE_OK;
}

void hl_acl_user_changed(struct hl_abi *abi, const struct hl_session *session)
{
    HL_LIST_EACH(c, &abi->user_changes)
    {
        struct changed *changed = HL_LIST_ENTRY(c, struct changed, node);
        if (changed->client_id == session->id) {
            hl_list_remove(c);
            changed->run(changed->client_id, changed->privdata);
            hl_free(changed);
        }
    }
}

/* ---- Modules that judge a login ---- */

void hl_rm_RegisterAuthCallback(RedisModuleCtx *ctx, RedisModuleAuthCallback cb)
{
    if (ctx->module == NULL || cb == NULL) {
        return;
    }
    struct auth *auth = hl_calloc(1, sizeof *auth);
    auth->module = ctx->module;
    auth->run = cb;
    auth->node.next = ctx->abi->auths.next; /* newest first */
    auth->node.prev = &ctx->abi->auths;
    ctx->abi->auths.next->prev = &auth->node;
    ctx->abi->auths.next = &auth->node;
}

enum hl_auth_answer hl_acl_judge(struct hl_session *session, int result)
{
    bool accepted = (session->flags & HL_SESSION_AUTHENTICATED) != 0;
    if (result != REDISMODULE_AUTH_HANDLED) {
        return HL_AUTH_NEXT;
    }
    return accepted ? HL_AUTH_ACCEPTED : HL_AUTH_REFUSED;
}

/* Ask one module. */
static enum hl_auth_answer ask(struct hl_abi *abi, const struct auth *auth, struct hl_call *call,
                               RedisModuleString *name, RedisModuleString *password)
{
    RedisModuleString *err = NULL;
    RedisModuleCtx ctx;
    struct hl_user *before = call->session->user;
    bool was = (call->session->flags & HL_SESSION_AUTHENTICATED) != 0;
    hl_ctx_init(&ctx, abi, auth->module);
    ctx.call = call;
    ctx.session = call->session;
    call->session->flags &= ~HL_SESSION_AUTHENTICATED; /* to see what the module does */
    ctx.out = call->out;
    ctx.db = hl_db_index(call->db);
    ctx.argc = call->argc;
    ctx.argv = hl_calloc((size_t)call->argc, sizeof *ctx.argv);
    for (int i = 0; i < call->argc; i++) {
        ctx.argv[i] = hl_string_new(call->argv[i]);
    }
    hl_frame_begin(&ctx);
    int result = auth->run(&ctx, name, password, &err);
    enum hl_auth_answer answer = hl_acl_judge(call->session, result);
    if (ctx.blocked != NULL && result == REDISMODULE_AUTH_HANDLED) {
        answer = HL_AUTH_LATER;
        hl_blocked_set_login(ctx.blocked, name, password);
    }
    hl_blocked_command_over(&ctx);
    for (int i = 0; i < ctx.argc; i++) {
        hl_string_unref(ctx.argv[i]);
    }
    hl_free(ctx.argv);
    if (answer == HL_AUTH_REFUSED) {
        hl_reply_error(call, err != NULL ? err->ptr
                                         : "WRONGPASS invalid username-password pair or user is "
                                           "disabled.");
    }
    if (answer != HL_AUTH_ACCEPTED) { /* nobody new: who it was, it is */
        call->session->user = before;
        call->session->flags |= was ? HL_SESSION_AUTHENTICATED : 0;
    }
    hl_string_unref(err);
    hl_ctx_fini(&ctx);
    (void)hl_frame_end(&ctx);
    return answer;
}

enum hl_auth_answer hl_acl_authenticate(void *ctx, struct hl_call *call, struct hl_slice user,
                                        struct hl_slice password)
{
    struct hl_abi *abi = ctx;
    enum hl_auth_answer answer = HL_AUTH_NEXT;
    if (abi->auth_decided == call->session) {
        return abi->auth_answer; /* a module thought about it, and this is its answer */
    }
    if (hl_list_empty(&abi->auths)) {
        return answer;
    }
    RedisModuleString *name = hl_string_new(user);
    RedisModuleString *secret = hl_string_new(password);
    HL_LIST_EACH(a, &abi->auths)
    {
        if (answer == HL_AUTH_NEXT) {
            answer = ask(abi, HL_LIST_ENTRY(a, struct auth, node), call, name, secret);
        }
    }
    hl_string_unref(name);
    if (answer != HL_AUTH_LATER) { /* else whoever thinks about it still needs it */
        explicit_bzero(secret->ptr, secret->len);
    }
    hl_string_unref(secret);
    return answer;
}

bool hl_acl_has_users(const struct hl_module *module)
{
    HL_LIST_EACH(u, &module->abi->users)
    {
        if (HL_LIST_ENTRY(u, RedisModuleUser, node)->module == module) {
            return true;
        }
    }
    HL_LIST_EACH(c, &module->abi->user_changes)
    {
        if (HL_LIST_ENTRY(c, struct changed, node)->module == module) {
            return true;
        }
    }
    return false;
}

void hl_acl_drop(struct hl_module *module)
{
    struct hl_abi *abi = module->abi;
    HL_LIST_EACH(a, &abi->auths)
    {
        if (HL_LIST_ENTRY(a, struct auth, node)->module == module) {
            hl_list_remove(a);
            hl_free(HL_LIST_ENTRY(a, struct auth, node));
        }
    }
    HL_LIST_EACH(c, &abi->user_changes)
    {
        struct changed *changed = HL_LIST_ENTRY(c, struct changed, node);
        if (changed->module == module) { /* whoever it logged in goes with it */
            struct hl_session *session = hl_session_by_id(abi->node, changed->client_id);
            hl_list_remove(c);
            hl_free(changed);
            if (session != NULL) {
                session->user = hl_acl_default(abi->node->acl);
                session->flags &= ~HL_SESSION_AUTHENTICATED;
                hl_session_close(abi->node, session, false);
            }
        }
    }
}
