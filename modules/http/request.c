/* Requests: their way through filters and handler, and their answers. */
#include "request.h"

#include "access_log.h"
#include "call.h"
#include "metrics.h"
#include "native.h"
#include "settings.h"
#include "stats.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/http1_write.h"
#include "kit/json.h"
#include "net/answer.h"

#include <inttypes.h>
#include <sys/random.h>

/* --- beginning -------------------------------------------------------------------------------- */

static struct hl_slice header(const struct hl_http1_head *head, const char *name)
{
    const struct hl_slice *value = hl_http1_find(head, name);
    return value != NULL ? *value : (struct hl_slice){0};
}

static struct helios_http_request *create(struct conn *conn, const struct hl_http1_head *head,
                                          struct hl_slice bytes)
{
    unsigned char chance[NET_TRACE_CHANCE];
    struct helios_http_request *r = hl_malloc(sizeof *r);
    memset(r, 0, offsetof(struct helios_http_request, head));
    memcpy(&r->head, head, offsetof(struct hl_http1_head, headers));
    memcpy(r->head.headers, head->headers, head->header_count * sizeof head->headers[0]);
    hl_buf_append_slice(&r->bytes, bytes);
    hl_http1_rebase(&r->head, bytes.ptr, r->bytes.ptr);
    if (getrandom(chance, sizeof chance, 0) != (ssize_t)sizeof chance) {
        memset(chance, 1, sizeof chance); /* a name that is not unique harms nobody */
    }
    net_trace_init(&r->trace, header(&r->head, "x-request-id"), header(&r->head, "traceparent"),
                   chance);
    memcpy(r->remote, conn->s.remote, sizeof r->remote);
    r->loop = conn->loop;
    r->conn = conn;
    r->secure = conn->secure;
    r->is_head = hl_slice_equal(r->head.method, hl_slice_of("HEAD"));
    r->started_us = uv_hrtime() / 1000;
    r->length_left = -1;
    r->next = r->loop->requests;
    if (r->next != NULL) {
        r->next->prev = r;
    }
    r->loop->requests = r;
    conn->request = r;
    atomic_store(&r->refs, 1);
    conn->last = conn->last || !r->head.keep_alive;
    stats_add(COUNT_requests_total, 1);
    stats_add(COUNT_requests_open, 1);
    return r;
}

/* Decode what the pattern captured; false for an encoding that is none. */
static bool take_params(struct helios_http_request *r, const struct route_match *match)
{
    for (size_t i = 0; i < match->param_count; i++) {
        struct hl_slice name = match->params[i].name;
        name.ptr = r->served->pattern + (name.ptr - match->route->pattern);
        r->params[i].name = name;
        r->param_count = i + 1;
        if (hl_percent_decode(&r->params[i].value, match->params[i].raw, false) != HL_OK) {
            return false;
        }
    }
    return true;
}

/* No route: 404, 405, or what OPTIONS wants to know. */
static void answer_unrouted(struct helios_http_request *r, const struct route_match *match)
{
    bool options = hl_slice_equal(r->head.method, hl_slice_of("OPTIONS"));
    bool asterisk = hl_slice_equal(r->head.path, hl_slice_of("*"));
    if (match->path_known) {
        hl_http1_put(&r->headers, "Allow", match->allowed);
    }
    if (options && (match->path_known || asterisk)) {
        request_respond(r, 204, NULL, (struct hl_slice){0});
    } else if (match->path_known) {
        request_fail(r, 405, "method_not_allowed", "this path does not take this method");
    } else {
        request_fail(r, 404, "not_found", "there is nothing at this path");
    }
}

