/* Goal: an expression fires exactly when its words and the clocks of its zone say.
 * Method: tables for what is written in the manuals and for the changes of clocks; and for
 * thousands of drawn expressions a scan of every minute of some years, by the C library's clocks
 * and a matcher that shares no code with ours. */
#include "cron_clocks.h"
#include "jobs/cron_expr.h"
#include "jobs_world.h"

#include <stdlib.h>
#include <time.h>

#define MINUTES (3 * 366 * 1440)

static struct cron_expr parse(const char *text)
{
    struct cron_expr expr;
    struct hl_errmsg msg = {0};
    cr_assert_eq(cron_parse(hl_slice_of(text), &expr, &msg), HL_OK, "%s: %s", text, msg.text);
    return expr;
}

/* Seconds since 1970 of "2024-03-31 02:30" or with ":15", by UTC. */
static int64_t utc(const char *text)
{
    int y = 0;
    int mo = 0;
    int d = 0;
    int h = 0;
    int mi = 0;
    int s = 0;
    cr_assert_geq(sscanf(text, "%d-%d-%d %d:%d:%d", &y, &mo, &d, &h, &mi, &s), 5, "%s", text);
    return cron_days_of(y, mo, d) * 86400 + h * 3600 + mi * 60 + s;
}

/* The next times after `after`, in UTC, must be those of `wanted`, which NULL ends. */
static void expect(const char *text, const char *place, const char *after,
                   const char *const *wanted)
{
    struct cron_expr expr = parse(text);
    struct cron_zone *zone = place == NULL ? NULL : clocks_open(place);
    int64_t at = utc(after);
    for (int i = 0; wanted[i] != NULL; i++) {
        int64_t next = cron_next(&expr, zone, at);
        cr_assert_eq(next, utc(wanted[i]), "%s in %s after %s: time %d is %+ld s off %s", text,
                     place == NULL ? "UTC" : place, after, i, (long)(next - utc(wanted[i])),
                     wanted[i]);
        at = next;
    }
    cron_zone_destroy(zone);
}

#define EXPECT(text, place, after, ...)                                                            \
    expect(text, place, after, (const char *const[]){__VA_ARGS__, NULL})

Test(cron_expr, fields_lists_ranges_steps_and_names)
{
    EXPECT("0 12 * * *", NULL, "2024-01-01 12:00", "2024-01-02 12:00", "2024-01-03 12:00");
    EXPECT("*/20 9-10 * * mon-fri", NULL, "2024-06-07 10:30", "2024-06-07 10:40",
           "2024-06-10 09:00", "2024-06-10 09:20");
    EXPECT("5,35 0 1 jan,JUL *", NULL, "2024-01-01 00:05", "2024-01-01 00:35", "2024-07-01 00:05");
    EXPECT("10/25 3 * * *", NULL, "2024-01-01 00:00", "2024-01-01 03:10", "2024-01-01 03:35",
           "2024-01-02 03:10");
    EXPECT("0 0 * * 7", NULL, "2024-06-05 00:00", "2024-06-09 00:00", "2024-06-16 00:00");
    EXPECT("0 0 * * fri-sun", NULL, "2024-06-05 00:00", "2024-06-07 00:00", "2024-06-08 00:00",
           "2024-06-09 00:00", "2024-06-14 00:00");
    EXPECT("30 15 10 * * *", NULL, "2024-01-01 00:00", "2024-01-01 10:15:30",
           "2024-01-02 10:15:30");
    EXPECT("*/15 * * * * *", NULL, "2024-01-01 00:00:46", "2024-01-01 00:01:00",
           "2024-01-01 00:01:15");
    EXPECT("0 0 L * *", NULL, "2023-12-31 00:00", "2024-01-31 00:00", "2024-02-29 00:00",
           "2024-03-31 00:00", "2024-04-30 00:00");
    EXPECT("0 0 1,L 2 *", NULL, "2023-01-01 00:00", "2023-02-01 00:00", "2023-02-28 00:00");
    EXPECT("\t 0  0 * * * ", NULL, "2024-01-01 00:00", "2024-01-02 00:00");
}

