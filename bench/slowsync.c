/* A disk whose flush takes time: preload this and set SLOWSYNC_US.
 *
 * Virtual machines often answer fdatasync from memory.  Real disks take a millisecond or more, and
 * how well a server shares one flush among its clients only shows there.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int fsync(int fd);
int fdatasync(int fd);

static void delay(void)
{
    const char *text = getenv("SLOWSYNC_US");
    long us = text != NULL ? strtol(text, NULL, 10) : 0;
    struct timespec wait = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    nanosleep(&wait, NULL);
}

static int call(const char *name, int fd)
{
    int (*real)(int) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, name);
    delay();
    return real(fd);
}

__attribute__((visibility("default"))) int fsync(int fd)
{
    return call("fsync", fd);
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    return call("fdatasync", fd);
}
