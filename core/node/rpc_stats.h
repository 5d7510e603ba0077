/* How long the other members take to answer, and whether they do: per member and kind of call.
 *
 * Raft's messages are no calls, so one of each kind is watched at a time: from its sending to the
 * first answer that covers it.  What is sent meanwhile is not watched, so a busy pipeline costs one
 * comparison a message.
 *
 * Invariants:
 *   L1  a call that is begun ends once: answered, failed, or forgotten when its office is lost.
 *   L2  a percentile is of the newest HL_RPC_SAMPLES answers, everything else of all since a reset.
 */
#ifndef HL_NODE_RPC_STATS_H
#define HL_NODE_RPC_STATS_H

#include "node/members.h"

#include <stdbool.h>
#include <stdint.h>

#define HL_RPC_SAMPLES 256 /* newest answers that percentiles are made of */

enum hl_rpc {
    HL_RPC_APPEND_ENTRIES = 0, /* heartbeats too */
    HL_RPC_REQUEST_VOTE,       /* the question whether one would be given too */
    HL_RPC_INSTALL_SNAPSHOT,   /* from the first piece until it is in place */
    HL_RPC_AGGREGATED,         /* all of them: nothing is sent as this */
};
#define HL_RPC_KINDS 4

/* Answers of one kind. */
struct hl_rpc_series {
    uint64_t count, errors;
    uint64_t last_us, min_us, max_us; /* durations */
    double mean_us, spread;           /* mean, and the sum of squared distances from it */
    int64_t last_error_ms;            /* Unix time; 0: never */
    uint32_t samples[HL_RPC_SAMPLES]; /* of answer i at i % HL_RPC_SAMPLES, in microseconds */
};

/* A series in figures. */
struct hl_rpc_summary {
    uint64_t count, errors;
    int64_t last_error_ms; /* Unix time; 0: never */
    double last_ms, min_ms, max_ms, avg_ms, p50_ms, p90_ms, p99_ms, std_dev_ms;
};

/* What an answer covers: a round of heartbeats, and entries. */
struct hl_rpc_mark {
    uint64_t round, entry;
};

/* Covers whatever was asked. */
#define HL_RPC_ANY ((struct hl_rpc_mark){UINT64_MAX, UINT64_MAX})

/* A call that waits for its answer. */
struct hl_rpc_call {
    uint64_t at_us;          /* 0: none */
    struct hl_rpc_mark mark; /* of the last one, whether it waits or not */
};

struct hl_rpc_peer {
    hl_peer id;
    uint64_t contact_us;         /* last message from it, by the clock that never steps; 0: none */
    int64_t contact_ms;          /* the same, Unix time */
    uint64_t consecutive_errors; /* since the last answer */
    struct hl_rpc_call calls[HL_RPC_AGGREGATED];
    struct hl_rpc_series series[HL_RPC_KINDS];
};

/* Told of every answer (`took_us`) and every failure (`ok` false). */
typedef void (*hl_rpc_observer)(void *ctx, hl_peer peer, enum hl_rpc kind, bool ok,
                                uint64_t took_us);

struct hl_rpc_stats {
    struct hl_rpc_peer *peers[HL_MEMBERS_MAX];
    uint32_t count;
    uint32_t waiting; /* calls that do, of all */
    hl_rpc_observer observer;
    void *ctx;
};

/* Times of one moment: of the clock that never steps, and Unix time. */
struct hl_rpc_now {
    uint64_t mono_us;
    int64_t wall_ms;
};

/* Release everything. */
void hl_rpc_fini(struct hl_rpc_stats *stats);

/* Keep figures of these members but `self`, and of nobody else. */
void hl_rpc_members(struct hl_rpc_stats *stats, const struct hl_members *members, hl_peer self);

/* A message to a member left whose answer will cover `mark`.  APPEND_ENTRIES without entries
 * (mark.entry 0) of a round that was watched before is passed over: it is not answered. */
void hl_rpc_sent(struct hl_rpc_stats *stats, hl_peer to, enum hl_rpc kind, struct hl_rpc_mark mark,
                 struct hl_rpc_now now);

/* An answer of that kind arrived, which covers `mark`. */
void hl_rpc_answered(struct hl_rpc_stats *stats, hl_peer from, enum hl_rpc kind,
                     struct hl_rpc_mark mark, struct hl_rpc_now now);

/* The call that waits, if one does, will not be answered. */
void hl_rpc_failed(struct hl_rpc_stats *stats, hl_peer to, enum hl_rpc kind, struct hl_rpc_now now);

/* Any message of a member arrived. */
void hl_rpc_heard(struct hl_rpc_stats *stats, hl_peer from, struct hl_rpc_now now);

/* The connection to a member broke: whatever waits there fails. */
void hl_rpc_lost(struct hl_rpc_stats *stats, hl_peer to, struct hl_rpc_now now);

/* This node gave up its office: what waits says nothing about the others, and rounds begin anew. */
void hl_rpc_forget(struct hl_rpc_stats *stats, enum hl_rpc kind);

/* Calls older than `limit_us` fail, but for those of snapshots, which say themselves when. */
void hl_rpc_expire(struct hl_rpc_stats *stats, uint64_t limit_us, struct hl_rpc_now now);

/* All figures to zero; what waits goes on. */
void hl_rpc_reset(struct hl_rpc_stats *stats);

/* Of this member, or NULL; valid until the members change. */
const struct hl_rpc_peer *hl_rpc_peer(const struct hl_rpc_stats *stats, hl_peer id);

/* The figures of a series. */
struct hl_rpc_summary hl_rpc_summarize(const struct hl_rpc_series *series);

/* The name that others know a kind by: "append_entries" ... "aggregated". */
const char *hl_rpc_name(enum hl_rpc kind);

#endif
