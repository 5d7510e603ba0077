/* Reading requests, writing replies, and every bound that keeps a client from hurting the rest.
 *
 * Input is read into a buffer that all connections share and executed from there; only what is left
 * of an unfinished request is copied into the connection's own.  Output is written before the loop
 * polls, all replies of the iteration at once.
 */
#include "server/conn.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/tls.h"
#include "resp/peek.h"
#include "server/limits.h"
#include "server/secure.h"
#include "server/sockets.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_AHEAD_MAX (1u << 20) /* bytes read behind a request that waits */

static struct hl_conn *conn_of(struct hl_session *session)
{
    return session->edge;
}

static const struct hl_parser_limits *limits_of(const struct hl_conn *conn)
{
    bool in = (conn->session->flags & HL_SESSION_AUTHENTICATED) != 0;
    return &conn->server->limits[in][conn->session->writer.proto == 3];
}

static void on_closed(uv_handle_t *handle)
{
    struct hl_conn *conn = handle->data;
    hl_free(conn);
}

static void conn_close(struct hl_conn *conn)
{
    if (conn->closing) {
        return;
    }
    conn->closing = true;
    struct hl_server *server = conn->server;
    hl_list_remove(&conn->all);
    hl_list_remove(&conn->output);
    hl_list_remove(&conn->resume);
    server->connection_count--;
    conn->session->edge = NULL; /* what ends with the session wakes nobody */
    hl_session_destroy(server->node, conn->session);
    conn->session = NULL;
    hl_parser_fini(&conn->parser);
    hl_buf_fini(&conn->in);
    hl_free(conn->postponed.argv);
    hl_secure_end(conn);
    uv_close((uv_handle_t *)&conn->poll, on_closed); /* it still tells the kernel of the fd ... */
    (void)close(conn->fd); /* ... whose number another thread may have at once */
}

static void on_ready(uv_poll_t *poll, int status, int events);

static void wait_for(struct hl_conn *conn, int events)
{
    if (conn->events != events) {
        conn->events = events;
        (void)uv_poll_start(&conn->poll, events, on_ready);
    }
}

void hl_conn_output(void *ctx, struct hl_session *session)
{
    struct hl_server *server = ctx;
    struct hl_conn *conn = conn_of(session);
    if (conn == NULL || hl_list_linked(&conn->output)) {
        return;
    }
    session->flags |= HL_SESSION_WRITING;
    hl_list_append(&server->outputs, &conn->output);
}

void hl_conn_resume(void *ctx, struct hl_session *session)
{
    struct hl_server *server = ctx;
    struct hl_conn *conn = conn_of(session);
    if (conn != NULL && !hl_list_linked(&conn->resume)) {
        hl_list_append(&server->resumes, &conn->resume);
    }
}

static bool takes_input(struct hl_conn *conn)
{
    const uint32_t stops =
        HL_SESSION_BLOCKED | HL_SESSION_POSTPONED | HL_SESSION_CLOSE_NOW | HL_SESSION_CLOSE_AFTER;
    return (conn->session->flags & stops) == 0 && !hl_limits_pause(conn);
}

static void postpone(struct hl_conn *conn, int argc, const struct hl_slice *argv)
{
    conn->postponed =
        (struct hl_postponed){.argc = argc, .argv = hl_slices_dup(argv, (size_t)argc)};
}

/* Bring the first keys of the requests of a pipeline into the cache.  A single request has nothing
 * to overlap. */
static void prefetch(const struct hl_conn *conn, const struct hl_peek *peek)
{
    struct hl_slice keys[HL_PEEK_MAX];
    size_t count = 0;
    for (int i = 0; i < peek->count; i++) {
        if (peek->requests[i].argc > 1) {
            keys[count++] = peek->requests[i].argv[1];
        }
    }
    if (count > 1) {
        hl_db_prefetch(hl_ks_db(&conn->server->node->ks, conn->session->db), keys, count);
    }
}

/* Run one request, or keep it for later; `behind` bytes came after it. */
static void run_one(struct hl_conn *conn, size_t behind, int argc, const struct hl_slice *argv)
{
    conn->session->behind = behind;
    if (hl_node_execute(conn->server->node, conn->session, argc, argv) == HL_EXEC_POSTPONE) {
        postpone(conn, argc, argv);
    }
}

/* Run the plain requests at bytes[parser.pos..len), as many as are looked at together; false when
 * there is none. */
