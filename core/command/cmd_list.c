/* Lists: elements in order, added and taken at both ends. */
#include "command/list.h"

#include "command/args.h"
#include "keyspace/quicklist.h"
#include "kit/assert.h"
#include "kit/num.h"

static const char *const pop_events[] = {[HL_LEFT] = "lpop", [HL_RIGHT] = "rpop"};
static const char *const push_events[] = {[HL_LEFT] = "lpush", [HL_RIGHT] = "rpush"};

bool hl_arg_list_end(struct hl_call *call, int i, enum hl_list_end *out)
{
    if (hl_arg_is(call, i, "left")) {
        *out = HL_LEFT;
    } else if (hl_arg_is(call, i, "right")) {
        *out = HL_RIGHT;
    } else {
        hl_reply_error(call, HL_ERR_SYNTAX);
        return false;
    }
    return true;
}

/* The list under a key; NULL, with nothing said, when there is none. */
static struct hl_entry *find_list(const struct hl_call *call, struct hl_slice key)
{
    struct hl_entry *entry = hl_db_find(call->db, key, HL_FIND_WRITE);
    return entry != NULL && hl_entry_type(entry) == HL_TYPE_LIST ? entry : NULL;
}

/* Delete the key when its list is empty, and tell of it. */
static void end_if_empty(struct hl_call *call, const struct hl_entry *entry, struct hl_slice key)
{
    if (hl_ql_len(entry) == 0) {
        (void)hl_db_delete(call->db, key);
        hl_ks_notify(call->ks, HL_NOTIFY_GENERIC, "del", hl_db_index(call->db), key);
    }
}

static uint64_t magnitude(int64_t number)
{
    return number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
}

/* --- adding ----------------------------------------------------------------------------------- */

/* A new list under a missing key: somebody may wait for it. */
static struct hl_entry *make_list(struct hl_call *call, struct hl_slice key)
{
    struct hl_entry *entry = hl_db_add_list(call->db, key);
    call->services->ready(call->services->ctx, hl_db_index(call->db), key);
    return entry;
}

static void push(struct hl_call *call, enum hl_list_end end, bool only_existing)
{
    bool wrong = false;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_LIST, HL_FIND_WRITE, &wrong);
    if (wrong) {
        return;
    }
    if (entry == NULL && only_existing) {
        hl_write_int(call->out, 0);
        return;
    }
    if (entry == NULL) {
        entry = make_list(call, call->argv[1]);
    }
    for (int i = 2; i < call->argc; i++) {
        hl_ql_push(call->ks, entry, call->argv[i], end == HL_LEFT);
    }
    hl_call_modified(call, HL_NOTIFY_LIST, push_events[end], call->argv[1]);
    hl_write_int(call->out, (int64_t)hl_ql_len(entry));
}

static void cmd_lpush(struct hl_call *call)
{
    push(call, HL_LEFT, false);
}

static void cmd_rpush(struct hl_call *call)
{
    push(call, HL_RIGHT, false);
}

static void cmd_lpushx(struct hl_call *call)
{
    push(call, HL_LEFT, true);
}

static void cmd_rpushx(struct hl_call *call)
{
    push(call, HL_RIGHT, true);
}

static void cmd_linsert(struct hl_call *call)
{
    bool wrong = false;
    bool after = hl_arg_is(call, 2, "after");
    struct hl_ql_cursor cursor;
    if (!after && !hl_arg_is(call, 2, "before")) {
        hl_reply_error(call, HL_ERR_SYNTAX);
        return;
    }
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_LIST, HL_FIND_WRITE, &wrong);
    if (wrong) {
        return;
    }
    if (entry == NULL) {
        hl_write_int(call->out, 0);
        return;
    }
    bool more = hl_ql_seek(entry, 0, &cursor);
    while (more && !hl_ql_value_is(&cursor, call->argv[3])) {
        more = hl_ql_step(&cursor, true);
    }
    if (!more) {
        hl_write_int(call->out, -1);
        return;
    }
    hl_ql_insert(call->ks, entry, &cursor, after, call->argv[4]);
    hl_call_modified(call, HL_NOTIFY_LIST, "linsert", call->argv[1]);
    hl_write_int(call->out, (int64_t)hl_ql_len(entry));
}

