/* What is handed on of a message's head, and what is not.
 *
 *   PH1  a header that Connection names, or that is about one hop, is never handed on.
 *   PH2  framing is never copied: it is written anew from what the parser understood.
 *   PH3  a name with '_' is never handed on to a backend: CGI and WSGI read "X_Forwarded_For" as
 *        "X-Forwarded-For".
 *   PH4  a client's X-Forwarded-*, Forwarded and X-Real-IP are handed on only when told to trust
 * it.
 */
#ifndef PROXY_HEADERS_H
#define PROXY_HEADERS_H

#include "kit/bytes.h"
#include "kit/http1.h"

/* What the proxy adds to a request. */
struct forward {
    const char *remote;     /* the client's address */
    bool secure;            /* it speaks TLS */
    bool trusts;            /* PH4 */
    bool websocket;         /* hand the upgrade on */
    const char *host;       /* for a client that sent no Host */
    const char *request_id; /* X-Request-ID */
    const char *traceparent;
    size_t strip; /* bytes of the path that are cut off */
};

/* True when a request asks for a WebSocket in the one way that is handed on. */
bool headers_want_websocket(const struct hl_http1_head *head);

/* Append the head of a request to a backend.  HL_EINVAL, with `out` as it was, when something of it
 * cannot be written. */
HL_MUST_USE hl_err headers_put_request(struct hl_buf *out, const struct hl_http1_head *head,
                                       const struct forward *forward);

/* How a response's body is framed towards the client. */
enum framing { FRAME_NONE, FRAME_LENGTH, FRAME_CHUNKED, FRAME_CLOSE };

/* What the client's side of a response needs. */
struct answer {
    bool to_head;    /* it answers HEAD */
    bool old_client; /* HTTP/1.0 */
    bool close;      /* the connection ends behind it; set when the framing needs it */
    const char *date, *request_id;
};

/* Append the head of a response to a client, and say how its body is framed.  Sets answer->close
 * when the body ends with the connection. */
enum framing headers_put_response(struct hl_buf *out, const struct hl_http1_head *head,
                                  struct answer *answer);

/* True when a response of status 101 switches to the WebSocket that was asked for with `key`. */
bool headers_switch_to_websocket(const struct hl_http1_head *head, struct hl_slice key);

/* Append the head of that 101 to a client. */
void headers_put_switch(struct hl_buf *out, const struct hl_http1_head *head,
                        const char *request_id);

/* True for methods that may be sent twice: GET, HEAD, OPTIONS, PUT, DELETE. */
bool headers_is_idempotent(struct hl_slice method);

#endif
