#include "server/peer.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/peer_internal.h"

#include <stdarg.h>
#include <stdio.h>

/* --- what the files share --------------------------------------------------------------------- */

void peers_log(struct hl_peers *peers, int level, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    peers->hooks.log(peers->hooks.ctx, level, line);
}

const char *peer_class_name(enum hl_peer_class peer_class)
{
    switch (peer_class) {
    case HL_PEER_RAFT:
        return "raft";
    case HL_PEER_BULK:
        return "bulk";
    case HL_PEER_FORWARD:
        break;
    }
    return "forward";
}

bool peers_has_cluster(const unsigned char *cluster_id)
{
    static const unsigned char none[16];
    return memcmp(cluster_id, none, sizeof none) != 0;
}

void peers_make_hello(struct hl_peers *peers, const struct hl_peers_self *self, hl_peer to,
                      enum hl_peer_class peer_class, bool reply, const char *why,
                      struct hl_buf *out)
{
    HL_ASSERT(self->id != 0);
    HL_ASSERT(self->list_count <= HL_MEMBERS_MAX);
    struct hl_wire_frame frame = {.peer_class = peer_class,
                                  .type = HL_FRAME_HELLO,
                                  .from = self->id,
                                  .to = to,
                                  .incarnation = self->incarnation};
    memcpy(frame.cluster_id, self->cluster_id, sizeof frame.cluster_id);
    bool busy = reply && self->loading && why[0] == '\0';
    struct hl_hello hello = {.reply = reply,
                             .empty = self->empty,
                             .member = reply && hl_members_find(&peers->members, to) != NULL,
                             .name = hl_slice_of(self->name),
                             .raft_addr = hl_slice_of(self->raft_addr),
                             .client_addr = hl_slice_of(self->client_addr),
                             .refusal = hl_slice_of(busy ? "it is loading its data" : why),
                             .level = self->level,
                             .members_index = self->members_index,
                             .peer_count = self->list_count};
    for (uint32_t i = 0; i < self->list_count; i++) {
        hello.peers[i] = hl_slice_of(self->list[i]);
    }
    size_t start = hl_wire_begin(out, &frame);
    hl_hello_encode(&hello, out);
    hl_wire_end(out, start);
}

void peers_told_level(struct hl_peers *peers, hl_peer id, const struct hl_hello *hello)
{
    if (peers->hooks.level != NULL) {
        peers->hooks.level(peers->hooks.ctx, id, hello->level);
    }
}

/* A text that may stand in a line of the log and in a reply. */
static bool is_printable(struct hl_slice text, size_t len_max)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < ' ' || text.ptr[i] > '~') {
            return false;
        }
    }
    return text.len <= len_max;
}

const char *peers_read_hello(const struct hl_wire_frame *frame, bool reply, struct hl_hello *out)
{
    if (frame->type != HL_FRAME_HELLO || !hl_hello_decode(frame->body, out) ||
        out->reply != reply || frame->from == 0) {
        return "it does not say who it is";
    }
    bool clean = out->name.len != 0 && is_printable(out->name, HL_MEMBER_NAME_MAX) &&
                 is_printable(out->raft_addr, HL_MEMBER_ADDR_MAX) &&
                 is_printable(out->client_addr, HL_MEMBER_ADDR_MAX) &&
                 is_printable(out->refusal, 256);
    for (uint32_t i = 0; i < out->peer_count; i++) {
        clean = clean && is_printable(out->peers[i], HL_MEMBER_NAME_MAX);
    }
    return clean ? NULL : "its name or address is malformed";
}

/* --- nodes ------------------------------------------------------------------------------------ */

struct peer *peers_find(const struct hl_peers *peers, hl_peer id)
{
    HL_LIST_EACH(it, &peers->list)
    {
        struct peer *peer = HL_LIST_ENTRY(it, struct peer, node);
        if (peer->id == id) {
            return peer;
        }
    }
    return NULL;
}

