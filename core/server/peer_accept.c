/* Incoming connections: from strangers until their HELLO was found right. */
#include "kit/assert.h"
#include "server/config.h"
#include "server/peer_internal.h"

#include <stdio.h>

#define BACKLOG 64

/* One line for a connection, but no more of them than somebody wants to read. */
static void refused(struct peer_link *link, const char *why)
{
    struct hl_peers *peers = link->context;
    uint64_t now_ms = uv_now(peers->loop);
    peers->refused++;
    if (now_ms - peers->lines_since_ms > PEER_LINES_MS) {
        if (peers->lines_hidden != 0) {
            peers_log(peers, 2, "refused %u more connections to the raft port",
                      peers->lines_hidden);
        }
        peers->lines_since_ms = now_ms;
        peers->lines_logged = 0;
        peers->lines_hidden = 0;
        peers->last_refusal[0] = '\0';
    }
    char text[TROUBLE_SIZE];
    size_t host_len = strrchr(link->label, ':') != NULL
                          ? (size_t)(strrchr(link->label, ':') - link->label)
                          : strlen(link->label);
    (void)snprintf(text, sizeof text, "%.*s: %s", (int)host_len, link->label, why);
    if (peers->lines_logged == PEER_LINES_LOGGED_MAX || strcmp(text, peers->last_refusal) == 0) {
        peers->lines_hidden++;
        return;
    }
    memcpy(peers->last_refusal, text, sizeof text);
    peers->lines_logged++;
    peers_log(peers, 2, "refused a connection to the raft port from %s", text);
}

/* --- HELLO ------------------------------------------------------------------------------------ */

/* Why a node may not connect, or NULL. */
static const char *unwelcome(struct hl_peers *peers, const struct hl_peers_self *self,
                             const struct hl_wire_frame *frame)
{
    bool cluster = peers_has_cluster(self->cluster_id);
    if (frame->from == self->id) {
        return "it has this node's own id: is there a copy of the directory?";
    }
    if (frame->to != self->id) {
        return "it wants another node: was this node's directory emptied?";
    }
    if (!peers_has_cluster(frame->cluster_id)) {
        return "it belongs to no cluster";
    }
    if (!cluster && !self->waiting) {
        return "this node belongs to no cluster yet";
    }
    if (cluster && memcmp(frame->cluster_id, self->cluster_id, sizeof self->cluster_id) != 0) {
        return "it belongs to another cluster";
    }
    const struct peer *peer = peers_find(peers, frame->from);
    if (peer != NULL && frame->incarnation < peer->incarnation) {
        return "a later start of that node is known: is there a copy of its directory?";
    }
    return NULL;
}

/* Whoever connects must show a certificate of its own name, as those must that we dial. */
static bool is_who_it_says(const struct peer_link *link, struct hl_slice name)
{
    const struct hl_peers *peers = link->context;
    char text[HL_MEMBER_NAME_MAX + 1];
    if (link->tls == NULL || peers->tls_any_name) {
        return true;
    }
    (void)snprintf(text, sizeof text, "%.*s", (int)name.len, name.ptr);
    return hl_tls_peer_is(link->tls, peers->tls_name[0] != '\0' ? peers->tls_name : text);
}

/* P2 */
static void take_place(struct peer *peer, struct peer_link *link)
{
    unsigned at = peer_class_at(link->peer_class);
    for (unsigned i = 0; i < PEER_CLASSES; i++) {
        struct peer_link *other = peer->inbound[i];
        if (other != NULL && (i == at || other->incarnation < link->incarnation)) {
            peer_link_fail(other, "replaced by a newer connection");
        }
    }
    peer->inbound[at] = link;
    peer->incarnation = link->incarnation;
    peer->seen_ms = link->progress_ms;
}

static void answer(struct peer_link *link, const struct hl_peers_self *self,
                   const struct hl_wire_frame *frame, const char *why)
{
    struct hl_buf out = {0};
    uint64_t dropped = 0;
    peers_make_hello(link->context, self, frame->from, frame->peer_class, true, why, &out);
    hl_err err = peer_link_send(link, hl_buf_view(&out), false, &dropped);
    HL_ASSERT(err == HL_OK || link->closing);
    hl_buf_fini(&out);
}

