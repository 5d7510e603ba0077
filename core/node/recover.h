/* Unsafe recovery: what one node still holds becomes a cluster of its own, when the majority of its
 * former one is gone for good (PROTOCOL section 11).
 *
 * The new cluster has another id, so nobody of the former one can ever take part in it or be taken
 * for a part of it: there may be two histories afterwards, but never one that is mixed of both. All
 * that this node's log holds counts from then on, committed or not.  What only others held is lost.
 *
 * Works on a log that is open and on nothing else: no node may be made of it meanwhile.
 */
#ifndef HL_NODE_RECOVER_H
#define HL_NODE_RECOVER_H

#include "node/members.h"
#include "wal/wal.h"

/* What is there before. */
struct hl_recovery {
    unsigned char cluster_id[16];
    struct hl_members members; /* of the newest entry that names them */
    hl_index members_at;       /* which that is */
    const struct hl_member *self;
    hl_index snapshot, committed, last; /* committed: as far as this node noted, at least */
    hl_term term, snapshot_term;
    bool removed;    /* its cluster went on without it: others may know more */
    bool log_is_old; /* the snapshot holds all that it does: it is emptied */
};

/*
 * Learn what there is; changes nothing.  `wal` is open for writing or not, `dir` its directory.
 *   HL_ENOENT   there is nothing to recover: neither entries nor a snapshot
 *   HL_EINVAL   this node is no member of its cluster, as far as it knows
 *   HL_ECORRUPT the log leans on a snapshot that is not there or not whole
 *   or as the disk says; *out is written on success only, and out->self points into it.
 */
HL_MUST_USE hl_err hl_recovery_look(struct hl_wal *wal, const struct hl_disk *disk, const char *dir,
                                    struct hl_recovery *out, struct hl_errmsg *msg);

/*
 * Make it a cluster of one voter with the id `cluster_id` (16 bytes, random).  After a failure or a
 * crash on the way the node either is what it was or waits for its former cluster under the new id,
 * which nobody answers: doing it again goes on.  As the disk says.
 */
HL_MUST_USE hl_err hl_recovery_force(struct hl_wal *wal, const struct hl_disk *disk,
                                     const char *dir, const struct hl_recovery *found,
                                     const unsigned char *cluster_id, struct hl_errmsg *msg);

#endif
