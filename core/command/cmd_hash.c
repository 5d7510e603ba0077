/* Hashes: fields and values. */
#include "keyspace/hash.h"

#include "command/args.h"
#include "kit/assert.h"
#include "kit/glob.h"
#include "kit/num.h"

#include <math.h>

/* The hash for writing, made when missing.  NULL after replying that it is something else. */
static struct hl_entry *hash_for_write(struct hl_call *call)
{
    bool wrong = false;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_HASH, HL_FIND_WRITE, &wrong);
    if (wrong) {
        return NULL;
    }
    return entry != NULL ? entry : hl_db_add_hash(call->db, call->argv[1]);
}

static void cmd_hset(struct hl_call *call)
{
    if (call->argc % 2 != 0) {
        hl_reply_arity(call);
        return;
    }
    struct hl_entry *entry = hash_for_write(call);
    if (entry == NULL) {
        return;
    }
    int64_t created = 0;
    for (int i = 2; i < call->argc; i += 2) {
        created += hl_hash_set(call->ks, entry, call->argv[i], call->argv[i + 1]);
    }
    hl_call_modified(call, HL_NOTIFY_HASH, "hset", call->argv[1]);
    if (call->argv[0].len == 4) {
        hl_write_int(call->out, created); /* HSET */
    } else {
        hl_write_ok(call->out); /* HMSET */
    }
}

static void cmd_hsetnx(struct hl_call *call)
{
    bool wrong = false;
    char scratch[HL_HASH_SCRATCH];
    struct hl_slice old;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_HASH, HL_FIND_WRITE, &wrong);
    if (wrong) {
        return;
    }
    if (entry != NULL && hl_hash_get(entry, call->argv[2], &old, scratch)) {
        hl_write_int(call->out, 0);
        return;
    }
    if (entry == NULL) {
        entry = hl_db_add_hash(call->db, call->argv[1]);
    }
    (void)hl_hash_set(call->ks, entry, call->argv[2], call->argv[3]);
    hl_call_modified(call, HL_NOTIFY_HASH, "hset", call->argv[1]);
    hl_write_int(call->out, 1);
}

static void reply_field(struct hl_call *call, const struct hl_entry *entry, struct hl_slice field)
{
    char scratch[HL_HASH_SCRATCH];
    struct hl_slice value;
    if (entry != NULL && hl_hash_get(entry, field, &value, scratch)) {
        hl_write_bulk(call->out, value);
    } else {
        hl_write_null(call->out);
    }
}

static void cmd_hget(struct hl_call *call)
{
    bool wrong = false;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_HASH, 0, &wrong);
    if (!wrong) {
        reply_field(call, entry, call->argv[2]);
    }
}

static void cmd_hmget(struct hl_call *call)
{
    bool wrong = false;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_HASH, 0, &wrong);
    if (wrong) {
        return;
    }
    hl_write_array(call->out, (size_t)call->argc - 2);
    for (int i = 2; i < call->argc; i++) {
        reply_field(call, entry, call->argv[i]);
    }
}

static void cmd_hdel(struct hl_call *call)
{
    bool wrong = false;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_HASH, HL_FIND_WRITE, &wrong);
    if (wrong) {
        return;
    }
    int64_t removed = 0;
    for (int i = 2; entry != NULL && i < call->argc; i++) {
        removed += hl_hash_delete(entry, call->argv[i]);
    }
    if (removed != 0) {
        bool empty = hl_hash_len(entry) == 0;
        if (empty) {
            (void)hl_db_delete(call->db, call->argv[1]);
        }
        hl_call_modified(call, HL_NOTIFY_HASH, "hdel", call->argv[1]);
        if (empty) {
            hl_ks_notify(call->ks, HL_NOTIFY_GENERIC, "del", hl_db_index(call->db), call->argv[1]);
        }
    }
    hl_write_int(call->out, removed);
}

static void cmd_hlen(struct hl_call *call)
{
    bool wrong = false;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_HASH, 0, &wrong);
    if (!wrong) {
        hl_write_int(call->out, entry != NULL ? (int64_t)hl_hash_len(entry) : 0);
    }
}

static void cmd_hstrlen(struct hl_call *call)
{
    bool wrong = false;
    char scratch[HL_HASH_SCRATCH];
    struct hl_slice value = {0};
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_HASH, 0, &wrong);
    if (wrong) {
        return;
    }
    bool found = entry != NULL && hl_hash_get(entry, call->argv[2], &value, scratch);
    hl_write_int(call->out, found ? (int64_t)value.len : 0);
}

static void cmd_hexists(struct hl_call *call)
{
    bool wrong = false;
    char scratch[HL_HASH_SCRATCH];
    struct hl_slice value;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_HASH, 0, &wrong);
    if (!wrong) {
        hl_write_int(call->out,
                     entry != NULL && hl_hash_get(entry, call->argv[2], &value, scratch));
    }
}

