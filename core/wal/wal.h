/* The one log: every write of the server, in order, and the few numbers that outlive everything.
 *
 * Two threads share a log.  The *loop* calls everything but hl_wal_batch_write() and its halves;
 * the *log thread* calls those, and it alone touches the disk for writing.  The loop plans (which
 * bytes go where, which segment is opened, cut or dropped) and the log thread executes the plan, so
 * appending never blocks and the entries that arrive during one fdatasync share the next: group
 * commit.
 *
 *     loop        hl_wal_append() ...; if (hl_wal_batch_take(wal, &batch)) hand it over
 *     log thread  err = hl_wal_batch_write(wal, &batch, &msg)
 *     loop        hl_wal_batch_done(wal, &batch, err); release what waited for hl_wal_durable()
 *
 * A disk that is slow to flush may have several batches in flight (hl_wal_set_overlap()): the log
 * thread puts one after the other into the file and leaves each one's flush to a thread of its own.
 * The loop still ends them in the order in which it took them, so what is durable has no gaps.
 *
 * The format and what crashes leave behind: wal/format.h.
 */
#ifndef HL_WAL_WAL_H
#define HL_WAL_WAL_H

#include "base/terms.h"
#include "wal/codec.h"
#include "wal/disk.h"

#define HL_WAL_FLIGHTS_MAX 8 /* batches in flight at once */

/* Opaque: callers hold a pointer and never a field. */
struct hl_wal;

/* When an entry counts as durable (`aof_fsync`). */
enum hl_wal_sync {
    HL_WAL_SYNC_EVERY,    /* after fdatasync */
    HL_WAL_SYNC_INTERVAL, /* once written; the loop asks for a sync now and then */
    HL_WAL_SYNC_NONE,     /* once written; the OS decides */
};

/* What opening may change on disk. */
enum hl_wal_repair {
    HL_WAL_REPAIR_TORN,  /* the ordinary way: a torn tail is cut, leftovers are removed */
    HL_WAL_READ_ONLY,    /* nothing: takes no lock, so the log may be another process's */
    HL_WAL_READ_GOOD,    /* nothing either, and what is before a damage can be read */
    HL_WAL_REPAIR_LOSSY, /* even damage is cut, and acknowledged entries with it; then the boot id
                            is hl_wal_boot_lost, before anything else changes */
};

/* The boot id of a log that has lost what it had acknowledged (16 bytes): whoever owns it keeps it
 * until a leader has given it back. */
extern const unsigned char hl_wal_boot_lost[16];

struct hl_wal_options {
    const char *dir;       /* borrowed for the call; made when missing, unless read-only */
    uint32_t segment_size; /* bytes, HL_WAL_SEGMENT_SIZE_MIN..MAX; 0 is the default */
    enum hl_wal_sync sync;
    enum hl_wal_repair repair;
    uint64_t salt; /* random and secret, used when the log is new: format.h, V1 */
};

/* What opening found, and did unless it was for reading only.  Valid also when opening failed with
 * HL_ECORRUPT. */
struct hl_wal_findings {
    hl_index first, last;        /* of the entries that are good; last + 1 == first when none */
    hl_index watermark;          /* entries up to it were acknowledged */
    uint64_t segments;           /* files that remain */
    uint64_t leftovers;          /* files removed: older than the base, or unfinished */
    char file[HL_DISK_NAME_MAX]; /* where the log was cut or is damaged; "" when it is whole */
    uint64_t offset;             /* in `file` */
    uint64_t cut_size;           /* bytes from there to the last one that is not zero */
    bool damaged;                /* not a torn tail: `last` is followed by entries now lost */
    hl_index highest;            /* the highest index known to have been in the log */
};

/*
 * Open the log in `options->dir`, repairing a torn tail, and take the directory's lock.
 *
 * out       set to a new log on success, which the caller owns and ends with hl_wal_close();
 *           untouched on failure.
 * disk      borrowed until hl_wal_close() returns.
 * findings  filled on success and on HL_ECORRUPT; may be NULL.
 * msg       filled with the reason on failure; may be NULL.
 *
 * Returns HL_OK (everything found is on stable storage, unless read-only), or with nothing left
 * open, locked or allocated:
 *   HL_EBUSY     another process holds the lock
 *   HL_ECORRUPT  damage that is not a torn tail, msg naming file and offset; nothing was changed
 *   HL_EVERSION  written by a version that this build does not know; nothing was changed
 *   HL_ENOENT    read-only and there is no log
 *   HL_EFULL     no space for the first file
 *   HL_EIO       the disk failed
 *   HL_ENOMEM    a segment does not fit into memory
 *
 * Reads every segment once.  Call at startup only.
 */
