/* One message after the other: our reading, llhttp's, and that they agree (H1). */
#include "kit/http1.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/http1_lines.h"
#include "kit/http1_text.h"

#include <llhttp.h>

/* A response's head ends where the head of any message does; what follows depends on `step`. */
enum step {
    STEP_HEAD,
    STEP_LENGTH,     /* `left` bytes of body */
    STEP_CLOSE,      /* body until the connection ends */
    STEP_CHUNK_LINE, /* a size */
    STEP_CHUNK_DATA, /* `left` bytes */
    STEP_CHUNK_CR,
    STEP_CHUNK_LF,
    STEP_TRAILER,
    STEP_DONE,
    STEP_REFUSED,
};

const struct hl_http1_limits hl_http1_limits_default = {
    .line_max = 8192,
    .head_max = 32768,
    .headers_max = 100,
    .chunk_line_max = 256,
    .trailer_max = 4096,
    .body_max = 1024 * 1024,
};

struct hl_http1 {
    struct hl_http1_limits limits;
    uint64_t body_max; /* of this message */
    bool requests, answers_head;
    enum step step;
    int status;      /* to answer, when refused */
    size_t scanned;  /* bytes of the head looked at */
    size_t line_at;  /* where the line that is being looked at began */
    size_t lines;    /* whole ones */
    uint64_t left;   /* of the body or chunk */
    uint64_t body;   /* bytes of it so far */
    size_t notes;    /* bytes of chunk extensions */
    size_t trailers; /* bytes of whole trailer lines */
    size_t line_len; /* of the chunk or trailer line being gathered */
    char *line;      /* room for it, chunk_line_max or trailer_max bytes */
    llhttp_t judge;
    size_t judged_headers;
    uint64_t judged_body;
    bool judged_head, judged_done;
};

/* --- the second opinion ----------------------------------------------------------------------- */

static int on_header(llhttp_t *judge)
{
    struct hl_http1 *http = judge->data;
    http->judged_headers++;
    return 0;
}

static int on_head(llhttp_t *judge)
{
    struct hl_http1 *http = judge->data;
    http->judged_head = true;
    judge->upgrade = 0; /* whether to switch protocols is the caller's to say */
    bool bodyless = http->answers_head || judge->status_code == 304;
    return bodyless && !http->requests ? 1 : 0;
}

static int on_body(llhttp_t *judge, const char *at, size_t len)
{
    (void)at;
    struct hl_http1 *http = judge->data;
    http->judged_body += len;
    return 0;
}

static int on_done(llhttp_t *judge)
{
    struct hl_http1 *http = judge->data;
    http->judged_done = true;
    return 0;
}

static const llhttp_settings_t judge_settings = {
    .on_header_value_complete = on_header,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_message_complete = on_done,
};

static hl_err refuse(struct hl_http1 *http, int status, struct hl_errmsg *msg, const char *why)
{
    http->step = STEP_REFUSED;
    return hl_http1_refuse(&http->status, http->requests ? status : 502, msg, why);
}

/* Show the whole head to llhttp and compare (H1). */
static hl_err judge_head(struct hl_http1 *http, struct hl_slice bytes,
                         const struct hl_http1_head *head, struct hl_errmsg *msg)
{
    llhttp_errno_t said = llhttp_execute(&http->judge, bytes.ptr, bytes.len);
    if (said == HPE_INVALID_METHOD && http->requests) {
        return refuse(http, 501, msg, "unknown method");
    }
    if (said != HPE_OK || !http->judged_head) {
        const char *reason = llhttp_get_error_reason(&http->judge);
        return refuse(http, 400, msg, reason != NULL ? reason : "malformed head");
    }
    bool chunked = (http->judge.flags & F_CHUNKED) != 0;
    bool empty = !head->chunked && !head->until_close && head->length == 0;
    bool agree =
        http->judged_headers == head->header_count && http->judged_done == empty &&
        (http->judged_done || chunked == head->chunked) &&
        (!head->has_length || head->length == 0 || http->judge.content_length == head->length);
    return agree ? HL_OK : refuse(http, 400, msg, "two readings of the head differ");
}

