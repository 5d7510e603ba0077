#include "base/crc64.h"

#include <criterion/criterion.h>

Test(crc64, the_check_value_of_the_polynomial)
{
    cr_assert_eq(hl_crc64(0, "123456789", 9), 0xe9c6d914c4b8d9cau);
    cr_assert_eq(hl_crc64(0, "", 0), 0);
}

/* Method: a text cut at every place gives the same sum, so blocks of 8 and single bytes agree. */
Test(crc64, continues_where_it_stopped)
{
    const char text[] = "This is a test of the emergency broadcast system.";
    size_t len = sizeof text - 1;
    uint64_t whole = hl_crc64(0, text, len);
    for (size_t cut = 0; cut <= len; cut++) {
        cr_assert_eq(hl_crc64(hl_crc64(0, text, cut), text + cut, len - cut), whole);
    }
}
