/* Strings: setting, getting, ranges. */
#include "command/ttl.h"
#include "keyspace/string.h"
#include "kit/assert.h"
#include "kit/num.h"

#define STRING_MAX (512u * 1024 * 1024) /* bytes of one string */

static void reply_string(struct hl_call *call, struct hl_entry *entry)
{
    if (entry == NULL) {
        hl_write_null(call->out);
        return;
    }
    char scratch[HL_STRING_SCRATCH];
    hl_write_bulk(call->out, hl_string_view(entry, scratch));
}

static void cmd_get(struct hl_call *call)
{
    struct hl_entry *entry = hl_db_find(call->db, call->argv[1], 0);
    if (entry != NULL && hl_entry_type(entry) != HL_TYPE_STRING) {
        hl_reply_error(call, HL_ERR_WRONGTYPE);
        return;
    }
    reply_string(call, entry);
}

/* Store, count and tell; the caller has decided. */
static struct hl_entry *store(struct hl_call *call, struct hl_slice key, struct hl_slice value,
                              bool keep_ttl)
{
    struct hl_entry *entry = hl_db_set_string(call->db, key, value, keep_ttl);
    call->changes++;
    hl_ks_notify(call->ks, HL_NOTIFY_STRING, "set", hl_db_index(call->db), key);
    return entry;
}

static void store_until(struct hl_call *call, struct hl_slice key, struct hl_slice value,
                        int64_t when_ms)
{
    struct hl_entry *entry = store(call, key, value, true);
    (void)hl_db_set_expire(call->db, entry, when_ms);
    hl_ks_notify(call->ks, HL_NOTIFY_GENERIC, "expire", hl_db_index(call->db), key);
    hl_effect_set_at(call, key, value, when_ms);
}

/* SET with options; the plain form never comes here. */
static void set_with_options(struct hl_call *call)
{
    struct hl_ttl_options options;
    int64_t when_ms = HL_NO_EXPIRE;
    if (!hl_ttl_options(call, 3, HL_OPT_NX | HL_OPT_XX | HL_OPT_GET | HL_OPT_KEEPTTL | HL_OPT_TTL,
                        &options)) {
        return;
    }
    bool timed = (options.flags & HL_OPT_TTL) != 0;
    if (timed && !hl_ttl_positive(call, options.at, options.unit, &when_ms)) {
        return;
    }
    struct hl_entry *old = hl_db_find(call->db, call->argv[1], HL_FIND_WRITE);
    bool get = (options.flags & HL_OPT_GET) != 0;
    if (get) {
        if (old != NULL && hl_entry_type(old) != HL_TYPE_STRING) {
            hl_reply_error(call, HL_ERR_WRONGTYPE);
            return;
        }
        reply_string(call, old);
    }
    if (((options.flags & HL_OPT_NX) != 0 && old != NULL) ||
        ((options.flags & HL_OPT_XX) != 0 && old == NULL)) {
        if (!get) {
            hl_write_null(call->out);
        }
        return;
    }
    if (timed) {
        store_until(call, call->argv[1], call->argv[2], when_ms);
    } else {
        (void)store(call, call->argv[1], call->argv[2], (options.flags & HL_OPT_KEEPTTL) != 0);
    }
    if (!get) {
        hl_write_ok(call->out);
    }
}

static void cmd_set(struct hl_call *call)
{
    if (call->argc > 3) {
        set_with_options(call);
        return;
    }
    (void)store(call, call->argv[1], call->argv[2], false);
    hl_write_ok(call->out);
}

static void cmd_setnx(struct hl_call *call)
{
    if (hl_db_find(call->db, call->argv[1], HL_FIND_WRITE) != NULL) {
        hl_write_int(call->out, 0);
        return;
    }
    (void)store(call, call->argv[1], call->argv[2], false);
    hl_write_int(call->out, 1);
}

static void set_for(struct hl_call *call, bool seconds)
{
    int64_t when_ms = 0;
    if (!hl_ttl_positive(call, 2, (struct hl_ttl_unit){.seconds = seconds}, &when_ms)) {
        return;
    }
    store_until(call, call->argv[1], call->argv[3], when_ms);
    hl_write_ok(call->out);
}

static void cmd_setex(struct hl_call *call)
{
    set_for(call, true);
}

static void cmd_psetex(struct hl_call *call)
{
    set_for(call, false);
}

static void cmd_getset(struct hl_call *call)
{
    bool wrong = false;
    struct hl_entry *old = hl_arg_find(call, 1, HL_TYPE_STRING, 0, &wrong);
    if (wrong) {
        return;
    }
    reply_string(call, old);
    (void)store(call, call->argv[1], call->argv[2], false);
    struct hl_slice effect[3] = {hl_slice_of("SET"), call->argv[1], call->argv[2]};
    hl_call_effect(call, 3, effect);
}