Test(cron_expr, words_stand_for_expressions)
{
    EXPECT("@yearly", NULL, "2024-01-01 00:00", "2025-01-01 00:00");
    EXPECT("@Annually", NULL, "2024-01-01 00:00", "2025-01-01 00:00");
    EXPECT("@monthly", NULL, "2024-01-15 00:00", "2024-02-01 00:00");
    EXPECT("@weekly", NULL, "2024-06-05 00:00", "2024-06-09 00:00");
    EXPECT("@daily", NULL, "2024-06-05 00:00", "2024-06-06 00:00");
    EXPECT("@midnight", NULL, "2024-06-05 00:00", "2024-06-06 00:00");
    EXPECT("@hourly", NULL, "2024-06-05 00:00", "2024-06-05 01:00");
}

/* As Vixie's cron: with both restricted one is enough; a field that begins with a star is not. */
Test(cron_expr, either_day_is_enough_when_both_are_restricted)
{
    EXPECT("0 0 13 * fri", NULL, "2024-09-01 00:00", "2024-09-06 00:00", "2024-09-13 00:00",
           "2024-09-20 00:00", "2024-09-27 00:00", "2024-10-04 00:00", "2024-10-11 00:00",
           "2024-10-13 00:00");
    EXPECT("0 0 */2 * fri", NULL, "2024-09-01 00:00", "2024-09-13 00:00", "2024-09-27 00:00",
           "2024-10-11 00:00");
    EXPECT("0 0 13 * *", NULL, "2024-09-01 00:00", "2024-09-13 00:00", "2024-10-13 00:00");
}

Test(cron_expr, leap_days_and_days_that_never_come)
{
    EXPECT("0 0 29 2 *", NULL, "2023-03-01 00:00", "2024-02-29 00:00", "2028-02-29 00:00");
    EXPECT("0 0 29 2 *", NULL, "2096-03-01 00:00", "2104-02-29 00:00");
    /* 29 February on a Sunday: 28 years apart, and 12 or 40 around a year that is no leap year. */
    EXPECT("0 0 29 2 */7", NULL, "2032-03-01 00:00", "2060-02-29 00:00", "2088-02-29 00:00",
           "2128-02-29 00:00");
    EXPECT("0 0 31 4-5 *", NULL, "2024-01-01 00:00", "2024-05-31 00:00", "2025-05-31 00:00");
    static const char *const never[] = {"0 0 30 2 *", "0 0 31 4 *", "0 0 31 2,4,6,9,11 *"};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        struct cron_expr expr = parse(never[i]);
        cr_assert_eq(cron_next(&expr, NULL, utc("2024-01-01 00:00")), 0, "%s", never[i]);
    }
}

/* Berlin: 31 March 2024 01:00Z 02:00 becomes 03:00; 27 October 2024 01:00Z 03:00 becomes 02:00. */
Test(cron_expr, a_time_that_is_left_out_fires_once_afterwards)
{
    EXPECT("30 2 * * *", "Europe/Berlin", "2024-03-29 12:00", "2024-03-30 01:30",
           "2024-03-31 01:00", "2024-04-01 00:30");
    EXPECT("15,45 2 * * *", "Europe/Berlin", "2024-03-30 12:00", "2024-03-31 01:00",
           "2024-04-01 00:15", "2024-04-01 00:45");
    EXPECT("0 3 * * *", "Europe/Berlin", "2024-03-30 12:00", "2024-03-31 01:00",
           "2024-04-01 01:00");
    EXPECT("0 2,3 * * *", "Europe/Berlin", "2024-03-30 12:00", "2024-03-31 01:00",
           "2024-04-01 00:00", "2024-04-01 01:00");
    EXPECT("30 2 31 3 *", "Europe/Berlin", "2024-01-01 00:00", "2024-03-31 01:00",
           "2025-03-31 00:30");
    EXPECT("*/30 * * * *", "Europe/Berlin", "2024-03-31 00:30", "2024-03-31 01:00",
           "2024-03-31 01:30", "2024-03-31 02:00");
    EXPECT("*/30 2 * * *", "Europe/Berlin", "2024-03-30 12:00", "2024-04-01 00:00");
    /* Samoa had no 30 December 2011 at all. */
    EXPECT("0 12 * * *", "Pacific/Apia", "2011-12-29 12:00", "2011-12-29 22:00", "2011-12-30 10:00",
           "2011-12-30 22:00", "2011-12-31 22:00");
}

