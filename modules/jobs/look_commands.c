/* Commands that only look. */
#include "command.h"

#include "roster.h"
#include "type.h"

#include <stdio.h>

#define LIST_DEFAULT 20
#define LIST_MAX 1000
#define LIST_BYTES_MAX (1024 * 1024) /* of payloads in one page, but for a first larger one */
#define QUEUES_DEFAULT 1000
#define QUEUES_MAX 10000

static void text_field(RedisModuleCtx *ctx, const char *name, struct hl_slice text)
{
    RedisModule_ReplyWithCString(ctx, name);
    RedisModule_ReplyWithStringBuffer(ctx, text.ptr, text.len);
}

/* A text that may be missing. */
static void maybe_field(RedisModuleCtx *ctx, const char *name, struct hl_slice text)
{
    RedisModule_ReplyWithCString(ctx, name);
    if (text.len == 0) {
        RedisModule_ReplyWithNull(ctx);
    } else {
        RedisModule_ReplyWithStringBuffer(ctx, text.ptr, text.len);
    }
}

static void int_field(RedisModuleCtx *ctx, const char *name, int64_t v)
{
    RedisModule_ReplyWithCString(ctx, name);
    RedisModule_ReplyWithLongLong(ctx, v);
}

/* All about a job but its token, which is its worker's secret. */
static void reply_job(RedisModuleCtx *ctx, struct hl_slice name, const struct jobs_queue *queue,
                      const struct jobs_job *job)
{
    char backoff[64];
    int len = snprintf(backoff, sizeof backoff, "%s %u %u %u",
                       job->backoff == JOBS_FIXED ? "fixed" : "exp", job->base_ms, job->cap_ms,
                       job->jitter);
    struct hl_slice none = {0};
    bool done = job->state == JOBS_DONE;
    const struct jobs_extra *extra = jobs_job_extra(job);
    RedisModule_ReplyWithMap(ctx, 23);
    RedisModule_ReplyWithCString(ctx, "id");
    command_reply_id(ctx, name, queue, job->when.tie);
    text_field(ctx, "queue", name);
    text_field(ctx, "status", hl_slice_of(jobs_state_name((enum jobs_state)job->state)));
    text_field(ctx, "payload", jobs_payload(job));
    int_field(ctx, "priority", job->pri);
    int_field(ctx, "attempts", job->attempts);
    int_field(ctx, "max_attempts", job->tries);
    int_field(ctx, "created_at", job->created_ms);
    int_field(ctx, "updated_at", job->changed_ms);
    int_field(ctx, "due_at", job->when.due_ms);
    int_field(ctx, "lease_until", job->state == JOBS_LEASED ? job->when.due_ms : 0);
    int_field(ctx, "expires_at", job->expires_ms);
    int_field(ctx, "visibility_ms", job->vis_ms);
    text_field(ctx, "backoff", (struct hl_slice){backoff, (size_t)len});
    int_field(ctx, "fence", (int64_t)job->fence);
    maybe_field(ctx, "dedup_id", jobs_dedup_id(job));
    maybe_field(ctx, "unique", jobs_unique_key(job));
    maybe_field(ctx, "worker", jobs_worker(job));
    int_field(ctx, "bound", extra != NULL && extra->bound);
    int_field(ctx, "progress", extra != NULL ? extra->percent : 0);
    maybe_field(ctx, "progress_text", jobs_progress_text(job));
    maybe_field(ctx, "result", done ? jobs_note_text(job) : none);
    maybe_field(ctx, "error", done ? none : jobs_note_text(job));
}

bool command_open(RedisModuleCtx *ctx, RedisModuleString *name, RedisModuleKey **key,
                  const struct jobs_queue **queue)
{
    bool wrong_type = false;
    *key = RedisModule_OpenKey(ctx, name, REDISMODULE_READ);
    *queue = type_queue_of(*key, &wrong_type);
    if (wrong_type) {
        RedisModule_CloseKey(*key);
        RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
        return false;
    }
    return true;
}

void command_close(RedisModuleKey *key)
{
    if (key != NULL) {
        RedisModule_CloseKey(key);
    }
}

int cmd_get(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    struct jobs_id id;
    if (!jobs_id_parse(world_slice(argv[1]), &id)) {
        return RedisModule_ReplyWithNull(ctx);
    }
    RedisModuleString *name = RedisModule_CreateString(ctx, id.queue.ptr, id.queue.len);
    RedisModuleKey *key = NULL;
    const struct jobs_queue *queue = NULL;
    if (command_open(ctx, name, &key, &queue)) {
        const struct jobs_job *job = NULL;
        if (queue != NULL && queue->epoch == id.epoch) {
            job = jobs_find(queue, id.seq);
        }
        if (job != NULL) {
            reply_job(ctx, id.queue, queue, job);
        } else {
            RedisModule_ReplyWithNull(ctx);
        }
        command_close(key);
    }
    RedisModule_FreeString(ctx, name);
    return REDISMODULE_OK;
}

