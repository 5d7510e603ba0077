#include "server/disk_posix.h"

#include "kit/assert.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITE_STEP ((size_t)1 << 30) /* the kernel moves less than 2 GiB a call */

/* Name the file behind a descriptor for a message; "?" when the system does not say. */
static void name_of(int file, char *out, size_t size)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t len = readlink(link, out, size - 1);
    if (len < 0) {
        len = snprintf(out, size, "?");
    }
    out[len] = '\0';
}

static bool is_full(int error)
{
    return error == ENOSPC || error == EDQUOT;
}

static hl_err fail_path(struct hl_errmsg *msg, const char *dir, const char *name, const char *what)
{
    int error = errno;
    bool later = is_full(error) || error == EMFILE || error == ENFILE;
    hl_err err = later ? HL_EFULL : error == ENOENT ? HL_ENOENT : HL_EIO;
    return hl_fail(msg, err, "%s/%s: %s: %s", dir, name, what, strerror(error));
}

/* `final` marks an operation after which "full" may mean that bytes are gone: a sync. */
static hl_err fail_file(struct hl_errmsg *msg, int file, const char *what, bool final)
{
    int error = errno;
    char name[256];
    name_of(file, name, sizeof name);
    hl_err err = is_full(error) && !final ? HL_EFULL : HL_EIO;
    return hl_fail(msg, err, "%s: %s: %s", name, what, strerror(error));
}

static hl_err path_of(char *out, size_t size, const char *dir, const char *name,
                      struct hl_errmsg *msg)
{
    int len = snprintf(out, size, "%s/%s", dir, name);
    if (len < 0 || (size_t)len >= size) {
        return hl_fail(msg, HL_EIO, "%s/%s: the path is too long", dir, name);
    }
    return HL_OK;
}

static hl_err open_path(const char *dir, const char *name, int flags, int *file,
                        struct hl_errmsg *msg)
{
    char path[PATH_MAX];
    hl_err err = path_of(path, sizeof path, dir, name, msg);
    if (err != HL_OK) {
        return err;
    }
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fail_path(msg, dir, name, "open");
    }
    *file = fd;
    return HL_OK;
}

static hl_err posix_lock(void *ctx, const char *dir, int *lock, struct hl_errmsg *msg)
{
    (void)ctx;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        return hl_fail(msg, is_full(errno) ? HL_EFULL : HL_EIO, "%s: mkdir: %s", dir,
                       strerror(errno));
    }
    int fd = -1;
    hl_err err = open_path(dir, "lock", O_RDWR | O_CREAT, &fd, msg);
    if (err != HL_OK) {
        return err;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        err = errno == EWOULDBLOCK
                  ? hl_fail(msg, HL_EBUSY, "%s: another process uses this directory", dir)
                  : fail_path(msg, dir, "lock", "flock");
        close(fd);
        return err;
    }
    *lock = fd;
    return HL_OK;
}

static void posix_close(void *ctx, int file)
{
    (void)ctx;
    close(file);
}

static hl_err posix_list(void *ctx, const char *dir, hl_disk_name_fn each, void *arg,
                         struct hl_errmsg *msg)
{
    (void)ctx;
    DIR *stream = opendir(dir);
    if (stream == NULL) {
        return fail_path(msg, dir, "", "opendir");
    }
    hl_err err = HL_OK;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            if (errno != 0) {
                err = fail_path(msg, dir, "", "readdir");
            }
            break;
        }
        struct stat st;
        if (fstatat(dirfd(stream), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode)) {
            each(arg, entry->d_name);
        }
    }
    closedir(stream);
    return err;
}

static hl_err posix_open(void *ctx, const char *dir, const char *name, bool create, int *file,
                         struct hl_errmsg *msg)
{
    (void)ctx;
    return open_path(dir, name, create ? O_RDWR | O_CREAT : O_RDWR, file, msg);
}

static hl_err posix_size(void *ctx, int file, uint64_t *size, struct hl_errmsg *msg)
{
    (void)ctx;
    struct stat st;
    if (fstat(file, &st) != 0) {
        return fail_file(msg, file, "stat", false);
    }
    *size = (uint64_t)st.st_size;
    return HL_OK;
}

/* Where the last data ends before the hole that reaches the end of the file: space that was
 * reserved and never written is a hole too.  A file system that does not know says it is all data.
 */
static hl_err posix_data_end(void *ctx, int file, uint64_t *end, struct hl_errmsg *msg)
{
    uint64_t size = 0;
    hl_err err = posix_size(ctx, file, &size, msg);
    if (err != HL_OK) {
        return err;
    }
    off_t hole = 0;
    while ((uint64_t)hole < size) {
        off_t data = lseek(file, hole, SEEK_DATA);
        if (data < 0 && errno == ENXIO) {
            break;
        }
        hole = data < 0 ? -1 : lseek(file, data, SEEK_HOLE);
        if (hole < 0) {
            hole = (off_t)size;
        }
    }
    *end = (uint64_t)hole < size ? (uint64_t)hole : size;
    return HL_OK;
}

