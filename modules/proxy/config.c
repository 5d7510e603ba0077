/* Backends and routes in two sorted arrays. */
#include "config.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"

#define ROOM_MIN 8

/* --- life ------------------------------------------------------------------------------------- */

struct config *config_create(void)
{
    return hl_calloc(1, sizeof(struct config));
}

void config_destroy(struct config *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < config->route_count; i++) {
        hl_free(config->routes[i].pool);
    }
    hl_free(config->routes);
    hl_free(config->backends);
    hl_free(config);
}

static void copy_pool(struct route_config *route, const struct route_config *from)
{
    size_t size = from->pool_count * sizeof route->pool[0];
    route->pool = hl_malloc(size);
    memcpy(route->pool, from->pool, size);
}

struct config *config_dup(const struct config *config)
{
    struct config *copy = config_create();
    *copy = *config;
    copy->backends = hl_calloc(config->backend_count + 1, sizeof copy->backends[0]);
    copy->routes = hl_calloc(config->route_count + 1, sizeof copy->routes[0]);
    if (config->backend_count != 0) {
        memcpy(copy->backends, config->backends, config->backend_count * sizeof copy->backends[0]);
    }
    for (size_t i = 0; i < config->route_count; i++) {
        copy->routes[i] = config->routes[i];
        copy_pool(&copy->routes[i], &config->routes[i]);
    }
    return copy;
}

size_t config_bytes(const struct config *config)
{
    size_t bytes = sizeof *config + config->backend_count * sizeof config->backends[0] +
                   config->route_count * sizeof config->routes[0];
    for (size_t i = 0; i < config->route_count; i++) {
        bytes += config->routes[i].pool_count * sizeof config->routes[i].pool[0];
    }
    return bytes;
}

/* --- looking ---------------------------------------------------------------------------------- */

/* Where the item of that id is, or belongs, among `count` of `size` bytes that begin with an id. */
static size_t find(const void *items, size_t count, size_t size, struct hl_slice id, bool *found)
{
    size_t low = 0;
    size_t high = count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = hl_slice_compare(hl_slice_of((const char *)items + middle * size), id);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static size_t find_backend(const struct config *config, struct hl_slice id, bool *found)
{
    return find(config->backends, config->backend_count, sizeof config->backends[0], id, found);
}

static size_t find_route(const struct config *config, struct hl_slice id, bool *found)
{
    return find(config->routes, config->route_count, sizeof config->routes[0], id, found);
}

const struct backend_config *config_backend(const struct config *config, struct hl_slice id)
{
    bool found = false;
    size_t at = find_backend(config, id, &found);
    return found ? &config->backends[at] : NULL;
}

const struct route_config *config_route(const struct config *config, struct hl_slice id)
{
    bool found = false;
    size_t at = find_route(config, id, &found);
    return found ? &config->routes[at] : NULL;
}

/* --- changing --------------------------------------------------------------------------------- */

const char *config_put_backend(struct config *config, const struct backend_config *backend)
{
    bool found = false;
    size_t at = find_backend(config, hl_slice_of(backend->id), &found);
    if (!found) {
        if (config->backend_count == CONFIG_BACKENDS_MAX) {
            return "there are 1024 backends already";
        }
        size_t count = config->backend_count;
        config->backends = hl_realloc(config->backends, (count + 1) * sizeof *config->backends);
        memmove(&config->backends[at + 1], &config->backends[at],
                (count - at) * sizeof *config->backends);
        config->backend_count++;
    }
    config->backends[at] = *backend;
    config->version++;
    return NULL;
}

const char *config_delete_backend(struct config *config, struct hl_slice id)
{
    bool found = false;
    size_t at = find_backend(config, id, &found);
    if (!found) {
        return "no such backend";
    }
    for (size_t i = 0; i < config->route_count; i++) {
        for (size_t k = 0; k < config->routes[i].pool_count; k++) {
            if (hl_slice_equal(hl_slice_of(config->routes[i].pool[k]), id)) {
                return "a route names this backend: change or delete the route first"; /* PC1 */
            }
        }
    }
    config->backend_count--;
    memmove(&config->backends[at], &config->backends[at + 1],
            (config->backend_count - at) * sizeof *config->backends);
    config->version++;
    return NULL;
}

const char *config_set_weight(struct config *config, struct hl_slice id, uint32_t weight)
{
    bool found = false;
    size_t at = find_backend(config, id, &found);
    HL_ASSERT(weight >= 1);
    HL_ASSERT(weight <= CONFIG_WEIGHT_MAX);
    if (!found) {
        return "no such backend";
    }
    config->backends[at].weight = weight;
    config->version++;
    return NULL;
}

const char *config_set_draining(struct config *config, struct hl_slice id, bool draining)
{
    bool found = false;
    size_t at = find_backend(config, id, &found);
    if (!found) {
        return "no such backend";
    }
    config->backends[at].draining = draining;
    config->version++;
    return NULL;
}

/* PC1 and PC2; NULL when both hold. */
static const char *route_fault(const struct config *config, const struct route_config *route)
{
    if (route->pool_count == 0 || route->pool_count > CONFIG_POOL_MAX) {
        return "a route has 1 to 64 backends";
    }
    for (size_t i = 0; i < route->pool_count; i++) {
        if (config_backend(config, hl_slice_of(route->pool[i])) == NULL) {
            return "no such backend: add it first";
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(route->pool[i], route->pool[k]) == 0) {
                return "a route names a backend once";
            }
        }
    }
    for (size_t i = 0; i < config->route_count; i++) {
        const struct route_config *other = &config->routes[i];
        if (strcmp(other->id, route->id) != 0 && strcmp(other->host, route->host) == 0 &&
            strcmp(other->path, route->path) == 0) {
            return "another route has this host and path";
        }
    }
    return NULL;
}

