/* Connections: sockets, TLS, buffers, timers. What the bytes mean is in conn_http.c. */
#include "conn.h"

#include "request.h"
#include "settings.h"
#include "socket.h"
#include "stats.h"

#include "desk.h"
#include "kit/alloc.h"
#include "kit/assert.h"

#define NEVER_MS INT64_MAX

/* --- deadlines -------------------------------------------------------------------------------- */

/* Each byte of a body earns time, at a rate that a drip does not reach. */
static int64_t time_for_body(const struct conn *conn)
{
    return (int64_t)(conn->body_in * 1000 / (uint64_t)setting(SETTING_BODY_RATE_MIN));
}

static int64_t deadline_of(const struct conn *conn)
{
    int64_t since = conn->since_ms;
    switch (conn->state) {
    case CONN_HANDSHAKE:
    case CONN_HEAD:
        return since + setting(SETTING_HEAD_TIMEOUT);
    case CONN_IDLE:
        return since + setting(SETTING_IDLE_TIMEOUT);
    case CONN_FILTERS:
    case CONN_HANDLER:
        return since + setting(SETTING_HANDLER_TIMEOUT) + time_for_body(conn);
    case CONN_BODY:
    case CONN_DISCARD:
        return since + setting(SETTING_BODY_TIMEOUT) + time_for_body(conn);
    case CONN_SOCKET:
        return since + setting(SETTING_PING_INTERVAL);
    case CONN_LINGER: /* the writer's time before */
        return conn->shut ? since + HTTP_LINGER_MS : NEVER_MS;
    case CONN_ANSWER: /* the handler's time; a client that does not read is the writer's matter */
    case CONN_CLOSING:
        return NEVER_MS;
    }
    return NEVER_MS;
}

static void on_timer(uv_timer_t *timer);

/* Let the timer ring at the earliest deadline; one that rings early only looks again. */
static void arm(struct conn *conn)
{
    int64_t next = deadline_of(conn);
    if (conn->busy_write && conn->deadline_ms < next) {
        next = conn->deadline_ms;
    }
    if (next == NEVER_MS) {
        return;
    }
    int64_t now = loop_now_ms(conn->loop);
    uint64_t wait = next > now ? (uint64_t)(next - now) : 0;
    if (!uv_is_active((uv_handle_t *)&conn->timer) || uv_timer_get_due_in(&conn->timer) > wait) {
        uv_timer_start(&conn->timer, on_timer, wait, 0);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct conn *conn = timer->data;
    int64_t now = loop_now_ms(conn->loop);
    if (conn->busy_write) {
        size_t left = uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp);
        if (left < conn->stalled) {
            conn->stalled = left;
            conn->deadline_ms = now + setting(SETTING_WRITE_TIMEOUT);
        } else if (now >= conn->deadline_ms) {
            stats_add(COUNT_timeouts_write, 1);
            conn_close(conn);
            return;
        }
    }
    if (now >= deadline_of(conn)) {
        conn_expired(conn);
    }
    if (conn->state != CONN_CLOSING) {
        arm(conn);
    }
}

void conn_enter(struct conn *conn, enum conn_state state)
{
    HL_ASSERT(conn->state != CONN_CLOSING);
    conn->state = state;
    conn->since_ms = loop_now_ms(conn->loop);
    arm(conn);
}

