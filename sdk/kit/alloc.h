/* Memory: the one place that decides what running out of it means.
 *
 * Small allocations (a session, a table, a bounded buffer) abort with a message when the system
 * refuses them: no server survives that usefully.  Allocations whose size a client chose use the
 * `try` form and answer an error.
 */
#ifndef KIT_ALLOC_H
#define KIT_ALLOC_H

#include <stddef.h>

/* `size` bytes of uninitialised memory (1 when 0 is asked), never NULL; aborts when refused.
 * The caller owns it and ends it with hl_free(). */
void *hl_malloc(size_t size) __attribute__((malloc, returns_nonnull));

/* `count` zeroed items of `size` bytes, never NULL; aborts when refused or on overflow. */
void *hl_calloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));

/* Resize `ptr` (may be NULL) to `size` bytes, never NULL; aborts when refused. */
void *hl_realloc(void *ptr, size_t size) __attribute__((returns_nonnull));

/* Like hl_malloc() but NULL when refused: for sizes that input chose. */
void *hl_try_malloc(size_t size) __attribute__((malloc));

/* `size` zeroed bytes (a multiple of 64) at an address that is a multiple of 64, the length of a
 * cache line; never NULL, aborts when refused.  Large areas stay untouched pages until used. */
void *hl_calloc_lines(size_t size) __attribute__((malloc, returns_nonnull));

/* Release memory of any function above.  NULL is allowed and does nothing. */
void hl_free(void *ptr);

/* A NUL-terminated copy of `len` bytes at `ptr`, which the caller owns. */
char *hl_strndup(const char *ptr, size_t len) __attribute__((malloc, returns_nonnull));

#endif
