/* The terms of a log's entries, as runs: within a log terms never go back, so a log of millions of
 * entries has one run for each leader that wrote into it.
 *
 * Covers entries base + 1 .. last.  Entry `base` itself is gone (a snapshot holds it), but its term
 * is known.
 *
 * Invariants (hl_terms_check()):
 *   T1  runs ascend strictly in `from` and in `term`; the first starts at base + 1 unless empty.
 *   T2  last >= base, and there are no runs exactly when last == base.
 *   T3  no run is older than base_term.
 */
#ifndef HL_BASE_TERMS_H
#define HL_BASE_TERMS_H

#include "base/ids.h"

#include <stdbool.h>

/* Entries from `from` to the next run's, or to the last, have this term. */
struct hl_term_run {
    hl_index from;
    hl_term term;
};

/* All zero is the empty log that starts at entry 1.  Fields may be read. */
struct hl_terms {
    hl_index base, last;
    hl_term base_term;
    struct hl_term_run *runs;
    uint32_t count, capacity;
};

/* Release what the list holds and make it empty. */
void hl_terms_fini(struct hl_terms *terms);

/* Forget everything: the log is empty and starts after (base, base_term). */
void hl_terms_reset(struct hl_terms *terms, hl_index base, hl_term base_term);

/* Make `to` equal to `from`, which is borrowed for the call. */
void hl_terms_copy(struct hl_terms *to, const struct hl_terms *from);

/* Append entries last + 1 .. `last`, all of `term`, which is not older than the newest. */
void hl_terms_append(struct hl_terms *terms, hl_index last, hl_term term);

/* Drop entries after `last`, which is at least base. */
void hl_terms_truncate(struct hl_terms *terms, hl_index last);

/* Drop entries up to `base`, which is at most last; smaller than the present base changes nothing.
 */
void hl_terms_compact(struct hl_terms *terms, hl_index base);

/* The term of entry `index`; false when it lies before base or after last.  Index 0 has term 0 as
 * long as base is 0.  Costs the logarithm of the number of runs. */
bool hl_terms_at(const struct hl_terms *terms, hl_index index, hl_term *term);

/* The newest term, that of entry last. */
hl_term hl_terms_last(const struct hl_terms *terms);

/* The largest index, at most `index`, whose term is at most `term`; base when there is none. */
hl_index hl_terms_find(const struct hl_terms *terms, hl_index index, hl_term term);

/* Write the runs of entries first..last (all present) to out[0..max), cutting `last` where more
 * would be needed.  Returns how many; *last is the last entry covered. */
uint32_t hl_terms_view(const struct hl_terms *terms, hl_index first, hl_index *last,
                       struct hl_term_run *out, uint32_t max);

/* Abort unless every numbered invariant holds.  Reads every run. */
void hl_terms_check(const struct hl_terms *terms);

#endif