/* --- closing ---------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct conn *conn = handle->data;
    if (--conn->handles != 0) {
        return;
    }
    hl_tls_destroy(conn->tls);
    hl_http1_destroy(conn->http);
    hl_ws_reader_fini(&conn->frames);
    hl_buf_fini(&conn->in);
    hl_buf_fini(&conn->out);
    hl_buf_fini(&conn->writing);
    hl_free(conn);
}

void conn_close(struct conn *conn)
{
    struct loop *loop = conn->loop;
    if (conn->state == CONN_CLOSING) {
        return;
    }
    conn->state = CONN_CLOSING;
    if (conn->prev != NULL) {
        conn->prev->next = conn->next;
    } else {
        loop->conns = conn->next;
    }
    if (conn->next != NULL) {
        conn->next->prev = conn->prev;
    }
    loop->conn_count--;
    stats_add(COUNT_connections_open, -1);
    peers_leave(&loop->peers, conn->address);
    if (conn->request != NULL) {
        request_lose(conn->request);
    }
    if (conn->socket != NULL) {
        socket_lose(conn->socket, HL_WS_ABNORMAL);
    }
    uv_close((uv_handle_t *)&conn->tcp, on_closed);
    uv_close((uv_handle_t *)&conn->timer, on_closed);
}

static void on_shut(uv_shutdown_t *request, int status)
{
    struct conn *conn = request->data;
    if (status < 0 || conn->eof) {
        conn_close(conn);
    }
}

/* Everything is sent: say goodbye, and let the peer read it before the connection is cut. */
static void say_goodbye(struct conn *conn)
{
    if (conn->shut) {
        return;
    }
    conn->shut = true;
    conn->shutdown.data = conn;
    if (uv_shutdown(&conn->shutdown, (uv_stream_t *)&conn->tcp, on_shut) != 0) {
        conn_close(conn);
        return;
    }
    hl_buf_fini(&conn->in);
    conn_enter(conn, CONN_LINGER);
    conn_advance(conn); /* which reads on */
}

void conn_finish(struct conn *conn)
{
    if (conn->state != CONN_CLOSING && !conn->close_after) {
        conn->close_after = true;
        conn_enter(conn, CONN_LINGER);
        conn_flush(conn);
    }
}

/* --- writing ---------------------------------------------------------------------------------- */

