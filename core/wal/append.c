/* The loop's side of writing: entries into the collecting plan, and out of it again. */
#include "wal/internal.h"

#include "kit/alloc.h"

static struct wal_piece *add_piece(struct wal_plan *plan)
{
    if (plan->pieces_count == plan->pieces_cap) {
        plan->pieces_cap = plan->pieces_cap == 0 ? 4 : plan->pieces_cap * 2;
        plan->pieces = hl_realloc(plan->pieces, plan->pieces_cap * sizeof *plan->pieces);
    }
    struct wal_piece *piece = &plan->pieces[plan->pieces_count++];
    *piece = (struct wal_piece){0};
    return piece;
}

struct hl_buf *hl_wal_append_begin(struct hl_wal *wal)
{
    HL_ASSERT(wal->lock != -1);
    HL_ASSERT(!wal->is_begun);
    struct hl_buf *bytes = &hl_wal_pending(wal)->bytes;
    wal->is_begun = true;
    wal->begun = bytes->len;
    hl_buf_grow(bytes, HL_WAL_RECORD_HEADER);
    bytes->len += HL_WAL_RECORD_HEADER; /* filled when the entry is sealed */
    return bytes;
}

void hl_wal_append_cancel(struct hl_wal *wal)
{
    HL_ASSERT(wal->is_begun);
    hl_wal_pending(wal)->bytes.len = wal->begun;
    wal->is_begun = false;
}

/* Where a record of `size` bytes goes: the piece that ends at the tail, or a new one. */
static struct wal_piece *place(struct hl_wal *wal, hl_index index, size_t size)
{
    struct wal_plan *plan = hl_wal_pending(wal);
    struct hl_wal_segment *tail = hl_wal_segments_tail(&wal->segments);
    bool opens = tail == NULL || tail->planned + size > tail->capacity;
    if (opens) {
        uint64_t need = HL_WAL_SEGMENT_HEADER + size;
        uint64_t capacity = need > wal->segment_size ? need : wal->segment_size;
        tail = hl_wal_segments_push(&wal->segments, index, capacity, wal->chain);
    }
    struct wal_piece *piece =
        plan->pieces_count == 0 ? NULL : &plan->pieces[plan->pieces_count - 1];
    if (opens || piece == NULL) {
        piece = add_piece(plan);
        piece->segment = tail->first;
        piece->offset = tail->planned;
        piece->capacity = opens ? tail->capacity : 0;
        piece->room = tail->capacity;
        piece->prev = tail->prev;
        piece->at = wal->begun;
    }
    HL_ASSERT(piece->segment == tail->first);
    HL_ASSERT(piece->offset + piece->len == tail->planned);
    return piece;
}

void hl_wal_append_end(struct hl_wal *wal, const struct hl_wal_entry *entry)
{
    HL_ASSERT(wal->is_begun);
    HL_ASSERT(entry->index == wal->last + 1);
    struct wal_plan *plan = hl_wal_pending(wal);
    struct hl_wal_entry sealed = *entry;
    sealed.body.len = plan->bytes.len - wal->begun - HL_WAL_RECORD_HEADER;
    HL_ASSERT(sealed.body.len <= HL_WAL_BODY_MAX);

    size_t size = hl_wal_record_size(sealed.body.len);
    static const char zeros[HL_WAL_ALIGN];
    hl_buf_append(&plan->bytes, zeros, wal->begun + size - plan->bytes.len);
    struct wal_piece *piece = place(wal, entry->index, size);
    uint32_t prev = wal->chain;
    wal->chain =
        hl_wal_encode_record(plan->bytes.ptr + wal->begun, wal->seed, prev, wal->synced, &sealed);
    struct hl_wal_segment *tail = hl_wal_segments_tail(&wal->segments);
    hl_wal_segment_mark(tail, entry->index, tail->planned);
    tail->planned += size;
    piece->len += size;
    piece->keep = piece->len;
    if (plan->first == 0) {
        plan->first = entry->index;
    }
    plan->last = entry->index;
    /* Who counts must not be forgotten, whatever else may be (PROTOCOL 1). */
    plan->wants_sync |= entry->type == HL_WAL_CFG;
    hl_wal_note_entry(wal, entry);
    wal->last = entry->index;
    wal->is_begun = false;
}

void hl_wal_append(struct hl_wal *wal, const struct hl_wal_entry *entry)
{
    struct hl_buf *bytes = hl_wal_append_begin(wal);
    hl_buf_append_slice(bytes, entry->body);
    hl_wal_append_end(wal, entry);
}

/* Cut inside what the collecting plan holds: the disk never learns of it. */
static void clip_pending(struct hl_wal *wal, size_t at, uint64_t offset, hl_index index)
{
    struct wal_plan *plan = hl_wal_pending(wal);
    struct wal_piece *piece = &plan->pieces[at];
    piece->len = piece->keep = (size_t)(offset - piece->offset);
    plan->bytes.len = piece->at + piece->len;
    plan->pieces_count = at + (piece->len > 0 || piece->capacity > 0);
    plan->last = index - 1;
    if (plan->first > plan->last) {
        plan->first = plan->last = 0;
    }
    while (hl_wal_segments_tail(&wal->segments)->first > piece->segment) {
        hl_wal_segments_pop(&wal->segments);
    }
}

