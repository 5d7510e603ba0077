/* A module that serves HTTP through the http module, for test_http.py.
 *
 * It joins when T_HTTP.JOIN is called and leaves with T_HTTP.LEAVE or when it is unloaded.
 */
#include "helios/http_service.h"
#include "helios/module.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct helios_http_service *http;
static struct helios_http_owner *me;
static atomic_llong seen; /* by the observer */

#define THREADS_MAX 4096
static pthread_t threads[THREADS_MAX]; /* made on http's thread, joined before leaving */
static size_t thread_count;
static pthread_mutex_t threads_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t server_thread;
static bool leaving; /* under the lock: no new threads */

static void hello(struct helios_http_request *request, void *data)
{
    (void)data;
    http->respond(request, 200, "text/plain", "hello\n", 6);
}

static void echo(struct helios_http_request *request, void *data)
{
    (void)data;
    struct helios_http_text body = http->body(request);
    http->respond(request, 200, "application/octet-stream", body.ptr, body.len);
}

static void params(struct helios_http_request *request, void *data)
{
    (void)data;
    char text[512];
    struct helios_http_text a = http->param(request, "a");
    struct helios_http_text rest = http->param(request, "rest");
    struct helios_http_text q = http->query_value(request, "q");
    int len =
        snprintf(text, sizeof text, "%.*s|%.*s|%.*s|%d|%.*s", (int)a.len, a.ptr, (int)rest.len,
                 rest.ptr, (int)q.len, q.ptr != NULL ? q.ptr : "", http->is_tls(request),
                 (int)http->remote(request).len, http->remote(request).ptr);
    http->add_header(request, "X-Trace", http->traceparent(request).ptr);
    int bad = http->add_header(request, "X-Bad", "a\r\nb: c");
    bad += http->add_header(request, "Content-Length", "7");
    http->add_header(request, "X-Refused", bad == 2 * HELIOS_HTTP_EINVAL ? "both" : "not all");
    http->respond(request, 200, "text/plain", text, (size_t)len);
}

static void on_server(struct helios_http_request *request, void *data)
{
    (void)data;
    bool here = pthread_equal(pthread_self(), server_thread) != 0;
    http->respond(request, 200, "text/plain", here ? "yes" : "no", here ? 3 : 2);
}

struct later {
    struct helios_http_request *request;
    long ms;
    int pass;
};

static void *run_later(void *arg)
{
    struct later *later = arg;
    usleep((useconds_t)later->ms * 1000);
    if (later->pass) {
        http->next(later->request);
    } else {
        http->respond(later->request, 200, "text/plain", "late", 4);
    }
    hl_free(later);
    return NULL;
}

/* Go on from another thread, after some time. */
static void go_on_later(struct helios_http_request *request, long ms, int pass)
{
    struct later *later = hl_malloc(sizeof *later);
    *later = (struct later){request, ms, pass};
    pthread_mutex_lock(&threads_lock);
    bool may = !leaving && thread_count < THREADS_MAX;
    if (may) {
        int failed = pthread_create(&threads[thread_count++], NULL, run_later, later);
        HL_ASSERT(failed == 0);
    }
    pthread_mutex_unlock(&threads_lock);
    if (!may) {
        (void)run_later(later);
    }
}

/* A number in the query; texts there have no NUL behind them. */
static long number(struct helios_http_request *request, const char *name, long otherwise)
{
    struct helios_http_text text = http->query_value(request, name);
    int64_t value = 0;
    return hl_parse_i64((struct hl_slice){.ptr = text.ptr, .len = text.len}, &value) ? (long)value
                                                                                     : otherwise;
}

static void slow(struct helios_http_request *request, void *data)
{
    (void)data;
    go_on_later(request, number(request, "ms", 10), 0);
}

/* Held until somebody else ends it. */
static void never(struct helios_http_request *request, void *data)
{
    (void)request;
    (void)data;
}

/* --- streams ---------------------------------------------------------------------------------- */

struct big {
    long left;
};

