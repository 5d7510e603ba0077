/* Batches: handed from the loop to the log thread, executed there, and ended on the loop.
 *
 * Every step of a plan may be done twice with the same result, so a batch that met a full disk is
 * simply executed again from its start.
 */
#include "wal/internal.h"

#define SMALL_BATCH (16 * 1024) /* bytes; one so small is mostly the cost of its sync */
#define ZERO_AHEAD (128 * 1024)
#define NOTE_AFTER (8u << 20) /* bytes; what is written again when opening, at most */

void hl_wal_set_overlap(struct hl_wal *wal, unsigned count)
{
    HL_ASSERT(count >= 1 && count <= HL_WAL_FLIGHTS_MAX);
    wal->overlap = count;
}

/* Does the plan more than write records and sync them? */
static bool has_chores(const struct wal_plan *plan)
{
    return plan->has_meta || plan->cut_segment != 0 || plan->removals.len > 0 ||
           plan->drops.len > 0;
}

/* May others be in flight with it (W8)? */
static bool may_share(const struct hl_wal *wal, const struct wal_plan *plan)
{
    return wal->overlap > 1 && wal->sync == HL_WAL_SYNC_EVERY && !has_chores(plan) &&
           plan->pieces_count == 1 && plan->pieces[0].capacity == 0;
}

/* Does the plan that collects hold anything, and may it fly with those that do? */
static bool may_take_pending(struct hl_wal *wal)
{
    const struct wal_plan *plan = hl_wal_pending(wal);
    if (plan->pieces_count == 0 && !plan->wants_sync && !has_chores(plan)) {
        return false;
    }
    return wal->flights == 0 || (may_share(wal, plan) && wal->flights < wal->overlap &&
                                 hl_wal_flight(wal, wal->flights - 1)->shares);
}

/* Have those that met a full disk to be tried again, before any other? */
static bool has_kept(const struct hl_wal *wal)
{
    return wal->flights > wal->out;
}

bool hl_wal_batch_waits(struct hl_wal *wal)
{
    if (wal->poisoned) {
        return false;
    }
    return has_kept(wal) ? wal->out == 0 : may_take_pending(wal);
}

/* The oldest of those that met a full disk: nothing is in flight any more. */
static struct wal_plan *take_again(struct hl_wal *wal)
{
    wal->stopped = HL_OK;
    return hl_wal_flight(wal, 0);
}

static struct wal_plan *take_pending(struct hl_wal *wal)
{
    struct wal_plan *plan = hl_wal_pending(wal);
    plan->shares = may_share(wal, plan);
    plan->meta = wal->meta;
    plan->wants_sync |= wal->sync == HL_WAL_SYNC_EVERY && plan->pieces_count > 0;
    plan->fills = wal->sync == HL_WAL_SYNC_EVERY && plan->wants_sync;
    wal->flights++;
    return plan;
}

bool hl_wal_batch_take(struct hl_wal *wal, struct hl_wal_batch *out)
{
    HL_ASSERT(!wal->is_begun);
    if (!hl_wal_batch_waits(wal)) {
        return false;
    }
    bool again = has_kept(wal);
    struct wal_plan *plan = again ? take_again(wal) : take_pending(wal);
    plan->is_out = true;
    wal->out++;
    *out = (struct hl_wal_batch){.plan = plan,
                                 .first = plan->first,
                                 .last = plan->last,
                                 .size = plan->bytes.len,
                                 .shares = plan->shares,
                                 .again = again};
    return true;
}

void hl_wal_writer_close(struct hl_wal *wal)
{
    if (wal->writer.file != -1) {
        wal->disk->close(wal->disk->ctx, wal->writer.file);
    }
    wal->writer = (struct wal_writer){.file = -1};
    for (size_t i = 0; i < WAL_PLANS; i++) {
        if (wal->syncers[i] != -1) {
            wal->disk->close(wal->disk->ctx, wal->syncers[i]);
            wal->syncers[i] = -1;
        }
    }
}

