/* What other modules offer the gateway, each of which may be missing. */
#ifndef GATEWAY_SERVICES_H
#define GATEWAY_SERVICES_H

#include "helios/auth_service.h"
#include "helios/http_service.h"
#include "helios/module.h"
#include "helios/ratelimit_service.h"
#include "helios/rbac_service.h"

/* NULL while the module is not loaded.  auth and rbac are for the server's thread; http and
 * ratelimit, once they are there, stay as long as the gateway and serve any thread. */
struct gw_services {
    const struct helios_http_service *http;
    const HeliosAuthService *auth;
    const HeliosRbacService *rbac;
    const HeliosRatelimitService *_Atomic ratelimit; /* it may come while http calls us */
};

/* Those that were found so far. */
const struct gw_services *gw_services(void);

/* Ask for those that are missing.  On the server's thread; what was found cannot be unloaded before
 * the gateway. */
void gw_services_look(RedisModuleCtx *ctx);

/* Forget them all. */
void gw_services_forget(void);

#endif