static void set_number(struct hl_call *call, struct hl_entry *entry, struct hl_slice text,
                       const char *event)
{
    if (entry == NULL) {
        entry = hl_db_add_hash(call->db, call->argv[1]);
    }
    (void)hl_hash_set(call->ks, entry, call->argv[2], text);
    hl_call_modified(call, HL_NOTIFY_HASH, event, call->argv[1]);
}

static void cmd_hincrby(struct hl_call *call)
{
    int64_t delta = 0;
    int64_t value = 0;
    bool wrong = false;
    char scratch[HL_HASH_SCRATCH];
    struct hl_slice old;
    if (!hl_arg_i64(call, 3, &delta)) {
        return;
    }
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_HASH, HL_FIND_WRITE, &wrong);
    if (wrong) {
        return;
    }
    if (entry != NULL && hl_hash_get(entry, call->argv[2], &old, scratch) &&
        !hl_parse_i64(old, &value)) {
        hl_reply_error(call, "ERR hash value is not an integer");
        return;
    }
    if (__builtin_add_overflow(value, delta, &value)) {
        hl_reply_error(call, "ERR increment or decrement would overflow");
        return;
    }
    char text[HL_I64_TEXT_MAX];
    int len = hl_format_i64(text, value);
    set_number(call, entry, (struct hl_slice){.ptr = text, .len = (size_t)len}, "hincrby");
    hl_write_int(call->out, value);
}

/* Floating point never enters the log: the effect is the text of the result. */
static void cmd_hincrbyfloat(struct hl_call *call)
{
    long double delta = 0;
    long double value = 0;
    bool wrong = false;
    char scratch[HL_HASH_SCRATCH];
    struct hl_slice old;
    if (!hl_parse_ldouble(call->argv[3], &delta)) {
        hl_reply_error(call, HL_ERR_NOT_FLOAT);
        return;
    }
    if (isnan(delta) || isinf(delta)) {
        hl_reply_error(call, "ERR value is NaN or Infinity");
        return;
    }
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_HASH, HL_FIND_WRITE, &wrong);
    if (wrong) {
        return;
    }
    if (entry != NULL && hl_hash_get(entry, call->argv[2], &old, scratch) &&
        !hl_parse_ldouble(old, &value)) {
        hl_reply_error(call, "ERR hash value is not a float");
        return;
    }
    value += delta;
    if (isnan(value) || isinf(value)) {
        hl_reply_error(call, "ERR increment would produce NaN or Infinity");
        return;
    }
    char text[HL_LDOUBLE_TEXT_MAX];
    int len = hl_format_ldouble(text, value);
    struct hl_slice result = {.ptr = text, .len = (size_t)len};
    set_number(call, entry, result, "hincrbyfloat");
    struct hl_slice effect[4] = {hl_slice_of("HSET"), call->argv[1], call->argv[2], result};
    hl_call_effect(call, 4, effect);
    hl_write_bulk(call->out, result);
}

static void reply_all(struct hl_call *call, bool fields, bool values)
{
    bool wrong = false;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_HASH, 0, &wrong);
    if (wrong) {
        return;
    }
    size_t len = entry != NULL ? hl_hash_len(entry) : 0;
    if (fields && values) {
        hl_write_map(call->out, len);
    } else {
        hl_write_array(call->out, len);
    }
    if (entry == NULL) {
        return;
    }
    struct hl_hash_iter iter;
    struct hl_slice field;
    struct hl_slice value;
    hl_hash_iter_init(&iter, entry);
    while (hl_hash_iter_next(&iter, &field, &value)) {
        if (fields) {
            hl_write_bulk(call->out, field);
        }
        if (values) {
            hl_write_bulk(call->out, value);
        }
    }
}

static void cmd_hkeys(struct hl_call *call)
{
    reply_all(call, true, false);
}

static void cmd_hvals(struct hl_call *call)
{
    reply_all(call, false, true);
}

static void cmd_hgetall(struct hl_call *call)
{
    reply_all(call, true, true);
}

#define REPEATS_BYTES_MAX (512u << 20) /* of a reply to HRANDFIELD with a negative count */

/* --- HRANDFIELD ------------------------------------------------------------------------------- */

static void write_pair(struct hl_call *call, struct hl_slice field, struct hl_slice value,
                       bool with_values)
{
    if (with_values && call->out->proto == 3) {
        hl_write_array(call->out, 2);
    }
    hl_write_bulk(call->out, field);
    if (with_values) {
        hl_write_bulk(call->out, value);
    }
}

static void pairs_header(struct hl_call *call, size_t count, bool with_values)
{
    hl_write_array(call->out, with_values && call->out->proto == 2 ? count * 2 : count);
}

