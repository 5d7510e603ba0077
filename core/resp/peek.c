#include "resp/peek.h"

#include "kit/assert.h"

HL_STATIC(HL_PEEK_ARGS_MAX <= HL_REQUEST_UNAUTH_ARGC_MAX);
HL_STATIC(9999 <= HL_REQUEST_UNAUTH_BULK_MAX); /* HL_PEEK_DIGITS_MAX digits */

/* The number in a line "<mark><digits>\r\n" at `p`; NULL when it is no such line. */
static const char *read_long(const char *p, const char *end, char mark, size_t *out)
{
    if (end - p < 4 || p[0] != mark || (p[1] == '0' && p[2] != '\r')) {
        return NULL;
    }
    size_t v = 0;
    const char *digits = ++p;
    const char *last = end - p < HL_PEEK_DIGITS_MAX ? end : p + HL_PEEK_DIGITS_MAX;
    for (; p != last && *p >= '0' && *p <= '9'; p++) {
        v = 10 * v + (size_t)(*p - '0');
    }
    if (p == digits || end - p < 2 || *p != '\r') {
        return NULL;
    }
    *out = v;
    return p + 2;
}

/* The same, with lines of one and of two digits first: they are nearly all. */
static inline const char *read_line(const char *p, const char *end, char mark, size_t *out)
{
    if (end - p >= 5 && p[0] == mark) {
        size_t first = (size_t)(unsigned char)p[1] - '0';
        size_t second = (size_t)(unsigned char)p[2] - '0';
        if (p[2] == '\r' && first <= 9) {
            *out = first;
            return p + 4;
        }
        if (p[3] == '\r' && first - 1 <= 8 && second <= 9) {
            *out = 10 * first + second;
            return p + 5;
        }
    }
    return read_long(p, end, mark, out);
}

/* The request at `p` into `argv`: where it ends, or NULL. */
static const char *read_request(const char *p, const char *end, struct hl_slice *argv, int *argc)
{
    size_t count = 0;
    p = read_line(p, end, '*', &count);
    if (p == NULL || count == 0 || count > HL_PEEK_ARGS_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        size_t len = 0;
        p = read_line(p, end, '$', &len);
        if (p == NULL || (size_t)(end - p) < len + 2) {
            return NULL;
        }
        argv[i] = (struct hl_slice){.ptr = p, .len = len};
        p += len + 2;
    }
    *argc = (int)count;
    return p;
}

int hl_peek_requests(struct hl_peek *peek, const char *bytes, size_t len)
{
    const char *p = bytes;
    const char *end = bytes + len;
    struct hl_slice *argv = peek->args;
    int count = 0;
    while (count < HL_PEEK_MAX && p != end) {
        int argc = 0;
        const char *after = read_request(p, end, argv, &argc);
        if (after == NULL) {
            break;
        }
        peek->requests[count++] =
            (struct hl_peek_request){.argv = argv, .argc = argc, .size = (size_t)(after - p)};
        argv += argc;
        p = after;
    }
    peek->count = count;
    return count;
}
