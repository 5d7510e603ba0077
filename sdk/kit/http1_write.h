/* Writing HTTP/1.1 messages: nothing that a caller hands in can end a line.
 *
 *   WR1  a refused part leaves the buffer as it was.
 */
#ifndef KIT_HTTP1_WRITE_H
#define KIT_HTTP1_WRITE_H

#include "kit/bytes.h"
#include "kit/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Append "HTTP/1.1 200 OK" and the end of the line; the status is 100 to 599. */
void hl_http1_put_status(struct hl_buf *out, int status);

/* Append "GET /path HTTP/1.1" and the end of the line.  HL_EINVAL when the method is no token or
 * the target has a blank, a control or a non-ASCII character, or is empty (WR1). */
HL_MUST_USE hl_err hl_http1_put_request(struct hl_buf *out, struct hl_slice method,
                                        struct hl_slice target);

/* Append a header line.  HL_EINVAL when the name is no token or the value has a control character
 * (WR1). */
HL_MUST_USE hl_err hl_http1_put_header(struct hl_buf *out, struct hl_slice name,
                                       struct hl_slice value);

/* The same for texts of the program itself, which are right. */
void hl_http1_put(struct hl_buf *out, const char *name, const char *value);

/* Append Content-Length. */
void hl_http1_put_length(struct hl_buf *out, uint64_t length);

/* Append one chunk; nothing for no bytes, since that would end the body. */
void hl_http1_put_chunk(struct hl_buf *out, struct hl_slice bytes);

/* Append the end of a chunked body. */
void hl_http1_put_last_chunk(struct hl_buf *out);

/* Append the empty line behind the head. */
void hl_http1_put_end(struct hl_buf *out);

/* True when a response of that status has no body, whatever its headers say: 1xx, 204, 304. */
bool hl_http1_status_is_bodyless(int status);

#endif
