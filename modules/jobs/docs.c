/* What COMMAND DOCS and JOB.HELP say. */
#include "command.h"

#include "kit/assert.h"

#define JOB_ID                                                                                     \
    {                                                                                              \
        .name = "id", .type = REDISMODULE_ARG_TYPE_KEY                                             \
    }
#define QUEUE                                                                                      \
    {                                                                                              \
        .name = "queue", .type = REDISMODULE_ARG_TYPE_KEY                                          \
    }
#define STRING(text)                                                                               \
    {                                                                                              \
        .name = text, .type = REDISMODULE_ARG_TYPE_STRING                                          \
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

static RedisModuleCommandArg backoff_args[] = {
    STRING("fixed|exp"),
    {.name = "base-ms", .type = REDISMODULE_ARG_TYPE_INTEGER},
    {.name = "max-ms", .type = REDISMODULE_ARG_TYPE_INTEGER},
    {.name = "jitter-percent", .type = REDISMODULE_ARG_TYPE_INTEGER},
    END};
static RedisModuleCommandArg push_args[] = {QUEUE,
                                            STRING("payload"),
                                            OPTIONAL("dedup-id", "ID", STRING),
                                            OPTIONAL("window-s", "WINDOW", INTEGER),
                                            OPTIONAL("delay-ms", "DELAY", INTEGER),
                                            OPTIONAL("priority", "PRI", INTEGER),
                                            OPTIONAL("attempts", "MAXTRY", INTEGER),
                                            OPTIONAL("visibility-s", "VIS", INTEGER),
                                            {.name = "backoff",
                                             .type = REDISMODULE_ARG_TYPE_BLOCK,
                                             .token = "BACKOFF",
                                             .flags = REDISMODULE_CMD_ARG_OPTIONAL,
                                             .subargs = backoff_args},
                                            OPTIONAL("ttl-s", "TTL", INTEGER),
                                            END};
static RedisModuleCommandArg pull_args[] = {
    {.name = "queue", .type = REDISMODULE_ARG_TYPE_KEY, .flags = REDISMODULE_CMD_ARG_MULTIPLE},
    OPTIONAL("count", "COUNT", INTEGER),
    OPTIONAL("block-ms", "BLOCK", INTEGER),
    OPTIONAL("worker", "WORKER", STRING),
    END};
static RedisModuleCommandArg ack_args[] = {JOB_ID, STRING("token"),
                                           OPTIONAL("result", NULL, STRING), END};
static RedisModuleCommandArg nack_args[] = {JOB_ID,
                                            STRING("token"),
                                            OPTIONAL("error", NULL, STRING),
                                            OPTIONAL("delay-ms", "DELAY", INTEGER),
                                            OPTIONAL("fail", "FAIL", PURE_TOKEN),
                                            END};
static RedisModuleCommandArg extend_args[] = {
    JOB_ID, STRING("token"), {.name = "ms", .type = REDISMODULE_ARG_TYPE_INTEGER}, END};
static RedisModuleCommandArg id_args[] = {JOB_ID, END};
static RedisModuleCommandArg list_args[] = {QUEUE, OPTIONAL("status", "STATUS", STRING),
                                            OPTIONAL("cursor", "CURSOR", INTEGER),
                                            OPTIONAL("count", "COUNT", INTEGER), END};
static RedisModuleCommandArg stats_args[] = {OPTIONAL("queue", NULL, STRING), END};
static RedisModuleCommandArg purge_args[] = {QUEUE, OPTIONAL("status", "STATUS", STRING),
                                             OPTIONAL("count", "COUNT", INTEGER), END};
static RedisModuleCommandArg queues_args[] = {OPTIONAL("name", "AFTER", STRING),
                                              OPTIONAL("count", "COUNT", INTEGER), END};

static const struct doc {
    const char *name;
    const char *summary;
    const char *complexity;
    int arity;
    uint64_t key_flags; /* 0: no key */
    RedisModuleCommandArg *args;
} docs[] = {
    {"job.push", "Adds a job to a queue, once per dedup id within its window.", "O(log n)", -3,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_INSERT, push_args},
    {"job.pull", "Leases jobs from the first queues that have some, or waits for one.",
     "O(log n) a job", -2, REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_ACCESS, pull_args},
    {"job.ack", "Ends a lease: the job is done.", "O(log n)", -3,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_UPDATE, ack_args},
    {"job.nack", "Ends a lease: the job is tried again, dead, or failed.", "O(log n)", -3,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_UPDATE, nack_args},
    {"job.extend", "Sets a lease's end to some milliseconds from now.", "O(log n)", 4,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_UPDATE, extend_args},
    {"job.get", "Describes a job.", "O(1)", 2, REDISMODULE_CMD_KEY_RO | REDISMODULE_CMD_KEY_ACCESS,
     id_args},
    {"job.list", "Lists jobs of a queue by age, a page at a time.", "O(count)", -2,
     REDISMODULE_CMD_KEY_RO | REDISMODULE_CMD_KEY_ACCESS, list_args},
    {"job.cancel", "Takes a job out of its queue's work.", "O(log n)", 2,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_UPDATE, id_args},
    {"job.retry", "Gives a dead, failed or cancelled job all its attempts again.", "O(log n)", 2,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_UPDATE, id_args},
    {"job.stats", "Counts the jobs of one queue or of all queues of the database.",
     "O(1), or O(queues)", -1, 0, stats_args},
    {"job.purge", "Removes jobs, finished ones unless told otherwise, a portion at a time.",
     "O(removed)", -2, REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_DELETE, purge_args},
    {"job.queues", "Names the queues of the database.", "O(count)", -1, 0, queues_args},
    {"job.help", "Explains the commands.", "O(1)", 1, 0, NULL},
};

static const char *const help[] = {
    "JOB.PUSH queue payload [ID dedup [WINDOW s]] [DELAY ms] [PRI n] [MAXTRY n] [VIS s]",
    "    [BACKOFF fixed|exp base max jitter] [TTL s]   -> [id, duplicate]",
    "JOB.PULL queue [queue ...] [COUNT n] [BLOCK ms] [WORKER id]   -> jobs, or null",
    "JOB.ACK id token [result]   -> OK",
    "JOB.NACK id token [error] [DELAY ms] [FAIL]   -> scheduled, ready, dead or failed",
    "JOB.EXTEND id token ms   -> the lease's new end",
    "JOB.GET id   -> a map, or null",
    "JOB.LIST queue [STATUS s] [CURSOR c] [COUNT n]   -> [cursor, jobs]",
    "JOB.CANCEL id   -> 1, or 0 when it is finished",
    "JOB.RETRY id   -> 1, or 0 when it is not dead, failed or cancelled",
    "JOB.STATS [queue]   -> a map",
    "JOB.PURGE queue [STATUS s] [COUNT n]   -> removed; repeat until 0",
    "JOB.QUEUES [AFTER name] [COUNT n]   -> names",
    "A status is scheduled, ready, leased, done, dead, failed or cancelled.",
    NULL,
};

const char *const *docs_help(void)
{
    return help;
}

/* The key is the first argument; in JOB.PULL there may be more, which the command itself tells. */
static void describe(RedisModuleCommand *command, const struct doc *doc)
{
    RedisModuleCommandKeySpec specs[2] = {0};
    specs[0].flags = doc->key_flags;
    specs[0].begin_search_type = REDISMODULE_KSPEC_BS_INDEX;
    specs[0].bs.index.pos = 1;
    specs[0].find_keys_type = REDISMODULE_KSPEC_FK_RANGE;
    specs[0].fk.range.keystep = 1;
    if (doc->args == pull_args) {
        specs[0].flags |= REDISMODULE_CMD_KEY_INCOMPLETE;
    }
    RedisModuleCommandInfo info = {
        .version = REDISMODULE_COMMAND_INFO_VERSION,
        .summary = doc->summary,
        .complexity = doc->complexity,
        .since = "1.0.0",
        .arity = doc->arity,
        .key_specs = doc->key_flags != 0 ? specs : NULL,
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
