/* Whether this server is ready: it is not loading, it follows or leads in a cluster, and it moves.
 *
 * Looked at on the server's thread several times a second; asked for on http's.
 */
#ifndef HTTP_HEALTH_H
#define HTTP_HEALTH_H

#include "helios/module.h"

#include <stdbool.h>

#define HEALTH_STALE_MS 3000 /* a server that did not look at itself for so long is stuck */

/* Begin to look. False when the server cannot tell. */
bool health_load(RedisModuleCtx *ctx);

/* Whether it is ready at `now_ms` of the monotonic clock; *why (static) says what is missing. */
bool health_ready(int64_t now_ms, const char **why);

/* Say "draining" from now on, or no more. */
void health_set_draining(bool draining);

#endif
