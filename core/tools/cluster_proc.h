/* Processes, ports and directories of a local cluster: what the launcher does to the machine. */
#ifndef HL_TOOLS_CLUSTER_PROC_H
#define HL_TOOLS_CLUSTER_PROC_H

#include "tools/cluster_plan.h"

/* The kernel's boot id into `out`; "" when it cannot be read. */
void cluster_boot_id(char out[64]);

/* Whether nothing listens on a port of loopback: a cluster_port_is_free. */
bool cluster_port_probe(void *ctx, int port);

/* Whether the node's process of the state file runs: the same process id, started at the same
 * moment of the same boot. */
bool cluster_proc_runs(const struct cluster *cluster, const struct cluster_node *node);

/* Whether process `pid` runs with the node's directory among its arguments: so one that an
 * interrupted launcher, or a person, started is known again.  *started is then set. */
bool cluster_proc_serves(int64_t pid, const char *dir, const struct cluster_node *node,
                         uint64_t *started);

/* Start a node's process in a session of its own, its output appended to DIR/ID.log, and note it
 * in `node`.  HL_EIO with the reason when the program cannot run. */
HL_MUST_USE hl_err cluster_proc_start(const struct cluster *cluster, struct cluster_node *node,
                                      const char *dir, struct hl_errmsg *msg);

/* Ask a node's process to end (SIGTERM); nothing when it does not run. */
void cluster_proc_tell(const struct cluster *cluster, const struct cluster_node *node);

/* Wait until a process that was told to end is gone, and kill it after `wait_ms`: *killed.  A node
 * that does not run is gone already.  HL_EBUSY when it stays all the same. */
HL_MUST_USE hl_err cluster_proc_wait(const struct cluster *cluster, struct cluster_node *node,
                                     int64_t wait_ms, bool *killed, struct hl_errmsg *msg);

/* Print the last lines of a node's log to standard error. */
void cluster_print_log_tail(const char *dir, const struct cluster_node *node);

/* Remove a directory and everything in it, crossing neither links nor mounts.  HL_ENOENT when
 * there is none, HL_EIO with the first path that stays. */
HL_MUST_USE hl_err cluster_remove_tree(const char *path, struct hl_errmsg *msg);

/* Milliseconds on a clock that only goes forward. */
int64_t cluster_now_ms(void);

/* Wait a while. */
void cluster_sleep(int64_t wait_ms);

#endif