static void cmd_lset(struct hl_call *call)
{
    bool wrong = false;
    int64_t index = 0;
    struct hl_ql_cursor cursor;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_LIST, HL_FIND_WRITE, &wrong);
    if (wrong) {
        return;
    }
    if (entry == NULL) {
        hl_reply_error(call, HL_ERR_NO_KEY);
        return;
    }
    if (!hl_arg_i64(call, 2, &index)) {
        return;
    }
    if (!hl_ql_seek(entry, index, &cursor)) {
        hl_reply_error(call, "ERR index out of range");
        return;
    }
    hl_ql_replace(call->ks, entry, &cursor, call->argv[3]);
    hl_call_modified(call, HL_NOTIFY_LIST, "lset", call->argv[1]);
    hl_write_ok(call->out);
}

/* --- looking ---------------------------------------------------------------------------------- */

static void write_element(struct hl_call *call, const struct hl_ql_cursor *cursor)
{
    char scratch[HL_QL_SCRATCH];
    hl_write_bulk(call->out, hl_ql_value(cursor, scratch));
}

static void cmd_llen(struct hl_call *call)
{
    bool wrong = false;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_LIST, 0, &wrong);
    if (!wrong) {
        hl_write_int(call->out, entry != NULL ? (int64_t)hl_ql_len(entry) : 0);
    }
}

static void cmd_lindex(struct hl_call *call)
{
    bool wrong = false;
    int64_t index = 0;
    struct hl_ql_cursor cursor;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_LIST, 0, &wrong);
    if (wrong || (entry != NULL && !hl_arg_i64(call, 2, &index))) {
        return;
    }
    if (entry != NULL && hl_ql_seek(entry, index, &cursor)) {
        write_element(call, &cursor);
    } else {
        hl_write_null(call->out);
    }
}

/* `count` elements from `index` on, in one direction; all are there. */
static void write_elements(struct hl_call *call, const struct hl_entry *entry, int64_t index,
                           size_t count, bool forward)
{
    struct hl_ql_cursor cursor;
    bool more = hl_ql_seek(entry, index, &cursor);
    hl_write_array(call->out, count);
    for (size_t i = 0; i < count; i++) {
        HL_ASSERT(more);
        write_element(call, &cursor);
        more = hl_ql_step(&cursor, forward);
    }
}

/* Read argv[2] and argv[3] as the ends of a range; on failure replies HL_ERR_NOT_INT. */
static bool arg_range(struct hl_call *call, int64_t *start, int64_t *stop)
{
    return hl_arg_i64(call, 2, start) && hl_arg_i64(call, 3, stop);
}

/* Make what start and stop of a range mean a first index and a count, in a list of `len`. */
static size_t clip(int64_t start, int64_t stop, size_t len, size_t *first)
{
    int64_t n = (int64_t)len;
    start = start < 0 ? (start < -n ? 0 : n + start) : start;
    stop = stop < 0 ? (stop < -n ? -1 : n + stop) : stop;
    stop = stop < n ? stop : n - 1;
    if (start > stop || start >= n) {
        *first = 0;
        return 0;
    }
    *first = (size_t)start;
    return (size_t)(stop - start) + 1;
}

static void cmd_lrange(struct hl_call *call)
{
    bool wrong = false;
    int64_t start = 0;
    int64_t stop = 0;
    size_t first = 0;
    if (!arg_range(call, &start, &stop)) {
        return;
    }
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_LIST, 0, &wrong);
    if (wrong) {
        return;
    }
    size_t count = entry != NULL ? clip(start, stop, hl_ql_len(entry), &first) : 0;
    if (count == 0) {
        hl_write_array(call->out, 0);
    } else {
        write_elements(call, entry, (int64_t)first, count, true);
    }
}

/* --- LPOS ------------------------------------------------------------------------------------- */

struct search {
    struct hl_slice value;
    uint64_t skip;   /* matches that do not count */
    uint64_t wanted; /* matches at most; UINT64_MAX: all */
    uint64_t maxlen; /* elements looked at, at most; UINT64_MAX: all */
    bool forward, many;
};

#define RANK_ZERO                                                                                  \
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... "          \
    "or use negative to start from the end of the list"

