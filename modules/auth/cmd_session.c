/* SESSIONS, SESSION: who is logged in, and ending it.
 *
 *   Z1  Every end of a session writes its user's record, on which live connections hang (L1): they
 *       and what they wait for end on each node when it applies that effect.
 */
#include "commands.h"

#include "audit.h"
#include "live.h"
#include "store.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/base64.h"

#define MEMBERS 6

hl_err end_session(RedisModuleCtx *ctx, struct user_record *user,
                   const unsigned char sid[TOKEN_ID_LEN], bool others, size_t *ended)
{
    size_t kept = 0;
    size_t count = user->session_count;
    for (size_t i = 0; i < count; i++) {
        bool named = memcmp(user->sessions[i], sid, TOKEN_ID_LEN) == 0;
        if (named == others) {
            memmove(user->sessions[kept++], user->sessions[i], TOKEN_ID_LEN);
        } else {
            store_drop_session(ctx, user->sessions[i]);
        }
    }
    user->session_count = kept;
    *ended = count - kept;
    return store_put_user(ctx, user);
}

static void reply_session(RedisModuleCtx *ctx, const struct session_record *session)
{
    char id[TOKEN_ID_TEXT];
    int64_t used_ms = session->rotated_ms != 0 ? session->rotated_ms : session->created_ms;
    RedisModule_ReplyWithMap(ctx, MEMBERS);
    hl_hex_format(id, session->sid, sizeof session->sid);
    reply_text(ctx, "session", id);
    reply_text(ctx, "device", session->device);
    reply_text(ctx, "address", session->address);
    reply_number(ctx, "created", session->created_ms / 1000);
    reply_number(ctx, "last_used", used_ms / 1000);
    reply_number(ctx, "expires", session->expires_ms / 1000);
}

/* The user that argv[1] names, or without it the connection's. */
static const char *whose(RedisModuleCtx *ctx, RedisModuleString **argv, int argc,
                         struct user_record *user)
{
    const char *name = argc == 1 ? live_name(ctx) : NULL;
    if (argc == 2) {
        return read_user(ctx, argv[1], user);
    }
    if (name == NULL) {
        return "NOSUCHUSER the connection did not log in as a user of this module: name one";
    }
    return store_get_user(ctx, name, user) == HL_OK ? NULL : "NOSUCHUSER there is no such user";
}

int cmd_sessions(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc > 2) {
        return RedisModule_WrongArity(ctx);
    }
    struct user_record user;
    const char *error = whose(ctx, argv, argc, &user);
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    struct session_record *alive = hl_calloc(RECORD_SESSIONS_MAX, sizeof *alive);
    size_t count = 0;
    for (size_t i = 0; i < user.session_count; i++) {
        if (store_get_session(ctx, user.sessions[i], &alive[count]) == HL_OK &&
            session_alive(&alive[count], &user, RedisModule_Milliseconds())) {
            count++;
        }
    }
    RedisModule_ReplyWithArray(ctx, (long)count);
    for (size_t i = 0; i < count; i++) {
        reply_session(ctx, &alive[i]);
    }
    seal_wipe(alive, RECORD_SESSIONS_MAX * sizeof *alive);
    hl_free(alive);
    return REDISMODULE_OK;
}

/* End the session that `arg` names, or the others of its user. */
static const char *revoke_session(RedisModuleCtx *ctx, RedisModuleString *arg, bool others,
                                  size_t *ended)
{
    unsigned char sid[TOKEN_ID_LEN];
    struct user_record user;
    struct session_record *session = hl_calloc(1, sizeof *session);
    bool found = hl_hex_parse(arg_slice(arg), sid, sizeof sid) &&
                 store_get_session(ctx, sid, session) == HL_OK &&
                 store_get_user(ctx, session->name, &user) == HL_OK &&
                 session_alive(session, &user, RedisModule_Milliseconds());
    seal_wipe(session, sizeof *session);
    hl_free(session);
    if (!found) {
        return "NOSUCHSESSION there is no such session";
    }
    return end_session(ctx, &user, sid, others, ended) == HL_OK ? NULL
                                                                : "ERR cannot store the user";
}

/* End every session of the user that `arg` names. */
static const char *revoke_all(RedisModuleCtx *ctx, RedisModuleString *arg, size_t *ended)
{
    struct user_record user;
    const char *error = read_user(ctx, arg, &user);
    if (error != NULL) {
        return error;
    }
    *ended = end_sessions(ctx, &user);
    return store_put_user(ctx, &user) == HL_OK ? NULL : "ERR cannot store the user";
}

int cmd_session(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3 && argc != 4) {
        return RedisModule_WrongArity(ctx);
    }
    size_t ended = 0;
    const char *error = "ERR syntax error";
    bool revoke = hl_slice_is(arg_slice(argv[1]), "REVOKE");
    if (revoke && argc == 3) {
        error = revoke_session(ctx, argv[2], false, &ended);
    } else if (revoke && hl_slice_is(arg_slice(argv[2]), "OTHERS")) {
        error = revoke_session(ctx, argv[3], true, &ended);
    } else if (revoke && hl_slice_is(arg_slice(argv[2]), "ALL")) {
        error = revoke_all(ctx, argv[3], &ended);
    }
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    audit_note(ctx,
               &(struct audit_event){.action = argc == 3 ? "session-revoke" : "sessions-revoke",
                                     .target = RedisModule_StringPtrLen(argv[argc - 1], NULL),
                                     .result = "ok"});
    return RedisModule_ReplyWithLongLong(ctx, (long long)ended);
}
