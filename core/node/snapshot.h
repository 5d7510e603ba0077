/* Snapshots: the whole state as a stream of records, and back.
 *
 * The stream is the contents of a snapshot file (wal/snapfile.h), little-endian throughout:
 *
 *   'V'  u32 version of this stream, u32 feature level              first, once
 *   'T'  u32 len, bytes: a table of the state beside the keys       name, NUL, contents
 *   'D'  u32 number of the database that follows
 *   'K'  u8 flags (1 deadline, 2 idle time, 4 frequency), [i64 deadline in ms], [u32 idle s or
 *        frequency], u32 len and name, u32 len and value as keyspace/dump.h writes it
 *   'M'  u32 len, bytes: what a module saves beside its keys
 *   'E'  the end
 *
 * Invariants:
 *   P1  a stream read back gives a state of equal digest.
 *   P2  a snapshot replaces nothing before its label has committed (PROTOCOL section 9).
 */
#ifndef HL_NODE_SNAPSHOT_H
#define HL_NODE_SNAPSHOT_H

#include "node/node.h"
#include "wal/snapfile.h"

#define HL_SNAPSHOT_VERSION 1
#define HL_SNAPSHOT_RECORD_MAX UINT32_MAX /* bytes of one name, value or table */

/* The label that a snapshot taken now has. */
struct hl_snap_label hl_snapshot_label(const struct hl_node *node);

/*
 * Write the state as of now to a finished, unpublished file in `dir`.  Changes nothing in the node:
 * made for a forked child, and usable between two iterations.  `keys` counts (may be NULL).  As the
 * disk says; HL_EINVAL when a module refuses to save.
 */
HL_MUST_USE hl_err hl_snapshot_write(struct hl_node *node, const struct hl_disk *disk,
                                     const char *dir, const struct hl_snap_label *label,
                                     uint64_t *keys, struct hl_errmsg *msg);

/* The file of `label` is finished and its index has committed (asserted): publish it, and let the
 * log and the snapshots before it go.  HL_EINVAL when what it holds was undone meanwhile, or a
 * newer one is there; else as the disk says. */
HL_MUST_USE hl_err hl_snapshot_publish(struct hl_node *node, const struct hl_disk *disk,
                                       const char *dir, const struct hl_snap_label *label,
                                       struct hl_errmsg *msg);

/* Load the newest snapshot of `dir` before the log: call before the first hl_node_load_step(). Both
 * are borrowed until hl_node_destroy(): the state may have to be made anew. */
void hl_node_load_from(struct hl_node *node, const struct hl_disk *disk, const char *dir);

#endif