/* Read a number that may not be negative; 0 means all. */
static bool arg_bound(struct hl_call *call, int i, const char *error, uint64_t *out)
{
    int64_t number = 0;
    if (!hl_parse_i64(call->argv[i], &number) || number < 0) {
        hl_reply_error(call, error);
        return false;
    }
    *out = number == 0 ? UINT64_MAX : (uint64_t)number;
    return true;
}

static bool arg_rank(struct hl_call *call, int i, struct search *search)
{
    int64_t rank = 0;
    if (!hl_arg_i64(call, i, &rank)) {
        return false;
    }
    if (rank == 0) {
        hl_reply_error(call, RANK_ZERO);
        return false;
    }
    search->forward = rank > 0;
    search->skip = rank == INT64_MIN ? 0 : magnitude(rank) - 1; /* so does Redis 7.0 */
    return true;
}

static bool arg_search(struct hl_call *call, struct search *search)
{
    *search =
        (struct search){.value = call->argv[2], .wanted = 1, .maxlen = UINT64_MAX, .forward = true};
    for (int i = 3; i < call->argc; i += 2) {
        bool good = false;
        if (i + 1 < call->argc && hl_arg_is(call, i, "rank")) {
            good = arg_rank(call, i + 1, search);
        } else if (i + 1 < call->argc && hl_arg_is(call, i, "count")) {
            search->many = true;
            good = arg_bound(call, i + 1, "ERR COUNT can't be negative", &search->wanted);
        } else if (i + 1 < call->argc && hl_arg_is(call, i, "maxlen")) {
            good = arg_bound(call, i + 1, "ERR MAXLEN can't be negative", &search->maxlen);
        } else {
            hl_reply_error(call, HL_ERR_SYNTAX);
        }
        if (!good) {
            return false;
        }
    }
    return true;
}

/* Write the positions of matches, `search->wanted` at most; returns their number. */
static uint64_t write_matches(struct hl_call *call, const struct hl_entry *entry,
                              const struct search *search)
{
    struct hl_ql_cursor cursor;
    uint64_t seen = 0;
    uint64_t found = 0;
    uint64_t len = hl_ql_len(entry);
    bool more = hl_ql_seek(entry, search->forward ? 0 : -1, &cursor);
    for (uint64_t i = 0; more && i < search->maxlen && found < search->wanted; i++) {
        if (hl_ql_value_is(&cursor, search->value) && seen++ >= search->skip) {
            hl_write_int(call->out, (int64_t)(search->forward ? i : len - 1 - i));
            found++;
        }
        more = hl_ql_step(&cursor, search->forward);
    }
    return found;
}

static void cmd_lpos(struct hl_call *call)
{
    bool wrong = false;
    struct search search;
    if (!arg_search(call, &search)) {
        return;
    }
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_LIST, 0, &wrong);
    if (wrong) {
        return;
    }
    if (search.many) {
        struct hl_write_mark mark = hl_write_begin(call->out);
        uint64_t found = entry != NULL ? write_matches(call, entry, &search) : 0;
        hl_write_end(call->out, mark, HL_ARRAY, (size_t)found);
    } else if (entry == NULL || write_matches(call, entry, &search) == 0) {
        hl_write_null(call->out);
    }
}

/* --- taking ----------------------------------------------------------------------------------- */

/* Take `count` elements (at most all, at least one) from an end of the list under `key`. */
static void take(struct hl_call *call, struct hl_entry *entry, struct hl_slice key,
                 enum hl_list_end end, size_t count)
{
    size_t len = hl_ql_len(entry);
    hl_ql_delete(entry, end == HL_LEFT ? 0 : len - count, count);
    hl_call_modified(call, HL_NOTIFY_LIST, pop_events[end], key);
    end_if_empty(call, entry, key);
}

static size_t at_most(int64_t count, const struct hl_entry *entry)
{
    size_t len = hl_ql_len(entry);
    return (uint64_t)count < len ? (size_t)count : len;
}

