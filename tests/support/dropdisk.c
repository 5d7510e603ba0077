/* A preloaded library under which a killed process loses what it did not sync, as if the power had
 * gone; and which slows syncing down.  See README.md for how to use it.
 *
 *   DROPDISK_DIR   the directory to watch, with its subdirectories; unset: none
 *   DROPDISK_SEED  how a crash treats what was not synced: 0 or unset, all of it is lost; another
 *                  number, each page and each name is kept or lost by chance
 *   DROPDISK_KIND  set: any sync makes all names durable, as the journals of ext4 and xfs do;
 *                  unset: only those in a directory that is synced itself
 *   DROPDISK_LIE   set: fsync and fdatasync in the directory succeed and do nothing
 *   DROPDISK_DIE_AT  a number: the process is killed at that step of rebuilding the files
 *   DISKSLOW_US    every fsync and fdatasync, of whatever file, takes so many microseconds longer
 *
 * Not seen: writes through mmap, O_SYNC, io_uring.  Inside the directory no real sync is made: the
 * image is what counts, and it is faster.
 */
#include "support/dropimage.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define DIRTY_MAX 1024

/* A file that was written since its last sync: everything changed is in [from, to). */
struct dirty {
    ino_t inode;
    uint64_t from, to;
};

static char root[DROP_PATH_MAX]; /* "": no directory is watched */
static size_t root_len;
static pid_t owner;
static bool lies;
static bool kind;
static long slow_us;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct dirty dirty[DIRTY_MAX];
static size_t dirty_count;
static _Thread_local int inside; /* our own calls are not watched */

/* `real` is the function that this one stands before. */
#define REAL(name)                                                                                 \
    static __typeof__(&name) real;                                                                 \
    if (real == NULL) {                                                                            \
        real = (__typeof__(real))dlsym(RTLD_NEXT, #name);                                          \
    }

static bool is_watched(void)
{
    return root_len > 0 && inside == 0;
}

/* The path of `fd` relative to the root; false when it is elsewhere. */
static bool path_of(int fd, char *out)
{
    char link[64];
    char path[DROP_PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len < 0) {
        return false;
    }
    path[len] = '\0';
    if (strncmp(path, root, root_len) != 0 || (path[root_len] != '/' && path[root_len] != '\0')) {
        return false;
    }
    const char *rest = path + root_len + (path[root_len] == '/');
    if (strncmp(rest, DROP_STATE, strlen(DROP_STATE)) == 0) {
        return false;
    }
    memcpy(out, rest, strlen(rest) + 1);
    return true;
}

/* Note that bytes [from, to) of `fd` changed.  Called after the change: a sync in another thread
 * that came before this may have missed it, so the next one must look there. */
static void note(int fd, uint64_t from, uint64_t to)
{
    int saved = errno;
    char path[DROP_PATH_MAX];
    struct stat st;
    if (is_watched() && path_of(fd, path) && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        pthread_mutex_lock(&lock);
        size_t i = 0;
        while (i < dirty_count && dirty[i].inode != st.st_ino) {
            i++;
        }
        if (i < DIRTY_MAX) { /* one too many is copied whole at its sync */
            if (i == dirty_count) {
                dirty[dirty_count++] =
                    (struct dirty){.inode = st.st_ino, .from = UINT64_MAX, .to = 0};
            }
            dirty[i].from = from < dirty[i].from ? from : dirty[i].from;
            dirty[i].to = to > dirty[i].to ? to : dirty[i].to;
        }
        pthread_mutex_unlock(&lock);
    }
    errno = saved;
}

static uint64_t position(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    off_t at = lseek(fd, 0, flags >= 0 && (flags & O_APPEND) != 0 ? SEEK_END : SEEK_CUR);
    return at < 0 ? 0 : (uint64_t)at;
}

static void commit(int fd, const char *path)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return;
    }
    if (S_ISDIR(st.st_mode)) {
        drop_image_sync_dir(path);
        return;
    }
    struct dirty range = {.from = 0, .to = UINT64_MAX};
    for (size_t i = 0; i < dirty_count; i++) {
        if (dirty[i].inode == st.st_ino) {
            range = dirty[i];
            dirty[i] = dirty[--dirty_count];
            break;
        }
    }
    drop_image_sync_file(fd, range.from, range.to);
    if (kind) {
        drop_image_sync_names();
    }
}

