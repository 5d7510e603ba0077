/* Names that follow a request through the systems: X-Request-ID and W3C traceparent. */
#ifndef NET_TRACE_H
#define NET_TRACE_H

#include "kit/bytes.h"

#define NET_TRACE_ID_MAX 64     /* characters of a request id that is taken from a client */
#define NET_TRACE_PARENT_LEN 55 /* "00-" trace "-" span "-" flags */
#define NET_TRACE_CHANCE 24     /* bytes of chance that both need */

struct net_trace {
    char request_id[NET_TRACE_ID_MAX + 1];
    char parent[NET_TRACE_PARENT_LEN + 1]; /* to hand on: the client's trace, a span of ours */
};

/*
 * Take the client's names where they are sane and make the others.
 *
 * request_id   the header's value; ptr NULL without.  Taken when it is 1 to NET_TRACE_ID_MAX
 * letters, digits and "-._". traceparent  the same; taken when it is version 00 with ids that are
 * not all zero, or a later version that begins like it. chance       random bytes.
 */
void net_trace_init(struct net_trace *trace, struct hl_slice request_id,
                    struct hl_slice traceparent, const unsigned char chance[NET_TRACE_CHANCE]);

#endif
