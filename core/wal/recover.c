/* Opening: read everything, tell a torn tail from damage (format.h), repair what may be repaired.
 *
 * The scan changes nothing; only when it found no damage, or loss is accepted, does the repair
 * begin.
 */
#include "wal/internal.h"

#include "kit/alloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FILE_SIZE_MAX (HL_WAL_SEGMENT_HEADER + (uint64_t)HL_WAL_BODY_MAX + 4096) /* bytes */
#define ZEROS_SIZE 4096  /* bytes looked at together */
#define SEARCH_FACTOR 16 /* a search checksums at most this many times the file's size */

const unsigned char hl_wal_boot_lost[16] = {255, 255, 255, 255, 255, 255, 255, 255,
                                            255, 255, 255, 255, 255, 255, 255, 255};

struct scan {
    struct hl_wal *wal;
    struct hl_wal_findings *found;
    hl_index *names; /* segments on disk, ascending */
    size_t names_count, names_cap;
    bool has_temp;   /* `meta.new` is there */
    size_t old;      /* the first so many are wholly below the base */
    size_t good;     /* names[old..good) are in the table */
    hl_index expect; /* index of the next record */
    uint32_t chain;
    hl_index loaded; /* first index of the segment in `bytes` */
    char *bytes;     /* of the segment being read, up to where only zeros follow */
    size_t size;
    uint64_t file_size;
    bool torn; /* the last segment in the table is to be cut at its `planned` */
};

static void note_name(void *arg, const char *name)
{
    struct scan *scan = arg;
    scan->has_temp |= strcmp(name, HL_WAL_META_TEMP) == 0;
    hl_index first = hl_wal_segment_parse(name);
    if (first == 0 || scan->names_count == HL_WAL_SEGMENTS_MAX) {
        return;
    }
    if (scan->names_count == scan->names_cap) {
        scan->names_cap = scan->names_cap == 0 ? 16 : scan->names_cap * 2;
        scan->names = hl_realloc(scan->names, scan->names_cap * sizeof *scan->names);
    }
    scan->names[scan->names_count++] = first;
}

