#include "kit/sha256.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void assert_digest(struct hl_slice data, const char *hex)
{
    unsigned char digest[HL_SHA256_BYTES];
    char text[65];
    hl_sha256(data, digest);
    for (int i = 0; i < HL_SHA256_BYTES; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
    }
    cr_assert_str_eq(text, hex);
}

Test(sha256, gives_the_published_digests)
{
    assert_digest(hl_slice_of(""),
                  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_digest(hl_slice_of("abc"),
                  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_digest(hl_slice_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    static char million[1000000];
    memset(million, 'a', sizeof million);
    assert_digest((struct hl_slice){million, sizeof million},
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

Test(sha256, comparing_finds_a_difference_anywhere)
{
    unsigned char a[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    unsigned char b[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    cr_assert(hl_equal_constant_time(a, b, 8));
    for (int i = 0; i < 8; i++) {
        b[i] ^= 0x80;
        cr_assert_not(hl_equal_constant_time(a, b, 8));
        b[i] ^= 0x80;
    }
}
