/* HTTP/1.1 messages without a socket: bytes in, a head and pieces of a body out.
 *
 * The caller owns the bytes.  For each message:
 *
 *     hl_http1_head()   with all bytes since the message began, again with more while HL_ENOENT
 *     hl_http1_body()   with what follows the head, until `done`
 *
 * Slices point into the caller's bytes: nothing is copied.
 *
 * Two parsers read every message: this one, which refuses whatever two readers could understand in
 * two ways, and llhttp in strict mode.
 *
 *   H1  a message is accepted only when both accept it and agree on its framing.
 *   H2  a parser that refused a message stays refused: what follows is never read as a message.
 *   H3  the result depends on the bytes alone, not on how they were cut into calls; and each byte
 *       is looked at a bounded number of times.
 *   H4  every count and length a peer chooses has a limit.
 */
#ifndef KIT_HTTP1_H
#define KIT_HTTP1_H

#include "kit/bytes.h"
#include "kit/err.h"

#include <stdbool.h>
#include <stdint.h>

#define HL_HTTP1_HEADERS_MAX 128       /* header lines that a head can have at all */
#define HL_HTTP1_CHUNK_NOTES_MAX 16384 /* bytes of all chunk extensions of a body together */
#define HL_HTTP1_CHUNK_LINE_MAX_MIN 18 /* a limit below would refuse a plain size */

/* What a peer may send; the defaults are in hl_http1_limits_default. */
struct hl_http1_limits {
    size_t line_max;       /* bytes of the first line: 414 */
    size_t head_max;       /* bytes of the head, the first line included: 431 */
    size_t headers_max;    /* header lines, at most HL_HTTP1_HEADERS_MAX: 431 */
    size_t chunk_line_max; /* bytes of a chunk's size and extensions: 400 */
    size_t trailer_max;    /* bytes of all trailer lines: 431 */
    uint64_t body_max;     /* bytes of the body: 413 */
};
extern const struct hl_http1_limits hl_http1_limits_default;

struct hl_http1_header {
    struct hl_slice name;  /* as sent */
    struct hl_slice value; /* without the blanks around it */
};

/* A head. Slices borrow the caller's bytes; `ptr` is NULL for what is not there. */
struct hl_http1_head {
    /* requests */
    struct hl_slice method;
    struct hl_slice target;
    struct hl_slice host;  /* of Host, which an absolute target must equal; with its port */
    struct hl_slice path;  /* begins with '/', or is "*" */
    struct hl_slice query; /* behind '?' */
    bool expects_continue;
    /* responses */
    int status;
    struct hl_slice reason;
    /* both */
    int minor; /* of the version 1.x: 0 or 1 */
    bool chunked;
    bool has_length;
    bool until_close;        /* a response whose body ends with the connection */
    uint64_t length;         /* of the body, when it is known; else 0 */
    bool keep_alive;         /* what the sender wants */
    bool wants_upgrade;      /* Connection names Upgrade */
    struct hl_slice upgrade; /* what to, when wants_upgrade */
    size_t header_count;
    struct hl_http1_header headers[HL_HTTP1_HEADERS_MAX];
};

/* Opaque: reads one message after the other. */
struct hl_http1;

/* A reader of requests (or of responses); `limits` is copied. End it with hl_http1_destroy(). */
struct hl_http1 *hl_http1_create(bool requests, const struct hl_http1_limits *limits);

/* Release it.  NULL is allowed. */
void hl_http1_destroy(struct hl_http1 *http);

/* Forget the message: the next bytes begin a new one.  Only behind a whole message (H2). */
void hl_http1_next(struct hl_http1 *http);

/* For responses: whether the request was HEAD, whose response has no body. */
void hl_http1_answers_head(struct hl_http1 *http, bool is_head);

/* The body may be smaller than the limit it began with; only before its first byte. */
void hl_http1_limit_body(struct hl_http1 *http, uint64_t body_max);

/*
 * Look for a whole head.
 *
 * in    all bytes from the first of the message on; the earlier ones may have moved.
 * head  filled on HL_OK.
 * used  on HL_OK the bytes of the head.
 *
 * HL_OK; HL_ENOENT: call again with more; HL_EINVAL: refused, `msg` (may be NULL) says why and
 * hl_http1_status() what to answer before closing.
 */
HL_MUST_USE hl_err hl_http1_head(struct hl_http1 *http, struct hl_slice in,
                                 struct hl_http1_head *head, size_t *used, struct hl_errmsg *msg);

/*
 * Take one piece of the body.
 *
 * in     bytes not consumed yet; may be empty, for a body of no bytes.
 * used   how many of them are consumed.
 * piece  body bytes among them, may be empty.
 * done   whether the message is over; bytes behind belong to the next.
 *
 * HL_OK (call again while *used > 0 or when there is more); HL_EINVAL and H2 as above.
 */
HL_MUST_USE hl_err hl_http1_body(struct hl_http1 *http, struct hl_slice in, size_t *used,
                                 struct hl_slice *piece, bool *done, struct hl_errmsg *msg);

/* The connection ended.  HL_OK between messages, and when that ends the body (*done set: a
 * response until_close); HL_EINVAL in the middle of a message. */
HL_MUST_USE hl_err hl_http1_end(struct hl_http1 *http, bool *done);

/* After HL_EINVAL: the status to answer, 400 ... 505; 502 for responses. */
int hl_http1_status(const struct hl_http1 *http);

/* The first header of that name, ignoring case; NULL when there is none. */
const struct hl_slice *hl_http1_find(const struct hl_http1_head *head, const char *name);

/* Let all slices of a head point into a copy of its bytes: `from` is where they were, `to` where
 * they are now. */
void hl_http1_rebase(struct hl_http1_head *head, const char *from, const char *to);

#endif
