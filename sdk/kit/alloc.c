#include "kit/alloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE 64
#define LINES_PAGES_MIN 65536

__attribute__((noreturn)) static void refuse(size_t size)
{
    (void)fprintf(stderr, "out of memory allocating %zu bytes\n", size);
    abort();
}

void *hl_malloc(size_t size)
{
    void *ptr = malloc(size != 0 ? size : 1);
    if (ptr == NULL) {
        refuse(size);
    }
    return ptr;
}

void *hl_calloc(size_t count, size_t size)
{
    void *ptr = calloc(count != 0 ? count : 1, size != 0 ? size : 1);
    if (ptr == NULL) {
        refuse(count > SIZE_MAX / (size | 1) ? SIZE_MAX : count * size);
    }
    return ptr;
}

void *hl_realloc(void *ptr, size_t size)
{
    void *grown = realloc(ptr, size != 0 ? size : 1);
    if (grown == NULL) {
        refuse(size);
    }
    return grown;
}

void *hl_try_malloc(size_t size)
{
    return malloc(size != 0 ? size : 1);
}

void *hl_calloc_lines(size_t size)
{
    /* From some size on allocators hand out fresh pages, which are zero and aligned: calloc() then
     * touches none of them. */
    if (size >= LINES_PAGES_MIN) {
        void *ptr = calloc(1, size);
        if (ptr != NULL && (uintptr_t)ptr % LINE == 0) {
            return ptr;
        }
        free(ptr);
    }
    void *lines = NULL;
    if (posix_memalign(&lines, LINE, size) != 0 || lines == NULL) {
        refuse(size);
    }
    return memset(lines, 0, size);
}

void hl_free(void *ptr)
{
    free(ptr);
}

char *hl_strndup(const char *ptr, size_t len)
{
    char *copy = hl_malloc(len + 1);
    memcpy(copy, ptr, len);
    copy[len] = '\0';
    return copy;
}
