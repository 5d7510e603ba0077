/* What the files of the peer transport share. */
#ifndef HL_SERVER_PEER_INTERNAL_H
#define HL_SERVER_PEER_INTERNAL_H

#include "base/list.h"
#include "base/rng.h"
#include "server/peer.h"
#include "server/peer_link.h"

#include <netdb.h>

#define PEER_CLASSES 3
#define TROUBLE_SIZE 200
#define PEERS_MAX (2 * HL_MEMBERS_MAX) /* members, and nodes that members do not know yet */
#define PEER_INBOUND_MAX 160           /* connections that others dialled */
#define PEER_STRANGERS_MAX 32          /* those of them that have not said who they are */
#define PEER_HELLO_MAX (16u * 1024)    /* bytes of a HELLO's body */
#define PEER_GREETING_MS 5000          /* to connect, to shake hands, to say HELLO */
#define PEER_UNANSWERED_MS 4000        /* sent bytes must be acknowledged */
#define PEER_STALL_MS 20000            /* a frame that has begun must grow */
#define PEER_RETRY_MIN_MS 50
#define PEER_RETRY_MAX_MS 500
#define PEER_LEARNED_MS 30000 /* a node that is no member is forgotten after so long without it */
#define PEER_TICK_MS 20
#define PEER_LINES_LOGGED_MAX 10 /* of refusals, and each once ... */
#define PEER_LINES_MS 10000      /* ... in so long */

/* Bytes that may wait to be sent. */
#define PEER_QUEUE_RAFT_MAX (64u << 20)
#define PEER_QUEUE_BULK_MAX (4u << 20)
#define PEER_QUEUE_FORWARD_MAX (64u << 20)

enum line_state {
    LINE_RESTING,  /* until due_ms */
    LINE_LOOKUP,   /* the name is looked up */
    LINE_GREETING, /* connecting, shaking hands, waiting for the HELLO, until due_ms */
    LINE_UP,
};

struct peer;
struct peer_lookup;

/* A connection that this node keeps to another, or a question to one. */
struct peer_line {
    struct hl_peers *peers;
    struct peer *peer;        /* NULL: a question, over after one attempt */
    struct hl_list_node node; /* questions */
    char name[HL_MEMBER_NAME_MAX + 1];
    char address[HL_MEMBER_ADDR_MAX + 1];
    hl_peer id; /* who should answer; 0: whoever does */
    enum hl_peer_class peer_class;
    enum line_state state;
    struct peer_lookup *lookup;
    struct addrinfo *found, *next; /* addresses of the name, and those not tried yet */
    struct peer_link *link;
    uint64_t due_ms;
    unsigned wait_ms;
    bool lossy; /* a frame was dropped and nobody told */
    uint64_t connects, dropped;
    char trouble[TROUBLE_SIZE]; /* why attempts fail, as it was logged */
};

/* Another node. */
struct peer {
    struct hl_list_node node;
    hl_peer id;
    char name[HL_MEMBER_NAME_MAX + 1];
    char listed[HL_MEMBER_ADDR_MAX +
                1]; /* where the members' list has it; its HELLO may know better */
    bool member;
    uint64_t incarnation; /* newest seen */
    uint64_t seen_ms;     /* when an inbound connection was last there */
    struct peer_line lines[PEER_CLASSES];
    struct peer_link *inbound[PEER_CLASSES];
};

struct hl_peers {
    uv_loop_t *loop;
    uv_tcp_t listener;
    uv_timer_t timer;
    struct hl_peers_hooks hooks;
    struct hl_tls_context *tls_server, *tls_client;
    char tls_name[256];
    bool tls_any_name, closing;
    unsigned greeting_ms, unanswered_ms, handles;
    struct hl_rng rng;
    struct hl_members members;
    struct hl_list_node list;      /* of struct peer */
    struct hl_list_node questions; /* of struct peer_line */
    struct hl_list_node inbound;   /* of struct peer_link */
    unsigned peer_count, inbound_count, stranger_count;
    uint64_t accepted, refused; /* since start */
    uint64_t lines_since_ms;    /* when counting lines of refusals began */
    unsigned lines_logged, lines_hidden;
    char last_refusal[TROUBLE_SIZE];
};

static inline unsigned peer_class_at(enum hl_peer_class peer_class)
{
    return (unsigned)peer_class - HL_PEER_RAFT;
}

/* Write a line for people. */
void peers_log(struct hl_peers *peers, int level, const char *fmt, ...) HL_PRINTF(3, 4);

/* "raft", "bulk", "forward". */
const char *peer_class_name(enum hl_peer_class peer_class);

/* Append a HELLO of this node.  `to` is 0 for whoever answers; `why` is "" or why a connection is
 * refused. */
void peers_make_hello(struct hl_peers *peers, const struct hl_peers_self *self, hl_peer to,
                      enum hl_peer_class peer_class, bool reply, const char *why,
                      struct hl_buf *out);

/* A node that showed who it is said what it understands. */
void peers_told_level(struct hl_peers *peers, hl_peer id, const struct hl_hello *hello);

/* Read the HELLO in `frame`.  NULL, or what is wrong with it. */
const char *peers_read_hello(const struct hl_wire_frame *frame, bool reply, struct hl_hello *out);

/* True for an id of a cluster. */
bool peers_has_cluster(const unsigned char *cluster_id);

/* The node of this id, or NULL. */
struct peer *peers_find(const struct hl_peers *peers, hl_peer id);

/* The node of this id, known from now on; NULL when too many are. */
struct peer *peers_learn(struct hl_peers *peers, hl_peer id, struct hl_slice name,
                         struct hl_slice address);

/* Close all connections with a node and forget it. */
void peer_forget(struct peer *peer);

/* --- peer_dial.c ------------------------------------------------------------------------------ */

/* Prepare a line; it is dialled by the next peer_line_tick(). */
void peer_line_init(struct peer_line *line, struct hl_peers *peers, struct peer *peer,
                    enum hl_peer_class peer_class);

/* Close it; nothing is told. */
void peer_line_close(struct peer_line *line);

/* Do what time asks for.  A question may end and be freed by it. */
void peer_line_tick(struct peer_line *line, uint64_t now_ms);

/* --- peer_accept.c ---------------------------------------------------------------------------- */

/* Listen at host:port. */
HL_MUST_USE hl_err peers_listen(struct hl_peers *peers, const char *address, struct hl_errmsg *msg);

/* Close inbound connections whose time is up. */
void peers_accept_tick(struct hl_peers *peers, uint64_t now_ms);

#endif
