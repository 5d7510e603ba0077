/* See cron_expr.h.
 *
 * Invariants:
 *   E1  every set of a parsed expression has a member, and none outside its field's range.
 *   E2  cron_next(after) > after, or 0.
 */
#include "cron_expr.h"

#include "kit/assert.h"

#define DAY 86400
#define FIELDS 6

/* One field of an expression. */
static const struct field {
    const char *what;
    int min, max;
    const char *names; /* of the numbers from `min`, three letters each; NULL: none */
} fields[FIELDS] = {
    {"second", 0, 59, NULL},
    {"minute", 0, 59, NULL},
    {"hour", 0, 23, NULL},
    {"day of the month", 1, 31, NULL},
    {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    {"day of the week", 0, 7, "sunmontuewedthufrisat"},
};

/* A field as it is read. */
struct set {
    uint64_t bits;
    bool star; /* it begins with '*' */
    bool last; /* it has an L */
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool take(struct hl_slice *text, char c)
{
    if (text->len == 0 || lower(text->ptr[0]) != c) {
        return false;
    }
    text->ptr++;
    text->len--;
    return true;
}

static bool take_digits(struct hl_slice *text, int *out)
{
    int value = 0;
    size_t len = 0;
    while (len < text->len && len < 4 && text->ptr[len] >= '0' && text->ptr[len] <= '9') {
        value = value * 10 + (text->ptr[len++] - '0');
    }
    text->ptr += len;
    text->len -= len;
    *out = value;
    return len != 0;
}

/* A number or a name of the field, in its range. */
static bool take_value(const struct field *field, struct hl_slice *text, int *out)
{
    if (take_digits(text, out)) {
        return *out >= field->min && *out <= field->max;
    }
    for (int i = 0; field->names != NULL && text->len >= 3 && field->names[3 * i] != '\0'; i++) {
        const char *name = field->names + 3 * i;
        if (lower(text->ptr[0]) == name[0] && lower(text->ptr[1]) == name[1] &&
            lower(text->ptr[2]) == name[2]) {
            text->ptr += 3;
            text->len -= 3;
            *out = field->min + i;
            return true;
        }
    }
    return false;
}

/* One item of a field's list: *, a, a-b, each with /step, or L. */
static bool take_item(const struct field *field, struct hl_slice *text, struct set *set)
{
    bool days = field == &fields[3];
    if (days && take(text, 'l')) {
        set->last = true;
        return true;
    }
    int low = field->min;
    int high = field->max - (field == &fields[5] ? 1 : 0);
    bool star = take(text, '*');
    bool single = false;
    if (!star) {
        if (!take_value(field, text, &low)) {
            return false;
        }
        single = !take(text, '-');
        high = low;
        if (!single && !take_value(field, text, &high)) {
            return false;
        }
        if (field == &fields[5] && high == 0 && low > 0) {
            high = 7; /* fri-sun */
        }
    }
    int step = 1;
    if (take(text, '/')) {
        if (!take_digits(text, &step) || step < 1 || step > field->max) {
            return false;
        }
        high = single ? field->max - (field == &fields[5] ? 1 : 0) : high;
    }
    if (low > high) {
        return false;
    }
    for (int n = low; n <= high; n += step) {
        set->bits |= UINT64_C(1) << n;
    }
    return true;
}

static hl_err read_field(const struct field *field, struct hl_slice text, struct set *set,
                         struct hl_errmsg *msg)
{
    *set = (struct set){.star = text.len > 0 && text.ptr[0] == '*'};
    struct hl_slice rest = text;
    bool ok = true;
    do {
        ok = take_item(field, &rest, set);
    } while (ok && take(&rest, ','));
    if (!ok || rest.len != 0) {
        return hl_fail(msg, HL_EINVAL, "the %s '%.*s' is not one", field->what,
                       (int)(text.len < 40 ? text.len : 40), text.ptr);
    }
    return HL_OK;
}

static struct hl_slice next_word(struct hl_slice *text)
{
    while (text->len > 0 && (text->ptr[0] == ' ' || text->ptr[0] == '\t')) {
        text->ptr++;
        text->len--;
    }
    struct hl_slice word = {.ptr = text->ptr, .len = 0};
    while (word.len < text->len && text->ptr[word.len] != ' ' && text->ptr[word.len] != '\t') {
        word.len++;
    }
    text->ptr += word.len;
    text->len -= word.len;
    return word;
}

/* What a word such as @daily stands for; NULL for no such word. */
static const char *expand(struct hl_slice text)
{
    static const char *const words[][2] = {
        {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
        {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
        {"@hourly", "0 * * * *"},
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(words); i++) {
        if (hl_slice_is(text, words[i][0])) {
            return words[i][1];
        }
    }
    return NULL;
}

hl_err cron_parse(struct hl_slice text, struct cron_expr *out, struct hl_errmsg *msg)
{
    if (text.len > CRON_TEXT_MAX) {
        return hl_fail(msg, HL_EINVAL, "it has more than %d bytes", CRON_TEXT_MAX);
    }
    if (text.len > 0 && text.ptr[0] == '@') {
        const char *expansion = expand(text);
        if (expansion == NULL) {
            return hl_fail(msg, HL_EINVAL, "there is no such word");
        }
        text = hl_slice_of(expansion);
    }
    struct hl_slice words[FIELDS + 1];
    size_t count = 0;
    while (count <= FIELDS && (words[count] = next_word(&text)).len > 0) {
        count++;
    }
    if (count != FIELDS && count != FIELDS - 1) {
        return hl_fail(msg, HL_EINVAL, "it has not five or six fields");
    }
    struct set sets[FIELDS] = {{.bits = 1}};
    for (size_t i = 0; i < count; i++) {
        size_t at = i + FIELDS - count;
        hl_err err = read_field(&fields[at], words[i], &sets[at], msg);
        if (err != HL_OK) {
            return err;
        }
    }
    uint64_t week = sets[5].bits;
    *out = (struct cron_expr){
        .seconds = sets[0].bits,
        .minutes = sets[1].bits,
        .hours = (uint32_t)sets[2].bits,
        .days = (uint32_t)sets[3].bits,
        .months = (uint32_t)sets[4].bits,
        .weekdays = (uint32_t)((week | week >> 7) & 0x7f), /* 7 is Sunday, too */
        .last_day = sets[3].last,
        .either_day = !sets[3].star && !sets[5].star,
        .time_of_day = !sets[1].star && !sets[2].star,
    };
    return HL_OK;
}

static bool is_in(uint64_t bits, int64_t n)
{
    return (bits >> n & 1) != 0;
}

static bool day_matches(const struct cron_expr *expr, int64_t days, int64_t year, int month,
                        int day)
{
    bool of_month =
        is_in(expr->days, day) || (expr->last_day && day == cron_month_len(year, month));
    bool of_week = is_in(expr->weekdays, ((days + 4) % 7 + 7) % 7);
    return expr->either_day ? of_month || of_week : of_month && of_week;
}

/* The least member of a set that is not below `from`; -1 when there is none. */
static int next_member(uint64_t bits, int from)
{
    if (from >= 64) {
        return -1;
    }
    uint64_t left = bits >> from;
    return left == 0 ? -1 : from + __builtin_ctzll(left);
}

/* The first second of a day, not before `from`, in which the expression fires; -1: none. */
static int64_t time_in_day(const struct cron_expr *expr, int64_t from)
{
    int hour = (int)(from / 3600);
    int minute = (int)(from / 60 % 60);
    int second = (int)(from % 60);
    int h = next_member(expr->hours, hour);
    for (; h >= 0; h = next_member(expr->hours, h + 1)) {
        int m = next_member(expr->minutes, h == hour ? minute : 0);
        for (; m >= 0; m = next_member(expr->minutes, m + 1)) {
            int s = next_member(expr->seconds, h == hour && m == minute ? second : 0);
            if (s >= 0) {
                return h * 3600 + m * 60 + s;
            }
        }
    }
    return -1;
}

/* The first second of local time in from..end-1 that matches; INT64_MIN when there is none. */
static int64_t next_local(const struct cron_expr *expr, int64_t from, int64_t end)
{
    int64_t days = from / DAY - (from % DAY < 0 ? 1 : 0);
    int64_t start = from - days * DAY;
    while (days * DAY < end) {
        int64_t year = 0;
        int month = 0;
        int day = 0;
        cron_date_of(days, &year, &month, &day);
        if (!is_in(expr->months, month)) {
            days += cron_month_len(year, month) - day + 1;
            start = 0;
            continue;
        }
        int64_t time = day_matches(expr, days, year, month, day) ? time_in_day(expr, start) : -1;
        if (time >= 0) {
            return days * DAY + time < end ? days * DAY + time : INT64_MIN;
        }
        days++;
        start = 0;
    }
    return INT64_MIN;
}

int64_t cron_next(const struct cron_expr *expr, const struct cron_zone *zone, int64_t after)
{
    HL_ASSERT(after >= 0 && after <= CRON_TIME_MAX);
    int64_t limit = after + (int64_t)CRON_YEARS_MAX * 366 * DAY;
    int64_t at = after + 1;
    while (at < limit) {
        struct cron_span span = cron_zone_span(zone, at);
        int64_t end = span.end < limit ? span.end : limit;
        int64_t from = at + span.offset;
        if (expr->time_of_day && span.offset > span.before && at == span.start &&
            next_local(expr, at + span.before, at + span.offset) != INT64_MIN) {
            return at; /* it falls into the time that was left out */
        }
        if (expr->time_of_day && span.offset < span.before && from < span.start + span.before) {
            from = span.start + span.before; /* the clocks showed this time before */
        }
        int64_t local = next_local(expr, from, end + span.offset);
        if (local != INT64_MIN) {
            return local - span.offset;
        }
        at = end;
    }
    return 0;
}
