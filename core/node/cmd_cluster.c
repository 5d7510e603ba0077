/* CLUSTER and SENTINEL: how clients of Redis find the leader.
 *
 * The group looks to a cluster client like a cluster of one shard that holds all slots, whose
 * master is the leader; and to a sentinel client each node looks like one of the sentinels that
 * watch this shard.  So clients follow elections without knowing of Raft.  Nothing but the members
 * and the leader is asked, both as this node knows them.
 */
#include "base/slot.h"
#include "command/args.h"
#include "command/help.h"
#include "kit/num.h"
#include "node/cluster.h"
#include "node/node_internal.h"

#include <stdio.h>

#define MASTER_NAME "mymaster" /* what most configurations of sentinel clients ask for */
#define ID_LEN 40              /* of a node's id as cluster clients know it */
#define BUS_OFFSET 10000       /* cluster clients expect the bus there; nobody connects to it */

/* The host and port that a member's clients use; host "" and port 0 when not known. */
struct endpoint {
    char host[HL_MEMBER_ADDR_MAX + 1];
    int port;
};

static struct endpoint endpoint_of(const struct hl_member *member)
{
    struct endpoint e = {.host = ""};
    const char *colon = strrchr(member->client_addr, ':');
    if (colon == NULL) {
        return e;
    }
    const char *from = member->client_addr;
    size_t len = (size_t)(colon - from);
    if (len >= 2 && from[0] == '[' && from[len - 1] == ']') {
        from++; /* an IPv6 address */
        len -= 2;
    }
    memcpy(e.host, from, len);
    int64_t port = 0;
    e.port = hl_parse_i64(hl_slice_of(colon + 1), &port) ? (int)port : 0;
    return e;
}

static void print_id(const struct hl_node *node, hl_peer id, char out[ID_LEN + 1])
{
    int at = snprintf(out, ID_LEN + 1, "%016llx", (unsigned long long)id);
    for (int i = 0; at < ID_LEN; i++) {
        at += snprintf(out + at, (size_t)(ID_LEN + 1 - at), "%02x", node->cluster_id[i]);
    }
}

bool hl_node_is_cluster(const struct hl_node *node)
{
    return node->config.cluster.enabled || hl_node_members(node)->count > 1;
}

/* False after replying as a server does that is no cluster. */
static bool cluster_ok(struct hl_call *call)
{
    if (hl_node_is_cluster(call->node)) {
        return true;
    }
    hl_reply_error(call, "ERR This instance has cluster support disabled");
    return false;
}

static bool is_leader(const struct hl_node *node, const struct hl_member *member)
{
    const struct hl_member *leader = hl_node_leader(node);
    return leader != NULL && leader->id == member->id;
}

/* --- CLUSTER ---------------------------------------------------------------------------------- */

/* Redis 7.0: address, port, id, and a list of further names. */
static void write_slot_node(struct hl_call *call, const struct hl_member *member)
{
    struct endpoint e = endpoint_of(member);
    char id[ID_LEN + 1];
    print_id(call->node, member->id, id);
    hl_write_array(call->out, 4);
    if (e.host[0] == '\0') {
        hl_write_null(call->out); /* where the client is connected already */
    } else {
        hl_write_bulk_text(call->out, e.host);
    }
    hl_write_int(call->out, e.port);
    hl_write_bulk_text(call->out, id);
    hl_write_array(call->out, 0);
}

static void cmd_slots(struct hl_call *call)
{
    if (!cluster_ok(call)) {
        return;
    }
    const struct hl_members *members = hl_node_members(call->node);
    const struct hl_member *leader = hl_node_leader(call->node);
    hl_write_array(call->out, leader != NULL ? 1 : 0);
    if (leader == NULL) {
        return;
    }
    hl_write_array(call->out, 2 + members->count);
    hl_write_int(call->out, 0);
    hl_write_int(call->out, HL_SLOTS - 1);
    write_slot_node(call, leader);
    for (uint32_t i = 0; i < members->count; i++) {
        if (members->at[i].id != leader->id) {
            write_slot_node(call, &members->at[i]);
        }
    }
}

