/* The function table that other modules get: sdk/include/helios/http_service.h. */
#ifndef HTTP_SERVICE_H
#define HTTP_SERVICE_H

#include "loop.h"

/* The table; of use once service_open() was called. */
const struct helios_http_service *service_table(void);

/* It works over this loop from now on. */
void service_open(struct loop *loop);

/* Whether a module has joined and not left. */
bool service_in_use(void);

/* Nobody uses it any more. */
void service_close(void);

/* The name of an owner, "http" for its own routes; "?" when he has left.  On the server's thread.
 */
const char *service_owner_name(uint64_t owner);

#endif
