/* What headers say about who asks.  Pure. */
#ifndef GATEWAY_CREDENTIAL_H
#define GATEWAY_CREDENTIAL_H

#include "kit/bytes.h"

/* The credential of an Authorization header, borrowed from it: what stands behind "Bearer" (any
 * case) and spaces.  ptr NULL for another scheme, an empty credential, or one with spaces. */
struct hl_slice gw_credential(struct hl_slice authorization);

/* The credential among the protocols of a Sec-WebSocket-Protocol header,
 * "helios.token.<credential>": what a browser, which cannot set headers, sends without showing it
 * in an address.  ptr NULL when there is none. */
struct hl_slice gw_protocol_credential(struct hl_slice protocols);

/* An address (without port) of this machine alone: 127.0.0.0/8 or ::1, also as ::ffff:127.x. */
bool gw_is_loopback(struct hl_slice address);

/* A Host header that can only mean this machine: localhost, 127.x.x.x or [::1], with or without a
 * port.  A page that was led here by a foreign name (DNS rebinding) has another. */
bool gw_is_local_host(struct hl_slice host);

/* The last address of an X-Forwarded-For header, which is what the nearest proxy saw; ptr NULL when
 * it is none. */
struct hl_slice gw_forwarded_for(struct hl_slice header);

/* Whether `address` is one of those between spaces in `list`. */
bool gw_is_listed(struct hl_slice list, struct hl_slice address);

#endif
