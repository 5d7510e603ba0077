/* A connection to a backend: it serves one request at a time, waits for the next, or is a tunnel.
 *
 *   PU1  a connection is used again only when the last response was whole, said so, and nothing
 *        stands behind it.
 *   PU2  while it waits, a byte from the backend, or its end, closes it.
 */
#ifndef PROXY_UPSTREAM_H
#define PROXY_UPSTREAM_H

#include "fleet.h"

#include "kit/http1.h"
#include "net/stream.h"

struct client;

enum upstream_state {
    UP_CONNECTING,
    UP_BUSY,   /* with a request */
    UP_TUNNEL, /* behind 101 */
    UP_IDLE,   /* in its backend's pool */
    UP_GONE,   /* parted from its request, and ending */
};

struct upstream {
    struct net_stream s;
    struct proxy *proxy;
    struct backend *backend;
    struct upstream *prev, *next; /* in backend->idle */
    enum upstream_state state;
    struct hl_http1 *http;
    struct client *client; /* whose request; NULL without */
    bool reused;           /* it has served before */
    bool stalled;          /* the backend took no byte for too long */
    int64_t since_ms;      /* of the state; while busy, of the last byte */
};

/* Take a connection out of the backend's pool, or open one, for the client's request. */
struct upstream *upstream_take(struct backend *backend, struct client *client);

/* Part from the request: keep the connection for another when `reusable` (PU1), else close it. */
void upstream_part(struct upstream *up, bool reusable);

/* Close what waits in the pool. */
void upstream_close_idle(struct backend *backend);

#endif
