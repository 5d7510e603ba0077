/* Reading arguments. */
#include "command.h"

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
    struct hl_slice text = world_slice(name);
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
