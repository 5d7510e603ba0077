#include "keyspace/rdb.h"

#include "keyspace/lzf.h"
#include "kit/alloc.h"
#include "kit/num.h"

#define ENCODED 0xc0
#define INT_TEXT_MAX 11 /* longest text of a 32-bit integer */
#define PACK_MIN 21     /* shortest string worth compressing */

enum encoding { ENC_INT8, ENC_INT16, ENC_INT32, ENC_LZF };

static void put_be(struct hl_buf *out, uint64_t v, unsigned bytes)
{
    while (bytes-- != 0) {
        hl_buf_append_u8(out, (uint8_t)(v >> (8 * bytes)));
    }
}

void hl_rdb_put_len(struct hl_buf *out, uint64_t len)
{
    if (len < 1u << 6) {
        hl_buf_append_u8(out, (uint8_t)len);
    } else if (len < 1u << 14) {
        put_be(out, 0x4000 | len, 2);
    } else if (len <= UINT32_MAX) {
        hl_buf_append_u8(out, 0x80);
        put_be(out, len, 4);
    } else {
        hl_buf_append_u8(out, 0x81);
        put_be(out, len, 8);
    }
}

/* Append an integer of at most 32 bits; false for a larger one. */
static bool put_small(struct hl_buf *out, int64_t v)
{
    if (v < INT32_MIN || v > INT32_MAX) {
        return false;
    }
    enum encoding encoding = v >= INT8_MIN && v <= INT8_MAX     ? ENC_INT8
                             : v >= INT16_MIN && v <= INT16_MAX ? ENC_INT16
                                                                : ENC_INT32;
    hl_buf_append_u8(out, (uint8_t)(ENCODED | encoding));
    for (unsigned i = 0; i < 1u << encoding; i++) {
        hl_buf_append_u8(out, (uint8_t)((uint64_t)v >> (8 * i)));
    }
    return true;
}

void hl_rdb_put_int(struct hl_buf *out, int64_t v)
{
    if (!put_small(out, v)) {
        char text[HL_I64_TEXT_MAX];
        size_t len = (size_t)hl_format_i64(text, v);
        hl_rdb_put_len(out, len);
        hl_buf_append(out, text, len);
    }
}

static bool put_packed(struct hl_buf *out, struct hl_slice text)
{
    size_t max = text.len - 4;
    unsigned char *packed = hl_try_malloc(max + 8);
    if (packed == NULL) {
        return false; /* written plain it needs no second copy */
    }
    size_t len = hl_lzf_compress(text, packed, max);
    if (len != 0) {
        hl_buf_append_u8(out, ENCODED | ENC_LZF);
        hl_rdb_put_len(out, len);
        hl_rdb_put_len(out, text.len);
        hl_buf_append(out, packed, len);
    }
    hl_free(packed);
    return len != 0;
}

void hl_rdb_put_string(struct hl_buf *out, struct hl_slice text)
{
    int64_t v;
    if (text.len <= INT_TEXT_MAX && hl_parse_i64(text, &v) && put_small(out, v)) {
        return;
    }
    if (text.len >= PACK_MIN && put_packed(out, text)) {
        return;
    }
    hl_rdb_put_len(out, text.len);
    hl_buf_append_slice(out, text);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* `len` more bytes, or NULL when there are not as many. */
static const unsigned char *get_bytes(struct hl_rdb_reader *reader, uint64_t len)
{
    if (len > reader->in.len - reader->at) {
        return NULL;
    }
    const char *p = reader->in.ptr + reader->at;
    reader->at += (size_t)len;
    return (const unsigned char *)p;
}

int hl_rdb_get_byte(struct hl_rdb_reader *reader)
{
    const unsigned char *p = get_bytes(reader, 1);
    return p != NULL ? *p : -1;
}

static bool get_be(struct hl_rdb_reader *reader, unsigned bytes, uint64_t *v)
{
    const unsigned char *p = get_bytes(reader, bytes);
    if (p == NULL) {
        return false;
    }
    *v = 0;
    for (unsigned i = 0; i < bytes; i++) {
        *v = *v << 8 | p[i];
    }
    return true;
}

/* A length, or with *encoded the number of a string encoding. */
static bool get_len(struct hl_rdb_reader *reader, uint64_t *len, bool *encoded)
{
    int first = hl_rdb_get_byte(reader);
    *encoded = false;
    if (first < 0) {
        return false;
    }
    uint64_t rest;
    switch (first >> 6) {
    case 0:
        *len = (uint64_t)first;
        return true;
    case 1:
        if (!get_be(reader, 1, &rest)) {
            return false;
        }
        *len = (uint64_t)(first & 0x3f) << 8 | rest;
        return true;
    case 2:
        return (first == 0x80 && get_be(reader, 4, len)) ||
               (first == 0x81 && get_be(reader, 8, len));
    default:
        *encoded = true;
        *len = (uint64_t)(first & 0x3f);
        return true;
    }
}

bool hl_rdb_get_len(struct hl_rdb_reader *reader, uint64_t *len)
{
    bool encoded;
    return get_len(reader, len, &encoded) && !encoded;
}

static bool get_packed(struct hl_rdb_reader *reader, struct hl_rdb_text *out)
{
    uint64_t packed_len;
    uint64_t len;
    if (!hl_rdb_get_len(reader, &packed_len) || !hl_rdb_get_len(reader, &len)) {
        return false;
    }
    const unsigned char *packed = get_bytes(reader, packed_len);
    if (packed == NULL || packed_len == 0 || len / HL_LZF_RATIO_MAX > packed_len) {
        return false;
    }
    out->owned = hl_try_malloc((size_t)len);
    if (out->owned == NULL) {
        return false;
    }
    struct hl_slice in = {.ptr = (const char *)packed, .len = (size_t)packed_len};
    if (!hl_lzf_expand(in, (unsigned char *)out->owned, (size_t)len)) {
        hl_rdb_text_fini(out);
        return false;
    }
    out->text = (struct hl_slice){.ptr = out->owned, .len = (size_t)len};
    return true;
}

static bool get_int(struct hl_rdb_reader *reader, unsigned bytes, struct hl_rdb_text *out)
{
    const unsigned char *p = get_bytes(reader, bytes);
    if (p == NULL) {
        return false;
    }
    int64_t v = bytes == 1   ? (int8_t)p[0]
                : bytes == 2 ? (int16_t)hl_get_le16(p)
                             : (int32_t)hl_get_le32(p);
    out->text =
        (struct hl_slice){.ptr = out->scratch, .len = (size_t)hl_format_i64(out->scratch, v)};
    return true;
}

bool hl_rdb_get_string(struct hl_rdb_reader *reader, struct hl_rdb_text *out)
{
    uint64_t len;
    bool encoded;
    out->owned = NULL;
    if (!get_len(reader, &len, &encoded)) {
        return false;
    }
    if (!encoded) {
        const unsigned char *p = get_bytes(reader, len);
        out->text = (struct hl_slice){.ptr = (const char *)p, .len = (size_t)len};
        return p != NULL;
    }
    switch (len) {
    case ENC_INT8:
    case ENC_INT16:
    case ENC_INT32:
        return get_int(reader, 1u << len, out);
    case ENC_LZF:
        return get_packed(reader, out);
    default:
        return false;
    }
}

void hl_rdb_text_fini(struct hl_rdb_text *text)
{
    hl_free(text->owned);
    text->owned = NULL;
}
