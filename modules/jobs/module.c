/* jobs: a job queue to rely on.  See README.md for the commands.
 *
 * Glue only: registration, INFO, and the end.  Commands are in *_commands.c and pull.c, decisions
 * in decide.c, state in queue.c.
 */
#include "command.h"
#include "helios/extensions.h"
#include "kit/assert.h"
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
    {"job.pull", cmd_pull, "write fast blocking getkeys-api", 1},
    {"job.ack", cmd_ack, "write fast", 1},
    {"job.nack", cmd_nack, "write fast", 1},
    {"job.extend", cmd_extend, "write fast", 1},
    {"job.get", cmd_get, "readonly fast", 1},
    {"job.list", cmd_list, "readonly", 1},
    {"job.cancel", cmd_cancel, "write fast", 1},
    {"job.retry", cmd_retry, "write deny-oom fast", 1},
    {"job.stats", cmd_stats, "readonly no-mandatory-keys", 1},
    {"job.purge", cmd_purge, "write", 1},
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

/* What the module calls without looking whether it is there: where its pointer lives. */
static const struct {
    const char *name;
    const void *pointer;
} needed[] = {
#define NEEDED(name)                                                                               \
    {                                                                                              \
#name, &RedisModule_##name                                                                 \
    }
    NEEDED(Alloc),
    NEEDED(BlockClientOnKeys),
    NEEDED(Calloc),
    NEEDED(CloseKey),
    NEEDED(CreateCommand),
    NEEDED(CreateDataType),
    NEEDED(CreateDict),
    NEEDED(CreateString),
    NEEDED(CreateTimer),
    NEEDED(DictDelC),
    NEEDED(DictGetC),
    NEEDED(DictIteratorStartC),
    NEEDED(DictIteratorStop),
    NEEDED(DictNextC),
    NEEDED(DictSetC),
    NEEDED(DictSize),
    NEEDED(Free),
    NEEDED(FreeDict),
    NEEDED(FreeString),
    NEEDED(GetContextFlags),
    NEEDED(GetDbIdFromIO),
    NEEDED(GetKeyNameFromIO),
    NEEDED(GetSelectedDb),
    NEEDED(IsIOError),
    NEEDED(IsKeysPositionRequest),
    NEEDED(KeyAtPos),
    NEEDED(KeyType),
    NEEDED(LoadStringBuffer),
    NEEDED(LogIOError),
    NEEDED(Milliseconds),
    NEEDED(ModuleTypeGetType),
    NEEDED(ModuleTypeGetValue),
    NEEDED(ModuleTypeSetValue),
    NEEDED(OpenKey),
    NEEDED(Realloc),
    NEEDED(Replicate),
    NEEDED(ReplicateVerbatim),
    NEEDED(ReplySetArrayLength),
    NEEDED(ReplyWithArray),
    NEEDED(ReplyWithCString),
    NEEDED(ReplyWithError),
    NEEDED(ReplyWithLongLong),
    NEEDED(ReplyWithMap),
    NEEDED(ReplyWithNull),
    NEEDED(ReplyWithNullArray),
    NEEDED(ReplyWithSimpleString),
    NEEDED(ReplyWithString),
    NEEDED(ReplyWithStringBuffer),
    NEEDED(SaveStringBuffer),
    NEEDED(SelectDb),
    NEEDED(SetModuleOptions),
    NEEDED(StopTimer),
    NEEDED(StringPtrLen),
    NEEDED(StringToLongLong),
    NEEDED(WrongArity),
#undef NEEDED
};

/* Refuse a server that lacks something: a clear refusal instead of a crash later. */
static bool has_needed(RedisModuleCtx *ctx)
{
    bool all = true;
    for (size_t i = 0; i < HL_ARRAY_LEN(needed); i++) {
        if (*(void *const *)needed[i].pointer == NULL) {
            RedisModule_Log(ctx, "warning", "the server lacks RedisModule_%s", needed[i].name);
            all = false;
        }
    }
    return all;
}

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
    if (argc != 0) {
        RedisModule_Log(ctx, "warning", "takes no arguments, got %d: see CONFIG SET jobs.*", argc);
        return REDISMODULE_ERR;
    }
    if (!has_needed(ctx)) {
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
    return roster_register(ctx);
}

int RedisModule_OnUnload(RedisModuleCtx *ctx)
{
    roster_fini(ctx);
    return REDISMODULE_OK;
}
