/* Goal: the real disk does what wal/disk.h says, and the log works over it.
 * Method: a temporary directory. */
#include "server/disk_posix.h"
#include "support/wal_fixture.h"

#include <stdlib.h>
#include <unistd.h>

static char dir[64];

static void make_dir(void)
{
    snprintf(dir, sizeof dir, "/tmp/helios-disk-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

static void remove_name(void *arg, const char *name)
{
    (void)arg;
    char path[200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    unlink(path);
}

static void remove_dir(void)
{
    const struct hl_disk *disk = hl_disk_posix();
    cr_assert_eq(disk->list(disk->ctx, dir, remove_name, NULL, NULL), HL_OK);
    rmdir(dir);
}

TestSuite(disk_posix, .init = make_dir, .fini = remove_dir);

Test(disk_posix, files_hold_what_was_written)
{
    const struct hl_disk *disk = hl_disk_posix();
    int file = -1;
    struct hl_errmsg msg = {0};
    cr_assert_eq(disk->open(disk->ctx, dir, "a", false, &file, &msg), HL_ENOENT);
    cr_assert_neq(strstr(msg.text, "/a: open: No such file"), NULL, "%s", msg.text);
    cr_assert_eq(disk->open(disk->ctx, dir, "a", true, &file, &msg), HL_OK);
    cr_assert_eq(disk->preallocate(disk->ctx, file, 8192, &msg), HL_OK);
    uint64_t size = 0;
    cr_assert_eq(disk->size(disk->ctx, file, &size, &msg), HL_OK);
    cr_assert_eq(size, 8192);
    cr_assert_eq(disk->pwrite(disk->ctx, file, "hello", 5, 8190, &msg), HL_OK);
    cr_assert_eq(disk->fdatasync(disk->ctx, file, &msg), HL_OK);
    char bytes[16];
    size_t got = 0;
    cr_assert_eq(disk->pread(disk->ctx, file, bytes, sizeof bytes, 8190, &got, &msg), HL_OK);
    cr_assert_eq(got, 5);
    cr_assert_arr_eq(bytes, "hello", 5);
    cr_assert_eq(disk->truncate(disk->ctx, file, 3, &msg), HL_OK);
    disk->close(disk->ctx, file);
    cr_assert_eq(disk->rename(disk->ctx, dir, "a", "b", &msg), HL_OK);
    cr_assert_eq(disk->sync_dir(disk->ctx, dir, &msg), HL_OK);
    cr_assert_eq(disk->remove(disk->ctx, dir, "a", &msg), HL_ENOENT);
    cr_assert_eq(disk->remove(disk->ctx, dir, "b", &msg), HL_OK);
}

Test(disk_posix, a_full_device_is_told_from_a_broken_one)
{
    const struct hl_disk *disk = hl_disk_posix();
    int file = -1;
    struct hl_errmsg msg = {0};
    cr_assert_eq(disk->open(disk->ctx, "/dev", "full", false, &file, &msg), HL_OK);
    cr_assert_eq(disk->pwrite(disk->ctx, file, "x", 1, 0, &msg), HL_EFULL);
    cr_assert_neq(strstr(msg.text, "/dev/full: write: No space left"), NULL, "%s", msg.text);
    cr_assert_eq(disk->truncate(disk->ctx, file, 0, &msg), HL_EIO);
    disk->close(disk->ctx, file);
}

Test(disk_posix, a_log_works_over_it_and_its_directory_is_made_and_locked)
{
    struct hl_wal_options options = {.segment_size = SEGMENT_SIZE, .salt = 1};
    options.dir = dir;
    struct hl_wal *wal = open_good(hl_disk_posix(), &options);
    cr_assert_eq(append_synced(wal, 200), HL_OK);
    struct hl_wal *other = NULL;
    cr_assert_eq(hl_wal_open(&other, hl_disk_posix(), &options, NULL, NULL), HL_EBUSY);
    check_all(wal, NULL);
    hl_wal_close(wal);
    wal = open_good(hl_disk_posix(), &options);
    cr_assert_eq(hl_wal_last(wal), 200);
    check_all(wal, NULL);
    hl_wal_close(wal);
}