void request_begin(struct conn *conn, const struct hl_http1_head *head, struct hl_slice bytes)
{
    struct route_match match;
    struct helios_http_request *r = create(conn, head, bytes);
    router_find(&r->loop->router, r->head.method, r->head.path, &match);
    conn_enter(conn, CONN_FILTERS);
    if (match.route == NULL) {
        answer_unrouted(r, &match);
        return;
    }
    r->served = match.route->value;
    r->served->refs++;
    r->streamed_body = (r->served->flags & HELIOS_HTTP_STREAM_BODY) != 0;
    if (!take_params(r, &match)) {
        request_fail(r, 400, "bad_request", "the path is ill-encoded");
        return;
    }
    uint64_t most = (uint64_t)setting(SETTING_BODY_MAX);
    if (r->served->body_max != 0 && r->served->body_max < most) {
        most = r->served->body_max;
    }
    if (r->head.length > most) {
        request_fail(r, 413, "body_too_large", "the body is larger than this path takes");
        return;
    }
    hl_http1_limit_body(conn->http, most);
    request_pass(r);
}

/* Say "100 Continue" when the client waits for it. */
static void invite_body(struct helios_http_request *r)
{
    struct conn *conn = r->conn;
    if (r->head.expects_continue && r->bytes_in == 0) {
        r->head.expects_continue = false;
        hl_http1_put_status(&conn->s.out, 100);
        hl_http1_put_end(&conn->s.out);
        conn_flush(conn);
    }
}

static void hand_over(struct helios_http_request *r)
{
    r->holder = r->served->owner;
    if (r->conn != NULL) {
        conn_enter(r->conn, CONN_HANDLER);
    }
    call_handler(r, r->served->handle, r->served->data, r->served->flags, r->served->owner);
}

/* The holder is done with it for now: what it said of the user stands still. */
static void know_user(struct helios_http_request *r)
{
    memcpy(r->logged_user, r->user, sizeof r->logged_user);
}

void request_pass(struct helios_http_request *r)
{
    struct loop *loop = r->loop;
    r->holder = 0;
    know_user(r);
    if (r->conn == NULL) {
        request_end(r); /* the client left while a filter had it */
        return;
    }
    bool filtered = (r->served->flags & HELIOS_HTTP_NO_FILTERS) == 0;
    if (filtered && r->filter_at < loop->filter_count) {
        const struct filter *filter = &loop->filters[r->filter_at++];
        r->holder = filter->owner;
        call_handler(r, filter->run, filter->data, filter->flags, filter->owner);
        return;
    }
    if (r->streamed_body) {
        hand_over(r);
    } else {
        conn_enter(r->conn, CONN_BODY);
        if (r->conn->body_open) {
            invite_body(r);
        }
    }
    conn_advance(r->conn);
}

/* --- body ------------------------------------------------------------------------------------- */

void request_want_body(struct helios_http_request *r, helios_http_piece piece, void *data)
{
    r->piece = piece;
    r->piece_data = data;
    if (r->conn == NULL) {
        call_piece(r, (struct hl_slice){0}, -1);
        return;
    }
    r->piece_wanted = true;
    invite_body(r);
    conn_advance(r->conn);
}

bool request_wants_body(const struct helios_http_request *r)
{
    return r->streamed_body && r->piece_wanted;
}

void request_body(struct helios_http_request *r, struct hl_slice piece)
{
    if (r->streamed_body) {
        r->piece_wanted = false;
        call_piece(r, piece, 0);
    } else {
        hl_buf_append_slice(&r->body, piece);
    }
}

void request_body_end(struct helios_http_request *r)
{
    if (r->streamed_body) {
        r->piece_wanted = false;
        call_piece(r, (struct hl_slice){0}, 1);
    } else {
        hand_over(r);
    }
}

/* --- answers ---------------------------------------------------------------------------------- */

