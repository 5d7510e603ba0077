/* What the forms that wait (core/node/cmd_blocking.c) share with the commands on lists. */
#ifndef HL_COMMAND_LIST_H
#define HL_COMMAND_LIST_H

#include "command/command.h"

enum hl_list_end { HL_LEFT, HL_RIGHT };

/* Read argv[i] as LEFT or RIGHT; on failure replies HL_ERR_SYNTAX and returns false. */
bool hl_arg_list_end(struct hl_call *call, int i, enum hl_list_end *out);

/* What LMPOP asks for. */
struct hl_list_mpop {
    int first, keys; /* of argv */
    enum hl_list_end end;
    int64_t count;
};

/* Read `numkeys key... LEFT|RIGHT [COUNT count]` from argv[at] on; false after replying with an
 * error. */
bool hl_arg_list_mpop(struct hl_call *call, int at, struct hl_list_mpop *out);

/* Take an element from the list under `key` and reply with both; false, with nothing said or done,
 * when there is no list.  As all functions here, the effect is that of the form that does not
 * wait. */
bool hl_list_pop_named(struct hl_call *call, struct hl_slice key, enum hl_list_end end);

/* Take up to `options->count` elements from the list under `key` and reply as LMPOP. */
bool hl_list_mpop_named(struct hl_call *call, struct hl_slice key,
                        const struct hl_list_mpop *options);

/* Move an element from argv[1] to argv[2] and reply with it, or with an error when that is no
 * list. */
bool hl_list_move_named(struct hl_call *call, enum hl_list_end from, enum hl_list_end to);

#endif
