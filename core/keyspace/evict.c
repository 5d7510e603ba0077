#include "keyspace/entry.h"

void hl_evict_pool_destroy(struct hl_evict_pool *pool)
{
    hl_free(pool);
}
