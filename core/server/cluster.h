/* This node as one of a cluster: how it begins, its transport, its time.
 *
 * Decides nothing: core/node/bootstrap.h says how to begin, core/node/cluster.h everything after.
 * Without `raft yes` there is no struct hl_cluster_edge, and every function here does nothing.
 */
#ifndef HL_SERVER_CLUSTER_H
#define HL_SERVER_CLUSTER_H

#include "server/server.h"

/* Opaque: callers hold a pointer and never a field. */
struct hl_cluster_edge;

/*
 * Listen on the raft port and begin, when the settings say `raft yes`: before the loop runs, with
 * log and node made and nothing loaded.  Sets server->cluster.
 * HL_EINVAL, HL_EIO: `msg` names the setting; nothing is left behind.
 */
HL_MUST_USE hl_err hl_cluster_start(struct hl_server *server, struct hl_errmsg *msg);

/* True when the node may load: it is known how it begins. */
bool hl_cluster_has_begun(const struct hl_server *server);

/* The last thing before polling, the iteration being over: wake up when the node wants to. */
void hl_cluster_before_poll(struct hl_server *server);

/* The server is to end.  True when it leads others and will hand leadership over first; the loop is
 * stopped when that is done, or `shutdown-timeout` has passed. */
bool hl_cluster_hand_over(struct hl_server *server);

/* Close the transport; the loop must run until its handles are closed. */
void hl_cluster_stop(struct hl_server *server);

/* Release what is left, once the loop is closed. */
void hl_cluster_destroy(struct hl_server *server);

/* Read the certificates again.  On failure the old ones stay in use. */
HL_MUST_USE hl_err hl_cluster_load_tls(struct hl_server *server, struct hl_errmsg *msg);

/* hl_world.reaches. */
bool hl_cluster_reaches(void *ctx, hl_peer to, enum hl_peer_class peer_class);

/* Append what INFO tells of connections to other nodes. */
void hl_cluster_info(struct hl_server *server, struct hl_buf *out);

/* Ask a node who it is, for hl_orders_answer(). */
void hl_cluster_ask(struct hl_server *server, const char *name, const char *address);

/* `hz` times a second. */
void hl_cluster_cron(struct hl_server *server);

/* Where clients of other nodes are told to find this one: advertise-addr, or the client port on the
 * host that other nodes reach. */
void hl_cluster_client_address(const struct hl_config *cfg, char *out, size_t size);

/* world->send and world->peers. */
void hl_cluster_send(void *ctx, hl_peer to, enum hl_peer_class peer_class, struct hl_slice frame);

/* world->peers. */
void hl_cluster_peers(void *ctx, const struct hl_members *members);

#endif
