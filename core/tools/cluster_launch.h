/* One `helios cluster` at work: what cluster.c and cluster_members.c share. */
#ifndef HL_TOOLS_CLUSTER_LAUNCH_H
#define HL_TOOLS_CLUSTER_LAUNCH_H

#include "tools/cluster_proc.h"
#include "tools/cluster_state.h"
#include "tools/cluster_status.h"

#include <limits.h>

#define CLUSTER_WORDS_MAX CLUSTER_NODES_MAX
#define CLUSTER_STEP_MS 20 /* between two looks at something that is about to change */

/* One command line, and what it works on. */
struct launch {
    const char *dir_arg;
    char dir[PATH_MAX]; /* absolute */
    const char *server;
    const char *words[CLUSTER_WORDS_MAX];
    size_t word_count;
    char *const *flags; /* behind "--" */
    size_t flag_count;
    int port, raft_port;
    int64_t wait_s, watch_s; /* watch_s 0: status once */
    bool force, yes, json;
    int lock;
    struct cluster cluster;
};

/* Wait until the nodes agree on a leader: HL_OK and how they are.  HL_EIO when one of them ends,
 * HL_EBUSY when they take longer than `wait_s`. */
HL_MUST_USE hl_err cluster_await_agreement(struct launch *l, struct cluster_view *view,
                                           struct hl_errmsg *msg);

/* Have the leader add the nodes that are not members yet, and wait until they vote, `wait_s` at
 * most.  Saves the state. */
HL_MUST_USE hl_err cluster_join_new(struct launch *l, struct hl_errmsg *msg);

/* Have the leader remove a node from the members, handing over first when it is the one.  HL_OK
 * also when an interrupted attempt did so already; HL_EBUSY when the rest would be no majority
 * (cluster_may_remove()) or there is no leader in `wait_s`.  Saves the state. */
HL_MUST_USE hl_err cluster_remove_member(struct launch *l, struct cluster_node *node,
                                         struct hl_errmsg *msg);

#endif
