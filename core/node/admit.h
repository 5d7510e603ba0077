/* Admission: whether a request may run at all, and the error when it may not. */
#ifndef HL_NODE_ADMIT_H
#define HL_NODE_ADMIT_H

#include "node/node.h"

/* True when CLIENT PAUSE holds this command of this session back. */
bool hl_admit_paused(struct hl_node *node, struct hl_session *session,
                     const struct hl_command *cmd);

/* Check name, arity, rights and the state of the server, in Redis's order.  `cmd` is NULL for an
 * unknown name.  False after writing the error to the session. */
bool hl_admit(struct hl_node *node, struct hl_session *session, struct hl_command *cmd, int argc,
              const struct hl_slice *argv);

/* Count the error reply that starts at `start` of `out` by its code, for INFO errorstats. */
void hl_error_note(struct hl_node *node, const struct hl_buf *out, size_t start);

/* Note how long a command took in its histogram. */
void hl_histogram_note(struct hl_command *cmd, uint64_t took_us);

/* Enter a request into the slow log, secrets hidden. */
void hl_slowlog_note(struct hl_node *node, struct hl_session *session, struct hl_command *cmd,
                     int argc, const struct hl_slice *argv, int64_t took_us);

/* Note a latency spike of an event. */
void hl_latency_note(struct hl_node *node, const char *event, uint64_t took_ms);

/* Does the command, or what EXEC is about to run, change something? */
bool hl_admit_writes(struct hl_node *node, struct hl_session *session,
                     const struct hl_command *cmd);

/* Must this write wait until the log has written some of what was executed before it?  Not for
 * longer than a named time: then hl_admit() refuses it. */
bool hl_admit_crowded(struct hl_node *node, struct hl_session *session,
                      const struct hl_command *cmd);

/* The part of hl_admit() that looks at the caller and the request, not at the state of the node. */
bool hl_admit_caller(struct hl_node *node, struct hl_session *session, struct hl_command *cmd,
                     int argc, const struct hl_slice *argv);

#endif