static hl_err sync_writer(struct hl_wal *wal, struct hl_errmsg *msg)
{
    if (!wal->writer.dirty) {
        return HL_OK;
    }
    hl_err err = wal->disk->fdatasync(wal->disk->ctx, wal->writer.file, msg);
    if (err == HL_OK) {
        wal->writer.dirty = false;
    }
    return err;
}

static hl_err open_segment(struct hl_wal *wal, hl_index first, bool create, int *file,
                           struct hl_errmsg *msg)
{
    char name[HL_DISK_NAME_MAX];
    hl_wal_segment_name(name, first);
    hl_err err = wal->disk->open(wal->disk->ctx, wal->dir, name, create, file, msg);
    return err == HL_ENOENT ? hl_fail(msg, HL_EIO, "%s/%s: somebody removed it", wal->dir, name)
                            : err;
}

/* Open the segment `first`, closing the one that was open. */
static hl_err switch_writer(struct hl_wal *wal, hl_index first, bool create, struct hl_errmsg *msg)
{
    HL_ASSERT(!wal->writer.dirty || wal->writer.segment == first);
    hl_wal_writer_close(wal);
    int file = -1;
    hl_err err = open_segment(wal, first, create, &file, msg);
    if (err == HL_OK) {
        wal->writer = (struct wal_writer){.file = file, .segment = first, .dirty = true};
    }
    return err;
}

/* Remove the segments listed; those that are not there any more count as removed. */
static hl_err remove_all(struct hl_wal *wal, const struct hl_buf *list, struct hl_errmsg *msg)
{
    for (size_t at = 0; at < list->len; at += sizeof(hl_index)) {
        hl_index first;
        memcpy(&first, list->ptr + at, sizeof first);
        char name[HL_DISK_NAME_MAX];
        hl_wal_segment_name(name, first);
        if (wal->writer.file != -1 && wal->writer.segment == first) {
            hl_wal_writer_close(wal);
        }
        hl_err err = wal->disk->remove(wal->disk->ctx, wal->dir, name, msg);
        if (err != HL_OK && err != HL_ENOENT) {
            return err;
        }
    }
    return HL_OK;
}

/* Removals are durable before the cut, so that no later segment outlives the earlier one's end. */
static hl_err cut(struct hl_wal *wal, const struct wal_plan *plan, struct hl_errmsg *msg)
{
    const struct hl_disk *disk = wal->disk;
    hl_err err = remove_all(wal, &plan->removals, msg);
    if (err == HL_OK && plan->removals.len > 0) {
        err = disk->sync_dir(disk->ctx, wal->dir, msg);
    }
    if (err != HL_OK || plan->cut_segment == 0) {
        return err;
    }
    err = sync_writer(wal, msg);
    if (err == HL_OK) {
        err = switch_writer(wal, plan->cut_segment, false, msg);
    }
    if (err == HL_OK) {
        wal->writer.zeroed = 0;
        err = disk->truncate(disk->ctx, wal->writer.file, plan->cut_offset, msg);
    }
    if (err == HL_OK) { /* or some of the old records could come back between new zeros */
        err = sync_writer(wal, msg);
        wal->writer.dirty = true;
    }
    if (err == HL_OK) {
        err = disk->preallocate(disk->ctx, wal->writer.file, plan->cut_capacity, msg);
    }
    if (err == HL_OK) {
        err = sync_writer(wal, msg);
    }
    return err;
}