static void pop(struct hl_call *call, enum hl_list_end end)
{
    bool wrong = false;
    int64_t count = 1;
    bool counted = call->argc == 3;
    if (call->argc > 3) {
        hl_reply_arity(call);
        return;
    }
    if (counted && (!hl_parse_i64(call->argv[2], &count) || count < 0)) {
        hl_reply_error(call, "ERR value is out of range, must be positive");
        return;
    }
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_LIST, HL_FIND_WRITE, &wrong);
    if (wrong) {
        return;
    }
    if (entry == NULL && counted) {
        hl_write_null_array(call->out);
    } else if (entry == NULL) {
        hl_write_null(call->out);
    } else if (count == 0) {
        hl_write_array(call->out, 0);
    } else {
        struct hl_ql_cursor cursor;
        size_t n = at_most(count, entry);
        bool some = hl_ql_seek(entry, end == HL_LEFT ? 0 : -1, &cursor);
        HL_ASSERT(some); /* there are no empty lists */
        if (counted) {
            write_elements(call, entry, end == HL_LEFT ? 0 : -1, n, end == HL_LEFT);
        } else {
            write_element(call, &cursor);
        }
        take(call, entry, call->argv[1], end, n);
    }
}

static void cmd_lpop(struct hl_call *call)
{
    pop(call, HL_LEFT);
}

static void cmd_rpop(struct hl_call *call)
{
    pop(call, HL_RIGHT);
}

static void cmd_ltrim(struct hl_call *call)
{
    bool wrong = false;
    int64_t start = 0;
    int64_t stop = 0;
    size_t first = 0;
    if (!arg_range(call, &start, &stop)) {
        return;
    }
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_LIST, HL_FIND_WRITE, &wrong);
    if (wrong) {
        return;
    }
    if (entry != NULL) {
        size_t count = clip(start, stop, hl_ql_len(entry), &first);
        hl_ql_delete(entry, first + count, SIZE_MAX);
        hl_ql_delete(entry, 0, first);
        hl_call_modified(call, HL_NOTIFY_LIST, "ltrim", call->argv[1]);
        end_if_empty(call, entry, call->argv[1]);
    }
    hl_write_ok(call->out);
}

/* Remove matches from one end on, `limit` at most; 0: all. */
static int64_t remove_matches(struct hl_entry *entry, struct hl_slice value, bool forward,
                              uint64_t limit)
{
    struct hl_ql_cursor cursor;
    uint64_t removed = 0;
    bool more = hl_ql_seek(entry, forward ? 0 : -1, &cursor);
    while (more && (limit == 0 || removed < limit)) {
        if (hl_ql_value_is(&cursor, value)) {
            more = hl_ql_remove(entry, &cursor, forward);
            removed++;
        } else {
            more = hl_ql_step(&cursor, forward);
        }
    }
    return (int64_t)removed;
}

static void cmd_lrem(struct hl_call *call)
{
    bool wrong = false;
    int64_t count = 0;
    int64_t removed = 0;
    if (!hl_arg_i64(call, 2, &count)) {
        return;
    }
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_LIST, HL_FIND_WRITE, &wrong);
    if (wrong) {
        return;
    }
    if (entry != NULL) {
        removed = remove_matches(entry, call->argv[3], count >= 0, magnitude(count));
    }
    if (removed != 0) {
        hl_call_modified(call, HL_NOTIFY_LIST, "lrem", call->argv[1]);
        end_if_empty(call, entry, call->argv[1]);
    }
    hl_write_int(call->out, removed);
}

/* --- moving ----------------------------------------------------------------------------------- */

/* Log a move as LMOVE, whatever asked for it. */
static void log_move(struct hl_call *call, enum hl_list_end from, enum hl_list_end to)
{
    static const char *const words[] = {[HL_LEFT] = "LEFT", [HL_RIGHT] = "RIGHT"};
    struct hl_slice effect[] = {hl_slice_of("LMOVE"), call->argv[1], call->argv[2],
                                hl_slice_of(words[from]), hl_slice_of(words[to])};
    hl_call_effect(call, (int)HL_ARRAY_LEN(effect), effect);
}

