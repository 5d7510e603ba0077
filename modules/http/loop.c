/* The thread: starting, stopping, and mail. */
#include "loop.h"

#include "access_log.h"
#include "conn.h"
#include "desk.h"
#include "health.h"
#include "native.h"
#include "settings.h"
#include "stats.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#define BACKLOG 511
#define DRAIN_STEP_MS 2 /* between two looks at who is still there */

/* --- clock ------------------------------------------------------------------------------------ */

int64_t loop_now_ms(struct loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

const char *loop_date(struct loop *loop)
{
    uv_timeval64_t now = {0};
    (void)uv_gettimeofday(&now);
    if (now.tv_sec != loop->date_s || loop->date[0] == '\0') {
        loop->date_s = now.tv_sec;
        hl_http1_date(loop->date, now.tv_sec);
    }
    return loop->date;
}

/* --- listeners -------------------------------------------------------------------------------- */

static void on_connection(uv_stream_t *stream, int status)
{
    struct listener *listener = stream->data;
    if (status == 0) {
        conn_accept(listener);
    } else {
        desk_log("warning", "%s cannot accept: %s", listener->name, uv_strerror(status));
    }
}

/* Where it listens, as "127.0.0.1:8443": the port may have been the system's choice. */
static void name_listener(struct listener *listener)
{
    struct sockaddr_storage bound = {0};
    char host[INET6_ADDRSTRLEN] = "?";
    int len = sizeof bound;
    (void)uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&bound, &len);
    bool v6 = bound.ss_family == AF_INET6;
    uint16_t port = ntohs(v6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                             : ((struct sockaddr_in *)&bound)->sin_port);
    if (v6) {
        (void)uv_ip6_name((struct sockaddr_in6 *)&bound, host, sizeof host);
    } else {
        (void)uv_ip4_name((struct sockaddr_in *)&bound, host, sizeof host);
    }
    snprintf(listener->name, sizeof listener->name, v6 ? "[%s]:%u" : "%s:%u", host, port);
}

static hl_err open_listener(struct loop *loop, const struct listen_address *address,
                            struct hl_errmsg *msg)
{
    struct listener *listener = &loop->listeners[loop->listener_count];
    int rc = uv_tcp_init(&loop->uv, &listener->tcp);
    if (rc != 0) {
        return hl_fail(msg, HL_EIO, "cannot listen: %s", uv_strerror(rc));
    }
    loop->listener_count++;
    listener->open = true;
    listener->loop = loop;
    listener->tls = address->tls;
    listener->tcp.data = listener;
    rc = uv_tcp_bind(&listener->tcp, (const struct sockaddr *)&address->address, 0);
    if (rc == 0) {
        rc = uv_listen((uv_stream_t *)&listener->tcp, BACKLOG, on_connection);
    }
    uint16_t port = ntohs(((const struct sockaddr_in *)&address->address)->sin_port);
    if (rc != 0) {
        return hl_fail(msg, HL_EIO, "cannot listen on port %u: %s", port, uv_strerror(rc));
    }
    name_listener(listener);
    return HL_OK;
}

static hl_err open_tls(struct hl_tls_context **out, struct hl_errmsg *msg)
{
    const struct http_texts *texts = settings_texts();
    struct hl_tls_options options = {
        .server = true,
        .cert_file = texts->tls_cert_file,
        .key_file = texts->tls_key_file,
        .ca_file = texts->tls_ca_file,
        .peer = texts->tls_ca_file[0] != '\0' ? HL_TLS_PEER_REQUIRED : HL_TLS_PEER_ANY,
        .http1 = true,
    };
    return hl_tls_context_create(out, &options, msg);
}

static hl_err open_all(struct loop *loop, struct hl_errmsg *msg)
{
    const struct http_texts *texts = settings_texts();
    struct listen_address addresses[HTTP_LISTENERS_MAX];
    size_t count = 0;
    hl_err err = listen_parse(hl_slice_of(texts->listen), false, addresses, &count, msg);
    if (err == HL_OK) {
        err = listen_parse(hl_slice_of(texts->tls_listen), true, addresses, &count, msg);
    }
    if (err == HL_OK && texts->tls_listen[0] != '\0') {
        err = open_tls(&loop->tls, msg);
    }
    if (err == HL_OK && texts->access_log[0] != '\0') {
        err = access_log_open(&loop->log, &loop->uv, texts->access_log, msg);
    }
    for (size_t i = 0; i < count && err == HL_OK; i++) {
        err = open_listener(loop, &addresses[i], msg);
    }
    return err;
}

static void close_listeners(struct loop *loop)
{
    for (size_t i = 0; i < loop->listener_count; i++) {
        if (loop->listeners[i].open) {
            loop->listeners[i].open = false;
            uv_close((uv_handle_t *)&loop->listeners[i].tcp, NULL);
        }
    }
}

