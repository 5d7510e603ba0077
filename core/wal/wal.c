/* Opening, closing and asking: what is not a matter of one entry or one batch. */
#include "wal/internal.h"

#include "kit/alloc.h"

#include <string.h>

#define PLAN_KEEP_MAX ((size_t)8 << 20) /* bytes of memory that an idle plan holds on to */

void hl_wal_assert(const struct hl_wal *wal)
{
    HL_ASSERT(wal->synced <= wal->written);
    HL_ASSERT(wal->written <= wal->last);
    HL_ASSERT(wal->durable <= wal->last);
    HL_ASSERT(wal->out <= wal->flights);
    HL_ASSERT(wal->flights <= HL_WAL_FLIGHTS_MAX);
    const struct hl_wal_segment *tail = hl_wal_segments_tail(&wal->segments);
    HL_ASSERT(tail == NULL || tail->written <= tail->planned);
    HL_ASSERT(tail == NULL || tail->first <= wal->last + 1);
    HL_ASSERT(tail != NULL || wal->last == wal->meta.base);
    HL_ASSERT(wal->terms.base == wal->meta.base && wal->terms.last == wal->last); /* W7 */
}

void hl_wal_note_entry(struct hl_wal *wal, const struct hl_wal_entry *entry)
{
    struct hl_terms *terms = &wal->terms;
    HL_ASSERT(entry->index == terms->last + 1);
    if (terms->count != 0 && terms->runs[terms->count - 1].term == entry->term) {
        terms->last = entry->index; /* nearly always */
    } else {
        hl_terms_append(terms, entry->index, entry->term);
    }
    if (entry->type != HL_WAL_CFG) {
        return;
    }
    if (wal->configs_count == wal->configs_cap) {
        wal->configs_cap = wal->configs_cap == 0 ? 4 : wal->configs_cap * 2;
        wal->configs = hl_realloc(wal->configs, wal->configs_cap * sizeof *wal->configs);
    }
    wal->configs[wal->configs_count++] = entry->index;
}

void hl_wal_unnote_from(struct hl_wal *wal, hl_index index)
{
    hl_terms_truncate(&wal->terms, index - 1);
    while (wal->configs_count != 0 && wal->configs[wal->configs_count - 1] >= index) {
        wal->configs_count--;
    }
}

void hl_wal_unnote_to(struct hl_wal *wal, hl_index base)
{
    hl_terms_compact(&wal->terms, base);
    size_t gone = 0;
    while (gone < wal->configs_count && wal->configs[gone] <= base) {
        gone++;
    }
    wal->configs_count -= gone;
    if (gone != 0) {
        memmove(wal->configs, wal->configs + gone, wal->configs_count * sizeof *wal->configs);
    }
}

struct wal_plan *hl_wal_flight(struct hl_wal *wal, unsigned n)
{
    HL_ASSERT(n <= wal->flights);
    return &wal->plans[(wal->oldest + n) % WAL_PLANS];
}

struct wal_plan *hl_wal_pending(struct hl_wal *wal)
{
    return hl_wal_flight(wal, wal->flights);
}

void hl_wal_plan_clear(struct wal_plan *plan)
{
    struct hl_buf bytes = plan->bytes;
    struct hl_buf removals = plan->removals;
    struct hl_buf drops = plan->drops;
    struct wal_piece *pieces = plan->pieces;
    size_t pieces_cap = plan->pieces_cap;
    if (bytes.cap > PLAN_KEEP_MAX) {
        hl_buf_fini(&bytes);
    }
    hl_buf_clear(&bytes);
    hl_buf_clear(&removals);
    hl_buf_clear(&drops);
    *plan = (struct wal_plan){.bytes = bytes,
                              .removals = removals,
                              .drops = drops,
                              .pieces = pieces,
                              .pieces_cap = pieces_cap,
                              .keep_last = UINT64_MAX};
}

static void free_wal(struct hl_wal *wal)
{
    for (size_t i = 0; i < WAL_PLANS; i++) {
        hl_buf_fini(&wal->plans[i].bytes);
        hl_buf_fini(&wal->plans[i].removals);
        hl_buf_fini(&wal->plans[i].drops);
        hl_free(wal->plans[i].pieces);
    }
    hl_wal_segments_fini(&wal->segments);
    hl_terms_fini(&wal->terms);
    hl_free(wal->configs);
    hl_buf_fini(&wal->window);
    hl_free(wal->dir);
    hl_free(wal);
}

