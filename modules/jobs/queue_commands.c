/* Commands about a whole queue. */
#include "push.h"
#include "settings.h"

#define PURGE_MAX 10000
#define REDRIVE_DEFAULT 1000
#define REDRIVE_MAX 10000
#define REDRIVE_SCAN 10000                /* jobs that one call looks at */
#define REDRIVE_BYTES (32u * 1024 * 1024) /* of payloads that one call moves to another queue */
#define KEEP_MAX_S (COMMAND_LATER_MAX_MS / 1000)

/* Open a queue to change what it is, making it if need be.  False, with the error replied. */
static bool begin(struct work *work, RedisModuleCtx *ctx, RedisModuleString *name)
{
    const char *error = push_check_name(name);
    if (error != NULL) {
        RedisModule_ReplyWithError(ctx, error);
        return false;
    }
    if (!work_begin(work, ctx, name, WORK_MAKE)) {
        RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
        return false;
    }
    if (work->queue == NULL) {
        work_end(work);
        RedisModule_ReplyWithError(ctx, ERROR_READ_ONLY);
        return false;
    }
    return true;
}

/* Switch one attribute on: JOB.PAUSE and JOB.DRAIN. */
static int switch_on(RedisModuleCtx *ctx, RedisModuleString **argv, int argc,
                     enum jobs_attribute which, const char *event)
{
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    struct work work;
    if (!begin(&work, ctx, argv[1])) {
        return REDISMODULE_OK;
    }
    bool changed = jobs_set(work.queue, &work.env, which, 1);
    work_end(&work);
    if (changed) {
        world_notify(ctx, argv[1], event);
    }
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

int cmd_pause(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    return switch_on(ctx, argv, argc, JOBS_A_PAUSED, "job.pause");
}

int cmd_drain(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    return switch_on(ctx, argv, argc, JOBS_A_DRAINING, "job.drain");
}

int cmd_resume(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    struct work work;
    if (!work_begin(&work, ctx, argv[1], WORK_EXISTING)) {
        return RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    bool changed = false;
    bool ready = false;
    if (work.queue != NULL) {
        changed = jobs_set(work.queue, &work.env, JOBS_A_PAUSED, 0);
        ready = changed && work.queue->count[JOBS_READY] != 0;
        changed = jobs_set(work.queue, &work.env, JOBS_A_DRAINING, 0) || changed;
    }
    work_end(&work);
    if (ready) {
        world_signal(ctx, argv[1]);
    }
    if (changed) {
        world_notify(ctx, argv[1], "job.resume");
    }
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

int cmd_config(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 4) {
        return RedisModule_WrongArity(ctx);
    }
    struct words words = {.argv = argv, .argc = argc, .at = 2};
    int64_t keep_s = 0;
    if (!words_take(&words, "KEEP")) {
        return RedisModule_ReplyWithError(ctx, ERROR_SYNTAX);
    }
    if (!words_int(&words, JOBS_KEEP_DEFAULT, KEEP_MAX_S, &keep_s)) {
        return RedisModule_ReplyWithError(ctx, ERROR_RANGE);
    }
    struct work work;
    if (!begin(&work, ctx, argv[1])) {
        return REDISMODULE_OK;
    }
    int64_t keep_ms = keep_s < 0 ? keep_s : keep_s * 1000;
    (void)jobs_set(work.queue, &work.env, JOBS_A_KEEP, keep_ms - JOBS_KEEP_DEFAULT);
    work_end(&work);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

int cmd_purge(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc < 2) {
        return RedisModule_WrongArity(ctx);
    }
    unsigned states = JOBS_FINISHED;
    int64_t count = PURGE_MAX;
    struct words words = {.argv = argv, .argc = argc, .at = 2};
    while (words.at < argc) {
        if (words_take(&words, "STATUS") && words.at < argc) {
            states = command_state(words_next(&words));
            if (states == 0) {
                return RedisModule_ReplyWithError(ctx, "ERR There is no such status");
            }
        } else if (!words_take(&words, "COUNT") || !words_int(&words, 1, PURGE_MAX, &count)) {
            return RedisModule_ReplyWithError(ctx, ERROR_SYNTAX);
        }
    }
    struct work work;
    if (!work_begin(&work, ctx, argv[1], WORK_EXISTING)) {
        return RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    size_t removed =
        work.queue == NULL ? 0 : jobs_purge(work.queue, &work.env, states, (size_t)count);
    work_end(&work);
    if (removed != 0) {
        world_notify(ctx, argv[1], "job.purge");
    }
    return RedisModule_ReplyWithLongLong(ctx, (long long)removed);
}

struct redrive_args {
    struct jobs_redrive which;
    RedisModuleString *to; /* NULL: the queue itself */
    int64_t cursor;
};

/* NULL, or the error to reply. */
static const char *parse_redrive(struct words *words, struct redrive_args *args)
{
    const unsigned allowed = JOBS_FINISHED & ~JOBS_IN(JOBS_DONE);
    int64_t count = REDRIVE_DEFAULT;
    *args = (struct redrive_args){.which = {.states = JOBS_IN(JOBS_DEAD),
                                            .scan_max = REDRIVE_SCAN,
                                            .bytes_max = REDRIVE_BYTES}};
    while (words->at < words->argc) {
        bool more = words->at + 1 < words->argc;
        if (more && words_take(words, "TO")) {
            args->to = words_next(words);
        } else if (more && words_take(words, "ERROR")) {
            args->which.error = world_slice(words_next(words));
        } else if (more && words_take(words, "STATUS")) {
            args->which.states = command_state(words_next(words));
            if (args->which.states == 0 || (args->which.states & ~allowed) != 0) {
                return "ERR Only dead, failed and cancelled jobs can be tried again";
            }
        } else if (words_take(words, "COUNT")) {
            if (!words_int(words, 1, REDRIVE_MAX, &count)) {
                return ERROR_RANGE;
            }
        } else if (words_take(words, "CURSOR")) {
            if (!words_int(words, 0, (int64_t)JOBS_SEQ_MAX, &args->cursor)) {
                return "ERR invalid cursor";
            }
        } else {
            return ERROR_SYNTAX;
        }
    }
    args->which.max = (size_t)count;
    return args->to != NULL ? push_check_name(args->to) : NULL;
}

/* The place of the queue that jobs go to among the arguments; 0 for none. */
static int find_to(RedisModuleString **argv, int argc)
{
    for (int i = 2; i + 1 < argc; i += 2) { /* every option has one argument */
        if (hl_slice_is(world_slice(argv[i]), "TO")) {
            return i + 1;
        }
    }
    return 0;
}

static enum jobs_verdict redrive(struct work *from, struct work *to, struct redrive_args *args,
                                 uint64_t *cursor, size_t *moved)
{
    uint64_t limit = (uint64_t)jobs_settings.max_depth;
    if (to != NULL && limit != 0) {
        uint64_t total = jobs_total(to->queue);
        if (total >= limit) {
            return JOBS_FULL;
        }
        uint64_t room = limit - total;
        args->which.max = args->which.max < room ? args->which.max : (size_t)room;
    }
    return jobs_redrive(from->queue, &from->env, to != NULL ? to->queue : NULL,
                        to != NULL ? &to->env : NULL, &args->which, cursor, moved);
}

/* With the source open: open where the jobs go, move them, reply. */
static void redrive_and_reply(struct work *from, struct redrive_args *args)
{
    RedisModuleCtx *ctx = from->ctx;
    uint64_t cursor = (uint64_t)args->cursor;
    size_t moved = 0;
    enum jobs_verdict verdict = JOBS_OK;
    bool any = from->queue != NULL && jobs_next(from->queue, args->which.states, cursor) != NULL;
    if (!any) {
        cursor = 0;
    } else if (args->to == NULL) {
        verdict = redrive(from, NULL, args, &cursor, &moved);
    } else {
        struct work to;
        if (!begin(&to, ctx, args->to)) {
            return;
        }
        verdict = redrive(from, &to, args, &cursor, &moved);
        work_end(&to);
    }
    if (verdict != JOBS_OK && moved == 0) {
        command_reply_verdict(ctx, verdict);
        return;
    }
    RedisModule_ReplyWithArray(ctx, 2);
    command_reply_cursor(ctx, cursor);
    RedisModule_ReplyWithLongLong(ctx, (long long)moved);
}

int cmd_redrive(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (RedisModule_IsKeysPositionRequest(ctx)) {
        int to = find_to(argv, argc);
        if (argc >= 2) {
            RedisModule_KeyAtPos(ctx, 1);
        }
        if (to != 0) {
            RedisModule_KeyAtPos(ctx, to);
        }
        return REDISMODULE_OK;
    }
    if (argc < 2) {
        return RedisModule_WrongArity(ctx);
    }
    struct redrive_args args;
    struct words words = {.argv = argv, .argc = argc, .at = 2};
    const char *error = parse_redrive(&words, &args);
    if (error == NULL && args.to != NULL &&
        hl_slice_equal(world_slice(args.to), world_slice(argv[1]))) {
        error = "ERR Jobs are moved to another queue, not to their own";
    }
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    struct work work;
    if (!work_begin(&work, ctx, argv[1], WORK_EXISTING)) {
        return RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    redrive_and_reply(&work, &args);
    bool changed = work.effects.len != 0;
    work_end(&work);
    if (changed) {
        world_notify(ctx, argv[1], "job.redrive");
    }
    return REDISMODULE_OK;
}
