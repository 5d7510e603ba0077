/* cron_expr: when a cron expression fires, as a function of time and a zone; no clock.
 *
 *   [second] minute hour day-of-month month day-of-week      five fields: second 0
 *
 * A field is a list of `*`, a number, a range `a-b`, each with `/step`; months and days have
 * English names of three letters; 0 and 7 are Sunday; `L` is the last day of a month.  When both
 * days are restricted (neither begins with `*`) one of them is enough, as in Vixie's cron.  @yearly
 * @annually
 * @monthly @weekly @daily @midnight @hourly stand for expressions.
 *
 * Where the clocks change, as in Vixie's cron: an expression whose minute or hour begins with `*`
 * goes by time that passes: it fires in both of two equal hours, and not in one that is left out.
 * Any other is at a time of day: of two equal hours it fires in the first, and what falls into an
 * hour that is left out fires once, at the first moment after it.
 */
#ifndef JOBS_CRON_EXPR_H
#define JOBS_CRON_EXPR_H

#include "cron_zone.h"
#include "kit/bytes.h"
#include "kit/err.h"

#include <stdbool.h>
#include <stdint.h>

#define CRON_TEXT_MAX 256  /* bytes of an expression */
#define CRON_YEARS_MAX 100 /* how far ahead the next time is looked for */
#define CRON_TIME_MAX                                                                              \
    (INT64_C(400) * 366 * 24 * 3600) /* seconds since 1970 that are dealt with                     \
                                      */

/* An expression as sets of numbers: bit n stands for n. */
struct cron_expr {
    uint64_t seconds, minutes;
    uint32_t hours, days, months, weekdays;
    bool last_day;    /* L: the last day of the month, besides `days` */
    bool either_day;  /* a day of the month or one of the week is enough */
    bool time_of_day; /* at times of day, not by passing time */
};

/* Read an expression.  HL_OK; HL_EINVAL with the reason in `msg` (may be NULL); `out` is then
 * unspecified. */
HL_MUST_USE hl_err cron_parse(struct hl_slice text, struct cron_expr *out, struct hl_errmsg *msg);

/* The first second after `after` (since 1970, 0..CRON_TIME_MAX) in which the expression fires by
 * the clocks of `zone` (NULL: UTC); 0 when there is none within CRON_YEARS_MAX years.  Costs a few
 * microseconds, and milliseconds for the rarest. */
int64_t cron_next(const struct cron_expr *expr, const struct cron_zone *zone, int64_t after);

#endif
