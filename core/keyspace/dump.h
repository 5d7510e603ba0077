/* Values as bytes: Redis's RDB version 10 value encodings, for DUMP, RESTORE and snapshots. */
#ifndef HL_KEYSPACE_DUMP_H
#define HL_KEYSPACE_DUMP_H

#include "keyspace/keyspace.h"

#define HL_RDB_VERSION 10
#define HL_DIGEST_STRING_MAX (16u << 20) /* of hl_entry_digest_add() */
#define HL_DIGEST_FIELDS_MAX 100000

/* How module values are written and read: filled by core/abi.  `save` appends what the RDB format
 * puts after the type byte (module id, tagged values, EOF); `load` parses that from `in`, sets
 * *consumed, and returns the type and value, or NULL with `msg`. */
struct hl_dump_modules {
    void *ctx;
    bool (*save)(void *ctx, void *type, void *value, struct hl_slice key, int db,
                 struct hl_buf *out);
    /* A digest of the value that is the same on every node; false when its type has none. */
    bool (*digest)(void *ctx, void *type, const void *value, struct hl_slice key, int db,
                   uint64_t *out);
    hl_err (*load)(void *ctx, struct hl_slice in, size_t *consumed, struct hl_slice key, int db,
                   void **type, void **value, struct hl_errmsg *msg);
};

/* Append the type byte and the value of `entry`, without key, deadline or checksum.  Returns
 * HL_EINVAL when a module refuses to save. */
HL_MUST_USE hl_err hl_dump_value(const struct hl_entry *entry, int db,
                                 const struct hl_dump_modules *modules, struct hl_buf *out);

/* Parse a type byte and value from the front of `in` and store it under `key`, replacing what was
 * there; *consumed is the length parsed.  HL_ECORRUPT, with nothing changed, for anything malformed
 * (every length and nested structure is checked); HL_EINVAL for a type this build has not. */
HL_MUST_USE hl_err hl_dump_load(struct hl_db *db, struct hl_slice key, struct hl_slice in,
                                const struct hl_dump_modules *modules, size_t *consumed,
                                struct hl_entry **out, struct hl_errmsg *msg);

/* Append the DUMP payload of `entry`: value, RDB version, CRC-64. */
HL_MUST_USE hl_err hl_dump_payload(const struct hl_entry *entry, int db,
                                   const struct hl_dump_modules *modules, struct hl_buf *out);

/* The value part of a DUMP payload after checking version (1..HL_RDB_VERSION accepted) and CRC-64;
 * HL_ECORRUPT otherwise. */
HL_MUST_USE hl_err hl_dump_payload_open(struct hl_slice payload, struct hl_slice *value);

/* Digest of one value, whatever its encoding and the order of its parts (DEBUG DIGEST-VALUE). */
void hl_entry_digest(const struct hl_entry *entry, int db, const struct hl_dump_modules *modules,
                     unsigned char out[20]);

/* Add a key, its value and its deadline to a sum over some keys, which does not depend on their
 * order; zeros are the sum over none.  Of a module's value only what its type's digest says
 * counts: how it is saved may differ between nodes that hold the same.  Of a longer string than
 * HL_DIGEST_STRING_MAX bytes, and a hash of more than HL_DIGEST_FIELDS_MAX fields, only the size
 * counts. */
void hl_entry_digest_add(const struct hl_entry *entry, int db,
                         const struct hl_dump_modules *modules, unsigned char sum[20]);

/* Order-independent digest of all keys, values and deadlines (DEBUG DIGEST, scrubbing): equal iff
 * the contents are equal, whatever the encodings and the order of insertion. */
void hl_ks_digest(struct hl_keyspace *ks, const struct hl_dump_modules *modules,
                  unsigned char out[20]);

#endif
