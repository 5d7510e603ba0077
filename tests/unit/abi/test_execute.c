/* HeliosModule_Execute: calls from any thread are taken, bounded, run, timed out, cancelled, and
 * each is answered exactly once.
 *
 * Method: a node without a log and the ABI on it, whose iterations the test turns by hand. */
#include "unit/abi/rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>

static struct rig *rig;

static void iterate(void)
{
    hl_node_begin(rig->node);
    (void)hl_abi_service(rig->abi);
    hl_node_end(rig->node);
}

static void setup(void)
{
    rig = rig_create();
    rig->module->loading = false;
    hl_ctx_fini(&rig->ctx); /* iterations happen outside of any module's code */
    (void)hl_frame_end(&rig->ctx);
}

static void teardown(void)
{
    hl_ctx_init(&rig->ctx, rig->abi, rig->module);
    hl_frame_begin(&rig->ctx);
    rig_destroy(rig);
}

TestSuite(execute, .init = setup, .fini = teardown);

/* What came of one call. */
struct answer {
    int times, outcome;
    char text[128];
};

static void done(void *data, const HeliosModuleExecuteResult *result)
{
    struct answer *answer = data;
    size_t len = 0;
    const char *bytes = hl_rm_CallReplyProto(result->reply, &len);
    answer->times++;
    answer->outcome = result->outcome;
    snprintf(answer->text, sizeof answer->text, "%.*s", (int)len, bytes);
    hl_rm_FreeCallReply(result->reply);
}

/* A request of one command of words. */
struct request {
    HeliosModuleText words[8];
    HeliosModuleExecuteCommand command;
    HeliosModuleExecuteRequest it;
};

static HeliosModuleExecuteRequest *request_of(struct request *r, const char *text,
                                              struct answer *answer)
{
    *r = (struct request){0};
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        r->words[r->command.argc++] = (HeliosModuleText){text, len};
        text += len + (text[len] == ' ');
    }
    r->command.argv = r->words;
    r->it = (HeliosModuleExecuteRequest){.version = HELIOSMODULE_EXECUTE_VERSION,
                                         .commands = &r->command,
                                         .count = 1,
                                         .proto = 2,
                                         .done = done,
                                         .data = answer};
    return &r->it;
}

static uint64_t execute(HeliosModuleExecutor *executor, const char *text, struct answer *answer)
{
    struct request r;
    return hl_hm_Execute(executor, request_of(&r, text, answer));
}

static HeliosModuleExecutor *open_with(size_t calls, size_t bytes)
{
    HeliosModuleExecuteLimits limits = {
        .version = HELIOSMODULE_EXECUTE_VERSION, .calls = calls, .bytes = bytes};
    HeliosModuleExecutor *executor = hl_hm_ExecutorOpen(&rig->ctx, &limits);
    cr_assert_not_null(executor);
    return executor;
}

static void expect(const struct answer *answer, int outcome, const char *text)
{
    cr_assert_eq(answer->times, 1, "answered %d times", answer->times);
    cr_assert_eq(answer->outcome, outcome, "%s", answer->text);
    cr_assert(strncmp(answer->text, text, strlen(text)) == 0, "%s", answer->text);
}

Test(execute, a_command_is_answered_in_a_later_iteration)
{
    HeliosModuleExecutor *executor = open_with(0, 0);
    struct answer set = {0}, get = {0}, wrong = {0};
    int wakes = rig->wakes;
    cr_assert_neq(execute(executor, "SET k v", &set), 0);
    cr_assert_eq(rig->wakes, wakes + 1);
    cr_assert_eq(set.times, 0, "not from within");
    cr_assert_neq(execute(executor, "GET k", &get), 0);
    cr_assert_neq(execute(executor, "GET", &wrong), 0);
    iterate();
    expect(&set, HELIOSMODULE_EXECUTE_ANSWERED, "+OK\r\n");
    expect(&get, HELIOSMODULE_EXECUTE_ANSWERED, "$1\r\nv\r\n");
    expect(&wrong, HELIOSMODULE_EXECUTE_ANSWERED, "-ERR wrong number");
    HeliosModuleExecuteStats stats = {.version = HELIOSMODULE_EXECUTE_VERSION};
    cr_assert_eq(hl_hm_ExecutorStats(executor, &stats), REDISMODULE_OK);
    cr_assert_eq(stats.answered, 3);
    cr_assert_eq(stats.under_way, 0);
    hl_hm_ExecutorClose(executor);
}

