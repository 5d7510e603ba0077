#include "kit/bytes.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <stdio.h>

#define BUF_CAP_FIRST 64

static int fold(char c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

bool hl_slice_is(struct hl_slice slice, const char *word)
{
    for (size_t i = 0; i < slice.len; i++) {
        if (word[i] == '\0' || fold(slice.ptr[i]) != fold(word[i])) {
            return false;
        }
    }
    return word[slice.len] == '\0';
}

int hl_slice_compare(struct hl_slice a, struct hl_slice b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared == 0 ? 0 : memcmp(a.ptr, b.ptr, shared);
    if (order != 0) {
        return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

size_t hl_slices_size(const struct hl_slice *slices, size_t count)
{
    size_t size = count * sizeof *slices;
    for (size_t i = 0; i < count; i++) {
        size += slices[i].len;
    }
    return size;
}

struct hl_slice *hl_slices_dup(const struct hl_slice *slices, size_t count)
{
    struct hl_slice *copy = hl_malloc(hl_slices_size(slices, count));
    char *at = (char *)(copy + count);
    for (size_t i = 0; i < count; i++) {
        copy[i] = (struct hl_slice){.ptr = at, .len = slices[i].len};
        if (slices[i].len != 0) {
            memcpy(at, slices[i].ptr, slices[i].len);
        }
        at += slices[i].len;
    }
    return copy;
}

void hl_buf_fini(struct hl_buf *buf)
{
    hl_free(buf->ptr);
    *buf = (struct hl_buf){0};
}

void hl_buf_grow(struct hl_buf *buf, size_t more)
{
    HL_ASSERT(buf->len <= buf->cap);
    HL_ASSERT(more <= SIZE_MAX / 4 && buf->len <= SIZE_MAX / 4);
    size_t need = buf->len + more;
    if (need <= buf->cap) {
        return;
    }
    size_t cap = buf->cap + buf->cap / 2;
    if (cap < need) {
        cap = need;
    }
    if (cap < BUF_CAP_FIRST) {
        cap = BUF_CAP_FIRST;
    }
    buf->ptr = hl_realloc(buf->ptr, cap);
    buf->cap = cap;
}

void hl_buf_append_text(struct hl_buf *buf, const char *text)
{
    hl_buf_append(buf, text, strlen(text));
}

void hl_buf_vprintf(struct hl_buf *buf, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    HL_ASSERT(len >= 0);
    hl_buf_grow(buf, (size_t)len + 1);
    (void)vsnprintf(buf->ptr + buf->len, (size_t)len + 1, fmt, again);
    buf->len += (size_t)len;
    va_end(again);
}

void hl_buf_printf(struct hl_buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    hl_buf_vprintf(buf, fmt, args);
    va_end(args);
}

void hl_buf_consume(struct hl_buf *buf, size_t len)
{
    HL_ASSERT(len <= buf->len);
    buf->len -= len;
    if (buf->len != 0 && len != 0) {
        memmove(buf->ptr, buf->ptr + len, buf->len);
    }
}
