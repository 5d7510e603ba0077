/* Goal: our clocks show what the C library's show, in every zone, at every change and in any year,
 * and bytes that are no zone do no harm.
 * Method: libc is the oracle; damaged files come from real ones by cutting and by chance. */
#include "cron_clocks.h"
#include "jobs_world.h"

#include <stdlib.h>
#include <time.h>

#define ZONES_MAX 600
#define TIMES 300
#define SPAN_S (INT64_C(330) * 365 * 86400) /* to the year 2300 */

static char names[ZONES_MAX][64];
static size_t count;

/* All names of the table that comes with the files. */
static void list_zones(void)
{
    FILE *file = fopen("/usr/share/zoneinfo/tzdata.zi", "r");
    cr_assert_not_null(file, "is tzdata installed?");
    char line[512];
    while (fgets(line, sizeof line, file) != NULL && count < ZONES_MAX) {
        char name[64] = "";
        if (sscanf(line, "Z %63s", name) == 1) {
            memcpy(names[count++], name, sizeof name);
        }
    }
    (void)fclose(file);
}

static void set_clock(const char *name)
{
    char text[80];
    (void)snprintf(text, sizeof text, ":%.64s", name);
    cr_assert_eq(setenv("TZ", text, 1), 0);
    tzset();
}

static long libc_offset(int64_t at)
{
    time_t t = (time_t)at;
    struct tm tm;
    cr_assert_not_null(localtime_r(&t, &tm));
    return tm.tm_gmtoff;
}

Test(cron_zone, shows_what_the_c_library_shows)
{
    list_zones();
    cr_assert_gt(count, 300, "%zu", count);
    struct world rng = {.seed = 1};
    for (size_t i = 0; i < count; i++) {
        struct cron_zone *zone = clocks_open(names[i]);
        set_clock(names[i]);
        for (int k = 0; k < TIMES; k++) {
            int64_t at = (int64_t)(world_draw(&rng) % ((uint64_t)SPAN_S));
            struct cron_span span = cron_zone_span(zone, at);
            cr_assert(span.start <= at && at < span.end, "%s %ld", names[i], (long)at);
            cr_assert_eq(span.offset, libc_offset(at), "%s %ld: %d", names[i], (long)at,
                         span.offset);
            /* The edges are where the clocks change, and nowhere between. */
            if (span.start > 0) {
                cr_assert_eq(span.before, libc_offset(span.start - 1), "%s", names[i]);
                cr_assert_eq(span.offset, libc_offset(span.start), "%s", names[i]);
            }
            if (span.end < SPAN_S) {
                cr_assert_eq(span.offset, libc_offset(span.end - 1), "%s", names[i]);
            }
            int64_t low = span.start > 0 ? span.start : 0;
            int64_t high = span.end < SPAN_S ? span.end : SPAN_S;
            int64_t between = low + (int64_t)(world_draw(&rng) % ((uint64_t)(high - low)));
            cr_assert_eq(span.offset, libc_offset(between), "%s %ld", names[i], (long)between);
        }
        cron_zone_destroy(zone);
    }
}

Test(cron_zone, no_zone_is_utc)
{
    struct cron_span span = cron_zone_span(NULL, 12345);
    cr_assert_eq(span.offset, 0);
    cr_assert_eq(span.start, INT64_MIN);
    cr_assert_eq(span.end, INT64_MAX);
}

Test(cron_zone, dates_go_back_and_forth)
{
    int64_t days = -200000;
    int64_t year = 0;
    int month = 0;
    int day = 0;
    cron_date_of(0, &year, &month, &day);
    cr_assert(year == 1970 && month == 1 && day == 1);
    cron_date_of(19782, &year, &month, &day);
    cr_assert(year == 2024 && month == 2 && day == 29);
    for (; days < 200000; days++) {
        cron_date_of(days, &year, &month, &day);
        cr_assert_eq(cron_days_of(year, month, day), days);
        cr_assert(day >= 1 && day <= cron_month_len(year, month) && month >= 1 && month <= 12);
    }
}

/* Whatever the bytes are: refused, or a zone that answers every time with a span around it. */
static void try_bytes(struct hl_slice bytes)
{
    struct cron_zone *zone = NULL;
    if (cron_zone_parse(&zone, bytes) != HL_OK) {
        return;
    }
    for (int64_t at = 0; at < SPAN_S; at += SPAN_S / 37) {
        struct cron_span span = cron_zone_span(zone, at);
        cr_assert(span.start <= at && at < span.end);
    }
    cron_zone_destroy(zone);
}

Test(cron_zone, damaged_files_do_no_harm)
{
    static const char *const files[] = {"Europe/Berlin", "Africa/Casablanca", "UTC", "America/Nuuk",
                                        "Asia/Tokyo"};
    struct world rng = {.seed = 3};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        static char buf[CRON_ZONE_FILE_MAX];
        struct hl_slice whole = clocks_read(files[i], buf);
        for (size_t len = 0; len < whole.len; len++) {
            /* A block of its own, so that a sanitizer sees every byte too many. */
            char *cut = malloc(len + 1);
            memcpy(cut, whole.ptr, len);
            struct cron_zone *zone = NULL;
            cr_assert_neq(cron_zone_parse(&zone, (struct hl_slice){cut, len}), HL_OK);
            free(cut);
        }
        for (int k = 0; k < 20000; k++) {
            char *copy = malloc(whole.len);
            memcpy(copy, whole.ptr, whole.len);
            for (uint64_t n = (world_draw(&rng) % 4) + 1; n > 0; n--) {
                bool head = (world_draw(&rng) % 2) == 0;
                uint64_t at = (world_draw(&rng) % (uint64_t)(head ? 60 : whole.len));
                copy[at] = (char)world_draw(&rng);
            }
            try_bytes((struct hl_slice){copy, whole.len});
            free(copy);
        }
    }
}

Test(cron_zone, a_name_names_nothing_outside)
{
    static const char *const good[] = {"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires",
                                       "Etc/GMT+3", "America/Port-au-Prince"};
    static const char *const bad[] = {"",   "/etc/passwd", "../x",        "a/../b", "a//b",
                                      "a/", "a.b",         "Europe/B\n",  "x y",    "a/./b",
                                      "~",  "/",           "zone\xc3\xa9"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_assert(cron_zone_name_is_good(hl_slice_of(good[i])), "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_not(cron_zone_name_is_good(hl_slice_of(bad[i])), "%s", bad[i]);
    }
    char long_name[70];
    memset(long_name, 'a', sizeof long_name);
    cr_assert_not(cron_zone_name_is_good((struct hl_slice){long_name, sizeof long_name}));
    cr_assert_not(cron_zone_name_is_good((struct hl_slice){"a\0b", 3}));
}
