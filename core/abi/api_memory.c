/* Memory of modules: the server's allocator, so that it counts. */
#include "abi/internal.h"

#include <malloc.h>

void *hl_rm_Alloc(size_t bytes)
{
    return hl_malloc(bytes);
}

void *hl_rm_TryAlloc(size_t bytes)
{
    return hl_try_malloc(bytes);
}

void *hl_rm_Calloc(size_t nmemb, size_t size)
{
    return hl_calloc(nmemb, size);
}

void *hl_rm_TryCalloc(size_t nmemb, size_t size)
{
    return calloc(nmemb == 0 ? 1 : nmemb, size == 0 ? 1 : size);
}

void *hl_rm_Realloc(void *ptr, size_t bytes)
{
    if (bytes == 0 && ptr != NULL) {
        hl_free(ptr);
        return NULL;
    }
    return hl_realloc(ptr, bytes);
}

void *hl_rm_TryRealloc(void *ptr, size_t bytes)
{
    return realloc(ptr, bytes == 0 ? 1 : bytes);
}

void hl_rm_Free(void *ptr)
{
    hl_free(ptr);
}

char *hl_rm_Strdup(const char *str)
{
    return hl_strndup(str, strlen(str));
}

size_t hl_rm_MallocSize(void *ptr)
{
    return malloc_usable_size(ptr);
}

size_t hl_rm_MallocUsableSize(void *ptr)
{
    return malloc_usable_size(ptr);
}

size_t hl_rm_MallocSizeString(RedisModuleString *str)
{
    size_t size = malloc_usable_size(str);
    return str->cap == 0 ? size : size + malloc_usable_size(str->ptr);
}

float hl_rm_GetUsedMemoryRatio(void)
{
    const struct hl_abi_services *services = hl_abi_current->services;
    return services->memory_ratio == NULL ? 0.0F : (float)services->memory_ratio(services->ctx);
}
