/* Executors: commands that modules run for clients of their own (HeliosModule_Execute).
 *
 * A thread of a module puts a call into its executor's queue and wakes the loop.  The loop makes an
 * errand of it (node/errand.h), and when that has ended calls back.
 *
 * Invariants:
 *   Y1  a call is in its executor's slots from the moment it is taken until its callback is about
 *       to run: the slots bound what is under way, and find the call to cancel.
 *   Y2  slots, queue and counters of an executor change under its mutex only; all else of a call is
 *       the loop's once it has left the queue.
 *   Y3  no lock is held while module code runs.
 *   Y4  a call whose errand runs is not ended from within: a command of it may close the executor,
 *       which then ends behind it, and may not unload the module.
 */
#include "abi/unit.h"
#include "node/errand.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#define TAKEN_PER_ROUND 1000 /* calls begun before clients have their turn */
#define SLOT_BITS 16
#define CLOSED "the module or the server ends"
#define CANCELLED INT64_MIN /* the time-out of a call that is to end before all others */

HL_STATIC(HELIOSMODULE_EXECUTE_CALLS_MAX == 1 << SLOT_BITS);
HL_STATIC(HELIOSMODULE_EXECUTE_COMMANDS_MAX == HL_ERRAND_COMMANDS_MAX);
HL_STATIC(HELIOSMODULE_READ_LINEARIZABLE == (int)HL_READ_LINEARIZABLE + 1);
HL_STATIC(HELIOSMODULE_READ_SESSION == (int)HL_READ_SESSION + 1);
HL_STATIC(HELIOSMODULE_READ_BOUNDED == (int)HL_READ_BOUNDED + 1);
HL_STATIC(HELIOSMODULE_READ_STALE == (int)HL_READ_STALE + 1);

/* A request under way, in one block with the bytes that `order` points to. */
struct call {
    struct hl_list_node node;   /* in executor->queue, then abi->executions_ready */
    struct hl_list_node all;    /* in executor->calls, once it has left the queue */
    struct hl_list_node cancel; /* in executor->cancelled; under its mutex */
    struct hl_heap_node wait;   /* in abi->execution_waits, once it has left the queue */
    struct HeliosModuleExecutor *executor;
    uint64_t id; /* number and slot */
    size_t size; /* bytes of arguments */
    bool begun;
    bool stepping; /* its errand runs at this moment: Y4 */
    HeliosModuleExecuteFunc done;
    void *data;
    struct hl_errand errand;
    struct hl_errand_order order;
};

struct HeliosModuleExecutor {
    struct hl_list_node node; /* in abi->executors */
    struct hl_abi *abi;
    struct hl_module *module;
    HeliosModuleExecuteLimits limits;
    struct hl_list_node calls; /* struct call, those that left the queue */
    bool ends;                 /* with the call that is stepping */

    pthread_mutex_t mutex; /* Y2: all below */
    struct hl_list_node queue, cancelled;
    struct call **slots;
    uint32_t *free_slots; /* a stack of limits.calls */
    size_t free_count;
    size_t size; /* of the arguments of all calls under way */
    uint64_t serial;
    bool closed;
    HeliosModuleExecuteStats stats;
};

/* --- opening ---------------------------------------------------------------------------------- */

