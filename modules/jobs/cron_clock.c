/* See cron_clock.h. */
#include "cron_clock.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <stdio.h>
#include <sys/stat.h>

#define ZONES_DIR "/usr/share/zoneinfo/"
#define CACHED_MAX 64

static struct cached {
    char name[CRON_ZONE_NAME_MAX + 1]; /* "" for a free place */
    struct cron_zone *zone;
    struct timespec changed; /* the file, when it was read */
    uint64_t used;           /* for the place of another zone: the least is the oldest */
} cache[CACHED_MAX];

static uint64_t uses;

static hl_err read_file(const char *path, struct cron_zone **zone)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        return HL_ENOENT;
    }
    char *bytes = hl_malloc(CRON_ZONE_FILE_MAX + 1);
    size_t len = fread(bytes, 1, CRON_ZONE_FILE_MAX + 1, file);
    bool failed = ferror(file) != 0;
    (void)fclose(file);
    hl_err err = HL_ECORRUPT;
    if (!failed && len <= CRON_ZONE_FILE_MAX) {
        err = cron_zone_parse(zone, (struct hl_slice){.ptr = bytes, .len = len});
    }
    hl_free(bytes);
    return err;
}

/* The place of that zone, or the one that it shall have. */
static struct cached *place_of(struct hl_slice name)
{
    struct cached *oldest = &cache[0];
    for (size_t i = 0; i < CACHED_MAX; i++) {
        if (cache[i].name[0] != '\0' && hl_slice_equal(hl_slice_of(cache[i].name), name)) {
            return &cache[i];
        }
        oldest = cache[i].used < oldest->used ? &cache[i] : oldest;
    }
    return oldest;
}

static void forget(struct cached *cached)
{
    cron_zone_destroy(cached->zone);
    *cached = (struct cached){.used = 0};
}

hl_err cron_clock_zone(struct hl_slice name, const struct cron_zone **zone)
{
    if (name.len == 0 || hl_slice_equal(name, hl_slice_of("UTC"))) {
        *zone = NULL;
        return HL_OK;
    }
    if (!cron_zone_name_is_good(name)) {
        return HL_EINVAL;
    }
    char path[sizeof ZONES_DIR + CRON_ZONE_NAME_MAX];
    (void)snprintf(path, sizeof path, ZONES_DIR "%.*s", (int)name.len, name.ptr);
    struct stat about;
    if (stat(path, &about) != 0 || !S_ISREG(about.st_mode)) {
        return HL_ENOENT;
    }
    struct cached *cached = place_of(name);
    bool known = hl_slice_equal(hl_slice_of(cached->name), name);
    if (!known || cached->changed.tv_sec != about.st_mtim.tv_sec ||
        cached->changed.tv_nsec != about.st_mtim.tv_nsec) {
        forget(cached);
        hl_err err = read_file(path, &cached->zone);
        if (err != HL_OK) {
            return err;
        }
        memcpy(cached->name, name.ptr, name.len);
        cached->name[name.len] = '\0';
        cached->changed = about.st_mtim;
    }
    cached->used = ++uses;
    *zone = cached->zone;
    return HL_OK;
}

int64_t cron_clock_next(void *ctx, struct hl_slice cron, struct hl_slice zone, int64_t after_ms)
{
    struct cron_expr expr;
    const struct cron_zone *clocks = NULL;
    int64_t after = after_ms / 1000;
    if (after < 0 || after > CRON_TIME_MAX || cron_parse(cron, &expr, NULL) != HL_OK) {
        return 0;
    }
    hl_err err = cron_clock_zone(zone, &clocks);
    if (err != HL_OK) {
        RedisModule_Log(
            ctx, "warning", "the time zone %.*s cannot be read (%d): its schedules rest",
            (int)(zone.len < CRON_ZONE_NAME_MAX ? zone.len : CRON_ZONE_NAME_MAX), zone.ptr, err);
        return 0;
    }
    return cron_next(&expr, clocks, after) * 1000;
}

void cron_clock_fini(void)
{
    for (size_t i = 0; i < CACHED_MAX; i++) {
        forget(&cache[i]);
    }
}
