/* Numbers to text and back, exactly as Redis spells them: no locale, no leniency. */
#ifndef KIT_NUM_H
#define KIT_NUM_H

#include "kit/bytes.h"

#include <stdbool.h>
#include <stdint.h>

#define HL_I64_TEXT_MAX 21       /* "-9223372036854775808" and a NUL */
#define HL_DOUBLE_TEXT_MAX 40    /* any text hl_format_double() makes, and a NUL */
#define HL_LDOUBLE_TEXT_MAX 5120 /* any text hl_format_ldouble() makes, and a NUL */

/* Read a whole decimal integer: optional '-', no '+', no spaces, no leading zeros but "0" itself.
 * False, leaving *out alone, for anything else or out of range. */
bool hl_parse_i64(struct hl_slice text, int64_t *out);

/* Like hl_parse_i64() for 0..UINT64_MAX. */
bool hl_parse_u64(struct hl_slice text, uint64_t *out);

/* Read a whole double as strtod() of the C locale does ("inf", "1e3", hexadecimal too); false for
 * empty text, leading spaces, trailing bytes, NaN, overflow, underflow to zero, and for text of
 * 5120 bytes and more. */
bool hl_parse_double(struct hl_slice text, double *out);

/* Like hl_parse_double() in long double, for INCRBYFLOAT. */
bool hl_parse_ldouble(struct hl_slice text, long double *out);

/* Decimal text of `v` in `out` (HL_I64_TEXT_MAX bytes), NUL-terminated; returns its length. */
int hl_format_i64(char *out, int64_t v);

/* Text of `v` as RESP and ZSCORE of Redis 7.0 print it (%.17g; inf, -inf, nan; integers without a
 * fraction), NUL-terminated in HL_DOUBLE_TEXT_MAX bytes; returns its length. */
int hl_format_double(char *out, double v);

/* Text of `v` as INCRBYFLOAT prints it (17 digits after the point, trailing zeros cut),
 * NUL-terminated in HL_LDOUBLE_TEXT_MAX bytes; returns its length. */
int hl_format_ldouble(char *out, long double v);

/* Read a size such as "64mb", "1k" (1000), "1kb" (1024), "512"; false when malformed or out of
 * range.  Units ignore case. */
bool hl_parse_size(struct hl_slice text, int64_t *bytes);

/* Read a duration such as "100ms", "5s", "5m", "1h", "720h"; a bare number counts in `bare_ms`
 * units (1000 for seconds).  False when malformed, negative or out of range. */
bool hl_parse_duration(struct hl_slice text, int64_t bare_ms, int64_t *ms);

#endif