HeliosModuleExecutor *hl_hm_ExecutorOpen(RedisModuleCtx *ctx,
                                         const HeliosModuleExecuteLimits *limits)
{
    HeliosModuleExecuteLimits given = {.version = HELIOSMODULE_EXECUTE_VERSION};
    given = limits == NULL ? given : *limits;
    given.calls = given.calls == 0 ? HELIOSMODULE_EXECUTE_CALLS : given.calls;
    given.bytes = given.bytes == 0 ? HELIOSMODULE_EXECUTE_BYTES : given.bytes;
    given.reply = given.reply == 0 ? HELIOSMODULE_EXECUTE_REPLY : given.reply;
    struct hl_module *module = ctx->module != NULL ? ctx->module : ctx->loading;
    if (given.version != HELIOSMODULE_EXECUTE_VERSION || module == NULL ||
        given.calls > HELIOSMODULE_EXECUTE_CALLS_MAX || given.bytes > HL_ABI_STRING_MAX ||
        given.reply > HL_ABI_STRING_MAX) {
        errno = EINVAL;
        return NULL;
    }
    HeliosModuleExecutor *executor = hl_calloc(1, sizeof *executor);
    executor->abi = ctx->abi;
    executor->module = module;
    executor->limits = given;
    executor->slots = hl_calloc(given.calls, sizeof(struct call *));
    executor->free_slots = hl_calloc(given.calls, sizeof *executor->free_slots);
    for (size_t i = 0; i < given.calls; i++) {
        executor->free_slots[i] = (uint32_t)(given.calls - 1 - i);
    }
    executor->free_count = given.calls;
    hl_list_init(&executor->calls);
    hl_list_init(&executor->queue);
    hl_list_init(&executor->cancelled);
    pthread_mutex_init(&executor->mutex, NULL);
    hl_list_append(&ctx->abi->executors, &executor->node);
    return executor;
}

/* --- any thread ------------------------------------------------------------------------------- */

static bool in_range(const HeliosModuleExecuteRequest *request)
{
    return request->version == HELIOSMODULE_EXECUTE_VERSION && request->done != NULL &&
           request->commands != NULL && request->count >= 1 &&
           request->count <= HELIOSMODULE_EXECUTE_COMMANDS_MAX && request->database >= 0 &&
           (request->proto == 0 || request->proto == 2 || request->proto == 3) &&
           request->read >= HELIOSMODULE_READ_DEFAULT && request->read <= HELIOSMODULE_READ_STALE &&
           request->read_value <= INT64_MAX / 1000 &&
           request->timeout_ms <= HELIOSMODULE_EXECUTE_TIMEOUT_MS_MAX;
}

static bool once_in_range(const HeliosModuleExecuteRequest *request)
{
    return request->once.len == 0 || (request->once.len <= HL_ONCE_ID_MAX && request->count == 1 &&
                                      request->once_seq >= 1 && request->once_seq <= INT64_MAX);
}

/* Bytes and number of all arguments; false when a command is out of range. */
static bool measure(const HeliosModuleExecuteRequest *request, size_t *size, size_t *args)
{
    *size = request->user.len + request->client.len + request->once.len;
    *args = 0;
    if (!in_range(request) || !once_in_range(request) || *size > HL_ABI_STRING_MAX) {
        return false;
    }
    for (size_t i = 0; i < request->count; i++) {
        const HeliosModuleExecuteCommand *command = &request->commands[i];
        if (command->argc < 1 || command->argc > HL_ABI_ARGS_MAX || command->argv[0].len == 0) {
            return false;
        }
        *args += command->argc;
        for (size_t j = 0; j < command->argc; j++) {
            if (command->argv[j].len > HL_ABI_STRING_MAX) {
                return false;
            }
            *size += command->argv[j].len;
        }
    }
    *size += *args * sizeof(struct hl_slice);
    return true;
}

static struct hl_slice copy_text(char **at, HeliosModuleText text)
{
    struct hl_slice copy = {.ptr = *at, .len = text.len};
    if (text.len != 0) {
        memcpy(*at, text.ptr, text.len);
        *at += text.len;
    }
    return copy;
}

