/* Passwords that everybody tries: a list, kept as digests.
 *
 * The text of a list has one password a line; case is ignored, as are empty lines and lines longer
 * than a password may be.  A list of a million takes 8 MB.
 */
#ifndef AUTH_DENY_H
#define AUTH_DENY_H

#include "kit/bytes.h"

#define DENY_TEXT_MAX ((size_t)256 << 20)

/* All zero is a valid empty list; end it with deny_fini(). */
struct deny_list {
    size_t count;
    uint64_t *digests; /* sorted */
};

/* Add the lines of `text` and, in any case, the few dozen that every list has. */
void deny_fill(struct deny_list *list, struct hl_slice text);

/* Whether `password` is on the list.  O(log n). */
bool deny_has(const struct deny_list *list, struct hl_slice password);

/* Release the memory; the list is then empty and usable. */
void deny_fini(struct deny_list *list);

#endif
