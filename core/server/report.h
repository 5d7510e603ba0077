/* What operators are told of a node and its group, as nested maps: the objects of
 * /admin/cluster/... with the same names of fields, which RAFT.LATENCY, RAFT.UPTIME, RAFT.SNAPSHOTS
 * and RAFT.REPORT answer.
 *
 * Durations are `_ms` (and `_str` for people), times `_unix` in seconds, sizes bytes.
 */
#ifndef HL_SERVER_REPORT_H
#define HL_SERVER_REPORT_H

#include "server/server.h"

/* A map being written: its fields are counted. */
struct hl_report {
    struct hl_writer *out;
    struct hl_write_mark mark;
    size_t fields;
};

/* Begin a map as the next value. */
struct hl_report hl_report_begin(struct hl_writer *out);

/* End it. */
void hl_report_end(struct hl_report *report);

/* Begin a map as the value of a field of `parent`. */
struct hl_report hl_report_map(struct hl_report *parent, const char *name);

/* A field with a number. */
void hl_report_int(struct hl_report *report, const char *name, int64_t value);

/* One that is true or false. */
void hl_report_bool(struct hl_report *report, const char *name, bool value);

/* One with a text. */
void hl_report_text(struct hl_report *report, const char *name, const char *value);

/* One with a number, rounded to three places. */
void hl_report_double(struct hl_report *report, const char *name, double value);

/* Two fields: `name`_ms, and `name`_str such as "26h3m4.005s". */
void hl_report_duration(struct hl_report *report, const char *name, uint64_t ms);

/* Who is healthy, and how fast the group answers. */
struct hl_report_health {
    uint32_t healthy, unhealthy;
    uint64_t count, errors;
    double avg_ms, max_ms;
};

/* Of all other members. */
struct hl_report_health hl_report_health(struct hl_server *server);

/* Does a connection to the member stand? */
bool hl_report_reachable(struct hl_server *server, hl_peer id);

/* And has it answered lately? */
bool hl_report_healthy(struct hl_server *server, hl_peer id);

/* One member's latencies, all kinds, as RAFT.LATENCY tells them: a map. */
void hl_report_latency(struct hl_server *server, const struct hl_member *member,
                       struct hl_writer *out);

/* The uptime figures: a map. */
void hl_report_uptime(struct hl_server *server, struct hl_writer *out);

/* The snapshot figures: a map. */
void hl_report_snapshots(struct hl_server *server, struct hl_writer *out);

/* The whole: a map. */
void hl_report_status(struct hl_server *server, struct hl_writer *out);

/* A published snapshot in the data directory. */
struct hl_report_snapshot {
    hl_index index;
    uint64_t size;
    int64_t at_s; /* Unix time */
};

/* The published snapshots, newest first, at most `max`; returns how many there are in all. */
size_t hl_report_find_snapshots(struct hl_server *server, struct hl_report_snapshot *out,
                                size_t max);

/* RAFT.LATENCY, RAFT.UPTIME, RAFT.SNAPSHOTS, RAFT.EVENTS, RAFT.REPORT. */
extern const struct hl_command_row hl_commands_report[];
extern const size_t hl_commands_report_count;

#endif