/* Seal the segment before and make this one (V4). */
static hl_err create_segment(struct hl_wal *wal, struct wal_plan *plan,
                             const struct wal_piece *piece, struct hl_errmsg *msg)
{
    const struct hl_disk *disk = wal->disk;
    hl_err err = sync_writer(wal, msg);
    if (err != HL_OK) {
        return err;
    }
    if (plan->meta.watermark < piece->segment - 1) {
        plan->meta.watermark = piece->segment - 1;
    }
    err = hl_wal_meta_save(disk, wal->dir, &plan->meta, msg);
    if (err == HL_OK) {
        err = switch_writer(wal, piece->segment, true, msg);
    }
    if (err == HL_OK) {
        err = disk->preallocate(disk->ctx, wal->writer.file, piece->capacity, msg);
    }
    if (err == HL_OK) {
        err = disk->sync_dir(disk->ctx, wal->dir, msg);
    }
    if (err != HL_OK) {
        return err;
    }
    char header[HL_WAL_SEGMENT_HEADER];
    hl_wal_encode_segment(header, &(struct hl_wal_segment_header){.first = piece->segment,
                                                                  .prev = piece->prev,
                                                                  .salt = plan->meta.salt});
    return disk->pwrite(disk->ctx, wal->writer.file, header, sizeof header, 0, msg);
}

/*
 * The first write into a block that was only reserved makes the next sync write metadata too, with
 * a second trip to the disk.  So the blocks that the next small batches will fill are filled with
 * zeros now, many at a time, and covered by the same sync.  They read as they did: as zeros.
 */
static hl_err zero_ahead(struct hl_wal *wal, const struct wal_plan *plan,
                         const struct wal_piece *piece, struct hl_errmsg *msg)
{
    static const char zeros[ZERO_AHEAD];
    uint64_t end = piece->offset + piece->len;
    if (end <= wal->writer.zeroed) {
        return HL_OK;
    }
    wal->writer.zeroed = end;
    if (!plan->fills || piece->len > SMALL_BATCH || end >= piece->room) {
        return HL_OK;
    }
    size_t len = piece->room - end < ZERO_AHEAD ? (size_t)(piece->room - end) : ZERO_AHEAD;
    hl_err err = wal->disk->pwrite(wal->disk->ctx, wal->writer.file, zeros, len, end, msg);
    if (err == HL_OK) {
        wal->writer.zeroed = end + len;
    }
    return err;
}

/* Have the plan's own handle of the segment that the writer has open (W9), if there is one to be
 * had: else hl_wal_batch_put() syncs by the writer's. */
static hl_err open_syncer(struct hl_wal *wal, const struct wal_plan *plan, struct hl_errmsg *msg)
{
    int *file = &wal->syncers[plan - wal->plans];
    if (*file != -1) {
        return HL_OK;
    }
    hl_err err = open_segment(wal, wal->writer.segment, false, file, msg);
    return err == HL_EFULL ? HL_OK : err;
}

static hl_err write_piece(struct hl_wal *wal, struct wal_plan *plan, const struct wal_piece *piece,
                          struct hl_errmsg *msg)
{
    hl_err err = HL_OK;
    if (piece->capacity > 0) {
        err = create_segment(wal, plan, piece, msg);
    } else if (wal->writer.file == -1 || wal->writer.segment != piece->segment) {
        err = sync_writer(wal, msg);
        if (err == HL_OK) {
            err = switch_writer(wal, piece->segment, false, msg);
        }
    }
    if (err == HL_OK && plan->shares) {
        err = open_syncer(wal, plan, msg);
    }
    if (err != HL_OK || piece->len == 0) {
        return err;
    }
    wal->writer.dirty = true;
    err = wal->disk->pwrite(wal->disk->ctx, wal->writer.file, plan->bytes.ptr + piece->at,
                            piece->len, piece->offset, msg);
    return err == HL_OK ? zero_ahead(wal, plan, piece, msg) : err;
}

hl_err hl_wal_batch_put(struct hl_wal *wal, const struct hl_wal_batch *batch, struct hl_errmsg *msg)
{
    struct wal_plan *plan = batch->plan;
    HL_ASSERT(plan->is_out);
    if (wal->stopped != HL_OK) {
        return hl_fail(msg, wal->stopped, "%s: the entries before these were not written",
                       wal->dir);
    }
    hl_err err = HL_OK;
    if (plan->has_meta) {
        err = hl_wal_meta_save(wal->disk, wal->dir, &plan->meta, msg);
    }
    if (err == HL_OK) {
        err = cut(wal, plan, msg);
    }
    for (size_t i = 0; err == HL_OK && i < plan->pieces_count; i++) {
        err = write_piece(wal, plan, &plan->pieces[i], msg);
    }
    if (err == HL_OK && plan->shares && wal->syncers[plan - wal->plans] == -1) {
        err = sync_writer(wal, msg);
    }
    wal->stopped = err;
    return err;
}

