/* Goal: whoever asks most is named, within the errors that are stated, whoever else asks. */
#include "kit/alloc.h"
#include "ratelimit/sketch.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { SIZE = 32, NAMES = 5000, STEPS = 200000 };

static uint64_t seed = 7;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

Test(sketch, names_who_asks_most_and_states_its_error)
{
    static uint64_t truth[NAMES];
    struct sketch *sketch = sketch_create(SIZE);
    for (int i = 0; i < STEPS; i++) {
        uint64_t who = draw(2) == 0 ? draw(8) : draw(NAMES); /* eight ask half of the time */
        char name[32];
        snprintf(name, sizeof name, "user:%d", (int)who);
        truth[who]++;
        sketch_see(sketch, hl_slice_of(name), who == 0);
    }
    struct sketch_entry top[SIZE];
    cr_assert_eq(sketch_top(sketch, top, SIZE), SIZE);
    cr_assert_eq(sketch_total(sketch), STEPS);
    bool found[8] = {false};
    for (int i = 0; i < SIZE; i++) {
        int who = 0;
        char name[SKETCH_NAME_MAX + 1] = "";
        memcpy(name, top[i].name, top[i].len);
        cr_assert_eq(sscanf(name, "user:%d", &who), 1);
        cr_assert_leq(truth[who], top[i].count);
        cr_assert_geq(truth[who], top[i].count - top[i].error);
        cr_assert(i == 0 || top[i - 1].count >= top[i].count, "in order");
        cr_assert(who == 0 || top[i].refused == 0);
        if (who < 8) {
            found[who] = true;
        }
    }
    for (int i = 0; i < 8; i++) {
        cr_assert(found[i], "user:%d asked more than 1/%d of all", i, SIZE);
    }
    sketch_destroy(sketch);
}

Test(sketch, long_names_are_cut_and_empty_ones_count)
{
    char name[SKETCH_NAME_MAX + 50];
    memset(name, 'x', sizeof name);
    struct sketch *sketch = sketch_create(1);
    sketch_see(sketch, (struct hl_slice){name, sizeof name}, true);
    sketch_see(sketch, (struct hl_slice){name, SKETCH_NAME_MAX}, false);
    struct sketch_entry top[2];
    cr_assert_eq(sketch_top(sketch, top, 2), 1);
    cr_assert_eq(top[0].count, 2);
    cr_assert_eq(top[0].refused, 1);
    cr_assert_eq(top[0].len, SKETCH_NAME_MAX);
    sketch_see(sketch, (struct hl_slice){"", 0}, false);
    cr_assert_eq(sketch_top(sketch, top, 1), 1);
    cr_assert_eq(top[0].len, 0);
    cr_assert_eq(top[0].count, 3);
    cr_assert_eq(top[0].error, 2);
    sketch_destroy(sketch);
}
