#include "base/rng.h"

#include "kit/assert.h"

static uint64_t rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

void hl_rng_seed(struct hl_rng *rng, uint64_t seed)
{
    /* splitmix64 spreads any seed, 0 included, over the whole state. */
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        rng->s[i] = z ^ z >> 31;
    }
}

uint64_t hl_rng_next(struct hl_rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t hl_rng_below(struct hl_rng *rng, uint64_t bound)
{
    HL_ASSERT(bound != 0);
    /* Reject the few values that would favour small results. */
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t v = hl_rng_next(rng);
    while (v >= limit) {
        v = hl_rng_next(rng);
    }
    return v % bound;
}
