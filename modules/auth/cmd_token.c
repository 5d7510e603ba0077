/* VERIFY, REFRESH, LOGOUT, WHOAMI: the commands that take a token. */
#include "commands.h"

#include "audit.h"
#include "keyed.h"
#include "settings.h"
#include "stats.h"
#include "store.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/base64.h"

#include <stdio.h>

int cmd_verify(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    struct access *access = hl_calloc(1, sizeof *access);
    const char *error = access_check(ctx, arg_slice(argv[1]), access);
    stats()->verifications++;
    if (error != NULL) {
        stats()->verification_failures++;
        hl_free(access);
        return RedisModule_ReplyWithError(ctx, error);
    }
    const struct token_claims *claims = &access->claims;
    RedisModule_ReplyWithMap(ctx, 11);
    reply_text(ctx, "iss", settings()->issuer);
    reply_text(ctx, "aud", settings()->audience);
    reply_text(ctx, "sub", claims->sub);
    reply_text(ctx, "name", claims->name);
    reply_roles(ctx, &access->user); /* as they are now, not as they were when it was issued */
    reply_text(ctx, "jti", claims->jti);
    reply_text(ctx, "sid", claims->sid);
    reply_number(ctx, "iat", claims->iat_s);
    reply_number(ctx, "nbf", claims->nbf_s);
    reply_number(ctx, "exp", claims->exp_s);
    reply_number(ctx, "cv", (long long)claims->cv);
    hl_free(access);
    return REDISMODULE_OK;
}

/* ---- REFRESH ----------------------------------------------------------------------------------
 */

/* A refresh in progress: too large for the stack of a callback. */
struct refresh {
    struct refresh_token token, next;
    struct session_record session;
    struct user_record user;
    struct hl_buf access;
};

/* Give the successor of the current token. */
static int give_next(RedisModuleCtx *ctx, struct refresh *r, int64_t now_ms)
{
    unsigned char secret[RECORD_SECRET_LEN];
    struct hl_errmsg msg = {0};
    if (access_ready(ctx, &msg) != HL_OK) {
        return reply_no_key(ctx, &msg);
    }
    hl_err err = seal_random(secret, sizeof secret);
    if (err == HL_OK) {
        session_next(&r->session, &r->next, secret);
        err = access_issue(&r->access, &r->user, r->session.sid, now_ms);
    }
    if (err == HL_OK) {
        err = session_rotate(&r->session, &r->token, &r->next, hl_buf_view(&r->access), now_ms,
                             settings()->refresh_ttl_s * 1000);
    }
    if (err == HL_OK) {
        err = store_put_session(ctx, &r->session);
    }
    seal_wipe(secret, sizeof secret);
    stats()->refreshes += err == HL_OK;
    return err == HL_OK ? reply_pair(ctx, &r->session, &r->next, hl_buf_view(&r->access), now_ms)
                        : reply_error(ctx, "ERR", "cannot refresh the session");
}

/* Give the loser of a race what the winner got. */
static int give_again(RedisModuleCtx *ctx, struct refresh *r)
{
    if (session_replay(&r->session, &r->token, &r->next, &r->access) != HL_OK) {
        return reply_error(ctx, "ERR", "the session's record is damaged");
    }
    stats()->refresh_replays++;
    return reply_pair(ctx, &r->session, &r->next, hl_buf_view(&r->access), r->session.rotated_ms);
}

/* Note in the audit trail what became of a session. */
static void note_session(RedisModuleCtx *ctx, const struct refresh *r, const char *action,
                         const char *result)
{
    char sid[TOKEN_ID_TEXT];
    hl_hex_format(sid, r->session.sid, sizeof r->session.sid);
    audit_note(ctx, &(struct audit_event){
                        .action = action, .actor = r->user.name, .target = sid, .result = result});
}

/* End a session of which somebody holds a copy. */
static int revoke(RedisModuleCtx *ctx, struct refresh *r)
{
    stats()->refresh_reuses++;
    session_revoke(&r->session);
    size_t ended = 0;
    if (end_session(ctx, &r->user, r->session.sid, false, &ended) != HL_OK ||
        store_put_session(ctx, &r->session) != HL_OK) {
        return reply_error(ctx, "ERR", "cannot revoke the session");
    }
    note_session(ctx, r, "refresh", "reused");
    RedisModule_Log(ctx, "warning", "a refresh token of user %s was used twice: session revoked",
                    r->session.name);
    return reply_error(ctx, "TOKENREUSED",
                       "the refresh token was used before; the session is "
                       "revoked");
}

