#include "server/forward.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/acl.h"
#include "node/admit.h"
#include "node/node_internal.h"
#include "server/forward_frame.h"

#include <stdio.h>

#define BUCKETS 1024
#define REQUEST_MAX (HL_FRAME_BODY_MAX - 4096)
#define REPLY_WAIT_US 1000000 /* for this node's own connection to the one that asks */

/* This node's client, as far as the leader acts for it. */
struct hl_remote {
    struct hl_list_node node; /* in a bucket, by `client` */
    uint64_t client;          /* id of its session */
    uint64_t number;          /* of the request under way, or the last one */
    hl_peer leader;
    bool pending, keeps;
    struct hl_conn *conn;
};

/* Another node's client, for which this node acts. */
struct virtual_client {
    struct hl_list_node node; /* in a bucket, by `client` */
    struct hl_list_node due;  /* it has output, or wants to go on */
    struct hl_forward *forward;
    hl_peer peer;
    uint64_t client, number;
    struct hl_session *session;
    bool busy, resumes;
    uint64_t answered_us; /* since when the reply waits for a connection; 0: it does not */
    struct hl_postponed held;
};

/* A few nodes, each once. */
struct node_set {
    hl_peer at[2 * HL_MEMBERS_MAX];
    unsigned count;
};

struct hl_forward {
    struct hl_server *server;
    struct hl_list_node remotes[BUCKETS], virtuals[BUCKETS];
    struct hl_list_node due;
    uint64_t sent, served; /* requests, since start */
    unsigned virtual_count, busy_count;
    /* Sending may find a connection broken: what that means waits until nobody is in here. */
    unsigned inside;
    struct node_set lost, broken;
};

struct hl_forward *hl_forward_create(struct hl_server *server)
{
    struct hl_forward *forward = hl_calloc(1, sizeof *forward);
    forward->server = server;
    hl_list_init(&forward->due);
    for (unsigned i = 0; i < BUCKETS; i++) {
        hl_list_init(&forward->remotes[i]);
        hl_list_init(&forward->virtuals[i]);
    }
    return forward;
}

static struct hl_buf make_frame(struct hl_forward *forward, hl_peer to, enum hl_wire_type type,
                                size_t *start)
{
    struct hl_wire_frame frame = hl_node_frame(forward->server->node, to, HL_PEER_FORWARD, type);
    struct hl_buf out = {0};
    *start = hl_wire_begin(&out, &frame);
    return out;
}

/* Send and release; false when it was not taken. */
static bool send_frame(struct hl_forward *forward, hl_peer to, struct hl_buf *frame, size_t start)
{
    hl_wire_end(frame, start);
    bool taken = hl_cluster_try_send(forward->server, to, HL_PEER_FORWARD, hl_buf_view(frame));
    hl_buf_fini(frame);
    return taken;
}

static void note(struct node_set *set, hl_peer peer)
{
    for (unsigned i = 0; i < set->count; i++) {
        if (set->at[i] == peer) {
            return;
        }
    }
    HL_ASSERT(set->count < HL_ARRAY_LEN(set->at)); /* the transport knows no more nodes */
    set->at[set->count++] = peer;
}

/* The other side must learn that something did not arrive: both connections are closed. */
static void break_later(struct hl_forward *forward, hl_peer peer)
{
    note(&forward->broken, peer);
}

static void lose(struct hl_forward *forward, hl_peer peer);

static void leave(struct hl_forward *forward)
{
    HL_ASSERT(forward->inside > 0);
    if (--forward->inside != 0) {
        return;
    }
    while (forward->lost.count != 0) {
        lose(forward, forward->lost.at[--forward->lost.count]);
    }
    while (forward->broken.count != 0) {
        hl_peer peer = forward->broken.at[--forward->broken.count];
        hl_cluster_break(forward->server, peer, HL_PEER_FORWARD);
    }
}

/* --- this node's clients ---------------------------------------------------------------------- */

static struct hl_remote *find_remote(struct hl_forward *forward, uint64_t client)
{
    HL_LIST_EACH(it, &forward->remotes[client % BUCKETS])
    {
        struct hl_remote *remote = HL_LIST_ENTRY(it, struct hl_remote, node);
        if (remote->client == client) {
            return remote;
        }
    }
    return NULL;
}

