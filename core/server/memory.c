#include "server/memory.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#ifdef HELIOS_JEMALLOC
#include <jemalloc/jemalloc.h>

/* Each thread counts what it allocates and frees; ours are the loop's and a handful of helpers'.
 * The loop's own two counters are read in place, without a call; the rest is small and bounded. */
size_t hl_memory_used(void)
{
    static uint64_t *allocated;
    static uint64_t *freed;
    if (allocated == NULL) {
        size_t size = sizeof allocated;
        (void)mallctl("thread.allocatedp", &allocated, &size, NULL, 0);
        (void)mallctl("thread.deallocatedp", &freed, &size, NULL, 0);
    }
    return *allocated > *freed ? (size_t)(*allocated - *freed) : 0;
}

void hl_memory_purge(void)
{
    char name[64];
    (void)snprintf(name, sizeof name, "arena.%u.purge", (unsigned)MALLCTL_ARENAS_ALL);
    (void)mallctl(name, NULL, NULL, NULL, 0);
}

const char *hl_memory_allocator(void)
{
    static char name[64];
    const char *version = "?";
    size_t size = sizeof version;
    (void)mallctl("version", &version, &size, NULL, 0);
    int len = 0;
    while (version[len] != '\0' && version[len] != '-') {
        len++;
    }
    (void)snprintf(name, sizeof name, "jemalloc-%.*s", len, version);
    return name;
}

void hl_memory_stats(size_t *allocated, size_t *active, size_t *resident)
{
    uint64_t epoch = 1;
    size_t size = sizeof epoch;
    (void)mallctl("epoch", &epoch, &size, &epoch, size);
    size = sizeof(size_t);
    *allocated = *active = *resident = 0;
    (void)mallctl("stats.allocated", allocated, &size, NULL, 0);
    (void)mallctl("stats.active", active, &size, NULL, 0);
    (void)mallctl("stats.resident", resident, &size, NULL, 0);
}

#else

size_t hl_memory_used(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

void hl_memory_purge(void)
{
    (void)malloc_trim(0);
}

const char *hl_memory_allocator(void)
{
    return "libc";
}

void hl_memory_stats(size_t *allocated, size_t *active, size_t *resident)
{
    struct mallinfo2 info = mallinfo2();
    *allocated = info.uordblks + info.hblkhd;
    *active = info.arena + info.hblkhd;
    *resident = hl_memory_rss();
}

#endif

size_t hl_memory_rss(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    unsigned long long total = 0;
    unsigned long long resident = 0;
    int got = fscanf(file, "%llu %llu", &total, &resident);
    (void)fclose(file);
    return got == 2 ? (size_t)resident * (size_t)sysconf(_SC_PAGESIZE) : 0;
}