Test(execute, what_is_out_of_range_is_refused_and_never_answered)
{
    HeliosModuleExecutor *executor = open_with(0, 0);
    struct answer answer = {0};
    HeliosModuleText empty = {"", 0};
    HeliosModuleExecuteCommand no_name = {1, &empty}, no_args = {0, &empty};
    for (int i = 0; i < 14; i++) {
        struct request r;
        HeliosModuleExecuteRequest *it = request_of(&r, "SET k v", &answer);
        HeliosModuleExecuteCommand two[2] = {r.command, r.command};
        switch (i) {
        case 0:
            it->version = 2;
            break;
        case 1:
            it->done = NULL;
            break;
        case 2:
            it->commands = NULL;
            break;
        case 3:
            it->count = 0;
            break;
        case 4:
            it->count = HELIOSMODULE_EXECUTE_COMMANDS_MAX + 1;
            break;
        case 5:
            it->proto = 4;
            break;
        case 6:
            it->read = HELIOSMODULE_READ_STALE + 1;
            break;
        case 7:
            it->timeout_ms = HELIOSMODULE_EXECUTE_TIMEOUT_MS_MAX + 1;
            break;
        case 8:
            it->commands = &no_name;
            break;
        case 9:
            it->commands = &no_args;
            break;
        case 10:
            it->once = (HeliosModuleText){"x", 1};
            break; /* without a number */
        case 11:
            it->once = (HeliosModuleText){"x", 129};
            it->once_seq = 1;
            break;
        case 12:
            it->database = -1;
            break;
        case 13:
            it->commands = two;
            it->count = 2;
            it->once = HELIOSMODULE_TEXT("x");
            it->once_seq = 1;
            break;
        }
        errno = 0;
        cr_assert_eq(hl_hm_Execute(executor, it), 0, "case %d", i);
        cr_assert_eq(errno, EINVAL, "case %d", i);
    }
    iterate();
    cr_assert_eq(answer.times, 0);
    HeliosModuleExecuteLimits limits = {.version = 1, .calls = HELIOSMODULE_EXECUTE_CALLS_MAX + 1};
    cr_assert_null(hl_hm_ExecutorOpen(&rig->ctx, &limits));
    hl_hm_ExecutorClose(executor);
}

Test(execute, an_executor_holds_no_more_than_its_limits)
{
    HeliosModuleExecutor *executor = open_with(3, 1000);
    struct answer answers[5] = {{0}};
    for (int i = 0; i < 3; i++) {
        cr_assert_neq(execute(executor, "SET k v", &answers[i]), 0);
    }
    errno = 0;
    cr_assert_eq(execute(executor, "SET k v", &answers[3]), 0);
    cr_assert_eq(errno, EAGAIN);
    iterate();
    struct request r;
    static char large[1000];
    HeliosModuleExecuteRequest *it = request_of(&r, "SET k v", &answers[4]);
    r.words[2] = (HeliosModuleText){large, sizeof large};
    cr_assert_eq(hl_hm_Execute(executor, it), 0, "more bytes than the limit");
    cr_assert_eq(errno, EAGAIN);
    cr_assert_neq(execute(executor, "GET k", &answers[3]), 0, "there is room again");
    iterate();
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(answers[i].times, 1);
    }
    HeliosModuleExecuteStats stats = {.version = HELIOSMODULE_EXECUTE_VERSION};
    cr_assert_eq(hl_hm_ExecutorStats(executor, &stats), REDISMODULE_OK);
    cr_assert_eq(stats.refused, 2);
    hl_hm_ExecutorClose(executor);
}

/* Many more than one round takes: none is forgotten, and the rest asks for another round. */
Test(execute, a_round_is_bounded_and_the_rest_has_its_turn)
{
    HeliosModuleExecutor *executor = open_with(5000, 0);
    static struct answer answers[2500];
    for (int i = 0; i < 2500; i++) {
        cr_assert_neq(execute(executor, "INCR n", &answers[i]), 0);
    }
    hl_node_begin(rig->node);
    cr_assert_eq(hl_abi_service(rig->abi), 0, "there is more to do");
    hl_node_end(rig->node);
    cr_assert_eq(answers[2499].times, 0);
    iterate();
    iterate();
    for (int i = 0; i < 2500; i++) {
        cr_assert_eq(answers[i].times, 1);
    }
    expect(&answers[2499], HELIOSMODULE_EXECUTE_ANSWERED, ":2500\r\n");
    hl_hm_ExecutorClose(executor);
}

/* CLIENT PAUSE holds calls back as it does clients. */
static void hold(void)
{
    rig->node->pause_until_ms = rig->node->now_ms + 1000000;
    rig->node->pause_all = true;
}