/* Show llhttp what we consumed of a chunked body. */
static hl_err judge_body(struct hl_http1 *http, struct hl_slice bytes, struct hl_errmsg *msg)
{
    llhttp_errno_t said =
        bytes.len == 0 ? HPE_OK : llhttp_execute(&http->judge, bytes.ptr, bytes.len);
    bool agree = said == HPE_OK && http->judged_done == (http->step == STEP_DONE) &&
                 http->judged_body == http->body;
    return agree ? HL_OK : refuse(http, 400, msg, "two readings of the body differ");
}

/* --- life ------------------------------------------------------------------------------------- */

struct hl_http1 *hl_http1_create(bool requests, const struct hl_http1_limits *limits)
{
    HL_ASSERT(limits->headers_max <= HL_HTTP1_HEADERS_MAX);
    HL_ASSERT(limits->chunk_line_max >= HL_HTTP1_CHUNK_LINE_MAX_MIN);
    struct hl_http1 *http = hl_calloc(1, sizeof *http);
    http->limits = *limits;
    http->requests = requests;
    http->step = STEP_DONE;
    hl_http1_next(http);
    return http;
}

void hl_http1_destroy(struct hl_http1 *http)
{
    if (http != NULL) {
        hl_free(http->line);
        hl_free(http);
    }
}

void hl_http1_next(struct hl_http1 *http)
{
    HL_ASSERT(http->step == STEP_DONE);
    *http = (struct hl_http1){
        .limits = http->limits,
        .body_max = http->limits.body_max,
        .requests = http->requests,
        .line = http->line,
    };
    llhttp_init(&http->judge, http->requests ? HTTP_REQUEST : HTTP_RESPONSE, &judge_settings);
    http->judge.data = http;
}

void hl_http1_answers_head(struct hl_http1 *http, bool is_head)
{
    HL_ASSERT(!http->requests);
    http->answers_head = is_head;
}

void hl_http1_limit_body(struct hl_http1 *http, uint64_t body_max)
{
    HL_ASSERT(http->body == 0);
    http->body_max = body_max;
}

int hl_http1_status(const struct hl_http1 *http)
{
    return http->status;
}

/* --- head ------------------------------------------------------------------------------------- */

/* One byte of the head in its line: refused at once when no line may have it there. */
static hl_err check_byte(struct hl_http1 *http, struct hl_slice in, size_t at,
                         struct hl_errmsg *msg)
{
    unsigned char c = (unsigned char)in.ptr[at];
    bool after_cr = at > 0 && in.ptr[at - 1] == '\r';
    if ((c == '\n') != after_cr) {
        return refuse(http, 400, msg, "a line that does not end in CR LF");
    }
    if ((c < ' ' && c != '\t' && c != '\r' && c != '\n') || c == 0x7f) {
        return refuse(http, 400, msg, "a control character in the head");
    }
    if (at == http->line_at && (c == ' ' || c == '\t')) {
        return refuse(http, 400, msg, "a line that begins with a blank");
    }
    if (http->lines == 0 && c == '\t') {
        return refuse(http, 400, msg, "a tab in the first line");
    }
    return HL_OK;
}

static hl_err check_sizes(struct hl_http1 *http, size_t at, struct hl_errmsg *msg)
{
    if (http->lines == 0 && at - http->line_at >= http->limits.line_max) {
        return refuse(http, 414, msg, "the first line is too long");
    }
    if (at >= http->limits.head_max) {
        return refuse(http, 431, msg, "the head is too large");
    }
    if (http->lines > http->limits.headers_max + 1) {
        return refuse(http, 431, msg, "too many headers");
    }
    return HL_OK;
}

