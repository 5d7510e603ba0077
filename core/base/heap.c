#include "base/heap.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#define CAP_FIRST 16

static void put(struct hl_heap *heap, size_t at, struct hl_heap_node *node)
{
    heap->nodes[at] = node;
    node->place = at + 1;
}

/* Place `node`, for which position `at` is free, moving later parents down. */
static void rise(struct hl_heap *heap, size_t at, struct hl_heap_node *node)
{
    while (at != 0 && heap->nodes[(at - 1) / 2]->due > node->due) {
        put(heap, at, heap->nodes[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(heap, at, node);
}

/* Place `node`, for which position `at` is free, moving sooner children up. */
static void sink(struct hl_heap *heap, size_t at, struct hl_heap_node *node)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->count) {
            break;
        }
        if (child + 1 < heap->count && heap->nodes[child + 1]->due < heap->nodes[child]->due) {
            child++;
        }
        if (heap->nodes[child]->due >= node->due) {
            break;
        }
        put(heap, at, heap->nodes[child]);
        at = child;
    }
    put(heap, at, node);
}

void hl_heap_fini(struct hl_heap *heap)
{
    hl_free(heap->nodes);
    *heap = (struct hl_heap){0};
}

void hl_heap_add(struct hl_heap *heap, struct hl_heap_node *node)
{
    HL_ASSERT(node->place == 0);
    if (heap->count == heap->cap) {
        heap->cap = heap->cap != 0 ? 2 * heap->cap : CAP_FIRST;
        heap->nodes = hl_realloc(heap->nodes, heap->cap * sizeof *heap->nodes);
    }
    heap->count++;
    rise(heap, heap->count - 1, node);
}

void hl_heap_remove(struct hl_heap *heap, struct hl_heap_node *node)
{
    if (node->place == 0) {
        return;
    }
    size_t at = node->place - 1;
    HL_ASSERT(at < heap->count && heap->nodes[at] == node);
    node->place = 0;
    heap->count--;
    struct hl_heap_node *filler = heap->nodes[heap->count];
    if (filler != node) {
        put(heap, at, filler);
        hl_heap_move(heap, filler, filler->due);
    }
}

void hl_heap_move(struct hl_heap *heap, struct hl_heap_node *node, int64_t due)
{
    HL_ASSERT(node->place != 0);
    size_t at = node->place - 1;
    HL_ASSERT(at < heap->count && heap->nodes[at] == node);
    node->due = due;
    if (at != 0 && heap->nodes[(at - 1) / 2]->due > due) {
        rise(heap, at, node);
    } else {
        sink(heap, at, node);
    }
}