static void on_hello(struct peer_link *link, const struct hl_wire_frame *frame)
{
    struct hl_peers *peers = link->context;
    struct hl_hello hello;
    struct hl_peers_self self = {0};
    const char *why = peers_read_hello(frame, false, &hello);
    if (why != NULL) {
        peer_link_fail(link, why);
        return;
    }
    if (!is_who_it_says(link, hello.name)) {
        peer_link_fail(link, "its certificate is not for the name that it gives");
        return;
    }
    peers->hooks.enter(peers->hooks.ctx);
    peers->hooks.self(peers->hooks.ctx, &self);
    if (frame->to == 0) {
        answer(link, &self, frame, "");
        peers->hooks.asked(peers->hooks.ctx, frame, &hello);
        peer_link_hang_up(link);
        return;
    }
    why = unwelcome(peers, &self, frame);
    struct peer *peer = NULL;
    if (why == NULL) {
        peer = peers_learn(peers, frame->from, hello.name, hello.raft_addr);
        why = peer == NULL ? "too many nodes are known" : NULL;
    }
    answer(link, &self, frame, why == NULL ? "" : why);
    if (link->closing) {
        return;
    }
    if (why != NULL) {
        refused(link, why);
        peer_link_hang_up(link);
        return;
    }
    link->greeted = true;
    peers_told_level(peers, frame->from, &hello);
    link->id = frame->from;
    link->peer_class = frame->peer_class;
    link->incarnation = frame->incarnation;
    link->body_max = HL_FRAME_BODY_MAX;
    link->owner = peer;
    if (peers->hooks.greeted != NULL) {
        peers->hooks.greeted(peers->hooks.ctx, frame->from, &hello);
    }
    HL_ASSERT(peers->stranger_count > 0);
    peers->stranger_count--;
    take_place(peer, link);
}

/* --- events of a link ------------------------------------------------------------------------- */

static void on_ready(struct peer_link *link)
{
    (void)link; /* the other side speaks first */
}

static void on_frame(struct peer_link *link, const struct hl_wire_frame *frame,
                     struct hl_slice bytes)
{
    struct hl_peers *peers = link->context;
    if (link->hang_up) {
        return;
    }
    if (!link->greeted) {
        on_hello(link, frame);
        return;
    }
    if (frame->type == HL_FRAME_HELLO || frame->from != link->id ||
        frame->peer_class != link->peer_class || frame->incarnation != link->incarnation) {
        peer_link_fail(link, "a frame does not fit its HELLO");
        return;
    }
    peers->hooks.enter(peers->hooks.ctx);
    peers->hooks.message(peers->hooks.ctx, link->id, bytes);
}

static void on_down(struct peer_link *link, const char *why)
{
    struct hl_peers *peers = link->context;
    struct peer *peer = link->owner;
    hl_list_remove(&link->node);
    peers->inbound_count--;
    if (!link->greeted) {
        peers->stranger_count--;
        if (why[0] != '\0' && !peers->closing) {
            refused(link, why);
        }
        return;
    }
    if (peer == NULL || peers->closing) {
        return; /* closed by us */
    }
    unsigned at = peer_class_at(link->peer_class);
    HL_ASSERT(peer->inbound[at] == link);
    peer->inbound[at] = NULL;
    peer->seen_ms = uv_now(peers->loop);
    peers_log(peers, 1, "the connection from node %s ended [%s]: %s", peer->name,
              peer_class_name(link->peer_class), why);
    peers->hooks.enter(peers->hooks.ctx);
    peers->hooks.lost(peers->hooks.ctx, peer->id, link->peer_class);
}

static const struct peer_link_events accept_events = {
    .ready = on_ready, .frame = on_frame, .down = on_down};

/* --- accepting -------------------------------------------------------------------------------- */