/* A call with all of the request copied: itself, commands, arguments, bytes. */
static struct call *call_create(HeliosModuleExecutor *executor,
                                const HeliosModuleExecuteRequest *request, size_t size)
{
    size_t commands_size = request->count * sizeof(struct hl_errand_command);
    struct call *call = hl_malloc(sizeof *call + commands_size + size);
    struct hl_errand_command *commands = (struct hl_errand_command *)(void *)(call + 1);
    struct hl_slice *slices = (struct hl_slice *)(void *)(commands + request->count);
    size_t args = 0;
    for (size_t i = 0; i < request->count; i++) {
        args += request->commands[i].argc;
    }
    char *at = (char *)(slices + args);
    *call = (struct call){
        .executor = executor, .size = size, .done = request->done, .data = request->data};
    for (size_t i = 0; i < request->count; i++) {
        const HeliosModuleExecuteCommand *command = &request->commands[i];
        commands[i] = (struct hl_errand_command){.argc = (int)command->argc, .argv = slices};
        for (size_t j = 0; j < command->argc; j++) {
            *slices++ = copy_text(&at, command->argv[j]);
        }
    }
    uint64_t unit = request->read == HELIOSMODULE_READ_BOUNDED ? 1000 : 1;
    call->order = (struct hl_errand_order){
        .commands = commands,
        .count = (int)request->count,
        .trusted = request->user.ptr == NULL,
        .user = copy_text(&at, request->user),
        .client = copy_text(&at, request->client),
        .once = copy_text(&at, request->once),
        .once_seq = request->once_seq,
        .db = request->database,
        .proto = request->proto == 0 ? 3 : request->proto,
        .own_consistency = request->read != HELIOSMODULE_READ_DEFAULT,
        .consistency = request->read == HELIOSMODULE_READ_DEFAULT ? 0 : request->read - 1,
        .read_value = request->read_value * unit,
        .reply_size_max = executor->limits.reply,
    };
    return call;
}

uint64_t hl_hm_Execute(HeliosModuleExecutor *executor, const HeliosModuleExecuteRequest *request)
{
    const struct hl_abi_services *services = executor->abi->services;
    size_t size = 0;
    size_t args = 0;
    if (!measure(request, &size, &args)) {
        errno = EINVAL;
        return 0;
    }
    struct call *call = call_create(executor, request, size);
    uint64_t timeout_ms =
        request->timeout_ms == 0 ? HELIOSMODULE_EXECUTE_TIMEOUT_MS : request->timeout_ms;
    call->wait.due = services->monotonic_us(services->ctx) + (int64_t)timeout_ms * 1000;
    pthread_mutex_lock(&executor->mutex);
    if (executor->closed || executor->free_count == 0 ||
        size > executor->limits.bytes - executor->size) {
        errno = executor->closed ? EPIPE : EAGAIN;
        executor->stats.refused++;
        pthread_mutex_unlock(&executor->mutex);
        hl_free(call);
        return 0;
    }
    uint32_t slot = executor->free_slots[--executor->free_count];
    uint64_t id = ++executor->serial << SLOT_BITS | slot;
    call->id = id;
    executor->slots[slot] = call;
    executor->size += size;
    hl_list_append(&executor->queue, &call->node);
    /* Inside: once the call is in the queue the loop may end everything, and this thread must be
     * through. */
    services->wake(services->ctx);
    pthread_mutex_unlock(&executor->mutex);
    return id;
}

void hl_hm_ExecuteCancel(HeliosModuleExecutor *executor, uint64_t id)
{
    uint32_t slot = (uint32_t)(id & (HELIOSMODULE_EXECUTE_CALLS_MAX - 1));
    pthread_mutex_lock(&executor->mutex);
    struct call *call = slot < executor->limits.calls ? executor->slots[slot] : NULL;
    if (call != NULL && call->id == id && !hl_list_linked(&call->cancel)) {
        hl_list_append(&executor->cancelled, &call->cancel);
        executor->abi->services->wake(executor->abi->services->ctx);
    }
    pthread_mutex_unlock(&executor->mutex);
}

