/* Users: making one, and what a password must be for one. */
#include "commands.h"

#include "deny.h"
#include "settings.h"
#include "store.h"

#include <errno.h>
#include <stdio.h>

static struct deny_list denied;

/* Read the file of denied passwords; false, after logging why, when it cannot be read. */
static bool read_denied(RedisModuleCtx *ctx, const char *path, struct hl_buf *out)
{
    char piece[16384];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        RedisModule_Log(ctx, "warning", "%s: %s", path, strerror(errno));
        return false;
    }
    size_t len = 0;
    do {
        len = fread(piece, 1, sizeof piece, file);
        hl_buf_append(out, piece, len);
    } while (len != 0 && out->len <= DENY_TEXT_MAX);
    bool good = ferror(file) == 0 && out->len <= DENY_TEXT_MAX;
    fclose(file);
    if (!good) {
        RedisModule_Log(ctx, "warning", "%s cannot be read, or is too large", path);
    }
    return good;
}

bool policy_load(RedisModuleCtx *ctx)
{
    const char *path = settings()->password_deny_file;
    struct hl_buf text = {0};
    bool good = *path == '\0' || read_denied(ctx, path, &text);
    if (good) {
        deny_fill(&denied, hl_buf_view(&text));
    }
    hl_buf_fini(&text);
    return good;
}

void policy_unload(void)
{
    deny_fini(&denied);
}

const char *policy_objection(struct hl_slice password, const char *name)
{
    static char text[64];
    const char *objection = password_objection(password);
    if (objection == NULL && password.len < (size_t)settings()->password_min) {
        snprintf(text, sizeof text, "a password must have at least %lld bytes",
                 settings()->password_min);
        objection = text;
    }
    if (objection == NULL && password_is_derived(password, name)) {
        objection = "a password must not be made of the user's name or the product's";
    }
    if (objection == NULL && deny_has(&denied, password)) {
        objection = "a password must not be one that everybody tries";
    }
    return objection;
}

const char *create_user(RedisModuleCtx *ctx, const char *name, const char *hash, bool admin,
                        struct user_record *user)
{
    hl_err err = store_get_user(ctx, name, user);
    if (err == HL_OK) {
        return "USEREXISTS the name is taken";
    }
    int64_t now_ms = RedisModule_Milliseconds();
    *user = (struct user_record){.cv = 1, .created_ms = now_ms, .password_ms = now_ms};
    memcpy(user->name, name, strlen(name) + 1);
    memcpy(user->hash, hash, sizeof user->hash);
    if (admin) {
        memcpy(user->roles[user->role_count++], "admin", sizeof "admin");
    }
    memcpy(user->roles[user->role_count++], "user", sizeof "user");
    if (err != HL_ENOENT || seal_random(user->id, sizeof user->id) != HL_OK ||
        store_list_add(ctx, STORE_USERS, user->name) != HL_OK ||
        store_put_user(ctx, user) != HL_OK) {
        return "ERR cannot store the user: a key of the module is in use";
    }
    return NULL;
}