int cmd_holds(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    struct jobs_id id;
    if (!jobs_id_parse(world_slice(argv[1]), &id)) {
        return RedisModule_ReplyWithLongLong(ctx, 0);
    }
    RedisModuleString *name = RedisModule_CreateString(ctx, id.queue.ptr, id.queue.len);
    RedisModuleKey *key = NULL;
    const struct jobs_queue *queue = NULL;
    if (command_open(ctx, name, &key, &queue)) {
        unsigned char bytes[JOBS_TOKEN_LEN];
        struct jobs_env env = {.now_ms = world_now_ms(), .frozen = world_is_frozen(ctx)};
        bool holds = queue != NULL && queue->epoch == id.epoch &&
                     jobs_holds(queue, &env, id.seq, command_token(argv[2], bytes));
        RedisModule_ReplyWithLongLong(ctx, holds);
        command_close(key);
    }
    RedisModule_FreeString(ctx, name);
    return REDISMODULE_OK;
}

struct list_args {
    unsigned states;
    int64_t cursor;
    int64_t count;
};

/* NULL, or the error to reply. */
static const char *parse_list(struct words *words, struct list_args *args)
{
    *args = (struct list_args){.states = JOBS_ANY, .count = LIST_DEFAULT};
    while (words->at < words->argc) {
        if (words_take(words, "STATUS") && words->at < words->argc) {
            args->states = command_state(words_next(words));
            if (args->states == 0) {
                return "ERR There is no such status";
            }
        } else if (words_take(words, "CURSOR")) {
            if (!words_int(words, 0, (int64_t)JOBS_SEQ_MAX, &args->cursor)) {
                return "ERR invalid cursor";
            }
        } else if (words_take(words, "COUNT")) {
            if (!words_int(words, 1, LIST_MAX, &args->count)) {
                return ERROR_RANGE;
            }
        } else {
            return ERROR_SYNTAX;
        }
    }
    return NULL;
}

/* One page: [cursor, jobs].  The cursor is the number of the next job, so jobs that stay in their
 * state while somebody pages are shown exactly once. */
static void reply_page(RedisModuleCtx *ctx, struct hl_slice name, const struct jobs_queue *queue,
                       const struct list_args *args)
{
    const struct jobs_job *jobs[LIST_MAX];
    size_t bytes = 0;
    long count = 0;
    const struct jobs_job *job =
        queue == NULL ? NULL : jobs_next(queue, args->states, (uint64_t)args->cursor);
    while (job != NULL && count < args->count) {
        size_t more = jobs_job_bytes(job);
        if (count != 0 && bytes + more > LIST_BYTES_MAX) {
            break;
        }
        bytes += more;
        jobs[count++] = job;
        job = jobs_next(queue, args->states, job->when.tie + 1);
    }
    RedisModule_ReplyWithArray(ctx, 2);
    command_reply_cursor(ctx, job == NULL ? 0 : job->when.tie);
    RedisModule_ReplyWithArray(ctx, count);
    for (long i = 0; i < count; i++) {
        reply_job(ctx, name, queue, jobs[i]);
    }
}

int cmd_list(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc < 2) {
        return RedisModule_WrongArity(ctx);
    }
    struct list_args args;
    struct words words = {.argv = argv, .argc = argc, .at = 2};
    const char *error = parse_list(&words, &args);
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    RedisModuleKey *key = NULL;
    const struct jobs_queue *queue = NULL;
    if (command_open(ctx, argv[1], &key, &queue)) {
        reply_page(ctx, world_slice(argv[1]), queue, &args);
        command_close(key);
    }
    return REDISMODULE_OK;
}

/* Counts of one queue or of many. */
struct stats {
    uint64_t queues;
    uint64_t count[JOBS_STATES];
    uint64_t counters[JOBS_COUNTERS];
    uint64_t paused;
    uint64_t draining;
    int64_t keep_ms; /* of the last queue */
    uint64_t dedup_ids;
    uint64_t unique_keys;
    uint64_t bytes;
    int64_t oldest_ready_ms; /* when the job next in turn became ready; 0: none */
};

static bool add_queue(void *arg, struct hl_slice name, const struct jobs_queue *queue)
{
    (void)name;
    struct stats *stats = arg;
    stats->queues++;
    for (unsigned i = 0; i < JOBS_STATES; i++) {
        stats->count[i] += queue->count[i];
    }
    for (unsigned i = 0; i < JOBS_COUNTERS; i++) {
        stats->counters[i] += queue->counters[i];
    }
    stats->paused += queue->paused;
    stats->draining += queue->draining;
    stats->keep_ms = queue->keep_ms;
    stats->dedup_ids += queue->dedup.count;
    stats->unique_keys += queue->unique.count;
    stats->bytes += jobs_bytes(queue);
    const struct jobs_job *front = jobs_front(queue);
    if (front != NULL &&
        (stats->oldest_ready_ms == 0 || front->changed_ms < stats->oldest_ready_ms)) {
        stats->oldest_ready_ms = front->changed_ms;
    }
    return true;
}

