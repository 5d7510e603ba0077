#include "services.h"

static struct gw_services services;

const struct gw_services *gw_services(void)
{
    return &services;
}

/* The table under `name`, when it is as large as the one we were built for. */
static const void *sized(RedisModuleCtx *ctx, const char *name, size_t size)
{
    const size_t *table = RedisModule_GetSharedAPI(ctx, name); /* its size stands first */
    return table != NULL && *table >= size ? table : NULL;
}

void gw_services_look(RedisModuleCtx *ctx)
{
    if (services.http == NULL) {
        const struct helios_http_service *http = RedisModule_GetSharedAPI(ctx, HELIOS_HTTP_SERVICE);
        services.http = http != NULL && http->version >= HELIOS_HTTP_VERSION ? http : NULL;
    }
    if (services.auth == NULL) {
        services.auth = sized(ctx, HELIOS_AUTH_SERVICE, sizeof *services.auth);
    }
    if (services.rbac == NULL) {
        services.rbac = sized(ctx, HELIOS_RBAC_SERVICE, sizeof *services.rbac);
    }
    if (services.ratelimit == NULL) {
        services.ratelimit = sized(ctx, HELIOS_RATELIMIT_SERVICE, sizeof *services.ratelimit);
    }
}

void gw_services_forget(void)
{
    services.http = NULL;
    services.auth = NULL;
    services.rbac = NULL;
    services.ratelimit = NULL;
}
