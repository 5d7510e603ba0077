/* JOB.RESULT and JOB.EVENTS: answer at once, or wait.
 *
 *   F1  A waiting client is in the server's list of its queue's key, and in `waiting` here, so that
 *       a queue's key is signalled only when somebody waits for what it now has.  It leaves both
 *       however its wait ends.
 */
#include "follow.h"

#include "command.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "settings.h"
#include "type.h"

#define EVENTS_DEFAULT 100
#define BLOCK_MAX_MS (INT64_C(365) * 24 * 3600 * 1000)

/* What a client wants to know. */
struct wish {
    struct wish *prev; /* in `waiting`, for a client that waits */
    struct wish *next;
    bool events;    /* else the end of a job */
    uint32_t epoch; /* of the job's queue */
    uint64_t seq;   /* of the job */
    uint64_t after; /* number of the last event that the client has */
    int64_t count;  /* of events */
    int db;
    size_t name_len;
    char *name; /* of the queue; owned only while waiting */
    RedisModuleBlockedClient *client;
    bool ended; /* its wait is being ended */
};

static struct wish *waiting;
static int64_t waiters;

int64_t follow_waiters(void)
{
    return waiters;
}

/* Whether there is something to answer.  A queue or job that is gone is an answer, too; so is an
 * event that was never there, of another queue of that name: but not on a replica, which may only
 * be behind. */
static bool is_due(RedisModuleCtx *ctx, const struct wish *wish, const struct jobs_queue *queue)
{
    if (wish->events) {
        return queue != NULL && (wish->after + 1 < queue->feed.next ||
                                 (wish->after >= queue->feed.next && world_may_decide(ctx)));
    }
    if (queue == NULL || queue->epoch != wish->epoch) {
        return true;
    }
    const struct jobs_job *job = jobs_find(queue, wish->seq);
    return job == NULL || (JOBS_FINISHED & JOBS_IN(job->state)) != 0;
}

void follow_changed(RedisModuleCtx *ctx, RedisModuleString *name, const struct jobs_queue *queue)
{
    if (waiting == NULL) {
        return;
    }
    struct hl_slice text = world_slice(name);
    int db = RedisModule_GetSelectedDb(ctx);
    for (const struct wish *wish = waiting; wish != NULL; wish = wish->next) {
        struct hl_slice wanted = {wish->name, wish->name_len};
        if (wish->db == db && hl_slice_equal(wanted, text) && is_due(ctx, wish, queue)) {
            world_signal(ctx, name); /* wakes all of them */
            return;
        }
    }
}

/* End the wait for a result, as if its time were over. */
static void end_wait(struct wish *wish)
{
    if (!wish->events && !wish->ended && RedisModule_UnblockClient != NULL) {
        wish->ended = true;
        (void)RedisModule_UnblockClient(wish->client, NULL);
    }
}

void follow_gone(RedisModuleCtx *ctx, RedisModuleString *name)
{
    if (waiting == NULL) {
        return;
    }
    struct hl_slice text = world_slice(name);
    int db = RedisModule_GetSelectedDb(ctx);
    for (struct wish *wish = waiting; wish != NULL; wish = wish->next) {
        struct hl_slice wanted = {wish->name, wish->name_len};
        if (wish->db == db && hl_slice_equal(wanted, text)) {
            end_wait(wish);
        }
    }
}

void follow_flushed(int db)
{
    for (struct wish *wish = waiting; wish != NULL; wish = wish->next) {
        if (db < 0 || wish->db == db) {
            end_wait(wish);
        }
    }
}

static void reply_result(RedisModuleCtx *ctx, const struct wish *wish,
                         const struct jobs_queue *queue)
{
    const struct jobs_job *job = NULL;
    if (queue != NULL && queue->epoch == wish->epoch) {
        job = jobs_find(queue, wish->seq);
    }
    if (job == NULL) {
        RedisModule_ReplyWithError(ctx, ERROR_NO_JOB);
        return;
    }
    struct hl_slice text = jobs_note_text(job);
    RedisModule_ReplyWithArray(ctx, 2);
    RedisModule_ReplyWithCString(ctx, jobs_state_name((enum jobs_state)job->state));
    if (text.len == 0) {
        RedisModule_ReplyWithNull(ctx);
    } else {
        RedisModule_ReplyWithStringBuffer(ctx, text.ptr, text.len);
    }
}

