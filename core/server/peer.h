/* Peer transport: the connections between the nodes of a group.
 *
 * Every node dials every other once for each class, and sends on what it dialled only; what others
 * dialled it reads only.  So a snapshot or a client's large request never delays a heartbeat, and
 * no two nodes argue about whose connection stays.
 *
 * Invariants:
 *   P1  a frame other than HELLO is sent or told only on a connection on which both sides have
 *       shown cluster, node id and incarnation, and found them right.
 *   P2  one inbound connection for each node and class: the newest of the newest incarnation.
 *   P3  everything is bounded: inbound connections, those of them that have not said who they are,
 *       their time to say it, frames, queues, nodes known.
 *   P4  names are looked up again for every attempt, and attempts to reach one node are spread by
 *       chance and never closer than 50 ms.
 *
 * The class RAFT drops the oldest frame when a peer is slow: a newer one says more.  The others
 * report: hooks.lost() tells that something did not arrive.
 */
#ifndef HL_SERVER_PEER_H
#define HL_SERVER_PEER_H

#include "node/wire.h"

#include <uv.h>

/* Opaque: callers hold a pointer and never a field. */
struct hl_peers;

/* Who this node is; texts are borrowed until the next question. */
struct hl_peers_self {
    unsigned char cluster_id[16]; /* all zero: of none yet */
    hl_peer id;
    uint64_t incarnation;
    bool empty;             /* nothing is in its log */
    bool loading;           /* it cannot say yet who its members are */
    bool waiting;           /* without a cluster, it takes the one of whoever was told to add it */
    uint32_t level;         /* feature level that it understands (node/level.h) */
    hl_index members_index; /* the committed entry that names its members; 0: not known */
    const char *name, *raft_addr, *client_addr;
    uint32_t list_count; /* names of the founders, its own among them; 0: knows of none */
    const char *list[HL_MEMBERS_MAX];
};

/* What the transport asks and tells, on the loop's thread.  lost() may not change the members. */
struct hl_peers_hooks {
    void *ctx;
    /* Before any of the calls below: the loop's iteration begins. */
    void (*enter)(void *ctx);
    void (*self)(void *ctx, struct hl_peers_self *out);
    /* A frame of a node that has shown who it is (P1); borrowed. */
    void (*message)(void *ctx, hl_peer from, struct hl_slice frame);
    /* Frames to or from this node may have been lost: a connection broke, or a queue was full. */
    void (*lost)(void *ctx, hl_peer peer, enum hl_peer_class peer_class);
    /* What hl_peers_ask() found; `hello` is NULL when nobody answered, and `why` says why. */
    void (*answer)(void *ctx, const char *name, const struct hl_wire_frame *frame,
                   const struct hl_hello *hello, const char *why);
    /* A node without a cluster asks; what it said of itself. */
    void (*asked)(void *ctx, const struct hl_wire_frame *frame, const struct hl_hello *hello);
    /* A known node said which feature level it understands.  May be NULL. */
    void (*level)(void *ctx, hl_peer peer, uint32_t level);
    /* A node has connected, and says this of itself.  May be NULL. */
    void (*greeted)(void *ctx, hl_peer from, const struct hl_hello *hello);
    /* A node that this one has connected to answered; of the same cluster.  May be NULL. */
    void (*told)(void *ctx, const struct hl_hello *hello);
    void (*log)(void *ctx, int level, const char *line);
};

struct hl_peers_options {
    const char *bind;                               /* host:port; borrowed for the call */
    struct hl_tls_context *tls_server, *tls_client; /* borrowed until replaced; NULL: plain */
    const char *tls_name;   /* expected in certificates; "": the node's name; borrowed */
    bool tls_any_name;      /* certificates are not compared with names */
    uint64_t seed;          /* for the spread of attempts */
    unsigned greeting_ms;   /* to connect, shake hands and say HELLO; 0: 5 seconds */
    unsigned unanswered_ms; /* a node that acknowledges nothing for so long is gone; 0: 4 seconds */
};

/* Make a transport, which listens and dials nobody yet.  `hooks` is copied.  HL_EIO with the
 * address and the reason when nothing can be listened on; *out is then untouched. */
HL_MUST_USE hl_err hl_peers_create(struct hl_peers **out, uv_loop_t *loop,
                                   const struct hl_peers_options *options,
                                   const struct hl_peers_hooks *hooks, struct hl_errmsg *msg);

/* Close everything; nothing is told any more.  The loop must run until its handles are closed, and
 * then the transport has freed itself.  NULL is allowed. */
void hl_peers_destroy(struct hl_peers *peers);

/* Use these contexts for connections to come. */
void hl_peers_set_tls(struct hl_peers *peers, struct hl_tls_context *server,
                      struct hl_tls_context *client);

/* Keep connections to these nodes (other than this one) and to nobody else. */
void hl_peers_set(struct hl_peers *peers, const struct hl_members *members);

/* Send a frame; borrowed.  What cannot be sent is dropped, see above. */
void hl_peers_send(struct hl_peers *peers, hl_peer to, enum hl_peer_class peer_class,
                   struct hl_slice frame);

/* Ask whoever is at `address` who it is; hooks.answer() tells, with `name`.  A question still open
 * for this name is not asked again. */
void hl_peers_ask(struct hl_peers *peers, const char *name, const char *address);

/* True when a connection of this class to the node stands. */
bool hl_peers_is_up(const struct hl_peers *peers, hl_peer to, enum hl_peer_class peer_class);

/* The same, and the node's own connection to this one stands too: an answer can come. */
bool hl_peers_is_linked(const struct hl_peers *peers, hl_peer to, enum hl_peer_class peer_class);

/* Append lines for INFO. */
void hl_peers_info(const struct hl_peers *peers, struct hl_buf *out);

#endif
