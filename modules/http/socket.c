/* WebSockets. */
#include "socket.h"

#include "call.h"
#include "settings.h"
#include "stats.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/http1_write.h"

bool socket_is_wanted(const struct hl_http1_head *head)
{
    const struct hl_slice *key = hl_http1_find(head, "sec-websocket-key");
    const struct hl_slice *version = hl_http1_find(head, "sec-websocket-version");
    return head->wants_upgrade && hl_slice_is(head->upgrade, "websocket") && head->minor == 1 &&
           hl_slice_equal(head->method, hl_slice_of("GET")) && !head->chunked &&
           head->length == 0 && key != NULL && hl_ws_key_is_valid(*key) && version != NULL &&
           hl_slice_is(*version, HL_WS_VERSION);
}

void socket_release(struct helios_http_socket *socket)
{
    if (atomic_fetch_sub(&socket->holders, 1) == 1) {
        hl_free(socket->protocol);
        hl_free(socket);
    }
}

/* The socket is over before or after it began; tell, and let go of it. */
static void end(struct helios_http_socket *s, int code)
{
    atomic_store(&s->over, true);
    if (s->prev != NULL) {
        s->prev->next = s->next;
    } else {
        s->loop->sockets = s->next;
    }
    if (s->next != NULL) {
        s->next->prev = s->prev;
    }
    if (!s->told) {
        s->told = true;
        call_socket(s, SOCKET_CLOSED, false, (struct hl_slice){0}, code);
    }
    socket_release(s);
}

static void enlist(struct helios_http_socket *s)
{
    s->next = s->loop->sockets;
    if (s->next != NULL) {
        s->next->prev = s;
    }
    s->loop->sockets = s;
}

void socket_open(struct helios_http_socket *s, struct helios_http_request *r)
{
    struct conn *conn = r->conn;
    char accept[HL_WS_ACCEPT_LEN + 1];
    enlist(s);
    if (conn == NULL) {
        request_end(r);
        end(s, HL_WS_ABNORMAL);
        return;
    }
    if (s->loop->socket_count >= (size_t)setting(SETTING_MAX_SOCKETS) || s->loop->draining) {
        request_fail(r, 503, "too_many_websockets", "no more WebSockets are taken now");
        end(s, HL_WS_ABNORMAL);
        return;
    }
    hl_ws_accept(accept, *hl_http1_find(&r->head, "sec-websocket-key"));
    request_put_head(r, &conn->s.out, 101, NULL, true);
    hl_http1_put(&conn->s.out, "Upgrade", "websocket");
    hl_http1_put(&conn->s.out, "Connection", "Upgrade");
    hl_http1_put(&conn->s.out, "Sec-WebSocket-Accept", accept);
    if (s->protocol != NULL) {
        hl_http1_put(&conn->s.out, "Sec-WebSocket-Protocol", s->protocol);
    }
    hl_http1_put_end(&conn->s.out);
    conn->request = NULL;
    request_end(r);
    s->conn = conn;
    s->loop->socket_count++;
    stats_add(COUNT_websockets_open, 1);
    stats_add(COUNT_websockets_total, 1);
    conn->socket = s;
    conn->flow = &s->flow;
    conn->frames = (struct hl_ws_reader){
        .from_client = true,
        .message_max = (size_t)setting(SETTING_MESSAGE_MAX),
    };
    conn_enter(conn, CONN_SOCKET);
    conn_flush(conn);
    conn_advance(conn);
}

/* The farewell is complete: close. */
static void part(struct helios_http_socket *s, int code)
{
    struct conn *conn = s->conn;
    socket_lose(s, code);
    conn_finish(conn);
}