/* Give its lines a place to dial; a new one closes what stands. */
static void set_place(struct peer *peer, struct hl_slice name, struct hl_slice address)
{
    (void)snprintf(peer->name, sizeof peer->name, "%.*s", (int)name.len, name.ptr);
    for (unsigned i = 0; i < PEER_CLASSES; i++) {
        struct peer_line *line = &peer->lines[i];
        if (!hl_slice_equal(hl_slice_of(line->address), address)) {
            peer_line_close(line);
            line->due_ms = 0;
            (void)snprintf(line->address, sizeof line->address, "%.*s", (int)address.len,
                           address.ptr);
        }
        (void)snprintf(line->name, sizeof line->name, "%s", peer->name);
    }
}

struct peer *peers_learn(struct hl_peers *peers, hl_peer id, struct hl_slice name,
                         struct hl_slice address)
{
    struct peer *peer = peers_find(peers, id);
    if (peer != NULL) {
        set_place(peer, name, address); /* it may have moved since the members were told */
        return peer;
    }
    if (peers->peer_count == PEERS_MAX) {
        return NULL;
    }
    peer = hl_calloc(1, sizeof *peer);
    peer->id = id;
    peer->seen_ms = uv_now(peers->loop);
    for (unsigned i = 0; i < PEER_CLASSES; i++) {
        peer_line_init(&peer->lines[i], peers, peer, (enum hl_peer_class)(HL_PEER_RAFT + i));
    }
    set_place(peer, name, address);
    hl_list_append(&peers->list, &peer->node);
    peers->peer_count++;
    return peer;
}

void peer_forget(struct peer *peer)
{
    struct hl_peers *peers = peer->lines[0].peers;
    for (unsigned i = 0; i < PEER_CLASSES; i++) {
        peer_line_close(&peer->lines[i]);
        if (peer->inbound[i] != NULL) {
            peer->inbound[i]->owner = NULL;
            peer_link_fail(peer->inbound[i], "");
        }
    }
    hl_list_remove(&peer->node);
    peers->peer_count--;
    hl_free(peer);
}

/* True while it is connected to us, and so has said itself where it is. */
static bool speaks(const struct peer *peer)
{
    for (unsigned i = 0; i < PEER_CLASSES; i++) {
        if (peer->inbound[i] != NULL) {
            return true;
        }
    }
    return false;
}

/* The list counts when it says something new, but not against what the node itself says: a node
 * that joins reads the log from its beginning, and with it where the others have been. */
static void list_at(struct peer *peer, const struct hl_member *member)
{
    if (strcmp(peer->listed, member->raft_addr) != 0) {
        (void)snprintf(peer->listed, sizeof peer->listed, "%s", member->raft_addr);
        if (!speaks(peer)) {
            set_place(peer, hl_slice_of(member->name), hl_slice_of(member->raft_addr));
        }
    }
}

void hl_peers_set(struct hl_peers *peers, const struct hl_members *members)
{
    struct hl_peers_self self = {0};
    peers->members = *members;
    peers->hooks.self(peers->hooks.ctx, &self);
    HL_LIST_EACH(it, &peers->list)
    {
        struct peer *peer = HL_LIST_ENTRY(it, struct peer, node);
        peer->member = hl_members_find(members, peer->id) != NULL;
        if (!peer->member && members->count != 0) {
            peers_log(peers, 2, "node %s is no member any more", peer->name);
            peer_forget(peer);
        }
    }
    for (uint32_t i = 0; i < members->count; i++) {
        const struct hl_member *m = &members->at[i];
        if (m->id == self.id) {
            continue;
        }
        struct peer *peer = peers_find(peers, m->id);
        if (peer == NULL) {
            peer = peers_learn(peers, m->id, hl_slice_of(m->name), hl_slice_of(m->raft_addr));
        }
        if (peer != NULL) {
            peer->member = true;
            list_at(peer, m);
        }
    }
}

/* --- sending ---------------------------------------------------------------------------------- */