static void fill(struct helios_http_request *request, void *data)
{
    static const char block[8192] = {'x'};
    struct big *big = data;
    while (big->left > 0) {
        size_t len = big->left < (long)sizeof block ? (size_t)big->left : sizeof block;
        int result = http->write(request, block, len);
        if (result == HELIOS_HTTP_EFULL) {
            return; /* called again when there is room */
        }
        if (result != HELIOS_HTTP_OK) {
            break;
        }
        big->left -= (long)len;
    }
    http->finish(request);
}

static void forget(void *value)
{
    hl_free(value);
}

static void big(struct helios_http_request *request, void *data)
{
    (void)data;
    struct helios_http_text counted = http->query_value(request, "counted");
    struct big *state = hl_malloc(sizeof *state);
    state->left = number(request, "bytes", 0);
    if (http->note(request, "big", state, forget) !=
        HELIOS_HTTP_OK) { /* it goes with the request */
        forget(state);
        http->fail(request, 500, "internal", "no room for a note");
        return;
    }
    http->begin(request, 200, "application/octet-stream", counted.ptr != NULL ? state->left : -1,
                fill, state);
    fill(request, state);
}

static void on_piece(struct helios_http_request *request, const char *bytes, size_t len, int last,
                     void *data)
{
    if (last == 0) {
        http->write(request, bytes, len); /* a test's body is smaller than the buffer */
        http->read_body(request, on_piece, data);
    } else {
        http->finish(request);
    }
}

static void echo_stream(struct helios_http_request *request, void *data)
{
    http->begin(request, 200, "application/octet-stream", -1, NULL, NULL);
    http->read_body(request, on_piece, data);
}

/* --- WebSocket -----------------------------------------------------------------------------------
 */

static void on_message(struct helios_http_socket *socket, int text, const char *bytes, size_t len,
                       void *data)
{
    (void)data;
    if (text && len == 5 && memcmp(bytes, "leave", 5) == 0) {
        http->close(socket, 4000, "as you wish");
        return;
    }
    http->send(socket, text, bytes, len);
}

static void on_closed(struct helios_http_socket *socket, int code, void *data)
{
    (void)code;
    (void)data;
    http->release(socket);
}

static void chat(struct helios_http_request *request, void *data)
{
    static const struct helios_http_socket_events events = {
        .message = on_message,
        .closed = on_closed,
    };
    if (http->upgrade(request, &events, data, NULL) == NULL) {
        http->fail(request, 426, "upgrade_required", "this path speaks WebSocket");
    }
}

/* --- filters
 * ---------------------------------------------------------------------------------------- */

static void first_filter(struct helios_http_request *request, void *data)
{
    (void)data;
    struct helios_http_text user = http->header(request, "X-User");
    if (http->header(request, "X-Deny").ptr != NULL) {
        http->fail(request, 403, "forbidden", "you said so yourself");
        return;
    }
    if (user.ptr != NULL) {
        http->set_user(request, user.ptr, user.len);
        http->note(request, "user", hl_strndup(user.ptr, user.len), hl_free);
    }
    http->add_header(request, "X-Filter", "first");
    if (http->header(request, "X-Later").ptr != NULL) {
        go_on_later(request, 5, 1);
    } else {
        http->next(request);
    }
}

static void second_filter(struct helios_http_request *request, void *data)
{
    (void)data;
    const char *user = http->noted(request, "user");
    http->add_header(request, "X-Filter", user != NULL ? user : "second");
    http->next(request);
}

static void observe(const struct helios_http_done *done, void *data)
{
    (void)done;
    (void)data;
    atomic_fetch_add(&seen, 1);
}

/* --- commands
 * --------------------------------------------------------------------------------------- */

