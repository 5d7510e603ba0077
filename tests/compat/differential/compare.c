/* See compare.h. */
#include "compare.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "resp/reader.h"

#include <stdlib.h>

#define QUOTE_START 128 /* bytes of a quoting error that must agree, and at its end */
#define QUOTE_END 16
#define SECONDS_APART_MAX 2
#define MILLIS_APART_MAX 5000
#define SCAN_WHOLE_COUNT "1000000" /* the COUNT with which families.c visits everything */

static const struct {
    const char *command;
    const char *subcommand; /* NULL: any */
    enum mode mode;
} modes[] = {
    /* The order of a hash table depends on its seed and on how it grew. */
    {"KEYS", NULL, MODE_SET},
    {"HKEYS", NULL, MODE_SET},
    {"HVALS", NULL, MODE_SET},
    {"HGETALL", NULL, MODE_PAIRS},
    {"SCAN", NULL, MODE_SCAN},
    {"HSCAN", NULL, MODE_HSCAN},
    {"CONFIG", "GET", MODE_PAIRS},
    {"ACL", "CAT", MODE_SET},
    {"ACL", "USERS", MODE_SET},
    /* A rule that is wrong is quoted, by us no more than a line of it. */
    {"ACL", "SETUSER", MODE_QUOTE},
    /* Rules are shown as they were given, not as Redis 7.0 recomposes them; DRYRUN judges them. */
    {"ACL", "LIST", MODE_SHAPE},
    {"ACL", "GETUSER", MODE_SHAPE},
    /* Chosen by chance. */
    {"RANDOMKEY", NULL, MODE_SHAPE},
    {"HRANDFIELD", NULL, MODE_SHAPE},
    {"ACL", "GENPASS", MODE_SHAPE},
    /* The clock moved between the two servers' answers. */
    {"TTL", NULL, MODE_SECONDS},
    {"EXPIRETIME", NULL, MODE_SECONDS},
    {"PTTL", NULL, MODE_MILLIS},
    {"PEXPIRETIME", NULL, MODE_MILLIS},
    {"TIME", NULL, MODE_SHAPE},
    {"LASTSAVE", NULL, MODE_SHAPE},
    {"OBJECT", "IDLETIME", MODE_SECONDS},
    /* INCRBYFLOAT leaves text in Redis until a restart or on a replica, where it is an integer. */
    {"OBJECT", "ENCODING", MODE_ENCODING},
    /* A number or a text of this server alone. */
    {"CLIENT", "ID", MODE_SHAPE},
    {"CLIENT", "INFO", MODE_SHAPE},
    {"CLIENT", "LIST", MODE_SHAPE},
    {"HELLO", NULL, MODE_HELLO},
    /* The payload is judged by RESTORE on both servers instead. */
    {"DUMP", NULL, MODE_SHAPE},
};

/* A scan that starts at 0 and visits all there is in one step shows the same elements everywhere;
 * any other step depends on how the table happens to lie. */
static enum mode scan_mode(const struct op *op, enum mode whole)
{
    int cursor = whole == MODE_HSCAN ? 2 : 1;
    if (op->argc <= cursor || !hl_slice_is(op->argv[cursor], "0")) {
        return MODE_STEP;
    }
    for (int i = cursor + 1; i + 1 < op->argc; i++) {
        if (hl_slice_is(op->argv[i], "COUNT") && hl_slice_is(op->argv[i + 1], SCAN_WHOLE_COUNT)) {
            return whole;
        }
    }
    return MODE_STEP;
}

enum mode mode_of(const struct op *op)
{
    for (size_t i = 0; op->argc != 0 && i < HL_ARRAY_LEN(modes); i++) {
        if (hl_slice_is(op->argv[0], modes[i].command) &&
            (modes[i].subcommand == NULL ||
             (op->argc > 1 && hl_slice_is(op->argv[1], modes[i].subcommand)))) {
            enum mode mode = modes[i].mode;
            bool scan = mode == MODE_SCAN || mode == MODE_HSCAN;
            return scan ? scan_mode(op, mode) : mode;
        }
    }
    return MODE_EXACT;
}

