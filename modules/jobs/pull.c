/* JOB.PULL: lease what is ready, or wait for it.
 *
 * L1  A lease is made in the same unit that replies it: a client that is gone when its turn comes
 *     is never served, so it takes nothing with it.
 * L2  A waiting client holds nothing but its place in the server's lists of its keys.
 */
#include "bound.h"
#include "command.h"
#include "kit/assert.h"
#include "settings.h"
#include "type.h"

#define COUNT_MAX 1000
#define PORTION 16                      /* jobs leased at once, before looking at their bytes */
#define ANSWER_BYTES (8u * 1024 * 1024) /* of payloads: no more jobs once there are as many */
#define QUEUES_MAX 64
#define BLOCK_MAX_MS (INT64_C(365) * 24 * 3600 * 1000)

struct pull_args {
    RedisModuleString **queues; /* borrowed from argv */
    int queue_count;
    int64_t count;
    int64_t block_ms; /* -1: do not wait; 0: for ever */
    struct hl_slice worker;
    bool bound; /* the leases end with the client's connection */
};

static int64_t waiters;

int64_t pull_waiters(void)
{
    return waiters;
}

/* How many arguments from the first name queues. */
static int count_queues(RedisModuleString **argv, int argc)
{
    int end = 2;
    while (end < argc) {
        struct hl_slice word = world_slice(argv[end]);
        if (hl_slice_is(word, "COUNT") || hl_slice_is(word, "BLOCK") ||
            hl_slice_is(word, "WORKER") || hl_slice_is(word, "BOUND")) {
            break;
        }
        end++;
    }
    return end - 1;
}

/* NULL, or the error to reply. */
static const char *parse(RedisModuleString **argv, int argc, struct pull_args *args)
{
    *args = (struct pull_args){.queues = argv + 1, .count = 1, .block_ms = -1};
    args->queue_count = count_queues(argv, argc);
    if (args->queue_count > QUEUES_MAX) {
        return "ERR Too many queues in one JOB.PULL";
    }
    struct words words = {.argv = argv, .argc = argc, .at = 1 + args->queue_count};
    while (words.at < argc) {
        if (words_take(&words, "COUNT")) {
            if (!words_int(&words, 1, COUNT_MAX, &args->count)) {
                return ERROR_RANGE;
            }
        } else if (words_take(&words, "BLOCK")) {
            if (!words_int(&words, 0, BLOCK_MAX_MS, &args->block_ms)) {
                return "ERR timeout is not an integer or out of range";
            }
        } else if (words_take(&words, "WORKER") && words.at < argc) {
            args->worker = world_slice(words_next(&words));
            if (args->worker.len > JOBS_WORKER_MAX) {
                return "ERR The worker's name is too long";
            }
        } else if (words_take(&words, "BOUND")) {
            args->bound = true;
        } else {
            return ERROR_SYNTAX;
        }
    }
    return NULL;
}

static void reply_job(struct work *work, uint64_t seq)
{
    RedisModuleCtx *ctx = work->ctx;
    const struct jobs_job *job = jobs_find(work->queue, seq);
    HL_ASSERT(job != NULL && job->state == JOBS_LEASED);
    char token[JOBS_TOKEN_TEXT_LEN];
    jobs_token_format(token, job->token);
    struct hl_slice payload = jobs_payload(job);
    RedisModule_ReplyWithMap(ctx, 7);
    RedisModule_ReplyWithCString(ctx, "id");
    command_reply_id(ctx, world_slice(work->name), work->queue, seq);
    RedisModule_ReplyWithCString(ctx, "queue");
    RedisModule_ReplyWithString(ctx, work->name);
    RedisModule_ReplyWithCString(ctx, "payload");
    RedisModule_ReplyWithStringBuffer(ctx, payload.ptr, payload.len);
    RedisModule_ReplyWithCString(ctx, "attempt");
    RedisModule_ReplyWithLongLong(ctx, job->attempts);
    RedisModule_ReplyWithCString(ctx, "token");
    RedisModule_ReplyWithStringBuffer(ctx, token, sizeof token);
    RedisModule_ReplyWithCString(ctx, "deadline");
    RedisModule_ReplyWithLongLong(ctx, job->when.due_ms);
    RedisModule_ReplyWithCString(ctx, "fence");
    RedisModule_ReplyWithLongLong(ctx, (long long)job->fence);
}

/* Whether the queue may have something to give: cheap, for the many who wait. */
static bool is_promising(RedisModuleCtx *ctx, RedisModuleString *name, bool *wrong_type)
{
    RedisModuleKey *key = RedisModule_OpenKey(ctx, name, REDISMODULE_READ);
    const struct jobs_queue *queue = type_queue_of(key, wrong_type);
    bool promising = false;
    if (queue != NULL) {
        int64_t deadline_ms = jobs_deadline(queue);
        bool ready = jobs_front(queue) != NULL && !queue->paused;
        promising = ready || (deadline_ms != 0 && deadline_ms <= world_now_ms());
    }
    if (key != NULL) {
        RedisModule_CloseKey(key);
    }
    return promising;
}

