/* index: jobs by number, and by state in the order of their numbers.
 *
 * A radix tree of 64-way nodes over the job's number.  Each node also knows, per state, which of
 * its children hold a job in that state: so "the next dead job after number 17" costs a walk of
 * the tree's height, however many jobs are not dead.  Numbers that grow and mostly vanish in order
 * keep it dense: about nine bytes a job.
 */
#ifndef JOBS_INDEX_H
#define JOBS_INDEX_H

#include <stddef.h>
#include <stdint.h>

#define JOBS_INDEX_STATES 8                    /* states are 0..7 */
#define JOBS_SEQ_MAX ((UINT64_C(1) << 53) - 1) /* numbers are 1..this: exact in JSON too */

struct jobs_index_node;

/* All zero is a valid empty index; end it with jobs_index_fini(). */
struct jobs_index {
    struct jobs_index_node *root;
    unsigned depth; /* levels */
    uint64_t nodes; /* for accounting */
};

/* Release the tree; the items are the owner's and are not touched. */
void jobs_index_fini(struct jobs_index *index);

/* Insert `item` (borrowed, not NULL) under `seq`, which must be free. */
void jobs_index_put(struct jobs_index *index, uint64_t seq, void *item, unsigned state);

/* The item under `seq`, or NULL; any number is allowed. */
void *jobs_index_get(const struct jobs_index *index, uint64_t seq);

/* Note that the item under `seq`, which must exist in state `from`, is now in state `to`. */
void jobs_index_move(struct jobs_index *index, uint64_t seq, unsigned from, unsigned to);

/* Take the item under `seq`, which must exist in `state`, out of the index. */
void jobs_index_remove(struct jobs_index *index, uint64_t seq, unsigned state);

/* The item with the least number >= `from` whose state's bit is set in `states`; NULL when there
 * is none. */
void *jobs_index_next(const struct jobs_index *index, unsigned states, uint64_t from);

/* Bytes of memory the tree occupies. */
size_t jobs_index_bytes(const struct jobs_index *index);

#endif
