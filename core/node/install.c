/* A snapshot from a leader: received in pieces, verified, and only then put in the place of the
 * state (PROTOCOL section 9).
 *
 *   RECEIVING  pieces go to a file that start-up would remove
 *   VERIFYING  its checksums, its cluster, its version and its tables are looked at, in slices
 *   READY      it is published, the log starts behind it, and the state is made anew from it, by
 * the code that loads one at the start LOADING    that is going on
 */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/node_internal.h"
#include "wal/snapname.h"

#include <stdio.h>

#define SYNC_SIZE (8u << 20) /* bytes received between two syncs, so that none takes long */
#define VERIFY_SLICE 16      /* blocks looked at between two events */

enum stage { RECEIVING, VERIFYING, READY, LOADING };

struct hl_install {
    enum stage stage;
    hl_peer from;
    hl_index index;
    hl_term term;
    int file;
    uint64_t size, have, unsynced;
    struct hl_snap_reader *reader;
    struct hl_config_at config;
};

static void fill_reply(struct hl_buf *out, const void *arg)
{
    hl_snap_reply_encode(arg, out);
}

static void answer(struct hl_node *node, hl_peer to, hl_index index, hl_term term,
                   enum hl_snap_answer word, uint64_t offset, const char *why)
{
    struct hl_snap_reply reply = {
        .index = index, .term = term, .offset = offset, .answer = word, .why = hl_slice_of(why)};
    hl_replica_send(node, to, HL_PEER_BULK, HL_FRAME_SNAP_REPLY, fill_reply, &reply);
}

void hl_install_fini(struct hl_node *node)
{
    struct hl_install *in = node->cluster.install;
    if (in == NULL) {
        return;
    }
    const struct hl_disk *disk = node->snapshot_disk;
    if (in->file != -1) {
        disk->close(disk->ctx, in->file);
    }
    hl_snap_reader_close(in->reader);
    if (in->stage < LOADING) {
        char name[HL_DISK_NAME_MAX];
        hl_snap_temp_name(name, in->index);
        hl_err ignored = disk->remove(disk->ctx, node->snapshot_dir, name, NULL);
        HL_MAYBE(ignored != HL_OK); /* the next start removes it */
    }
    hl_free(in);
    node->cluster.install = NULL;
    node->cluster.install_due = false;
}

static void refuse(struct hl_node *node, const char *why)
{
    struct hl_install *in = node->cluster.install;
    hl_node_log(node, 3, "the snapshot at %llu of node %llx is refused: %s",
                (unsigned long long)in->index, (unsigned long long)in->from, why);
    answer(node, in->from, in->index, in->term, HL_SNAP_REFUSED, 0, why);
    hl_install_fini(node);
}

static bool begin(struct hl_node *node, hl_peer from, const struct hl_snap_chunk *chunk)
{
    const struct hl_disk *disk = node->snapshot_disk;
    if (disk == NULL) {
        return false;
    }
    struct hl_install *in = hl_calloc(1, sizeof *in);
    *in = (struct hl_install){
        .from = from, .index = chunk->index, .term = chunk->term, .size = chunk->size, .file = -1};
    node->cluster.install = in;
    char name[HL_DISK_NAME_MAX];
    hl_snap_temp_name(name, in->index);
    struct hl_errmsg msg = {{0}};
    hl_err err = disk->open(disk->ctx, node->snapshot_dir, name, true, &in->file, &msg);
    if (err == HL_OK) {
        err = disk->truncate(disk->ctx, in->file, 0, &msg);
    }
    if (err != HL_OK) {
        refuse(node, msg.text);
        return false;
    }
    hl_node_log(node, 2, "receiving the snapshot at %llu, %llu bytes",
                (unsigned long long)in->index, (unsigned long long)in->size);
    return true;
}

/* Store what follows what there is; at the end all of it is on stable storage. */
static hl_err store(struct hl_node *node, const struct hl_snap_chunk *chunk, struct hl_errmsg *msg)
{
    const struct hl_disk *disk = node->snapshot_disk;
    struct hl_install *in = node->cluster.install;
    hl_err err =
        disk->pwrite(disk->ctx, in->file, chunk->bytes.ptr, chunk->bytes.len, chunk->offset, msg);
    if (err != HL_OK) {
        return err;
    }
    in->have += chunk->bytes.len;
    in->unsynced += chunk->bytes.len;
    if (in->unsynced >= SYNC_SIZE || in->have == in->size) {
        in->unsynced = 0;
        err = disk->fdatasync(disk->ctx, in->file, msg);
    }
    if (err == HL_OK && in->have == in->size) {
        disk->close(disk->ctx, in->file);
        in->file = -1;
        in->stage = VERIFYING;
        node->cluster.install_due = true;
    }
    return err;
}

