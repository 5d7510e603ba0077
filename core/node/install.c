/* A snapshot from a leader: received in pieces, verified, and only then put in the place of the
 * state (PROTOCOL section 9).
 *
 *   RECEIVING  pieces go to a file that start-up would remove; every SYNC_SIZE of them are synced
 *              off the loop, and what lies beyond that is not confirmed before
 *   VERIFYING  its checksums, its cluster, its version and its tables are looked at, in slices
 *   READY      it is published, the log starts behind it, and the state is made anew from it, by
 *              the code that loads one at the start
 *   LOADING    that is going on
 *
 * All space is taken before the first piece is stored, and a little more (a file of its own), which
 * is given back just before the log is made to start behind the snapshot: that must not fail for
 * want of space.  A full disk so refuses a snapshot before anything has changed; its sender tries
 * again later, and this node serves on.
 */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/node_internal.h"
#include "wal/snapname.h"

#include <stdio.h>

#define SYNC_SIZE (8u << 20)     /* bytes received between two syncs, so that none takes long */
#define VERIFY_SLICE 16          /* blocks looked at between two events */
#define RESERVE_SIZE (64u << 10) /* bytes that emptying the log may need */
#define RESERVE_INDEX UINT64_MAX /* names the file that holds them: start-up removes it too */
#define SAY_AGAIN_US 60000000ull /* the same refusal is not logged more often */

enum stage { RECEIVING, VERIFYING, READY, LOADING };

struct hl_install {
    enum stage stage;
    hl_peer from;
    hl_index index;
    hl_term term;
    int file;
    uint64_t size, have, unsynced;
    uint64_t syncing; /* number of the sync under way; 0: none */
    uint64_t begun_us;
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

static void remove_temp(struct hl_node *node, hl_index index)
{
    const struct hl_disk *disk = node->snapshot_disk;
    char name[HL_DISK_NAME_MAX];
    hl_snap_temp_name(name, index);
    hl_err ignored = disk->remove(disk->ctx, node->snapshot_dir, name, NULL);
    HL_MAYBE(ignored != HL_OK); /* the next start removes it */
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
        remove_temp(node, in->index);
        remove_temp(node, RESERVE_INDEX);
    }
    hl_free(in);
    node->cluster.install = NULL;
    node->cluster.install_due = false;
}

static void record(struct hl_node *node, enum hl_snap_event_kind kind, const char *why)
{
    const struct hl_install *in = node->cluster.install;
    hl_node_record_snapshot(node,
                            (struct hl_snap_event){.kind = kind,
                                                   .index = in->index,
                                                   .term = in->term,
                                                   .size = in->size,
                                                   .took_us = node->mark_us - in->begun_us},
                            why);
}

static void refuse(struct hl_node *node, const char *why)
{
    struct hl_cluster *c = &node->cluster;
    struct hl_install *in = c->install;
    c->installs_refused++;
    record(node, HL_SNAP_FAILED, why);
    if (strcmp(c->install_trouble.text, why) != 0 ||
        node->mark_us - c->install_said_us > SAY_AGAIN_US) {
        c->install_said_us = node->mark_us;
        hl_node_log(node, 3, "the snapshot at %llu of node %llx is refused: %s",
                    (unsigned long long)in->index, (unsigned long long)in->from, why);
        (void)hl_fail(&c->install_trouble, HL_EINVAL, "%s", why);
    }
    answer(node, in->from, in->index, in->term, HL_SNAP_REFUSED, 0, why);
    hl_install_fini(node);
}

/* An empty temporary file with room for `size` bytes. */
static hl_err make_file(struct hl_node *node, hl_index index, uint64_t size, int *file,
                        struct hl_errmsg *msg)
{
    const struct hl_disk *disk = node->snapshot_disk;
    char name[HL_DISK_NAME_MAX];
    hl_snap_temp_name(name, index);
    hl_err err = disk->open(disk->ctx, node->snapshot_dir, name, true, file, msg);
    if (err == HL_OK) {
        err = disk->truncate(disk->ctx, *file, 0, msg);
    }
    return err == HL_OK ? disk->preallocate(disk->ctx, *file, size, msg) : err;
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
    in->begun_us = node->mark_us;
    node->cluster.install = in;
    struct hl_errmsg msg = {{0}};
    hl_err err = make_file(node, in->index, in->size, &in->file, &msg);
    if (err == HL_OK) {
        int reserve = -1;
        err = make_file(node, RESERVE_INDEX, RESERVE_SIZE, &reserve, &msg);
        if (reserve != -1) {
            disk->close(disk->ctx, reserve);
        }
    }
    if (err != HL_OK) {
        refuse(node, msg.text);
        return false;
    }
    hl_node_log(node, 2, "receiving the snapshot at %llu, %llu bytes",
                (unsigned long long)in->index, (unsigned long long)in->size);
    return true;
}

