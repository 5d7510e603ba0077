/* The configuration as bytes, all numbers little-endian:
 *
 *   u8 1 (the format), u64 version, u32 backends, u32 routes
 *   backend: text id, text address, text health path, u32 weight, u32 connections, u8 draining
 *   route:   text id, text host, text path, u8 algorithm, u8 strips, u32 pool, that many text ids
 *   text:    u32 length, bytes
 */
#include "config.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#define FORMAT 1

static void put_text(struct hl_buf *out, const char *text)
{
    size_t len = strlen(text);
    hl_buf_append_le32(out, (uint32_t)len);
    hl_buf_append(out, text, len);
}

void config_encode(const struct config *config, struct hl_buf *out)
{
    hl_buf_append_u8(out, FORMAT);
    hl_buf_append_le64(out, config->version);
    hl_buf_append_le32(out, (uint32_t)config->backend_count);
    hl_buf_append_le32(out, (uint32_t)config->route_count);
    for (size_t i = 0; i < config->backend_count; i++) {
        const struct backend_config *b = &config->backends[i];
        put_text(out, b->id);
        put_text(out, b->address);
        put_text(out, b->health_path);
        hl_buf_append_le32(out, b->weight);
        hl_buf_append_le32(out, b->connections_max);
        hl_buf_append_u8(out, b->draining);
    }
    for (size_t i = 0; i < config->route_count; i++) {
        const struct route_config *r = &config->routes[i];
        put_text(out, r->id);
        put_text(out, r->host);
        put_text(out, r->path);
        hl_buf_append_u8(out, (uint8_t)r->algorithm);
        hl_buf_append_u8(out, r->strips);
        hl_buf_append_le32(out, (uint32_t)r->pool_count);
        for (size_t k = 0; k < r->pool_count; k++) {
            put_text(out, r->pool[k]);
        }
    }
}

/* Bytes of a stranger: `bad` once something is missing, and everything read then is empty. */
struct reader {
    struct hl_slice rest;
    bool bad;
};

static const char *take(struct reader *r, size_t len)
{
    if (r->bad || r->rest.len < len) {
        r->bad = true;
        return NULL;
    }
    const char *at = r->rest.ptr;
    r->rest.ptr += len;
    r->rest.len -= len;
    return at;
}

static uint32_t take_u32(struct reader *r)
{
    const char *at = take(r, 4);
    return at == NULL ? 0 : hl_get_le32(at);
}

static uint8_t take_u8(struct reader *r)
{
    const char *at = take(r, 1);
    return at == NULL ? 0 : (uint8_t)*at;
}

static struct hl_slice take_text(struct reader *r)
{
    uint32_t len = take_u32(r);
    const char *at = take(r, len);
    return (struct hl_slice){.ptr = at == NULL ? "" : at, .len = at == NULL ? 0 : len};
}

static void take_backend(struct reader *r, struct config *config)
{
    struct backend_config b = {0};
    bool good = config_read_id(b.id, take_text(r)) && config_read_address(b.address, take_text(r));
    struct hl_slice health = take_text(r);
    if (hl_slice_is(health, "none")) {
        memcpy(b.health_path, "none", sizeof "none");
    } else if (health.len != 0) {
        good = good && config_read_path(b.health_path, health);
    }
    b.weight = take_u32(r);
    b.connections_max = take_u32(r);
    b.draining = take_u8(r) != 0;
    good = good && b.weight >= 1 && b.weight <= CONFIG_WEIGHT_MAX &&
           config_backend(config, hl_slice_of(b.id)) == NULL;
    r->bad = r->bad || !good || config_put_backend(config, &b) != NULL;
}

static void take_route(struct reader *r, struct config *config)
{
    struct route_config route = {0};
    bool good = config_read_id(route.id, take_text(r));
    struct hl_slice host = take_text(r);
    good = good && (host.len == 0 || config_read_host(route.host, host)) &&
           config_read_path(route.path, take_text(r));
    uint8_t algorithm = take_u8(r);
    route.strips = take_u8(r) != 0;
    uint32_t count = take_u32(r);
    good = good && algorithm < ALGORITHM_COUNT && count >= 1 && count <= CONFIG_POOL_MAX &&
           config_route(config, hl_slice_of(route.id)) == NULL;
    if (r->bad || !good) {
        r->bad = true;
        return;
    }
    route.algorithm = (enum algorithm)algorithm;
    route.pool_count = count;
    route.pool = hl_calloc(count, sizeof route.pool[0]);
    for (size_t i = 0; i < count && good; i++) {
        good = config_read_id(route.pool[i], take_text(r));
    }
    r->bad = r->bad || !good || config_put_route(config, &route) != NULL;
    hl_free(route.pool);
}

hl_err config_decode(struct config **out, struct hl_slice bytes)
{
    struct reader r = {.rest = bytes};
    uint8_t format = take_u8(&r);
    if (!r.bad && format > FORMAT) {
        return HL_EVERSION;
    }
    const char *version = take(&r, 8);
    uint32_t backends = take_u32(&r);
    uint32_t routes = take_u32(&r);
    if (r.bad || format != FORMAT || backends > CONFIG_BACKENDS_MAX || routes > CONFIG_ROUTES_MAX) {
        return HL_ECORRUPT;
    }
    struct config *config = config_create();
    for (uint32_t i = 0; i < backends && !r.bad; i++) {
        take_backend(&r, config);
    }
    for (uint32_t i = 0; i < routes && !r.bad; i++) {
        take_route(&r, config);
    }
    if (r.bad || r.rest.len != 0) {
        config_destroy(config);
        return HL_ECORRUPT;
    }
    config->version = hl_get_le64(version);
    *out = config;
    return HL_OK;
}
