/* Small texts of HTTP: tokens, lists, percent-encoding, queries, dates, the names of statuses. */
#ifndef KIT_HTTP1_TEXT_H
#define KIT_HTTP1_TEXT_H

#include "kit/bytes.h"
#include "kit/err.h"

#include <stdbool.h>
#include <stdint.h>

#define HL_HTTP1_DATE_MAX 30 /* "Sun, 06 Nov 1994 08:49:37 GMT" and a NUL */

/* True for a character that may stand in a token: letters, digits and 15 signs. */
bool hl_http1_is_tchar(unsigned char c);

/* True for a token: not empty, nothing but such characters. */
bool hl_http1_is_token(struct hl_slice text);

/* True for what may stand in a header's value: no control character but a tab. */
bool hl_http1_is_value(struct hl_slice text);

/* The text without blanks and tabs around it. */
struct hl_slice hl_http1_trim(struct hl_slice text);

/* Take the next element of a comma-separated list off *rest, trimmed, empty ones skipped; false at
 * the end. */
bool hl_http1_list_next(struct hl_slice *rest, struct hl_slice *item);

/* True when the list has that element, ignoring case. */
bool hl_http1_list_has(struct hl_slice list, const char *word);

/* Append `text` with %xx decoded, and '+' as a blank when `plus`.  HL_EINVAL for '%' without two
 * digits; `out` may hold part of it then. */
HL_MUST_USE hl_err hl_percent_decode(struct hl_buf *out, struct hl_slice text, bool plus);

/* Append `text` with everything but letters, digits and "-._~" encoded as %XX. */
void hl_percent_encode(struct hl_buf *out, struct hl_slice text);

/* Take the next "name=value" off *rest, still encoded; false at the end. */
bool hl_query_next(struct hl_slice *rest, struct hl_slice *name, struct hl_slice *value);

/* Append the decoded value of the first parameter of that (decoded) name.  HL_ENOENT when there is
 * none; HL_EINVAL when it is ill-encoded. */
HL_MUST_USE hl_err hl_query_find(struct hl_slice query, const char *name, struct hl_buf *value);

/* The date of a message, seconds since 1970, as RFC 9110 wants it, NUL-terminated. */
void hl_http1_date(char out[HL_HTTP1_DATE_MAX], int64_t unix_s);

/* The words for a status, "" for one that has none; static. */
const char *hl_http1_reason(int status);

#endif