Test(cron_expr, of_two_equal_hours_a_time_of_day_takes_the_first)
{
    EXPECT("30 2 * * *", "Europe/Berlin", "2024-10-26 12:00", "2024-10-27 00:30",
           "2024-10-28 01:30");
    EXPECT("0 3 * * *", "Europe/Berlin", "2024-10-26 12:00", "2024-10-27 02:00",
           "2024-10-28 02:00");
    EXPECT("0 2 * * *", "Europe/Berlin", "2024-10-26 12:00", "2024-10-27 00:00",
           "2024-10-28 01:00");
    EXPECT("30 1 * * *", "America/New_York", "2024-11-02 12:00", "2024-11-03 05:30",
           "2024-11-04 06:30");
    EXPECT("45 1 * * *", "Australia/Lord_Howe", "2024-04-05 16:00", "2024-04-06 14:45",
           "2024-04-07 15:15");
    EXPECT("0 * * * *", "Europe/Berlin", "2024-10-26 23:00", "2024-10-27 00:00", "2024-10-27 01:00",
           "2024-10-27 02:00");
    EXPECT("30 * * * *", "Europe/Berlin", "2024-10-26 23:30", "2024-10-27 00:30",
           "2024-10-27 01:30", "2024-10-27 02:30");
    /* Starting in the middle of the second of the two. */
    EXPECT("45 2 * * *", "Europe/Berlin", "2024-10-27 01:10", "2024-10-28 01:45");
}

Test(cron_expr, zones_go_on_after_the_last_change_that_their_file_lists)
{
    EXPECT("30 2 * * *", "Europe/Berlin", "2060-03-27 12:00", "2060-03-28 01:00",
           "2060-03-29 00:30");
    EXPECT("0 9 1 7 *", "America/New_York", "2090-01-01 00:00", "2090-07-01 13:00");
}

Test(cron_expr, what_is_no_expression_is_refused_with_a_reason)
{
    static const char *const wrong[] = {"",
                                        "*",
                                        "* * * *",
                                        "* * * * * * *",
                                        "60 * * * *",
                                        "* 24 * * *",
                                        "* * 0 * *",
                                        "* * 32 * *",
                                        "* * * 0 *",
                                        "* * * 13 *",
                                        "* * * * 8",
                                        "-1 * * * *",
                                        "5-1 * * * *",
                                        "*/0 * * * *",
                                        "*/60 * * * *",
                                        "a * * * *",
                                        "1, * * * *",
                                        ",1 * * * *",
                                        "1-  * * * *",
                                        "1/ * * * *",
                                        "** * * * *",
                                        "* * * foo *",
                                        "* * * * mo",
                                        "* L * * *",
                                        "@reboot",
                                        "@",
                                        "@daily x",
                                        "* * LL * *",
                                        "1.5 * * * *",
                                        "*\n* * * *",
                                        "* * * * * @",
                                        "99999999999 * * * *",
                                        "0 0 1 janfeb *",
                                        "1-2-3 * * * *",
                                        "60 0 0 * * *"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct cron_expr expr;
        struct hl_errmsg msg = {0};
        cr_assert_eq(cron_parse(hl_slice_of(wrong[i]), &expr, &msg), HL_EINVAL, "%s", wrong[i]);
        cr_assert_neq(msg.text[0], '\0');
    }
    char long_text[CRON_TEXT_MAX + 2];
    memset(long_text, ' ', sizeof long_text);
    struct cron_expr expr;
    cr_assert_eq(cron_parse((struct hl_slice){long_text, sizeof long_text}, &expr, NULL),
                 HL_EINVAL);
}

