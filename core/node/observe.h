/* What is seen of the node from outside: slow log, latency spikes, error counts, histograms,
 * monitors.  Nothing here changes state, and no secret is ever kept (HL_CMD_SENSITIVE). */
#ifndef HL_NODE_OBSERVE_H
#define HL_NODE_OBSERVE_H

#include "node/node.h"

#define HL_SLOWLOG_ARGS_MAX 32   /* arguments kept of a slow request */
#define HL_SLOWLOG_ARG_MAX 128   /* bytes kept of each */
#define HL_LATENCY_EVENTS_MAX 32 /* kinds of spikes */
#define HL_LATENCY_SAMPLES 160   /* kept of each kind */
#define HL_ERRORS_MAX 128        /* error codes counted; the rest count as one */
#define HL_HISTOGRAM_SUB 16      /* buckets per power of two */
#define HL_HISTOGRAM_BUCKETS (31 * HL_HISTOGRAM_SUB)

/* A slow request; `argv` are owned copies, already shortened and redacted. */
struct hl_slow_entry {
    uint64_t id;
    int64_t time_s, took_us;
    int argc;
    char *argv[HL_SLOWLOG_ARGS_MAX];
    size_t argv_len[HL_SLOWLOG_ARGS_MAX];
    char addr[64];
    char *name;
};

/* Newest first: the i-th is entries[(first + i) % cap]. */
struct hl_slowlog {
    struct hl_slow_entry **entries;
    size_t first, count, cap;
    uint64_t next_id;
};

struct hl_latency_sample {
    int64_t time_s;
    uint32_t took_ms;
};

struct hl_latency_event {
    char name[48];
    uint32_t max_ms;
    uint32_t next, count; /* ring position and number of samples */
    struct hl_latency_sample samples[HL_LATENCY_SAMPLES];
};

struct hl_latency {
    uint32_t count;
    struct hl_latency_event *events[HL_LATENCY_EVENTS_MAX];
};

struct hl_error_counts {
    uint32_t count;
    struct {
        char code[32];
        uint64_t seen;
    } items[HL_ERRORS_MAX];
};

/* Log-linear counts of microseconds: 1/16 resolution, 1 us to half an hour. */
struct hl_histogram {
    uint64_t total;
    uint32_t buckets[HL_HISTOGRAM_BUCKETS];
};

/* Make what the node keeps of all this. */
void hl_observe_init(struct hl_node *node);

/* Release it. */
void hl_observe_fini(struct hl_node *node);

/* Drop all slow requests. */
void hl_slowlog_reset(struct hl_node *node);

/* The i-th newest slow request (i < count). */
const struct hl_slow_entry *hl_slowlog_at(const struct hl_slowlog *log, size_t i);

/* The spikes of an event, or NULL. */
struct hl_latency_event *hl_latency_find(struct hl_latency *latency, struct hl_slice name);

/* Forget one event's spikes, or all when `name` is NULL; returns how many events. */
int hl_latency_reset(struct hl_latency *latency, const struct hl_slice *name);

/* Upper bound of a bucket, in microseconds. */
uint64_t hl_histogram_bound(uint32_t bucket);

/* The microseconds below which `percent` of calls lie; 0 when there are none. */
double hl_histogram_percentile(const struct hl_histogram *histogram, double percent);

/* Zero all command counters, error counts and statistics that CONFIG RESETSTAT resets. */
void hl_observe_reset(struct hl_node *node);

/* Show every request to a session. */
void hl_monitor_add(struct hl_node *node, struct hl_session *session);

/* Stop showing them.  Allowed for a session that is no monitor. */
void hl_monitor_remove(struct hl_node *node, struct hl_session *session);

/* True when argument i of a request must not be shown: a password, a token. */
bool hl_is_secret_arg(const struct hl_command *cmd, int argc, const struct hl_slice *argv, int i);

#endif
