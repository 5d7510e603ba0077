/* What a local cluster is made of, and what may be done to it: pure decisions over a plain value.
 *
 * The launcher (cluster.c) asks here and acts; the state file (cluster_state.h) is this value as
 * JSON.
 *
 *   P1  an id is letters, digits, '_' and '-': it is part of paths that are made and moved.
 *   P2  no two nodes share an id or a port, and the number of a node is never given twice.
 *   P3  nothing that would leave the voters without a majority is planned without `force`.
 */
#ifndef HL_TOOLS_CLUSTER_PLAN_H
#define HL_TOOLS_CLUSTER_PLAN_H

#include "kit/bytes.h"

#include <stdbool.h>
#include <stdint.h>

#define CLUSTER_NODES_MAX 16   /* as many as a configuration of the log holds */
#define CLUSTER_FOUNDERS_MAX 9 /* voters at most */
#define CLUSTER_ID_MAX 64      /* bytes of a node's name */
#define CLUSTER_FLAGS_MAX 64   /* of the server, given to `start` */
#define CLUSTER_PATH_MAX 4096
#define CLUSTER_CLIENT_PORT 6379 /* where the search for free ports begins */
#define CLUSTER_RAFT_PORT 7000
#define CLUSTER_TRIES_MAX 1000 /* ports looked at for one node */

enum cluster_member {
    CLUSTER_JOINING, /* started, and the leader has not said yet that it is a member */
    CLUSTER_JOINED,
    CLUSTER_LEAVING, /* to be removed: the leader may have done so or not */
};

struct cluster_node {
    char id[CLUSTER_ID_MAX + 1];
    int client_port; /* 1 to 65535, of clients on loopback */
    int raft_port;   /* of other nodes */
    enum cluster_member member;
    int64_t pid;          /* of the process started last; 0 when none */
    uint64_t pid_started; /* when, in clock ticks since boot, so that a reused id is not ours */
};

struct cluster {
    char server[CLUSTER_PATH_MAX]; /* program of the nodes, an absolute path */
    char boot_id[64];              /* of the kernel that the process ids belong to; "" unknown */
    char *flags[CLUSTER_FLAGS_MAX];
    size_t flag_count;
    char *peers;     /* the founders as raft-peers says it, for ever the same */
    int next_number; /* of the next node */
    struct cluster_node nodes[CLUSTER_NODES_MAX];
    size_t count;
};

/* "joining", "joined", "leaving". */
const char *cluster_member_name(enum cluster_member member);

/* Whether nothing listens on a port of loopback. */
typedef bool cluster_port_is_free(void *ctx, int port);

/* Release what the value owns; it is then empty. */
void cluster_fini(struct cluster *cluster);

/* Whether a name may be a node's id (P1).  NULL is not. */
bool cluster_id_is_good(const char *id);

/* The node of that id, NULL when there is none; part of `cluster`. */
struct cluster_node *cluster_find(struct cluster *cluster, const char *id);

/* Nodes of the first start.
 *
 * client_port, raft_port  the first node's, the others follow; 0 takes free ones from the usual
 *                         place upwards.
 *
 * HL_EINVAL when count is not 1 to CLUSTER_FOUNDERS_MAX or a port is out of range; HL_EBUSY when a
 * chosen port is in use or no free one is found.  `cluster` is then as it was. */
HL_MUST_USE hl_err cluster_plan_founders(struct cluster *cluster, int count, int client_port,
                                         int raft_port, cluster_port_is_free *is_free, void *ctx,
                                         struct hl_errmsg *msg);

/* One node more, CLUSTER_JOINING; *added is part of `cluster`.  Ports and errors as above;
 * HL_ELIMIT when there are CLUSTER_NODES_MAX. */
HL_MUST_USE hl_err cluster_plan_add(struct cluster *cluster, int client_port, int raft_port,
                                    cluster_port_is_free *is_free, void *ctx,
                                    struct cluster_node **added, struct hl_errmsg *msg);

/* Forget a node. */
void cluster_forget(struct cluster *cluster, struct cluster_node *node);

/* The words of a node's command line, each ended by a NUL, into `out`; returns how many.  `dir` is
 * the cluster's directory, an absolute path. */
size_t cluster_plan_argv(const struct cluster *cluster, const struct cluster_node *node,
                         const char *dir, struct hl_buf *out);

/* What is known of the voters when something is asked. */
struct cluster_votes {
    int voters; /* in the newest configuration that was seen */
    int up;     /* of them, running and answering */
};

/* A majority of `voters`. */
int cluster_quorum(int voters);

/* Whether a running voter (or a stopped one: `up` false) may be stopped for a while.  HL_EBUSY
 * with the reason when the rest would be no majority. */
HL_MUST_USE hl_err cluster_may_stop(const struct cluster_votes *votes, int stopping, bool force,
                                    struct hl_errmsg *msg);

/* Whether a voter may be removed for ever.  HL_EBUSY with the reason and a remedy: there is no
 * majority to agree on it (no force helps), or what remains would have none or be nobody. */
HL_MUST_USE hl_err cluster_may_remove(const struct cluster_votes *votes, bool is_up, bool force,
                                      struct hl_errmsg *msg);

#endif
