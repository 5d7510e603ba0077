/* The thread: starting, stopping, and mail. */
#include "loop.h"

#include "access_log.h"
#include "conn.h"
#include "health.h"
#include "native.h"
#include "settings.h"
#include "stats.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "net/desk.h"

#include <time.h>

#define DRAIN_STEP_MS 2 /* between two looks at who is still there */

int64_t loop_now_ms(struct loop *loop)
{
    return net_loop_now_ms(&loop->net);
}

const char *loop_date(struct loop *loop)
{
    return net_loop_date(&loop->net);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void on_accept_failed(struct net_listener *listener, const char *why)
{
    net_desk_log("warning", "%s cannot accept: %s", listener->name, why);
}

static hl_err open_tls(struct hl_tls_context **out, struct hl_errmsg *msg)
{
    struct hl_tls_options options = {
        .server = true,
        .cert_file = setting_text(TEXT_TLS_CERT_FILE),
        .key_file = setting_text(TEXT_TLS_KEY_FILE),
        .ca_file = setting_text(TEXT_TLS_CA_FILE),
        .peer = setting_text(TEXT_TLS_CA_FILE)[0] != '\0' ? HL_TLS_PEER_REQUIRED : HL_TLS_PEER_ANY,
        .http1 = true,
    };
    return hl_tls_context_create(out, &options, msg);
}

static hl_err open_all(struct loop *loop, struct hl_errmsg *msg)
{
    struct net_address addresses[NET_LISTENERS_MAX];
    size_t count = 0;
    hl_err err =
        net_listen_parse(hl_slice_of(setting_text(TEXT_LISTEN)), false, addresses, &count, msg);
    if (err == HL_OK) {
        err = net_listen_parse(hl_slice_of(setting_text(TEXT_TLS_LISTEN)), true, addresses, &count,
                               msg);
    }
    if (err == HL_OK && setting_text(TEXT_TLS_LISTEN)[0] != '\0') {
        err = open_tls(&loop->tls, msg);
    }
    if (err == HL_OK && setting_text(TEXT_ACCESS_LOG)[0] != '\0') {
        err = access_log_open(&loop->log, &loop->net.uv, setting_text(TEXT_ACCESS_LOG), msg);
    }
    for (size_t i = 0; i < count && err == HL_OK; i++) {
        err = net_loop_listen(&loop->net, &addresses[i], conn_accept, on_accept_failed, msg);
    }
    return err;
}

/* --- life ------------------------------------------------------------------------------------- */

/* Release what is left once the loop has nothing more to do. */
static void dispose(struct loop *loop)
{
    HL_ASSERT(loop->conns == NULL);
    HL_ASSERT(loop->requests == NULL);
    for (size_t i = 0; i < loop->router.count; i++) {
        hl_free(loop->router.routes[i].value);
    }
    router_fini(&loop->router);
    access_log_close(loop->log);
    hl_tls_context_destroy(loop->tls);
    hl_free(loop);
}

struct loop *loop_start(struct hl_errmsg *msg)
{
    struct loop *loop = hl_calloc(1, sizeof *loop);
    if (net_loop_init(&loop->net, msg) != HL_OK) {
        hl_free(loop);
        return NULL;
    }
    native_add(loop);
    hl_err err = open_all(loop, msg);
    if (err == HL_OK) {
        err = net_loop_run(&loop->net, msg);
    }
    if (err != HL_OK) {
        net_loop_cancel(&loop->net);
        dispose(loop);
        return NULL;
    }
    return loop;
}

bool loop_post(struct loop *loop, struct net_mail *mail)
{
    return net_loop_post(&loop->net, mail);
}

struct ask {
    struct loop *loop;
    void (*run)(struct loop *loop, void *arg);
    void *arg;
};

static void run_ask(void *arg)
{
    struct ask *ask = arg;
    ask->run(ask->loop, ask->arg);
}

void loop_ask(struct loop *loop, void (*function)(struct loop *loop, void *arg), void *arg)
{
    struct ask ask = {.loop = loop, .run = function, .arg = arg};
    net_loop_ask(&loop->net, run_ask, &ask);
}

struct reload {
    struct hl_errmsg *msg;
    hl_err err;
};

static void reload(struct loop *loop, void *arg)
{
    struct reload *job = arg;
    struct hl_tls_context *fresh = NULL;
    if (loop->tls != NULL) {
        job->err = open_tls(&fresh, job->msg);
    }
    if (fresh != NULL) {
        hl_tls_context_destroy(loop->tls); /* connections go on with it */
        loop->tls = fresh;
    }
    if (job->err == HL_OK) {
        job->err = access_log_reopen(loop->log, job->msg);
    }
}

hl_err loop_reload(struct loop *loop, struct hl_errmsg *msg)
{
    struct reload job = {.msg = msg, .err = HL_OK};
    loop_ask(loop, reload, &job);
    return job.err;
}

/* --- ending ----------------------------------------------------------------------------------- */

static void drain(struct loop *loop, void *arg)
{
    (void)arg;
    loop->draining = true;
    net_loop_deafen(&loop->net);
    struct conn *next;
    for (struct conn *conn = loop->conns; conn != NULL; conn = next) {
        next = conn->next;
        conn_drain(conn);
    }
}

void loop_drain(struct loop *loop)
{
    health_set_draining(true);
    loop_ask(loop, drain, NULL);
}

static void count_conns(struct loop *loop, void *count)
{
    *(size_t *)count = loop->conn_count;
}

/* What is left is cut; the thread ends when the last handle is closed. */
static void end_all(struct loop *loop, void *arg)
{
    (void)arg;
    loop->ending = true;
    while (loop->conns != NULL) {
        conn_close(loop->conns);
    }
    net_loop_end(&loop->net);
}

bool loop_wait_drained(struct loop *loop, int64_t drain_ms)
{
    struct timespec step = {.tv_nsec = DRAIN_STEP_MS * 1000000L};
    int64_t until_ms = (int64_t)(uv_hrtime() / 1000000) + drain_ms;
    size_t left = 0;
    loop_ask(loop, count_conns, &left);
    while (left != 0 && (int64_t)(uv_hrtime() / 1000000) < until_ms) {
        net_desk_run(); /* handlers that run on this thread go on, though it is held here */
        nanosleep(&step, NULL);
        loop_ask(loop, count_conns, &left);
    }
    return left == 0;
}

void loop_stop(struct loop *loop, int64_t drain_ms)
{
    loop_drain(loop);
    (void)loop_wait_drained(loop, drain_ms);
    loop_ask(loop, end_all, NULL);
    net_loop_join(&loop->net);
    net_loop_fini(&loop->net);
    dispose(loop);
}
