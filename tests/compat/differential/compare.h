/* When two replies count as the same.
 *
 * Everything must agree byte for byte but what compare.c lists, with its reason; README.md repeats
 * the list for people.
 */
#ifndef COMPAT_DIFFERENTIAL_COMPARE_H
#define COMPAT_DIFFERENTIAL_COMPARE_H

#include "kit/bytes.h"
#include "stream.h"

#define QUEUED_MAX 4096 /* commands of one transaction that are remembered */

/* What of a reply is compared. */
enum mode {
    MODE_EXACT,    /* every byte */
    MODE_SET,      /* an aggregate in any order */
    MODE_PAIRS,    /* an aggregate of pairs in any order of the pairs */
    MODE_SCAN,     /* cursor byte for byte, then elements in any order */
    MODE_HSCAN,    /* cursor byte for byte, then pairs in any order */
    MODE_STEP,     /* the same error, or any step of a scan */
    MODE_SECONDS,  /* integers at most 2 apart */
    MODE_MILLIS,   /* integers at most 5000 apart */
    MODE_SHAPE,    /* types and lengths of aggregates, not values */
    MODE_ENCODING, /* as it is, but the server may say int where the reference says embstr */
    MODE_QUOTE,    /* an error may quote less of a long argument: its start and its end agree */
    MODE_HELLO,    /* a map; values that name the server are left out */
};

/* What a connection remembers to judge the reply of EXEC: all zero to begin with. */
struct judge {
    enum mode queued[QUEUED_MAX];
    size_t count;
};

/* How the reply of `op` is to be compared. */
enum mode mode_of(const struct op *op);

/* Do the replies `a` and `b` to `op` agree?  Each is one complete reply.  Updates the connection's
 * `judge` by what was queued or executed. */
bool replies_agree(struct judge *judge, const struct op *op, struct hl_slice a, struct hl_slice b);

/* Do two lists of raw replies hold the same elements, in any order and however often repeated? */
bool same_elements(struct hl_slice *a, size_t a_count, struct hl_slice *b, size_t b_count);

#endif
