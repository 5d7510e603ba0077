/* Connections: a stream's hooks, deadlines, accepting. What the bytes mean is in conn_http.c. */
#include "conn.h"

#include "request.h"
#include "settings.h"
#include "socket.h"
#include "stats.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "net/desk.h"

static struct conn *conn_of(const struct net_stream *s)
{
    return (struct conn *)s; /* its first member */
}

/* --- deadlines -------------------------------------------------------------------------------- */

/* Each byte of a body earns time, at a rate that a drip does not reach. */
static int64_t time_for_body(const struct conn *conn)
{
    return (int64_t)(conn->body_in * 1000 / (uint64_t)setting(SETTING_BODY_RATE_MIN));
}

static int64_t deadline(const struct net_stream *s)
{
    const struct conn *conn = conn_of(s);
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
    case CONN_ANSWER: /* the handler's time; a client that does not read is the writer's matter */
    case CONN_LINGER:
    case CONN_CLOSING:
        return NET_NEVER_MS;
    }
    return NET_NEVER_MS;
}

void conn_enter(struct conn *conn, enum conn_state state)
{
    HL_ASSERT(conn->state != CONN_CLOSING);
    conn->state = state;
    conn->since_ms = loop_now_ms(conn->loop);
    conn->s.write_timeout_ms = setting(SETTING_WRITE_TIMEOUT);
    net_stream_arm(&conn->s);
}

static void expired(struct net_stream *s)
{
    conn_expired(conn_of(s));
}

/* --- closing ---------------------------------------------------------------------------------- */

void conn_close(struct conn *conn)
{
    net_stream_close(&conn->s);
}

static void lost(struct net_stream *s)
{
    struct conn *conn = conn_of(s);
    struct loop *loop = conn->loop;
    conn->state = CONN_CLOSING;
    if (!conn->listed) {
        return;
    }
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
    net_peers_leave(&loop->net.peers, s->address);
    if (conn->request != NULL) {
        request_lose(conn->request);
    }
    if (conn->socket != NULL) {
        socket_lose(conn->socket, HL_WS_ABNORMAL);
    }
}

static void freed(struct net_stream *s)
{
    struct conn *conn = conn_of(s);
    hl_http1_destroy(conn->http);
    hl_ws_reader_fini(&conn->frames);
    hl_free(conn);
}

void conn_finish(struct conn *conn)
{
    if (conn->state != CONN_CLOSING && !conn->s.finishing) {
        conn_enter(conn, CONN_LINGER);
        net_stream_finish(&conn->s);
    }
}

/* --- bytes ------------------------------------------------------------------------------------ */

static void sent(struct net_stream *s, size_t marked)
{
    struct conn *conn = conn_of(s);
    struct flow *flow = conn->flow;
    if (flow == NULL) {
        return;
    }
    size_t before = atomic_fetch_sub(&flow->queued, marked);
    HL_ASSERT(before >= marked);
    if (before - marked <= (size_t)setting(SETTING_WRITE_BUFFER) / 2 &&
        atomic_exchange(&flow->wants_room, false)) {
        if (conn->request != NULL) {
            request_room(conn->request);
        } else if (conn->socket != NULL) {
            socket_room(conn->socket);
        }
    }
}

static void moved(struct net_stream *s, size_t in, size_t out)
{
    (void)s;
    stats_add(COUNT_bytes_in, (long long)in);
    stats_add(COUNT_bytes_out, (long long)out);
}

static void stalled(struct net_stream *s)
{
    (void)s;
    stats_add(COUNT_timeouts_write, 1);
}

static void opened(struct net_stream *s)
{
    conn_enter(conn_of(s), CONN_IDLE);
}

static void tls_failed(struct net_stream *s, const char *why)
{
    struct conn *conn = conn_of(s);
    stats_add(COUNT_tls_failures, 1);
    net_desk_log("verbose", "TLS with %s failed: %s", s->remote, why);
    if (conn->request != NULL || conn->socket != NULL) {
        conn_close(conn); /* nothing can be told any more */
    } else {
        conn_finish(conn); /* once the alert is sent */
    }
}

static void ready(struct net_stream *s)
{
    conn_messages(conn_of(s));
}

static void ended(struct net_stream *s)
{
    conn_ended(conn_of(s));
}

void conn_flush(struct conn *conn)
{
    net_stream_flush(&conn->s);
}

void conn_advance(struct conn *conn)
{
    net_stream_advance(&conn->s);
}

/* --- accepting -------------------------------------------------------------------------------- */

static const struct net_stream_hooks hooks = {
    .opened = opened,
    .ready = ready,
    .ended = ended,
    .sent = sent,
    .deadline = deadline,
    .expired = expired,
    .stalled = stalled,
    .tls_failed = tls_failed,
    .lost = lost,
    .freed = freed,
    .moved = moved,
};

/* Whether there is room for one more, of its address too. */
static bool admit(struct conn *conn)
{
    struct loop *loop = conn->loop;
    return !loop->draining && loop->conn_count < (size_t)setting(SETTING_MAX_CONNECTIONS) &&
           net_peers_enter(&loop->net.peers, conn->s.address,
                           (uint32_t)setting(SETTING_MAX_PER_ADDRESS));
}

static struct hl_http1 *make_reader(void)
{
    struct hl_http1_limits limits = hl_http1_limits_default;
    limits.head_max = (size_t)setting(SETTING_HEAD_MAX);
    limits.line_max = limits.line_max < limits.head_max ? limits.line_max : limits.head_max;
    limits.headers_max = (size_t)setting(SETTING_HEADERS_MAX);
    limits.body_max = (uint64_t)setting(SETTING_BODY_MAX);
    return hl_http1_create(true, &limits);
}

void conn_accept(struct net_listener *listener)
{
    struct loop *loop = (struct loop *)listener->loop; /* its first member */
    struct conn *conn = hl_calloc(1, sizeof *conn);
    conn->loop = loop;
    conn->secure = listener->tls;
    conn->s.in_max = (size_t)setting(SETTING_HEAD_MAX);
    hl_err err = net_stream_accept(&conn->s, &hooks, listener, listener->tls ? loop->tls : NULL);
    if (err != HL_OK || !admit(conn)) {
        stats_add(COUNT_connections_refused, 1);
        net_stream_close(&conn->s);
        return;
    }
    conn->http = make_reader();
    conn->next = loop->conns;
    if (loop->conns != NULL) {
        loop->conns->prev = conn;
    }
    loop->conns = conn;
    loop->conn_count++;
    conn->listed = true;
    stats_add(COUNT_connections_open, 1);
    stats_add(COUNT_connections_total, 1);
    conn_enter(conn, conn->secure ? CONN_HANDSHAKE : CONN_IDLE);
    net_stream_start(&conn->s);
}
