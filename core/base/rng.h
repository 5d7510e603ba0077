/* Randomness with a seed: xoshiro256**, the only source of chance in pure code. */
#ifndef HL_BASE_RNG_H
#define HL_BASE_RNG_H

#include <stdint.h>

/* All zero is not a valid state: seed it. */
struct hl_rng {
    uint64_t s[4];
};

/* Start the sequence of `seed`; any value is fine. */
void hl_rng_seed(struct hl_rng *rng, uint64_t seed);

/* The next 64 bits. */
uint64_t hl_rng_next(struct hl_rng *rng);

/* A uniform number below `bound` (not 0). */
uint64_t hl_rng_below(struct hl_rng *rng, uint64_t bound);

#endif
