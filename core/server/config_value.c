/* Values of one number or word: text to value and back, with Redis's reasons for refusing. */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "server/config_internal.h"

bool hl_config_next_word(struct hl_slice *rest, struct hl_slice *word)
{
    size_t at = 0;
    while (at < rest->len && (rest->ptr[at] == ' ' || rest->ptr[at] == '\t')) {
        at++;
    }
    size_t end = at;
    while (end < rest->len && rest->ptr[end] != ' ' && rest->ptr[end] != '\t') {
        end++;
    }
    *word = (struct hl_slice){.ptr = rest->ptr + at, .len = end - at};
    *rest = (struct hl_slice){.ptr = rest->ptr + end, .len = rest->len - end};
    return word->len != 0;
}

bool config_is_number(const struct config_row *row)
{
    return row->type <= HL_CFG_TYPE_SIZE_OR_PERCENT;
}

static bool parse_bool(struct hl_slice text, bool lenient, int64_t *out)
{
    static const struct {
        const char *word;
        bool lenient;
        int value;
    } words[] = {
        {"yes", false, 1}, {"no", false, 0}, {"true", true, 1}, {"false", true, 0},
        {"on", true, 1},   {"off", true, 0}, {"1", true, 1},    {"0", true, 0},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(words); i++) {
        if ((lenient || !words[i].lenient) && hl_slice_is(text, words[i].word)) {
            *out = words[i].value;
            return true;
        }
    }
    return false;
}

/* Find `word` among the hint's words, following one synonym; -1 when missing. */
static int enum_index(const char *hint, struct hl_slice word)
{
    struct hl_slice rest = hl_slice_of(hint);
    struct hl_slice item;
    for (int index = 0; hl_config_next_word(&rest, &item); index++) {
        const char *equals = memchr(item.ptr, '=', item.len);
        struct hl_slice name = item;
        if (equals != NULL) {
            name.len = (size_t)(equals - item.ptr);
        }
        char copy[64];
        HL_ASSERT(name.len < sizeof copy);
        memcpy(copy, name.ptr, name.len);
        copy[name.len] = '\0';
        if (!hl_slice_is(word, copy)) {
            continue;
        }
        if (equals == NULL) {
            return index;
        }
        return enum_index(hint,
                          (struct hl_slice){.ptr = equals + 1, .len = item.len - name.len - 1});
    }
    return -1;
}

/* "argument(s) must be one of the following: a, b" without synonyms. */
static hl_err refuse_word(const struct config_row *row, struct hl_errmsg *msg)
{
    struct hl_buf words = {0};
    struct hl_slice rest = hl_slice_of(row->hint);
    struct hl_slice item;
    while (hl_config_next_word(&rest, &item)) {
        const char *equals = memchr(item.ptr, '=', item.len);
        if (equals != NULL && row->type == HL_CFG_TYPE_ENUM) {
            continue;
        }
        hl_buf_append_text(&words, words.len == 0 ? "" : ", ");
        hl_buf_append(&words, item.ptr, equals != NULL ? (size_t)(equals - item.ptr) : item.len);
    }
    hl_err err = hl_fail(msg, HL_EINVAL, "argument(s) must be one of the following: %.*s",
                         (int)words.len, words.ptr);
    hl_buf_fini(&words);
    return err;
}

/* Sum of the words' values, each "word=value" in the hint. */
static hl_err parse_bits(const struct config_row *row, struct hl_slice text, int64_t *out,
                         struct hl_errmsg *msg)
{
    int64_t sum = 0;
    struct hl_slice word;
    while (hl_config_next_word(&text, &word)) {
        struct hl_slice rest = hl_slice_of(row->hint);
        struct hl_slice item;
        bool found = false;
        while (!found && hl_config_next_word(&rest, &item)) {
            const char *equals = memchr(item.ptr, '=', item.len);
            HL_ASSERT(equals != NULL);
            size_t len = (size_t)(equals - item.ptr);
            found = len == word.len && strncasecmp(item.ptr, word.ptr, len) == 0;
            if (found) {
                int64_t value = 0;
                struct hl_slice digits = {.ptr = equals + 1, .len = item.len - len - 1};
                HL_ASSERT(hl_parse_i64(digits, &value));
                sum |= value;
            }
        }
        if (!found) {
            return refuse_word(row, msg);
        }
    }
    *out = sum;
    return HL_OK;
}

