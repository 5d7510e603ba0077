#include "base/heap.h"
#include "base/rng.h"

#include <criterion/criterion.h>

#define NODES 300

/* Goal: the first node is always the soonest.  Method: random additions, moves and removals against
 * a scan of an array. */
Test(heap, the_first_is_the_soonest_whatever_happened)
{
    struct hl_heap heap = {0};
    static struct hl_heap_node nodes[NODES];
    struct hl_rng rng;
    hl_rng_seed(&rng, 1);
    for (int step = 0; step < 200000; step++) {
        struct hl_heap_node *node = &nodes[hl_rng_below(&rng, NODES)];
        int64_t due = (int64_t)hl_rng_below(&rng, 1000);
        if (node->place == 0) {
            node->due = due;
            hl_heap_add(&heap, node);
        } else if (hl_rng_below(&rng, 2) == 0) {
            hl_heap_move(&heap, node, due);
        } else {
            hl_heap_remove(&heap, node);
        }
        const struct hl_heap_node *soonest = NULL;
        size_t count = 0;
        for (int i = 0; i < NODES; i++) {
            count += nodes[i].place != 0;
            if (nodes[i].place != 0 && (soonest == NULL || nodes[i].due < soonest->due)) {
                soonest = &nodes[i];
            }
        }
        cr_assert_eq(heap.count, count);
        const struct hl_heap_node *first = hl_heap_first(&heap);
        cr_assert_eq(first != NULL, soonest != NULL);
        cr_assert(first == NULL || first->due == soonest->due);
    }
    struct hl_heap_node stranger = {0};
    hl_heap_remove(&heap, &stranger);
    hl_heap_fini(&heap);
}