static void received(struct hl_node *node)
{
    const struct hl_disk *disk = node->snapshot_disk;
    struct hl_install *in = node->cluster.install;
    disk->close(disk->ctx, in->file);
    in->file = -1;
    in->stage = VERIFYING;
    node->cluster.install_due = true;
}

/* Put on stable storage what is enough to be worth it, or the last of it; off the loop, if the
 * world can. */
static hl_err sync_if_due(struct hl_node *node, struct hl_errmsg *msg)
{
    const struct hl_disk *disk = node->snapshot_disk;
    struct hl_install *in = node->cluster.install;
    bool whole = in->have == in->size;
    if (in->syncing != 0 || (in->unsynced < SYNC_SIZE && !whole)) {
        return HL_OK;
    }
    in->unsynced = 0;
    uint64_t number = ++node->cluster.install_syncs;
    if (node->world->file_sync != NULL &&
        node->world->file_sync(node->world->ctx, in->file, number)) {
        in->syncing = number;
        return HL_OK;
    }
    hl_err err = disk->fdatasync(disk->ctx, in->file, msg);
    if (err == HL_OK && whole) {
        received(node);
    }
    return err;
}

/* Store what follows what there is. */
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
    return sync_if_due(node, msg);
}

/* Say how much there is, unless the disk has to keep up first. */
static void confirm(struct hl_node *node)
{
    const struct hl_install *in = node->cluster.install;
    if (in->syncing == 0 || in->unsynced < SYNC_SIZE) {
        answer(node, in->from, in->index, in->term, HL_SNAP_MORE, in->have, "");
    }
}

void hl_node_file_synced(struct hl_node *node, uint64_t number, hl_err err, const char *why)
{
    struct hl_install *in = node->cluster.install;
    struct hl_errmsg msg = {{0}};
    if (in == NULL || in->syncing != number) {
        return; /* of one that is given up */
    }
    in->syncing = 0;
    if (err != HL_OK) {
        refuse(node, why);
        return;
    }
    if (in->have == in->size && in->unsynced == 0) {
        received(node);
    } else if (sync_if_due(node, &msg) != HL_OK) {
        refuse(node, msg.text);
        return;
    }
    confirm(node);
}

void hl_install_chunk(struct hl_node *node, const struct hl_wire_frame *frame)
{
    struct hl_snap_chunk chunk;
    if (!hl_snap_chunk_decode(frame->body, &chunk)) {
        return;
    }
    if (chunk.index <= node->commit && node->cluster.install == NULL &&
        !hl_scrub_takes(node, chunk.index)) {
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
    confirm(node);
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

/* A received snapshot is about to replace the state: the log starts behind it.  The members are
 * those in force at the label. */
static hl_err tell_installed(struct hl_node *node, const struct hl_config_at *config,
                             hl_index index, hl_term term)
{
    struct hl_raft_config members = hl_replica_config_of(&config->members);
    struct hl_raft_event event = {
        .type = HL_RAFT_ON_INSTALLED,
        .installed = {
            .index = index, .term = term, .config = &members, .config_index = config->index}};
    hl_err err = hl_replica_step(node, &event, NULL);
    if (err != HL_OK) {
        return err;
    }
    if (hl_wal_last(node->wal) == index) {
        node->cluster.config_count = 0; /* none of a later entry is left */
    }
    if (hl_wal_meta(node->wal)->base < index) {
        hl_wal_drop_before(node->wal, index + 1, term);
    }
    const struct hl_config_at *at = hl_replica_config_newest(node);
    if (at == NULL || at->index < config->index) {
        hl_replica_config_push(node, config->index, &config->members);
        hl_replica_config_changed(node);
    }
    return HL_OK;
}

/* D2: nothing has changed up to here. */
static void install(struct hl_node *node, struct hl_install *in)
{
    struct hl_errmsg msg = {{0}};
    bool passed = in->index <= node->commit; /* the log was faster */
    if (passed && !hl_scrub_takes(node, in->index)) {
        answer(node, in->from, in->index, in->term, HL_SNAP_INSTALLED, in->size, "");
        hl_install_fini(node);
        return;
    }
    if (hl_snap_publish(node->snapshot_disk, node->snapshot_dir, in->index, &msg) != HL_OK) {
        refuse(node, msg.text);
        return;
    }
    in->stage = LOADING;
    record(node, HL_SNAP_RECEIVED, NULL);
    remove_temp(node, RESERVE_INDEX);
    node->cluster.install_due = false;
    node->cluster.install_trouble.text[0] = '\0';
    node->snapshot_index = in->index;
    node->snapshot_term = in->term;
    node->scrub.replaced = node->scrub.differs;
    hl_err err = HL_OK;
    if (passed) {
        hl_wal_drop_before(node->wal, in->index + 1, in->term);
        hl_replica_compacted(node);
    } else {
        err = tell_installed(node, &in->config, in->index, in->term);
        HL_ASSERT(err == HL_OK); /* it is newer than the commit index */
    }
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
