/* Goal: whoever serves clients of his own, their addresses are read as those of ours. */
#include "auth/address.h"
#include "kit/assert.h"

#include <criterion/criterion.h>

Test(address, an_address_is_found_in_what_the_server_calls_a_client)
{
    static const struct {
        const char *text, *address;
        bool counts;
    } rows[] = {
        {"10.0.0.7", "10.0.0.7", true},
        {"http:10.0.0.7", "10.0.0.7", true},
        {"gateway:10.0.0.7", "10.0.0.7", true},
        {"http:127.0.0.1", "127.0.0.1", false},
        {"127.0.0.1", "127.0.0.1", false},
        {"::1", "::1", false},
        {"http:::1", "::1", false},
        {"http:[::1]", "::1", false},
        {"[fe80::1]", "fe80::1", true},
        {"gateway:[fe80::1]", "fe80::1", true},
        {"fe80::1", "fe80::1", true},
        {"dead:beef::1", "dead:beef::1", true},
        {"::ffff:127.0.0.1", "::ffff:127.0.0.1", false},
        {"http:", "", false},
        {"", "", false},
        {"10.0.0.7\n", "", false},
        {"1234567890123456789012345678901234567890123456", "", false},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
        char out[RECORD_ADDRESS_MAX + 1] = "before";
        address_read(out, hl_slice_of(rows[i].text));
        cr_assert_str_eq(out, rows[i].address, "row %zu", i);
        cr_assert_eq(address_counts(out), rows[i].counts, "row %zu", i);
    }
}
