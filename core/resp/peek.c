#include "resp/peek.h"

#define DIGITS_MAX 6 /* of the length of an argument: longer requests hide misses by themselves */

/* The number in a line "<mark><digits>\r\n" at `p`; NULL when it is no such line. */
static const char *read_long(const char *p, const char *end, char mark, size_t *out)
{
    size_t v = 0;
    if (p == end || *p++ != mark) {
        return NULL;
    }
    const char *last = (size_t)(end - p) < DIGITS_MAX ? end : p + DIGITS_MAX;
    for (; p != last && *p >= '0' && *p <= '9'; p++) {
        v = 10 * v + (size_t)(*p - '0');
    }
    if ((size_t)(end - p) < 2 || *p != '\r') {
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
        if (p[3] == '\r' && first <= 9 && second <= 9) {
            *out = 10 * first + second;
            return p + 5;
        }
    }
    return read_long(p, end, mark, out);
}

int hl_peek_words(const char *bytes, size_t len, struct hl_slice *words, int max)
{
    const char *p = bytes;
    const char *end = bytes + len;
    int found = 0;
    while (found < max) {
        size_t args = 0;
        struct hl_slice second = {.ptr = NULL, .len = 0};
        p = read_line(p, end, '*', &args);
        if (p == NULL || args == 0 || args > HL_PEEK_ARGS_MAX) {
            break;
        }
        for (size_t i = 0; i < args; i++) {
            size_t arg_len = 0;
            p = read_line(p, end, '$', &arg_len);
            if (p == NULL || (size_t)(end - p) < arg_len + 2) {
                return found;
            }
            if (i == 1) {
                second = (struct hl_slice){.ptr = p, .len = arg_len};
            }
            p += arg_len + 2;
        }
        if (second.ptr != NULL) {
            words[found++] = second;
        }
    }
    return found;
}