void request_put_head(struct helios_http_request *r, struct hl_buf *out, int status,
                      const char *type, bool own)
{
    bool keeps = !r->conn->last && !r->loop->draining &&
                 r->conn->served + 1 < (uint64_t)setting(SETTING_REQUESTS_MAX);
    hl_http1_put_status(out, status);
    hl_http1_put(out, "Date", loop_date(r->loop));
    hl_http1_put(out, "X-Request-ID", r->trace.request_id);
    if (type != NULL) {
        hl_http1_put(out, "Content-Type", type);
        hl_http1_put(out, "X-Content-Type-Options", "nosniff");
    }
    if (own) {
        hl_buf_append_slice(out, hl_buf_view(&r->headers));
    }
    if (status != 101 && !keeps) {
        hl_http1_put(out, "Connection", "close");
        r->conn->last = true;
    } else if (status != 101 && r->head.minor == 0) {
        hl_http1_put(out, "Connection", "keep-alive");
    }
    static const enum counter counters[] = {COUNT_responses_2xx, COUNT_responses_3xx,
                                            COUNT_responses_4xx, COUNT_responses_5xx};
    if (status >= 200) {
        stats_add(counters[status / 100 - 2], 1);
    }
    r->status = status;
}

/* A body that will not be read ends the connection, unless it is small enough to be thrown away. */
static void settle_unread_body(struct helios_http_request *r)
{
    struct conn *conn = r->conn;
    bool small = r->head.length <= HTTP_DISCARD_MAX && !r->head.expects_continue;
    if (conn->body_open && !small) {
        conn->last = true;
    }
}

void request_respond(struct helios_http_request *r, int status, const char *type,
                     struct hl_slice body)
{
    struct conn *conn = r->conn;
    if (conn == NULL) {
        request_end(r);
        return;
    }
    bool bodyless = hl_http1_status_is_bodyless(status);
    know_user(r);
    settle_unread_body(r);
    request_put_head(r, &conn->s.out, status, bodyless ? NULL : type, true);
    if (!bodyless) {
        hl_http1_put_length(&conn->s.out, body.len);
    }
    hl_http1_put_end(&conn->s.out);
    if (!bodyless && !r->is_head) {
        hl_buf_append_slice(&conn->s.out, body);
        r->bytes_out = body.len;
    }
    conn->request = NULL;
    request_end(r);
    conn_answered(conn);
}

void request_fail(struct helios_http_request *r, int status, const char *code, const char *message)
{
    struct hl_buf body = {0};
    net_put_error_body(&body, code, message);
    request_respond(r, status, "application/json", hl_buf_view(&body));
    hl_buf_fini(&body);
}

void request_start(struct helios_http_request *r, int status, const char *type, int64_t length)
{
    struct conn *conn = r->conn;
    if (conn == NULL) {
        return;
    }
    r->chunked = length < 0 && r->head.minor == 1;
    if (length < 0 && r->head.minor == 0) {
        conn->last = true; /* its end is the connection's */
    }
    if (!r->streamed_body) {
        settle_unread_body(r);
    }
    request_put_head(r, &conn->s.out, status, type, true);
    if (r->chunked) {
        hl_http1_put(&conn->s.out, "Transfer-Encoding", "chunked");
    } else if (length >= 0) {
        hl_http1_put_length(&conn->s.out, (uint64_t)length);
    }
    hl_http1_put_end(&conn->s.out);
    conn->flow = &r->flow;
    conn_enter(conn, CONN_ANSWER);
    conn_flush(conn);
    conn_advance(conn);
}

void request_send(struct helios_http_request *r, struct hl_slice bytes)
{
    struct conn *conn = r->conn;
    if (conn == NULL) {
        return;
    }
    if (r->is_head) { /* sent, as it were */
        atomic_fetch_sub(&r->flow.queued, bytes.len);
        if (atomic_exchange(&r->flow.wants_room, false)) {
            request_room(r);
        }
        return;
    }
    r->bytes_out += bytes.len;
    conn->s.marked += bytes.len;
    if (r->chunked) {
        hl_http1_put_chunk(&conn->s.out, bytes);
    } else {
        hl_buf_append_slice(&conn->s.out, bytes);
    }
    conn_flush(conn);
}