static void reply_stats(RedisModuleCtx *ctx, const struct stats *stats)
{
    static const char *const names[JOBS_COUNTERS] = {[JOBS_C_PUSHED] = "pushed",
                                                     [JOBS_C_PULLED] = "pulled",
                                                     [JOBS_C_ACKED] = "acked",
                                                     [JOBS_C_NACKED] = "nacked",
                                                     [JOBS_C_LEASE_EXPIRED] = "lease_expired",
                                                     [JOBS_C_TTL_EXPIRED] = "ttl_expired",
                                                     [JOBS_C_DEAD] = "died",
                                                     [JOBS_C_FAILED] = "failed_for_good",
                                                     [JOBS_C_CANCELLED] = "cancellations",
                                                     [JOBS_C_REVIVED] = "retried",
                                                     [JOBS_C_PURGED] = "purged",
                                                     [JOBS_C_AGED] = "forgotten",
                                                     [JOBS_C_LEASE_DROPPED] = "lease_dropped",
                                                     [JOBS_C_RELEASED] = "released",
                                                     [JOBS_C_REDRIVEN] = "redriven"};
    RedisModule_ReplyWithMap(ctx, 8 + JOBS_STATES + JOBS_COUNTERS);
    int_field(ctx, "queues", (int64_t)stats->queues);
    for (unsigned i = 0; i < JOBS_STATES; i++) {
        int_field(ctx, jobs_state_name((enum jobs_state)i), (int64_t)stats->count[i]);
    }
    for (unsigned i = 0; i < JOBS_COUNTERS; i++) {
        int_field(ctx, names[i], (int64_t)stats->counters[i]);
    }
    int_field(ctx, "paused", (int64_t)stats->paused);
    int_field(ctx, "draining", (int64_t)stats->draining);
    int_field(ctx, "keep_ms", stats->keep_ms);
    int_field(ctx, "dedup_ids", (int64_t)stats->dedup_ids);
    int_field(ctx, "unique_keys", (int64_t)stats->unique_keys);
    int_field(ctx, "bytes", (int64_t)stats->bytes);
    int_field(ctx, "oldest_ready_at", stats->oldest_ready_ms);
}

int cmd_stats(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc > 2) {
        return RedisModule_WrongArity(ctx);
    }
    struct stats stats = {.keep_ms = JOBS_KEEP_DEFAULT};
    if (argc == 1) {
        roster_visit(ctx, NULL, add_queue, &stats);
        stats.keep_ms = JOBS_KEEP_DEFAULT;
        reply_stats(ctx, &stats);
        return REDISMODULE_OK;
    }
    RedisModuleKey *key = NULL;
    const struct jobs_queue *queue = NULL;
    if (command_open(ctx, argv[1], &key, &queue)) {
        if (queue != NULL) {
            (void)add_queue(&stats, world_slice(argv[1]), queue);
        }
        reply_stats(ctx, &stats);
        command_close(key);
    }
    return REDISMODULE_OK;
}

struct naming {
    RedisModuleCtx *ctx;
    long count;
    int64_t max;
};

static bool name_queue(void *arg, struct hl_slice name, const struct jobs_queue *queue)
{
    (void)queue;
    struct naming *naming = arg;
    RedisModule_ReplyWithStringBuffer(naming->ctx, name.ptr, name.len);
    return ++naming->count < naming->max;
}

int cmd_queues(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct naming naming = {.ctx = ctx, .max = QUEUES_DEFAULT};
    RedisModuleString *after = NULL;
    struct words words = {.argv = argv, .argc = argc, .at = 1};
    while (words.at < argc) {
        if (words_take(&words, "AFTER") && words.at < argc) {
            after = words_next(&words);
        } else if (!words_take(&words, "COUNT") || !words_int(&words, 1, QUEUES_MAX, &naming.max)) {
            return RedisModule_ReplyWithError(ctx, ERROR_SYNTAX);
        }
    }
    RedisModule_ReplyWithArray(ctx, REDISMODULE_POSTPONED_LEN);
    roster_visit(ctx, after, name_queue, &naming);
    RedisModule_ReplySetArrayLength(ctx, naming.count);
    return REDISMODULE_OK;
}

int cmd_help(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    long count = 0;
    RedisModule_ReplyWithArray(ctx, REDISMODULE_POSTPONED_LEN);
    for (const char *const *line = docs_help(); *line != NULL; line++) {
        RedisModule_ReplyWithSimpleString(ctx, *line);
        count++;
    }
    RedisModule_ReplySetArrayLength(ctx, count);
    return REDISMODULE_OK;
}