void hl_peers_send(struct hl_peers *peers, hl_peer to, enum hl_peer_class peer_class,
                   struct hl_slice frame)
{
    struct peer *peer = peers_find(peers, to);
    if (peer == NULL || peers->closing) {
        return;
    }
    struct peer_line *line = &peer->lines[peer_class_at(peer_class)];
    bool raft = peer_class == HL_PEER_RAFT;
    if (line->state != LINE_UP ||
        peer_link_send(line->link, frame, raft, &line->dropped) != HL_OK) {
        line->dropped++;
        line->lossy = !raft;
    }
}

void hl_peers_ask(struct hl_peers *peers, const char *name, const char *address)
{
    HL_LIST_EACH(it, &peers->questions)
    {
        if (strcmp(HL_LIST_ENTRY(it, struct peer_line, node)->name, name) == 0) {
            return;
        }
    }
    struct peer_line *line = hl_calloc(1, sizeof *line);
    peer_line_init(line, peers, NULL, HL_PEER_RAFT);
    (void)snprintf(line->name, sizeof line->name, "%s", name);
    (void)snprintf(line->address, sizeof line->address, "%s", address);
    hl_list_append(&peers->questions, &line->node);
}

bool hl_peers_is_up(const struct hl_peers *peers, hl_peer to, enum hl_peer_class peer_class)
{
    const struct peer *peer = peers_find(peers, to);
    return peer != NULL && peer->lines[peer_class_at(peer_class)].state == LINE_UP;
}

bool hl_peers_is_linked(const struct hl_peers *peers, hl_peer to, enum hl_peer_class peer_class)
{
    const struct peer *peer = peers_find(peers, to);
    return hl_peers_is_up(peers, to, peer_class) &&
           peer->inbound[peer_class_at(peer_class)] != NULL;
}

/* --- time ------------------------------------------------------------------------------------- */

static bool is_connected(const struct peer *peer)
{
    bool connected = false;
    for (unsigned i = 0; i < PEER_CLASSES; i++) {
        connected |= peer->inbound[i] != NULL;
    }
    return connected;
}

static void on_timer(uv_timer_t *timer)
{
    struct hl_peers *peers = timer->data;
    uint64_t now_ms = uv_now(peers->loop);
    HL_LIST_EACH(it, &peers->questions)
    {
        peer_line_tick(HL_LIST_ENTRY(it, struct peer_line, node), now_ms);
    }
    HL_LIST_EACH(it, &peers->list)
    {
        struct peer *peer = HL_LIST_ENTRY(it, struct peer, node);
        if (!peer->member && !is_connected(peer) && now_ms - peer->seen_ms > PEER_LEARNED_MS) {
            peer_forget(peer);
            continue;
        }
        for (unsigned i = 0; i < PEER_CLASSES; i++) {
            peer_line_tick(&peer->lines[i], now_ms);
        }
    }
    peers_accept_tick(peers, now_ms);
}

/* --- INFO ------------------------------------------------------------------------------------- */

static const char *state_name(const struct peer *peer, enum hl_peer_class peer_class)
{
    const struct peer_line *line = &peer->lines[peer_class_at(peer_class)];
    if (line->state == LINE_UP) {
        return peer->inbound[peer_class_at(peer_class)] != NULL ? "up" : "outgoing";
    }
    return line->state == LINE_RESTING ? "down" : "connecting";
}

void hl_peers_info(const struct hl_peers *peers, struct hl_buf *out)
{
    hl_buf_printf(out,
                  "raft_links_in:%u\r\nraft_links_accepted:%llu\r\nraft_links_refused:%llu\r\n",
                  peers->inbound_count, (unsigned long long)peers->accepted,
                  (unsigned long long)peers->refused);
    unsigned at = 0;
    HL_LIST_EACH(it, &peers->list)
    {
        const struct peer *peer = HL_LIST_ENTRY(it, struct peer, node);
        uint64_t connects = 0, dropped = 0, queued = 0;
        for (unsigned i = 0; i < PEER_CLASSES; i++) {
            connects += peer->lines[i].connects;
            dropped += peer->lines[i].dropped;
            queued += peer->lines[i].link != NULL ? peer->lines[i].link->queue_size : 0;
        }
        hl_buf_printf(out,
                      "raft_link%u:id=%s,addr=%s,raft=%s,bulk=%s,forward=%s,connects=%llu,"
                      "queued_bytes=%llu,dropped=%llu\r\n",
                      at++, peer->name, peer->lines[0].address, state_name(peer, HL_PEER_RAFT),
                      state_name(peer, HL_PEER_BULK), state_name(peer, HL_PEER_FORWARD),
                      (unsigned long long)connects, (unsigned long long)queued,
                      (unsigned long long)dropped);
    }
}

