/* Commands that change a queue: read arguments, let the engine decide, reply.
 *
 * Nothing is replicated as it was typed: work_end() replicates what happened.
 */
#include "command.h"

#include "bound.h"
#include "follow.h"
#include "kit/assert.h"
#include "roster.h"
#include "type.h"

/* A job that a command names by its id. */
struct target {
    struct work work;
    RedisModuleString *name;
    uint64_t seq;
};

/* Open the queue of the id in argv[1].  False, with the error replied and nothing open, when there
 * is no such job. */
static bool target_begin(struct target *target, RedisModuleCtx *ctx, RedisModuleString *text)
{
    struct jobs_id id;
    if (!jobs_id_parse(world_slice(text), &id)) {
        RedisModule_ReplyWithError(ctx, ERROR_NO_JOB);
        return false;
    }
    *target = (struct target){.seq = id.seq};
    target->name = RedisModule_CreateString(ctx, id.queue.ptr, id.queue.len);
    if (!work_begin(&target->work, ctx, target->name, WORK_EXISTING)) {
        RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
        RedisModule_FreeString(ctx, target->name);
        return false;
    }
    const struct jobs_queue *queue = target->work.queue;
    if (queue == NULL || queue->epoch != id.epoch) {
        RedisModule_ReplyWithError(ctx, ERROR_NO_JOB);
        work_end(&target->work);
        RedisModule_FreeString(ctx, target->name);
        return false;
    }
    return true;
}

/* Close; tell `event` to subscribers when the command did what it should. */
static int target_end(struct target *target, enum jobs_verdict verdict, const char *event)
{
    RedisModuleCtx *ctx = target->work.ctx;
    work_end(&target->work);
    if (verdict == JOBS_OK) {
        world_notify(ctx, target->name, event);
    }
    RedisModule_FreeString(ctx, target->name);
    return REDISMODULE_OK;
}

int cmd_ack(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3 && argc != 4) {
        return RedisModule_WrongArity(ctx);
    }
    const RedisModuleString *result = argc == 4 ? argv[3] : NULL;
    if (command_check_size(result) != NULL) {
        return RedisModule_ReplyWithError(ctx, command_check_size(result));
    }
    struct target target;
    if (!target_begin(&target, ctx, argv[1])) {
        return REDISMODULE_OK;
    }
    unsigned char bytes[JOBS_TOKEN_LEN];
    struct hl_slice none = {0};
    enum jobs_verdict verdict =
        jobs_ack(target.work.queue, &target.work.env, target.seq, command_token(argv[2], bytes),
                 result != NULL ? world_slice(result) : none);
    command_reply_verdict(ctx, verdict);
    return target_end(&target, verdict, "job.done");
}

/* NULL, or the error to reply. */
static const char *parse_nack(struct words *words, struct jobs_nack *how)
{
    *how = (struct jobs_nack){.delay_ms = -1};
    bool first = true;
    while (words->at < words->argc) {
        if (words_take(words, "DELAY")) {
            if (!words_int(words, 0, COMMAND_LATER_MAX_MS, &how->delay_ms)) {
                return ERROR_RANGE;
            }
        } else if (words_take(words, "FAIL")) {
            how->permanent = true;
        } else if (first) {
            const RedisModuleString *text = words_next(words);
            if (command_check_size(text) != NULL) {
                return command_check_size(text);
            }
            how->error = world_slice(text);
        } else {
            return ERROR_SYNTAX;
        }
        first = false;
    }
    return NULL;
}

int cmd_nack(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc < 3) {
        return RedisModule_WrongArity(ctx);
    }
    struct jobs_nack how;
    struct words words = {.argv = argv, .argc = argc, .at = 3};
    const char *error = parse_nack(&words, &how);
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    struct target target;
    if (!target_begin(&target, ctx, argv[1])) {
        return REDISMODULE_OK;
    }
    unsigned char bytes[JOBS_TOKEN_LEN];
    struct jobs_queue *queue = target.work.queue;
    enum jobs_verdict verdict =
        jobs_nack(queue, &target.work.env, target.seq, command_token(argv[2], bytes), &how);
    if (verdict == JOBS_OK) {
        const struct jobs_job *job = jobs_find(queue, target.seq);
        enum jobs_state gone = how.permanent ? JOBS_FAILED : JOBS_DEAD; /* and not kept */
        enum jobs_state state = job != NULL ? (enum jobs_state)job->state : gone;
        RedisModule_ReplyWithSimpleString(ctx, jobs_state_name(state));
    } else {
        command_reply_verdict(ctx, verdict);
    }
    return target_end(&target, verdict, "job.nack");
}

