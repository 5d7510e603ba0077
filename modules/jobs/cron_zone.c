/* See cron_zone.h.
 *
 * Invariants:
 *   Z1  the listed changes are in ascending order, and every offset is within a day and two hours.
 *   Z2  nothing is read past the bytes, whatever the counts in them say.
 */
#include "cron_zone.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#define DAY 86400
#define HEADER_LEN 44
#define CHANGES_MAX 8192
#define OFFSET_MAX (26 * 3600)
#define RULE_TIME_MAX (167 * 3600) /* RFC 8536, 3.3.1 */

/* When the clocks change in each year: a day and a time by the clocks before. */
struct rule_day {
    enum { RULE_JULIAN, RULE_ZERO, RULE_MONTH } kind; /* Jn (no 29 February), n, Mm.w.d */
    int day, week, month;
    int32_t time;
};

struct cron_zone {
    size_t count;
    int64_t *at;      /* when the clocks changed, */
    int32_t *offsets; /* and to what: count + 1 of them, the first from the beginning */
    bool has_rule, rule_changes;
    int32_t standard, summer;
    struct rule_day begin, end; /* of summer time */
};

/* --- dates ------------------------------------------------------------------------------------ */

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int cron_month_len(int64_t year, int month)
{
    static const int lens[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    HL_ASSERT(month >= 1 && month <= 12);
    return month == 2 && is_leap(year) ? 29 : lens[month - 1];
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

/* Days from 1 January of year 1 to 1 January of `year`. */
static int64_t days_before_year(int64_t year)
{
    int64_t y = year - 1;
    return y * 365 + floor_div(y, 4) - floor_div(y, 100) + floor_div(y, 400);
}

int64_t cron_days_of(int64_t year, int month, int day)
{
    int64_t days = days_before_year(year) - days_before_year(1970);
    for (int m = 1; m < month; m++) {
        days += cron_month_len(year, m);
    }
    return days + day - 1;
}

void cron_date_of(int64_t days, int64_t *year, int *month, int *day)
{
    /* 146097 days are 400 years; the guess is right or one too high or low. */
    int64_t y = 1970 + floor_div(days * 400, 146097);
    while (cron_days_of(y, 1, 1) > days) {
        y--;
    }
    while (cron_days_of(y + 1, 1, 1) <= days) {
        y++;
    }
    int64_t rest = days - cron_days_of(y, 1, 1);
    int m = 1;
    while (rest >= cron_month_len(y, m)) {
        rest -= cron_month_len(y, m++);
    }
    *year = y;
    *month = m;
    *day = (int)rest + 1;
}

/* --- the rule of the footer --------------------------------------------------------------------
 */

static bool take(struct hl_slice *text, char c)
{
    if (text->len == 0 || text->ptr[0] != c) {
        return false;
    }
    text->ptr++;
    text->len--;
    return true;
}

static bool take_number(struct hl_slice *text, int max, int *out)
{
    int value = 0;
    size_t len = 0;
    while (len < text->len && len < 4 && text->ptr[len] >= '0' && text->ptr[len] <= '9') {
        value = value * 10 + (text->ptr[len++] - '0');
    }
    text->ptr += len;
    text->len -= len;
    *out = value;
    return len != 0 && value <= max;
}

/* hh[:mm[:ss]] with a sign. */
static bool take_time(struct hl_slice *text, int hours_max, int32_t *out)
{
    bool negative = take(text, '-');
    if (!negative) {
        (void)take(text, '+');
    }
    int hours = 0;
    int minutes = 0;
    int seconds = 0;
    if (!take_number(text, hours_max, &hours)) {
        return false;
    }
    if (take(text, ':') && (!take_number(text, 59, &minutes) ||
                            (take(text, ':') && !take_number(text, 59, &seconds)))) {
        return false;
    }
    int32_t time = hours * 3600 + minutes * 60 + seconds;
    *out = negative ? -time : time;
    return true;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* An abbreviation such as CET or <+03>. */
static bool take_name(struct hl_slice *text)
{
    size_t len = 0;
    if (take(text, '<')) {
        while (len < text->len && text->ptr[len] != '>') {
            len++;
        }
        if (len == text->len) {
            return false;
        }
        len++;
    } else {
        while (len < text->len && is_letter(text->ptr[len])) {
            len++;
        }
    }
    text->ptr += len;
    text->len -= len;
    return len >= 2;
}

static bool take_rule_day(struct hl_slice *text, struct rule_day *out)
{
    *out = (struct rule_day){.kind = RULE_ZERO, .time = 2 * 3600};
    bool ok = false;
    if (!take(text, ',')) {
        return false;
    }
    if (take(text, 'M')) {
        out->kind = RULE_MONTH;
        ok = take_number(text, 12, &out->month) && out->month >= 1 && take(text, '.') &&
             take_number(text, 5, &out->week) && out->week >= 1 && take(text, '.') &&
             take_number(text, 6, &out->day);
    } else if (take(text, 'J')) {
        out->kind = RULE_JULIAN;
        ok = take_number(text, 365, &out->day) && out->day >= 1;
    } else {
        ok = take_number(text, 365, &out->day);
    }
    return ok && (!take(text, '/') || take_time(text, RULE_TIME_MAX / 3600, &out->time));
}

/* A POSIX TZ text, whose offsets count westwards. */
static bool read_rule(struct cron_zone *zone, struct hl_slice text)
{
    int32_t west = 0;
    if (!take_name(&text) || !take_time(&text, 24, &west)) {
        return false;
    }
    zone->has_rule = true;
    zone->standard = -west;
    zone->summer = zone->standard;
    if (text.len == 0) {
        return true;
    }
    if (!take_name(&text)) {
        return false;
    }
    zone->summer = zone->standard + 3600;
    if (text.len > 0 && text.ptr[0] != ',') {
        if (!take_time(&text, 24, &west)) {
            return false;
        }
        zone->summer = -west;
    }
    zone->rule_changes = true;
    return take_rule_day(&text, &zone->begin) && take_rule_day(&text, &zone->end) && text.len == 0;
}

/* The moment of a rule's change in a year, by the clocks of `offset`. */
static int64_t rule_moment(const struct rule_day *rule, int64_t year, int32_t offset)
{
    int64_t days = cron_days_of(year, 1, 1);
    switch (rule->kind) {
    case RULE_ZERO:
        days += rule->day;
        break;
    case RULE_JULIAN:
        days += rule->day - 1 + (is_leap(year) && rule->day >= 60 ? 1 : 0);
        break;
    case RULE_MONTH: {
        int64_t first = cron_days_of(year, rule->month, 1);
        int weekday = (int)(((first + 4) % 7 + 7) % 7); /* 1 January 1970 was a Thursday */
        int day = (rule->day - weekday + 7) % 7 + 7 * (rule->week - 1);
        while (day >= cron_month_len(year, rule->month)) {
            day -= 7;
        }
        days = first + day;
        break;
    }
    }
    return days * DAY + rule->time - offset;
}

/* The changes of a year that the rule makes, in order. */
struct change {
    int64_t at;
    int32_t before, after;
};

static void rule_changes(const struct cron_zone *zone, int64_t year, struct change out[2])
{
    struct change begin = {rule_moment(&zone->begin, year, zone->standard), zone->standard,
                           zone->summer};
    struct change end = {rule_moment(&zone->end, year, zone->summer), zone->summer, zone->standard};
    bool north = begin.at <= end.at;
    out[0] = north ? begin : end;
    out[1] = north ? end : begin;
}

/* --- the file ----------------------------------------------------------------------------------
 */

static uint32_t get_be32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static int64_t get_time(const char *p, size_t size)
{
    if (size == 4) {
        return (int32_t)get_be32(p);
    }
    return (int64_t)((uint64_t)get_be32(p) << 32 | get_be32(p + 4));
}

/* One of the two blocks of a file. */
struct block {
    size_t utc_count, std_count, leap_count, time_count, type_count, char_count;
    size_t time_size; /* bytes of a time: 4 or 8 */
    const char *body;
    size_t len; /* of the body */
};

/* Read a header at the front of `in`, and go past it and its body. */
static bool take_block(struct hl_slice *in, size_t time_size, struct block *out)
{
    if (in->len < HEADER_LEN || memcmp(in->ptr, "TZif", 4) != 0) {
        return false;
    }
    size_t *const counts[] = {&out->utc_count,  &out->std_count,  &out->leap_count,
                              &out->time_count, &out->type_count, &out->char_count};
    for (size_t i = 0; i < HL_ARRAY_LEN(counts); i++) {
        *counts[i] = get_be32(in->ptr + 20 + 4 * i);
        if (*counts[i] > CRON_ZONE_FILE_MAX) {
            return false;
        }
    }
    out->time_size = time_size;
    out->body = in->ptr + HEADER_LEN;
    out->len = out->time_count * (time_size + 1) + out->type_count * 6 + out->char_count +
               out->leap_count * (time_size + 4) + out->std_count + out->utc_count;
    if (in->len - HEADER_LEN < out->len || out->time_count > CHANGES_MAX || out->type_count < 1 ||
        out->type_count > 256) {
        return false;
    }
    in->ptr += HEADER_LEN + out->len;
    in->len -= HEADER_LEN + out->len;
    return true;
}

static bool read_block(struct cron_zone *zone, const struct block *block)
{
    const char *times = block->body;
    const char *indices = times + block->time_count * block->time_size;
    const char *types = indices + block->time_count;
    zone->at = hl_calloc(block->time_count + 1, sizeof *zone->at);
    zone->offsets = hl_calloc(block->time_count + 1, sizeof *zone->offsets);
    zone->offsets[0] = (int32_t)get_be32(types);
    for (size_t i = 0; i < block->time_count; i++) {
        size_t type = (unsigned char)indices[i];
        int64_t at = get_time(times + i * block->time_size, block->time_size);
        if (type >= block->type_count || (i > 0 && at <= zone->at[i - 1])) {
            return false;
        }
        zone->at[i] = at;
        zone->offsets[i + 1] = (int32_t)get_be32(types + 6 * type);
    }
    zone->count = block->time_count;
    for (size_t i = 0; i <= zone->count; i++) {
        if (zone->offsets[i] > OFFSET_MAX || zone->offsets[i] < -OFFSET_MAX) {
            return false;
        }
    }
    return true;
}

/* The line behind the second block. */
static bool read_footer(struct cron_zone *zone, struct hl_slice rest)
{
    if (!take(&rest, '\n')) {
        return false;
    }
    const char *end = rest.len == 0 ? NULL : memchr(rest.ptr, '\n', rest.len);
    if (end == NULL) {
        return false;
    }
    struct hl_slice rule = {.ptr = rest.ptr, .len = (size_t)(end - rest.ptr)};
    return rule.len == 0 || read_rule(zone, rule);
}

hl_err cron_zone_parse(struct cron_zone **out, struct hl_slice bytes)
{
    struct hl_slice rest = bytes;
    struct block block;
    if (bytes.len > CRON_ZONE_FILE_MAX || !take_block(&rest, 4, &block)) {
        return HL_ECORRUPT;
    }
    bool second = bytes.ptr[4] >= '2';
    if (second && !take_block(&rest, 8, &block)) {
        return HL_ECORRUPT;
    }
    struct cron_zone *zone = hl_calloc(1, sizeof *zone);
    if (!read_block(zone, &block) || (second && !read_footer(zone, rest))) {
        cron_zone_destroy(zone);
        return HL_ECORRUPT;
    }
    *out = zone;
    return HL_OK;
}

void cron_zone_destroy(struct cron_zone *zone)
{
    if (zone != NULL) {
        hl_free(zone->at);
        hl_free(zone->offsets);
        hl_free(zone);
    }
}

bool cron_zone_name_is_good(struct hl_slice name)
{
    if (name.len < 1 || name.len > CRON_ZONE_NAME_MAX) {
        return false;
    }
    bool word = false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool plain = is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '-';
        if (!plain && (c != '/' || !word)) {
            return false;
        }
        word = plain;
    }
    return word;
}

/* --- which span --------------------------------------------------------------------------------
 */

/* Narrow `span` by the changes of the rule; only for times after the listed ones. */
static void follow_rule(const struct cron_zone *zone, int64_t at, struct cron_span *span)
{
    int64_t year = 0;
    int month = 0;
    int day = 0;
    cron_date_of(floor_div(at, DAY), &year, &month, &day);
    int32_t offset = span->offset;
    bool known = false;
    for (int64_t y = year - 1; y <= year + 1; y++) {
        struct change changes[2];
        rule_changes(zone, y, changes);
        for (int i = 0; i < 2; i++) {
            if (changes[i].at <= span->start) {
                continue; /* the file itself tells what happened then */
            }
            if (changes[i].at <= at) {
                span->before = known ? offset : changes[i].before;
                span->start = changes[i].at;
                offset = changes[i].after;
                known = true;
            } else if (changes[i].at < span->end) {
                span->end = changes[i].at;
                offset = known ? offset : changes[i].before;
            }
        }
    }
    span->offset = offset;
}

struct cron_span cron_zone_span(const struct cron_zone *zone, int64_t at)
{
    struct cron_span span = {.start = INT64_MIN, .end = INT64_MAX};
    if (zone == NULL) {
        return span;
    }
    size_t low = 0; /* how many changes are not after `at` */
    size_t high = zone->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (zone->at[middle] <= at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    span.offset = zone->offsets[low];
    span.before = low == 0 ? span.offset : zone->offsets[low - 1];
    span.start = low == 0 ? INT64_MIN : zone->at[low - 1];
    span.end = low == zone->count ? INT64_MAX : zone->at[low];
    if (low == zone->count && zone->has_rule) {
        if (zone->rule_changes) {
            follow_rule(zone, at, &span);
        } else {
            span.offset = zone->standard;
            span.before = low == 0 ? span.offset : span.before;
        }
    }
    return span;
}
