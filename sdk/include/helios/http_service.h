/* HTTP for modules: what modules/http offers to the others as a shared function table.
 *
 *     const struct helios_http_service *http = RedisModule_GetSharedAPI(ctx, HELIOS_HTTP_SERVICE);
 *     if (http == NULL || http->version < 1) { ... no http module is loaded ... }
 *     struct helios_http_owner *me = http->join("gateway");
 *     http->route(me, &(struct helios_http_route){.method = "GET", .pattern = "/kv/{key...}",
 *                                                 .handle = get, .data = state}, NULL, 0);
 *     ...
 *     http->leave(me);                    // in OnUnload: afterwards nothing of ours is called
 *
 * The module that asked for the table keeps http loaded (MODULE UNLOAD http says who uses it).
 *
 *   S1  A request that a handler or a filter was given is answered exactly once: by respond(),
 *       by begin() ... finish(), by upgrade(), or, in a filter, passed on by next().  From then on
 *       the pointer is dead.  From any thread, one thread at a time for one request, at once or
 *       an hour later; a client that left meanwhile changes nothing but what the call returns.
 *   S2  Everything that the view functions return lives as long as the request.
 *   S3  Handlers, filters and events run on http's own thread: they must not block, and may call
 *       nothing of the server but what is allowed from any thread.  With HELIOS_HTTP_ON_SERVER
 *       they run on the server's thread instead, between commands, where the module's own state
 *       needs no lock.  Commands are run by HeliosModule_Execute(), from either.  After the answer
 *       no event of the request follows; who has events of a request answers on their thread.
 *   S4  Bodies and messages given to functions here are copied.
 *   S5  Header names and values that would break the message (CR, LF, NUL, not a token) are
 *       refused; framing headers (Content-Length, Transfer-Encoding, Connection ...) are http's.
 */
#ifndef HELIOS_HTTP_SERVICE_H
#define HELIOS_HTTP_SERVICE_H

#include <stddef.h>
#include <stdint.h>

#define HELIOS_HTTP_SERVICE "helios.http" /* name for RedisModule_GetSharedAPI() */
#define HELIOS_HTTP_VERSION 2             /* grows when functions are added at the end */

/* Results; 0 is success. */
#define HELIOS_HTTP_OK 0
#define HELIOS_HTTP_EINVAL -1 /* an argument is malformed; nothing was done */
#define HELIOS_HTTP_EFULL -2  /* a bound is reached: not taken, wait for `writable` */
#define HELIOS_HTTP_EGONE -3  /* the client has left, or http is ending */
#define HELIOS_HTTP_EEXIST -4 /* another route has this method and pattern */
#define HELIOS_HTTP_ENOENT -5 /* no such route */

/* Flags of routes, filters and observers, or-ed. */
#define HELIOS_HTTP_ON_SERVER 1u   /* call back on the server's thread (S3) */
#define HELIOS_HTTP_STREAM_BODY 2u /* call the handler before the body; it asks for pieces */
#define HELIOS_HTTP_NO_FILTERS 4u  /* do not run the filters for this route */

struct helios_http_owner;   /* a module that uses http */
struct helios_http_request; /* a request that waits for its answer */
struct helios_http_socket;  /* a WebSocket */

/* Borrowed bytes; `ptr` is NULL when there is no such thing. */
struct helios_http_text {
    const char *ptr;
    size_t len;
};

/* Answers a request (S1). */
typedef void (*helios_http_handler)(struct helios_http_request *request, void *data);

struct helios_http_route {
    const char *method;  /* "GET" (answers HEAD too), "POST" ..., or "*" for every method */
    const char *pattern; /* "/jobs/{id}/ack"; "{key...}" as the last segment takes all the rest */
    helios_http_handler handle;
    void *data;
    unsigned flags;
    uint64_t body_max; /* bytes; 0, or more than http.body-max: that setting */
};

/* What an observer is told when an exchange is over. Texts are borrowed for the call. */
struct helios_http_done {
    struct helios_http_text method, path, pattern, remote, request_id, user;
    int status; /* 0: the client left before the answer */
    uint64_t bytes_in, bytes_out;
    int64_t duration_us;
};
typedef void (*helios_http_observer)(const struct helios_http_done *done, void *data);

