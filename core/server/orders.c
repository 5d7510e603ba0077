#include "server/orders.h"

#include "command/args.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/replica.h"
#include "server/config.h"
#include "server/info.h"

#include <stdio.h>

#define ORDER_S_MAX 10 /* the client that gave it learns of trouble then */

enum order_state {
    ORDER_NONE,
    ORDER_ASKING,     /* a new node who it is */
    ORDER_COMMITTING, /* the entry with the new members */
    ORDER_HANDING,    /* leadership to another node */
};

/* Where a node says that it is reached. */
struct announced {
    hl_peer id; /* 0: nothing */
    char name[HL_MEMBER_NAME_MAX + 1];
    char raft_addr[HL_MEMBER_ADDR_MAX + 1];
    char client_addr[HL_MEMBER_ADDR_MAX + 1];
};

struct hl_orders {
    struct hl_server *server;
    struct announced announced[HL_MEMBERS_MAX];
    enum order_state state;
    char name[HL_MEMBER_NAME_MAX + 1];
    char address[HL_MEMBER_ADDR_MAX + 1];
    hl_index index; /* of the entry */
    hl_term term;
    uint64_t until_us;
};

struct hl_orders *hl_orders_create(struct hl_server *server)
{
    struct hl_orders *orders = hl_calloc(1, sizeof *orders);
    orders->server = server;
    return orders;
}

void hl_orders_destroy(struct hl_orders *orders)
{
    hl_free(orders);
}

/* --- whoever waits ---------------------------------------------------------------------------- */

/* End the order: NULL is success. */
static void finish(struct hl_orders *orders, const char *error)
{
    orders->state = ORDER_NONE;
    hl_sessions_answer(orders->server->node, orders, error);
}

static void on_gone(struct hl_node *node, struct hl_session *session, int reason)
{
    if (reason == HL_UNBLOCK_CLOSED) {
        hl_session_unblock(node, session); /* nobody waits any more; the order goes on */
    }
}

static void wait_for(struct hl_call *call, struct hl_orders *orders, enum order_state state)
{
    struct hl_server *server = orders->server;
    struct hl_blocked blocked = {.owner = orders, .end = on_gone};
    orders->state = state;
    orders->until_us = server->world.mono_us(server) + ORDER_S_MAX * 1000000u;
    hl_session_block(call->node, call->session, &blocked);
}

/* --- progress --------------------------------------------------------------------------------- */

static void look_at_commit(struct hl_orders *orders)
{
    struct hl_node *node = orders->server->node;
    hl_term term = 0;
    if (!hl_raft_term_at(&node->raft, orders->index, &term) || term != orders->term) {
        finish(orders, "NOTLEADER another node leads now, and the change was taken back");
    } else if (node->commit >= orders->index) {
        finish(orders, NULL);
    }
}

static void look_at_hand_over(struct hl_orders *orders)
{
    struct hl_node *node = orders->server->node;
    if (hl_raft_role(&node->raft) != HL_RAFT_LEADER) {
        if (hl_raft_leader(&node->raft) != 0) {
            finish(orders, NULL);
        }
    } else if (!node->cluster.handing) {
        finish(orders, "ERR nobody took leadership over in time; this node leads on");
    }
}

void hl_orders_look(struct hl_orders *orders)
{
    struct hl_server *server = orders->server;
    switch (orders->state) {
    case ORDER_NONE:
        return;
    case ORDER_ASKING:
        break;
    case ORDER_COMMITTING:
        look_at_commit(orders);
        break;
    case ORDER_HANDING:
        look_at_hand_over(orders);
        break;
    }
    if (orders->state != ORDER_NONE && server->world.mono_us(server) >= orders->until_us) {
        finish(orders, orders->state == ORDER_ASKING
                           ? "ERR the node did not answer in time; nothing was changed"
                           : "UNKNOWN the change is made but not confirmed by a majority yet; look "
                             "at RAFT.STATUS");
    }
}

