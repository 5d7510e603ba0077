/* How much a client may ask: the filter in front of all others, and another one behind the guard.
 *
 *   T1  A client that showed a credential is his user, on whatever address; any other one is his
 *       address.  Routes with a limit of their own have a bucket each, all others share one.
 *   T2  A credential that is none costs its address: who guesses tokens runs dry.
 *   T3  What cannot be decided is as the limit says: open lets it pass, closed is 503.
 */
#ifndef GATEWAY_THROTTLE_H
#define GATEWAY_THROTTLE_H

#include "helios/http_service.h"

#include <stdbool.h>

#define GW_THROTTLE_ORDER 100      /* the customary place of rate limits: for addresses */
#define GW_THROTTLE_USER_ORDER 250 /* behind authentication: for users */

/* The filters. */
void gw_throttle(struct helios_http_request *request, void *data);
/* The same, of users. */
void gw_throttle_user(struct helios_http_request *request, void *data);

/* T2.  Any thread. */
void gw_throttle_stranger(const struct helios_http_request *request);

/* Give back the buckets of this process.  At the end. */
void gw_throttle_end(void);

/* Requests refused since the module was loaded. */
unsigned long long gw_throttle_refused(void);

#endif
