/* Requests: bytes of a client in, one command at a time out, without copying.
 *
 * The parser works on the caller's query buffer.  It understands RESP2 arrays of bulk strings,
 * inline commands, and, on a connection that switched to RESP3, the scalar types of RESP3 as
 * arguments and attributes anywhere before a value (README.md lists them).
 *
 * How to drive it:
 *
 *     append what the socket gave to `buf`;
 *     while (hl_parser_next(p, buf.ptr, buf.len) == HL_PARSE_COMMAND) {
 *         run(p->argv, p->argc);
 *     }
 *     size_t done = p->pos;
 *     hl_buf_consume(&buf, done);
 *     hl_parser_consumed(p, done);
 *
 * The buffer may be reallocated freely between two calls: what must survive is kept as offsets.
 */
#ifndef HL_RESP_PARSER_H
#define HL_RESP_PARSER_H

#include "kit/assert.h"
#include "kit/bytes.h"

#define HL_REQUEST_ARGC_MAX (1024 * 1024)         /* arguments of one command */
#define HL_REQUEST_BULK_MAX (512LL * 1024 * 1024) /* default bytes of one argument */
#define HL_REQUEST_LINE_MAX (64 * 1024)           /* bytes of an inline command or a header line */
#define HL_REQUEST_UNAUTH_ARGC_MAX 10             /* both while a client is unauthenticated */
#define HL_REQUEST_UNAUTH_BULK_MAX (16 * 1024)
#define HL_REQUEST_DEPTH_MAX 8 /* nesting inside a skipped attribute */

enum hl_parse_result {
    HL_PARSE_MORE,    /* everything up to `len` was looked at: come back with more bytes */
    HL_PARSE_COMMAND, /* argv and argc hold one command of at least one argument */
    HL_PARSE_ERROR,   /* error holds the reason; the connection must be closed after saying it */
};

struct hl_parser_limits {
    int64_t bulk_max;     /* proto-max-bulk-len: bytes, 1..INT64_MAX */
    bool unauthenticated; /* the two HL_REQUEST_UNAUTH limits apply too */
    bool resp3;           /* the connection speaks RESP3: its scalar types are arguments too */
};

/* Fields without a comment of their own are the parser's business. */
struct hl_parser {
    struct hl_slice *argv; /* after HL_PARSE_COMMAND: valid until the next call on the parser, and
                              only while the caller's buffer is neither changed nor moved */
    int argc;              /* 1..HL_REQUEST_ARGC_MAX after HL_PARSE_COMMAND */
    size_t pos;            /* bytes before it are used up, and the caller may drop them */
    char error[64];        /* after HL_PARSE_ERROR: NUL-terminated, starts "Protocol error: " */

    const struct hl_parser_limits *limits;
    size_t at;         /* next byte to look at, counted from pos */
    size_t scan;       /* no line end before it, counted from pos; 0 when unknown */
    int64_t args_left; /* of the array being read; -1 between commands */
    int64_t bulk_len;  /* of the argument being read; -1 before its header */
    size_t want;
    uint32_t argv_cap;
    uint8_t state;
    bool detached; /* argv holds offsets from pos instead of pointers */
    bool verbatim; /* the bulk being read starts with a format such as "txt:" */
    bool failed;
    int skip_depth; /* attributes being skipped: how many items each level still has */
    int64_t skip_left[HL_REQUEST_DEPTH_MAX];
    struct hl_buf words; /* the words of an inline command */
};

/* Limits of an authenticated RESP2 connection with the default proto-max-bulk-len. */
extern const struct hl_parser_limits hl_parser_limits_default;

/* The same before AUTH on a server that asks for a password. */
extern const struct hl_parser_limits hl_parser_limits_unauth;

/* Start at position 0 of an empty buffer.  `limits` is borrowed until it is replaced or
 * hl_parser_fini() is called; its owner may change it, which counts from the next header read. */
void hl_parser_init(struct hl_parser *p, const struct hl_parser_limits *limits);

/* Release what the parser holds.  Allowed twice. */
void hl_parser_fini(struct hl_parser *p);

/* Use other limits from the next header on: after AUTH, RESET or HELLO. */
void hl_parser_set_limits(struct hl_parser *p, const struct hl_parser_limits *limits);

/*
 * Read one command from bytes[pos..len).  `bytes` is borrowed for this call and, after
 * HL_PARSE_COMMAND, for as long as argv is used; bytes before `pos` are never looked at again.
 *
 * HL_PARSE_COMMAND: pos is past the command.  Empty lines and empty arrays are passed over.
 * HL_PARSE_MORE: pos is at the start of the unfinished command, whose bytes must be kept.
 * HL_PARSE_ERROR: so will every later call.
 *
 * No byte is looked at twice, however the input is cut, and nothing is allocated once argv has
 * grown to the largest command seen.  The result does not depend on how the input was cut.
 */
enum hl_parse_result hl_parser_next(struct hl_parser *p, const char *bytes, size_t len);

/* Tell that the caller dropped the first `len` bytes of its buffer; at most p->pos. */
static inline void hl_parser_consumed(struct hl_parser *p, size_t len)
{
    p->pos -= len;
}

/* After HL_PARSE_MORE: how many bytes are missing to complete the argument that is being read,
 * or 0 when that is not known.  A hint for sizing the next read: at most the bulk limit plus 2,
 * so never allocate it all at once for a client that has only announced it. */
static inline size_t hl_parser_want(const struct hl_parser *p)
{
    return p->want;
}

/* Is a command half read, if only its first line? */
static inline bool hl_parser_is_partial(const struct hl_parser *p)
{
    return p->at != 0 || p->state != 0 || p->skip_depth != 0 || p->scan != 0;
}

/* Tell that the caller took the next `len` bytes by itself, a whole command.  None is half read. */
static inline void hl_parser_skip(struct hl_parser *p, size_t len)
{
    HL_ASSERT(!hl_parser_is_partial(p));
    p->pos += len;
}

/* Give back memory that only an unusually large command needed.  Call between commands, when
 * argv is no longer used. */
void hl_parser_trim(struct hl_parser *p);

#endif