static bool run_plain(struct hl_conn *conn, const char *bytes, size_t len)
{
    struct hl_peek peek;
    if (hl_peek_requests(&peek, bytes + conn->parser.pos, len - conn->parser.pos) == 0) {
        return false;
    }
    prefetch(conn, &peek);
    for (int i = 0; i < peek.count && takes_input(conn); i++) {
        hl_parser_skip(&conn->parser, peek.requests[i].size);
        run_one(conn, len - conn->parser.pos, peek.requests[i].argc, peek.requests[i].argv);
    }
    return true;
}

/* Run what bytes[parser.pos..len) holds; afterwards parser.pos is where the rest starts. */
static void run_requests(struct hl_conn *conn, const char *bytes, size_t len)
{
    struct hl_session *session = conn->session;
    size_t out_before = session->out.len;
    while (takes_input(conn)) {
        if (session->out.len - out_before > HL_OUTPUT_TURN) {
            hl_conn_resume(conn->server, session); /* the others first */
            return;
        }
        if (!hl_parser_is_partial(&conn->parser) && run_plain(conn, bytes, len)) {
            continue;
        }
        const struct hl_parser_limits *limits = limits_of(conn);
        if (conn->parser.limits != limits) {
            hl_parser_set_limits(&conn->parser, limits);
        }
        enum hl_parse_result result = hl_parser_next(&conn->parser, bytes, len);
        if (result == HL_PARSE_MORE) {
            return;
        }
        if (result == HL_PARSE_ERROR) {
            hl_write_error_printf(&session->writer, "ERR %s", conn->parser.error);
            hl_session_gate(conn->server->node, session, 0);
            hl_session_close(conn->server->node, session, true);
            return;
        }
        run_one(conn, len - conn->parser.pos, conn->parser.argc, conn->parser.argv);
    }
}

/* Run what is buffered in the connection. */
static void run_buffered(struct hl_conn *conn)
{
    run_requests(conn, conn->in.ptr, conn->in.len);
    size_t used = conn->parser.pos;
    if (used != 0) {
        hl_buf_consume(&conn->in, used);
        hl_parser_consumed(&conn->parser, used);
    }
    if (conn->in.len == 0 && conn->in.cap > HL_READ_SIZE) {
        hl_buf_fini(&conn->in); /* a large request does not stay */
        hl_parser_trim(&conn->parser);
    }
}

static void note_input(struct hl_conn *conn, size_t got)
{
    conn->session->net_in += got;
    conn->server->node->stats.net_in += got;
    conn->server->node->stats.reads_processed++;
}

static void note_query_buffer(struct hl_conn *conn)
{
    conn->session->qbuf_len = conn->in.len;
    conn->session->qbuf_free = conn->in.cap - conn->in.len;
}

/* Nothing is left over from before: execute straight from the shared buffer. */
static void take_fresh(struct hl_conn *conn, size_t got)
{
    char *bytes = conn->server->read_buf;
    run_requests(conn, bytes, got);
    size_t used = conn->parser.pos;
    if (used < got) {
        hl_buf_append(&conn->in, bytes + used, got - used);
    }
    hl_parser_consumed(&conn->parser, used);
}

static ssize_t read_some(struct hl_conn *conn, char *into, size_t room)
{
    ssize_t got = hl_socket_read(conn, into, room);
    if (got > 0) {
        note_input(conn, (size_t)got);
    }
    return got;
}

/* Continue a request: read behind what is there.  Grows with what arrives, not with what a header
 * announces. */
static ssize_t take_more(struct hl_conn *conn)
{
    size_t want = hl_parser_want(&conn->parser);
    size_t room = conn->in.len > HL_READ_SIZE ? conn->in.len : HL_READ_SIZE;
    room = want != 0 && want < room ? want : room;
    hl_buf_grow(&conn->in, room);
    ssize_t got = read_some(conn, conn->in.ptr + conn->in.len, conn->in.cap - conn->in.len);
    if (got > 0) {
        conn->in.len += (size_t)got;
    }
    return got;
}

/* The peer sends no more.  One that only closed its half still gets the replies it is owed; they
 * may be waiting for the disk. */
static void on_end(struct hl_conn *conn)
{
    const uint32_t gone = HL_SESSION_BLOCKED | HL_SESSION_POSTPONED | HL_SESSION_CLOSE_NOW;
    if (conn->session->out.len == 0 || (conn->session->flags & gone) != 0) {
        conn_close(conn);
        return;
    }
    conn->ended = true;
    wait_for(conn, conn->events & ~UV_READABLE);
    hl_session_close(conn->server->node, conn->session, true);
}

