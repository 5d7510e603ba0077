/* The reply reader.
 *
 * Invariants:
 *   D1  what the first phase accepts, the second builds: both read values with the same functions.
 *   D2  the nodes of a complete reply are as many as its aggregates announced, plus one: the array
 *       of hl_reply_build() is filled exactly, and children lie side by side.
 *   D3  memory is asked for when the whole reply is there, in proportion to it.
 */
#include "resp/reader.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"

#include <math.h>

#define VERBATIM_PREFIX_BYTES 4 /* "txt:" */

enum step { STEP_MORE, STEP_ON, STEP_ERROR };

void hl_reader_init(struct hl_reader *r)
{
    memset(r, 0, sizeof *r);
    r->bulk_len = -1;
}

static enum step fail(struct hl_reader *r, const char *reason)
{
    size_t len = strlen(reason);
    HL_ASSERT(len < sizeof r->error);
    memcpy(r->error, reason, len + 1);
    r->failed = true;
    return STEP_ERROR;
}

static bool is_aggregate(char type)
{
    return type == '*' || type == '%' || type == '~' || type == '>' || type == '|';
}

static bool is_bulk(char type)
{
    return type == '$' || type == '=' || type == '!';
}

static bool read_double(struct hl_slice text, double *out)
{
    if (hl_slice_is(text, "nan") || hl_slice_is(text, "-nan")) {
        *out = NAN;
        return true;
    }
    return hl_parse_double(text, out);
}

static bool is_decimal(struct hl_slice text)
{
    size_t i = text.len != 0 && (text.ptr[0] == '-' || text.ptr[0] == '+');
    if (i == text.len) {
        return false;
    }
    for (; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
    }
    return true;
}

/* Fill type, text and value of a reply that is one line; false when it is not valid. */
static bool read_line_value(char type, struct hl_slice text, struct hl_reply *out)
{
    out->text = text;
    switch (type) {
    case '+':
        out->type = HL_REPLY_SIMPLE;
        return true;
    case '-':
        out->type = HL_REPLY_ERROR;
        return true;
    case ':':
        out->type = HL_REPLY_INTEGER;
        return hl_parse_i64(text, &out->integer);
    case '_':
        out->type = HL_REPLY_NULL;
        return text.len == 0;
    case ',':
        out->type = HL_REPLY_DOUBLE;
        return read_double(text, &out->number);
    case '#':
        out->type = HL_REPLY_BOOL;
        out->integer = text.len == 1 && text.ptr[0] == 't';
        return text.len == 1 && (text.ptr[0] == 't' || text.ptr[0] == 'f');
    case '(':
        out->type = HL_REPLY_BIG_NUMBER;
        return is_decimal(text);
    default:
        return false;
    }
}

/* Find the CR LF that ends the line at `at`; *end is the offset of the CR. */
static enum step find_line_end(struct hl_reader *r, const char *base, size_t len, size_t *end)
{
    size_t from = r->scan > r->at ? r->scan : r->at;
    size_t to = len - r->at > HL_REPLY_LINE_MAX ? r->at + HL_REPLY_LINE_MAX + 1 : len;
    const char *cr = from < to ? memchr(base + from, '\r', to - from) : NULL;
    if (cr == NULL) {
        r->scan = to;
        return len - r->at > HL_REPLY_LINE_MAX ? fail(r, "line too long") : STEP_MORE;
    }
    *end = (size_t)(cr - base);
    r->scan = *end;
    if (*end + 1 == len) {
        return STEP_MORE;
    }
    return cr[1] == '\n' ? STEP_ON : fail(r, "CR without LF");
}

/* One value was completed: close the aggregates that it completes.  True when the reply is. */
static bool complete_value(struct hl_reader *r)
{
    while (r->depth != 0) {
        if (--r->stack[r->depth - 1].left > 0) {
            return false;
        }
        r->depth--;
        if (r->stack[r->depth].attribute) {
            return false; /* the value that it describes is still to come */
        }
    }
    return true;
}

static enum step enter_aggregate(struct hl_reader *r, char type, int64_t count, bool *complete)
{
    if (count < 0 || count > HL_REPLY_NODES_MAX) {
        return fail(r, "invalid aggregate length");
    }
    if (count == 0) {
        *complete = type != '|' && complete_value(r);
        return STEP_ON;
    }
    if (r->depth == HL_REPLY_DEPTH_MAX) {
        return fail(r, "nested too deep");
    }
    r->stack[r->depth].left = type == '%' || type == '|' ? count * 2 : count;
    r->stack[r->depth].attribute = type == '|';
    r->depth++;
    return STEP_ON;
}

