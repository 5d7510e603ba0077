/* Snapshots as files in a directory: names, publishing, finding the newest, removing old ones. */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "wal/snapfile.h"
#include "wal/snapname.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DIGITS 20
#define SUFFIX ".snap"
#define TEMP_SUFFIX ".snap.new"
#define FILES_MAX 4096 /* of each kind that a directory is searched for */

void hl_snap_name(char out[HL_DISK_NAME_MAX], hl_index index)
{
    snprintf(out, HL_DISK_NAME_MAX, "%020" PRIu64 SUFFIX, index);
}

void hl_snap_temp_name(char out[HL_DISK_NAME_MAX], hl_index index)
{
    snprintf(out, HL_DISK_NAME_MAX, "%020" PRIu64 TEMP_SUFFIX, index);
}

/* The index in a name that ends in `suffix`; 0 when it is not one. */
static hl_index parse(const char *name, const char *suffix)
{
    if (strlen(name) != DIGITS + strlen(suffix) || strcmp(name + DIGITS, suffix) != 0) {
        return 0;
    }
    size_t zeros = strspn(name, "0");
    if (zeros >= DIGITS) {
        return 0;
    }
    uint64_t index = 0;
    struct hl_slice digits = {.ptr = name + zeros, .len = DIGITS - zeros};
    return hl_parse_u64(digits, &index) ? index : 0;
}

hl_index hl_snap_name_index(const char *name)
{
    return parse(name, SUFFIX);
}

struct listing {
    hl_index published[FILES_MAX];
    hl_index temps[FILES_MAX];
    size_t published_count, temps_count;
};

static void note(void *arg, const char *name)
{
    struct listing *listing = arg;
    hl_index index = parse(name, SUFFIX);
    if (index != 0 && listing->published_count < FILES_MAX) {
        listing->published[listing->published_count++] = index;
    }
    index = parse(name, TEMP_SUFFIX);
    if (index != 0 && listing->temps_count < FILES_MAX) {
        listing->temps[listing->temps_count++] = index;
    }
}

static hl_err list(const struct hl_disk *disk, const char *dir, struct listing **out,
                   struct hl_errmsg *msg)
{
    struct listing *listing = hl_calloc(1, sizeof *listing);
    hl_err err = disk->list(disk->ctx, dir, note, listing, msg);
    if (err != HL_OK) {
        hl_free(listing);
        return err;
    }
    *out = listing;
    return HL_OK;
}

hl_err hl_snap_publish(const struct hl_disk *disk, const char *dir, hl_index index,
                       struct hl_errmsg *msg)
{
    char temp[HL_DISK_NAME_MAX];
    char name[HL_DISK_NAME_MAX];
    hl_snap_temp_name(temp, index);
    hl_snap_name(name, index);
    hl_err err = disk->rename(disk->ctx, dir, temp, name, msg);
    return err == HL_OK ? disk->sync_dir(disk->ctx, dir, msg) : err;
}

/* Read the snapshot of `index` to its end. */
static hl_err verify(const struct hl_disk *disk, const char *dir, hl_index index,
                     struct hl_snap_label *label, struct hl_errmsg *msg)
{
    struct hl_snap_reader *reader = NULL;
    hl_err err = hl_snap_reader_open(&reader, disk, dir, index, label, msg);
    if (err != HL_OK) {
        return err;
    }
    char *bytes = hl_malloc(HL_SNAP_BLOCK_MAX);
    size_t got = 1;
    while (err == HL_OK && got > 0) {
        err = hl_snap_read(reader, bytes, HL_SNAP_BLOCK_MAX, &got, msg);
    }
    hl_free(bytes);
    hl_snap_reader_close(reader);
    return err;
}

/* Take the largest index out of the list; 0 when it is empty. */
static hl_index take_newest(struct listing *listing)
{
    size_t best = 0;
    for (size_t i = 1; i < listing->published_count; i++) {
        if (listing->published[i] > listing->published[best]) {
            best = i;
        }
    }
    if (listing->published_count == 0) {
        return 0;
    }
    hl_index index = listing->published[best];
    listing->published[best] = listing->published[--listing->published_count];
    return index;
}

static hl_err remove_temps(const struct hl_disk *disk, const char *dir,
                           const struct listing *listing, struct hl_errmsg *msg)
{
    hl_err err = HL_OK;
    for (size_t i = 0; err == HL_OK && i < listing->temps_count; i++) {
        char name[HL_DISK_NAME_MAX];
        hl_snap_temp_name(name, listing->temps[i]);
        err = disk->remove(disk->ctx, dir, name, msg);
    }
    return err;
}

hl_err hl_snap_find(const struct hl_disk *disk, const char *dir, bool clean,
                    struct hl_snap_found *found, struct hl_errmsg *msg)
{
    *found = (struct hl_snap_found){0};
    struct listing *listing = NULL;
    hl_err err = list(disk, dir, &listing, msg);
    if (err != HL_OK) {
        return err;
    }
    err = clean ? remove_temps(disk, dir, listing, msg) : HL_OK;
    while (err == HL_OK) {
        hl_index index = take_newest(listing);
        if (index == 0) {
            err = hl_fail(msg, HL_ENOENT, "%s: no snapshot", dir);
            break;
        }
        struct hl_errmsg why = {0};
        struct hl_snap_label label;
        err = verify(disk, dir, index, &label, &why);
        if (err == HL_OK) {
            found->label = label;
            break;
        }
        if (err == HL_ECORRUPT) {
            if (found->damaged++ == 0) {
                found->why = why;
            }
            err = HL_OK;
        } else if (msg != NULL) {
            *msg = why;
        }
    }
    hl_free(listing);
    return err;
}

hl_err hl_snap_drop_before(const struct hl_disk *disk, const char *dir, hl_index index,
                           struct hl_errmsg *msg)
{
    struct listing *listing = NULL;
    hl_err err = list(disk, dir, &listing, msg);
    if (err != HL_OK) {
        return err;
    }
    for (size_t i = 0; err == HL_OK && i < listing->published_count; i++) {
        if (listing->published[i] < index) {
            char name[HL_DISK_NAME_MAX];
            hl_snap_name(name, listing->published[i]);
            err = disk->remove(disk->ctx, dir, name, msg);
        }
    }
    hl_free(listing);
    return err;
}
