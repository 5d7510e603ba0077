/* X HELP for every container, and the rows that ask for it. */
#include "command/help.h"

#include "kit/assert.h"

static void upper(char out[HL_COMMAND_NAME_MAX + 1], const char *name)
{
    size_t len = strlen(name);
    HL_ASSERT(len <= HL_COMMAND_NAME_MAX);
    for (size_t i = 0; i <= len; i++) {
        out[i] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - ('a' - 'A')) : name[i];
    }
}

void hl_cmd_help(struct hl_call *call)
{
    const struct hl_command *parent = call->cmd->parent;
    char name[HL_COMMAND_NAME_MAX + 1];
    upper(name, parent->row->name);
    hl_write_array(call->out, 1 + 2 * (size_t)parent->sub_count);
    struct hl_buf line = {0};
    hl_buf_printf(&line, "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", name);
    hl_write_simple_slice(call->out, hl_buf_view(&line));
    for (uint32_t i = 0; i < parent->sub_count; i++) {
        const struct hl_command_row *row = parent->subs[i]->row;
        upper(name, strchr(row->name, '|') + 1);
        hl_buf_clear(&line);
        hl_buf_printf(&line, "%s%s%s", name, row->args != NULL ? " " : "",
                      row->args != NULL ? row->args : "");
        hl_write_simple_slice(call->out, hl_buf_view(&line));
        hl_buf_clear(&line);
        hl_buf_printf(&line, "    %s", row->summary);
        hl_write_simple_slice(call->out, hl_buf_view(&line));
    }
    hl_buf_fini(&line);
}
