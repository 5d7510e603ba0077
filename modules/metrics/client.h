/* A connection that asks for metrics by HTTP/1.1: one request at a time. */
#ifndef METRICS_CLIENT_H
#define METRICS_CLIENT_H

#include "endpoint.h"

#include "kit/http1.h"
#include "net/stream.h"

struct client {
    struct net_stream stream; /* first: see client_of() */
    struct endpoint *endpoint;
    struct client *prev, *next; /* in endpoint->clients */
    struct hl_http1 *http;
    bool listed;
    bool waits;       /* for `round` */
    uint64_t round;   /* of collecting */
    int64_t since_ms; /* of what it does now */
    enum render_form form;
    bool head_only, last; /* of the request that waits: HEAD; the connection ends behind it */
};

/* Take a connection off a listener. */
void client_accept(struct net_listener *listener);

/* The rounds up to this one are over: answer who waited for them.  `texts` are made as needed; the
 * caller ends them. */
void clients_answer(struct endpoint *endpoint, uint64_t round, struct hl_buf texts[RENDER_FORMS]);

/* Whether somebody waits for a round that is not over. */
bool clients_wait(const struct endpoint *endpoint);

#endif
