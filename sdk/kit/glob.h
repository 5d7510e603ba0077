/* Glob patterns as KEYS, PSUBSCRIBE, ACL and CONFIG GET know them:
 * '*', '?', '[abc]', '[^abc]', '[a-z]', and '\' to take the next byte as it is. */
#ifndef KIT_GLOB_H
#define KIT_GLOB_H

#include "kit/bytes.h"

#include <stdbool.h>

/* True when `pattern` matches all of `text`; `fold_case` ignores ASCII case.  A class without its
 * ']' ends with the pattern.  Time is at most the product of the lengths, without recursion. */
bool hl_glob_match(struct hl_slice pattern, struct hl_slice text, bool fold_case);

/* True when `pattern` has a byte that is not simply itself. */
bool hl_glob_is_pattern(struct hl_slice pattern);

#endif