static void write_shard_node(struct hl_call *call, const struct hl_member *member)
{
    struct endpoint e = endpoint_of(member);
    char id[ID_LEN + 1];
    print_id(call->node, member->id, id);
    hl_write_map(call->out, 7);
    hl_write_bulk_text(call->out, "id");
    hl_write_bulk_text(call->out, id);
    hl_write_bulk_text(call->out, "port");
    hl_write_int(call->out, e.port);
    hl_write_bulk_text(call->out, "ip");
    hl_write_bulk_text(call->out, e.host);
    hl_write_bulk_text(call->out, "endpoint");
    hl_write_bulk_text(call->out, e.host);
    hl_write_bulk_text(call->out, "role");
    hl_write_bulk_text(call->out, is_leader(call->node, member) ? "master" : "replica");
    hl_write_bulk_text(call->out, "replication-offset");
    hl_write_int(call->out, (int64_t)call->node->commit);
    hl_write_bulk_text(call->out, "health");
    hl_write_bulk_text(call->out, "online");
}

static void cmd_shards(struct hl_call *call)
{
    if (!cluster_ok(call)) {
        return;
    }
    const struct hl_members *members = hl_node_members(call->node);
    hl_write_array(call->out, 1);
    hl_write_map(call->out, 2);
    hl_write_bulk_text(call->out, "slots");
    hl_write_array(call->out, 2);
    hl_write_int(call->out, 0);
    hl_write_int(call->out, HL_SLOTS - 1);
    hl_write_bulk_text(call->out, "nodes");
    hl_write_array(call->out, members->count);
    for (uint32_t i = 0; i < members->count; i++) {
        write_shard_node(call, &members->at[i]);
    }
}

/* One line of CLUSTER NODES. */
static void print_node(struct hl_node *node, const struct hl_member *member, struct hl_buf *out)
{
    const struct hl_member *leader = hl_node_leader(node);
    struct endpoint e = endpoint_of(member);
    char id[ID_LEN + 1], master[ID_LEN + 1] = "-";
    bool leads = is_leader(node, member);
    print_id(node, member->id, id);
    if (leader != NULL && !leads) {
        print_id(node, leader->id, master);
    }
    hl_buf_printf(out, "%s %s:%d@%d %s%s %s 0 0 %llu connected", id, e.host, e.port,
                  e.port + BUS_OFFSET, member->id == node->node_id ? "myself," : "",
                  leads ? "master" : "slave", master, (unsigned long long)node->raft.term);
    if (leads) {
        hl_buf_printf(out, " 0-%d", HL_SLOTS - 1);
    }
}

static void cmd_nodes(struct hl_call *call)
{
    if (!cluster_ok(call)) {
        return;
    }
    struct hl_buf text = {0};
    const struct hl_members *members = hl_node_members(call->node);
    for (uint32_t i = 0; i < members->count; i++) {
        print_node(call->node, &members->at[i], &text);
        hl_buf_append_text(&text, "\n");
    }
    hl_write_verbatim(call->out, "txt", hl_buf_view(&text));
    hl_buf_fini(&text);
}

static void cmd_replicas(struct hl_call *call)
{
    if (!cluster_ok(call)) {
        return;
    }
    const struct hl_members *members = hl_node_members(call->node);
    struct hl_write_mark mark = hl_write_begin(call->out);
    size_t count = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        if (!is_leader(call->node, &members->at[i])) {
            struct hl_buf line = {0};
            print_node(call->node, &members->at[i], &line);
            hl_write_bulk(call->out, hl_buf_view(&line));
            hl_buf_fini(&line);
            count++;
        }
    }
    hl_write_end(call->out, mark, HL_ARRAY, count);
}

static void cmd_info(struct hl_call *call)
{
    if (!cluster_ok(call)) {
        return;
    }
    const struct hl_node *node = call->node;
    bool ok = hl_node_leader(node) != NULL;
    struct hl_buf text = {0};
    hl_buf_printf(&text,
                  "cluster_state:%s\r\ncluster_slots_assigned:%d\r\ncluster_slots_ok:%d\r\n"
                  "cluster_slots_pfail:0\r\ncluster_slots_fail:%d\r\ncluster_known_nodes:%u\r\n"
                  "cluster_size:1\r\ncluster_current_epoch:%llu\r\ncluster_my_epoch:%llu\r\n",
                  ok ? "ok" : "fail", HL_SLOTS, ok ? HL_SLOTS : 0, ok ? 0 : HL_SLOTS,
                  (unsigned)hl_node_members(node)->count, (unsigned long long)node->raft.term,
                  (unsigned long long)node->raft.term);
    hl_write_verbatim(call->out, "txt", hl_buf_view(&text));
    hl_buf_fini(&text);
}

static void cmd_myid(struct hl_call *call)
{
    if (cluster_ok(call)) {
        char id[ID_LEN + 1];
        print_id(call->node, call->node->node_id, id);
        hl_write_bulk_text(call->out, id);
    }
}

static void cmd_keyslot(struct hl_call *call)
{
    if (cluster_ok(call)) {
        hl_write_int(call->out, (int64_t)hl_key_slot(call->argv[2]));
    }
}

