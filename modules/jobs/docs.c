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
static RedisModuleCommandArg unique_args[] = {STRING("key"),
                                              OPTIONAL("start|end|done", "UNTIL", STRING), END};
#define BACKOFF                                                                                    \
    {                                                                                              \
        .name = "backoff", .type = REDISMODULE_ARG_TYPE_BLOCK, .token = "BACKOFF",                 \
        .flags = REDISMODULE_CMD_ARG_OPTIONAL, .subargs = backoff_args                             \
    }
static RedisModuleCommandArg push_args[] = {QUEUE,
                                            STRING("payload"),
                                            OPTIONAL("dedup-id", "ID", STRING),
                                            OPTIONAL("window-s", "WINDOW", INTEGER),
                                            {.name = "unique",
                                             .type = REDISMODULE_ARG_TYPE_BLOCK,
                                             .token = "UNIQUE",
                                             .flags = REDISMODULE_CMD_ARG_OPTIONAL,
                                             .subargs = unique_args},
                                            OPTIONAL("strict", "STRICT", PURE_TOKEN),
                                            OPTIONAL("delay-ms", "DELAY", INTEGER),
                                            OPTIONAL("priority", "PRI", INTEGER),
                                            OPTIONAL("attempts", "MAXTRY", INTEGER),
                                            OPTIONAL("visibility-s", "VIS", INTEGER),
                                            BACKOFF,
                                            OPTIONAL("ttl-s", "TTL", INTEGER),
                                            OPTIONAL("keep-s", "KEEP", INTEGER),
                                            END};
static RedisModuleCommandArg pushm_args[] = {
    QUEUE,
    OPTIONAL("window-s", "WINDOW", INTEGER),
    OPTIONAL("delay-ms", "DELAY", INTEGER),
    OPTIONAL("priority", "PRI", INTEGER),
    OPTIONAL("attempts", "MAXTRY", INTEGER),
    OPTIONAL("visibility-s", "VIS", INTEGER),
    BACKOFF,
    OPTIONAL("ttl-s", "TTL", INTEGER),
    OPTIONAL("keep-s", "KEEP", INTEGER),
    STRING("payloads|pairs"),
    {.name = "job", .type = REDISMODULE_ARG_TYPE_STRING, .flags = REDISMODULE_CMD_ARG_MULTIPLE},
    END};
static RedisModuleCommandArg pull_args[] = {
    {.name = "queue", .type = REDISMODULE_ARG_TYPE_KEY, .flags = REDISMODULE_CMD_ARG_MULTIPLE},
    OPTIONAL("count", "COUNT", INTEGER),
    OPTIONAL("block-ms", "BLOCK", INTEGER),
    OPTIONAL("worker", "WORKER", STRING),
    OPTIONAL("bound", "BOUND", PURE_TOKEN),
    END};
static RedisModuleCommandArg token_args[] = {JOB_ID, STRING("token"), END};
static RedisModuleCommandArg progress_args[] = {
    JOB_ID,
    STRING("token"),
    {.name = "percent", .type = REDISMODULE_ARG_TYPE_INTEGER},
    OPTIONAL("text", NULL, STRING),
    END};
static RedisModuleCommandArg result_args[] = {JOB_ID, OPTIONAL("block-ms", "BLOCK", INTEGER), END};
static RedisModuleCommandArg events_args[] = {QUEUE, OPTIONAL("seq", "AFTER", STRING),
                                              OPTIONAL("count", "COUNT", INTEGER),
                                              OPTIONAL("block-ms", "BLOCK", INTEGER), END};
static RedisModuleCommandArg redrive_args[] = {QUEUE,
                                               OPTIONAL("cursor", "CURSOR", INTEGER),
                                               OPTIONAL("count", "COUNT", INTEGER),
                                               {.name = "queue",
                                                .type = REDISMODULE_ARG_TYPE_KEY,
                                                .token = "TO",
                                                .flags = REDISMODULE_CMD_ARG_OPTIONAL},
                                               OPTIONAL("pattern", "ERROR", STRING),
                                               OPTIONAL("status", "STATUS", STRING),
                                               END};
static RedisModuleCommandArg queue_args[] = {QUEUE, END};
static RedisModuleCommandArg config_args[] = {
    QUEUE, {.name = "keep-s", .type = REDISMODULE_ARG_TYPE_INTEGER, .token = "KEEP"}, END};