int hl_hm_ExecutorStats(HeliosModuleExecutor *executor, HeliosModuleExecuteStats *stats)
{
    if (stats->version != HELIOSMODULE_EXECUTE_VERSION) {
        return REDISMODULE_ERR;
    }
    pthread_mutex_lock(&executor->mutex);
    *stats = executor->stats;
    stats->version = HELIOSMODULE_EXECUTE_VERSION;
    stats->under_way = executor->limits.calls - executor->free_count;
    pthread_mutex_unlock(&executor->mutex);
    return REDISMODULE_OK;
}

/* --- the end of a call ------------------------------------------------------------------------ */

/* The call is under way no more: nobody finds it from now on (Y1). */
static void leave(struct call *call)
{
    HeliosModuleExecutor *executor = call->executor;
    uint32_t slot = (uint32_t)(call->id & (HELIOSMODULE_EXECUTE_CALLS_MAX - 1));
    hl_heap_remove(&executor->abi->execution_waits, &call->wait);
    pthread_mutex_lock(&executor->mutex);
    HL_ASSERT(executor->slots[slot] == call);
    executor->slots[slot] = NULL;
    executor->free_slots[executor->free_count++] = slot;
    executor->size -= call->size;
    hl_list_remove(&call->node);
    hl_list_remove(&call->all);
    hl_list_remove(&call->cancel);
    switch (call->errand.outcome) {
    case HL_ERRAND_ANSWERED:
        executor->stats.answered++;
        break;
    case HL_ERRAND_NOT_EXECUTED:
        executor->stats.not_executed++;
        break;
    case HL_ERRAND_UNKNOWN:
        executor->stats.unknown++;
        break;
    }
    pthread_mutex_unlock(&executor->mutex);
}

static int public_outcome(enum hl_errand_outcome outcome)
{
    switch (outcome) {
    case HL_ERRAND_ANSWERED:
        return HELIOSMODULE_EXECUTE_ANSWERED;
    case HL_ERRAND_NOT_EXECUTED:
        return HELIOSMODULE_EXECUTE_NOT_EXECUTED;
    case HL_ERRAND_UNKNOWN:
        return HELIOSMODULE_EXECUTE_UNKNOWN;
    }
    return HELIOSMODULE_EXECUTE_UNKNOWN;
}

/* The errand has ended: tell the module.  Its executor may be gone afterwards. */
static void answer(struct call *call)
{
    struct hl_abi *abi = call->executor->abi;
    struct hl_module *module = call->executor->module;
    leave(call);
    HeliosModuleExecuteResult result = {
        .outcome = public_outcome(call->errand.outcome),
        .reply = hl_callreply_new(NULL, &call->errand.reply, call->order.proto),
        .token = call->errand.token,
    };
    HL_ASSERT(result.reply != NULL); /* we wrote it */
    HeliosModuleExecuteFunc done = call->done;
    void *data = call->data;
    hl_free(call);
    RedisModuleCtx ctx;
    hl_ctx_init(&ctx, abi, module);
    hl_frame_begin(&ctx);
    done(data, &result);
    hl_ctx_fini(&ctx);
    (void)hl_frame_end(&ctx);
}

/* End a call that has not ended, and tell nobody yet. */
static void give_up(struct call *call, const char *why)
{
    struct hl_node *node = call->executor->abi->node;
    if (call->begun) {
        hl_errand_give_up(node, &call->errand, why);
        return;
    }
    struct hl_writer out = {.out = &call->errand.reply, .proto = call->order.proto};
    hl_write_error_printf(&out, "NOTEXECUTED %s; nothing was changed", why);
    call->errand.outcome = HL_ERRAND_NOT_EXECUTED;
    call->errand.token = node->commit;
}

/* --- the loop --------------------------------------------------------------------------------- */

static void on_told(struct hl_errand *errand)
{
    struct call *call = HL_LIST_ENTRY(errand, struct call, errand);
    if (!hl_list_linked(&call->node)) {
        hl_list_append(&call->executor->abi->executions_ready, &call->node);
    }
}

