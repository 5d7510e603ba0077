/* WebSockets: frames on a connection that was upgraded.
 *
 *   WK1  the handle is the module's until it releases it, and http's until the connection is over:
 *        it ends when both are done.
 *   WK2  after the close frame was sent, nothing is sent; `closed` is told once.
 */
#ifndef HTTP_SOCKET_H
#define HTTP_SOCKET_H

#include "conn.h"

struct helios_http_socket {
    struct loop *loop;
    struct conn *conn;                      /* on http's thread; NULL when over */
    struct helios_http_socket *prev, *next; /* in loop->sockets, while conn is there or told */
    uint64_t owner;
    unsigned flags;
    const struct helios_http_socket_events *events;
    void *data;
    char *protocol;     /* chosen, until the handshake; NULL without */
    struct flow flow;   /* conn's, then ours */
    atomic_int holders; /* WK1 */
    atomic_bool over;   /* closing or closed: send() says EGONE */
    atomic_int events_waiting;
    bool goodbye_sent, pinged, told;
};

/* Whether the request asks for a WebSocket, correctly. */
bool socket_is_wanted(const struct hl_http1_head *head);

/* Answer 101 on the request's connection, which becomes the socket's; the request ends. */
void socket_open(struct helios_http_socket *socket, struct helios_http_request *request);

/* Read frames in the connection's input; false when there is nothing more to do now. */
bool socket_frames(struct helios_http_socket *socket);

/* Send a message; its bytes are in flow.queued already. */
void socket_send(struct helios_http_socket *socket, bool text, struct hl_slice bytes);

/* Send a close frame, and close once the peer has answered or a moment has passed. */
void socket_goodbye(struct helios_http_socket *socket, int code, struct hl_slice reason);

/* The interval has passed: ping, or give up a peer that did not answer the last one. */
void socket_ping(struct helios_http_socket *socket);

/* There is room for more. */
void socket_room(struct helios_http_socket *socket);

/* The connection is over. */
void socket_lose(struct helios_http_socket *socket, int code);

/* An event was taken on the server's thread. */
void socket_took(struct helios_http_socket *socket);

/* One of the holders of WK1 is done; from any thread. */
void socket_release(struct helios_http_socket *socket);

#endif