static void tell_gone(struct hl_forward *forward, struct hl_remote *remote)
{
    size_t start = 0;
    struct hl_buf frame = make_frame(forward, remote->leader, HL_FRAME_FORWARD, &start);
    const struct hl_forwarded gone = {.gone = true, .client = remote->client};
    hl_forwarded_encode(&gone, &frame);
    if (!send_frame(forward, remote->leader, &frame, start)) {
        break_later(forward, remote->leader);
    }
}

static void drop_remote(struct hl_remote *remote)
{
    remote->conn->remote = NULL;
    hl_list_remove(&remote->node);
    hl_free(remote);
}

void hl_forward_client_gone(struct hl_forward *forward, struct hl_conn *conn)
{
    if (conn->remote != NULL) {
        forward->inside++;
        tell_gone(forward, conn->remote);
        drop_remote(conn->remote);
        leave(forward);
    }
}

/* What the leader must run: writes, and what begins a transaction. */
static bool belongs_to_leader(struct hl_forward *forward, struct hl_session *session, int argc,
                              const struct hl_slice *argv)
{
    struct hl_node *node = forward->server->node;
    struct hl_command *cmd = hl_command_find(node->commands, argv[0]);
    if (cmd != NULL && cmd->sub_count != 0) {
        cmd = argc > 1 ? hl_command_find_sub(cmd, argv[1]) : NULL;
    }
    if (cmd == NULL) {
        return false;
    }
    return hl_admit_writes(node, session, cmd) || strcmp(cmd->row->name, "multi") == 0 ||
           strcmp(cmd->row->name, "watch") == 0;
}

/* What the leader holds for the client ends with these. */
static bool ends_state(struct hl_slice name)
{
    return hl_slice_is(name, "quit") || hl_slice_is(name, "reset");
}

/* Who a client is, and how it is spoken to, is known here, and goes with every request. */
static bool stays_here(struct hl_slice name)
{
    return ends_state(name) || hl_slice_is(name, "auth") || hl_slice_is(name, "hello");
}

static const struct hl_member *leader_to_ask(struct hl_forward *forward)
{
    struct hl_node *node = forward->server->node;
    const struct hl_member *leader = hl_node_leader(node);
    bool other = leader != NULL && leader->id != node->node_id;
    return other && hl_cluster_is_linked(forward->server, leader->id, HL_PEER_FORWARD) ? leader
                                                                                       : NULL;
}

static bool is_small_enough(int argc, const struct hl_slice *argv)
{
    size_t len = 0;
    for (int i = 0; i < argc; i++) {
        len += argv[i].len + 4;
        if (len > REQUEST_MAX) {
            return false;
        }
    }
    return true;
}

static struct hl_remote *remote_for(struct hl_forward *forward, struct hl_conn *conn,
                                    hl_peer leader)
{
    if (conn->remote != NULL && conn->remote->leader != leader) {
        tell_gone(forward, conn->remote);
        drop_remote(conn->remote);
    }
    if (conn->remote == NULL) {
        struct hl_remote *remote = hl_calloc(1, sizeof *remote);
        remote->client = conn->session->id;
        remote->leader = leader;
        remote->conn = conn;
        hl_list_append(&forward->remotes[remote->client % BUCKETS], &remote->node);
        conn->remote = remote;
    }
    return conn->remote;
}

static void on_wait_over(struct hl_node *node, struct hl_session *session, int reason)
{
    if (reason == HL_UNBLOCK_CLOSED) {
        hl_session_unblock(node, session); /* and the remote side ends with it */
    }
}

static bool send_request(struct hl_forward *forward, struct hl_remote *remote, int argc,
                         const struct hl_slice *argv)
{
    const struct hl_session *session = remote->conn->session;
    size_t start = 0;
    struct hl_buf frame = make_frame(forward, remote->leader, HL_FRAME_FORWARD, &start);
    const struct hl_forwarded request = {
        .client = remote->client,
        .number = ++remote->number,
        .proto = (uint8_t)session->writer.proto,
        .db = (uint16_t)session->db,
        .user = hl_slice_of(hl_session_user_name(session)),
        .address = hl_slice_of(session->addr),
        .argc = (uint32_t)argc,
        .argv = argv,
    };
    hl_forwarded_encode(&request, &frame);
    return send_frame(forward, remote->leader, &frame, start);
}