/* --- life ------------------------------------------------------------------------------------- */

static void on_wake(uv_async_t *wake)
{
    struct loop *loop = wake->data;
    mail_run(mailbox_take(&loop->inbox));
}

static void *run(void *arg)
{
    struct loop *loop = arg;
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    return NULL;
}

/* Release what is left once the loop has nothing more to do. */
static void dispose(struct loop *loop)
{
    for (struct mail *mail = mailbox_take(&loop->inbox); mail != NULL;
         mail = mailbox_take(&loop->inbox)) {
        mail_run(mail); /* what came late finds nobody connected */
    }
    HL_ASSERT(loop->conns == NULL);
    HL_ASSERT(loop->requests == NULL);
    for (size_t i = 0; i < loop->router.count; i++) {
        hl_free(loop->router.routes[i].value);
    }
    router_fini(&loop->router);
    access_log_close(loop->log);
    hl_tls_context_destroy(loop->tls);
    mailbox_fini(&loop->inbox);
    int busy = uv_loop_close(&loop->uv);
    HL_ASSERT(busy == 0);
    hl_free(loop);
}

struct loop *loop_start(struct hl_errmsg *msg)
{
    struct loop *loop = hl_calloc(1, sizeof *loop);
    if (uv_loop_init(&loop->uv) != 0) {
        (void)hl_fail(msg, HL_EIO, "cannot make an event loop: %s", strerror(errno));
        hl_free(loop);
        return NULL;
    }
    mailbox_init(&loop->inbox);
    int rc = uv_async_init(&loop->uv, &loop->wake, on_wake);
    HL_ASSERT(rc == 0); /* the loop has its descriptor already */
    loop->wake.data = loop;
    if (getrandom(&loop->peers.seed, sizeof loop->peers.seed, 0) < 0) {
        loop->peers.seed = (uint32_t)uv_hrtime();
    }
    native_add(loop);
    hl_err err = open_all(loop, msg);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the server's */
    if (err == HL_OK && pthread_create(&loop->thread, NULL, run, loop) != 0) {
        err = hl_fail(msg, HL_EIO, "cannot start a thread: %s", strerror(errno));
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err != HL_OK) {
        close_listeners(loop);
        uv_close((uv_handle_t *)&loop->wake, NULL);
        uv_run(&loop->uv, UV_RUN_DEFAULT);
        dispose(loop);
        return NULL;
    }
    return loop;
}

bool loop_post(struct loop *loop, struct mail *mail)
{
    bool was_empty = false;
    bool put = mailbox_put(&loop->inbox, mail, &was_empty);
    if (put && was_empty) {
        uv_async_send(&loop->wake);
    }
    return put;
}

struct ask {
    struct mail mail;
    struct loop *loop;
    void (*run)(struct loop *loop, void *arg);
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool done;
};

static void run_ask(struct mail *mail)
{
    struct ask *ask = (struct ask *)mail;
    ask->run(ask->loop, ask->arg);
    pthread_mutex_lock(&ask->lock);
    ask->done = true;
    pthread_cond_signal(&ask->over);
    pthread_mutex_unlock(&ask->lock);
}

void loop_ask(struct loop *loop, void (*function)(struct loop *loop, void *arg), void *arg)
{
    struct ask ask = {.mail = {.run = run_ask}, .loop = loop, .run = function, .arg = arg};
    pthread_mutex_init(&ask.lock, NULL);
    pthread_cond_init(&ask.over, NULL);
    bool posted = loop_post(loop, &ask.mail);
    HL_ASSERT(posted); /* only loop_stop() closes the box, and it is the last to ask */
    pthread_mutex_lock(&ask.lock);
    while (!ask.done) {
        pthread_cond_wait(&ask.over, &ask.lock);
    }
    pthread_mutex_unlock(&ask.lock);
    pthread_cond_destroy(&ask.over);
    pthread_mutex_destroy(&ask.lock);
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
    close_listeners(loop);
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
    uv_close((uv_handle_t *)&loop->wake, NULL);
}

bool loop_wait_drained(struct loop *loop, int64_t drain_ms)
{
    struct timespec step = {.tv_nsec = DRAIN_STEP_MS * 1000000L};
    int64_t until_ms = (int64_t)(uv_hrtime() / 1000000) + drain_ms;
    size_t left = 0;
    loop_ask(loop, count_conns, &left);
    while (left != 0 && (int64_t)(uv_hrtime() / 1000000) < until_ms) {
        desk_run(); /* handlers that run on this thread go on, though it is held here */
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
    pthread_join(loop->thread, NULL);
    mailbox_close(&loop->inbox);
    dispose(loop);
}
