/* The first administrator; F1 to F3 are in bootstrap.h. */
#include "bootstrap.h"

#include "audit.h"
#include "commands.h"
#include "secret_file.h"
#include "settings.h"
#include "store.h"

#include "kit/assert.h"
#include "kit/base64.h"

#include <stdlib.h>
#include <unistd.h>

#define TOKEN_RAW 32
#define TOKEN_TEXT HL_BASE64URL_LEN(TOKEN_RAW)
#define RETRY_MS 60000

static char user_name[USER_NAME_MAX + 1]; /* F2 */
static size_t password_len;               /* 0: none was given */
static char password[PASSWORD_LEN_MAX];
static char token[TOKEN_TEXT + 1]; /* F3; "" when there is none */
static int64_t retry_ms;           /* something failed: not again before then */
static bool cleared;               /* one was made, and what is void here is removed */

bool bootstrap_open(RedisModuleCtx *ctx)
{
    struct closed_record closed;
    return store_get_closed(ctx, &closed) == HL_ENOENT;
}

bool bootstrap_keeps(RedisModuleCtx *ctx, const char *name)
{
    return password_len != 0 && strcmp(name, user_name) == 0 && bootstrap_open(ctx);
}

bool bootstrap_matches(struct hl_slice text)
{
    return token[0] != '\0' && text.len == TOKEN_TEXT && seal_equal(text.ptr, token, TOKEN_TEXT);
}

static bool take_name(RedisModuleCtx *ctx)
{
    const char *name = getenv("HELIOS_ADMIN_USER");
    name = name == NULL || *name == '\0' ? "admin" : name;
    const char *objection = user_name_objection(hl_slice_of(name));
    if (objection != NULL) {
        RedisModule_Log(ctx, "warning", "HELIOS_ADMIN_USER: %s", objection);
        return false;
    }
    memcpy(user_name, name, strlen(name) + 1);
    return true;
}

/* Keep the password for later; false, after logging which rule it breaks. */
static bool take_password(RedisModuleCtx *ctx, const char *from, struct hl_slice text)
{
    const char *objection = policy_objection(text, user_name);
    if (objection != NULL) {
        RedisModule_Log(ctx, "warning", "%s: %s", from, objection);
        return false;
    }
    HL_ASSERT(text.len <= sizeof password);
    memcpy(password, text.ptr, text.len);
    password_len = text.len;
    return true;
}

bool bootstrap_load(RedisModuleCtx *ctx)
{
    const char *path = settings()->admin_password_file;
    const char *given = getenv("HELIOS_ADMIN_PASSWORD");
    struct hl_errmsg msg = {0};
    struct hl_buf line = {0};
    bool good = take_name(ctx);
    if (good && given != NULL && *given != '\0') {
        good = take_password(ctx, "HELIOS_ADMIN_PASSWORD", hl_slice_of(given));
    } else if (good && *path != '\0') {
        hl_err err = secret_file_read(&line, path, &msg);
        if (err == HL_OK) {
            good = take_password(ctx, path, hl_buf_view(&line));
        } else { /* once the administrator was made the file may go */
            RedisModule_Log(ctx, "warning", "%s", msg.text);
            good = err == HL_ENOENT;
        }
        seal_wipe(line.ptr, line.len);
        hl_buf_fini(&line);
    }
    return good;
}

void bootstrap_unload(void)
{
    seal_wipe(password, sizeof password);
    seal_wipe(token, sizeof token);
    password_len = 0;
    retry_ms = 0;
    cleared = false;
}

/* Give `name` the role admin in the module rbac, too, where that is loaded. */
static void grant(RedisModuleCtx *ctx, const char *name)
{
    RedisModuleCallReply *reply = RedisModule_Call(ctx, "RBAC.GRANT", "!cc", name, "admin");
    if (reply != NULL && RedisModule_CallReplyType(reply) == REDISMODULE_REPLY_ERROR) {
        RedisModule_Log(ctx, "warning", "rbac did not grant the role admin to %s", name);
    }
    if (reply != NULL) {
        RedisModule_FreeCallReply(reply);
    }
}

const char *bootstrap_make(RedisModuleCtx *ctx, const char *name, const char *hash,
                           struct user_record *user)
{
    struct closed_record closed = {.at_ms = RedisModule_Milliseconds()};
    if (!bootstrap_open(ctx)) {
        return "BOOTSTRAPCLOSED the first administrator was made before";
    }
    const char *error = create_user(ctx, name, hash, true, user);
    if (error != NULL) {
        return error;
    }
    memcpy(closed.name, user->name, sizeof closed.name);
    if (store_put_closed(ctx, &closed) != HL_OK) {
        return "ERR cannot store that the first administrator was made";
    }
    grant(ctx, user->name);
    audit_note(
        ctx, &(struct audit_event){
                 .action = "bootstrap", .actor = user->name, .target = user->name, .result = "ok"});
    RedisModule_Log(ctx, "notice", "the first administrator is %s", user->name);
    return NULL;
}

