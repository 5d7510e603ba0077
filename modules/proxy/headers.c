/* Heads, handed on. */
#include "headers.h"

#include "kit/assert.h"
#include "kit/http1_text.h"
#include "kit/http1_write.h"
#include "kit/ws.h"

#define VIA "1.1 helios"

static bool is_one_of(struct hl_slice name, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (hl_slice_is(name, words[i])) {
            return true;
        }
    }
    return false;
}

/* PH1 and PH2, but for what Connection names. */
static bool is_of_one_hop(struct hl_slice name)
{
    static const char *const words[] = {
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "expect",
        "proxy",
        "http2-settings",
    };
    return is_one_of(name, words, HL_ARRAY_LEN(words));
}

/* Tokens, so folding what are no letters does no harm that matters: too much is dropped, never too
 * little. */
static bool same_token(struct hl_slice a, struct hl_slice b)
{
    for (size_t i = 0; i < a.len && a.len == b.len; i++) {
        if ((a.ptr[i] | ' ') != (b.ptr[i] | ' ')) {
            return false;
        }
    }
    return a.len == b.len;
}

static bool is_named(const struct hl_http1_head *head, struct hl_slice name)
{
    for (size_t i = 0; i < head->header_count; i++) {
        struct hl_slice rest = head->headers[i].value;
        struct hl_slice item;
        if (!hl_slice_is(head->headers[i].name, "connection")) {
            continue;
        }
        while (hl_http1_list_next(&rest, &item)) {
            if (same_token(item, name)) {
                return true;
            }
        }
    }
    return false;
}

/* --- requests --------------------------------------------------------------------------------- */

bool headers_is_idempotent(struct hl_slice method)
{
    static const char *const words[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};
    for (size_t i = 0; i < HL_ARRAY_LEN(words); i++) {
        if (hl_slice_equal(method, hl_slice_of(words[i]))) {
            return true;
        }
    }
    return false;
}

bool headers_want_websocket(const struct hl_http1_head *head)
{
    return head->wants_upgrade && hl_slice_is(head->upgrade, "websocket") && head->minor == 1 &&
           hl_slice_equal(head->method, hl_slice_of("GET")) && !head->chunked &&
           head->length == 0 && hl_http1_find(head, "sec-websocket-key") != NULL;
}

/* Written by us, whatever the client said. */
static bool is_ours(struct hl_slice name, bool trusts)
{
    static const char *const always[] = {"host", "via", "x-request-id", "traceparent",
                                         "x-forwarded-for"};
    static const char *const claims[] = {
        "x-forwarded-proto", "x-forwarded-host",   "forwarded",          "x-real-ip",
        "x-forwarded-port",  "x-forwarded-server", "x-forwarded-prefix", "x-forwarded-ssl"};
    return is_one_of(name, always, HL_ARRAY_LEN(always)) ||
           (!trusts && is_one_of(name, claims, HL_ARRAY_LEN(claims)));
}

static hl_err put_target(struct hl_buf *out, const struct hl_http1_head *head, size_t strip)
{
    struct hl_buf target = {0};
    struct hl_slice path = head->path;
    HL_ASSERT(strip <= path.len);
    path.ptr += strip;
    path.len -= strip;
    if (path.len == 0 || (path.ptr[0] != '/' && strip != 0)) {
        hl_buf_append_text(&target, "/");
    }
    hl_buf_append_slice(&target, path);
    if (head->query.ptr != NULL) {
        hl_buf_append_text(&target, "?");
        hl_buf_append_slice(&target, head->query);
    }
    hl_err err = hl_http1_put_request(out, head->method, hl_buf_view(&target));
    hl_buf_fini(&target);
    return err;
}

/* Append "name: theirs, ours". */
static hl_err put_joined(struct hl_buf *out, const struct hl_http1_head *head, const char *name,
                         bool keeps, const char *ours)
{
    struct hl_buf value = {0};
    for (size_t i = 0; keeps && i < head->header_count; i++) {
        if (hl_slice_is(head->headers[i].name, name) && head->headers[i].value.len != 0) {
            hl_buf_append_slice(&value, head->headers[i].value);
            hl_buf_append_text(&value, ", ");
        }
    }
    hl_buf_append_text(&value, ours);
    hl_err err = hl_http1_put_header(out, hl_slice_of(name), hl_buf_view(&value));
    hl_buf_fini(&value);
    return err;
}

static bool keeps_theirs(const struct hl_http1_head *head, const struct forward *forward,
                         const char *name)
{
    return forward->trusts && hl_http1_find(head, name) != NULL;
}

