/* The request parser.
 *
 * Invariants:
 *   P1  pos + at <= len of the last call; bytes before pos + at are never read again, except by
 *       the command that argv describes.
 *   P2  argv holds pointers when !detached, and offsets from pos (in the ptr fields) otherwise.
 *       It is detached exactly while a command is half read between two calls.
 *   P3  argv_cap grows with the arguments that have arrived, never with the count announced.
 *   P4  the result depends on the bytes alone: a limit on a line counts the line's own bytes, so
 *       it strikes at the same byte whether the rest has arrived or not.
 */
#include "resp/parser.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "resp/words.h"

#define ARGV_CAP_FIRST 8
#define ARGV_CAP_KEPT 1024      /* what hl_parser_trim() leaves alone, items */
#define WORDS_CAP_KEPT 1024     /* the same, bytes */
#define NUMBER_TEXT_MAX 20      /* a longer count cannot be valid */
#define COUNT_DIGITS_FAST 10    /* digits read without looking for the line's end first */
#define VERBATIM_PREFIX_BYTES 4 /* "txt:" */

enum state {
    STATE_START,    /* between commands, or after an attribute before one */
    STATE_LINE,     /* an inline command whose end has not come */
    STATE_ELEMENTS, /* inside an array */
};

/* What a step says to the loop that called it. */
enum step { STEP_MORE, STEP_ON, STEP_COMMAND, STEP_ERROR };

const struct hl_parser_limits hl_parser_limits_default = {.bulk_max = HL_REQUEST_BULK_MAX};
const struct hl_parser_limits hl_parser_limits_unauth = {.bulk_max = HL_REQUEST_BULK_MAX,
                                                         .unauthenticated = true};

void hl_parser_init(struct hl_parser *p, const struct hl_parser_limits *limits)
{
    HL_ASSERT(limits != NULL);
    memset(p, 0, sizeof *p);
    p->limits = limits;
    p->args_left = -1;
    p->bulk_len = -1;
}

void hl_parser_fini(struct hl_parser *p)
{
    hl_free(p->argv);
    p->argv = NULL;
    p->argv_cap = 0;
    p->argc = 0;
    hl_buf_fini(&p->words);
}

void hl_parser_set_limits(struct hl_parser *p, const struct hl_parser_limits *limits)
{
    HL_ASSERT(limits != NULL);
    p->limits = limits;
}

void hl_parser_trim(struct hl_parser *p)
{
    if (hl_parser_is_partial(p)) {
        return;
    }
    if (p->argv_cap > ARGV_CAP_KEPT) {
        hl_free(p->argv);
        p->argv = NULL;
        p->argv_cap = 0;
        p->argc = 0;
    }
    if (p->words.cap > WORDS_CAP_KEPT) {
        hl_buf_fini(&p->words);
    }
}

static enum step fail(struct hl_parser *p, const char *reason)
{
    static const char prefix[] = "Protocol error: ";
    size_t len = strlen(reason);
    HL_ASSERT(sizeof prefix + len <= sizeof p->error);
    memcpy(p->error, prefix, sizeof prefix - 1);
    memcpy(p->error + sizeof prefix - 1, reason, len + 1);
    p->failed = true;
    return STEP_ERROR;
}

static enum step fail_expected(struct hl_parser *p, char got)
{
    char reason[] = "expected '$', got '?'";
    bool control = (unsigned char)got < ' ' || got == 0x7f;
    reason[sizeof reason - 3] = (char)(control ? ' ' : got);
    return fail(p, reason);
}

static void grow_argv(struct hl_parser *p)
{
    uint32_t cap = p->argv_cap == 0 ? ARGV_CAP_FIRST : p->argv_cap * 2;
    HL_ASSERT(cap <= 2 * HL_REQUEST_ARGC_MAX);
    p->argv = hl_realloc(p->argv, cap * sizeof *p->argv);
    p->argv_cap = cap;
}

/* `origin` is the address of pos, or 0 while detached: see P2. */
static inline void push_arg(struct hl_parser *p, uintptr_t origin, size_t offset, size_t len)
{
    if ((uint32_t)p->argc == p->argv_cap) {
        grow_argv(p);
    }
    p->argv[p->argc++] = (struct hl_slice){.ptr = (const char *)(origin + offset), .len = len};
}

