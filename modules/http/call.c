/* Calls into other modules. */
#include "call.h"

#include "socket.h"

#include "kit/alloc.h"
#include "net/desk.h"

/* A call on its way to the server's thread. */
struct call {
    struct net_mail mail;
    struct helios_http_request *request;
    struct helios_http_socket *socket;
    helios_http_handler run;
    helios_http_piece piece;
    void *data;
    enum socket_event event;
    bool text;
    int last_or_code;
    struct hl_buf bytes;
};

static void end(struct call *call)
{
    if (call->request != NULL) {
        request_unref(call->request);
    }
    hl_buf_fini(&call->bytes);
    hl_free(call);
}

/* The owner left: a request has been taken from him already; a WebSocket he will never release. */
static void drop(struct net_mail *mail)
{
    struct call *call = (struct call *)mail;
    if (call->socket != NULL && call->event == SOCKET_CLOSED) {
        socket_release(call->socket);
    }
    end(call);
}

static void post(struct call *call, uint64_t owner, void (*run)(struct net_mail *mail))
{
    if (call->request != NULL) {
        atomic_fetch_add(&call->request->refs, 1);
    }
    call->mail = (struct net_mail){.run = run, .drop = drop, .owner = owner};
    net_desk_post(&call->mail);
}

static void run_handler(struct net_mail *mail)
{
    struct call *call = (struct call *)mail;
    call->run(call->request, call->data);
    end(call);
}

void call_handler(struct helios_http_request *request, helios_http_handler run, void *data,
                  unsigned flags, uint64_t owner)
{
    if ((flags & HELIOS_HTTP_ON_SERVER) == 0) {
        run(request, data);
        return;
    }
    struct call *call = hl_calloc(1, sizeof *call);
    call->request = request;
    call->run = run;
    call->data = data;
    post(call, owner, run_handler);
}

static void run_piece(struct net_mail *mail)
{
    struct call *call = (struct call *)mail;
    struct helios_http_request *r = call->request;
    if (!atomic_load(&r->answered)) {
        call->piece(r, call->bytes.ptr, call->bytes.len, call->last_or_code, call->data);
    }
    end(call);
}

void call_piece(struct helios_http_request *r, struct hl_slice bytes, int last)
{
    if (atomic_load(&r->answered)) {
        return;
    }
    if ((r->served->flags & HELIOS_HTTP_ON_SERVER) == 0) {
        r->piece(r, bytes.ptr, bytes.len, last, r->piece_data);
        return;
    }
    struct call *call = hl_calloc(1, sizeof *call);
    call->request = r;
    call->last_or_code = last;
    call->piece = r->piece;
    call->data = r->piece_data;
    hl_buf_append_slice(&call->bytes, bytes);
    post(call, r->served->owner, run_piece);
}

static void run_writable(struct net_mail *mail)
{
    struct call *call = (struct call *)mail;
    if (!atomic_load(&call->request->answered)) {
        call->request->writable(call->request, call->request->writable_data);
    }
    end(call);
}

void call_writable(struct helios_http_request *r)
{
    if ((r->served->flags & HELIOS_HTTP_ON_SERVER) == 0) {
        r->writable(r, r->writable_data);
        return;
    }
    struct call *call = hl_calloc(1, sizeof *call);
    call->request = r;
    post(call, r->served->owner, run_writable);
}

/* --- WebSocket -------------------------------------------------------------------------------- */

static void tell(struct helios_http_socket *s, enum socket_event event, bool text,
                 struct hl_slice bytes, int code)
{
    const struct helios_http_socket_events *e = s->events;
    switch (event) {
    case SOCKET_MESSAGE:
        if (e->message != NULL) {
            e->message(s, text, bytes.len != 0 ? bytes.ptr : "", bytes.len, s->data);
        }
        break;
    case SOCKET_WRITABLE:
        if (e->writable != NULL) {
            e->writable(s, s->data);
        }
        break;
    case SOCKET_CLOSED:
        if (e->closed != NULL) {
            e->closed(s, code, s->data);
        } else {
            socket_release(s);
        }
        break;
    }
}

static void run_socket(struct net_mail *mail)
{
    struct call *call = (struct call *)mail;
    if (call->event == SOCKET_MESSAGE) {
        socket_took(call->socket);
    }
    tell(call->socket, call->event, call->text, hl_buf_view(&call->bytes), call->last_or_code);
    end(call);
}

void call_socket(struct helios_http_socket *s, enum socket_event event, bool text,
                 struct hl_slice bytes, int code)
{
    if ((s->flags & HELIOS_HTTP_ON_SERVER) == 0) {
        tell(s, event, text, bytes, code);
        return;
    }
    struct call *call = hl_calloc(1, sizeof *call);
    call->socket = s;
    call->event = event;
    call->text = text;
    call->last_or_code = code;
    hl_buf_append_slice(&call->bytes, bytes);
    if (event == SOCKET_MESSAGE) {
        atomic_fetch_add(&s->events_waiting, 1);
    }
    post(call, s->owner, run_socket);
}
