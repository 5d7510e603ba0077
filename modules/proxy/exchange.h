/* A request on its way to a backend and its response on the way back.
 *
 *   PX1  a request is sent a second time only when the first connection was never made, or when it
 *        is idempotent, nothing of its body was sent and nothing of a response came; once.
 *   PX2  neither side is read faster than the other takes: at most `buffer` bytes wait.
 *   PX3  what a client does changes nothing about a backend's health.
 */
#ifndef PROXY_EXCHANGE_H
#define PROXY_EXCHANGE_H

#include "headers.h"

#include "net/trace.h"

#include <stdbool.h>
#include <stdint.h>

#define EXCHANGE_KEY_MAX 64 /* of a WebSocket; a right one has 24 characters */

struct backend;
struct client;
struct route;
struct upstream;

/* All zero between requests. */
struct exchange {
    struct route *route;
    struct backend *backend; /* of the attempt */
    struct upstream *up;
    struct hl_buf head; /* as it is sent to a backend */
    struct net_trace trace;
    struct answer answer;
    enum framing framing;
    bool websocket, idempotent, chunked, wants_continue;
    bool trial;       /* the attempt is a breaker's trial */
    bool reusable;    /* the backend keeps its connection behind this response */
    bool body_sent;   /* some of the request's body went to the backend */
    bool responding;  /* the response's head went to the client */
    bool stale_once;  /* a connection of the pool had died before */
    unsigned tries;   /* attempts so far */
    uint64_t tried;   /* backends of the pool, as bits */
    int64_t begun_ms; /* the request */
    uint64_t sent_ns; /* the attempt */
    char key[EXCHANGE_KEY_MAX + 1];
};

/* Begin with a request whose head is read. */
void exchange_begin(struct client *client, const struct hl_http1_head *head);

/* Hand on what has come of the request's body. */
void exchange_request(struct client *client);

/* Hand on what has come of the response. */
void exchange_response(struct client *client);

/* The backend sends nothing more. */
void exchange_response_ended(struct client *client);

/* The connection to the backend is lost. */
void exchange_lost(struct client *client);

/* When the backend, silent since `since_ms`, has been waited for too long. */
int64_t exchange_deadline(const struct client *client, int64_t since_ms);

/* It has. */
void exchange_expired(struct client *client);

/* The whole request took too long. */
void exchange_overdue(struct client *client);

/* Nobody wants the response any more, or the tunnel is over. */
void exchange_abandon(struct client *client);

/* Whether the client, not the backend, is being waited for. */
bool exchange_awaits_body(const struct client *client);

#endif
