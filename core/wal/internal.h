/* The log's own struct, shared by wal.c, append.c, batch.c, recover.c and read.c and nobody else.
 *
 * Invariants (checked by hl_wal_assert(); cited by number elsewhere):
 *   W1  synced <= written <= last and durable <= last: nothing is called durable before it was
 *       appended.
 *   W2  a poisoned log never becomes healthy again: after a failed fsync the kernel may have
 *       dropped our pages, so the only safe continuation is to reopen and re-read.
 *   W3  the lock is held from open to close, unless the log is read-only.
 *   W4  a plan in flight is written by the log thread's side only, and read by both.
 *   W5  the loop never uses the writer while a plan is in flight.
 *   W6  every byte of the table's segments is in the file (below `written`) or in a plan's piece.
 *   W7  terms.base is meta.base and terms.last is `last`.
 *   W8  plans are put, and ended, in the order in which they were taken; several are in flight only
 *       if all of them share, so they append to one segment.  A sync proves what was written before
 *       it began, but it counts only when all before it have returned well: of two syncs of a file
 *       either may be the one that is told of a failed write.
 *   W9  plans that share sync by handles of their own.  The kernel reports a failed write once to
 *       each handle: with a common one a later sync could take the report, and the earlier one,
 *       whose bytes are lost, would return well.  Each is opened before the plan's bytes are
 *       written.  Where the system has none left, the writer's own serves, before the next is put.
 */
#ifndef HL_WAL_INTERNAL_H
#define HL_WAL_INTERNAL_H

#include "wal/segment.h"
#include "wal/wal.h"

/* Bytes of a plan that go to one place. */
struct wal_piece {
    hl_index segment;  /* first index of the segment, its name */
    uint64_t offset;   /* in the file */
    uint64_t capacity; /* the file is to be created with this size; 0: it is there */
    uint64_t room;     /* size of the file */
    uint32_t prev;     /* for the header, when created */
    size_t at, len;    /* in the plan's bytes */
    size_t keep;       /* of len, still part of the log: a truncation came since (loop only) */
};

/* What one batch does, in this order: meta, removals, cut, pieces, sync, drops. */
struct wal_plan {
    struct hl_buf bytes; /* whole records */
    struct wal_piece *pieces;
    size_t pieces_count, pieces_cap;
    hl_index first, last; /* entries; 0 when none */
    bool has_meta;        /* `meta` differs from what is on disk */
    struct hl_wal_meta meta;
    struct hl_buf removals; /* u64 first indices of segments, newest first */
    hl_index cut_segment;   /* 0: no cut */
    uint64_t cut_offset;
    uint64_t cut_capacity;
    bool wants_sync;
    bool fills;          /* it belongs to a stream of small synced batches: zero_ahead() */
    struct hl_buf drops; /* u64 first indices of segments, oldest first */
    bool shares;         /* W8 */
    bool is_out;         /* taken and not ended (loop only) */
    hl_index keep_last;  /* entries above it were truncated since (loop only) */
};

/* What hl_wal_batch_put() knows of the disk. */
struct wal_writer {
    int file;         /* open segment; -1: none */
    hl_index segment; /* its first index */
    bool dirty;       /* it has bytes that were not synced by `file` */
    uint64_t zeroed;  /* bytes before it were written, if only with zeros; 0: not known */
};

/* Where an entry starts: whoever reads on need not look for it from the mark before. */
struct wal_place {
    hl_index index; /* 0: none */
    hl_index segment;
    uint64_t offset;
};

#define WAL_PLACES 4 /* readers that go on where they were: peers, and what is applied */

#define WAL_PLANS (HL_WAL_FLIGHTS_MAX + 1)