static hl_err check_range(const struct config_row *row, int64_t v, struct hl_errmsg *msg)
{
    if (v >= row->min && v <= row->max) {
        return HL_OK;
    }
    if (row->type == HL_CFG_TYPE_OCTAL) {
        return hl_fail(msg, HL_EINVAL, "argument must be between %llo and %llo inclusive",
                       (unsigned long long)row->min, (unsigned long long)row->max);
    }
    const char *unit = row->type == HL_CFG_TYPE_DURATION ? row->hint : "";
    return hl_fail(msg, HL_EINVAL, "argument must be between %lld%s and %lld%s inclusive",
                   (long long)row->min, unit, (long long)row->max, unit);
}

static bool parse_octal(struct hl_slice text, int64_t *out)
{
    int64_t v = 0;
    if (text.len == 0 || text.len > 8) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '7') {
            return false;
        }
        v = v * 8 + (text.ptr[i] - '0');
    }
    *out = v;
    return true;
}

static hl_err parse_duration(const struct config_row *row, struct hl_slice text, int64_t *out,
                             struct hl_errmsg *msg)
{
    int64_t unit_ms = strcmp(row->hint, "s") == 0 ? 1000 : 1;
    int64_t ms = 0;
    if (!hl_parse_duration(text, unit_ms, &ms)) {
        return hl_fail(msg, HL_EINVAL, "argument must be a duration such as 100ms, 5s, 5m or 1h");
    }
    if (ms % unit_ms != 0) {
        return hl_fail(msg, HL_EINVAL, "argument must be a whole number of seconds");
    }
    *out = ms / unit_ms;
    return check_range(row, *out, msg);
}

static hl_err parse_size_or_percent(const struct config_row *row, struct hl_slice text,
                                    int64_t *out, struct hl_errmsg *msg)
{
    int64_t v = 0;
    if (text.len > 1 && text.ptr[text.len - 1] == '%') {
        text.len--;
        if (!hl_parse_i64(text, &v) || v < 0) {
            return hl_fail(msg, HL_EINVAL, "argument must be a memory or percent value");
        }
        if (v > 100) {
            return hl_fail(msg, HL_EINVAL, "percentage argument must be less or equal to 100");
        }
        *out = -v;
        return HL_OK;
    }
    if (!hl_parse_size(text, &v) || v < 0) {
        return hl_fail(msg, HL_EINVAL, "argument must be a memory or percent value");
    }
    *out = v;
    return check_range(row, v, msg);
}

/* The types whose value is one number. */
static hl_err parse_number(const struct config_row *row, struct hl_slice text, bool lenient,
                           int64_t *out, struct hl_errmsg *msg)
{
    switch (row->type) {
    case HL_CFG_TYPE_BOOL:
        if (!parse_bool(text, lenient, out)) {
            return hl_fail(msg, HL_EINVAL, "argument must be 'yes' or 'no'");
        }
        if (*out > row->max) {
            return hl_fail(msg, HL_EINVAL, "this server does not offer it");
        }
        return HL_OK;
    case HL_CFG_TYPE_INT:
        if (!hl_parse_i64(text, out)) {
            return hl_fail(msg, HL_EINVAL, "argument couldn't be parsed into an integer");
        }
        return check_range(row, *out, msg);
    case HL_CFG_TYPE_SIZE:
        if (!hl_parse_size(text, out) || *out < 0) {
            return hl_fail(msg, HL_EINVAL, "argument must be a memory value");
        }
        return check_range(row, *out, msg);
    case HL_CFG_TYPE_OCTAL:
        if (!parse_octal(text, out)) {
            return hl_fail(msg, HL_EINVAL, "argument couldn't be parsed as an octal number");
        }
        return check_range(row, *out, msg);
    case HL_CFG_TYPE_DURATION:
        return parse_duration(row, text, out, msg);
    case HL_CFG_TYPE_ENUM:
        *out = enum_index(row->hint, text);
        return *out < 0 ? refuse_word(row, msg) : HL_OK;
    case HL_CFG_TYPE_BITS:
        return parse_bits(row, text, out, msg);
    case HL_CFG_TYPE_SIZE_OR_PERCENT:
        return parse_size_or_percent(row, text, out, msg);
    case HL_CFG_TYPE_STRING:
    case HL_CFG_TYPE_SECRET:
    case HL_CFG_TYPE_PATH:
    case HL_CFG_TYPE_FILENAME:
    case HL_CFG_TYPE_NAME:
    case HL_CFG_TYPE_ADDRESS:
    case HL_CFG_TYPE_LISTEN:
    case HL_CFG_TYPE_URL:
    case HL_CFG_TYPE_BIND:
    case HL_CFG_TYPE_OUTPUT_LIMIT:
    case HL_CFG_TYPE_SAVE:
    case HL_CFG_TYPE_PEERS:
    case HL_CFG_TYPE_TLS_PROTOCOLS:
    case HL_CFG_TYPE_PERCENTILES:
    case HL_CFG_TYPE_EVENTS:
    case HL_CFG_TYPE_OOM_VALUES:
        break;
    }
    HL_ASSERT(false);
    return HL_EINVAL;
}

