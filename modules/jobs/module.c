/* jobs: a job queue to rely on.  See README.md for the commands.
 *
 * Glue only: registration, INFO, and the end.  Commands are in *_commands.c, push.c, pull.c and
 * follow.c, decisions in decide.c, state in queue.c and apply.c.
 */
#include "bound.h"
#include "command.h"
#include "cron_clock.h"
#include "follow.h"
#include "helios/extensions.h"
#include "helios/needed.h"
#include "kit/assert.h"
#include "metrics.h"
#include "roster.h"
#include "settings.h"
#include "type.h"

#define JOBS_VERSION 1

/* Keys: the argument with this number is the queue, or an id that names it. */
static const struct command {
    const char *name;
    RedisModuleCmdFunc run;
    const char *flags;
    int key;
} commands[] = {
    {"job.push", cmd_push, "write deny-oom fast", 1},
    {"job.pushm", cmd_pushm, "write deny-oom", 1},
    {"job.pull", cmd_pull, "write fast blocking getkeys-api", 1},
    {"job.ack", cmd_ack, "write fast", 1},
    {"job.nack", cmd_nack, "write fast", 1},
    {"job.extend", cmd_extend, "write fast", 1},
    {"job.progress", cmd_progress, "write deny-oom fast", 1},
    {"job.release", cmd_release, "write fast", 1},
    {"job.holds", cmd_holds, "fast", 1}, /* not readonly: a follower would not know */
    {"job.result", cmd_result, "readonly fast blocking", 1},
    {"job.events", cmd_events, "readonly blocking", 1},
    {"job.get", cmd_get, "readonly fast", 1},
    {"job.list", cmd_list, "readonly", 1},
    {"job.cancel", cmd_cancel, "write fast", 1},
    {"job.retry", cmd_retry, "write deny-oom fast", 1},
    {"job.stats", cmd_stats, "readonly no-mandatory-keys", 1},
    {"job.purge", cmd_purge, "write", 1},
    {"job.redrive", cmd_redrive, "write deny-oom getkeys-api", 1},
    {"job.pause", cmd_pause, "write deny-oom fast", 1},
    {"job.resume", cmd_resume, "write fast", 1},
    {"job.drain", cmd_drain, "write deny-oom fast", 1},
    {"job.config", cmd_config, "write deny-oom fast", 1},
    {"job.schedule", cmd_schedule, "write deny-oom", 2},
    {"job.queues", cmd_queues, "readonly", 0},
    {"job.help", cmd_help, "readonly fast", 0},
    {"job._apply", cmd_apply, "write", 1},
    {"job_deq", cmd_pull, "write fast blocking getkeys-api", 1}, /* names of the first HELIOS */
    {"job_ack", cmd_ack, "write fast", 1},
    {"job_nack", cmd_nack, "write fast", 1},
};

static void add_info(RedisModuleInfoCtx *ctx, int for_crash_report)
{
    if (for_crash_report) {
        return; /* the list of queues may be what is broken */
    }
    struct type_totals totals = type_sum();
    RedisModule_InfoAddSection(ctx, "queues");
    RedisModule_InfoAddFieldULongLong(ctx, "queues", totals.queues);
    RedisModule_InfoAddFieldULongLong(ctx, "bytes", totals.bytes);
    RedisModule_InfoAddFieldLongLong(ctx, "waiters", pull_waiters());
    RedisModule_InfoAddFieldLongLong(ctx, "followers", follow_waiters());
    for (unsigned s = 0; s < JOBS_STATES; s++) {
        RedisModule_InfoAddFieldULongLong(ctx, jobs_state_name((enum jobs_state)s),
                                          totals.count[s]);
    }
    RedisModule_InfoAddFieldULongLong(ctx, "depth",
                                      totals.count[JOBS_READY] + totals.count[JOBS_SCHEDULED]);
    RedisModule_InfoAddFieldULongLong(ctx, "pushed", totals.counters[JOBS_C_PUSHED]);
    RedisModule_InfoAddFieldULongLong(ctx, "pulled", totals.counters[JOBS_C_PULLED]);
    RedisModule_InfoAddFieldULongLong(ctx, "acked", totals.counters[JOBS_C_ACKED]);
    RedisModule_InfoAddFieldULongLong(ctx, "nacked", totals.counters[JOBS_C_NACKED]);
    RedisModule_InfoAddFieldULongLong(ctx, "lease_expired", totals.counters[JOBS_C_LEASE_EXPIRED]);
    RedisModule_InfoAddFieldULongLong(ctx, "died", totals.counters[JOBS_C_DEAD]);
}

