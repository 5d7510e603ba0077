/* What several commands reply, and read, in the same way. */
#include "commands.h"

#include "address.h"
#include "settings.h"
#include "store.h"

#include "kit/base64.h"

#include <stdio.h>

const char *read_name(RedisModuleString *arg, char out[USER_NAME_MAX + 1])
{
    static char text[96];
    struct hl_slice name = arg_slice(arg);
    const char *objection = user_name_objection(name);
    if (objection != NULL) {
        snprintf(text, sizeof text, "ERR %s", objection);
        return text;
    }
    memcpy(out, name.ptr, name.len);
    out[name.len] = '\0';
    return NULL;
}

RedisModuleString *current_user(RedisModuleCtx *ctx)
{
    /* Redis follows the pointer to the user of clients that are none. */
    bool client =
        RedisModule_GetClientInfoById != NULL &&
        RedisModule_GetClientInfoById(NULL, RedisModule_GetClientId(ctx)) == REDISMODULE_OK;
    return client && RedisModule_GetCurrentUserName != NULL ? RedisModule_GetCurrentUserName(ctx)
                                                            : NULL;
}

void client_address(RedisModuleCtx *ctx, char out[RECORD_ADDRESS_MAX + 1])
{
    RedisModuleClientInfo info = REDISMODULE_CLIENTINFO_INITIALIZER_V1;
    *out = '\0';
    if (RedisModule_GetClientInfoById == NULL ||
        RedisModule_GetClientInfoById(&info, RedisModule_GetClientId(ctx)) != REDISMODULE_OK ||
        (info.flags & REDISMODULE_CLIENTINFO_FLAG_UNIXSOCKET) != 0) {
        return;
    }
    address_read(out, (struct hl_slice){info.addr, strnlen(info.addr, sizeof info.addr)});
}

int reply_error(RedisModuleCtx *ctx, const char *code, const char *text)
{
    char line[512];
    snprintf(line, sizeof line, "%s %s", code, text);
    return RedisModule_ReplyWithError(ctx, line);
}

int reply_no_key(RedisModuleCtx *ctx, const struct hl_errmsg *msg)
{
    RedisModule_Log(ctx, "warning", "%s", msg->text);
    return reply_error(ctx, "AUTHKEYS", "no key to sign with: the server's log says why");
}

void reply_text(RedisModuleCtx *ctx, const char *name, const char *text)
{
    RedisModule_ReplyWithCString(ctx, name);
    RedisModule_ReplyWithCString(ctx, text);
}

void reply_number(RedisModuleCtx *ctx, const char *name, long long number)
{
    RedisModule_ReplyWithCString(ctx, name);
    RedisModule_ReplyWithLongLong(ctx, number);
}

void reply_roles(RedisModuleCtx *ctx, const struct user_record *user)
{
    RedisModule_ReplyWithCString(ctx, "roles");
    RedisModule_ReplyWithArray(ctx, (long)user->role_count);
    for (size_t i = 0; i < user->role_count; i++) {
        RedisModule_ReplyWithCString(ctx, user->roles[i]);
    }
}

int reply_pair(RedisModuleCtx *ctx, const struct session_record *session,
               const struct refresh_token *refresh, struct hl_slice access, int64_t issued_ms)
{
    struct hl_buf text = {0};
    char id[TOKEN_ID_TEXT];
    int64_t now_ms = RedisModule_Milliseconds();
    int64_t left_s = issued_ms / 1000 + settings()->token_ttl_s - now_ms / 1000;
    refresh_format(&text, refresh);
    RedisModule_ReplyWithMap(ctx, 7);
    RedisModule_ReplyWithCString(ctx, "access");
    RedisModule_ReplyWithStringBuffer(ctx, access.ptr, access.len);
    RedisModule_ReplyWithCString(ctx, "refresh");
    RedisModule_ReplyWithStringBuffer(ctx, text.ptr, text.len);
    reply_text(ctx, "token_type", "Bearer");
    reply_number(ctx, "expires_in", left_s > 0 ? left_s : 0);
    reply_number(ctx, "refresh_expires_in", (session->expires_ms - now_ms) / 1000);
    hl_hex_format(id, session->sid, sizeof session->sid);
    reply_text(ctx, "session", id);
    hl_hex_format(id, session->user_id, sizeof session->user_id);
    reply_text(ctx, "user_id", id);
    seal_wipe(text.ptr, text.len);
    hl_buf_fini(&text);
    return REDISMODULE_OK;
}

size_t end_sessions(RedisModuleCtx *ctx, struct user_record *user)
{
    size_t count = user->session_count;
    for (size_t i = 0; i < count; i++) {
        store_drop_session(ctx, user->sessions[i]);
    }
    user->session_count = 0;
    user->cv += user->cv < INT64_MAX;
    return count;
}