static void reply_fact(RedisModuleCtx *ctx, struct hl_slice name, const struct jobs_queue *queue,
                       uint64_t number)
{
    const struct jobs_fact *fact = jobs_feed_at(&queue->feed, number);
    RedisModule_ReplyWithMap(ctx, 6);
    RedisModule_ReplyWithCString(ctx, "seq");
    RedisModule_ReplyWithLongLong(ctx, (long long)number);
    RedisModule_ReplyWithCString(ctx, "event");
    RedisModule_ReplyWithCString(ctx, jobs_happening_name((enum jobs_happening)fact->what));
    RedisModule_ReplyWithCString(ctx, "id");
    command_reply_id(ctx, name, queue, fact->seq);
    RedisModule_ReplyWithCString(ctx, "at");
    RedisModule_ReplyWithLongLong(ctx, fact->at_ms);
    RedisModule_ReplyWithCString(ctx, "status");
    RedisModule_ReplyWithCString(ctx, jobs_state_name((enum jobs_state)fact->state));
    RedisModule_ReplyWithCString(ctx, "attempt");
    RedisModule_ReplyWithLongLong(ctx, fact->attempts);
}

static void reply_events(RedisModuleCtx *ctx, const struct wish *wish, struct hl_slice name,
                         const struct jobs_queue *queue)
{
    uint64_t first = queue == NULL ? 1 : jobs_feed_first(&queue->feed);
    uint64_t next = queue == NULL ? 1 : queue->feed.next;
    uint64_t from = wish->after >= first ? wish->after + 1 : first;
    uint64_t end = from < next ? from : next;
    while (end < next && end - from < (uint64_t)wish->count) {
        end++;
    }
    RedisModule_ReplyWithMap(ctx, 3);
    RedisModule_ReplyWithCString(ctx, "first");
    RedisModule_ReplyWithLongLong(ctx, (long long)first);
    RedisModule_ReplyWithCString(ctx, "last");
    RedisModule_ReplyWithLongLong(ctx, (long long)next - 1);
    RedisModule_ReplyWithCString(ctx, "events");
    RedisModule_ReplyWithArray(ctx, from < end ? (long)(end - from) : 0);
    for (uint64_t n = from; n < end; n++) {
        reply_fact(ctx, name, queue, n);
    }
}

/* Answer what is due, or when `always` whatever there is.  False, with nothing replied, when the
 * client has to wait. */
static bool answer(RedisModuleCtx *ctx, struct wish *wish, RedisModuleString *name, bool always)
{
    RedisModuleKey *key = NULL;
    const struct jobs_queue *queue = NULL;
    if (!command_open(ctx, name, &key, &queue)) {
        return true;
    }
    if (wish->events && wish->after == UINT64_MAX) {
        wish->after = queue == NULL ? 0 : queue->feed.next - 1; /* only what comes from now on */
    }
    bool due = is_due(ctx, wish, queue);
    if (due || always) {
        if (wish->events) {
            reply_events(ctx, wish, world_slice(name), queue);
        } else if (due) {
            reply_result(ctx, wish, queue);
        } else {
            RedisModule_ReplyWithNull(ctx);
        }
    }
    command_close(key);
    return due || always;
}

static int on_ready(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    struct wish *wish = RedisModule_GetBlockedClientPrivateData(ctx);
    RedisModuleString *name = RedisModule_CreateString(ctx, wish->name, wish->name_len);
    bool answered = answer(ctx, wish, name, false);
    RedisModule_FreeString(ctx, name);
    return answered ? REDISMODULE_OK : REDISMODULE_ERR; /* ERR: wait on */
}

static int on_timeout(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    return RedisModule_ReplyWithNullArray(ctx);
}

/* F1: called however the wait ends. */
static void on_end(RedisModuleCtx *ctx, void *data)
{
    (void)ctx;
    struct wish *wish = data;
    *(wish->prev != NULL ? &wish->prev->next : &waiting) = wish->next;
    if (wish->next != NULL) {
        wish->next->prev = wish->prev;
    }
    HL_ASSERT(waiters > 0);
    waiters--;
    hl_free(wish->name);
    hl_free(wish);
}