HL_MUST_USE hl_err hl_wal_open(struct hl_wal **out, const struct hl_disk *disk,
                               const struct hl_wal_options *options,
                               struct hl_wal_findings *findings, struct hl_errmsg *msg);

/* Release everything, the lock last.  No batch may be in flight.  Entries not yet written are
 * dropped: call hl_wal_flush() first to keep them.  NULL is allowed. */
void hl_wal_close(struct hl_wal *wal);

/* The oldest index that can be read; hl_wal_last() + 1 when there is none. */
hl_index hl_wal_first(const struct hl_wal *wal);

/* The newest index appended; the base's when the log is empty. */
hl_index hl_wal_last(const struct hl_wal *wal);

/* The terms of its entries, from the base (what a snapshot holds) on; valid until the next call
 * that is not const. */
const struct hl_terms *hl_wal_terms(const struct hl_wal *wal);

/* The indices of its CFG entries after the base, ascending, *count of them; valid as above. */
const hl_index *hl_wal_configs(const struct hl_wal *wal, size_t *count);

/* The newest index that counts as durable under the sync mode.  Never above hl_wal_last(). */
hl_index hl_wal_durable(const struct hl_wal *wal);

/* The newest index on stable storage, whatever the sync mode. */
hl_index hl_wal_synced(const struct hl_wal *wal);

/* Bytes appended and not yet written: what the caller bounds. */
size_t hl_wal_pending_size(const struct hl_wal *wal);

/* Bytes of all segment files, preallocated ones included. */
uint64_t hl_wal_size_on_disk(const struct hl_wal *wal);

/* Bytes of entries in the log: what a log-size trigger compares. */
uint64_t hl_wal_size_used(const struct hl_wal *wal);

/* Bytes that can still be appended before a new segment is needed. */
uint64_t hl_wal_size_free(const struct hl_wal *wal);

/* True once a write failed for another reason than a full disk: nothing will become durable any
 * more, and the only safe continuation is to end the process. */
bool hl_wal_is_poisoned(const struct hl_wal *wal);

/* Identity, hard state, base and watermark as they will be after the next batch.  Valid until the
 * next call that is not const. */
const struct hl_wal_meta *hl_wal_meta(const struct hl_wal *wal);

/* Set term and vote; durable when the next batch is done, in every sync mode, and before its
 * entries.  `term` may not go back, nor the vote change within a term once given. */
void hl_wal_set_hard_state(struct hl_wal *wal, hl_term term, uint64_t vote);

/* Set who this log belongs to; durable when the next batch is done.  `cluster_id` and `boot_id`
 * are 16 bytes each and borrowed for the call. */
void hl_wal_set_identity(struct hl_wal *wal, const unsigned char *cluster_id, uint64_t node_id,
                         uint64_t incarnation, const unsigned char *boot_id);

/* Note that everything up to `index` is committed; stored with the next batch.  What is known of it
 * after a start is at least what was noted. */
void hl_wal_note_committed(struct hl_wal *wal, hl_index index);

/* Note whether this node was removed from its cluster; stored with the next batch. */
void hl_wal_note_removed(struct hl_wal *wal, bool removed);

/* Append a copy of `entry`, whose index must be hl_wal_last() + 1.  No I/O, cannot fail.  A CFG
 * entry is synced by its batch in every mode. */
void hl_wal_append(struct hl_wal *wal, const struct hl_wal_entry *entry);

/* The same without the copy: returns a buffer to which the caller appends the body, touching
 * nothing that is in it, and calls no other function of this log before hl_wal_append_end(). */
struct hl_buf *hl_wal_append_begin(struct hl_wal *wal);

/* Seal the entry begun; `entry->body` is ignored. */
void hl_wal_append_end(struct hl_wal *wal, const struct hl_wal_entry *entry);

/* Forget the entry begun, as if hl_wal_append_begin() had not been called. */
void hl_wal_append_cancel(struct hl_wal *wal);

/* Drop the entries from `index` on; `index` is in hl_wal_first()..hl_wal_last() + 1.  What is in
 * memory goes at once, what is on disk with the next batch, before that batch's entries.  A batch
 * in flight may have written some of them; it no longer makes them durable.  Reads up to
 * HL_WAL_MARK_SIZE bytes of the log; errors as hl_wal_read(), after which nothing has changed. */
HL_MUST_USE hl_err hl_wal_truncate_from(struct hl_wal *wal, hl_index index, struct hl_errmsg *msg);

/* State that a durable snapshot holds all entries before `index`, the last of them of `term`:
 * segments wholly before it go with the next batch.  `index` is at most hl_wal_last() + 1 (a
 * follower's snapshot may be ahead of what its log has synced); a lower one than before changes
 * nothing. */
void hl_wal_drop_before(struct hl_wal *wal, hl_index index, hl_term term);