/* Move an element from the list under argv[1] to argv[2], or reply that this is none. */
static void move_from(struct hl_call *call, struct hl_entry *source, enum hl_list_end from,
                      enum hl_list_end to)
{
    bool wrong = false;
    char scratch[HL_QL_SCRATCH];
    struct hl_ql_cursor cursor;
    struct hl_buf value = {0};
    struct hl_entry *target = hl_arg_find(call, 2, HL_TYPE_LIST, HL_FIND_WRITE, &wrong);
    if (wrong) {
        return;
    }
    bool some = hl_ql_seek(source, from == HL_LEFT ? 0 : -1, &cursor);
    HL_ASSERT(some); /* there are no empty lists */
    hl_buf_append_slice(&value, hl_ql_value(&cursor, scratch));
    hl_ql_delete(source, from == HL_LEFT ? 0 : hl_ql_len(source) - 1, 1);
    if (target == NULL) {
        target = make_list(call, call->argv[2]); /* the source's entry stays where it is */
    }
    hl_ql_push(call->ks, target, hl_buf_view(&value), to == HL_LEFT);
    hl_call_modified(call, HL_NOTIFY_LIST, push_events[to], call->argv[2]);
    hl_write_bulk(call->out, hl_buf_view(&value));
    hl_call_modified(call, HL_NOTIFY_LIST, pop_events[from], call->argv[1]);
    end_if_empty(call, source, call->argv[1]);
    log_move(call, from, to);
    hl_buf_fini(&value);
}

bool hl_list_move_named(struct hl_call *call, enum hl_list_end from, enum hl_list_end to)
{
    struct hl_entry *source = find_list(call, call->argv[1]);
    if (source != NULL) {
        move_from(call, source, from, to);
    }
    return source != NULL;
}

static void move(struct hl_call *call, enum hl_list_end from, enum hl_list_end to)
{
    bool wrong = false;
    struct hl_entry *source = hl_arg_find(call, 1, HL_TYPE_LIST, HL_FIND_WRITE, &wrong);
    if (source != NULL) {
        move_from(call, source, from, to);
    } else if (!wrong) {
        hl_write_null(call->out);
    }
}

static void cmd_lmove(struct hl_call *call)
{
    enum hl_list_end from;
    enum hl_list_end to;
    if (hl_arg_list_end(call, 3, &from) && hl_arg_list_end(call, 4, &to)) {
        move(call, from, to);
    }
}

static void cmd_rpoplpush(struct hl_call *call)
{
    move(call, HL_RIGHT, HL_LEFT);
}

/* --- taking from one of several keys ---------------------------------------------------------- */

/* Log as LPOP or RPOP what was taken, whatever asked for it. */
static void log_pop(struct hl_call *call, struct hl_slice key, enum hl_list_end end, size_t count)
{
    static const char *const names[] = {[HL_LEFT] = "LPOP", [HL_RIGHT] = "RPOP"};
    char text[HL_I64_TEXT_MAX];
    int len = hl_format_i64(text, (int64_t)count);
    struct hl_slice effect[] = {hl_slice_of(names[end]), key, {text, (size_t)len}};
    hl_call_effect(call, (int)HL_ARRAY_LEN(effect), effect);
}

bool hl_list_pop_named(struct hl_call *call, struct hl_slice key, enum hl_list_end end)
{
    struct hl_ql_cursor cursor;
    struct hl_entry *entry = find_list(call, key);
    if (entry == NULL || !hl_ql_seek(entry, end == HL_LEFT ? 0 : -1, &cursor)) {
        return false;
    }
    hl_write_array(call->out, 2);
    hl_write_bulk(call->out, key);
    write_element(call, &cursor);
    take(call, entry, key, end, 1);
    log_pop(call, key, end, 1);
    return true;
}

/* Take up to `options->count` elements from a list and reply as LMPOP. */
static void mpop_from(struct hl_call *call, struct hl_entry *entry, struct hl_slice key,
                      const struct hl_list_mpop *options)
{
    bool forward = options->end == HL_LEFT;
    size_t count = at_most(options->count, entry);
    hl_write_array(call->out, 2);
    hl_write_bulk(call->out, key);
    write_elements(call, entry, forward ? 0 : -1, count, forward);
    take(call, entry, key, options->end, count);
    log_pop(call, key, options->end, count);
}

bool hl_list_mpop_named(struct hl_call *call, struct hl_slice key,
                        const struct hl_list_mpop *options)
{
    struct hl_entry *entry = find_list(call, key);
    if (entry != NULL) {
        mpop_from(call, entry, key, options);
    }
    return entry != NULL;
}

