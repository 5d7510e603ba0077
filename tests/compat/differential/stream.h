/* A stream of operations: what both servers are asked to do, in order. */
#ifndef COMPAT_DIFFERENTIAL_STREAM_H
#define COMPAT_DIFFERENTIAL_STREAM_H

#include "kit/bytes.h"

#include <stdio.h>

#define CONNECTION_COUNT 3 /* 0 and 2 speak RESP2, 1 speaks RESP3 */

enum op_kind {
    OP_COMMAND,  /* argv is a command; its replies are compared */
    OP_RAW,      /* argv[0] are bytes for a connection of their own; all answered bytes compared */
    OP_TRANSFER, /* DUMP argv[0] on each server, then RESTORE each payload on both as argv[1] */
    OP_RANDOM,   /* argv is RANDOMKEY or HRANDFIELD; what it draws must exist on that server */
    OP_SCAN_ALL, /* argv is SCAN or HSCAN; iterated to its end, the elements are compared */
};

struct op {
    enum op_kind kind;
    int conn;  /* 0..CONNECTION_COUNT-1; unused by OP_RAW */
    bool skip; /* left out by the shrinker */
    int argc;
    struct hl_slice *argv; /* owned by the stream */
};

struct stream {
    struct op *ops;
    size_t count;
    size_t cap;
};

/* Append an operation without arguments; valid until the next one is added. */
struct op *stream_add(struct stream *s, enum op_kind kind, int conn);

/* Append a copy of `bytes` to the operation's arguments. */
void op_add(struct op *op, struct hl_slice bytes);

/* Drop argument `index`. */
void op_remove(struct op *op, int index);

/* Replace argument `index` by a copy of `bytes`. */
void op_replace(struct op *op, int index, struct hl_slice bytes);

/* Append the operation's arguments to `out` as an array of bulk strings. */
void op_encode(const struct op *op, struct hl_buf *out);

/* Drop all operations and keep the stream usable. */
void stream_clear(struct stream *s);

/* Print one operation on a line, as redis-cli would take it, long arguments shortened. */
void op_print(FILE *file, const struct op *op);

/* Print bytes between double quotes, escaped; at most `len_max` of them and then their count. */
void print_quoted(FILE *file, struct hl_slice bytes, size_t len_max);

#endif