static void random_with_repeats(struct hl_call *call, const struct hl_entry *entry, size_t count,
                                bool with_values)
{
    char scratch[HL_HASH_SCRATCH];
    struct hl_slice field;
    struct hl_slice value;
    struct hl_write_mark mark = hl_write_begin(call->out);
    size_t start = call->out->out->len;
    for (size_t i = 0; i < count; i++) {
        hl_hash_random(entry, call->rng, &field, &value, scratch);
        write_pair(call, field, value, with_values);
        if (call->out->out->len - start > REPEATS_BYTES_MAX) {
            hl_write_abandon(call->out, mark);
            hl_reply_error(call, "ERR the reply would be larger than 512 MiB, ask for fewer");
            return;
        }
    }
    bool pairs_are_arrays = with_values && call->out->proto == 3;
    hl_write_end(call->out, mark, HL_ARRAY, with_values && !pairs_are_arrays ? count * 2 : count);
}

/* `count` distinct fields by one walk: each is taken with the probability that keeps the sample
 * uniform (Knuth, algorithm S). */
static void random_distinct(struct hl_call *call, const struct hl_entry *entry, size_t count,
                            bool with_values)
{
    size_t left = hl_hash_len(entry);
    count = count < left ? count : left;
    pairs_header(call, count, with_values);
    struct hl_hash_iter iter;
    struct hl_slice field;
    struct hl_slice value;
    hl_hash_iter_init(&iter, entry);
    while (count > 0 && hl_hash_iter_next(&iter, &field, &value)) {
        if (hl_rng_below(call->rng, left) < count) {
            write_pair(call, field, value, with_values);
            count--;
        }
        left--;
    }
}

static void cmd_hrandfield(struct hl_call *call)
{
    int64_t count = 1;
    bool with_values = hl_arg_is(call, 3, "withvalues");
    if (call->argc >= 3 && !hl_arg_i64_range(call, 2, -INT64_MAX, INT64_MAX, &count)) {
        return;
    }
    if (call->argc > 4 || (call->argc == 4 && !with_values)) {
        hl_reply_error(call, HL_ERR_SYNTAX);
        return;
    }
    if (with_values && (count < -INT64_MAX / 2 || count > INT64_MAX / 2)) {
        hl_reply_error(call, HL_ERR_OUT_OF_RANGE);
        return;
    }
    bool wrong = false;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_HASH, 0, &wrong);
    if (wrong) {
        return;
    }
    if (entry == NULL || count == 0) {
        if (call->argc == 2) {
            hl_write_null(call->out);
        } else {
            hl_write_array(call->out, 0);
        }
        return;
    }
    if (call->argc == 2) {
        char scratch[HL_HASH_SCRATCH];
        struct hl_slice field;
        struct hl_slice value;
        hl_hash_random(entry, call->rng, &field, &value, scratch);
        hl_write_bulk(call->out, field);
    } else if (count < 0) {
        random_with_repeats(call, entry, (size_t)-count, with_values);
    } else {
        random_distinct(call, entry, (size_t)count, with_values);
    }
}

/* --- HSCAN ------------------------------------------------------------------------------------ */

struct walk {
    struct hl_call *call;
    struct hl_slice pattern; /* ptr NULL: everything */
    size_t seen, matched;
};

static void visit(void *ctx, struct hl_slice field, struct hl_slice value)
{
    struct walk *walk = ctx;
    walk->seen++;
    if (walk->pattern.ptr != NULL && !hl_glob_match(walk->pattern, field, false)) {
        return;
    }
    hl_write_bulk(walk->call->out, field);
    hl_write_bulk(walk->call->out, value);
    walk->matched++;
}

static void cmd_hscan(struct hl_call *call)
{
    uint64_t cursor = 0;
    if (!hl_arg_cursor(call, 2, &cursor)) {
        return;
    }
    bool wrong = false;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_HASH, 0, &wrong);
    if (wrong) {
        return;
    }
    struct walk walk = {.call = call};
    if (entry == NULL) {
        hl_write_array(call->out, 2);
        hl_write_bulk_text(call->out, "0");
        hl_write_array(call->out, 0);
        return;
    }
    struct hl_scan_options options;
    if (!hl_arg_scan_options(call, 3, false, &options)) {
        return;
    }
    walk.pattern = options.pattern;
    /* The cursor stands before the fields, and is known after the walk: write it into a mark. */
    struct hl_buf fields = {0};
    struct hl_writer *out = call->out;
    struct hl_writer aside = {.out = &fields, .proto = out->proto};
    call->out = &aside;
    int64_t steps = hl_scan_steps(options.count);
    do {
        cursor = hl_hash_scan(entry, cursor, visit, &walk);
    } while (cursor != 0 && --steps > 0 && (int64_t)walk.seen < options.count);
    call->out = out;
    hl_write_array(out, 2);
    hl_write_bulk_printf(out, "%llu", (unsigned long long)cursor);
    hl_write_array(out, walk.matched * 2);
    hl_write_raw(out, fields.ptr, fields.len);
    hl_buf_fini(&fields);
}

