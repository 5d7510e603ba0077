/* The filter between http and the handlers: who asks, and whether the route is for them. */
#ifndef GATEWAY_GUARD_H
#define GATEWAY_GUARD_H

#include "helios/http_service.h"

#define GW_GUARD_ORDER 200 /* the customary place of authentication */

/* Passes on what is allowed, with GW_NOTE_WHO or GW_NOTE_LOCAL (call.h), and answers the rest. */
void gw_guard(struct helios_http_request *request, void *data);

#endif