static struct hl_wal *new_wal(const struct hl_disk *disk, const struct hl_wal_options *options)
{
    struct hl_wal *wal = hl_calloc(1, sizeof *wal);
    wal->disk = disk;
    wal->dir = hl_strndup(options->dir, strlen(options->dir));
    wal->lock = -1;
    wal->segment_size =
        options->segment_size == 0 ? HL_WAL_SEGMENT_SIZE_DEFAULT : options->segment_size;
    wal->segment_size = wal->segment_size / HL_WAL_ALIGN * HL_WAL_ALIGN;
    wal->sync = options->sync;
    wal->overlap = 1;
    wal->writer.file = -1;
    wal->reader = -1;
    for (size_t i = 0; i < WAL_PLANS; i++) {
        wal->plans[i].keep_last = UINT64_MAX;
        wal->syncers[i] = -1;
    }
    return wal;
}

hl_err hl_wal_open(struct hl_wal **out, const struct hl_disk *disk,
                   const struct hl_wal_options *options, struct hl_wal_findings *findings,
                   struct hl_errmsg *msg)
{
    HL_ASSERT(out != NULL && disk != NULL && options->dir != NULL);
    HL_ASSERT(options->segment_size == 0 || (options->segment_size >= HL_WAL_SEGMENT_SIZE_MIN &&
                                             options->segment_size <= HL_WAL_SEGMENT_SIZE_MAX));
    struct hl_wal *wal = new_wal(disk, options);
    hl_err err = HL_OK;
    if (options->repair != HL_WAL_READ_ONLY && options->repair != HL_WAL_READ_GOOD) {
        err = disk->lock(disk->ctx, wal->dir, &wal->lock, msg);
        if (err != HL_OK) {
            goto fail_free;
        }
    }
    struct hl_wal_findings unused;
    err = hl_wal_recover(wal, options, findings == NULL ? &unused : findings, msg);
    if (err != HL_OK) {
        goto fail_unlock;
    }
    hl_wal_assert(wal);
    *out = wal;
    return HL_OK;

fail_unlock:
    if (wal->lock != -1) {
        disk->unlock(disk->ctx, wal->lock);
    }
fail_free:
    free_wal(wal);
    return err;
}

void hl_wal_close(struct hl_wal *wal)
{
    if (wal == NULL) {
        return;
    }
    HL_ASSERT(wal->out == 0);
    hl_wal_reader_close(wal);
    hl_wal_writer_close(wal);
    if (wal->lock != -1) {
        wal->disk->unlock(wal->disk->ctx, wal->lock);
    }
    free_wal(wal);
}

hl_index hl_wal_first(const struct hl_wal *wal)
{
    return wal->segments.count == 0 ? wal->last + 1 : wal->segments.at[0].first;
}

const struct hl_terms *hl_wal_terms(const struct hl_wal *wal)
{
    return &wal->terms;
}

const hl_index *hl_wal_configs(const struct hl_wal *wal, size_t *count)
{
    *count = wal->configs_count;
    return wal->configs;
}

hl_index hl_wal_last(const struct hl_wal *wal)
{
    return wal->last;
}

hl_index hl_wal_durable(const struct hl_wal *wal)
{
    return wal->durable;
}

hl_index hl_wal_synced(const struct hl_wal *wal)
{
    return wal->synced;
}

size_t hl_wal_pending_size(const struct hl_wal *wal)
{
    size_t sum = 0;
    for (size_t i = 0; i < WAL_PLANS; i++) {
        sum += wal->plans[i].bytes.len;
    }
    return sum;
}

uint64_t hl_wal_size_on_disk(const struct hl_wal *wal)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < wal->segments.count; i++) {
        sum += wal->segments.at[i].capacity;
    }
    return sum;
}

uint64_t hl_wal_size_used(const struct hl_wal *wal)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < wal->segments.count; i++) {
        sum += wal->segments.at[i].planned - HL_WAL_SEGMENT_HEADER;
    }
    return sum;
}

uint64_t hl_wal_size_free(const struct hl_wal *wal)
{
    const struct hl_wal_segment *tail = hl_wal_segments_tail(&wal->segments);
    return tail == NULL || tail->capacity < tail->planned ? 0 : tail->capacity - tail->planned;
}

bool hl_wal_is_poisoned(const struct hl_wal *wal)
{
    return wal->poisoned;
}

