/* Outgoing connections: looked up, dialled, greeted, and dialled again when they break. */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/config.h"
#include "server/peer_internal.h"

#include <stdio.h>

/* A lookup runs on another thread and cannot always be called back: it outlives its line. */
struct peer_lookup {
    uv_getaddrinfo_t request;
    struct peer_line *line; /* NULL: nobody waits any more */
};

static void dial_next(struct peer_line *line);

/* --- ends of an attempt ----------------------------------------------------------------------- */

static void free_addresses(struct peer_line *line)
{
    if (line->found != NULL) {
        uv_freeaddrinfo(line->found);
    }
    line->found = NULL;
    line->next = NULL;
}

static void end_question(struct peer_line *line, const struct hl_wire_frame *frame,
                         const struct hl_hello *hello, const char *why)
{
    struct hl_peers *peers = line->peers;
    peers->hooks.enter(peers->hooks.ctx);
    peers->hooks.answer(peers->hooks.ctx, line->name, frame, hello, why);
    hl_list_remove(&line->node);
    peer_line_close(line);
    hl_free(line);
}

/* P4: after a wait that grows, a random half of it, so that nodes do not dial in step. */
static void rest(struct peer_line *line)
{
    struct hl_peers *peers = line->peers;
    unsigned wait_ms = line->wait_ms;
    line->state = LINE_RESTING;
    line->due_ms = uv_now(peers->loop) + wait_ms / 2 + hl_rng_below(&peers->rng, wait_ms / 2 + 1);
    line->wait_ms = wait_ms * 2 < PEER_RETRY_MAX_MS ? wait_ms * 2 : PEER_RETRY_MAX_MS;
}

/* The attempt failed.  The next address of the name is tried at once, the name again later. */
static void attempt_failed(struct peer_line *line, const char *why)
{
    HL_ASSERT(line->link == NULL);
    HL_ASSERT(line->state != LINE_UP);
    char text[TROUBLE_SIZE];
    (void)snprintf(text, sizeof text, "%s", why);
    if (line->next != NULL) {
        dial_next(line);
        return;
    }
    free_addresses(line);
    if (line->peer == NULL) {
        end_question(line, NULL, NULL, text);
        return;
    }
    if (line->peer_class == HL_PEER_RAFT && strcmp(text, line->trouble) != 0) {
        memcpy(line->trouble, text, sizeof text);
        peers_log(line->peers, 2, "cannot reach node %s at %s, trying again: %s", line->name,
                  line->address, text);
    }
    rest(line);
}

/* --- greeting --------------------------------------------------------------------------------- */

static void on_ready(struct peer_link *link)
{
    struct peer_line *line = link->owner;
    struct hl_peers *peers = line->peers;
    struct hl_peers_self self = {0};
    struct hl_buf hello = {0};
    peers->hooks.enter(peers->hooks.ctx);
    peers->hooks.self(peers->hooks.ctx, &self);
    peers_make_hello(peers, &self, line->id, line->peer_class, false, "", &hello);
    hl_err err = peer_link_send(link, hl_buf_view(&hello), false, &line->dropped);
    HL_ASSERT(err == HL_OK || link->closing);
    hl_buf_fini(&hello);
}

/* Why the node that answered is not the one we want, or NULL; `text` is room for it. */
static const char *wrong_node(struct peer_line *line, const struct hl_wire_frame *frame,
                              const struct hl_hello *hello, char text[TROUBLE_SIZE])
{
    struct hl_peers_self self = {0};
    line->peers->hooks.self(line->peers->hooks.ctx, &self);
    if (hello->refusal.len != 0) {
        (void)snprintf(text, TROUBLE_SIZE, "it refuses us: %.*s", (int)hello->refusal.len,
                       hello->refusal.ptr);
        return text;
    }
    if (frame->from != line->id) {
        return "another node answers there: was its directory emptied?";
    }
    if (frame->to != self.id) {
        return "its answer is for another node";
    }
    if (peers_has_cluster(frame->cluster_id) &&
        memcmp(frame->cluster_id, self.cluster_id, sizeof self.cluster_id) != 0) {
        return "it belongs to another cluster";
    }
    if (frame->incarnation < line->peer->incarnation) {
        return "an earlier start of this node answers: is there a copy of its directory?";
    }
    return NULL;
}

