/* What the server itself counts, in server->metrics (base/metrics.h): commands, connections, keys,
 * memory, log, commits, Raft.
 *
 * Most of it is counted anyway, for INFO, and only copied when somebody reads metrics: no command
 * pays for that.  What INFO does not know is observed here as it happens, once in a batch of the
 * log or more seldom.
 */
#ifndef HL_SERVER_METRICS_H
#define HL_SERVER_METRICS_H

#include "server/server.h"

struct hl_measures;

/* Make server->metrics and server->measures; the node exists. */
void hl_measures_create(struct hl_server *server);

/* Release server->measures; the families stay until server->metrics ends.  NULL is allowed. */
void hl_measures_destroy(struct hl_server *server);

/* A batch goes to the log. */
void hl_measure_batch(struct hl_server *server, const struct hl_wal_batch *batch);

/* A snapshot was put in place; it took that long. */
void hl_measure_snapshot(struct hl_server *server, int64_t took_ms);

#endif
