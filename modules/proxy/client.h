/* A client's connection, and the one request that is on it.
 *
 *   PL1  at each moment one deadline is set, for what the client is waited for.
 *   PL2  a connection has at most one request at a time: pipelined ones wait in its buffer.
 *   PL3  after a malformed message nothing more is read as a message.
 */
#ifndef PROXY_CLIENT_H
#define PROXY_CLIENT_H

#include "exchange.h"

#include "kit/http1.h"
#include "net/stream.h"

#define CLIENT_DISCARD_MAX                                                                         \
    (64 * 1024) /* an unread body up to this is read, to keep the connection */

enum client_state {
    CLIENT_HANDSHAKE, /* TLS */
    CLIENT_IDLE,      /* between messages */
    CLIENT_HEAD,      /* a head has begun */
    CLIENT_EXCHANGE,  /* a request is with a backend */
    CLIENT_DISCARD,   /* answered; the rest of its body is thrown away */
    CLIENT_TUNNEL,    /* a WebSocket */
    CLIENT_LINGER,    /* nothing more is read */
    CLIENT_CLOSING,
};

struct client {
    struct net_stream s;
    struct proxy *proxy;
    struct client *prev, *next; /* in proxy->clients */
    enum client_state state;
    struct hl_http1 *http;
    struct exchange x;
    bool secure, listed;
    bool last;        /* no request behind this one */
    bool body_open;   /* there is more of the request's body */
    int64_t since_ms; /* of the state; in a tunnel, of the last byte */
    uint64_t served;
    uint64_t body_in; /* bytes of the body that was read since since_ms */
};

/* Take a connection off a listener. */
void client_accept(struct net_listener *listener);

/* Go to a state (PL1). */
void client_enter(struct client *client, enum client_state state);

/* The response is complete in `out`: go on with the next message, or close. */
void client_answered(struct client *client);

/* Answer a message that cannot be read or forwarded, and close (PL3). */
void client_refuse(struct client *client, int status, const char *why);

/* Close once all is sent. */
void client_finish(struct client *client);

/* Move bytes both ways, and ends. */
void client_tunnel(struct client *client);

/* No more requests: close idle connections, the others behind their response. */
void client_drain_all(struct proxy *proxy);

/* Close all at once. */
void client_close_all(struct proxy *proxy);

#endif
