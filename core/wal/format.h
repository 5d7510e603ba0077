/* What the log looks like on disk, and what each crash leaves behind.
 *
 * A directory holds: `lock`; `meta`, the few numbers that outlive everything; and segments named
 * `<first index in 20 digits>.wal`.  All numbers are little-endian; all gaps are zero.
 *
 * Segment = header, records, zeros to the preallocated end.  A record never spans segments: one
 * that does not fit opens the next segment, which is made as large as that record if need be.
 *
 *   segment header, 64 bytes                     record, 56 bytes + body + zeros to 8
 *     0  8  "HELIOSWL"                             0  4  "HLre"
 *     8  4  format version                         4  4  crc of bytes 8..end, seeded by the salt
 *    12  4  0                                      8  4  prev: crc of the record before
 *    16  8  index of the first record             12  4  body bytes
 *    24  4  prev: crc of the record before it     16  8  index
 *    28  4  0                                     24  8  term
 *    32  8  salt, as in `meta`                    32  8  log_time, microseconds since the epoch
 *    40 20  0                                     40  8  synced: see below
 *    60  4  CRC-32C of bytes 0..59                48  1  type (enum hl_wal_type)
 *                                                 49  3  0
 *   meta, 128 bytes                               52  4  feature level
 *     0  8  "HELIOSMD"                            56  .  body, then 0 to 7 zero bytes
 *     8  4  format version
 *    12  4  0
 *    16 16  cluster id                            The last four bytes of a header and of `meta` are
 *    32  8  node id                               its checksum in every version to come, so that a
 *    40  8  incarnation                           newer version can be told from damage.
 *    48  8  term
 *    56  8  vote
 *    64  8  base: entries up to it live in a snapshot
 *    72  8  term of the base entry
 *    80  8  watermark: entries up to it were acknowledged
 *    88  8  salt
 *    96 16  boot id of the kernel that wrote this
 *   112  8  an entry that was known to be committed, 0: none
 *   120  4  1: this node was removed from its cluster and never votes again; else 0
 *   124  4  CRC-32C of bytes 0..123
 *
 * Rules of validity
 *   V1  a record is *whole* when its magic, length, zeros and crc are right.  The crc is seeded by
 *       a random salt that no client knows, so no value that a client stores looks whole.
 *   V2  a whole record *follows* when its index is the next one and its prev is the crc of the
 *       record before: records cannot be dropped, repeated or taken from another log unnoticed.
 *   V3  `synced` is an index up to which everything was on stable storage, and known to be, when
 *       the record was made.  So a whole record says: everything up to here was good once.
 *   V4  a segment is synced and the watermark stored before the first byte of the next is written.
 *
 * What a crash leaves, and what opening does
 *   C1  zeros after the last record: the usual preallocated tail.  Nothing to do.
 *   C2  parts of the last batches, those in flight: their pages reach the disk in any order, so a
 *       bad record may even have whole ones behind it, of its own batch or of later ones, which may
 *       even have been synced.  But a batch is acknowledged only when all before it are synced, and
 *       `synced` follows what is acknowledged: in all of these it is before the bad record.  Torn:
 *       cut from the bad record on (none of it was acknowledged) and zero the rest, so that no old
 *       record is met again later.
 *   C3  a bad record with a whole one behind it whose `synced` reaches it, or with a later segment
 *       (V4): it was good once.  Damage: refused with file and offset, nothing is touched.
 *   C4  a bad record at or below the watermark: damage, even at the very end.
 *   C5  a last segment without a valid header and without a whole record: the crash came between
 *       its creation and its first sync.  Removed.
 *   C6  segments wholly below the base: the crash came between storing the base and removing them.
 *       Removed.
 *   C7  a gap between segments, or a first segment above base + 1: damage.
 *   C8  `meta.new`: the crash came before its rename.  Removed; `meta` is the former one.
 *   C9  no `meta` and no segment: a new log.  No `meta` but segments: damage.
 *   C10 a crash of the process only: everything written is there, synced or not.  Opening syncs
 *       what it found before it calls it durable.
 *   C11 no segment, but a watermark above the base: it is stored as soon as there is an entry
 * behind the base that was synced, so somebody removed the segments.  Damage.
 *   C12 a sync that failed: what it could not store is still read, and syncing again would not
 * store it either.  So opening writes again what lies above the watermark, and then syncs.
 */
#ifndef HL_WAL_FORMAT_H
#define HL_WAL_FORMAT_H

#include "kit/assert.h"

#define HL_WAL_VERSION 1
#define HL_WAL_SEGMENT_MAGIC "HELIOSWL"
#define HL_WAL_META_MAGIC "HELIOSMD"
#define HL_WAL_RECORD_MAGIC 0x65724c48u /* "HLre" */
#define HL_WAL_SEGMENT_HEADER 64        /* bytes */
#define HL_WAL_RECORD_HEADER 56         /* bytes */
#define HL_WAL_META_SIZE 128            /* bytes */
#define HL_WAL_ALIGN 8                  /* records start at multiples of this */
#define HL_WAL_BODY_MAX (1u << 30)      /* bytes of one entry's body */
#define HL_WAL_SEGMENT_SIZE_MIN 4096    /* bytes */
#define HL_WAL_SEGMENT_SIZE_DEFAULT (64u << 20)
#define HL_WAL_SEGMENT_SIZE_MAX (1u << 30)
#define HL_WAL_SEGMENTS_MAX (1u << 20) /* files in one directory */

#define HL_WAL_META_NAME "meta"
#define HL_WAL_META_TEMP "meta.new"
#define HL_WAL_SEGMENT_SUFFIX ".wal"

HL_STATIC(HL_WAL_SEGMENT_HEADER % HL_WAL_ALIGN == 0);
HL_STATIC(HL_WAL_RECORD_HEADER % HL_WAL_ALIGN == 0);

#endif
