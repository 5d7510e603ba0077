/* Strings as numbers: INCR and its kin; and LCS, the one algorithm on two strings. */
#include "command/args.h"
#include "keyspace/string.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"

#include <math.h>

#define LCS_CELLS_MAX (128u * 1024 * 1024) /* 512 MiB of table */

static void add(struct hl_call *call, int64_t delta)
{
    bool wrong = false;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_STRING, HL_FIND_WRITE, &wrong);
    if (wrong) {
        return;
    }
    int64_t value = 0;
    if (entry != NULL && !hl_string_int(entry, &value)) {
        hl_reply_error(call, HL_ERR_NOT_INT);
        return;
    }
    if (__builtin_add_overflow(value, delta, &value)) {
        hl_reply_error(call, "ERR increment or decrement would overflow");
        return;
    }
    if (entry != NULL) {
        (void)hl_string_set_int(call->db, entry, value);
    } else {
        char text[HL_I64_TEXT_MAX];
        int len = hl_format_i64(text, value);
        struct hl_slice bytes = {.ptr = text, .len = (size_t)len};
        (void)hl_db_set_string(call->db, call->argv[1], bytes, false);
    }
    hl_call_modified(call, HL_NOTIFY_STRING, "incrby", call->argv[1]);
    hl_write_int(call->out, value);
}

static void cmd_incr(struct hl_call *call)
{
    add(call, 1);
}

static void cmd_decr(struct hl_call *call)
{
    add(call, -1);
}

static void cmd_incrby(struct hl_call *call)
{
    int64_t delta = 0;
    if (hl_arg_i64(call, 2, &delta)) {
        add(call, delta);
    }
}

static void cmd_decrby(struct hl_call *call)
{
    int64_t delta = 0;
    if (!hl_arg_i64(call, 2, &delta)) {
        return;
    }
    if (delta == INT64_MIN) {
        hl_reply_error(call, "ERR decrement would overflow");
        return;
    }
    add(call, -delta);
}

