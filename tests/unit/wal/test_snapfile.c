/* Goal: a snapshot is read back as it was written or not at all, and one that is not finished and
 * published does not exist.
 * Method: contents of awkward lengths; every byte flipped, every length cut; every operation
 * failed; the power lost at every operation. */
#include "support/fake_disk.h"
#include "wal/snapfile.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const struct hl_snap_label label = {
    .index = 77, .term = 5, .log_time_us = 123456789, .cluster_id = "0123456789abcde"};
#define NAME "00000000000000000077.snap"

static char byte_at(size_t i)
{
    return (char)(i * 31 + i / 251);
}

/* Write and publish `size` bytes in pieces of `step`; 0 or the first error. */
static hl_err make(const struct hl_disk *disk, const struct hl_snap_label *of, size_t size,
                   size_t step)
{
    struct hl_snap_writer *writer = NULL;
    hl_err err = hl_snap_writer_open(&writer, disk, "dir", of, NULL);
    if (err != HL_OK) {
        return err;
    }
    char *bytes = malloc(step);
    for (size_t at = 0; err == HL_OK && at < size; at += step) {
        size_t len = size - at < step ? size - at : step;
        for (size_t i = 0; i < len; i++) {
            bytes[i] = byte_at(at + i);
        }
        err = hl_snap_write(writer, bytes, len, NULL);
    }
    free(bytes);
    if (err != HL_OK) {
        hl_snap_writer_abort(writer);
        return err;
    }
    cr_assert_eq(hl_snap_writer_size(writer), size);
    err = hl_snap_writer_finish(writer, NULL);
    return err == HL_OK ? hl_snap_publish(disk, "dir", of->index, NULL) : err;
}

/* Read the snapshot of `index` and compare; HL_OK with *size when it is whole. */
static hl_err look(const struct hl_disk *disk, hl_index index, size_t *size, struct hl_errmsg *msg)
{
    struct hl_snap_reader *reader = NULL;
    struct hl_snap_label read;
    hl_err err = hl_snap_reader_open(&reader, disk, "dir", index, &read, msg);
    if (err != HL_OK) {
        cr_assert_null(reader);
        return err;
    }
    cr_assert_eq(read.index, index);
    char bytes[1000];
    size_t got = 1;
    *size = 0;
    while (err == HL_OK && got > 0) {
        err = hl_snap_read(reader, bytes, sizeof bytes, &got, msg);
        for (size_t i = 0; err == HL_OK && i < got; i++) {
            cr_assert_eq(bytes[i], byte_at(*size + i));
        }
        *size += err == HL_OK ? got : 0;
    }
    hl_snap_reader_close(reader);
    return err;
}

Test(snapfile, what_was_written_is_read)
{
    static const size_t sizes[] = {0,
                                   1,
                                   999,
                                   HL_SNAP_BLOCK_MAX - 1,
                                   HL_SNAP_BLOCK_MAX,
                                   HL_SNAP_BLOCK_MAX + 1,
                                   3 * HL_SNAP_BLOCK_MAX + 17};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct fake_disk *fake = fake_disk_create();
        struct hl_disk disk = fake_disk_seam(fake);
        cr_assert_eq(make(&disk, &label, sizes[i], 4096 + i), HL_OK);
        size_t size = 0;
        cr_assert_eq(look(&disk, 77, &size, NULL), HL_OK);
        cr_assert_eq(size, sizes[i]);
        struct hl_snap_found found;
        cr_assert_eq(hl_snap_find(&disk, "dir", true, &found, NULL), HL_OK);
        cr_assert_eq(found.label.term, 5);
        cr_assert_eq(found.label.log_time_us, 123456789);
        cr_assert_arr_eq(found.label.cluster_id, label.cluster_id, 16);
        cr_assert_eq(found.damaged, 0);
        cr_assert_eq(fake->held, 0);
        fake_disk_destroy(fake);
    }
}

Test(snapfile, a_flip_of_any_byte_is_noticed)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    cr_assert_eq(make(&disk, &label, 300, 300), HL_OK);
    size_t len = fake_disk_file(fake, NAME)->len;
    for (size_t at = 0; at < len; at++) {
        char old = fake_disk_file(fake, NAME)->bytes[at];
        fake_disk_poke(fake, NAME, at, (char)(old ^ 1 << at % 8));
        size_t size = 0;
        struct hl_errmsg msg = {0};
        cr_assert_eq(look(&disk, 77, &size, &msg), HL_ECORRUPT, "byte %zu", at);
        cr_assert_neq(strstr(msg.text, NAME ": offset "), NULL, "%s", msg.text);
        struct hl_snap_found found;
        cr_assert_eq(hl_snap_find(&disk, "dir", true, &found, NULL), HL_ENOENT);
        cr_assert_eq(found.damaged, 1);
        fake_disk_poke(fake, NAME, at, old);
    }
    cr_assert_eq(fake->held, 0);
    fake_disk_destroy(fake);
}