hl_err config_parse(enum hl_cfg id, struct hl_slice text, bool lenient,
                    const struct config_value *old, struct config_value *out, struct hl_errmsg *msg)
{
    HL_ASSERT((unsigned)id < HL_CFG_COUNT);
    const struct config_row *row = &config_rows[id];
    text.ptr = text.len == 0 ? "" : text.ptr; /* an empty buffer has no memory */
    if (text.len > HL_CONFIG_VALUE_MAX) {
        return hl_fail(msg, HL_EINVAL, "argument is longer than %u bytes", HL_CONFIG_VALUE_MAX);
    }
    struct config_value value = {.source = old->source};
    hl_err err = HL_OK;
    if (config_is_number(row)) {
        err = parse_number(row, text, lenient, &value.num, msg);
        if (id == HL_CFG_HZ && err == HL_OK) {
            value.num = value.num < 1 ? 1 : value.num > 500 ? 500 : value.num;
        }
    } else if (text.len != 0 && memchr(text.ptr, '\0', text.len) != NULL) {
        err = hl_fail(msg, HL_EINVAL, "argument has a NUL byte");
    } else {
        err = config_parse_text(row, text, old, &value, msg);
    }
    if (err == HL_OK) {
        *out = value;
    }
    return err;
}

/* Append the words whose bits are set, "default" when none is. */
static void format_bits(const struct config_row *row, int64_t v, struct hl_buf *out)
{
    static const int print_order[] = {4, 8, 2, 1}; /* as Redis lists them: now force nosave save */
    struct hl_slice none = {0};
    size_t start = out->len;
    for (size_t i = 0; i <= HL_ARRAY_LEN(print_order); i++) {
        int64_t bit = i < HL_ARRAY_LEN(print_order) ? print_order[i] : 0;
        struct hl_slice rest = hl_slice_of(row->hint);
        struct hl_slice item;
        while (hl_config_next_word(&rest, &item)) {
            const char *equals = memchr(item.ptr, '=', item.len);
            HL_ASSERT(equals != NULL);
            size_t len = (size_t)(equals - item.ptr);
            int64_t value = 0;
            HL_ASSERT(hl_parse_i64((struct hl_slice){.ptr = equals + 1, .len = item.len - len - 1},
                                   &value));
            if (value == 0) {
                none = (struct hl_slice){.ptr = item.ptr, .len = len};
            } else if (value == bit && (v & bit) != 0) {
                hl_buf_append_text(out, out->len == start ? "" : " ");
                hl_buf_append(out, item.ptr, len);
            }
        }
    }
    if (out->len == start) {
        hl_buf_append_slice(out, none);
    }
}

void config_format_value(const struct config_row *row, const struct config_value *value,
                         struct hl_buf *out)
{
    if (!config_is_number(row)) {
        hl_buf_append_text(out, value->text == NULL ? "" : value->text);
        return;
    }
    if (row->type == HL_CFG_TYPE_BOOL) {
        hl_buf_append_text(out, value->num != 0 ? "yes" : "no");
    } else if (row->type == HL_CFG_TYPE_OCTAL) {
        hl_buf_printf(out, "%llo", (unsigned long long)value->num);
    } else if (row->type == HL_CFG_TYPE_BITS) {
        format_bits(row, value->num, out);
    } else if (row->type == HL_CFG_TYPE_SIZE_OR_PERCENT && value->num < 0) {
        hl_buf_printf(out, "%lld%%", (long long)-value->num);
    } else if (row->type == HL_CFG_TYPE_ENUM) {
        struct hl_slice rest = hl_slice_of(row->hint);
        struct hl_slice item = {0};
        for (int64_t i = 0; i <= value->num; i++) {
            HL_ASSERT(hl_config_next_word(&rest, &item));
        }
        hl_buf_append_slice(out, item);
    } else {
        hl_buf_printf(out, "%lld", (long long)value->num);
    }
}
