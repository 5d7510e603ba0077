/* Replies read back: RESP2 or RESP3 bytes in, one complete reply at a time out, as a tree.
 *
 * Two phases.  hl_reader_next() finds where a reply ends, however the bytes arrive, in memory that
 * does not grow with the reply.  hl_reply_build() makes the tree of a complete reply in a single
 * allocation; the tree borrows the reply's bytes, so no string is copied.
 *
 * Used for the replies of commands that modules call, and by our own test clients.
 */
#ifndef HL_RESP_READER_H
#define HL_RESP_READER_H

#include "kit/bytes.h"

#define HL_REPLY_DEPTH_MAX 32                 /* aggregates inside one another */
#define HL_REPLY_NODES_MAX (64 * 1024 * 1024) /* values in one reply, aggregates included */
#define HL_REPLY_LINE_MAX (16 * 1024 * 1024)  /* bytes of a line that is not a bulk string */
#define HL_REPLY_BULK_MAX (1LL << 40)         /* bytes of a bulk string */

enum hl_reply_type {
    HL_REPLY_STRING,     /* $  bulk string */
    HL_REPLY_SIMPLE,     /* +  simple string */
    HL_REPLY_ERROR,      /* -  or !: error, code first */
    HL_REPLY_INTEGER,    /* :  */
    HL_REPLY_NULL,       /* _, $-1 or *-1 */
    HL_REPLY_DOUBLE,     /* ,  */
    HL_REPLY_BOOL,       /* #  */
    HL_REPLY_BIG_NUMBER, /* (  */
    HL_REPLY_VERBATIM,   /* =  */
    HL_REPLY_ARRAY,      /* *  */
    HL_REPLY_MAP,        /* %  */
    HL_REPLY_SET,        /* ~  */
    HL_REPLY_PUSH,       /* >  */
    HL_REPLY_ATTRIBUTE,  /* |  only reached through `attributes` */
};

/* One value.  Fields that do not belong to its type are zero. */
struct hl_reply {
    enum hl_reply_type type;
    char format[4];                    /* of a verbatim string: "txt" */
    struct hl_slice text;              /* of strings, errors and numbers: as received, without type,
                                          length, format and line end */
    int64_t integer;                   /* of integers, and 0 or 1 of booleans */
    double number;                     /* of doubles; may be infinite or NaN */
    const struct hl_reply *children;   /* of aggregates; keys and values of a map alternate */
    size_t count;                      /* of children: twice the pairs of a map */
    const struct hl_reply *attributes; /* what stood before the value, or NULL */
    struct hl_slice raw;               /* the bytes of the value, without its attributes */
};

enum hl_read_result {
    HL_READ_MORE,  /* the reply is not complete */
    HL_READ_REPLY, /* a complete reply ends at pos */
    HL_READ_ERROR, /* not RESP, or beyond a bound: error says why; every later call fails too */
};

/* Fields without a comment are the reader's business. */
struct hl_reader {
    size_t pos;     /* bytes before it are used up; after HL_READ_REPLY, just past the reply */
    size_t size;    /* after HL_READ_REPLY: the reply is the `size` bytes before pos */
    size_t nodes;   /* after HL_READ_REPLY: values in it, for hl_reply_build() */
    char error[64]; /* after HL_READ_ERROR: NUL-terminated */

    size_t at;
    size_t scan;
    size_t want;
    int64_t bulk_len;
    size_t seen;
    int depth;
    bool failed;
    bool verbatim;
    struct {
        int64_t left;
        bool attribute;
    } stack[HL_REPLY_DEPTH_MAX];
};

/* Start at position 0 of an empty buffer.  A reader owns no memory and needs no end. */
void hl_reader_init(struct hl_reader *r);

/* Find the end of the reply that starts at bytes[pos].  `bytes` is borrowed for this call only and
 * may be moved between two calls.  After HL_READ_MORE the bytes from pos on must be kept.  No byte
 * is looked at twice. */
enum hl_read_result hl_reader_next(struct hl_reader *r, const char *bytes, size_t len);

/* Tell that the caller dropped the first `len` bytes of its buffer; at most r->pos. */
static inline void hl_reader_consumed(struct hl_reader *r, size_t len)
{
    r->pos -= len;
}

/* After HL_READ_MORE: bytes missing to the end of the string being read; 0 when not known. */
static inline size_t hl_reader_want(const struct hl_reader *r)
{
    return r->want;
}

/* The tree of `bytes`, exactly one reply that hl_reader_next() accepted with that count of nodes.
 * `bytes` is borrowed for as long as the tree is used.  The caller owns the tree and ends it with
 * hl_free().  NULL when memory is refused. */
struct hl_reply *hl_reply_build(struct hl_slice bytes, size_t nodes);

/*
 * Both phases for a reply that is complete: set *out to the tree of `bytes`, owned and borrowing as
 * for hl_reply_build().
 *
 * HL_ECORRUPT  not exactly one reply, or beyond a bound; *out is untouched
 * HL_ENOMEM    memory was refused; *out is untouched
 */
HL_MUST_USE hl_err hl_reply_parse(struct hl_slice bytes, struct hl_reply **out);

#endif