/* READONLY, READWRITE: what a replica answers is a matter of CLIENT CONSISTENCY here. */
static void cmd_readonly(struct hl_call *call)
{
    if (cluster_ok(call)) {
        hl_write_ok(call->out);
    }
}

/* --- SENTINEL --------------------------------------------------------------------------------- */

static void write_field(struct hl_call *call, const char *name, const char *value)
{
    hl_write_bulk_text(call->out, name);
    hl_write_bulk_text(call->out, value);
}

static void write_number_field(struct hl_call *call, const char *name, int64_t value)
{
    hl_write_bulk_text(call->out, name);
    hl_write_bulk_int(call->out, value);
}

#define COMMON_FIELDS 11

static void write_common_fields(struct hl_call *call, const struct hl_member *member,
                                const char *name, const char *flags)
{
    struct endpoint e = endpoint_of(member);
    char id[ID_LEN + 1];
    print_id(call->node, member->id, id);
    write_field(call, "name", name);
    write_field(call, "ip", e.host);
    write_number_field(call, "port", e.port);
    write_field(call, "runid", id);
    write_field(call, "flags", flags);
    write_number_field(call, "link-pending-commands", 0);
    write_number_field(call, "link-refcount", 1);
    write_number_field(call, "last-ping-sent", 0);
    write_number_field(call, "last-ok-ping-reply", 0);
    write_number_field(call, "last-ping-reply", 0);
    write_number_field(call, "down-after-milliseconds",
                       (int64_t)(call->node->config.cluster.election_us / 1000));
}

static void write_master(struct hl_call *call, const struct hl_member *leader)
{
    int64_t others = (int64_t)hl_node_members(call->node)->count - 1;
    others = others < 0 ? 0 : others;
    hl_write_map(call->out, COMMON_FIELDS + 9);
    write_common_fields(call, leader, MASTER_NAME, "master");
    write_number_field(call, "info-refresh", 0);
    write_field(call, "role-reported", "master");
    write_number_field(call, "role-reported-time", 0);
    write_number_field(call, "config-epoch", (int64_t)call->node->raft.term);
    write_number_field(call, "num-slaves", others);
    write_number_field(call, "num-other-sentinels", others);
    write_number_field(call, "quorum", (others + 1) / 2 + 1);
    write_number_field(call, "failover-timeout", 0);
    write_number_field(call, "parallel-syncs", 1);
}

static void write_replica(struct hl_call *call, const struct hl_member *member)
{
    struct endpoint e = {.host = "?"}, master = e;
    const struct hl_member *leader = hl_node_leader(call->node);
    e = endpoint_of(member);
    master = leader != NULL ? endpoint_of(leader) : master;
    hl_write_map(call->out, COMMON_FIELDS + 7);
    write_common_fields(call, member, member->client_addr, "slave");
    write_field(call, "role-reported", "slave");
    write_field(call, "master-link-status", leader != NULL ? "ok" : "err");
    write_field(call, "master-host", master.host);
    write_number_field(call, "master-port", master.port);
    write_number_field(call, "slave-priority", member->voter ? 100 : 0);
    write_number_field(call, "slave-repl-offset", (int64_t)call->node->commit);
    write_number_field(call, "replica-announced", 1);
}

static void write_sentinel(struct hl_call *call, const struct hl_member *member)
{
    hl_write_map(call->out, COMMON_FIELDS + 1);
    write_common_fields(call, member, member->name, "sentinel");
    write_field(call, "voted-leader", "?");
}

/* The members that `choose` takes, each by `write`. */
static void write_members(struct hl_call *call,
                          bool (*choose)(const struct hl_node *node, const struct hl_member *m),
                          void (*write)(struct hl_call *call, const struct hl_member *m))
{
    const struct hl_members *members = hl_node_members(call->node);
    struct hl_write_mark mark = hl_write_begin(call->out);
    size_t count = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        if (choose(call->node, &members->at[i])) {
            write(call, &members->at[i]);
            count++;
        }
    }
    hl_write_end(call->out, mark, HL_ARRAY, count);
}

static bool follows(const struct hl_node *node, const struct hl_member *member)
{
    return !is_leader(node, member);
}

static bool is_other(const struct hl_node *node, const struct hl_member *member)
{
    return member->id != node->node_id;
}

static void cmd_master_addr(struct hl_call *call)
{
    const struct hl_member *leader = hl_node_leader(call->node);
    if (leader == NULL) {
        hl_write_null_array(call->out);
        return;
    }
    struct endpoint e = endpoint_of(leader);
    hl_write_array(call->out, 2);
    hl_write_bulk_text(call->out, e.host);
    hl_write_bulk_int(call->out, e.port);
}