/* One piece of a streamed body: `len` bytes, borrowed for the call; 0 bytes with last = 1 ends it;
 * last = -1: the client left or broke the rules, and the request is still to be answered (S1). */
typedef void (*helios_http_piece)(struct helios_http_request *request, const char *bytes,
                                  size_t len, int last, void *data);

/* There is room again after HELIOS_HTTP_EFULL (or the client left: the next call says EGONE). */
typedef void (*helios_http_writable)(struct helios_http_request *request, void *data);

/* What happens to a WebSocket; any may be NULL. */
struct helios_http_socket_events {
    /* A whole message; text is 1 and its UTF-8 is valid, or 0 for binary. */
    void (*message)(struct helios_http_socket *socket, int text, const char *bytes, size_t len,
                    void *data);
    /* There is room again after send() said EFULL. */
    void (*writable)(struct helios_http_socket *socket, void *data);
    /* The last event.  `code` as in RFC 6455 (1006: without a farewell).  The socket must be given
     * to release() here or later. */
    void (*closed)(struct helios_http_socket *socket, int code, void *data);
};

struct helios_http_service {
    int version;

    /* --- registration: on the server's thread ------------------------------------------------ */

    /* Become a user of http; `name` is for logs and HTTP.STATUS.  Never NULL. */
    struct helios_http_owner *(*join)(const char *name);
    /* Remove all that the owner registered; requests it still holds are answered 503, its
     * WebSockets closed (1001).  Returns when no callback of it runs or will run; the pointers it
     * was given are dead then. */
    void (*leave)(struct helios_http_owner *owner);
    /* Add a route (copied).  EINVAL, with the reason in why[0..why_size) (may be NULL), EEXIST, or
     * EFULL at HTTP_ROUTES_MAX.  The most literal pattern wins; "/a/b" before "/a/{x}" before
     * "/{rest...}". */
    int (*route)(struct helios_http_owner *owner, const struct helios_http_route *route, char *why,
                 size_t why_size);
    /* Remove it; requests in its handler go on.  ENOENT when the owner has no such route. */
    int (*unroute)(struct helios_http_owner *owner, const char *method, const char *pattern);
    /* Let `filter` see every request (but those of NO_FILTERS) once its head is read and its route
     * known, lowest `order` first: it answers, or calls next().  Customary orders: 100 rate limit,
     * 200 authentication, 300 authorisation, 400 idempotency.  EFULL at HTTP_FILTERS_MAX. */
    int (*filter)(struct helios_http_owner *owner, int order, helios_http_handler filter,
                  void *data, unsigned flags);
    /* Be told of every exchange that is over, on http's thread.  EFULL at HTTP_FILTERS_MAX. */
    int (*observe)(struct helios_http_owner *owner, helios_http_observer observer, void *data);

    /* --- the request: from any thread (S1, S2) ----------------------------------------------- */

    struct helios_http_text (*method)(const struct helios_http_request *request);
    /* As sent, still percent-encoded, without the query; begins with '/'. */
    struct helios_http_text (*path)(const struct helios_http_request *request);
    /* Behind '?', still encoded; ptr NULL without '?'. */
    struct helios_http_text (*query)(const struct helios_http_request *request);
    /* The decoded value of the first `name` in the query; ptr NULL when absent or ill-encoded. */
    struct helios_http_text (*query_value)(struct helios_http_request *request, const char *name);
    /* The decoded value of {name} of the pattern. */
    struct helios_http_text (*param)(const struct helios_http_request *request, const char *name);
    /* The pattern of the route. */
    struct helios_http_text (*pattern)(const struct helios_http_request *request);
    /* The first header of that name, case ignored. */
    struct helios_http_text (*header)(const struct helios_http_request *request, const char *name);
    /* Header number `index` from 0 on; EINVAL behind the last. */
    int (*header_at)(const struct helios_http_request *request, size_t index,
                     struct helios_http_text *name, struct helios_http_text *value);
    /* The whole body; empty with STREAM_BODY, and in filters. */
    struct helios_http_text (*body)(const struct helios_http_request *request);
    /* The client's address, "127.0.0.1" or "::1", without port. */
    struct helios_http_text (*remote)(const struct helios_http_request *request);
    /* X-Request-ID, the client's or made here; it is in the answer and the access log too. */
    struct helios_http_text (*request_id)(const struct helios_http_request *request);
    /* The traceparent to hand on: the client's trace with a new span, or a new trace. */
    struct helios_http_text (*traceparent)(const struct helios_http_request *request);
    int (*is_tls)(const struct helios_http_request *request);
    /* 1 once the client has left. */
    int (*is_gone)(const struct helios_http_request *request);
    /* Keep a pointer with the request, under the name of an owner's choosing, for filters and
     * handlers behind; `destroy` (may be NULL) ends it with the request or when replaced, on
     * http's thread.  EFULL at HTTP_NOTES_MAX. */
    int (*note)(struct helios_http_request *request, const char *name, void *value,
                void (*destroy)(void *value));
    void *(*noted)(const struct helios_http_request *request, const char *name);
    /* Who the client is, for the access log and observers; set by the authentication filter. */
    int (*set_user)(struct helios_http_request *request, const char *name, size_t len);

