#include "resp/words.h"

#include "kit/assert.h"

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static char escaped(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return c;
    }
}

/* The bytes between double quotes, from just after the first one; false when not closed.  *at ends
 * after the closing quote. */
static bool read_double_quoted(struct hl_slice line, size_t *at, char *out, size_t *out_len)
{
    size_t i = *at;
    size_t len = *out_len;
    while (i < line.len && line.ptr[i] != '"') {
        char c = line.ptr[i];
        if (c != '\\' || i + 1 == line.len) {
            out[len++] = c;
            i++;
            continue;
        }
        if (line.ptr[i + 1] == 'x' && line.len - i > 3 && hex_digit(line.ptr[i + 2]) >= 0 &&
            hex_digit(line.ptr[i + 3]) >= 0) {
            out[len++] = (char)(hex_digit(line.ptr[i + 2]) * 16 + hex_digit(line.ptr[i + 3]));
            i += 4;
            continue;
        }
        out[len++] = escaped(line.ptr[i + 1]);
        i += 2;
    }
    if (i == line.len) {
        return false;
    }
    *at = i + 1;
    *out_len = len;
    return true;
}

/* As read_double_quoted() between single quotes. */
static bool read_single_quoted(struct hl_slice line, size_t *at, char *out, size_t *out_len)
{
    size_t i = *at;
    size_t len = *out_len;
    while (i < line.len && line.ptr[i] != '\'') {
        if (line.ptr[i] == '\\' && i + 1 < line.len && line.ptr[i + 1] == '\'') {
            i++;
        }
        out[len++] = line.ptr[i++];
    }
    if (i == line.len) {
        return false;
    }
    *at = i + 1;
    *out_len = len;
    return true;
}

enum hl_word_result hl_word_next(struct hl_slice line, size_t *at, char *out, size_t *out_len)
{
    HL_ASSERT(*at <= line.len);
    size_t i = *at;
    while (i < line.len && is_blank(line.ptr[i])) {
        i++;
    }
    if (i == line.len) {
        *at = i;
        return HL_WORD_END;
    }
    size_t len = 0;
    while (i < line.len && !is_blank(line.ptr[i])) {
        char c = line.ptr[i++];
        if (c != '"' && c != '\'') {
            out[len++] = c;
            continue;
        }
        bool closed = c == '"' ? read_double_quoted(line, &i, out, &len)
                               : read_single_quoted(line, &i, out, &len);
        if (!closed || (i < line.len && !is_blank(line.ptr[i]))) {
            return HL_WORD_UNBALANCED;
        }
    }
    *at = i;
    *out_len = len;
    return HL_WORD;
}
