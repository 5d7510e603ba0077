#include "kit/glob.h"

#include <criterion/criterion.h>

static bool match(const char *pattern, const char *text)
{
    return hl_glob_match(hl_slice_of(pattern), hl_slice_of(text), false);
}

Test(glob, matches_as_keys_does)
{
    cr_assert(match("*", ""));
    cr_assert(match("h?llo", "hello"));
    cr_assert(match("h*llo", "heeeello"));
    cr_assert(match("h[ae]llo", "hallo"));
    cr_assert(match("h[^e]llo", "hbllo"));
    cr_assert(match("h[a-b]llo", "hbllo"));
    cr_assert(match("h[b-a]llo", "hallo"));
    cr_assert(match("a\\*b", "a*b"));
    cr_assert(match("*a*b*c", "xxaxxbxbxc"));
    cr_assert(match("[]", "") == false);
    cr_assert(match("a[bc", "ab"));
    cr_assert(match("a\\", "a\\"));
    cr_assert(match("[a\\-c]", "-"), "an escaped byte starts no range");
    cr_assert_not(match("[\\a-c]", "b"));
    cr_assert(match("[a-]", "^"), "but ] may end one: here it is ]..a");
    cr_assert(match("", ""));
}

Test(glob, refuses_what_does_not_match)
{
    cr_assert_not(match("h?llo", "hllo"));
    cr_assert_not(match("h[^e]llo", "hello"));
    cr_assert_not(match("a\\*b", "axb"));
    cr_assert_not(match("abc", "ab"));
    cr_assert_not(match("ab", "abc"));
    cr_assert_not(match("", "a"));
    cr_assert_not(match("?", ""));
}

Test(glob, case_matters_unless_told)
{
    cr_assert_not(match("ABC", "abc"));
    cr_assert(hl_glob_match(hl_slice_of("A[B]C*"), hl_slice_of("abcd"), true));
}

/* Goal: a hostile pattern costs the product of the lengths, not an exponential. */
Test(glob, many_stars_are_cheap, .timeout = 5)
{
    char pattern[201];
    char text[100001];
    for (size_t i = 0; i < 200; i += 2) {
        pattern[i] = '*';
        pattern[i + 1] = 'a';
    }
    pattern[199] = 'b';
    pattern[200] = '\0';
    memset(text, 'a', 100000);
    text[100000] = '\0';
    cr_assert_not(match(pattern, text));
}

Test(glob, knows_a_pattern_when_it_sees_one)
{
    cr_assert(hl_glob_is_pattern(hl_slice_of("max*")));
    cr_assert_not(hl_glob_is_pattern(hl_slice_of("maxmemory")));
}