static int judge(RedisModuleCtx *ctx, struct refresh *r)
{
    int64_t now_ms = RedisModule_Milliseconds();
    enum session_verdict verdict =
        session_present(&r->session, &r->token, now_ms, settings()->refresh_leeway_s * 1000);
    bool alive = session_alive(&r->session, &r->user, now_ms);
    switch (verdict) {
    case SESSION_ROTATE:
        return alive ? give_next(ctx, r, now_ms)
                     : reply_error(ctx, "TOKENREVOKED", "the session has ended");
    case SESSION_REPLAY:
        return alive ? give_again(ctx, r)
                     : reply_error(ctx, "TOKENREVOKED", "the session has ended");
    case SESSION_REUSED:
        return revoke(ctx, r);
    case SESSION_REVOKED:
        return reply_error(ctx, "TOKENREVOKED", "the session is revoked");
    case SESSION_EXPIRED:
        return reply_error(ctx, "TOKENEXPIRED", "the session has expired");
    case SESSION_FORGED:
        return reply_error(ctx, "TOKENINVALID", "not a refresh token");
    }
    HL_ASSERT(!"a verdict of the enum");
    return REDISMODULE_ERR;
}

static void free_refresh(struct refresh *r)
{
    seal_wipe(r->access.ptr, r->access.len);
    hl_buf_fini(&r->access);
    seal_wipe(r, sizeof *r);
    hl_free(r);
}

int cmd_refresh(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    struct refresh *r = hl_calloc(1, sizeof *r);
    int result = REDISMODULE_OK;
    if (!refresh_parse(&r->token, arg_slice(argv[1]))) {
        result = reply_error(ctx, "TOKENINVALID", "not a refresh token");
    } else if (store_get_session(ctx, r->token.sid, &r->session) != HL_OK ||
               store_get_user(ctx, r->session.name, &r->user) != HL_OK) {
        result = reply_error(ctx, "TOKENREVOKED", "the session has ended");
    } else {
        result = judge(ctx, r);
    }
    free_refresh(r);
    return result;
}

/* ---- LOGOUT -----------------------------------------------------------------------------------
 */

/* Find the session that `text` names: a session id, a refresh token or an access token.  NULL and
 * r->session and r->user filled, or the error to reply. */
static const char *find_session(RedisModuleCtx *ctx, struct hl_slice text, struct refresh *r)
{
    unsigned char sid[TOKEN_ID_LEN];
    bool is_refresh = refresh_parse(&r->token, text);
    if (text.len > 0 && memchr(text.ptr, '.', text.len) != NULL) {
        struct access *access = hl_calloc(1, sizeof *access);
        const char *error = access_check(ctx, text, access);
        r->session = access->session;
        r->user = access->user;
        hl_free(access);
        return error;
    }
    if (is_refresh) {
        memcpy(sid, r->token.sid, sizeof sid);
    } else if (!hl_hex_parse(text, sid, sizeof sid)) {
        return "TOKENINVALID neither a token nor a session";
    }
    if (store_get_session(ctx, sid, &r->session) != HL_OK ||
        store_get_user(ctx, r->session.name, &r->user) != HL_OK) {
        return "TOKENREVOKED the session has ended";
    }
    int64_t now_ms = RedisModule_Milliseconds();
    int64_t leeway_ms = settings()->refresh_leeway_s * 1000;
    if (is_refresh &&
        session_present(&r->session, &r->token, now_ms, leeway_ms) == SESSION_FORGED) {
        return "TOKENINVALID not a refresh token";
    }
    return session_alive(&r->session, &r->user, now_ms) ? NULL
                                                        : "TOKENREVOKED the session has ended";
}

