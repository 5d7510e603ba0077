/* What `helios cluster status` shows. */
#ifndef HL_TOOLS_CLUSTER_STATUS_H
#define HL_TOOLS_CLUSTER_STATUS_H

#include "tools/cluster_ask.h"

/* All nodes at one moment; `at[i]` is about `cluster->nodes[i]`. */
struct cluster_view {
    struct cluster_answer at[CLUSTER_NODES_MAX];
    bool runs[CLUSTER_NODES_MAX]; /* the process of the state file */
    int leader;                   /* position of the leader with the highest term; -1 none */
    struct cluster_votes votes;
};

/* Ask every node.  Takes at most CLUSTER_ASK_MS for each that is silent. */
void cluster_look(const struct cluster *cluster, struct cluster_view *view);

/* Find leader and votes in the answers; cluster_look() does it too. */
void cluster_judge(const struct cluster *cluster, struct cluster_view *view);

/* Whether every node answers, and all name one leader. */
bool cluster_agrees(const struct cluster *cluster, const struct cluster_view *view);

/* One word for a node, for people and programs: "good", "down" and so on. */
const char *cluster_health(const struct cluster *cluster, const struct cluster_view *view,
                           size_t at);

/* Append the table, or the same as JSON. */
void cluster_print(const struct cluster *cluster, const struct cluster_view *view, const char *dir,
                   bool json, struct hl_buf *out);

#endif
