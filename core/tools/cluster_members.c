/* Members of a local cluster: how nodes join it and leave it. */
#include "kit/assert.h"
#include "tools/cluster_launch.h"

#include <inttypes.h>
#include <stdio.h>

#define ADD_WAIT_MS 5000     /* for a node that was just started to listen */
#define CHANGE_WAIT_MS 15000 /* for the leader to answer that a change is committed */

hl_err cluster_await_agreement(struct launch *l, struct cluster_view *view, struct hl_errmsg *msg)
{
    int64_t until = cluster_now_ms() + l->wait_s * 1000;
    for (;;) {
        cluster_look(&l->cluster, view);
        if (cluster_agrees(&l->cluster, view)) {
            return HL_OK;
        }
        for (size_t i = 0; i < l->cluster.count; i++) {
            if (!view->runs[i]) {
                cluster_print_log_tail(l->dir, &l->cluster.nodes[i]);
                return hl_fail(msg, HL_EIO, "%s has ended: its log says why",
                               l->cluster.nodes[i].id);
            }
        }
        if (cluster_now_ms() >= until) {
            return hl_fail(msg, HL_EBUSY,
                           "the nodes run but do not agree on a leader after %" PRId64
                           " s: see 'helios cluster status' and the logs in %.150s",
                           l->wait_s, l->dir);
        }
        cluster_sleep(CLUSTER_STEP_MS);
    }
}

/* A new member votes once it has caught up: with much data that takes longer than anybody waits. */
static void await_vote(struct launch *l, const struct cluster_node *node)
{
    int64_t until = cluster_now_ms() + l->wait_s * 1000;
    struct cluster_answer answer;
    do {
        cluster_sleep(CLUSTER_STEP_MS);
        cluster_ask(node, &answer);
        if (strcmp(answer.role, "follower") == 0 || strcmp(answer.role, "leader") == 0) {
            return;
        }
    } while (cluster_now_ms() < until);
    fprintf(stderr, "helios cluster: %s is a member and will vote once it has caught up\n",
            node->id);
}

/* Have the leader add a node, which may have been started only just now. */
static hl_err add_member(struct launch *l, const struct cluster_node *leader,
                         const struct cluster_node *node, struct hl_errmsg *msg)
{
    char raft_addr[32];
    (void)snprintf(raft_addr, sizeof raft_addr, "127.0.0.1:%d", node->raft_port);
    const char *words[] = {"RAFT.ADD", node->id, raft_addr};
    int64_t until = cluster_now_ms() + ADD_WAIT_MS;
    hl_err err = HL_OK;
    do {
        cluster_sleep(CLUSTER_STEP_MS);
        err = cluster_command(leader, CHANGE_WAIT_MS, 3, words, msg);
    } while (err != HL_OK && cluster_proc_runs(&l->cluster, node) && cluster_now_ms() < until);
    if (!cluster_proc_runs(&l->cluster, node)) {
        cluster_print_log_tail(l->dir, node);
        return hl_fail(msg, HL_EIO, "%s has ended: its log says why", node->id);
    }
    return err;
}

hl_err cluster_join_new(struct launch *l, struct hl_errmsg *msg)
{
    for (size_t i = 0; i < l->cluster.count; i++) {
        struct cluster_node *node = &l->cluster.nodes[i];
        if (node->member != CLUSTER_JOINING) {
            continue;
        }
        struct cluster_view view;
        hl_err err = cluster_await_agreement(l, &view, msg);
        if (err != HL_OK) {
            return err;
        }
        err = add_member(l, &l->cluster.nodes[view.leader], node, msg);
        if (err != HL_OK) {
            return err;
        }
        node->member = CLUSTER_JOINED;
        err = cluster_save(&l->cluster, l->dir, msg);
        if (err != HL_OK) {
            return err;
        }
        await_vote(l, node);
    }
    return HL_OK;
}

/* How the nodes are, as soon as one of them leads; they may be about to elect one. */
static void await_leader(struct launch *l, struct cluster_view *view)
{
    int64_t until = cluster_now_ms() + l->wait_s * 1000;
    cluster_look(&l->cluster, view);
    while (view->leader < 0 && view->votes.up >= cluster_quorum(view->votes.voters) &&
           cluster_now_ms() < until) {
        cluster_sleep(CLUSTER_STEP_MS);
        cluster_look(&l->cluster, view);
    }
}

/* Let another node lead before the leader goes. */
static void hand_over(struct launch *l, struct cluster_view *view, size_t leaving)
{
    const char *words[] = {"RAFT.TRANSFER"};
    struct hl_errmsg why = {0};
    int64_t until = cluster_now_ms() + l->wait_s * 1000;
    if (view->leader != (int)leaving) {
        return;
    }
    if (cluster_command(&l->cluster.nodes[leaving], CHANGE_WAIT_MS, 1, words, &why) != HL_OK) {
        fprintf(stderr, "helios cluster: %s goes as leader: %s\n", l->cluster.nodes[leaving].id,
                why.text);
        return;
    }
    while ((view->leader == (int)leaving || view->leader < 0) && cluster_now_ms() < until) {
        cluster_sleep(CLUSTER_STEP_MS);
        cluster_look(&l->cluster, view);
    }
}

hl_err cluster_remove_member(struct launch *l, struct cluster_node *node, struct hl_errmsg *msg)
{
    struct cluster_view view;
    size_t at = (size_t)(node - l->cluster.nodes);
    await_leader(l, &view);
    bool is_voter = node->member != CLUSTER_JOINING && strcmp(view.at[at].role, "learner") != 0;
    if (is_voter) {
        hl_err err =
            cluster_may_remove(&view.votes, view.at[at].reach == CLUSTER_ANSWERS, l->force, msg);
        if (err != HL_OK) {
            return err;
        }
    }
    hand_over(l, &view, at);
    if (view.leader < 0) {
        return hl_fail(msg, HL_EBUSY,
                       "there is no leader that could remove %s: try again when "
                       "'helios cluster status' shows one",
                       node->id);
    }
    bool again = node->member == CLUSTER_LEAVING;
    node->member = CLUSTER_LEAVING;
    hl_err err = cluster_save(&l->cluster, l->dir, msg);
    if (err != HL_OK) {
        return err;
    }
    const char *words[] = {"RAFT.REMOVE", node->id};
    err = cluster_command(&l->cluster.nodes[view.leader], CHANGE_WAIT_MS, 2, words, msg);
    return err == HL_EINVAL && again && strstr(msg->text, "no such") != NULL ? HL_OK : err;
}