static void release_flow(struct conn *conn)
{
    struct flow *flow = conn->flow;
    size_t sent = conn->writing_flow;
    conn->writing_flow = 0;
    if (flow == NULL || sent == 0) {
        return;
    }
    size_t before = atomic_fetch_sub(&flow->queued, sent);
    HL_ASSERT(before >= sent);
    if (before - sent <= (size_t)setting(SETTING_WRITE_BUFFER) / 2 &&
        atomic_exchange(&flow->wants_room, false)) {
        if (conn->request != NULL) {
            request_room(conn->request);
        } else if (conn->socket != NULL) {
            socket_room(conn->socket);
        }
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct conn *conn = write->data;
    conn->busy_write = false;
    if (conn->state == CONN_CLOSING) {
        return;
    }
    if (status < 0) {
        conn_close(conn);
        return;
    }
    stats_add(COUNT_bytes_out, (long long)conn->writing.len);
    hl_buf_fini(&conn->writing); /* a silent connection holds no memory */
    release_flow(conn);
    conn_flush(conn);
    conn_advance(conn);
}

/* Move as much as TLS takes from `out` to `writing`, and what TLS itself has to say. */
static void encrypt(struct conn *conn)
{
    size_t at = 0;
    while (at < conn->out.len) {
        size_t put = 0;
        if (hl_tls_write(conn->tls, conn->out.ptr + at, conn->out.len - at, &put) != HL_OK) {
            break;
        }
        at += put;
        struct hl_slice made = hl_tls_output(conn->tls);
        hl_buf_append_slice(&conn->writing, made);
        hl_tls_sent(conn->tls, made.len);
    }
    hl_buf_consume(&conn->out, at);
    if (conn->close_after && conn->out.len == 0) {
        hl_tls_close(conn->tls);
    }
    struct hl_slice made = hl_tls_output(conn->tls);
    hl_buf_append_slice(&conn->writing, made);
    hl_tls_sent(conn->tls, made.len);
}

void conn_flush(struct conn *conn)
{
    if (conn->busy_write || conn->state == CONN_CLOSING || conn->shut) {
        return;
    }
    if (conn->tls != NULL) {
        encrypt(conn);
    } else {
        struct hl_buf empty = conn->writing;
        conn->writing = conn->out;
        conn->out = empty;
    }
    if (conn->out.len == 0) {
        conn->writing_flow += conn->out_flow;
        conn->out_flow = 0;
    }
    if (conn->writing.len == 0) {
        if (conn->close_after) {
            say_goodbye(conn);
        }
        return;
    }
    uv_buf_t buf = uv_buf_init(conn->writing.ptr, (unsigned)conn->writing.len);
    conn->write.data = conn;
    conn->busy_write = true;
    conn->stalled = conn->writing.len;
    conn->deadline_ms = loop_now_ms(conn->loop) + setting(SETTING_WRITE_TIMEOUT);
    if (uv_write(&conn->write, (uv_stream_t *)&conn->tcp, &buf, 1, on_written) != 0) {
        conn->busy_write = false;
        conn_close(conn);
        return;
    }
    arm(conn);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct conn *conn = handle->data;
    *out = uv_buf_init(conn->loop->read, HTTP_READ_MAX);
}

/* Decrypt what came; false when the connection is over. */
static bool take_ciphertext(struct conn *conn, const char *bytes, size_t len)
{
    struct hl_errmsg msg = {0};
    hl_err err = hl_tls_feed(conn->tls, bytes, len, &msg);
    while (err == HL_OK) {
        size_t got = 0;
        hl_buf_grow(&conn->in, 4096);
        err = hl_tls_read(conn->tls, conn->in.ptr + conn->in.len, conn->in.cap - conn->in.len, &got,
                          &msg);
        conn->in.len += err == HL_OK ? got : 0;
    }
    conn_flush(conn); /* the handshake, an alert */
    if (conn->state == CONN_CLOSING) {
        return false;
    }
    if (err == HL_EFULL) {
        conn->eof = true;
    } else if (err != HL_ENOENT) {
        stats_add(COUNT_tls_failures, 1);
        desk_log("verbose", "TLS with %s failed: %s", conn->remote, msg.text);
        if (conn->request != NULL || conn->socket != NULL) {
            conn_close(conn); /* nothing can be told any more */
        } else {
            conn_finish(conn); /* once the alert is sent */
        }
        return false;
    }
    if (conn->state == CONN_HANDSHAKE && !hl_tls_is_handshaking(conn->tls)) {
        conn_enter(conn, CONN_IDLE);
    }
    return true;
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct conn *conn = stream->data;
    if (count == 0 || conn->state == CONN_CLOSING) {
        return;
    }
    if (count < 0 && count != UV_EOF) {
        conn_close(conn);
        return;
    }
    if (count < 0) {
        conn->eof = true;
        conn_advance(conn);
        return;
    }
    stats_add(COUNT_bytes_in, count);
    if (conn->state == CONN_LINGER) {
        conn->lingered += (uint64_t)count;
        if (conn->lingered > HTTP_LINGER_MAX) {
            conn_close(conn);
        }
        return;
    }
    if (conn->tls == NULL) {
        hl_buf_append(&conn->in, buf->base, (size_t)count);
    } else if (!take_ciphertext(conn, buf->base, (size_t)count)) {
        return;
    }
    conn_advance(conn);
}

void conn_advance(struct conn *conn)
{
    if (conn->advancing || conn->state == CONN_CLOSING) {
        return;
    }
    conn->advancing = true;
    conn_messages(conn);
    conn->advancing = false;
    if (conn->eof && conn->state != CONN_CLOSING) {
        conn_ended(conn);
    }
    if (conn->state == CONN_CLOSING) {
        return;
    }
    bool full = conn->in.len >= (size_t)setting(SETTING_HEAD_MAX); /* CN1 */
    bool wants = !conn->eof && (!full || conn->state == CONN_LINGER);
    if (conn->in.len == 0 && conn->in.cap != 0) {
        hl_buf_fini(&conn->in);
    }
    if (wants != conn->reading) {
        conn->reading = wants;
        if (!wants) {
            uv_read_stop((uv_stream_t *)&conn->tcp);
        } else if (uv_read_start((uv_stream_t *)&conn->tcp, give_buffer, on_read) != 0) {
            conn_close(conn);
            return;
        }
    }
    arm(conn);
}

/* --- accepting -------------------------------------------------------------------------------- */

/* The peer's address, as bytes for the table and as text for people. */
static void learn_address(struct conn *conn)
{
    struct sockaddr_storage from = {0};
    int len = sizeof from;
    (void)uv_tcp_getpeername(&conn->tcp, (struct sockaddr *)&from, &len);
    if (from.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&from;
        memset(conn->address + 10, 0xff, 2);
        memcpy(conn->address + 12, &v4->sin_addr, 4);
        (void)uv_ip4_name(v4, conn->remote, sizeof conn->remote);
    } else if (from.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&from;
        memcpy(conn->address, &v6->sin6_addr, 16);
        (void)uv_ip6_name(v6, conn->remote, sizeof conn->remote);
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
            memmove(conn->remote, strrchr(conn->remote, ':') + 1,
                    strlen(strrchr(conn->remote, ':')));
        }
    }
}

