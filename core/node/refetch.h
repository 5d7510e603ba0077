/* A damaged log on a node of several: what was lost is fetched again (PROTOCOL section 11).
 *
 * A node alone never gives up what it acknowledged: it refuses to start, and a human decides.  One
 * of several may, when others vote: it cuts its log where the damage begins, and from then on its
 * vote and its word count for nothing until a leader has given it everything again.  That it is so
 * is on the disk before anything is cut (hl_wal_boot_lost).
 *
 * Whether others vote is read from what is still good.  A change of the members that is known to
 * have been committed and cannot be read any more may have left this node alone: then it refuses.
 */
#ifndef HL_NODE_REFETCH_H
#define HL_NODE_REFETCH_H

#include "wal/wal.h"

/*
 * Open the log of a node of several, as hl_wal_open() does with HL_WAL_REPAIR_TORN; `findings` may
 * not be NULL here.  When it is damaged and others can give back what is lost, it is cut there:
 * findings->damaged says so, and `findings->highest` is what the node must have again before its
 * word counts.  Else HL_ECORRUPT, with why in `msg`, and nothing was changed.
 */
HL_MUST_USE hl_err hl_refetch_open(struct hl_wal **out, const struct hl_disk *disk,
                                   const struct hl_wal_options *options,
                                   struct hl_wal_findings *findings, struct hl_errmsg *msg);

/* Has the log lost what it had acknowledged, and nobody gave it back yet? */
bool hl_refetch_is_due(const struct hl_wal_meta *meta);

#endif
