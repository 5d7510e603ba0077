/* Which keys a request names, and what it does to them. */
#include "command/command.h"
#include "kit/assert.h"

#include <criterion/criterion.h>
#include <string.h>

#define ARGS_MAX 8

static int split(char *text, struct hl_slice *argv)
{
    int argc = 0;
    char *rest = NULL;
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        argv[argc++] = hl_slice_of(word);
    }
    return argc;
}

Test(keys, use_of_a_key_follows_the_options)
{
    static const struct {
        const char *request;
        uint32_t flags;
    } cases[] = {
        {"set a b", HL_KEY_OW | HL_KEY_UPDATE},
        {"set a get", HL_KEY_OW | HL_KEY_UPDATE}, /* the value, not an option */
        {"set a b get", HL_KEY_RW | HL_KEY_ACCESS | HL_KEY_UPDATE},
        {"set a b ex 10 GET", HL_KEY_RW | HL_KEY_ACCESS | HL_KEY_UPDATE},
        {"getset a b", HL_KEY_RW | HL_KEY_ACCESS | HL_KEY_UPDATE},
        {"get a", HL_KEY_RO | HL_KEY_ACCESS},
    };
    struct hl_command_table *table = hl_command_table_create();
    cr_assert_eq(hl_command_register_all(table), HL_OK);
    for (size_t i = 0; i < HL_ARRAY_LEN(cases); i++) {
        char text[64];
        struct hl_slice argv[ARGS_MAX];
        struct hl_key_ref refs[ARGS_MAX];
        memcpy(text, cases[i].request, strlen(cases[i].request) + 1);
        int argc = split(text, argv);
        struct hl_command *cmd = hl_command_of(table, argv, argc);
        cr_assert_not_null(cmd);
        cr_assert_eq(hl_command_keys(cmd, argv, argc, refs), 1, "%s", cases[i].request);
        cr_assert_eq(refs[0].index, 1, "%s", cases[i].request);
        cr_assert_eq(refs[0].flags, cases[i].flags, "%s: %x", cases[i].request, refs[0].flags);
    }
    hl_command_table_destroy(table);
}