const char *config_put_route(struct config *config, const struct route_config *route)
{
    bool found = false;
    const char *fault = route_fault(config, route);
    size_t at = find_route(config, hl_slice_of(route->id), &found);
    if (fault != NULL) {
        return fault;
    }
    if (!found) {
        size_t count = config->route_count;
        if (count == CONFIG_ROUTES_MAX) {
            return "there are 4096 routes already";
        }
        config->routes = hl_realloc(config->routes, (count + 1) * sizeof *config->routes);
        memmove(&config->routes[at + 1], &config->routes[at],
                (count - at) * sizeof *config->routes);
        config->route_count++;
    } else {
        hl_free(config->routes[at].pool);
    }
    config->routes[at] = *route;
    copy_pool(&config->routes[at], route);
    config->version++;
    return NULL;
}

const char *config_delete_route(struct config *config, struct hl_slice id)
{
    bool found = false;
    size_t at = find_route(config, id, &found);
    if (!found) {
        return "no such route";
    }
    hl_free(config->routes[at].pool);
    config->route_count--;
    memmove(&config->routes[at], &config->routes[at + 1],
            (config->route_count - at) * sizeof *config->routes);
    config->version++;
    return NULL;
}

/* --- reading texts ---------------------------------------------------------------------------- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

static void put(char *out, struct hl_slice text)
{
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
}

bool config_read_id(char out[CONFIG_ID_MAX + 1], struct hl_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_word(text.ptr[i])) {
            return false;
        }
    }
    if (text.len == 0 || text.len > CONFIG_ID_MAX) {
        return false;
    }
    put(out, text);
    return true;
}

bool config_read_host(char out[CONFIG_HOST_MAX + 1], struct hl_slice text)
{
    size_t at = 0;
    if (text.len == 0 || text.len > CONFIG_HOST_MAX) {
        return false;
    }
    if (text.len == 1 && text.ptr[0] == '*') {
        out[0] = '\0'; /* any */
        return true;
    }
    if (text.len > 2 && text.ptr[0] == '*' && text.ptr[1] == '.') {
        at = 2;
    }
    bool literal = text.ptr[at] == '['; /* an IPv6 address */
    for (; at < text.len; at++) {
        char c = text.ptr[at];
        if (!is_word(c) && !(literal && (c == '[' || c == ']' || c == ':'))) {
            return false;
        }
    }
    put(out, text);
    for (size_t i = 0; i < text.len; i++) {
        out[i] = out[i] >= 'A' && out[i] <= 'Z' ? (char)(out[i] | ' ') : out[i];
    }
    return true;
}

bool config_read_path(char out[CONFIG_PATH_MAX + 1], struct hl_slice text)
{
    if (text.len == 0 || text.len > CONFIG_PATH_MAX || text.ptr[0] != '/') {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= ' ' || c >= 0x7f || memchr("#?\"<>\\", c, 6) != NULL) {
            return false;
        }
    }
    while (text.len > 1 && text.ptr[text.len - 1] == '/') {
        text.len--; /* "/api/" is "/api": both end at a segment's end */
    }
    put(out, text);
    return true;
}

bool config_read_address(char out[CONFIG_ADDRESS_MAX + 1], struct hl_slice text)
{
    size_t colon = text.len;
    int64_t port = 0;
    while (colon > 0 && text.ptr[colon - 1] != ':') {
        colon--;
    }
    if (colon < 2 || text.len > CONFIG_ADDRESS_MAX) {
        return false;
    }
    struct hl_slice host = {.ptr = text.ptr, .len = colon - 1};
    struct hl_slice digits = {.ptr = text.ptr + colon, .len = text.len - colon};
    bool literal = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    if (!hl_parse_i64(digits, &port) || port < 1 || port > 65535 || host.len > CONFIG_HOST_MAX) {
        return false;
    }
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        bool edge = i == 0 || i == host.len - 1;
        if (!is_word(c) && !(literal && (c == ':' || edge))) {
            return false;
        }
    }
    put(out, text);
    return true;
}

static const char *const algorithm_names[ALGORITHM_COUNT] = {
    [ROUND_ROBIN] = "round-robin",
    [WEIGHTED] = "weighted",
    [LEAST_CONN] = "least-conn",
};

bool config_read_algorithm(enum algorithm *out, struct hl_slice text)
{
    for (int i = 0; i < ALGORITHM_COUNT; i++) {
        if (hl_slice_is(text, algorithm_names[i])) {
            *out = (enum algorithm)i;
            return true;
        }
    }
    return false;
}

const char *config_algorithm_name(enum algorithm algorithm)
{
    HL_ASSERT(algorithm < ALGORITHM_COUNT);
    return algorithm_names[algorithm];
}
