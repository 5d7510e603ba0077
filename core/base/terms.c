#include "base/terms.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <string.h>

void hl_terms_fini(struct hl_terms *terms)
{
    hl_free(terms->runs);
    *terms = (struct hl_terms){0};
}

void hl_terms_reset(struct hl_terms *terms, hl_index base, hl_term base_term)
{
    terms->base = base;
    terms->last = base;
    terms->base_term = base_term;
    terms->count = 0;
}

static void reserve(struct hl_terms *terms, uint32_t count)
{
    if (count <= terms->capacity) {
        return;
    }
    uint32_t capacity = terms->capacity == 0 ? 8 : terms->capacity * 2;
    while (capacity < count) {
        capacity *= 2;
    }
    terms->runs = hl_realloc(terms->runs, capacity * sizeof *terms->runs);
    terms->capacity = capacity;
}

void hl_terms_copy(struct hl_terms *to, const struct hl_terms *from)
{
    hl_terms_reset(to, from->base, from->base_term);
    reserve(to, from->count);
    if (from->count != 0) {
        memcpy(to->runs, from->runs, from->count * sizeof *from->runs);
    }
    to->count = from->count;
    to->last = from->last;
}

void hl_terms_append(struct hl_terms *terms, hl_index last, hl_term term)
{
    HL_ASSERT(last >= terms->last);
    HL_ASSERT(term >= hl_terms_last(terms));
    if (last == terms->last) {
        return;
    }
    if (terms->count == 0 || terms->runs[terms->count - 1].term != term) {
        reserve(terms, terms->count + 1);
        terms->runs[terms->count++] = (struct hl_term_run){.from = terms->last + 1, .term = term};
    }
    terms->last = last;
}

void hl_terms_truncate(struct hl_terms *terms, hl_index last)
{
    HL_ASSERT(last >= terms->base);
    if (last >= terms->last) {
        return;
    }
    while (terms->count > 0 && terms->runs[terms->count - 1].from > last) {
        terms->count--;
    }
    terms->last = last;
}

/* The last run that starts at or before `index`, which lies in base + 1 .. last. */
static uint32_t run_of(const struct hl_terms *terms, hl_index index)
{
    uint32_t low = 0;
    uint32_t high = terms->count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (terms->runs[middle].from <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    HL_ASSERT(low < terms->count);
    return low;
}

void hl_terms_compact(struct hl_terms *terms, hl_index base)
{
    HL_ASSERT(base <= terms->last);
    if (base <= terms->base) {
        return;
    }
    uint32_t at = run_of(terms, base);
    terms->base_term = terms->runs[at].term;
    bool ended = at + 1 < terms->count ? terms->runs[at + 1].from == base + 1 : terms->last == base;
    uint32_t gone = ended ? at + 1 : at;
    terms->count -= gone;
    memmove(terms->runs, terms->runs + gone, terms->count * sizeof *terms->runs);
    if (!ended) {
        terms->runs[0].from = base + 1;
    }
    terms->base = base;
}

bool hl_terms_at(const struct hl_terms *terms, hl_index index, hl_term *term)
{
    if (index < terms->base || index > terms->last) {
        return false;
    }
    *term = index == terms->base ? terms->base_term : terms->runs[run_of(terms, index)].term;
    return true;
}

hl_term hl_terms_last(const struct hl_terms *terms)
{
    return terms->count == 0 ? terms->base_term : terms->runs[terms->count - 1].term;
}

hl_index hl_terms_find(const struct hl_terms *terms, hl_index index, hl_term term)
{
    hl_index at = index < terms->last ? index : terms->last;
    for (uint32_t i = terms->count; i > 0; i--) {
        const struct hl_term_run *run = &terms->runs[i - 1];
        if (run->from > at) {
            continue;
        }
        if (run->term <= term) {
            return at;
        }
        at = run->from - 1;
    }
    return terms->base;
}

uint32_t hl_terms_view(const struct hl_terms *terms, hl_index first, hl_index *last,
                       struct hl_term_run *out, uint32_t max)
{
    HL_ASSERT(first > terms->base);
    HL_ASSERT(first <= *last);
    HL_ASSERT(*last <= terms->last);
    HL_ASSERT(max >= 1);
    uint32_t at = run_of(terms, first);
    uint32_t count = 0;
    for (; at < terms->count && terms->runs[at].from <= *last; at++) {
        if (count == max) {
            *last = terms->runs[at].from - 1;
            break;
        }
        out[count] = terms->runs[at];
        if (count == 0) {
            out[0].from = first;
        }
        count++;
    }
    return count;
}

void hl_terms_check(const struct hl_terms *terms)
{
    HL_ASSERT(terms->last >= terms->base);                          /* T2 */
    HL_ASSERT((terms->count == 0) == (terms->last == terms->base)); /* T2 */
    hl_term before = 0;
    for (uint32_t i = 0; i < terms->count; i++) {
        const struct hl_term_run *run = &terms->runs[i];
        HL_ASSERT(run->term > before);            /* T1 */
        HL_ASSERT(run->term >= terms->base_term); /* T3 */
        HL_ASSERT(i == 0 ? run->from == terms->base + 1 : run->from > terms->runs[i - 1].from);
        HL_ASSERT(run->from <= terms->last);
        before = run->term;
    }
}
