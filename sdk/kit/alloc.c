#include "kit/alloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void refuse(size_t size)
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
