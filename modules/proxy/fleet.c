/* Backends and routes at work. */
#include "fleet.h"

#include "match.h"
#include "metrics.h"
#include "prober.h"
#include "proxy.h"
#include "settings.h"
#include "stats.h"
#include "upstream.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "net/desk.h"

#include <stdlib.h>

/* --- backends --------------------------------------------------------------------------------- */

void backend_ref(struct backend *b)
{
    b->refs++;
}

void backend_unref(struct backend *b)
{
    HL_ASSERT(b->refs > 0);
    if (--b->refs != 0) {
        return;
    }
    HL_ASSERT(b->idle == NULL);
    HL_ASSERT(b->active == 0);
    metrics_backend_destroy(b->metrics);
    hl_free(b);
}

/* The parts of "host:port", "[::1]:port". */
static void split_address(const char *text, char host[CONFIG_ADDRESS_MAX + 1], int *port)
{
    const char *colon = strrchr(text, ':');
    HL_ASSERT(colon != NULL); /* config_read_address() saw to it */
    size_t len = (size_t)(colon - text);
    bool literal = text[0] == '[';
    memcpy(host, text + literal, len - 2u * literal);
    host[len - 2u * literal] = '\0';
    *port = (int)strtol(colon + 1, NULL, 10);
}

static struct backend *make_backend(struct proxy *proxy, const struct backend_config *config)
{
    struct backend *b = hl_calloc(1, sizeof *b);
    char host[CONFIG_ADDRESS_MAX + 1];
    int port = 0;
    b->refs = 1;
    b->proxy = proxy;
    b->config = *config;
    split_address(config->address, host, &port);
    b->resolved = uv_ip4_addr(host, port, (struct sockaddr_in *)&b->address) == 0 ||
                  uv_ip6_addr(host, port, (struct sockaddr_in6 *)&b->address) == 0;
    b->resolve_ms = b->resolved ? NET_NEVER_MS : 0;
    b->metrics = metrics_backend_create(config->id);
    b->next = proxy->fleet.backends;
    proxy->fleet.backends = b;
    return b;
}

static void retire(struct proxy *proxy, struct backend *b)
{
    struct backend **at = &proxy->fleet.backends;
    while (*at != b) {
        at = &(*at)->next;
    }
    *at = b->next;
    b->retired = true;
    if (b->prober != NULL) {
        prober_cancel(b->prober);
    }
    upstream_close_idle(b);
    backend_unref(b);
}

struct backend *fleet_backend(struct proxy *proxy, const char *id)
{
    for (struct backend *b = proxy->fleet.backends; b != NULL; b = b->next) {
        if (strcmp(b->config.id, id) == 0) {
            return b;
        }
    }
    return NULL;
}

bool backend_may(const struct backend *b, int64_t now_ms)
{
    struct breaker_rules rules = fleet_breaker_rules();
    return !b->retired && !b->config.draining && b->resolved && !b->check.down &&
           (b->config.connections_max == 0 || b->active < b->config.connections_max) &&
           breaker_admits(&b->breaker, &rules, now_ms);
}

struct breaker_rules fleet_breaker_rules(void)
{
    return (struct breaker_rules){
        .failure_threshold = (uint32_t)setting(SETTING_BREAKER_FAILURES),
        .success_threshold = (uint32_t)setting(SETTING_BREAKER_SUCCESSES),
        .cooldown_ms = setting(SETTING_BREAKER_COOLDOWN),
    };
}

static void tell_breaker(const struct backend *b, enum breaker_state before)
{
    if (b->breaker.state == before) {
        return;
    }
    if (b->breaker.state == BREAKER_OPEN) {
        stats_add(COUNT_breaker_opened, 1);
    }
    net_desk_log(b->breaker.state == BREAKER_OPEN ? "warning" : "notice",
                 "backend %s: circuit breaker %s", b->config.id, breaker_name(b->breaker.state));
}

void backend_succeeded(struct backend *b, bool trial)
{
    struct breaker_rules rules = fleet_breaker_rules();
    enum breaker_state before = b->breaker.state;
    breaker_success(&b->breaker, &rules, trial);
    tell_breaker(b, before);
    metrics_backend_health(b);
}

void backend_failed(struct backend *b, bool trial, int64_t now_ms)
{
    struct breaker_rules rules = fleet_breaker_rules();
    enum breaker_state before = b->breaker.state;
    b->errors++;
    stats_add(COUNT_backend_errors, 1);
    metrics_backend_error(b->metrics);
    breaker_failure(&b->breaker, &rules, trial, now_ms);
    tell_breaker(b, before);
    metrics_backend_health(b);
}

/* --- addresses -------------------------------------------------------------------------------- */

struct question {
    uv_getaddrinfo_t request;
    struct backend *backend;
};

static void on_address(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct question *question = (struct question *)request;
    struct backend *b = question->backend;
    b->resolving = false;
    b->resolve_ms = net_loop_now_ms(&b->proxy->net) + setting(SETTING_RESOLVE_INTERVAL);
    if (status != 0 || found == NULL) {
        if (!b->resolved && !b->retired) {
            net_desk_log("warning", "backend %s: no address for %s: %s", b->config.id,
                         b->config.address, uv_strerror(status));
            b->resolve_ms = net_loop_now_ms(&b->proxy->net) + setting(SETTING_HEALTH_INTERVAL);
        } /* an address that worked is used on */
    } else {
        struct sockaddr_storage fresh = {0};
        memcpy(&fresh, found->ai_addr, found->ai_addrlen);
        if (memcmp(&fresh, &b->address, sizeof fresh) != 0) {
            b->address = fresh;
            upstream_close_idle(b);
        }
        b->resolved = true;
    }
    uv_freeaddrinfo(found);
    backend_unref(b);
    hl_free(question);
}

