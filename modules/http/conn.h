/* A connection: bytes, TLS, time-outs; and the messages on it.
 *
 *   CN1  `in` never holds more than a head and HTTP_READ_MAX bytes: when nobody takes them, the
 *        socket is not read.
 *   CN2  at each moment one deadline is set, for what the connection is waiting for.
 *   CN3  after a malformed message nothing more is read as a message: it is answered, its bytes are
 *        thrown away for a moment so that the answer arrives, and it is closed.
 */
#ifndef HTTP_CONN_H
#define HTTP_CONN_H

#include "loop.h"

#include "kit/bytes.h"
#include "kit/http1.h"
#include "kit/tls.h"
#include "kit/ws.h"

#include <stdatomic.h>

#define HTTP_LINGER_MS 1000          /* how long bytes are thrown away */
#define HTTP_LINGER_MAX (256 * 1024) /* and how many */
#define HTTP_DISCARD_MAX                                                                           \
    (64 * 1024) /* an unread body up to this is read to keep the connection                        \
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
    CONN_LINGER,    /* CN3 */
    CONN_CLOSING,
};

struct conn {
    struct loop *loop;
    struct conn *prev, *next; /* in loop->conns */
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_write_t write;
    uv_shutdown_t shutdown;
    int handles; /* of the three that libuv still knows */
    enum conn_state state;
    struct hl_tls *tls;
    struct hl_http1 *http;
    struct hl_buf in;
    struct hl_buf out;             /* to be sent, before encryption */
    struct hl_buf writing;         /* what libuv is sending */
    size_t out_flow, writing_flow; /* bytes of `flow` among them */
    struct flow *flow;             /* of the request or socket that writes; NULL without */
    struct helios_http_request *request;
    struct helios_http_socket *socket;
    struct hl_ws_reader frames;
    bool last;        /* no request behind this one */
    bool close_after; /* nothing more will be put into `out` */
    bool reading, eof, busy_write, advancing, shut, body_open, secure;
    int64_t deadline_ms, since_ms; /* since: of the state */
    size_t stalled;                /* bytes libuv had to send when last looked */
    uint64_t served, body_in, lingered;
    unsigned char address[16];
    char remote[46];
};

/* Take a connection off a listener. */
void conn_accept(struct listener *listener);

/* Go to a state and set its deadline (CN2). */
void conn_enter(struct conn *conn, enum conn_state state);

/* Send what is in `out`. */
void conn_flush(struct conn *conn);

/* Go on with what is in `in`; call it whenever something has changed. */
void conn_advance(struct conn *conn);

/* Answer a message that cannot be read, and close (CN3). */
void conn_refuse(struct conn *conn, int status, const char *why);

/* The answer is complete in `out`: go on with the next message, or close. */
void conn_answered(struct conn *conn);

/* No more requests: close now when idle, else behind the answer. */
void conn_drain(struct conn *conn);

/* Close once `out` is sent. */
void conn_finish(struct conn *conn);

/* Close at once. */
void conn_close(struct conn *conn);

/* Read messages in `in`; what conn_advance() does. In conn_http.c. */
void conn_messages(struct conn *conn);

/* The deadline of the state has passed.  In conn_http.c. */
void conn_expired(struct conn *conn);

/* The peer will send nothing more.  In conn_http.c. */
void conn_ended(struct conn *conn);

#endif