static hl_err put_own(struct hl_buf *out, const struct hl_http1_head *head,
                      const struct forward *forward)
{
    bool has_host = head->host.ptr != NULL && head->host.len != 0;
    struct hl_slice host = has_host ? head->host : hl_slice_of(forward->host);
    hl_err err = hl_http1_put_header(out, hl_slice_of("Host"), host);
    if (err == HL_OK) {
        err = put_joined(out, head, "X-Forwarded-For", forward->trusts, forward->remote);
    }
    if (err == HL_OK && !keeps_theirs(head, forward, "x-forwarded-proto")) {
        hl_http1_put(out, "X-Forwarded-Proto", forward->secure ? "https" : "http");
    }
    if (err == HL_OK && has_host && !keeps_theirs(head, forward, "x-forwarded-host")) {
        err = hl_http1_put_header(out, hl_slice_of("X-Forwarded-Host"), host);
    }
    if (err == HL_OK) {
        err = put_joined(out, head, "Via", true, VIA);
    }
    hl_http1_put(out, "X-Request-ID", forward->request_id);
    hl_http1_put(out, "traceparent", forward->traceparent);
    return err;
}

hl_err headers_put_request(struct hl_buf *out, const struct hl_http1_head *head,
                           const struct forward *forward)
{
    size_t before = out->len;
    hl_err err = put_target(out, head, forward->strip);
    if (err == HL_OK) {
        err = put_own(out, head, forward);
    }
    for (size_t i = 0; i < head->header_count && err == HL_OK; i++) {
        const struct hl_http1_header *h = &head->headers[i];
        bool kept = !is_of_one_hop(h->name) && !is_ours(h->name, forward->trusts) &&
                    memchr(h->name.ptr, '_', h->name.len) == NULL && !is_named(head, h->name);
        if (kept) {
            err = hl_http1_put_header(out, h->name, h->value);
        }
    }
    if (err != HL_OK) {
        out->len = before;
        return err;
    }
    if (forward->websocket) {
        hl_http1_put(out, "Connection", "Upgrade");
        hl_http1_put(out, "Upgrade", "websocket");
    } else if (head->chunked) {
        hl_http1_put(out, "Transfer-Encoding", "chunked");
    } else if (head->has_length) {
        hl_http1_put_length(out, head->length);
    }
    hl_http1_put_end(out);
    return HL_OK;
}

/* --- responses -------------------------------------------------------------------------------- */

static void copy_response(struct hl_buf *out, const struct hl_http1_head *head)
{
    for (size_t i = 0; i < head->header_count; i++) {
        const struct hl_http1_header *h = &head->headers[i];
        bool kept = !is_of_one_hop(h->name) && !hl_slice_is(h->name, "x-request-id") &&
                    !is_named(head, h->name);
        if (kept) {
            hl_err err = hl_http1_put_header(out, h->name, h->value);
            HL_ASSERT(err == HL_OK); /* the parser took nothing that breaks a line */
        }
    }
}

enum framing headers_put_response(struct hl_buf *out, const struct hl_http1_head *head,
                                  struct answer *answer)
{
    bool bodyless = hl_http1_status_is_bodyless(head->status) || answer->to_head;
    enum framing framing = bodyless                                 ? FRAME_NONE
                           : head->has_length && !head->until_close ? FRAME_LENGTH
                           : answer->old_client                     ? FRAME_CLOSE
                                                                    : FRAME_CHUNKED;
    const struct hl_slice *length = hl_http1_find(head, "content-length");
    answer->close = answer->close || framing == FRAME_CLOSE;
    hl_http1_put_status(out, head->status);
    copy_response(out, head);
    if (hl_http1_find(head, "date") == NULL) {
        hl_http1_put(out, "Date", answer->date);
    }
    hl_http1_put(out, "X-Request-ID", answer->request_id);
    if (framing == FRAME_LENGTH) {
        hl_http1_put_length(out, head->length);
    } else if (framing == FRAME_CHUNKED) {
        hl_http1_put(out, "Transfer-Encoding", "chunked");
    } else if (framing == FRAME_NONE && length != NULL && head->status / 100 != 1 &&
               head->status != 204) { /* what GET would have had */
        hl_err err = hl_http1_put_header(out, hl_slice_of("Content-Length"), *length);
        HL_ASSERT(err == HL_OK);
    }
    if (answer->close) {
        hl_http1_put(out, "Connection", "close");
    } else if (answer->old_client) {
        hl_http1_put(out, "Connection", "keep-alive");
    }
    hl_http1_put_end(out);
    return framing;
}

bool headers_switch_to_websocket(const struct hl_http1_head *head, struct hl_slice key)
{
    char accept[HL_WS_ACCEPT_LEN + 1];
    const struct hl_slice *theirs = hl_http1_find(head, "sec-websocket-accept");
    hl_ws_accept(accept, key);
    return head->status == 101 && head->wants_upgrade && hl_slice_is(head->upgrade, "websocket") &&
           theirs != NULL && hl_slice_equal(*theirs, hl_slice_of(accept));
}

void headers_put_switch(struct hl_buf *out, const struct hl_http1_head *head,
                        const char *request_id)
{
    hl_http1_put_status(out, 101);
    hl_http1_put(out, "Upgrade", "websocket");
    hl_http1_put(out, "Connection", "Upgrade");
    hl_http1_put(out, "X-Request-ID", request_id);
    copy_response(out, head);
    hl_http1_put_end(out);
}
