/* A thread with an event loop: listeners, mail, the time.
 *
 *   NL1  everything in struct net_loop but `inbox` is touched on its thread alone, or before that
 *        begins and after it has ended; other threads post mail.
 *   NL2  the thread never waits for the server's; the server's may wait for it (net_loop_ask()).
 *
 * Life: net_loop_init(), net_loop_listen() any number of times, net_loop_run(); then, on the
 * thread, net_loop_end() once nothing else is open; net_loop_join(), net_loop_fini().  When
 * something fails before net_loop_run() succeeded: net_loop_cancel() instead.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "net/listen.h"
#include "net/mail.h"
#include "net/peers.h"

#include "kit/err.h"
#include "kit/http1_text.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define NET_READ_MAX (64 * 1024) /* bytes taken from a socket at once, shared by all */
#define NET_NAME_MAX 80          /* "[address]:port" and its NUL */

struct net_loop;

struct net_listener {
    uv_tcp_t tcp; /* its data is the listener */
    struct net_loop *loop;
    void (*accept)(struct net_listener *listener);
    void (*failed)(struct net_listener *listener, const char *why);
    bool tls, open;
    char name[NET_NAME_MAX]; /* where it listens, "127.0.0.1:8443" */
};

struct net_loop {
    uv_loop_t uv;
    uv_async_t wake;
    pthread_t thread;
    struct net_mailbox inbox;
    struct net_listener listeners[NET_LISTENERS_MAX];
    size_t listener_count;
    struct net_peers peers;
    int64_t date_s; /* when `date` was written */
    char date[HL_HTTP1_DATE_MAX];
    char read[NET_READ_MAX];
};

/* Fill in a loop (caller's memory, all zero).  HL_EIO with the reason in `msg`: nothing is left. */
HL_MUST_USE hl_err net_loop_init(struct net_loop *loop, struct hl_errmsg *msg);

/* Listen there.  `accept` is called on the thread for each connection that waits to be taken with
 * net_stream_accept(), `failed` when the system has none to give, and at once when an
 * optional address is in use.  HL_EIO with the reason. */
HL_MUST_USE hl_err net_loop_listen(struct net_loop *loop, const struct net_address *address,
                                   void (*accept)(struct net_listener *listener),
                                   void (*failed)(struct net_listener *listener, const char *why),
                                   struct hl_errmsg *msg);

/* Begin the thread, which takes no signals.  HL_EIO with the reason. */
HL_MUST_USE hl_err net_loop_run(struct net_loop *loop, struct hl_errmsg *msg);

/* Close what was opened before a thread ran, and end the loop. */
void net_loop_cancel(struct net_loop *loop);

/* Post mail to the thread; from any thread.  False when it has ended: the mail is the caller's. */
bool net_loop_post(struct net_loop *loop, struct net_mail *mail);

/* Run a function on the thread and wait for it; not on the thread itself, nor once it has ended. */
void net_loop_ask(struct net_loop *loop, void (*run)(void *arg), void *arg);

/* Listen no more; on the thread. */
void net_loop_deafen(struct net_loop *loop);

/* Let the thread end with the last open handle; on the thread. */
void net_loop_end(struct net_loop *loop);

/* Wait for the thread's end; then no more mail is taken. */
void net_loop_join(struct net_loop *loop);

/* Run the mail that came late and release what the loop holds; no handle may be open. */
void net_loop_fini(struct net_loop *loop);

/* Milliseconds of a clock that never steps back, as of this turn of the loop; on the thread. */
int64_t net_loop_now_ms(struct net_loop *loop);

/* The date for a message; on the thread. */
const char *net_loop_date(struct net_loop *loop);

#endif
