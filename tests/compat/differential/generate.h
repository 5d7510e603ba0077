/* Operations from a seed: command grammars expanded with arguments that collide and misbehave. */
#ifndef COMPAT_DIFFERENTIAL_GENERATE_H
#define COMPAT_DIFFERENTIAL_GENERATE_H

#include "base/rng.h"
#include "stream.h"

#define FAMILY_MAX 32

struct generator {
    struct hl_rng rng;
    uint64_t times;    /* relative deadlines handed out: no two are alike */
    uint32_t families; /* bit per family to draw from */
};

/* Start the sequence of `seed`; `families_wanted` are names of families.c with commas between, or
 * NULL for all.  False when no family has such a name. */
bool generator_init(struct generator *g, uint64_t seed, const char *families_wanted);

/* Append about `count` operations to `s`. */
void generate(struct generator *g, struct stream *s, size_t count);

#endif
