/* JSON with bounds. */
#include "kit/json.h"

#include "kit/assert.h"

/* Whether some place of the text is deeper than `max`: looked for before parsing, since the parser
 * calls itself for each level. */
static bool is_deeper(struct hl_slice text, size_t max)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (quoted) {
            i += c == '\\' ? 1 : 0;
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if ((c == '[' || c == '{') && ++depth > max) {
            return true;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return false;
}

hl_err hl_json_parse(json_t **out, struct hl_slice text, const struct hl_json_limits *limits,
                     struct hl_errmsg *msg)
{
    json_error_t error;
    if (text.len > limits->size_max) {
        return hl_fail(msg, HL_ELIMIT, "JSON of more than %zu bytes", limits->size_max);
    }
    if (is_deeper(text, limits->depth_max)) {
        return hl_fail(msg, HL_ELIMIT, "JSON nested deeper than %zu", limits->depth_max);
    }
    if (text.len == 0) {
        return hl_fail(msg, HL_EINVAL, "no JSON at all");
    }
    json_t *value =
        json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value == NULL) {
        return hl_fail(msg, HL_EINVAL, "%s, in line %d, column %d", error.text, error.line,
                       error.column);
    }
    *out = value;
    return HL_OK;
}

struct hl_slice hl_json_text(const json_t *object, const char *name)
{
    json_t *member = json_object_get(object, name);
    if (!json_is_string(member)) {
        return (struct hl_slice){0};
    }
    return (struct hl_slice){.ptr = json_string_value(member), .len = json_string_length(member)};
}

static int append_part(const char *bytes, size_t len, void *out)
{
    hl_buf_append(out, bytes, len);
    return 0;
}

void hl_json_append(struct hl_buf *out, const json_t *value)
{
    int result = json_dump_callback(value, append_part, out, JSON_COMPACT | JSON_ENCODE_ANY);
    HL_ASSERT(result == 0);
}

/* Bytes of the UTF-8 character at the beginning, 0 when there is none. */
static size_t utf8_len(struct hl_slice text)
{
    const unsigned char *p = (const unsigned char *)text.ptr;
    size_t len = p[0] < 0x80                   ? 1
                 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
                 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                               : 0;
    if (len == 0 || len > text.len) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool bad = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
               (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f);
    return bad ? 0 : len;
}

void hl_json_append_string(struct hl_buf *out, struct hl_slice text)
{
    hl_buf_append(out, "\"", 1);
    while (text.len != 0) {
        unsigned char c = (unsigned char)text.ptr[0];
        size_t len = utf8_len(text);
        if (c == '"' || c == '\\') {
            hl_buf_printf(out, "\\%c", c);
        } else if (c < ' ' || c == 0x7f) {
            hl_buf_printf(out, "\\u%04x", c);
        } else if (len == 0) {
            hl_buf_append_text(out, "\xef\xbf\xbd");
            len = 1;
        } else {
            hl_buf_append(out, text.ptr, len);
        }
        text.ptr += len;
        text.len -= len;
    }
    hl_buf_append(out, "\"", 1);
}
