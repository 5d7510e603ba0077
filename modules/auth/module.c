/* auth: what the module registers, in one table.  See README.md for the commands. */
#include "audit.h"
#include "bootstrap.h"
#include "commands.h"
#include "keyed.h"
#include "leader.h"
#include "live.h"
#include "service.h"
#include "settings.h"
#include "stats.h"
#include "store.h"
#include "tick.h"

#include "helios/extensions.h"
#include "helios/needed.h"
#include "kit/assert.h"

#include <stdio.h>

#define AUTH_VERSION 1
#define ARGS_MAX 5
#define INTERNAL 2 /* commands at the end of the table that are not for clients */

/* An argument as documentation: a name; a leading '?' marks it optional, a '*' repeatable, and
 * "TOKEN=name" a value behind a word, "TOKEN" in capitals alone the word itself. */
static const struct command {
    const char *name;
    RedisModuleCmdFunc run;
    const char *flags;
    int first_key;
    int arity;
    const char *args[ARGS_MAX];
    const char *summary;
    const char *complexity;
} commands[] = {
    {"auth.register",
     cmd_register,
     "write deny-oom no-monitor no-slowlog blocking",
     0,
     3,
     {"user", "password"},
     "Registers a user with the role `user`.",
     "O(1), and a password hash on a thread of its own"},
    {"auth.bootstrap",
     cmd_bootstrap,
     "write deny-oom no-monitor no-slowlog blocking",
     0,
     4,
     {"token", "user", "password"},
     "Makes the first administrator, once, with the token in the file auth.bootstrap-file.",
     "O(1), and a password hash on a thread of its own"},
    {"auth.login",
     cmd_login,
     "write deny-oom no-monitor no-slowlog blocking",
     0,
     -3,
     {"user", "password", "?DEVICE=device"},
     "Opens a session: an access token and a refresh token.",
     "O(1), and a password hash on a thread of its own"},
    {"auth.passwd",
     cmd_passwd,
     "write deny-oom no-monitor no-slowlog blocking",
     0,
     4,
     {"user", "old", "new"},
     "Changes a password and ends all sessions of the user.",
     "O(S) with S sessions, and two password hashes on a thread of their own"},
    {"auth.verify",
     cmd_verify,
     "readonly fast no-monitor no-slowlog",
     0,
     2,
     {"token"},
     "Checks an access token and returns its claims.",
     "O(1)"},
    {"auth.refresh",
     cmd_refresh,
     "write deny-oom fast no-monitor no-slowlog",
     0,
     2,
     {"refresh-token"},
     "Trades a refresh token for a new pair.",
     "O(1)"},
    {"auth.logout",
     cmd_logout,
     "write no-monitor no-slowlog",
     0,
     -2,
     {"token-or-session", "?ALL", "?OTHERS"},
     "Ends a session, all sessions of its user, or all but this one.",
     "O(S) with S sessions of the user"},
    {"auth.sessions",
     cmd_sessions,
     "readonly admin",
     0,
     -1,
     {"?user"},
     "Lists the sessions of a user, or of the one who logged in here.",
     "O(S) with S sessions of the user"},
    {"auth.session",
     cmd_session,
     "write admin",
     0,
     -3,
     {"REVOKE", "?OTHERS", "?ALL", "session-or-user"},
     "Ends a session, all but this one of its user, or all of a user, and what hangs on them.",
     "O(S) with S sessions of the user"},
    {"auth.whoami",
     cmd_whoami,
     "readonly fast no-monitor no-slowlog",
     0,
     -1,
     {"?token"},
     "Tells whose a token is, or as whom the connection acts.",
     "O(1)"},
    {"auth.users",
     cmd_users,
     "readonly admin",
     0,
     -1,
     {"?AFTER=name", "?COUNT=count"},
     "Lists users in the order of their names.",
     "O(N*log(M)) with N users, M of them returned"},
    {"auth.user",
     cmd_user,
     "readonly admin",
     0,
     2,
     {"user"},
     "Describes a user, by name or id.",
     "O(1) by name, O(N) by id"},
    {"auth.deluser",
     cmd_deluser,
     "write admin",
     0,
     2,
     {"user"},
     "Deletes a user with all sessions and API keys.",
     "O(S+K) with S sessions of the user and K API keys of all"},
    {"auth.audit",
     cmd_audit,
     "readonly admin",
     0,
     -1,
     {"?AFTER=index", "?COUNT=count", "?USER=user", "?ACTION=action", "?VERIFY"},
     "Lists who did what, oldest first, or verifies the chain.",
     "O(N) with N entries looked at"},
    {"auth.disable",
     cmd_disable,
     "write admin",
     0,
     2,
     {"user"},
     "Disables a user and ends all sessions.",
     "O(S) with S sessions of the user"},
    {"auth.enable",
     cmd_enable,
     "write admin",
     0,
     2,
     {"user"},
     "Enables a user and forgets failed logins.",
     "O(1)"},
    {"auth.roles",
     cmd_roles,
     "write deny-oom admin",
     0,
     -2,
     {"user", "?*role"},
     "Replaces the roles of a user.",
     "O(R) with R roles"},
    {"auth.apikey",
     cmd_apikey,
     "write deny-oom admin",
     0,
     -2,
     {"verb", "?name-or-id", "?*option"},
     "CREATE name [USER user] [TTL seconds] [SCOPES count scope ...], LIST [USER user], REVOKE id.",
     "O(1); LIST O(N*log(N)) with N keys"},
    {"auth.jwks",
     cmd_jwks,
     "readonly fast",
     0,
     1,
     {NULL},
     "The public halves of the keys that sign or verify, as a JSON Web Key Set.",
     "O(1)"},
    {"auth.keys",
     cmd_keys,
     "write deny-oom admin",
     0,
     -1,
     {"?LIST", "?ROTATE", "?algorithm"},
     "Lists the signing keys, or publishes one that will sign after auth.key-publish seconds.",
     "O(1)"},
    {"auth.rotate",
     cmd_rotate,
     "write deny-oom admin",
     0,
     -1,
     {"?NOW"},
     "Makes a new signing key; the old ones verify until their tokens have expired.",
     "O(1)"},
    {"auth.help", cmd_help, "readonly fast", 0, 1, {NULL}, "Describes the commands.", "O(1)"},
    {"auth.failed",
     cmd_failed,
     "write admin deny-script no-monitor no-slowlog",
     0,
     3,
     {"user", "address"},
     "Counts a failed login that a node saw which may not write; not for clients.",
     "O(1)"},
    {"auth.put",
     cmd_put,
     "write admin deny-script no-monitor no-slowlog",
     1,
     4,
     {"key", "deadline", "record"},
     "Applies an effect of this module; not for clients.",
     "O(1)"},
};

