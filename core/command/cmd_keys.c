/* Keys whatever they hold: existence, removal, names, walking, OBJECT. */
#include "command/args.h"
#include "command/help.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/glob.h"
#include "kit/num.h"

static void cmd_del(struct hl_call *call)
{
    int64_t removed = 0;
    for (int i = 1; i < call->argc; i++) {
        /* Look first: a key that has expired dies as such and does not count. */
        if (hl_db_find(call->db, call->argv[i], HL_FIND_WRITE | HL_FIND_NOTOUCH) != NULL) {
            (void)hl_db_delete(call->db, call->argv[i]);
            hl_call_modified(call, HL_NOTIFY_GENERIC, "del", call->argv[i]);
            removed++;
        }
    }
    hl_write_int(call->out, removed);
}

static void cmd_exists(struct hl_call *call)
{
    int64_t found = 0;
    for (int i = 1; i < call->argc; i++) {
        found += hl_db_find(call->db, call->argv[i], HL_FIND_NOTOUCH) != NULL;
    }
    hl_write_int(call->out, found);
}

static void cmd_touch(struct hl_call *call)
{
    int64_t found = 0;
    for (int i = 1; i < call->argc; i++) {
        found += hl_db_find(call->db, call->argv[i], 0) != NULL;
    }
    hl_write_int(call->out, found);
}

static const char *type_name(struct hl_call *call, const struct hl_entry *entry)
{
    switch (hl_entry_type(entry)) {
    case HL_TYPE_STRING:
        return "string";
    case HL_TYPE_LIST:
        return "list";
    case HL_TYPE_SET:
        return "set";
    case HL_TYPE_ZSET:
        return "zset";
    case HL_TYPE_HASH:
        return "hash";
    case HL_TYPE_STREAM:
        return "stream";
    case HL_TYPE_MODULE:
        break;
    }
    return call->services->module_type_name(call->services->ctx, hl_entry_module_type(entry));
}

static void cmd_type(struct hl_call *call)
{
    struct hl_entry *entry = hl_db_find(call->db, call->argv[1], HL_FIND_NOTOUCH);
    hl_write_simple(call->out, entry != NULL ? type_name(call, entry) : "none");
}

static void rename_key(struct hl_call *call, bool only_new)
{
    struct hl_slice from = call->argv[1];
    struct hl_slice to = call->argv[2];
    if (hl_db_find(call->db, from, HL_FIND_WRITE) == NULL) {
        hl_reply_error(call, HL_ERR_NO_KEY);
        return;
    }
    bool same = hl_slice_equal(from, to);
    bool taken = hl_db_find(call->db, to, HL_FIND_WRITE) != NULL;
    if (only_new && taken) {
        hl_write_int(call->out, 0);
        return;
    }
    if (!same) {
        (void)hl_db_rename(call->db, from, call->db, to);
        hl_call_modified(call, HL_NOTIFY_GENERIC, "rename_from", from);
        hl_call_modified(call, HL_NOTIFY_GENERIC, "rename_to", to);
        call->services->ready(call->services->ctx, hl_db_index(call->db), to);
    }
    if (only_new) {
        hl_write_int(call->out, 1);
    } else {
        hl_write_ok(call->out);
    }
}

static void cmd_rename(struct hl_call *call)
{
    rename_key(call, false);
}

static void cmd_renamenx(struct hl_call *call)
{
    rename_key(call, true);
}

static void cmd_move(struct hl_call *call)
{
    int index = 0;
    if (!hl_arg_db(call, 2, &index)) {
        return;
    }
    struct hl_db *to = hl_ks_db(call->ks, index);
    if (to == call->db) {
        hl_reply_error(call, "ERR source and destination objects are the same");
        return;
    }
    struct hl_slice key = call->argv[1];
    if (hl_db_find(call->db, key, HL_FIND_WRITE) == NULL ||
        hl_db_find(to, key, HL_FIND_WRITE) != NULL) {
        hl_write_int(call->out, 0);
        return;
    }
    (void)hl_db_rename(call->db, key, to, key);
    hl_call_modified(call, HL_NOTIFY_GENERIC, "move_from", key);
    hl_ks_notify(call->ks, HL_NOTIFY_GENERIC, "move_to", index, key);
    call->services->ready(call->services->ctx, index, key);
    hl_write_int(call->out, 1);
}

