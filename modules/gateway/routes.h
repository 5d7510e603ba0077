/* All routes of the gateway, and the filter that stands before them. */
#ifndef GATEWAY_ROUTES_H
#define GATEWAY_ROUTES_H

#include "gateway.h"

/* The tables: one of each file that has routes. */
extern const struct gw_route gw_kv_routes[];
extern const size_t gw_kv_route_count;
extern const struct gw_route gw_auth_routes[];
extern const size_t gw_auth_route_count;
extern const struct gw_route gw_session_routes[];
extern const size_t gw_session_route_count;
extern const struct gw_route gw_jobs_routes[];
extern const size_t gw_jobs_route_count;
extern const struct gw_route gw_axon_routes[];
extern const size_t gw_axon_route_count;
extern const struct gw_route gw_admin_cluster_routes[];
extern const size_t gw_admin_cluster_route_count;
extern const struct gw_route gw_admin_config_routes[];
extern const size_t gw_admin_config_route_count;
extern const struct gw_route gw_admin_metrics_routes[];
extern const size_t gw_admin_metrics_route_count;
extern const struct gw_route gw_admin_plugin_routes[];
extern const size_t gw_admin_plugin_route_count;
extern const struct gw_route gw_admin_socket_routes[];
extern const size_t gw_admin_socket_route_count;
extern const struct gw_route gw_admin_user_routes[];
extern const size_t gw_admin_user_route_count;

/* Register everything with http, when http is there and it is not done yet.  On the server's
 * thread.  False, after logging why. */
bool gw_routes_join(RedisModuleCtx *ctx);

/* Take it all back; afterwards nothing of the gateway is called by http. */
void gw_routes_leave(void);

/* How many there are. */
size_t gw_routes_count(void);

/* The route of a request, in any filter; NULL when it is another module's. */
const struct gw_route *gw_route_of(const struct helios_http_request *request);

#endif
