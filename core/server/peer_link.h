/* One connection between two nodes: frames in and out, encrypted or not.
 *
 * Invariants:
 *   L1  frames leave whole and in order, unless the connection breaks or the oldest that has not
 *       begun to leave is dropped for room.
 *   L2  memory: what is received grows with bytes that arrived, never with a length that was merely
 *       read, up to one frame of `body_max`; what waits to be sent is at most `queue_max` bytes, or
 *       one frame.
 *   L3  after `down` nothing more is told of the link; it frees itself when its handle is closed.
 */
#ifndef HL_SERVER_PEER_LINK_H
#define HL_SERVER_PEER_LINK_H

#include "base/list.h"
#include "kit/tls.h"
#include "node/wire.h"

#include <uv.h>

struct peer_link;

/* What a link tells its owner; `owner` is a link's own field. */
struct peer_link_events {
    /* Connected, the TLS handshake over: frames may be sent. */
    void (*ready)(struct peer_link *link);
    /* A whole frame, borrowed for the call. */
    void (*frame)(struct peer_link *link, const struct hl_wire_frame *frame, struct hl_slice bytes);
    /* It broke or was closed (L3); `why` is "" when nobody is to be blamed. */
    void (*down)(struct peer_link *link, const char *why);
};

struct peer_link {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    const struct peer_link_events *events;
    void *owner, *context; /* the owner's */
    struct hl_list_node node;
    struct hl_tls *tls; /* NULL: plain */
    char label[160];    /* who it is, for people */

    hl_peer id; /* of the other node, once it is known */
    enum hl_peer_class peer_class;
    uint64_t incarnation;
    bool inbound, ready, greeted, closing;
    bool hang_up; /* close when everything has left */

    unsigned unanswered_ms; /* sent bytes not acknowledged for so long: the other is gone */
    uint32_t body_max;      /* longest body accepted */
    size_t queue_max;       /* bytes waiting to leave */
    uint64_t begun_ms;      /* when it was made */
    uint64_t progress_ms;   /* when something last arrived */
    struct hl_buf in;       /* of a frame not yet whole */
    struct hl_list_node queue;
    size_t queue_size, queue_count;
    bool writing;
    struct hl_buf chunk; /* with the kernel while `writing` */
    uint64_t bytes_in, bytes_out;
};

/* Make a link for the loop, not connected; `tls` is taken. */
struct peer_link *peer_link_create(uv_loop_t *loop, const struct peer_link_events *events,
                                   void *owner, struct hl_tls *given_tls);

/* Connect; `ready` or `down` follow. */
void peer_link_connect(struct peer_link *link, const struct sockaddr *address);

/* Take the connection that `server` has waiting.  False when it is gone; close the link then. */
bool peer_link_accept(struct peer_link *link, uv_stream_t *server);

/*
 * Send a frame, borrowed for the call.
 * drop_oldest  make room by dropping what has waited longest; otherwise HL_EFULL takes nothing
 * *dropped     is raised by the frames that were dropped
 * Errors of the connection arrive by `down`.
 */
HL_MUST_USE hl_err peer_link_send(struct peer_link *link, struct hl_slice frame, bool drop_oldest,
                                  uint64_t *dropped);

/* True while a frame has begun to arrive. */
bool peer_link_in_frame(const struct peer_link *link);

/* Close when what was sent has left. */
void peer_link_hang_up(struct peer_link *link);

/* Close now and tell `down` why; a link that is closing already stays as it is. */
void peer_link_fail(struct peer_link *link, const char *why);

#endif
