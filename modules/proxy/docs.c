/* What is registered, and what COMMAND DOCS and PROXY.HELP say about it. */
#include "commands.h"

#include "helios/extensions.h"
#include "kit/assert.h"

#include <stdio.h>

#define READS "readonly admin allow-loading allow-stale"
#define WRITES "write deny-oom admin"

/* Behind a container its subcommands: `sub` is NULL for commands of their own. */
static const struct command {
    const char *name, *sub;
    RedisModuleCmdFunc run;
    const char *flags;
    int arity;
    const char *help;
    const char *summary;
} commands[] = {
    {"proxy.backend", NULL, NULL, "", -2, "", "Backends of the reverse proxy."},
    {"proxy.backend", "add", cmd_backend_add, WRITES, -4,
     "PROXY.BACKEND ADD id host:port [WEIGHT n] [MAX-CONNECTIONS n] [HEALTH path|none]",
     "Adds a backend, or changes one."},
    {"proxy.backend", "del", cmd_backend_del, WRITES, 3, "PROXY.BACKEND DEL id",
     "Deletes a backend that no route names."},
    {"proxy.backend", "weight", cmd_backend_weight, WRITES, 4, "PROXY.BACKEND WEIGHT id n",
     "Changes the weight of a backend."},
    {"proxy.backend", "drain", cmd_backend_drain, WRITES, -3, "PROXY.BACKEND DRAIN id [OFF]",
     "Gives a backend no new requests, or gives it some again."},
    {"proxy.backend", "list", cmd_backend_list, READS, 2, "PROXY.BACKEND LIST",
     "Lists backends with their health as this node sees it."},
    {"proxy.route", NULL, NULL, "", -2, "", "Routes of the reverse proxy."},
    {"proxy.route", "add", cmd_route_add, WRITES, -4,
     "PROXY.ROUTE ADD id [HOST name|*.domain] [PATH prefix] BACKENDS id ... [ALGORITHM "
     "round-robin|weighted|least-conn] [STRIP]",
     "Adds a route, or changes one."},
    {"proxy.route", "del", cmd_route_del, WRITES, 3, "PROXY.ROUTE DEL id", "Deletes a route."},
    {"proxy.route", "list", cmd_route_list, READS, 2, "PROXY.ROUTE LIST", "Lists routes."},
    {"proxy.stats", NULL, cmd_stats, READS, 1, "PROXY.STATS", "Counters of this node."},
    {"proxy.status", NULL, cmd_status, READS, 1, "PROXY.STATUS",
     "Where the proxy listens on this node, and what it has."},
    {"proxy.reload", NULL, cmd_reload, "admin allow-loading allow-stale", 1, "PROXY.RELOAD",
     "Reads the certificate anew, for connections to come."},
    {"proxy.drain", NULL, cmd_drain, "admin allow-loading allow-stale", 1, "PROXY.DRAIN",
     "Listens no more on this node and ends connections with their requests; for good."},
    {"proxy.help", NULL, cmd_help, "readonly fast allow-loading allow-stale", 1, "",
     "Explains the commands."},
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
            RedisModule_ReplyWithSimpleString(ctx, commands[i].summary);
            count += 2;
        }
    }
    RedisModule_ReplySetArrayLength(ctx, count);
    return REDISMODULE_OK;
}

/* Documentation for COMMAND DOCS, where the server takes it. */
static void describe(RedisModuleCommand *command, const struct command *c)
{
    if (RedisModule_SetCommandInfo == NULL || command == NULL) {
        return;
    }
    RedisModuleCommandArg args[2] = {
        {.name = "arguments", .type = REDISMODULE_ARG_TYPE_STRING, .key_spec_index = -1},
        {0},
    };
    RedisModuleCommandInfo info = {
        .version = REDISMODULE_COMMAND_INFO_VERSION,
        .summary = c->summary,
        .complexity = "O(N) with N backends and routes",
        .since = "1.0.0",
        .arity = c->arity,
        .args = c->arity < 0 || c->arity > 2 ? args : NULL,
    };
    (void)RedisModule_SetCommandInfo(command, &info);
}

static bool register_one(RedisModuleCtx *ctx, const struct command *c)
{
    char full[64];
    RedisModuleCommand *parent = c->sub != NULL ? RedisModule_GetCommand(ctx, c->name) : NULL;
    if (c->sub == NULL) {
        snprintf(full, sizeof full, "%s", c->name);
    } else {
        snprintf(full, sizeof full, "%s|%s", c->name, c->sub);
    }
    int rc = c->sub == NULL
                 ? RedisModule_CreateCommand(ctx, c->name, c->run, c->flags, 0, 0, 0)
                 : RedisModule_CreateSubcommand(parent, c->sub, c->run, c->flags, 0, 0, 0);
    if (rc != REDISMODULE_OK) {
        RedisModule_Log(ctx, "warning", "cannot register %s: is the name taken?", full);
        return false;
    }
    RedisModuleCommand *command = RedisModule_GetCommand(ctx, full);
    describe(command, c);
    if (HeliosModule_SetKeyPrecise != NULL && command != NULL && strstr(c->flags, "readonly")) {
        (void)HeliosModule_SetKeyPrecise(command);
    }
    return true;
}

bool commands_register(RedisModuleCtx *ctx)
{
    bool good = true;
    for (size_t i = 0; i < HL_ARRAY_LEN(commands) && good; i++) {
        good = register_one(ctx, &commands[i]);
    }
    return good && RedisModule_CreateCommand(ctx, "proxy._put", cmd_put, "write admin deny-script",
                                             1, 1, 1) == REDISMODULE_OK;
}