static int compare_names(const void *a, const void *b)
{
    const hl_index *x = a;
    const hl_index *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Read a segment: without the zeros at its end that the disk knows of, or the whole file. */
static hl_err load_segment(struct scan *scan, hl_index first, bool whole, struct hl_errmsg *msg)
{
    const struct hl_disk *disk = scan->wal->disk;
    char name[HL_DISK_NAME_MAX];
    hl_wal_segment_name(name, first);
    int file = -1;
    hl_err err = disk->open(disk->ctx, scan->wal->dir, name, false, &file, msg);
    if (err != HL_OK) {
        return err == HL_ENOENT ? HL_EIO : err;
    }
    uint64_t size = 0;
    err = disk->size(disk->ctx, file, &size, msg);
    if (err == HL_OK && size > FILE_SIZE_MAX) {
        err = hl_fail(msg, HL_ECORRUPT, "%s/%s: offset %" PRIu64 ": no segment is that large",
                      scan->wal->dir, name, size);
    }
    hl_free(scan->bytes);
    scan->bytes = NULL;
    scan->size = 0;
    scan->file_size = size;
    scan->loaded = first;
    if (err == HL_OK && !whole && disk->data_end != NULL) {
        err = disk->data_end(disk->ctx, file, &size, msg);
    }
    if (err == HL_OK) {
        scan->bytes = hl_try_malloc(size + 1);
        if (scan->bytes == NULL) {
            err = hl_fail(msg, HL_ENOMEM, "%s/%s: no memory for its %" PRIu64 " bytes",
                          scan->wal->dir, name, size);
        }
    }
    if (err == HL_OK) {
        err = disk->pread(disk->ctx, file, scan->bytes, size, 0, &scan->size, msg);
    }
    disk->close(disk->ctx, file);
    return err;
}

/* A disk may keep zeros inside a record as a hole too: what does not end well is read wholly before
 * it is judged. */
static hl_err load_rest(struct scan *scan, hl_index first, struct hl_errmsg *msg)
{
    return scan->size < scan->file_size ? load_segment(scan, first, true, msg) : HL_OK;
}

/* Bytes from `offset` to the last one that is not zero. */
static size_t length_of_rest(const struct scan *scan, size_t offset)
{
    static const char zeros[ZEROS_SIZE];
    size_t end = scan->size;
    while (end >= offset + ZEROS_SIZE &&
           memcmp(scan->bytes + end - ZEROS_SIZE, zeros, ZEROS_SIZE) == 0) {
        end -= ZEROS_SIZE;
    }
    while (end > offset && scan->bytes[end - 1] == '\0') {
        end--;
    }
    return end > offset ? end - offset : 0;
}

/* Look behind `offset` for whole records that say that `expect` was on stable storage (V3).
 * Returns the highest index of such, or 0.  Bounded: hostile bytes cannot make it quadratic. */
static hl_index find_witness(const struct scan *scan, size_t offset)
{
    hl_index highest = 0;
    uint64_t budget = (uint64_t)scan->size * SEARCH_FACTOR;
    size_t at = (offset + HL_WAL_ALIGN - 1) / HL_WAL_ALIGN * HL_WAL_ALIGN;
    while (at + HL_WAL_RECORD_HEADER <= scan->size) {
        const char *bytes = scan->bytes + at;
        size_t size = hl_wal_claimed_size(bytes);
        struct hl_wal_record record;
        if (size == 0 || size > scan->size - at || size > budget) {
            at += HL_WAL_ALIGN;
            continue;
        }
        budget -= size;
        if (!hl_wal_decode_record(bytes, size, scan->wal->seed, &record)) {
            at += HL_WAL_ALIGN;
            continue;
        }
        if (record.synced >= scan->expect && record.entry.index > highest) {
            highest = record.entry.index;
        }
        at += size;
    }
    return highest;
}

static hl_err damage(struct scan *scan, hl_index segment, uint64_t offset, hl_index highest,
                     const char *why, struct hl_errmsg *msg)
{
    struct hl_wal_findings *found = scan->found;
    hl_wal_segment_name(found->file, segment);
    found->offset = offset;
    found->cut_size = length_of_rest(scan, offset < scan->size ? (size_t)offset : scan->size);
    found->damaged = true;
    if (found->highest < highest) {
        found->highest = highest;
    }
    return hl_fail(msg, HL_ECORRUPT,
                   "%s/%s: offset %" PRIu64 ": damaged, entry %" PRIu64 " is not readable: %s",
                   scan->wal->dir, found->file, offset, scan->expect, why);
}

/* The records of `segment` end at `offset`: by design, torn, or damaged? */
static hl_err judge_end(struct scan *scan, hl_index segment, size_t offset, struct hl_errmsg *msg)
{
    size_t rest = length_of_rest(scan, offset);
    if (rest == 0) {
        return HL_OK; /* C1; whether it may end here, scan_all() says */
    }
    struct hl_wal_record record;
    if (hl_wal_decode_record(scan->bytes + offset, scan->size - offset, scan->wal->seed, &record)) {
        return damage(scan, segment, offset, record.entry.index,
                      "the record there is whole, but does not follow the one before", msg);
    }
    hl_index witness = find_witness(scan, offset);
    if (witness != 0) {
        return damage(scan, segment, offset, witness,
                      "records behind it prove that it was good once", msg);
    }
    if (scan->wal->meta.watermark >= scan->expect) { /* C4 */
        return damage(scan, segment, offset, scan->wal->meta.watermark,
                      "the watermark says that it was acknowledged", msg);
    }
    hl_wal_segment_name(scan->found->file, segment);
    scan->found->offset = offset;
    scan->found->cut_size = rest;
    scan->torn = true;
    return HL_OK;
}

/* May the readable log end where it does?  Not below the watermark, except that all up to the base
 * is in the snapshot: an interrupted reset removes segments from the newest on. */
static bool ends_well(const struct scan *scan)
{
    const struct hl_wal_meta *meta = &scan->wal->meta;
    return meta->watermark < scan->expect || meta->watermark <= meta->base;
}

/* The readable log ends below the watermark: name the place where it should go on. */
static hl_err ends_early(struct scan *scan, struct hl_errmsg *msg)
{
    const struct hl_wal_segment *tail = hl_wal_segments_tail(&scan->wal->segments);
    scan->size = 0;
    return damage(scan, tail == NULL ? scan->expect : tail->first, tail == NULL ? 0 : tail->planned,
                  scan->wal->meta.watermark, "the watermark says that it was acknowledged", msg);
}

static hl_err check_header(struct scan *scan, hl_index name, struct hl_errmsg *msg, bool *usable)
{
    struct hl_wal_segment_header header;
    uint32_t version = 0;
    hl_err err = scan->size < HL_WAL_SEGMENT_HEADER
                     ? HL_ECORRUPT
                     : hl_wal_decode_segment(scan->bytes, &header, &version);
    *usable = false;
    if (err == HL_EVERSION) {
        char file[HL_DISK_NAME_MAX];
        hl_wal_segment_name(file, name);
        return hl_fail(msg, err, "%s/%s: format version %u, this build knows %u", scan->wal->dir,
                       file, version, HL_WAL_VERSION);
    }
    if (err == HL_ECORRUPT) { /* C5, unless something in it proves otherwise */
        scan->torn = false;
        err = load_rest(scan, name, msg);
        err = err == HL_OK ? judge_end(scan, name, 0, msg) : err;
        scan->torn = false;
        return err;
    }
    bool starts = scan->wal->segments.count == 0;
    if (header.first != name || header.salt != scan->wal->meta.salt ||
        (!starts && header.prev != scan->chain)) {
        return damage(scan, name, 0, scan->wal->meta.watermark,
                      "the segment's header does not belong here", msg);
    }
    scan->chain = header.prev;
    *usable = true;
    return HL_OK;
}

/* Take the records from `offset` on that follow one another; returns where they end. */
static size_t take_records(struct scan *scan, struct hl_wal_segment *segment, size_t offset)
{
    struct hl_wal_record record;
    while (
        hl_wal_decode_record(scan->bytes + offset, scan->size - offset, scan->wal->seed, &record) &&
        record.entry.index == scan->expect && record.prev == scan->chain) {
        if (scan->expect > scan->wal->meta.base) {
            if (record.entry.term < hl_terms_last(&scan->wal->terms)) {
                break; /* no leader writes so */
            }
            hl_wal_note_entry(scan->wal, &record.entry);
        }
        hl_wal_segment_mark(segment, scan->expect, offset);
        scan->chain = record.crc;
        scan->expect++;
        offset += record.size;
    }
    segment->written = segment->planned = offset;
    return offset;
}

/* Read one segment into the table.  *usable is false for one that is to be removed (C5). */
static hl_err scan_segment(struct scan *scan, hl_index name, struct hl_errmsg *msg, bool *usable)
{
    hl_err err = load_segment(scan, name, false, msg);
    if (err == HL_OK) {
        err = check_header(scan, name, msg, usable);
    }
    if (err != HL_OK || !*usable) {
        return err;
    }
    struct hl_wal_segment *segment =
        hl_wal_segments_push(&scan->wal->segments, name, scan->file_size, scan->chain);
    size_t offset = take_records(scan, segment, HL_WAL_SEGMENT_HEADER);
    if (length_of_rest(scan, offset) != 0) {
        err = load_rest(scan, name, msg);
        if (err != HL_OK) {
            return err;
        }
        offset = take_records(scan, segment, offset);
    }
    return judge_end(scan, name, offset, msg);
}

/* Read all segments from names[old] on; stops where the log ends. */
static hl_err scan_all(struct scan *scan, struct hl_errmsg *msg)
{
    struct hl_wal *wal = scan->wal;
    scan->expect = wal->meta.base + 1;
    hl_terms_reset(&wal->terms, wal->meta.base, wal->meta.base_term);
    while (scan->old + 1 < scan->names_count && scan->names[scan->old + 1] <= wal->meta.base + 1) {
        scan->old++; /* C6 */
    }
    if (scan->old < scan->names_count && scan->names[scan->old] < scan->expect) {
        scan->expect = scan->names[scan->old];
    }
    scan->good = scan->old;
    while (scan->good < scan->names_count) {
        hl_index name = scan->names[scan->good];
        if (name != scan->expect || scan->torn) {
            if (!ends_well(scan)) { /* C7 */
                return ends_early(scan, msg);
            }
            if (name < scan->expect) {
                scan->size = 0;
                return damage(scan, name, 0, 0, "the segment before it holds that entry", msg);
            }
            return HL_OK; /* an interrupted truncation left it */
        }
        bool usable = false;
        hl_err err = scan_segment(scan, name, msg, &usable);
        if (err != HL_OK) {
            return err;
        }
        if (!usable) {
            break;
        }
        scan->good++;
    }
    return ends_well(scan) ? HL_OK : ends_early(scan, msg);
}

static hl_err remove_segment(struct scan *scan, hl_index first, struct hl_errmsg *msg)
{
    const struct hl_disk *disk = scan->wal->disk;
    char name[HL_DISK_NAME_MAX];
    hl_wal_segment_name(name, first);
    hl_err err = disk->remove(disk->ctx, scan->wal->dir, name, msg);
    scan->found->leftovers += err == HL_OK;
    return err;
}

/* Write again what is not known to have been synced (C12). */
static hl_err rewrite(struct scan *scan, const struct hl_wal_segment *tail, int file,
                      struct hl_errmsg *msg)
{
    const struct hl_disk *disk = scan->wal->disk;
    hl_index known = scan->wal->meta.watermark;
    if (known + 1 >= scan->expect) {
        return HL_OK;
    }
    if (scan->loaded != tail->first) {
        hl_err err = load_segment(scan, tail->first, true, msg);
        if (err != HL_OK) {
            return err;
        }
    }
    uint64_t from = known < tail->first ? 0 : hl_wal_segment_near(tail, known + 1).offset;
    HL_ASSERT(from < tail->planned);
    return disk->pwrite(disk->ctx, file, scan->bytes + from, tail->planned - from, from, msg);
}

/* Cut the tail's file where its records end, and make what is left durable (C2, C10, C12). */
static hl_err settle_tail(struct scan *scan, struct hl_wal_segment *tail, bool cut,
                          struct hl_errmsg *msg)
{
    const struct hl_disk *disk = scan->wal->disk;
    char name[HL_DISK_NAME_MAX];
    hl_wal_segment_name(name, tail->first);
    int file = -1;
    hl_err err = disk->open(disk->ctx, scan->wal->dir, name, false, &file, msg);
    if (err != HL_OK) {
        return err;
    }
    if (cut) {
        err = disk->truncate(disk->ctx, file, tail->planned, msg);
        if (err == HL_OK) { /* or some of the old bytes could come back between new zeros */
            err = disk->fdatasync(disk->ctx, file, msg);
        }
        if (err == HL_OK) {
            err = disk->preallocate(disk->ctx, file, tail->capacity, msg);
            if (err == HL_EFULL) { /* starting on a full disk must be possible: reads go on */
                tail->capacity = tail->planned;
                err = HL_OK;
            }
        }
    }
    if (err == HL_OK) {
        err = rewrite(scan, tail, file, msg);
    }
    if (err == HL_OK) {
        err = disk->fdatasync(disk->ctx, file, msg);
    }
    disk->close(disk->ctx, file);
    return err;
}

/* Make the disk say what the table says. */
static hl_err repair(struct scan *scan, struct hl_errmsg *msg)
{
    struct hl_wal *wal = scan->wal;
    const struct hl_disk *disk = wal->disk;
    hl_err err = HL_OK;
    if (scan->found->damaged) { /* loss is accepted */
        memcpy(wal->meta.boot_id, hl_wal_boot_lost, sizeof wal->meta.boot_id);
        if (wal->meta.watermark >= scan->expect) {
            wal->meta.watermark = scan->expect - 1;
        }
        err = hl_wal_meta_save(disk, wal->dir, &wal->meta, msg);
    } else if (scan->has_temp) {
        err = disk->remove(disk->ctx, wal->dir, HL_WAL_META_TEMP, msg); /* C8 */
    }
    for (size_t i = scan->names_count; err == HL_OK && i > scan->good; i--) {
        err = remove_segment(scan, scan->names[i - 1], msg);
    }
    if (err == HL_OK) {
        err = disk->sync_dir(disk->ctx, wal->dir, msg);
    }
    struct hl_wal_segment *tail = hl_wal_segments_tail(&wal->segments);
    if (err == HL_OK && tail != NULL) {
        err = settle_tail(scan, tail, scan->torn || scan->found->damaged, msg);
    }
    for (size_t i = 0; err == HL_OK && i < scan->old; i++) {
        err = remove_segment(scan, scan->names[i], msg);
    }
    return err;
}

/* A log that ends below its base (the snapshot is ahead) starts again behind the base. */
static void drop_below_base(struct scan *scan)
{
    struct hl_wal *wal = scan->wal;
    if (scan->expect > wal->meta.base) {
        return;
    }
    hl_wal_segments_fini(&wal->segments);
    scan->good = scan->old;
    scan->torn = false;
    scan->expect = wal->meta.base + 1;
    scan->chain = 0;
}

static hl_err start_meta(struct scan *scan, const struct hl_wal_options *options,
                         struct hl_errmsg *msg)
{
    struct hl_wal *wal = scan->wal;
    hl_err err = hl_wal_meta_load(wal->disk, wal->dir, &wal->meta, msg);
    if (err == HL_ENOENT && wal->lock != -1) {
        if (scan->names_count > 0) { /* C9 */
            return hl_fail(msg, HL_ECORRUPT, "%s/%s: offset 0: missing, but there are segments",
                           wal->dir, HL_WAL_META_NAME);
        }
        wal->meta.salt = options->salt;
        err = hl_wal_meta_save(wal->disk, wal->dir, &wal->meta, msg);
        scan->has_temp = false;
    }
    wal->seed = hl_wal_seed(wal->meta.salt);
    return err;
}

static hl_err recover(struct scan *scan, const struct hl_wal_options *options,
                      struct hl_errmsg *msg)
{
    struct hl_wal *wal = scan->wal;
    hl_err err = wal->disk->list(wal->disk->ctx, wal->dir, note_name, scan, msg);
    if (err != HL_OK) {
        return err;
    }
    if (scan->names_count > 1) {
        qsort(scan->names, scan->names_count, sizeof *scan->names, compare_names);
    }
    err = start_meta(scan, options, msg);
    if (err != HL_OK) {
        return err;
    }
    scan->found->watermark = scan->found->highest = wal->meta.watermark;
    err = scan_all(scan, msg);
    bool accepts = err == HL_ECORRUPT &&
                   (options->repair == HL_WAL_REPAIR_LOSSY || options->repair == HL_WAL_READ_GOOD);
    if (err == HL_OK || accepts) {
        const struct hl_wal_segment *tail = hl_wal_segments_tail(&wal->segments);
        if (accepts && tail != NULL && scan->good < scan->names_count &&
            scan->names[scan->good] == tail->first) {
            scan->good++; /* the damaged one: what is before the damage stays */
        }
        drop_below_base(scan);
        err = wal->lock == -1 ? HL_OK : repair(scan, msg);
    }
    scan->found->first = wal->segments.count > 0 ? wal->segments.at[0].first : scan->expect;
    scan->found->last = scan->expect - 1;
    scan->found->segments = wal->segments.count;
    if (scan->found->highest < scan->found->last) {
        scan->found->highest = scan->found->last;
    }
    wal->chain = scan->chain;
    wal->last = wal->written = wal->synced = wal->durable = scan->expect - 1;
    if (wal->lock != -1) {
        hl_wal_note_watermark(wal);
    }
    return err;
}

hl_err hl_wal_recover(struct hl_wal *wal, const struct hl_wal_options *options,
                      struct hl_wal_findings *findings, struct hl_errmsg *msg)
{
    *findings = (struct hl_wal_findings){0};
    struct scan scan = {.wal = wal, .found = findings};
    hl_err err = recover(&scan, options, msg);
    hl_free(scan.bytes);
    hl_free(scan.names);
    return err;
}
