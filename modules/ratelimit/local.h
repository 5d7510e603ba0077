/* local: limiters of this process, by key, in bounded memory.  Pure: nothing is replicated, and
 * whoever has the set keeps other threads out of it.
 *
 *   V1  at most `keys_max` limiters; another one takes the place of the one used longest ago.
 */
#ifndef RATELIMIT_LOCAL_H
#define RATELIMIT_LOCAL_H

#include "limiter.h"

/* Opaque. */
struct local;

/* An empty set; `seed` makes its hash unpredictable.  The caller ends it with local_destroy(). */
struct local *local_create(size_t keys_max, uint64_t seed);

/* End it; NULL is allowed. */
void local_destroy(struct local *local);

/* Take `want` (0 or more), or nothing, of the limiter of `key` under `limit` (valid), making it
 * when there is none. */
struct limit_result local_take(struct local *local, struct hl_slice key, const struct limit *limit,
                               int64_t want, int64_t now_ms);

/* How many limiters there are. */
size_t local_count(const struct local *local);

#endif
