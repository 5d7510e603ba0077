/* Goal: only what bcrypt can represent is hashed, and nothing opens an account but its password.
 * Method: the edges of length, NUL and cost; a vector whose result is public. */
#include "auth/password.h"

#include <criterion/criterion.h>

#define COST PASSWORD_COST_MIN
#define VECTOR "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"

static const unsigned char salt[PASSWORD_SALT_LEN] = "0123456789abcde";

static struct hl_slice repeat(char *out, char c, size_t len)
{
    memset(out, c, len);
    return (struct hl_slice){out, len};
}

Test(password, a_hash_opens_for_its_password_only)
{
    char hash[PASSWORD_HASH_LEN + 1];
    cr_assert_eq(password_hash(hash, hl_slice_of("correct horse"), COST, salt), HL_OK);
    cr_assert(password_hash_valid(hl_slice_of(hash)));
    cr_assert_eq(password_hash_cost(hash), COST);
    cr_assert(password_matches(hash, hl_slice_of("correct horse")));
    cr_assert_not(password_matches(hash, hl_slice_of("correct hors")));
    cr_assert_not(password_matches(hash, hl_slice_of("correct horse ")));
    cr_assert_not(password_matches(hash, hl_slice_of("")));
}

Test(password, a_known_vector_of_2b)
{
    cr_assert(password_matches(VECTOR, hl_slice_of("U*U")));
    cr_assert_not(password_matches(VECTOR, hl_slice_of("U*U*")));
}

Test(password, the_73rd_byte_is_refused_and_never_cut)
{
    char text[80];
    char hash[PASSWORD_HASH_LEN + 1];
    struct hl_slice full = repeat(text, 'x', PASSWORD_LEN_MAX);
    cr_assert_null(password_objection(full));
    cr_assert_eq(password_hash(hash, full, COST, salt), HL_OK);
    cr_assert(password_matches(hash, full));
    struct hl_slice longer = repeat(text, 'x', PASSWORD_LEN_MAX + 1);
    cr_assert_not_null(password_objection(longer));
    cr_assert_not(password_matches(hash, longer));
    cr_assert_eq(password_hash(hash, longer, COST, salt), HL_EINVAL);
}

Test(password, a_nul_byte_is_refused_and_never_an_end)
{
    char hash[PASSWORD_HASH_LEN + 1];
    struct hl_slice nul = {.ptr = "password\0one", .len = 12};
    cr_assert_not_null(password_objection(nul));
    cr_assert_eq(password_hash(hash, nul, COST, salt), HL_EINVAL);
    cr_assert_eq(password_hash(hash, hl_slice_of("password"), COST, salt), HL_OK);
    cr_assert_not(password_matches(hash, nul));
}

Test(password, short_and_empty_ones_and_costs_out_of_range_are_refused)
{
    char hash[PASSWORD_HASH_LEN + 1];
    struct hl_slice p = hl_slice_of("eight888");
    cr_assert_not_null(password_objection(hl_slice_of("")));
    cr_assert_not_null(password_objection(hl_slice_of("seven77")));
    cr_assert_null(password_objection(p));
    cr_assert_eq(password_hash(hash, (struct hl_slice){0}, COST, salt), HL_EINVAL);
    cr_assert_eq(password_hash(hash, p, PASSWORD_COST_MIN - 1, salt), HL_EINVAL);
    cr_assert_eq(password_hash(hash, p, PASSWORD_COST_MAX + 1, salt), HL_EINVAL);
    cr_assert_eq(password_hash(hash, p, 5, salt), HL_OK);
    cr_assert_eq(password_hash_cost(hash), 5);
}

Test(password, only_whole_hashes_of_our_kind_are_valid)
{
    char good[] = VECTOR;
    cr_assert(password_hash_valid(hl_slice_of(good)));
    cr_assert_not(password_hash_valid((struct hl_slice){good, PASSWORD_HASH_LEN - 1}));
    cr_assert_not(password_hash_valid((struct hl_slice){0}));
    for (size_t i = 0; i < PASSWORD_HASH_LEN; i++) {
        char kept = good[i];
        good[i] = i % 2 == 0 ? '\0' : '*';
        cr_assert_not(password_hash_valid((struct hl_slice){good, PASSWORD_HASH_LEN}), "%zu", i);
        good[i] = kept;
    }
    good[5] = '3';
    cr_assert_not(password_hash_valid(hl_slice_of(good)));
    memcpy(good + 4, "15", 2);
    cr_assert_not(password_hash_valid(hl_slice_of(good)));
}

Test(password, a_user_name_needs_no_quoting_anywhere)
{
    char text[80];
    static const char *const good[] = {"a", "Ada.Lovelace", "x_y-z", "me+tag@example.org"};
    static const char *const bad[] = {"", "a b", "a:b", "{tag}", "a\n", "a/b", "\xc3\xa9", "a*"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_assert_null(user_name_objection(hl_slice_of(good[i])), "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_not_null(user_name_objection(hl_slice_of(bad[i])), "%s", bad[i]);
    }
    cr_assert_not_null(user_name_objection((struct hl_slice){.ptr = "ada\0", .len = 4}));
    cr_assert_null(user_name_objection(repeat(text, 'n', USER_NAME_MAX)));
    cr_assert_not_null(user_name_objection(repeat(text, 'n', USER_NAME_MAX + 1)));
}
