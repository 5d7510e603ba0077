#include "base/log.h"

#include "kit/assert.h"

#include <stdio.h>

#define CUT "..." /* stands where a message was cut */

/* A line being made: bounded, and always with room for its end. */
struct line {
    char bytes[HL_LOG_LINE_MAX];
    size_t len;
    size_t max; /* what may be filled now; the rest is kept for the end of the line */
};

/* Append whole or not at all. */
static bool put(struct line *line, const char *ptr, size_t len)
{
    if (line->max - line->len < len) {
        return false;
    }
    memcpy(line->bytes + line->len, ptr, len);
    line->len += len;
    return true;
}

static bool put_text(struct line *line, const char *text)
{
    return put(line, text, strlen(text));
}

/* Length of the valid UTF-8 character at `p`, 0 when there is none. */
static size_t utf8_len(const unsigned char *p, size_t left)
{
    unsigned char c = p[0];
    size_t len = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : 0;
    len = c >= 0xf0 && c < 0xf5 ? 4 : len;
    if (len == 0 || len > left) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (c == 0xe0 && p[1] < 0xa0) || (c == 0xf0 && p[1] < 0x90);
    bool surrogate = c == 0xed && p[1] >= 0xa0;
    bool too_big = c == 0xf4 && p[1] >= 0x90;
    return overlong || surrogate || too_big ? 0 : len;
}

/* Append one escaped byte or character at p; returns how many bytes of input it was, 0 when the
 * line is full. */
static size_t put_escaped(struct line *line, const unsigned char *p, size_t left, bool json)
{
    size_t len = utf8_len(p, left);
    char text[8];
    bool c1 = len == 2 && p[0] == 0xc2 && p[1] < 0xa0; /* control characters above ASCII */
    if (len == 1 && (p[0] == '"' || p[0] == '\\') && json) {
        text[0] = '\\';
        text[1] = (char)p[0];
        return put(line, text, 2) ? 1 : 0;
    }
    if (len > 1 && !c1) {
        return put(line, (const char *)p, len) ? len : 0;
    }
    if (len == 1 && p[0] >= ' ' && p[0] != 127) {
        return put(line, (const char *)p, 1) ? 1 : 0;
    }
    if (p[0] == '\n') {
        return put(line, "\\n", 2) ? 1 : 0;
    }
    int made = json && len == 0 ? snprintf(text, sizeof text, "\\ufffd")
               : json           ? snprintf(text, sizeof text, "\\u%04x", c1 ? p[1] : p[0])
                                : snprintf(text, sizeof text, "\\x%02x", p[0]);
    size_t taken = json && c1 ? 2 : 1;
    return put(line, text, (size_t)made) ? taken : 0;
}

/* Append as much of `text` as fits, marking a cut. */
static void put_quoted(struct line *line, struct hl_slice text, bool json)
{
    size_t at = 0;
    size_t max = line->max;
    HL_ASSERT(max >= line->len);
    line->max = max - line->len > strlen(CUT) ? max - strlen(CUT) : line->len;
    while (at < text.len) {
        size_t taken = put_escaped(line, (const unsigned char *)text.ptr + at, text.len - at, json);
        if (taken == 0) {
            break;
        }
        at += taken;
    }
    line->max = max;
    if (at < text.len) {
        (void)put_text(line, CUT);
    }
}

/* Civil date of a time, in the proleptic Gregorian calendar. */
struct date {
    int year, month, day, hour, minute, second, millisecond;
};

static struct date date_of(int64_t us)
{
    int64_t ms = us / 1000 - (us % 1000 < 0);
    int64_t days = ms / 86400000 - (ms % 86400000 < 0);
    int64_t in_day = ms - days * 86400000;
    struct date date = {.hour = (int)(in_day / 3600000),
                        .minute = (int)(in_day / 60000 % 60),
                        .second = (int)(in_day / 1000 % 60),
                        .millisecond = (int)(in_day % 1000)};
    /* Count from 1 March of year 0, so that the leap day is the last of its year. */
    int64_t from_march = days + 719468;
    int64_t era = from_march / 146097 - (from_march % 146097 < 0);
    int64_t in_era = from_march - era * 146097;
    int64_t year_in_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * year_in_era + year_in_era / 4 - year_in_era / 100);
    int64_t march_month = (5 * in_year + 2) / 153;
    date.day = (int)(in_year - (153 * march_month + 2) / 5 + 1);
    date.month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    date.year = (int)(year_in_era + era * 400 + (date.month <= 2));
    return date;
}

#define DAYS_MAX_US (INT64_C(253402300799) * 1000000) /* the end of the year 9999 */

static int64_t bounded_time(int64_t us)
{
    return us < 0 ? 0 : us > DAYS_MAX_US ? DAYS_MAX_US : us;
}

static void put_text_head(const struct hl_log *log, struct line *line, enum hl_log_level level)
{
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static const char marks[] = {'.', '-', '*', '#'};
    int64_t now = bounded_time(log->now_us(log->ctx) + (int64_t)log->utc_offset_s * 1000000);
    struct date date = date_of(now);
    char head[96];
    int len = snprintf(head, sizeof head, "%lld:%c %02d %s %d %02d:%02d:%02d.%03d %c ",
                       (long long)log->pid, log->role, date.day, months[date.month - 1], date.year,
                       date.hour, date.minute, date.second, date.millisecond, marks[level]);
    HL_ASSERT(len > 0 && (size_t)len < sizeof head);
    (void)put(line, head, (size_t)len);
}

