/* JOB.SCHEDULE: schedules that push jobs at the times of cron expressions. */
#include "cron.h"
#include "cron_clock.h"
#include "kit/assert.h"
#include "push.h"
#include "type.h"

#include <stdio.h>

#define LIST_MAX 1000
#define NO_SCHEDULE "NOSCHEDULE No such schedule"

static const char *const misfires[JOBS_MISFIRES] = {
    [JOBS_MISFIRE_ONE] = "one", [JOBS_MISFIRE_SKIP] = "skip", [JOBS_MISFIRE_ALL] = "all"};

/* One JOB.SCHEDULE: argv is JOB.SCHEDULE, subcommand, queue, and what `words` is at. */
struct call {
    RedisModuleCtx *ctx;
    RedisModuleString *queue;
    struct words words;
};

static int reply_verdict(RedisModuleCtx *ctx, enum jobs_verdict verdict)
{
    if (verdict == JOBS_NO_JOB) {
        return RedisModule_ReplyWithError(ctx, NO_SCHEDULE);
    }
    return command_reply_verdict(ctx, verdict);
}

/* --- SET ---------------------------------------------------------------------------------------
 */

/* A name that people can type and terminals can show. */
static bool is_name(struct hl_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char byte = (unsigned char)name.ptr[i];
        if (byte <= ' ' || byte == 0x7f) {
            return false;
        }
    }
    return name.len >= 1 && name.len <= JOBS_CRON_NAME_MAX;
}

static bool parse_misfire(struct words *words, enum jobs_misfire *out)
{
    for (int i = 0; i < JOBS_MISFIRES; i++) {
        if (words_take(words, misfires[i])) {
            *out = (enum jobs_misfire)i;
            return true;
        }
    }
    return false;
}

/* What comes behind the payload: NULL, or the error to reply. */
static const char *parse_options(struct words *words, struct jobs_cron_def *def)
{
    struct push_args args;
    push_defaults(&args);
    while (words->at < words->argc) {
        if (words_take(words, "TZ")) {
            const RedisModuleString *zone = words_next(words);
            if (zone == NULL) {
                return ERROR_SYNTAX;
            }
            def->zone = world_slice(zone);
        } else if (words_take(words, "MISFIRE")) {
            if (!parse_misfire(words, &def->misfire)) {
                return "ERR MISFIRE is ONE, SKIP or ALL";
            }
        } else if (!push_parse_option(words, &args)) {
            return "ERR JOB.SCHEDULE: an option is unknown, incomplete or out of range";
        }
    }
    if (args.dedup.len != 0 || args.strict) {
        return "ERR JOB.SCHEDULE takes no ID or STRICT: a run has a dedup id of its own";
    }
    def->options = args.options;
    return NULL;
}

/* Whether expression and zone can be understood: false, with the error replied. */
static bool check_times(RedisModuleCtx *ctx, const struct jobs_cron_def *def)
{
    struct hl_errmsg msg = {0};
    struct cron_expr expr;
    if (cron_parse(def->cron, &expr, &msg) != HL_OK) {
        char text[400];
        (void)snprintf(text, sizeof text, "ERR The cron expression is refused: %s", msg.text);
        for (char *at = text; *at != '\0'; at++) {
            *at = (unsigned char)*at < ' ' ? '?' : *at;
        }
        RedisModule_ReplyWithError(ctx, text);
        return false;
    }
    const struct cron_zone *zone = NULL;
    hl_err err = cron_clock_zone(def->zone, &zone);
    if (err != HL_OK) {
        RedisModule_ReplyWithError(
            ctx, err == HL_ECORRUPT ? "ERR The time zone's file is damaged"
                                    : "ERR There is no such time zone; is tzdata installed?");
        return false;
    }
    return true;
}

/* Everything a SET says: NULL, or the error to reply. */
static const char *parse_set(struct call *call, struct jobs_cron_def *def)
{
    struct words *words = &call->words;
    if (words->argc - words->at < 3) {
        return "ERR JOB.SCHEDULE SET queue name cron payload [option ...]";
    }
    *def = (struct jobs_cron_def){.misfire = JOBS_MISFIRE_ONE};
    def->name = world_slice(words_next(words));
    def->cron = world_slice(words_next(words));
    const RedisModuleString *payload = words_next(words);
    def->payload = world_slice(payload);
    const char *error = push_check_name(call->queue);
    if (error == NULL && !is_name(def->name)) {
        error = "ERR A schedule's name has 1 to 128 bytes, without spaces and control characters";
    }
    if (error == NULL) {
        error = command_check_size(payload);
    }
    return error != NULL ? error : parse_options(words, def);
}

