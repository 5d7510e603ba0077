/* How long this server runs, in which office, and how it ended before: over all its starts.
 *
 * A session is from a start to an end.  What is known of it is written to a small file now and then
 * (server/uptime_file.h), so that the next start finds when it was last seen and whether it had
 * said goodbye; without that it was a crash.  Times between sessions are of the wall clock, within
 * one of the clock that never steps.
 *
 * The file, little-endian:
 *
 *     0  4  magic "HLUP"
 *     4  4  version
 *     8  4  number of earlier sessions that follow
 *    12  4  flags: 1 the last session ended in order
 *    16 ..  u64 each, in the order of struct hl_uptime_totals
 *    ..     u64 start and u64 last seen of the session that wrote it, Unix ms
 *    ..     for each earlier session, oldest first: u64 start, u64 end (Unix ms), u64 1 in order
 *    ..  4  CRC-32C of all before
 *
 * Invariants:
 *   U1  totals are of sessions that are over; the figures add the one that runs.
 *   U2  past sessions ascend and do not end before they start.
 *   U3  bytes that are not such a file change nothing.
 */
#ifndef HL_NODE_UPTIME_H
#define HL_NODE_UPTIME_H

#include "kit/bytes.h"
#include "kit/err.h"

#include <stdbool.h>
#include <stdint.h>

#define HL_UPTIME_PAST_MAX 64 /* sessions that are over and remembered one by one */
#define HL_UPTIME_FILE_MAX 4096

enum hl_office {
    HL_OFFICE_FOLLOWER = 0, /* learners too, and a node that is still loading */
    HL_OFFICE_CANDIDATE,
    HL_OFFICE_LEADER, /* a server alone too */
};
#define HL_OFFICES 3

/* Sums over sessions; all are u64 so that the file can hold them as they stand. */
struct hl_uptime_totals {
    uint64_t first_ms; /* Unix time of the first start, or of the last reset */
    uint64_t sessions, crashes;
    uint64_t up_ms, down_ms, longest_ms, shortest_ms;
    uint64_t office_ms[HL_OFFICES];
    uint64_t elections, terms_as_leader;
    uint64_t last_restart_ms, last_crash_ms; /* Unix time; 0: never */
};

struct hl_uptime_session {
    int64_t start_ms, end_ms; /* Unix time */
    bool clean;               /* it ended in order */
};

struct hl_uptime {
    struct hl_uptime_totals totals;
    struct hl_uptime_session past[HL_UPTIME_PAST_MAX]; /* oldest first */
    uint32_t past_count;
    int64_t start_ms;  /* of this session, Unix time */
    uint64_t start_us; /* the same by the clock that never steps */
    enum hl_office office;
    uint64_t office_us; /* since when */
    uint64_t office_spent_us[HL_OFFICES];
    uint64_t elections, terms_as_leader; /* of this session, or since a reset in it */
};

/* All figures as of one moment. */
struct hl_uptime_figures {
    struct hl_uptime_totals totals; /* this session included */
    int64_t start_ms;
    uint64_t session_ms, average_ms, mtbf_ms;
    double percent_24h, percent_7d, percent_30d, percent_all, leadership_ratio;
    uint64_t restarts;
};

/* Begin a session; `uptime` holds what an earlier file said, or zeros. */
void hl_uptime_begin(struct hl_uptime *uptime, int64_t wall_ms, uint64_t mono_us);

/* This node holds another office from now on, or the same. */
void hl_uptime_office(struct hl_uptime *uptime, enum hl_office office, uint64_t mono_us);

/* Forget all that was; the session goes on. */
void hl_uptime_reset(struct hl_uptime *uptime, int64_t wall_ms, uint64_t mono_us);

/* The figures. */
struct hl_uptime_figures hl_uptime_figures(const struct hl_uptime *uptime, int64_t wall_ms,
                                           uint64_t mono_us);

/* Append the file; `clean`: the session ends here, in order. */
void hl_uptime_encode(const struct hl_uptime *uptime, int64_t wall_ms, uint64_t mono_us, bool clean,
                      struct hl_buf *out);

/* Read what hl_uptime_encode() wrote, before hl_uptime_begin(): the session that wrote it is over
 * then.  HL_ECORRUPT, HL_EVERSION: nothing has changed (U3). */
HL_MUST_USE hl_err hl_uptime_decode(struct hl_uptime *uptime, struct hl_slice bytes,
                                    struct hl_errmsg *msg);

/* "Follower", "Candidate", "Leader". */
const char *hl_office_name(enum hl_office office);

#endif
