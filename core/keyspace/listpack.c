#include "keyspace/listpack.h"

#include "keyspace/entry.h"
#include "kit/num.h"

#define LP_END 0xff
#define COUNT_UNKNOWN 65535
#define HEAD_MAX 9 /* longest encoding without string bytes: 0xf4 and 8 */
#define BACK_MAX 5
#define INT_TEXT_MAX 20

/* An element about to be written: `head`, then the bytes of `text`, then `back`. */
struct element {
    unsigned char head[HEAD_MAX];
    unsigned char back[BACK_MAX];
    unsigned head_len;
    unsigned back_len;
    struct hl_slice text; /* empty for an integer */
};

static unsigned back_size(size_t len)
{
    /* The bounds are Redis's, off by one and all: they are part of the format. */
    return len <= 127 ? 1 : len < 16383 ? 2 : len < 2097151 ? 3 : len < 268435455 ? 4 : 5;
}

static void encode_back(struct element *e, size_t len)
{
    e->back_len = back_size(len);
    for (unsigned i = e->back_len; i-- > 0; len >>= 7) {
        e->back[i] = (unsigned char)((len & 127) | (i != 0 ? 128 : 0));
    }
}

static void encode_int(struct element *e, int64_t v)
{
    static const struct {
        unsigned char byte, size;
    } forms[] = {{0xf1, 2}, {0xf2, 3}, {0xf3, 4}, {0xf4, 8}};
    if (v >= 0 && v <= 127) {
        e->head[0] = (unsigned char)v;
        e->head_len = 1;
        return;
    }
    if (v >= -4096 && v <= 4095) {
        e->head[0] = (unsigned char)(0xc0 | ((uint64_t)v >> 8 & 0x1f));
        e->head[1] = (unsigned char)v;
        e->head_len = 2;
        return;
    }
    unsigned form = v >= INT16_MIN && v <= INT16_MAX   ? 0
                    : v >= -8388608 && v <= 8388607    ? 1
                    : v >= INT32_MIN && v <= INT32_MAX ? 2
                                                       : 3;
    e->head[0] = forms[form].byte;
    for (unsigned i = 0; i < forms[form].size; i++) {
        e->head[1 + i] = (unsigned char)((uint64_t)v >> (8 * i));
    }
    e->head_len = 1u + forms[form].size;
}

static void encode(struct element *e, struct hl_slice value)
{
    int64_t v;
    e->text = (struct hl_slice){.ptr = NULL, .len = 0};
    if (value.len != 0 && value.len <= INT_TEXT_MAX && (unsigned char)value.ptr[0] <= '9' &&
        hl_parse_i64(value, &v)) {
        encode_int(e, v);
        encode_back(e, e->head_len);
        return;
    }
    e->text = value;
    if (value.len < 64) {
        e->head[0] = (unsigned char)(0x80 | value.len);
        e->head_len = 1;
    } else if (value.len < 4096) {
        e->head[0] = (unsigned char)(0xe0 | value.len >> 8);
        e->head[1] = (unsigned char)value.len;
        e->head_len = 2;
    } else {
        e->head[0] = 0xf0;
        hl_put_le32(e->head + 1, (uint32_t)value.len);
        e->head_len = 5;
    }
    encode_back(e, e->head_len + value.len);
}

static size_t element_size(const struct element *e)
{
    return e->head_len + e->text.len + e->back_len;
}

static void write_element(unsigned char *out, const struct element *e)
{
    memcpy(out, e->head, e->head_len);
    if (e->text.len != 0) {
        memcpy(out + e->head_len, e->text.ptr, e->text.len);
    }
    memcpy(out + e->head_len + e->text.len, e->back, e->back_len);
}

/* Length of the encoding and data at `p` of which `left` bytes may be read; 0 when they do not
 * suffice to tell, or for no encoding. */
static size_t head_and_data(const unsigned char *p, size_t left)
{
    if (left == 0) {
        return 0;
    }
    unsigned char b = p[0];
    if (b < 0x80) {
        return 1;
    }
    if (b < 0xc0) {
        return 1 + (size_t)(b & 0x3f);
    }
    if (b < 0xe0) {
        return 2;
    }
    if (b < 0xf0) {
        return left < 2 ? 0 : 2 + ((size_t)(b & 0x0f) << 8 | p[1]);
    }
    switch (b) {
    case 0xf0:
        return left < 5 ? 0 : 5 + (size_t)hl_get_le32(p + 1);
    case 0xf1:
        return 3;
    case 0xf2:
        return 4;
    case 0xf3:
        return 5;
    case 0xf4:
        return 9;
    default:
        return 0;
    }
}