/* What the module calls without looking whether the server has it. */
static const struct helios_needed needed[] = {
    HELIOS_NEEDED(Alloc),
    HELIOS_NEEDED(BlockClientOnKeys),
    HELIOS_NEEDED(Calloc),
    HELIOS_NEEDED(CloseKey),
    HELIOS_NEEDED(CreateCommand),
    HELIOS_NEEDED(CreateDataType),
    HELIOS_NEEDED(CreateDict),
    HELIOS_NEEDED(CreateString),
    HELIOS_NEEDED(CreateTimer),
    HELIOS_NEEDED(DictDelC),
    HELIOS_NEEDED(DictGetC),
    HELIOS_NEEDED(DictIteratorStartC),
    HELIOS_NEEDED(DictIteratorStop),
    HELIOS_NEEDED(DictNextC),
    HELIOS_NEEDED(DictSetC),
    HELIOS_NEEDED(DictSize),
    HELIOS_NEEDED(Free),
    HELIOS_NEEDED(FreeDict),
    HELIOS_NEEDED(FreeString),
    HELIOS_NEEDED(GetBlockedClientPrivateData),
    HELIOS_NEEDED(GetContextFlags),
    HELIOS_NEEDED(GetDbIdFromIO),
    HELIOS_NEEDED(GetKeyNameFromIO),
    HELIOS_NEEDED(GetSelectedDb),
    HELIOS_NEEDED(IsIOError),
    HELIOS_NEEDED(IsKeysPositionRequest),
    HELIOS_NEEDED(KeyAtPos),
    HELIOS_NEEDED(KeyType),
    HELIOS_NEEDED(LoadStringBuffer),
    HELIOS_NEEDED(LogIOError),
    HELIOS_NEEDED(Milliseconds),
    HELIOS_NEEDED(ModuleTypeGetType),
    HELIOS_NEEDED(ModuleTypeGetValue),
    HELIOS_NEEDED(ModuleTypeSetValue),
    HELIOS_NEEDED(OpenKey),
    HELIOS_NEEDED(Realloc),
    HELIOS_NEEDED(Replicate),
    HELIOS_NEEDED(ReplicateVerbatim),
    HELIOS_NEEDED(ReplySetArrayLength),
    HELIOS_NEEDED(ReplyWithArray),
    HELIOS_NEEDED(ReplyWithCString),
    HELIOS_NEEDED(ReplyWithError),
    HELIOS_NEEDED(ReplyWithLongLong),
    HELIOS_NEEDED(ReplyWithMap),
    HELIOS_NEEDED(ReplyWithNull),
    HELIOS_NEEDED(ReplyWithNullArray),
    HELIOS_NEEDED(ReplyWithSimpleString),
    HELIOS_NEEDED(ReplyWithString),
    HELIOS_NEEDED(ReplyWithStringBuffer),
    HELIOS_NEEDED(SaveStringBuffer),
    HELIOS_NEEDED(SelectDb),
    HELIOS_NEEDED(SetModuleOptions),
    HELIOS_NEEDED(StopTimer),
    HELIOS_NEEDED(StringPtrLen),
    HELIOS_NEEDED(StringToLongLong),
    HELIOS_NEEDED(WrongArity),
};

static int register_commands(RedisModuleCtx *ctx)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(commands); i++) {
        const struct command *c = &commands[i];
        int step = c->key != 0 ? 1 : 0;
        if (RedisModule_CreateCommand(ctx, c->name, c->run, c->flags, c->key, c->key, step) !=
            REDISMODULE_OK) {
            RedisModule_Log(ctx, "warning", "cannot register %s: is the name taken?", c->name);
            return REDISMODULE_ERR;
        }
    }
    docs_register(ctx);
    return REDISMODULE_OK;
}

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    if (RedisModule_Init(ctx, "jobs", JOBS_VERSION, REDISMODULE_APIVER_1) != REDISMODULE_OK) {
        return REDISMODULE_ERR; /* nothing can be logged yet */
    }
    HeliosModule_LookUp(ctx);
    if (argc != 0) {
        RedisModule_Log(ctx, "warning", "takes no arguments, got %d: see CONFIG SET jobs.*", argc);
        return REDISMODULE_ERR;
    }
    if (!HELIOS_HAS_ALL(ctx, needed)) {
        return REDISMODULE_ERR;
    }
    /* The roster of queues follows from the queues. */
    RedisModule_SetModuleOptions(ctx, REDISMODULE_OPTIONS_HANDLE_IO_ERRORS |
                                          HELIOSMODULE_OPTION_NO_GLOBALS);
    if (type_register(ctx) != REDISMODULE_OK || register_commands(ctx) != REDISMODULE_OK ||
        settings_register(ctx) != REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    if (RedisModule_RegisterInfoFunc != NULL) {
        RedisModule_RegisterInfoFunc(ctx, add_info);
    }
    metrics_register(ctx);
    bound_register(ctx);
    return roster_register(ctx);
}

int RedisModule_OnUnload(RedisModuleCtx *ctx)
{
    bound_fini(ctx);
    roster_fini(ctx);
    cron_clock_fini();
    return REDISMODULE_OK;
}
