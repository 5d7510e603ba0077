/* heap: things that become due, the earliest first.
 *
 * Intrusive: an item knows its place, so moving or dropping any item is O(log n), and an item in
 * no heap costs nothing but its fields.  Items of equal time come in the order of `tie`, which the
 * owner makes unique: the order never depends on how the heap grew.
 */
#ifndef JOBS_HEAP_H
#define JOBS_HEAP_H

#include <stdint.h>

/* All zero is an item that is in no heap. */
struct jobs_timed {
    int64_t due_ms; /* milliseconds since the epoch; the owner's to read at any time */
    uint64_t tie;   /* unique among the items of one heap; never changes while inside */
    uint32_t pos;   /* 1-based place, 0 when in no heap; the heap's */
    uint32_t len;   /* not the heap's: the owner's, to fill the hole */
};

/* All zero is a valid empty heap; end it with jobs_heap_fini(). */
struct jobs_heap {
    struct jobs_timed **items;
    uint32_t count;
    uint32_t cap;
};

#define JOBS_HEAP_MAX (UINT32_MAX / 2) /* items in one heap */

/* Release the heap's own memory; the items are the owner's and are not touched. */
void jobs_heap_fini(struct jobs_heap *heap);

/* Set the item's time and insert it, or move it when it is already inside this heap.  The heap
 * must hold fewer than JOBS_HEAP_MAX items.  O(log n). */
void jobs_heap_put(struct jobs_heap *heap, struct jobs_timed *item, int64_t due_ms);

/* Take the item out; nothing happens when it is in no heap.  Its time stays readable. */
void jobs_heap_drop(struct jobs_heap *heap, struct jobs_timed *item);

/* The earliest item, borrowed until the heap changes; NULL when empty. */
struct jobs_timed *jobs_heap_first(const struct jobs_heap *heap);

#endif
