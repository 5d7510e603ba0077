/* What COMMAND DOCS and RATELIMIT.HELP say. */
#include "commands.h"

#include "kit/assert.h"

#define KEY                                                                                        \
    {                                                                                              \
        .name = "key", .type = REDISMODULE_ARG_TYPE_KEY                                            \
    }
#define INTEGER(text)                                                                              \
    {                                                                                              \
        .name = text, .type = REDISMODULE_ARG_TYPE_INTEGER                                         \
    }
#define OPTIONAL(text, word, kind)                                                                 \
    {                                                                                              \
        .name = text, .type = REDISMODULE_ARG_TYPE_##kind, .token = word,                          \
        .flags = REDISMODULE_CMD_ARG_OPTIONAL                                                      \
    }
#define END                                                                                        \
    {                                                                                              \
        0                                                                                          \
    }

static RedisModuleCommandArg take_args[] = {KEY,
                                            OPTIONAL("limit", NULL, STRING),
                                            OPTIONAL("cost", "COST", INTEGER),
                                            {.name = "and-key-limit-cost",
                                             .type = REDISMODULE_ARG_TYPE_STRING,
                                             .token = "AND",
                                             .flags = REDISMODULE_CMD_ARG_OPTIONAL |
                                                      REDISMODULE_CMD_ARG_MULTIPLE |
                                                      REDISMODULE_CMD_ARG_MULTIPLE_TOKEN},
                                            OPTIONAL("now-ms", "NOW", INTEGER),
                                            END};
static RedisModuleCommandArg refund_args[] = {KEY, OPTIONAL("count", NULL, INTEGER),
                                              OPTIONAL("now-ms", "NOW", INTEGER), END};
static RedisModuleCommandArg reset_args[] = {
    {.name = "key", .type = REDISMODULE_ARG_TYPE_KEY, .flags = REDISMODULE_CMD_ARG_MULTIPLE}, END};
static RedisModuleCommandArg get_args[] = {KEY, END};
static RedisModuleCommandArg policy_args[] = {
    {.name = "SET name limit | GET name | DEL name | LIST", .type = REDISMODULE_ARG_TYPE_STRING},
    END};
static RedisModuleCommandArg top_args[] = {OPTIONAL("count", "COUNT", INTEGER),
                                           OPTIONAL("reset", "RESET", PURE_TOKEN), END};
static RedisModuleCommandArg throttle_args[] = {KEY,
                                                INTEGER("max-burst"),
                                                INTEGER("count"),
                                                INTEGER("period-s"),
                                                OPTIONAL("quantity", NULL, INTEGER),
                                                END};

static const struct doc {
    const char *name;
    const char *summary;
    const char *complexity;
    int arity;    /* 0: the command says itself what is wrong */
    int key_last; /* 0: no key; -1: all arguments */
    uint64_t key_flags;
    RedisModuleCommandArg *args;
} docs[] = {
    {"ratelimit.take", "Takes tokens of one limit, or of several all or nothing.",
     "O(n) with n limits", -2, 1,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_UPDATE | REDISMODULE_CMD_KEY_INCOMPLETE,
     take_args},
    {"ratelimit.peek",
     "Tells whether RATELIMIT.TAKE would be allowed and what is there, taking nothing.",
     "O(n) with n limits", -2, 1,
     REDISMODULE_CMD_KEY_RO | REDISMODULE_CMD_KEY_ACCESS | REDISMODULE_CMD_KEY_INCOMPLETE,
     take_args},
    {"ratelimit.refund", "Gives tokens back.", "O(1)", -2, 1,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_UPDATE, refund_args},
    {"ratelimit.reset", "Makes limits full again.", "O(n) with n keys", -2, -1,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_DELETE, reset_args},
    {"ratelimit.get", "Describes what a key holds.", "O(1)", 2, 1,
     REDISMODULE_CMD_KEY_RO | REDISMODULE_CMD_KEY_ACCESS, get_args},
    {"ratelimit.policy", "Sets, shows, deletes and lists limits with a name.",
     "O(n) with n policies", -2, 0, 0, policy_args},
    {"ratelimit.top", "Lists who asked this node most.", "O(n log n) with n entries", -1, 0, 0,
     top_args},
    {"ratelimit.help", "Explains the commands.", "O(1)", 1, 0, 0, NULL},
    {"cl.throttle", "Limits a rate, with the arguments and replies of redis-cell.", "O(1)", 0, 1,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_UPDATE, throttle_args},
};

static const char *const help[] = {
    "RATELIMIT.TAKE key [limit] [n] [AND key [limit] [n]]... [NOW ms]",
    "    -> [allowed, remaining, retry ms, reset ms], of several the tightest, then each",
    "RATELIMIT.PEEK key [limit] [n] [AND key [limit] [n]]... [NOW ms]   -> the same, taking "
    "nothing",
    "RATELIMIT.REFUND key [n] [NOW ms]   -> given back",
    "RATELIMIT.RESET key [key ...]   -> how many were limited",
    "RATELIMIT.GET key   -> a map, or null when nothing is taken",
    "RATELIMIT.POLICY SET name limit | GET name | DEL name | LIST",
    "RATELIMIT.TOP [COUNT n] [RESET]   -> who asked this node most",
    "CL.THROTTLE key max_burst count period [quantity]   -> as redis-cell",
    "A limit is: capacity num den | TOKEN capacity num den | GCRA capacity num den |",
    "    WINDOW capacity ms | a policy's name. num tokens come back in den seconds.",
    NULL,
};

int cmd_help(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    RedisModule_ReplyWithArray(ctx, (long)HL_ARRAY_LEN(help) - 1);
    for (size_t i = 0; help[i] != NULL; i++) {
        RedisModule_ReplyWithSimpleString(ctx, help[i]);
    }
    return REDISMODULE_OK;
}

static void describe(RedisModuleCommand *command, const struct doc *doc)
{
    RedisModuleCommandKeySpec specs[2] = {0};
    specs[0].flags = doc->key_flags;
    specs[0].begin_search_type = REDISMODULE_KSPEC_BS_INDEX;
    specs[0].bs.index.pos = 1;
    specs[0].find_keys_type = REDISMODULE_KSPEC_FK_RANGE;
    specs[0].fk.range.lastkey = doc->key_last == -1 ? -1 : 0;
    specs[0].fk.range.keystep = 1;
    RedisModuleCommandInfo info = {
        .version = REDISMODULE_COMMAND_INFO_VERSION,
        .summary = doc->summary,
        .complexity = doc->complexity,
        .since = "1.0.0",
        .arity = doc->arity,
        .key_specs = doc->key_last != 0 ? specs : NULL,
        .args = doc->args,
    };
    (void)RedisModule_SetCommandInfo(command, &info);
}

void docs_register(RedisModuleCtx *ctx)
{
    if (RedisModule_GetCommand == NULL || RedisModule_SetCommandInfo == NULL) {
        return;
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(docs); i++) {
        RedisModuleCommand *command = RedisModule_GetCommand(ctx, docs[i].name);
        if (command != NULL) {
            describe(command, &docs[i]);
        }
    }
}
