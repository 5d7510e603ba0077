/* A log over a fake disk with entries that can be told apart: what the tests of the log share. */
#ifndef SUPPORT_WAL_FIXTURE_H
#define SUPPORT_WAL_FIXTURE_H

#include "support/fake_disk.h"
#include "wal/wal.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define SEGMENT_SIZE 4096

static const struct hl_wal_options small_segments = {
    .dir = "dir", .segment_size = SEGMENT_SIZE, .salt = 0x5a17};

/* The body that entry `index` of `term` has: text of varying length, in the caller's memory. */
static inline struct hl_slice body_of(char *out, size_t size, hl_index index, hl_term term)
{
    int len = snprintf(out, size, "entry %llu of term %llu%.*s", (unsigned long long)index,
                       (unsigned long long)term, (int)(index * 7 % 40),
                       "........................................");
    return (struct hl_slice){.ptr = out, .len = (size_t)len};
}

static inline void append_in(struct hl_wal *wal, hl_term term)
{
    char text[128];
    hl_index index = hl_wal_last(wal) + 1;
    struct hl_wal_entry entry = {.index = index,
                                 .term = term,
                                 .type = HL_WAL_EFFECTS,
                                 .log_time_us = (int64_t)index * 1000,
                                 .feature_level = 3,
                                 .body = body_of(text, sizeof text, index, term)};
    hl_wal_append(wal, &entry);
}

static inline void append_one(struct hl_wal *wal)
{
    append_in(wal, 1);
}

/* Append `count` entries, each in a batch of its own. */
static inline hl_err append_synced(struct hl_wal *wal, int count)
{
    for (int i = 0; i < count; i++) {
        append_one(wal);
        hl_err err = hl_wal_flush(wal, NULL);
        if (err != HL_OK) {
            return err;
        }
    }
    return HL_OK;
}

/* Reads and checks entries: each must be the one that was appended. */
struct reading {
    hl_index next;      /* expected */
    hl_term terms[512]; /* of entry i; 0 means 1 */
};

static inline bool check_entry(void *arg, const struct hl_wal_entry *entry)
{
    struct reading *reading = arg;
    char text[128];
    hl_term term =
        entry->index < 512 && reading->terms[entry->index] != 0 ? reading->terms[entry->index] : 1;
    struct hl_slice body = body_of(text, sizeof text, entry->index, term);
    cr_assert_eq(entry->index, reading->next);
    cr_assert_eq(entry->term, term, "entry %llu", (unsigned long long)entry->index);
    cr_assert_eq(entry->type, HL_WAL_EFFECTS);
    cr_assert_eq(entry->log_time_us, (int64_t)entry->index * 1000);
    cr_assert_eq(entry->feature_level, 3);
    cr_assert(hl_slice_equal(entry->body, body), "entry %llu", (unsigned long long)entry->index);
    reading->next++;
    return true;
}

/* Every entry of the log is there and is what was appended. */
static inline void check_all(struct hl_wal *wal, struct reading *reading)
{
    struct reading own = {0};
    if (reading == NULL) {
        reading = &own;
    }
    struct hl_errmsg msg = {0};
    reading->next = hl_wal_first(wal);
    cr_assert_eq(hl_wal_read(wal, hl_wal_first(wal), hl_wal_last(wal), check_entry, reading, &msg),
                 HL_OK, "%s", msg.text);
    cr_assert_eq(reading->next, hl_wal_last(wal) + 1);
}

static inline struct hl_wal *open_good(const struct hl_disk *disk,
                                       const struct hl_wal_options *options)
{
    struct hl_wal *wal = NULL;
    struct hl_errmsg msg = {0};
    hl_err err = hl_wal_open(&wal, disk, options, NULL, &msg);
    cr_assert_eq(err, HL_OK, "%s", msg.text);
    return wal;
}

#endif
