/* Segments: their names, and the table of those that a log has.
 *
 * The table belongs to the loop and counts what is planned, not only what is written.
 */
#ifndef HL_WAL_SEGMENT_H
#define HL_WAL_SEGMENT_H

#include "base/ids.h"
#include "wal/disk.h"

#define HL_WAL_MARK_SIZE (64u << 10) /* bytes between two marks: what a lookup reads at most */

/* Where an entry starts, so that reading need not begin at the segment's. */
struct hl_wal_mark {
    hl_index index;
    uint64_t offset;
};

struct hl_wal_segment {
    hl_index first;     /* also its name */
    uint64_t planned;   /* bytes, header included, up to the end of the last entry appended */
    uint64_t written;   /* of them, bytes in the file */
    uint64_t capacity;  /* size of the file */
    uint32_t prev;      /* crc of the record before the first */
    size_t marks_count; /* ascending */
    size_t marks_cap;
    struct hl_wal_mark *marks;
};

/* All of them, ascending and without gaps.  All zero is a valid empty one. */
struct hl_wal_segments {
    struct hl_wal_segment *at;
    size_t count;
    size_t cap;
};

/* The file name of the segment that starts at `first`, NUL-terminated. */
void hl_wal_segment_name(char out[HL_DISK_NAME_MAX], hl_index first);

/* Read such a name; 0 when it is not one. */
hl_index hl_wal_segment_parse(const char *name);

/* Release all memory; the table is then empty. */
void hl_wal_segments_fini(struct hl_wal_segments *table);

/* Add a segment behind the others; valid until the table next changes. */
struct hl_wal_segment *hl_wal_segments_push(struct hl_wal_segments *table, hl_index first,
                                            uint64_t capacity, uint32_t prev);

/* Remove the last segment. */
void hl_wal_segments_pop(struct hl_wal_segments *table);

/* Remove the first `count` segments. */
void hl_wal_segments_shift(struct hl_wal_segments *table, size_t count);

/* The segment that holds or would hold `index`; NULL when it lies before them all. */
struct hl_wal_segment *hl_wal_segments_find(const struct hl_wal_segments *table, hl_index index);

/* The last segment, NULL when there is none. */
struct hl_wal_segment *hl_wal_segments_tail(const struct hl_wal_segments *table);

/* Note that the entry `index` starts at `offset`; keeps one mark for HL_WAL_MARK_SIZE bytes. */
void hl_wal_segment_mark(struct hl_wal_segment *segment, hl_index index, uint64_t offset);

/* The mark at or before `index`, which is in the segment. */
struct hl_wal_mark hl_wal_segment_near(const struct hl_wal_segment *segment, hl_index index);

/* Forget marks from `index` on. */
void hl_wal_segment_unmark(struct hl_wal_segment *segment, hl_index index);

#endif
