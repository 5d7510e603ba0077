/* See cluster_plan.h. */
#include "tools/cluster_plan.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <stdio.h>
#include <string.h>

#define PORT_MAX 65535

void cluster_fini(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->flag_count; i++) {
        hl_free(cluster->flags[i]);
    }
    hl_free(cluster->peers);
    *cluster = (struct cluster){0};
}

const char *cluster_member_name(enum cluster_member member)
{
    switch (member) {
    case CLUSTER_JOINING:
        return "joining";
    case CLUSTER_JOINED:
        return "joined";
    case CLUSTER_LEAVING:
        return "leaving";
    }
    HL_ASSERT(false);
}

bool cluster_id_is_good(const char *id)
{
    size_t len = id == NULL ? 0 : strlen(id);
    if (len == 0 || len > CLUSTER_ID_MAX || id[0] == '-') {
        return false;
    }
    return strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == len;
}

struct cluster_node *cluster_find(struct cluster *cluster, const char *id)
{
    for (size_t i = 0; i < cluster->count; i++) {
        if (strcmp(cluster->nodes[i].id, id) == 0) {
            return &cluster->nodes[i];
        }
    }
    return NULL;
}

static bool is_planned(const struct cluster *cluster, int port)
{
    for (size_t i = 0; i < cluster->count; i++) {
        if (cluster->nodes[i].client_port == port || cluster->nodes[i].raft_port == port) {
            return true;
        }
    }
    return false;
}

/* A port for a node: `chosen` itself, or the first free one from `from` on that is not `taken`. */
static hl_err pick_port(const struct cluster *cluster, int chosen, int from, int taken,
                        cluster_port_is_free *is_free, void *ctx, int *port, struct hl_errmsg *msg)
{
    if (chosen < 0 || chosen > PORT_MAX) {
        return hl_fail(msg, HL_EINVAL, "%d is not a port: choose one from 1 to %d", chosen,
                       PORT_MAX);
    }
    if (chosen != 0) {
        if (chosen == taken || is_planned(cluster, chosen)) {
            return hl_fail(msg, HL_EBUSY, "port %d is another node's", chosen);
        }
        if (!is_free(ctx, chosen)) {
            return hl_fail(msg, HL_EBUSY,
                           "port %d is in use by another program: choose another, or none to take "
                           "free ones",
                           chosen);
        }
        *port = chosen;
        return HL_OK;
    }
    for (int p = from; p <= PORT_MAX && p < from + CLUSTER_TRIES_MAX; p++) {
        if (p != taken && !is_planned(cluster, p) && is_free(ctx, p)) {
            *port = p;
            return HL_OK;
        }
    }
    return hl_fail(msg, HL_EBUSY, "no port from %d on is free: choose one yourself", from);
}

hl_err cluster_plan_add(struct cluster *cluster, int client_port, int raft_port,
                        cluster_port_is_free *is_free, void *ctx, struct cluster_node **added,
                        struct hl_errmsg *msg)
{
    if (cluster->count == CLUSTER_NODES_MAX) {
        return hl_fail(msg, HL_ELIMIT, "a cluster has at most %d nodes", CLUSTER_NODES_MAX);
    }
    struct cluster_node node = {0};
    hl_err err = pick_port(cluster, client_port, CLUSTER_CLIENT_PORT, raft_port, is_free, ctx,
                           &node.client_port, msg);
    if (err == HL_OK) {
        err = pick_port(cluster, raft_port, CLUSTER_RAFT_PORT, node.client_port, is_free, ctx,
                        &node.raft_port, msg);
    }
    if (err != HL_OK) {
        return err;
    }
    int number = cluster->next_number == 0 ? 1 : cluster->next_number;
    (void)snprintf(node.id, sizeof node.id, "node-%d", number);
    cluster->next_number = number + 1;
    HL_ASSERT(cluster_find(cluster, node.id) == NULL);
    cluster->nodes[cluster->count] = node;
    *added = &cluster->nodes[cluster->count++];
    return HL_OK;
}

static void name_founders(struct cluster *cluster)
{
    struct hl_buf peers = {0};
    for (size_t i = 0; i < cluster->count; i++) {
        hl_buf_printf(&peers, "%s%s:127.0.0.1:%d", i == 0 ? "" : ",", cluster->nodes[i].id,
                      cluster->nodes[i].raft_port);
        cluster->nodes[i].member = CLUSTER_JOINED;
    }
    cluster->peers = hl_strndup(peers.ptr, peers.len);
    hl_buf_fini(&peers);
}

hl_err cluster_plan_founders(struct cluster *cluster, int count, int client_port, int raft_port,
                             cluster_port_is_free *is_free, void *ctx, struct hl_errmsg *msg)
{
    HL_ASSERT(cluster->count == 0);
    HL_ASSERT(cluster->peers == NULL);
    if (count < 1 || count > CLUSTER_FOUNDERS_MAX) {
        return hl_fail(msg, HL_EINVAL, "a cluster is founded by 1 to %d nodes (3 or 5 are best)",
                       CLUSTER_FOUNDERS_MAX);
    }
    for (int i = 0; i < count; i++) {
        struct cluster_node *node = NULL;
        hl_err err = cluster_plan_add(cluster, client_port == 0 ? 0 : client_port + i,
                                      raft_port == 0 ? 0 : raft_port + i, is_free, ctx, &node, msg);
        if (err != HL_OK) {
            cluster->count = 0;
            cluster->next_number = 0;
            return err;
        }
    }
    name_founders(cluster);
    return HL_OK;
}

