/* Strings: bytes, or integers kept as integers, inside or beside their entry. */
#ifndef HL_KEYSPACE_STRING_H
#define HL_KEYSPACE_STRING_H

#include "keyspace/keyspace.h"

#define HL_STRING_SCRATCH 24 /* enough for the text of any int64_t */

/* The bytes of a string entry (asserted).  An integer is printed into `scratch`; otherwise the view
 * points into the entry and is valid until it next changes. */
struct hl_slice hl_string_view(const struct hl_entry *entry, char scratch[HL_STRING_SCRATCH]);

/* Length in bytes of what hl_string_view() would return. */
size_t hl_string_len(const struct hl_entry *entry);

/* True and *out when the value is the decimal text of an int64_t. */
bool hl_string_int(const struct hl_entry *entry, int64_t *out);

/* Replace the value by an integer, in place where it fits.  The deadline stays.  May move the
 * entry; returns its address.  Calls hl_db_modified(). */
struct hl_entry *hl_string_set_int(struct hl_db *db, struct hl_entry *entry, int64_t value);

/* Append bytes, which must not be a view of the entry (encoding becomes raw).  May move the entry;
 * returns its address.  Amortised O(appended).  Calls hl_db_modified(). */
struct hl_entry *hl_string_append(struct hl_db *db, struct hl_entry *entry, struct hl_slice bytes);

/* Overwrite from `offset` on with bytes that are not a view of the entry, growing with zero bytes
 * as needed (encoding becomes raw).  May move the entry; returns its address.  Calls
 * hl_db_modified(). */
struct hl_entry *hl_string_set_range(struct hl_db *db, struct hl_entry *entry, size_t offset,
                                     struct hl_slice bytes);

/* A writable view of the bytes, resized to `len` with zero bytes (for the module ABI's StringDMA
 * and StringTruncate).  May move the entry: *entry is updated. Does not call hl_db_modified(). */
char *hl_string_edit(struct hl_db *db, struct hl_entry **entry, size_t len);

#endif
