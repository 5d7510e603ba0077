/* Checks in a row. */
#include "proxy/check.h"

#include <criterion/criterion.h>

Test(check, three_bad_ones_in_a_row_take_it_out_and_two_good_ones_bring_it_back)
{
    struct check c = {0};
    cr_assert_not(check_take(&c, false, 2, 3));
    cr_assert_not(check_take(&c, false, 2, 3));
    cr_assert_not(check_take(&c, true, 2, 3), "in a row");
    cr_assert_not(check_take(&c, false, 2, 3));
    cr_assert_not(check_take(&c, false, 2, 3));
    cr_assert(check_take(&c, false, 2, 3));
    cr_assert(c.down);
    cr_assert_eq(c.fails, 3);
    cr_assert_not(check_take(&c, true, 2, 3));
    cr_assert_not(check_take(&c, false, 2, 3));
    cr_assert_not(check_take(&c, true, 2, 3));
    cr_assert(check_take(&c, true, 2, 3));
    cr_assert_not(c.down);
    cr_assert_eq(c.checked, 10);
}
