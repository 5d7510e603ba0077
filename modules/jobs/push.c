/* Adding jobs: JOB.PUSH, and JOB.PUSHM for many at once. */
#include "push.h"

#include "kit/assert.h"
#include "settings.h"

#define MANY_MAX 1000                  /* jobs in one JOB.PUSHM */
#define MANY_BYTES (32u * 1024 * 1024) /* of their payloads: all travel as one effect */

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

/* A text of 1 to JOBS_DEDUP_MAX bytes. */
static bool parse_id(struct words *words, struct hl_slice *id)
{
    const RedisModuleString *text = words_next(words);
    if (text == NULL) {
        return false;
    }
    *id = world_slice(text);
    return id->len >= 1 && id->len <= JOBS_DEDUP_MAX;
}

static bool parse_unique(struct words *words, struct jobs_options *options)
{
    if (!parse_id(words, &options->unique)) {
        return false;
    }
    options->scope = JOBS_UNTIL_END;
    if (!words_take(words, "UNTIL")) {
        return true;
    }
    if (words_take(words, "START")) {
        options->scope = JOBS_UNTIL_START;
    } else if (words_take(words, "DONE")) {
        options->scope = JOBS_UNTIL_DONE;
    } else {
        return words_take(words, "END");
    }
    return true;
}

/* Seconds, as milliseconds. */
static bool parse_seconds(struct words *words, int64_t min, int64_t max, int64_t *out_ms)
{
    int64_t seconds = 0;
    bool ok = words_int(words, min, max, &seconds);
    *out_ms = seconds * 1000;
    return ok;
}

/* The options that are one number. */
static bool parse_number(struct words *words, struct push_args *args)
{
    struct jobs_options *options = &args->options;
    const int64_t later_s = COMMAND_LATER_MAX_MS / 1000;
    int64_t v = 0;
    bool ok = false;
    if (words_take(words, "WINDOW")) {
        return parse_seconds(words, 1, later_s, &args->window_ms);
    }
    if (words_take(words, "DELAY")) {
        return words_int(words, 0, COMMAND_LATER_MAX_MS, &options->delay_ms);
    }
    if (words_take(words, "PRI")) {
        ok = words_int(words, INT8_MIN, INT8_MAX, &v);
        options->pri = (int)v;
    } else if (words_take(words, "MAXTRY")) {
        ok = words_int(words, 1, JOBS_TRIES_MAX, &v);
        options->tries = (int)v;
    } else if (words_take(words, "VIS")) {
        ok = parse_seconds(words, 1, JOBS_SPAN_MAX / 1000, &options->vis_ms);
    } else if (words_take(words, "TTL")) {
        ok = parse_seconds(words, 1, later_s, &options->ttl_ms);
    } else if (words_take(words, "KEEP")) {
        ok = parse_seconds(words, -1, later_s, &options->keep_ms);
        options->keep_ms = options->keep_ms < 0 ? JOBS_KEEP_FOR_EVER : options->keep_ms;
        options->has_keep = true;
    }
    return ok;
}

bool push_parse_option(struct words *words, struct push_args *args)
{
    if (words_take(words, "ID")) {
        return parse_id(words, &args->dedup);
    }
    if (words_take(words, "UNIQUE")) {
        return parse_unique(words, &args->options);
    }
    if (words_take(words, "STRICT")) {
        args->strict = true;
        return true;
    }
    if (words_take(words, "BACKOFF")) {
        return parse_backoff(words, &args->options);
    }
    return parse_number(words, args);
}

void push_defaults(struct push_args *args)
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
}

const char *push_parse(struct words *words, struct push_args *args)
{
    push_defaults(args);
    while (words->at < words->argc) {
        if (!push_parse_option(words, args)) {
            return "ERR JOB.PUSH: an option is unknown, incomplete or out of range";
        }
    }
    return NULL;
}

const char *push_check_name(const RedisModuleString *name)
{
    size_t len = world_slice(name).len;
    return len < 1 || len > JOBS_QUEUE_NAME_MAX ? "ERR A queue's name has 1 to 512 bytes" : NULL;
}

/* Whether so many more jobs fit into the queue. */
static bool fits(const struct jobs_queue *queue, size_t count)
{
    uint64_t limit = (uint64_t)jobs_settings.max_depth;
    uint64_t total = jobs_total(queue);
    return limit == 0 || (total <= limit && count <= limit - total);
}

enum jobs_verdict push_job(struct work *work, struct hl_slice payload, const struct push_args *args,
                           uint64_t *seq, bool *duplicate)
{
    if (!fits(work->queue, 1)) {
        return JOBS_FULL;
    }
    return jobs_push(work->queue, &work->env, payload, args->dedup, args->window_ms, &args->options,
                     seq, duplicate);
}

static void reply_conflict(struct work *work, uint64_t seq)
{
    struct hl_buf text = {0};
    struct jobs_id id = {.queue = world_slice(work->name), .seq = seq, .epoch = work->queue->epoch};
    hl_buf_append_text(&text, "CONFLICT ");
    jobs_id_format(&text, id);
    for (size_t i = 0; i < text.len; i++) { /* a queue's name may hold any bytes, an error not */
        unsigned char byte = (unsigned char)text.ptr[i];
        text.ptr[i] = byte < ' ' || byte == 0x7f ? '?' : text.ptr[i];
    }
    hl_buf_append(&text, " has this dedup id or unique key",
                  sizeof " has this dedup id or unique key");
    RedisModule_ReplyWithError(work->ctx, text.ptr);
    hl_buf_fini(&text);
}