/* Copy up to `c` or the end; returns what follows. */
static const char *cut(char *out, size_t cap, const char *text, char c)
{
    const char *end = strchr(text, c);
    size_t len = end == NULL ? strlen(text) : (size_t)(end - text);
    HL_ASSERT(len < cap);
    memcpy(out, text, len);
    out[len] = '\0';
    return end == NULL ? text + len : end + 1;
}

/* `text` in lower case; both have room for 32 bytes. */
static void lower(char *out, const char *text)
{
    do {
        *out++ = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;
    } while (*text++ != '\0');
}

/* Turn a word of the table into an argument; `names` is room for its token and name. */
static RedisModuleCommandArg describe_arg(const char *word, int key_spec, char names[2][32])
{
    RedisModuleCommandArg arg = {.type = REDISMODULE_ARG_TYPE_STRING, .key_spec_index = -1};
    for (; *word == '?' || *word == '*'; word++) {
        arg.flags |= *word == '?' ? REDISMODULE_CMD_ARG_OPTIONAL : REDISMODULE_CMD_ARG_MULTIPLE;
    }
    bool is_token = *word >= 'A' && *word <= 'Z';
    const char *rest = cut(names[0], 32, word, '=');
    if (is_token) {
        arg.token = names[0];
    }
    if (is_token && *rest == '\0') {
        arg.type = REDISMODULE_ARG_TYPE_PURE_TOKEN;
        lower(names[1], names[0]);
        arg.name = names[1];
        return arg;
    }
    cut(names[1], 32, is_token ? rest : word, '=');
    arg.name = names[1];
    if (strcmp(arg.name, "count") == 0 || strcmp(arg.name, "index") == 0 ||
        strcmp(arg.name, "deadline") == 0) {
        arg.type = REDISMODULE_ARG_TYPE_INTEGER;
    } else if (key_spec >= 0 && strcmp(arg.name, "key") == 0) {
        arg.type = REDISMODULE_ARG_TYPE_KEY;
        arg.key_spec_index = key_spec;
    }
    return arg;
}

