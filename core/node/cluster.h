/* A node as one of a group: what the edge, or the simulator, drives beside the loop of node.h.
 *
 * Everything here happens within an iteration, between hl_node_begin() and hl_node_end():
 *
 *     a frame arrived                          hl_node_peer_message()
 *     a connection to a member broke           hl_node_peer_lost()
 *     the monotonic clock reached wake_us      hl_node_tick()
 *     before sleeping                          hl_node_wake_us()
 *
 * and world->send() and world->peers() are called back.  A group of one voter needs none of it.
 *
 * How a node begins.  With a log or a snapshot it is what those say.  With neither it founds a
 * group of its own, unless it was told otherwise before the first hl_node_load_step():
 *   hl_node_join()       it waits until a leader that has added it sends it the log;
 *   hl_node_bootstrap()  it is one of several that were started together, all of them empty and all
 *                        listing the same set: the edge has asked every one (PROTOCOL section 10).
 */
#ifndef HL_NODE_CLUSTER_H
#define HL_NODE_CLUSTER_H

#include "node/wire.h"

struct hl_node;
struct hl_stop;

/* What happens to a write that a client sends to a node which does not lead. */
enum hl_follower_writes {
    HL_FOLLOWER_WRITES_FORWARD = 0, /* the leader runs it; its reply comes back */
    HL_FOLLOWER_WRITES_REDIRECT,    /* -MOVED with the leader's client address */
    HL_FOLLOWER_WRITES_REFUSE,      /* -READONLY */
};

/* What a read on a node that does not lead may see (PROTOCOL section 5). */
enum hl_consistency {
    HL_READ_LINEARIZABLE = 0, /* after the leader has confirmed its commit index */
    HL_READ_SESSION,          /* not older than what the connection wrote, or its token says */
    HL_READ_BOUNDED,          /* not older than what a leader had committed so long ago */
    HL_READ_STALE,            /* what this node has applied */
};

/* Part of struct hl_node_config; zeros and NULLs are the defaults. */
struct hl_cluster_config {
    bool enabled;            /* `raft`: this node is, or may become, one of several */
    const char *name;        /* of this node; borrowed until hl_node_destroy(), as all texts */
    const char *raft_addr;   /* where peers reach it: host:port */
    const char *client_addr; /* where clients reach it */
    uint64_t election_us;    /* minimum election time-out; 0: HL_ELECTION_US */
    uint64_t heartbeat_us;   /* 0: a tenth of election_us */
    uint32_t drift_ppm;      /* how much clocks may differ; only used with `lease` */
    bool lease;              /* leader reads rest on clocks (PROTOCOL section 4b) */
    enum hl_follower_writes follower_writes;
    enum hl_consistency follower_reads;
    uint64_t read_bound_us; /* of HL_READ_BOUNDED */
    uint64_t scrub_us;      /* between two slots that are compared (scrub.h); 0: only when told */
    bool barred; /* the disk may have forgotten promises: no votes before a leader caught it up */
    hl_index barred_until; /* and at least to here; 0: no bound */
};

#define HL_ELECTION_US 1000000

/* Wait for a leader instead of founding a group; call before the first hl_node_load_step(), each
 * time.  Changes nothing when there is a log or a snapshot that names members. */
void hl_node_join(struct hl_node *node);

/*
 * Found a group together with others: they all call this with the same arguments.  Before the first
 * hl_node_load_step(), with an empty log (asserted) whose identity is one of `members`.
 * Appends the first entry, which all of them have in common, at the feature level that all of them
 * understand, and stores `cluster_id` (16 bytes);
 * both durable with the log's next flush, before which nobody may be told that this node is ready.
 */
void hl_node_bootstrap(struct hl_node *node, const unsigned char *cluster_id,
                       const struct hl_members *members, uint32_t level);

/*
 * A frame (node/wire.h) arrived over a connection to `from`, as the transport knows that peer; it
 * is borrowed for the call.  A frame that is malformed, or not from `from`, or for another node or
 * cluster is dropped and logged; HELLO frames are the edge's and are ignored here.
 */
void hl_node_peer_message(struct hl_node *node, hl_peer from, struct hl_slice frame);

/* All connections of one class to the peer are gone: what was sent may be lost. */
void hl_node_peer_lost(struct hl_node *node, hl_peer peer);

/* Requests forwarded to the peer, or answers to those that it forwarded here, may be lost: a
 * connection of class HL_PEER_FORWARD to or from it broke, or dropped a frame. */
void hl_node_forward_lost(struct hl_node *node, hl_peer peer);

/* Time has passed: elections, heartbeats, and the next slice of work that was cut into slices
 * (applying, rebuilding, sending snapshots).  May be called at any time. */
void hl_node_tick(struct hl_node *node);

/* A sync asked for by world->file_sync() is over; `why` says why it failed. */
void hl_node_file_synced(struct hl_node *node, uint64_t number, hl_err err, const char *why);

/* When hl_node_tick() must be called at the latest, on the clock of world->mono_us(); 0: at once,
 * but after looking at the sockets; UINT64_MAX: never. */
uint64_t hl_node_wake_us(const struct hl_node *node);

/* True when this node leads, so that it executes writes. */
bool hl_node_leads(const struct hl_node *node);

/* True when this node is, or may become, one of several: cluster clients are told so. */
bool hl_node_is_cluster(const struct hl_node *node);

/* The committed entry that names the members; 0 when the newest that does is not known to be. */
hl_index hl_node_members_index(const struct hl_node *node);

/* A node of the same cluster says that this one is no member as of committed entry `index`: unless
 * this node knows better, it votes and campaigns no more, and notes so for good (PROTOCOL 10). */
void hl_node_told_removed(struct hl_node *node, hl_index index);

/* True once this node knows that it was removed. */
bool hl_node_is_removed(const struct hl_node *node);

/* Why this node applies no more entries, or NULL; valid until the next call. */
const struct hl_stop *hl_node_stopped(const struct hl_node *node);

/* The leader as far as this node knows, or NULL; valid until the next call. */
const struct hl_member *hl_node_leader(const struct hl_node *node);

/* The members as of the newest entry that names them; `count` is 0 while a joining node waits. */
const struct hl_members *hl_node_members(const struct hl_node *node);

/* The head of a frame from this node to `to` (0: to whoever answers): for the edge's HELLO and
 * FORWARD frames. */
struct hl_wire_frame hl_node_frame(const struct hl_node *node, hl_peer to,
                                   enum hl_peer_class peer_class, enum hl_wire_type type);

#endif