static void ask_address(struct backend *b)
{
    char host[CONFIG_ADDRESS_MAX + 1];
    char service[8];
    int port = 0;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    split_address(b->config.address, host, &port);
    snprintf(service, sizeof service, "%d", port);
    struct question *question = hl_calloc(1, sizeof *question);
    question->backend = b;
    backend_ref(b);
    b->resolving = true;
    if (uv_getaddrinfo(&b->proxy->net.uv, &question->request, on_address, host, service, &hints) !=
        0) {
        b->resolving = false;
        b->resolve_ms = net_loop_now_ms(&b->proxy->net) + setting(SETTING_RESOLVE_INTERVAL);
        backend_unref(b);
        hl_free(question);
    }
}

void fleet_tick(struct proxy *proxy, int64_t now_ms)
{
    for (struct backend *b = proxy->fleet.backends; b != NULL; b = b->next) {
        if (!b->resolving && now_ms >= b->resolve_ms) {
            ask_address(b);
        }
        if (b->prober == NULL && b->resolved && now_ms >= b->check_ms &&
            strcmp(b->config.health_path, "none") != 0) {
            b->check_ms = now_ms + setting(SETTING_HEALTH_INTERVAL);
            prober_start(b);
        }
    }
}

/* --- routes ----------------------------------------------------------------------------------- */

void route_ref(struct route *route)
{
    route->refs++;
}

void route_unref(struct route *route)
{
    HL_ASSERT(route->refs > 0);
    if (--route->refs != 0) {
        return;
    }
    for (size_t i = 0; i < route->config.pool_count; i++) {
        backend_unref(route->pool[i]);
    }
    hl_free(route->config.pool);
    hl_free(route);
}

static struct route *make_route(struct proxy *proxy, const struct route_config *config)
{
    struct route *route = hl_calloc(1, sizeof *route);
    size_t size = config->pool_count * sizeof config->pool[0];
    route->refs = 1;
    route->config = *config;
    route->config.pool = hl_malloc(size);
    memcpy(route->config.pool, config->pool, size);
    for (size_t i = 0; i < config->pool_count; i++) {
        route->pool[i] = fleet_backend(proxy, config->pool[i]);
        HL_ASSERT(route->pool[i] != NULL); /* PC1 */
        backend_ref(route->pool[i]);
    }
    return route;
}

/* Whether a route is what the configuration says, with backends that are still there. */
static bool is_same(const struct route *route, const struct route_config *config)
{
    const struct route_config *old = &route->config;
    bool same = strcmp(old->id, config->id) == 0 && strcmp(old->host, config->host) == 0 &&
                strcmp(old->path, config->path) == 0 && old->algorithm == config->algorithm &&
                old->strips == config->strips && old->pool_count == config->pool_count;
    for (size_t i = 0; same && i < config->pool_count; i++) {
        same = strcmp(old->pool[i], config->pool[i]) == 0 && !route->pool[i]->retired;
    }
    return same;
}

struct route *fleet_route(struct proxy *proxy, struct hl_slice host, struct hl_slice path)
{
    const struct config *config = proxy->fleet.config;
    const struct route_config *found = match_route(config, host, path);
    return found == NULL ? NULL : proxy->fleet.routes[found - config->routes];
}

/* --- changes ---------------------------------------------------------------------------------- */

static void apply_backends(struct proxy *proxy, const struct config *config)
{
    struct backend *next;
    for (struct backend *b = proxy->fleet.backends; b != NULL; b = next) {
        next = b->next;
        const struct backend_config *now = config_backend(config, hl_slice_of(b->config.id));
        if (now == NULL || strcmp(now->address, b->config.address) != 0) {
            retire(proxy, b);
        } else {
            b->config = *now;
        }
    }
    for (size_t i = 0; i < config->backend_count; i++) {
        if (fleet_backend(proxy, config->backends[i].id) == NULL) {
            make_backend(proxy, &config->backends[i]);
        }
    }
}

void fleet_apply(struct proxy *proxy, struct config *config)
{
    struct fleet *fleet = &proxy->fleet;
    struct config *old = fleet->config;
    struct route **old_routes = fleet->routes;
    apply_backends(proxy, config);
    fleet->config = config;
    fleet->routes = hl_calloc(config->route_count + 1, sizeof fleet->routes[0]);
    for (size_t i = 0; i < config->route_count; i++) {
        const struct route_config *wanted = &config->routes[i];
        const struct route_config *before =
            old == NULL ? NULL : config_route(old, hl_slice_of(wanted->id));
        struct route *route = before == NULL ? NULL : old_routes[before - old->routes];
        if (route != NULL && is_same(route, wanted)) {
            route_ref(route);
            fleet->routes[i] = route;
        } else {
            fleet->routes[i] = make_route(proxy, wanted);
        }
    }
    for (size_t i = 0; old != NULL && i < old->route_count; i++) {
        route_unref(old_routes[i]);
    }
    hl_free(old_routes);
    config_destroy(old);
    fleet_tick(proxy, net_loop_now_ms(&proxy->net));
}

void fleet_end(struct proxy *proxy)
{
    fleet_apply(proxy, config_create());
    config_destroy(proxy->fleet.config);
    hl_free(proxy->fleet.routes);
    proxy->fleet = (struct fleet){0};
}