static bool change(struct hl_orders *orders, const struct hl_members *members,
                   struct hl_errmsg *msg)
{
    struct hl_node *node = orders->server->node;
    if (!hl_node_leads(node)) {
        (void)hl_fail(msg, HL_EBUSY, "NOTLEADER this node does not lead any more");
        return false;
    }
    struct hl_errmsg why = {0};
    if (hl_replica_configure(node, members, &why) != HL_OK) {
        (void)hl_fail(msg, HL_EBUSY, "ERR %.200s", why.text);
        return false;
    }
    orders->index = node->last;
    orders->term = hl_raft_term(&node->raft);
    return true;
}

static const struct hl_member *find_named(const struct hl_members *members, const char *name)
{
    for (uint32_t i = 0; i < members->count; i++) {
        if (strcmp(members->at[i].name, name) == 0) {
            return &members->at[i];
        }
    }
    return NULL;
}

/* --- addresses that changed ------------------------------------------------------------------- */

static bool copy_text(struct hl_slice text, char *out, size_t size)
{
    if (text.len == 0 || text.len >= size) {
        return false;
    }
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

/* The place of `id` in the table, or a free one; NULL when it is full of others. */
static struct announced *place_of(struct hl_orders *orders, hl_peer id)
{
    struct announced *free_place = NULL;
    for (int i = 0; i < HL_MEMBERS_MAX; i++) {
        if (orders->announced[i].id == id) {
            return &orders->announced[i];
        }
        if (orders->announced[i].id == 0) {
            free_place = &orders->announced[i];
        }
    }
    return free_place;
}

void hl_orders_announced(struct hl_orders *orders, hl_peer from, const struct hl_hello *hello)
{
    struct announced *at = place_of(orders, from);
    if (at == NULL || hl_members_find(hl_node_members(orders->server->node), from) == NULL) {
        return;
    }
    struct announced news = {.id = from};
    bool known = copy_text(hello->name, news.name, sizeof news.name) &&
                 copy_text(hello->raft_addr, news.raft_addr, sizeof news.raft_addr) &&
                 copy_text(hello->client_addr, news.client_addr, sizeof news.client_addr);
    *at = known ? news : (struct announced){0};
}

/* Put what the node says of itself into the members; false when they say so already. */
static bool update(struct hl_members *members, const struct announced *said)
{
    const struct hl_member *m = hl_members_find(members, said->id);
    if (said->id == 0 || m == NULL || strcmp(m->name, said->name) != 0 ||
        (strcmp(m->raft_addr, said->raft_addr) == 0 &&
         strcmp(m->client_addr, said->client_addr) == 0)) {
        return false;
    }
    return hl_members_put(members, said->id, m->voter, hl_slice_of(said->name),
                          hl_slice_of(said->raft_addr), hl_slice_of(said->client_addr)) == HL_OK;
}

/* This node's own addresses may have changed, too. */
static void announce_self(struct hl_orders *orders)
{
    struct hl_server *server = orders->server;
    struct announced *at = place_of(orders, server->node->node_id);
    if (at != NULL && server->options.client_addr[0] != '\0') {
        at->id = server->node->node_id;
        (void)snprintf(at->name, sizeof at->name, "%s",
                       hl_config_text(server->config, HL_CFG_RAFT_NODE_ID));
        (void)snprintf(at->raft_addr, sizeof at->raft_addr, "%s",
                       hl_config_raft_address(server->config));
        (void)snprintf(at->client_addr, sizeof at->client_addr, "%s", server->options.client_addr);
    }
}

static bool may_change(struct hl_node *node, const struct hl_members *members)
{
    struct hl_raft_config config = hl_replica_config_of(members);
    return hl_raft_may_config(&node->raft, &config) == HL_OK;
}

static void follow_addresses(struct hl_orders *orders)
{
    struct hl_node *node = orders->server->node;
    announce_self(orders);
    for (int i = 0; i < HL_MEMBERS_MAX; i++) {
        const struct announced *said = &orders->announced[i];
        struct hl_members members = *hl_node_members(node);
        struct hl_errmsg msg = {0};
        bool here = said->id == node->node_id || /* or what it said may be out of date */
                    hl_cluster_reaches(orders->server, said->id, HL_PEER_RAFT);
        if (here && update(&members, said) && may_change(node, &members) &&
            change(orders, &members, &msg)) {
            hl_node_log(node, 2, "node %s is at %s now, for clients at %s", said->name,
                        said->raft_addr, said->client_addr);
            return; /* one change at a time */
        }
    }
}

/* --- each cron -------------------------------------------------------------------------------- */

void hl_orders_cron(struct hl_orders *orders)
{
    struct hl_node *node = orders->server->node;
    if (orders->state != ORDER_NONE || node->loading || !hl_node_leads(node)) {
        return;
    }
    follow_addresses(orders);
    if (!hl_config_bool(orders->server->config, HL_CFG_RAFT_AUTO_PROMOTE)) {
        return;
    }
    struct hl_members members = *hl_node_members(node);
    for (uint32_t i = 0; i < members.count; i++) {
        struct hl_member *m = &members.at[i];
        struct hl_raft_peer_status status;
        if (m->voter || !hl_raft_peer_status(&node->raft, m->id, &status) || !status.caught_up) {
            continue;
        }
        m->voter = true;
        struct hl_errmsg msg = {0};
        if (may_change(node, &members) && change(orders, &members, &msg)) {
            hl_node_log(node, 2, "node %s has caught up and votes from now on", m->name);
        }
        return; /* one voter changes at a time */
    }
}

/* --- adding ----------------------------------------------------------------------------------- */

/* What is wrong with the node that answered, or false. */
static bool is_unfit(struct hl_orders *orders, const struct hl_wire_frame *frame,
                     const struct hl_hello *hello, struct hl_errmsg *msg)
{
    const struct hl_node *node = orders->server->node;
    bool ours = memcmp(frame->cluster_id, node->cluster_id, sizeof frame->cluster_id) == 0;
    if (hello->refusal.len != 0) {
        (void)hl_fail(msg, HL_EBUSY, "ERR the node at %.80s is not ready: %.*s", orders->address,
                      (int)hello->refusal.len, hello->refusal.ptr);
    } else if (!hl_slice_equal(hello->name, hl_slice_of(orders->name))) {
        (void)hl_fail(msg, HL_EINVAL, "ERR the node at %.80s calls itself '%.*s'", orders->address,
                      (int)hello->name.len, hello->name.ptr);
    } else if (hello->level < hl_level_now(node)) {
        (void)hl_fail(msg, HL_EINVAL,
                      "ERR the node at %.80s understands feature level %u, the cluster has %u: "
                      "upgrade it first",
                      orders->address, (unsigned)hello->level, (unsigned)hl_level_now(node));
    } else if (!hello->empty && !ours) {
        (void)hl_fail(msg, HL_EINVAL,
                      "ERR the node at %.80s has data of its own; it must start with an empty "
                      "directory",
                      orders->address);
    } else if (!hello->empty && hl_members_find(hl_node_members(node), frame->from) == NULL) {
        (void)hl_fail(msg, HL_EINVAL,
                      "ERR the node at %.80s was a member of this cluster before: empty its "
                      "directory, it is a new node then",
                      orders->address);
    } else if (hello->empty && hello->peer_count != 0) {
        (void)hl_fail(msg, HL_EINVAL,
                      "ERR the node at %.80s waits to found another cluster: start it with --join "
                      "and without a list of peers",
                      orders->address);
    } else {
        return false;
    }
    return true;
}

static void add_answered(struct hl_orders *orders, const struct hl_wire_frame *frame,
                         const struct hl_hello *hello)
{
    struct hl_node *node = orders->server->node;
    struct hl_errmsg msg = {0};
    struct hl_members members = *hl_node_members(node);
    if (is_unfit(orders, frame, hello, &msg)) {
        finish(orders, msg.text);
        return;
    }
    if (hl_members_find(&members, frame->from) != NULL) {
        finish(orders, NULL); /* it is a member already */
        return;
    }
    hl_err err = hl_members_put(&members, frame->from, false, hello->name, hello->raft_addr,
                                hello->client_addr);
    if (err != HL_OK) {
        finish(orders, "ERR the cluster has no room for another member");
    } else if (!change(orders, &members, &msg)) {
        finish(orders, msg.text);
    } else {
        orders->state = ORDER_COMMITTING;
    }
}

bool hl_orders_answer(struct hl_orders *orders, const char *name, const struct hl_wire_frame *frame,
                      const struct hl_hello *hello, const char *why)
{
    if (orders->state != ORDER_ASKING || strcmp(name, orders->name) != 0) {
        return false;
    }
    if (hello != NULL) {
        add_answered(orders, frame, hello);
        return true;
    }
    struct hl_errmsg msg = {0};
    (void)hl_fail(&msg, HL_EIO, "ERR cannot reach %.80s: %.160s", orders->address, why);
    finish(orders, msg.text);
    return true;
}

/* --- commands --------------------------------------------------------------------------------- */

static struct hl_server *server_of(struct hl_call *call)
{
    return call->node->world->ctx;
}

/* The orders, when one can be given here and now; otherwise NULL after replying why not. */
static struct hl_orders *may_order(struct hl_call *call)
{
    struct hl_server *server = server_of(call);
    const struct hl_member *leader;
    if (server->cluster == NULL) {
        hl_reply_error(call, "ERR this server is not one of a cluster: see the setting 'raft'");
        return NULL;
    }
    if ((call->flags & HL_CALL_DENY_BLOCK) != 0) {
        hl_reply_error(call, "ERR this command waits, which is not possible here");
        return NULL;
    }
    if (!hl_node_leads(call->node)) {
        leader = hl_node_leader(call->node);
        if (leader == NULL || leader->id == call->node->node_id) {
            hl_reply_error(call, "NOQUORUM no leader is known; try again");
        } else {
            hl_reply_errorf(call, "NOTLEADER %s %s", leader->name, leader->client_addr);
        }
        return NULL;
    }
    if (server->orders->state != ORDER_NONE) {
        hl_reply_error(call, "BUSY another order to the cluster is being carried out");
        return NULL;
    }
    return server->orders;
}

static void cmd_add(struct hl_call *call)
{
    char host[256];
    int port = 0;
    struct hl_orders *orders = may_order(call);
    if (orders == NULL) {
        return;
    }
    struct hl_members one = {0};
    if (!copy_text(call->argv[1], orders->name, sizeof orders->name) ||
        !copy_text(call->argv[2], orders->address, sizeof orders->address) ||
        hl_members_put(&one, 1, false, call->argv[1], call->argv[2], call->argv[2]) != HL_OK ||
        !hl_config_split_address(call->argv[2], host, &port) || host[0] == '\0' || port == 0) {
        hl_reply_error(call, "ERR give the node's name and its raft address, host:port");
        return;
    }
    const struct hl_member *same = find_named(hl_node_members(call->node), orders->name);
    if (same != NULL && strcmp(same->raft_addr, orders->address) != 0) {
        hl_reply_errorf(call, "ERR '%s' is a member already, at %s: remove it first", same->name,
                        same->raft_addr);
        return;
    }
    wait_for(call, orders, ORDER_ASKING);
    hl_cluster_ask(orders->server, orders->name, orders->address);
}

/* The member of the call's first argument in a copy of the members, or NULL after replying. */
static struct hl_member *named_member(struct hl_call *call, struct hl_members *members)
{
    char name[HL_MEMBER_NAME_MAX + 1];
    *members = *hl_node_members(call->node);
    for (uint32_t i = 0; i < members->count; i++) {
        if (copy_text(call->argv[1], name, sizeof name) && strcmp(members->at[i].name, name) == 0) {
            return &members->at[i];
        }
    }
    hl_reply_error(call, "ERR there is no such member");
    return NULL;
}

static void change_or_reply(struct hl_call *call, struct hl_orders *orders,
                            const struct hl_members *members)
{
    struct hl_errmsg msg = {0};
    if (!change(orders, members, &msg)) {
        hl_reply_error(call, msg.text);
        return;
    }
    wait_for(call, orders, ORDER_COMMITTING);
}

static void cmd_remove(struct hl_call *call)
{
    struct hl_members members;
    struct hl_orders *orders = may_order(call);
    struct hl_member *m = orders != NULL ? named_member(call, &members) : NULL;
    if (m == NULL) {
        return;
    }
    bool removed = hl_members_remove(&members, m->id);
    HL_ASSERT(removed);
    change_or_reply(call, orders, &members);
}

static void cmd_promote(struct hl_call *call)
{
    struct hl_members members;
    struct hl_raft_peer_status status;
    struct hl_orders *orders = may_order(call);
    struct hl_member *m = orders != NULL ? named_member(call, &members) : NULL;
    if (m == NULL) {
        return;
    }
    if (m->voter) {
        hl_write_ok(call->out);
        return;
    }
    if (!hl_raft_peer_status(&call->node->raft, m->id, &status) || !status.caught_up) {
        hl_reply_error(call, "ERR it has not caught up yet; try again");
        return;
    }
    m->voter = true;
    change_or_reply(call, orders, &members);
}

static void hand_over(struct hl_call *call, hl_peer to)
{
    struct hl_orders *orders = may_order(call);
    if (orders == NULL) {
        return;
    }
    if (hl_replica_hand_over(call->node, to) != HL_OK) {
        hl_reply_error(call, "ERR there is no other voter that could lead");
        return;
    }
    wait_for(call, orders, ORDER_HANDING);
}

static void cmd_transfer(struct hl_call *call)
{
    struct hl_members members;
    if (call->argc == 1) {
        hand_over(call, 0);
        return;
    }
    if (may_order(call) == NULL) {
        return;
    }
    const struct hl_member *m = named_member(call, &members);
    if (m != NULL && m->id == call->node->node_id) {
        hl_write_ok(call->out); /* it leads already */
    } else if (m != NULL) {
        hand_over(call, m->id);
    }
}

static void cmd_stepdown(struct hl_call *call)
{
    hand_over(call, 0);
}

static void cmd_status(struct hl_call *call)
{
    struct hl_buf text = {0};
    size_t pairs = 0;
    hl_info_raft(server_of(call), &text);
    for (const char *p = text.ptr; p != NULL && p < text.ptr + text.len; p++) {
        pairs += *p == '\n';
    }
    hl_write_map(call->out, pairs - 1);
    struct hl_slice rest = hl_buf_view(&text);
    while (rest.len != 0) {
        const char *end = memchr(rest.ptr, '\r', rest.len);
        HL_ASSERT(end != NULL);
        struct hl_slice line = {.ptr = rest.ptr, .len = (size_t)(end - rest.ptr)};
        rest = (struct hl_slice){.ptr = end + 2, .len = rest.len - line.len - 2};
        const char *colon = memchr(line.ptr, ':', line.len);
        if (colon != NULL) {
            size_t len = (size_t)(colon - line.ptr);
            hl_write_bulk(call->out, (struct hl_slice){.ptr = line.ptr, .len = len});
            hl_write_bulk(call->out,
                          (struct hl_slice){.ptr = colon + 1, .len = line.len - len - 1});
        }
    }
    hl_buf_fini(&text);
}

static void cmd_listpeers(struct hl_call *call)
{
    const struct hl_members *members = hl_node_members(call->node);
    hl_write_map(call->out, members->count);
    for (uint32_t i = 0; i < members->count; i++) {
        hl_write_bulk_text(call->out, members->at[i].name);
        hl_write_bulk_text(call->out, members->at[i].raft_addr);
    }
}

/* Whatever is called RAFT.*, by whichever part of the server. */
static void cmd_help(struct hl_call *call)
{
    const struct hl_command_table *table = call->node->commands;
    struct hl_buf text = {0};
    size_t lines = 0;
    for (uint32_t id = 0; id < hl_command_id_end(table); id++) {
        const struct hl_command *cmd = hl_command_by_id(table, id);
        if (cmd == NULL || strncmp(cmd->row->name, "raft.", 5) != 0) {
            continue;
        }
        for (const char *p = cmd->row->name; *p != '\0'; p++) {
            hl_buf_append_u8(&text, (uint8_t)(*p >= 'a' && *p <= 'z' ? *p - ('a' - 'A') : *p));
        }
        hl_buf_printf(&text, "%s%s\n    %s\n", cmd->row->args != NULL ? " " : "",
                      cmd->row->args != NULL ? cmd->row->args : "", cmd->row->summary);
        lines += 2;
    }
    hl_write_array(call->out, lines);
    struct hl_slice rest = hl_buf_view(&text);
    while (rest.len != 0) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        HL_ASSERT(end != NULL);
        size_t len = (size_t)(end - rest.ptr);
        hl_write_simple_slice(call->out, (struct hl_slice){.ptr = rest.ptr, .len = len});
        rest = (struct hl_slice){.ptr = end + 1, .len = rest.len - len - 1};
    }
    hl_buf_fini(&text);
}

