/* The configuration at work, on the proxy's thread: backends with their health, routes with their
 * turn.
 *
 *   PF1  a change touches only what it changes: a backend of the same id and address keeps its
 *        connections, health and breaker, a route of the same words its turn.
 *   PF2  what left the configuration is kept while somebody uses it, and gets nothing new.
 */
#ifndef PROXY_FLEET_H
#define PROXY_FLEET_H

#include "balance.h"
#include "breaker.h"
#include "check.h"
#include "config.h"

#include "net/loop.h"

struct prober;
struct proxy;
struct upstream;

struct backend {
    struct backend *next; /* in fleet->backends */
    unsigned refs;        /* the fleet's, each pool's, each connection's */
    struct proxy *proxy;
    struct backend_config config;
    bool retired; /* PF2 */
    struct sockaddr_storage address;
    bool resolved, resolving;
    int64_t resolve_ms; /* when to ask for the address */
    struct breaker breaker;
    struct check check;
    struct prober *prober; /* a check on its way */
    int64_t check_ms;      /* when to check */
    int64_t checked_s;     /* when it was checked last, since 1970 */
    uint32_t active;       /* requests */
    struct upstream *idle; /* connections that wait for requests, the latest first */
    size_t idle_count;
    uint64_t requests, errors;
    struct backend_metrics *metrics;
};

struct route {
    unsigned refs; /* the fleet's and each request's */
    struct route_config config;
    struct balance balance;
    struct backend *pool[CONFIG_POOL_MAX];
};

struct fleet {
    struct config *config;
    struct route **routes; /* as config->routes */
    struct backend *backends;
};

/* Take a configuration, which is given. */
void fleet_apply(struct proxy *proxy, struct config *given_config);

/* The route for a request, or NULL. */
struct route *fleet_route(struct proxy *proxy, struct hl_slice host, struct hl_slice path);

/* Hold a route while a request uses it. */
void route_ref(struct route *route);

/* Let go of it. */
void route_unref(struct route *route);

/* The backend of that id that is in the configuration, or NULL. */
struct backend *fleet_backend(struct proxy *proxy, const char *id);

/* Hold a backend while a connection uses it. */
void backend_ref(struct backend *backend);

/* Let go of it. */
void backend_unref(struct backend *backend);

/* Whether it may get a request now. */
bool backend_may(const struct backend *backend, int64_t now_ms);

/* The rules of all breakers, from the settings. */
struct breaker_rules fleet_breaker_rules(void);

/* A request went well; `trial` is what breaker_begin() said. */
void backend_succeeded(struct backend *backend, bool trial);

/* A request went badly. */
void backend_failed(struct backend *backend, bool trial, int64_t now_ms);

/* Ask for addresses and check health, where it is time; at each tick. */
void fleet_tick(struct proxy *proxy, int64_t now_ms);

/* Let go of everything, before the loop ends. */
void fleet_end(struct proxy *proxy);

#endif