/* F2 */
static void make_user(RedisModuleCtx *ctx)
{
    unsigned char salt[PASSWORD_SALT_LEN];
    char hash[PASSWORD_HASH_LEN + 1];
    struct user_record user;
    struct hl_slice text = {password, password_len};
    const char *error = "ERR the password cannot be hashed";
    if (seal_random(salt, sizeof salt) == HL_OK &&
        password_hash(hash, text, (int)settings()->bcrypt_cost, salt) == HL_OK) {
        error = bootstrap_make(ctx, user_name, hash, &user);
    }
    if (error != NULL) {
        RedisModule_Log(ctx, "warning", "%s is not made the first administrator: %s", user_name,
                        error);
        bootstrap_unload(); /* a token may do what the password could not */
    }
}

/* Make a new token and its file. */
static hl_err create_token(const char *path, struct hl_errmsg *msg)
{
    unsigned char raw[TOKEN_RAW];
    struct hl_buf text = {0};
    hl_err err = seal_random(raw, sizeof raw);
    if (err == HL_OK) {
        hl_base64url_append(&text, raw, sizeof raw);
        err = secret_file_create(path, hl_buf_view(&text), msg);
    }
    if (err == HL_OK) {
        memcpy(token, text.ptr, text.len);
    }
    seal_wipe(text.ptr, text.len);
    seal_wipe(raw, sizeof raw);
    hl_buf_fini(&text);
    return err;
}

/* Where the token's file is: in the server's directory, unless the setting says where.  Redis works
 * in that directory, Helios where it was started. */
static void find_file(RedisModuleCtx *ctx, struct hl_buf *path)
{
    RedisModuleCallReply *reply = RedisModule_Call(ctx, "CONFIG", "cc", "GET", "dir");
    bool two = settings()->bootstrap_file[0] != '/' && reply != NULL &&
               RedisModule_CallReplyType(reply) == REDISMODULE_REPLY_ARRAY &&
               RedisModule_CallReplyLength(reply) == 2;
    if (two) {
        size_t len = 0;
        const char *dir =
            RedisModule_CallReplyStringPtr(RedisModule_CallReplyArrayElement(reply, 1), &len);
        hl_buf_append(path, dir, dir == NULL ? 0 : len);
        hl_buf_append_text(path, "/");
    }
    hl_buf_append_text(path, settings()->bootstrap_file);
    hl_buf_append_u8(path, '\0');
    if (reply != NULL) {
        RedisModule_FreeCallReply(reply);
    }
}

/* F3: the token of the file, or a new one. */
static void make_token(RedisModuleCtx *ctx)
{
    struct hl_buf file = {0};
    struct hl_errmsg msg = {0};
    struct hl_buf line = {0};
    find_file(ctx, &file);
    const char *path = file.ptr;
    hl_err err = secret_file_read(&line, path, &msg);
    if (err == HL_OK && line.len == TOKEN_TEXT) {
        memcpy(token, line.ptr, line.len);
    } else if (err == HL_OK) {
        err = hl_fail(&msg, HL_ECORRUPT, "%s holds no token: remove it", path);
    } else if (err == HL_ENOENT) {
        err = create_token(path, &msg);
    }
    seal_wipe(line.ptr, line.len);
    hl_buf_fini(&line);
    if (err == HL_OK) {
        RedisModule_Log(ctx, "notice",
                        "there is no administrator yet: AUTH.BOOTSTRAP with the token in %s makes "
                        "one",
                        path);
    } else {
        RedisModule_Log(ctx, "warning", "no token for a first administrator: %s", msg.text);
        retry_ms = RedisModule_Milliseconds() + RETRY_MS;
    }
    hl_buf_fini(&file);
}

bool bootstrap_due(RedisModuleCtx *ctx, bool leads)
{
    if (bootstrap_open(ctx)) {
        cleared = false;
        return leads && token[0] == '\0' && RedisModule_Milliseconds() >= retry_ms;
    }
    return !cleared;
}

/* Remove the file of a token, which is void, and nothing else that may have its name. */
static void remove_token(RedisModuleCtx *ctx)
{
    struct hl_buf path = {0};
    struct hl_errmsg msg = {0};
    struct hl_buf line = {0};
    find_file(ctx, &path);
    if (secret_file_read(&line, path.ptr, &msg) == HL_OK && line.len == TOKEN_TEXT) {
        unlink(path.ptr);
    }
    hl_buf_fini(&path);
    seal_wipe(line.ptr, line.len);
    hl_buf_fini(&line);
}

void bootstrap_act(RedisModuleCtx *ctx)
{
    if (!bootstrap_open(ctx)) {
        remove_token(ctx);
        bootstrap_unload();
        cleared = true;
    } else if (password_len != 0) {
        make_user(ctx);
    } else {
        make_token(ctx);
    }
}
