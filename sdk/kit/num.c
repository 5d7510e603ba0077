#include "kit/num.h"

#include "kit/assert.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define FLOAT_TEXT_MAX 5120 /* a float text must be shorter, as in Redis for long doubles */

bool hl_parse_u64(struct hl_slice text, uint64_t *out)
{
    if (text.len == 0 || text.len > 20 || (text.ptr[0] == '0' && text.len > 1)) {
        return false;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.ptr[i] - '0';
        if (digit > 9 || v > (UINT64_MAX - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

bool hl_parse_i64(struct hl_slice text, int64_t *out)
{
    bool negative = text.len != 0 && text.ptr[0] == '-';
    struct hl_slice digits = {.ptr = text.ptr + negative, .len = text.len - negative};
    uint64_t v = 0;
    if (!hl_parse_u64(digits, &v) || (negative && v == 0)) {
        return false;
    }
    if (v > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

/* Copy into NUL-terminated memory; false when empty, too long, or starting with a space. */
static bool float_text(struct hl_slice text, char out[FLOAT_TEXT_MAX])
{
    if (text.len == 0 || text.len >= FLOAT_TEXT_MAX) {
        return false;
    }
    unsigned char first = (unsigned char)text.ptr[0];
    if (first == ' ' || (first >= '\t' && first <= '\r')) {
        return false;
    }
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

bool hl_parse_double(struct hl_slice text, double *out)
{
    char copy[FLOAT_TEXT_MAX];
    if (!float_text(text, copy)) {
        return false;
    }
    char *end = NULL;
    errno = 0;
    double v = strtod(copy, &end);
    if ((size_t)(end - copy) != text.len || isnan(v)) {
        return false;
    }
    if (errno == ERANGE && (v == HUGE_VAL || v == -HUGE_VAL || fpclassify(v) == FP_ZERO)) {
        return false;
    }
    *out = v;
    return true;
}

bool hl_parse_ldouble(struct hl_slice text, long double *out)
{
    char copy[FLOAT_TEXT_MAX];
    if (!float_text(text, copy)) {
        return false;
    }
    char *end = NULL;
    errno = 0;
    long double v = strtold(copy, &end);
    if ((size_t)(end - copy) != text.len || isnan(v)) {
        return false;
    }
    if (errno == ERANGE && (v == HUGE_VALL || v == -HUGE_VALL || fpclassify(v) == FP_ZERO)) {
        return false;
    }
    *out = v;
    return true;
}

int hl_format_i64(char *out, int64_t v)
{
    char reversed[HL_I64_TEXT_MAX];
    uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    int count = 0;
    do {
        reversed[count++] = (char)('0' + left % 10);
        left /= 10;
    } while (left != 0);
    int len = 0;
    if (v < 0) {
        out[len++] = '-';
    }
    while (count > 0) {
        out[len++] = reversed[--count];
    }
    out[len] = '\0';
    return len;
}

int hl_format_double(char *out, double v)
{
    if (isnan(v)) {
        memcpy(out, "nan", 4);
        return 3;
    }
    if (isinf(v)) {
        memcpy(out, v > 0 ? "inf" : "-inf", v > 0 ? 4 : 5);
        return v > 0 ? 3 : 4;
    }
    /* Integers that a double holds exactly need no slow printf. */
    if (v > -4503599627370496.0 && v < 4503599627370496.0 && v == (double)(int64_t)v &&
        !(v == 0 && signbit(v))) {
        return hl_format_i64(out, (int64_t)v);
    }
    return snprintf(out, HL_DOUBLE_TEXT_MAX, "%.17g", v);
}

int hl_format_ldouble(char *out, long double v)
{
    if (isinf(v)) {
        memcpy(out, v > 0 ? "inf" : "-inf", v > 0 ? 4 : 5);
        return v > 0 ? 3 : 4;
    }
    int len = snprintf(out, HL_LDOUBLE_TEXT_MAX, "%.17Lf", v);
    HL_ASSERT(len > 0 && len < HL_LDOUBLE_TEXT_MAX);
    while (out[len - 1] == '0') {
        len--;
    }
    if (out[len - 1] == '.') {
        len--;
    }
    if (len == 2 && out[0] == '-' && out[1] == '0') {
        out[0] = '0';
        len = 1;
    }
    out[len] = '\0';
    return len;
}

struct unit {
    const char *name;
    int64_t factor;
};

/* Split into digits and unit, and multiply; `units` ends with a NULL name. */
static bool parse_scaled(struct hl_slice text, const struct unit *units, int64_t *out)
{
    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') {
        digits++;
    }
    int64_t count = 0;
    if (!hl_parse_i64((struct hl_slice){.ptr = text.ptr, .len = digits}, &count)) {
        return false;
    }
    struct hl_slice name = {.ptr = text.ptr + digits, .len = text.len - digits};
    for (const struct unit *u = units; u->name != NULL; u++) {
        if (hl_slice_is(name, u->name)) {
            return !__builtin_mul_overflow(count, u->factor, out);
        }
    }
    return false;
}

bool hl_parse_size(struct hl_slice text, int64_t *bytes)
{
    static const struct unit units[] = {
        {"", 1},         {"b", 1},          {"k", 1000},        {"kb", 1024}, {"m", 1000000},
        {"mb", 1048576}, {"g", 1000000000}, {"gb", 1073741824}, {NULL, 0},
    };
    int64_t v = 0;
    if (!parse_scaled(text, units, &v)) {
        return false;
    }
    *bytes = v;
    return true;
}

bool hl_parse_duration(struct hl_slice text, int64_t bare_ms, int64_t *ms)
{
    const struct unit units[] = {
        {"", bare_ms}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {NULL, 0},
    };
    int64_t v = 0;
    if (!parse_scaled(text, units, &v)) {
        return false;
    }
    *ms = v;
    return true;
}