Test(snapfile, a_cut_or_a_longer_file_is_noticed)
{
    struct fake_disk *good = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(good);
    cr_assert_eq(make(&disk, &label, 300, 300), HL_OK);
    size_t len = fake_disk_file(good, NAME)->len;
    for (size_t at = 0; at <= len + 1; at++) {
        struct fake_disk *fake = fake_disk_dup(good);
        disk = fake_disk_seam(fake);
        fake_disk_resize(fake, NAME, at);
        size_t size = 0;
        cr_assert_eq(look(&disk, 77, &size, NULL), at == len ? HL_OK : HL_ECORRUPT, "%zu", at);
        fake_disk_destroy(fake);
    }
    fake_disk_destroy(good);
}

Test(snapfile, the_newest_whole_one_is_found_and_temporary_files_go)
{
    struct fake_disk *fake = fake_disk_create();
    struct hl_disk disk = fake_disk_seam(fake);
    struct hl_snap_found found;
    cr_assert_eq(hl_snap_find(&disk, "dir", true, &found, NULL), HL_ENOENT);
    for (hl_index i = 8; i <= 12; i++) {
        struct hl_snap_label other = label;
        other.index = i;
        cr_assert_eq(make(&disk, &other, 10 * i, 7), HL_OK);
    }
    struct hl_snap_writer *writer = NULL;
    cr_assert_eq(hl_snap_writer_open(&writer, &disk, "dir", &label, NULL), HL_OK);
    cr_assert_eq(hl_snap_writer_finish(writer, NULL), HL_OK);
    fake_disk_poke(fake, "00000000000000000012.snap", 70, '!');
    cr_assert_eq(hl_snap_find(&disk, "dir", false, &found, NULL), HL_OK);
    cr_assert_eq(found.label.index, 11, "neither the damaged one nor the unpublished one");
    cr_assert_eq(found.damaged, 1);
    cr_assert_neq(strstr(found.why.text, "00000000000000000012.snap"), NULL);
    cr_assert_eq(fake->names_count, 6);
    cr_assert_eq(hl_snap_find(&disk, "dir", true, &found, NULL), HL_OK);
    cr_assert_eq(fake->names_count, 5);
    cr_assert_eq(hl_snap_drop_before(&disk, "dir", 11, NULL), HL_OK);
    cr_assert_eq(fake->names_count, 2);
    cr_assert_eq(fake->held, 0);
    fake_disk_destroy(fake);
}

Test(snapfile, no_failure_and_no_power_loss_makes_a_half_snapshot_or_loses_the_old_one)
{
    for (int for_ever = 0; for_ever < 2; for_ever++) {
        hl_err err = HL_EIO;
        for (int fail_at = 1; err != HL_OK; fail_at++) {
            struct fake_disk *fake = fake_disk_create();
            struct hl_disk disk = fake_disk_seam(fake);
            struct hl_snap_label old = label;
            old.index = 8;
            cr_assert_eq(make(&disk, &old, 100, 100), HL_OK);
            fake->ops = 0;
            fake->fail_at = fail_at;
            fake->fail_for_ever = for_ever;
            err = make(&disk, &label, 3 * HL_SNAP_BLOCK_MAX, 100000);
            cr_assert_eq(fake->held, 0, "leaked after failing operation %d", fail_at);
            fake_disk_crash(fake, fail_at % 2 == 0 ? FAKE_CRASH_LOSE : FAKE_CRASH_TEAR,
                            (uint64_t)fail_at);
            struct hl_snap_found found;
            cr_assert_eq(hl_snap_find(&disk, "dir", true, &found, NULL), HL_OK);
            cr_assert_eq(found.damaged, 0, "a published snapshot is whole");
            cr_assert(found.label.index == 77 || (err != HL_OK && found.label.index == 8));
            size_t size = 0;
            cr_assert_eq(look(&disk, found.label.index, &size, NULL), HL_OK);
            fake_disk_destroy(fake);
        }
    }
}
