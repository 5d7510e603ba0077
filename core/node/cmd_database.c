/* Whole databases: FLUSHDB FLUSHALL SWAPDB; and TIME. */
#include "command/args.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "node/node_internal.h"

/* ASYNC and SYNC are accepted; false after replying to anything else. */
static bool flush_mode(struct hl_call *call)
{
    if (call->argc > 2 ||
        (call->argc == 2 && !hl_arg_is(call, 1, "async") && !hl_arg_is(call, 1, "sync"))) {
        hl_reply_error(call, HL_ERR_SYNTAX);
        return false;
    }
    return true;
}

static void flush(struct hl_call *call, int db)
{
    struct hl_node *node = call->node;
    hl_watch_flushed(node, db);
    if (node->hooks.flushed != NULL) {
        node->hooks.flushed(node->hooks.ctx, db, false);
    }
    if (db < 0) {
        hl_ks_flush(call->ks);
    } else {
        hl_db_flush(call->db);
    }
    hl_gate_everything(node);
    if (node->hooks.flushed != NULL) {
        node->hooks.flushed(node->hooks.ctx, db, true);
    }
    call->changes++;
    struct hl_slice effect[1] = {hl_slice_of(db < 0 ? "FLUSHALL" : "FLUSHDB")};
    hl_call_effect(call, 1, effect);
    hl_write_ok(call->out);
}

static void cmd_flushdb(struct hl_call *call)
{
    if (flush_mode(call)) {
        flush(call, hl_db_index(call->db));
    }
}

static void cmd_flushall(struct hl_call *call)
{
    if (flush_mode(call)) {
        flush(call, -1);
    }
}

static bool db_number(struct hl_call *call, int i, const char *error, int *out)
{
    int64_t index = 0;
    if (!hl_parse_i64(call->argv[i], &index) || index < INT32_MIN || index > INT32_MAX) {
        hl_reply_error(call, error);
        return false;
    }
    if (index < 0 || index >= call->ks->db_count) {
        hl_reply_error(call, "ERR DB index is out of range");
        return false;
    }
    *out = (int)index;
    return true;
}

static void cmd_swapdb(struct hl_call *call)
{
    int a = 0;
    int b = 0;
    if (!db_number(call, 1, "ERR invalid first DB index", &a) ||
        !db_number(call, 2, "ERR invalid second DB index", &b)) {
        return;
    }
    if (a != b) {
        hl_watch_flushed(call->node, a);
        hl_watch_flushed(call->node, b);
        hl_ks_swap(call->ks, a, b);
        hl_watch_flushed(call->node, a);
        hl_watch_flushed(call->node, b);
        hl_gate_everything(call->node);
        hl_scrub_reset(call->node);
        hl_key_wait_swapped(call->node, a);
        hl_key_wait_swapped(call->node, b);
        if (call->node->hooks.swapped != NULL) {
            call->node->hooks.swapped(call->node->hooks.ctx, a, b);
        }
    }
    call->changes++;
    hl_write_ok(call->out);
}

static void cmd_time(struct hl_call *call)
{
    int64_t now_us = call->node->now_us;
    hl_write_array(call->out, 2);
    hl_write_bulk_int(call->out, now_us / 1000000);
    hl_write_bulk_int(call->out, now_us % 1000000);
}

#define ROW(cmd_name, fn, n, cmd_flags, cats, version, cost, words, grammar)                       \
    {                                                                                              \
        .name = (cmd_name), .run = (fn), .arity = (n), .flags = (cmd_flags), .acl = (cats),        \
        .group = "server", .since = (version), .complexity = (cost), .summary = (words),           \
        .args = (grammar)                                                                          \
    }

const struct hl_command_row hl_commands_database[] = {
    ROW("flushdb", cmd_flushdb, -1, HL_CMD_WRITE | HL_CMD_WHOLE_KEYSPACE,
        HL_ACL_KEYSPACE | HL_ACL_DANGEROUS, "1.0.0", "O(N) where N is the number of keys",
        "Delete all keys of the database.", "[ASYNC|SYNC]"),
    ROW("flushall", cmd_flushall, -1, HL_CMD_WRITE | HL_CMD_WHOLE_KEYSPACE,
        HL_ACL_KEYSPACE | HL_ACL_DANGEROUS, "1.0.0", "O(N) where N is the number of keys",
        "Delete all keys of all databases.", "[ASYNC|SYNC]"),
    ROW("swapdb", cmd_swapdb, 3, HL_CMD_WRITE | HL_CMD_FAST | HL_CMD_WHOLE_KEYSPACE,
        HL_ACL_KEYSPACE | HL_ACL_DANGEROUS, "4.0.0", "O(1)",
        "Exchange the contents of two databases.", "index1:integer index2:integer"),
    ROW("time", cmd_time, 1, HL_CMD_LOADING | HL_CMD_STALE | HL_CMD_FAST, 0, "2.6.0", "O(1)",
        "Answer the server's time in seconds and microseconds.", NULL),
};
const size_t hl_commands_database_count = HL_ARRAY_LEN(hl_commands_database);
