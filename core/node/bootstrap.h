/* Bootstrap: how a node of a cluster begins (PROTOCOL section 10).
 *
 * Pure: the edge carries questions to the listed nodes and answers back, and does what is decided.
 *
 * Invariants:
 *   S1  a node with any state never founds a cluster: it goes on with what it has.
 *   S2  a cluster is founded only after every listed node has answered, in one round of questions,
 *       that it too is empty and lists the same names, or that it has founded this very cluster.
 *   S3  the cluster's id is a digest of the founders' ids, names and addresses: two nodes that
 *       found the same id have the same members, whatever was lost, repeated or reordered between
 *       them.
 *   S4  a node that is not a member of a cluster which a listed node belongs to stops: it is a
 * voter whose directory was emptied, or a stranger, and comes in by RAFT.ADD only. S5  a decision
 * is final.
 *
 * A node without a list waits: it takes over the list of the first node that asks it and names it,
 * or it is added to a cluster that has found it.
 */
#ifndef HL_NODE_BOOTSTRAP_H
#define HL_NODE_BOOTSTRAP_H

#include "node/wire.h"
#include "wal/wal.h"

#define HL_BOOT_ROUND_US 100000   /* between two rounds of questions */
#define HL_BOOT_REPORT_US 5000000 /* between two lines that say the same */
#define HL_BOOT_JOIN_US 3000000   /* a member of a cluster that lacks a founder's answer joins */
#define HL_BOOT_LISTED_SIZE (HL_MEMBER_NAME_MAX + HL_MEMBER_ADDR_MAX + 2) /* "name=address" */

enum hl_boot_decision {
    HL_BOOT_NONE,   /* not yet */
    HL_BOOT_RESUME, /* go on with the state there is */
    HL_BOOT_JOIN,   /* wait for the leader of a cluster */
    HL_BOOT_FOUND,  /* found a cluster of `members`, its id `cluster_id` */
    HL_BOOT_STOP,   /* end; `why` says why */
};

/* Who this node is and what it was told; texts are borrowed for hl_boot_init(). */
struct hl_boot_options {
    hl_peer id;
    const char *name, *raft_addr, *client_addr;
    uint32_t level;      /* feature level that it understands (level.h) */
    bool has_state;      /* its log or its snapshots hold anything, or it knows its cluster */
    bool alone, join;    /* raft-bootstrap, raft-join */
    uint32_t list_count; /* the others, or all, of the founders */
    struct {
        const char *name, *raft_addr;
    } list[HL_MEMBERS_MAX];
};

enum hl_boot_answer {
    HL_BOOT_UNASKED,
    HL_BOOT_ASKED,
    HL_BOOT_AGREES,
    HL_BOOT_DIFFERS, /* and `why` */
};

/* A listed node. */
struct hl_boot_peer {
    char name[HL_MEMBER_NAME_MAX + 1];
    char address[HL_MEMBER_ADDR_MAX + 1]; /* where it is asked */
    char listed[HL_BOOT_LISTED_SIZE];     /* "name=address", for HELLO */
    struct hl_member member;              /* as it described itself */
    uint32_t level;                       /* the same */
    enum hl_boot_answer answer;           /* in this round */
    bool has_cluster;                     /* it has founded `cluster_id` already */
    unsigned char cluster_id[16];
    char why[200];
};

struct hl_boot {
    enum hl_boot_decision decision;
    char why[400];
    struct hl_member self;
    bool waits_for_list;
    uint32_t count; /* of `peers`: every founder, this node among them, in the order of names */
    struct hl_boot_peer peers[HL_MEMBERS_MAX];
    uint64_t round_us;  /* when this round began; 0: none has */
    uint64_t member_us; /* since when a cluster is known to have this node as a member */
    uint64_t report_us;
    char report[400]; /* the last line */
    struct hl_members members;
    uint32_t own_level, level; /* of this node; that all founders understand */
    unsigned char cluster_id[16];
};

/* True when the log holds nothing but an identity, which a node draws at its first start: it has
 * promised nothing to anybody.  A founding that was broken off before its entry was written leaves
 * term 1 without a vote. */
bool hl_boot_is_new(const struct hl_wal *wal);

/* Begin.  Some decisions are there at once.  HL_EINVAL when the list has no room for this node too,
 * or a text is malformed; `msg` says which. */
HL_MUST_USE hl_err hl_boot_init(struct hl_boot *boot, const struct hl_boot_options *options,
                                struct hl_errmsg *msg);

/* Time has passed.  Returns the decision. */
enum hl_boot_decision hl_boot_tick(struct hl_boot *boot, uint64_t now_us);

/* A listed node to ask now, or NULL.  It counts as asked until hl_boot_answered() or
 * hl_boot_unanswered(), one of which must follow. */
const struct hl_boot_peer *hl_boot_question(struct hl_boot *boot);

/* The node listed as `name` answered; both borrowed. */
void hl_boot_answered(struct hl_boot *boot, const char *name, const struct hl_wire_frame *frame,
                      const struct hl_hello *hello);

/* It did not; `why` is for people. */
void hl_boot_unanswered(struct hl_boot *boot, const char *name, const char *why);

/* A node asked us. */
void hl_boot_was_asked(struct hl_boot *boot, const struct hl_hello *hello);

/* A member of a cluster spoke to us. */
void hl_boot_was_called(struct hl_boot *boot);

/* A line for the log when there is something new to say, or NULL. */
const char *hl_boot_report(struct hl_boot *boot, uint64_t now_us);

#endif