int cmd_logout(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 2 && argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    bool every = argc == 3 && hl_slice_is(arg_slice(argv[2]), "ALL");
    bool others = argc == 3 && hl_slice_is(arg_slice(argv[2]), "OTHERS");
    if (argc == 3 && !every && !others) {
        return RedisModule_ReplyWithError(ctx, "ERR syntax error");
    }
    struct refresh *r = hl_calloc(1, sizeof *r);
    size_t ended = 0;
    const char *error = find_session(ctx, arg_slice(argv[1]), r);
    if (error == NULL) {
        hl_err err = HL_OK;
        if (every) {
            ended = end_sessions(ctx, &r->user);
            err = store_put_user(ctx, &r->user);
        } else {
            err = end_session(ctx, &r->user, r->session.sid, others, &ended);
        }
        stats()->logouts += err == HL_OK;
        if (err == HL_OK) {
            note_session(ctx, r, every ? "logout-all" : others ? "logout-others" : "logout", "ok");
        }
        error = err == HL_OK ? NULL : "ERR cannot store the user";
    }
    free_refresh(r);
    return error == NULL ? RedisModule_ReplyWithLongLong(ctx, (long long)ended)
                         : RedisModule_ReplyWithError(ctx, error);
}

/* ---- WHOAMI -----------------------------------------------------------------------------------
 */

static int whoami_connection(RedisModuleCtx *ctx)
{
    RedisModuleString *name = current_user(ctx);
    RedisModule_ReplyWithMap(ctx, 2);
    reply_text(ctx, "via", "connection");
    RedisModule_ReplyWithCString(ctx, "name");
    if (name == NULL) {
        return RedisModule_ReplyWithNull(ctx);
    }
    RedisModule_ReplyWithString(ctx, name);
    RedisModule_FreeString(ctx, name);
    return REDISMODULE_OK;
}

static int whoami_key(RedisModuleCtx *ctx, struct hl_slice text)
{
    struct keyed *keyed = hl_calloc(1, sizeof *keyed);
    const char *error = keyed_check(ctx, text, keyed);
    char id[TOKEN_ID_TEXT];
    if (error == NULL) {
        RedisModule_ReplyWithMap(ctx, 7);
        reply_text(ctx, "via", "api-key");
        reply_text(ctx, "name", keyed->user.name);
        hl_hex_format(id, keyed->user.id, sizeof keyed->user.id);
        reply_text(ctx, "user_id", id);
        reply_roles(ctx, &keyed->user);
        hl_hex_format(id, keyed->key.id, sizeof keyed->key.id);
        reply_text(ctx, "key", id);
        reply_number(ctx, "expires", keyed->key.expires_ms / 1000);
        RedisModule_ReplyWithCString(ctx, "scopes");
        RedisModule_ReplyWithArray(ctx, (long)keyed->key.scope_count);
        for (size_t i = 0; i < keyed->key.scope_count; i++) {
            RedisModule_ReplyWithCString(ctx, keyed->key.scopes[i]);
        }
    } else {
        RedisModule_ReplyWithError(ctx, error);
    }
    hl_free(keyed);
    return REDISMODULE_OK;
}

int cmd_whoami(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc > 2) {
        return RedisModule_WrongArity(ctx);
    }
    if (argc == 1) {
        return whoami_connection(ctx);
    }
    if (apikey_looks_so(arg_slice(argv[1]))) {
        return whoami_key(ctx, arg_slice(argv[1]));
    }
    struct access *access = hl_calloc(1, sizeof *access);
    const char *error = access_check(ctx, arg_slice(argv[1]), access);
    if (error == NULL) {
        RedisModule_ReplyWithMap(ctx, 8);
        reply_text(ctx, "via", "token");
        reply_text(ctx, "name", access->user.name);
        reply_text(ctx, "user_id", access->claims.sub);
        reply_roles(ctx, &access->user);
        reply_text(ctx, "session", access->claims.sid);
        reply_number(ctx, "session_created", access->session.created_ms / 1000);
        reply_number(ctx, "sessions", (long long)access->user.session_count);
        reply_number(ctx, "expires_in", access->claims.exp_s - RedisModule_Milliseconds() / 1000);
    } else {
        RedisModule_ReplyWithError(ctx, error);
    }
    hl_free(access);
    return REDISMODULE_OK;
}
