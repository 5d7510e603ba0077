/* INFO's section on the cluster, and the role that clients made for Redis look at. */
#include "server/cluster.h"
#include "server/info.h"

static const char *state_name(const struct hl_node *node)
{
    if (hl_node_is_removed(node)) {
        return "Removed";
    }
    switch (hl_raft_role(&node->raft)) {
    case HL_RAFT_LEADER:
        return "Leader";
    case HL_RAFT_CANDIDATE:
    case HL_RAFT_PRE_CANDIDATE:
        return "Candidate";
    case HL_RAFT_FOLLOWER:
        break;
    }
    return hl_raft_is_voter(&node->raft) ? "Follower" : "Learner";
}

static const char *progress_name(enum hl_raft_progress state)
{
    switch (state) {
    case HL_RAFT_PROBE:
        return "probe";
    case HL_RAFT_SNAPSHOT:
        return "snapshot";
    case HL_RAFT_REPLICATE:
        break;
    }
    return "replicate";
}

/* What a leader knows of the others; elsewhere only who and where they are. */
static void peers(struct hl_node *node, const struct hl_members *members, struct hl_buf *out)
{
    unsigned at = 0;
    hl_index last = hl_raft_last(&node->raft);
    for (uint32_t i = 0; i < members->count; i++) {
        const struct hl_member *m = &members->at[i];
        struct hl_raft_peer_status status;
        if (m->id == node->node_id) {
            continue;
        }
        hl_buf_printf(out, "raft_peer%u:id=%s,addr=%s,voter=%d", at++, m->name, m->raft_addr,
                      m->voter);
        if (hl_raft_peer_status(&node->raft, m->id, &status)) {
            hl_buf_printf(out, ",match=%llu,lag=%llu,state=%s", (unsigned long long)status.match,
                          (unsigned long long)(last - status.match), progress_name(status.state));
        }
        hl_buf_append_text(out, "\r\n");
    }
}

void hl_info_raft(struct hl_server *server, struct hl_buf *out)
{
    struct hl_node *node = server->node;
    hl_buf_append_text(out, "# Raft\r\n");
    if (server->cluster == NULL) {
        hl_buf_append_text(out, "raft_enabled:false\r\n");
        return;
    }
    hl_buf_printf(out, "raft_enabled:true\r\nraft_node_id:%s\r\n",
                  hl_config_text(server->config, HL_CFG_RAFT_NODE_ID));
    if (node->loading) {
        hl_buf_printf(out, "raft_state:%s\r\n",
                      hl_cluster_has_begun(server) ? "Loading" : "Waiting");
        hl_cluster_info(server, out);
        return;
    }
    const struct hl_members *members = hl_node_members(node);
    const struct hl_member *leader = hl_node_leader(node);
    uint32_t voters = hl_members_voters(members);
    hl_buf_printf(out,
                  "raft_state:%s\r\nraft_term:%llu\r\nraft_leader:%s\r\nraft_leader_addr:%s\r\n",
                  state_name(node), (unsigned long long)hl_raft_term(&node->raft),
                  leader != NULL ? leader->name : "", leader != NULL ? leader->client_addr : "");
    hl_buf_printf(out,
                  "raft_commit_index:%llu\r\nraft_last_applied:%llu\r\nraft_last_log_index:%llu\r\n"
                  "raft_snapshot_index:%llu\r\nraft_snapshot_term:%llu\r\n"
                  "raft_log_first_index:%llu\r\n"
                  "raft_voters:%u\r\nraft_learners:%u\r\nraft_barred:%d\r\n",
                  (unsigned long long)node->commit, (unsigned long long)node->last,
                  (unsigned long long)hl_raft_last(&node->raft),
                  (unsigned long long)node->snapshot_index, (unsigned long long)node->snapshot_term,
                  node->wal == NULL ? 0ull : (unsigned long long)hl_wal_first(node->wal), voters,
                  members->count - voters, hl_raft_barred(&node->raft));
    hl_buf_printf(out, "raft_snapshots_refused:%llu\r\nraft_snapshot_trouble:%s\r\n",
                  (unsigned long long)node->cluster.installs_refused,
                  node->cluster.install_trouble.text);
    hl_buf_printf(out, "raft_feature_level:%u\r\nraft_feature_level_own:%u\r\n",
                  (unsigned)hl_level_now(node), (unsigned)hl_level_own(node));
    const struct hl_stop *stop = hl_node_stopped(node);
    hl_buf_printf(out, "raft_apply_stopped:%llu%s%s\r\n",
                  stop == NULL ? 0 : (unsigned long long)stop->index, stop == NULL ? "" : " ",
                  stop == NULL ? "" : stop->why);
    hl_scrub_info(node, out);
    peers(node, members, out);
    hl_cluster_info(server, out);
}
