/* ACL files and rules: whatever is accepted is printed as rules that mean and print the same, and
 * what is refused changes nothing. */
#include "kit/assert.h"
#include "node/acl.h"

static void run_nothing(struct hl_call *call)
{
    (void)call;
}

static const struct hl_command_row rows[] = {
    {.name = "get",
     .run = run_nothing,
     .arity = 2,
     .flags = HL_CMD_READONLY | HL_CMD_FAST,
     .acl = HL_ACL_STRING,
     .keys = {{.flags = HL_KEY_RO | HL_KEY_ACCESS, .first = 1, .step = 1}}},
    {.name = "set",
     .run = run_nothing,
     .arity = -3,
     .flags = HL_CMD_WRITE,
     .acl = HL_ACL_STRING,
     .keys = {{.flags = HL_KEY_OW | HL_KEY_UPDATE, .first = 1, .step = 1}}},
    {.name = "select", .run = run_nothing, .arity = 2, .flags = HL_CMD_FAST},
    {.name = "psubscribe", .run = run_nothing, .arity = -2, .flags = HL_CMD_PUBSUB},
    {.name = "config", .arity = -2},
    {.name = "config|get", .run = run_nothing, .arity = -3, .flags = HL_CMD_ADMIN},
    {.name = "config|set", .run = run_nothing, .arity = -4, .flags = HL_CMD_ADMIN},
};

/* A bit for each request that each user may make: what the rules mean. */
static void append_meaning(struct hl_acl *acl, const struct hl_command_table *table,
                           struct hl_buf *out)
{
    static const char *const requests[][4] = {{"get", "a"},           {"set", "ab", "1"},
                                              {"select", "1"},        {"psubscribe", "a*"},
                                              {"config", "get", "x"}, {"config", "set", "x", "1"}};
    for (size_t i = 0; i < hl_acl_count(acl); i++) {
        for (size_t r = 0; r < HL_ARRAY_LEN(requests); r++) {
            struct hl_slice argv[4];
            int argc = 0;
            while (argc < 4 && requests[r][argc] != NULL) {
                argv[argc] = hl_slice_of(requests[r][argc]);
                argc++;
            }
            int index = 0;
            struct hl_command *cmd = hl_command_of(table, argv, argc);
            enum hl_acl_verdict verdict =
                hl_acl_check(acl, hl_acl_at(acl, i), cmd, argv, argc, &index);
            HL_ASSERT(index >= 0 && index < argc);
            hl_buf_append_u8(out, (uint8_t)('0' + verdict));
        }
    }
}

static void check_round_trip(struct hl_acl *acl, const struct hl_command_table *table)
{
    struct hl_buf first = {0};
    struct hl_buf second = {0};
    struct hl_errmsg msg = {0};
    append_meaning(acl, table, &first);
    hl_acl_save(acl, &first);
    struct hl_buf saved = {0};
    hl_acl_save(acl, &saved);
    hl_err err = hl_acl_load(acl, "again", hl_buf_view(&saved), NULL, NULL, &msg);
    HL_ASSERT(err == HL_OK);
    append_meaning(acl, table, &second);
    hl_acl_save(acl, &second);
    HL_ASSERT(hl_slice_equal(hl_buf_view(&first), hl_buf_view(&second)));
    hl_buf_fini(&first);
    hl_buf_fini(&second);
    hl_buf_fini(&saved);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hl_slice text = {.ptr = (const char *)data, .len = size};
    struct hl_command_table *table = hl_command_table_create();
    hl_err err = hl_command_register(table, rows, HL_ARRAY_LEN(rows));
    HL_ASSERT(err == HL_OK);
    struct hl_acl *acl = hl_acl_create(table);
    struct hl_errmsg msg = {0};
    err = hl_acl_load(acl, "input", text, NULL, NULL, &msg);
    HL_ASSERT(err == HL_OK || (msg.text[0] != '\0' && hl_acl_count(acl) == 1));
    check_round_trip(acl, table);
    err = hl_acl_set(acl, hl_slice_of("u"), &text, 1, &msg); /* one rule with any bytes */
    HL_ASSERT(err == HL_OK || strncmp(msg.text, "ERR ", 4) == 0);
    hl_acl_destroy(acl);
    hl_command_table_destroy(table);
    return 0;
}
