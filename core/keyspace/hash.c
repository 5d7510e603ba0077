#include "keyspace/hash.h"

#include "keyspace/entry.h"

void hl_hash_table_destroy(struct hl_hash_table *hash)
{
    (void)hash;
}

size_t hl_hash_memory(const struct hl_entry *entry, size_t samples)
{
    (void)entry;
    (void)samples;
    return 0;
}
