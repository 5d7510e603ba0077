/* Commands that wait for an element: BLPOP, BRPOP, BLMOVE, BRPOPLPUSH, BLMPOP.
 *
 * What they take is logged as the command that does not wait (core/command/list.h), so a log never
 * holds one of them.
 */
#include "command/args.h"
#include "command/list.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "node/keywait.h"
#include "node/node_internal.h"

#include <math.h>

/* Read argv[i] as seconds, with a fraction if need be; 0 is for ever. */
static bool arg_timeout(struct hl_call *call, int i, int64_t *timeout_ms)
{
    long double seconds = 0;
    if (!hl_parse_ldouble(call->argv[i], &seconds) || isnan(seconds)) {
        hl_reply_error(call, "ERR timeout is not a float or out of range");
        return false;
    }
    if (seconds < 0) {
        hl_reply_error(call, "ERR timeout is negative");
        return false;
    }
    long double ms = ceill(seconds * 1000);
    if (ms >= 0x1p63L) {
        hl_reply_error(call, "ERR timeout is negative"); /* Redis 7.0 says so: its integer wraps */
        return false;
    }
    if (ms > (long double)(INT64_MAX - call->now_ms)) {
        hl_reply_error(call, "ERR timeout is out of range");
        return false;
    }
    *timeout_ms = (int64_t)ms;
    return true;
}

static void write_null(struct hl_writer *out)
{
    hl_write_null(out);
}

static void write_null_array(struct hl_writer *out)
{
    hl_write_null_array(out);
}

/* --- BLPOP and BRPOP -------------------------------------------------------------------------- */

static bool serve_left(struct hl_call *call, struct hl_slice key)
{
    return hl_list_pop_named(call, key, HL_LEFT);
}

static bool serve_right(struct hl_call *call, struct hl_slice key)
{
    return hl_list_pop_named(call, key, HL_RIGHT);
}

/* Serve the request from the first key that can, or say that one is no list; false when none can.
 */
static bool serve_now(struct hl_call *call, int first, int count, const struct hl_key_wait_how *how)
{
    for (int i = first; i < first + count; i++) {
        bool wrong = false;
        (void)hl_arg_find(call, i, HL_TYPE_LIST, HL_FIND_WRITE, &wrong);
        if (wrong || how->serve(call, call->argv[i])) {
            return true;
        }
    }
    return false;
}

/* Serve the request now, or wait for its keys; `deny` replies where nobody may wait. */
static void serve_or_wait(struct hl_call *call, int first, int count, int64_t timeout_ms,
                          const struct hl_key_wait_how *how, void (*deny)(struct hl_writer *out))
{
    if (serve_now(call, first, count, how)) {
        return;
    }
    if (hl_key_wait_may(call)) {
        hl_key_wait(call, first, count, timeout_ms, how);
    } else {
        deny(call->out);
    }
}

static void cmd_blpop(struct hl_call *call)
{
    static const struct hl_key_wait_how how = {serve_left, write_null_array};
    int64_t timeout_ms = 0;
    if (arg_timeout(call, call->argc - 1, &timeout_ms)) {
        serve_or_wait(call, 1, call->argc - 2, timeout_ms, &how, write_null_array);
    }
}

static void cmd_brpop(struct hl_call *call)
{
    static const struct hl_key_wait_how how = {serve_right, write_null_array};
    int64_t timeout_ms = 0;
    if (arg_timeout(call, call->argc - 1, &timeout_ms)) {
        serve_or_wait(call, 1, call->argc - 2, timeout_ms, &how, write_null_array);
    }
}

/* --- BLMOVE and BRPOPLPUSH -------------------------------------------------------------------- */

static bool serve_move(struct hl_call *call, struct hl_slice key)
{
    enum hl_list_end from = HL_RIGHT;
    enum hl_list_end to = HL_LEFT;
    HL_MAYBE(key.len);     /* the only one: argv[1] */
    if (call->argc == 6) { /* BLMOVE, whose words were read before */
        bool good = hl_arg_list_end(call, 3, &from) && hl_arg_list_end(call, 4, &to);
        HL_ASSERT(good);
    }
    return hl_list_move_named(call, from, to);
}