static void on_hello(struct peer_line *line, struct peer_link *link,
                     const struct hl_wire_frame *frame)
{
    struct hl_hello hello;
    char text[TROUBLE_SIZE];
    const char *wrong = peers_read_hello(frame, true, &hello);
    line->peers->hooks.enter(line->peers->hooks.ctx);
    if (wrong == NULL && line->peer == NULL) {
        end_question(line, frame, &hello, ""); /* closes the link too */
        return;
    }
    if (wrong == NULL) {
        wrong = wrong_node(line, frame, &hello, text);
    }
    if (wrong != NULL) {
        peer_link_fail(link, wrong);
        return;
    }
    link->greeted = true;
    link->body_max = 0; /* nothing more is sent to us here */
    line->peer->incarnation = frame->incarnation;
    peers_told_level(line->peers, frame->from, &hello);
    line->state = LINE_UP;
    line->wait_ms = PEER_RETRY_MIN_MS;
    line->connects++;
    free_addresses(line);
    peers_log(line->peers, line->peer_class == HL_PEER_RAFT ? 2 : 1,
              "connected to node %s at %s [%s]", line->name, line->address,
              peer_class_name(line->peer_class));
    line->trouble[0] = '\0';
    if (line->peers->hooks.told != NULL) {
        line->peers->hooks.told(line->peers->hooks.ctx, &hello);
    }
}

static void on_frame(struct peer_link *link, const struct hl_wire_frame *frame,
                     struct hl_slice bytes)
{
    (void)bytes;
    struct peer_line *line = link->owner;
    if (link->greeted) {
        peer_link_fail(link, "it sends on a connection that is ours to send on");
        return;
    }
    on_hello(line, link, frame);
}

static void on_down(struct peer_link *link, const char *why)
{
    struct peer_line *line = link->owner;
    if (line == NULL) {
        return; /* closed by us */
    }
    HL_ASSERT(line->link == link);
    bool was_up = line->state == LINE_UP;
    line->link = NULL;
    if (!was_up) {
        attempt_failed(line, why);
        return;
    }
    struct hl_peers *peers = line->peers;
    peers_log(peers, line->peer_class == HL_PEER_RAFT ? 2 : 1,
              "lost the connection to node %s at %s [%s]: %s", line->name, line->address,
              peer_class_name(line->peer_class), why);
    line->lossy = false;
    rest(line);
    peers->hooks.enter(peers->hooks.ctx);
    peers->hooks.lost(peers->hooks.ctx, line->id, line->peer_class);
}

static const struct peer_link_events dial_events = {
    .ready = on_ready, .frame = on_frame, .down = on_down};

/* --- dialling --------------------------------------------------------------------------------- */

static size_t queue_max_of(enum hl_peer_class peer_class)
{
    switch (peer_class) {
    case HL_PEER_RAFT:
        return PEER_QUEUE_RAFT_MAX;
    case HL_PEER_BULK:
        return PEER_QUEUE_BULK_MAX;
    case HL_PEER_FORWARD:
        break;
    }
    return PEER_QUEUE_FORWARD_MAX;
}

