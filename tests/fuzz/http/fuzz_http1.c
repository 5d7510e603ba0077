/* Goal: no bytes crash the reading of HTTP messages, what is read does not depend on how it came,
 * and nothing that is accepted could end a line when it is written again.
 *
 * The first byte chooses: bit 0 requests or responses, bit 1 an answer to HEAD, the rest how long
 * the parts are in the second reading.
 */
#include "kit/assert.h"
#include "kit/http1.h"
#include "kit/http1_text.h"
#include "kit/http1_write.h"

#include <stdlib.h>

struct reading {
    struct hl_http1 *http;
    struct hl_buf in;
    struct hl_buf body;
    struct hl_http1_head head;
    bool in_body, refused;
    size_t messages;
};

/* What was accepted can be written, and the query and the path be decoded or refused. */
static void check_head(const struct hl_http1_head *head, bool requests)
{
    struct hl_buf out = {0};
    hl_err err = requests ? hl_http1_put_request(&out, head->method, head->target) : HL_OK;
    HL_ASSERT(err == HL_OK);
    for (size_t i = 0; i < head->header_count; i++) {
        err = hl_http1_put_header(&out, head->headers[i].name, head->headers[i].value);
        HL_ASSERT(err == HL_OK);
    }
    HL_ASSERT(!(head->chunked && head->has_length));
    hl_buf_clear(&out);
    (void)!hl_query_find(head->query, "key", &out);
    hl_buf_clear(&out);
    (void)!hl_percent_decode(&out, head->path, false);
    hl_buf_fini(&out);
}

static bool step(struct reading *r, bool requests)
{
    size_t used = 0;
    hl_err err;
    if (!r->in_body) {
        err = hl_http1_head(r->http, hl_buf_view(&r->in), &r->head, &used, NULL);
        if (err == HL_OK) {
            check_head(&r->head, requests);
            r->in_body = true;
        }
    } else {
        struct hl_slice piece;
        bool done = false;
        err = hl_http1_body(r->http, hl_buf_view(&r->in), &used, &piece, &done, NULL);
        if (err == HL_OK) {
            hl_buf_append_slice(&r->body, piece);
            if (done) {
                r->messages++;
                r->in_body = false;
                hl_http1_next(r->http);
            } else if (used == 0) {
                return false;
            }
        }
    }
    r->refused = r->refused || err == HL_EINVAL;
    hl_buf_consume(&r->in, used);
    return err == HL_OK;
}

static struct reading run(struct hl_slice bytes, size_t part, bool requests, bool is_head)
{
    struct reading r = {.http = hl_http1_create(requests, &hl_http1_limits_default)};
    if (!requests) {
        hl_http1_answers_head(r.http, is_head);
    }
    while (bytes.len != 0 && !r.refused) {
        size_t len = bytes.len < part ? bytes.len : part;
        hl_buf_append(&r.in, bytes.ptr, len);
        bytes.ptr += len;
        bytes.len -= len;
        while (step(&r, requests)) {
        }
    }
    hl_http1_destroy(r.http);
    hl_buf_fini(&r.in);
    return r;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct hl_slice bytes = {(const char *)data + 1, size - 1};
    bool requests = (data[0] & 1) == 0;
    bool is_head = (data[0] & 2) != 0;
    struct reading whole = run(bytes, bytes.len, requests, is_head);
    struct reading parts = run(bytes, 1 + (data[0] >> 2), requests, is_head);
    HL_ASSERT(whole.refused == parts.refused);
    HL_ASSERT(whole.messages == parts.messages);
    HL_ASSERT(whole.refused || hl_slice_equal(hl_buf_view(&whole.body), hl_buf_view(&parts.body)));
    hl_buf_fini(&whole.body);
    hl_buf_fini(&parts.body);
    return 0;
}
