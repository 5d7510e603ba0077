/* A four-way heap of pointers.
 *
 * Invariants:
 *   P1  items[i]->pos == i + 1 for every i < count.
 *   P2  no item precedes its parent in (due_ms, tie) order.
 */
#include "heap.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <stdbool.h>
#include <stddef.h>

#define WAYS 4u
#define CAP_FIRST 8u

static bool precedes(const struct jobs_timed *a, const struct jobs_timed *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->tie < b->tie;
}

static void place(struct jobs_heap *heap, uint32_t at, struct jobs_timed *item)
{
    heap->items[at] = item;
    item->pos = at + 1;
}

static void sift_up(struct jobs_heap *heap, uint32_t at)
{
    struct jobs_timed *item = heap->items[at];
    while (at > 0) {
        uint32_t parent = (at - 1) / WAYS;
        if (!precedes(item, heap->items[parent])) {
            break;
        }
        place(heap, at, heap->items[parent]);
        at = parent;
    }
    place(heap, at, item);
}

static void sift_down(struct jobs_heap *heap, uint32_t at)
{
    struct jobs_timed *item = heap->items[at];
    for (;;) {
        uint32_t best = at * WAYS + 1;
        if (best >= heap->count) {
            break;
        }
        uint32_t end = best + WAYS < heap->count ? best + WAYS : heap->count;
        for (uint32_t child = best + 1; child < end; child++) {
            if (precedes(heap->items[child], heap->items[best])) {
                best = child;
            }
        }
        if (!precedes(heap->items[best], item)) {
            break;
        }
        place(heap, at, heap->items[best]);
        at = best;
    }
    place(heap, at, item);
}

static void resize(struct jobs_heap *heap, uint32_t cap)
{
    heap->items = hl_realloc(heap->items, (size_t)cap * sizeof(struct jobs_timed *));
    heap->cap = cap;
}

void jobs_heap_fini(struct jobs_heap *heap)
{
    hl_free(heap->items);
    *heap = (struct jobs_heap){0};
}

void jobs_heap_put(struct jobs_heap *heap, struct jobs_timed *item, int64_t due_ms)
{
    item->due_ms = due_ms;
    if (item->pos != 0) {
        HL_ASSERT(item->pos <= heap->count && heap->items[item->pos - 1] == item);
        sift_up(heap, item->pos - 1);
        sift_down(heap, item->pos - 1);
        return;
    }
    HL_ASSERT(heap->count < JOBS_HEAP_MAX);
    if (heap->count == heap->cap) {
        resize(heap, heap->cap < CAP_FIRST ? CAP_FIRST : heap->cap + heap->cap / 2);
    }
    heap->count++;
    place(heap, heap->count - 1, item);
    sift_up(heap, heap->count - 1);
}

void jobs_heap_drop(struct jobs_heap *heap, struct jobs_timed *item)
{
    if (item->pos == 0) {
        return;
    }
    uint32_t at = item->pos - 1;
    HL_ASSERT(at < heap->count && heap->items[at] == item);
    item->pos = 0;
    heap->count--;
    if (at < heap->count) {
        place(heap, at, heap->items[heap->count]);
        sift_up(heap, at);
        sift_down(heap, heap->items[at]->pos - 1);
    }
    if (heap->cap > CAP_FIRST && heap->count < heap->cap / 4) {
        resize(heap, heap->cap / 2);
    }
}

struct jobs_timed *jobs_heap_first(const struct jobs_heap *heap)
{
    return heap->count == 0 ? NULL : heap->items[0];
}
