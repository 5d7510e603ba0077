/* Zone files as bytes and as zones, for tests. */
#ifndef TESTS_UNIT_JOBS_CRON_CLOCKS_H
#define TESTS_UNIT_JOBS_CRON_CLOCKS_H

#include "jobs/cron_zone.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* The file's bytes in `buf`; fails the test when there is none. */
static inline struct hl_slice clocks_read(const char *name, char buf[CRON_ZONE_FILE_MAX])
{
    char path[256];
    (void)snprintf(path, sizeof path, "/usr/share/zoneinfo/%.64s", name);
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s: is tzdata installed?", path);
    size_t len = fread(buf, 1, CRON_ZONE_FILE_MAX, file);
    (void)fclose(file);
    return (struct hl_slice){.ptr = buf, .len = len};
}

/* The zone of that name, which the caller ends. */
static inline struct cron_zone *clocks_open(const char *name)
{
    static char buf[CRON_ZONE_FILE_MAX];
    struct cron_zone *zone = NULL;
    cr_assert_eq(cron_zone_parse(&zone, clocks_read(name, buf)), HL_OK, "%s", name);
    return zone;
}

#endif
