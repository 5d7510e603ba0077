/* Snapshots to peers that need what the log no longer holds: the base's file, in pieces.
 *
 * A window of pieces is under way to each; what the peer has confirmed is where it goes on after a
 * loss.  Only published snapshots are sent, so all they hold is committed (D1).
 */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/node_internal.h"
#include "wal/snapname.h"

#define WINDOW_SIZE (4u * HL_SNAP_CHUNK_MAX) /* bytes sent and not confirmed */
#define RETRY_US 500000                      /* without a confirmation: send again */
#define GIVE_UP_US 30000000
#define REFUSED_US 2000000 /* after a refusal, before it is offered again */

struct transfer {
    hl_peer to;
    hl_index index; /* of the snapshot's label */
    hl_term term;
    int file;
    uint64_t size, sent, confirmed;
    uint64_t begun_us;
    uint64_t heard_us, retry_us; /* last confirmation; last time that anything was sent */
    bool failed;
    uint64_t offer_us; /* a failed one is offered again then */
};

struct hl_transfers {
    struct transfer at[HL_MEMBERS_MAX];
    uint32_t count;
    char piece[HL_SNAP_CHUNK_MAX];
};

static struct transfer *find(const struct hl_node *node, hl_peer to)
{
    struct hl_transfers *t = node->cluster.transfers;
    for (uint32_t i = 0; t != NULL && i < t->count; i++) {
        if (t->at[i].to == to) {
            return &t->at[i];
        }
    }
    return NULL;
}

static void end(struct hl_node *node, struct transfer *transfer)
{
    struct hl_transfers *t = node->cluster.transfers;
    if (transfer->file != -1) {
        node->snapshot_disk->close(node->snapshot_disk->ctx, transfer->file);
    }
    *transfer = t->at[--t->count];
}

/* It is over, one way or the other: raft goes on from there. */
static void tell_raft(struct hl_node *node, hl_peer to, hl_index index, bool ok)
{
    struct hl_raft_event event = {.type = HL_RAFT_ON_SNAPSHOT_SENT,
                                  .snapshot_sent = {.peer = to, .index = index, .ok = ok}};
    hl_err err = hl_replica_step(node, &event, NULL);
    HL_ASSERT(err == HL_OK);
}

static void fill_chunk(struct hl_buf *out, const void *arg)
{
    hl_snap_chunk_encode(arg, out);
}

/* Send as much as the window takes. */
static void pump(struct hl_node *node, struct transfer *transfer)
{
    const struct hl_disk *disk = node->snapshot_disk;
    struct hl_transfers *t = node->cluster.transfers;
    while (!transfer->failed && transfer->sent < transfer->size &&
           transfer->sent - transfer->confirmed < WINDOW_SIZE) {
        size_t got = 0;
        struct hl_errmsg msg = {{0}};
        hl_err err = disk->pread(disk->ctx, transfer->file, t->piece, sizeof t->piece,
                                 transfer->sent, &got, &msg);
        if (err != HL_OK || got == 0) {
            hl_node_log(node, 3, "the snapshot cannot be sent: %s", msg.text);
            transfer->failed = true;
            return;
        }
        struct hl_snap_chunk chunk = {.index = transfer->index,
                                      .term = transfer->term,
                                      .size = transfer->size,
                                      .offset = transfer->sent,
                                      .bytes = {.ptr = t->piece, .len = got}};
        hl_replica_send(node, transfer->to, HL_PEER_BULK, HL_FRAME_SNAP_CHUNK, fill_chunk, &chunk);
        transfer->sent += got;
        transfer->retry_us = node->mark_us;
    }
}

void hl_transfer_start(struct hl_node *node, hl_peer to)
{
    struct hl_cluster *c = &node->cluster;
    if (find(node, to) != NULL) {
        return;
    }
    if (c->transfers == NULL) {
        c->transfers = hl_calloc(1, sizeof *c->transfers);
    }
    HL_ASSERT(c->transfers->count < HL_MEMBERS_MAX);
    struct transfer *transfer = &c->transfers->at[c->transfers->count++];
    *transfer = (struct transfer){.to = to,
                                  .index = node->snapshot_index,
                                  .term = node->snapshot_term,
                                  .file = -1,
                                  .begun_us = node->mark_us,
                                  .heard_us = node->mark_us,
                                  .retry_us = node->mark_us};
    const struct hl_disk *disk = node->snapshot_disk;
    struct hl_errmsg msg = {.text = "there is none"};
    hl_err err = HL_ENOENT;
    if (node->snapshot_index != 0) {
        char name[HL_DISK_NAME_MAX];
        hl_snap_name(name, node->snapshot_index);
        err = disk->open(disk->ctx, node->snapshot_dir, name, false, &transfer->file, &msg);
    }
    if (err == HL_OK) {
        err = disk->size(disk->ctx, transfer->file, &transfer->size, &msg);
    }
    if (err != HL_OK) {
        hl_node_log(node, 3, "the snapshot cannot be sent: %s", msg.text);
        transfer->failed = true; /* raft is told at the next tick, not inside its own step */
        return;
    }
    hl_node_log(node, 2, "sending the snapshot at %llu to node %llx",
                (unsigned long long)transfer->index, (unsigned long long)to);
    hl_record_transfer(node, to, HL_TRANSFER_BEGUN);
    pump(node, transfer);
}