/* A connection whose request waits is not read on without end: its peer waits too. */
static bool has_read_enough(const struct hl_conn *conn)
{
    return (conn->session->flags & HL_SESSION_POSTPONED) != 0 && conn->in.len >= READ_AHEAD_MAX;
}

/* One read, and what it completes.  False when the connection is gone or nothing was read. */
static bool take_input(struct hl_conn *conn)
{
    struct hl_server *server = conn->server;
    if (has_read_enough(conn)) {
        wait_for(conn, conn->events & ~UV_READABLE);
        return false;
    }
    bool fresh = conn->in.len == 0 && takes_input(conn);
    ssize_t got = fresh ? read_some(conn, server->read_buf, HL_READ_SIZE) : take_more(conn);
    if (got == 0) {
        on_end(conn);
        return false;
    }
    if (got < 0 && errno != EAGAIN && errno != EINTR) {
        conn_close(conn);
        return false;
    }
    if (got < 0) {
        return false;
    }
    if (fresh) {
        take_fresh(conn, (size_t)got);
    } else if (takes_input(conn)) {
        run_buffered(conn);
    }
    note_query_buffer(conn);
    if (conn->in.len > hl_server_options(server)->query_buffer_max) {
        hl_node_log(server->node, 3,
                    "closing client %llu: it sent more than client-query-buffer-limit",
                    (unsigned long long)conn->session->id);
        hl_session_close(server->node, conn->session, false);
    }
    return true;
}

static void on_readable(struct hl_conn *conn)
{
    if (hl_list_linked(&conn->resume) || conn->paused) {
        return; /* it has requests that wait for their turn */
    }
    do {
        conn->tls_more = false;
    } while (take_input(conn) && conn->tls_more);
    if (!conn->closing && hl_secure_waits(conn)) {
        hl_conn_output(conn->server, conn->session); /* of a handshake */
    }
}

/* Write what may leave.  False when the connection is gone. */
static bool write_out(struct hl_conn *conn)
{
    struct hl_session *session = conn->session;
    struct hl_slice out = hl_session_output(session);
    if (!hl_secure_flush(conn)) {
        conn_close(conn);
        return false;
    }
    while (out.len != 0) {
        ssize_t put = hl_socket_write(conn, out.ptr, out.len);
        if (put < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno != EAGAIN) {
                conn_close(conn);
                return false;
            }
            break;
        }
        conn->server->node->stats.net_out += (uint64_t)put;
        conn->server->node->stats.writes_processed++;
        session->net_out += (uint64_t)put;
        bool whole = (size_t)put == out.len;
        hl_session_taken(session, (size_t)put);
        out = hl_session_output(session);
        if (!whole) {
            break;
        }
    }
    int events = out.len != 0 || hl_secure_waits(conn) ? UV_WRITABLE : 0;
    bool paused = conn->paused;
    bool stops = hl_limits_pause(conn) || conn->ended;
    wait_for(conn, stops ? events : events | UV_READABLE);
    if (paused && !conn->paused) {
        hl_conn_resume(conn->server, session);
    }
    if (session->out.len == 0 && session->out.cap > HL_READ_SIZE) {
        hl_buf_fini(&session->out);
    }
    return true;
}

static void flush_one(struct hl_conn *conn)
{
    struct hl_session *session = conn->session;
    session->flags &= ~HL_SESSION_WRITING;
    if ((session->flags & HL_SESSION_CLOSE_NOW) != 0) {
        conn_close(conn);
        return;
    }
    if (!write_out(conn)) {
        return;
    }
    if ((session->flags & HL_SESSION_CLOSE_AFTER) != 0 && session->out.len == 0 &&
        !hl_secure_waits(conn)) {
        conn_close(conn);
        return;
    }
    if (hl_limits_exceeded(conn)) {
        conn_close(conn);
    }
}

static void resume_one(struct hl_conn *conn)
{
    if (!conn->ended) {
        wait_for(conn, conn->events | UV_READABLE);
    }
    struct hl_postponed held = conn->postponed;
    conn->postponed = (struct hl_postponed){0};
    bool killed = (conn->session->flags & HL_SESSION_CLOSE_NOW) != 0;
    if (held.argv != NULL && killed) {
        hl_free(held.argv);
    } else if (held.argv != NULL) {
        conn->session->flags &= ~HL_SESSION_POSTPONED;
        if (hl_node_execute(conn->server->node, conn->session, held.argc, held.argv) ==
            HL_EXEC_POSTPONE) {
            conn->postponed = held;
            return;
        }
        hl_free(held.argv);
    }
    if (takes_input(conn) && conn->in.len != 0) {
        run_buffered(conn);
        note_query_buffer(conn);
    }
}