static void cmd_getdel(struct hl_call *call)
{
    bool wrong = false;
    struct hl_entry *old = hl_arg_find(call, 1, HL_TYPE_STRING, 0, &wrong);
    if (wrong) {
        return;
    }
    reply_string(call, old);
    if (old == NULL) {
        return;
    }
    (void)hl_db_delete(call->db, call->argv[1]);
    hl_call_modified(call, HL_NOTIFY_GENERIC, "del", call->argv[1]);
    struct hl_slice effect[2] = {hl_slice_of("DEL"), call->argv[1]};
    hl_call_effect(call, 2, effect);
}

/* GETEX with a time: a time that has passed already deletes the key. */
static void getex_until(struct hl_call *call, struct hl_entry *entry, int64_t when_ms)
{
    if (when_ms <= call->now_ms && (call->flags & HL_CALL_REPLICATED) == 0) {
        (void)hl_db_delete(call->db, call->argv[1]);
        hl_call_modified(call, HL_NOTIFY_GENERIC, "del", call->argv[1]);
        struct hl_slice effect[2] = {hl_slice_of("DEL"), call->argv[1]};
        hl_call_effect(call, 2, effect);
        return;
    }
    (void)hl_db_set_expire(call->db, entry, when_ms);
    hl_call_modified(call, HL_NOTIFY_GENERIC, "expire", call->argv[1]);
    hl_effect_expire_at(call, call->argv[1], when_ms);
}

static void cmd_getex(struct hl_call *call)
{
    struct hl_ttl_options options;
    if (!hl_ttl_options(call, 2, HL_OPT_PERSIST | HL_OPT_TTL, &options)) {
        return;
    }
    bool wrong = false;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_STRING, 0, &wrong);
    if (wrong) {
        return;
    }
    if (entry == NULL) {
        hl_write_null(call->out);
        return;
    }
    int64_t when_ms = 0;
    bool timed = (options.flags & HL_OPT_TTL) != 0;
    if (timed && !hl_ttl_positive(call, options.at, options.unit, &when_ms)) {
        return;
    }
    reply_string(call, entry);
    if (timed) {
        getex_until(call, entry, when_ms);
    } else if ((options.flags & HL_OPT_PERSIST) != 0 && hl_entry_expire(entry) != HL_NO_EXPIRE) {
        (void)hl_db_set_expire(call->db, entry, HL_NO_EXPIRE);
        hl_call_modified(call, HL_NOTIFY_GENERIC, "persist", call->argv[1]);
        struct hl_slice effect[2] = {hl_slice_of("PERSIST"), call->argv[1]};
        hl_call_effect(call, 2, effect);
    }
}

static void cmd_mget(struct hl_call *call)
{
    hl_write_array(call->out, (size_t)(call->argc - 1));
    for (int i = 1; i < call->argc; i++) {
        struct hl_entry *entry = hl_db_find(call->db, call->argv[i], 0);
        bool text = entry != NULL && hl_entry_type(entry) == HL_TYPE_STRING;
        reply_string(call, text ? entry : NULL);
    }
}

static void set_pairs(struct hl_call *call)
{
    for (int i = 1; i + 1 < call->argc; i += 2) {
        (void)store(call, call->argv[i], call->argv[i + 1], false);
    }
}

static void cmd_mset(struct hl_call *call)
{
    if (call->argc % 2 == 0) {
        hl_reply_arity(call);
        return;
    }
    set_pairs(call);
    hl_write_ok(call->out);
}

static void cmd_msetnx(struct hl_call *call)
{
    if (call->argc % 2 == 0) {
        hl_reply_arity(call);
        return;
    }
    for (int i = 1; i < call->argc; i += 2) {
        if (hl_db_find(call->db, call->argv[i], HL_FIND_WRITE) != NULL) {
            hl_write_int(call->out, 0);
            return;
        }
    }
    set_pairs(call);
    hl_write_int(call->out, 1);
}

static void cmd_strlen(struct hl_call *call)
{
    bool wrong = false;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_STRING, 0, &wrong);
    if (!wrong) {
        hl_write_int(call->out, entry != NULL ? (int64_t)hl_string_len(entry) : 0);
    }
}

static bool fits(struct hl_call *call, size_t have, size_t more)
{
    if (more > STRING_MAX || have > STRING_MAX - more) {
        hl_reply_error(call, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
        return false;
    }
    return true;
}

static void cmd_append(struct hl_call *call)
{
    bool wrong = false;
    struct hl_slice bytes = call->argv[2];
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_STRING, HL_FIND_WRITE, &wrong);
    if (wrong) {
        return;
    }
    size_t len = entry != NULL ? hl_string_len(entry) : 0;
    if (entry == NULL) {
        entry = hl_db_set_string(call->db, call->argv[1], bytes, false);
    } else {
        if (!fits(call, len, bytes.len)) {
            return;
        }
        entry = hl_string_append(call->db, entry, bytes);
    }
    hl_call_modified(call, HL_NOTIFY_STRING, "append", call->argv[1]);
    hl_write_int(call->out, (int64_t)hl_string_len(entry));
}

