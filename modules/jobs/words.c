/* What the commands share: reading arguments, and answers in the same words. */
#include "command.h"

#include "kit/assert.h"
#include "kit/num.h"
#include "settings.h"

bool words_take(struct words *words, const char *word)
{
    if (words->at >= words->argc || !hl_slice_is(world_slice(words->argv[words->at]), word)) {
        return false;
    }
    words->at++;
    return true;
}

bool words_int(struct words *words, int64_t min, int64_t max, int64_t *out)
{
    long long v = 0;
    if (words->at >= words->argc ||
        RedisModule_StringToLongLong(words->argv[words->at], &v) != REDISMODULE_OK || v < min ||
        v > max) {
        return false;
    }
    words->at++;
    *out = v;
    return true;
}

RedisModuleString *words_next(struct words *words)
{
    return words->at < words->argc ? words->argv[words->at++] : NULL;
}

unsigned command_state(const RedisModuleString *name)
{
    static const struct {
        const char *name;
        unsigned states;
    } others[] = {{"pending", JOBS_WAITING},
                  {"in_progress", JOBS_IN(JOBS_LEASED)},
                  {"dlq", JOBS_IN(JOBS_DEAD)}};
    struct hl_slice text = world_slice(name);
    for (size_t i = 0; i < HL_ARRAY_LEN(others); i++) {
        if (hl_slice_is(text, others[i].name)) {
            return others[i].states;
        }
    }
    for (unsigned s = 0; s < JOBS_STATES; s++) {
        if (hl_slice_is(text, jobs_state_name((enum jobs_state)s))) {
            return JOBS_IN(s);
        }
    }
    return 0;
}

void command_reply_id(RedisModuleCtx *ctx, struct hl_slice name, const struct jobs_queue *queue,
                      uint64_t seq)
{
    struct hl_buf text = {0};
    struct jobs_id id = {.queue = name, .seq = seq, .epoch = queue->epoch};
    jobs_id_format(&text, id);
    RedisModule_ReplyWithStringBuffer(ctx, text.ptr, text.len);
    hl_buf_fini(&text);
}

struct hl_slice command_token(const RedisModuleString *text, unsigned char *token)
{
    bool ok = jobs_token_parse(world_slice(text), token);
    return (struct hl_slice){.ptr = (const char *)token, .len = ok ? JOBS_TOKEN_LEN : 0};
}

int command_reply_verdict(RedisModuleCtx *ctx, enum jobs_verdict verdict)
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
    case JOBS_IS_DRAINING:
        return RedisModule_ReplyWithError(ctx, "DRAINING The queue takes no new jobs");
    case JOBS_KEY_TAKEN:
        return RedisModule_ReplyWithError(ctx, "CONFLICT Another job holds the unique key");
    case JOBS_WRONG_STATE:
        return RedisModule_ReplyWithLongLong(ctx, 0);
    case JOBS_OK:
        break;
    }
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

const char *command_check_size(const RedisModuleString *text)
{
    if (text != NULL && world_slice(text).len > (size_t)jobs_settings.max_payload) {
        return "ERR The payload is larger than jobs.max-payload";
    }
    return NULL;
}

void command_reply_cursor(RedisModuleCtx *ctx, uint64_t cursor)
{
    char text[HL_I64_TEXT_MAX];
    int len = hl_format_i64(text, (int64_t)cursor);
    RedisModule_ReplyWithStringBuffer(ctx, text, (size_t)len);
}
