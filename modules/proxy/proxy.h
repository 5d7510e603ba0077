/* The proxy's own thread: what it owns, and the ways in.  The rules of net/loop.h hold. */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include "fleet.h"

#include "kit/tls.h"
#include "net/loop.h"

struct client;

struct proxy {
    struct net_loop net;
    struct hl_tls_context *tls;
    struct fleet fleet;
    struct client *clients;
    size_t client_count, upstream_count, tunnel_count;
    uv_timer_t tick;
    bool draining, ending;
    size_t chance_left; /* random bytes not used yet */
    unsigned char chance[4096];
};

/* Open the listeners of the settings and begin the thread; on the server's thread.  NULL after
 * filling `msg`. */
struct proxy *proxy_start(struct hl_errmsg *msg);

/* Work with another configuration, which is given; from the server's thread. */
void proxy_publish(struct proxy *proxy, struct config *given_config);

/* Run a function on the thread and wait for it; on the server's thread. */
void proxy_ask(struct proxy *proxy, void (*run)(struct proxy *proxy, void *arg), void *arg);

/* Read the certificate and its key anew, for connections to come; on the server's thread.  HL_EIO
 * or HL_EINVAL with the reason: it stays as it was. */
HL_MUST_USE hl_err proxy_reload(struct proxy *proxy, struct hl_errmsg *msg);

/* Listen no more, close idle connections, and let the others end with their request. */
void proxy_drain(struct proxy *proxy);

/* Wait up to `drain_ms` until no client is left; on the server's thread.  False when some are. */
bool proxy_wait_drained(struct proxy *proxy, int64_t drain_ms);

/* Drain, wait as above, then cut what is left, end the thread and release everything; on the
 * server's thread. */
void proxy_stop(struct proxy *proxy, int64_t drain_ms);

/* Random bytes for ids; on the thread. */
void proxy_chance(struct proxy *proxy, unsigned char *out, size_t len);

#endif
