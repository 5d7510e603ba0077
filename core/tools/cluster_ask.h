/* What the nodes of a local cluster say of themselves. */
#ifndef HL_TOOLS_CLUSTER_ASK_H
#define HL_TOOLS_CLUSTER_ASK_H

#include "tools/cluster_plan.h"

#define CLUSTER_ASK_MS 1000 /* a node that does not answer for so long is said not to */

enum cluster_reach {
    CLUSTER_DOWN,    /* nothing listens */
    CLUSTER_SILENT,  /* something does, and gives no usable answer in time */
    CLUSTER_REFUSES, /* it answers an error: `why` */
    CLUSTER_LOADING, /* it reads its data */
    CLUSTER_ANSWERS,
};

/* A node's answer to INFO; numbers are -1 and texts "" where it did not say. */
struct cluster_answer {
    enum cluster_reach reach;
    char why[128];
    char id[CLUSTER_ID_MAX + 1];
    char role[16]; /* leader, follower, candidate, learner */
    char leader[CLUSTER_ID_MAX + 1];
    int64_t term, commit, applied, last;
    int64_t voters, learners; /* in its newest configuration */
    int64_t uptime_s, pid;
};

/* Read the fields out of INFO's text, which may hold anything. */
void cluster_read_info(struct cluster_answer *answer, struct hl_slice text);

/* Ask a node; REDISCLI_AUTH of the environment is the password, as for redis-cli. */
void cluster_ask(const struct cluster_node *node, struct cluster_answer *answer);

/* Run a command on a node, waiting `wait_ms` at most.  HL_EIO when it cannot be reached or the
 * connection ends, HL_EINVAL when it answers an error: `msg` is the reason. */
HL_MUST_USE hl_err cluster_command(const struct cluster_node *node, int64_t wait_ms, int argc,
                                   const char **argv, struct hl_errmsg *msg);

#endif
