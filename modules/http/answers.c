/* Answering, from any thread: each call becomes mail for http's thread. */
#include "answers.h"

#include "request.h"
#include "settings.h"
#include "socket.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/http1_write.h"
#include "net/answer.h"

struct answer {
    struct net_mail mail;
    void (*act)(struct answer *answer);
    struct helios_http_request *request;
    struct helios_http_socket *socket;
    int status_or_code;
    int64_t length;
    bool flag; /* text; whole; a type was given */
    helios_http_piece piece;
    void *data;
    char type[128];
    struct hl_buf bytes;
};

static void end(struct answer *answer)
{
    if (answer->request != NULL) {
        request_unref(answer->request);
    }
    hl_buf_fini(&answer->bytes);
    hl_free(answer);
}

/* On http's thread.  A request may have been taken from a module that left meanwhile. */
static void run(struct net_mail *mail)
{
    struct answer *answer = (struct answer *)mail;
    if (answer->request == NULL || !answer->request->over) {
        answer->act(answer);
    } else if (answer->socket != NULL) {
        socket_release(answer->socket); /* the module's hold and ours: it never began */
        socket_release(answer->socket);
    }
    end(answer);
}

static struct answer *make(struct helios_http_request *request, struct helios_http_socket *socket,
                           void (*act)(struct answer *answer))
{
    struct answer *answer = hl_calloc(1, sizeof *answer);
    answer->mail.run = run;
    answer->act = act;
    answer->request = request;
    answer->socket = socket;
    if (request != NULL) {
        atomic_fetch_add(&request->refs, 1);
    }
    return answer;
}

static int post(struct loop *loop, struct answer *answer)
{
    if (loop_post(loop, &answer->mail)) {
        return HELIOS_HTTP_OK;
    }
    end(answer);
    return HELIOS_HTTP_EGONE;
}

/* --- whole answers ---------------------------------------------------------------------------- */

static int add_header(struct helios_http_request *r, const char *name, const char *value)
{
    static const char *const reserved[] = {
        "content-length", "transfer-encoding", "connection", "date",        "upgrade",
        "keep-alive",     "trailer",           "te",         "x-request-id"};
    for (size_t i = 0; i < HL_ARRAY_LEN(reserved); i++) {
        if (hl_slice_is(hl_slice_of(name), reserved[i])) {
            return HELIOS_HTTP_EINVAL;
        }
    }
    if (r->headers.len + strlen(name) + strlen(value) + 4 > HTTP_HEADERS_OUT_MAX) {
        return HELIOS_HTTP_EFULL;
    }
    hl_err err = hl_http1_put_header(&r->headers, hl_slice_of(name), hl_slice_of(value));
    return err == HL_OK ? HELIOS_HTTP_OK : HELIOS_HTTP_EINVAL;
}

static void act_next(struct answer *a)
{
    request_pass(a->request);
}

static void next(struct helios_http_request *r)
{
    (void)post(r->loop, make(r, NULL, act_next));
}

static void act_respond(struct answer *a)
{
    request_respond(a->request, a->status_or_code, a->flag ? a->type : NULL,
                    hl_buf_view(&a->bytes));
}

/* Keep the type; false when it cannot stand in a header. */
static bool keep_type(struct answer *a, const char *type)
{
    a->flag = type != NULL;
    if (type == NULL) {
        return true;
    }
    size_t len = strlen(type);
    if (len >= sizeof a->type || !hl_http1_is_value(hl_slice_of(type))) {
        return false;
    }
    memcpy(a->type, type, len + 1);
    return true;
}

static int respond(struct helios_http_request *r, int status, const char *type, const void *body,
                   size_t len)
{
    struct answer *a = make(r, NULL, act_respond);
    bool gone = atomic_load(&r->gone);
    bool good = status >= 200 && status <= 599 && keep_type(a, type);
    a->status_or_code = good ? status : 500;
    a->flag = a->flag && good;
    atomic_store(&r->answered, true);
    if (good) {
        hl_buf_append(&a->bytes, body, len);
    }
    int result = post(r->loop, a);
    return !good ? HELIOS_HTTP_EINVAL : gone ? HELIOS_HTTP_EGONE : result;
}

static int fail(struct helios_http_request *r, int status, const char *code, const char *message)
{
    struct hl_buf body = {0};
    net_put_error_body(&body, code, message);
    int result = respond(r, status, "application/json", body.ptr, body.len);
    hl_buf_fini(&body);
    return result;
}

/* --- streams ---------------------------------------------------------------------------------- */

static void act_begin(struct answer *a)
{
    request_start(a->request, a->status_or_code, a->flag ? a->type : NULL, a->length);
}

static int begin(struct helios_http_request *r, int status, const char *type, int64_t length,
                 helios_http_writable writable, void *data)
{
    struct answer *a = make(r, NULL, act_begin);
    if (status < 200 || status > 599 || hl_http1_status_is_bodyless(status) || length < -1 ||
        atomic_load(&r->streaming) || !keep_type(a, type)) {
        end(a);
        return HELIOS_HTTP_EINVAL;
    }
    a->status_or_code = status;
    a->length = length;
    r->length_left = length;
    r->writable = writable;
    r->writable_data = data;
    atomic_store(&r->streaming, true);
    (void)post(r->loop, a);
    return atomic_load(&r->gone) ? HELIOS_HTTP_EGONE : HELIOS_HTTP_OK;
}