static void on_refused(uv_handle_t *handle)
{
    struct conn *conn = handle->data;
    if (--conn->handles == 0) {
        hl_free(conn);
    }
}

/* Whether there is room for one more, of its address too. */
static bool admit(struct conn *conn)
{
    struct loop *loop = conn->loop;
    return !loop->draining && loop->conn_count < (size_t)setting(SETTING_MAX_CONNECTIONS) &&
           peers_enter(&loop->peers, conn->address, (uint32_t)setting(SETTING_MAX_PER_ADDRESS));
}

void conn_accept(struct listener *listener)
{
    struct loop *loop = listener->loop;
    struct conn *conn = hl_calloc(1, sizeof *conn);
    conn->loop = loop;
    conn->handles = 2;
    int bad = uv_tcp_init(&loop->uv, &conn->tcp) | uv_timer_init(&loop->uv, &conn->timer);
    HL_ASSERT(bad == 0); /* neither does more than fill in fields */
    conn->tcp.data = conn;
    conn->timer.data = conn;
    bool accepted = uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)&conn->tcp) == 0;
    if (accepted) {
        learn_address(conn);
    }
    if (accepted && listener->tls) {
        conn->secure = true;
        conn->tls = hl_tls_create(loop->tls, NULL);
        accepted = conn->tls != NULL;
    }
    if (!accepted || !admit(conn)) {
        stats_add(COUNT_connections_refused, 1);
        hl_tls_destroy(conn->tls);
        uv_close((uv_handle_t *)&conn->tcp, on_refused);
        uv_close((uv_handle_t *)&conn->timer, on_refused);
        return;
    }
    (void)uv_tcp_nodelay(&conn->tcp, 1);
    struct hl_http1_limits limits = hl_http1_limits_default;
    limits.head_max = (size_t)setting(SETTING_HEAD_MAX);
    limits.line_max = limits.line_max < limits.head_max ? limits.line_max : limits.head_max;
    limits.headers_max = (size_t)setting(SETTING_HEADERS_MAX);
    limits.body_max = (uint64_t)setting(SETTING_BODY_MAX);
    conn->http = hl_http1_create(true, &limits);
    conn->next = loop->conns;
    if (loop->conns != NULL) {
        loop->conns->prev = conn;
    }
    loop->conns = conn;
    loop->conn_count++;
    stats_add(COUNT_connections_open, 1);
    stats_add(COUNT_connections_total, 1);
    conn_enter(conn, conn->tls != NULL ? CONN_HANDSHAKE : CONN_IDLE);
    conn_advance(conn);
}
