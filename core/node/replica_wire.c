/* Between raft's messages and frames: sending with the entries attached, and receiving. */
#include "node/replica.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/barrier.h"
#include "node/forward.h"
#include "node/node_internal.h"
#include "node/wire_raft.h"

struct hl_wire_frame hl_node_frame(const struct hl_node *node, hl_peer to,
                                   enum hl_peer_class peer_class, enum hl_wire_type type)
{
    struct hl_wire_frame frame = {
        .peer_class = peer_class, .type = type, .from = node->node_id, .to = to};
    frame.incarnation = node->wal == NULL ? 0 : hl_wal_meta(node->wal)->incarnation;
    memcpy(frame.cluster_id, node->cluster_id, sizeof frame.cluster_id);
    return frame;
}

void hl_replica_send(struct hl_node *node, hl_peer to, enum hl_peer_class peer_class,
                     enum hl_wire_type type, void (*fill)(struct hl_buf *out, const void *arg),
                     const void *arg)
{
    struct hl_buf *out = &node->cluster.frame;
    struct hl_wire_frame head = hl_node_frame(node, to, peer_class, type);
    hl_buf_clear(out);
    size_t start = hl_wire_begin(out, &head);
    fill(out, arg);
    hl_wire_end(out, start);
    node->world->send(node->world->ctx, to, peer_class, hl_buf_view(out));
    if (out->cap > 4 * HL_WIRE_ENTRIES_MAX) {
        hl_buf_fini(out);
    }
}

static bool on_entry_to_send(void *arg, const struct hl_wal_entry *entry)
{
    hl_wire_entry_encode(entry, arg);
    return true;
}

void hl_replica_send_message(struct hl_node *node, const struct hl_raft_msg *message)
{
    struct hl_buf *out = &node->cluster.frame;
    struct hl_wire_frame head = hl_node_frame(node, message->to, HL_PEER_RAFT, HL_FRAME_RAFT);
    hl_buf_clear(out);
    size_t start = hl_wire_begin(out, &head);
    hl_wire_raft_encode(message, out);
    if (message->type == HL_RAFT_APPEND && message->last > message->prev) {
        struct hl_errmsg msg = {{0}};
        hl_err err =
            hl_wal_read(node->wal, message->prev + 1, message->last, on_entry_to_send, out, &msg);
        if (err == HL_ECORRUPT) { /* a start finds the damage and has others mend it */
            node->world->fatal(node->world->ctx, msg.text);
        }
        if (err != HL_OK) { /* the peer will ask again; others may have it from elsewhere */
            hl_node_log(node, 3, "entries %llu to %llu cannot be sent: %s",
                        (unsigned long long)message->prev + 1, (unsigned long long)message->last,
                        msg.text);
            return;
        }
    }
    hl_wire_end(out, start);
    hl_record_sent(node, message);
    node->world->send(node->world->ctx, message->to, HL_PEER_RAFT, hl_buf_view(out));
    if (out->cap > 4 * HL_WIRE_ENTRIES_MAX) {
        hl_buf_fini(out);
    }
}

struct fit {
    uint64_t size;
    hl_index last;
};

static bool on_entry_to_fit(void *arg, const struct hl_wal_entry *entry)
{
    struct fit *fit = arg;
    fit->size += entry->body.len + HL_WIRE_ENTRY_HEADER;
    if (fit->last != 0 && fit->size > HL_WIRE_ENTRIES_MAX) {
        return false;
    }
    fit->last = entry->index;
    return true;
}

/* The end of what one message takes: bounded in bytes, and with one CFG entry at most. */
hl_index hl_replica_fit(void *ctx, hl_index first, hl_index last)
{
    struct hl_node *node = ctx;
    const struct hl_cluster *c = &node->cluster;
    size_t count = 0;
    const hl_index *configs = hl_wal_configs(node->wal, &count);
    for (size_t i = 1; i < count; i++) {
        if (configs[i - 1] >= first && configs[i] <= last) {
            last = configs[i] - 1;
            break;
        }
    }
    struct fit fit = {.last = first};
    if (first < c->sizes_from || first + HL_SIZES_RING <= hl_wal_last(node->wal)) {
        fit.last = 0;
        hl_err err = hl_wal_read(node->wal, first, last, on_entry_to_fit, &fit, NULL);
        HL_MAYBE(err != HL_OK); /* sending it will say why */
        return fit.last == 0 ? first : fit.last;
    }
    for (hl_index i = first; i <= last; i++) {
        fit.size += c->sizes[i % HL_SIZES_RING] + HL_WIRE_ENTRY_HEADER;
        if (i > first && fit.size > HL_WIRE_ENTRIES_MAX) {
            break;
        }
        fit.last = i;
    }
    return fit.last;
}

/* A node that waits to be told which group it belongs to believes the first that knows its id,
 * which is random. */
static void adopt(struct hl_node *node, const struct hl_wire_frame *frame)
{
    const struct hl_wal_meta *meta = hl_wal_meta(node->wal);
    unsigned char boot_id[16];
    memcpy(boot_id, meta->boot_id, sizeof boot_id);
    hl_wal_set_identity(node->wal, frame->cluster_id, node->node_id, meta->incarnation, boot_id);
    memcpy(node->cluster_id, frame->cluster_id, sizeof node->cluster_id);
    hl_node_log(node, 2, "joining the group of node %llx", (unsigned long long)frame->from);
}

