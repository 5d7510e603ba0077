/* See cluster_status.h. */
#include "tools/cluster_status.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "tools/cluster_proc.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define LAG_MAX 1000 /* entries behind the leader: more is not called good */

void cluster_look(const struct cluster *cluster, struct cluster_view *view)
{
    *view = (struct cluster_view){0};
    for (size_t i = 0; i < cluster->count; i++) {
        cluster_ask(&cluster->nodes[i], &view->at[i]);
        view->runs[i] = cluster_proc_runs(cluster, &cluster->nodes[i]);
    }
    cluster_judge(cluster, view);
}

static bool is_itself(const struct cluster_node *node, const struct cluster_answer *answer)
{
    return answer->reach == CLUSTER_ANSWERS && strcmp(answer->id, node->id) == 0;
}

void cluster_judge(const struct cluster *cluster, struct cluster_view *view)
{
    view->leader = -1;
    view->votes = (struct cluster_votes){0};
    int members = 0;
    for (size_t i = 0; i < cluster->count; i++) {
        const struct cluster_answer *answer = &view->at[i];
        bool is_voter =
            cluster->nodes[i].member != CLUSTER_JOINING && strcmp(answer->role, "learner") != 0;
        bool answers = is_itself(&cluster->nodes[i], answer);
        members += is_voter ? 1 : 0;
        view->votes.up += is_voter && answers ? 1 : 0;
        if (answers && strcmp(answer->role, "leader") == 0 &&
            (view->leader < 0 || answer->term > view->at[view->leader].term)) {
            view->leader = (int)i;
        }
    }
    int64_t told = view->leader < 0 ? -1 : view->at[view->leader].voters;
    view->votes.voters = told > 0 && told <= CLUSTER_NODES_MAX ? (int)told : members;
    if (view->votes.up > view->votes.voters) {
        view->votes.up = view->votes.voters; /* one is being removed */
    }
}

bool cluster_agrees(const struct cluster *cluster, const struct cluster_view *view)
{
    for (size_t i = 0; i < cluster->count; i++) {
        if (cluster->nodes[i].member == CLUSTER_JOINING) {
            continue;
        }
        if (view->leader < 0 || !is_itself(&cluster->nodes[i], &view->at[i]) ||
            strcmp(view->at[i].leader, cluster->nodes[view->leader].id) != 0) {
            return false;
        }
    }
    return true;
}

static int64_t lag_of(const struct cluster_view *view, size_t at)
{
    int64_t last = view->leader < 0 ? -1 : view->at[view->leader].last;
    int64_t applied = view->at[at].applied;
    return last < 0 || applied < 0 ? -1 : last > applied ? last - applied : 0;
}

const char *cluster_health(const struct cluster *cluster, const struct cluster_view *view,
                           size_t at)
{
    const struct cluster_answer *answer = &view->at[at];
    switch (answer->reach) {
    case CLUSTER_DOWN:
        return view->runs[at] ? "does not listen" : "down";
    case CLUSTER_SILENT: /* a process that ends may take a connection with its last breath */
        return view->runs[at] ? "no answer" : "down";
    case CLUSTER_REFUSES:
        return "refuses";
    case CLUSTER_LOADING:
        return "loading";
    case CLUSTER_ANSWERS:
        break;
    }
    if (!is_itself(&cluster->nodes[at], answer)) {
        return "another server";
    }
    if (cluster->nodes[at].member != CLUSTER_JOINED) {
        return cluster_member_name(cluster->nodes[at].member);
    }
    if (answer->leader[0] == '\0') {
        return "no leader";
    }
    if (strcmp(answer->role, "learner") == 0) {
        return "catching up";
    }
    return lag_of(view, at) > LAG_MAX ? "behind" : "good";
}

static void print_count(struct hl_buf *out, int width, int64_t n)
{
    if (n < 0) {
        hl_buf_printf(out, "  %*s", width, "-");
    } else {
        hl_buf_printf(out, "  %*" PRId64, width, n);
    }
}

static void print_uptime(struct hl_buf *out, int64_t s)
{
    char text[32] = "-";
    if (s >= 86400) {
        (void)snprintf(text, sizeof text, "%" PRId64 "d %" PRId64 "h", s / 86400, s / 3600 % 24);
    } else if (s >= 3600) {
        (void)snprintf(text, sizeof text, "%" PRId64 "h %" PRId64 "m", s / 3600, s / 60 % 60);
    } else if (s >= 0) {
        (void)snprintf(text, sizeof text, "%" PRId64 "m %" PRId64 "s", s / 60, s % 60);
    }
    hl_buf_printf(out, "  %8s", text);
}