struct copy_options {
    struct hl_db *to;
    bool replace;
};

static bool copy_options(struct hl_call *call, struct copy_options *out)
{
    *out = (struct copy_options){.to = call->db};
    for (int i = 3; i < call->argc; i++) {
        if (hl_arg_is(call, i, "replace")) {
            out->replace = true;
        } else if (hl_arg_is(call, i, "db") && i + 1 < call->argc) {
            int index = 0;
            if (!hl_arg_db(call, ++i, &index)) {
                return false;
            }
            out->to = hl_ks_db(call->ks, index);
        } else {
            hl_reply_error(call, HL_ERR_SYNTAX);
            return false;
        }
    }
    return true;
}

/* A module copies its own values, when its type can. */
static bool copy_module(struct hl_call *call, struct hl_entry *entry, struct hl_db *to)
{
    void *type = hl_entry_module_type(entry);
    void *copy = NULL;
    if (call->services->module_copy != NULL) {
        copy = call->services->module_copy(call->services->ctx, type, hl_entry_module_value(entry),
                                           call->argv[1], call->argv[2]);
    }
    if (copy == NULL) {
        hl_reply_error(call, "ERR not supported for this module key");
        return false;
    }
    int64_t when_ms = hl_entry_expire(entry);
    struct hl_entry *made = hl_db_set_module(to, call->argv[2], type, copy);
    if (when_ms != HL_NO_EXPIRE) {
        (void)hl_db_set_expire(to, made, when_ms);
    }
    return true;
}

static void cmd_copy(struct hl_call *call)
{
    struct copy_options options;
    if (!copy_options(call, &options)) {
        return;
    }
    struct hl_slice to = call->argv[2];
    if (options.to == call->db && hl_slice_equal(call->argv[1], to)) {
        hl_reply_error(call, "ERR source and destination objects are the same");
        return;
    }
    struct hl_entry *entry = hl_db_find(call->db, call->argv[1], 0);
    if (entry == NULL || (hl_db_find(options.to, to, HL_FIND_WRITE) != NULL && !options.replace)) {
        hl_write_int(call->out, 0);
        return;
    }
    /* The second lookup may have expired keys; the entry is where it was. */
    entry = hl_db_find(call->db, call->argv[1], HL_FIND_NOTOUCH | HL_FIND_NOSTATS);
    if (hl_entry_type(entry) == HL_TYPE_MODULE) {
        if (!copy_module(call, entry, options.to)) {
            return;
        }
    } else {
        (void)hl_db_copy(entry, options.to, to);
    }
    call->changes++;
    hl_ks_notify(call->ks, HL_NOTIFY_GENERIC, "copy_to", hl_db_index(options.to), to);
    call->services->ready(call->services->ctx, hl_db_index(options.to), to);
    hl_write_int(call->out, 1);
}

static void cmd_randomkey(struct hl_call *call)
{
    struct hl_entry *entry = hl_db_random(call->db);
    if (entry == NULL) {
        hl_write_null(call->out);
        return;
    }
    hl_write_bulk(call->out, hl_entry_key(entry));
}

/* --- walking ---------------------------------------------------------------------------------- */

struct walk {
    struct hl_call *call;
    struct hl_slice pattern; /* ptr NULL: everything */
    struct hl_slice type;    /* ptr NULL: every type */
    struct hl_buf names;     /* u32 length and bytes of each match */
    struct hl_buf dead;      /* the same of the dead ones */
    size_t matched, seen;
};

static bool matches(const struct walk *walk, const struct hl_entry *entry)
{
    struct hl_slice key = hl_entry_key(entry);
    if (walk->pattern.ptr != NULL && !hl_glob_match(walk->pattern, key, false)) {
        return false;
    }
    return walk->type.ptr == NULL || hl_slice_is(walk->type, type_name(walk->call, entry));
}

