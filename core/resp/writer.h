/* Replies: values in, RESP2 or RESP3 bytes out, appended to a buffer.
 *
 * Each function writes the same value in whichever protocol the connection speaks, so commands
 * never ask.  In RESP2 maps and pairs flatten to arrays, sets and pushes are arrays, doubles and
 * big numbers are bulk strings, booleans are :1 and :0, and the null is $-1.
 *
 * Memory is the only thing that can fail, and hl_buf aborts then; the caller bounds its buffer.
 */
#ifndef HL_RESP_WRITER_H
#define HL_RESP_WRITER_H

#include "kit/bytes.h"

struct hl_writer {
    struct hl_buf *out; /* borrowed; where replies go */
    int proto;          /* 2 or 3 */
};

enum hl_aggregate {
    HL_ARRAY,
    HL_MAP, /* counted in pairs */
    HL_SET,
    HL_PUSH,
};

/* Where hl_write_begin() left room for a header. */
struct hl_write_mark {
    size_t offset;
};

/* The common replies that never change. */
#define HL_REPLY_OK "+OK\r\n"
#define HL_REPLY_QUEUED "+QUEUED\r\n"
#define HL_REPLY_PONG "+PONG\r\n"

#define HL_HEADER_BYTES_MAX 24 /* type byte, 20 digits, CR, LF, and one spare */

/* Append bytes that are complete RESP already. */
static inline void hl_write_raw(struct hl_writer *w, const void *ptr, size_t len)
{
    hl_buf_append(w->out, ptr, len);
}

/* Write `type`, `v` in decimal, CR LF to `at` (HL_HEADER_BYTES_MAX bytes); returns the bytes
 * written. */
size_t hl_put_header_slow(char *at, char type, int64_t v);

/* As hl_put_header_slow(), fast for 0..99. */
static inline size_t hl_put_header(char *at, char type, int64_t v)
{
    at[0] = type;
    if (v >= 0 && v < 10) {
        at[1] = (char)('0' + v);
        at[2] = '\r';
        at[3] = '\n';
        return 4;
    }
    if (v >= 10 && v < 100) {
        at[1] = (char)('0' + v / 10);
        at[2] = (char)('0' + v % 10);
        at[3] = '\r';
        at[4] = '\n';
        return 5;
    }
    return hl_put_header_slow(at, type, v);
}

/* Append a line that is a type byte and a decimal number. */
static inline void hl_write_header(struct hl_writer *w, char type, int64_t v)
{
    struct hl_buf *out = w->out;
    if (out->cap - out->len < HL_HEADER_BYTES_MAX) {
        hl_buf_grow(out, HL_HEADER_BYTES_MAX);
    }
    out->len += hl_put_header(out->ptr + out->len, type, v);
}

static inline void hl_write_ok(struct hl_writer *w)
{
    hl_buf_append(w->out, HL_REPLY_OK, sizeof HL_REPLY_OK - 1);
}

static inline void hl_write_int(struct hl_writer *w, int64_t v)
{
    hl_write_header(w, ':', v);
}

/* Append a bulk string: one check of the capacity, one copy. */
static inline void hl_write_bulk(struct hl_writer *w, struct hl_slice bytes)
{
    struct hl_buf *out = w->out;
    size_t room = bytes.len + HL_HEADER_BYTES_MAX + 2;
    if (out->cap - out->len < room) {
        hl_buf_grow(out, room);
    }
    char *at = out->ptr + out->len;
    at += hl_put_header(at, '$', (int64_t)bytes.len);
    if (bytes.len != 0) {
        memcpy(at, bytes.ptr, bytes.len);
        at += bytes.len;
    }
    at[0] = '\r';
    at[1] = '\n';
    out->len = (size_t)(at + 2 - out->ptr);
}

/* The missing value: $-1, or _ in RESP3. */
static inline void hl_write_null(struct hl_writer *w)
{
    if (w->proto == 2) {
        hl_buf_append(w->out, "$-1\r\n", 5);
    } else {
        hl_buf_append(w->out, "_\r\n", 3);
    }
}

