/* A head that the parser accepts.  What is handed on is accepted as well, with the same framing,
 * and has no header of one hop.  The first byte chooses request or response and what is done. */
#include "kit/assert.h"
#include "proxy/headers.h"

static struct hl_http1_head head, after;

/* Read what was written: it must be one head, and all of it. */
static void read_again(struct hl_buf *out, bool request, bool to_head)
{
    size_t used = 0;
    struct hl_http1 *http = hl_http1_create(request, &hl_http1_limits_default);
    if (!request) {
        hl_http1_answers_head(http, to_head);
    }
    hl_err err = hl_http1_head(http, hl_buf_view(out), &after, &used, NULL);
    if (out->len <= hl_http1_limits_default.head_max &&
        head.header_count + 12 < hl_http1_limits_default.headers_max && head.target.len < 8000) {
        HL_ASSERT(err == HL_OK);
        HL_ASSERT(used == out->len);
    }
    hl_http1_destroy(http);
    if (err == HL_OK && request) {
        HL_ASSERT(after.chunked == head.chunked);
        HL_ASSERT(after.length == head.length);
        HL_ASSERT(hl_slice_equal(after.method, head.method));
        HL_ASSERT(hl_http1_find(&after, "te") == NULL);
        HL_ASSERT(hl_http1_find(&after, "keep-alive") == NULL);
    }
    if (err == HL_OK && !request) {
        HL_ASSERT(after.status == head.status);
        HL_ASSERT(hl_http1_find(&after, "keep-alive") == NULL);
    }
}

static void feed_request(uint8_t how)
{
    struct hl_buf out = {0};
    struct forward forward = {
        .remote = "::1",
        .secure = how & 2,
        .trusts = how & 4,
        .websocket = headers_want_websocket(&head),
        .host = "backend:1",
        .request_id = "id",
        .traceparent = "tp",
    };
    if (headers_put_request(&out, &head, &forward) == HL_OK) {
        read_again(&out, true, false);
    }
    hl_buf_fini(&out);
}

static void feed_response(uint8_t how)
{
    struct hl_buf out = {0};
    struct answer answer = {
        .to_head = how & 2,
        .old_client = how & 4,
        .close = how & 8,
        .date = "Sun, 06 Nov 1994 08:49:37 GMT",
        .request_id = "id",
    };
    if (head.status >= 200) {
        (void)headers_put_response(&out, &head, &answer);
        read_again(&out, false, how & 2);
    }
    hl_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t used = 0;
    if (size == 0) {
        return 0;
    }
    bool request = data[0] & 1;
    struct hl_http1 *http = hl_http1_create(request, &hl_http1_limits_default);
    if (!request) {
        hl_http1_answers_head(http, data[0] & 2);
    }
    struct hl_slice bytes = {(const char *)data + 1, size - 1};
    if (hl_http1_head(http, bytes, &head, &used, NULL) == HL_OK) {
        if (request) {
            feed_request(data[0]);
        } else {
            feed_response(data[0]);
        }
    }
    hl_http1_destroy(http);
    return 0;
}