void hl_conns_flush(struct hl_server *server)
{
    const struct hl_list_node *last = server->resumes.prev; /* who comes back waits */
    const struct hl_list_node *done = NULL;
    while (done != last && !hl_list_empty(&server->resumes)) {
        struct hl_list_node *first = server->resumes.next;
        hl_list_remove(first);
        hl_server_enter(server);
        resume_one(HL_LIST_ENTRY(first, struct hl_conn, resume));
        done = first;
    }
    while (!hl_list_empty(&server->outputs)) {
        struct hl_list_node *first = server->outputs.next;
        hl_list_remove(first);
        flush_one(HL_LIST_ENTRY(first, struct hl_conn, output));
    }
    if (!hl_list_empty(&server->resumes)) {
        (void)uv_async_send(&server->log_done); /* they have their turn in the next iteration */
    }
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct hl_conn *conn = poll->data;
    hl_server_enter(conn->server);
    if (status < 0) {
        conn_close(conn);
        return;
    }
    if ((events & UV_WRITABLE) != 0 && !hl_list_linked(&conn->output)) {
        hl_conn_output(conn->server, conn->session);
    }
    if ((events & (UV_READABLE | UV_DISCONNECT)) != 0) {
        on_readable(conn);
    }
}

static bool is_of_this_machine(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]", 5) == 0;
}

void hl_conn_accept(struct hl_server *server, int fd, const struct hl_listener *listener)
{
    struct hl_tls *tls = NULL;
    if (listener->kind == HL_LISTEN_TLS) {
        tls = hl_tls_create(server->tls, NULL);
        if (tls == NULL) {
            (void)close(fd);
            return;
        }
    }
    struct hl_conn *conn = hl_calloc(1, sizeof *conn);
    conn->fd = fd;
    conn->server = server;
    conn->tls = tls;
    bool local = listener->kind == HL_LISTEN_UNIX;
    uint32_t flags = (local ? HL_SESSION_UNIX : 0) | (tls != NULL ? HL_SESSION_TLS : 0);
    conn->session = hl_session_create(server->node, flags);
    conn->session->edge = conn;
    conn->session->fd = fd;
    hl_socket_names(fd, local, conn->session->addr, conn->session->laddr,
                    sizeof conn->session->addr);
    if (local || is_of_this_machine(conn->session->addr)) {
        conn->session->flags |= HL_SESSION_LOCAL;
    }
    hl_parser_init(&conn->parser, limits_of(conn));
    hl_list_append(&server->connections, &conn->all);
    server->connection_count++;
    conn->poll.data = conn;
    int rc = uv_poll_init(&server->loop, &conn->poll, fd);
    HL_ASSERT(rc == 0);
    wait_for(conn, UV_READABLE);
    hl_server_enter(server);
    if (server->node->hooks.session_began != NULL) {
        server->node->hooks.session_began(server->node->hooks.ctx, conn->session);
    }
}

void hl_conns_close_all(struct hl_server *server)
{
    HL_LIST_EACH(it, &server->connections)
    {
        conn_close(HL_LIST_ENTRY(it, struct hl_conn, all));
    }
}

/* Idle for longer than `timeout` says, or still shaking hands. */
static bool is_too_slow(const struct hl_conn *conn)
{
    const struct hl_session *session = conn->session;
    int64_t now_ms = conn->server->node->now_ms;
    if (conn->tls != NULL && hl_tls_is_handshaking(conn->tls)) {
        return now_ms - session->created_ms > HL_SECURE_HANDSHAKE_MS_MAX;
    }
    const uint32_t keep = HL_SESSION_BLOCKED | HL_SESSION_MONITOR | HL_SESSION_PUBSUB;
    int64_t timeout_ms = (int64_t)hl_server_options(conn->server)->timeout_s * 1000;
    return timeout_ms != 0 && (session->flags & keep) == 0 &&
           now_ms - session->last_ms > timeout_ms;
}

void hl_conns_cron(struct hl_server *server)
{
    HL_LIST_EACH(it, &server->connections)
    {
        struct hl_conn *conn = HL_LIST_ENTRY(it, struct hl_conn, all);
        if (is_too_slow(conn)) {
            hl_session_close(server->node, conn->session, false);
        }
    }
    hl_limits_cron(server);
}