#define ROW(cmd_name, fn, n, cmd_flags, key_flags, version, cost, words, grammar)                  \
    {                                                                                              \
        .name = (cmd_name), .run = (fn), .arity = (n), .flags = (cmd_flags), .acl = HL_ACL_HASH,   \
        .keys = {{.flags = (key_flags), .first = 1, .last = 0, .step = 1}}, .group = "hash",       \
        .since = (version), .complexity = (cost), .summary = (words), .args = (grammar)            \
    }
#define READ_FAST (HL_CMD_READONLY | HL_CMD_FAST)
#define WRITE_OOM_FAST (HL_CMD_WRITE | HL_CMD_DENYOOM | HL_CMD_FAST)
#define ACCESS (HL_KEY_RO | HL_KEY_ACCESS)
#define UPDATE (HL_KEY_RW | HL_KEY_UPDATE)
#define PER_FIELD "O(N) where N is the number of fields given"
#define PER_SIZE "O(N) where N is the size of the hash"

const struct hl_command_row hl_commands_hash[] = {
    ROW("hset", cmd_hset, -4, WRITE_OOM_FAST, UPDATE, "2.0.0", PER_FIELD,
        "Set fields of a hash; count the new ones.", "key (field value)..."),
    ROW("hmset", cmd_hset, -4, WRITE_OOM_FAST, UPDATE, "2.0.0", PER_FIELD,
        "Set fields of a hash; the old form of HSET.", "key (field value)..."),
    ROW("hsetnx", cmd_hsetnx, 4, WRITE_OOM_FAST, HL_KEY_RW | HL_KEY_INSERT, "2.0.0", "O(1)",
        "Set a field if it is missing.", "key field value"),
    ROW("hget", cmd_hget, 3, READ_FAST, ACCESS, "2.0.0", "O(1)", "Answer a field.", "key field"),
    ROW("hmget", cmd_hmget, -3, READ_FAST, ACCESS, "2.0.0", PER_FIELD, "Answer several fields.",
        "key field..."),
    ROW("hdel", cmd_hdel, -3, HL_CMD_WRITE | HL_CMD_FAST, HL_KEY_RW | HL_KEY_DELETE, "2.0.0",
        PER_FIELD, "Remove fields; count those that were there.", "key field..."),
    ROW("hlen", cmd_hlen, 2, READ_FAST, HL_KEY_RO, "2.0.0", "O(1)", "Count the fields.", "key"),
    ROW("hstrlen", cmd_hstrlen, 3, READ_FAST, HL_KEY_RO, "3.2.0", "O(1)",
        "Answer the length of a field's value.", "key field"),
    ROW("hexists", cmd_hexists, 3, READ_FAST, HL_KEY_RO, "2.0.0", "O(1)",
        "Tell whether a field exists.", "key field"),
    ROW("hincrby", cmd_hincrby, 4, WRITE_OOM_FAST, UPDATE | HL_KEY_ACCESS, "2.0.0", "O(1)",
        "Add to the integer in a field.", "key field increment:integer"),
    ROW("hincrbyfloat", cmd_hincrbyfloat, 4, WRITE_OOM_FAST, UPDATE | HL_KEY_ACCESS, "2.6.0",
        "O(1)", "Add to the number in a field.", "key field increment:double"),
    ROW("hkeys", cmd_hkeys, 2, HL_CMD_READONLY, ACCESS, "2.0.0", PER_SIZE,
        "Answer all field names.", "key"),
    ROW("hvals", cmd_hvals, 2, HL_CMD_READONLY, ACCESS, "2.0.0", PER_SIZE, "Answer all values.",
        "key"),
    ROW("hgetall", cmd_hgetall, 2, HL_CMD_READONLY, ACCESS, "2.0.0", PER_SIZE,
        "Answer all fields and values.", "key"),
    ROW("hrandfield", cmd_hrandfield, -2, HL_CMD_READONLY, ACCESS, "6.2.0",
        "O(N) where N is the number of fields answered, or the size of the hash",
        "Answer random fields.", "key [count:integer [WITHVALUES]]"),
    ROW("hscan", cmd_hscan, -3, HL_CMD_READONLY, ACCESS, "2.8.0", "O(1) for each call",
        "Walk through the fields a part at a time.",
        "key cursor:integer [MATCH pattern:pattern] [COUNT count:integer]"),
};
const size_t hl_commands_hash_count = HL_ARRAY_LEN(hl_commands_hash);
