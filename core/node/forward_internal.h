/* What forward_out.c and forward_in.c share. */
#ifndef HL_NODE_FORWARD_INTERNAL_H
#define HL_NODE_FORWARD_INTERNAL_H

#include "node/forward.h"
#include "node/node_internal.h"

/* A request that waits: on a line for its answer, at a guest for its turn. */
struct hl_forwarded {
    struct hl_list_node list;
    uint64_t seq;     /* 0: not sent yet */
    int64_t since_ms; /* when it came */
    size_t size;      /* bytes of the arguments */
    int argc;
    struct hl_slice *argv; /* owned, in one block */
    int db, proto;
    bool disturbed; /* it was sent with the word that the line was disturbed */
};

/* The guests of one node's clients. */
struct hl_guest_list {
    hl_peer peer; /* 0: not in use */
    struct hl_place {
        struct hl_guest *guest; /* NULL: none now */
        uint64_t newest;        /* handle of the last one: a line before it has ended (W1) */
    } *at;
    uint32_t cap;
};

struct hl_forwarding {
    struct hl_line *lines[HL_FORWARD_LINES_MAX]; /* the bound ones, by the handle's low bits */
    struct hl_list_node all_lines;
    struct hl_list_node busy_lines; /* those with requests that wait */
    uint64_t serial; /* of the newest handle */
    struct hl_guest_list guests[HL_MEMBERS_MAX + 1];
    uint32_t owing; /* guests that have taken a request and not yet said its answer */
    struct hl_list_node ready;   /* guests with something to say or to do */
    struct hl_list_node stalled; /* guests whose client's node cannot be reached at the moment */
    struct hl_list_node unsent;  /* answers, the same; struct looped in forward.c */
    uint32_t unsent_count;
    struct hl_list_node loopback; /* messages of this node to itself */
    struct hl_forward_stats stats;
};

#define HL_FORWARD_SLOT_BITS 16
#define HL_FORWARD_SLOT(handle) ((uint32_t)(handle) & (HL_FORWARD_LINES_MAX - 1))

/* A copy of a request. */
struct hl_forwarded *hl_forwarded_create(int argc, const struct hl_slice *argv);

/* Unlink and release. */
void hl_forwarded_destroy(struct hl_forwarded *request);

/* Bind a session to the client session of this id (once.h); empty: to none. */
void hl_forward_set_once(struct hl_session *session, struct hl_slice id);

/* Can a message be sent to the node now? */
bool hl_forward_reaches(const struct hl_node *node, hl_peer to);

/* Send a body of one of the two types; to this node itself it arrives with the next pump.  An
 * answer that cannot be sent now is kept for a while. */
void hl_forward_post(struct hl_node *node, hl_peer to, enum hl_wire_type type,
                     struct hl_slice body);

/* forward_out.c's part of hl_forward_peer_lost(). */
void hl_forward_lines_peer_lost(struct hl_node *node, hl_peer peer);

/* Send again what could not be sent. */
void hl_forward_retry(struct hl_node *node);

/* forward_in.c's part of hl_forward_pump(): guests go on and say what they may. */
void hl_forward_guests_pump(struct hl_node *node);

/* End all guests. */
void hl_forward_guests_fini(struct hl_node *node);

#endif
