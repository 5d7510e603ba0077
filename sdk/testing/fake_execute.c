/* HeliosModule_Execute: calls wait in a queue, as they do for the server's loop, until the test
 * lets them run.  The queue has a mutex, because modules call from threads of their own. */
#include "helios/execute.h"
#include "testing/fake_internal.h"

#include <errno.h>
#include <pthread.h>

struct fake_call {
    struct fake_call *next;
    uint64_t id;
    HeliosModuleExecutor *executor;
    bool cancelled;
    struct hl_buf title;      /* who, and what: the line of fake_executed() */
    RedisModuleString **argv; /* of all commands, one after the other */
    int *argc;
    size_t count;
    HeliosModuleExecuteFunc done;
    void *data;
};

struct HeliosModuleExecutor {
    struct fake *fake;
    size_t calls_max;
    HeliosModuleExecuteStats stats;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static HeliosModuleExecutor *fake_ExecutorOpen(RedisModuleCtx *ctx,
                                               const HeliosModuleExecuteLimits *limits)
{
    size_t calls_max = limits == NULL ? 0 : limits->calls;
    if (calls_max > HELIOSMODULE_EXECUTE_CALLS_MAX) {
        errno = EINVAL;
        return NULL;
    }
    HeliosModuleExecutor *executor = hl_calloc(1, sizeof *executor);
    executor->fake = ctx->fake;
    executor->calls_max = calls_max == 0 ? HELIOSMODULE_EXECUTE_CALLS : calls_max;
    executor->stats.version = HELIOSMODULE_EXECUTE_VERSION;
    return executor;
}

static void print_title(struct hl_buf *out, const HeliosModuleExecuteRequest *request)
{
    if (request->user.ptr == NULL) {
        hl_buf_append_text(out, "(module)");
    } else {
        hl_buf_append(out, request->user.ptr, request->user.len);
    }
    for (size_t i = 0; i < request->count; i++) {
        hl_buf_append_text(out, i == 0 ? ":" : " ;");
        for (size_t j = 0; j < request->commands[i].argc; j++) {
            HeliosModuleText word = request->commands[i].argv[j];
            hl_buf_append_text(out, " ");
            hl_buf_append(out, word.ptr, word.len);
        }
    }
    hl_buf_append_text(out, "\n");
}

/* A copy of the request. */
static struct fake_call *call_of(HeliosModuleExecutor *executor,
                                 const HeliosModuleExecuteRequest *request)
{
    struct fake_call *call = hl_calloc(1, sizeof *call);
    *call = (struct fake_call){.executor = executor,
                               .count = request->count,
                               .done = request->done,
                               .data = request->data};
    print_title(&call->title, request);
    size_t words = 0;
    for (size_t i = 0; i < request->count; i++) {
        words += request->commands[i].argc;
    }
    call->argc = hl_calloc(request->count, sizeof *call->argc);
    call->argv = hl_calloc(words, sizeof(RedisModuleString *));
    words = 0;
    for (size_t i = 0; i < request->count; i++) {
        call->argc[i] = (int)request->commands[i].argc;
        for (size_t j = 0; j < request->commands[i].argc; j++) {
            HeliosModuleText word = request->commands[i].argv[j];
            call->argv[words++] = fake_string_new(executor->fake, word.ptr, word.len);
        }
    }
    return call;
}

static void call_free(struct fake_call *call)
{
    size_t words = 0;
    for (size_t i = 0; i < call->count; i++) {
        words += (size_t)call->argc[i];
    }
    for (size_t i = 0; i < words; i++) {
        fake_string_unref(call->argv[i]);
    }
    hl_buf_fini(&call->title);
    hl_free(call->argv);
    hl_free(call->argc);
    hl_free(call);
}

static uint64_t fake_Execute(HeliosModuleExecutor *executor,
                             const HeliosModuleExecuteRequest *request)
{
    HL_ASSERT(request->version == HELIOSMODULE_EXECUTE_VERSION); /* F4 */
    HL_ASSERT(request->done != NULL);
    HL_ASSERT(request->count >= 1);
    HL_ASSERT(request->count == 1 || request->once.len == 0);
    pthread_mutex_lock(&mutex);
    if (executor->stats.under_way == executor->calls_max) {
        executor->stats.refused++;
        pthread_mutex_unlock(&mutex);
        errno = EAGAIN;
        return 0;
    }
    struct fake_call *call = call_of(executor, request);
    struct fake_call **end = &executor->fake->calls;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = call;
    executor->stats.under_way++;
    uint64_t id = call->id = ++executor->fake->next_call;
    pthread_mutex_unlock(&mutex);
    return id;
}

static void fake_ExecuteCancel(HeliosModuleExecutor *executor, uint64_t id)
{
    pthread_mutex_lock(&mutex);
    for (struct fake_call *call = executor->fake->calls; call != NULL; call = call->next) {
        call->cancelled = call->cancelled || call->id == id;
    }
    pthread_mutex_unlock(&mutex);
}

static int fake_ExecutorStats(HeliosModuleExecutor *executor, HeliosModuleExecuteStats *stats)
{
    pthread_mutex_lock(&mutex);
    *stats = executor->stats;
    pthread_mutex_unlock(&mutex);
    return REDISMODULE_OK;
}

/* Take the oldest call, of one executor or (NULL) of any. */
static struct fake_call *take(struct fake *fake, const HeliosModuleExecutor *executor)
{
    pthread_mutex_lock(&mutex);
    struct fake_call **at = &fake->calls;
    while (*at != NULL && executor != NULL && (*at)->executor != executor) {
        at = &(*at)->next;
    }
    struct fake_call *call = *at;
    if (call != NULL) {
        *at = call->next;
        call->executor->stats.under_way--;
    }
    pthread_mutex_unlock(&mutex);
    return call;
}

static void answer(struct fake_call *call, int outcome, RedisModuleCallReply *reply)
{
    HeliosModuleExecutor *executor = call->executor;
    pthread_mutex_lock(&mutex);
    uint64_t *counts[] = {&executor->stats.answered, &executor->stats.not_executed,
                          &executor->stats.unknown};
    ++*counts[outcome];
    pthread_mutex_unlock(&mutex);
    fake_ctx_add(NULL, FAKE_REPLY, reply);
    HeliosModuleExecuteResult result = {.outcome = outcome, .reply = reply};
    HeliosModuleExecuteFunc done = call->done;
    void *data = call->data;
    call_free(call);
    done(data, &result);
}

/* Run its commands; several answer an array. */
static RedisModuleCallReply *run(struct fake *fake, const struct fake_call *call)
{
    RedisModuleCallReply *all = hl_calloc(1, sizeof *all);
    all->type = REDISMODULE_REPLY_ARRAY;
    all->items = hl_calloc(call->count, sizeof(RedisModuleCallReply *));
    RedisModuleString **argv = call->argv;
    for (size_t i = 0; i < call->count; i++) {
        RedisModuleCallReply *reply = fake_call(fake, argv, call->argc[i]);
        argv += call->argc[i];
        all->items[all->count++] = reply != NULL ? reply : fake_error_reply("ERR unknown command");
    }
    if (call->count > 1) {
        for (size_t i = 0; i < all->count; i++) {
            all->items[i]->nested = true;
        }
        return all;
    }
    RedisModuleCallReply *only = all->items[0];
    hl_free(all->items);
    hl_free(all);
    return only;
}

void fake_execute_next(struct fake *fake, int outcome, const char *error)
{
    fake->next_outcome = outcome;
    fake->next_error = error;
}

const char *fake_executed(struct fake *fake)
{
    hl_buf_clear(&fake->executed);
    for (struct fake_call *call = take(fake, NULL); call != NULL; call = take(fake, NULL)) {
        if (call->cancelled) {
            answer(call, HELIOSMODULE_EXECUTE_NOT_EXECUTED,
                   fake_error_reply("NOTEXECUTED the call was cancelled"));
            continue;
        }
        hl_buf_append_slice(&fake->executed, hl_buf_view(&call->title));
        const char *error = fake->next_error;
        fake->next_error = NULL;
        if (error != NULL) {
            answer(call, fake->next_outcome, fake_error_reply(error));
        } else {
            answer(call, HELIOSMODULE_EXECUTE_ANSWERED, run(fake, call));
        }
    }
    hl_buf_append_u8(&fake->executed, 0);
    fake->executed.len--;
    return fake->executed.ptr;
}

static void fake_ExecutorClose(HeliosModuleExecutor *executor)
{
    if (executor == NULL) {
        return;
    }
    for (struct fake_call *call = take(executor->fake, executor); call != NULL;
         call = take(executor->fake, executor)) {
        answer(call, HELIOSMODULE_EXECUTE_NOT_EXECUTED,
               fake_error_reply("NOTEXECUTED the module or the server ends"));
    }
    hl_free(executor);
}

void *fake_lookup_execute(const char *name)
{
    static const struct fake_row rows[] = {
        FAKE_ROW(ExecutorOpen),  FAKE_ROW(ExecutorClose), FAKE_ROW(Execute),
        FAKE_ROW(ExecuteCancel), FAKE_ROW(ExecutorStats),
    };
    return fake_find(rows, HL_ARRAY_LEN(rows), name);
}