static void detach_argv(struct hl_parser *p, uintptr_t origin)
{
    if (p->detached) {
        return;
    }
    for (int i = 0; i < p->argc; i++) {
        p->argv[i].ptr = (const char *)((uintptr_t)p->argv[i].ptr - origin);
    }
    p->detached = true;
}

static void attach_argv(struct hl_parser *p, uintptr_t origin)
{
    if (!p->detached) {
        return;
    }
    for (int i = 0; i < p->argc; i++) {
        p->argv[i].ptr = (const char *)((uintptr_t)p->argv[i].ptr + origin);
    }
    p->detached = false;
}

/* Find the CR that ends the line at `at`, and the byte after it.  STEP_ON: *end is its offset. */
static enum step find_line_end(struct hl_parser *p, const char *base, size_t len,
                               const char *too_long, size_t *end)
{
    size_t from = p->scan > p->at ? p->scan : p->at;
    size_t to = len - p->at > HL_REQUEST_LINE_MAX ? p->at + HL_REQUEST_LINE_MAX + 1 : len;
    const char *cr = from < to ? memchr(base + from, '\r', to - from) : NULL;
    if (cr == NULL) {
        p->scan = to;
        return len - p->at > HL_REQUEST_LINE_MAX ? fail(p, too_long) : STEP_MORE;
    }
    *end = (size_t)(cr - base);
    p->scan = *end;
    return *end + 1 < len ? STEP_ON : STEP_MORE;
}

/* Read the count after the type byte at `at`.  STEP_ON: *count is set, and at is past the line. */
static enum step read_count(struct hl_parser *p, const char *base, size_t len, const char *too_long,
                            const char *invalid, int64_t *count)
{
    size_t left = len - p->at;
    const char *head = base + p->at;
    size_t i = 1;
    int64_t value = 0;
    while (i < left && i <= COUNT_DIGITS_FAST && head[i] >= '0' && head[i] <= '9') {
        value = value * 10 + (head[i++] - '0');
    }
    if (i > 1 && i + 1 < left && head[i] == '\r' && (head[1] != '0' || i == 2)) {
        *count = value;
        p->at += i + 2;
        return STEP_ON;
    }
    size_t end = 0;
    enum step step = find_line_end(p, base, len, too_long, &end);
    if (step != STEP_ON) {
        return step;
    }
    struct hl_slice text = {.ptr = head + 1, .len = end - p->at - 1};
    if (text.len > NUMBER_TEXT_MAX || !hl_parse_i64(text, count)) {
        return fail(p, invalid);
    }
    p->at = end + 2;
    return STEP_ON;
}

/* A command is complete: hand it out and stand after it. */
static enum step finish_command(struct hl_parser *p, uintptr_t origin)
{
    attach_argv(p, origin);
    p->pos += p->at;
    p->at = 0;
    p->scan = 0;
    p->args_left = -1;
    p->state = STATE_START;
    return STEP_COMMAND;
}

/* What was read so far holds no argument: forget it. */
static void pass_over(struct hl_parser *p)
{
    p->pos += p->at;
    p->scan = p->scan > p->at ? p->scan - p->at : 0;
    p->at = 0;
    p->state = STATE_START;
}

static enum step read_inline(struct hl_parser *p, const char *base, size_t len)
{
    size_t to = len > HL_REQUEST_LINE_MAX ? HL_REQUEST_LINE_MAX + 1 : len;
    const char *lf = p->scan < to ? memchr(base + p->scan, '\n', to - p->scan) : NULL;
    if (lf == NULL) {
        p->scan = to;
        p->state = STATE_LINE;
        return len > HL_REQUEST_LINE_MAX ? fail(p, "too big inline request") : STEP_MORE;
    }
    struct hl_slice line = {.ptr = base, .len = (size_t)(lf - base)};
    p->at = line.len + 1;
    if (line.len != 0 && line.ptr[line.len - 1] == '\r') {
        line.len--;
    }
    hl_buf_clear(&p->words);
    hl_buf_grow(&p->words, line.len + 1); /* once, so that argv can point into it */
    size_t read_at = 0;
    size_t word_len = 0;
    char *out = p->words.ptr;
    p->argc = 0;
    for (;;) {
        enum hl_word_result word = hl_word_next(line, &read_at, out, &word_len);
        if (word == HL_WORD_UNBALANCED) {
            return fail(p, "unbalanced quotes in request");
        }
        if (word == HL_WORD_END) {
            break;
        }
        push_arg(p, (uintptr_t)out, 0, word_len);
        out += word_len;
    }
    if (p->argc == 0) {
        pass_over(p);
        return STEP_ON;
    }
    p->detached = false;
    return finish_command(p, (uintptr_t)base);
}

