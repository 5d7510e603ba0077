#include "node/recover.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/node_internal.h"
#include "wal/snapfile.h"

#include <string.h>

/* --- looking ---------------------------------------------------------------------------------- */

static bool on_members(void *arg, const struct hl_wal_entry *entry)
{
    struct hl_members *members = arg;
    if (entry->type == HL_WAL_CFG) {
        hl_err err = hl_members_decode(entry->body, members, NULL);
        HL_MAYBE(err != HL_OK); /* then there are none, which is said */
    }
    return false;
}

static hl_err members_of_log(struct hl_wal *wal, struct hl_config_at *out, struct hl_errmsg *msg)
{
    size_t count = 0;
    const hl_index *at = hl_wal_configs(wal, &count);
    if (count == 0) {
        return HL_OK;
    }
    out->index = at[count - 1];
    return hl_wal_read(wal, out->index, out->index, on_members, &out->members, msg);
}

static hl_err members_of_snapshot(const struct hl_disk *disk, const char *dir, hl_index index,
                                  struct hl_config_at *out, struct hl_errmsg *msg)
{
    struct hl_snap_reader *reader = NULL;
    struct hl_snap_label label;
    hl_err err = hl_snap_reader_open(&reader, disk, dir, index, &label, msg);
    if (err != HL_OK) {
        return err;
    }
    err = hl_snapshot_inspect(NULL, reader, out, msg);
    hl_snap_reader_close(reader);
    return err;
}

static hl_err find_snapshot(struct hl_wal *wal, const struct hl_disk *disk, const char *dir,
                            struct hl_snap_found *found, struct hl_errmsg *msg)
{
    hl_err err = hl_snap_find(disk, dir, false, found, msg);
    if (err == HL_ENOENT) {
        found->label.index = 0;
        err = HL_OK;
    }
    hl_index base = hl_wal_meta(wal)->base;
    if (err == HL_OK && found->label.index < base) {
        err = hl_fail(msg, HL_ECORRUPT,
                      "the log begins behind entry %llu, and no whole snapshot reaches it",
                      (unsigned long long)base);
    }
    return err;
}

hl_err hl_recovery_look(struct hl_wal *wal, const struct hl_disk *disk, const char *dir,
                        struct hl_recovery *out, struct hl_errmsg *msg)
{
    const struct hl_wal_meta *meta = hl_wal_meta(wal);
    struct hl_snap_found snapshot;
    struct hl_recovery found = {
        .term = meta->term, .committed = meta->committed, .removed = meta->removed};
    hl_err err = find_snapshot(wal, disk, dir, &snapshot, msg);
    if (err != HL_OK) {
        return err;
    }
    found.snapshot = snapshot.label.index;
    found.snapshot_term = snapshot.label.term;
    found.last = hl_wal_last(wal);
    if (found.last == 0 && found.snapshot == 0) {
        return hl_fail(msg, HL_ENOENT, "it holds neither entries nor a snapshot");
    }
    hl_term here = found.snapshot_term;
    bool held =
        found.last >= found.snapshot &&
        (!hl_terms_at(hl_wal_terms(wal), found.snapshot, &here) || here == found.snapshot_term);
    if (!held) { /* a crash between publishing it and emptying the log */
        found.last = found.snapshot;
        found.log_is_old = true;
    }
    struct hl_config_at at = {0};
    err = found.log_is_old ? HL_OK : members_of_log(wal, &at, msg);
    if (err == HL_OK && at.members.count == 0 && found.snapshot != 0) {
        err = members_of_snapshot(disk, dir, found.snapshot, &at, msg);
    }
    if (err != HL_OK) {
        return err;
    }
    found.members = at.members;
    found.members_at = at.index;
    if (hl_members_find(&found.members, meta->node_id) == NULL) {
        return hl_fail(
            msg, HL_EINVAL,
            "as far as it knows this node is not a member of its cluster: it was removed, "
            "or was never added");
    }
    found.committed = found.committed < found.snapshot ? found.snapshot : found.committed;
    found.committed = found.committed > found.last ? found.last : found.committed;
    memcpy(found.cluster_id, meta->cluster_id, sizeof found.cluster_id);
    *out = found;
    out->self = hl_members_find(&out->members, meta->node_id);
    return HL_OK;
}

/* --- doing it --------------------------------------------------------------------------------- */

/* Times and levels never go back along the log. */
struct last {
    int64_t log_time_us;
    uint32_t level;
};