Test(execute, a_call_whose_time_is_over_ends)
{
    HeliosModuleExecutor *executor = open_with(0, 0);
    struct answer answer = {0};
    struct request r;
    HeliosModuleExecuteRequest *it = request_of(&r, "INCR n", &answer);
    it->timeout_ms = 50;
    hold();
    cr_assert_neq(hl_hm_Execute(executor, it), 0);
    hl_node_begin(rig->node);
    int64_t due_us = hl_abi_service(rig->abi);
    hl_node_end(rig->node);
    cr_assert_eq(due_us, rig->now_us + 50000, "it says when it wants to be asked again");
    rig->now_us += 49000;
    iterate();
    cr_assert_eq(answer.times, 0);
    rig->now_us += 1000;
    iterate();
    expect(&answer, HELIOSMODULE_EXECUTE_NOT_EXECUTED, "-NOTEXECUTED the time for the call");
    rig->node->pause_until_ms = 0;
    struct answer get = {0};
    cr_assert_neq(execute(executor, "GET n", &get), 0);
    iterate();
    expect(&get, HELIOSMODULE_EXECUTE_ANSWERED, "$-1\r\n");
    hl_hm_ExecutorClose(executor);
}

Test(execute, a_cancelled_call_ends_once_whatever_it_was_doing)
{
    HeliosModuleExecutor *executor = open_with(0, 0);
    struct answer queued = {0}, held = {0}, over = {0};
    hold();
    uint64_t call = execute(executor, "INCR n", &held);
    iterate();
    hl_hm_ExecuteCancel(executor, call);
    hl_hm_ExecuteCancel(executor, call);
    call = execute(executor, "INCR n", &queued);
    hl_hm_ExecuteCancel(executor, call);
    iterate();
    expect(&held, HELIOSMODULE_EXECUTE_NOT_EXECUTED, "-NOTEXECUTED the call was cancelled");
    expect(&queued, HELIOSMODULE_EXECUTE_NOT_EXECUTED, "-NOTEXECUTED the call was cancelled");
    rig->node->pause_until_ms = 0;
    call = execute(executor, "INCR n", &over);
    iterate();
    hl_hm_ExecuteCancel(executor, call);
    hl_hm_ExecuteCancel(executor, 0);
    hl_hm_ExecuteCancel(executor, UINT64_MAX);
    iterate();
    expect(&over, HELIOSMODULE_EXECUTE_ANSWERED, ":1\r\n");
    hl_hm_ExecutorClose(executor);
}

Test(execute, closing_answers_all_that_is_under_way)
{
    HeliosModuleExecutor *executor = open_with(0, 0);
    struct answer held = {0}, queued = {0};
    hold();
    cr_assert_neq(execute(executor, "INCR n", &held), 0);
    iterate();
    cr_assert_neq(execute(executor, "INCR n", &queued), 0);
    hl_hm_ExecutorClose(executor);
    expect(&held, HELIOSMODULE_EXECUTE_NOT_EXECUTED, "-NOTEXECUTED ");
    expect(&queued, HELIOSMODULE_EXECUTE_NOT_EXECUTED, "-NOTEXECUTED ");
    rig->node->pause_until_ms = 0;
    iterate();
}

Test(execute, calls_of_a_module_that_left_its_executor_open_are_forgotten)
{
    HeliosModuleExecutor *executor = open_with(0, 0);
    struct answer held = {0}, queued = {0};
    hold();
    cr_assert_neq(execute(executor, "INCR n", &held), 0);
    iterate();
    cr_assert_neq(execute(executor, "INCR n", &queued), 0);
    hl_execute_drop(rig->module);
    iterate();
    cr_assert_eq(held.times + queued.times, 0);
    cr_assert(hl_list_empty(&rig->abi->executors));
}

/* The callback may do anything: ask again, or end its own executor. */
static HeliosModuleExecutor *again_executor;
static int again_left;

static void again(void *data, const HeliosModuleExecuteResult *result)
{
    hl_rm_FreeCallReply(result->reply);
    if (--again_left == 0) {
        hl_hm_ExecutorClose(again_executor);
        return;
    }
    struct request r;
    HeliosModuleExecuteRequest *it = request_of(&r, "INCR n", NULL);
    it->done = again;
    it->data = data;
    cr_assert_neq(hl_hm_Execute(again_executor, it), 0);
}

Test(execute, a_callback_may_execute_and_close)
{
    again_executor = open_with(0, 0);
    again_left = 5;
    struct request r;
    HeliosModuleExecuteRequest *it = request_of(&r, "INCR n", NULL);
    it->done = again;
    struct answer other = {0};
    cr_assert_neq(hl_hm_Execute(again_executor, it), 0);
    for (int i = 0; i < 4; i++) {
        iterate();
    }
    cr_assert_neq(execute(again_executor, "GET n", &other), 0);
    iterate();
    cr_assert_eq(again_left, 0);
    cr_assert_eq(other.times, 1);
    iterate();
}

