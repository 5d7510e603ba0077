/* Goal: what is on the list is found whatever its case, and nothing else is. */
#include "auth/deny.h"
#include "auth/password.h"
#include "kit/assert.h"

#include <criterion/criterion.h>

static bool has(const struct deny_list *list, const char *password)
{
    return deny_has(list, hl_slice_of(password));
}

Test(deny, lines_are_found_whatever_their_case)
{
    struct deny_list list = {0};
    char text[256];
    memset(text, 'y', sizeof text);
    memcpy(text, "Correct Horse\r\n\n\nanother\n", 25);
    deny_fill(&list, (struct hl_slice){text, sizeof text});
    cr_assert(has(&list, "correct horse"));
    cr_assert(has(&list, "CORRECT HORSE"));
    cr_assert(has(&list, "another"));
    cr_assert(has(&list, "Password1"), "every list has some");
    cr_assert_not(has(&list, "correct horses"));
    cr_assert_not(has(&list, ""), "empty lines are none");
    text[PASSWORD_LEN_MAX] = '\0';
    memset(text, 'y', PASSWORD_LEN_MAX);
    cr_assert_not(has(&list, text), "a line that is too long is none, nor is its beginning");
    deny_fini(&list);
    cr_assert_not(has(&list, "another"));
}

Test(deny, passwords_made_of_names_are_seen)
{
    static const struct {
        const char *password, *name;
        bool derived;
    } rows[] = {
        {"adaADAada", "ada", true},   {"ada12345", "ada", false},
        {"ada-ada-1", "ada", true},   {"helios123", "bob", true},
        {"Helios2026", "bob", false}, {"longname", "longname", true},
        {"bobbobbob", "bo", false},   {"abc", "xyz", false},
        {"heliosada", "ada", true},   {"adhelioSahel", "ada", false},
        {"12345678", "ada", false},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
        cr_assert_eq(password_is_derived(hl_slice_of(rows[i].password), rows[i].name),
                     rows[i].derived, "row %zu", i);
    }
}
