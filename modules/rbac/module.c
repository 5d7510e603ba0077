/* rbac: roles, who has them, and what they allow.  See README.md for the commands.
 *
 * Glue only: what the module registers, in one table.  Decisions are in decide.c, state in policy.c
 * and role.c, enforcement in bridge.c.
 */
#include "commands.h"
#include "settings.h"

#include "helios/extensions.h"
#include "helios/needed.h"
#include "kit/assert.h"

#define RBAC_VERSION 1
#define ARGS_MAX 3

static const struct command {
    const char *name;
    RedisModuleCmdFunc run;
    const char *flags;
    int first_key;
    int arity;
    const char *args[ARGS_MAX];
    const char *summary, *help, *complexity;
} commands[] = {
    {"rbac.role",
     cmd_role,
     "write deny-oom admin",
     0,
     -2,
     {"SET name [rule ...] [INHERITS role ...] [DESCRIPTION text] | GET name | DEL name | LIST"},
     "Sets, shows, deletes and lists roles.",
     "RBAC.ROLE SET name [rule ...] [INHERITS role ...] [DESCRIPTION text] | GET | DEL | LIST",
     "O(R) with R roles, and the ACL users are renewed"},
    {"rbac.grant",
     cmd_grant,
     "write deny-oom admin",
     0,
     -3,
     {"subject", "role-or-group"},
     "Grants roles to a user or a @group, or puts a user into groups.",
     "RBAC.GRANT user|@group role|@group ...   -> how many are new",
     "O(N) with N grants of the subject"},
    {"rbac.revoke",
     cmd_revoke,
     "write admin",
     0,
     -2,
     {"subject", "role-or-group"},
     "Takes grants back, all of them when none is named.",
     "RBAC.REVOKE user|@group [role|@group ...]   -> how many there were",
     "O(N) with N grants of the subject"},
    {"rbac.roles",
     cmd_roles,
     "readonly admin",
     0,
     -1,
     {"subject"},
     "Lists what a subject was granted and what counts for it, or all subjects.",
     "RBAC.ROLES [subject] | [AFTER name] [COUNT n]",
     "O(N)"},
    {"rbac.can",
     cmd_can,
     "readonly fast",
     0,
     -3,
     {"user", "permission", "key"},
     "Tells whether a user may do something.",
     "RBAC.CAN user permission [key] | user COMMAND name [argument ...]   -> 1 or 0",
     "O(R) with R rules that count for the user"},
    {"rbac.check",
     cmd_can,
     "readonly fast",
     0,
     -3,
     {"user", "permission", "key"},
     "The same as RBAC.CAN.",
     "RBAC.CHECK, as RBAC.CAN",
     "O(R) with R rules that count for the user"},
    {"rbac.explain",
     cmd_explain,
     "readonly admin",
     0,
     -3,
     {"user", "permission", "key"},
     "Tells which rule decides.",
     "RBAC.EXPLAIN, as RBAC.CAN   -> which rule of which role, granted to whom",
     "O(R) with R rules that count for the user"},
    {"rbac.whocan",
     cmd_whocan,
     "readonly admin",
     0,
     -2,
     {"permission", "key"},
     "Lists the users and roles that may do something.",
     "RBAC.WHOCAN permission [key] | COMMAND name [argument ...]   -> users and roles",
     "O(U*R) with U users"},
    {"rbac.help", cmd_help, "readonly fast", 0, 1, {NULL}, "Explains the commands.", "", "O(1)"},
    {"rbac._put",
     cmd_put,
     "write admin deny-script",
     1,
     3,
     {"key", "policy"},
     "Applies an effect of this module; not for clients.",
     "",
     "O(N)"},
};

int cmd_help(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long count = 0;
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModule_ReplyWithArray(ctx, REDISMODULE_POSTPONED_LEN);
    for (size_t i = 0; i < HL_ARRAY_LEN(commands); i++) {
        if (commands[i].help[0] != '\0') {
            RedisModule_ReplyWithSimpleString(ctx, commands[i].help);
            count++;
        }
    }
    RedisModule_ReplyWithSimpleString(ctx, "A rule is +command, +@category, ~keys, %R~keys, "
                                           "&channels or name:verb[@keys]; '-' in front denies.");
    RedisModule_ReplySetArrayLength(ctx, count + 1);
    return REDISMODULE_OK;
}

/* Documentation for COMMAND DOCS, where the server takes it. */
static void describe(RedisModuleCtx *ctx, const struct command *c)
{
    RedisModuleCommandArg args[ARGS_MAX + 1] = {{0}};
    if (RedisModule_SetCommandInfo == NULL || RedisModule_GetCommand == NULL) {
        return;
    }
    for (size_t i = 0; i < ARGS_MAX && c->args[i] != NULL; i++) {
        args[i].name = c->args[i];
        args[i].type = REDISMODULE_ARG_TYPE_STRING;
        args[i].key_spec_index = -1;
    }
    RedisModuleCommandInfo info = {
        .version = REDISMODULE_COMMAND_INFO_VERSION,
        .summary = c->summary,
        .complexity = c->complexity,
        .since = "1.0.0",
        .arity = c->arity,
        .args = c->args[0] != NULL ? args : NULL,
    };
    RedisModuleCommand *command = RedisModule_GetCommand(ctx, c->name);
    if (command != NULL) {
        (void)RedisModule_SetCommandInfo(command, &info);
    }
}

