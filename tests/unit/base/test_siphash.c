/* The keyed hash against published values of SipHash-1-3, and its dependence on every bit. */
#include "base/siphash.h"

#include <criterion/criterion.h>
#include <string.h>

Test(siphash, agrees_with_published_values)
{
    static const uint64_t zero[2] = {0, 0};
    static const uint64_t counting[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
    static const unsigned char bytes[1] = {0};
    cr_assert_eq(hl_hash(zero, "", 0), 0xd1fba762150c532cu);
    cr_assert_eq(hl_hash(zero, "siphash", 7), 0x8264ceeccb16bcbeu);
    cr_assert_eq(hl_hash(counting, "", 0), 0xabac0158050fc4dcu);
    cr_assert_eq(hl_hash(counting, bytes, 1), 0xc9f49bf37d57ca93u);
}

/* Method: flip each bit of keys of 0..40 bytes and of the seed; every flip must change the hash. */
Test(siphash, every_bit_of_key_and_seed_counts)
{
    for (size_t len = 0; len <= 40; len++) {
        unsigned char key[40] = {0};
        uint64_t seed[2] = {1, 2};
        uint64_t plain = hl_hash(seed, key, len);
        for (size_t bit = 0; bit < len * 8; bit++) {
            key[bit / 8] ^= (unsigned char)(1 << bit % 8);
            cr_assert_neq(hl_hash(seed, key, len), plain);
            key[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
        for (int bit = 0; bit < 128; bit++) {
            seed[bit / 64] ^= (uint64_t)1 << bit % 64;
            cr_assert_neq(hl_hash(seed, key, len), plain);
            seed[bit / 64] ^= (uint64_t)1 << bit % 64;
        }
        cr_assert_eq(hl_hash(seed, key, len), plain);
    }
}

Test(siphash, the_address_does_not_matter)
{
    static const uint64_t seed[2] = {3, 4};
    char room[64];
    uint64_t want = hl_hash(seed, "some key of no import", 21);
    for (size_t shift = 0; shift < 16; shift++) {
        memcpy(room + shift, "some key of no import", 21);
        cr_assert_eq(hl_hash(seed, room + shift, 21), want);
    }
}