int cmd_extend(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 4) {
        return RedisModule_WrongArity(ctx);
    }
    int64_t span_ms = 0;
    struct words words = {.argv = argv, .argc = argc, .at = 3};
    if (!words_int(&words, 1, JOBS_SPAN_MAX, &span_ms)) {
        return RedisModule_ReplyWithError(ctx, ERROR_RANGE);
    }
    struct target target;
    if (!target_begin(&target, ctx, argv[1])) {
        return REDISMODULE_OK;
    }
    unsigned char bytes[JOBS_TOKEN_LEN];
    enum jobs_verdict verdict = jobs_extend(target.work.queue, &target.work.env, target.seq,
                                            command_token(argv[2], bytes), span_ms);
    if (verdict == JOBS_OK) {
        bound_renew(&target.work, target.seq);
        RedisModule_ReplyWithLongLong(ctx, target.work.env.now_ms + span_ms);
    } else {
        command_reply_verdict(ctx, verdict);
    }
    return target_end(&target, verdict, "job.extend");
}

int cmd_progress(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 4 && argc != 5) {
        return RedisModule_WrongArity(ctx);
    }
    int64_t percent = 0;
    struct words words = {.argv = argv, .argc = argc, .at = 3};
    if (!words_int(&words, 0, 100, &percent)) {
        return RedisModule_ReplyWithError(ctx, ERROR_RANGE);
    }
    struct hl_slice text = {0};
    if (argc == 5) {
        text = world_slice(argv[4]);
    }
    if (text.len > JOBS_PROGRESS_MAX) {
        return RedisModule_ReplyWithError(ctx, "ERR A text of progress has at most 1024 bytes");
    }
    struct target target;
    if (!target_begin(&target, ctx, argv[1])) {
        return REDISMODULE_OK;
    }
    unsigned char bytes[JOBS_TOKEN_LEN];
    enum jobs_verdict verdict = jobs_progress(target.work.queue, &target.work.env, target.seq,
                                              command_token(argv[2], bytes), (int)percent, text);
    if (verdict == JOBS_OK) {
        bound_renew(&target.work, target.seq);
    }
    command_reply_verdict(ctx, verdict);
    return target_end(&target, verdict, "job.progress");
}

int cmd_release(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    struct target target;
    if (!target_begin(&target, ctx, argv[1])) {
        return REDISMODULE_OK;
    }
    unsigned char bytes[JOBS_TOKEN_LEN];
    enum jobs_verdict verdict = jobs_release(target.work.queue, &target.work.env, target.seq,
                                             command_token(argv[2], bytes));
    command_reply_verdict(ctx, verdict);
    return target_end(&target, verdict, "job.release");
}

typedef enum jobs_verdict (*whole_job_fn)(struct jobs_queue *queue, struct jobs_env *env,
                                          uint64_t seq);

/* CANCEL and RETRY: 1 when done, 0 when the job's state does not allow it. */
static int on_whole_job(RedisModuleCtx *ctx, RedisModuleString **argv, int argc, whole_job_fn fn,
                        const char *event)
{
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    struct target target;
    if (!target_begin(&target, ctx, argv[1])) {
        return REDISMODULE_OK;
    }
    enum jobs_verdict verdict = fn(target.work.queue, &target.work.env, target.seq);
    if (verdict == JOBS_OK) {
        RedisModule_ReplyWithLongLong(ctx, 1);
    } else {
        command_reply_verdict(ctx, verdict);
    }
    return target_end(&target, verdict, event);
}

int cmd_cancel(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    return on_whole_job(ctx, argv, argc, jobs_cancel, "job.cancel");
}

int cmd_retry(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    return on_whole_job(ctx, argv, argc, jobs_revive, "job.retry");
}

/* Apply what a leader decided.  An error here means that this node's state is not the leader's. */
static hl_err apply(RedisModuleCtx *ctx, RedisModuleString *name, struct hl_slice events)
{
    RedisModuleKey *key = RedisModule_OpenKey(ctx, name, REDISMODULE_READ | REDISMODULE_WRITE);
    bool wrong_type = false;
    struct jobs_queue *queue = type_queue_of(key, &wrong_type);
    if (queue == NULL && !wrong_type) {
        queue = type_make_queue(key);
    }
    hl_err err = queue == NULL ? HL_EINVAL : jobs_apply_bytes(queue, events);
    if (queue != NULL) {
        roster_note(ctx, name, queue);
        follow_changed(ctx, name, queue);
    }
    if (key != NULL) {
        RedisModule_CloseKey(key);
    }
    return err;
}

int cmd_apply(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    int flags = RedisModule_GetContextFlags(ctx);
    if ((flags & (REDISMODULE_CTX_FLAGS_REPLICATED | REDISMODULE_CTX_FLAGS_LOADING)) == 0) {
        return RedisModule_ReplyWithError(ctx, "ERR JOB._APPLY is for replication only");
    }
    hl_err err = apply(ctx, argv[1], world_slice(argv[2]));
    RedisModule_ReplicateVerbatim(ctx); /* for this node's own append-only file */
    if (err != HL_OK) {
        RedisModule_Log(ctx, "warning", "JOB._APPLY does not fit the queue (%d): diverged", err);
        return RedisModule_ReplyWithError(ctx, "ERR JOB._APPLY does not fit the queue");
    }
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}