void request_finish(struct helios_http_request *r, bool whole)
{
    struct conn *conn = r->conn;
    if (conn == NULL) {
        request_end(r);
        return;
    }
    if (!whole) {
        r->holder = 0;
        conn_close(conn); /* the only way to say that something is missing; ends the request */
        return;
    }
    if (r->chunked && !r->is_head) {
        hl_http1_put_last_chunk(&conn->s.out);
    }
    settle_unread_body(r);
    conn->request = NULL;
    conn->s.marked = 0;
    conn->s.writing_marked = 0;
    request_end(r);
    conn_answered(conn);
}

void request_room(struct helios_http_request *r)
{
    if (r->writable != NULL && !atomic_load(&r->answered)) {
        call_writable(r);
    }
}

/* --- ends ------------------------------------------------------------------------------------- */

/* Tell the log and the observers, once. */
static void tell(struct helios_http_request *r)
{
    struct hl_slice method = r->head.method;
    const char *pattern = r->served != NULL ? r->served->pattern : "";
    struct helios_http_done done = {
        .method = {method.ptr, method.len},
        .path = {r->head.path.ptr, r->head.path.len},
        .pattern = {pattern, strlen(pattern)},
        .remote = {r->remote, strlen(r->remote)},
        .request_id = {r->trace.request_id, strlen(r->trace.request_id)},
        .user = {r->logged_user, strlen(r->logged_user)},
        .status = r->status,
        .bytes_in = r->bytes_in,
        .bytes_out = r->bytes_out,
        .duration_us = (int64_t)(uv_hrtime() / 1000 - r->started_us),
    };
    if (r->told) {
        return;
    }
    r->told = true;
    if (r->status == 0) {
        stats_add(COUNT_requests_abandoned, 1);
    }
    metrics_exchange(&done);
    access_log_write(r->loop->log, &done, r->trace.parent);
    for (size_t i = 0; i < r->loop->observer_count; i++) {
        r->loop->observers[i].run(&done, r->loop->observers[i].data);
    }
}

void request_lose(struct helios_http_request *r)
{
    HL_ASSERT(r->conn != NULL);
    r->conn->request = NULL;
    r->conn->flow = NULL;
    r->conn = NULL;
    atomic_store(&r->gone, true);
    tell(r);
    if (r->holder == 0) {
        request_end(r);
        return;
    }
    if (r->piece_wanted) {
        r->piece_wanted = false;
        call_piece(r, (struct hl_slice){0}, -1);
    }
    if (atomic_load(&r->streaming) && atomic_exchange(&r->flow.wants_room, false)) {
        request_room(r);
    }
}

void request_end(struct helios_http_request *r)
{
    tell(r);
    if (r->prev != NULL) {
        r->prev->next = r->next;
    } else {
        r->loop->requests = r->next;
    }
    if (r->next != NULL) {
        r->next->prev = r->prev;
    }
    stats_add(COUNT_requests_open, -1);
    for (size_t i = 0; i < r->note_count; i++) {
        if (r->notes[i].destroy != NULL) {
            r->notes[i].destroy(r->notes[i].value);
        }
    }
    while (r->decoded != NULL) {
        struct decoded *gone = r->decoded;
        r->decoded = gone->next;
        hl_buf_fini(&gone->text);
        hl_free(gone);
    }
    for (size_t i = 0; i < r->param_count; i++) {
        hl_buf_fini(&r->params[i].value);
    }
    if (r->served != NULL && --r->served->refs == 0) {
        hl_free(r->served);
    }
    r->served = NULL;
    r->over = true;
    hl_buf_fini(&r->bytes);
    hl_buf_fini(&r->body);
    hl_buf_fini(&r->headers);
    atomic_store(&r->answered, true);
    request_unref(r);
}

void request_unref(struct helios_http_request *r)
{
    if (atomic_fetch_sub(&r->refs, 1) == 1) {
        hl_free(r);
    }
}