static size_t size_at(const unsigned char *lp, size_t at)
{
    size_t len = head_and_data(lp + at, SIZE_MAX);
    return len + back_size(len);
}

static void put_count(unsigned char *lp, size_t count)
{
    hl_put_le16(lp + 4, (uint16_t)(count < COUNT_UNKNOWN ? count : COUNT_UNKNOWN));
}

unsigned char *hl_lp_create(void)
{
    unsigned char *lp = hl_malloc(hl_size_class(HL_LP_EMPTY));
    hl_put_le32(lp, HL_LP_EMPTY);
    hl_put_le16(lp + 4, 0);
    lp[HL_LP_HEADER] = LP_END;
    return lp;
}

unsigned char *hl_lp_adopt(struct hl_slice bytes)
{
    HL_ASSERT(bytes.len >= HL_LP_EMPTY);
    unsigned char *lp = hl_malloc(hl_size_class(bytes.len));
    memcpy(lp, bytes.ptr, bytes.len);
    return lp;
}

unsigned char *hl_lp_dup(const unsigned char *lp)
{
    return hl_lp_adopt((struct hl_slice){.ptr = (const char *)lp, .len = hl_lp_bytes(lp)});
}

size_t hl_lp_bytes(const unsigned char *lp)
{
    return hl_get_le32(lp);
}

size_t hl_lp_count(const unsigned char *lp)
{
    size_t count = hl_get_le16(lp + 4);
    if (count != COUNT_UNKNOWN) {
        return count;
    }
    count = 0;
    for (size_t at = hl_lp_first(lp); at != 0; at = hl_lp_next(lp, at)) {
        count++;
    }
    return count;
}

size_t hl_lp_first(const unsigned char *lp)
{
    return lp[HL_LP_HEADER] == LP_END ? 0 : HL_LP_HEADER;
}

size_t hl_lp_next(const unsigned char *lp, size_t at)
{
    size_t next = at + size_at(lp, at);
    return lp[next] == LP_END ? 0 : next;
}

/* The offset of the element that ends before `at`. */
static size_t before(const unsigned char *lp, size_t at)
{
    size_t len = 0;
    unsigned shift = 0;
    size_t p = at;
    do {
        p--;
        len |= (size_t)(lp[p] & 127) << shift;
        shift += 7;
    } while ((lp[p] & 128) != 0);
    return p - len;
}

size_t hl_lp_last(const unsigned char *lp)
{
    size_t end = hl_lp_bytes(lp) - 1;
    return end == HL_LP_HEADER ? 0 : before(lp, end);
}

size_t hl_lp_prev(const unsigned char *lp, size_t at)
{
    return at == HL_LP_HEADER ? 0 : before(lp, at);
}

size_t hl_lp_seek(const unsigned char *lp, size_t index)
{
    size_t at = hl_lp_first(lp);
    while (at != 0 && index-- != 0) {
        at = hl_lp_next(lp, at);
    }
    return at;
}

static int64_t sign_extend(uint64_t v, unsigned bits)
{
    unsigned unused = 64 - bits;
    return (int64_t)(v << unused) >> unused;
}

/* True with *number for an integer, else *text. */
static inline bool decode(const unsigned char *p, int64_t *number, struct hl_slice *text)
{
    unsigned char b = p[0];
    if (b < 0x80) {
        *number = b;
        return true;
    }
    if (b < 0xc0) {
        *text = (struct hl_slice){.ptr = (const char *)p + 1, .len = b & 0x3f};
        return false;
    }
    if (b < 0xe0) {
        *number = sign_extend((uint64_t)(b & 0x1f) << 8 | p[1], 13);
        return true;
    }
    if (b < 0xf0) {
        *text =
            (struct hl_slice){.ptr = (const char *)p + 2, .len = (size_t)(b & 0x0f) << 8 | p[1]};
        return false;
    }
    if (b == 0xf0) {
        *text = (struct hl_slice){.ptr = (const char *)p + 5, .len = hl_get_le32(p + 1)};
        return false;
    }
    unsigned size = b == 0xf4 ? 8 : b - 0xf1u + 2;
    uint64_t v = 0;
    for (unsigned i = 0; i < size; i++) {
        v |= (uint64_t)p[1 + i] << (8 * i);
    }
    *number = sign_extend(v, 8 * size);
    return true;
}