static bool register_commands(RedisModuleCtx *ctx)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(commands); i++) {
        const struct command *c = &commands[i];
        if (RedisModule_CreateCommand(ctx, c->name, c->run, c->flags, c->first_key, c->first_key,
                                      c->first_key != 0) != REDISMODULE_OK) {
            RedisModule_Log(ctx, "warning", "cannot register %s: is the name taken?", c->name);
            return false;
        }
        describe(ctx, c);
    }
    return true;
}

static void add_info(RedisModuleInfoCtx *info, int for_crash_report)
{
    (void)for_crash_report;
    RedisModule_InfoAddSection(info, "");
    RedisModule_InfoAddFieldULongLong(info, "allowed", stats()->allowed);
    RedisModule_InfoAddFieldULongLong(info, "denied", stats()->denied);
    RedisModule_InfoAddFieldULongLong(info, "cache_hits", stats()->cache_hits);
    RedisModule_InfoAddFieldULongLong(info, "changes", stats()->changes);
    RedisModule_InfoAddFieldULongLong(info, "acl_renewed", bridge_stats()->renewed);
    RedisModule_InfoAddFieldULongLong(info, "acl_dropped", bridge_stats()->dropped);
    RedisModule_InfoAddFieldULongLong(info, "acl_withheld", bridge_stats()->withheld);
    RedisModule_InfoAddFieldULongLong(info, "acl_denies_keys", bridge_denies_keys());
}

/* What the module calls without looking whether the server has it. */
static const struct helios_needed needed[] = {
    HELIOS_NEEDED(Call),
    HELIOS_NEEDED(CallReplyArrayElement),
    HELIOS_NEEDED(CallReplyLength),
    HELIOS_NEEDED(CallReplyStringPtr),
    HELIOS_NEEDED(CallReplyType),
    HELIOS_NEEDED(CloseKey),
    HELIOS_NEEDED(CreateCommand),
    HELIOS_NEEDED(CreateDataType),
    HELIOS_NEEDED(CreateString),
    HELIOS_NEEDED(DeleteKey),
    HELIOS_NEEDED(Free),
    HELIOS_NEEDED(FreeCallReply),
    HELIOS_NEEDED(FreeString),
    HELIOS_NEEDED(GetContextFlags),
    HELIOS_NEEDED(GetSelectedDb),
    HELIOS_NEEDED(KeyType),
    HELIOS_NEEDED(LoadStringBuffer),
    HELIOS_NEEDED(LogIOError),
    HELIOS_NEEDED(ModuleTypeGetType),
    HELIOS_NEEDED(ModuleTypeGetValue),
    HELIOS_NEEDED(ModuleTypeSetValue),
    HELIOS_NEEDED(OpenKey),
    HELIOS_NEEDED(ReplicateVerbatim),
    HELIOS_NEEDED(ReplySetArrayLength),
    HELIOS_NEEDED(ReplyWithArray),
    HELIOS_NEEDED(ReplyWithCString),
    HELIOS_NEEDED(ReplyWithError),
    HELIOS_NEEDED(ReplyWithLongLong),
    HELIOS_NEEDED(ReplyWithMap),
    HELIOS_NEEDED(ReplyWithNull),
    HELIOS_NEEDED(ReplyWithSimpleString),
    HELIOS_NEEDED(ReplyWithStringBuffer),
    HELIOS_NEEDED(SaveStringBuffer),
    HELIOS_NEEDED(SelectDb),
    HELIOS_NEEDED(SetModuleOptions),
    HELIOS_NEEDED(StringPtrLen),
    HELIOS_NEEDED(WrongArity),
};

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    if (RedisModule_Init(ctx, "rbac", RBAC_VERSION, REDISMODULE_APIVER_1) != REDISMODULE_OK) {
        return REDISMODULE_ERR; /* nothing can be logged yet */
    }
    HeliosModule_LookUp(ctx);
    if (argc != 0) {
        RedisModule_Log(ctx, "warning", "takes no arguments, got %d: see CONFIG SET rbac.*", argc);
        return REDISMODULE_ERR;
    }
    if (!HELIOS_HAS_ALL(ctx, needed)) {
        return REDISMODULE_ERR;
    }
    RedisModule_SetModuleOptions(ctx, REDISMODULE_OPTIONS_HANDLE_IO_ERRORS |
                                          HELIOSMODULE_OPTION_NO_GLOBALS);
    if (store_register(ctx) != REDISMODULE_OK || !register_commands(ctx) ||
        settings_register(ctx) != REDISMODULE_OK) {
        store_end();
        settings_end();
        return REDISMODULE_ERR;
    }
    bridge_load(ctx);
    service_load(ctx);
    if (RedisModule_RegisterInfoFunc != NULL && RedisModule_InfoAddSection != NULL &&
        RedisModule_InfoAddFieldULongLong != NULL) {
        RedisModule_RegisterInfoFunc(ctx, add_info);
    }
    return REDISMODULE_OK;
}

int RedisModule_OnUnload(RedisModuleCtx *ctx)
{
    (void)ctx;
    service_end();
    bridge_end();
    settings_end();
    store_end();
    return REDISMODULE_OK;
}
