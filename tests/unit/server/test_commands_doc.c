/* The command table as a whole: every row's grammar reads, and docs/commands.md is what it says.
 * Run with REWRITE=1 to make the file anew. */
#include "command/command.h"
#include "command/docs.h"
#include "kit/assert.h"
#include "node/node_internal.h"
#include "server/info.h"
#include "server/orders.h"
#include "server/saver.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_NAME HELIOS_SOURCE_DIR "/docs/commands.md"

static struct hl_command_table *whole_table(void)
{
    struct hl_command_table *table = hl_command_table_create();
    cr_assert_eq(hl_command_register_all(table), HL_OK);
    const struct {
        const struct hl_command_row *rows;
        size_t count;
    } families[] = {
        {hl_commands_blocking, hl_commands_blocking_count},
        {hl_commands_txn, hl_commands_txn_count},
        {hl_commands_acl, hl_commands_acl_count},
        {hl_commands_scrub, hl_commands_scrub_count},
        {hl_commands_level, 1}, /* the other one is for logs */
        {hl_commands_connection, hl_commands_connection_count},
        {hl_commands_client, hl_commands_client_count},
        {hl_commands_database, hl_commands_database_count},
        {hl_commands_observe, hl_commands_observe_count},
        {hl_commands_save, hl_commands_save_count},
        {hl_commands_server, hl_commands_server_count},
        {hl_commands_raft, hl_commands_raft_count},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(families); i++) {
        cr_assert_eq(hl_command_register(table, families[i].rows, families[i].count), HL_OK);
    }
    return table;
}

Test(commands, every_row_has_a_summary_and_a_grammar_that_reads)
{
    struct hl_command_table *table = whole_table();
    for (uint32_t id = 0; id < hl_command_id_end(table); id++) {
        const struct hl_command *cmd = hl_command_by_id(table, id);
        struct hl_doc_tree tree;
        cr_assert(hl_docs_parse(cmd->row->args, &tree), "%s: %s", cmd->row->name, cmd->row->args);
        cr_assert_not_null(cmd->row->summary, "%s", cmd->row->name);
        cr_assert_not_null(cmd->row->since, "%s", cmd->row->name);
        cr_assert_not_null(cmd->row->complexity, "%s", cmd->row->name);
        cr_assert_not_null(cmd->row->group, "%s", cmd->row->name);
    }
    hl_command_table_destroy(table);
}

Test(commands, the_manual_is_current)
{
    struct hl_command_table *table = whole_table();
    struct hl_buf want = {0};
    hl_docs_manual(table, &want);
    if (getenv("REWRITE") != NULL) {
        FILE *out = fopen(FILE_NAME, "w");
        cr_assert_not_null(out);
        cr_assert_eq(fwrite(want.ptr, 1, want.len, out), want.len);
        cr_assert_eq(fclose(out), 0);
    }
    FILE *file = fopen(FILE_NAME, "r");
    cr_assert_not_null(file, "docs/commands.md is missing: run this test with REWRITE=1");
    char *have = malloc(want.len + 1);
    size_t got = fread(have, 1, want.len + 1, file);
    cr_assert_eq(got, want.len, "docs/commands.md is not current: run with REWRITE=1");
    cr_assert_eq(memcmp(have, want.ptr, got), 0, "docs/commands.md is not current");
    (void)fclose(file);
    free(have);
    hl_buf_fini(&want);
    hl_command_table_destroy(table);
}
