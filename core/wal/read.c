/* Reading entries back, from files and from plans that are not written yet (W6).
 *
 * Only bytes below a segment's `written` are taken from its file, so the log thread may write
 * behind them meanwhile.  One file stays open between calls: peers read on where they stopped.
 */
#include "wal/internal.h"

#include <inttypes.h>

#define WINDOW_SIZE (256u << 10) /* bytes read at once, or one record if that is more */

void hl_wal_reader_close(struct hl_wal *wal)
{
    if (wal->reader != -1) {
        wal->disk->close(wal->disk->ctx, wal->reader);
    }
    wal->reader = -1;
    hl_buf_fini(&wal->window);
}

static hl_err bad_record(const struct hl_wal *wal, const struct hl_wal_segment *segment,
                         uint64_t offset, struct hl_errmsg *msg)
{
    char name[HL_DISK_NAME_MAX];
    hl_wal_segment_name(name, segment->first);
    return hl_fail(msg, HL_ECORRUPT, "%s/%s: offset %" PRIu64 ": a record changed on disk",
                   wal->dir, name, offset);
}

/* Have `need` bytes at `offset` of the segment's file in the window. */
static hl_err fill_window(struct hl_wal *wal, const struct hl_wal_segment *segment, uint64_t offset,
                          size_t need, struct hl_errmsg *msg)
{
    if (wal->reader != -1 && wal->reader_segment == segment->first &&
        offset >= wal->window_offset && offset + need <= wal->window_offset + wal->window.len) {
        return HL_OK;
    }
    if (wal->reader == -1 || wal->reader_segment != segment->first) {
        hl_wal_reader_close(wal);
        char name[HL_DISK_NAME_MAX];
        hl_wal_segment_name(name, segment->first);
        hl_err err = wal->disk->open(wal->disk->ctx, wal->dir, name, false, &wal->reader, msg);
        if (err != HL_OK) {
            return err == HL_ENOENT ? HL_EIO : err;
        }
        wal->reader_segment = segment->first;
    }
    uint64_t rest = segment->written - offset;
    size_t len = need > WINDOW_SIZE ? need : rest < WINDOW_SIZE ? (size_t)rest : WINDOW_SIZE;
    hl_buf_clear(&wal->window);
    hl_buf_grow(&wal->window, len);
    wal->window_offset = offset;
    size_t got = 0;
    hl_err err =
        wal->disk->pread(wal->disk->ctx, wal->reader, wal->window.ptr, len, offset, &got, msg);
    if (err != HL_OK) {
        return err;
    }
    wal->window.len = got;
    return got < need ? bad_record(wal, segment, offset, msg) : HL_OK;
}

/* Bytes from `offset` of the segment that a plan holds; NULL when it holds none. */
static const char *find_planned(const struct wal_plan *plan, hl_index segment, uint64_t offset,
                                size_t *len)
{
    for (size_t i = 0; i < plan->pieces_count; i++) {
        const struct wal_piece *piece = &plan->pieces[i];
        if (piece->segment == segment && offset >= piece->offset &&
            offset < piece->offset + piece->keep) {
            size_t skip = (size_t)(offset - piece->offset);
            *len = piece->keep - skip;
            return plan->bytes.ptr + piece->at + skip;
        }
    }
    return NULL;
}

/* The record at `offset`, which the table says is there. */
static hl_err fetch(struct hl_wal *wal, const struct hl_wal_segment *segment, uint64_t offset,
                    struct hl_wal_record *out, struct hl_errmsg *msg)
{
    HL_ASSERT(offset < segment->planned);
    const char *bytes = NULL;
    size_t len = 0;
    if (offset >= segment->written) {
        for (unsigned n = 0; bytes == NULL && n <= wal->flights; n++) {
            bytes = find_planned(hl_wal_flight(wal, n), segment->first, offset, &len);
        }
        HL_ASSERT(bytes != NULL);
    } else {
        if (segment->written - offset < HL_WAL_RECORD_HEADER) {
            return bad_record(wal, segment, offset, msg);
        }
        hl_err err = fill_window(wal, segment, offset, HL_WAL_RECORD_HEADER, msg);
        if (err != HL_OK) {
            return err;
        }
        size_t size = hl_wal_claimed_size(wal->window.ptr + (offset - wal->window_offset));
        if (size == 0 || size > segment->written - offset) {
            return bad_record(wal, segment, offset, msg);
        }
        err = fill_window(wal, segment, offset, size, msg);
        if (err != HL_OK) {
            return err;
        }
        bytes = wal->window.ptr + (offset - wal->window_offset);
        len = size;
    }
    if (!hl_wal_decode_record(bytes, len, wal->seed, out)) {
        return bad_record(wal, segment, offset, msg);
    }
    return HL_OK;
}

