/* Binary heap of deadlines: the soonest first, any node removed or moved in O(log n). */
#ifndef HL_BASE_HEAP_H
#define HL_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

/* Embed one in each struct that waits.  `due` is the caller's, changed only by hl_heap_move() while
 * the node is in a heap. */
struct hl_heap_node {
    int64_t due;
    size_t place; /* 1 + position in the heap; 0: in none */
};

/* All zero is a valid empty heap. */
struct hl_heap {
    struct hl_heap_node **nodes;
    size_t count;
    size_t cap;
};

/* Release the memory; nodes still in it are not touched. */
void hl_heap_fini(struct hl_heap *heap);

/* Add a node that is in no heap (asserted), borrowed until it is removed. */
void hl_heap_add(struct hl_heap *heap, struct hl_heap_node *node);

/* Take a node out; does nothing when it is in none. */
void hl_heap_remove(struct hl_heap *heap, struct hl_heap_node *node);

/* Give a node of the heap another deadline. */
void hl_heap_move(struct hl_heap *heap, struct hl_heap_node *node, int64_t due);

/* The node with the smallest `due`, left in place; NULL when empty. */
static inline struct hl_heap_node *hl_heap_first(const struct hl_heap *heap)
{
    return heap->count != 0 ? heap->nodes[0] : NULL;
}

#endif
