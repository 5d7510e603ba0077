/* Scrub: do the nodes of a group still hold the same? (PROTOCOL section 10)
 *
 * The leader names slots of keys (base/slot.h) and the digest of what it holds there, in an entry
 * of the log; every other node compares at that very index and answers.  What most voters hold is
 * right: a node that differs makes its state anew from its snapshot and its log, with the code of a
 * rollback, and compares again on the way.  If that does not mend it, its snapshot was made of what
 * was wrong: it answers no reads, never leads and makes no snapshots until it was sent one of the
 * leader's, which takes the place of its own.
 *
 * To find the keys of some slots a node would have to look at all of them.  So the names of a
 * window of slots are gathered first, a slice at a time, and names that appear meanwhile are noted:
 * the whole keyspace is walked once for each window, a slot is compared in the time that its keys
 * take.
 *
 * A SCRUB entry is u8 1 GATHER or 2 CHECK, u16 first slot, u16 number of slots, and for CHECK 20
 * bytes of digest.
 *
 * A SCRUB frame is u8 1 ANSWER (to the leader), 2 VERDICT (the receiver differs from most) or 3
 * NEED (to the leader: a snapshot not older than the index), u64 index of the entry, u8 whether it
 * was compared or gathered, 20 bytes of digest (of a VERDICT: what most hold).
 *
 * Invariants:
 *
 * B1  between two commands the names held are a superset of those that exist in the window's slots.
 *
 * B2  nothing is concluded from a node that did not compare.
 *
 * B3  without a majority that agrees nothing is done: it is only told.
 */
#ifndef HL_NODE_SCRUB_H
#define HL_NODE_SCRUB_H

#include "node/members.h"

#include <stdbool.h>

#define HL_SCRUB_WINDOW 256      /* slots of a window */
#define HL_SCRUB_FEW_KEYS 100000 /* up to here RAFT.SCRUB opens one for all slots */
#define HL_SCRUB_NAMES_MAX                                                                         \
    (64u << 20) /* bytes of names; with more, a window is closed and a narrower one opened */
#define HL_SCRUB_SLICE_US 1000           /* of gathering between two crons */
#define HL_SCRUB_ANSWER_US 2000000       /* that answers are waited for */
#define HL_SCRUB_CHECK_NAMES (64u << 10) /* bytes of names compared at once by RAFT.SCRUB */
#define HL_SCRUB_NEED_US 2000000         /* between two requests for a snapshot */
#define HL_SCRUB_DIGEST 20

struct hl_node;
struct hl_wal_entry;
struct hl_call;

enum hl_scrub_phase {
    HL_SCRUB_IDLE,
    HL_SCRUB_GATHERS, /* names of a window */
    HL_SCRUB_HOLDS,   /* all of them */
};

/* One comparison, or gathering, that a leader waits for. */
struct hl_scrub_vote {
    hl_index index; /* of its entry; 0: none */
    bool gathers;
    unsigned first;
    uint64_t until_us;
    unsigned char own[HL_SCRUB_DIGEST];
    struct {
        hl_peer peer; /* 0: free */
        bool compared;
        unsigned char digest[HL_SCRUB_DIGEST];
    } answers[HL_MEMBERS_MAX];
};

/* Part of struct hl_node. */
struct hl_scrub {
    enum hl_scrub_phase phase;
    unsigned window, width; /* its first slot, and how many */
    int db;                 /* where gathering is */
    uint64_t cursor;
    uint64_t begun_us;
    hl_index gather_index; /* of the entry that said so, on a node that does not lead */
    struct hl_buf *names;  /* of each slot: u32 length and bytes of each name */
    size_t names_size;

    bool leads;       /* the rest is a leader's */
    unsigned widest;  /* that the next window may be */
    unsigned next;    /* slot that is compared next */
    uint64_t due_us;  /* when */
    unsigned ordered; /* slots left of what RAFT.SCRUB asked for */
    struct hl_scrub_vote vote;

    hl_index differs_at; /* this node differed at that entry and makes its state anew; 0: no */
    unsigned char want[HL_SCRUB_DIGEST]; /* what most held there */
    bool differs;                        /* ... and that did not help */
    bool replaced;                       /* the leader's snapshot is being loaded */
    hl_index tainted;                    /* snapshots up to here may be of what was wrong */
    uint64_t need_us;                    /* when it asks again for one */
    uint64_t compared, passed_over, differences, mended; /* slots, since start */
};

/* Time has passed: gather, compare, judge. */
void hl_scrub_cron(struct hl_node *node);

/* A SCRUB entry is applied. */
void hl_scrub_apply(struct hl_node *node, const struct hl_wal_entry *entry);

/* A SCRUB frame of a member. */
void hl_scrub_on_frame(struct hl_node *node, hl_peer from, struct hl_slice body);

/* A name appeared in the keyspace. */
void hl_scrub_created(void *ctx, int db, struct hl_slice key);

/* Names moved, or all is made anew: what is held says nothing. */
void hl_scrub_reset(struct hl_node *node);

/* May a snapshot of the leader's, which this node has passed, take the place of its own? */
bool hl_scrub_takes(const struct hl_node *node, hl_index index);

/* The state was made anew. */
void hl_scrub_rebuilt(struct hl_node *node);

/* Append the lines of INFO raft. */
void hl_scrub_info(const struct hl_node *node, struct hl_buf *out);

#endif