void cluster_forget(struct cluster *cluster, struct cluster_node *node)
{
    size_t at = (size_t)(node - cluster->nodes);
    HL_ASSERT(at < cluster->count);
    memmove(node, node + 1, (cluster->count - at - 1) * sizeof *node);
    cluster->count--;
}

static void add_word(struct hl_buf *out, const char *word, size_t *count)
{
    hl_buf_append(out, word, strlen(word) + 1);
    (*count)++;
}

/* How a node begins: a founder is told of the others, a single one that it is alone, and a late one
 * that it must wait to be added. */
static void add_peers(const struct cluster *cluster, const struct cluster_node *node,
                      struct hl_buf *out, size_t *count)
{
    struct hl_buf others = {0};
    bool is_founder = false;
    size_t id_len = strlen(node->id);
    for (const char *p = cluster->peers; *p != '\0';) {
        size_t len = strcspn(p, ",");
        if (len > id_len && memcmp(p, node->id, id_len) == 0 && p[id_len] == ':') {
            is_founder = true;
        } else {
            hl_buf_append(&others, ",", others.len == 0 ? 0 : 1);
            hl_buf_append(&others, p, len);
        }
        p += len + (p[len] == ',' ? 1 : 0);
    }
    if (is_founder && others.len > 0) {
        hl_buf_append(&others, "", 1);
        add_word(out, "--raft-peers", count);
        add_word(out, others.ptr, count);
    } else {
        add_word(out, is_founder ? "--bootstrap" : "--join", count);
    }
    hl_buf_fini(&others);
}

size_t cluster_plan_argv(const struct cluster *cluster, const struct cluster_node *node,
                         const char *dir, struct hl_buf *out)
{
    HL_ASSERT(cluster->peers != NULL);
    HL_ASSERT(cluster_id_is_good(node->id));
    char word[CLUSTER_PATH_MAX + CLUSTER_ID_MAX + 32];
    size_t count = 0;
    add_word(out, cluster->server, &count);
    add_word(out, "--data-dir", &count);
    (void)snprintf(word, sizeof word, "%s/%s", dir, node->id);
    add_word(out, word, &count);
    add_word(out, "--listen", &count);
    (void)snprintf(word, sizeof word, "127.0.0.1:%d", node->client_port);
    add_word(out, word, &count);
    add_word(out, "--raft", &count);
    add_word(out, "--raft-node-id", &count);
    add_word(out, node->id, &count);
    add_word(out, "--raft-addr", &count);
    (void)snprintf(word, sizeof word, "127.0.0.1:%d", node->raft_port);
    add_word(out, word, &count);
    add_peers(cluster, node, out, &count);
    for (size_t i = 0; i < cluster->flag_count; i++) {
        add_word(out, cluster->flags[i], &count);
    }
    return count;
}

int cluster_quorum(int voters)
{
    return voters / 2 + 1;
}

hl_err cluster_may_stop(const struct cluster_votes *votes, int stopping, bool force,
                        struct hl_errmsg *msg)
{
    HL_ASSERT(stopping >= 0);
    HL_ASSERT(stopping <= votes->up);
    int quorum = cluster_quorum(votes->voters);
    bool breaks = votes->up >= quorum && votes->up - stopping < quorum;
    if (breaks && !force) {
        return hl_fail(msg, HL_EBUSY,
                       "%d of %d voters would remain, and writes need %d: start other nodes first, "
                       "stop all nodes, or say --force",
                       votes->up - stopping, votes->voters, quorum);
    }
    return HL_OK;
}

hl_err cluster_may_remove(const struct cluster_votes *votes, bool is_up, bool force,
                          struct hl_errmsg *msg)
{
    HL_ASSERT(votes->up <= votes->voters);
    if (votes->up < cluster_quorum(votes->voters)) {
        return hl_fail(msg, HL_EBUSY,
                       "only %d of %d voters are up, too few to agree on a removal: start nodes "
                       "with 'helios cluster start' first",
                       votes->up, votes->voters);
    }
    if (votes->voters == 1) {
        return hl_fail(msg, HL_EBUSY,
                       "it is the last voter: 'helios cluster destroy' ends a cluster");
    }
    int voters = votes->voters - 1;
    int up = votes->up - (is_up ? 1 : 0);
    if (up < cluster_quorum(voters) && !force) {
        return hl_fail(msg, HL_EBUSY,
                       "%d of the %d remaining voters would be up, and writes need %d: start or "
                       "add nodes first, or say --force",
                       up, voters, cluster_quorum(voters));
    }
    return HL_OK;
}
