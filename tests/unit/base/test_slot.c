/* Slots of keys: the values that Redis Cluster documents. */
#include "base/slot.h"

#include <criterion/criterion.h>

Test(slot, known_values)
{
    cr_assert_eq(hl_key_slot(hl_slice_of("123456789")), 0x31C3);
    cr_assert_eq(hl_key_slot(hl_slice_of("foo")), 12182);
    cr_assert_eq(hl_key_slot((struct hl_slice){0}), 0);
}

Test(slot, a_tag_decides_alone)
{
    unsigned tag = hl_key_slot(hl_slice_of("user1000"));
    cr_assert_eq(hl_key_slot(hl_slice_of("{user1000}.following")), tag);
    cr_assert_eq(hl_key_slot(hl_slice_of("x{user1000}{other}")), tag);
    cr_assert_neq(hl_key_slot(hl_slice_of("{}user1000")), tag);
    cr_assert_neq(hl_key_slot(hl_slice_of("{user1000")), tag);
}
