/* A bounded reader of fixed-width little-endian fields from bytes that nobody vouches for.
 *
 * A take beyond the end gives zeros and clears `ok`, once and for all: so a decoder takes all its
 * fields and checks once.  Lengths are compared with what is left before anything is looked at.
 */
#ifndef HL_NODE_CURSOR_H
#define HL_NODE_CURSOR_H

#include "kit/bytes.h"

struct hl_cursor {
    const char *at;
    size_t left;
    bool ok;
};

static inline struct hl_cursor hl_cursor_over(struct hl_slice bytes)
{
    return (struct hl_cursor){.at = bytes.ptr, .left = bytes.len, .ok = true};
}

static inline struct hl_slice hl_cursor_bytes(struct hl_cursor *cursor, uint64_t len)
{
    if (!cursor->ok || len > cursor->left) {
        cursor->ok = false;
        cursor->left = 0;
        return (struct hl_slice){0};
    }
    struct hl_slice bytes = {.ptr = cursor->at, .len = (size_t)len};
    cursor->at += len;
    cursor->left -= (size_t)len;
    return bytes;
}

static inline uint8_t hl_cursor_u8(struct hl_cursor *cursor)
{
    struct hl_slice bytes = hl_cursor_bytes(cursor, 1);
    return bytes.len == 0 ? 0 : (uint8_t)bytes.ptr[0];
}

static inline uint16_t hl_cursor_u16(struct hl_cursor *cursor)
{
    struct hl_slice bytes = hl_cursor_bytes(cursor, 2);
    return bytes.len == 0 ? 0 : hl_get_le16(bytes.ptr);
}

static inline uint32_t hl_cursor_u32(struct hl_cursor *cursor)
{
    struct hl_slice bytes = hl_cursor_bytes(cursor, 4);
    return bytes.len == 0 ? 0 : hl_get_le32(bytes.ptr);
}

static inline uint64_t hl_cursor_u64(struct hl_cursor *cursor)
{
    struct hl_slice bytes = hl_cursor_bytes(cursor, 8);
    return bytes.len == 0 ? 0 : hl_get_le64(bytes.ptr);
}

/* A u16 length and that many bytes. */
static inline struct hl_slice hl_cursor_text(struct hl_cursor *cursor)
{
    return hl_cursor_bytes(cursor, hl_cursor_u16(cursor));
}

/* The writer's side of hl_cursor_text(); `text.len` is at most UINT16_MAX. */
static inline void hl_buf_append_text16(struct hl_buf *out, struct hl_slice text)
{
    unsigned char len[2];
    hl_put_le16(len, (uint16_t)text.len);
    hl_buf_append(out, len, sizeof len);
    hl_buf_append_slice(out, text);
}

#endif