/* Look for the empty line; *end is behind it. HL_ENOENT when it has not come yet. */
static hl_err scan_head(struct hl_http1 *http, struct hl_slice in, size_t *end,
                        struct hl_errmsg *msg)
{
    for (; http->scanned < in.len; http->scanned++) {
        size_t at = http->scanned;
        hl_err err = check_byte(http, in, at, msg);
        if (err == HL_OK) {
            err = check_sizes(http, at, msg);
        }
        if (err != HL_OK) {
            return err;
        }
        if (in.ptr[at] != '\n') {
            continue;
        }
        bool empty = at - http->line_at == 1;
        http->line_at = at + 1;
        if (!empty) {
            http->lines++;
        } else if (http->lines != 0) {
            *end = at + 1;
            return HL_OK;
        } else if (at != 1 || !http->requests) {
            return refuse(http, 400, msg, "empty lines instead of a message");
        } /* one empty line before a request is customary (RFC 9112, 2.2) */
    }
    return HL_ENOENT;
}

/* Take the line at *at off the whole head; false at the empty one. */
static bool next_line(struct hl_slice whole, size_t *at, struct hl_slice *line)
{
    const char *cr = memchr(whole.ptr + *at, '\r', whole.len - *at);
    HL_ASSERT(cr != NULL);
    *line = (struct hl_slice){.ptr = whole.ptr + *at, .len = (size_t)(cr - whole.ptr) - *at};
    *at += line->len + 2;
    return line->len != 0;
}

static hl_err read_head(struct hl_http1 *http, struct hl_slice whole, struct hl_http1_head *head,
                        struct hl_errmsg *msg)
{
    struct hl_slice line;
    size_t at = whole.ptr[0] == '\r' ? 2 : 0;
    bool any = next_line(whole, &at, &line);
    HL_ASSERT(any);
    hl_err err = http->requests ? hl_http1_request_line(head, line, &http->status, msg)
                                : hl_http1_status_line(head, line, &http->status, msg);
    while (err == HL_OK && next_line(whole, &at, &line)) {
        HL_ASSERT(head->header_count < HL_HTTP1_HEADERS_MAX);
        err = hl_http1_header_line(&head->headers[head->header_count++], line, &http->status, msg);
    }
    if (err == HL_OK) {
        err = hl_http1_rules(head, http->requests, http->answers_head, &http->status, msg);
    }
    if (err != HL_OK) {
        http->step = STEP_REFUSED;
        http->status = http->requests ? http->status : 502;
        return err;
    }
    return judge_head(http, whole, head, msg);
}

hl_err hl_http1_head(struct hl_http1 *http, struct hl_slice in, struct hl_http1_head *head,
                     size_t *used, struct hl_errmsg *msg)
{
    size_t end = 0;
    if (http->step == STEP_REFUSED) {
        return hl_fail(msg, HL_EINVAL, "the message was refused before");
    }
    HL_ASSERT(http->step == STEP_HEAD);
    HL_ASSERT(in.len >= http->scanned);
    hl_err err = scan_head(http, in, &end, msg);
    if (err != HL_OK) {
        return err;
    }
    memset(head, 0, offsetof(struct hl_http1_head, headers));
    err = read_head(http, (struct hl_slice){.ptr = in.ptr, .len = end}, head, msg);
    if (err != HL_OK) {
        return err;
    }
    http->left = head->length;
    http->step = head->chunked       ? STEP_CHUNK_LINE
                 : head->until_close ? STEP_CLOSE
                 : head->length != 0 ? STEP_LENGTH
                                     : STEP_DONE;
    *used = end;
    return HL_OK;
}

