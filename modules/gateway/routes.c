#include "routes.h"

#include "call.h"
#include "guard.h"
#include "services.h"
#include "throttle.h"

#include "kit/assert.h"

static const struct table {
    const struct gw_route *routes;
    const size_t *count;
} tables[] = {
    {gw_kv_routes, &gw_kv_route_count},           {gw_auth_routes, &gw_auth_route_count},
    {gw_session_routes, &gw_session_route_count}, {gw_jobs_routes, &gw_jobs_route_count},
    {gw_axon_routes, &gw_axon_route_count},
    {gw_admin_cluster_routes, &gw_admin_cluster_route_count},
    {gw_admin_config_routes, &gw_admin_config_route_count},
    {gw_admin_metrics_routes, &gw_admin_metrics_route_count},
    {gw_admin_plugin_routes, &gw_admin_plugin_route_count},
    {gw_admin_user_routes, &gw_admin_user_route_count},
    {gw_admin_socket_routes, &gw_admin_socket_route_count},
};

static struct helios_http_owner *me;

size_t gw_routes_count(void)
{
    size_t count = 0;
    for (size_t i = 0; i < HL_ARRAY_LEN(tables); i++) {
        count += *tables[i].count;
    }
    return count;
}

const struct gw_route *gw_route_of(const struct helios_http_request *request)
{
    struct helios_http_text pattern = gw_http()->pattern(request);
    struct helios_http_text text = gw_http()->method(request);
    struct hl_slice method = {.ptr = text.ptr, .len = text.len};
    if (hl_slice_equal(method, hl_slice_of("HEAD"))) {
        method = hl_slice_of("GET");
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(tables); i++) {
        for (size_t j = 0; j < *tables[i].count; j++) {
            const struct gw_route *route = &tables[i].routes[j];
            if (hl_slice_equal(hl_slice_of(route->pattern),
                               (struct hl_slice){.ptr = pattern.ptr, .len = pattern.len}) &&
                hl_slice_equal(hl_slice_of(route->method), method)) {
                return route;
            }
        }
    }
    return NULL;
}

static bool add_route(RedisModuleCtx *ctx, const struct gw_route *route)
{
    char why[256] = "";
    struct helios_http_route wanted = {
        .method = route->method,
        .pattern = route->pattern,
        .handle = gw_call_begin,
        .data = (void *)route,
        .body_max = route->body_max != 0 ? route->body_max : GW_BODY_MAX,
    };
    HL_ASSERT(wanted.body_max <= GW_BODY_MOST);
    if (gw_http()->route(me, &wanted, why, sizeof why) != HELIOS_HTTP_OK) {
        RedisModule_Log(ctx, "warning", "%s %s: %s", route->method, route->pattern, why);
        return false;
    }
    return true;
}

static bool add_filter(int order, helios_http_handler filter)
{
    return gw_http()->filter(me, order, filter, NULL, 0) == HELIOS_HTTP_OK;
}

bool gw_routes_join(RedisModuleCtx *ctx)
{
    if (me != NULL || gw_http() == NULL) {
        return true;
    }
    me = gw_http()->join("gateway");
    bool good = add_filter(GW_THROTTLE_ORDER, gw_throttle) &&
                add_filter(GW_GUARD_ORDER, gw_guard) &&
                add_filter(GW_THROTTLE_USER_ORDER, gw_throttle_user);
    for (size_t i = 0; i < HL_ARRAY_LEN(tables); i++) {
        for (size_t j = 0; good && j < *tables[i].count; j++) {
            good = add_route(ctx, &tables[i].routes[j]);
        }
    }
    if (!good) {
        gw_routes_leave();
    }
    return good;
}

void gw_routes_leave(void)
{
    if (me != NULL) {
        gw_http()->leave(me);
        me = NULL;
    }
}