static void put_name(struct hl_buf *names, const struct hl_entry *entry)
{
    struct hl_slice key = hl_entry_key(entry);
    hl_buf_append_le32(names, (uint32_t)key.len);
    hl_buf_append_slice(names, key);
}

static void visit(void *ctx, struct hl_entry *entry)
{
    struct walk *walk = ctx;
    walk->seen++;
    int64_t when_ms = hl_entry_expire(entry);
    if (when_ms != HL_NO_EXPIRE && when_ms <= walk->call->now_ms) {
        put_name(&walk->dead, entry);
    } else if (matches(walk, entry)) {
        put_name(&walk->names, entry);
        walk->matched++;
    }
}

/* Who is told that a key is not there must not see it again, whatever the clock does: what was left
 * out dies now, on a node where keys may die, and the reply waits for that. */
static void bury(struct walk *walk)
{
    for (size_t at = 0; at < walk->dead.len;) {
        uint32_t len = hl_get_le32(walk->dead.ptr + at);
        struct hl_slice key = {.ptr = walk->dead.ptr + at + 4, .len = len};
        (void)hl_db_find(walk->call->db, key, HL_FIND_NOTOUCH | HL_FIND_NOSTATS);
        at += 4 + len;
    }
    hl_buf_fini(&walk->dead);
}

static void reply_names(struct walk *walk)
{
    bury(walk);
    struct hl_writer *out = walk->call->out;
    hl_write_array(out, walk->matched);
    for (size_t at = 0; at < walk->names.len;) {
        uint32_t len = hl_get_le32(walk->names.ptr + at);
        hl_write_bulk(out, (struct hl_slice){.ptr = walk->names.ptr + at + 4, .len = len});
        at += 4 + len;
    }
    hl_buf_fini(&walk->names);
}

static void cmd_keys(struct hl_call *call)
{
    struct walk walk = {.call = call, .pattern = call->argv[1]};
    if (hl_slice_equal(walk.pattern, hl_slice_of("*"))) {
        walk.pattern.ptr = NULL;
    }
    uint64_t cursor = 0;
    do {
        cursor = hl_db_scan(call->db, cursor, visit, &walk);
    } while (cursor != 0);
    reply_names(&walk);
}

static void cmd_scan(struct hl_call *call)
{
    uint64_t cursor = 0;
    if (!hl_arg_cursor(call, 1, &cursor)) {
        return;
    }
    struct walk walk = {.call = call};
    struct hl_scan_options options;
    if (!hl_arg_scan_options(call, 2, true, &options)) {
        return;
    }
    walk.pattern = options.pattern;
    walk.type = options.type;
    int64_t steps = hl_scan_steps(options.count);
    do {
        cursor = hl_db_scan(call->db, cursor, visit, &walk);
    } while (cursor != 0 && --steps > 0 && (int64_t)walk.seen < options.count);
    hl_write_array(call->out, 2);
    struct hl_buf number = {0};
    hl_buf_printf(&number, "%llu", (unsigned long long)cursor);
    hl_write_bulk(call->out, hl_buf_view(&number));
    hl_buf_fini(&number);
    reply_names(&walk);
}

static void cmd_dbsize(struct hl_call *call)
{
    hl_write_int(call->out, (int64_t)hl_db_count(call->db));
}

/* --- OBJECT ----------------------------------------------------------------------------------- */

static struct hl_entry *object_of(struct hl_call *call)
{
    struct hl_entry *entry = hl_db_find(call->db, call->argv[2], HL_FIND_NOTOUCH | HL_FIND_NOSTATS);
    if (entry == NULL) {
        hl_write_null(call->out);
    }
    return entry;
}

static void cmd_object_encoding(struct hl_call *call)
{
    struct hl_entry *entry = object_of(call);
    if (entry != NULL) {
        hl_write_bulk_text(call->out, hl_encoding_name(hl_entry_encoding(entry)));
    }
}

static void cmd_object_refcount(struct hl_call *call)
{
    if (object_of(call) != NULL) {
        hl_write_int(call->out, 1);
    }
}