static enum step read_array_header(struct hl_parser *p, const char *base, size_t len)
{
    int64_t count = 0;
    enum step step =
        read_count(p, base, len, "too big mbulk count string", "invalid multibulk length", &count);
    if (step != STEP_ON) {
        return step;
    }
    if (count > HL_REQUEST_ARGC_MAX) {
        return fail(p, "invalid multibulk length");
    }
    if (count > HL_REQUEST_UNAUTH_ARGC_MAX && p->limits->unauthenticated) {
        return fail(p, "unauthenticated multibulk length");
    }
    if (count <= 0) {
        pass_over(p);
        return STEP_ON;
    }
    p->args_left = count;
    p->argc = 0;
    p->detached = false;
    p->state = STATE_ELEMENTS;
    return STEP_ON;
}

/* The length after '$' or '=', checked against the limits. */
static enum step read_bulk_header(struct hl_parser *p, const char *base, size_t len, int64_t *count)
{
    enum step step =
        read_count(p, base, len, "too big bulk count string", "invalid bulk length", count);
    if (step != STEP_ON) {
        return step;
    }
    if (*count < 0 || *count > p->limits->bulk_max) {
        return fail(p, "invalid bulk length");
    }
    if (*count > HL_REQUEST_UNAUTH_BULK_MAX && p->limits->unauthenticated) {
        return fail(p, "unauthenticated bulk length");
    }
    return STEP_ON;
}

/* Enter an aggregate of `items` items of a skipped attribute. */
static enum step push_skip(struct hl_parser *p, int64_t items)
{
    if (p->skip_depth == HL_REQUEST_DEPTH_MAX) {
        return fail(p, "too deep nesting");
    }
    p->skip_left[p->skip_depth++] = items;
    return STEP_ON;
}

static enum step read_skipped_aggregate(struct hl_parser *p, const char *base, size_t len)
{
    char type = base[p->at];
    int64_t count = 0;
    enum step step =
        read_count(p, base, len, "too big mbulk count string", "invalid multibulk length", &count);
    if (step != STEP_ON) {
        return step;
    }
    if (count < 0 || count > HL_REQUEST_ARGC_MAX) {
        return fail(p, "invalid multibulk length");
    }
    return push_skip(p, type == '|' || type == '%' ? count * 2 : count);
}

/* Pass over one value (or enter one aggregate) of the attribute that is being skipped. */
static enum step skip_value(struct hl_parser *p, const char *base, size_t len)
{
    if (p->bulk_len < 0) {
        if (p->at == len) {
            return STEP_MORE;
        }
        char type = base[p->at];
        if (strchr("*~%|>", type) != NULL && type != '\0') {
            if (type != '|') {
                p->skip_left[p->skip_depth - 1]--; /* an attribute is no item of its parent */
            }
            enum step step = read_skipped_aggregate(p, base, len);
            if (step == STEP_MORE && type != '|') {
                p->skip_left[p->skip_depth - 1]++;
            }
            return step;
        }
        if (type != '$' && type != '=') {
            if (strchr("+-:,(#_", type) == NULL || type == '\0') {
                return fail_expected(p, type);
            }
            size_t end = 0;
            enum step step = find_line_end(p, base, len, "too big bulk count string", &end);
            if (step == STEP_ON) {
                p->at = end + 2;
                p->skip_left[p->skip_depth - 1]--;
            }
            return step;
        }
        int64_t count = 0;
        enum step step = read_bulk_header(p, base, len, &count);
        if (step != STEP_ON) {
            return step;
        }
        p->bulk_len = count;
    }
    if (len - p->at < (size_t)p->bulk_len + 2) {
        p->want = (size_t)p->bulk_len + 2 - (len - p->at);
        return STEP_MORE;
    }
    p->at += (size_t)p->bulk_len + 2;
    p->bulk_len = -1;
    p->skip_left[p->skip_depth - 1]--;
    return STEP_ON;
}

