/* What is replicated: backends, routes, and how often they changed.
 *
 *   PC1  a route names only backends that exist, each once, and at least one.
 *   PC2  two routes never have the same host and path.
 *   PC3  the same commands in the same order make the same bytes (config_encode()).
 */
#ifndef PROXY_CONFIG_H
#define PROXY_CONFIG_H

#include "kit/bytes.h"
#include "kit/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_ID_MAX 64 /* letters, digits and "-._" */
#define CONFIG_HOST_MAX 253
#define CONFIG_PATH_MAX 1024
#define CONFIG_ADDRESS_MAX 260 /* host:port */
#define CONFIG_BACKENDS_MAX 1024
#define CONFIG_ROUTES_MAX 4096
#define CONFIG_POOL_MAX 64 /* backends of a route */
#define CONFIG_WEIGHT_MAX 1000
#define CONFIG_BYTES_MAX (64 * 1024 * 1024)

enum algorithm { ROUND_ROBIN, WEIGHTED, LEAST_CONN, ALGORITHM_COUNT };

/* A backend; fixed once it is in the configuration but for weight and draining. */
struct backend_config {
    char id[CONFIG_ID_MAX + 1];
    char address[CONFIG_ADDRESS_MAX + 1];  /* "10.0.0.1:3000", "[::1]:3000", "app.internal:3000" */
    char health_path[CONFIG_PATH_MAX + 1]; /* "" for the setting's, "none" for no checks */
    uint32_t weight;                       /* 1 to CONFIG_WEIGHT_MAX */
    uint32_t connections_max;              /* requests at a time; 0 for no bound */
    bool draining;                         /* gets no new requests */
};

struct route_config {
    char id[CONFIG_ID_MAX + 1];
    char host[CONFIG_HOST_MAX + 1]; /* lower case; "" for any, "*.example.org" for names below */
    char path[CONFIG_PATH_MAX +
              1]; /* a prefix that ends at a '/' or at the path's end; "/" for any */
    enum algorithm algorithm;
    bool strips; /* the prefix is cut off what is forwarded */
    size_t pool_count;
    char (*pool)[CONFIG_ID_MAX + 1]; /* ids of backends */
};

/* The configuration, in the order of ids. */
struct config {
    uint64_t version; /* rises with each change */
    struct backend_config *backends;
    size_t backend_count;
    struct route_config *routes;
    size_t route_count;
};

/* An empty one, owned by the caller. */
struct config *config_create(void);

/* Release it.  NULL is allowed. */
void config_destroy(struct config *config);

/* A copy, owned by the caller. */
struct config *config_dup(const struct config *config);

/* The backend of that id, NULL without. */
const struct backend_config *config_backend(const struct config *config, struct hl_slice id);

/* The route of that id, NULL without. */
const struct route_config *config_route(const struct config *config, struct hl_slice id);

/* Add a backend, or put it in the place of one of the same id.  NULL, or why not (a static text,
 * without "ERR"): nothing has changed then. */
const char *config_put_backend(struct config *config, const struct backend_config *backend);

/* Remove a backend; NULL, or why not. */
const char *config_delete_backend(struct config *config, struct hl_slice id);

/* Change its weight, 1 to CONFIG_WEIGHT_MAX; NULL, or why not. */
const char *config_set_weight(struct config *config, struct hl_slice id, uint32_t weight);

/* Change whether it drains; NULL, or why not. */
const char *config_set_draining(struct config *config, struct hl_slice id, bool draining);

/* Add a route, or put it in the place of one of the same id; copies what it is given.  NULL, or why
 * not (PC1, PC2). */
const char *config_put_route(struct config *config, const struct route_config *route);

/* Remove a route; NULL, or why not. */
const char *config_delete_route(struct config *config, struct hl_slice id);

/* Copy `text` as an id; false when it is none. */
bool config_read_id(char out[CONFIG_ID_MAX + 1], struct hl_slice text);

/* Copy `text` as a host in lower case, "*" as ""; false when it is none. */
bool config_read_host(char out[CONFIG_HOST_MAX + 1], struct hl_slice text);

/* Copy `text` as a path prefix, without '/' at its end; false when it is none. */
bool config_read_path(char out[CONFIG_PATH_MAX + 1], struct hl_slice text);

/* Copy `text` as host:port; false when it is none. */
bool config_read_address(char out[CONFIG_ADDRESS_MAX + 1], struct hl_slice text);

/* Read "round-robin", "weighted" or "least-conn"; false when it is none. */
bool config_read_algorithm(enum algorithm *out, struct hl_slice text);

/* The same back; static. */
const char *config_algorithm_name(enum algorithm algorithm);

/* Append the configuration as bytes. */
void config_encode(const struct config *config, struct hl_buf *out);

/* Read bytes of config_encode(), or of a stranger.  HL_EVERSION for a later format, HL_ECORRUPT. */
HL_MUST_USE hl_err config_decode(struct config **out, struct hl_slice bytes);

/* Bytes of memory it uses. */
size_t config_bytes(const struct config *config);

#endif