static void name_link(struct peer_link *link)
{
    struct sockaddr_storage address;
    int len = sizeof address;
    char ip[64] = "?";
    if (uv_tcp_getpeername(&link->tcp, (struct sockaddr *)&address, &len) != 0) {
        (void)snprintf(link->label, sizeof link->label, "an unknown address");
        return;
    }
    if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address;
        (void)uv_ip6_name(in6, ip, sizeof ip);
        (void)snprintf(link->label, sizeof link->label, "[%s]:%d", ip, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&address;
        (void)uv_ip4_name(in, ip, sizeof ip);
        (void)snprintf(link->label, sizeof link->label, "%s:%d", ip, ntohs(in->sin_port));
    }
}

/* P3: whoever floods the port pushes out the oldest stranger, never a node. */
static void make_room(struct hl_peers *peers)
{
    if (peers->stranger_count < PEER_STRANGERS_MAX) {
        return;
    }
    HL_LIST_EACH(it, &peers->inbound)
    {
        struct peer_link *link = HL_LIST_ENTRY(it, struct peer_link, node);
        if (!link->greeted) {
            peer_link_fail(link, "too many connections have not said who they are");
            return;
        }
    }
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct hl_peers *peers = stream->data;
    struct hl_tls *tls = NULL;
    if (status < 0 || peers->closing) {
        return;
    }
    if (peers->tls_server != NULL) {
        tls = hl_tls_create(peers->tls_server, NULL);
    }
    make_room(peers);
    struct peer_link *link = peer_link_create(peers->loop, &accept_events, NULL, tls);
    link->context = peers;
    link->unanswered_ms = peers->unanswered_ms;
    link->body_max = PEER_HELLO_MAX;
    link->queue_max = PEER_HELLO_MAX;
    (void)snprintf(link->label, sizeof link->label, "a connection that is gone");
    hl_list_append(&peers->inbound, &link->node);
    peers->inbound_count++;
    peers->stranger_count++;
    peers->accepted++;
    if (!peer_link_accept(link, stream)) {
        peer_link_fail(link, "");
        return;
    }
    name_link(link);
    if (peers->tls_server != NULL && tls == NULL) {
        peer_link_fail(link, "out of memory");
    } else if (peers->inbound_count > PEER_INBOUND_MAX) {
        peer_link_fail(link, "too many connections");
    }
}

static hl_err bind_one(struct hl_peers *peers, const struct sockaddr *address, const char *text,
                       struct hl_errmsg *msg)
{
    int rc = uv_tcp_bind(&peers->listener, address, 0);
    if (rc == 0) {
        rc = uv_listen((uv_stream_t *)&peers->listener, BACKLOG, on_connection);
    }
    return rc == 0
               ? HL_OK
               : hl_fail(msg, HL_EIO, "raft-addr: cannot listen on %s: %s", text, uv_strerror(rc));
}

hl_err peers_listen(struct hl_peers *peers, const char *address, struct hl_errmsg *msg)
{
    char host[256];
    char service[8];
    int port = 0;
    struct addrinfo *found = NULL;
    if (!hl_config_split_address(hl_slice_of(address), host, &port)) {
        return hl_fail(msg, HL_EINVAL, "raft-addr: %s is not host:port", address);
    }
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    (void)snprintf(service, sizeof service, "%d", port);
    int rc = getaddrinfo(host, service, &hints, &found); /* once, before anything is served */
    if (rc != 0 || found == NULL) {
        return hl_fail(msg, HL_EIO, "raft-addr: cannot listen on %s: %s", address,
                       gai_strerror(rc));
    }
    hl_err err = bind_one(peers, found->ai_addr, address, msg);
    freeaddrinfo(found);
    return err;
}

void peers_accept_tick(struct hl_peers *peers, uint64_t now_ms)
{
    HL_LIST_EACH(it, &peers->inbound)
    {
        struct peer_link *link = HL_LIST_ENTRY(it, struct peer_link, node);
        uint64_t limit_ms = link->greeted ? PEER_STALL_MS : peers->greeting_ms;
        bool waits = !link->greeted || peer_link_in_frame(link);
        uint64_t since_ms = link->greeted ? link->progress_ms : link->begun_ms;
        if (waits && now_ms - since_ms > limit_ms) {
            peer_link_fail(link,
                           link->greeted ? "a frame does not go on" : "it does not say who it is");
            return; /* the list may have changed: the others have their turn with the next tick */
        }
    }
}