static void cmd_blmove(struct hl_call *call)
{
    static const struct hl_key_wait_how how = {serve_move, write_null_array};
    int64_t timeout_ms = 0;
    enum hl_list_end end;
    if (call->argc == 6 && (!hl_arg_list_end(call, 3, &end) || !hl_arg_list_end(call, 4, &end))) {
        return;
    }
    if (arg_timeout(call, call->argc - 1, &timeout_ms)) {
        serve_or_wait(call, 1, 1, timeout_ms, &how, write_null);
    }
}

/* --- BLMPOP ----------------------------------------------------------------------------------- */

static bool serve_mpop(struct hl_call *call, struct hl_slice key)
{
    struct hl_list_mpop options;
    bool good = hl_arg_list_mpop(call, 2, &options);
    HL_ASSERT(good); /* read before */
    return hl_list_mpop_named(call, key, &options);
}

static void cmd_blmpop(struct hl_call *call)
{
    static const struct hl_key_wait_how how = {serve_mpop, write_null_array};
    int64_t timeout_ms = 0;
    struct hl_list_mpop options;
    if (arg_timeout(call, 1, &timeout_ms) && hl_arg_list_mpop(call, 2, &options)) {
        serve_or_wait(call, options.first, options.keys, timeout_ms, &how, write_null_array);
    }
}

#define TAKE (HL_KEY_RW | HL_KEY_ACCESS | HL_KEY_DELETE)
#define WAITS (HL_CMD_WRITE | HL_CMD_NOSCRIPT | HL_CMD_BLOCKING)
#define POP_ROW(cmd_name, fn, words)                                                               \
    {                                                                                              \
        .name = (cmd_name), .run = (fn), .arity = -3, .flags = WAITS, .acl = HL_ACL_LIST,          \
        .keys = {{.flags = TAKE, .first = 1, .last = -2, .step = 1}}, .group = "list",             \
        .since = "2.0.0", .complexity = "O(N) where N is the number of keys", .summary = (words),  \
        .args = "key... timeout:double"                                                            \
    }
#define MOVE_ROW(cmd_name, n, version, words, grammar)                                             \
    {                                                                                              \
        .name = (cmd_name), .run = cmd_blmove, .arity = (n), .flags = WAITS | HL_CMD_DENYOOM,      \
        .acl = HL_ACL_LIST,                                                                        \
        .keys = {{.flags = TAKE, .first = 1, .last = 0, .step = 1},                                \
                 {.flags = HL_KEY_RW | HL_KEY_INSERT, .first = 2, .last = 0, .step = 1}},          \
        .group = "list", .since = (version), .complexity = "O(1)", .summary = (words),             \
        .args = (grammar)                                                                          \
    }

const struct hl_command_row hl_commands_blocking[] = {
    POP_ROW("blpop", cmd_blpop, "Take the head of the first list that has one, or wait for it."),
    POP_ROW("brpop", cmd_brpop, "Take the tail of the first list that has one, or wait for it."),
    MOVE_ROW("blmove", 6, "6.2.0", "Move an element from a list to another, or wait for it.",
             "source:key destination:key (LEFT|RIGHT) (LEFT|RIGHT) timeout:double"),
    MOVE_ROW("brpoplpush", 4, "2.2.0", "Move the tail of a list to another's head, or wait for it.",
             "source:key destination:key timeout:double"),
    {.name = "blmpop",
     .run = cmd_blmpop,
     .arity = -5,
     .flags = (WAITS & ~HL_CMD_NOSCRIPT) | HL_CMD_MOVABLE_KEYS,
     .acl = HL_ACL_LIST,
     .keys = {{.flags = TAKE, .first = 2, .step = 1, .keynum = 2}},
     .group = "list",
     .since = "7.0.0",
     .complexity = "O(N+M) where N is the number of keys and M of elements taken",
     .summary = "Take elements from the first list that has some, or wait for them.",
     .args = "timeout:double numkeys:integer key... (LEFT|RIGHT) [COUNT count:integer]"},
};
const size_t hl_commands_blocking_count = HL_ARRAY_LEN(hl_commands_blocking);
