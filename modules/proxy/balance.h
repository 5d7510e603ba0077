/* Which backend of a pool gets a request.
 *
 *   PB1  only candidates that may be taken are taken.
 *   PB2  with constant candidates, weighted gives each exactly its share in every run of as many
 *        requests as the sum of weights (smooth weighted round robin).
 *   PB3  least connections compares connections divided by weight; equal ones take turns.
 */
#ifndef PROXY_BALANCE_H
#define PROXY_BALANCE_H

#include "config.h"

#define BALANCE_NONE SIZE_MAX

struct candidate {
    uint32_t weight; /* at least 1 */
    uint32_t active; /* requests it has now */
    bool may;        /* take it */
};

/* What is remembered from request to request; all zero in the beginning. */
struct balance {
    size_t turn;                      /* whose turn it is next */
    int64_t current[CONFIG_POOL_MAX]; /* smooth weighted round robin */
};

/* The index of the candidate to take, or BALANCE_NONE.  At most CONFIG_POOL_MAX candidates, in the
 * same order from call to call. */
size_t balance_pick(struct balance *balance, enum algorithm algorithm,
                    const struct candidate *candidates, size_t count);

#endif
