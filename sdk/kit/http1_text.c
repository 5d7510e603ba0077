/* Small texts of HTTP. */
#include "kit/http1_text.h"

#include "kit/assert.h"

#include <stdio.h>

bool hl_http1_is_tchar(unsigned char c)
{
    static const char signs[] = "!#$%&'*+-.^_`|~";
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && memchr(signs, c, sizeof signs - 1) != NULL);
}

bool hl_http1_is_token(struct hl_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!hl_http1_is_tchar((unsigned char)text.ptr[i])) {
            return false;
        }
    }
    return text.len != 0;
}

bool hl_http1_is_value(struct hl_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

struct hl_slice hl_http1_trim(struct hl_slice text)
{
    while (text.len != 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text.ptr++;
        text.len--;
    }
    while (text.len != 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

/* Cut `text` at the first `c`; *rest is what follows, empty (ptr NULL) when there is no `c`. */
static struct hl_slice cut(struct hl_slice text, char c, struct hl_slice *rest)
{
    const char *at = text.len == 0 ? NULL : memchr(text.ptr, c, text.len);
    if (at == NULL) {
        *rest = (struct hl_slice){0};
        return text;
    }
    size_t len = (size_t)(at - text.ptr);
    *rest = (struct hl_slice){.ptr = at + 1, .len = text.len - len - 1};
    return (struct hl_slice){.ptr = text.ptr, .len = len};
}

bool hl_http1_list_next(struct hl_slice *rest, struct hl_slice *item)
{
    while (rest->len != 0) {
        struct hl_slice next = hl_http1_trim(cut(*rest, ',', rest));
        if (next.len != 0) {
            *item = next;
            return true;
        }
    }
    return false;
}

bool hl_http1_list_has(struct hl_slice list, const char *word)
{
    struct hl_slice item;
    while (hl_http1_list_next(&list, &item)) {
        if (hl_slice_is(item, word)) {
            return true;
        }
    }
    return false;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

hl_err hl_percent_decode(struct hl_buf *out, struct hl_slice text, bool plus)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            bool whole = text.len - i > 2;
            int high = whole ? hex_value(text.ptr[i + 1]) : -1;
            int low = whole ? hex_value(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return HL_EINVAL;
            }
            c = (char)(high << 4 | low);
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        hl_buf_append(out, &c, 1);
    }
    return HL_OK;
}

void hl_percent_encode(struct hl_buf *out, struct hl_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            hl_buf_append(out, &c, 1);
        } else {
            hl_buf_printf(out, "%%%02X", c);
        }
    }
}

bool hl_query_next(struct hl_slice *rest, struct hl_slice *name, struct hl_slice *value)
{
    while (rest->len != 0) {
        struct hl_slice pair = cut(*rest, '&', rest);
        if (pair.len != 0) {
            struct hl_slice behind;
            *name = cut(pair, '=', &behind);
            *value = behind;
            return true;
        }
    }
    return false;
}

hl_err hl_query_find(struct hl_slice query, const char *name, struct hl_buf *value)
{
    struct hl_slice found;
    struct hl_slice text;
    while (hl_query_next(&query, &found, &text)) {
        struct hl_buf plain = {0};
        bool same = hl_percent_decode(&plain, found, true) == HL_OK &&
                    hl_slice_equal(hl_buf_view(&plain), hl_slice_of(name));
        hl_buf_fini(&plain);
        if (same) {
            return hl_percent_decode(value, text, true);
        }
    }
    return HL_ENOENT;
}

void hl_http1_date(char out[HL_HTTP1_DATE_MAX], int64_t unix_s)
{
    static const char days[][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t last_s = 253402300799; /* the end of the year 9999 */
    unix_s = unix_s < 0 ? 0 : unix_s > last_s ? last_s : unix_s;
    int64_t day = unix_s / 86400;
    int second = (int)(unix_s % 86400);
    /* Days since 1970 to a date, counting years from March so that a leap day ends one. */
    int64_t shifted = day + 719468;
    int64_t era = shifted / 146097;
    int64_t of_era = shifted % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153; /* 0 is March */
    int date = (int)(of_year - (153 * month + 2) / 5 + 1);
    int calendar_month = (int)(month < 10 ? month + 2 : month - 10);
    int calendar_year = (int)(year + era * 400 + (calendar_month < 2 ? 1 : 0));
    int len =
        snprintf(out, HL_HTTP1_DATE_MAX, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[day % 7],
                 (unsigned)date % 100, months[calendar_month], (unsigned)calendar_year % 10000,
                 (unsigned)second / 3600 % 24, (unsigned)second / 60 % 60, (unsigned)second % 60);
    HL_ASSERT(len == HL_HTTP1_DATE_MAX - 1);
}

const char *hl_http1_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {207, "Multi-Status"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(reasons); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "";
}