Test(cron_expr, any_bytes_are_an_expression_or_refused)
{
    static const char letters[] = "0123456789*,-/ L@janmondw\t\n\0\xff";
    struct world rng = {.seed = 5};
    for (int i = 0; i < 200000; i++) {
        size_t len = (world_draw(&rng) % 24);
        char *text = malloc(len + 1);
        for (size_t k = 0; k < len; k++) {
            text[k] = letters[(world_draw(&rng) % (sizeof letters - 1))];
        }
        struct cron_expr expr;
        if (cron_parse((struct hl_slice){text, len}, &expr, NULL) == HL_OK) {
            int64_t next = cron_next(&expr, NULL, 1000000);
            cr_assert(next == 0 || next > 1000000);
        }
        free(text);
    }
}

/* --- the scan ----------------------------------------------------------------------------------
 */

/* A drawn expression as plain tables. */
struct drawn {
    char text[200];
    bool in[5][64]; /* minute, hour, day of the month, month, day of the week */
    bool star[5];
};

static void draw_field(struct drawn *d, int field, struct world *rng)
{
    static const int lows[] = {0, 0, 1, 1, 0};
    static const int highs[] = {59, 23, 31, 12, 6};
    int low = lows[field];
    int high = highs[field];
    int span = high - low + 1;
    char *out = d->text + strlen(d->text);
    size_t room = sizeof d->text - strlen(d->text);
    uint64_t kind = (world_draw(rng) % 6);
    int a = low + (int)(world_draw(rng) % ((uint64_t)span));
    int b = a + (int)(world_draw(rng) % ((uint64_t)(high - a + 1)));
    int step = 1 + (int)(world_draw(rng) % ((uint64_t)span - 1));
    if (kind == 0 || (kind == 5 && field > 1)) {
        (void)snprintf(out, room, "* ");
        a = low;
        b = high;
        step = 1;
        d->star[field] = true;
    } else if (kind == 1) {
        (void)snprintf(out, room, "*/%d ", step);
        a = low;
        b = high;
        d->star[field] = true;
    } else if (kind == 2) {
        (void)snprintf(out, room, "%d-%d ", a, b);
        step = 1;
    } else if (kind == 3) {
        (void)snprintf(out, room, "%d-%d/%d ", a, b, step);
    } else {
        int c = low + (int)(world_draw(rng) % ((uint64_t)span));
        (void)snprintf(out, room, "%d,%d ", a, c);
        d->in[field][c] = true;
        b = a;
    }
    for (int n = a; n <= b; n += step) {
        d->in[field][n] = true;
    }
}

/* What the clocks show in one minute. */
struct face {
    int16_t minute_of_day;
    int8_t day, month, weekday;
};

static struct face faces[MINUTES];
static int32_t offsets[MINUTES];

static bool matches(const struct drawn *d, const struct face *f)
{
    bool day = d->in[2][f->day];
    bool week = d->in[4][f->weekday];
    bool either = !d->star[2] && !d->star[4];
    return d->in[0][f->minute_of_day % 60] && d->in[1][f->minute_of_day / 60] &&
           d->in[3][f->month] && (either ? day || week : day && week);
}

static struct face face_of(const struct tm *tm)
{
    return (struct face){.minute_of_day = (int16_t)(tm->tm_hour * 60 + tm->tm_min),
                         .day = (int8_t)tm->tm_mday,
                         .month = (int8_t)(tm->tm_mon + 1),
                         .weekday = (int8_t)tm->tm_wday};
}

