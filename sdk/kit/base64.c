/* base64url and hexadecimal, strict in reading. */
#include "kit/base64.h"

#include "kit/assert.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char digits[] = "0123456789abcdef";

void hl_base64url_append(struct hl_buf *out, const void *bytes, size_t len)
{
    const unsigned char *in = bytes;
    HL_ASSERT(len < SIZE_MAX / 4 - 2);
    hl_buf_grow(out, HL_BASE64URL_LEN(len));
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i < 3 ? len - i : 3;
        uint32_t group = (uint32_t)in[i] << 16;
        group |= left > 1 ? (uint32_t)in[i + 1] << 8 : 0;
        group |= left > 2 ? (uint32_t)in[i + 2] : 0;
        for (size_t c = 0; c <= left; c++) {
            out->ptr[out->len++] = alphabet[group >> (18 - 6 * c) & 63];
        }
    }
    HL_ASSERT(out->len <= out->cap);
}

/* 0..63, or -1 for a character outside the alphabet. */
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool hl_base64url_decode(struct hl_slice text, unsigned char *out, size_t cap, size_t *len)
{
    size_t tail = text.len % 4;
    size_t need = text.len / 4 * 3 + (tail == 0 ? 0 : tail - 1);
    if (tail == 1 || need > cap) {
        return false;
    }
    uint32_t group = 0;
    size_t made = 0;
    int bits = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.ptr[i]);
        if (value < 0) {
            return false;
        }
        group = group << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[made++] = (unsigned char)(group >> bits);
            group &= (1U << bits) - 1;
        }
    }
    if (group != 0) {
        return false; /* unused bits are set: another text means the same bytes */
    }
    HL_ASSERT(made == need);
    *len = made;
    return true;
}

void hl_hex_format(char *out, const void *bytes, size_t len)
{
    const unsigned char *in = bytes;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    out[2 * len] = '\0';
}

bool hl_hex_parse(struct hl_slice text, unsigned char *out, size_t len)
{
    if (text.len != 2 * len) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        const char *digit = text.ptr[i] == '\0' ? NULL : strchr(digits, text.ptr[i]);
        if (digit == NULL) {
            return false;
        }
        unsigned value = (unsigned)(digit - digits);
        out[i / 2] = (unsigned char)(i % 2 == 0 ? value << 4 : out[i / 2] | value);
    }
    return true;
}
