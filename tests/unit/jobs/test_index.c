/* The index and the dedup table against naive ones. */
#include "jobs_world.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { SPAN = 5000 };

/* Goal: next, get, move and remove agree with an array, sparse and dense, near the end of the
 * numbers too.  Method: random operations on both. */
static void agree_at(uint64_t base)
{
    struct world w;
    world_init(&w, base);
    struct jobs_index index = {0};
    int state[SPAN];
    int items[SPAN];
    for (int i = 0; i < SPAN; i++) {
        state[i] = -1;
    }
    for (int step = 0; step < 200000; step++) {
        unsigned i = (unsigned)(world_draw(&w) % SPAN);
        unsigned to = (unsigned)(world_draw(&w) % 7);
        if (state[i] < 0) {
            jobs_index_put(&index, base + i, &items[i], to);
            state[i] = (int)to;
        } else if (world_draw(&w) % 3 == 0) {
            jobs_index_move(&index, base + i, (unsigned)state[i], to);
            state[i] = (int)to;
        } else {
            jobs_index_remove(&index, base + i, (unsigned)state[i]);
            state[i] = -1;
        }
        unsigned from = (unsigned)(world_draw(&w) % SPAN);
        unsigned states = (unsigned)(world_draw(&w) & 0x7f);
        unsigned expect = from;
        while (expect < SPAN && (state[expect] < 0 || (states >> state[expect] & 1) == 0)) {
            expect++;
        }
        void *next = jobs_index_next(&index, states, base + from);
        cr_assert_eq(next, expect < SPAN ? &items[expect] : NULL, "step %d", step);
        cr_assert_eq(jobs_index_get(&index, base + from), state[from] < 0 ? NULL : &items[from]);
    }
    jobs_index_fini(&index);
    world_fini(&w);
}

Test(jobs_index, agrees_with_an_array_wherever_the_numbers_lie)
{
    agree_at(1);
    agree_at(4095);
    agree_at((UINT64_C(1) << 36) - 2500);
    agree_at(JOBS_SEQ_MAX - SPAN);
}

Test(jobs_index, is_empty_again_after_the_last_removal)
{
    struct jobs_index index = {0};
    int item = 0;
    jobs_index_put(&index, 1, &item, 0);
    jobs_index_put(&index, JOBS_SEQ_MAX, &item, 0);
    jobs_index_remove(&index, 1, 0);
    jobs_index_remove(&index, JOBS_SEQ_MAX, 0);
    cr_assert_eq(index.nodes, 0);
    cr_assert_null(jobs_index_next(&index, 0xff, 0));
    jobs_index_fini(&index);
}

Test(jobs_dedup, finds_every_id_while_it_grows_and_shrinks)
{
    uint64_t key[2] = {5, 6};
    struct jobs_dedup dedup;
    jobs_dedup_init(&dedup, key);
    char id[32];
    for (unsigned i = 1; i <= 20000; i++) {
        int len = snprintf(id, sizeof id, "order-%u", i);
        jobs_dedup_add(&dedup, (struct hl_slice){id, (size_t)len}, i, T0 + i);
    }
    for (unsigned i = 1; i <= 20000; i++) {
        int len = snprintf(id, sizeof id, "order-%u", i);
        struct jobs_used *used = jobs_dedup_find(&dedup, (struct hl_slice){id, (size_t)len});
        cr_assert_not_null(used);
        cr_assert_eq(used->when.tie, i);
        if (i % 2 == 0) {
            jobs_dedup_drop(&dedup, used);
            cr_assert_null(jobs_dedup_find(&dedup, (struct hl_slice){id, (size_t)len}));
        }
    }
    cr_assert_eq(dedup.count, 10000);
    cr_assert_eq(jobs_heap_first(&dedup.ends)->tie, 1);
    jobs_dedup_fini(&dedup);
}
