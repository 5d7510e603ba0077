/* What an error of the server means to a client of HTTP.  Pure.
 *
 *   O1  503 is said only of what did not and will not run: a client may send it again.
 *   O2  504 is said of what may have run: a client may send it again only under its
 * Idempotency-Key.
 */
#ifndef GATEWAY_OUTCOME_H
#define GATEWAY_OUTCOME_H

#include "kit/bytes.h"

enum gw_outcome { GW_RAN, GW_RAN_NOT, GW_RAN_PERHAPS };

struct gw_problem {
    int status;
    int retry_after_s;       /* 0: no Retry-After */
    const char *code;        /* constant */
    struct hl_slice message; /* borrowed from the error, or constant */
};

/* The problem that the error `text` ("NOPERM you may not") of a call with this outcome is. */
struct gw_problem gw_problem_of(enum gw_outcome outcome, struct hl_slice text);

#endif