static int do_set(struct call *call)
{
    RedisModuleCtx *ctx = call->ctx;
    struct jobs_cron_def def;
    const char *error = parse_set(call, &def);
    if (error != NULL) {
        return RedisModule_ReplyWithError(ctx, error);
    }
    if (!check_times(ctx, &def)) {
        return REDISMODULE_OK;
    }
    if (cron_clock_next(ctx, def.cron, def.zone, world_now_ms()) == 0) {
        return RedisModule_ReplyWithError(ctx, "ERR The cron expression never fires");
    }
    struct work work;
    if (!work_begin(&work, ctx, call->queue, WORK_MAKE)) {
        return RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    if (work.queue == NULL) {
        work_end(&work);
        return RedisModule_ReplyWithError(ctx, ERROR_READ_ONLY);
    }
    int64_t next_ms = 0;
    enum jobs_verdict verdict = jobs_cron_set(work.queue, &work.env, &def, &next_ms);
    if (verdict == JOBS_OK) {
        RedisModule_ReplyWithLongLong(ctx, next_ms);
    } else {
        reply_verdict(ctx, verdict);
    }
    work_end(&work);
    if (verdict == JOBS_OK) {
        world_notify(ctx, call->queue, "job.schedule");
    }
    return REDISMODULE_OK;
}

/* --- GET and LIST ------------------------------------------------------------------------------
 */

static void int_field(RedisModuleCtx *ctx, const char *name, int64_t value)
{
    RedisModule_ReplyWithCString(ctx, name);
    RedisModule_ReplyWithLongLong(ctx, value);
}

static void text_field(RedisModuleCtx *ctx, const char *name, struct hl_slice value)
{
    RedisModule_ReplyWithCString(ctx, name);
    RedisModule_ReplyWithStringBuffer(ctx, value.len == 0 ? "" : value.ptr, value.len);
}

static void reply_schedule(const struct work *work, const struct jobs_schedule *s)
{
    RedisModuleCtx *ctx = work->ctx;
    bool utc = s->def.zone.len == 0;
    RedisModule_ReplyWithMap(ctx, 16);
    text_field(ctx, "name", s->def.name);
    text_field(ctx, "queue", world_slice(work->name));
    text_field(ctx, "cron", s->def.cron);
    text_field(ctx, "tz", utc ? hl_slice_of("UTC") : s->def.zone);
    text_field(ctx, "status",
               hl_slice_of(s->paused             ? "paused"
                           : s->when.due_ms != 0 ? "active"
                                                 : "stalled"));
    text_field(ctx, "misfire", hl_slice_of(misfires[s->def.misfire]));
    int_field(ctx, "next_at", s->when.due_ms);
    int_field(ctx, "last_at", s->last_ms);
    RedisModule_ReplyWithCString(ctx, "last_job");
    if (s->last_seq != 0) {
        command_reply_id(ctx, world_slice(work->name), work->queue, s->last_seq);
    } else {
        RedisModule_ReplyWithNull(ctx);
    }
    int_field(ctx, "runs", (int64_t)s->runs);
    int_field(ctx, "skipped", (int64_t)s->skipped);
    int_field(ctx, "created_at", s->created_ms);
    int_field(ctx, "priority", s->def.options.pri);
    int_field(ctx, "max_attempts", s->def.options.tries);
    int_field(ctx, "visibility_ms", s->def.options.vis_ms);
    text_field(ctx, "payload", s->def.payload);
}

/* Open the queue to look at it, which changes nothing: `work` is only read. */
static bool look(struct call *call, struct work *work, RedisModuleKey **key)
{
    *work = (struct work){.ctx = call->ctx, .name = call->queue};
    *key = RedisModule_OpenKey(call->ctx, call->queue, REDISMODULE_READ);
    bool wrong_type = false;
    work->queue = type_queue_of(*key, &wrong_type);
    if (wrong_type) {
        RedisModule_CloseKey(*key);
        RedisModule_ReplyWithError(call->ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    return !wrong_type;
}

static void look_end(RedisModuleKey *key)
{
    if (key != NULL) {
        RedisModule_CloseKey(key);
    }
}

static int do_get(struct call *call)
{
    struct work work;
    RedisModuleKey *key = NULL;
    if (call->words.argc - call->words.at != 1) {
        return RedisModule_WrongArity(call->ctx);
    }
    if (!look(call, &work, &key)) {
        return REDISMODULE_OK;
    }
    struct hl_slice name = world_slice(words_next(&call->words));
    const struct jobs_schedule *s = work.queue == NULL ? NULL : jobs_cron_find(work.queue, name);
    if (s == NULL) {
        RedisModule_ReplyWithNull(call->ctx);
    } else {
        reply_schedule(&work, s);
    }
    look_end(key);
    return REDISMODULE_OK;
}

static int do_list(struct call *call)
{
    struct words *words = &call->words;
    int64_t count = LIST_MAX;
    struct hl_slice after = {0};
    while (words->at < words->argc) {
        if (words_take(words, "AFTER") && words->at < words->argc) {
            after = world_slice(words_next(words));
        } else if (!words_take(words, "COUNT") || !words_int(words, 1, LIST_MAX, &count)) {
            return RedisModule_ReplyWithError(call->ctx, ERROR_SYNTAX);
        }
    }
    struct work work;
    RedisModuleKey *key = NULL;
    if (!look(call, &work, &key)) {
        return REDISMODULE_OK;
    }
    long replied = 0;
    RedisModule_ReplyWithArray(call->ctx, REDISMODULE_POSTPONED_LEN);
    const struct jobs_schedule *s = work.queue == NULL ? NULL : jobs_cron_after(work.queue, after);
    for (; s != NULL && replied < count; s = jobs_cron_after(work.queue, s->def.name)) {
        reply_schedule(&work, s);
        replied++;
    }
    RedisModule_ReplySetArrayLength(call->ctx, replied);
    look_end(key);
    return REDISMODULE_OK;
}

/* --- DEL, PAUSE, RESUME, RUN -------------------------------------------------------------------
 */

enum change { CHANGE_DEL, CHANGE_PAUSE, CHANGE_RESUME, CHANGE_RUN };

/* Change one schedule and reply. */
static enum jobs_verdict change(struct work *work, struct hl_slice name, enum change what)
{
    RedisModuleCtx *ctx = work->ctx;
    uint64_t seq = 0;
    bool duplicate = false;
    enum jobs_verdict verdict = JOBS_NO_JOB;
    switch (what) {
    case CHANGE_DEL:
        verdict = jobs_cron_del(work->queue, &work->env, name);
        break;
    case CHANGE_PAUSE:
    case CHANGE_RESUME:
        verdict = jobs_cron_pause(work->queue, &work->env, name, what == CHANGE_PAUSE);
        break;
    case CHANGE_RUN:
        verdict = jobs_cron_run(work->queue, &work->env, name, &seq, &duplicate);
        break;
    }
    bool no = verdict == JOBS_WRONG_STATE || (what == CHANGE_DEL && verdict == JOBS_NO_JOB);
    if (verdict == JOBS_OK && what == CHANGE_RUN) {
        RedisModule_ReplyWithArray(ctx, 2);
        command_reply_id(ctx, world_slice(work->name), work->queue, seq);
        RedisModule_ReplyWithLongLong(ctx, duplicate);
    } else if (verdict == JOBS_OK || no) {
        RedisModule_ReplyWithLongLong(ctx, verdict == JOBS_OK);
    } else {
        reply_verdict(ctx, verdict);
    }
    return verdict;
}

static int do_change(struct call *call, enum change what)
{
    RedisModuleCtx *ctx = call->ctx;
    if (call->words.argc - call->words.at != 1) {
        return RedisModule_WrongArity(ctx);
    }
    struct work work;
    if (!work_begin(&work, ctx, call->queue, WORK_EXISTING)) {
        return RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    enum jobs_verdict verdict = JOBS_NO_JOB;
    if (work.queue != NULL) {
        verdict = change(&work, world_slice(words_next(&call->words)), what);
    } else if (what == CHANGE_DEL) {
        RedisModule_ReplyWithLongLong(ctx, 0);
    } else {
        reply_verdict(ctx, verdict);
    }
    work_end(&work);
    if (verdict == JOBS_OK) {
        world_notify(ctx, call->queue, what == CHANGE_RUN ? "job.push" : "job.schedule");
    }
    return REDISMODULE_OK;
}

int cmd_schedule(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc < 3) {
        return RedisModule_WrongArity(ctx);
    }
    struct call call = {
        .ctx = ctx, .queue = argv[2], .words = {.argv = argv, .argc = argc, .at = 3}};
    struct words sub = {.argv = argv, .argc = argc, .at = 1};
    if (words_take(&sub, "SET")) {
        return do_set(&call);
    }
    if (words_take(&sub, "GET")) {
        return do_get(&call);
    }
    if (words_take(&sub, "LIST")) {
        return do_list(&call);
    }
    if (words_take(&sub, "DEL")) {
        return do_change(&call, CHANGE_DEL);
    }
    if (words_take(&sub, "PAUSE")) {
        return do_change(&call, CHANGE_PAUSE);
    }
    if (words_take(&sub, "RESUME")) {
        return do_change(&call, CHANGE_RESUME);
    }
    if (words_take(&sub, "RUN")) {
        return do_change(&call, CHANGE_RUN);
    }
    return RedisModule_ReplyWithError(
        ctx, "ERR JOB.SCHEDULE SET|GET|DEL|LIST|PAUSE|RESUME|RUN queue [name] ...");
}