static bool take(struct hl_forward *forward, struct hl_conn *conn, int argc,
                 const struct hl_slice *argv)
{
    struct hl_node *node = forward->server->node;
    struct hl_session *session = conn->session;
    bool keeps = conn->remote != NULL && conn->remote->keeps;
    bool here = node->loading || (session->flags & HL_SESSION_AUTHENTICATED) == 0;
    bool begun_here = (session->flags & HL_SESSION_MULTI) != 0 || !hl_list_empty(&session->watches);
    if (here || begun_here ||
        (!keeps && (node->cluster.leads || node->cluster.handing ||
                    node->config.cluster.follower_writes != HL_FOLLOWER_WRITES_FORWARD ||
                    !belongs_to_leader(forward, session, argc, argv)))) {
        return false;
    }
    if (keeps && ends_state(argv[0])) {
        tell_gone(forward, conn->remote);
        drop_remote(conn->remote);
    }
    if (keeps && stays_here(argv[0])) {
        return false;
    }
    const struct hl_member *leader = leader_to_ask(forward);
    if (keeps && (leader == NULL || leader->id != conn->remote->leader)) {
        hl_session_close(node, session, false); /* O2 */
        return true;
    }
    if (leader == NULL || !is_small_enough(argc, argv)) {
        return false; /* O3 */
    }
    struct hl_remote *remote = remote_for(forward, conn, leader->id);
    HL_ASSERT(!remote->pending); /* O1 */
    if (!send_request(forward, remote, argc, argv)) {
        return false; /* O3 */
    }
    hl_replica_forget_reader(node, session); /* what it waited for here, it does not need now */
    forward->sent++;
    remote->pending = true;
    struct hl_blocked blocked = {.owner = forward, .end = on_wait_over};
    hl_session_block(node, session, &blocked);
    return true;
}

bool hl_forward_take(struct hl_forward *forward, struct hl_conn *conn, int argc,
                     const struct hl_slice *argv)
{
    forward->inside++;
    bool taken = take(forward, conn, argc, argv);
    leave(forward);
    return taken;
}

/* As the session did at the leader: it may have logged in there. */
static void take_user(struct hl_node *node, struct hl_session *session, struct hl_slice name)
{
    struct hl_user *user = hl_acl_find(node->acl, name);
    if (user != NULL && user != session->user) {
        hl_auth_as(session, user);
    }
}

static void on_reply(struct hl_forward *forward, hl_peer from, const struct hl_forward_reply *reply)
{
    struct hl_node *node = forward->server->node;
    struct hl_remote *remote = find_remote(forward, reply->client);
    if (remote == NULL || !remote->pending || remote->leader != from ||
        remote->number != reply->number || reply->db >= (unsigned)node->config.databases) {
        return; /* of a client that is gone */
    }
    struct hl_session *session = remote->conn->session;
    remote->pending = false;
    remote->keeps = reply->keeps;
    session->db = reply->db;
    if (reply->index > session->last_gate) {
        session->last_gate = reply->index; /* so that it reads its own writes here */
    }
    take_user(node, session, reply->user);
    if ((session->flags & (HL_SESSION_REPLY_OFF | HL_SESSION_REPLY_SKIP)) == 0) {
        hl_buf_append_slice(&session->out, reply->bytes);
    }
    session->flags &= ~HL_SESSION_REPLY_SKIP;
    hl_session_gate(node, session, 0); /* the leader has seen to it */
    node->world->output(node->world->ctx, session);
    hl_session_unblock(node, session);
    if (reply->close) {
        hl_session_close(node, session, true);
    }
}

/* --- other nodes' clients --------------------------------------------------------------------- */

static struct virtual_client *find_virtual(struct hl_forward *forward, hl_peer peer,
                                           uint64_t client)
{
    HL_LIST_EACH(it, &forward->virtuals[client % BUCKETS])
    {
        struct virtual_client *v = HL_LIST_ENTRY(it, struct virtual_client, node);
        if (v->client == client && v->peer == peer) {
            return v;
        }
    }
    return NULL;
}

static void end_virtual(struct virtual_client *v)
{
    struct hl_forward *forward = v->forward;
    hl_list_remove(&v->node);
    hl_list_remove(&v->due);
    forward->virtual_count--;
    forward->busy_count -= v->busy ? 1 : 0;
    v->session->edge = NULL; /* what ends with the session wakes nobody */
    hl_session_destroy(forward->server->node, v->session);
    hl_free(v->held.argv);
    hl_free(v);
}

