/* The state file of a local cluster: DIR/cluster.json, written whole and replaced by rename, so a
 * launcher that is killed leaves the old or the new one. */
#ifndef HL_TOOLS_CLUSTER_STATE_H
#define HL_TOOLS_CLUSTER_STATE_H

#include "tools/cluster_plan.h"

#define CLUSTER_STATE_FILE "cluster.json"
#define CLUSTER_STATE_VERSION 1
#define CLUSTER_STATE_SIZE_MAX 1048576 /* bytes that are read at most */

/* The value as JSON text, which the caller owns and ends with hl_free(). */
char *cluster_encode(const struct cluster *cluster);

/* The value that a text describes.  HL_EVERSION for a later version, HL_ECORRUPT with the place
 * for anything that is not a state file of ours; *out is then untouched.  The caller ends *out
 * with cluster_fini(). */
HL_MUST_USE hl_err cluster_decode(struct cluster *out, struct hl_slice text, struct hl_errmsg *msg);

/* Read the state file of a directory.  HL_ENOENT when there is none, HL_EIO, or as
 * cluster_decode(). */
HL_MUST_USE hl_err cluster_load(struct cluster *out, const char *dir, struct hl_errmsg *msg);

/* Replace the state file; durable when HL_OK, as it was after HL_EIO. */
HL_MUST_USE hl_err cluster_save(const struct cluster *cluster, const char *dir,
                                struct hl_errmsg *msg);

#endif
