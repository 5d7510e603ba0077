/* A connection: a stream, and the messages on it.
 *
 *   CN1  at each moment one deadline is set, for what the connection is waiting for.
 *   CN2  after a malformed message nothing more is read as a message: it is answered and finished.
 */
#ifndef HTTP_CONN_H
#define HTTP_CONN_H

#include "loop.h"

#include "kit/bytes.h"
#include "kit/http1.h"
#include "kit/ws.h"
#include "net/stream.h"

#include <stdatomic.h>

#define HTTP_DISCARD_MAX                                                                           \
    (64 * 1024) /* an unread body up to this is read, to keep the connection                       \
                 */

/* What another thread may have on the way to a client. */
struct flow {
    atomic_size_t queued;
    atomic_bool wants_room;
};

enum conn_state {
    CONN_HANDSHAKE, /* TLS */
    CONN_IDLE,      /* between messages */
    CONN_HEAD,      /* a head has begun */
    CONN_FILTERS,   /* a request is with a filter */
    CONN_BODY,      /* its body is awaited */
    CONN_HANDLER,   /* it is with its handler, which will answer */
    CONN_ANSWER,    /* the answer has begun */
    CONN_DISCARD,   /* answered; the rest of its body is thrown away */
    CONN_SOCKET,    /* a WebSocket */
    CONN_LINGER,    /* nothing more is read */
    CONN_CLOSING,
};

struct conn {
    struct net_stream s; /* its `marked` are bytes of `flow` */
    struct loop *loop;
    struct conn *prev, *next; /* in loop->conns */
    enum conn_state state;
    struct hl_http1 *http;
    struct flow *flow; /* of the request or socket that writes; NULL without */
    struct helios_http_request *request;
    struct helios_http_socket *socket;
    struct hl_ws_reader frames;
    bool last;   /* no request behind this one */
    bool listed; /* in loop->conns, and counted */
    bool body_open, secure;
    int64_t since_ms; /* of the state */
    uint64_t served, body_in;
};

/* Take a connection off a listener. */
void conn_accept(struct net_listener *listener);

/* Go to a state and set its deadline (CN1). */
void conn_enter(struct conn *conn, enum conn_state state);

/* Send what is to be sent. */
void conn_flush(struct conn *conn);

/* Go on with what has come; call it whenever something has changed. */
void conn_advance(struct conn *conn);

/* Answer a message that cannot be read, and close (CN2). */
void conn_refuse(struct conn *conn, int status, const char *why);

/* The answer is complete: go on with the next message, or close. */
void conn_answered(struct conn *conn);

/* No more requests: close now when idle, else behind the answer. */
void conn_drain(struct conn *conn);

/* Close once all is sent. */
void conn_finish(struct conn *conn);

/* Close at once. */
void conn_close(struct conn *conn);

/* Read messages; what conn_advance() does. In conn_http.c. */
void conn_messages(struct conn *conn);

/* The deadline of the state has passed.  In conn_http.c. */
void conn_expired(struct conn *conn);

/* The peer will send nothing more.  In conn_http.c. */
void conn_ended(struct conn *conn);

#endif