bool socket_frames(struct helios_http_socket *s)
{
    struct conn *conn = s->conn;
    struct hl_ws_event event;
    size_t used = 0;
    if (conn->s.in.len == 0 || atomic_load(&s->events_waiting) >= HTTP_EVENTS_MAX) {
        return false;
    }
    hl_err err = hl_ws_read(&conn->frames, hl_buf_view(&conn->s.in), &used, &event);
    hl_buf_consume(&conn->s.in, used);
    if (err == HL_ENOENT) {
        return false;
    }
    if (err != HL_OK) {
        socket_goodbye(s, conn->frames.close_code, (struct hl_slice){0});
        if (conn->socket != NULL) {
            part(s, conn->frames.close_code);
        }
        return false;
    }
    s->pinged = false;
    switch (event.opcode) {
    case HL_WS_TEXT:
    case HL_WS_BINARY:
        stats_add(COUNT_websocket_messages_in, 1);
        if (!s->goodbye_sent) {
            call_socket(s, SOCKET_MESSAGE, event.opcode == HL_WS_TEXT, event.payload, 0);
        }
        break;
    case HL_WS_PING:
        if (!s->goodbye_sent) {
            hl_ws_put_frame(&conn->s.out, HL_WS_PONG, event.payload, NULL);
            conn_flush(conn);
        }
        break;
    case HL_WS_PONG:
        break;
    case HL_WS_CLOSE:
        if (!s->goodbye_sent) {
            int echo = event.code == HL_WS_NO_STATUS ? HL_WS_NORMAL : event.code;
            socket_goodbye(s, echo, (struct hl_slice){0});
        }
        if (conn->socket != NULL) {
            part(s, event.code);
        }
        return false;
    case HL_WS_CONTINUATION:
        HL_ASSERT(event.opcode != HL_WS_CONTINUATION);
    }
    return conn->state == CONN_SOCKET;
}

void socket_send(struct helios_http_socket *s, bool text, struct hl_slice bytes)
{
    if (s->conn == NULL || s->goodbye_sent) {
        return;
    }
    stats_add(COUNT_websocket_messages_out, 1);
    hl_ws_put_frame(&s->conn->s.out, text ? HL_WS_TEXT : HL_WS_BINARY, bytes, NULL);
    s->conn->s.marked += bytes.len;
    conn_flush(s->conn);
}

void socket_goodbye(struct helios_http_socket *s, int code, struct hl_slice reason)
{
    if (s->conn == NULL || s->goodbye_sent) {
        return;
    }
    s->goodbye_sent = true;
    atomic_store(&s->over, true);
    hl_ws_put_close(&s->conn->s.out, hl_ws_code_is_valid(code) ? code : HL_WS_NORMAL, reason);
    s->pinged = true; /* the next interval without an answer ends it */
    conn_enter(s->conn, CONN_SOCKET);
    conn_flush(s->conn);
}

void socket_ping(struct helios_http_socket *s)
{
    struct conn *conn = s->conn;
    if (s->pinged) {
        conn_close(conn);
        return;
    }
    s->pinged = true;
    hl_ws_put_frame(&conn->s.out, HL_WS_PING, (struct hl_slice){0}, NULL);
    conn_enter(conn, CONN_SOCKET);
    conn_flush(conn);
}

void socket_room(struct helios_http_socket *s)
{
    call_socket(s, SOCKET_WRITABLE, false, (struct hl_slice){0}, 0);
}

void socket_lose(struct helios_http_socket *s, int code)
{
    HL_ASSERT(s->conn != NULL);
    s->conn->socket = NULL;
    s->conn->flow = NULL;
    s->conn = NULL;
    s->loop->socket_count--;
    stats_add(COUNT_websockets_open, -1);
    end(s, code);
}

/* Read on, after so many events that nothing was read. */
struct resume {
    struct net_mail mail;
    struct helios_http_socket *socket;
};

static void run_resume(struct net_mail *mail)
{
    struct resume *resume = (struct resume *)mail;
    if (resume->socket->conn != NULL) {
        conn_advance(resume->socket->conn);
    }
    socket_release(resume->socket);
    hl_free(resume);
}

void socket_took(struct helios_http_socket *s)
{
    if (atomic_fetch_sub(&s->events_waiting, 1) == HTTP_EVENTS_MAX) {
        struct resume *resume = hl_calloc(1, sizeof *resume);
        resume->socket = s;
        resume->mail.run = run_resume;
        atomic_fetch_add(&s->holders, 1);
        if (!loop_post(s->loop, &resume->mail)) {
            socket_release(s);
            hl_free(resume);
        }
    }
}