static bool raw_equal(const struct hl_reply *a, const struct hl_reply *b)
{
    return hl_slice_equal(a->raw, b->raw);
}

static int compare_slices(const void *a, const void *b)
{
    return hl_slice_compare(*(const struct hl_slice *)a, *(const struct hl_slice *)b);
}

static size_t sort_unique(struct hl_slice *items, size_t count)
{
    if (count == 0) {
        return 0;
    }
    qsort(items, count, sizeof *items, compare_slices);
    size_t kept = 1;
    for (size_t i = 1; i < count; i++) {
        if (!hl_slice_equal(items[i], items[kept - 1])) {
            items[kept++] = items[i];
        }
    }
    return kept;
}

bool same_elements(struct hl_slice *a, size_t a_count, struct hl_slice *b, size_t b_count)
{
    a_count = sort_unique(a, a_count);
    b_count = sort_unique(b, b_count);
    if (a_count != b_count) {
        return false;
    }
    for (size_t i = 0; i < a_count; i++) {
        if (!hl_slice_equal(a[i], b[i])) {
            return false;
        }
    }
    return true;
}

/* The children in groups of `group`, each as its bytes, sorted; the caller frees it. */
static struct hl_slice *sorted_groups(const struct hl_reply *reply, size_t group)
{
    size_t count = reply->count / group;
    struct hl_slice *items = hl_calloc(count, sizeof *items);
    for (size_t i = 0; i < count; i++) {
        const struct hl_reply *first = &reply->children[i * group];
        const struct hl_reply *last = first + group - 1;
        items[i].ptr = first->raw.ptr;
        items[i].len = (size_t)(last->raw.ptr + last->raw.len - first->raw.ptr);
    }
    qsort(items, count, sizeof *items, compare_slices);
    return items;
}

/* Equal as multisets of groups, and of the same aggregate type. */
static bool groups_agree(const struct hl_reply *a, const struct hl_reply *b, size_t group)
{
    if (a->type != b->type || a->count != b->count) {
        return false;
    }
    if (a->count == 0 || a->count % group != 0) {
        return raw_equal(a, b);
    }
    struct hl_slice *left = sorted_groups(a, group);
    struct hl_slice *right = sorted_groups(b, group);
    bool same = true;
    for (size_t i = 0; i < a->count / group; i++) {
        same = same && hl_slice_equal(left[i], right[i]);
    }
    hl_free(left);
    hl_free(right);
    return same;
}

static bool scans_agree(const struct hl_reply *a, const struct hl_reply *b, size_t group)
{
    if (a->count != 2 || b->count != 2) {
        return raw_equal(a, b);
    }
    return raw_equal(&a->children[0], &b->children[0]) &&
           groups_agree(&a->children[1], &b->children[1], group);
}

static bool integers_agree(const struct hl_reply *a, const struct hl_reply *b, int64_t apart)
{
    if (a->type != HL_REPLY_INTEGER || b->type != HL_REPLY_INTEGER || a->integer < 0 ||
        b->integer < 0) {
        return raw_equal(a, b);
    }
    int64_t more = a->integer > b->integer ? a->integer : b->integer;
    int64_t less = a->integer > b->integer ? b->integer : a->integer;
    return more - less <= apart;
}

static bool shapes_agree(const struct hl_reply *a, const struct hl_reply *b)
{
    if (a->type != b->type || a->count != b->count) {
        return false;
    }
    if (a->type == HL_REPLY_ERROR) {
        return raw_equal(a, b);
    }
    for (size_t i = 0; i < a->count; i++) {
        if (!shapes_agree(&a->children[i], &b->children[i])) {
            return false;
        }
    }
    return true;
}

/* Values of "version", "id" and "modules" say who answers. */
static bool hellos_agree(const struct hl_reply *a, const struct hl_reply *b)
{
    if (a->type != b->type || a->count != b->count || a->count % 2 != 0) {
        return raw_equal(a, b);
    }
    if (a->count == 0) {
        return raw_equal(a, b);
    }
    for (size_t i = 0; i < a->count; i += 2) {
        struct hl_slice key = a->children[i].text;
        bool own =
            hl_slice_is(key, "version") || hl_slice_is(key, "id") || hl_slice_is(key, "modules");
        if (!raw_equal(&a->children[i], &b->children[i]) ||
            (!own && !raw_equal(&a->children[i + 1], &b->children[i + 1]))) {
            return false;
        }
    }
    return true;
}

