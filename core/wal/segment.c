#include "wal/segment.h"

#include "kit/alloc.h"
#include "kit/num.h"
#include "wal/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME_DIGITS 20

void hl_wal_segment_name(char out[HL_DISK_NAME_MAX], hl_index first)
{
    HL_ASSERT(first != 0);
    snprintf(out, HL_DISK_NAME_MAX, "%020" PRIu64 HL_WAL_SEGMENT_SUFFIX, first);
}

hl_index hl_wal_segment_parse(const char *name)
{
    if (strlen(name) != NAME_DIGITS + strlen(HL_WAL_SEGMENT_SUFFIX) ||
        strcmp(name + NAME_DIGITS, HL_WAL_SEGMENT_SUFFIX) != 0) {
        return 0;
    }
    const char *digits = name;
    while (*digits == '0' && digits < name + NAME_DIGITS - 1) {
        digits++;
    }
    struct hl_slice text = {.ptr = digits, .len = (size_t)(name + NAME_DIGITS - digits)};
    uint64_t first = 0;
    return hl_parse_u64(text, &first) ? first : 0;
}

void hl_wal_segments_fini(struct hl_wal_segments *table)
{
    for (size_t i = 0; i < table->count; i++) {
        hl_free(table->at[i].marks);
    }
    hl_free(table->at);
    *table = (struct hl_wal_segments){0};
}

struct hl_wal_segment *hl_wal_segments_push(struct hl_wal_segments *table, hl_index first,
                                            uint64_t capacity, uint32_t prev)
{
    HL_ASSERT(table->count == 0 || first > table->at[table->count - 1].first);
    if (table->count == table->cap) {
        table->cap = table->cap == 0 ? 8 : table->cap * 2;
        table->at = hl_realloc(table->at, table->cap * sizeof *table->at);
    }
    struct hl_wal_segment *segment = &table->at[table->count++];
    *segment = (struct hl_wal_segment){
        .first = first, .planned = HL_WAL_SEGMENT_HEADER, .capacity = capacity, .prev = prev};
    return segment;
}

void hl_wal_segments_pop(struct hl_wal_segments *table)
{
    HL_ASSERT(table->count > 0);
    hl_free(table->at[--table->count].marks);
}

void hl_wal_segments_shift(struct hl_wal_segments *table, size_t count)
{
    HL_ASSERT(count <= table->count);
    for (size_t i = 0; i < count; i++) {
        hl_free(table->at[i].marks);
    }
    table->count -= count;
    memmove(table->at, table->at + count, table->count * sizeof *table->at);
}

struct hl_wal_segment *hl_wal_segments_find(const struct hl_wal_segments *table, hl_index index)
{
    size_t low = 0;
    size_t high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->at[middle].first <= index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? NULL : &table->at[low - 1];
}

struct hl_wal_segment *hl_wal_segments_tail(const struct hl_wal_segments *table)
{
    return table->count == 0 ? NULL : &table->at[table->count - 1];
}

void hl_wal_segment_mark(struct hl_wal_segment *segment, hl_index index, uint64_t offset)
{
    HL_ASSERT(index >= segment->first);
    if (segment->marks_count > 0 &&
        offset - segment->marks[segment->marks_count - 1].offset < HL_WAL_MARK_SIZE) {
        return;
    }
    if (segment->marks_count == segment->marks_cap) {
        segment->marks_cap = segment->marks_cap == 0 ? 4 : segment->marks_cap * 2;
        segment->marks = hl_realloc(segment->marks, segment->marks_cap * sizeof *segment->marks);
    }
    segment->marks[segment->marks_count++] = (struct hl_wal_mark){.index = index, .offset = offset};
}

struct hl_wal_mark hl_wal_segment_near(const struct hl_wal_segment *segment, hl_index index)
{
    HL_ASSERT(index >= segment->first);
    struct hl_wal_mark best = {.index = segment->first, .offset = HL_WAL_SEGMENT_HEADER};
    size_t low = 0;
    size_t high = segment->marks_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (segment->marks[middle].index <= index) {
            best = segment->marks[middle];
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return best;
}

void hl_wal_segment_unmark(struct hl_wal_segment *segment, hl_index index)
{
    while (segment->marks_count > 0 && segment->marks[segment->marks_count - 1].index >= index) {
        segment->marks_count--;
    }
}