void hl_transfer_reply(struct hl_node *node, const struct hl_wire_frame *frame)
{
    struct hl_snap_reply reply;
    struct transfer *transfer = find(node, frame->from);
    if (!hl_snap_reply_decode(frame->body, &reply) || transfer == NULL ||
        reply.index != transfer->index || reply.term != transfer->term) {
        return;
    }
    switch (reply.answer) {
    case HL_SNAP_MORE:
        if (reply.offset > transfer->confirmed && reply.offset <= transfer->sent) {
            transfer->confirmed = reply.offset;
            transfer->heard_us = node->mark_us;
        } else if (reply.offset < transfer->confirmed) { /* it has started again */
            transfer->confirmed = transfer->sent = reply.offset;
        } else if (transfer->confirmed == transfer->size) {
            transfer->heard_us = node->mark_us; /* it is busy with all of it */
        }
        pump(node, transfer);
        return;
    case HL_SNAP_INSTALLED:
        hl_record_transfer(node, transfer->to, HL_TRANSFER_DONE);
        hl_node_record_snapshot(
            node,
            (struct hl_snap_event){.kind = HL_SNAP_SENT,
                                   .index = transfer->index,
                                   .term = transfer->term,
                                   .size = transfer->size,
                                   .took_us = node->mark_us - transfer->begun_us},
            NULL);
        end(node, transfer);
        tell_raft(node, frame->from, reply.index, true);
        return;
    case HL_SNAP_REFUSED:
        hl_node_log(node, 3, "node %llx refuses the snapshot: %.*s",
                    (unsigned long long)frame->from, (int)reply.why.len, reply.why.ptr);
        transfer->failed = true; /* its disk may have room later */
        transfer->offer_us = node->mark_us + REFUSED_US;
        return;
    }
}

void hl_transfer_lost(struct hl_node *node, hl_peer peer)
{
    struct transfer *transfer = find(node, peer);
    if (transfer != NULL) {
        transfer->sent = transfer->confirmed; /* sent again when the time has come */
    }
}

void hl_transfers_tick(struct hl_node *node)
{
    struct hl_transfers *t = node->cluster.transfers;
    for (uint32_t i = 0; t != NULL && i < t->count;) {
        struct transfer *transfer = &t->at[i];
        if (node->mark_us - transfer->heard_us > GIVE_UP_US) {
            transfer->failed = true;
        }
        if (transfer->failed && node->mark_us < transfer->offer_us) {
            i++;
            continue;
        }
        if (transfer->failed) {
            hl_peer to = transfer->to;
            hl_index index = transfer->index;
            hl_record_transfer(node, to, HL_TRANSFER_FAILED);
            end(node, transfer);
            tell_raft(node, to, index, false);
            return; /* another step may have changed the list */
        }
        if (node->mark_us - transfer->retry_us >= RETRY_US) {
            transfer->retry_us = node->mark_us;
            transfer->sent = transfer->confirmed;
            if (transfer->sent == transfer->size) {
                transfer->sent -=
                    transfer->size < HL_SNAP_CHUNK_MAX ? transfer->size : HL_SNAP_CHUNK_MAX;
                transfer->confirmed = transfer->sent; /* ask how it is going */
            }
            pump(node, transfer);
        }
        i++;
    }
}

uint64_t hl_transfers_wake_us(const struct hl_node *node)
{
    const struct hl_transfers *t = node->cluster.transfers;
    uint64_t wake = UINT64_MAX;
    for (uint32_t i = 0; t != NULL && i < t->count; i++) {
        uint64_t at = t->at[i].failed ? t->at[i].offer_us : t->at[i].retry_us + RETRY_US;
        wake = at < wake ? at : wake;
    }
    return wake;
}

void hl_transfers_fini(struct hl_node *node)
{
    struct hl_transfers *t = node->cluster.transfers;
    while (t != NULL && t->count > 0) {
        end(node, &t->at[t->count - 1]);
    }
    hl_free(t);
    node->cluster.transfers = NULL;
}
