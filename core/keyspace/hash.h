/* Hashes: fields and values, a listpack while small, a table when large. */
#ifndef HL_KEYSPACE_HASH_H
#define HL_KEYSPACE_HASH_H

#include "keyspace/keyspace.h"

#define HL_HASH_SCRATCH 48 /* room for the texts of an integer field and an integer value */

/* Number of fields.  All functions here assert that the entry is a hash. */
size_t hl_hash_len(const struct hl_entry *entry);

/* Set a field; true when it is new.  Converts the encoding past `ks->limits`.  The caller reports
 * the change with hl_db_modified().  The entry does not move. */
bool hl_hash_set(struct hl_keyspace *ks, struct hl_entry *entry, struct hl_slice field,
                 struct hl_slice value);

/* The value of a field; false when missing.  The view is valid until the hash changes; integers of
 * a listpack are printed into `scratch`. */
bool hl_hash_get(const struct hl_entry *entry, struct hl_slice field, struct hl_slice *value,
                 char scratch[HL_HASH_SCRATCH]);

/* Remove a field; false when missing.  An empty hash stays: the caller deletes the key. */
bool hl_hash_delete(struct hl_entry *entry, struct hl_slice field);

/* Walk all fields in order of storage. */
struct hl_hash_iter {
    const struct hl_entry *entry;
    uint64_t position[3];
    char scratch[HL_HASH_SCRATCH];
};

/* Start a walk; the hash must not change until it is over. */
void hl_hash_iter_init(struct hl_hash_iter *iter, const struct hl_entry *entry);

/* The next field; false at the end.  Views are valid until the next call. */
bool hl_hash_iter_next(struct hl_hash_iter *iter, struct hl_slice *field, struct hl_slice *value);

/* A uniformly random field (0 < length, asserted). */
void hl_hash_random(const struct hl_entry *entry, struct hl_rng *rng, struct hl_slice *field,
                    struct hl_slice *value, char scratch[HL_HASH_SCRATCH]);

/* As hl_db_scan(), over the fields.  A listpack is visited whole in one call (returns 0). */
uint64_t hl_hash_scan(const struct hl_entry *entry, uint64_t cursor,
                      void (*visit)(void *ctx, struct hl_slice field, struct hl_slice value),
                      void *ctx);

#endif