/* Whether `len` more may be on their way; else room is told of later. */
static bool enter_flow(struct flow *flow, size_t len)
{
    size_t most = (size_t)setting(SETTING_WRITE_BUFFER);
    size_t before = atomic_fetch_add(&flow->queued, len);
    if (before == 0 || before + len <= most) {
        return true;
    }
    atomic_store(&flow->wants_room, true);
    before = atomic_fetch_sub(&flow->queued, len);
    if (before - len != 0) {
        return false; /* what is still on its way tells of room when it has left */
    }
    atomic_store(&flow->wants_room, false); /* it left meanwhile */
    atomic_fetch_add(&flow->queued, len);
    return true;
}

static void act_write(struct answer *a)
{
    request_send(a->request, hl_buf_view(&a->bytes));
}

static int write_body(struct helios_http_request *r, const void *bytes, size_t len)
{
    if (!atomic_load(&r->streaming) || (r->length_left >= 0 && len > (uint64_t)r->length_left)) {
        return HELIOS_HTTP_EINVAL;
    }
    if (atomic_load(&r->gone)) {
        return HELIOS_HTTP_EGONE;
    }
    if (len == 0) {
        return HELIOS_HTTP_OK;
    }
    if (!enter_flow(&r->flow, len)) {
        return HELIOS_HTTP_EFULL;
    }
    r->length_left -= r->length_left >= 0 ? (int64_t)len : 0;
    struct answer *a = make(r, NULL, act_write);
    hl_buf_append(&a->bytes, bytes, len);
    return post(r->loop, a);
}

static void act_finish(struct answer *a)
{
    request_finish(a->request, a->flag);
}

static int finish(struct helios_http_request *r)
{
    struct answer *a = make(r, NULL, act_finish);
    bool whole = atomic_load(&r->streaming) && r->length_left <= 0;
    bool gone = atomic_load(&r->gone);
    a->flag = whole;
    atomic_store(&r->answered, true);
    int result = post(r->loop, a);
    return !whole ? HELIOS_HTTP_EINVAL : gone ? HELIOS_HTTP_EGONE : result;
}

static void act_read(struct answer *a)
{
    request_want_body(a->request, a->piece, a->data);
}

static int read_body(struct helios_http_request *r, helios_http_piece piece, void *data)
{
    if (!r->streamed_body || piece == NULL) {
        return HELIOS_HTTP_EINVAL;
    }
    struct answer *a = make(r, NULL, act_read);
    a->piece = piece;
    a->data = data;
    return post(r->loop, a);
}

/* --- WebSocket -------------------------------------------------------------------------------- */

static void act_upgrade(struct answer *a)
{
    a->socket->owner = a->request->served->owner;
    a->socket->flags = a->request->served->flags;
    socket_open(a->socket, a->request);
}

static struct helios_http_socket *upgrade(struct helios_http_request *r,
                                          const struct helios_http_socket_events *events,
                                          void *data, const char *protocol)
{
    if (!socket_is_wanted(&r->head) || atomic_load(&r->streaming) ||
        (protocol != NULL && !hl_http1_is_token(hl_slice_of(protocol)))) {
        return NULL;
    }
    struct helios_http_socket *s = hl_calloc(1, sizeof *s);
    s->loop = r->loop;
    s->events = events;
    s->data = data;
    s->protocol = protocol != NULL ? hl_strndup(protocol, strlen(protocol)) : NULL;
    atomic_store(&s->holders, 2); /* the module, and http */
    atomic_store(&r->answered, true);
    if (post(r->loop, make(r, s, act_upgrade)) != HELIOS_HTTP_OK) {
        hl_free(s->protocol);
        hl_free(s);
        return NULL;
    }
    return s;
}

static void act_send(struct answer *a)
{
    socket_send(a->socket, a->flag, hl_buf_view(&a->bytes));
    socket_release(a->socket);
}

static int send_message(struct helios_http_socket *s, int text, const void *bytes, size_t len)
{
    struct hl_slice payload = {.ptr = bytes, .len = len};
    if (text && !hl_utf8_is_valid(payload)) {
        return HELIOS_HTTP_EINVAL;
    }
    if (atomic_load(&s->over)) {
        return HELIOS_HTTP_EGONE;
    }
    if (!enter_flow(&s->flow, len)) {
        return HELIOS_HTTP_EFULL;
    }
    struct answer *a = make(NULL, s, act_send);
    a->flag = text != 0;
    hl_buf_append(&a->bytes, bytes, len);
    atomic_fetch_add(&s->holders, 1);
    int result = post(s->loop, a);
    if (result != HELIOS_HTTP_OK) {
        socket_release(s);
    }
    return result;
}

static void act_close(struct answer *a)
{
    socket_goodbye(a->socket, a->status_or_code, hl_buf_view(&a->bytes));
    socket_release(a->socket);
}

static void close_socket(struct helios_http_socket *s, int code, const char *reason)
{
    struct answer *a = make(NULL, s, act_close);
    a->status_or_code = code;
    if (reason != NULL) {
        hl_buf_append_text(&a->bytes, reason);
    }
    atomic_fetch_add(&s->holders, 1);
    if (post(s->loop, a) != HELIOS_HTTP_OK) {
        socket_release(s);
    }
}

static void release(struct helios_http_socket *s)
{
    socket_release(s);
}

void answers_fill(struct helios_http_service *table)
{
    views_fill(table);
    table->add_header = add_header;
    table->next = next;
    table->respond = respond;
    table->fail = fail;
    table->begin = begin;
    table->write = write_body;
    table->finish = finish;
    table->read_body = read_body;
    table->upgrade = upgrade;
    table->send = send_message;
    table->close = close_socket;
    table->release = release;
}