static void cmd_object_idletime(struct hl_call *call)
{
    struct hl_entry *entry = object_of(call);
    if (entry == NULL) {
        return;
    }
    if (call->ks->lfu) {
        hl_reply_error(call, "ERR An LFU maxmemory policy is selected, idle time not tracked. "
                             "Please note that when switching between policies at runtime LRU and "
                             "LFU data will take some time to adjust.");
        return;
    }
    hl_write_int(call->out, hl_entry_idle(call->ks, entry));
}

static void cmd_object_freq(struct hl_call *call)
{
    struct hl_entry *entry = object_of(call);
    if (entry == NULL) {
        return;
    }
    if (!call->ks->lfu) {
        hl_reply_error(call, "ERR An LFU maxmemory policy is not selected, access frequency not "
                             "tracked. Please note that when switching between policies at runtime "
                             "LRU and LFU data will take some time to adjust.");
        return;
    }
    hl_write_int(call->out, hl_entry_freq(call->ks, entry));
}

#define ROW(cmd_name, fn, n, cmd_flags, spec, version, cost, words, grammar)                       \
    {                                                                                              \
        .name = (cmd_name), .run = (fn), .arity = (n), .flags = (cmd_flags),                       \
        .acl = HL_ACL_KEYSPACE, .keys = {spec}, .group = "generic", .since = (version),            \
        .complexity = (cost), .summary = (words), .args = (grammar)                                \
    }
#define KEYS(key_flags, to)                                                                        \
    {                                                                                              \
        .flags = (key_flags), .first = 1, .last = (to), .step = 1                                  \
    }
#define KEYS_AT(key_flags, at)                                                                     \
    {                                                                                              \
        .flags = (key_flags), .first = (at), .last = 0, .step = 1                                  \
    }
#define READ_FAST (HL_CMD_READONLY | HL_CMD_FAST)