static struct virtual_client *make_virtual(struct hl_forward *forward, hl_peer peer,
                                           const struct hl_forwarded *request)
{
    struct virtual_client *v = hl_calloc(1, sizeof *v);
    v->forward = forward;
    v->peer = peer;
    v->client = request->client;
    v->session = hl_session_create(forward->server->node, HL_SESSION_FORWARDED);
    v->session->edge = v;
    (void)snprintf(v->session->addr, sizeof v->session->addr, "%.*s", (int)request->address.len,
                   request->address.ptr);
    hl_list_append(&forward->virtuals[v->client % BUCKETS], &v->node);
    forward->virtual_count++;
    return v;
}

static void set_due(struct virtual_client *v)
{
    if (!hl_list_linked(&v->due)) {
        hl_list_append(&v->forward->due, &v->due);
    }
}

void hl_forward_output(struct hl_session *session)
{
    if (session->edge != NULL) {
        set_due(session->edge);
    }
}

void hl_forward_resume(struct hl_session *session)
{
    struct virtual_client *v = session->edge;
    if (v != NULL) {
        v->resumes = true;
        set_due(v);
    }
}

static void execute(struct virtual_client *v, int argc, const struct hl_slice *argv)
{
    struct hl_node *node = v->forward->server->node;
    if (hl_node_execute(node, v->session, argc, argv) == HL_EXEC_POSTPONE) {
        v->held = (struct hl_postponed){.argc = argc, .argv = hl_slices_dup(argv, (size_t)argc)};
    }
    set_due(v);
}

static void refuse_user(struct virtual_client *v, struct hl_slice name)
{
    struct hl_node *node = v->forward->server->node;
    hl_write_error_printf(&v->session->writer, "NOPERM the leader knows no user '%.*s'",
                          (int)name.len, name.ptr);
    hl_session_gate(node, v->session, 0);
    set_due(v);
}

static void on_request(struct hl_forward *forward, hl_peer from, const struct hl_forwarded *request)
{
    struct hl_node *node = forward->server->node;
    struct virtual_client *v = find_virtual(forward, from, request->client);
    if (request->gone) {
        if (v != NULL) {
            end_virtual(v);
        }
        return;
    }
    if (v == NULL) {
        v = make_virtual(forward, from, request);
    }
    if (v->busy || request->db >= (unsigned)node->config.databases) {
        break_later(forward, from); /* O1: it breaks the rules */
        return;
    }
    v->busy = true;
    forward->busy_count++;
    v->number = request->number;
    v->session->writer.proto = request->proto;
    v->session->db = request->db;
    forward->served++;
    struct hl_user *user = hl_acl_find(node->acl, request->user);
    if (user == NULL || !hl_acl_is_on(user)) {
        refuse_user(v, request->user);
        return;
    }
    hl_auth_as(v->session, user);
    struct hl_slice *argv = hl_calloc(request->argc, sizeof *argv);
    hl_forwarded_args(request, argv);
    execute(v, (int)request->argc, argv);
    hl_free(argv);
}

static bool is_answered(const struct hl_session *session)
{
    const uint32_t waits = HL_SESSION_BLOCKED | HL_SESSION_POSTPONED;
    return (session->flags & waits) == 0 && session->open == session->out.len;
}

/* The node that asks has connected to us and we not yet to it. */
static bool awaits_connection(struct virtual_client *v)
{
    struct hl_server *server = v->forward->server;
    uint64_t now_us = server->world.mono_us(server);
    if (hl_cluster_is_up(server, v->peer, HL_PEER_FORWARD)) {
        v->answered_us = 0;
        return false;
    }
    if (v->answered_us == 0) {
        v->answered_us = now_us;
    }
    return now_us - v->answered_us < REPLY_WAIT_US;
}

/* Send the reply if all of it may leave. */
static void answer(struct virtual_client *v)
{
    struct hl_forward *forward = v->forward;
    struct hl_session *session = v->session;
    bool killed = (session->flags & HL_SESSION_CLOSE_NOW) != 0;
    session->flags &= ~HL_SESSION_WRITING;
    if (!killed && (!v->busy || !is_answered(session))) {
        return;
    }
    if (awaits_connection(v)) {
        set_due(v);
        return;
    }
    struct hl_slice bytes = killed ? (struct hl_slice){0} : hl_session_output(session);
    const struct hl_forward_reply reply = {
        .client = v->client,
        .number = v->number,
        .index = session->last_gate,
        .keeps = (session->flags & HL_SESSION_MULTI) != 0 || !hl_list_empty(&session->watches),
        .close = killed || (session->flags & HL_SESSION_CLOSE_AFTER) != 0,
        .db = (uint16_t)session->db,
        .user = hl_slice_of(hl_session_user_name(session)),
        .bytes = bytes,
    };
    size_t start = 0;
    struct hl_buf frame = make_frame(forward, v->peer, HL_FRAME_FORWARD_REPLY, &start);
    hl_forward_reply_encode(&reply, &frame);
    bool fits = frame.len - start <= HL_FRAME_HEADER + (size_t)HL_FRAME_BODY_MAX;
    if (!fits) {
        hl_buf_fini(&frame);
    }
    if (!fits || !send_frame(forward, v->peer, &frame, start)) {
        break_later(forward, v->peer);
    }
    forward->busy_count -= v->busy ? 1 : 0; /* one that was killed may not have been */
    v->busy = false;
    hl_session_taken(session, bytes.len);
    if (reply.close) {
        end_virtual(v);
    }
}

