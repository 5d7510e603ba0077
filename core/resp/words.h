/* Words: how an inline command (and a line of a configuration file) is cut into arguments. */
#ifndef HL_RESP_WORDS_H
#define HL_RESP_WORDS_H

#include "kit/bytes.h"

enum hl_word_result {
    HL_WORD,            /* one more word */
    HL_WORD_END,        /* only blanks were left */
    HL_WORD_UNBALANCED, /* a quote is not closed, or is followed by something other than a blank */
};

/*
 * Read the next word of `line` from *at on.
 *
 * Blanks are those of isspace().  Between double quotes \n \r \t \b \a and \xHH stand for bytes
 * and any other escaped byte for itself; between single quotes only \' is an escape.  A quote may
 * open inside a word.  A NUL is an ordinary byte.
 *
 * out      caller's memory, line.len - *at bytes are enough.
 * out_len  set to the word's length, which may be 0 ("").
 *
 * On HL_WORD *at is past the word; otherwise *out_len and the bytes at `out` mean nothing.
 */
enum hl_word_result hl_word_next(struct hl_slice line, size_t *at, char *out, size_t *out_len);

#endif