static void print_head(const struct cluster *cluster, const struct cluster_view *view,
                       const char *dir, struct hl_buf *out)
{
    int quorum = cluster_quorum(view->votes.voters);
    int spare = view->votes.up - quorum;
    hl_buf_printf(out, "%s: %zu node%s, %d of %d voters up, ", dir, cluster->count,
                  cluster->count == 1 ? "" : "s", view->votes.up, view->votes.voters);
    if (view->leader >= 0) {
        hl_buf_printf(out, "leader %s in term %" PRId64 ".  ", cluster->nodes[view->leader].id,
                      view->at[view->leader].term);
    } else {
        hl_buf_append_text(out, "no leader.  ");
    }
    if (spare < 0) {
        hl_buf_printf(out, "NO QUORUM: writes wait until %d more start.\n", -spare);
    } else if (spare == 0) {
        hl_buf_append_text(out, "Losing one more voter stops writes.\n");
    } else {
        hl_buf_printf(out, "Losing %d more still leaves a majority.\n", spare);
    }
}

static void print_table(const struct cluster *cluster, const struct cluster_view *view,
                        const char *dir, struct hl_buf *out)
{
    print_head(cluster, view, dir, out);
    hl_buf_printf(out, "\n%-10s  %-9s  %6s  %10s  %10s  %6s  %-15s  %-15s  %7s  %8s  %s\n", "NODE",
                  "ROLE", "TERM", "COMMIT", "APPLIED", "LAG", "CLIENTS", "RAFT", "PID", "UPTIME",
                  "HEALTH");
    for (size_t i = 0; i < cluster->count; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        const struct cluster_answer *answer = &view->at[i];
        bool knows = answer->reach == CLUSTER_ANSWERS;
        hl_buf_printf(out, "%-10s  %-9s", node->id, answer->role[0] == '\0' ? "-" : answer->role);
        print_count(out, 6, knows ? answer->term : -1);
        print_count(out, 10, knows ? answer->commit : -1);
        print_count(out, 10, knows ? answer->applied : -1);
        print_count(out, 6, knows ? lag_of(view, i) : -1);
        hl_buf_printf(out, "  127.0.0.1:%-5d  127.0.0.1:%-5d", node->client_port, node->raft_port);
        print_count(out, 7, view->runs[i] ? node->pid : -1);
        print_uptime(out, knows ? answer->uptime_s : -1);
        hl_buf_printf(out, "  %s\n", cluster_health(cluster, view, i));
    }
}

static json_t *number(int64_t n)
{
    return n < 0 ? json_null() : json_integer(n);
}

static void print_json(const struct cluster *cluster, const struct cluster_view *view,
                       struct hl_buf *out)
{
    json_t *nodes = json_array();
    for (size_t i = 0; i < cluster->count; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        const struct cluster_answer *answer = &view->at[i];
        bool knows = answer->reach == CLUSTER_ANSWERS;
        json_array_append_new(
            nodes,
            json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:i, s:i, s:o, s:o, s:s}", "id", node->id,
                      "role", answer->role, "term", number(knows ? answer->term : -1), "commit",
                      number(knows ? answer->commit : -1), "applied",
                      number(knows ? answer->applied : -1), "lag",
                      number(knows ? lag_of(view, i) : -1), "client_port", node->client_port,
                      "raft_port", node->raft_port, "pid", number(view->runs[i] ? node->pid : -1),
                      "uptime_s", number(knows ? answer->uptime_s : -1), "health",
                      cluster_health(cluster, view, i)));
    }
    json_t *root = json_pack("{s:s, s:i, s:i, s:i, s:o}", "leader",
                             view->leader < 0 ? "" : cluster->nodes[view->leader].id, "voters",
                             view->votes.voters, "voters_up", view->votes.up, "quorum",
                             cluster_quorum(view->votes.voters), "nodes", nodes);
    char *text = root == NULL ? NULL : json_dumps(root, JSON_INDENT(2));
    HL_ASSERT(text != NULL);
    hl_buf_append_text(out, text);
    hl_buf_append_text(out, "\n");
    free(text);
    json_decref(root);
}

void cluster_print(const struct cluster *cluster, const struct cluster_view *view, const char *dir,
                   bool json, struct hl_buf *out)
{
    if (json) {
        print_json(cluster, view, out);
    } else {
        print_table(cluster, view, dir, out);
    }
}