/* The line at `at`, and what follows from its type. */
static enum step read_line(struct hl_reader *r, const char *base, size_t len, bool *complete)
{
    size_t end = 0;
    enum step step = find_line_end(r, base, len, &end);
    if (step != STEP_ON) {
        return step;
    }
    char type = base[r->at];
    struct hl_slice text = {.ptr = base + r->at + 1, .len = end - r->at - 1};
    r->at = end + 2;
    if (++r->seen > HL_REPLY_NODES_MAX) {
        return fail(r, "too many values");
    }
    if (!is_aggregate(type) && !is_bulk(type)) {
        struct hl_reply scratch = {0};
        if (!read_line_value(type, text, &scratch)) {
            return fail(r, "invalid value");
        }
        *complete = complete_value(r);
        return STEP_ON;
    }
    int64_t count = 0;
    if (!hl_parse_i64(text, &count)) {
        return fail(r, "invalid length");
    }
    if (count == -1 && (type == '$' || type == '*')) {
        *complete = complete_value(r);
        return STEP_ON;
    }
    if (is_aggregate(type)) {
        return enter_aggregate(r, type, count, complete);
    }
    r->verbatim = type == '=';
    if (count < (r->verbatim ? VERBATIM_PREFIX_BYTES : 0) || count > HL_REPLY_BULK_MAX) {
        return fail(r, "invalid bulk length");
    }
    r->bulk_len = count;
    return STEP_ON;
}

static enum step read_bulk(struct hl_reader *r, const char *base, size_t len, bool *complete)
{
    size_t need = (size_t)r->bulk_len + 2;
    if (len - r->at < need) {
        r->want = need - (len - r->at);
        return STEP_MORE;
    }
    const char *bulk = base + r->at;
    if (bulk[need - 2] != '\r' || bulk[need - 1] != '\n') {
        return fail(r, "bulk string without CR LF");
    }
    if (r->verbatim && bulk[3] != ':') {
        return fail(r, "verbatim string without a format");
    }
    r->at += need;
    r->bulk_len = -1;
    *complete = complete_value(r);
    return STEP_ON;
}

enum hl_read_result hl_reader_next(struct hl_reader *r, const char *bytes, size_t len)
{
    HL_ASSERT(r->pos + r->at <= len);
    r->want = 0;
    if (r->failed) {
        return HL_READ_ERROR;
    }
    const char *base = bytes + r->pos;
    size_t left = len - r->pos;
    bool complete = false;
    enum step step = STEP_ON;
    while (step == STEP_ON && !complete) {
        if (r->bulk_len >= 0) {
            step = read_bulk(r, base, left, &complete);
        } else {
            step = r->at == left ? STEP_MORE : read_line(r, base, left, &complete);
        }
    }
    if (!complete) {
        return step == STEP_MORE ? HL_READ_MORE : HL_READ_ERROR;
    }
    r->size = r->at;
    r->nodes = r->seen;
    r->pos += r->at;
    r->at = 0;
    r->scan = 0;
    r->seen = 0;
    return HL_READ_REPLY;
}

/* Second phase: where the builder stands in a reply known to be complete. */
struct builder {
    struct hl_slice bytes;
    size_t at;
    struct hl_reply *nodes;
    size_t used;  /* nodes handed out */
    size_t total; /* nodes there are */
    int depth;
    struct {
        struct hl_reply *node;
        size_t next; /* child to fill */
    } stack[HL_REPLY_DEPTH_MAX];
};

static struct hl_reply *take_nodes(struct builder *b, size_t count)
{
    HL_ASSERT(count <= b->total - b->used);
    struct hl_reply *first = &b->nodes[b->used];
    b->used += count;
    return first;
}

static enum hl_reply_type aggregate_type(char type)
{
    switch (type) {
    case '%':
        return HL_REPLY_MAP;
    case '~':
        return HL_REPLY_SET;
    case '>':
        return HL_REPLY_PUSH;
    case '|':
        return HL_REPLY_ATTRIBUTE;
    default:
        return HL_REPLY_ARRAY;
    }
}

/* The line at b->at, which is known to be complete; moves past it. */
static struct hl_slice take_line(struct builder *b)
{
    const char *start = b->bytes.ptr + b->at;
    const char *cr = memchr(start, '\r', b->bytes.len - b->at);
    HL_ASSERT(cr != NULL);
    size_t len = (size_t)(cr - start);
    b->at += len + 2;
    return (struct hl_slice){.ptr = start, .len = len};
}

