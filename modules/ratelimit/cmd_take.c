/* TAKE and PEEK: one limit or several, all or nothing.
 *
 *   key [limit] [n | COST n] [AND key [limit] [n | COST n]]... [NOW ms]
 *
 * where limit is `capacity num den`, `TOKEN|GCRA capacity num den`, `WINDOW capacity ms` or the
 * name of a policy.  No policy is called AND: so keys are found without knowing the numbers.
 */
#include "commands.h"

#include "kit/assert.h"
#include "kit/num.h"
#include "settings.h"

#define DEFAULT_POLICY "default"
#define REPLY_LEN 4

/* One limit of a call. */
struct ask {
    struct place place;
    struct limit limit;
    bool as_stored; /* PEEK without a limit: whatever the key has */
    int64_t cost;
    struct limit_result result;
};

struct call {
    struct ask asks[ASKS_MAX];
    size_t count;
    size_t opened;
    int64_t now_ms;
};

/* Tell the server where the keys are. */
static int tell_keys(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct words words = {argv, argc, 1};
    bool next_is_key = true;
    while (words.at < argc) {
        if (next_is_key) {
            RedisModule_KeyAtPos(ctx, words.at);
        }
        words.at += next_is_key;
        next_is_key = words_take(&words, "and");
        words.at += !next_is_key;
    }
    return REDISMODULE_OK;
}

/* The limit of a call that names a policy, or nothing.  NULL, or the error. */
static const char *named_limit(RedisModuleCtx *ctx, struct hl_slice name, struct limit *out)
{
    const struct policies *policies = store_policies(ctx, false);
    const struct limit *found = policies == NULL ? NULL : policies_find(policies, name);
    if (found == NULL && hl_slice_is(name, DEFAULT_POLICY)) {
        *out = settings_default_limit();
        return NULL;
    }
    if (found == NULL) {
        return "NOPOLICY there is no such policy: see RATELIMIT.POLICY LIST";
    }
    *out = *found;
    return NULL;
}

/* Whether the next word ends a limit that was not given. */
static bool limit_is_absent(const struct words *words)
{
    struct hl_slice word = words_peek(words);
    return words->at == words->argc || hl_slice_is(word, "and") || hl_slice_is(word, "now") ||
           hl_slice_is(word, "cost");
}

static const char *parse_limit(RedisModuleCtx *ctx, struct words *words, struct ask *ask, bool peek)
{
    int64_t number = 0;
    enum limit_algorithm algorithm = LIMIT_TOKEN;
    struct hl_slice word = words_peek(words);
    if (limit_is_absent(words)) {
        ask->as_stored = peek;
        return peek ? NULL : named_limit(ctx, hl_slice_of(DEFAULT_POLICY), &ask->limit);
    }
    if (hl_parse_i64(word, &number) || limit_algorithm_parse(word, &algorithm)) {
        return words_limit(words, &ask->limit);
    }
    if (!policy_name_valid(word)) {
        return ERROR_NUMBER;
    }
    words->at++;
    return named_limit(ctx, word, &ask->limit);
}

/* Read one ask.  NULL, or the error. */
static const char *parse_ask(RedisModuleCtx *ctx, struct words *words, struct ask *ask, bool peek)
{
    if (words->at == words->argc) {
        return ERROR_SYNTAX;
    }
    *ask = (struct ask){.cost = 1};
    ask->place.name = words->argv[words->at++];
    const char *error = parse_limit(ctx, words, ask, peek);
    if (error != NULL) {
        return error;
    }
    int64_t number = 0;
    if (words_take(words, "cost") || hl_parse_i64(words_peek(words), &number)) {
        if (!words_int(words, 0, INT64_MAX, &ask->cost)) {
            return ERROR_NUMBER;
        }
    }
    return NULL;
}

static bool same_key(const struct call *call, const struct ask *ask)
{
    struct hl_slice name;
    name.ptr = RedisModule_StringPtrLen(ask->place.name, &name.len);
    for (const struct ask *other = call->asks; other < ask; other++) {
        struct hl_slice text;
        text.ptr = RedisModule_StringPtrLen(other->place.name, &text.len);
        if (hl_slice_equal(name, text)) {
            return true;
        }
    }
    return false;
}

static const char *parse(RedisModuleCtx *ctx, struct words *words, struct call *call, bool peek)
{
    do {
        if (call->count == ASKS_MAX) {
            return "ERR too many limits in one call: at most 16";
        }
        struct ask *ask = &call->asks[call->count];
        const char *error = parse_ask(ctx, words, ask, peek);
        if (error != NULL) {
            return error;
        }
        if (same_key(call, ask)) {
            return "ERR the same key twice in one call";
        }
        call->count++;
    } while (words_take(words, "and"));
    if (words_take(words, "now") && !words_int(words, 0, LIMIT_NOW_MAX_MS, &call->now_ms)) {
        return ERROR_NUMBER;
    }
    return words->at == words->argc ? NULL : ERROR_SYNTAX;
}

static void close_all(struct call *call)
{
    for (size_t i = 0; i < call->opened; i++) {
        store_close(&call->asks[i].place);
    }
}

/* Open all keys, and decide about each as if it were alone.  False when a key is of another type;
 * *all is whether each is allowed. */
