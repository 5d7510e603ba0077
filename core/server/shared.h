/* Settings that the nodes of a group share: between the log's table of them (node/admin.h) and this
 * node's settings.
 *
 * A shared setting (flag G of config.def) has the value that an entry of the log gave it.  The
 * first leader gives every one its own; from then on what files, flags and the environment of a
 * node say does not count, and is told once in the log file when it is something else.  A server
 * that is not one of a group has nothing of this.
 */
#ifndef HL_SERVER_SHARED_H
#define HL_SERVER_SHARED_H

#include "command/command.h"
#include "server/config.h"

struct hl_server;
struct hl_shared;

/* Follow the log's table from now on; before the log is loaded.  Owned by the caller. */
struct hl_shared *hl_shared_create(struct hl_server *server);

/* Release it.  NULL is allowed. */
void hl_shared_destroy(struct hl_shared *shared);

/* CONFIG SET in a group: when it names shared settings it is carried out by the leader, or refused;
 * true when it was replied to, or will be.  False: the names are this node's own affair. */
bool hl_shared_set(struct hl_shared *shared, struct hl_call *call);

#endif
