/* The log: whatever happens to its files, opening neither loses an acknowledged entry silently nor
 * invents one, and touches nothing outside the bytes that it was given.
 *
 * Input, first byte even: damage to a good log, as triples (what, where, how much) on its files;
 * then every entry read must be the one that was written, and the log must reach the watermark or
 * be refused.  Damage is such that CRC-32C notices it: up to three bits, or bytes not chosen by
 * the input.  First byte odd: the rest is a segment behind a good header (or, 3 mod 4, the whole
 * file); it may hold what it likes and only memory is watched.
 */
#include "support/fake_disk.h"

#include "kit/assert.h"
#include "wal/wal.h"

#include <stdio.h>

#define ENTRIES 60
#define SEGMENT_SIZE 4096
#define FLIPS_MAX 3

static const struct hl_wal_options options = {
    .dir = "d", .segment_size = SEGMENT_SIZE, .salt = 0xfeed};
static const char *const names[] = {"00000000000000000001.wal", "00000000000000000031.wal",
                                    "00000000000000000061.wal"};

static size_t body_of(char *out, size_t size, hl_index index)
{
    return (size_t)snprintf(out, size, "%llu: this is the body of an entry, long enough to matter",
                            (unsigned long long)index);
}

static hl_index watermark;

/* A good log of three segments, made once. */
static struct fake_disk *good_log(void)
{
    static struct fake_disk *good;
    if (good != NULL) {
        return good;
    }
    good = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(good);
    struct hl_wal *wal = NULL;
    hl_err err = hl_wal_open(&wal, &disk, &options, NULL, NULL);
    HL_ASSERT(err == HL_OK);
    for (hl_index i = 1; i <= ENTRIES + 20; i++) {
        char text[128];
        struct hl_wal_entry entry = {.index = i, .term = 1, .type = HL_WAL_EFFECTS};
        entry.body = (struct hl_slice){.ptr = text, .len = body_of(text, sizeof text, i)};
        hl_wal_append(wal, &entry);
        err = i % 3 == 0 ? hl_wal_flush(wal, NULL) : HL_OK;
        HL_ASSERT(err == HL_OK);
    }
    err = hl_wal_flush(wal, NULL);
    HL_ASSERT(err == HL_OK);
    watermark = hl_wal_meta(wal)->watermark;
    HL_ASSERT(watermark > 0);
    hl_wal_close(wal);
    fake_disk_crash(good, FAKE_CRASH_PROCESS, 0);
    return good;
}

static bool check(void *arg, const struct hl_wal_entry *entry)
{
    hl_index *next = arg;
    char text[128];
    size_t len = body_of(text, sizeof text, entry->index);
    HL_ASSERT(entry->index == *next && entry->term == 1);
    HL_ASSERT(hl_slice_equal(entry->body, (struct hl_slice){.ptr = text, .len = len}));
    ++*next;
    return true;
}

static bool touch(void *arg, const struct hl_wal_entry *entry)
{
    uint64_t *sum = arg;
    for (size_t i = 0; i < entry->body.len; i++) {
        *sum += (unsigned char)entry->body.ptr[i];
    }
    return true;
}

/* Segment number `which` of those that are there; NULL when there is none. */
static const char *pick(struct fake_disk *fake, unsigned which)
{
    int segments = 0;
    for (int i = 0; i < fake->names_count; i++) {
        segments += strstr(fake->names[i].text, ".wal") != NULL;
    }
    int wanted = segments == 0 ? 0 : (int)(which % (unsigned)segments);
    for (int i = 0; i < fake->names_count; i++) {
        if (strstr(fake->names[i].text, ".wal") != NULL && wanted-- == 0) {
            return fake->names[i].text;
        }
    }
    return NULL;
}