/* --- body ------------------------------------------------------------------------------------- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | ' ');
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A chunk's size, and perhaps extensions, which mean nothing to us. */
static hl_err read_chunk_line(struct hl_http1 *http, struct hl_errmsg *msg)
{
    size_t digits = 0;
    uint64_t size = 0;
    while (digits < http->line_len && hex_value(http->line[digits]) >= 0) {
        if (size > UINT64_MAX >> 5 || digits == 16) {
            return refuse(http, 400, msg, "a chunk's size is too large");
        }
        size = size << 4 | (uint64_t)hex_value(http->line[digits]);
        digits++;
    }
    if (digits == 0 || (digits < http->line_len && http->line[digits] != ';')) {
        return refuse(http, 400, msg, "malformed chunk size");
    }
    http->notes += http->line_len - digits;
    if (http->notes > HL_HTTP1_CHUNK_NOTES_MAX) {
        return refuse(http, 400, msg, "too many chunk extensions");
    }
    if (size > http->body_max - http->body) {
        return refuse(http, 413, msg, "the body is too large");
    }
    http->left = size;
    http->step = size == 0 ? STEP_TRAILER : STEP_CHUNK_DATA;
    http->line_len = 0;
    return HL_OK;
}

/* A whole line behind the last chunk; the empty one ends the message. */
static hl_err read_trailer_line(struct hl_http1 *http, struct hl_errmsg *msg)
{
    struct hl_http1_header header;
    int status = 400;
    if (http->line_len == 0) {
        http->step = STEP_DONE;
        return HL_OK;
    }
    struct hl_slice line = {.ptr = http->line, .len = http->line_len};
    if (hl_http1_header_line(&header, line, &status, msg) != HL_OK) {
        return refuse(http, 400, msg, "malformed trailer");
    }
    if (!hl_http1_trailer_allowed(header.name)) {
        return refuse(http, 400, msg, "a trailer that belongs into the head");
    }
    http->trailers += http->line_len;
    http->line_len = 0;
    return HL_OK;
}

/* Gather one byte of a line; the line is read at its end. */
static hl_err take_line_byte(struct hl_http1 *http, char c, struct hl_errmsg *msg)
{
    size_t max = http->limits.chunk_line_max > http->limits.trailer_max
                     ? http->limits.chunk_line_max
                     : http->limits.trailer_max;
    bool size = http->step == STEP_CHUNK_LINE;
    bool after_cr = http->line_len != 0 && http->line[http->line_len - 1] == '\r';
    if (http->line == NULL) {
        http->line = hl_malloc(max + 2);
    }
    if ((c == '\n') != after_cr) {
        return refuse(http, 400, msg, "a line that does not end in CR LF");
    }
    if (c == '\n') {
        http->line_len--;
        return size ? read_chunk_line(http, msg) : read_trailer_line(http, msg);
    }
    if (((unsigned char)c < ' ' && c != '\r' && (size || c != '\t')) || c == 0x7f) {
        return refuse(http, 400, msg, "a control character in the framing of the body");
    }
    if (size && http->line_len >= http->limits.chunk_line_max) {
        return refuse(http, 400, msg, "a chunk's line is too long");
    }
    if (!size && http->trailers + http->line_len >= http->limits.trailer_max) {
        return refuse(http, 431, msg, "the trailers are too large");
    }
    http->line[http->line_len++] = c;
    return HL_OK;
}

/* Framing up to the next body byte or the end. */
static hl_err take_framing(struct hl_http1 *http, struct hl_slice in, size_t *at,
                           struct hl_errmsg *msg)
{
    while (*at < in.len) {
        char c = in.ptr[*at];
        hl_err err = HL_OK;
        switch (http->step) {
        case STEP_CHUNK_LINE:
        case STEP_TRAILER:
            err = take_line_byte(http, c, msg);
            break;
        case STEP_CHUNK_CR:
        case STEP_CHUNK_LF:
            if (c != (http->step == STEP_CHUNK_CR ? '\r' : '\n')) {
                err = refuse(http, 400, msg, "a chunk that is not followed by CR LF");
                break;
            }
            http->step = http->step == STEP_CHUNK_CR ? STEP_CHUNK_LF : STEP_CHUNK_LINE;
            break;
        case STEP_HEAD:
        case STEP_LENGTH:
        case STEP_CLOSE:
        case STEP_CHUNK_DATA:
        case STEP_DONE:
        case STEP_REFUSED:
            return HL_OK;
        }
        if (err != HL_OK) {
            return err;
        }
        (*at)++;
    }
    return HL_OK;
}

