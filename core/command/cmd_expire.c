/* Deadlines: EXPIRE and its kin, TTL and its kin, PERSIST.
 *
 * What is logged is always an absolute time in milliseconds; a time that has passed is logged as
 * the death of the key.
 */
#include "command/ttl.h"
#include "kit/assert.h"

#define COND_NX (1u << 0)
#define COND_XX (1u << 1)
#define COND_GT (1u << 2)
#define COND_LT (1u << 3)

static bool conditions(struct hl_call *call, unsigned *out)
{
    unsigned flags = 0;
    for (int i = 3; i < call->argc; i++) {
        if (hl_arg_is(call, i, "nx")) {
            flags |= COND_NX;
        } else if (hl_arg_is(call, i, "xx")) {
            flags |= COND_XX;
        } else if (hl_arg_is(call, i, "gt")) {
            flags |= COND_GT;
        } else if (hl_arg_is(call, i, "lt")) {
            flags |= COND_LT;
        } else {
            hl_reply_errorf(call, "ERR Unsupported option %.*s",
                            (int)(call->argv[i].len < 128 ? call->argv[i].len : 128),
                            call->argv[i].ptr);
            return false;
        }
    }
    if ((flags & COND_NX) != 0 && (flags & ~COND_NX) != 0) {
        hl_reply_error(call, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if ((flags & COND_GT) != 0 && (flags & COND_LT) != 0) {
        hl_reply_error(call, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    *out = flags;
    return true;
}

/* Does the key's present deadline allow the new one?  No deadline counts as infinite. */
static bool allowed(int64_t now, int64_t when, unsigned flags)
{
    bool none = now == HL_NO_EXPIRE;
    if (((flags & COND_NX) != 0 && !none) || ((flags & COND_XX) != 0 && none)) {
        return false;
    }
    if ((flags & COND_GT) != 0 && (none || when <= now)) {
        return false;
    }
    return (flags & COND_LT) == 0 || none || when < now;
}

static bool deadline(struct hl_call *call, struct hl_ttl_unit unit, int64_t *when_ms)
{
    int64_t v = 0;
    if (!hl_arg_i64(call, 2, &v)) {
        return false;
    }
    bool bad = unit.seconds && (v > INT64_MAX / 1000 || v < INT64_MIN / 1000);
    if (!bad) {
        v = unit.seconds ? v * 1000 : v;
        bad = !unit.absolute && v > INT64_MAX - call->now_ms;
    }
    if (bad) {
        hl_reply_errorf(call, "ERR invalid expire time in '%s' command", call->cmd->row->name);
        return false;
    }
    *when_ms = unit.absolute ? v : v + call->now_ms;
    return true;
}

static void expire(struct hl_call *call, struct hl_ttl_unit unit)
{
    unsigned flags = 0;
    int64_t when_ms = 0;
    struct hl_slice key = call->argv[1];
    if (!conditions(call, &flags) || !deadline(call, unit, &when_ms)) {
        return;
    }
    struct hl_entry *entry = hl_db_find(call->db, key, HL_FIND_WRITE);
    if (entry == NULL || !allowed(hl_entry_expire(entry), when_ms, flags)) {
        hl_write_int(call->out, 0);
        return;
    }
    if (when_ms <= call->now_ms && (call->flags & HL_CALL_REPLICATED) == 0) {
        (void)hl_db_delete(call->db, key);
        hl_call_modified(call, HL_NOTIFY_GENERIC, "del", key);
        struct hl_slice effect[2] = {hl_slice_of("DEL"), key};
        hl_call_effect(call, 2, effect);
    } else {
        (void)hl_db_set_expire(call->db, entry, when_ms < 0 ? 0 : when_ms);
        hl_call_modified(call, HL_NOTIFY_GENERIC, "expire", key);
        hl_effect_expire_at(call, key, when_ms < 0 ? 0 : when_ms);
    }
    hl_write_int(call->out, 1);
}

static void cmd_expire(struct hl_call *call)
{
    expire(call, (struct hl_ttl_unit){.seconds = true});
}

static void cmd_pexpire(struct hl_call *call)
{
    expire(call, (struct hl_ttl_unit){.seconds = false});
}

static void cmd_expireat(struct hl_call *call)
{
    expire(call, (struct hl_ttl_unit){.seconds = true, .absolute = true});
}

static void cmd_pexpireat(struct hl_call *call)
{
    expire(call, (struct hl_ttl_unit){.seconds = false, .absolute = true});
}

static void remaining(struct hl_call *call, struct hl_ttl_unit unit)
{
    struct hl_entry *entry = hl_db_find(call->db, call->argv[1], HL_FIND_NOTOUCH);
    int64_t when_ms = entry != NULL ? hl_entry_expire(entry) : -2;
    if (entry == NULL || when_ms == HL_NO_EXPIRE) {
        hl_write_int(call->out, entry == NULL ? -2 : -1);
        return;
    }
    int64_t v = unit.absolute ? when_ms : when_ms - call->now_ms;
    v = v < 0 ? 0 : v;
    hl_write_int(call->out, unit.seconds ? (unit.absolute ? v / 1000 : (v + 500) / 1000) : v);
}

static void cmd_ttl(struct hl_call *call)
{
    remaining(call, (struct hl_ttl_unit){.seconds = true});
}

static void cmd_pttl(struct hl_call *call)
{
    remaining(call, (struct hl_ttl_unit){.seconds = false});
}

static void cmd_expiretime(struct hl_call *call)
{
    remaining(call, (struct hl_ttl_unit){.seconds = true, .absolute = true});
}

static void cmd_pexpiretime(struct hl_call *call)
{
    remaining(call, (struct hl_ttl_unit){.seconds = false, .absolute = true});
}

static void cmd_persist(struct hl_call *call)
{
    struct hl_entry *entry = hl_db_find(call->db, call->argv[1], HL_FIND_WRITE);
    if (entry == NULL || hl_entry_expire(entry) == HL_NO_EXPIRE) {
        hl_write_int(call->out, 0);
        return;
    }
    (void)hl_db_set_expire(call->db, entry, HL_NO_EXPIRE);
    hl_call_modified(call, HL_NOTIFY_GENERIC, "persist", call->argv[1]);
    hl_write_int(call->out, 1);
}

#define ROW(cmd_name, fn, n, cmd_flags, key_flags, version, words, grammar)                        \
    {                                                                                              \
        .name = (cmd_name), .run = (fn), .arity = (n), .flags = (cmd_flags) | HL_CMD_FAST,         \
        .acl = HL_ACL_KEYSPACE,                                                                    \
        .keys = {{.flags = (key_flags), .first = 1, .last = 0, .step = 1}}, .group = "generic",    \
        .since = (version), .complexity = "O(1)", .summary = (words), .args = (grammar)            \
    }
#define UPDATE (HL_KEY_RW | HL_KEY_UPDATE)
#define ACCESS (HL_KEY_RO | HL_KEY_ACCESS)

const struct hl_command_row hl_commands_expire[] = {
    ROW("expire", cmd_expire, -3, HL_CMD_WRITE, UPDATE, "1.0.0",
        "Let a key live for some seconds more.", "key seconds:integer [NX|XX|GT|LT]"),
    ROW("pexpire", cmd_pexpire, -3, HL_CMD_WRITE, UPDATE, "2.6.0",
        "Let a key live for some milliseconds more.", "key milliseconds:integer [NX|XX|GT|LT]"),
    ROW("expireat", cmd_expireat, -3, HL_CMD_WRITE, UPDATE, "1.2.0",
        "Let a key live until a Unix time in seconds.",
        "key unix-time-seconds:unix-time [NX|XX|GT|LT]"),
    ROW("pexpireat", cmd_pexpireat, -3, HL_CMD_WRITE, UPDATE, "2.6.0",
        "Let a key live until a Unix time in milliseconds.",
        "key unix-time-milliseconds:unix-time [NX|XX|GT|LT]"),
    ROW("ttl", cmd_ttl, 2, HL_CMD_READONLY, ACCESS, "1.0.0", "Answer the seconds a key has left.",
        "key"),
    ROW("pttl", cmd_pttl, 2, HL_CMD_READONLY, ACCESS, "2.6.0",
        "Answer the milliseconds a key has left.", "key"),
    ROW("expiretime", cmd_expiretime, 2, HL_CMD_READONLY, ACCESS, "7.0.0",
        "Answer the Unix time in seconds at which a key dies.", "key"),
    ROW("pexpiretime", cmd_pexpiretime, 2, HL_CMD_READONLY, ACCESS, "7.0.0",
        "Answer the Unix time in milliseconds at which a key dies.", "key"),
    ROW("persist", cmd_persist, 2, HL_CMD_WRITE, UPDATE, "2.2.0", "Clear a key's deadline.", "key"),
};
const size_t hl_commands_expire_count = HL_ARRAY_LEN(hl_commands_expire);
