/* Snapshot files: a label and a stream of bytes that this layer does not look into.
 *
 *   header, 64 bytes                            block
 *     0  8  "HELIOSSN"                            0  4  length, 1..HL_SNAP_BLOCK_MAX
 *     8  4  format version                        4  4  crc: CRC-32C of the length and the bytes,
 *    12  4  0                                           seeded by the crc before (the header's
 *    16  8  index of the last entry included            for the first)
 *    24  8  its term                              8  .  bytes
 *    32  8  its log_time, microseconds
 *    40 16  cluster id                          trailer, 32 bytes, with which the file ends
 *    56  4  0                                     0  4  0
 *    60  4  CRC-32C of bytes 0..59                4  4  crc as of a block: of bytes 0..3, 8..31
 *                                                 8  8  number of blocks
 *                                                16  8  bytes in them
 *                                                24  4  CRC-32C of all those bytes together
 *                                                28  4  0
 *
 * A file is made under the name `<index>.snap.new`.  Finished, it is on stable storage but not yet
 * a snapshot: its label may still be rolled back.  Published, when the label has committed, it is
 * `<index>.snap`.  Only then may the log before it be dropped.
 *
 * The writer is made to run in a forked child: it takes no lock and shares nothing.
 */
#ifndef HL_WAL_SNAPFILE_H
#define HL_WAL_SNAPFILE_H

#include "base/ids.h"
#include "wal/disk.h"

#define HL_SNAP_VERSION 1
#define HL_SNAP_BLOCK_MAX (256u << 10) /* bytes */

struct hl_snap_label {
    hl_index index; /* 1 and up */
    hl_term term;
    int64_t log_time_us;
    unsigned char cluster_id[16];
};

/* Opaque. */
struct hl_snap_writer;
/* Opaque. */
struct hl_snap_reader;

/* Begin a snapshot in `dir`, replacing an unfinished one of the same index.  *out is the caller's
 * and ends with finish or abort; untouched on failure.  `disk` is borrowed until then.  HL_EFULL
 * and HL_EIO as the disk says, nothing left behind but perhaps the temporary file. */
HL_MUST_USE hl_err hl_snap_writer_open(struct hl_snap_writer **out, const struct hl_disk *disk,
                                       const char *dir, const struct hl_snap_label *label,
                                       struct hl_errmsg *msg);

/* Append `len` bytes.  After HL_EFULL or HL_EIO only abort may follow. */
HL_MUST_USE hl_err hl_snap_write(struct hl_snap_writer *writer, const void *bytes, size_t len,
                                 struct hl_errmsg *msg);

/* Bytes given to hl_snap_write() so far. */
uint64_t hl_snap_writer_size(const struct hl_snap_writer *writer);

/* Write the end, sync, and release the writer, also on failure, which removes the file. */
HL_MUST_USE hl_err hl_snap_writer_finish(struct hl_snap_writer *writer, struct hl_errmsg *msg);

/* Remove the file and release the writer.  NULL is allowed. */
void hl_snap_writer_abort(struct hl_snap_writer *writer);

/* Make the finished snapshot of `index` the snapshot: renamed, and the directory synced.
 * HL_ENOENT when there is no such file, else as the disk says. */
HL_MUST_USE hl_err hl_snap_publish(const struct hl_disk *disk, const char *dir, hl_index index,
                                   struct hl_errmsg *msg);

/* Open the published snapshot of `index` for reading from its start.  *out is the caller's and
 * ends with hl_snap_reader_close(), *label a copy.  HL_ENOENT, HL_ECORRUPT (header), HL_EVERSION,
 * HL_EIO: nothing is left open. */
HL_MUST_USE hl_err hl_snap_reader_open(struct hl_snap_reader **out, const struct hl_disk *disk,
                                       const char *dir, hl_index index, struct hl_snap_label *label,
                                       struct hl_errmsg *msg);

/* The same of a finished file that is not published yet: one that was received. */
HL_MUST_USE hl_err hl_snap_reader_open_temp(struct hl_snap_reader **out, const struct hl_disk *disk,
                                            const char *dir, hl_index index,
                                            struct hl_snap_label *label, struct hl_errmsg *msg);

/* Read the next bytes, at most `len` (1 and up), into `out`.  *got is 0 only at the end, once the
 * whole file has been verified; every byte handed out belongs to a block that was.  HL_ECORRUPT
 * with file and offset, or HL_EIO: what was read so far must not be used. */
HL_MUST_USE hl_err hl_snap_read(struct hl_snap_reader *reader, void *out, size_t len, size_t *got,
                                struct hl_errmsg *msg);

/* Release the reader.  NULL is allowed. */
void hl_snap_reader_close(struct hl_snap_reader *reader);

/* What hl_snap_find() met. */
struct hl_snap_found {
    struct hl_snap_label label; /* of the newest that is whole */
    int damaged;                /* newer ones that are not, left alone */
    struct hl_errmsg why;       /* about the first of those */
};

/* Find the newest published snapshot, reading it wholly to verify it.  With `clean`, remove
 * temporary files.  HL_ENOENT when there is none that is whole (found->damaged tells the rest),
 * HL_EVERSION when the newest is of an unknown format, HL_EIO. */
HL_MUST_USE hl_err hl_snap_find(const struct hl_disk *disk, const char *dir, bool clean,
                                struct hl_snap_found *found, struct hl_errmsg *msg);

/* Remove the published snapshots older than `index`.  As the disk says. */
HL_MUST_USE hl_err hl_snap_drop_before(const struct hl_disk *disk, const char *dir, hl_index index,
                                       struct hl_errmsg *msg);

#endif
