/* Preloaded under a server: while the file $FAILSYNC_WHEN exists, fsync and fdatasync of files
 * below $FAILSYNC_DIR fail with EIO.  What was written stays readable: dropdisk.c is what forgets.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_ours(int fd)
{
    const char *dir = getenv("FAILSYNC_DIR");
    const char *when = getenv("FAILSYNC_WHEN");
    char link[64];
    char path[512];
    if (dir == NULL || when == NULL || access(when, F_OK) != 0) {
        return 0;
    }
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len < 0) {
        return 0;
    }
    path[len] = '\0';
    return strncmp(path, dir, strlen(dir)) == 0;
}

static int sync_with(const char *name, int fd)
{
    if (is_ours(fd)) {
        errno = EIO;
        return -1;
    }
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    return real(fd);
}

int fsync(int fd)
{
    return sync_with("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_with("fdatasync", fd);
}
