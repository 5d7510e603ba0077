/* Consensus as arithmetic: events in, a list of things to do out.
 *
 * This library never reads a clock, allocates, sends, writes or logs.  It never sees the bytes of
 * an entry either: it knows entries by (index, term), and the node keeps the bytes in the log.
 * So every run is a function of its events, and a failure is reproduced by replaying them.
 *
 * A standalone server is a group of one voter: it elects itself, and what is durable on its own
 * disk is committed.  Groups of more voters add messages and followers to this contract; the events
 * and the ready list are already theirs.
 *
 * Invariants (hl_raft_check()):
 *   R1  commit <= durable <= last.
 *   R2  term never decreases, and vote changes at most once within a term.
 *   R3  commit never decreases, and only moves to an index of the own term (Raft section 5.4.2).
 *   R4  a leader's first entry of a term is its no-op.
 */
#ifndef HL_RAFT_RAFT_H
#define HL_RAFT_RAFT_H

#include "base/ids.h"
#include "kit/err.h"

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t hl_peer; /* server id; 0 is "none" */

#define HL_RAFT_VOTERS_MAX 9

enum hl_raft_role {
    HL_RAFT_FOLLOWER = 1,
    HL_RAFT_CANDIDATE,
    HL_RAFT_LEADER,
};

enum hl_raft_event_type {
    HL_RAFT_ON_START = 1, /* the log is recovered: campaign when alone */
    HL_RAFT_ON_PROPOSE,   /* the application appended `count` entries of the current term */
    HL_RAFT_ON_DURABLE,   /* everything up to `index` is on the local disk */
};

struct hl_raft_event {
    enum hl_raft_event_type type;
    union {
        struct {
            uint32_t count;
        } propose;
        struct {
            hl_index index;
        } durable;
    };
};

/* What the caller now owes, in this order: save (term, vote) durably when asked; append the no-op
 * of the new term when asked; apply and release up to `commit`. */
struct hl_raft_ready {
    bool save_hard_state;
    bool append_noop; /* an entry of `term` at last + 1, already counted in hl_raft_last() */
    hl_term term;
    hl_peer vote;
    hl_index commit;
};

/* The caller's memory; fields are private to core/raft. */
struct hl_raft {
    hl_peer self;
    hl_peer voters[HL_RAFT_VOTERS_MAX];
    hl_index match[HL_RAFT_VOTERS_MAX]; /* durable on that voter, as far as we know */
    uint32_t voter_count;
    enum hl_raft_role role;
    hl_term term;
    hl_peer vote;
    hl_index last, durable, commit;
    hl_index noop; /* index of the no-op of our term when leading, else 0 */
};

/* What was recovered from the disk. */
struct hl_raft_start {
    hl_peer self;
    const hl_peer *voters; /* borrowed for the call; self among them */
    uint32_t voter_count;  /* 1..HL_RAFT_VOTERS_MAX */
    hl_term term;
    hl_peer vote;
    hl_index last;   /* of the recovered log, all of it durable */
    hl_index commit; /* known committed: the snapshot's label, at least 0 */
};

/* Start as a follower with the recovered state. */
void hl_raft_init(struct hl_raft *raft, const struct hl_raft_start *start);

/*
 * Advance by one event.  `ready` is overwritten whole.
 *
 * Returns HL_OK, or without changing anything HL_EBUSY when proposing on a server that is not the
 * leader.
 */
HL_MUST_USE hl_err hl_raft_step(struct hl_raft *raft, const struct hl_raft_event *event,
                                struct hl_raft_ready *ready);

/* The highest index that a majority of `count` voters holds, given what each holds. */
hl_index hl_raft_quorum_match(const hl_index *match, uint32_t count);

/* Abort unless every numbered invariant holds. */
void hl_raft_check(const struct hl_raft *raft);

#endif