const struct hl_command_row hl_commands_keys[] = {
    ROW("del", cmd_del, -2, HL_CMD_WRITE, KEYS(HL_KEY_RM | HL_KEY_DELETE, -1), "1.0.0",
        "O(N) where N is the number of keys and of the members they hold", "Delete keys.",
        "key..."),
    ROW("unlink", cmd_del, -2, HL_CMD_WRITE | HL_CMD_FAST, KEYS(HL_KEY_RM | HL_KEY_DELETE, -1),
        "4.0.0", "O(1) for each key", "Delete keys, freeing large ones later.", "key..."),
    ROW("exists", cmd_exists, -2, READ_FAST, KEYS(HL_KEY_RO, -1), "1.0.0",
        "O(N) where N is the number of keys", "Count which of the keys exist.", "key..."),
    ROW("touch", cmd_touch, -2, READ_FAST, KEYS(HL_KEY_RO, -1), "3.2.1",
        "O(N) where N is the number of keys", "Note an access to keys; count those that exist.",
        "key..."),
    ROW("type", cmd_type, 2, READ_FAST, KEYS(HL_KEY_RO, 0), "1.0.0", "O(1)",
        "Answer what kind of value a key holds.", "key"),
    {.name = "rename",
     .run = cmd_rename,
     .arity = 3,
     .flags = HL_CMD_WRITE,
     .acl = HL_ACL_KEYSPACE,
     .keys = {{.flags = HL_KEY_RW | HL_KEY_ACCESS | HL_KEY_DELETE, .first = 1, .step = 1},
              {.flags = HL_KEY_OW | HL_KEY_UPDATE, .first = 2, .step = 1}},
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Give a key another name, replacing what has that name.",
     .args = "key newkey:key"},
    {.name = "renamenx",
     .run = cmd_renamenx,
     .arity = 3,
     .flags = HL_CMD_WRITE | HL_CMD_FAST,
     .acl = HL_ACL_KEYSPACE,
     .keys = {{.flags = HL_KEY_RW | HL_KEY_ACCESS | HL_KEY_DELETE, .first = 1, .step = 1},
              {.flags = HL_KEY_OW | HL_KEY_INSERT, .first = 2, .step = 1}},
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Give a key another name if that name is free.",
     .args = "key newkey:key"},
    ROW("move", cmd_move, 3, HL_CMD_WRITE | HL_CMD_FAST,
        KEYS(HL_KEY_RW | HL_KEY_ACCESS | HL_KEY_DELETE, 0), "1.0.0", "O(1)",
        "Move a key to another database.", "key db:integer"),
    {.name = "copy",
     .run = cmd_copy,
     .arity = -3,
     .flags = HL_CMD_WRITE | HL_CMD_DENYOOM,
     .acl = HL_ACL_KEYSPACE,
     .keys = {{.flags = HL_KEY_RO | HL_KEY_ACCESS, .first = 1, .step = 1},
              {.flags = HL_KEY_OW | HL_KEY_UPDATE, .first = 2, .step = 1}},
     .group = "generic",
     .since = "6.2.0",
     .complexity = "O(N) where N is the number of members",
     .summary = "Copy a key's value to another key.",
     .args = "source:key destination:key [DB destination-db:integer] [REPLACE]"},
    {.name = "randomkey",
     .run = cmd_randomkey,
     .arity = 1,
     .flags = HL_CMD_READONLY | HL_CMD_WHOLE_KEYSPACE,
     .acl = HL_ACL_KEYSPACE,
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Answer some key.",
     .tips = "request_policy:all_shards,nondeterministic_output"},
    {.name = "keys",
     .run = cmd_keys,
     .arity = 2,
     .flags = HL_CMD_READONLY | HL_CMD_WHOLE_KEYSPACE,
     .acl = HL_ACL_KEYSPACE | HL_ACL_DANGEROUS,
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(N) where N is the number of keys in the database",
     .summary = "Answer all keys that match a pattern.",
     .args = "pattern",
     .tips = "request_policy:all_shards,nondeterministic_output_order"},
    {.name = "scan",
     .run = cmd_scan,
     .arity = -2,
     .flags = HL_CMD_READONLY | HL_CMD_WHOLE_KEYSPACE,
     .acl = HL_ACL_KEYSPACE,
     .group = "generic",
     .since = "2.8.0",
     .complexity = "O(1) for each call",
     .summary = "Walk through the keys a part at a time.",
     .args = "cursor:integer [MATCH pattern:pattern] [COUNT count:integer] [TYPE type:string]",
     .tips = "nondeterministic_output,request_policy:special"},
    {.name = "dbsize",
     .run = cmd_dbsize,
     .arity = 1,
     .flags = READ_FAST | HL_CMD_WHOLE_KEYSPACE,
     .acl = HL_ACL_KEYSPACE,
     .group = "server",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Count the keys of the database.",
     .tips = "request_policy:all_shards,response_policy:agg_sum"},
    {.name = "object",
     .arity = -2,
     .group = "generic",
     .since = "2.2.3",
     .complexity = "Depends on the subcommand",
     .summary = "Look at the internals of values."},
    ROW("object|encoding", cmd_object_encoding, 3, HL_CMD_READONLY, KEYS_AT(HL_KEY_RO, 2), "2.2.3",
        "O(1)", "Answer how a value is kept.", "key"),
    ROW("object|refcount", cmd_object_refcount, 3, HL_CMD_READONLY, KEYS_AT(HL_KEY_RO, 2), "2.2.3",
        "O(1)", "Answer the number of references to a value.", "key"),
    ROW("object|idletime", cmd_object_idletime, 3, HL_CMD_READONLY, KEYS_AT(HL_KEY_RO, 2), "2.2.3",
        "O(1)", "Answer the seconds since the last access.", "key"),
    HL_HELP_ROW("object", HL_ACL_KEYSPACE, "generic", "6.2.0"),
    ROW("object|freq", cmd_object_freq, 3, HL_CMD_READONLY, KEYS_AT(HL_KEY_RO, 2), "4.0.0", "O(1)",
        "Answer how often a key is used, on a logarithmic scale.", "key"),
};
const size_t hl_commands_keys_count = HL_ARRAY_LEN(hl_commands_keys);
