/* Playing an episode on both servers and finding the first difference. */
#ifndef COMPAT_DIFFERENTIAL_PLAY_H
#define COMPAT_DIFFERENTIAL_PLAY_H

#include "kit/bytes.h"
#include "side.h"
#include "stream.h"

#define SIGNATURE_BYTES 160
#define PIPELINE_MAX 128 /* commands sent at once */

/* The first difference of an episode; all zero to begin with. */
struct finding {
    size_t op;                       /* position in the stream */
    char signature[SIGNATURE_BYTES]; /* command and kinds of replies: equal ones count as one */
    struct hl_buf replies[2];        /* of the reference, of the server under test */
};

/* Play the operations of `s` that are not skipped on sides[0] and sides[1], both reset first; then,
 * if `crash`, kill and restart sides[1] and compare every key.  False, with *f set, at the first
 * difference. */
bool play(struct side sides[2], const struct stream *s, bool crash, struct finding *f);

/* Release the replies. */
void finding_fini(struct finding *f);

#endif