static void make_text(const struct hl_log *log, struct line *line, enum hl_log_level level,
                      const char *component, struct hl_slice message,
                      const struct hl_log_field *fields, size_t field_count)
{
    put_text_head(log, line, level);
    if (component[0] != '\0') {
        put_quoted(line, hl_slice_of(component), false);
        (void)put_text(line, ": ");
    }
    put_quoted(line, message, false);
    line->max--; /* for the bracket */
    for (size_t i = 0; i < field_count; i++) {
        (void)put_text(line, i == 0 ? " [" : " ");
        put_quoted(line, hl_slice_of(fields[i].name), false);
        (void)put_text(line, " ");
        put_quoted(line, fields[i].value, false);
    }
    line->max++;
    (void)put_text(line, field_count != 0 ? "]" : "");
}

/* Append `"name":"value"` whole or not at all; `room` bytes more are kept free behind it. */
static bool put_pair(struct line *line, const char *before, struct hl_slice name,
                     struct hl_slice value)
{
    size_t start = line->len;
    bool good = put_text(line, before) && put_text(line, "\"") && line->max - line->len > 4;
    if (good) {
        line->max -= 4; /* ":" and two quotes, and the one after the value */
        put_quoted(line, name, true);
        line->max += 4;
        good = put_text(line, "\":\"");
    }
    good = good && line->max - line->len > 1;
    if (good) {
        line->max--;
        put_quoted(line, value, true);
        line->max++;
        good = put_text(line, "\"");
    }
    if (!good) {
        line->len = start;
    }
    return good;
}

static void make_json(const struct hl_log *log, struct line *line, enum hl_log_level level,
                      const char *component, struct hl_slice message,
                      const struct hl_log_field *fields, size_t field_count,
                      const struct hl_log_trace *trace)
{
    static const char *const names[] = {"debug", "info", "info", "warn"};
    struct date date = date_of(bounded_time(log->now_us(log->ctx)));
    char stamp[64];
    (void)snprintf(stamp, sizeof stamp, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", date.year,
                   date.month, date.day, date.hour, date.minute, date.second, date.millisecond);
    static const char extra[] = ",\"extra\":{";
    line->max -= sizeof extra - 1 + 2; /* always there, and two closing braces */
    (void)put_pair(line, "{", hl_slice_of("timestamp"), hl_slice_of(stamp));
    (void)put_pair(line, ",", hl_slice_of("level"), hl_slice_of(names[level]));
    (void)put_pair(line, ",", hl_slice_of("component"), hl_slice_of(component));
    if (trace != NULL && trace->trace_id[0] != '\0') {
        (void)put_pair(line, ",", hl_slice_of("trace_id"), hl_slice_of(trace->trace_id));
        (void)put_pair(line, ",", hl_slice_of("span_id"), hl_slice_of(trace->span_id));
    }
    (void)put_pair(line, ",", hl_slice_of("message"), message);
    line->max += sizeof extra - 1;
    (void)put_text(line, extra);
    for (size_t i = 0; i < field_count; i++) {
        bool first = line->bytes[line->len - 1] == '{';
        (void)put_pair(line, first ? "" : ",", hl_slice_of(fields[i].name), fields[i].value);
    }
    line->max += 2;
    (void)put_text(line, "}}");
}

void hl_log_event(struct hl_log *log, enum hl_log_level level, const char *component,
                  const char *message, const struct hl_log_field *fields, size_t field_count,
                  const struct hl_log_trace *trace)
{
    if (!hl_log_wants(log, level)) {
        return;
    }
    HL_ASSERT(log->now_us != NULL && log->write != NULL);
    HL_ASSERT((unsigned)level <= HL_LOG_WARNING);
    struct line line;
    line.len = 0;
    line.max = sizeof line.bytes - 1; /* for the newline */
    struct hl_slice text = {.ptr = message, .len = strnlen(message, HL_LOG_MESSAGE_MAX)};
    switch (log->form) {
    case HL_LOG_TEXT:
        make_text(log, &line, level, component, text, fields, field_count);
        break;
    case HL_LOG_JSON:
        make_json(log, &line, level, component, text, fields, field_count, trace);
        break;
    }
    line.bytes[line.len++] = '\n';
    log->write(log->ctx, level, (struct hl_slice){.ptr = line.bytes, .len = line.len});
}

void hl_log(struct hl_log *log, enum hl_log_level level, const char *component, const char *fmt,
            ...)
{
    if (!hl_log_wants(log, level)) {
        return;
    }
    char message[HL_LOG_MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    if (len < 0) {
        return; /* a wide character that cannot be printed: there is nothing to say */
    }
    if ((size_t)len >= sizeof message) {
        memcpy(message + sizeof message - sizeof CUT, CUT, sizeof CUT);
    }
    hl_log_event(log, level, component, message, NULL, 0, NULL);
}

bool hl_log_parse_level(struct hl_slice name, enum hl_log_level *out)
{
    static const struct {
        const char *name;
        enum hl_log_level level;
    } levels[] = {
        {"debug", HL_LOG_DEBUG},     {"verbose", HL_LOG_VERBOSE}, {"notice", HL_LOG_NOTICE},
        {"warning", HL_LOG_WARNING}, {"info", HL_LOG_NOTICE},     {"warn", HL_LOG_WARNING},
        {"error", HL_LOG_WARNING},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(levels); i++) {
        if (hl_slice_is(name, levels[i].name)) {
            *out = levels[i].level;
            return true;
        }
    }
    return false;
}
