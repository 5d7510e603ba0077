#include "resp/writer.h"

#include "kit/assert.h"
#include "kit/num.h"

#define MARK_BYTES 4 /* a header with a count of one digit, which most replies have */

size_t hl_put_header_slow(char *at, char type, int64_t v)
{
    char text[HL_I64_TEXT_MAX];
    size_t len = (size_t)hl_format_i64(text, v);
    at[0] = type;
    memcpy(at + 1, text, len);
    at[len + 1] = '\r';
    at[len + 2] = '\n';
    return len + 3;
}

void hl_write_bulk_text(struct hl_writer *w, const char *text)
{
    hl_write_bulk(w, hl_slice_of(text));
}

void hl_write_bulk_printf(struct hl_writer *w, const char *fmt, ...)
{
    struct hl_buf text = {0};
    va_list args;
    va_start(args, fmt);
    hl_buf_vprintf(&text, fmt, args);
    va_end(args);
    hl_write_bulk(w, hl_buf_view(&text));
    hl_buf_fini(&text);
}

void hl_write_bulk_int(struct hl_writer *w, int64_t v)
{
    char text[HL_I64_TEXT_MAX];
    int len = hl_format_i64(text, v);
    hl_write_bulk(w, (struct hl_slice){.ptr = text, .len = (size_t)len});
}

/* A type byte, the text with CR and LF blanked, CR LF. */
static void write_line(struct hl_writer *w, char type, struct hl_slice text)
{
    struct hl_buf *out = w->out;
    hl_buf_grow(out, text.len + 3);
    char *at = out->ptr + out->len;
    *at++ = type;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        *at++ = (char)(c == '\r' || c == '\n' ? ' ' : c);
    }
    *at++ = '\r';
    *at++ = '\n';
    out->len = (size_t)(at - out->ptr);
}

void hl_write_simple(struct hl_writer *w, const char *text)
{
    write_line(w, '+', hl_slice_of(text));
}

void hl_write_simple_slice(struct hl_writer *w, struct hl_slice text)
{
    write_line(w, '+', text);
}

void hl_write_error(struct hl_writer *w, const char *text)
{
    write_line(w, '-', hl_slice_of(text));
}

void hl_write_error_slice(struct hl_writer *w, struct hl_slice text)
{
    write_line(w, '-', text);
}

void hl_write_error_printf(struct hl_writer *w, const char *fmt, ...)
{
    struct hl_buf text = {0};
    va_list args;
    va_start(args, fmt);
    hl_buf_vprintf(&text, fmt, args);
    va_end(args);
    write_line(w, '-', hl_buf_view(&text));
    hl_buf_fini(&text);
}

bool hl_write_attribute(struct hl_writer *w, size_t pairs)
{
    if (w->proto == 2) {
        return false;
    }
    hl_write_header(w, '|', (int64_t)pairs);
    return true;
}

/* A number's text: a RESP3 line of that type, or a bulk string. */
static void write_number_text(struct hl_writer *w, char type, struct hl_slice text)
{
    if (w->proto == 2) {
        hl_write_bulk(w, text);
    } else {
        write_line(w, type, text);
    }
}

void hl_write_double(struct hl_writer *w, double v)
{
    char text[HL_DOUBLE_TEXT_MAX];
    int len = hl_format_double(text, v);
    write_number_text(w, ',', (struct hl_slice){.ptr = text, .len = (size_t)len});
}

void hl_write_ldouble(struct hl_writer *w, long double v)
{
    char text[HL_LDOUBLE_TEXT_MAX];
    int len = hl_format_ldouble(text, v);
    write_number_text(w, ',', (struct hl_slice){.ptr = text, .len = (size_t)len});
}

void hl_write_bool(struct hl_writer *w, bool v)
{
    if (w->proto == 2) {
        hl_buf_append(w->out, v ? ":1\r\n" : ":0\r\n", 4);
    } else {
        hl_buf_append(w->out, v ? "#t\r\n" : "#f\r\n", 4);
    }
}

void hl_write_verbatim(struct hl_writer *w, const char *format, struct hl_slice bytes)
{
    HL_ASSERT(strlen(format) == 3);
    if (w->proto == 2) {
        hl_write_bulk(w, bytes);
        return;
    }
    hl_write_header(w, '=', (int64_t)bytes.len + 4);
    hl_buf_append(w->out, format, 3);
    hl_buf_append(w->out, ":", 1);
    hl_buf_append_slice(w->out, bytes);
    hl_buf_append(w->out, "\r\n", 2);
}

void hl_write_big_number(struct hl_writer *w, struct hl_slice digits)
{
    write_number_text(w, '(', digits);
}

struct hl_write_mark hl_write_begin(struct hl_writer *w)
{
    struct hl_write_mark mark = {.offset = w->out->len};
    hl_buf_append(w->out, "*0\r\n", MARK_BYTES);
    return mark;
}

static char aggregate_type(enum hl_aggregate kind, int proto)
{
    if (proto == 2) {
        return '*';
    }
    switch (kind) {
    case HL_ARRAY:
        return '*';
    case HL_MAP:
        return '%';
    case HL_SET:
        return '~';
    case HL_PUSH:
        return '>';
    }
    return '*';
}

void hl_write_end(struct hl_writer *w, struct hl_write_mark mark, enum hl_aggregate kind,
                  size_t count)
{
    struct hl_buf *out = w->out;
    HL_ASSERT(mark.offset + MARK_BYTES <= out->len);
    HL_ASSERT(count <= out->len); /* each value takes bytes */
    size_t announced = kind == HL_MAP && w->proto == 2 ? count * 2 : count;
    char header[HL_HEADER_BYTES_MAX];
    size_t len = hl_put_header(header, aggregate_type(kind, w->proto), (int64_t)announced);
    HL_ASSERT(len >= MARK_BYTES);
    size_t more = len - MARK_BYTES;
    if (more != 0) {
        hl_buf_grow(out, more);
        char *body = out->ptr + mark.offset + MARK_BYTES;
        memmove(body + more, body, out->len - mark.offset - MARK_BYTES);
        out->len += more;
    }
    memcpy(out->ptr + mark.offset, header, len);
}

void hl_write_abandon(struct hl_writer *w, struct hl_write_mark mark)
{
    HL_ASSERT(mark.offset + MARK_BYTES <= w->out->len);
    w->out->len = mark.offset;
}
