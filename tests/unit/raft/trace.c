/* Steps as text: what a dialogue is compared as, and what a failing seed prints. */
#include "unit/raft/group.h"

#define NUM(n) ((unsigned long long)(n))

static void print_runs(FILE *out, const struct hl_raft_msg *msg)
{
    for (uint32_t i = 0; i < msg->run_count; i++) {
        hl_index end = i + 1 < msg->run_count ? msg->runs[i + 1].from - 1 : msg->last;
        fprintf(out, " %llu-%llu/%llu", NUM(msg->runs[i].from), NUM(end), NUM(msg->runs[i].term));
    }
}

static void print_reply(FILE *out, const struct hl_raft_msg *msg)
{
    if (msg->reject) {
        fprintf(out, "append-reply term %llu: not after %llu, try %llu/%llu", NUM(msg->term),
                NUM(msg->prev), NUM(msg->hint), NUM(msg->hint_term));
    } else {
        fprintf(out, "append-reply term %llu: durable %llu of %llu, round %llu%s", NUM(msg->term),
                NUM(msg->match), NUM(msg->last), NUM(msg->round), msg->barred ? ", barred" : "");
    }
}

static void print_message(FILE *out, const struct hl_raft_msg *msg)
{
    const char *answer = msg->reject ? "no" : "yes";
    const char *barred = msg->barred ? ", barred" : "";
    switch (msg->type) {
    case HL_RAFT_PRE_VOTE:
        fprintf(out, "pre-vote term %llu log %llu/%llu", NUM(msg->term), NUM(msg->last),
                NUM(msg->last_term));
        break;
    case HL_RAFT_PRE_VOTE_REPLY:
        fprintf(out, "pre-vote-reply term %llu: %s%s", NUM(msg->term), answer, barred);
        break;
    case HL_RAFT_VOTE:
        fprintf(out, "vote term %llu log %llu/%llu%s", NUM(msg->term), NUM(msg->last),
                NUM(msg->last_term), msg->transfer ? " (transfer)" : "");
        break;
    case HL_RAFT_VOTE_REPLY:
        fprintf(out, "vote-reply term %llu: %s%s", NUM(msg->term), answer, barred);
        break;
    case HL_RAFT_APPEND:
        fprintf(out, "append term %llu after %llu/%llu", NUM(msg->term), NUM(msg->prev),
                NUM(msg->prev_term));
        print_runs(out, msg);
        fprintf(out, ", commit %llu, round %llu", NUM(msg->commit), NUM(msg->round));
        break;
    case HL_RAFT_APPEND_REPLY:
        print_reply(out, msg);
        break;
    case HL_RAFT_TIMEOUT_NOW:
        fprintf(out, "timeout-now term %llu", NUM(msg->term));
        break;
    case HL_RAFT_READ:
        fprintf(out, "read %llu term %llu%s", NUM(msg->read_id), NUM(msg->term), barred);
        break;
    case HL_RAFT_READ_REPLY:
        fprintf(out, "read-reply %llu term %llu: %s %llu", NUM(msg->read_id), NUM(msg->term),
                answer, NUM(msg->read_index));
        break;
    }
}

static void print_config(FILE *out, const struct hl_raft_config *config)
{
    for (uint32_t i = 0; i < config->count; i++) {
        fprintf(out, " %s%llu", config->members[i].voter ? "" : "learner ",
                NUM(config->members[i].id));
    }
}

