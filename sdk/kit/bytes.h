/* Bytes: a borrowed slice, a growing buffer, and fixed-width little-endian fields. */
#ifndef KIT_BYTES_H
#define KIT_BYTES_H

#include "kit/err.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes; any value, NUL included.  `ptr` may be NULL only when `len` is 0. */
struct hl_slice {
    const char *ptr;
    size_t len;
};

/* A slice of a NUL-terminated string literal or variable. */
static inline struct hl_slice hl_slice_of(const char *text)
{
    return (struct hl_slice){.ptr = text, .len = strlen(text)};
}

static inline bool hl_slice_equal(struct hl_slice a, struct hl_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Compare with a literal, ignoring ASCII case: how option words of commands are matched. */
bool hl_slice_is(struct hl_slice slice, const char *word);

/* Order as memcmp does, then by length. */
int hl_slice_compare(struct hl_slice a, struct hl_slice b);

/* A copy of `count` slices and their bytes in one block, which the caller owns and ends with
 * hl_free(). */
struct hl_slice *hl_slices_dup(const struct hl_slice *slices, size_t count);

/* Bytes of the block that hl_slices_dup() makes. */
size_t hl_slices_size(const struct hl_slice *slices, size_t count);

/* A growing byte buffer.  All zero is a valid empty one; end it with hl_buf_fini(). */
struct hl_buf {
    char *ptr;
    size_t len;
    size_t cap;
};

/* Release the memory; the buffer is then empty and usable again. */
void hl_buf_fini(struct hl_buf *buf);

/* Make room for `more` bytes after `len`; aborts when memory is refused.  Amortised O(1). */
void hl_buf_grow(struct hl_buf *buf, size_t more);

/* Append `len` bytes at `ptr` (must not point into `buf`). */
static inline void hl_buf_append(struct hl_buf *buf, const void *ptr, size_t len)
{
    if (buf->cap - buf->len < len) {
        hl_buf_grow(buf, len);
    }
    if (len != 0) {
        memcpy(buf->ptr + buf->len, ptr, len);
        buf->len += len;
    }
}

static inline void hl_buf_append_slice(struct hl_buf *buf, struct hl_slice slice)
{
    hl_buf_append(buf, slice.ptr, slice.len);
}

/* Append a NUL-terminated string without its NUL. */
void hl_buf_append_text(struct hl_buf *buf, const char *text);

/* Append formatted text without a NUL. */
void hl_buf_printf(struct hl_buf *buf, const char *fmt, ...) HL_PRINTF(2, 3);

/* As hl_buf_printf() with the arguments already gathered. */
void hl_buf_vprintf(struct hl_buf *buf, const char *fmt, va_list args) HL_PRINTF(2, 0);

/* Drop the first `len` bytes, moving the rest to the front. */
void hl_buf_consume(struct hl_buf *buf, size_t len);

/* Drop the contents and keep the memory. */
static inline void hl_buf_clear(struct hl_buf *buf)
{
    buf->len = 0;
}

/* The contents, valid until the buffer next changes. */
static inline struct hl_slice hl_buf_view(const struct hl_buf *buf)
{
    return (struct hl_slice){.ptr = buf->ptr, .len = buf->len};
}

static inline void hl_put_le16(void *out, uint16_t v)
{
    unsigned char *p = out;
    p[0] = (unsigned char)v;
    p[1] = (unsigned char)(v >> 8);
}

static inline void hl_put_le32(void *out, uint32_t v)
{
    hl_put_le16(out, (uint16_t)v);
    hl_put_le16((unsigned char *)out + 2, (uint16_t)(v >> 16));
}

static inline void hl_put_le64(void *out, uint64_t v)
{
    hl_put_le32(out, (uint32_t)v);
    hl_put_le32((unsigned char *)out + 4, (uint32_t)(v >> 32));
}

static inline uint16_t hl_get_le16(const void *in)
{
    const unsigned char *p = in;
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t hl_get_le32(const void *in)
{
    return hl_get_le16(in) | (uint32_t)hl_get_le16((const unsigned char *)in + 2) << 16;
}

static inline uint64_t hl_get_le64(const void *in)
{
    return hl_get_le32(in) | (uint64_t)hl_get_le32((const unsigned char *)in + 4) << 32;
}

static inline void hl_buf_append_u8(struct hl_buf *buf, uint8_t v)
{
    hl_buf_append(buf, &v, 1);
}

static inline void hl_buf_append_le32(struct hl_buf *buf, uint32_t v)
{
    unsigned char bytes[4];
    hl_put_le32(bytes, v);
    hl_buf_append(buf, bytes, sizeof bytes);
}

static inline void hl_buf_append_le64(struct hl_buf *buf, uint64_t v)
{
    unsigned char bytes[8];
    hl_put_le64(bytes, v);
    hl_buf_append(buf, bytes, sizeof bytes);
}

#endif