static void damage(struct fake_disk *fake, const uint8_t *input, int *flips)
{
    const char *name = pick(fake, input[0] >> 3);
    if (name == NULL) {
        return;
    }
    struct fake_content *file = fake_disk_file(fake, name);
    size_t at = (size_t)(input[1] | input[2] << 8);
    size_t len = (size_t)input[3] * 4 + 1;
    switch (input[0] % 4) {
    case 0: /* a bit */
        if (at < file->len && ++*flips <= FLIPS_MAX) {
            fake_disk_poke(fake, name, at, (char)(file->bytes[at] ^ 1 << input[3] % 8));
        }
        break;
    case 1: /* a hole */
        for (size_t i = at; i < at + len && i < file->len; i++) {
            file->bytes[i] = 0;
        }
        break;
    case 2: /* a cut */
        if (at < file->len) {
            fake_disk_resize(fake, name, at);
        }
        break;
    case 3: { /* a page of this file where another belongs */
        size_t from = at / 512 * 512;
        size_t to = (size_t)input[3] / 32 * 512;
        if (from + 512 <= file->len && to + 512 <= file->len) {
            memmove(file->bytes + to, file->bytes + from, 512);
        }
        break;
    }
    }
}

static void open_damaged(const uint8_t *input, size_t len)
{
    struct fake_disk *fake = fake_disk_dup(good_log());
    struct hl_disk disk = fake_disk_seam(fake);
    int flips = 0;
    for (size_t at = 0; at + 4 <= len && at < 64; at += 4) {
        damage(fake, input + at, &flips);
    }
    struct hl_wal *wal = NULL;
    struct hl_wal_findings found;
    struct hl_errmsg msg = {0};
    hl_err err = hl_wal_open(&wal, &disk, &options, &found, &msg);
    if (err == HL_OK) {
        HL_ASSERT(hl_wal_last(wal) >= watermark);
        HL_ASSERT(hl_wal_last(wal) <= ENTRIES + 20);
        hl_index next = 1;
        err = hl_wal_read(wal, 1, hl_wal_last(wal), check, &next, &msg);
        HL_ASSERT(err == HL_OK && next == hl_wal_last(wal) + 1);
        hl_wal_close(wal);
        err = hl_wal_open(&wal, &disk, &options, &found, &msg);
        HL_ASSERT(err == HL_OK && hl_wal_last(wal) + 1 == next && found.file[0] == '\0');
        hl_wal_close(wal);
    } else {
        HL_ASSERT(err == HL_ECORRUPT);
        HL_ASSERT(found.damaged && msg.text[0] != '\0');
    }
    HL_ASSERT(fake->held == 0);
    fake_disk_destroy(fake);
}

static void open_raw(const uint8_t *input, size_t len, bool whole)
{
    struct fake_disk *fake = fake_disk_dup(good_log());
    struct hl_disk disk = fake_disk_seam(fake);
    size_t skip = whole ? 0 : HL_WAL_SEGMENT_HEADER;
    fake_disk_resize(fake, names[0], skip + len);
    if (len > 0) {
        memcpy(fake_disk_file(fake, names[0])->bytes + skip, input, len);
    }
    for (int i = 0; i < fake->names_count; i++) {
        const char *name = fake->names[i].text;
        if (strstr(name, ".wal") != NULL && strcmp(name, names[0]) != 0) {
            HL_MAYBE(disk.remove(disk.ctx, "d", name, NULL) != HL_OK);
            i = -1;
        }
    }
    struct hl_wal_options lossy = options;
    lossy.repair = HL_WAL_REPAIR_LOSSY;
    struct hl_wal *wal = NULL;
    if (hl_wal_open(&wal, &disk, &lossy, NULL, NULL) == HL_OK) {
        uint64_t sum = 0;
        hl_err err = hl_wal_read(wal, hl_wal_first(wal), hl_wal_last(wal), touch, &sum, NULL);
        HL_ASSERT(err == HL_OK);
        hl_wal_close(wal);
    }
    HL_ASSERT(fake->held == 0);
    fake_disk_destroy(fake);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
    if (len == 0 || len > 65536) {
        return 0;
    }
    if (input[0] % 2 == 0) {
        open_damaged(input + 1, len - 1);
    } else {
        open_raw(input + 1, len - 1, input[0] % 4 == 3);
    }
    return 0;
}
