/* What happened to this node and its group, and to its snapshots: two bounded lists and sums.
 *
 * Kept in memory, for operators: nothing here decides anything.
 *
 * Invariants:
 *   H1  numbers of events ascend without gaps from 1 on, also when the oldest are gone.
 *   H2  a list holds its newest events, at most its maximum.
 */
#ifndef HL_NODE_HISTORY_H
#define HL_NODE_HISTORY_H

#include "base/ids.h"
#include "node/members.h"
#include "node/uptime.h"

#define HL_EVENTS_MAX 256      /* newest events of the group that are kept */
#define HL_SNAP_EVENTS_MAX 256 /* the same of snapshots */
#define HL_SNAP_WHY_MAX 120    /* bytes of a reason */

enum hl_event_kind {
    HL_EVENT_STARTED = 0,   /* the process */
    HL_EVENT_STATE_CHANGED, /* of this node: old_state, new_state */
    HL_EVENT_LEADER_CHANGED,
    HL_EVENT_PEER_ADDED,
    HL_EVENT_PEER_REMOVED,
    HL_EVENT_PEER_PROMOTED, /* it votes from now on */
    HL_EVENT_PEER_DEMOTED,
    HL_EVENT_PEER_MOVED, /* it is at another address */
};

struct hl_event {
    uint64_t number;
    enum hl_event_kind kind;
    int64_t at_ms; /* Unix time */
    hl_term term;
    enum hl_office old_state, new_state; /* STATE_CHANGED */
    /* Of whom the others tell; "" for no leader. */
    char name[HL_MEMBER_NAME_MAX + 1];
    char address[HL_MEMBER_ADDR_MAX + 1];
};

enum hl_snap_event_kind {
    HL_SNAP_CREATED = 0,
    HL_SNAP_RECEIVED, /* from a leader, wholly and in place */
    HL_SNAP_RESTORED, /* read into memory: at a start, or after it was received */
    HL_SNAP_SENT,     /* to another node, which has it in place */
    HL_SNAP_FAILED,   /* making one, receiving one, or putting it in place */
};

struct hl_snap_event {
    uint64_t number;
    enum hl_snap_event_kind kind;
    int64_t at_ms; /* Unix time of its end */
    hl_index index;
    hl_term term;
    uint64_t size, took_us, compacted; /* bytes; time; entries that left the log with it */
    char why[HL_SNAP_WHY_MAX];         /* FAILED */
};

struct hl_snap_figures {
    uint64_t created, received, restored, sent, failed;
    uint64_t bytes_written, compacted;
    uint64_t create_us, create_max_us, create_last_us; /* sum, longest, last */
    uint64_t restore_us, restore_last_us;
};

struct hl_history {
    struct hl_event *events; /* number n at n % HL_EVENTS_MAX */
    uint64_t event_count;    /* number of the newest */
    struct hl_snap_event *snaps;
    uint64_t snap_count, snap_base; /* numbers: of the newest; of the newest before a reset */
    struct hl_snap_figures figures;
    struct hl_members members; /* as they were last told */
    hl_peer leader;
};

/* Empty lists. */
void hl_history_init(struct hl_history *history);

/* Release everything. */
void hl_history_fini(struct hl_history *history);

/* Note an event; its number is given here. */
void hl_history_add(struct hl_history *history, const struct hl_event *event);

/* The members are these now: one event for each difference, none when they were not known. */
void hl_history_members(struct hl_history *history, const struct hl_members *members, hl_term term,
                        int64_t at_ms);

/* The leader is this one now, 0: nobody.  An event when it was another. */
void hl_history_leader(struct hl_history *history, hl_peer leader, hl_term term, int64_t at_ms);

/* The event of this number, or NULL; valid until the next one is noted. */
const struct hl_event *hl_history_event(const struct hl_history *history, uint64_t number);

/* Note what became of a snapshot, and sum it up; its number is given here. */
void hl_history_snap(struct hl_history *history, const struct hl_snap_event *event);

/* The same as hl_history_event(). */
const struct hl_snap_event *hl_history_snap_event(const struct hl_history *history,
                                                  uint64_t number);

/* Sums of snapshots to zero; `snap_base` tells which events the reader wants to see no more. */
void hl_history_reset_snaps(struct hl_history *history);

/* "started", "state_changed" ... */
const char *hl_event_name(enum hl_event_kind kind);

/* "created" ... */
const char *hl_snap_event_name(enum hl_snap_event_kind kind);

#endif
