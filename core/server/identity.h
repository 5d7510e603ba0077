/* Who the log belongs to, and whether it may have forgotten what it promised. */
#ifndef HL_SERVER_IDENTITY_H
#define HL_SERVER_IDENTITY_H

#include "server/server.h"

/*
 * Give the log its node id at the first start, count this start, and note the kernel's boot id.
 * Without `raft` a cluster id is drawn too; with it that comes from the founding, or from a leader,
 * and the rest is on disk before this returns, since others are told of it.
 *
 * Sets server->barred when the log is not synced for each write and the machine was booted since,
 * or when it was cut for damage: entries that this node has acknowledged may be gone.  HL_EINVAL
 * when the node was removed from its cluster, else errors as hl_wal_flush().
 *
 * For tests only: HELIOS_TEST_BOOT_ID (32 hexadecimal digits) in the environment is taken for the
 * kernel's boot id, so that a restart looks like that of the machine.
 */
HL_MUST_USE hl_err hl_identity_give(struct hl_server *server, struct hl_errmsg *msg);

/* Note today's boot id once a leader has brought a barred node up to date. */
void hl_identity_cron(struct hl_server *server);

#endif
