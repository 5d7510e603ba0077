/* Asks the module auth, as the gateway does, and answers what it said. */
#include "helios/auth_service.h"
#include "helios/module.h"

#include <stdbool.h>

static const HeliosAuthService *auth;
static HeliosAuthIdentity kept; /* by T.IDENTIFY, for T.STANDS and T.SCOPE */

static void reply_pair(RedisModuleCtx *ctx, const char *name, const char *value)
{
    RedisModule_ReplyWithCString(ctx, name);
    RedisModule_ReplyWithCString(ctx, value);
}

/* T.IDENTIFY credential: who it is, or an error of the verdict, the code and the text. */
static int cmd_identify(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    HeliosAuthRefusal refusal;
    size_t len = 0;
    const char *text = argc == 2 ? RedisModule_StringPtrLen(argv[1], &len) : NULL;
    if (text == NULL) {
        return RedisModule_WrongArity(ctx);
    }
    int verdict = auth->identify(ctx, text, len, &kept, &refusal);
    if (verdict != HELIOS_AUTH_GOOD) {
        RedisModuleString *error =
            RedisModule_CreateStringPrintf(ctx, "%s %d %s", refusal.code, verdict, refusal.text);
        RedisModule_ReplyWithError(ctx, RedisModule_StringPtrLen(error, NULL));
        RedisModule_FreeString(ctx, error);
        return REDISMODULE_OK;
    }
    RedisModule_ReplyWithArray(ctx, 18);
    reply_pair(ctx, "name", kept.name);
    reply_pair(ctx, "user_id", kept.user_id);
    reply_pair(ctx, "token_id", kept.token_id);
    reply_pair(ctx, "session", kept.session);
    RedisModule_ReplyWithCString(ctx, "kind");
    RedisModule_ReplyWithLongLong(ctx, kept.kind);
    RedisModule_ReplyWithCString(ctx, "expires_ms");
    RedisModule_ReplyWithLongLong(ctx, kept.expires_ms);
    RedisModule_ReplyWithCString(ctx, "cv");
    RedisModule_ReplyWithLongLong(ctx, (long long)kept.credential_version);
    RedisModule_ReplyWithCString(ctx, "roles");
    RedisModule_ReplyWithArray(ctx, (long)kept.role_count);
    for (size_t i = 0; i < kept.role_count; i++) {
        RedisModule_ReplyWithCString(ctx, kept.roles[i]);
    }
    RedisModule_ReplyWithCString(ctx, "scopes");
    RedisModule_ReplyWithArray(ctx, (long)kept.scope_count);
    for (size_t i = 0; i < kept.scope_count; i++) {
        RedisModule_ReplyWithCString(ctx, kept.scopes[i]);
    }
    return REDISMODULE_OK;
}

/* T.STANDS: whether who was identified last still stands. */
static int cmd_stands(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    return RedisModule_ReplyWithLongLong(ctx, auth->stands(ctx, &kept));
}

/* T.EPOCH */
static int cmd_epoch(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    return RedisModule_ReplyWithLongLong(ctx, (long long)auth->epoch());
}

/* T.SCOPE permission [key]: whether the scopes of who was identified last leave it. */
static int cmd_scope(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    size_t len = 0;
    if (argc != 2 && argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    const char *key = argc == 3 ? RedisModule_StringPtrLen(argv[2], &len) : NULL;
    const char *permission = RedisModule_StringPtrLen(argv[1], NULL);
    return RedisModule_ReplyWithLongLong(ctx, auth->scope_allows(&kept, permission, key, len));
}

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    if (RedisModule_Init(ctx, "t_identify", 1, REDISMODULE_APIVER_1) != REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    auth = RedisModule_GetSharedAPI(ctx, HELIOS_AUTH_SERVICE);
    if (auth == NULL) {
        RedisModule_Log(ctx, "warning", "the module auth is not loaded");
        return REDISMODULE_ERR;
    }
    bool good =
        RedisModule_CreateCommand(ctx, "t.identify", cmd_identify, "readonly", 0, 0, 0) == 0 &&
        RedisModule_CreateCommand(ctx, "t.stands", cmd_stands, "readonly", 0, 0, 0) == 0 &&
        RedisModule_CreateCommand(ctx, "t.epoch", cmd_epoch, "readonly", 0, 0, 0) == 0 &&
        RedisModule_CreateCommand(ctx, "t.scope", cmd_scope, "readonly", 0, 0, 0) == 0;
    return good ? REDISMODULE_OK : REDISMODULE_ERR;
}
