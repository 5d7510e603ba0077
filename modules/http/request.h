/* A request between its head and its answer.
 *
 *   R1  it is held by one filter or handler at a time (holder), or by http itself (0).
 *   R2  it outlives its connection: whoever holds it answers it, and it ends then.
 *   R3  fields marked (loop) are touched on http's thread; the others before it is handed out, or
 * by its holder.
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "conn.h"

#include "net/trace.h"

#define HTTP_NOTES_MAX 8
#define HTTP_HEADERS_OUT_MAX 16384
#define HTTP_USER_MAX 128

struct note {
    const char *name;
    void *value;
    void (*destroy)(void *value);
};

/* A decoded text that lives as long as the request. */
struct decoded {
    struct decoded *next;
    struct hl_buf text;
};

struct helios_http_request {
    struct loop *loop;
    struct conn *conn;                       /* (loop) NULL once the client has left */
    struct helios_http_request *prev, *next; /* (loop) in loop->requests */
    uint64_t holder;                         /* (loop) R1 */
    struct served *served;
    size_t filter_at;    /* (loop) */
    struct hl_buf bytes; /* the head, which `head` points into */
    struct net_trace trace;
    size_t param_count;
    struct {
        struct hl_slice name; /* in served->pattern */
        struct hl_buf value;
    } params[ROUTE_PARAMS_MAX];
    struct hl_buf body;
    struct hl_buf headers; /* of the answer to come, whole lines */
    struct note notes[HTTP_NOTES_MAX];
    size_t note_count;
    struct decoded *decoded;
    char user[HTTP_USER_MAX + 1];        /* as the holder says */
    char logged_user[HTTP_USER_MAX + 1]; /* (loop) as it was when the holder was done */
    char remote[46];
    bool secure;
    atomic_bool gone;
    struct flow flow;
    int status;                        /* (loop) of the answer, 0 before it */
    atomic_bool streaming;             /* begin() was called */
    atomic_bool answered;              /* the holder is done: nothing more is told to it */
    atomic_int refs;                   /* http's, and mail on its way to the server's thread */
    bool streamed_body;                /* STREAM_BODY */
    bool chunked, told, is_head, over; /* (loop) told: the log and the observers */
    int64_t length_left;               /* of the answer's body; -1 for chunked; the holder's */
    helios_http_writable writable;
    void *writable_data;
    helios_http_piece piece; /* (loop) */
    void *piece_data;
    bool piece_wanted, body_over; /* (loop) */
    uint64_t bytes_in, bytes_out; /* (loop) */
    uint64_t started_us;
    struct hl_http1_head head; /* last: it is large, and not cleared */
};

/* A head was read: make the request of it, find its route and go through the filters. `bytes` is
 * what the head points into. */
void request_begin(struct conn *conn, const struct hl_http1_head *head, struct hl_slice bytes);

/* Go on to the next filter, or to the body, or to the handler. */
void request_pass(struct helios_http_request *request);

/* The holder asks for the next piece of a streamed body. */
void request_want_body(struct helios_http_request *request, helios_http_piece piece, void *data);

/* Whether it has asked, and waits. */
bool request_wants_body(const struct helios_http_request *request);

/* A piece of the body has come. */
void request_body(struct helios_http_request *request, struct hl_slice piece);

/* The body is whole. */
void request_body_end(struct helios_http_request *request);

/* Answer with a whole body. `type` may be NULL. The request ends. */
void request_respond(struct helios_http_request *request, int status, const char *type,
                     struct hl_slice body);

/* Answer with a JSON error.  The request ends. */
void request_fail(struct helios_http_request *request, int status, const char *code,
                  const char *message);

/* Begin a streamed answer of `length` bytes, or -1. */
void request_start(struct helios_http_request *request, int status, const char *type,
                   int64_t length);

/* Send more of it. */
void request_send(struct helios_http_request *request, struct hl_slice bytes);

/* End it, and the request; what is not `whole` is cut. */
void request_finish(struct helios_http_request *request, bool whole);

/* The client has left, or was answered for the holder: whoever holds it goes on, for nobody. */
void request_lose(struct helios_http_request *request);

/* End a request that nobody holds. */
void request_end(struct helios_http_request *request);

/* There is room for more of the answer. */
void request_room(struct helios_http_request *request);

/* Append status line and headers that every answer has, and `own`: those that filters and handler
 * added, which nobody may be adding to now. */
void request_put_head(struct helios_http_request *request, struct hl_buf *out, int status,
                      const char *type, bool own);

/* Let go of a request that mail refers to. */
void request_unref(struct helios_http_request *request);

#endif