void hl_wal_unplace(struct hl_wal *wal, hl_index index)
{
    for (size_t i = 0; i < WAL_PLACES; i++) {
        if (wal->places[i].index > index) {
            wal->places[i] = (struct wal_place){0};
        }
    }
}

/* Reading ended before the entry `index`, which starts here unless it opens a segment. */
static void note_place(struct hl_wal *wal, hl_index index, hl_index segment, uint64_t offset)
{
    for (size_t i = 0; i < WAL_PLACES; i++) {
        if (wal->places[i].index == index) {
            return;
        }
    }
    wal->places[wal->places_next++ % WAL_PLACES] =
        (struct wal_place){.index = index, .segment = segment, .offset = offset};
}

/* The nearest place at or before `index`, which is in the segment, that is known. */
static struct hl_wal_mark nearest(const struct hl_wal *wal, const struct hl_wal_segment *segment,
                                  hl_index index)
{
    struct hl_wal_mark best = hl_wal_segment_near(segment, index);
    for (size_t i = 0; i < WAL_PLACES; i++) {
        const struct wal_place *place = &wal->places[i];
        if (place->segment == segment->first && place->index > best.index &&
            place->index <= index) {
            best = (struct hl_wal_mark){.index = place->index, .offset = place->offset};
        }
    }
    return best;
}

/* The record of `index`, which is in the log, and where it is. */
static hl_err seek(struct hl_wal *wal, hl_index index, struct hl_wal_segment **segment,
                   uint64_t *offset, struct hl_wal_record *record, struct hl_errmsg *msg)
{
    *segment = hl_wal_segments_find(&wal->segments, index);
    HL_ASSERT(*segment != NULL);
    struct hl_wal_mark mark = nearest(wal, *segment, index);
    for (;; mark.index++) {
        hl_err err = fetch(wal, *segment, mark.offset, record, msg);
        if (err != HL_OK) {
            return err;
        }
        if (record->entry.index != mark.index) {
            return bad_record(wal, *segment, mark.offset, msg);
        }
        if (mark.index == index) {
            *offset = mark.offset;
            return HL_OK;
        }
        mark.offset += record->size;
    }
}

hl_err hl_wal_locate(struct hl_wal *wal, hl_index index, hl_index *segment, uint64_t *offset,
                     uint32_t *chain, struct hl_errmsg *msg)
{
    struct hl_wal_segment *found = hl_wal_segments_find(&wal->segments, index);
    HL_ASSERT(found != NULL);
    if (index == found->first) {
        *segment = found->first;
        *offset = HL_WAL_SEGMENT_HEADER;
        *chain = found->prev;
        return HL_OK;
    }
    struct hl_wal_record record;
    uint64_t before = 0;
    hl_err err = seek(wal, index - 1, &found, &before, &record, msg);
    if (err != HL_OK) {
        return err;
    }
    *segment = found->first;
    *offset = before + record.size;
    *chain = record.crc;
    return HL_OK;
}

hl_err hl_wal_read(struct hl_wal *wal, hl_index index, hl_index last, hl_wal_entry_fn each,
                   void *arg, struct hl_errmsg *msg)
{
    HL_ASSERT(index >= hl_wal_first(wal) && last <= wal->last);
    HL_ASSERT(!wal->is_begun);
    if (index > last) {
        return HL_OK;
    }
    struct hl_wal_segment *segment = NULL;
    struct hl_wal_record record;
    uint64_t offset = 0;
    hl_err err = seek(wal, index, &segment, &offset, &record, msg);
    while (err == HL_OK && each(arg, &record.entry) && index < last) {
        index++;
        offset += record.size;
        if (offset >= segment->planned) {
            segment = hl_wal_segments_find(&wal->segments, index);
            offset = HL_WAL_SEGMENT_HEADER;
        }
        err = fetch(wal, segment, offset, &record, msg);
        if (err == HL_OK && record.entry.index != index) {
            err = bad_record(wal, segment, offset, msg);
        }
    }
    if (err == HL_OK) {
        note_place(wal, index + 1, segment->first, offset + record.size);
    }
    return err;
}
