/* What the bytes of a connection mean: messages, their bodies, frames; and what waiting too long
 * or an end in the middle means. */
#include "conn.h"

#include "request.h"
#include "settings.h"
#include "socket.h"
#include "stats.h"

#include "kit/assert.h"
#include "kit/http1_write.h"
#include "net/answer.h"

/* --- answers ---------------------------------------------------------------------------------- */

void conn_refuse(struct conn *conn, int status, const char *why)
{
    net_put_refusal(&conn->s.out, status, why, loop_date(conn->loop));
    stats_add(COUNT_requests_malformed, 1);
    stats_add(status < 500 ? COUNT_responses_4xx : COUNT_responses_5xx, 1);
    conn_finish(conn);
}

void conn_answered(struct conn *conn)
{
    HL_ASSERT(conn->state != CONN_LINGER);
    HL_ASSERT(conn->state != CONN_CLOSING);
    conn->request = NULL;
    conn->flow = NULL;
    conn->served++;
    if (conn->last || conn->loop->draining ||
        conn->served >= (uint64_t)setting(SETTING_REQUESTS_MAX)) {
        conn_finish(conn);
        return;
    }
    if (conn->body_open) {
        conn_enter(conn, CONN_DISCARD);
    } else {
        hl_http1_next(conn->http);
        conn_enter(conn, CONN_IDLE);
    }
    conn_flush(conn);
    conn_advance(conn);
}

void conn_drain(struct conn *conn)
{
    switch (conn->state) {
    case CONN_HANDSHAKE:
    case CONN_IDLE:
    case CONN_HEAD:
    case CONN_DISCARD:
        conn_finish(conn);
        break;
    case CONN_SOCKET:
        socket_goodbye(conn->socket, HL_WS_GOING_AWAY, (struct hl_slice){0});
        break;
    case CONN_FILTERS:
    case CONN_BODY:
    case CONN_HANDLER:
    case CONN_ANSWER:
    case CONN_LINGER:
    case CONN_CLOSING:
        break; /* conn_answered() sees that http drains */
    }
}

/* --- messages --------------------------------------------------------------------------------- */

/* Read a head; false when nothing more can be done now. */
static bool read_message(struct conn *conn)
{
    struct hl_http1_head head;
    struct hl_errmsg msg = {0};
    size_t used = 0;
    if (conn->s.in.len == 0) {
        return false;
    }
    if (conn->state == CONN_IDLE) {
        conn_enter(conn, CONN_HEAD);
    }
    hl_err err = hl_http1_head(conn->http, hl_buf_view(&conn->s.in), &head, &used, &msg);
    if (err == HL_ENOENT) {
        return false;
    }
    if (err != HL_OK) {
        conn_refuse(conn, hl_http1_status(conn->http), msg.text);
        return false;
    }
    conn->body_in = 0;
    conn->body_open = head.chunked || head.length != 0;
    request_begin(conn, &head, (struct hl_slice){.ptr = conn->s.in.ptr, .len = used});
    if (conn->state == CONN_CLOSING) {
        return false;
    }
    hl_buf_consume(&conn->s.in, used < conn->s.in.len ? used : conn->s.in.len);
    return true;
}

/* A body that breaks the rules: whoever holds the request learns that nobody listens any more. */
static void refuse_body(struct conn *conn, const char *why)
{
    int status = hl_http1_status(conn->http);
    if (conn->request == NULL || conn->request->status != 0) {
        conn_close(conn); /* the answer has begun, or gone: there is no other way to say so */
        return;
    }
    struct helios_http_request *request = conn->request;
    request->status = status;
    request_lose(request);
    conn_refuse(conn, status, why);
}