/* The missing array: *-1, or _ in RESP3. */
static inline void hl_write_null_array(struct hl_writer *w)
{
    if (w->proto == 2) {
        hl_buf_append(w->out, "*-1\r\n", 5);
    } else {
        hl_buf_append(w->out, "_\r\n", 3);
    }
}

/* The header of an array; `count` values must follow. */
static inline void hl_write_array(struct hl_writer *w, size_t count)
{
    hl_write_header(w, '*', (int64_t)count);
}

/* The header of a map; `pairs` keys and as many values must follow, alternating. */
static inline void hl_write_map(struct hl_writer *w, size_t pairs)
{
    hl_write_header(w, w->proto == 2 ? '*' : '%', (int64_t)(w->proto == 2 ? pairs * 2 : pairs));
}

/* The header of a set; `count` values must follow. */
static inline void hl_write_set(struct hl_writer *w, size_t count)
{
    hl_write_header(w, w->proto == 2 ? '*' : '~', (int64_t)count);
}

/* The header of a push message (an array in RESP2); `count` values must follow. */
static inline void hl_write_push(struct hl_writer *w, size_t count)
{
    hl_write_header(w, w->proto == 2 ? '*' : '>', (int64_t)count);
}

/* A bulk string of a NUL-terminated text. */
void hl_write_bulk_text(struct hl_writer *w, const char *text);

/* A bulk string of formatted text. */
void hl_write_bulk_printf(struct hl_writer *w, const char *fmt, ...) HL_PRINTF(2, 3);

/* A bulk string of a decimal number. */
void hl_write_bulk_int(struct hl_writer *w, int64_t v);

/* A simple string.  `text` must hold neither CR nor LF; those that it has become spaces. */
void hl_write_simple(struct hl_writer *w, const char *text);

/* As hl_write_simple() for bytes that may hold anything. */
void hl_write_simple_slice(struct hl_writer *w, struct hl_slice text);

/* An error.  `text` starts with its code ("ERR syntax error"), without the '-'.  CR and LF in it
 * become spaces, so that no error can be read as two replies. */
void hl_write_error(struct hl_writer *w, const char *text);

/* As hl_write_error() with formatted text. */
void hl_write_error_printf(struct hl_writer *w, const char *fmt, ...) HL_PRINTF(2, 3);

/* As hl_write_error() for bytes that may hold anything. */
void hl_write_error_slice(struct hl_writer *w, struct hl_slice text);

/* An attribute of `pairs` pairs before the value that it describes.  In RESP2, which has none,
 * writes nothing and returns false: then the caller must not write the pairs either. */
bool hl_write_attribute(struct hl_writer *w, size_t pairs);

/* A double with 17 significant digits, as ZSCORE prints it. */
void hl_write_double(struct hl_writer *w, double v);

/* A long double in the notation of INCRBYFLOAT, without an exponent. */
void hl_write_ldouble(struct hl_writer *w, long double v);

/* A boolean: #t and #f, or :1 and :0. */
void hl_write_bool(struct hl_writer *w, bool v);

/* A verbatim string; `format` is three bytes such as "txt".  A bulk string in RESP2. */
void hl_write_verbatim(struct hl_writer *w, const char *format, struct hl_slice bytes);

/* A number of any size; `digits` is its decimal text.  A bulk string in RESP2. */
void hl_write_big_number(struct hl_writer *w, struct hl_slice digits);

/*
 * Start an aggregate whose count is not known yet; write its values, then call hl_write_end()
 * with the mark.  Between the two `out` may only be appended to.  Marks nest, last begun first
 * ended.  An aggregate of fewer than 10 values costs nothing extra; a larger one costs one
 * memmove of its bytes.
 */
struct hl_write_mark hl_write_begin(struct hl_writer *w);

/* Put the header in its place.  `count` counts pairs for HL_MAP. */
void hl_write_end(struct hl_writer *w, struct hl_write_mark mark, enum hl_aggregate kind,
                  size_t count);

/* End what hl_write_begin() began by dropping it with all that was written since: the caller
 * writes another reply instead. */
void hl_write_abandon(struct hl_writer *w, struct hl_write_mark mark);

#endif