#define ORDER (HL_CMD_ADMIN | HL_CMD_NOSCRIPT | HL_CMD_NO_MULTI)
#define LOOK (HL_CMD_ADMIN | HL_CMD_LOADING | HL_CMD_STALE)
#define ROW(cmd_name, fn, n, cmd_flags, cost, words, grammar)                                      \
    {                                                                                              \
        .name = (cmd_name), .run = (fn), .arity = (n), .flags = (cmd_flags), .group = "cluster",   \
        .since = "0.1.0", .complexity = (cost), .summary = (words), .args = (grammar)              \
    }

const struct hl_command_row hl_commands_raft[] = {
    ROW("raft.status", cmd_status, 1, LOOK, "O(N) where N is the number of members",
        "Tell what this node knows of its cluster, as INFO raft does.", NULL),
    ROW("raft.add", cmd_add, 3, ORDER, "O(N) where N is the number of members",
        "Add an empty node that waits with --join; it votes once it has caught up.",
        "name:string address:string"),
    ROW("raft.remove", cmd_remove, 2, ORDER, "O(N) where N is the number of members",
        "Remove a member.", "name:string"),
    ROW("raft.promote", cmd_promote, 2, ORDER, "O(N) where N is the number of members",
        "Let a member vote that has caught up.", "name:string"),
    ROW("raft.transfer", cmd_transfer, -1, ORDER, "O(1)",
        "Hand leadership to a voter, or to the one that has most of the log.", "[name:string]"),
    ROW("raft.stepdown", cmd_stepdown, 1, ORDER, "O(1)",
        "Hand leadership to the voter that has most of the log.", NULL),
    ROW("raft.help", cmd_help, 1, LOOK, "O(1)", "List the commands on the cluster.", NULL),
    ROW("addpeer", cmd_add, 3, ORDER | HL_CMD_AT_LEADER, "O(N) where N is the number of members",
        "The same as RAFT.ADD, on any node: it is sent to the leader.",
        "name:string address:string"),
    ROW("removepeer", cmd_remove, 2, ORDER | HL_CMD_AT_LEADER,
        "O(N) where N is the number of members",
        "The same as RAFT.REMOVE, on any node: it is sent to the leader.", "name:string"),
    ROW("listpeers", cmd_listpeers, 1, LOOK, "O(N) where N is the number of members",
        "List the members and their raft addresses.", NULL),
};
const size_t hl_commands_raft_count = HL_ARRAY_LEN(hl_commands_raft);