/* Read on in the body; false when nothing more can be done now. */
static bool read_body(struct conn *conn)
{
    struct hl_errmsg msg = {0};
    struct hl_slice piece = {0};
    size_t used = 0;
    bool done = !conn->body_open;
    if (!done) {
        hl_err err =
            hl_http1_body(conn->http, hl_buf_view(&conn->s.in), &used, &piece, &done, &msg);
        if (err != HL_OK) {
            refuse_body(conn, msg.text);
            return false;
        }
    }
    conn->body_in += used;
    conn->body_open = !done;
    if (conn->state == CONN_DISCARD && conn->body_in > HTTP_DISCARD_MAX) {
        conn_finish(conn);
        return false;
    }
    struct helios_http_request *request = conn->request;
    if (piece.len != 0 && request != NULL) {
        request->bytes_in += piece.len;
        request_body(request, piece);
    }
    if (conn->state == CONN_CLOSING) {
        return false;
    }
    hl_buf_consume(&conn->s.in, used);
    if (!done) {
        return used != 0;
    }
    if (conn->state == CONN_DISCARD) {
        hl_http1_next(conn->http);
        conn_enter(conn, CONN_IDLE);
    } else if (conn->request != NULL && piece.len == 0) {
        request_body_end(conn->request); /* else it is asked for again */
    } else if (conn->request != NULL && !conn->request->streamed_body) {
        request_body_end(conn->request);
    }
    return true;
}

void conn_messages(struct conn *conn)
{
    bool more = true;
    while (more) {
        bool backlog = conn->s.out.len > (size_t)setting(SETTING_WRITE_BUFFER);
        switch (conn->state) {
        case CONN_IDLE:
        case CONN_HEAD:
            more = !backlog && read_message(conn);
            break;
        case CONN_BODY:
        case CONN_DISCARD:
            more = read_body(conn);
            break;
        case CONN_HANDLER:
        case CONN_ANSWER:
            more = conn->request != NULL && request_wants_body(conn->request) && read_body(conn);
            break;
        case CONN_SOCKET:
            more = !backlog && socket_frames(conn->socket);
            break;
        case CONN_HANDSHAKE:
        case CONN_FILTERS:
        case CONN_LINGER:
        case CONN_CLOSING:
            more = false;
            break;
        }
    }
}

/* --- time and ends ---------------------------------------------------------------------------- */

/* Answer for a holder that is not done; he goes on for nobody. */
static void answer_instead(struct conn *conn, int status, const char *code, const char *why)
{
    struct helios_http_request *request = conn->request;
    conn->last = true;
    struct hl_buf body = {0};
    net_put_error_body(&body, code, why);
    request_put_head(request, &conn->s.out, status, "application/json", false);
    hl_http1_put_length(&conn->s.out, body.len);
    hl_http1_put_end(&conn->s.out);
    hl_buf_append_slice(&conn->s.out, hl_buf_view(&body));
    hl_buf_fini(&body);
    request_lose(request);
    conn_answered(conn);
}

void conn_expired(struct conn *conn)
{
    switch (conn->state) {
    case CONN_IDLE:
        stats_add(COUNT_timeouts_idle, 1);
        conn_finish(conn);
        break;
    case CONN_HANDSHAKE:
        stats_add(COUNT_tls_failures, 1);
        conn_close(conn);
        break;
    case CONN_HEAD:
        stats_add(COUNT_timeouts_head, 1);
        conn_refuse(conn, 408, "the head of the request did not come in time");
        break;
    case CONN_BODY:
        stats_add(COUNT_timeouts_body, 1);
        answer_instead(conn, 408, "request_timeout", "the body did not come in time");
        break;
    case CONN_FILTERS:
    case CONN_HANDLER:
        stats_add(COUNT_timeouts_handler, 1);
        answer_instead(conn, 503, "timeout", "the server did not answer in time");
        break;
    case CONN_SOCKET:
        socket_ping(conn->socket);
        break;
    case CONN_DISCARD:
        conn_close(conn);
        break;
    case CONN_ANSWER:
    case CONN_LINGER:
    case CONN_CLOSING:
        break;
    }
}

void conn_ended(struct conn *conn)
{
    bool awaits_body = conn->request != NULL && conn->request->streamed_body && conn->body_open;
    switch (conn->state) {
    case CONN_FILTERS: /* a client may close its half and still read */
        break;
    case CONN_HANDLER:
    case CONN_ANSWER:
        if (awaits_body) {
            conn_close(conn);
        }
        break;
    case CONN_IDLE:
    case CONN_HEAD:
        conn_finish(conn); /* what was answered may still be on its way */
        break;
    case CONN_HANDSHAKE:
    case CONN_BODY:
    case CONN_DISCARD:
    case CONN_SOCKET:
        conn_close(conn);
        break;
    case CONN_LINGER:
    case CONN_CLOSING:
        break;
    }
}
