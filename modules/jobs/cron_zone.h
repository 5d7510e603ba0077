/* cron_zone: the clocks of a place, read from the bytes of a TZif file (RFC 8536).
 *
 * libc's own reader belongs to a process that has one zone; this one is a value.  Times after the
 * last change that the file lists follow the rule in its footer, so they go on for ever.
 */
#ifndef JOBS_CRON_ZONE_H
#define JOBS_CRON_ZONE_H

#include "kit/bytes.h"
#include "kit/err.h"

#include <stdbool.h>
#include <stdint.h>

#define CRON_ZONE_NAME_MAX 64
#define CRON_ZONE_FILE_MAX (64 * 1024)

/* Opaque. */
struct cron_zone;

/* A time in which the clocks do not change. */
struct cron_span {
    int64_t start, end; /* seconds since 1970: start <= t < end */
    int32_t offset;     /* of local time to UTC, seconds, east is positive */
    int32_t before;     /* the offset before `start`; as `offset` when there is no start */
};

/* Whether a name may be one of a zone: letters, digits, '_', '+', '-', and '/' between such words.
 * So it names nothing outside a directory. */
bool cron_zone_name_is_good(struct hl_slice name);

/* Read a file's bytes.  HL_OK with a zone that the caller ends with cron_zone_destroy();
 * HL_ECORRUPT when it is no such file. */
HL_MUST_USE hl_err cron_zone_parse(struct cron_zone **out, struct hl_slice bytes);

/* NULL is allowed. */
void cron_zone_destroy(struct cron_zone *zone);

/* The span that holds the second `at`; `zone` NULL is UTC. */
struct cron_span cron_zone_span(const struct cron_zone *zone, int64_t at);

/* Day number (0 is 1 January 1970) of a date; `month` 1..12, `day` 1..31. */
int64_t cron_days_of(int64_t year, int month, int day);

/* The date of a day number. */
void cron_date_of(int64_t days, int64_t *year, int *month, int *day);

/* How many days a month has. */
int cron_month_len(int64_t year, int month);

#endif
