/* HELP of container commands, made from their subcommands' rows. */
#ifndef HL_COMMAND_HELP_H
#define HL_COMMAND_HELP_H

#include "command/command.h"

/* Lists the subcommands of the container that the call's command belongs to. */
void hl_cmd_help(struct hl_call *call);

/* The row of "parent|help"; `cats` are further ACL categories. */
#define HL_HELP_ROW(parent, cats, group_name, version)                                             \
    {                                                                                              \
        .name = parent "|help", .run = hl_cmd_help, .arity = 2,                                    \
        .flags = HL_CMD_LOADING | HL_CMD_STALE, .acl = (cats), .group = (group_name),              \
        .since = (version), .complexity = "O(1)", .summary = "List the subcommands."               \
    }

#endif