static void dial(struct peer_line *line, const struct sockaddr *address)
{
    struct hl_peers *peers = line->peers;
    struct hl_tls *tls = NULL;
    line->state = LINE_GREETING;
    line->due_ms = uv_now(peers->loop) + peers->greeting_ms;
    if (peers->tls_client != NULL) {
        const char *name = peers->tls_name[0] != '\0' ? peers->tls_name : line->name;
        tls = hl_tls_create(peers->tls_client, peers->tls_any_name ? NULL : name);
        if (tls == NULL) {
            attempt_failed(line, "out of memory");
            return;
        }
    }
    line->link = peer_link_create(peers->loop, &dial_events, line, tls);
    line->link->peer_class = line->peer_class;
    line->link->unanswered_ms = peers->unanswered_ms;
    line->link->body_max = PEER_HELLO_MAX;
    line->link->queue_max = queue_max_of(line->peer_class);
    line->link->id = line->id;
    peer_link_connect(line->link, address);
}

static void dial_next(struct peer_line *line)
{
    HL_ASSERT(line->next != NULL);
    struct addrinfo *address = line->next;
    line->next = address->ai_next;
    dial(line, address->ai_addr);
}

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct peer_lookup *lookup = HL_LIST_ENTRY(request, struct peer_lookup, request);
    struct peer_line *line = lookup->line;
    hl_free(lookup);
    if (line == NULL) {
        uv_freeaddrinfo(found);
        return;
    }
    line->lookup = NULL;
    if (status < 0 || found == NULL) {
        uv_freeaddrinfo(found);
        attempt_failed(line, status < 0 ? uv_strerror(status) : "the name has no address");
        return;
    }
    line->found = found;
    line->next = found;
    dial_next(line);
}

static void look_up(struct peer_line *line)
{
    char host[256];
    int port = 0;
    struct sockaddr_storage numeric;
    if (!hl_config_split_address(hl_slice_of(line->address), host, &port)) {
        attempt_failed(line, "the address is not host:port");
        return;
    }
    if (uv_ip4_addr(host, port, (struct sockaddr_in *)&numeric) == 0 ||
        uv_ip6_addr(host, port, (struct sockaddr_in6 *)&numeric) == 0) {
        dial(line, (const struct sockaddr *)&numeric);
        return;
    }
    char service[8];
    (void)snprintf(service, sizeof service, "%d", port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    line->lookup = hl_calloc(1, sizeof *line->lookup);
    line->lookup->line = line;
    line->state = LINE_LOOKUP;
    int rc =
        uv_getaddrinfo(line->peers->loop, &line->lookup->request, on_found, host, service, &hints);
    if (rc < 0) {
        hl_free(line->lookup);
        line->lookup = NULL;
        attempt_failed(line, uv_strerror(rc));
    }
}

void peer_line_init(struct peer_line *line, struct hl_peers *peers, struct peer *peer,
                    enum hl_peer_class peer_class)
{
    *line = (struct peer_line){.peers = peers,
                               .peer = peer,
                               .id = peer != NULL ? peer->id : 0,
                               .peer_class = peer_class,
                               .state = LINE_RESTING,
                               .wait_ms = PEER_RETRY_MIN_MS};
}

void peer_line_close(struct peer_line *line)
{
    if (line->lookup != NULL) {
        line->lookup->line = NULL;
        (void)uv_cancel((uv_req_t *)&line->lookup->request);
        line->lookup = NULL;
    }
    if (line->link != NULL) {
        line->link->owner = NULL;
        peer_link_fail(line->link, "");
        line->link = NULL;
    }
    free_addresses(line);
    line->state = LINE_RESTING;
}

void peer_line_tick(struct peer_line *line, uint64_t now_ms)
{
    struct hl_peers *peers = line->peers;
    if (line->lossy) {
        line->lossy = false;
        peers->hooks.enter(peers->hooks.ctx);
        peers->hooks.lost(peers->hooks.ctx, line->id, line->peer_class);
    }
    switch (line->state) {
    case LINE_RESTING:
        if (now_ms >= line->due_ms && line->address[0] != '\0') {
            look_up(line);
        }
        break;
    case LINE_GREETING:
        if (now_ms >= line->due_ms) {
            peer_link_fail(line->link, "it does not answer");
        }
        break;
    case LINE_LOOKUP:
    case LINE_UP:
        break;
    }
}