static bool on_last(void *arg, const struct hl_wal_entry *entry)
{
    struct last *last = arg;
    last->log_time_us = entry->log_time_us;
    last->level = entry->feature_level;
    return false;
}

/* A snapshot says of which cluster it is, and those who join are sent it. */
static hl_err relabel(const struct hl_disk *disk, const char *dir, hl_index index,
                      const unsigned char *cluster_id, int64_t *log_time_us, struct hl_errmsg *msg)
{
    struct hl_snap_reader *reader = NULL;
    struct hl_snap_writer *writer = NULL;
    struct hl_snap_label label;
    hl_err err = hl_snap_reader_open(&reader, disk, dir, index, &label, msg);
    if (err != HL_OK) {
        return err;
    }
    *log_time_us = label.log_time_us;
    memcpy(label.cluster_id, cluster_id, sizeof label.cluster_id);
    char *bytes = hl_malloc(HL_SNAP_BLOCK_MAX);
    size_t got = 1;
    err = hl_snap_writer_open(&writer, disk, dir, &label, msg);
    while (err == HL_OK && got > 0) {
        err = hl_snap_read(reader, bytes, HL_SNAP_BLOCK_MAX, &got, msg);
        if (err == HL_OK && got > 0) {
            err = hl_snap_write(writer, bytes, got, msg);
        }
    }
    if (err == HL_OK) {
        err = hl_snap_writer_finish(writer, msg);
        writer = NULL;
    }
    hl_snap_writer_abort(writer);
    if (err == HL_OK) {
        err = hl_snap_publish(disk, dir, index, msg);
    }
    hl_free(bytes);
    hl_snap_reader_close(reader);
    return err;
}

static hl_err append_members(struct hl_wal *wal, const struct hl_recovery *found, hl_term term,
                             const struct last *last, struct hl_errmsg *msg)
{
    const struct hl_member *self = found->self;
    struct hl_members members = {0};
    hl_err err = hl_members_put(&members, self->id, true, hl_slice_of(self->name),
                                hl_slice_of(self->raft_addr), hl_slice_of(self->client_addr));
    HL_ASSERT(err == HL_OK); /* it was decoded */
    struct hl_buf body = {0};
    hl_members_encode(&members, &body);
    struct hl_wal_entry entry = {.index = hl_wal_last(wal) + 1,
                                 .term = term,
                                 .type = HL_WAL_CFG,
                                 .log_time_us = last->log_time_us,
                                 .feature_level = last->level,
                                 .body = hl_buf_view(&body)};
    hl_wal_append(wal, &entry);
    hl_wal_note_committed(wal, entry.index);
    hl_buf_fini(&body);
    return hl_wal_flush(wal, msg);
}

hl_err hl_recovery_force(struct hl_wal *wal, const struct hl_disk *disk, const char *dir,
                         const struct hl_recovery *found, const unsigned char *cluster_id,
                         struct hl_errmsg *msg)
{
    const struct hl_wal_meta *meta = hl_wal_meta(wal);
    unsigned char boot_id[16];
    memcpy(boot_id, meta->boot_id, sizeof boot_id);
    hl_term last_term = found->snapshot_term;
    bool known = found->log_is_old || hl_terms_at(hl_wal_terms(wal), found->last, &last_term);
    HL_ASSERT(known);
    hl_term term = (meta->term > last_term ? meta->term : last_term) + 1;
    /* The id first: whatever comes of it, nobody of the former cluster is met again. */
    hl_wal_set_identity(wal, cluster_id, meta->node_id, meta->incarnation, boot_id);
    hl_wal_set_hard_state(wal, term, 0);
    hl_wal_note_removed(wal, false); /* from a cluster that it is no part of any more */
    hl_err err = hl_wal_flush(wal, msg);
    if (err == HL_OK && found->log_is_old) {
        err = hl_wal_reset(wal, found->snapshot, found->snapshot_term, msg);
    }
    struct last last = {.level =
                            HL_FEATURE_LEVEL}; /* of the entries before a snapshot: not known */
    if (err == HL_OK && found->snapshot != 0) {
        err = relabel(disk, dir, found->snapshot, cluster_id, &last.log_time_us, msg);
    }
    if (err == HL_OK && found->last >= hl_wal_first(wal)) {
        err = hl_wal_read(wal, found->last, found->last, on_last, &last, msg);
    }
    return err == HL_OK ? append_members(wal, found, term, &last, msg) : err;
}