static bool creates(const struct wal_plan *plan, hl_index segment)
{
    for (size_t i = 0; i < plan->pieces_count; i++) {
        if (plan->pieces[i].segment == segment && plan->pieces[i].capacity > 0) {
            return true;
        }
    }
    return false;
}

/* What a plan that was taken holds behind the cut is no part of the log any more. */
static void clip_flight(struct wal_plan *plan, hl_index segment, uint64_t offset, hl_index index)
{
    for (size_t i = 0; i < plan->pieces_count; i++) {
        struct wal_piece *piece = &plan->pieces[i];
        if (piece->segment > segment || (piece->segment == segment && piece->offset >= offset)) {
            piece->keep = 0;
        } else if (piece->segment == segment && piece->offset + piece->keep > offset) {
            piece->keep = (size_t)(offset - piece->offset);
        }
    }
    if (plan->keep_last >= index) {
        plan->keep_last = index - 1;
    }
}

/* Cut before what the collecting plan holds: it is emptied, and told to cut the disk. */
static void cut_written(struct hl_wal *wal, hl_index segment, uint64_t offset, hl_index index)
{
    struct wal_plan *plan = hl_wal_pending(wal);
    for (;;) {
        struct hl_wal_segment *tail = hl_wal_segments_tail(&wal->segments);
        HL_ASSERT(tail != NULL);
        if (tail->first == segment) {
            plan->cut_segment = segment;
            plan->cut_offset = offset;
            plan->cut_capacity = tail->capacity;
            tail->written = tail->written < offset ? tail->written : offset;
            break;
        }
        if (!creates(plan, tail->first)) {
            hl_buf_append(&plan->removals, &tail->first, sizeof tail->first);
        }
        hl_wal_segments_pop(&wal->segments);
    }
    plan->pieces_count = 0;
    plan->first = plan->last = 0;
    hl_buf_clear(&plan->bytes);

    for (unsigned n = 0; n < wal->flights; n++) {
        clip_flight(hl_wal_flight(wal, n), segment, offset, index);
    }
}

static void lower(hl_index *value, hl_index most)
{
    *value = *value > most ? most : *value;
}

hl_err hl_wal_truncate_from(struct hl_wal *wal, hl_index index, struct hl_errmsg *msg)
{
    HL_ASSERT(!wal->is_begun && wal->lock != -1);
    HL_ASSERT(index >= hl_wal_first(wal) && index <= wal->last + 1);
    HL_ASSERT(index > wal->meta.base);
    if (index > wal->last) {
        return HL_OK;
    }
    hl_index segment = 0;
    uint64_t offset = 0;
    uint32_t chain = 0;
    hl_err err = hl_wal_locate(wal, index, &segment, &offset, &chain, msg);
    if (err != HL_OK) {
        return err;
    }
    struct wal_plan *plan = hl_wal_pending(wal);
    size_t at = 0;
    while (at < plan->pieces_count &&
           !(plan->pieces[at].segment == segment && plan->pieces[at].offset <= offset)) {
        at++;
    }
    if (at < plan->pieces_count) {
        clip_pending(wal, at, offset, index);
    } else {
        cut_written(wal, segment, offset, index);
        hl_wal_reader_close(wal);
    }
    struct hl_wal_segment *tail = hl_wal_segments_tail(&wal->segments);
    HL_ASSERT(tail->first == segment);
    tail->planned = offset;
    hl_wal_segment_unmark(tail, index);
    wal->chain = chain;
    hl_wal_unplace(wal, index);
    hl_wal_unnote_from(wal, index);
    wal->last = index - 1;
    lower(&wal->written, index - 1);
    lower(&wal->synced, index - 1);
    lower(&wal->durable, index - 1);
    if (wal->meta.watermark >= index) {
        wal->meta.watermark = index - 1;
        plan->has_meta = true; /* written before the cut */
    }
    hl_wal_assert(wal);
    return HL_OK;
}

void hl_wal_note_watermark(struct hl_wal *wal)
{
    if (wal->meta.watermark < wal->synced) {
        wal->meta.watermark = wal->synced;
        hl_wal_pending(wal)->has_meta = true;
    }
}

void hl_wal_drop_before(struct hl_wal *wal, hl_index index, hl_term term)
{
    HL_ASSERT(wal->lock != -1);
    HL_ASSERT(index <= wal->last + 1);
    if (index <= wal->meta.base + 1) {
        return;
    }
    struct wal_plan *plan = hl_wal_pending(wal);
    wal->meta.base = index - 1;
    wal->meta.base_term = term;
    if (wal->meta.watermark < wal->synced) {
        wal->meta.watermark = wal->synced;
    }
    plan->has_meta = true;
    hl_wal_unnote_to(wal, index - 1);

    size_t count = 0;
    while (count + 1 < wal->segments.count && wal->segments.at[count + 1].first <= index &&
           wal->segments.at[count].written == wal->segments.at[count].planned) {
        hl_buf_append(&plan->drops, &wal->segments.at[count].first, sizeof(hl_index));
        count++;
    }
    if (count > 0) {
        hl_wal_reader_close(wal);
        hl_wal_segments_shift(&wal->segments, count);
    }
}