static RedisModuleCommandArg schedule_args[] = {STRING("set|get|del|list|pause|resume|run"),
                                                QUEUE,
                                                OPTIONAL("name", NULL, STRING),
                                                OPTIONAL("cron", NULL, STRING),
                                                OPTIONAL("payload", NULL, STRING),
                                                OPTIONAL("zone", "TZ", STRING),
                                                OPTIONAL("one|skip|all", "MISFIRE", STRING),
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
    {"job.pushm", "Adds many jobs to a queue at once.", "O(n log n)", -4,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_INSERT, pushm_args},
    {"job.pull", "Leases jobs from the first queues that have some, or waits for one.",
     "O(log n) a job", -2, REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_ACCESS, pull_args},
    {"job.ack", "Ends a lease: the job is done.", "O(log n)", -3,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_UPDATE, ack_args},
    {"job.nack", "Ends a lease: the job is tried again, dead, or failed.", "O(log n)", -3,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_UPDATE, nack_args},
    {"job.extend", "Sets a lease's end to some milliseconds from now.", "O(log n)", 4,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_UPDATE, extend_args},
    {"job.progress", "Notes how far the holder of a lease has come.", "O(log n)", -4,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_UPDATE, progress_args},
    {"job.release", "Gives a lease back: the job is ready, the attempt not spent.", "O(log n)", 3,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_UPDATE, token_args},
    {"job.holds", "Tells whether a token holds the lease of a job.", "O(1)", 3,
     REDISMODULE_CMD_KEY_RO | REDISMODULE_CMD_KEY_ACCESS, token_args},
    {"job.result", "Tells what came of a job, or waits for it.", "O(1)", -2,
     REDISMODULE_CMD_KEY_RO | REDISMODULE_CMD_KEY_ACCESS, result_args},
    {"job.events", "Tells what happened to a queue lately, or waits for it.", "O(count)", -2,
     REDISMODULE_CMD_KEY_RO | REDISMODULE_CMD_KEY_ACCESS, events_args},
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
    {"job.redrive", "Tries dead jobs again, here or in another queue, a portion at a time.",
     "O(looked at)", -2, REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_UPDATE, redrive_args},
    {"job.pause", "Gives out no leases of a queue until it is resumed.", "O(1)", 2,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_UPDATE, queue_args},
    {"job.resume", "Ends JOB.PAUSE and JOB.DRAIN of a queue.", "O(1)", 2,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_UPDATE, queue_args},
    {"job.drain", "Takes no new jobs to a queue until it is resumed; the rest ends.", "O(1)", 2,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_UPDATE, queue_args},
    {"job.config", "Sets how long a queue keeps results.", "O(1)", 4,
     REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_UPDATE, config_args},
    {"job.schedule", "Pushes jobs at the times of a cron expression.", "O(log n)", -3, 0,
     schedule_args},
    {"job.queues", "Names the queues of the database.", "O(count)", -1, 0, queues_args},
    {"job.help", "Explains the commands.", "O(1)", 1, 0, NULL},
};

static const char *const help[] = {
    "JOB.PUSH queue payload [ID dedup [WINDOW s]] [DELAY ms] [PRI n] [MAXTRY n] [VIS s]",
    "    [BACKOFF fixed|exp base max jitter] [TTL s] [KEEP s] [UNIQUE key [UNTIL start|end|done]]",
    "    [STRICT]   -> [id, duplicate]",
    "JOB.PUSHM queue [option ...] PAYLOADS payload ... | PAIRS dedup payload ...   -> as JOB.PUSH",
    "JOB.PULL queue [queue ...] [COUNT n] [BLOCK ms] [WORKER id] [BOUND]   -> jobs, or null",
    "JOB.ACK id token [result]   -> OK",
    "JOB.NACK id token [error] [DELAY ms] [FAIL]   -> scheduled, ready, dead or failed",
    "JOB.EXTEND id token ms   -> the lease's new end",
    "JOB.PROGRESS id token percent [text]   -> OK",
    "JOB.RELEASE id token   -> OK",
    "JOB.HOLDS id token   -> 1 or 0",
    "JOB.GET id   -> a map, or null",
    "JOB.RESULT id [BLOCK ms]   -> [status, result or error], or null",
    "JOB.EVENTS queue [AFTER seq|$] [COUNT n] [BLOCK ms]   -> first, last, events",
    "JOB.LIST queue [STATUS s] [CURSOR c] [COUNT n]   -> [cursor, jobs]",
    "JOB.CANCEL id   -> 1, or 0 when it is finished",
    "JOB.RETRY id   -> 1, or 0 when it is not dead, failed or cancelled",
    "JOB.STATS [queue]   -> a map",
    "JOB.PURGE queue [STATUS s] [COUNT n]   -> removed; repeat until 0",
    "JOB.REDRIVE queue [CURSOR c] [COUNT n] [TO queue] [ERROR glob] [STATUS s]   -> [cursor, "
    "moved]",
    "JOB.PAUSE queue | JOB.DRAIN queue | JOB.RESUME queue   -> OK",
    "JOB.CONFIG queue KEEP s   -> OK",
    "JOB.SCHEDULE SET queue name cron payload [TZ zone] [MISFIRE one|skip|all] [option of PUSH]...",
    "    -> time of the next run",
    "JOB.SCHEDULE GET|DEL|PAUSE|RESUME|RUN queue name, LIST queue [AFTER name] [COUNT n]",
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
    if (doc->args == pull_args || doc->args == redrive_args) {
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