void hl_install_chunk(struct hl_node *node, const struct hl_wire_frame *frame)
{
    struct hl_snap_chunk chunk;
    if (!hl_snap_chunk_decode(frame->body, &chunk)) {
        return;
    }
    if (chunk.index <= node->commit && node->cluster.install == NULL) {
        answer(node, frame->from, chunk.index, chunk.term, HL_SNAP_INSTALLED, chunk.size, "");
        return;
    }
    struct hl_install *in = node->cluster.install;
    bool same =
        in != NULL && in->index == chunk.index && in->term == chunk.term && in->size == chunk.size;
    if (in != NULL && !same) {
        if (in->stage == LOADING || in->index > chunk.index) {
            return; /* the one at work goes first */
        }
        hl_install_fini(node);
    }
    if (!same && !begin(node, frame->from, &chunk)) {
        return;
    }
    in = node->cluster.install;
    in->from = frame->from;
    struct hl_errmsg msg = {{0}};
    if (in->stage == RECEIVING && chunk.offset == in->have && store(node, &chunk, &msg) != HL_OK) {
        refuse(node, msg.text);
        return;
    }
    answer(node, in->from, in->index, in->term, HL_SNAP_MORE, in->have, "");
}

static hl_err open_to_verify(struct hl_node *node, struct hl_install *in, struct hl_errmsg *msg)
{
    struct hl_snap_label label;
    struct hl_snap_reader *head = NULL;
    hl_err err = hl_snap_reader_open_temp(&head, node->snapshot_disk, node->snapshot_dir, in->index,
                                          &label, msg);
    if (err != HL_OK) {
        return err;
    }
    if (label.term != in->term ||
        memcmp(label.cluster_id, node->cluster_id, sizeof label.cluster_id) != 0) {
        err = hl_fail(msg, HL_EINVAL, "it is of another cluster or term");
    }
    if (err == HL_OK) {
        err = hl_snapshot_inspect(node, head, &in->config, msg);
    }
    hl_snap_reader_close(head);
    if (err == HL_OK) {
        err = hl_snap_reader_open_temp(&in->reader, node->snapshot_disk, node->snapshot_dir,
                                       in->index, &label, msg);
    }
    return err;
}

/* A slice of reading all of it; every block is checked on the way. */
static hl_err verify(struct hl_node *node, struct hl_install *in, struct hl_errmsg *msg)
{
    hl_err err = in->reader == NULL ? open_to_verify(node, in, msg) : HL_OK;
    char *bytes = hl_malloc(HL_SNAP_BLOCK_MAX);
    size_t got = 1;
    for (int i = 0; err == HL_OK && got > 0 && i < VERIFY_SLICE; i++) {
        err = hl_snap_read(in->reader, bytes, HL_SNAP_BLOCK_MAX, &got, msg);
    }
    hl_free(bytes);
    if (err == HL_OK && got == 0) {
        hl_snap_reader_close(in->reader);
        in->reader = NULL;
        in->stage = READY;
    }
    return err;
}

/* D2: nothing has changed up to here. */
static void install(struct hl_node *node, struct hl_install *in)
{
    struct hl_errmsg msg = {{0}};
    if (in->index <= node->commit) { /* the log was faster */
        answer(node, in->from, in->index, in->term, HL_SNAP_INSTALLED, in->size, "");
        hl_install_fini(node);
        return;
    }
    if (hl_snap_publish(node->snapshot_disk, node->snapshot_dir, in->index, &msg) != HL_OK) {
        refuse(node, msg.text);
        return;
    }
    in->stage = LOADING;
    node->cluster.install_due = false;
    node->snapshot_index = in->index;
    node->snapshot_term = in->term;
    hl_err err = hl_replica_installed(node, &in->config, in->index, in->term);
    HL_ASSERT(err == HL_OK); /* it is newer than the commit index */
    hl_replica_discard(node);
    err = hl_snap_drop_before(node->snapshot_disk, node->snapshot_dir, in->index, &msg);
    HL_MAYBE(err != HL_OK); /* the next one removes them */
}

void hl_install_tick(struct hl_node *node)
{
    struct hl_install *in = node->cluster.install;
    struct hl_errmsg msg = {{0}};
    if (in == NULL || node->cluster.rebuilding) {
        return;
    }
    if (in->stage == VERIFYING && verify(node, in, &msg) != HL_OK) {
        refuse(node, msg.text);
        return;
    }
    if (in->stage == READY && node->batch_count == 0) {
        install(node, in);
    }
}

void hl_install_done(struct hl_node *node)
{
    struct hl_install *in = node->cluster.install;
    if (in != NULL && in->stage == LOADING) {
        hl_node_log(node, 2, "the snapshot at %llu is installed", (unsigned long long)in->index);
        answer(node, in->from, in->index, in->term, HL_SNAP_INSTALLED, in->size, "");
        hl_install_fini(node);
    }
}