/* --- making and ending ------------------------------------------------------------------------ */

void hl_peers_set_tls(struct hl_peers *peers, struct hl_tls_context *server,
                      struct hl_tls_context *client)
{
    HL_ASSERT((server == NULL) == (client == NULL));
    peers->tls_server = server;
    peers->tls_client = client;
}

static void on_closed(uv_handle_t *handle)
{
    struct hl_peers *peers = handle->data;
    HL_ASSERT(peers->handles > 0);
    if (--peers->handles == 0) {
        hl_free(peers);
    }
}

static void close_handles(struct hl_peers *peers)
{
    peers->closing = true;
    uv_close((uv_handle_t *)&peers->listener, on_closed);
    uv_close((uv_handle_t *)&peers->timer, on_closed);
}

hl_err hl_peers_create(struct hl_peers **out, uv_loop_t *loop,
                       const struct hl_peers_options *options, const struct hl_peers_hooks *hooks,
                       struct hl_errmsg *msg)
{
    HL_ASSERT((options->tls_server == NULL) == (options->tls_client == NULL));
    struct hl_peers *peers = hl_calloc(1, sizeof *peers);
    peers->loop = loop;
    peers->hooks = *hooks;
    peers->tls_server = options->tls_server;
    peers->tls_client = options->tls_client;
    peers->tls_any_name = options->tls_any_name;
    peers->greeting_ms = options->greeting_ms != 0 ? options->greeting_ms : PEER_GREETING_MS;
    peers->unanswered_ms =
        options->unanswered_ms != 0 ? options->unanswered_ms : PEER_UNANSWERED_MS;
    (void)snprintf(peers->tls_name, sizeof peers->tls_name, "%s",
                   options->tls_name != NULL ? options->tls_name : "");
    hl_rng_seed(&peers->rng, options->seed);
    hl_list_init(&peers->list);
    hl_list_init(&peers->questions);
    hl_list_init(&peers->inbound);
    int rc = uv_tcp_init(loop, &peers->listener);
    HL_ASSERT(rc == 0);
    rc = uv_timer_init(loop, &peers->timer);
    HL_ASSERT(rc == 0);
    peers->listener.data = peers;
    peers->timer.data = peers;
    peers->handles = 2;
    hl_err err = peers_listen(peers, options->bind, msg);
    if (err != HL_OK) {
        close_handles(peers);
        return err;
    }
    (void)uv_timer_start(&peers->timer, on_timer, PEER_TICK_MS, PEER_TICK_MS);
    *out = peers;
    return HL_OK;
}

void hl_peers_destroy(struct hl_peers *peers)
{
    if (peers == NULL) {
        return;
    }
    peers->closing = true;
    while (!hl_list_empty(&peers->questions)) {
        struct peer_line *line = HL_LIST_ENTRY(peers->questions.next, struct peer_line, node);
        hl_list_remove(&line->node);
        peer_line_close(line);
        hl_free(line);
    }
    while (!hl_list_empty(&peers->list)) {
        peer_forget(HL_LIST_ENTRY(peers->list.next, struct peer, node));
    }
    while (!hl_list_empty(&peers->inbound)) {
        peer_link_fail(HL_LIST_ENTRY(peers->inbound.next, struct peer_link, node), "");
    }
    close_handles(peers);
}
