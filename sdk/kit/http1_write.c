/* Writing HTTP/1.1 messages. */
#include "kit/http1_write.h"

#include "kit/assert.h"
#include "kit/http1_text.h"

#include <inttypes.h>

void hl_http1_put_status(struct hl_buf *out, int status)
{
    HL_ASSERT(status >= 100 && status <= 599);
    hl_buf_printf(out, "HTTP/1.1 %d %s\r\n", status, hl_http1_reason(status));
}

hl_err hl_http1_put_request(struct hl_buf *out, struct hl_slice method, struct hl_slice target)
{
    if (!hl_http1_is_token(method) || target.len == 0) {
        return HL_EINVAL;
    }
    for (size_t i = 0; i < target.len; i++) {
        if (target.ptr[i] <= ' ' || target.ptr[i] > '~') { /* a signed char above 127 is below */
            return HL_EINVAL;
        }
    }
    hl_buf_append_slice(out, method);
    hl_buf_append(out, " ", 1);
    hl_buf_append_slice(out, target);
    hl_buf_append_text(out, " HTTP/1.1\r\n");
    return HL_OK;
}

hl_err hl_http1_put_header(struct hl_buf *out, struct hl_slice name, struct hl_slice value)
{
    if (!hl_http1_is_token(name) || !hl_http1_is_value(value)) {
        return HL_EINVAL;
    }
    hl_buf_append_slice(out, name);
    hl_buf_append(out, ": ", 2);
    hl_buf_append_slice(out, value);
    hl_buf_append(out, "\r\n", 2);
    return HL_OK;
}

void hl_http1_put(struct hl_buf *out, const char *name, const char *value)
{
    hl_err err = hl_http1_put_header(out, hl_slice_of(name), hl_slice_of(value));
    HL_ASSERT(err == HL_OK);
}

void hl_http1_put_length(struct hl_buf *out, uint64_t length)
{
    hl_buf_printf(out, "Content-Length: %" PRIu64 "\r\n", length);
}

void hl_http1_put_chunk(struct hl_buf *out, struct hl_slice bytes)
{
    if (bytes.len != 0) {
        hl_buf_printf(out, "%zx\r\n", bytes.len);
        hl_buf_append_slice(out, bytes);
        hl_buf_append(out, "\r\n", 2);
    }
}

void hl_http1_put_last_chunk(struct hl_buf *out)
{
    hl_buf_append_text(out, "0\r\n\r\n");
}

void hl_http1_put_end(struct hl_buf *out)
{
    hl_buf_append(out, "\r\n", 2);
}

bool hl_http1_status_is_bodyless(int status)
{
    return status / 100 == 1 || status == 204 || status == 304;
}
