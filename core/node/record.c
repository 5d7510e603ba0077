/* What happens to this node, written down for operators: uptime.h, history.h, rpc_stats.h.
 *
 * Called where it happens; decides nothing and changes nothing else.
 */
#include "node/node_internal.h"

#include <stdio.h>

static struct hl_rpc_now now_of(const struct hl_node *node)
{
    return (struct hl_rpc_now){.mono_us = node->world->mono_us(node->world->ctx),
                               .wall_ms = node->now_ms};
}

/* --- office ----------------------------------------------------------------------------------- */

static enum hl_office office_of(const struct hl_node *node, enum hl_raft_role role)
{
    if (node->cluster.removed) {
        return HL_OFFICE_FOLLOWER;
    }
    switch (role) {
    case HL_RAFT_FOLLOWER:
        return HL_OFFICE_FOLLOWER;
    case HL_RAFT_PRE_CANDIDATE:
    case HL_RAFT_CANDIDATE:
        return HL_OFFICE_CANDIDATE;
    case HL_RAFT_LEADER:
        break;
    }
    return HL_OFFICE_LEADER;
}

static void take_office(struct hl_node *node, enum hl_office office, hl_term term)
{
    enum hl_office before = node->uptime.office;
    if (office == before) {
        return;
    }
    hl_uptime_office(&node->uptime, office, now_of(node).mono_us);
    hl_history_add(&node->history, &(struct hl_event){.kind = HL_EVENT_STATE_CHANGED,
                                                      .at_ms = node->now_ms,
                                                      .term = term,
                                                      .old_state = before,
                                                      .new_state = office});
}

void hl_record_ready(struct hl_node *node, const struct hl_raft_ready *ready)
{
    if (ready->save_hard_state && ready->vote == node->node_id) {
        node->uptime.elections++;
        if (ready->became_leader) { /* alone: all in one step */
            take_office(node, HL_OFFICE_CANDIDATE, ready->term);
        }
    }
    if (ready->became_leader) {
        node->uptime.terms_as_leader++;
    }
    if (ready->stepped_down) {
        hl_rpc_forget(&node->rpc, HL_RPC_APPEND_ENTRIES);
    }
    take_office(node, office_of(node, ready->role), ready->term);
    if (ready->leader_changed) {
        hl_history_leader(&node->history, ready->leader, ready->term, node->now_ms);
    }
}

void hl_record_alone(struct hl_node *node)
{
    take_office(node, HL_OFFICE_LEADER, node->cluster.term);
}

void hl_record_members(struct hl_node *node, const struct hl_members *members)
{
    hl_rpc_members(&node->rpc, members, node->node_id);
    hl_history_members(&node->history, members, node->cluster.term, node->now_ms);
}

/* --- messages --------------------------------------------------------------------------------- */

void hl_record_sent(struct hl_node *node, const struct hl_raft_msg *message)
{
    struct hl_rpc_mark mark = {.round = message->round};
    switch (message->type) {
    case HL_RAFT_APPEND:
        mark.entry = message->last > message->prev ? message->last : 0;
        hl_rpc_sent(&node->rpc, message->to, HL_RPC_APPEND_ENTRIES, mark, now_of(node));
        return;
    case HL_RAFT_PRE_VOTE:
    case HL_RAFT_VOTE:
        hl_rpc_sent(&node->rpc, message->to, HL_RPC_REQUEST_VOTE, mark, now_of(node));
        return;
    case HL_RAFT_PRE_VOTE_REPLY:
    case HL_RAFT_VOTE_REPLY:
    case HL_RAFT_APPEND_REPLY:
    case HL_RAFT_TIMEOUT_NOW:
    case HL_RAFT_READ:
    case HL_RAFT_READ_REPLY:
        return;
    }
}

void hl_record_message(struct hl_node *node, const struct hl_raft_msg *message)
{
    struct hl_rpc_mark mark = {.round = message->round, .entry = message->last};
    switch (message->type) {
    case HL_RAFT_APPEND_REPLY:
        mark.entry = message->reject ? UINT64_MAX : mark.entry;
        hl_rpc_answered(&node->rpc, message->from, HL_RPC_APPEND_ENTRIES, mark, now_of(node));
        return;
    case HL_RAFT_PRE_VOTE_REPLY:
    case HL_RAFT_VOTE_REPLY:
        hl_rpc_answered(&node->rpc, message->from, HL_RPC_REQUEST_VOTE, HL_RPC_ANY, now_of(node));
        return;
    case HL_RAFT_PRE_VOTE:
    case HL_RAFT_VOTE:
    case HL_RAFT_APPEND:
    case HL_RAFT_TIMEOUT_NOW:
    case HL_RAFT_READ:
    case HL_RAFT_READ_REPLY:
        return;
    }
}

void hl_record_heard(struct hl_node *node, hl_peer from)
{
    hl_rpc_heard(&node->rpc, from, now_of(node));
}

void hl_record_lost(struct hl_node *node, hl_peer peer)
{
    hl_rpc_lost(&node->rpc, peer, now_of(node));
}

void hl_record_cron(struct hl_node *node)
{
    uint64_t election_us = node->config.cluster.election_us;
    if (node->rpc.waiting != 0) {
        hl_rpc_expire(&node->rpc, election_us == 0 ? HL_ELECTION_US : election_us, now_of(node));
    }
}

/* --- snapshots -------------------------------------------------------------------------------- */

void hl_record_transfer(struct hl_node *node, hl_peer to, enum hl_transfer_fate fate)
{
    switch (fate) {
    case HL_TRANSFER_BEGUN:
        hl_rpc_sent(&node->rpc, to, HL_RPC_INSTALL_SNAPSHOT, (struct hl_rpc_mark){0}, now_of(node));
        return;
    case HL_TRANSFER_DONE:
        hl_rpc_answered(&node->rpc, to, HL_RPC_INSTALL_SNAPSHOT, HL_RPC_ANY, now_of(node));
        return;
    case HL_TRANSFER_FAILED:
        hl_rpc_failed(&node->rpc, to, HL_RPC_INSTALL_SNAPSHOT, now_of(node));
        return;
    }
}

void hl_node_record_snapshot(struct hl_node *node, struct hl_snap_event event, const char *why)
{
    event.at_ms = node->now_ms;
    if (why != NULL) {
        (void)snprintf(event.why, sizeof event.why, "%s", why);
    }
    hl_history_snap(&node->history, &event);
}