static hl_err posix_preallocate(void *ctx, int file, uint64_t size, struct hl_errmsg *msg)
{
    (void)ctx;
    if (size == 0) {
        return HL_OK;
    }
    while (fallocate(file, 0, 0, (off_t)size) != 0) {
        if (errno == EINTR) {
            continue;
        }
        if (errno != EOPNOTSUPP) {
            return fail_file(msg, file, "preallocate", false);
        }
        errno = posix_fallocate(file, 0, (off_t)size); /* writes a byte in every block */
        if (errno != 0) {
            return fail_file(msg, file, "preallocate", false);
        }
        break;
    }
    return HL_OK;
}

static hl_err posix_pwrite(void *ctx, int file, const void *bytes, size_t len, uint64_t offset,
                           struct hl_errmsg *msg)
{
    (void)ctx;
    const char *p = bytes;
    while (len > 0) {
        ssize_t n = pwrite(file, p, len < WRITE_STEP ? len : WRITE_STEP, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return fail_file(msg, file, "write", false);
        }
        if (n == 0) {
            errno = EIO;
            return fail_file(msg, file, "write", false);
        }
        p += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return HL_OK;
}

static hl_err posix_pread(void *ctx, int file, void *bytes, size_t len, uint64_t offset,
                          size_t *got, struct hl_errmsg *msg)
{
    (void)ctx;
    char *p = bytes;
    size_t sum = 0;
    while (sum < len) {
        size_t step = len - sum < WRITE_STEP ? len - sum : WRITE_STEP;
        ssize_t n = pread(file, p + sum, step, (off_t)(offset + sum));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return fail_file(msg, file, "read", false);
        }
        if (n == 0) {
            break;
        }
        sum += (size_t)n;
    }
    *got = sum;
    return HL_OK;
}

static hl_err posix_truncate(void *ctx, int file, uint64_t size, struct hl_errmsg *msg)
{
    (void)ctx;
    while (ftruncate(file, (off_t)size) != 0) {
        if (errno != EINTR) {
            return fail_file(msg, file, "truncate", false);
        }
    }
    return HL_OK;
}

/* Not retried even when interrupted: the kernel may already have dropped the pages. */
static hl_err posix_fdatasync(void *ctx, int file, struct hl_errmsg *msg)
{
    (void)ctx;
    return fdatasync(file) == 0 ? HL_OK : fail_file(msg, file, "fdatasync", true);
}

static hl_err posix_rename(void *ctx, const char *dir, const char *from, const char *to,
                           struct hl_errmsg *msg)
{
    (void)ctx;
    char old[PATH_MAX];
    char new[PATH_MAX];
    hl_err err = path_of(old, sizeof old, dir, from, msg);
    if (err == HL_OK) {
        err = path_of(new, sizeof new, dir, to, msg);
    }
    if (err == HL_OK && rename(old, new) != 0) {
        err = fail_path(msg, dir, from, "rename");
    }
    return err;
}

static hl_err posix_remove(void *ctx, const char *dir, const char *name, struct hl_errmsg *msg)
{
    (void)ctx;
    char path[PATH_MAX];
    hl_err err = path_of(path, sizeof path, dir, name, msg);
    if (err == HL_OK && unlink(path) != 0) {
        err = fail_path(msg, dir, name, "remove");
    }
    return err;
}

static hl_err posix_sync_dir(void *ctx, const char *dir, struct hl_errmsg *msg)
{
    (void)ctx;
    int fd = -1;
    hl_err err = open_path(dir, ".", O_RDONLY | O_DIRECTORY, &fd, msg);
    if (err != HL_OK) {
        return err;
    }
    if (fsync(fd) != 0) {
        err = fail_file(msg, fd, "fsync", true);
    }
    close(fd);
    return err;
}

const struct hl_disk *hl_disk_posix(void)
{
    static const struct hl_disk disk = {.lock = posix_lock,
                                        .unlock = posix_close,
                                        .list = posix_list,
                                        .open = posix_open,
                                        .preallocate = posix_preallocate,
                                        .pwrite = posix_pwrite,
                                        .pread = posix_pread,
                                        .size = posix_size,
                                        .data_end = posix_data_end,
                                        .truncate = posix_truncate,
                                        .fdatasync = posix_fdatasync,
                                        .rename = posix_rename,
                                        .remove = posix_remove,
                                        .sync_dir = posix_sync_dir,
                                        .close = posix_close};
    HL_ASSERT(disk.lock != NULL && disk.close != NULL);
    return &disk;
}
