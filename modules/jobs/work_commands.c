/* Commands that change a queue: read arguments, let the engine decide, reply.
 *
 * Nothing is replicated as it was typed: work_end() replicates what happened.
 */
#include "command.h"

#include "kit/assert.h"
#include "roster.h"
#include "settings.h"
#include "type.h"

#define PURGE_MAX 10000
#define LATER_MAX_MS (INT64_C(10) * 365 * 24 * 3600 * 1000) /* of a delay, a TTL, a window */

/* What JOB.PUSH asks for beside the payload. */
struct push_args {
    struct hl_slice dedup;
    int64_t window_ms;
    struct jobs_options options;
};

static bool parse_backoff(struct words *words, struct jobs_options *options)
{
    int64_t jitter = 0;
    if (words_take(words, "FIXED")) {
        options->backoff = JOBS_FIXED;
    } else if (words_take(words, "EXP")) {
        options->backoff = JOBS_EXPONENTIAL;
    } else {
        return false;
    }
    if (!words_int(words, 0, JOBS_SPAN_MAX, &options->base_ms) ||
        !words_int(words, 0, JOBS_SPAN_MAX, &options->cap_ms) ||
        !words_int(words, 0, 100, &jitter)) {
        return false;
    }
    options->jitter = (int)jitter;
    return true;
}

/* One option of JOB.PUSH; false when malformed or unknown. */
static bool parse_push_option(struct words *words, struct push_args *args)
{
    struct jobs_options *options = &args->options;
    int64_t v = 0;
    if (words_take(words, "ID")) {
        RedisModuleString *id = words_next(words);
        if (id == NULL) {
            return false;
        }
        args->dedup = world_slice(id);
        return args->dedup.len >= 1 && args->dedup.len <= JOBS_DEDUP_MAX;
    }
    if (words_take(words, "WINDOW")) {
        bool ok = words_int(words, 1, LATER_MAX_MS / 1000, &v);
        args->window_ms = v * 1000;
        return ok;
    }
    if (words_take(words, "DELAY")) {
        return words_int(words, 0, LATER_MAX_MS, &options->delay_ms);
    }
    if (words_take(words, "PRI")) {
        bool ok = words_int(words, INT8_MIN, INT8_MAX, &v);
        options->pri = (int)v;
        return ok;
    }
    if (words_take(words, "MAXTRY")) {
        bool ok = words_int(words, 1, JOBS_TRIES_MAX, &v);
        options->tries = (int)v;
        return ok;
    }
    if (words_take(words, "VIS")) {
        bool ok = words_int(words, 1, JOBS_SPAN_MAX / 1000, &v);
        options->vis_ms = v * 1000;
        return ok;
    }
    if (words_take(words, "TTL")) {
        bool ok = words_int(words, 1, LATER_MAX_MS / 1000, &v);
        options->ttl_ms = v * 1000;
        return ok;
    }
    return words_take(words, "BACKOFF") && parse_backoff(words, options);
}

/* NULL, or the error to reply. */
static const char *parse_push(struct words *words, struct push_args *args)
{
    const struct settings *s = &jobs_settings;
    *args = (struct push_args){
        .window_ms = s->dedup_window_s * 1000,
        .options = {.vis_ms = s->visibility_s * 1000,
                    .base_ms = s->backoff_base_ms,
                    .cap_ms = s->backoff_cap_ms,
                    .jitter = (int)s->backoff_jitter,
                    .tries = (int)s->max_attempts,
                    .backoff = JOBS_EXPONENTIAL},
    };
    while (words->at < words->argc) {
        if (!parse_push_option(words, args)) {
            return "ERR JOB.PUSH: an option is unknown, incomplete or out of range";
        }
    }
    return NULL;
}