/* Store with the next batch that all entries synced so far were acknowledged, so that losing one of
 * them is seen as damage at the next start: for a clean end, after hl_wal_flush(). */
void hl_wal_note_watermark(struct hl_wal *wal);

/* Empty the log, so that the next entry is `base` + 1: for a snapshot received from a leader, which
 * must be durable.  Blocks on the disk; no batch may be in flight.  Errors as hl_wal_batch_write():
 * after HL_EFULL call it again before appending, after any other failure the log is poisoned. */
HL_MUST_USE hl_err hl_wal_reset(struct hl_wal *wal, hl_index base, hl_term term,
                                struct hl_errmsg *msg);

/* Ask that the next batch ends with fdatasync, even without entries: once a second in the mode
 * `interval`. */
void hl_wal_request_sync(struct hl_wal *wal);

/* Change when an entry counts as durable, for entries not yet durable; what already is stays so.
 * Turning to HL_WAL_SYNC_EVERY makes the next batch sync what was only written. */
void hl_wal_set_sync(struct hl_wal *wal, enum hl_wal_sync sync);

/* Allow up to `count` batches in flight, 1 to HL_WAL_FLIGHTS_MAX; 1 at first.  Only batches that do
 * nothing but append to the open segment and sync it share the disk: any other flies alone. */
void hl_wal_set_overlap(struct hl_wal *wal, unsigned count);

/* What the log thread is given. */
struct hl_wal_batch {
    struct wal_plan *plan; /* the log's own */
    hl_index first, last;  /* entries in it; both 0 when it holds none */
    size_t size;           /* bytes of them */
    bool shares;           /* others may be taken, put and synced while it is being synced */
    bool again;            /* it was taken before, and kept for want of space */
};

/* Would hl_wal_batch_take() take one now? */
bool hl_wal_batch_waits(struct hl_wal *wal);

/* Take everything that waits as one batch.  False, leaving *out alone, when nothing waits, when a
 * batch is in flight with which it may not share the disk, or when the log is poisoned. */
bool hl_wal_batch_take(struct hl_wal *wal, struct hl_wal_batch *out);

/*
 * Do what the batch says: the only call for the log thread, while the loop goes on appending.
 *
 * Returns HL_OK, or with *msg saying why: HL_EFULL (some of it may be on disk; it can be tried
 * again), HL_EIO (final).  Give the result to hl_wal_batch_done() on the loop either way.
 */
HL_MUST_USE hl_err hl_wal_batch_write(struct hl_wal *wal, const struct hl_wal_batch *batch,
                                      struct hl_errmsg *msg);

/* The first half of hl_wal_batch_write(): all of it but the last sync and what follows that.
 * Batches are put one at a time, in the order in which they were taken.  Errors as there, and the
 * batches behind one that was not put get the same error. */
HL_MUST_USE hl_err hl_wal_batch_put(struct hl_wal *wal, const struct hl_wal_batch *batch,
                                    struct hl_errmsg *msg);

/* The second half, for a batch that was put.  Those of batches that share may run at the same time
 * as each other and as hl_wal_batch_put().  HL_EIO is final. */
HL_MUST_USE hl_err hl_wal_batch_sync(struct hl_wal *wal, const struct hl_wal_batch *batch,
                                     struct hl_errmsg *msg);

/* End the oldest batch in flight.  HL_OK makes it durable in the sense of the sync mode; HL_EFULL
 * keeps it, and when those behind it have ended too, hl_wal_batch_take() returns the same ones
 * again, one by one; anything else poisons the log, and what became of later ones does not count.
 */
void hl_wal_batch_done(struct hl_wal *wal, const struct hl_wal_batch *batch, hl_err err);

/* Take, write and end batches until nothing waits: for start, stop, tests and tools.  No batch may
 * be in flight.  Errors as hl_wal_batch_write(). */
HL_MUST_USE hl_err hl_wal_flush(struct hl_wal *wal, struct hl_errmsg *msg);

/* Called for each entry in order; its body is borrowed for the call.  Return false to stop. */
typedef bool (*hl_wal_entry_fn)(void *arg, const struct hl_wal_entry *entry);

/*
 * Read entries from `index` on, up to `last` (at most hl_wal_last()), written or not, until `each`
 * returns false.  `index` is at least hl_wal_first().  `each` may not change the log.
 *
 * Returns HL_OK, or after some calls of `each`:
 *   HL_ECORRUPT  what was good when the log was opened is not any more; msg names the place
 *   HL_EIO       the disk failed
 */
HL_MUST_USE hl_err hl_wal_read(struct hl_wal *wal, hl_index index, hl_index last,
                               hl_wal_entry_fn each, void *arg, struct hl_errmsg *msg);

#endif