struct hl_slice hl_lp_get(const unsigned char *lp, size_t at, char scratch[HL_LP_SCRATCH])
{
    int64_t number;
    struct hl_slice text;
    HL_ASSERT(at >= HL_LP_HEADER);
    if (decode(lp + at, &number, &text)) {
        return (struct hl_slice){.ptr = scratch, .len = (size_t)hl_format_i64(scratch, number)};
    }
    return text;
}

size_t hl_lp_find(const unsigned char *lp, size_t at, struct hl_slice value, unsigned skip)
{
    int64_t wanted = 0;
    bool is_int = value.len != 0 && value.len <= INT_TEXT_MAX && hl_parse_i64(value, &wanted);
    unsigned skipping = 0;
    for (; at != 0; at = hl_lp_next(lp, at)) {
        if (skipping != 0) {
            skipping--;
            continue;
        }
        int64_t number;
        struct hl_slice text;
        if (decode(lp + at, &number, &text)) {
            if (is_int && number == wanted) {
                return at;
            }
        } else if (hl_slice_equal(text, value)) {
            return at;
        }
        skipping = skip;
    }
    return 0;
}

/* Exchange `old_len` bytes at `at` for room for `new_len`. */
static unsigned char *splice(unsigned char *lp, size_t at, size_t old_len, size_t new_len)
{
    size_t len = hl_lp_bytes(lp);
    size_t to = len - old_len + new_len;
    HL_ASSERT(to <= UINT32_MAX);
    size_t tail = len - at - old_len;
    bool regrow = hl_size_class(to) != hl_size_class(len);
    if (regrow && to > len) {
        lp = hl_realloc(lp, hl_size_class(to));
    }
    memmove(lp + at + new_len, lp + at + old_len, tail);
    if (regrow && to < len) {
        lp = hl_realloc(lp, hl_size_class(to));
    }
    hl_put_le32(lp, (uint32_t)to);
    return lp;
}

unsigned char *hl_lp_insert(unsigned char *lp, size_t at, struct hl_slice value)
{
    struct element e;
    encode(&e, value);
    size_t count = hl_get_le16(lp + 4);
    size_t to = at != 0 ? at : hl_lp_bytes(lp) - 1;
    lp = splice(lp, to, 0, element_size(&e));
    write_element(lp + to, &e);
    if (count != COUNT_UNKNOWN) {
        put_count(lp, count + 1);
    }
    return lp;
}

unsigned char *hl_lp_replace(unsigned char *lp, size_t at, struct hl_slice value)
{
    struct element e;
    encode(&e, value);
    lp = splice(lp, at, size_at(lp, at), element_size(&e));
    write_element(lp + at, &e);
    return lp;
}

unsigned char *hl_lp_delete(unsigned char *lp, size_t at, size_t count)
{
    size_t end = at;
    size_t deleted = 0;
    for (; deleted < count && lp[end] != LP_END; deleted++) {
        end += size_at(lp, end);
    }
    size_t known = hl_get_le16(lp + 4);
    lp = splice(lp, at, end - at, 0);
    if (known != COUNT_UNKNOWN) {
        put_count(lp, known - deleted);
    } else {
        put_count(lp, hl_lp_count(lp)); /* it may be small enough to be known again */
    }
    return lp;
}

bool hl_lp_validate(struct hl_slice bytes, size_t *count)
{
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    if (bytes.len < HL_LP_EMPTY || bytes.len > UINT32_MAX || hl_get_le32(p) != bytes.len ||
        p[bytes.len - 1] != LP_END) {
        return false;
    }
    size_t end = bytes.len - 1;
    size_t found = 0;
    size_t at = HL_LP_HEADER;
    while (at < end) {
        size_t len = head_and_data(p + at, end - at);
        if (len == 0 || len > end - at || back_size(len) > end - at - len) {
            return false;
        }
        struct element e;
        encode_back(&e, len);
        if (memcmp(p + at + len, e.back, e.back_len) != 0) {
            return false;
        }
        at += len + e.back_len;
        found++;
    }
    size_t said = hl_get_le16(p + 4);
    if (at != end || (said != COUNT_UNKNOWN && said != found)) {
        return false;
    }
    if (count != NULL) {
        *count = found;
    }
    return true;
}