/* --- LMPOP ------------------------------------------------------------------------------------ */

/* Read a number of at least 1. */
static bool arg_positive(struct hl_call *call, int i, const char *error, int64_t *out)
{
    if (!hl_parse_i64(call->argv[i], out) || *out < 1) {
        hl_reply_error(call, error);
        return false;
    }
    return true;
}

bool hl_arg_list_mpop(struct hl_call *call, int at, struct hl_list_mpop *out)
{
    int64_t keys = 0;
    *out = (struct hl_list_mpop){.first = at + 1, .count = -1};
    if (!arg_positive(call, at, "ERR numkeys should be greater than 0", &keys)) {
        return false;
    }
    if (keys >= call->argc - out->first) {
        hl_reply_error(call, HL_ERR_SYNTAX);
        return false;
    }
    out->keys = (int)keys;
    int next = out->first + out->keys;
    if (!hl_arg_list_end(call, next, &out->end)) {
        return false;
    }
    for (next++; next < call->argc; next += 2) {
        if (out->count != -1 || !hl_arg_is(call, next, "count") || next + 1 == call->argc) {
            hl_reply_error(call, HL_ERR_SYNTAX);
            return false;
        }
        if (!arg_positive(call, next + 1, "ERR count should be greater than 0", &out->count)) {
            return false;
        }
    }
    out->count = out->count == -1 ? 1 : out->count;
    return true;
}

static void cmd_lmpop(struct hl_call *call)
{
    struct hl_list_mpop options;
    if (!hl_arg_list_mpop(call, 1, &options)) {
        return;
    }
    for (int i = options.first; i < options.first + options.keys; i++) {
        bool wrong = false;
        struct hl_entry *entry = hl_arg_find(call, i, HL_TYPE_LIST, HL_FIND_WRITE, &wrong);
        if (entry != NULL) {
            mpop_from(call, entry, call->argv[i], &options);
        }
        if (wrong || entry != NULL) {
            return;
        }
    }
    hl_write_null_array(call->out);
}

#define ROW(cmd_name, fn, n, cmd_flags, key_flags, version, cost, words, grammar)                  \
    {                                                                                              \
        .name = (cmd_name), .run = (fn), .arity = (n), .flags = (cmd_flags), .acl = HL_ACL_LIST,   \
        .keys = {{.flags = (key_flags), .first = 1, .last = 0, .step = 1}}, .group = "list",       \
        .since = (version), .complexity = (cost), .summary = (words), .args = (grammar)            \
    }
#define MOVE_ROW(cmd_name, fn, n, version, words, grammar)                                         \
    {                                                                                              \
        .name = (cmd_name), .run = (fn), .arity = (n), .flags = HL_CMD_WRITE | HL_CMD_DENYOOM,     \
        .acl = HL_ACL_LIST,                                                                        \
        .keys = {{.flags = HL_KEY_RW | HL_KEY_ACCESS | HL_KEY_DELETE,                              \
                  .first = 1,                                                                      \
                  .last = 0,                                                                       \
                  .step = 1},                                                                      \
                 {.flags = HL_KEY_RW | HL_KEY_INSERT, .first = 2, .last = 0, .step = 1}},          \
        .group = "list", .since = (version), .complexity = "O(1)", .summary = (words),             \
        .args = (grammar)                                                                          \
    }
#define WRITE_FAST (HL_CMD_WRITE | HL_CMD_FAST)
#define WRITE_OOM (HL_CMD_WRITE | HL_CMD_DENYOOM)
#define WRITE_OOM_FAST (HL_CMD_WRITE | HL_CMD_DENYOOM | HL_CMD_FAST)
#define ACCESS (HL_KEY_RO | HL_KEY_ACCESS)
#define INSERT (HL_KEY_RW | HL_KEY_INSERT)
#define TAKE (HL_KEY_RW | HL_KEY_ACCESS | HL_KEY_DELETE)
#define PER_ELEMENT "O(N) where N is the number of elements given"
#define PER_SIZE "O(N) where N is the length of the list"

