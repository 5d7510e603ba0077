/* Which route a request takes.
 *
 *   PM1  a route with the host's own name wins over "*.domain", the longer domain over the shorter,
 *        and both over routes of any host.
 *   PM2  among those the longest path prefix wins; it ends where a segment ends.
 *   PM3  a host whose routes do not have the path falls to the next kind: a route of any host may
 *        still serve it.
 */
#ifndef PROXY_MATCH_H
#define PROXY_MATCH_H

#include "config.h"

/* The route for a host (as Host says it, with a port or without; may be empty) and a path, or NULL.
 * Costs one comparison for each route. */
const struct route_config *match_route(const struct config *config, struct hl_slice host,
                                       struct hl_slice path);

/* True when the path, or what it is once %2e, %2f and %5c are decoded, has a segment "." or "..":
 * two servers could understand two different paths. */
bool match_path_is_crooked(struct hl_slice path);

#endif
