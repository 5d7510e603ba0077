/* http's own thread: what it owns, and the ways in.  The rules of net/loop.h hold, and
 *
 *   L1  a connection has at most one request at a time: pipelined ones wait in its buffer, so
 *       answers keep their order.
 */
#ifndef HTTP_LOOP_H
#define HTTP_LOOP_H

#include "router.h"

#include "helios/http_service.h"
#include "net/loop.h"

#define HTTP_FILTERS_MAX 32

struct access_log;
struct conn;
struct hl_tls_context;
struct loop;

/* A handler with what it is called with; shared by the route and its requests. */
struct served {
    unsigned refs;
    uint64_t owner;
    helios_http_handler handle;
    void *data;
    unsigned flags;
    uint64_t body_max;
    char method[ROUTE_METHOD_MAX + 1];
    char pattern[ROUTE_PATTERN_MAX + 1];
};

struct filter {
    uint64_t owner;
    int order;
    helios_http_handler run;
    void *data;
    unsigned flags;
};

struct observer {
    uint64_t owner;
    helios_http_observer run;
    void *data;
};

struct loop {
    struct net_loop net;
    struct router router; /* its values are struct served */
    struct filter filters[HTTP_FILTERS_MAX];
    size_t filter_count;
    struct observer observers[HTTP_FILTERS_MAX];
    size_t observer_count;
    struct hl_tls_context *tls;
    struct access_log *log;
    struct conn *conns;
    size_t conn_count, socket_count;
    struct helios_http_request *requests; /* that somebody holds */
    struct helios_http_socket *sockets;
    bool draining, ending;
};

/* Open the listeners of the settings and begin the thread; on the server's thread. NULL after
 * filling `msg`. */
struct loop *loop_start(struct hl_errmsg *msg);

/* Post mail to the thread; from any thread.  False when it has ended. */
bool loop_post(struct loop *loop, struct net_mail *mail);

/* Read the certificate and its key anew, for connections to come, and open the access log's file
 * anew; on the server's thread.  HL_EIO or HL_EINVAL with the reason in `msg`: what failed stays as
 * it was. */
HL_MUST_USE hl_err loop_reload(struct loop *loop, struct hl_errmsg *msg);

/* Run a function on the thread and wait for it; on the server's thread. */
void loop_ask(struct loop *loop, void (*run)(struct loop *loop, void *arg), void *arg);

/* Listen no more, close idle connections, and let the others end with their request. */
void loop_drain(struct loop *loop);

/* Wait up to `drain_ms` until no connection is left, running the server's mail meanwhile; on the
 * server's thread.  False when some are left. */
bool loop_wait_drained(struct loop *loop, int64_t drain_ms);

/* Drain, wait as above, then cut what is left, end the thread and release everything; on the
 * server's thread. */
void loop_stop(struct loop *loop, int64_t drain_ms);

/* Milliseconds of a clock that never steps back, as of this turn of the loop. */
int64_t loop_now_ms(struct loop *loop);

/* The date for a message; on the thread. */
const char *loop_date(struct loop *loop);

#endif
