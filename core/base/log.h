/* Log lines: levels, two forms, and a sink that the edge gives.
 *
 *   text  4711:L 21 Nov 2026 12:12:54.914 * raft: entered leader state [term 2 votes 2]
 *   json  {"timestamp":"2026-11-21T12:12:54.914Z","level":"info","component":"raft",
 *          "message":"entered leader state","extra":{"term":"2","votes":"2"}}         (one line)
 *
 * Invariants:
 *   O1  one call makes at most one line, of at most HL_LOG_LINE_MAX bytes, ended by one newline.
 *   O2  a line has no other control character, and a JSON line is valid JSON in valid UTF-8,
 * whatever the message and the fields hold. O3  nothing is allocated.
 */
#ifndef HL_BASE_LOG_H
#define HL_BASE_LOG_H

#include "kit/bytes.h"

#include <stdbool.h>
#include <stdint.h>

#define HL_LOG_LINE_MAX 8192    /* bytes of a line, newline included */
#define HL_LOG_MESSAGE_MAX 4096 /* bytes of a message before escapes; the rest is cut */

/* Redis's levels, least important first; JSON says debug, info, info, warn. */
enum hl_log_level { HL_LOG_DEBUG, HL_LOG_VERBOSE, HL_LOG_NOTICE, HL_LOG_WARNING };

enum hl_log_form { HL_LOG_TEXT, HL_LOG_JSON };

/* Where lines go.  The edge fills and owns it; every field may change between two lines. */
struct hl_log {
    enum hl_log_level level; /* less important lines are dropped */
    enum hl_log_form form;
    int64_t pid;
    char role;            /* letter after the pid: M or L leader, F follower, C child, N learner */
    int32_t utc_offset_s; /* of local time, for the text form */
    int64_t (*now_us)(void *ctx);                                            /* since the epoch */
    void (*write)(void *ctx, enum hl_log_level level, struct hl_slice line); /* borrowed line */
    void *ctx;
};

/* A named value beside the message. */
struct hl_log_field {
    const char *name;
    struct hl_slice value;
};

/* The trace that a line belongs to, in W3C form: 32 and 16 hexadecimal digits; "" for none. */
struct hl_log_trace {
    char trace_id[33];
    char span_id[17];
};

/* Would a line of this level be written?  False for a NULL log. */
static inline bool hl_log_wants(const struct hl_log *log, enum hl_log_level level)
{
    return log != NULL && level >= log->level;
}

/* Write one line.  `component` names the part that speaks ("raft", "wal"; "" for none).  A NULL log
 * writes nothing. */
void hl_log(struct hl_log *log, enum hl_log_level level, const char *component, const char *fmt,
            ...) HL_PRINTF(4, 5);

/* Write one line with fields and a trace (may be NULL). */
void hl_log_event(struct hl_log *log, enum hl_log_level level, const char *component,
                  const char *message, const struct hl_log_field *fields, size_t field_count,
                  const struct hl_log_trace *trace);

/* Read a level's name, any case: debug verbose notice warning, and info warn error.  False when
 * unknown. */
bool hl_log_parse_level(struct hl_slice name, enum hl_log_level *out);

#endif
