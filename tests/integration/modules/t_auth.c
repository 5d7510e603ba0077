/* t_auth: users, permissions and logins, for test_modules.py. */
#include "helios/module.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* A.CHECK rules command arg...: OK, NOPERM or NONE for a new user with these rules. */
static int cmd_check(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc < 3) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModuleUser *user = RedisModule_CreateModuleUser("somebody");
    RedisModuleString *error = NULL;
    const char *rules = RedisModule_StringPtrLen(argv[1], NULL);
    if (RedisModule_SetModuleUserACLString(ctx, user, rules, &error) != REDISMODULE_OK) {
        RedisModule_FreeString(ctx, error);
        RedisModule_FreeModuleUser(user);
        return RedisModule_ReplyWithError(ctx, "ERR rules");
    }
    int result = RedisModule_ACLCheckCommandPermissions(user, argv + 2, argc - 2);
    int why = errno;
    RedisModule_FreeModuleUser(user);
    return RedisModule_ReplyWithSimpleString(ctx, result == REDISMODULE_OK ? "OK"
                                                  : why == EACCES          ? "NOPERM"
                                                                           : "NONE");
}

/* A.KEY rules key: may it be read, may it be changed. */
static int cmd_key(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModuleUser *user = RedisModule_CreateModuleUser("somebody");
    RedisModule_SetModuleUserACL(user, "on");
    RedisModule_SetModuleUserACL(user, RedisModule_StringPtrLen(argv[1], NULL));
    RedisModule_ReplyWithArray(ctx, 2);
    RedisModule_ReplyWithLongLong(
        ctx, RedisModule_ACLCheckKeyPermissions(user, argv[2], REDISMODULE_CMD_KEY_ACCESS));
    RedisModule_ReplyWithLongLong(
        ctx, RedisModule_ACLCheckKeyPermissions(user, argv[2], REDISMODULE_CMD_KEY_UPDATE));
    RedisModule_FreeModuleUser(user);
    return REDISMODULE_OK;
}

static int changes;

static void on_changed(uint64_t client_id, void *privdata)
{
    (void)client_id;
    (void)privdata;
    changes++;
}

/* A.LOGIN name: become that user without a password. */
static int cmd_login(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    size_t len = 0;
    uint64_t id = 0;
    const char *name = RedisModule_StringPtrLen(argv[1], &len);
    if (RedisModule_AuthenticateClientWithACLUser(ctx, name, len, on_changed, NULL, &id) !=
        REDISMODULE_OK) {
        return RedisModule_ReplyWithError(ctx, "ERR nobody");
    }
    return RedisModule_ReplyWithLongLong(ctx, id == RedisModule_GetClientId(ctx));
}

/* A.WHO: the caller's user, and how many others ceased to be theirs. */
static int cmd_who(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    RedisModuleString *name = RedisModule_GetCurrentUserName(ctx);
    RedisModule_ReplyWithArray(ctx, 2);
    RedisModule_ReplyWithString(ctx, name);
    RedisModule_FreeString(ctx, name);
    return RedisModule_ReplyWithLongLong(ctx, changes);
}

/* A.KICK id */
static int cmd_kick(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long id = 0;
    if (argc != 2 || RedisModule_StringToLongLong(argv[1], &id) != REDISMODULE_OK) {
        return RedisModule_WrongArity(ctx);
    }
    return RedisModule_ReplyWithLongLong(
        ctx, RedisModule_DeauthenticateAndCloseClient(ctx, (uint64_t)id));
}

/* A.AS command arg...: with the rights of the caller. */
static int cmd_as(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    const char *name = RedisModule_StringPtrLen(argv[1], NULL);
    RedisModuleCallReply *reply = RedisModule_Call(ctx, name, "!Cv", argv + 2, (size_t)(argc - 2));
    if (reply == NULL) {
        return RedisModule_ReplyWithError(ctx, errno == EACCES ? "ERR EACCES" : "ERR refused");
    }
    RedisModule_ReplyWithCallReply(ctx, reply);
    RedisModule_FreeCallReply(reply);
    return REDISMODULE_OK;
}

/* ---- Logins: the user is what the password says ---- */

static bool is(const RedisModuleString *str, const char *text)
{
    size_t len = 0;
    const char *bytes = RedisModule_StringPtrLen(str, &len);
    return len == strlen(text) && memcmp(bytes, text, len) == 0;
}

static int judge(RedisModuleCtx *ctx, RedisModuleString *username, RedisModuleString *password,
                 RedisModuleString **err)
{
    size_t len = 0;
    const char *name = RedisModule_StringPtrLen(username, &len);
    if (is(password, "refused") || is(password, "slow-refused")) {
        *err = RedisModule_CreateString(NULL, "NOPE not you", 12);
        return REDISMODULE_AUTH_HANDLED;
    }
    if (is(password, "accepted") || is(password, "slow-accepted")) {
        RedisModule_AuthenticateClientWithACLUser(ctx, name, len, NULL, NULL, NULL);
        return REDISMODULE_AUTH_HANDLED;
    }
    return REDISMODULE_AUTH_NOT_HANDLED;
}

static void *think(void *arg)
{
    usleep(30000);
    RedisModule_UnblockClient(arg, NULL);
    return NULL;
}

static int on_auth(RedisModuleCtx *ctx, RedisModuleString *username, RedisModuleString *password,
                   RedisModuleString **err)
{
    size_t len = 0;
    const char *bytes = RedisModule_StringPtrLen(password, &len);
    if (len > 5 && memcmp(bytes, "slow-", 5) == 0) {
        pthread_t thread;
        RedisModuleBlockedClient *bc = RedisModule_BlockClientOnAuth(ctx, judge, NULL);
        pthread_create(&thread, NULL, think, bc);
        pthread_detach(thread);
        return REDISMODULE_AUTH_HANDLED;
    }
    return judge(ctx, username, password, err);
}

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    if (RedisModule_Init(ctx, "t_auth", 1, REDISMODULE_APIVER_1) != REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    RedisModule_CreateCommand(ctx, "a.check", cmd_check, "readonly", 0, 0, 0);
    RedisModule_CreateCommand(ctx, "a.key", cmd_key, "readonly", 0, 0, 0);
    RedisModule_CreateCommand(ctx, "a.login", cmd_login, "readonly no-auth", 0, 0, 0);
    RedisModule_CreateCommand(ctx, "a.who", cmd_who, "readonly", 0, 0, 0);
    RedisModule_CreateCommand(ctx, "a.kick", cmd_kick, "readonly", 0, 0, 0);
    RedisModule_CreateCommand(ctx, "a.as", cmd_as, "write", 0, 0, 0);
    if (RedisModule_RegisterAuthCallback != NULL) {
        RedisModule_RegisterAuthCallback(ctx, on_auth);
    }
    return REDISMODULE_OK;
}
