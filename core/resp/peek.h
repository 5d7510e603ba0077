/* Looking ahead in a pipeline: the plain requests at its start, read all at once.
 *
 * Nearly everything clients send is an array of a few short bulk strings.  Read ahead, such
 * requests need be read only once, and what their keys need from memory can be fetched for all
 * together. Anything else is left to the parser, whose verdict on these requests would be the same:
 * they are within every limit that it may have been given.
 */
#ifndef HL_RESP_PEEK_H
#define HL_RESP_PEEK_H

#include "resp/parser.h"

#define HL_PEEK_MAX 16     /* requests looked at together */
#define HL_PEEK_ARGS_MAX 8 /* arguments of a plain request */
#define HL_PEEK_DIGITS_MAX                                                                         \
    4 /* of the length of an argument: longer ones hide misses themselves                          \
       */

/* What was found: requests[0..count), one after the other from the first byte on. */
struct hl_peek {
    int count;
    struct hl_peek_request {
        const struct hl_slice *argv; /* into `args` */
        int argc;                    /* 1..HL_PEEK_ARGS_MAX */
        size_t size;                 /* bytes the request takes */
    } requests[HL_PEEK_MAX];
    struct hl_slice args[HL_PEEK_MAX * HL_PEEK_ARGS_MAX]; /* views of the bytes */
};

/* Read the plain requests at the start of `bytes`, stopping at the first that is cut or anything
 * else.  `bytes` is borrowed for as long as the result is used.  Returns peek->count. */
int hl_peek_requests(struct hl_peek *peek, const char *bytes, size_t len);

#endif
