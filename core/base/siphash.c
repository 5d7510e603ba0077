#include "base/siphash.h"

#include <endian.h>
#include <string.h>

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotl(s->v1, 13) ^ s->v0;
    s->v3 = rotl(s->v3, 16) ^ s->v2;
    s->v0 = rotl(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotl(s->v1, 17) ^ s->v2;
    s->v3 = rotl(s->v3, 21) ^ s->v0;
    s->v2 = rotl(s->v2, 32);
}

static inline uint64_t load_le64(const unsigned char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

/* The last 0..7 bytes, little-endian, with the length in the top byte. */
static inline uint64_t load_tail(const unsigned char *p, size_t len)
{
    uint64_t v = (uint64_t)len << 56;
    for (size_t i = 0; i < (len & 7); i++) {
        v |= (uint64_t)p[i] << (8 * i);
    }
    return v;
}

uint64_t hl_hash(const uint64_t seed[2], const void *bytes, size_t len)
{
    struct sip s = {
        .v0 = seed[0] ^ 0x736f6d6570736575u,
        .v1 = seed[1] ^ 0x646f72616e646f6du,
        .v2 = seed[0] ^ 0x6c7967656e657261u,
        .v3 = seed[1] ^ 0x7465646279746573u,
    };
    const unsigned char *p = bytes;
    for (size_t left = len; left >= 8; left -= 8, p += 8) {
        uint64_t word = load_le64(p);
        s.v3 ^= word;
        sip_round(&s);
        s.v0 ^= word;
    }
    uint64_t tail = load_tail(p, len);
    s.v3 ^= tail;
    sip_round(&s);
    s.v0 ^= tail;
    s.v2 ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
