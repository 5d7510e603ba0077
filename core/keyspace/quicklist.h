/* Lists: a chain of blocks, each a listpack of up to `ks->limits.list_max_listpack_size`. */
#ifndef HL_KEYSPACE_QUICKLIST_H
#define HL_KEYSPACE_QUICKLIST_H

#include "keyspace/keyspace.h"

#define HL_QL_SCRATCH 24 /* room for the text of an integer element */

/* Number of elements.  All functions here assert that the entry is a list. */
size_t hl_ql_len(const struct hl_entry *entry);

/* Add an element at the head, or at the tail.  As all functions here that change a list: the
 * entry does not move, cursors end, and the caller reports the change with hl_db_modified().
 * `value` must not be a view of the list. */
void hl_ql_push(struct hl_keyspace *ks, struct hl_entry *entry, struct hl_slice value, bool head);

/* Delete up to `count` elements from `index` (0 to the length) on.  An empty list stays: the caller
 * deletes the key. */
void hl_ql_delete(struct hl_entry *entry, size_t index, size_t count);

/* --- one element ------------------------------------------------------------------------------ */

struct hl_ql_block;

/* An element of a list; valid until the list changes. */
struct hl_ql_cursor {
    struct hl_ql_block *block;
    size_t at; /* offset in it */
};

/* Go to element `index`, counted from the end when negative (-1 is the last); false when there is
 * none.  Takes time with the number of blocks between it and the nearer end. */
bool hl_ql_seek(const struct hl_entry *entry, int64_t index, struct hl_ql_cursor *out);

/* Go to the next element, or to the one before; false when there is none, and the cursor has
 * ended. */
bool hl_ql_step(struct hl_ql_cursor *cursor, bool forward);

/* The element: a view, or the text of an integer in `scratch`; valid until the list changes. */
struct hl_slice hl_ql_value(const struct hl_ql_cursor *cursor, char scratch[HL_QL_SCRATCH]);

/* True when the element has this value. */
bool hl_ql_value_is(const struct hl_ql_cursor *cursor, struct hl_slice value);

/* Add an element right before or right after another; the cursor ends. */
void hl_ql_insert(struct hl_keyspace *ks, struct hl_entry *entry, struct hl_ql_cursor *cursor,
                  bool after, struct hl_slice value);

/* Put another value in an element's place; the cursor ends. */
void hl_ql_replace(struct hl_keyspace *ks, struct hl_entry *entry, struct hl_ql_cursor *cursor,
                   struct hl_slice value);

/* Delete an element; the cursor goes to the next one, or to the one before; false when there is
 * none, and the cursor has ended. */
bool hl_ql_remove(struct hl_entry *entry, struct hl_ql_cursor *cursor, bool forward);

#endif