/* Push one job and reply. */
static void push_and_reply(struct work *work, const RedisModuleString *payload,
                           const struct push_args *args)
{
    uint64_t seq = 0;
    bool duplicate = false;
    enum jobs_verdict verdict = push_job(work, world_slice(payload), args, &seq, &duplicate);
    if (verdict != JOBS_OK) {
        command_reply_verdict(work->ctx, verdict);
    } else if (duplicate && args->strict) {
        reply_conflict(work, seq);
    } else {
        RedisModule_ReplyWithArray(work->ctx, 2);
        command_reply_id(work->ctx, world_slice(work->name), work->queue, seq);
        RedisModule_ReplyWithLongLong(work->ctx, duplicate);
    }
}

/* Open a queue to push to, making it if need be.  False, with the error replied. */
static bool begin(struct work *work, RedisModuleCtx *ctx, RedisModuleString *name)
{
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

static int end(struct work *work)
{
    RedisModuleCtx *ctx = work->ctx;
    RedisModuleString *name = work->name;
    bool changed = work->effects.len != 0;
    work_end(work);
    if (changed) {
        world_notify(ctx, name, "job.push");
    }
    return REDISMODULE_OK;
}

int cmd_push(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc < 3) {
        return RedisModule_WrongArity(ctx);
    }
    struct push_args args;
    struct words words = {.argv = argv, .argc = argc, .at = 3};
    const char *error = push_check_name(argv[1]);
    if (error == NULL) {
        error = command_check_size(argv[2]);
    }
    if (error == NULL) {
        error = push_parse(&words, &args);
    }
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    struct work work;
    if (!begin(&work, ctx, argv[1])) {
        return REDISMODULE_OK;
    }
    push_and_reply(&work, argv[2], &args);
    return end(&work);
}

/* The jobs of a JOB.PUSHM. */
struct many {
    struct push_args args;
    RedisModuleString **first; /* payloads, or dedup ids and payloads in turn; borrowed */
    size_t count;              /* jobs */
    bool pairs;
};

static const RedisModuleString *payload_of(const struct many *many, size_t i)
{
    return many->pairs ? many->first[2 * i + 1] : many->first[i];
}

/* Sizes of payloads and dedup ids: NULL, or the error to reply. */
static const char *check_many(const struct many *many)
{
    size_t bytes = 0;
    for (size_t i = 0; i < many->count; i++) {
        const RedisModuleString *payload = payload_of(many, i);
        const char *error = command_check_size(payload);
        if (error != NULL) {
            return error;
        }
        if (many->pairs) {
            size_t len = world_slice(many->first[2 * i]).len;
            if (len < 1 || len > JOBS_DEDUP_MAX) {
                return "ERR A dedup id has 1 to 512 bytes";
            }
        }
        bytes += world_slice(payload).len;
        if (bytes > MANY_BYTES) {
            return "ERR The payloads of one JOB.PUSHM are at most 32 MiB";
        }
    }
    return NULL;
}

/* NULL, or the error to reply. */
static const char *parse_many(struct words *words, struct many *many)
{
    *many = (struct many){0};
    push_defaults(&many->args);
    while (words->at < words->argc) {
        many->pairs = words_take(words, "PAIRS");
        if (many->pairs || words_take(words, "PAYLOADS")) {
            break;
        }
        if (!push_parse_option(words, &many->args)) {
            return "ERR JOB.PUSHM: an option is unknown, incomplete or out of range";
        }
    }
    const struct push_args *args = &many->args;
    if (args->dedup.len != 0 || args->options.scope != JOBS_NOT_UNIQUE || args->strict) {
        return "ERR JOB.PUSHM takes no ID, UNIQUE or STRICT: give dedup ids as PAIRS";
    }
    size_t left = (size_t)(words->argc - words->at);
    if (left == 0 || (many->pairs && left % 2 != 0)) {
        return ERROR_SYNTAX;
    }
    many->first = words->argv + words->at;
    many->count = many->pairs ? left / 2 : left;
    if (many->count > MANY_MAX) {
        return "ERR One JOB.PUSHM takes at most 1000 jobs";
    }
    return check_many(many);
}

int cmd_pushm(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc < 4) {
        return RedisModule_WrongArity(ctx);
    }
    struct many many;
    struct words words = {.argv = argv, .argc = argc, .at = 2};
    const char *error = push_check_name(argv[1]);
    if (error == NULL) {
        error = parse_many(&words, &many);
    }
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    struct work work;
    if (!begin(&work, ctx, argv[1])) {
        return REDISMODULE_OK;
    }
    if (work.queue->draining) {
        command_reply_verdict(ctx, JOBS_IS_DRAINING);
    } else if (!fits(work.queue, many.count)) {
        command_reply_verdict(ctx, JOBS_FULL);
    } else {
        RedisModule_ReplyWithArray(ctx, (long)many.count);
        for (size_t i = 0; i < many.count; i++) {
            if (many.pairs) {
                many.args.dedup = world_slice(many.first[2 * i]);
            }
            push_and_reply(&work, payload_of(&many, i), &many.args);
        }
    }
    return end(&work);
}
