/* dedup: which ids are taken, and by which job: dedup ids for a time, unique keys until given back.
 *
 * A hash table that grows one bucket at a time (linear hashing, so no push ever waits for a
 * rehash), a heap for the ends of the windows, and a list in the order of job numbers, which is
 * what snapshots are written from.  The hash is keyed: clients cannot aim for one bucket.
 */
#ifndef JOBS_DEDUP_H
#define JOBS_DEDUP_H

#include "heap.h"
#include "kit/bytes.h"

/* One used id.  Read only for callers. */
struct jobs_used {
    struct jobs_timed when; /* due_ms: end of the window; tie: the job's number; len: of id */
    struct jobs_used *bucket_next;
    struct jobs_used *prev; /* the list by job number */
    struct jobs_used *next;
    uint64_t hash;
    char id[];
};

/* Set up with jobs_dedup_init(), end with jobs_dedup_fini(). */
struct jobs_dedup {
    struct jobs_used ***segments;
    size_t segment_count;
    size_t mask;  /* 2^k - 1: buckets below `split` are addressed with one bit more */
    size_t split; /* next bucket to be split, 0..mask */
    size_t count;
    size_t bytes; /* memory of entries and table */
    struct jobs_heap ends;
    struct jobs_used *first;
    struct jobs_used *last;
    uint64_t key[2];
};

/* An empty table in the caller's memory; `key` is any random numbers, not part of the state. */
void jobs_dedup_init(struct jobs_dedup *dedup, const uint64_t key[2]);

/* Release everything. */
void jobs_dedup_fini(struct jobs_dedup *dedup);

/* The entry of `id`, expired or not, borrowed until the table changes; NULL when there is none. */
struct jobs_used *jobs_dedup_find(const struct jobs_dedup *dedup, struct hl_slice id);

/* Add `id`, which must not be there, used by job `seq` until `until_ms`; 0 is until dropped.  The
 * list is in the order of the calls: who writes snapshots from it adds by ascending `seq`. */
void jobs_dedup_add(struct jobs_dedup *dedup, struct hl_slice id, uint64_t seq, int64_t until_ms);

/* Forget the entry, which is freed. */
void jobs_dedup_drop(struct jobs_dedup *dedup, struct jobs_used *used);

/* The entry's id, borrowed as long as the entry. */
struct hl_slice jobs_used_id(const struct jobs_used *used);

#endif
