/* A thread with an event loop. */
#include "net/loop.h"

#include "kit/assert.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define BACKLOG 511

/* --- life ------------------------------------------------------------------------------------- */

static void on_wake(uv_async_t *wake)
{
    struct net_loop *loop = wake->data;
    net_mail_run(net_mailbox_take(&loop->inbox));
}

hl_err net_loop_init(struct net_loop *loop, struct hl_errmsg *msg)
{
    if (uv_loop_init(&loop->uv) != 0) {
        return hl_fail(msg, HL_EIO, "cannot make an event loop: %s", strerror(errno));
    }
    net_mailbox_init(&loop->inbox);
    int rc = uv_async_init(&loop->uv, &loop->wake, on_wake);
    HL_ASSERT(rc == 0); /* the loop has its descriptor already */
    loop->wake.data = loop;
    if (getrandom(&loop->peers.seed, sizeof loop->peers.seed, 0) < 0) {
        loop->peers.seed = (uint32_t)uv_hrtime();
    }
    return HL_OK;
}

/* Where it listens, as "127.0.0.1:8443": the port may have been the system's choice. */
static void name_listener(struct net_listener *listener)
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

static void on_connection(uv_stream_t *stream, int status)
{
    struct net_listener *listener = stream->data;
    if (status == 0) {
        listener->accept(listener);
    } else {
        listener->failed(listener, uv_strerror(status));
    }
}

hl_err net_loop_listen(struct net_loop *loop, const struct net_address *address,
                       void (*accept)(struct net_listener *listener),
                       void (*failed)(struct net_listener *listener, const char *why),
                       struct hl_errmsg *msg)
{
    HL_ASSERT(loop->listener_count < NET_LISTENERS_MAX);
    struct net_listener *listener = &loop->listeners[loop->listener_count];
    int rc = uv_tcp_init(&loop->uv, &listener->tcp);
    if (rc != 0) {
        return hl_fail(msg, HL_EIO, "cannot listen: %s", uv_strerror(rc));
    }
    loop->listener_count++;
    listener->open = true;
    listener->loop = loop;
    listener->accept = accept;
    listener->failed = failed;
    listener->tls = address->tls;
    listener->tcp.data = listener;
    rc = uv_tcp_bind(&listener->tcp, (const struct sockaddr *)&address->address, 0);
    if (rc == 0) {
        rc = uv_listen((uv_stream_t *)&listener->tcp, BACKLOG, on_connection);
    }
    uint16_t port = ntohs(((const struct sockaddr_in *)&address->address)->sin_port);
    if (rc != 0 && address->optional) {
        snprintf(listener->name, sizeof listener->name, "port %u", port);
        failed(listener, uv_strerror(rc));
        listener->open = false;
        uv_close((uv_handle_t *)&listener->tcp, NULL);
        return HL_OK;
    }
    if (rc != 0) {
        return hl_fail(msg, HL_EIO, "cannot listen on port %u: %s", port, uv_strerror(rc));
    }
    name_listener(listener);
    return HL_OK;
}

static void *run(void *arg)
{
    struct net_loop *loop = arg;
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    return NULL;
}

hl_err net_loop_run(struct net_loop *loop, struct hl_errmsg *msg)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the server's */
    int rc = pthread_create(&loop->thread, NULL, run, loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ? HL_OK : hl_fail(msg, HL_EIO, "cannot start a thread: %s", strerror(rc));
}

void net_loop_cancel(struct net_loop *loop)
{
    net_loop_deafen(loop);
    net_loop_end(loop);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    net_loop_fini(loop);
}

/* --- ways in ---------------------------------------------------------------------------------- */

bool net_loop_post(struct net_loop *loop, struct net_mail *mail)
{
    bool was_empty = false;
    bool put = net_mailbox_put(&loop->inbox, mail, &was_empty);
    if (put && was_empty) {
        uv_async_send(&loop->wake);
    }
    return put;
}

struct ask {
    struct net_mail mail;
    void (*run)(void *arg);
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool done;
};

static void run_ask(struct net_mail *mail)
{
    struct ask *ask = (struct ask *)mail;
    ask->run(ask->arg);
    pthread_mutex_lock(&ask->lock);
    ask->done = true;
    pthread_cond_signal(&ask->over);
    pthread_mutex_unlock(&ask->lock);
}

void net_loop_ask(struct net_loop *loop, void (*function)(void *arg), void *arg)
{
    struct ask ask = {.mail = {.run = run_ask}, .run = function, .arg = arg};
    pthread_mutex_init(&ask.lock, NULL);
    pthread_cond_init(&ask.over, NULL);
    bool posted = net_loop_post(loop, &ask.mail);
    HL_ASSERT(posted); /* only net_loop_join() closes the box, and nobody asks behind it */
    pthread_mutex_lock(&ask.lock);
    while (!ask.done) {
        pthread_cond_wait(&ask.over, &ask.lock);
    }
    pthread_mutex_unlock(&ask.lock);
    pthread_cond_destroy(&ask.over);
    pthread_mutex_destroy(&ask.lock);
}

/* --- ending ----------------------------------------------------------------------------------- */

void net_loop_deafen(struct net_loop *loop)
{
    for (size_t i = 0; i < loop->listener_count; i++) {
        if (loop->listeners[i].open) {
            loop->listeners[i].open = false;
            uv_close((uv_handle_t *)&loop->listeners[i].tcp, NULL);
        }
    }
}

void net_loop_end(struct net_loop *loop)
{
    uv_close((uv_handle_t *)&loop->wake, NULL);
}

void net_loop_join(struct net_loop *loop)
{
    pthread_join(loop->thread, NULL);
    net_mailbox_close(&loop->inbox);
}

void net_loop_fini(struct net_loop *loop)
{
    for (struct net_mail *mail = net_mailbox_take(&loop->inbox); mail != NULL;
         mail = net_mailbox_take(&loop->inbox)) {
        net_mail_run(mail); /* what came late finds nobody connected */
    }
    net_mailbox_fini(&loop->inbox);
    int busy = uv_loop_close(&loop->uv);
    HL_ASSERT(busy == 0);
}

/* --- time ------------------------------------------------------------------------------------- */

int64_t net_loop_now_ms(struct net_loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

const char *net_loop_date(struct net_loop *loop)
{
    uv_timeval64_t now = {0};
    (void)uv_gettimeofday(&now);
    if (now.tv_sec != loop->date_s || loop->date[0] == '\0') {
        loop->date_s = now.tv_sec;
        hl_http1_date(loop->date, now.tv_sec);
    }
    return loop->date;
}
