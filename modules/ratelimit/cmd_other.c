/* REFUND, RESET, GET, POLICY, TOP, and CL.THROTTLE. */
#include "commands.h"

#include "cell.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "settings.h"

#include <stdio.h>

#define TOP_DEFAULT 10
#define CELL_USAGE "Usage: cl.throttle <key> <max_burst> <count per period> <period> [<quantity>]"

static struct sketch *sketch;
static size_t sketch_size;
static struct stats counted;

struct stats *stats(void)
{
    return &counted;
}

void note_end(void)
{
    sketch_destroy(sketch);
    sketch = NULL;
    sketch_size = 0;
    counted = (struct stats){0};
}

size_t note_bytes(void)
{
    return sketch == NULL ? 0 : sketch_bytes(sketch);
}

void note(RedisModuleString *key, bool refused)
{
    struct hl_slice name;
    if (sketch_size != settings_top_size()) {
        sketch_destroy(sketch); /* of another size: it begins anew */
        sketch_size = settings_top_size();
        sketch = sketch_size == 0 ? NULL : sketch_create(sketch_size);
    }
    if (sketch != NULL) {
        name.ptr = RedisModule_StringPtrLen(key, &name.len);
        sketch_see(sketch, name, refused);
    }
}

int cmd_refund(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct words words = {argv, argc, 2};
    struct place place;
    int64_t count = 1;
    int64_t now_ms = store_now_ms();
    if (argc < 2) {
        return RedisModule_WrongArity(ctx);
    }
    bool counted_out = words.at < argc && !hl_slice_is(words_peek(&words), "now");
    if ((counted_out && !words_int(&words, 0, INT64_MAX, &count)) ||
        (words_take(&words, "now") && !words_int(&words, 0, LIMIT_NOW_MAX_MS, &now_ms))) {
        return RedisModule_ReplyWithError(ctx, ERROR_NUMBER);
    }
    if (words.at != argc) {
        return RedisModule_ReplyWithError(ctx, ERROR_SYNTAX);
    }
    if (!store_open(ctx, &place, argv[1], true)) {
        return RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    int64_t given = 0;
    bool written = true;
    if (place.present) {
        given = limiter_refund(&place.limiter, count, now_ms);
        struct limit_result now = limiter_take(&place.limiter, 0, now_ms);
        written = given == 0 || store_put(ctx, &place, now.reset_ms);
    }
    store_close(&place);
    if (!written) {
        return RedisModule_ReplyWithError(ctx, ERROR_READ_ONLY);
    }
    stats()->refunded += given != 0;
    return RedisModule_ReplyWithLongLong(ctx, given);
}

int cmd_reset(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    long long count = 0;
    if (argc < 2) {
        return RedisModule_WrongArity(ctx);
    }
    for (int i = 1; i < argc; i++) {
        struct place place;
        if (!store_open(ctx, &place, argv[i], true)) {
            continue; /* not ours: it stays */
        }
        bool was = place.present;
        store_drop(ctx, &place);
        count += was && !place.present;
        store_close(&place);
    }
    stats()->reset += (unsigned long long)count;
    return RedisModule_ReplyWithLongLong(ctx, count);
}

static void reply_pair(RedisModuleCtx *ctx, const char *name, int64_t value)
{
    RedisModule_ReplyWithCString(ctx, name);
    RedisModule_ReplyWithLongLong(ctx, value);
}

/* The members of a map that say what a limit is: 3 for a window, 4 for others. */
static void reply_limit(RedisModuleCtx *ctx, const struct limit *limit)
{
    RedisModule_ReplyWithCString(ctx, "algorithm");
    RedisModule_ReplyWithCString(ctx, limit_algorithm_name(limit->algorithm));
    reply_pair(ctx, "capacity", limit->capacity);
    if (limit->algorithm == LIMIT_WINDOW) {
        reply_pair(ctx, "window_ms", limit->num);
    } else {
        reply_pair(ctx, "rate_num", limit->num);
        reply_pair(ctx, "rate_den", limit->den);
    }
}

static long limit_members(const struct limit *limit)
{
    return limit->algorithm == LIMIT_WINDOW ? 3 : 4;
}

int cmd_get(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct place place;
    int64_t now_ms = store_now_ms();
    if (argc != 2) {
        return RedisModule_WrongArity(ctx);
    }
    if (!store_open(ctx, &place, argv[1], false)) {
        return RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    if (!place.present) {
        return RedisModule_ReplyWithNull(ctx);
    }
    struct limit limit = place.limiter.limit;
    struct limit_result now = limiter_take(&place.limiter, 0, now_ms);
    RedisModule_ReplyWithMap(ctx, limit_members(&limit) + 4);
    reply_limit(ctx, &limit);
    reply_pair(ctx, "used", limiter_used(&place.limiter, now_ms));
    reply_pair(ctx, "remaining", now.remaining);
    reply_pair(ctx, "reset_ms", now.reset_ms);
    reply_pair(ctx, "updated_ms", place.limiter.latest_ms);
    store_close(&place);
    return REDISMODULE_OK;
}

/* ---- Policies ------------------------------------------------------------------------------- */

static int policy_set(RedisModuleCtx *ctx, struct words *words)
{
    struct limit limit;
    struct hl_slice name = words_peek(words);
    if (!policy_name_valid(name)) {
        return RedisModule_ReplyWithError(
            ctx, "ERR a policy's name is 1 to 64 letters, digits, '_', '-', '.', ':' and '/', "
                 "begins with a letter or '_' and is no word of the command");
    }
    words->at++;
    const char *error = words_limit(words, &limit);
    if (error != NULL || words->at != words->argc) {
        return RedisModule_ReplyWithError(ctx, error != NULL ? error : ERROR_SYNTAX);
    }
    struct policies *policies = store_policies(ctx, true);
    if (policies == NULL) {
        return RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    if (policies_set(policies, name, &limit) != HL_OK) {
        return RedisModule_ReplyWithError(ctx, "ERR there are 1024 policies already");
    }
    RedisModule_ReplicateVerbatim(ctx);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

static int policy_get(RedisModuleCtx *ctx, struct words *words)
{
    const struct policies *policies = store_policies(ctx, false);
    const struct limit *limit =
        policies == NULL ? NULL : policies_find(policies, words_peek(words));
    if (limit == NULL) {
        return RedisModule_ReplyWithNull(ctx);
    }
    RedisModule_ReplyWithMap(ctx, limit_members(limit));
    reply_limit(ctx, limit);
    return REDISMODULE_OK;
}

static int policy_delete(RedisModuleCtx *ctx, struct words *words)
{
    const struct policies *there = store_policies(ctx, false);
    if (there == NULL || policies_find(there, words_peek(words)) == NULL) {
        return RedisModule_ReplyWithLongLong(ctx, 0);
    }
    struct policies *policies = store_policies(ctx, true);
    HL_ASSERT(policies != NULL);
    bool deleted = policies_delete(policies, words_peek(words));
    store_policies_changed(ctx);
    RedisModule_ReplicateVerbatim(ctx);
    return RedisModule_ReplyWithLongLong(ctx, deleted);
}

static int policy_list(RedisModuleCtx *ctx)
{
    const struct policies *policies = store_policies(ctx, false);
    size_t count = policies == NULL ? 0 : policies->count;
    RedisModule_ReplyWithArray(ctx, (long)count);
    for (size_t i = 0; i < count; i++) {
        RedisModule_ReplyWithMap(ctx, 1 + limit_members(&policies->items[i].limit));
        RedisModule_ReplyWithCString(ctx, "name");
        RedisModule_ReplyWithCString(ctx, policies->items[i].name);
        reply_limit(ctx, &policies->items[i].limit);
    }
    return REDISMODULE_OK;
}

int cmd_policy(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct words words = {argv, argc, 1};
    if (argc < 2) {
        return RedisModule_WrongArity(ctx);
    }
    if (argc > 3 && words_take(&words, "set")) {
        return policy_set(ctx, &words);
    }
    if (argc == 3 && words_take(&words, "get")) {
        return policy_get(ctx, &words);
    }
    if (argc == 3 && words_take(&words, "del")) {
        return policy_delete(ctx, &words);
    }
    if (argc == 2 && words_take(&words, "list")) {
        return policy_list(ctx);
    }
    return RedisModule_ReplyWithError(ctx, "ERR syntax error: RATELIMIT.POLICY SET name limit | "
                                           "GET name | DEL name | LIST");
}

/* ---- Who asks most -------------------------------------------------------------------------- */

int cmd_top(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct words words = {argv, argc, 1};
    int64_t max = TOP_DEFAULT;
    bool reset = false;
    if (words_take(&words, "count") && !words_int(&words, 1, SKETCH_SIZE_MAX, &max)) {
        return RedisModule_ReplyWithError(ctx, ERROR_NUMBER);
    }
    reset = words_take(&words, "reset");
    if (words.at != argc) {
        return RedisModule_ReplyWithError(ctx, ERROR_SYNTAX);
    }
    struct sketch_entry *top = hl_calloc((size_t)max, sizeof *top);
    size_t count = sketch == NULL ? 0 : sketch_top(sketch, top, (size_t)max);
    RedisModule_ReplyWithArray(ctx, (long)count);
    for (size_t i = 0; i < count; i++) {
        RedisModule_ReplyWithMap(ctx, 4);
        RedisModule_ReplyWithCString(ctx, "key");
        RedisModule_ReplyWithStringBuffer(ctx, top[i].name, top[i].len);
        reply_pair(ctx, "count", (int64_t)top[i].count);
        reply_pair(ctx, "error", (int64_t)top[i].error);
        reply_pair(ctx, "refused", (int64_t)top[i].refused);
    }
    hl_free(top);
    if (reset) {
        sketch_destroy(sketch);
        sketch = NULL;
        sketch_size = 0;
    }
    return REDISMODULE_OK;
}

/* ---- CL.THROTTLE ---------------------------------------------------------------------------- */

static int cell_error(RedisModuleCtx *ctx, const char *why, struct hl_slice what)
{
    char text[256];
    snprintf(text, sizeof text, "Cell error: %s%.*s", why, (int)(what.len < 100 ? what.len : 100),
             what.ptr);
    for (char *c = text; *c != '\0'; c++) {
        *c = *c == '\r' || *c == '\n' ? ' ' : *c;
    }
    return RedisModule_ReplyWithError(ctx, text);
}

static int reply_cell(RedisModuleCtx *ctx, RedisModuleString *key, const struct cell_reply *reply)
{
    note(key, reply->limited != 0);
    *(reply->limited != 0 ? &stats()->refused : &stats()->allowed) += 1;
    RedisModule_ReplyWithArray(ctx, 5);
    RedisModule_ReplyWithLongLong(ctx, reply->limited);
    RedisModule_ReplyWithLongLong(ctx, reply->limit);
    RedisModule_ReplyWithLongLong(ctx, reply->remaining);
    RedisModule_ReplyWithLongLong(ctx, reply->retry_s);
    return RedisModule_ReplyWithLongLong(ctx, reply->reset_s);
}

int cmd_throttle(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct words words = {argv, argc, 2};
    int64_t numbers[4] = {0, 0, 0, 1};
    struct limit limit;
    bool none = false;
    if (argc != 5 && argc != 6) {
        return cell_error(ctx, CELL_USAGE, (struct hl_slice){0});
    }
    for (; words.at < argc; words.at++) {
        struct hl_slice word = words_peek(&words);
        if (!cell_parse(word, &numbers[words.at - 2])) {
            return cell_error(ctx, "Couldn't parse as integer: ", word);
        }
    }
    struct cell_request request = {numbers[0], numbers[1], numbers[2], numbers[3]};
    const char *error = cell_limit(&request, &limit, &none);
    if (error != NULL) {
        return cell_error(ctx, error, (struct hl_slice){0});
    }
    if (none) {
        struct cell_reply refused = cell_refuse(&request);
        return reply_cell(ctx, argv[1], &refused);
    }
    struct place place;
    if (!store_open(ctx, &place, argv[1], true)) {
        return RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    int64_t now_ms = store_now_ms();
    if (place.present) {
        limiter_adapt(&place.limiter, &limit, now_ms);
    } else {
        limiter_begin(&place.limiter, &limit, now_ms);
    }
    struct cell_reply reply = cell_take(&place.limiter, &request, now_ms);
    bool written = true;
    if (reply.limited == 0 && request.quantity != 0) {
        struct limit_result after = limiter_take(&place.limiter, 0, now_ms);
        written = store_put(ctx, &place, after.reset_ms);
    }
    store_close(&place);
    return written ? reply_cell(ctx, argv[1], &reply)
                   : RedisModule_ReplyWithError(ctx, ERROR_READ_ONLY);
}