hl_err hl_wal_batch_sync(struct hl_wal *wal, const struct hl_wal_batch *batch,
                         struct hl_errmsg *msg)
{
    const struct wal_plan *plan = batch->plan;
    HL_ASSERT(plan->is_out);
    if (plan->shares) { /* the writer is another's by now, so it stays dirty */
        int file = wal->syncers[plan - wal->plans];
        return file == -1 ? HL_OK : wal->disk->fdatasync(wal->disk->ctx, file, msg);
    }
    hl_err err = plan->wants_sync ? sync_writer(wal, msg) : HL_OK;
    return err == HL_OK ? remove_all(wal, &plan->drops, msg) : err;
}

hl_err hl_wal_batch_write(struct hl_wal *wal, const struct hl_wal_batch *batch,
                          struct hl_errmsg *msg)
{
    hl_err err = hl_wal_batch_put(wal, batch, msg);
    return err == HL_OK ? hl_wal_batch_sync(wal, batch, msg) : err;
}

static void raise(hl_index *value, hl_index least)
{
    *value = *value < least ? least : *value;
}

/* Take over what the log thread did, as far as no truncation came since. */
static void merge(struct hl_wal *wal, const struct wal_plan *plan)
{
    hl_index keep = plan->keep_last;
    hl_index sealed = 0;
    for (size_t i = 0; i < plan->pieces_count; i++) {
        const struct wal_piece *piece = &plan->pieces[i];
        if (piece->capacity > 0) {
            sealed = piece->segment - 1;
        }
        struct hl_wal_segment *segment = hl_wal_segments_find(&wal->segments, piece->segment);
        if (piece->keep > 0 && segment != NULL && segment->first == piece->segment) {
            raise(&segment->written, piece->offset + piece->keep);
        }
    }
    if (sealed > keep) {
        sealed = keep;
    }
    raise(&wal->meta.watermark, sealed);
    raise(&wal->written, plan->last < keep ? plan->last : keep);
    raise(&wal->synced, plan->wants_sync ? wal->written : sealed);
    raise(&wal->durable, wal->sync == HL_WAL_SYNC_EVERY ? wal->synced : wal->written);
    wal->unnoted += plan->bytes.len;
    if (wal->meta.watermark <= wal->meta.base || wal->unnoted > NOTE_AFTER) {
        hl_wal_note_watermark(wal); /* C11, C12 */
        wal->unnoted = 0;
    }
}

void hl_wal_batch_done(struct hl_wal *wal, const struct hl_wal_batch *batch, hl_err err)
{
    struct wal_plan *plan = batch->plan;
    HL_ASSERT(plan->is_out);
    plan->is_out = false;
    wal->out--;
    if (wal->poisoned || err == HL_EFULL) {
        return; /* W2; or it is kept, to be taken again */
    }
    if (err != HL_OK) {
        wal->poisoned = true; /* W2 */
        return;
    }
    HL_ASSERT(plan == hl_wal_flight(wal, 0)); /* W8 */
    merge(wal, plan);
    hl_wal_plan_clear(plan);
    wal->oldest = (wal->oldest + 1) % WAL_PLANS;
    wal->flights--;
    hl_wal_assert(wal);
}

void hl_wal_request_sync(struct hl_wal *wal)
{
    hl_wal_pending(wal)->wants_sync = true;
}

void hl_wal_set_sync(struct hl_wal *wal, enum hl_wal_sync sync)
{
    if (sync == HL_WAL_SYNC_EVERY && wal->sync != HL_WAL_SYNC_EVERY) {
        hl_wal_request_sync(wal);
    }
    wal->sync = sync;
}