/* A command that closes the executor it was executed by. */
static HeliosModuleExecutor *suicide;

static int cmd_close(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    hl_hm_ExecutorClose(suicide);
    struct hl_errmsg msg = {{0}};
    cr_assert_eq(hl_abi_unload(rig->abi, hl_slice_of("rig"), &msg), HL_EBUSY);
    cr_assert(strstr(msg.text, "asked for it") != NULL, "%s", msg.text);
    return hl_rm_ReplyWithSimpleString(ctx, "closed");
}

Test(execute, a_command_may_close_the_executor_that_runs_it)
{
    rig->module->loading = true;
    hl_ctx_init(&rig->ctx, rig->abi, rig->module);
    hl_frame_begin(&rig->ctx);
    cr_assert_eq(hl_rm_CreateCommand(&rig->ctx, "rig.close", cmd_close, "readonly", 0, 0, 0),
                 REDISMODULE_OK);
    hl_ctx_fini(&rig->ctx);
    (void)hl_frame_end(&rig->ctx);
    rig->module->loading = false;
    suicide = open_with(0, 0);
    struct answer first = {0}, closing = {0}, behind = {0};
    cr_assert_neq(execute(suicide, "SET k v", &first), 0);
    cr_assert_neq(execute(suicide, "rig.close", &closing), 0);
    cr_assert_neq(execute(suicide, "SET k w", &behind), 0);
    iterate();
    expect(&first, HELIOSMODULE_EXECUTE_ANSWERED, "+OK\r\n");
    expect(&closing, HELIOSMODULE_EXECUTE_ANSWERED, "+closed\r\n");
    expect(&behind, HELIOSMODULE_EXECUTE_NOT_EXECUTED, "-NOTEXECUTED the module");
    cr_assert(hl_list_empty(&rig->abi->executors));
}

Test(execute, info_tells_of_executors)
{
    HeliosModuleExecutor *executor = open_with(7, 0);
    struct hl_buf out = {0};
    hl_execute_info(rig->abi, &out);
    hl_buf_append_u8(&out, 0);
    cr_assert_str_eq(out.ptr, "executor:module=rig,under_way=0,limit=7,answered=0,not_executed=0,"
                              "unknown=0,refused=0\r\n");
    hl_buf_fini(&out);
    hl_hm_ExecutorClose(executor);
}

/* --- threads ---------------------------------------------------------------------------------- */

#define THREADS 4
#define CALLS 500

struct caller {
    pthread_t thread;
    HeliosModuleExecutor *executor;
    struct answer answers[CALLS];
    int taken[CALLS];
};

static void *call_many(void *arg)
{
    struct caller *caller = arg;
    for (int i = 0; i < CALLS; i++) {
        uint64_t call = execute(caller->executor, "INCR n", &caller->answers[i]);
        caller->taken[i] = call != 0;
        if (i % 3 == 0) {
            hl_hm_ExecuteCancel(caller->executor, call);
        }
    }
    return NULL;
}

static atomic_int woken;

static void count_wake(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&woken, 1);
}

/* What was taken is answered once, and the counter says as many as were answered with a number. */
Test(execute, threads_call_and_cancel_while_the_loop_answers)
{
    HeliosModuleExecutor *executor = open_with(50, 0);
    rig->services.wake = count_wake;
    static struct caller callers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        callers[i].executor = executor;
        cr_assert_eq(pthread_create(&callers[i].thread, NULL, call_many, &callers[i]), 0);
    }
    for (int i = 0; i < 200; i++) {
        iterate();
        sched_yield();
    }
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_join(callers[i].thread, NULL), 0);
    }
    iterate();
    int numbers = 0;
    for (int i = 0; i < THREADS; i++) {
        for (int k = 0; k < CALLS; k++) {
            cr_assert_eq(callers[i].answers[k].times, callers[i].taken[k]);
            numbers += callers[i].answers[k].text[0] == ':';
        }
    }
    struct answer get = {0};
    cr_assert_neq(execute(executor, "INCRBY n 0", &get), 0);
    iterate();
    char want[32];
    snprintf(want, sizeof want, ":%d\r\n", numbers);
    expect(&get, HELIOSMODULE_EXECUTE_ANSWERED, want);
    cr_assert_gt(numbers, 0);
    hl_hm_ExecutorClose(executor);
}
