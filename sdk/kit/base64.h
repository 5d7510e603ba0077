/* Bytes as text: base64url without padding (RFC 4648 section 5) and hexadecimal.
 *
 * Decoding is strict: one text per value, so that two different texts never mean the same bytes.
 */
#ifndef KIT_BASE64_H
#define KIT_BASE64_H

#include "kit/bytes.h"

/* Characters that `n` bytes become, and an upper bound of the bytes that `n` characters hold. */
#define HL_BASE64URL_LEN(n) (((n)*4 + 2) / 3)
#define HL_BASE64URL_BYTES(n) ((n) / 4 * 3 + 2)

/* Append `len` bytes at `bytes` as base64url without padding. */
void hl_base64url_append(struct hl_buf *out, const void *bytes, size_t len);

/* Decode `text` into `out`, which has room for `cap` bytes, and set *len.  False, with `out`
 * undefined and *len alone, when a character is not of the alphabet ('=' and blanks included), the
 * length is impossible, the unused low bits are not zero, or `cap` is too small. */
bool hl_base64url_decode(struct hl_slice text, unsigned char *out, size_t cap, size_t *len);

/* Write 2 * len lower-case digits and a NUL to `out`. */
void hl_hex_format(char *out, const void *bytes, size_t len);

/* Read exactly 2 * len lower-case digits into `out`; false, `out` undefined, for any other text. */
bool hl_hex_parse(struct hl_slice text, unsigned char *out, size_t len);

#endif