static bool decide(RedisModuleCtx *ctx, struct call *call, bool write, bool *all)
{
    *all = true;
    for (size_t i = 0; i < call->count; i++) {
        struct ask *ask = &call->asks[i];
        if (!store_open(ctx, &ask->place, ask->place.name, write)) {
            return false;
        }
        call->opened++;
        struct limiter *limiter = &ask->place.limiter;
        if (ask->as_stored && !ask->place.present) {
            const char *error = named_limit(ctx, hl_slice_of(DEFAULT_POLICY), &ask->limit);
            HL_ASSERT(error == NULL);
        } else if (ask->as_stored) {
            ask->limit = limiter->limit;
        }
        if (ask->place.present) {
            limiter_adapt(limiter, &ask->limit, call->now_ms);
        } else {
            limiter_begin(limiter, &ask->limit, call->now_ms);
        }
        struct limiter after = *limiter;
        ask->result = limiter_take(&after, ask->cost, call->now_ms);
        *all = *all && ask->result.allowed;
    }
    return true;
}

/* All are allowed: write them, or some are not: say what would be there without them. */
static bool settle(RedisModuleCtx *ctx, struct call *call, bool all, bool peek)
{
    for (size_t i = 0; i < call->count; i++) {
        struct ask *ask = &call->asks[i];
        if (all && !peek) {
            (void)limiter_take(&ask->place.limiter, ask->cost, call->now_ms);
            if (ask->cost != 0 && !store_put(ctx, &ask->place, ask->result.reset_ms)) {
                return false;
            }
        } else if (ask->result.allowed) {
            struct limit_result now = limiter_take(&ask->place.limiter, 0, call->now_ms);
            ask->result.remaining = now.remaining;
            ask->result.reset_ms = now.reset_ms;
        }
    }
    return true;
}

static void reply_result(RedisModuleCtx *ctx, const struct limit_result *result)
{
    RedisModule_ReplyWithLongLong(ctx, result->allowed);
    RedisModule_ReplyWithLongLong(ctx, result->remaining);
    RedisModule_ReplyWithLongLong(ctx, result->retry_ms);
    RedisModule_ReplyWithLongLong(ctx, result->reset_ms);
}

/* What a caller of several limits has to know: the least that remains, the longest to wait. */
static struct limit_result sum_up(const struct call *call, bool all)
{
    struct limit_result sum = call->asks[0].result;
    sum.allowed = all;
    for (size_t i = 1; i < call->count; i++) {
        const struct limit_result *r = &call->asks[i].result;
        sum.remaining = r->remaining < sum.remaining ? r->remaining : sum.remaining;
        sum.reset_ms = r->reset_ms > sum.reset_ms ? r->reset_ms : sum.reset_ms;
        bool never = sum.retry_ms == LIMIT_NEVER || r->retry_ms == LIMIT_NEVER;
        int64_t longer = r->retry_ms > sum.retry_ms ? r->retry_ms : sum.retry_ms;
        sum.retry_ms = never ? LIMIT_NEVER : longer;
    }
    return sum;
}

static int reply(RedisModuleCtx *ctx, const struct call *call, bool all)
{
    struct limit_result sum = sum_up(call, all);
    RedisModule_ReplyWithArray(ctx, REPLY_LEN + (call->count > 1));
    reply_result(ctx, &sum);
    if (call->count > 1) {
        RedisModule_ReplyWithArray(ctx, (long)call->count);
        for (size_t i = 0; i < call->count; i++) {
            RedisModule_ReplyWithArray(ctx, REPLY_LEN);
            reply_result(ctx, &call->asks[i].result);
        }
    }
    return REDISMODULE_OK;
}

static int run(RedisModuleCtx *ctx, struct call *call, bool peek)
{
    bool all = false;
    if (!decide(ctx, call, !peek, &all)) {
        close_all(call);
        return RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    bool written = settle(ctx, call, all, peek);
    close_all(call);
    if (!written) {
        return RedisModule_ReplyWithError(ctx, ERROR_READ_ONLY);
    }
    for (size_t i = 0; i < call->count && !peek; i++) {
        note(call->asks[i].place.name, !call->asks[i].result.allowed);
    }
    unsigned long long *counter = all ? &stats()->allowed : &stats()->refused;
    *(peek ? &stats()->looked : counter) += 1;
    return reply(ctx, call, all);
}

static int take_or_peek(RedisModuleCtx *ctx, RedisModuleString **argv, int argc, bool peek)
{
    if (RedisModule_IsKeysPositionRequest(ctx)) {
        return tell_keys(ctx, argv, argc);
    }
    if (argc < 2) {
        return RedisModule_WrongArity(ctx);
    }
    struct words words = {argv, argc, 1};
    struct call call; /* large: only what is used is set */
    call.count = 0;
    call.opened = 0;
    call.now_ms = store_now_ms();
    const char *error = parse(ctx, &words, &call, peek);
    return error != NULL ? RedisModule_ReplyWithError(ctx, error) : run(ctx, &call, peek);
}

int cmd_take(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    return take_or_peek(ctx, argv, argc, false);
}

int cmd_peek(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    return take_or_peek(ctx, argv, argc, true);
}

int cmd_rate_take(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    static const int old_form = 7; /* client capacity num den now_ms n */
    if (RedisModule_IsKeysPositionRequest(ctx)) {
        return tell_keys(ctx, argv, argc);
    }
    struct call call;
    struct ask *ask = &call.asks[0];
    struct words words = {argv, argc, 2};
    call.count = 1;
    call.opened = 0;
    *ask = (struct ask){.cost = 1};
    if (argc != old_form || words_limit(&words, &ask->limit) != NULL ||
        !words_int(&words, 0, LIMIT_NOW_MAX_MS, &call.now_ms) ||
        !words_int(&words, 0, INT64_MAX, &ask->cost)) {
        return take_or_peek(ctx, argv, argc, false);
    }
    ask->place.name = argv[1];
    return run(ctx, &call, false);
}