static int sync_file(int fd, int (*real)(int))
{
    if (slow_us > 0 && inside == 0) {
        struct timespec pause = {.tv_sec = slow_us / 1000000, .tv_nsec = slow_us % 1000000 * 1000};
        nanosleep(&pause, NULL);
    }
    char path[DROP_PATH_MAX];
    if (!is_watched() || !path_of(fd, path)) {
        return real(fd);
    }
    if (!lies) {
        int saved = errno;
        inside++;
        pthread_mutex_lock(&lock);
        commit(fd, path);
        pthread_mutex_unlock(&lock);
        inside--;
        errno = saved;
    }
    return 0;
}

int fsync(int fd)
{
    REAL(fsync);
    return sync_file(fd, real);
}

int fdatasync(int fd)
{
    REAL(fdatasync);
    return sync_file(fd, real);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    REAL(write);
    uint64_t at = is_watched() ? position(fd) : 0;
    ssize_t n = real(fd, bytes, len);
    note(fd, at, at + len);
    return n;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    REAL(pwrite);
    ssize_t n = real(fd, bytes, len, offset);
    note(fd, (uint64_t)offset, (uint64_t)offset + len);
    return n;
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t offset)
{
    return pwrite(fd, bytes, len, offset);
}

static size_t length_of(const struct iovec *parts, int count)
{
    size_t sum = 0;
    for (int i = 0; i < count; i++) {
        sum += parts[i].iov_len;
    }
    return sum;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL(writev);
    uint64_t at = is_watched() ? position(fd) : 0;
    ssize_t n = real(fd, parts, count);
    note(fd, at, at + length_of(parts, count));
    return n;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    REAL(pwritev);
    ssize_t n = real(fd, parts, count, offset);
    note(fd, (uint64_t)offset, (uint64_t)offset + length_of(parts, count));
    return n;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset)
{
    return pwritev(fd, parts, count, offset);
}

int ftruncate(int fd, off_t size)
{
    REAL(ftruncate);
    int result = real(fd, size);
    note(fd, (uint64_t)size, UINT64_MAX);
    return result;
}

int ftruncate64(int fd, off_t size)
{
    return ftruncate(fd, size);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    REAL(fallocate);
    struct stat st = {0};
    if (is_watched()) {
        (void)fstat(fd, &st);
    }
    int result = real(fd, mode, offset, len);
    /* Plain allocation changes what is behind the end; the other modes the range. */
    note(fd, mode == 0 ? (uint64_t)st.st_size : (uint64_t)offset, (uint64_t)(offset + len));
    return result;
}

int fallocate64(int fd, int mode, off_t offset, off_t len)
{
    return fallocate(fd, mode, offset, len);
}

/* A child must not find the lock taken by a thread that it does not have. */
static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void start(void)
{
    const char *slow = getenv("DISKSLOW_US");
    slow_us = slow == NULL ? 0 : strtol(slow, NULL, 10);
    const char *dir = getenv("DROPDISK_DIR");
    if (dir == NULL || dir[0] == '\0') {
        return;
    }
    inside++;
    mkdir(dir, 0700);
    char full[DROP_PATH_MAX];
    if (realpath(dir, full) == NULL) {
        fprintf(stderr, "dropdisk: %s: %s\n", dir, strerror(errno));
        _exit(99);
    }
    kind = getenv("DROPDISK_KIND") != NULL;
    lies = getenv("DROPDISK_LIE") != NULL;
    memcpy(root, full, sizeof root);
    /* A program that a watched one starts shares its disk; it must not rebuild it. */
    if (getenv("DROPDISK_ACTIVE") == NULL) {
        const char *seed = getenv("DROPDISK_SEED");
        const char *die_at = getenv("DROPDISK_DIE_AT");
        drop_image_open(root, seed == NULL ? 0 : strtoull(seed, NULL, 10),
                        die_at == NULL ? 0 : strtoull(die_at, NULL, 10));
        setenv("DROPDISK_ACTIVE", "1", 1);
        owner = getpid();
    } else {
        drop_image_attach(root);
    }
    pthread_atfork(before_fork, after_fork, after_fork);
    root_len = strlen(root);
    inside--;
}

__attribute__((destructor)) static void stop(void)
{
    if (root_len > 0 && owner == getpid()) {
        inside++;
        drop_image_close();
    }
}