static void look_at(struct virtual_client *v)
{
    if (v->resumes) {
        struct hl_postponed held = v->held;
        v->resumes = false;
        v->held = (struct hl_postponed){0};
        if (held.argv != NULL) {
            v->session->flags &= ~HL_SESSION_POSTPONED;
            execute(v, held.argc, held.argv);
            hl_free(held.argv);
        }
    }
    answer(v);
}

void hl_forward_flush(struct hl_forward *forward)
{
    forward->inside++;
    const struct hl_list_node *last = forward->due.prev; /* who comes back waits */
    const struct hl_list_node *done = NULL;
    while (done != last && !hl_list_empty(&forward->due)) {
        struct hl_list_node *first = forward->due.next;
        done = first;
        hl_list_remove(first);
        look_at(HL_LIST_ENTRY(first, struct virtual_client, due));
    }
    leave(forward);
}

/* --- frames and ends -------------------------------------------------------------------------- */

void hl_forward_frame(struct hl_forward *forward, const struct hl_wire_frame *frame)
{
    const struct hl_node *node = forward->server->node;
    struct hl_forwarded request;
    struct hl_forward_reply reply;
    if (frame->to != node->node_id ||
        memcmp(frame->cluster_id, node->cluster_id, sizeof node->cluster_id) != 0) {
        return; /* F2 */
    }
    forward->inside++;
    if (frame->type == HL_FRAME_FORWARD && hl_forwarded_decode(frame->body, &request)) {
        on_request(forward, frame->from, &request);
    } else if (frame->type == HL_FRAME_FORWARD_REPLY &&
               hl_forward_reply_decode(frame->body, &reply)) {
        on_reply(forward, frame->from, &reply);
    } else {
        break_later(forward, frame->from);
    }
    leave(forward);
}

void hl_forward_lost(struct hl_forward *forward, hl_peer peer)
{
    forward->inside++;
    note(&forward->lost, peer);
    leave(forward);
}

static void lose(struct hl_forward *forward, hl_peer peer)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        HL_LIST_EACH(it, &forward->virtuals[i])
        {
            struct virtual_client *v = HL_LIST_ENTRY(it, struct virtual_client, node);
            if (v->peer == peer) {
                end_virtual(v);
            }
        }
        HL_LIST_EACH(it, &forward->remotes[i])
        {
            struct hl_remote *remote = HL_LIST_ENTRY(it, struct hl_remote, node);
            if (remote->leader != peer) {
                continue;
            }
            if (remote->pending || remote->keeps) {
                hl_session_close(forward->server->node, remote->conn->session, false); /* O2 */
            }
            drop_remote(remote);
        }
    }
}

void hl_forward_destroy(struct hl_forward *forward)
{
    if (forward == NULL) {
        return;
    }
    for (unsigned i = 0; i < BUCKETS; i++) {
        HL_ASSERT(hl_list_empty(&forward->remotes[i])); /* clients were closed before */
        while (!hl_list_empty(&forward->virtuals[i])) {
            end_virtual(HL_LIST_ENTRY(forward->virtuals[i].next, struct virtual_client, node));
        }
    }
    hl_free(forward);
}

bool hl_forward_is_idle(const struct hl_forward *forward)
{
    return forward->busy_count == 0;
}

void hl_forward_info(const struct hl_forward *forward, struct hl_buf *out)
{
    hl_buf_printf(out,
                  "raft_forwarded:%llu\r\nraft_served_for_others:%llu\r\n"
                  "raft_clients_of_others:%u\r\n",
                  (unsigned long long)forward->sent, (unsigned long long)forward->served,
                  forward->virtual_count);
}
