/* Commands for whichever node leads. */
#include "leader.h"

#include "helios/extensions.h"
#include "kit/assert.h"

#include <string.h>

static HeliosModuleExecutor *executor;

static void forget_reply(void *data, const HeliosModuleExecuteResult *result)
{
    (void)data;
    RedisModule_FreeCallReply(result->reply);
}

static void execute(const char *const *words, size_t count)
{
    HeliosModuleText texts[LEADER_WORDS_MAX];
    for (size_t i = 0; i < count; i++) {
        texts[i] = (HeliosModuleText){words[i], strlen(words[i])};
    }
    HeliosModuleExecuteCommand command = {count, texts};
    HeliosModuleExecuteRequest request = {.version = HELIOSMODULE_EXECUTE_VERSION,
                                          .commands = &command,
                                          .count = 1,
                                          .client = HELIOSMODULE_TEXT("auth"),
                                          .done = forget_reply};
    (void)HeliosModule_Execute(executor, &request); /* 0: busy */
}

/* The same where there is no executor. */
static void call(RedisModuleCtx *ctx, const char *const *words, size_t count)
{
    RedisModuleString *rest[LEADER_WORDS_MAX];
    for (size_t i = 1; i < count; i++) {
        rest[i - 1] = RedisModule_CreateString(ctx, words[i], strlen(words[i]));
    }
    RedisModuleCallReply *reply = RedisModule_Call(ctx, words[0], "!v", rest, count - 1);
    if (reply != NULL) {
        RedisModule_FreeCallReply(reply);
    }
    for (size_t i = 1; i < count; i++) {
        RedisModule_FreeString(ctx, rest[i - 1]);
    }
}

void leader_run(RedisModuleCtx *ctx, const char *const *words, size_t count)
{
    HL_ASSERT(count >= 1 && count <= LEADER_WORDS_MAX);
    if (executor != NULL) {
        execute(words, count);
    } else if ((RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_MASTER) != 0) {
        call(ctx, words, count);
    }
}

void leader_load(RedisModuleCtx *ctx)
{
    executor = HeliosModule_ExecutorOpen == NULL ? NULL : HeliosModule_ExecutorOpen(ctx, NULL);
}

void leader_unload(void)
{
    if (executor != NULL) {
        HeliosModule_ExecutorClose(executor);
    }
    executor = NULL;
}
