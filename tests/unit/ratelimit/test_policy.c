/* Goal: the table of policies is sorted, bounded, and survives any bytes. */
#include "kit/assert.h"
#include "ratelimit/policy.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct limit ten = {LIMIT_TOKEN, 10, 1, 1};
static const struct limit window = {LIMIT_WINDOW, 10, 1000, 1};

static void set(struct policies *policies, const char *name, const struct limit *limit)
{
    cr_assert_eq(policies_set(policies, hl_slice_of(name), limit), HL_OK);
}

Test(policy, is_found_by_its_name_replaced_and_deleted)
{
    struct policies policies = {0};
    set(&policies, "b", &ten);
    set(&policies, "a", &ten);
    set(&policies, "c/d:e.f-1", &ten);
    set(&policies, "a", &window);
    cr_assert_eq(policies.count, 3);
    cr_assert(limit_equal(policies_find(&policies, hl_slice_of("a")), &window));
    cr_assert_null(policies_find(&policies, hl_slice_of("A")));
    cr_assert_str_eq(policies.items[0].name, "a");
    cr_assert(policies_delete(&policies, hl_slice_of("a")));
    cr_assert_not(policies_delete(&policies, hl_slice_of("a")));
    cr_assert_str_eq(policies.items[0].name, "b");
    policies_fini(&policies);
}

Test(policy, names_that_the_commands_could_not_tell_apart_are_refused)
{
    static const char *const bad[] = {"",      "1a",   "-",      "AND", "and", "cost",    "Now",
                                      "token", "GCRA", "window", "a b", "a\n", "\xc3\xa4"};
    for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++) {
        cr_assert_not(policy_name_valid(hl_slice_of(bad[i])), "%s", bad[i]);
    }
    char name[POLICY_NAME_MAX + 1];
    memset(name, 'n', sizeof name);
    cr_assert(policy_name_valid((struct hl_slice){name, POLICY_NAME_MAX}));
    cr_assert_not(policy_name_valid((struct hl_slice){name, sizeof name}));
    cr_assert(policy_name_valid(hl_slice_of("android")));
    cr_assert_not(policy_name_valid((struct hl_slice){"a\0b", 3}));
}

Test(policy, there_are_at_most_so_many)
{
    struct policies policies = {0};
    char name[32];
    for (int i = 0; i < POLICIES_MAX; i++) {
        snprintf(name, sizeof name, "p%d", i);
        set(&policies, name, &ten);
    }
    cr_assert_eq(policies_set(&policies, hl_slice_of("more"), &ten), HL_EFULL);
    cr_assert_eq(policies_set(&policies, hl_slice_of("p7"), &window), HL_OK);
    struct hl_buf bytes = {0};
    struct policies copy = {0};
    policies_encode(&policies, &bytes);
    cr_assert_eq(policies_decode(&copy, hl_buf_view(&bytes)), HL_OK);
    cr_assert_eq(copy.count, POLICIES_MAX);
    policies_fini(&copy);
    policies_fini(&policies);
    hl_buf_fini(&bytes);
}

Test(policy, bytes_that_are_none_are_refused_and_others_come_back_the_same)
{
    struct policies policies = {0};
    struct hl_buf bytes = {0};
    set(&policies, "alpha", &ten);
    set(&policies, "beta", &window);
    policies_encode(&policies, &bytes);
    policies_fini(&policies);
    size_t one = 1 + 1 + 5 + 25; /* where the second begins: a table of one is a table */
    for (size_t cut = 0; cut < bytes.len; cut++) {
        hl_err err = policies_decode(&policies, (struct hl_slice){bytes.ptr, cut});
        cr_assert_eq(err, cut == 1 || cut == one ? HL_OK : HL_ECORRUPT, "%zu", cut);
        policies_fini(&policies);
    }
    for (size_t at = 0; at < bytes.len; at++) {
        char was = bytes.ptr[at];
        for (unsigned value = 0; value < 256; value++) {
            bytes.ptr[at] = (char)value;
            hl_err err = policies_decode(&policies, hl_buf_view(&bytes));
            if (err == HL_OK) {
                struct hl_buf again = {0};
                policies_encode(&policies, &again);
                cr_assert(hl_slice_equal(hl_buf_view(&bytes), hl_buf_view(&again)));
                hl_buf_fini(&again);
            }
            policies_fini(&policies);
        }
        bytes.ptr[at] = was;
    }
    bytes.ptr[0] = 2;
    cr_assert_eq(policies_decode(&policies, hl_buf_view(&bytes)), HL_EVERSION);
    hl_buf_fini(&bytes);
}
