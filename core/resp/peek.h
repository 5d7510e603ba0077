/* Looking ahead in a pipeline: which words are probably keys. */
#ifndef HL_RESP_PEEK_H
#define HL_RESP_PEEK_H

#include "kit/bytes.h"

#define HL_PEEK_ARGS_MAX 8 /* arguments a request may have to be looked past */

/*
 * The second word of each of the first requests in `bytes`, at most `max`, written to `words` as
 * views; returns how many.  Only whole plain requests count (arrays of up to HL_PEEK_ARGS_MAX bulk
 * strings): it stops at anything else.  Advice for prefetching: says nothing about validity.
 */
int hl_peek_words(const char *bytes, size_t len, struct hl_slice *words, int max);

#endif