/* Out of its queue, into the loop's hands. */
static void take(struct call *call)
{
    struct hl_abi *abi = call->executor->abi;
    hl_list_remove(&call->node);
    hl_list_append(&call->executor->calls, &call->all);
    hl_list_append(&abi->executions_ready, &call->node);
    hl_heap_add(&abi->execution_waits, &call->wait);
}

/* Take what waits, and mark what is cancelled; false when something was left for the next round. */
static bool take_calls(struct hl_abi *abi)
{
    int room = TAKEN_PER_ROUND;
    bool all = true;
    HL_LIST_EACH(it, &abi->executors)
    {
        HeliosModuleExecutor *executor = HL_LIST_ENTRY(it, HeliosModuleExecutor, node);
        pthread_mutex_lock(&executor->mutex);
        while (room > 0 && !hl_list_empty(&executor->queue)) {
            take(HL_LIST_ENTRY(executor->queue.next, struct call, node));
            room--;
        }
        all = all && hl_list_empty(&executor->queue);
        HL_LIST_EACH(c, &executor->cancelled)
        {
            struct call *call = HL_LIST_ENTRY(c, struct call, cancel);
            if (!hl_list_linked(&call->all)) {
                take(call); /* before its turn, to end */
            }
            hl_list_remove(&call->cancel);
            hl_heap_move(&abi->execution_waits, &call->wait, CANCELLED);
        }
        pthread_mutex_unlock(&executor->mutex);
    }
    return all;
}

/* Time-outs, and cancelled calls before all others. */
static void end_due(struct hl_abi *abi)
{
    int64_t now_us = abi->services->monotonic_us(abi->services->ctx);
    for (;;) {
        struct hl_heap_node *first = hl_heap_first(&abi->execution_waits);
        if (first == NULL || first->due > now_us) {
            return;
        }
        struct call *call = HL_LIST_ENTRY(first, struct call, wait);
        bool cancelled = first->due == CANCELLED;
        give_up(call, cancelled ? "the call was cancelled" : "the time for the call is over");
        answer(call);
    }
}

static void executor_destroy(HeliosModuleExecutor *executor);

/* Let the errand of a call go on, and answer when that was the end. */
static void step(struct hl_abi *abi, struct call *call)
{
    HeliosModuleExecutor *executor = call->executor;
    bool ended = false;
    call->stepping = true;
    executor->module->executing++;
    if (call->begun) {
        ended = hl_errand_step(abi->node, &call->errand);
    } else {
        call->begun = true;
        ended = hl_errand_begin(abi->node, &call->errand, &call->order, on_told);
    }
    executor->module->executing--;
    call->stepping = false;
    bool last = executor->ends;
    if (last && !ended) {
        give_up(call, CLOSED);
    }
    if (ended || last) {
        answer(call);
    }
    if (last) {
        executor_destroy(executor);
    }
}

static void step_ready(struct hl_abi *abi)
{
    /* Not longer than what is there now: a call that is told again waits for the next round. */
    struct hl_list_node last = {0};
    hl_list_append(&abi->executions_ready, &last);
    while (abi->executions_ready.next != &last) {
        struct call *call = HL_LIST_ENTRY(abi->executions_ready.next, struct call, node);
        hl_list_remove(&call->node);
        step(abi, call);
    }
    hl_list_remove(&last);
}

int64_t hl_execute_run(struct hl_abi *abi)
{
    if (hl_list_empty(&abi->executors)) {
        return INT64_MAX;
    }
    bool all = take_calls(abi);
    end_due(abi);
    step_ready(abi);
    const struct hl_heap_node *next = hl_heap_first(&abi->execution_waits);
    if (!all || hl_execute_is_due(abi)) {
        return 0;
    }
    return next != NULL ? next->due : INT64_MAX;
}

bool hl_execute_is_due(const struct hl_abi *abi)
{
    return !hl_list_empty(&abi->executions_ready);
}