static void print_event(FILE *out, const struct hl_raft_event *event)
{
    switch (event->type) {
    case HL_RAFT_ON_START:
        fprintf(out, "starts");
        break;
    case HL_RAFT_ON_TICK:
        fprintf(out, "tick");
        break;
    case HL_RAFT_ON_FLUSH:
        fprintf(out, "flush%s", event->flush.may_wait ? ", may wait" : "");
        break;
    case HL_RAFT_ON_PROPOSE:
        fprintf(out, "proposes %u", event->propose.count);
        break;
    case HL_RAFT_ON_CONFIG:
        fprintf(out, "proposes members");
        print_config(out, event->config.config);
        break;
    case HL_RAFT_ON_DURABLE:
        fprintf(out, "disk holds %llu/%llu", NUM(event->durable.index), NUM(event->durable.term));
        break;
    case HL_RAFT_ON_SAVED:
        fprintf(out, "disk holds term %llu vote %llu", NUM(event->saved.term),
                NUM(event->saved.vote));
        break;
    case HL_RAFT_ON_MESSAGE:
        fprintf(out, "<%llu ", NUM(event->message.msg->from));
        print_message(out, event->message.msg);
        break;
    case HL_RAFT_ON_READ:
        fprintf(out, "read %llu waits", NUM(event->read.id));
        break;
    case HL_RAFT_ON_TRANSFER:
        fprintf(out, "shall hand over to %llu", NUM(event->transfer.peer));
        break;
    case HL_RAFT_ON_RESIGN:
        fprintf(out, "resigns");
        break;
    case HL_RAFT_ON_COMPACTED:
        fprintf(out, "compacts up to %llu", NUM(event->compacted.index));
        break;
    case HL_RAFT_ON_INSTALLED:
        fprintf(out, "installs snapshot %llu/%llu", NUM(event->installed.index),
                NUM(event->installed.term));
        break;
    case HL_RAFT_ON_SNAPSHOT_SENT:
        fprintf(out, "snapshot for %llu %s", NUM(event->snapshot_sent.peer),
                event->snapshot_sent.ok ? "arrived" : "failed");
        break;
    case HL_RAFT_ON_UNREACHABLE:
        fprintf(out, "lost %llu", NUM(event->unreachable.peer));
        break;
    }
}

static const char *role_name(enum hl_raft_role role)
{
    switch (role) {
    case HL_RAFT_FOLLOWER:
        return "follower";
    case HL_RAFT_PRE_CANDIDATE:
        return "pre-candidate";
    case HL_RAFT_CANDIDATE:
        return "candidate";
    case HL_RAFT_LEADER:
        return "leader";
    }
    return "?";
}

static void print_log(FILE *out, const struct hl_raft_ready *ready, const struct server *server)
{
    if (ready->log_reset) {
        fprintf(out, "    empties its log\n");
    }
    if (ready->truncate != 0) {
        fprintf(out, "    truncates from %llu\n", NUM(ready->truncate));
    }
    if (ready->append_first != 0) {
        fprintf(out, "    appends %llu-%llu\n", NUM(ready->append_first), NUM(ready->append_last));
    }
    if (ready->save_hard_state) {
        fprintf(out, "    saves term %llu vote %llu\n", NUM(ready->term), NUM(ready->vote));
    }
    if (ready->stepped_down) {
        fprintf(out, "    steps down\n");
    }
    if (ready->role != server->traced_role) {
        fprintf(out, "    is %s\n", role_name(ready->role));
    }
    if (ready->append_noop) {
        fprintf(out, "    appends no-op %llu\n", NUM(hl_raft_last(&server->raft)));
    }
    if (ready->leader_changed && ready->leader != server->id) {
        fprintf(out, "    follows %llu\n", NUM(ready->leader));
    }
    if (ready->config_changed) {
        hl_index index;
        const struct hl_raft_config *config = hl_raft_config(&server->raft, &index);
        fprintf(out, "    members of %llu:", NUM(index));
        print_config(out, config);
        fprintf(out, "\n");
    }
}

void group_trace(FILE *out, struct server *server, const struct hl_raft_event *event,
                 const struct hl_raft_ready *ready)
{
    fprintf(out, "%llu ", NUM(server->id));
    print_event(out, event);
    fprintf(out, "\n");
    print_log(out, ready, server);
    for (uint32_t i = 0; i < ready->message_count; i++) {
        fprintf(out, "    >%llu ", NUM(ready->messages[i].to));
        print_message(out, &ready->messages[i]);
        fprintf(out, "\n");
    }
    if (ready->commit > server->last_commit) {
        fprintf(out, "    commits %llu\n", NUM(ready->commit));
    }
    if (ready->read_id != 0) {
        fprintf(out, "    reads up to %llu may go at %llu\n", NUM(ready->read_id),
                NUM(ready->read_index));
    }
    if (ready->read_failed != 0) {
        fprintf(out, "    reads up to %llu fail\n", NUM(ready->read_failed));
    }
    if (ready->transfer_failed) {
        fprintf(out, "    gives the transfer up\n");
    }
    for (uint32_t i = 0; i < ready->snapshot_count; i++) {
        fprintf(out, "    owes %llu a snapshot\n", NUM(ready->snapshot_to[i]));
    }
    server->traced_role = ready->role;
}