/* Two errors whose quotes of a long argument differ only in their middle. */
static bool quotes_agree(const struct hl_reply *a, const struct hl_reply *b)
{
    size_t len = a->text.len < b->text.len ? a->text.len : b->text.len;
    if (a->type != HL_REPLY_ERROR || b->type != a->type || len < QUOTE_START + QUOTE_END) {
        return false;
    }
    const char *a_end = a->text.ptr + a->text.len - QUOTE_END;
    const char *b_end = b->text.ptr + b->text.len - QUOTE_END;
    return memcmp(a->text.ptr, b->text.ptr, QUOTE_START) == 0 &&
           memcmp(a_end, b_end, QUOTE_END) == 0;
}

static bool trees_agree(enum mode mode, const struct hl_reply *a, const struct hl_reply *b)
{
    if (raw_equal(a, b)) {
        return true;
    }
    switch (mode) {
    case MODE_EXACT:
        return false;
    case MODE_SET:
        return groups_agree(a, b, 1);
    case MODE_PAIRS:
        return groups_agree(a, b, 2);
    case MODE_SCAN:
        return scans_agree(a, b, 1);
    case MODE_HSCAN:
        return scans_agree(a, b, 2);
    case MODE_STEP:
        return a->type == HL_REPLY_ARRAY && b->type == a->type && a->count == 2 && b->count == 2;
    case MODE_SECONDS:
        return integers_agree(a, b, SECONDS_APART_MAX);
    case MODE_MILLIS:
        return integers_agree(a, b, MILLIS_APART_MAX);
    case MODE_SHAPE:
        return shapes_agree(a, b);
    case MODE_ENCODING:
        return hl_slice_is(a->text, "embstr") && hl_slice_is(b->text, "int");
    case MODE_QUOTE:
        return quotes_agree(a, b);
    case MODE_HELLO:
        return hellos_agree(a, b);
    }
    return false;
}

/* The replies of a transaction, each by the mode that its command had when it was queued. */
static bool execs_agree(const struct judge *judge, const struct hl_reply *a,
                        const struct hl_reply *b)
{
    if (a->type != HL_REPLY_ARRAY || b->type != a->type || a->count != b->count ||
        a->count != judge->count) {
        return raw_equal(a, b);
    }
    for (size_t i = 0; i < a->count; i++) {
        if (!trees_agree(judge->queued[i], &a->children[i], &b->children[i])) {
            return false;
        }
    }
    return true;
}

static bool parsed_agree(const struct judge *judge, const struct op *op, struct hl_slice a,
                         struct hl_slice b)
{
    struct hl_reply *left = NULL;
    struct hl_reply *right = NULL;
    bool same = false;
    if (hl_reply_parse(a, &left) == HL_OK && hl_reply_parse(b, &right) == HL_OK) {
        bool exec = op->argc != 0 && hl_slice_is(op->argv[0], "EXEC");
        same = exec ? execs_agree(judge, left, right) : trees_agree(mode_of(op), left, right);
    }
    hl_free(left);
    hl_free(right);
    return same;
}

bool replies_agree(struct judge *judge, const struct op *op, struct hl_slice a, struct hl_slice b)
{
    bool same = hl_slice_equal(a, b) || parsed_agree(judge, op, a, b);
    if (hl_slice_equal(a, hl_slice_of("+QUEUED\r\n")) && judge->count < QUEUED_MAX) {
        judge->queued[judge->count++] = mode_of(op);
    } else if (op->argc != 0 &&
               (hl_slice_is(op->argv[0], "EXEC") || hl_slice_is(op->argv[0], "DISCARD") ||
                hl_slice_is(op->argv[0], "RESET"))) {
        judge->count = 0;
    }
    return same;
}
