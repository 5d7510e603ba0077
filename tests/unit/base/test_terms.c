/* Runs of terms against a plain array of them: random appends, truncations and compactions, after
 * each of which every question is compared with its answer by search. */
#include "base/terms.h"

#include "base/rng.h"

#include <criterion/criterion.h>

#define MAX 64

static hl_term plain[MAX + 1]; /* of entries base .. last */
static struct hl_terms terms;

static hl_index plain_find(hl_index index, hl_term term)
{
    hl_index at = index < terms.last ? index : terms.last;
    while (at > terms.base && plain[at] > term) {
        at--;
    }
    return at > terms.base ? at : terms.base;
}

static void compare_view(hl_index first, hl_index last, uint32_t max)
{
    struct hl_term_run runs[8];
    hl_index covered = last;
    uint32_t count = hl_terms_view(&terms, first, &covered, runs, max);
    cr_assert_eq(runs[0].from, first);
    uint32_t at = 0;
    for (hl_index i = first; i <= covered; i++) {
        if (at + 1 < count && runs[at + 1].from == i) {
            at++;
        }
        cr_assert_eq(runs[at].term, plain[i]);
    }
    cr_assert(covered == last || (count == max && plain[covered + 1] != plain[covered]));
}

static void compare(void)
{
    hl_terms_check(&terms);
    for (hl_index i = 0; i <= MAX; i++) {
        hl_term term = 0;
        bool held = hl_terms_at(&terms, i, &term);
        cr_assert_eq(held, i >= terms.base && i <= terms.last);
        cr_assert(!held || term == plain[i]);
    }
    cr_assert_eq(hl_terms_last(&terms), plain[terms.last]);
    for (hl_index i = terms.base; i <= MAX; i++) {
        for (hl_term term = 0; term < 12; term++) {
            cr_assert_eq(hl_terms_find(&terms, i, term), plain_find(i, term));
        }
    }
    if (terms.last > terms.base) {
        for (uint32_t max = 1; max <= 3; max++) {
            compare_view(terms.base + 1, terms.last, max);
            compare_view(terms.last, terms.last, max);
        }
    }
}

Test(terms, runs_answer_as_an_array_would)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct hl_rng rng;
        hl_rng_seed(&rng, seed);
        hl_terms_reset(&terms, 0, 0);
        plain[0] = 0;
        hl_term term = 1;
        for (int i = 0; i < 20; i++) {
            term += hl_rng_below(&rng, 3) == 0;
            uint64_t what = hl_rng_below(&rng, 8);
            if (what == 0) {
                hl_index to = terms.base + hl_rng_below(&rng, terms.last - terms.base + 1);
                hl_terms_truncate(&terms, to);
            } else if (what == 1) {
                hl_index to = terms.base + hl_rng_below(&rng, terms.last - terms.base + 1);
                hl_terms_compact(&terms, to);
            } else if (terms.last < MAX) {
                hl_index last = terms.last + 1 + hl_rng_below(&rng, 3);
                last = last > MAX ? MAX : last;
                for (hl_index at = terms.last + 1; at <= last; at++) {
                    plain[at] = term;
                }
                hl_terms_append(&terms, last, term);
            }
            compare();
        }
    }
    struct hl_terms copy = {0};
    hl_terms_copy(&copy, &terms);
    cr_assert_eq(copy.last, terms.last);
    hl_terms_fini(&copy);
    hl_terms_fini(&terms);
}

Test(terms, an_empty_log_knows_only_its_base)
{
    hl_term term = 7;
    cr_assert(hl_terms_at(&terms, 0, &term));
    cr_assert_eq(term, 0);
    cr_assert_not(hl_terms_at(&terms, 1, &term));
    hl_terms_reset(&terms, 40, 3);
    cr_assert_not(hl_terms_at(&terms, 39, &term));
    cr_assert(hl_terms_at(&terms, 40, &term));
    cr_assert_eq(term, 3);
    cr_assert_eq(hl_terms_find(&terms, 90, 9), 40);
    hl_terms_fini(&terms);
}
