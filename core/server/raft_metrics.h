/* raft_peer_*, raft_cluster_*, raft_node_* and raft_snapshot*_*: what the nodes of a group say of
 * one another, of their lives and of their snapshots, in server->metrics.
 *
 * Answers of other members are counted as they come; the rest is copied when somebody reads.
 */
#ifndef HL_SERVER_RAFT_METRICS_H
#define HL_SERVER_RAFT_METRICS_H

#include "server/server.h"

struct hl_raft_metrics;

/* Make server->raft_metrics; server->metrics exists. */
void hl_raft_metrics_create(struct hl_server *server);

/* Release it, while the node still exists.  The families end with server->metrics. */
void hl_raft_metrics_destroy(struct hl_server *server);

#endif