static int reply_verdict(RedisModuleCtx *ctx, enum jobs_verdict verdict)
{
    switch (verdict) {
    case JOBS_NO_JOB:
        return RedisModule_ReplyWithError(ctx, ERROR_NO_JOB);
    case JOBS_LEASE_LOST:
        return RedisModule_ReplyWithError(ctx, ERROR_LEASE_LOST);
    case JOBS_FULL:
        return RedisModule_ReplyWithError(ctx, "ERR The queue is full");
    case JOBS_NO_MEMORY:
        return RedisModule_ReplyWithError(ctx, "OOM No memory for the job");
    case JOBS_WRONG_STATE:
        return RedisModule_ReplyWithLongLong(ctx, 0);
    case JOBS_OK:
        break;
    }
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

/* The size of a text that a client sends: NULL, or the error to reply. */
static const char *check_size(const RedisModuleString *text)
{
    if (text != NULL && world_slice(text).len > (size_t)jobs_settings.max_payload) {
        return "ERR The payload is larger than jobs.max-payload";
    }
    return NULL;
}

static void push(struct work *work, const RedisModuleString *payload, const struct push_args *args)
{
    RedisModuleCtx *ctx = work->ctx;
    uint64_t seq = 0;
    bool duplicate = false;
    enum jobs_verdict verdict = JOBS_FULL;
    uint64_t limit = (uint64_t)jobs_settings.max_depth;
    if (limit == 0 || jobs_total(work->queue) < limit) {
        verdict = jobs_push(work->queue, &work->env, world_slice(payload), args->dedup,
                            args->window_ms, &args->options, &seq, &duplicate);
    }
    if (verdict != JOBS_OK) {
        reply_verdict(ctx, verdict);
        return;
    }
    RedisModule_ReplyWithArray(ctx, 2);
    command_reply_id(ctx, world_slice(work->name), work->queue, seq);
    RedisModule_ReplyWithLongLong(ctx, duplicate);
}

int cmd_push(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc < 3) {
        return RedisModule_WrongArity(ctx);
    }
    struct push_args args;
    struct words words = {.argv = argv, .argc = argc, .at = 3};
    const char *error = check_size(argv[2]);
    size_t name_len = world_slice(argv[1]).len;
    if (name_len < 1 || name_len > JOBS_QUEUE_NAME_MAX) {
        error = "ERR A queue's name has 1 to 512 bytes";
    }
    if (error == NULL) {
        error = parse_push(&words, &args);
    }
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    struct work work;
    if (!work_begin(&work, ctx, argv[1], WORK_MAKE)) {
        return RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    if (work.queue == NULL) {
        work_end(&work);
        return RedisModule_ReplyWithError(ctx, ERROR_READ_ONLY);
    }
    push(&work, argv[2], &args);
    bool changed = work.effects.len != 0;
    work_end(&work);
    if (changed) {
        world_notify(ctx, argv[1], "job.push");
    }
    return REDISMODULE_OK;
}

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

/* A token's bytes from its text; one that no lease has when the text is none. */
static struct hl_slice parse_token(const RedisModuleString *text, unsigned char *token)
{
    bool ok = jobs_token_parse(world_slice(text), token);
    return (struct hl_slice){.ptr = (const char *)token, .len = ok ? JOBS_TOKEN_LEN : 0};
}

int cmd_ack(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3 && argc != 4) {
        return RedisModule_WrongArity(ctx);
    }
    const RedisModuleString *result = argc == 4 ? argv[3] : NULL;
    if (check_size(result) != NULL) {
        return RedisModule_ReplyWithError(ctx, check_size(result));
    }
    struct target target;
    if (!target_begin(&target, ctx, argv[1])) {
        return REDISMODULE_OK;
    }
    unsigned char bytes[JOBS_TOKEN_LEN];
    struct hl_slice none = {0};
    enum jobs_verdict verdict =
        jobs_ack(target.work.queue, &target.work.env, target.seq, parse_token(argv[2], bytes),
                 result != NULL ? world_slice(result) : none);
    reply_verdict(ctx, verdict);
    return target_end(&target, verdict, "job.done");
}

/* NULL, or the error to reply. */
static const char *parse_nack(struct words *words, struct jobs_nack *how)
{
    *how = (struct jobs_nack){.delay_ms = -1};
    bool first = true;
    while (words->at < words->argc) {
        if (words_take(words, "DELAY")) {
            if (!words_int(words, 0, LATER_MAX_MS, &how->delay_ms)) {
                return ERROR_RANGE;
            }
        } else if (words_take(words, "FAIL")) {
            how->permanent = true;
        } else if (first) {
            const RedisModuleString *text = words_next(words);
            if (check_size(text) != NULL) {
                return check_size(text);
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
        jobs_nack(queue, &target.work.env, target.seq, parse_token(argv[2], bytes), &how);
    if (verdict == JOBS_OK) {
        const struct jobs_job *job = jobs_find(queue, target.seq);
        enum jobs_state gone = how.permanent ? JOBS_FAILED : JOBS_DEAD; /* and not kept */
        enum jobs_state state = job != NULL ? (enum jobs_state)job->state : gone;
        RedisModule_ReplyWithSimpleString(ctx, jobs_state_name(state));
    } else {
        reply_verdict(ctx, verdict);
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
                                            parse_token(argv[2], bytes), span_ms);
    if (verdict == JOBS_OK) {
        RedisModule_ReplyWithLongLong(ctx, target.work.env.now_ms + span_ms);
    } else {
        reply_verdict(ctx, verdict);
    }
    return target_end(&target, verdict, "job.extend");
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
        reply_verdict(ctx, verdict);
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