    /* --- the answer: from any thread (S1) ---------------------------------------------------- */

    /* Add a header to the answer to come; repeated names are allowed.  EINVAL (S5), EFULL at
     * HTTP_HEADERS_OUT_MAX bytes. */
    int (*add_header)(struct helios_http_request *request, const char *name, const char *value);
    /* A filter lets the request pass to the next filter or the handler. */
    void (*next)(struct helios_http_request *request);
    /* Answer with a whole body; `type` (may be NULL) is its Content-Type.  The request ends even
     * with EINVAL (a status outside 200..599: the client gets 500) and EGONE. */
    int (*respond)(struct helios_http_request *request, int status, const char *type,
                   const void *body, size_t len);
    /* Answer with one JSON error: {"error":{"code","message"}}. */
    int (*fail)(struct helios_http_request *request, int status, const char *code,
                const char *message);
    /* Begin an answer of `length` bytes, or -1: until finish(), chunked.  `writable` may be NULL.
     * EINVAL for the status: nothing has begun. */
    int (*begin)(struct helios_http_request *request, int status, const char *type, int64_t length,
                 helios_http_writable writable, void *data);
    /* Send more of the body.  EFULL: nothing was taken; EINVAL: more than `length`; EGONE. */
    int (*write)(struct helios_http_request *request, const void *bytes, size_t len);
    /* The end.  EINVAL when bytes of `length` are missing: the connection is cut. */
    int (*finish)(struct helios_http_request *request);
    /* With STREAM_BODY: ask for the next piece, once per piece; `piece` is called later. */
    int (*read_body)(struct helios_http_request *request, helios_http_piece piece, void *data);

    /* --- WebSocket ---------------------------------------------------------------------------- */

    /* 1 when the client asked for a WebSocket, correctly. */
    int (*wants_socket)(const struct helios_http_request *request);
    /* Answer 101 and go on as a WebSocket; `protocol` (may be NULL) is the chosen subprotocol.
     * `events` is borrowed until `closed`.  NULL when wants_socket() is 0: the request is still to
     * be answered. */
    struct helios_http_socket *(*upgrade)(struct helios_http_request *request,
                                          const struct helios_http_socket_events *events,
                                          void *data, const char *protocol);
    /* Send a message.  EFULL: not taken; EGONE: closed or closing; EINVAL: text that is no UTF-8.
     */
    int (*send)(struct helios_http_socket *socket, int text, const void *bytes, size_t len);
    /* Say goodbye; `closed` follows.  `reason` may be NULL, at most 123 bytes of it are sent. */
    void (*close)(struct helios_http_socket *socket, int code, const char *reason);
    /* End the handle, after `closed`. */
    void (*release)(struct helios_http_socket *socket);

    /* --- since version 2 ---------------------------------------------------------------------- */

    /* Counter number `index` from 0 on, from any thread: its name, static ("requests_total"; those
     * of "_open" go down too), and its value now.  EINVAL behind the last. */
    int (*counter_at)(size_t index, const char **name, long long *value);
};

#endif