/* --- closing ---------------------------------------------------------------------------------- */

/* No more calls; those in the queue leave it. */
static void shut(HeliosModuleExecutor *executor)
{
    pthread_mutex_lock(&executor->mutex);
    executor->closed = true;
    while (!hl_list_empty(&executor->queue)) {
        take(HL_LIST_ENTRY(executor->queue.next, struct call, node));
    }
    pthread_mutex_unlock(&executor->mutex);
}

static void executor_destroy(HeliosModuleExecutor *executor)
{
    HL_ASSERT(hl_list_empty(&executor->calls));
    hl_list_remove(&executor->node);
    pthread_mutex_destroy(&executor->mutex);
    hl_free(executor->slots);
    hl_free(executor->free_slots);
    hl_free(executor);
}

void hl_hm_ExecutorClose(HeliosModuleExecutor *executor)
{
    if (executor == NULL) {
        return;
    }
    shut(executor);
    struct hl_list_node stepping; /* calls that end by themselves: one at most */
    hl_list_init(&stepping);
    while (!hl_list_empty(&executor->calls)) {
        struct call *call = HL_LIST_ENTRY(executor->calls.next, struct call, all);
        if (call->stepping) {
            hl_list_remove(&call->all);
            hl_list_append(&stepping, &call->all);
            continue;
        }
        give_up(call, CLOSED);
        answer(call);
    }
    if (hl_list_empty(&stepping)) {
        executor_destroy(executor);
        return;
    }
    struct call *last = HL_LIST_ENTRY(stepping.next, struct call, all);
    hl_list_remove(&last->all);
    hl_list_append(&executor->calls, &last->all);
    executor->ends = true; /* Y4 */
}

/* Their module is gone, or will not hear of anything any more: nobody is told. */
static void forget_calls(HeliosModuleExecutor *executor)
{
    shut(executor);
    while (!hl_list_empty(&executor->calls)) {
        struct call *call = HL_LIST_ENTRY(executor->calls.next, struct call, all);
        give_up(call, CLOSED);
        leave(call);
        hl_buf_fini(&call->errand.reply);
        hl_free(call);
    }
}

void hl_execute_stop(struct hl_abi *abi)
{
    HL_LIST_EACH(it, &abi->executors)
    {
        forget_calls(HL_LIST_ENTRY(it, HeliosModuleExecutor, node));
    }
}

void hl_execute_drop(struct hl_module *module)
{
    HL_LIST_EACH(it, &module->abi->executors)
    {
        HeliosModuleExecutor *executor = HL_LIST_ENTRY(it, HeliosModuleExecutor, node);
        if (executor->module == module) {
            forget_calls(executor);
            executor_destroy(executor);
        }
    }
}

void hl_execute_fini(struct hl_abi *abi)
{
    HL_ASSERT(hl_list_empty(&abi->executors));
    hl_heap_fini(&abi->execution_waits);
}

void hl_execute_info(struct hl_abi *abi, struct hl_buf *out)
{
    HL_LIST_EACH(it, &abi->executors)
    {
        HeliosModuleExecutor *executor = HL_LIST_ENTRY(it, HeliosModuleExecutor, node);
        HeliosModuleExecuteStats stats = {.version = HELIOSMODULE_EXECUTE_VERSION};
        (void)hl_hm_ExecutorStats(executor, &stats);
        hl_buf_printf(out,
                      "executor:module=%s,under_way=%llu,limit=%zu,answered=%llu,"
                      "not_executed=%llu,unknown=%llu,refused=%llu\r\n",
                      executor->module->name != NULL ? executor->module->name : "?",
                      (unsigned long long)stats.under_way, executor->limits.calls,
                      (unsigned long long)stats.answered, (unsigned long long)stats.not_executed,
                      (unsigned long long)stats.unknown, (unsigned long long)stats.refused);
    }
}