/* Floating point never enters the log: the effect is the text of the result. */
static void cmd_incrbyfloat(struct hl_call *call)
{
    bool wrong = false;
    struct hl_entry *entry = hl_arg_find(call, 1, HL_TYPE_STRING, HL_FIND_WRITE, &wrong);
    if (wrong) {
        return;
    }
    char scratch[HL_STRING_SCRATCH];
    long double value = 0;
    long double delta = 0;
    if ((entry != NULL && !hl_parse_ldouble(hl_string_view(entry, scratch), &value)) ||
        !hl_parse_ldouble(call->argv[2], &delta)) {
        hl_reply_error(call, HL_ERR_NOT_FLOAT);
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
    (void)hl_db_set_string(call->db, call->argv[1], result, true);
    hl_call_modified(call, HL_NOTIFY_STRING, "incrbyfloat", call->argv[1]);
    struct hl_slice effect[4] = {hl_slice_of("SET"), call->argv[1], result, hl_slice_of("KEEPTTL")};
    hl_call_effect(call, 4, effect);
    hl_write_bulk(call->out, result);
}

/* --- LCS -------------------------------------------------------------------------------------- */

struct lcs {
    struct hl_slice a, b;
    uint32_t *cells; /* (a.len + 1) rows of b.len + 1 */
    bool len_only, ranges, with_len;
    int64_t min_len;
};

static uint32_t *cell(const struct lcs *l, size_t i, size_t j)
{
    return &l->cells[i * (l->b.len + 1) + j];
}

static bool lcs_options(struct hl_call *call, struct lcs *l)
{
    for (int i = 3; i < call->argc; i++) {
        if (hl_arg_is(call, i, "idx")) {
            l->ranges = true;
        } else if (hl_arg_is(call, i, "len")) {
            l->len_only = true;
        } else if (hl_arg_is(call, i, "withmatchlen")) {
            l->with_len = true;
        } else if (hl_arg_is(call, i, "minmatchlen") && i + 1 < call->argc) {
            if (!hl_arg_i64(call, ++i, &l->min_len)) {
                return false;
            }
            l->min_len = l->min_len < 0 ? 0 : l->min_len;
        } else {
            hl_reply_error(call, HL_ERR_SYNTAX);
            return false;
        }
    }
    if (l->len_only && l->ranges) {
        hl_reply_error(call, "ERR If you want both the length and indexes, please just use IDX.");
        return false;
    }
    return true;
}

static bool lcs_fill(struct hl_call *call, struct lcs *l)
{
    if ((l->a.len + 1) > LCS_CELLS_MAX / (l->b.len + 1)) {
        hl_reply_error(call, "ERR Insufficient memory, transient memory for LCS exceeds "
                             "proto-max-bulk-len");
        return false;
    }
    size_t cells = (l->a.len + 1) * (l->b.len + 1);
    l->cells = hl_try_malloc(cells * sizeof *l->cells);
    if (l->cells == NULL) {
        hl_reply_error(call, "ERR Insufficient memory, failed allocating transient memory for "
                             "LCS");
        return false;
    }
    for (size_t i = 0; i <= l->a.len; i++) {
        for (size_t j = 0; j <= l->b.len; j++) {
            if (i == 0 || j == 0) {
                *cell(l, i, j) = 0;
            } else if (l->a.ptr[i - 1] == l->b.ptr[j - 1]) {
                *cell(l, i, j) = *cell(l, i - 1, j - 1) + 1;
            } else {
                uint32_t up = *cell(l, i - 1, j);
                uint32_t left = *cell(l, i, j - 1);
                *cell(l, i, j) = up > left ? up : left;
            }
        }
    }
    return true;
}

/* A run of equal bytes: a[a_from..a_to] == b[b_from..b_to]. */
struct lcs_run {
    size_t a_from, a_to, b_from, b_to;
};

static bool write_run(struct hl_call *call, const struct lcs *l, const struct lcs_run *run)
{
    size_t len = run->a_to - run->a_from + 1;
    if ((int64_t)len < l->min_len) {
        return false;
    }
    hl_write_array(call->out, l->with_len ? 3 : 2);
    hl_write_array(call->out, 2);
    hl_write_int(call->out, (int64_t)run->a_from);
    hl_write_int(call->out, (int64_t)run->a_to);
    hl_write_array(call->out, 2);
    hl_write_int(call->out, (int64_t)run->b_from);
    hl_write_int(call->out, (int64_t)run->b_to);
    if (l->with_len) {
        hl_write_int(call->out, (int64_t)len);
    }
    return true;
}

/* Walk the table back from its corner: fills `text` (its length long) and, for IDX, writes the
 * runs, last first. Returns how many runs were written. */
static size_t lcs_walk(struct hl_call *call, const struct lcs *l, char *text, size_t left)
{
    size_t written = 0;
    struct lcs_run run = {0};
    bool open = false;
    size_t i = l->a.len;
    size_t j = l->b.len;
    while (i > 0 && j > 0) {
        if (l->a.ptr[i - 1] != l->b.ptr[j - 1]) {
            if (*cell(l, i - 1, j) > *cell(l, i, j - 1)) {
                i--;
            } else {
                j--;
            }
            continue;
        }
        text[--left] = l->a.ptr[i - 1];
        bool joins = open && run.a_from == i && run.b_from == j;
        if (open && !joins && l->ranges) {
            written += write_run(call, l, &run);
        }
        if (!joins) {
            run = (struct lcs_run){.a_to = i - 1, .b_to = j - 1};
        }
        run.a_from = --i;
        run.b_from = --j;
        open = true;
    }
    if (open && l->ranges) {
        written += write_run(call, l, &run);
    }
    return written;
}

static void lcs_reply(struct hl_call *call, const struct lcs *l)
{
    uint32_t len = *cell(l, l->a.len, l->b.len);
    if (l->len_only) {
        hl_write_int(call->out, len);
        return;
    }
    char *text = hl_malloc(len);
    if (l->ranges) {
        hl_write_map(call->out, 2);
        hl_write_bulk_text(call->out, "matches");
        struct hl_write_mark mark = hl_write_begin(call->out);
        size_t runs = lcs_walk(call, l, text, len);
        hl_write_end(call->out, mark, HL_ARRAY, runs);
        hl_write_bulk_text(call->out, "len");
        hl_write_int(call->out, len);
    } else {
        (void)lcs_walk(call, l, text, len);
        hl_write_bulk(call->out, (struct hl_slice){.ptr = text, .len = len});
    }
    hl_free(text);
}

static void cmd_lcs(struct hl_call *call)
{
    struct hl_entry *a = hl_db_find(call->db, call->argv[1], 0);
    struct hl_entry *b = hl_db_find(call->db, call->argv[2], 0);
    if ((a != NULL && hl_entry_type(a) != HL_TYPE_STRING) ||
        (b != NULL && hl_entry_type(b) != HL_TYPE_STRING)) {
        hl_reply_error(call, "ERR The specified keys must contain string values");
        return;
    }
    char scratch_a[HL_STRING_SCRATCH];
    char scratch_b[HL_STRING_SCRATCH];
    struct lcs l = {.a = {"", 0}, .b = {"", 0}};
    if (a != NULL) {
        l.a = hl_string_view(a, scratch_a);
    }
    if (b != NULL) {
        l.b = hl_string_view(b, scratch_b);
    }
    if (!lcs_options(call, &l) || !lcs_fill(call, &l)) {
        return;
    }
    lcs_reply(call, &l);
    hl_free(l.cells);
}

#define KEY_RW_UPDATE                                                                              \
    {                                                                                              \
        .flags = HL_KEY_RW | HL_KEY_ACCESS | HL_KEY_UPDATE, .first = 1, .last = 0, .step = 1       \
    }
#define ROW(cmd_name, fn, n, version, words, grammar)                                              \
    {                                                                                              \
        .name = (cmd_name), .run = (fn), .arity = (n),                                             \
        .flags = HL_CMD_WRITE | HL_CMD_DENYOOM | HL_CMD_FAST, .acl = HL_ACL_STRING,                \
        .keys = {KEY_RW_UPDATE}, .group = "string", .since = (version), .complexity = "O(1)",      \
        .summary = (words), .args = (grammar)                                                      \
    }

const struct hl_command_row hl_commands_number[] = {
    ROW("incr", cmd_incr, 2, "1.0.0", "Add one to the integer under a key.", "key"),
    ROW("decr", cmd_decr, 2, "1.0.0", "Take one from the integer under a key.", "key"),
    ROW("incrby", cmd_incrby, 3, "1.0.0", "Add to the integer under a key.",
        "key increment:integer"),
    ROW("decrby", cmd_decrby, 3, "1.0.0", "Take from the integer under a key.",
        "key decrement:integer"),
    ROW("incrbyfloat", cmd_incrbyfloat, 3, "2.6.0", "Add to the number under a key.",
        "key increment:double"),
    {.name = "lcs",
     .run = cmd_lcs,
     .arity = -3,
     .flags = HL_CMD_READONLY,
     .acl = HL_ACL_STRING,
     .keys = {{.flags = HL_KEY_RO | HL_KEY_ACCESS, .first = 1, .last = 1, .step = 1}},
     .group = "string",
     .since = "7.0.0",
     .complexity = "O(N*M) where N and M are the lengths of the strings",
     .summary = "Answer the longest common subsequence of two strings.",
     .args = "key1:key key2:key [LEN] [IDX] [MINMATCHLEN len:integer] [WITHMATCHLEN]"},
};
const size_t hl_commands_number_count = HL_ARRAY_LEN(hl_commands_number);
