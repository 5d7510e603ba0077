/* From the configuration to what the node and the sockets need, at start and at every change. */
#ifndef HL_SERVER_SETTINGS_H
#define HL_SERVER_SETTINGS_H

#include "server/config.h"
#include "server/server.h"

/* Fill server->options from the configuration; texts are views into it. */
void hl_settings_options(struct hl_server *server);

/* The node's settings; texts are views into the configuration and server->options. */
struct hl_node_config hl_settings_node(const struct hl_server *server);

/* Is protected mode in force?  Whoever names an address to listen on, and says nothing about
 * protected mode, wants to be reached there. */
bool hl_settings_protected(const struct hl_config *cfg);

/* Are snapshots wanted by themselves?  An explicit `save ""` without a log means none, as in Redis.
 */
bool hl_settings_snapshots(const struct hl_config *cfg);

/* Apply CONFIG SET and reloads from now on: needs server->node. */
void hl_settings_watch(struct hl_server *server);

/* When the log's entries count as durable. */
enum hl_wal_sync hl_settings_sync(const struct hl_config *cfg);

#endif
