/* What the process has allocated. */
#ifndef HL_SERVER_MEMORY_H
#define HL_SERVER_MEMORY_H

#include <stddef.h>

/* Bytes allocated and not freed, by the allocator's own count: cheap enough for every command. */
size_t hl_memory_used(void);

/* Resident set size in bytes. */
size_t hl_memory_rss(void);

/* Give unused pages back to the system. */
void hl_memory_purge(void);

/* The allocator's name and version, "jemalloc-5.3.0" or "libc". */
const char *hl_memory_allocator(void);

/* Bytes allocated, in active pages, and resident, of the allocator; zeros when it does not tell. */
void hl_memory_stats(size_t *allocated, size_t *active, size_t *resident);

#endif