static void look_at_clocks(const char *place, int64_t start)
{
    char text[80];
    (void)snprintf(text, sizeof text, ":%s", place);
    (void)setenv("TZ", text, 1);
    tzset();
    for (int i = 0; i < MINUTES; i++) {
        time_t t = (time_t)(start + i * 60);
        struct tm tm;
        (void)localtime_r(&t, &tm);
        faces[i] = face_of(&tm);
        offsets[i] = (int32_t)tm.tm_gmtoff;
    }
}

/* Whether a minute that the clocks skip between i-1 and i matches. */
static bool skipped_matches(const struct drawn *d, int64_t start, int i)
{
    for (int64_t local = start + i * 60 + offsets[i - 1]; local < start + i * 60 + offsets[i];
         local += 60) {
        time_t t = (time_t)local;
        struct tm tm;
        (void)gmtime_r(&t, &tm);
        struct face face = face_of(&tm);
        if (matches(d, &face)) {
            return true;
        }
    }
    return false;
}

static bool fires(const struct drawn *d, int64_t start, int i, int64_t *latest)
{
    bool passing = d->star[0] || d->star[1];
    int64_t local = start + i * 60 + offsets[i];
    bool again = local <= *latest;
    *latest = local > *latest ? local : *latest;
    if (passing) {
        return matches(d, &faces[i]);
    }
    bool skipped = i > 0 && offsets[i] > offsets[i - 1] && skipped_matches(d, start, i);
    return skipped || (!again && matches(d, &faces[i]));
}

static void compare(const struct drawn *d, const char *place, const struct cron_zone *zone,
                    int64_t start)
{
    struct cron_expr expr = parse(d->text);
    int64_t latest = INT64_MIN;
    int64_t end = start + (int64_t)(MINUTES - 1) * 60;
    /* The first minute has nothing before it. */
    (void)fires(d, start, 0, &latest);
    int64_t next = cron_next(&expr, zone, start);
    for (int i = 1; i < MINUTES; i++) {
        int64_t at = start + i * 60;
        if (fires(d, start, i, &latest)) {
            cr_assert_eq(next, at, "%s in %s should fire at %ld, next is %ld", d->text, place,
                         (long)at, (long)next);
            next = cron_next(&expr, zone, at);
        }
    }
    cr_assert(next == 0 || next > end, "%s in %s fires at %ld for no reason", d->text, place,
              (long)next);
}

Test(cron_expr, fires_as_a_scan_of_every_minute_says, .timeout = 240)
{
    static const struct {
        const char *place, *from;
    } rows[] = {
        {"Europe/Berlin", "2023-01-01 00:00"},       {"America/New_York", "2006-01-01 00:00"},
        {"Australia/Lord_Howe", "2007-06-01 00:00"}, {"Pacific/Apia", "2010-01-01 00:00"},
        {"America/St_Johns", "2010-06-01 00:00"},    {"Africa/Casablanca", "2017-01-01 00:00"},
        {"Europe/Dublin", "2036-06-01 00:00"},       {"Antarctica/Troll", "2024-01-01 00:00"},
        {"America/Caracas", "2015-01-01 00:00"},     {"Asia/Pyongyang", "2015-01-01 00:00"},
        {"Asia/Kathmandu", "2024-01-01 00:00"},      {"America/Santiago", "2050-01-01 00:00"}};
    struct world rng = {.seed = 11};
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        struct cron_zone *zone = clocks_open(rows[r].place);
        int64_t start = utc(rows[r].from);
        look_at_clocks(rows[r].place, start);
        for (int n = 0; n < 40; n++) {
            struct drawn d = {.text = ""};
            for (int field = 0; field < 5; field++) {
                draw_field(&d, field, &rng);
            }
            compare(&d, rows[r].place, zone, start);
        }
        cron_zone_destroy(zone);
    }
}
