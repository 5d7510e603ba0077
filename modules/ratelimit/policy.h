/* policy: limits with a name, in the order of their names.
 *
 *   P1  Names are unique, sorted as bytes, 1 to POLICY_NAME_MAX of letters, digits, '_', '-', '.',
 *       ':' and '/', begin with a letter or '_', and are no word of the commands' grammar.
 *   P2  Equal tables have equal bytes, and bytes that decode encode to themselves.
 *
 * Stored form: u8 format, 1; then for each policy u8 name length, name, u8 algorithm, and capacity,
 * num and den as i64 little endian.
 */
#ifndef RATELIMIT_POLICY_H
#define RATELIMIT_POLICY_H

#include "limit.h"

#define POLICY_NAME_MAX 64
#define POLICIES_MAX 1024

struct policy {
    char name[POLICY_NAME_MAX + 1];
    struct limit limit;
};

/* All zero is an empty table; end it with policies_fini(). */
struct policies {
    struct policy *items;
    size_t count;
};

/* Release the memory; the table is then empty. */
void policies_fini(struct policies *policies);

/* Whether the bytes are a name (P1). */
bool policy_name_valid(struct hl_slice name);

/* The limit of that name, borrowed until the table changes; NULL when there is none. */
const struct limit *policies_find(const struct policies *policies, struct hl_slice name);

/* Set a policy; `name` and `limit` are valid.  HL_EFULL, nothing changed, when the table is full.
 */
HL_MUST_USE hl_err policies_set(struct policies *policies, struct hl_slice name,
                                const struct limit *limit);

/* Remove one; false when there is none. */
bool policies_delete(struct policies *policies, struct hl_slice name);

/* Append the stored form. */
void policies_encode(const struct policies *policies, struct hl_buf *out);

/* Read a stored form, any bytes, into an empty table.  HL_EVERSION a later format, HL_ECORRUPT no
 * table; the table is then still empty. */
HL_MUST_USE hl_err policies_decode(struct policies *policies, struct hl_slice bytes);

#endif
