#include "command/args.h"

#include "kit/num.h"

#include <stdio.h>

#define ERROR_TEXT_MAX 512

void hl_reply_error(struct hl_call *call, const char *text)
{
    call->failed = true;
    hl_write_error(call->out, text);
}

void hl_reply_errorf(struct hl_call *call, const char *fmt, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    hl_reply_error(call, text);
}

void hl_reply_arity(struct hl_call *call)
{
    hl_reply_errorf(call, "ERR wrong number of arguments for '%s' command", call->cmd->row->name);
}

bool hl_arg_i64(struct hl_call *call, int i, int64_t *out)
{
    if (!hl_parse_i64(call->argv[i], out)) {
        hl_reply_error(call, HL_ERR_NOT_INT);
        return false;
    }
    return true;
}

bool hl_arg_i64_range(struct hl_call *call, int i, int64_t min, int64_t max, int64_t *out)
{
    int64_t v = 0;
    if (!hl_arg_i64(call, i, &v)) {
        return false;
    }
    if (v < min || v > max) {
        hl_reply_errorf(call, "ERR value is out of range, value must between %lld and %lld",
                        (long long)min, (long long)max);
        return false;
    }
    *out = v;
    return true;
}

bool hl_arg_db(struct hl_call *call, int i, int *out)
{
    int64_t index = 0;
    if (!hl_arg_i64_range(call, i, INT32_MIN, INT32_MAX, &index)) {
        return false;
    }
    if (index < 0 || index >= call->ks->db_count) {
        hl_reply_error(call, "ERR DB index is out of range");
        return false;
    }
    *out = (int)index;
    return true;
}

bool hl_arg_cursor(struct hl_call *call, int i, uint64_t *out)
{
    struct hl_slice text = call->argv[i];
    text.len = text.len == 0 ? 0 : strnlen(text.ptr, text.len);
    bool sign = text.len != 0 && (text.ptr[0] == '-' || text.ptr[0] == '+');
    bool valid = !sign || text.len > 1;
    uint64_t v = 0;
    for (size_t at = sign; valid && at < text.len; at++) {
        unsigned digit = (unsigned)(unsigned char)text.ptr[at] - '0';
        valid = digit <= 9 && v <= (UINT64_MAX - digit) / 10;
        v = v * 10 + digit;
    }
    if (!valid) {
        hl_reply_error(call, "ERR invalid cursor");
        return false;
    }
    *out = sign && text.ptr[0] == '-' ? 0 - v : v;
    return true;
}

bool hl_arg_double(struct hl_call *call, int i, double *out)
{
    if (!hl_parse_double(call->argv[i], out)) {
        hl_reply_error(call, HL_ERR_NOT_FLOAT);
        return false;
    }
    return true;
}

bool hl_arg_is(const struct hl_call *call, int i, const char *word)
{
    return i < call->argc && hl_slice_is(call->argv[i], word);
}

struct hl_entry *hl_arg_find(struct hl_call *call, int i, enum hl_type type, unsigned find_flags,
                             bool *wrong)
{
    *wrong = false;
    struct hl_entry *entry = hl_db_find(call->db, call->argv[i], find_flags);
    if (entry != NULL && hl_entry_type(entry) != type) {
        hl_reply_error(call, HL_ERR_WRONGTYPE);
        *wrong = true;
        return NULL;
    }
    return entry;
}

const char *hl_encoding_name(enum hl_encoding encoding)
{
    switch (encoding) {
    case HL_ENC_RAW:
        return "raw";
    case HL_ENC_EMBSTR:
        return "embstr";
    case HL_ENC_INT:
        return "int";
    case HL_ENC_LISTPACK:
        return "listpack";
    case HL_ENC_HASHTABLE:
        return "hashtable";
    case HL_ENC_INTSET:
        return "intset";
    case HL_ENC_SKIPLIST:
        return "skiplist";
    case HL_ENC_QUICKLIST:
        return "quicklist";
    case HL_ENC_STREAM:
        return "stream";
    case HL_ENC_MODULE:
        break;
    }
    return "raw";
}

bool hl_arg_scan_options(struct hl_call *call, int first, bool with_type,
                         struct hl_scan_options *out)
{
    *out = (struct hl_scan_options){.count = 10};
    for (int i = first; i < call->argc; i += 2) {
        bool more = i + 1 < call->argc;
        if (more && hl_arg_is(call, i, "count")) {
            if (!hl_arg_i64(call, i + 1, &out->count)) {
                return false;
            }
            if (out->count < 1) {
                hl_reply_error(call, HL_ERR_SYNTAX);
                return false;
            }
        } else if (more && hl_arg_is(call, i, "match")) {
            bool all = hl_slice_equal(call->argv[i + 1], hl_slice_of("*"));
            out->pattern = all ? (struct hl_slice){0} : call->argv[i + 1];
        } else if (more && with_type && hl_arg_is(call, i, "type")) {
            out->type = call->argv[i + 1];
        } else {
            hl_reply_error(call, HL_ERR_SYNTAX);
            return false;
        }
    }
    return true;
}

int64_t hl_scan_steps(int64_t count)
{
    return count > INT64_MAX / 10 ? INT64_MAX : count * 10;
}