/* Documentation for COMMAND DOCS, where the server takes it. */
static bool describe(RedisModuleCtx *ctx, const struct command *c)
{
    RedisModuleCommandArg args[ARGS_MAX + 1] = {{0}};
    RedisModuleCommandKeySpec keys[2] = {{0}};
    char names[ARGS_MAX][2][32];
    if (RedisModule_SetCommandInfo == NULL || RedisModule_GetCommand == NULL) {
        return true;
    }
    for (size_t i = 0; i < ARGS_MAX && c->args[i] != NULL; i++) {
        args[i] = describe_arg(c->args[i], c->first_key - 1, names[i]);
    }
    if (c->first_key != 0) {
        keys[0] = (RedisModuleCommandKeySpec){
            .flags = REDISMODULE_CMD_KEY_OW | REDISMODULE_CMD_KEY_UPDATE,
            .begin_search_type = REDISMODULE_KSPEC_BS_INDEX,
            .bs.index.pos = c->first_key,
            .find_keys_type = REDISMODULE_KSPEC_FK_RANGE,
            .fk.range = {.lastkey = 0, .keystep = 1, .limit = 0},
        };
    }
    RedisModuleCommandInfo info = {
        .version = REDISMODULE_COMMAND_INFO_VERSION,
        .summary = c->summary,
        .complexity = c->complexity,
        .since = "1.0.0",
        .arity = c->arity,
        .key_specs = c->first_key != 0 ? keys : NULL,
        .args = c->args[0] != NULL ? args : NULL,
    };
    RedisModuleCommand *command = RedisModule_GetCommand(ctx, c->name);
    return command != NULL && RedisModule_SetCommandInfo(command, &info) == REDISMODULE_OK;
}

static bool register_commands(RedisModuleCtx *ctx)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(commands); i++) {
        const struct command *c = &commands[i];
        if (RedisModule_CreateCommand(ctx, c->name, c->run, c->flags, c->first_key, c->first_key,
                                      c->first_key != 0) != REDISMODULE_OK ||
            !describe(ctx, c)) {
            RedisModule_Log(ctx, "warning", "cannot register %s: is the name taken?", c->name);
            return false;
        }
    }
    return true;
}

/* An argument of the table as people write it: " name", " [ALL]", " [COUNT count]", " [role ...]".
 * Returns its length. */
static int format_arg(char *out, size_t cap, const char *arg)
{
    char token[32];
    bool optional = strchr(arg, '?') != NULL;
    bool many = strchr(arg, '*') != NULL;
    arg += strspn(arg, "?*");
    const char *name = cut(token, sizeof token, arg, '=');
    return snprintf(out, cap, " %s%s%s%s%s%s", optional ? "[" : "", token, *name != '\0' ? " " : "",
                    name, many ? " ..." : "", optional ? "]" : "");
}

int cmd_help(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModule_ReplyWithArray(ctx, (long)(HL_ARRAY_LEN(commands) - INTERNAL));
    for (size_t i = 0; i + INTERNAL < HL_ARRAY_LEN(commands); i++) {
        char line[256];
        int len = snprintf(line, sizeof line, "%s", commands[i].name);
        for (int at = 0; at < len; at++) {
            line[at] = line[at] >= 'a' && line[at] <= 'z' ? (char)(line[at] - 'a' + 'A') : line[at];
        }
        for (size_t a = 0; a < ARGS_MAX && commands[i].args[a] != NULL; a++) {
            len += format_arg(line + len, sizeof line - (size_t)len, commands[i].args[a]);
        }
        snprintf(line + len, sizeof line - (size_t)len, ": %s", commands[i].summary);
        RedisModule_ReplyWithSimpleString(ctx, line);
    }
    return REDISMODULE_OK;
}

