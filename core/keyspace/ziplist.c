#include "keyspace/ziplist.h"

#include "kit/num.h"

#define HEADER 10
#define END 0xff
#define LONG_PREV 254
#define COUNT_UNKNOWN 65535
#define SCRATCH 24

/* Where an element's parts are. */
struct element {
    size_t size;     /* of all of it */
    size_t prev_len; /* length it claims for the element before */
    struct hl_slice text;
    char scratch[SCRATCH];
};

static int64_t read_int(const unsigned char *p, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++) {
        v |= (uint64_t)p[i] << (8 * i);
    }
    unsigned unused = 64 - 8 * bytes;
    return (int64_t)(v << unused) >> unused;
}

/* Bytes of the integer that an encoding byte announces; -1 for none. */
static int int_bytes(unsigned char b)
{
    switch (b) {
    case 0xc0:
        return 2;
    case 0xd0:
        return 4;
    case 0xe0:
        return 8;
    case 0xf0:
        return 3;
    case 0xfe:
        return 1;
    default:
        return b >= 0xf1 && b <= 0xfd ? 0 : -1;
    }
}

/* The encoding and data at `p`; their length, or 0 when malformed. */
static size_t read_data(const unsigned char *p, size_t left, struct element *e)
{
    if (left == 0) {
        return 0;
    }
    size_t head = p[0] < 0x40 ? 1 : p[0] < 0x80 ? 2 : p[0] == 0x80 ? 5 : p[0] < 0xc0 ? 0 : 1;
    if (head == 0 || left < head) {
        return 0;
    }
    if (p[0] >= 0xc0) {
        int bytes = int_bytes(p[0]);
        if (bytes < 0 || (size_t)bytes > left - 1) {
            return 0;
        }
        int64_t v = bytes == 0 ? (p[0] & 0x0f) - 1 : read_int(p + 1, (unsigned)bytes);
        e->text = (struct hl_slice){.ptr = e->scratch, .len = (size_t)hl_format_i64(e->scratch, v)};
        return 1 + (size_t)bytes;
    }
    size_t len = head == 1   ? p[0]
                 : head == 2 ? (size_t)(p[0] & 0x3f) << 8 | p[1]
                             : (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
    if (len > left - head) {
        return 0;
    }
    e->text = (struct hl_slice){.ptr = (const char *)p + head, .len = len};
    return head + len;
}

static bool read_element(const unsigned char *p, size_t left, struct element *e)
{
    size_t head = left != 0 && p[0] == LONG_PREV ? 5 : 1;
    if (left < head || p[0] == END) {
        return false;
    }
    e->prev_len = head == 5 ? hl_get_le32(p + 1) : p[0];
    size_t data = read_data(p + head, left - head, e);
    e->size = head + data;
    return data != 0;
}

/* Called with the number of the element and the last two, the newer one at `number % 2`. */
typedef bool (*visit_func)(void *visitor, size_t number, const struct element last[2]);

static bool walk(struct hl_slice bytes, visit_func visit, void *visitor, size_t *count)
{
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    if (bytes.len <= HEADER || hl_get_le32(p) != bytes.len || p[bytes.len - 1] != END) {
        return false;
    }
    size_t end = bytes.len - 1;
    size_t before = 0;
    size_t last = HEADER;
    struct element elements[2];
    *count = 0;
    for (size_t at = HEADER; at < end;) {
        struct element *e = &elements[*count % 2];
        if (!read_element(p + at, end - at, e) || e->prev_len != before ||
            !visit(visitor, *count, elements)) {
            return false;
        }
        before = e->size;
        last = at;
        at += e->size;
        ++*count;
    }
    size_t said = hl_get_le16(p + 8);
    return hl_get_le32(p + 4) == last && (said == COUNT_UNKNOWN || said == *count);
}

struct each {
    bool (*visit)(void *ctx, struct hl_slice element);
    void *ctx;
};

static bool visit_one(void *visitor, size_t number, const struct element last[2])
{
    const struct each *each = visitor;
    return each->visit(each->ctx, last[number % 2].text);
}

bool hl_ziplist_each(struct hl_slice bytes, bool (*each)(void *ctx, struct hl_slice element),
                     void *ctx)
{
    size_t count = 0;
    struct each visitor = {each, ctx};
    return walk(bytes, visit_one, &visitor, &count);
}

struct pairs {
    bool (*visit)(void *ctx, struct hl_slice field, struct hl_slice value);
    void *ctx;
};

static bool visit_second(void *visitor, size_t number, const struct element last[2])
{
    const struct pairs *pairs = visitor;
    return number % 2 == 0 || pairs->visit(pairs->ctx, last[0].text, last[1].text);
}

bool hl_ziplist_pairs(struct hl_slice bytes,
                      bool (*pair)(void *ctx, struct hl_slice field, struct hl_slice value),
                      void *ctx)
{
    size_t count = 0;
    struct pairs visitor = {pair, ctx};
    return walk(bytes, visit_second, &visitor, &count) && count != 0 && count % 2 == 0;
}