static int wait_for_it(RedisModuleCtx *ctx, const struct wish *wish, RedisModuleString *name,
                       int64_t block_ms)
{
    if (waiters >= jobs_settings.max_waiters) {
        return RedisModule_ReplyWithError(ctx, "ERR Too many clients wait for jobs");
    }
    struct hl_slice text = world_slice(name);
    struct wish *kept = hl_malloc(sizeof *kept);
    *kept = *wish;
    kept->db = RedisModule_GetSelectedDb(ctx);
    kept->name = hl_strndup(text.ptr, text.len);
    kept->name_len = text.len;
    kept->prev = NULL;
    kept->next = waiting;
    if (waiting != NULL) {
        waiting->prev = kept;
    }
    waiting = kept;
    waiters++;
    kept->client =
        RedisModule_BlockClientOnKeys(ctx, on_ready, on_timeout, on_end, block_ms, &name, 1, kept);
    if (kept->client == NULL) {
        on_end(ctx, kept);
    }
    return REDISMODULE_OK;
}

/* Answer, or wait when `block_ms` says so and the place allows it. */
static int answer_or_wait(RedisModuleCtx *ctx, struct wish *wish, RedisModuleString *name,
                          int64_t block_ms)
{
    int never = REDISMODULE_CTX_FLAGS_MULTI | REDISMODULE_CTX_FLAGS_LUA |
                REDISMODULE_CTX_FLAGS_DENY_BLOCKING;
    bool waits = block_ms >= 0 && (RedisModule_GetContextFlags(ctx) & never) == 0;
    return answer(ctx, wish, name, !waits) ? REDISMODULE_OK
                                           : wait_for_it(ctx, wish, name, block_ms);
}

int cmd_result(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 2 && argc != 4) {
        return RedisModule_WrongArity(ctx);
    }
    int64_t block_ms = -1;
    struct words words = {.argv = argv, .argc = argc, .at = 2};
    if (argc == 4 &&
        (!words_take(&words, "BLOCK") || !words_int(&words, 0, BLOCK_MAX_MS, &block_ms))) {
        return RedisModule_ReplyWithError(ctx, ERROR_SYNTAX);
    }
    struct jobs_id id;
    if (!jobs_id_parse(world_slice(argv[1]), &id)) {
        return RedisModule_ReplyWithError(ctx, ERROR_NO_JOB);
    }
    struct wish wish = {.seq = id.seq, .epoch = id.epoch};
    RedisModuleString *name = RedisModule_CreateString(ctx, id.queue.ptr, id.queue.len);
    int result = answer_or_wait(ctx, &wish, name, block_ms);
    RedisModule_FreeString(ctx, name);
    return result;
}

/* NULL, or the error to reply. */
static const char *parse_events(struct words *words, struct wish *wish, int64_t *block_ms)
{
    int64_t after = 0;
    *block_ms = -1;
    *wish = (struct wish){.events = true, .count = EVENTS_DEFAULT};
    while (words->at < words->argc) {
        if (words_take(words, "AFTER")) {
            if (words_take(words, "$")) {
                wish->after = UINT64_MAX;
            } else if (words_int(words, 0, JOBS_TIME_MAX, &after)) {
                wish->after = (uint64_t)after;
            } else {
                return ERROR_RANGE;
            }
        } else if (words_take(words, "COUNT")) {
            if (!words_int(words, 1, JOBS_FEED_MAX, &wish->count)) {
                return ERROR_RANGE;
            }
        } else if (words_take(words, "BLOCK")) {
            if (!words_int(words, 0, BLOCK_MAX_MS, block_ms)) {
                return "ERR timeout is not an integer or out of range";
            }
        } else {
            return ERROR_SYNTAX;
        }
    }
    return NULL;
}

int cmd_events(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc < 2) {
        return RedisModule_WrongArity(ctx);
    }
    struct wish wish;
    int64_t block_ms = -1;
    struct words words = {.argv = argv, .argc = argc, .at = 2};
    const char *error = parse_events(&words, &wish, &block_ms);
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    return answer_or_wait(ctx, &wish, argv[1], block_ms);
}
