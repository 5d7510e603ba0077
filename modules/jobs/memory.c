/* The kit's memory functions over the server's allocator: queues count towards maxmemory.
 *
 * This file defines every function of kit/alloc.h, so the linker leaves the kit's own out.
 */
#include "helios/module.h"
#include "kit/alloc.h"

#include <string.h>

void *hl_malloc(size_t size)
{
    return RedisModule_Alloc(size != 0 ? size : 1);
}

void *hl_calloc(size_t count, size_t size)
{
    return RedisModule_Calloc(count != 0 ? count : 1, size != 0 ? size : 1);
}

void *hl_realloc(void *ptr, size_t size)
{
    return RedisModule_Realloc(ptr, size != 0 ? size : 1);
}

void *hl_try_malloc(size_t size)
{
    size = size != 0 ? size : 1;
    return RedisModule_TryAlloc != NULL ? RedisModule_TryAlloc(size) : RedisModule_Alloc(size);
}

void hl_free(void *ptr)
{
    RedisModule_Free(ptr);
}

char *hl_strndup(const char *ptr, size_t len)
{
    char *copy = hl_malloc(len + 1);
    memcpy(copy, ptr, len);
    copy[len] = '\0';
    return copy;
}
