/* A cron expression and a zone's file from strangers: refused, or times that only go forward, and
 * spans that hold the time that was asked for.  Input: an expression up to the first NUL, then the
 * bytes of the file. */
#include "jobs/cron_expr.h"
#include "kit/assert.h"

#define AFTER INT64_C(1700000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_zone(const struct cron_expr *expr, const struct cron_zone *zone)
{
    int64_t at = AFTER;
    for (int i = 0; i < 5 && at != 0; i++) {
        int64_t next = cron_next(expr, zone, at);
        HL_ASSERT(next == 0 || next > at);
        at = next;
    }
    for (int64_t t = 0; t < INT64_C(12000000000); t += INT64_C(700000001)) {
        struct cron_span span = cron_zone_span(zone, t);
        HL_ASSERT(span.start <= t && t < span.end);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hl_slice all = {.ptr = (const char *)data, .len = size};
    const char *end = size == 0 ? NULL : memchr(data, '\0', size);
    struct hl_slice text = {.ptr = all.ptr, .len = end == NULL ? size : (size_t)(end - all.ptr)};
    struct cron_expr expr;
    if (cron_parse(text, &expr, NULL) != HL_OK) {
        hl_err err = cron_parse(hl_slice_of("30 2 * * *"), &expr, NULL);
        HL_ASSERT(err == HL_OK);
    }
    try_zone(&expr, NULL);
    struct cron_zone *zone = NULL;
    if (end != NULL &&
        cron_zone_parse(&zone, (struct hl_slice){end + 1, size - text.len - 1}) == HL_OK) {
        try_zone(&expr, zone);
        cron_zone_destroy(zone);
    }
    return 0;
}