static void cmd_masters(struct hl_call *call)
{
    write_members(call, is_leader, write_master);
}

static void cmd_master(struct hl_call *call)
{
    const struct hl_member *leader = hl_node_leader(call->node);
    if (leader == NULL) {
        hl_reply_error(call, "ERR no leader is known at the moment, try again");
        return;
    }
    write_master(call, leader);
}

static void cmd_sentinels(struct hl_call *call)
{
    write_members(call, is_other, write_sentinel);
}

static void cmd_sentinel_replicas(struct hl_call *call)
{
    write_members(call, follows, write_replica);
}

static void cmd_sentinel_myid(struct hl_call *call)
{
    char id[ID_LEN + 1];
    print_id(call->node, call->node->node_id, id);
    hl_write_bulk_text(call->out, id);
}

#define FLAGS (HL_CMD_LOADING | HL_CMD_STALE)
#define ROW(name_, run_, arity_, flags_, since_, summary_, args_)                                  \
    {                                                                                              \
        .name = (name_), .run = (run_), .arity = (arity_), .flags = (flags_), .group = "cluster",  \
        .since = (since_), .complexity = "O(N) where N is the number of nodes",                    \
        .summary = (summary_), .args = (args_)                                                     \
    }

const struct hl_command_row hl_commands_cluster[] = {
    ROW("cluster", NULL, -2, FLAGS, "3.0.0", "Ask about the cluster.", NULL),
    ROW("cluster|info", cmd_info, 2, FLAGS, "3.0.0", "Answer the state of the cluster.", NULL),
    ROW("cluster|keyslot", cmd_keyslot, 3, FLAGS, "3.0.0", "Answer the hash slot of a key.",
        "key:string"),
    ROW("cluster|myid", cmd_myid, 2, FLAGS, "3.0.0", "Answer the id of this node.", NULL),
    ROW("cluster|nodes", cmd_nodes, 2, FLAGS, "3.0.0", "Answer a line for each node.", NULL),
    ROW("cluster|replicas", cmd_replicas, 3, FLAGS, "5.0.0",
        "Answer a line for each node that follows.", "node-id:string"),
    ROW("cluster|shards", cmd_shards, 2, FLAGS, "7.0.0", "Answer the one shard and its nodes.",
        NULL),
    ROW("cluster|slaves", cmd_replicas, 3, FLAGS, "3.0.0",
        "Answer a line for each node that follows.", "node-id:string"),
    ROW("cluster|slots", cmd_slots, 2, FLAGS, "3.0.0",
        "Answer which nodes hold which slots: all hold all, the leader first.", NULL),
    HL_HELP_ROW("cluster", 0, "cluster", "5.0.0"),
    ROW("readonly", cmd_readonly, 1, FLAGS | HL_CMD_FAST, "3.0.0",
        "Let a cluster connection read from any node, as it may anyway; refused outside a cluster.",
        NULL),
    ROW("readwrite", cmd_readonly, 1, FLAGS | HL_CMD_FAST, "3.0.0",
        "End READONLY; refused outside a cluster.", NULL),
    ROW("sentinel", NULL, -2, FLAGS, "2.8.4", "Ask who leads, as sentinel clients do.", NULL),
    ROW("sentinel|get-master-addr-by-name", cmd_master_addr, 3, FLAGS, "2.8.4",
        "Answer the leader's address, whatever the name.", "name:string"),
    ROW("sentinel|master", cmd_master, 3, FLAGS, "2.8.4", "Describe the leader.", "name:string"),
    ROW("sentinel|masters", cmd_masters, 2, FLAGS, "2.8.4", "Describe the leader, in a list.",
        NULL),
    ROW("sentinel|myid", cmd_sentinel_myid, 2, FLAGS, "6.2.0", "Answer the id of this node.", NULL),
    ROW("sentinel|replicas", cmd_sentinel_replicas, 3, FLAGS, "5.0.0",
        "Describe the nodes that follow.", "name:string"),
    ROW("sentinel|sentinels", cmd_sentinels, 3, FLAGS, "2.8.4", "Describe the other nodes.",
        "name:string"),
    ROW("sentinel|slaves", cmd_sentinel_replicas, 3, FLAGS, "2.8.0",
        "Describe the nodes that follow.", "name:string"),
    HL_HELP_ROW("sentinel", 0, "cluster", "6.2.0"),
};
const size_t hl_commands_cluster_count = HL_ARRAY_LEN(hl_commands_cluster);
