/* What a request does with a key, where its options decide: as redis-server 7.0 answers COMMAND
 * GETKEYSANDFLAGS. */
#include "command/command.h"

#include <criterion/criterion.h>

static void run_nothing(struct hl_call *call)
{
    (void)call;
}

static const struct hl_command_row rows[] = {
    {.name = "set",
     .run = run_nothing,
     .arity = -3,
     .keys = {{.flags = HL_KEY_RW | HL_KEY_ACCESS | HL_KEY_UPDATE | HL_KEY_VARIABLE_FLAGS,
               .first = 1,
               .step = 1}}},
    {.name = "bitfield",
     .run = run_nothing,
     .arity = -2,
     .keys = {{.flags = HL_KEY_RW | HL_KEY_ACCESS | HL_KEY_UPDATE | HL_KEY_VARIABLE_FLAGS,
               .first = 1,
               .step = 1}}},
    {.name = "get",
     .run = run_nothing,
     .arity = 2,
     .keys = {{.flags = HL_KEY_RO | HL_KEY_ACCESS, .first = 1, .step = 1}}},
};

/* The use of the only key of a request, its words between spaces. */
static uint32_t use_of(const struct hl_command_table *table, const char *line)
{
    struct hl_slice argv[16];
    struct hl_key_ref refs[16];
    int argc = 0;
    for (const char *at = line; *at != '\0'; at += *at == ' ') {
        size_t len = strcspn(at, " ");
        argv[argc++] = (struct hl_slice){at, len};
        at += len;
    }
    const struct hl_command *cmd = hl_command_of(table, argv, argc);
    cr_assert_eq(hl_command_keys(cmd, argv, argc, refs), 1);
    return hl_command_key_use(cmd, argv, argc, refs[0].flags);
}

Test(key_use, follows_the_options)
{
    const uint32_t both = HL_KEY_RW | HL_KEY_ACCESS | HL_KEY_UPDATE;
    struct hl_command_table *table = hl_command_table_create();
    cr_assert_eq(hl_command_register(table, rows, sizeof rows / sizeof rows[0]), HL_OK);
    cr_assert_eq(use_of(table, "set k v"), HL_KEY_OW | HL_KEY_UPDATE);
    cr_assert_eq(use_of(table, "set k get"), HL_KEY_OW | HL_KEY_UPDATE, "a value is no option");
    cr_assert_eq(use_of(table, "set k v EX 5 get"), both);
    cr_assert_eq(use_of(table, "bitfield k GET u8 0 get u8 8"), HL_KEY_RO | HL_KEY_ACCESS);
    cr_assert_eq(use_of(table, "bitfield k get u8 0 set u8 0 1"), both);
    cr_assert_eq(use_of(table, "get k"), HL_KEY_RO | HL_KEY_ACCESS);
    hl_command_table_destroy(table);
}
