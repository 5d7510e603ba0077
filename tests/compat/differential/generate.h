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

/* Start the sequence of `seed`; `family` is a name of families.c or NULL for all.  False when there
 * is no such family. */
bool generator_init(struct generator *g, uint64_t seed, const char *family);

/* Append about `count` operations to `s`. */
void generate(struct generator *g, struct stream *s, size_t count);

#endif
