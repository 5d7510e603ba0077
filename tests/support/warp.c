/* A preloaded library under which, while the process runs, syncs become slow and clocks wrong.
 *
 *   WARP_FILE  a file of two 64-bit numbers in the machine's order, which a test changes in place:
 *              microseconds that every fsync and fdatasync takes longer; microseconds by which the
 *              time of day is off
 *   WARP_PPM   parts per million by which all clocks run fast (or, negative, slow) from the start
 * on
 *
 * Unset: nothing happens.  Timers of the kernel are not touched: a clock that runs fast sees them
 * fire late, as on a real machine that was given bad hardware. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define S_NS INT64_C(1000000000)

struct control {
    int64_t sync_us, wall_us;
};

static const volatile struct control *control; /* NULL: there is none */
static int64_t rate_ppm;
static int64_t start_ns; /* of CLOCK_MONOTONIC: since when the rate counts */

/* `real` is the function that this one stands before. */
#define REAL(name)                                                                                 \
    static __typeof__(&name) real;                                                                 \
    if (real == NULL) {                                                                            \
        real = (__typeof__(real))dlsym(RTLD_NEXT, #name);                                          \
    }

static int64_t to_ns(const struct timespec *t)
{
    return t->tv_sec * S_NS + t->tv_nsec;
}

static int real_gettime(clockid_t clock, struct timespec *out)
{
    REAL(clock_gettime)
    return real(clock, out);
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("WARP_FILE");
    const char *ppm = getenv("WARP_PPM");
    struct timespec now;
    (void)real_gettime(CLOCK_MONOTONIC, &now);
    start_ns = to_ns(&now);
    rate_ppm = ppm == NULL ? 0 : strtol(ppm, NULL, 10);
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        void *page = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, fd, 0);
        control = page == MAP_FAILED ? NULL : page;
        close(fd);
    }
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    int rc = real_gettime(clock, out);
    if (rc != 0 || (control == NULL && rate_ppm == 0)) {
        return rc;
    }
    int64_t ns = to_ns(out);
    if (clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID) {
        return rc;
    }
    struct timespec now;
    (void)real_gettime(CLOCK_MONOTONIC, &now);
    ns += (to_ns(&now) - start_ns) / 1000000 * rate_ppm;
    if (control != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        ns += control->wall_us * 1000;
    }
    out->tv_sec = ns / S_NS;
    out->tv_nsec = ns % S_NS;
    return 0;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

static void be_slow(void)
{
    int64_t us = control == NULL ? 0 : control->sync_us;
    if (us > 0) {
        struct timespec pause = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
        nanosleep(&pause, NULL);
    }
}

int fsync(int fd)
{
    REAL(fsync)
    be_slow();
    return real(fd);
}

int fdatasync(int fd)
{
    REAL(fdatasync)
    be_slow();
    return real(fd);
}