static hl_err chunked_body(struct hl_http1 *http, struct hl_slice in, size_t *used,
                           struct hl_slice *piece, struct hl_errmsg *msg)
{
    size_t at = 0;
    hl_err err = take_framing(http, in, &at, msg);
    if (err != HL_OK) {
        return err;
    }
    if (http->step == STEP_CHUNK_DATA && at < in.len) {
        size_t len = in.len - at < http->left ? in.len - at : (size_t)http->left;
        *piece = (struct hl_slice){.ptr = in.ptr + at, .len = len};
        http->left -= len;
        http->body += len;
        http->step = http->left == 0 ? STEP_CHUNK_CR : STEP_CHUNK_DATA;
        at += len;
    }
    *used = at;
    return judge_body(http, (struct hl_slice){.ptr = in.ptr, .len = at}, msg);
}

hl_err hl_http1_body(struct hl_http1 *http, struct hl_slice in, size_t *used,
                     struct hl_slice *piece, bool *done, struct hl_errmsg *msg)
{
    HL_ASSERT(http->step != STEP_HEAD);
    *used = 0;
    *piece = (struct hl_slice){0};
    *done = http->step == STEP_DONE;
    if (http->step == STEP_REFUSED) {
        return hl_fail(msg, HL_EINVAL, "the message was refused before");
    }
    if (*done) {
        return HL_OK;
    }
    if (http->step != STEP_LENGTH && http->step != STEP_CLOSE) {
        hl_err err = chunked_body(http, in, used, piece, msg);
        *done = http->step == STEP_DONE;
        return err;
    }
    bool counted = http->step == STEP_LENGTH;
    if ((counted ? http->left : in.len) > http->body_max - http->body) {
        return refuse(http, 413, msg, "the body is too large");
    }
    size_t len = !counted || in.len < http->left ? in.len : (size_t)http->left;
    *piece = (struct hl_slice){.ptr = in.ptr, .len = len};
    *used = len;
    http->body += len;
    http->left -= counted ? len : 0;
    if (counted && http->left == 0) {
        http->step = STEP_DONE;
        *done = true;
    }
    return HL_OK;
}

hl_err hl_http1_end(struct hl_http1 *http, bool *done)
{
    *done = http->step == STEP_CLOSE;
    if (http->step == STEP_CLOSE) {
        http->step = STEP_DONE;
        return HL_OK;
    }
    bool between = http->step == STEP_DONE || (http->step == STEP_HEAD && http->scanned == 0);
    return between ? HL_OK : HL_EINVAL;
}

/* --- for callers ------------------------------------------------------------------------------ */

const struct hl_slice *hl_http1_find(const struct hl_http1_head *head, const char *name)
{
    for (size_t i = 0; i < head->header_count; i++) {
        if (hl_slice_is(head->headers[i].name, name)) {
            return &head->headers[i].value;
        }
    }
    return NULL;
}

static void move(struct hl_slice *slice, const char *from, const char *to)
{
    if (slice->ptr != NULL) {
        slice->ptr = to + (slice->ptr - from);
    }
}

void hl_http1_rebase(struct hl_http1_head *head, const char *from, const char *to)
{
    struct hl_slice *const all[] = {&head->method, &head->target, &head->host,   &head->path,
                                    &head->query,  &head->reason, &head->upgrade};
    for (size_t i = 0; i < HL_ARRAY_LEN(all); i++) {
        move(all[i], from, to);
    }
    for (size_t i = 0; i < head->header_count; i++) {
        move(&head->headers[i].name, from, to);
        move(&head->headers[i].value, from, to);
    }
}