static void cmd_setrange(struct hl_call *call)
{
    int64_t offset = 0;
    struct hl_slice bytes = call->argv[3];
    if (!hl_arg_i64(call, 2, &offset)) {
        return;
    }
    if (offset < 0) {
        hl_reply_error(call, "ERR offset is out of range");
        return;
    }
    bool wrong = false;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_STRING, HL_FIND_WRITE, &wrong);
    if (wrong) {
        return;
    }
    if (bytes.len == 0) {
        hl_write_int(call->out, entry != NULL ? (int64_t)hl_string_len(entry) : 0);
        return;
    }
    if (!fits(call, (uint64_t)offset > STRING_MAX ? STRING_MAX : (size_t)offset, bytes.len)) {
        return;
    }
    if (entry == NULL) {
        entry = hl_db_set_string(call->db, call->argv[1], (struct hl_slice){"", 0}, false);
    }
    entry = hl_string_set_range(call->db, entry, (size_t)offset, bytes);
    hl_call_modified(call, HL_NOTIFY_STRING, "setrange", call->argv[1]);
    hl_write_int(call->out, (int64_t)hl_string_len(entry));
}

static void cmd_getrange(struct hl_call *call)
{
    int64_t start = 0;
    int64_t end = 0;
    if (!hl_arg_i64(call, 2, &start) || !hl_arg_i64(call, 3, &end)) {
        return;
    }
    bool wrong = false;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_STRING, 0, &wrong);
    if (wrong) {
        return;
    }
    char scratch[HL_STRING_SCRATCH];
    struct hl_slice text = {"", 0};
    if (entry != NULL) {
        text = hl_string_view(entry, scratch);
    }
    int64_t len = (int64_t)text.len;
    if (start < 0 && end < 0 && start > end) {
        len = 0;
    }
    start = start < 0 ? start + len : start;
    end = end < 0 ? end + len : end;
    start = start < 0 ? 0 : start;
    end = end < 0 ? 0 : end;
    end = end >= len ? len - 1 : end;
    if (len == 0 || start > end) {
        hl_write_bulk(call->out, (struct hl_slice){"", 0});
        return;
    }
    hl_write_bulk(call->out, (struct hl_slice){text.ptr + start, (size_t)(end - start + 1)});
}

#define KEY_RO_ACCESS                                                                              \
    {                                                                                              \
        .flags = HL_KEY_RO | HL_KEY_ACCESS, .first = 1, .last = 0, .step = 1                       \
    }
#define KEY_RO_PLAIN                                                                               \
    {                                                                                              \
        .flags = HL_KEY_RO, .first = 1, .last = 0, .step = 1                                       \
    }
#define KEY_OW_INSERT                                                                              \
    {                                                                                              \
        .flags = HL_KEY_OW | HL_KEY_INSERT, .first = 1, .last = 0, .step = 1                       \
    }
#define KEY_OW_UPDATE                                                                              \
    {                                                                                              \
        .flags = HL_KEY_OW | HL_KEY_UPDATE, .first = 1, .last = 0, .step = 1                       \
    }
#define KEY_RW(more)                                                                               \
    {                                                                                              \
        .flags = HL_KEY_RW | (more), .first = 1, .last = 0, .step = 1                              \
    }
#define READ_FAST (HL_CMD_READONLY | HL_CMD_FAST)
#define WRITE_OOM (HL_CMD_WRITE | HL_CMD_DENYOOM)
#define ROW(cmd_name, fn, n, cmd_flags, key, version, cost, words, grammar)                        \
    {                                                                                              \
        .name = (cmd_name), .run = (fn), .arity = (n), .flags = (cmd_flags), .acl = HL_ACL_STRING, \
        .keys = {key}, .group = "string", .since = (version), .complexity = (cost),                \
        .summary = (words), .args = (grammar)                                                      \
    }

