#include "command/command.h"
#include "kit/assert.h"

hl_err hl_command_register_all(struct hl_command_table *table)
{
    const struct {
        const struct hl_command_row *rows;
        size_t count;
    } families[] = {
        {hl_commands_string, hl_commands_string_count},
        {hl_commands_number, hl_commands_number_count},
        {hl_commands_hash, hl_commands_hash_count},
        {hl_commands_list, hl_commands_list_count},
        {hl_commands_keys, hl_commands_keys_count},
        {hl_commands_expire, hl_commands_expire_count},
        {hl_commands_dump, hl_commands_dump_count},
        {hl_commands_command, hl_commands_command_count},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(families); i++) {
        hl_err err = hl_command_register(table, families[i].rows, families[i].count);
        if (err != HL_OK) {
            return err;
        }
    }
    return HL_OK;
}