/* What the module calls without looking whether the server has it. */
static const struct helios_needed needed[] = {
    HELIOS_NEEDED(AbortBlock),
    HELIOS_NEEDED(Alloc),
    HELIOS_NEEDED(BlockClient),
    HELIOS_NEEDED(Call),
    HELIOS_NEEDED(CallReplyArrayElement),
    HELIOS_NEEDED(CallReplyLength),
    HELIOS_NEEDED(CallReplyStringPtr),
    HELIOS_NEEDED(CallReplyType),
    HELIOS_NEEDED(CloseKey),
    HELIOS_NEEDED(CreateCommand),
    HELIOS_NEEDED(CreateDataType),
    HELIOS_NEEDED(CreateString),
    HELIOS_NEEDED(CreateStringPrintf),
    HELIOS_NEEDED(DeleteKey),
    HELIOS_NEEDED(Free),
    HELIOS_NEEDED(FreeCallReply),
    HELIOS_NEEDED(FreeString),
    HELIOS_NEEDED(GetBlockedClientPrivateData),
    HELIOS_NEEDED(GetClientId),
    HELIOS_NEEDED(GetContextFlags),
    HELIOS_NEEDED(GetSelectedDb),
    HELIOS_NEEDED(HashSet),
    HELIOS_NEEDED(KeyType),
    HELIOS_NEEDED(LoadStringBuffer),
    HELIOS_NEEDED(LogIOError),
    HELIOS_NEEDED(Milliseconds),
    HELIOS_NEEDED(ModuleTypeGetType),
    HELIOS_NEEDED(ModuleTypeGetValue),
    HELIOS_NEEDED(ModuleTypeSetValue),
    HELIOS_NEEDED(OpenKey),
    HELIOS_NEEDED(Replicate),
    HELIOS_NEEDED(ReplicateVerbatim),
    HELIOS_NEEDED(ReplyWithArray),
    HELIOS_NEEDED(ReplyWithCString),
    HELIOS_NEEDED(ReplyWithError),
    HELIOS_NEEDED(ReplyWithLongLong),
    HELIOS_NEEDED(ReplyWithMap),
    HELIOS_NEEDED(ReplyWithNull),
    HELIOS_NEEDED(ReplyWithSimpleString),
    HELIOS_NEEDED(ReplyWithString),
    HELIOS_NEEDED(ReplyWithStringBuffer),
    HELIOS_NEEDED(SaveStringBuffer),
    HELIOS_NEEDED(ScanCursorCreate),
    HELIOS_NEEDED(ScanCursorDestroy),
    HELIOS_NEEDED(ScanKey),
    HELIOS_NEEDED(SelectDb),
    HELIOS_NEEDED(SetAbsExpire),
    HELIOS_NEEDED(SetExpire),
    HELIOS_NEEDED(StringPtrLen),
    HELIOS_NEEDED(StringToLongLong),
    HELIOS_NEEDED(UnblockClient),
    HELIOS_NEEDED(ValueLength),
    HELIOS_NEEDED(WrongArity),
};

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (RedisModule_Init(ctx, "auth", AUTH_VERSION, REDISMODULE_APIVER_1) != REDISMODULE_OK ||
        RedisModule_Log == NULL) {
        return REDISMODULE_ERR; /* nothing can be logged yet */
    }
    if (RedisModule_SetModuleOptions !=
        NULL) { /* what it keeps follows from the keys, or is a cache */
        RedisModule_SetModuleOptions(ctx, HELIOSMODULE_OPTION_NO_GLOBALS);
    }
    /* The threads come last, so that nothing can fail once they run. */
    if (!HELIOS_HAS_ALL(ctx, needed) || !settings_load(ctx, argv, argc) || !store_register(ctx) ||
        !register_commands(ctx) || !policy_load(ctx) || !bootstrap_load(ctx) ||
        !password_commands_load(ctx)) {
        policy_unload();
        bootstrap_unload();
        settings_unload(ctx);
        return REDISMODULE_ERR;
    }
    HeliosModule_LookUp(ctx);
    native_auth_load(ctx);
    leader_load(ctx);
    tick_load(ctx);
    service_load(ctx);
    stats_load(ctx);
    return REDISMODULE_OK;
}

int RedisModule_OnUnload(RedisModuleCtx *ctx)
{
    tick_unload(ctx);
    keyed_unload();
    leader_unload();
    password_commands_unload();
    live_unload();
    bootstrap_unload();
    policy_unload();
    access_unload();
    settings_unload(ctx);
    return REDISMODULE_OK;
}