/* How much of an answer is made, so that it can be ended when it is large. */
struct answer {
    size_t count;
    size_t bytes;
};

static bool is_full(const struct answer *answer, const struct pull_args *args)
{
    return answer->count >= (size_t)args->count || answer->bytes >= ANSWER_BYTES;
}

/* Lease from one queue and reply the jobs, inside an array that the first of all jobs opens. */
static void pull_from(RedisModuleCtx *ctx, RedisModuleString *name, const struct pull_args *args,
                      struct answer *answer)
{
    struct work work;
    if (!work_begin(&work, ctx, name, WORK_EXISTING)) {
        return;
    }
    size_t before = answer->count;
    size_t count = work.queue == NULL ? 0 : 1;
    while (count != 0 && !is_full(answer, args)) {
        uint64_t seqs[PORTION];
        size_t left = (size_t)args->count - answer->count;
        count =
            jobs_pull(work.queue, &work.env, args->worker, seqs, left < PORTION ? left : PORTION);
        for (size_t i = 0; i < count; i++) {
            if (answer->count == 0) {
                RedisModule_ReplyWithArray(ctx, REDISMODULE_POSTPONED_LEN);
            }
            if (args->bound) {
                jobs_bind(work.queue, &work.env, seqs[i]);
                bound_note(&work, seqs[i]);
            }
            reply_job(&work, seqs[i]);
            answer->count++;
            answer->bytes += jobs_payload(jobs_find(work.queue, seqs[i])).len;
        }
    }
    work_end(&work);
    if (answer->count != before) {
        world_notify(ctx, name, "job.pull");
    }
}

/* Lease and reply.  False, with nothing replied, when no queue has a job. */
static bool pull(RedisModuleCtx *ctx, const struct pull_args *args)
{
    struct answer answer = {0};
    for (int i = 0; i < args->queue_count && !is_full(&answer, args); i++) {
        bool wrong_type = false;
        if (is_promising(ctx, args->queues[i], &wrong_type)) {
            pull_from(ctx, args->queues[i], args, &answer);
        }
    }
    if (answer.count != 0) {
        RedisModule_ReplySetArrayLength(ctx, (long)answer.count);
    }
    return answer.count != 0;
}

static int on_ready(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct pull_args args;
    if (parse(argv, argc, &args) != NULL) {
        return RedisModule_ReplyWithNullArray(ctx); /* it was parsed before: cannot happen */
    }
    return pull(ctx, &args) ? REDISMODULE_OK : REDISMODULE_ERR; /* ERR: wait on */
}

static int on_timeout(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    return RedisModule_ReplyWithNullArray(ctx);
}

/* Called however the wait ends: served, timed out, unblocked or gone. */
static void on_end(RedisModuleCtx *ctx, void *data)
{
    (void)ctx;
    HL_ASSERT(data == &waiters && waiters > 0);
    waiters--;
}

static int wait_for_jobs(RedisModuleCtx *ctx, struct pull_args *args)
{
    int never = REDISMODULE_CTX_FLAGS_MULTI | REDISMODULE_CTX_FLAGS_LUA |
                REDISMODULE_CTX_FLAGS_DENY_BLOCKING;
    if (args->block_ms < 0 || (RedisModule_GetContextFlags(ctx) & never) != 0) {
        return RedisModule_ReplyWithNullArray(ctx);
    }
    if (waiters >= jobs_settings.max_waiters) {
        return RedisModule_ReplyWithError(ctx, "ERR Too many clients wait for jobs");
    }
    if (RedisModule_BlockClientOnKeys(ctx, on_ready, on_timeout, on_end, args->block_ms,
                                      args->queues, args->queue_count, &waiters) != NULL) {
        waiters++;
    }
    return REDISMODULE_OK;
}

static void report_keys(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    int count = count_queues(argv, argc);
    for (int i = 1; i <= count; i++) {
        RedisModule_KeyAtPos(ctx, i);
    }
}

int cmd_pull(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (RedisModule_IsKeysPositionRequest(ctx)) {
        if (argc >= 2) {
            report_keys(ctx, argv, argc);
        }
        return REDISMODULE_OK;
    }
    if (argc < 2) {
        return RedisModule_WrongArity(ctx);
    }
    struct pull_args args;
    const char *error = parse(argv, argc, &args);
    for (int i = 0; error == NULL && i < args.queue_count; i++) {
        bool wrong_type = false;
        (void)is_promising(ctx, args.queues[i], &wrong_type);
        if (wrong_type) {
            error = REDISMODULE_ERRORMSG_WRONGTYPE;
        }
    }
    if (error == NULL && args.bound && !bound_is_possible(ctx)) {
        error = "ERR BOUND needs a connection that the server can watch";
    }
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    return pull(ctx, &args) ? REDISMODULE_OK : wait_for_jobs(ctx, &args);
}