static enum step skip_attribute(struct hl_parser *p, const char *base, size_t len)
{
    while (p->skip_depth != 0) {
        if (p->skip_left[p->skip_depth - 1] == 0) {
            p->skip_depth--;
            continue;
        }
        enum step step = skip_value(p, base, len);
        if (step != STEP_ON) {
            return step;
        }
    }
    return STEP_ON;
}

/* An element that is no bulk string: a RESP3 scalar as its text, or the start of an attribute. */
static enum step read_other(struct hl_parser *p, const char *base, size_t len, uintptr_t origin)
{
    char type = base[p->at];
    if (!p->limits->resp3 || type == '\0' || strchr("+:,(#|", type) == NULL) {
        size_t end = 0; /* the complaint waits for the whole line, as Redis's does */
        enum step step = find_line_end(p, base, len, "too big bulk count string", &end);
        return step == STEP_ON ? fail_expected(p, type) : step;
    }
    if (type == '|') {
        return read_skipped_aggregate(p, base, len);
    }
    size_t end = 0;
    enum step step = find_line_end(p, base, len, "too big bulk count string", &end);
    if (step != STEP_ON) {
        return step;
    }
    push_arg(p, origin, p->at + 1, end - p->at - 1);
    p->at = end + 2;
    p->args_left--;
    return STEP_ON;
}

/* One argument, or the part of it that has arrived. */
static inline enum step read_element(struct hl_parser *p, const char *base, size_t len,
                                     uintptr_t origin)
{
    if (p->bulk_len < 0) {
        if (p->at == len) {
            return STEP_MORE;
        }
        char type = base[p->at];
        if (type != '$' && !(type == '=' && p->limits->resp3)) {
            return read_other(p, base, len, origin);
        }
        int64_t count = 0;
        enum step step = read_bulk_header(p, base, len, &count);
        if (step != STEP_ON) {
            return step;
        }
        p->verbatim = type == '=';
        if (p->verbatim && count < VERBATIM_PREFIX_BYTES) {
            return fail(p, "invalid bulk length");
        }
        p->bulk_len = count;
    }
    size_t need = (size_t)p->bulk_len + 2;
    if (len - p->at < need) {
        p->want = need - (len - p->at);
        return STEP_MORE;
    }
    size_t prefix = p->verbatim ? VERBATIM_PREFIX_BYTES : 0;
    push_arg(p, origin, p->at + prefix, (size_t)p->bulk_len - prefix);
    p->at += need;
    p->bulk_len = -1;
    p->args_left--;
    return STEP_ON;
}

static enum step read_array(struct hl_parser *p, const char *base, size_t len)
{
    uintptr_t origin = p->detached ? 0 : (uintptr_t)base;
    while (p->args_left > 0) {
        enum step step =
            p->skip_depth != 0 ? skip_attribute(p, base, len) : read_element(p, base, len, origin);
        if (step != STEP_ON) {
            detach_argv(p, origin);
            return step;
        }
    }
    return finish_command(p, (uintptr_t)base);
}

/* The first byte of a command, or what follows an attribute that stood before it. */
static enum step read_start(struct hl_parser *p, const char *base, size_t len)
{
    if (p->skip_depth != 0) {
        enum step step = skip_attribute(p, base, len);
        pass_over(p); /* skipped bytes are of no use to anybody */
        return step;
    }
    if (base[0] == '*') {
        return read_array_header(p, base, len);
    }
    if (base[0] == '|' && p->limits->resp3) {
        enum step step = read_skipped_aggregate(p, base, len);
        if (step == STEP_ON) {
            pass_over(p);
        }
        return step;
    }
    return read_inline(p, base, len);
}

enum hl_parse_result hl_parser_next(struct hl_parser *p, const char *bytes, size_t len)
{
    HL_ASSERT(p->pos + p->at <= len);
    p->want = 0;
    if (p->failed) {
        return HL_PARSE_ERROR;
    }
    enum step step = STEP_ON;
    while (step == STEP_ON) {
        const char *base = bytes + p->pos;
        size_t left = len - p->pos;
        if (p->state == STATE_ELEMENTS) {
            step = read_array(p, base, left);
        } else if (left == p->at) {
            step = STEP_MORE;
        } else if (p->state == STATE_LINE) {
            step = read_inline(p, base, left);
        } else {
            step = read_start(p, base, left);
        }
    }
    if (step == STEP_COMMAND) {
        return HL_PARSE_COMMAND;
    }
    return step == STEP_MORE ? HL_PARSE_MORE : HL_PARSE_ERROR;
}