static void build_bulk(struct builder *b, struct hl_reply *node, char type, size_t len)
{
    node->text = (struct hl_slice){.ptr = b->bytes.ptr + b->at, .len = len};
    b->at += len + 2;
    node->type = type == '!' ? HL_REPLY_ERROR : HL_REPLY_STRING;
    if (type == '=') {
        node->type = HL_REPLY_VERBATIM;
        memcpy(node->format, node->text.ptr, 3);
        node->text.ptr += VERBATIM_PREFIX_BYTES;
        node->text.len -= VERBATIM_PREFIX_BYTES;
    }
}

/* Fill `node` from the value at b->at; true when it is an aggregate with children to come. */
static bool build_value(struct builder *b, struct hl_reply *node)
{
    size_t start = b->at;
    struct hl_slice line = take_line(b);
    char type = line.ptr[0];
    struct hl_slice text = {.ptr = line.ptr + 1, .len = line.len - 1};
    node->raw.ptr = b->bytes.ptr + start;
    int64_t count = 0;
    if (!is_aggregate(type) && !is_bulk(type)) {
        HL_ASSERT(read_line_value(type, text, node));
    } else {
        HL_ASSERT(hl_parse_i64(text, &count));
        if (count == -1) {
            node->type = HL_REPLY_NULL;
        } else if (is_bulk(type)) {
            build_bulk(b, node, type, (size_t)count);
        } else {
            node->type = aggregate_type(type);
            node->count = type == '%' || type == '|' ? (size_t)count * 2 : (size_t)count;
            node->children = take_nodes(b, node->count);
        }
    }
    node->raw.len = b->at - start;
    return node->count != 0;
}

/* Fill `node`, after the attributes that stand before it; an attribute is built as a node of its
 * own, and its children come first. */
static bool build_node(struct builder *b, struct hl_reply *node)
{
    bool attribute = b->bytes.ptr[b->at] == '|';
    struct hl_reply *target = attribute ? take_nodes(b, 1) : node;
    bool entered = build_value(b, target);
    if (attribute) {
        node->attributes = target;
    }
    if (entered) {
        HL_ASSERT(b->depth < HL_REPLY_DEPTH_MAX);
        b->stack[b->depth].node = target;
        b->stack[b->depth].next = 0;
        b->depth++;
    }
    return !attribute;
}

/* Where the next value goes: NULL when the root is complete. */
static struct hl_reply *next_target(struct builder *b, struct hl_reply *root, bool *root_done)
{
    while (b->depth != 0) {
        struct hl_reply *parent = b->stack[b->depth - 1].node;
        size_t next = b->stack[b->depth - 1].next;
        if (next < parent->count) {
            return (struct hl_reply *)&parent->children[next];
        }
        parent->raw.len = (size_t)(b->bytes.ptr + b->at - parent->raw.ptr);
        b->depth--;
    }
    return *root_done ? NULL : root;
}

struct hl_reply *hl_reply_build(struct hl_slice bytes, size_t nodes)
{
    HL_ASSERT(nodes != 0 && nodes <= HL_REPLY_NODES_MAX);
    struct builder b = {.bytes = bytes, .total = nodes};
    b.nodes = hl_try_malloc(nodes * sizeof *b.nodes);
    if (b.nodes == NULL) {
        return NULL;
    }
    memset(b.nodes, 0, nodes * sizeof *b.nodes);
    struct hl_reply *root = take_nodes(&b, 1);
    bool root_done = false;
    struct hl_reply *target = root;
    while (target != NULL) {
        int depth = b.depth;
        if (build_node(&b, target)) {
            root_done = root_done || depth == 0;
            if (depth != 0) {
                b.stack[depth - 1].next++;
            }
        }
        target = next_target(&b, root, &root_done);
    }
    HL_ASSERT(b.used == b.total);
    HL_ASSERT(b.at == bytes.len);
    return root;
}

hl_err hl_reply_parse(struct hl_slice bytes, struct hl_reply **out)
{
    struct hl_reader r;
    hl_reader_init(&r);
    if (hl_reader_next(&r, bytes.ptr, bytes.len) != HL_READ_REPLY || r.pos != bytes.len) {
        return HL_ECORRUPT;
    }
    struct hl_reply *root = hl_reply_build(bytes, r.nodes);
    if (root == NULL) {
        return HL_ENOMEM;
    }
    *out = root;
    return HL_OK;
}
