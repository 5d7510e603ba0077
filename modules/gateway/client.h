/* Where a request comes from: its peer, or, behind a proxy that is trusted, who the proxy says. */
#ifndef GATEWAY_CLIENT_H
#define GATEWAY_CLIENT_H

#include "helios/http_service.h"

#include <stddef.h>

#define GW_ADDRESS_SIZE 64

/* Write the address, NUL-terminated; "unknown" when there is none. */
void gw_client_address(const struct helios_http_request *request, char out[GW_ADDRESS_SIZE]);

#endif