struct hl_wal {
    const struct hl_disk *disk;
    char *dir;
    int lock; /* -1: read-only */
    uint32_t segment_size;
    enum hl_wal_sync sync;
    bool poisoned;
    unsigned overlap; /* batches that may be in flight */
    /* A ring: from `oldest` on so many `flights` that were taken, then the one that collects.  Of
     * the flights `out` are the log thread's; the others met a full disk and wait to be tried
     * again. */
    unsigned oldest, flights, out;
    struct wal_plan plans[WAL_PLANS];
    struct wal_writer writer;
    hl_err stopped; /* why the last batch was not put; those behind it are not either (W8) */
    int syncers[WAL_PLANS]; /* handles of the writer's segment, one for each plan; -1: none (W9) */

    struct hl_wal_segments segments;
    struct hl_wal_meta meta;
    uint32_t seed;  /* of record checksums */
    uint32_t chain; /* crc of the last record appended */
    size_t begun;   /* where the entry begun starts in the plan's bytes */
    bool is_begun;
    hl_index last, written, synced, durable;
    size_t unnoted;        /* bytes written since the watermark was last noted */
    struct hl_terms terms; /* of base + 1 .. last */
    hl_index *configs;     /* which of them are CFG entries, ascending */
    size_t configs_count, configs_cap;

    struct wal_place places[WAL_PLACES]; /* where the last reads ended */
    unsigned places_next;

    int reader; /* file of hl_wal_read(); -1: none */
    hl_index reader_segment;
    struct hl_buf window; /* bytes of that file from `window_offset` on */
    uint64_t window_offset;
};

/* Check W1 and the table.  Aborts. */
void hl_wal_assert(const struct hl_wal *wal);

/* Note the term of the entry behind the last noted, and that it is a CFG entry. */
void hl_wal_note_entry(struct hl_wal *wal, const struct hl_wal_entry *entry);

/* Forget what was noted of entries from `index` on. */
void hl_wal_unnote_from(struct hl_wal *wal, hl_index index);

/* Forget what was noted of entries up to `base`. */
void hl_wal_unnote_to(struct hl_wal *wal, hl_index base);

/* The plan that was taken as the `n`th of those not yet ended; with n = flights the one that
 * collects. */
struct wal_plan *hl_wal_flight(struct hl_wal *wal, unsigned n);

/* The plan that collects. */
struct wal_plan *hl_wal_pending(struct hl_wal *wal);

/* Forget what a plan says and keep its memory, unless that is much. */
void hl_wal_plan_clear(struct wal_plan *plan);

/* Store `meta` durably in one step.  HL_EFULL and HL_EIO as the disk says. */
HL_MUST_USE hl_err hl_wal_meta_save(const struct hl_disk *disk, const char *dir,
                                    const struct hl_wal_meta *meta, struct hl_errmsg *msg);

/* Read `meta`: HL_ENOENT when there is none; else as hl_wal_decode_meta() and the disk say. */
HL_MUST_USE hl_err hl_wal_meta_load(const struct hl_disk *disk, const char *dir,
                                    struct hl_wal_meta *meta, struct hl_errmsg *msg);

/* Where `index` starts or would start: *segment is its segment's first index, *offset the place
 * in that file, *chain the crc of the record before.  `index` is in first..last + 1 and there is a
 * segment.  Errors as hl_wal_read(). */
HL_MUST_USE hl_err hl_wal_locate(struct hl_wal *wal, hl_index index, hl_index *segment,
                                 uint64_t *offset, uint32_t *chain, struct hl_errmsg *msg);

/* Close the open segment and all handles of it. */
void hl_wal_writer_close(struct hl_wal *wal);

/* Forget the places behind `index`: their entries are gone. */
void hl_wal_unplace(struct hl_wal *wal, hl_index index);

/* Close what hl_wal_read() keeps open. */
void hl_wal_reader_close(struct hl_wal *wal);

/* Fill the table and the counters from the disk; see hl_wal_open() for modes and errors. */
HL_MUST_USE hl_err hl_wal_recover(struct hl_wal *wal, const struct hl_wal_options *options,
                                  struct hl_wal_findings *findings, struct hl_errmsg *msg);

#endif
