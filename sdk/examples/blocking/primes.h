/* The slow work of the example: pure, so that it is tested without a server and runs on any thread.
 */
#ifndef BLOCKING_PRIMES_H
#define BLOCKING_PRIMES_H

#include <stdatomic.h>
#include <stdint.h>

#define PRIMES_MAX 50000000 /* of `below`: what takes some seconds */

/* How many primes there are below a number of at most PRIMES_MAX.  Looks at *stop now and then, and
 * returns -1 soon after another thread has set it. */
int64_t primes_below(int64_t below, const atomic_bool *stop);

#endif