static const struct helios_http_route routes[] = {
    {"GET", "/hello", hello, NULL, 0, 0},
    {"POST", "/echo", echo, NULL, 0, 0},
    {"POST", "/small", echo, NULL, 0, 10},
    {"POST", "/stream", echo_stream, NULL, HELIOS_HTTP_STREAM_BODY, 0},
    {"POST", "/stream-server", echo_stream, NULL, HELIOS_HTTP_STREAM_BODY | HELIOS_HTTP_ON_SERVER,
     0},
    {"GET", "/params/{a}/{rest...}", params, NULL, 0, 0},
    {"GET", "/server", on_server, NULL, HELIOS_HTTP_ON_SERVER, 0},
    {"GET", "/slow", slow, NULL, 0, 0},
    {"GET", "/never", never, NULL, HELIOS_HTTP_NO_FILTERS, 0},
    {"GET", "/big", big, NULL, 0, 0},
    {"GET", "/big-server", big, NULL, HELIOS_HTTP_ON_SERVER, 0},
    {"GET", "/chat", chat, NULL, 0, 0},
    {"GET", "/chat-server", chat, NULL, HELIOS_HTTP_ON_SERVER, 0},
    {"*", "/any", hello, NULL, 0, 0},
};

static int cmd_join(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    char why[256] = "";
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    http = RedisModule_GetSharedAPI(ctx, HELIOS_HTTP_SERVICE);
    if (http == NULL || me != NULL) {
        return RedisModule_ReplyWithError(ctx, "ERR no http module, or joined already");
    }
    me = http->join("t_http");
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (http->route(me, &routes[i], why, sizeof why) != HELIOS_HTTP_OK) {
            return RedisModule_ReplyWithError(ctx, why);
        }
    }
    if (http->route(me, &routes[0], why, sizeof why) != HELIOS_HTTP_EEXIST) {
        return RedisModule_ReplyWithError(ctx, "ERR a route twice");
    }
    http->filter(me, 200, second_filter, NULL, HELIOS_HTTP_ON_SERVER);
    http->filter(me, 100, first_filter, NULL, 0);
    http->observe(me, observe, NULL);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

static void leave(void)
{
    if (me == NULL) {
        return;
    }
    pthread_mutex_lock(&threads_lock);
    leaving = true;
    pthread_mutex_unlock(&threads_lock);
    for (; thread_count != 0; thread_count--) {
        pthread_join(threads[thread_count - 1], NULL);
    }
    http->leave(me);
    me = NULL;
    leaving = false;
}

static int cmd_leave(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    leave();
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

/* All counters, as the table shows them. */
static int cmd_counters(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    const char *name = NULL;
    long long value = 0;
    if (argc != 1 || me == NULL) {
        return RedisModule_ReplyWithError(ctx, "ERR not joined");
    }
    RedisModule_ReplyWithArray(ctx, REDISMODULE_POSTPONED_LEN);
    long count = 0;
    while (http->counter_at((size_t)count / 2, &name, &value) == HELIOS_HTTP_OK) {
        RedisModule_ReplyWithCString(ctx, name);
        RedisModule_ReplyWithLongLong(ctx, value);
        count += 2;
    }
    RedisModule_ReplySetArrayLength(ctx, count);
    return REDISMODULE_OK;
}

static int cmd_seen(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    return RedisModule_ReplyWithLongLong(ctx, atomic_load(&seen));
}

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    server_thread = pthread_self();
    if (RedisModule_Init(ctx, "t_http", 1, REDISMODULE_APIVER_1) != REDISMODULE_OK ||
        RedisModule_CreateCommand(ctx, "t_http.join", cmd_join, "", 0, 0, 0) != REDISMODULE_OK ||
        RedisModule_CreateCommand(ctx, "t_http.leave", cmd_leave, "", 0, 0, 0) != REDISMODULE_OK ||
        RedisModule_CreateCommand(ctx, "t_http.counters", cmd_counters, "readonly", 0, 0, 0) !=
            REDISMODULE_OK ||
        RedisModule_CreateCommand(ctx, "t_http.seen", cmd_seen, "readonly", 0, 0, 0) !=
            REDISMODULE_OK) {
        return REDISMODULE_ERR;
    }
    return REDISMODULE_OK;
}

int RedisModule_OnUnload(RedisModuleCtx *ctx)
{
    (void)ctx;
    leave();
    return REDISMODULE_OK;
}