const struct hl_command_row hl_commands_list[] = {
    ROW("lpush", cmd_lpush, -3, WRITE_OOM_FAST, INSERT, "1.0.0", PER_ELEMENT,
        "Add elements at the head; answer the new length.", "key element..."),
    ROW("rpush", cmd_rpush, -3, WRITE_OOM_FAST, INSERT, "1.0.0", PER_ELEMENT,
        "Add elements at the tail; answer the new length.", "key element..."),
    ROW("lpushx", cmd_lpushx, -3, WRITE_OOM_FAST, INSERT, "2.2.0", PER_ELEMENT,
        "Add elements at the head of a list that exists.", "key element..."),
    ROW("rpushx", cmd_rpushx, -3, WRITE_OOM_FAST, INSERT, "2.2.0", PER_ELEMENT,
        "Add elements at the tail of a list that exists.", "key element..."),
    ROW("linsert", cmd_linsert, 5, WRITE_OOM, INSERT, "2.2.0",
        "O(N) where N is the number of elements before the pivot",
        "Add an element before or after another.", "key (BEFORE|AFTER) pivot element"),
    ROW("lset", cmd_lset, 4, WRITE_OOM, HL_KEY_RW | HL_KEY_UPDATE, "1.0.0", PER_SIZE,
        "Put an element in another's place.", "key index:integer element"),
    ROW("llen", cmd_llen, 2, HL_CMD_READONLY | HL_CMD_FAST, HL_KEY_RO, "1.0.0", "O(1)",
        "Count the elements.", "key"),
    ROW("lindex", cmd_lindex, 3, HL_CMD_READONLY, ACCESS, "1.0.0", PER_SIZE, "Answer an element.",
        "key index:integer"),
    ROW("lrange", cmd_lrange, 4, HL_CMD_READONLY, ACCESS, "1.0.0",
        "O(S+N) where S is the distance from the nearer end and N the number of elements answered",
        "Answer elements from one index to another.", "key start:integer stop:integer"),
    ROW("lpos", cmd_lpos, -3, HL_CMD_READONLY, ACCESS, "6.0.6", PER_SIZE,
        "Answer where an element stands.",
        "key element [RANK rank:integer] [COUNT num-matches:integer] [MAXLEN len:integer]"),
    ROW("lpop", cmd_lpop, -2, WRITE_FAST, TAKE, "1.0.0", "O(N) where N is the number taken",
        "Take elements from the head.", "key [count:integer]"),
    ROW("rpop", cmd_rpop, -2, WRITE_FAST, TAKE, "1.0.0", "O(N) where N is the number taken",
        "Take elements from the tail.", "key [count:integer]"),
    ROW("ltrim", cmd_ltrim, 4, HL_CMD_WRITE, HL_KEY_RW | HL_KEY_DELETE, "1.0.0",
        "O(N) where N is the number of elements removed", "Keep elements between two indices.",
        "key start:integer stop:integer"),
    ROW("lrem", cmd_lrem, 4, HL_CMD_WRITE, HL_KEY_RW | HL_KEY_DELETE, "1.0.0", PER_SIZE,
        "Remove elements of a value; count them.", "key count:integer element"),
    MOVE_ROW("lmove", cmd_lmove, 5, "6.2.0", "Move an element from an end of a list to another's.",
             "source:key destination:key (LEFT|RIGHT) (LEFT|RIGHT)"),
    MOVE_ROW("rpoplpush", cmd_rpoplpush, 3, "1.2.0", "Move the tail of a list to another's head.",
             "source:key destination:key"),
    {.name = "lmpop",
     .run = cmd_lmpop,
     .arity = -4,
     .flags = HL_CMD_WRITE | HL_CMD_MOVABLE_KEYS,
     .acl = HL_ACL_LIST,
     .keys = {{.flags = TAKE, .first = 1, .step = 1, .keynum = 1}},
     .group = "list",
     .since = "7.0.0",
     .complexity = "O(N+M) where N is the number of keys and M of elements taken",
     .summary = "Take elements from the first list that is not empty.",
     .args = "numkeys:integer key... (LEFT|RIGHT) [COUNT count:integer]"},
};
const size_t hl_commands_list_count = HL_ARRAY_LEN(hl_commands_list);