const struct hl_command_row hl_commands_string[] = {
    ROW("get", cmd_get, 2, READ_FAST, KEY_RO_ACCESS, "1.0.0", "O(1)", "Answer a key's string.",
        "key"),
    {.name = "set",
     .run = cmd_set,
     .arity = -3,
     .flags = WRITE_OOM,
     .acl = HL_ACL_STRING,
     .keys = {{.flags = HL_KEY_RW | HL_KEY_ACCESS | HL_KEY_UPDATE | HL_KEY_VARIABLE_FLAGS,
               .first = 1,
               .last = 0,
               .step = 1}},
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Store a string under a key, on conditions and with a deadline if asked.",
     .args = "key value [NX|XX] [GET] [EX seconds:integer|PX milliseconds:integer|"
             "EXAT unix-time-seconds:unix-time|PXAT unix-time-milliseconds:unix-time|KEEPTTL]"},
    ROW("setnx", cmd_setnx, 3, WRITE_OOM | HL_CMD_FAST, KEY_OW_INSERT, "1.0.0", "O(1)",
        "Store a string if the key is missing.", "key value"),
    ROW("setex", cmd_setex, 4, WRITE_OOM, KEY_OW_UPDATE, "2.0.0", "O(1)",
        "Store a string that lives for some seconds.", "key seconds:integer value"),
    ROW("psetex", cmd_psetex, 4, WRITE_OOM, KEY_OW_UPDATE, "2.6.0", "O(1)",
        "Store a string that lives for some milliseconds.", "key milliseconds:integer value"),
    ROW("getset", cmd_getset, 3, WRITE_OOM | HL_CMD_FAST, KEY_RW(HL_KEY_ACCESS | HL_KEY_UPDATE),
        "1.0.0", "O(1)", "Store a string and answer the one before.", "key value"),
    ROW("getdel", cmd_getdel, 2, HL_CMD_WRITE | HL_CMD_FAST, KEY_RW(HL_KEY_ACCESS | HL_KEY_DELETE),
        "6.2.0", "O(1)", "Answer a key's string and delete the key.", "key"),
    ROW("getex", cmd_getex, -2, HL_CMD_WRITE | HL_CMD_FAST, KEY_RW(HL_KEY_ACCESS | HL_KEY_UPDATE),
        "6.2.0", "O(1)", "Answer a key's string and set or clear its deadline.",
        "key [EX seconds:integer|PX milliseconds:integer|EXAT unix-time-seconds:unix-time|"
        "PXAT unix-time-milliseconds:unix-time|PERSIST]"),
    {.name = "mget",
     .run = cmd_mget,
     .arity = -2,
     .flags = READ_FAST,
     .acl = HL_ACL_STRING,
     .keys = {{.flags = HL_KEY_RO | HL_KEY_ACCESS, .first = 1, .last = -1, .step = 1}},
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(N) where N is the number of keys",
     .summary = "Answer the strings of several keys.",
     .args = "key...",
     .tips = "request_policy:multi_shard"},
    {.name = "mset",
     .run = cmd_mset,
     .arity = -3,
     .flags = WRITE_OOM,
     .acl = HL_ACL_STRING,
     .keys = {{.flags = HL_KEY_OW | HL_KEY_UPDATE, .first = 1, .last = -1, .step = 2}},
     .group = "string",
     .since = "1.0.1",
     .complexity = "O(N) where N is the number of keys",
     .summary = "Store several strings at once.",
     .args = "(key value)...",
     .tips = "request_policy:multi_shard,response_policy:all_succeeded"},
    {.name = "msetnx",
     .run = cmd_msetnx,
     .arity = -3,
     .flags = WRITE_OOM,
     .acl = HL_ACL_STRING,
     .keys = {{.flags = HL_KEY_OW | HL_KEY_INSERT, .first = 1, .last = -1, .step = 2}},
     .group = "string",
     .since = "1.0.1",
     .complexity = "O(N) where N is the number of keys",
     .summary = "Store several strings if none of the keys exists.",
     .args = "(key value)..."},
    ROW("strlen", cmd_strlen, 2, READ_FAST, KEY_RO_PLAIN, "2.2.0", "O(1)",
        "Answer the length of a key's string.", "key"),
    ROW("append", cmd_append, 3, WRITE_OOM | HL_CMD_FAST, KEY_RW(HL_KEY_INSERT), "2.0.0",
        "O(1) amortised", "Append to a key's string, making it if it is missing.", "key value"),
    ROW("setrange", cmd_setrange, 4, WRITE_OOM, KEY_RW(HL_KEY_UPDATE), "2.2.0",
        "O(M) where M is the length of the value", "Overwrite part of a key's string.",
        "key offset:integer value"),
    ROW("getrange", cmd_getrange, 4, HL_CMD_READONLY, KEY_RO_ACCESS, "2.4.0",
        "O(N) where N is the length answered", "Answer part of a key's string.",
        "key start:integer end:integer"),
    ROW("substr", cmd_getrange, 4, HL_CMD_READONLY, KEY_RO_ACCESS, "1.0.0",
        "O(N) where N is the length answered", "The old name of GETRANGE.",
        "key start:integer end:integer"),
};
const size_t hl_commands_string_count = HL_ARRAY_LEN(hl_commands_string);
