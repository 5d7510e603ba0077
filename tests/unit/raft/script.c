/* A group driven by hand: scripts decide who acts, and let everything else settle. */
#include "unit/raft/group.h"

static bool settle_server(struct group *group, struct server *server)
{
    bool busy = false;
    if (server->up && server->flush_due) {
        server->flush_due = false;
        (void)group_step(group, server, (struct hl_raft_event){.type = HL_RAFT_ON_FLUSH});
        busy = true;
    }
    if (server->hold_disk) {
        return busy;
    }
    group_flush_begin(group, server);
    if (server->flushing) {
        group_flush_end(group, server);
        busy = true;
    }
    return busy;
}

void group_settle(struct group *group)
{
    group_settle_only(group, UINT32_MAX);
}

void group_settle_only(struct group *group, uint32_t types)
{
    for (int round = 0; round < 1000 && group->failure[0] == '\0'; round++) {
        bool busy = false;
        for (uint32_t i = 1; i <= group->count; i++) {
            busy = settle_server(group, &group->servers[i]) || busy;
        }
        for (uint32_t i = 0; i < group->packets_end; i++) {
            const struct packet *packet = &group->packets[i];
            if (packet->used && (packet->snapshot != NULL || types >> packet->msg.type & 1)) {
                group_deliver(group, i);
                busy = true;
            }
        }
        if (!busy) {
            return;
        }
    }
    group_fail(group, "it never settles");
}

void group_run(struct group *group, uint64_t us)
{
    uint64_t end = group->now_us + us;
    while (group->now_us < end && group->failure[0] == '\0') {
        group->now_us += 5000 < end - group->now_us ? 5000 : end - group->now_us;
        for (uint32_t i = 1; i <= group->count; i++) {
            struct server *server = &group->servers[i];
            if (server->up && group->now_us >= server->wake_us) {
                (void)group_step(group, server, (struct hl_raft_event){.type = HL_RAFT_ON_TICK});
            }
        }
        group_settle(group);
    }
}

void group_tell(struct group *group, const struct hl_raft_msg *msg)
{
    (void)group_step(group, &group->servers[msg->to],
                     (struct hl_raft_event){.type = HL_RAFT_ON_MESSAGE, .message = {.msg = msg}});
}

void group_isolate(struct group *group, hl_peer id, bool isolated)
{
    for (uint32_t other = 1; other <= group->count; other++) {
        group->cut[id][other] = isolated;
        group->cut[other][id] = isolated;
    }
}

struct server *group_leader(struct group *group)
{
    struct server *leader = NULL;
    for (uint32_t i = 1; i <= group->count; i++) {
        struct server *server = &group->servers[i];
        if (server->up && server->raft.role == HL_RAFT_LEADER &&
            (leader == NULL || server->raft.term > leader->raft.term)) {
            leader = server;
        }
    }
    return leader;
}

struct server *group_elect_only(struct group *group, hl_peer id, uint32_t types)
{
    struct server *server = &group->servers[id];
    group->now_us += 2 * ELECTION_US;
    (void)group_step(group, server, (struct hl_raft_event){.type = HL_RAFT_ON_TICK});
    group_settle_only(group, types);
    return server->up && server->raft.role == HL_RAFT_LEADER ? server : NULL;
}

struct server *group_elect(struct group *group, hl_peer id)
{
    return group_elect_only(group, id, UINT32_MAX);
}