/* Frames of a peer's earlier life are dropped once a later one was heard of. */
static bool is_current(struct hl_cluster *c, const struct hl_wire_frame *frame)
{
    for (uint32_t i = 0; i < HL_MEMBERS_MAX; i++) {
        if (c->heard[i].peer == frame->from) {
            bool current = frame->incarnation >= c->heard[i].incarnation;
            c->heard[i].incarnation = current ? frame->incarnation : c->heard[i].incarnation;
            return current;
        }
    }
    uint32_t at = c->heard_next++ % HL_MEMBERS_MAX;
    c->heard[at].peer = frame->from;
    c->heard[at].incarnation = frame->incarnation;
    return true;
}

/* F2 */
static bool is_for_us(struct hl_node *node, hl_peer from, const struct hl_wire_frame *frame)
{
    static const unsigned char none[16];
    if (frame->from != from || frame->to != node->node_id || frame->from == node->node_id) {
        return false;
    }
    if (memcmp(frame->cluster_id, none, sizeof none) == 0) {
        return false;
    }
    if (memcmp(frame->cluster_id, node->cluster_id, sizeof none) == 0) {
        return true;
    }
    bool waits = node->cluster.joins && node->cluster.config_count == 0 &&
                 memcmp(node->cluster_id, none, sizeof none) == 0;
    if (waits) {
        adopt(node, frame);
    }
    return waits;
}

/* What would move the log or make this node a leader waits while the state is made anew, and
 * leadership is nothing for one that cannot apply the log. */
static bool waits_for_state(const struct hl_node *node, const struct hl_raft_msg *message)
{
    if (node->cluster.stop.told && message->type == HL_RAFT_TIMEOUT_NOW) {
        return true;
    }
    return node->cluster.rebuilding &&
           (message->type == HL_RAFT_TIMEOUT_NOW ||
            (node->cluster.install != NULL && message->type == HL_RAFT_APPEND &&
             message->last > message->prev));
}

static bool on_member_entry(struct hl_wire_entries entries, hl_index cfg,
                            struct hl_raft_config *out)
{
    struct hl_wal_entry entry;
    struct hl_members members;
    while (hl_wire_entry_next(&entries, &entry)) {
        if (entry.index == cfg) {
            bool ok = hl_members_decode(entry.body, &members, NULL) == HL_OK;
            *out = ok ? hl_replica_config_of(&members) : *out;
            return ok;
        }
    }
    return false;
}

static void on_raft_frame(struct hl_node *node, const struct hl_wire_frame *frame)
{
    struct hl_raft_msg message;
    struct hl_wire_entries entries;
    struct hl_raft_config config;
    hl_index cfg = 0;
    if (!hl_wire_raft_decode(frame, &message, &entries, &cfg) ||
        (cfg != 0 && !on_member_entry(entries, cfg, &config))) {
        hl_node_log(node, 3, "a malformed message of node %llx is dropped",
                    (unsigned long long)frame->from);
        return;
    }
    hl_record_message(node, &message);
    if (waits_for_state(node, &message)) {
        return;
    }
    if (cfg != 0) {
        message.config_index = cfg;
        message.config = &config;
    }
    struct hl_raft_event event = {.type = HL_RAFT_ON_MESSAGE, .message = {.msg = &message}};
    hl_err err = hl_replica_step(node, &event, &entries);
    HL_ASSERT(err == HL_OK);
}

void hl_node_peer_message(struct hl_node *node, hl_peer from, struct hl_slice bytes)
{
    struct hl_wire_frame frame;
    struct hl_errmsg msg = {{0}};
    if (!node->cluster.live || node->cluster.removed) {
        return;
    }
    if (hl_wire_decode(bytes, &frame, &msg) != HL_OK) {
        hl_node_log(node, 3, "node %llx: %s", (unsigned long long)from, msg.text);
        return;
    }
    if (!is_for_us(node, from, &frame) || !is_current(&node->cluster, &frame)) {
        return;
    }
    hl_record_heard(node, from);
    switch (frame.type) {
    case HL_FRAME_RAFT:
        on_raft_frame(node, &frame);
        return;
    case HL_FRAME_SNAP_CHUNK:
        hl_install_chunk(node, &frame);
        return;
    case HL_FRAME_SNAP_REPLY:
        hl_transfer_reply(node, &frame);
        return;
    case HL_FRAME_FORWARD:
    case HL_FRAME_FORWARD_REPLY:
        hl_forward_on_frame(node, from, frame.type, frame.body);
        return;
    case HL_FRAME_QUESTION:
    case HL_FRAME_ANSWER:
        hl_barrier_on_frame(node, &frame);
        return;
    case HL_FRAME_SCRUB:
        hl_scrub_on_frame(node, from, frame.body);
        return;
    case HL_FRAME_HELLO:
        return;
    }
}

void hl_node_forward_lost(struct hl_node *node, hl_peer peer)
{
    hl_forward_peer_lost(node, peer);
}

void hl_node_peer_lost(struct hl_node *node, hl_peer peer)
{
    if (node->cluster.live) {
        hl_record_lost(node, peer);
        hl_transfer_lost(node, peer);
        struct hl_raft_event event = {.type = HL_RAFT_ON_UNREACHABLE,
                                      .unreachable = {.peer = peer}};
        hl_err err = hl_replica_step(node, &event, NULL);
        HL_ASSERT(err == HL_OK);
    }
}
