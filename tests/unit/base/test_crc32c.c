/* Goal: CRC-32C is the published one, whichever way it is computed.
 * Method: known vectors, then both implementations over lengths and cuts that exercise every
 * remainder of eight. */
#include "base/crc32c.h"

#include <criterion/criterion.h>

Test(crc32c, agrees_with_the_published_vectors)
{
    cr_assert_eq(hl_crc32c(0, "123456789", 9), 0xe3069283u);
    unsigned char bytes[32] = {0};
    cr_assert_eq(hl_crc32c(0, bytes, sizeof bytes), 0x8a9136aau);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)i;
    }
    cr_assert_eq(hl_crc32c(0, bytes, sizeof bytes), 0x46dd794eu);
}

Test(crc32c, nothing_changes_nothing)
{
    cr_assert_eq(hl_crc32c(0, NULL, 0), 0);
    cr_assert_eq(hl_crc32c(77, NULL, 0), 77);
}

Test(crc32c, both_ways_agree_wherever_the_input_is_cut)
{
    unsigned char bytes[67];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)(i * 37 + 11);
    }
    for (size_t len = 0; len <= sizeof bytes; len++) {
        uint32_t whole = hl_crc32c_portable(0, bytes, len);
        for (size_t cut = 0; cut <= len; cut++) {
            uint32_t first = hl_crc32c(0, bytes, cut);
            cr_assert_eq(hl_crc32c(first, bytes + cut, len - cut), whole, "%zu of %zu", cut, len);
        }
    }
}
