/* Goal: a credential is what stands behind "Bearer", and local is only who surely is.
 * Method: tables of headers and addresses. */
#include "gateway/credential.h"
#include "kit/assert.h"

#include <criterion/criterion.h>

Test(credential, is_what_stands_behind_bearer)
{
    static const struct {
        const char *header, *credential; /* NULL: none */
    } rows[] = {
        {"Bearer abc", "abc"}, {"bearer abc", "abc"}, {"BEARER   abc", "abc"},
        {"Bearer a b", NULL},  {"Bearer", NULL},      {"Bearer ", NULL},
        {"Bearerabc", NULL},   {"Basic abc", NULL},   {"", NULL},
        {"Bearer\tabc", NULL}, {" Bearer abc", NULL}, {"Bearer abc ", NULL},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
        struct hl_slice found = gw_credential(hl_slice_of(rows[i].header));
        if (rows[i].credential == NULL) {
            cr_assert_null(found.ptr, "%s", rows[i].header);
        } else {
            cr_assert(hl_slice_equal(found, hl_slice_of(rows[i].credential)), "%s", rows[i].header);
        }
    }
    cr_assert_null(gw_credential((struct hl_slice){0}).ptr);
}

Test(credential, addresses_of_this_machine_are_loopback)
{
    static const char *const yes[] = {"127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"};
    static const char *const no[] = {
        "",          "10.0.0.1",     "128.0.0.1", "::",         "::2",    "::ffff:10.0.0.1",
        "localhost", "127.0.0.1:80", "127.0.0",   "0127.0.0.1", "fe80::1"};
    for (size_t i = 0; i < HL_ARRAY_LEN(yes); i++) {
        cr_assert(gw_is_loopback(hl_slice_of(yes[i])), "%s", yes[i]);
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(no); i++) {
        cr_assert_not(gw_is_loopback(hl_slice_of(no[i])), "%s", no[i]);
    }
}

Test(credential, a_proxy_names_the_client_last)
{
    static const struct {
        const char *header, *address; /* NULL: none */
    } rows[] = {
        {"10.0.0.7", "10.0.0.7"},
        {"1.2.3.4, 10.0.0.7", "10.0.0.7"},
        {"evil,  ::1 ", "::1"},
        {"10.0.0.7, ", NULL},
        {"10.0.0.7,nonsense", NULL},
        {"", NULL},
        {",", NULL},
        {"10.0.0.7:80", NULL},
        {"[::1]", NULL},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
        struct hl_slice found = gw_forwarded_for(hl_slice_of(rows[i].header));
        struct hl_slice want =
            rows[i].address == NULL ? (struct hl_slice){0} : hl_slice_of(rows[i].address);
        cr_assert_eq(found.ptr == NULL, want.ptr == NULL, "%s", rows[i].header);
        cr_assert(hl_slice_equal(found, want), "%s", rows[i].header);
    }
    cr_assert(gw_is_listed(hl_slice_of("10.0.0.1  ::1"), hl_slice_of("::1")));
    cr_assert_not(gw_is_listed(hl_slice_of("10.0.0.11"), hl_slice_of("10.0.0.1")));
    cr_assert_not(gw_is_listed(hl_slice_of(""), hl_slice_of("")));
    cr_assert_not(gw_is_listed(hl_slice_of("  "), hl_slice_of("")));
}

Test(credential, hosts_that_can_only_mean_this_machine_are_local)
{
    static const char *const yes[] = {"localhost", "LocalHost:9000", "127.0.0.1", "127.0.0.1:80",
                                      "[::1]",     "[::1]:8443",     "127.1.2.3"};
    static const char *const no[] = {"",
                                     "localhost.evil.example",
                                     "evil.example",
                                     "localhost:",
                                     "localhost:x",
                                     "localhost:99999",
                                     "[::1]x",
                                     "[::1",
                                     "::1",
                                     "[127.0.0.1]",
                                     "10.0.0.1",
                                     "127.0.0.1.nip.io",
                                     "[::2]:80",
                                     "[::1]:",
                                     "localhost:80:80"};
    for (size_t i = 0; i < HL_ARRAY_LEN(yes); i++) {
        cr_assert(gw_is_local_host(hl_slice_of(yes[i])), "%s", yes[i]);
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(no); i++) {
        cr_assert_not(gw_is_local_host(hl_slice_of(no[i])), "%s", no[i]);
    }
}