const struct hl_wal_meta *hl_wal_meta(const struct hl_wal *wal)
{
    return &wal->meta;
}

void hl_wal_set_hard_state(struct hl_wal *wal, hl_term term, uint64_t vote)
{
    HL_ASSERT(wal->lock != -1);
    HL_ASSERT(term >= wal->meta.term);
    HL_ASSERT(term > wal->meta.term || wal->meta.vote == 0 || wal->meta.vote == vote);
    wal->meta.term = term;
    wal->meta.vote = vote;
    hl_wal_pending(wal)->has_meta = true;
}

void hl_wal_set_identity(struct hl_wal *wal, const unsigned char *cluster_id, uint64_t node_id,
                         uint64_t incarnation, const unsigned char *boot_id)
{
    HL_ASSERT(wal->lock != -1);
    memcpy(wal->meta.cluster_id, cluster_id, sizeof wal->meta.cluster_id);
    memcpy(wal->meta.boot_id, boot_id, sizeof wal->meta.boot_id);
    wal->meta.node_id = node_id;
    wal->meta.incarnation = incarnation;
    hl_wal_pending(wal)->has_meta = true;
}

void hl_wal_note_committed(struct hl_wal *wal, hl_index index)
{
    HL_ASSERT(wal->lock != -1);
    HL_ASSERT(index <= wal->last);
    if (index > wal->meta.committed) {
        wal->meta.committed = index;
        hl_wal_pending(wal)->has_meta = true;
    }
}

void hl_wal_note_removed(struct hl_wal *wal, bool removed)
{
    HL_ASSERT(wal->lock != -1);
    wal->meta.removed = removed;
    hl_wal_pending(wal)->has_meta = true;
}

hl_err hl_wal_flush(struct hl_wal *wal, struct hl_errmsg *msg)
{
    HL_ASSERT(wal->out == 0);
    struct hl_wal_batch batch;
    while (hl_wal_batch_take(wal, &batch)) {
        hl_err err = hl_wal_batch_write(wal, &batch, msg);
        hl_wal_batch_done(wal, &batch, err);
        if (err != HL_OK) {
            return err;
        }
    }
    if (wal->poisoned) {
        return hl_fail(msg, HL_EIO, "%s: an earlier write failed", wal->dir);
    }
    return HL_OK;
}

hl_err hl_wal_reset(struct hl_wal *wal, hl_index base, hl_term term, struct hl_errmsg *msg)
{
    HL_ASSERT(wal->out == 0 && !wal->is_begun);
    HL_ASSERT(wal->lock != -1);
    hl_wal_reader_close(wal);
    hl_wal_unplace(wal, 0);
    struct wal_plan *plan = hl_wal_pending(wal);
    struct hl_buf removals = plan->removals;
    struct hl_buf drops = plan->drops;
    plan->removals = plan->drops = (struct hl_buf){0};
    hl_wal_plan_clear(plan);
    plan->removals = removals;
    plan->drops = drops;
    while (wal->segments.count > 0) {
        uint64_t first = hl_wal_segments_tail(&wal->segments)->first;
        hl_buf_append(&plan->removals, &first, sizeof first);
        hl_wal_segments_pop(&wal->segments);
    }
    /* First the log goes, newest entries first; then the base moves.  A crash between leaves a
     * shorter log, and the snapshot ahead of it. */
    if (wal->meta.watermark > wal->meta.base) {
        wal->meta.watermark = wal->meta.base;
    }
    wal->last = wal->written = wal->synced = wal->durable = wal->meta.base;
    hl_wal_unnote_from(wal, wal->meta.base + 1);
    for (unsigned n = 0; n < wal->flights; n++) { /* retained for want of space */
        struct wal_plan *retained = hl_wal_flight(wal, n);
        retained->keep_last = 0;
        for (size_t i = 0; i < retained->pieces_count; i++) {
            retained->pieces[i].keep = 0;
        }
    }
    plan->has_meta = true;
    hl_err err = hl_wal_flush(wal, msg);
    if (err != HL_OK) {
        return err;
    }
    wal->meta.base = wal->meta.watermark = base;
    wal->meta.base_term = term;
    hl_terms_reset(&wal->terms, base, term);
    wal->last = wal->written = wal->synced = wal->durable = base;
    hl_wal_pending(wal)->has_meta = true;
    err = hl_wal_flush(wal, msg);
    hl_wal_assert(wal);
    return err;
}
