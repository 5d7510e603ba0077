/* What changes the configuration. */
#include "commands.h"
#include "store.h"

#include "kit/assert.h"
#include "kit/num.h"

#include <stdio.h>

static int refuse(RedisModuleCtx *ctx, const char *why)
{
    char text[256];
    snprintf(text, sizeof text, "ERR %s", why);
    return RedisModule_ReplyWithError(ctx, text);
}

/* Behind a change: `fault` is what the engine said. */
static int changed(RedisModuleCtx *ctx, const char *fault)
{
    if (fault != NULL) {
        store_unchanged(ctx);
        return refuse(ctx, fault);
    }
    store_changed(ctx);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

/* The configuration to change; NULL after replying why not. */
static struct config *open(RedisModuleCtx *ctx)
{
    struct config *config = store_config(ctx, true);
    if (config == NULL) {
        RedisModule_ReplyWithError(ctx, REDISMODULE_ERRORMSG_WRONGTYPE);
    }
    return config;
}

static bool read_number(RedisModuleString *arg, int64_t least, int64_t most, uint32_t *out)
{
    int64_t number = 0;
    if (!hl_parse_i64(arg_slice(arg), &number) || number < least || number > most) {
        return false;
    }
    *out = (uint32_t)number;
    return true;
}

static bool read_health(char out[CONFIG_PATH_MAX + 1], RedisModuleString *arg)
{
    if (hl_slice_is(arg_slice(arg), "none")) {
        memcpy(out, "none", sizeof "none");
        return true;
    }
    return config_read_path(out, arg_slice(arg));
}

static const char *read_backend(struct backend_config *b, RedisModuleString **argv, int argc)
{
    if (!config_read_id(b->id, arg_slice(argv[2]))) {
        return "an id is 1 to 64 letters, digits and \"-._\"";
    }
    if (!config_read_address(b->address, arg_slice(argv[3]))) {
        return "an address is host:port, such as 10.0.0.1:3000, [::1]:3000 or app.internal:3000";
    }
    b->weight = 1;
    for (int i = 4; i < argc; i += 2) {
        struct hl_slice word = arg_slice(argv[i]);
        if (i + 1 == argc) {
            return "syntax error";
        }
        if (hl_slice_is(word, "weight")) {
            if (!read_number(argv[i + 1], 1, CONFIG_WEIGHT_MAX, &b->weight)) {
                return "a weight is 1 to 1000";
            }
        } else if (hl_slice_is(word, "max-connections")) {
            if (!read_number(argv[i + 1], 0, 1000000, &b->connections_max)) {
                return "MAX-CONNECTIONS is 0 to 1000000";
            }
        } else if (hl_slice_is(word, "health")) {
            if (!read_health(b->health_path, argv[i + 1])) {
                return "HEALTH is a path or \"none\"";
            }
        } else {
            return "syntax error";
        }
    }
    return NULL;
}

int cmd_backend_add(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct backend_config backend = {0};
    if (argc < 4) {
        return RedisModule_WrongArity(ctx);
    }
    const char *fault = read_backend(&backend, argv, argc);
    if (fault != NULL) {
        return refuse(ctx, fault);
    }
    struct config *config = open(ctx);
    return config == NULL ? REDISMODULE_OK : changed(ctx, config_put_backend(config, &backend));
}

int cmd_backend_del(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    struct config *config = open(ctx);
    return config == NULL ? REDISMODULE_OK
                          : changed(ctx, config_delete_backend(config, arg_slice(argv[2])));
}

int cmd_backend_weight(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    uint32_t weight = 0;
    if (argc != 4) {
        return RedisModule_WrongArity(ctx);
    }
    if (!read_number(argv[3], 1, CONFIG_WEIGHT_MAX, &weight)) {
        return refuse(ctx, "a weight is 1 to 1000");
    }
    struct config *config = open(ctx);
    return config == NULL ? REDISMODULE_OK
                          : changed(ctx, config_set_weight(config, arg_slice(argv[2]), weight));
}

int cmd_backend_drain(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc < 3 || argc > 4) {
        return RedisModule_WrongArity(ctx);
    }
    if (argc == 4 && !hl_slice_is(arg_slice(argv[3]), "off")) {
        return refuse(ctx, "syntax error: PROXY.BACKEND DRAIN id [OFF]");
    }
    struct config *config = open(ctx);
    return config == NULL
               ? REDISMODULE_OK
               : changed(ctx, config_set_draining(config, arg_slice(argv[2]), argc == 3));
}

/* --- routes ----------------------------------------------------------------------------------- */

static bool is_option(struct hl_slice word)
{
    static const char *const words[] = {"host", "path", "backends", "algorithm", "strip"};
    for (size_t i = 0; i < HL_ARRAY_LEN(words); i++) {
        if (hl_slice_is(word, words[i])) {
            return true;
        }
    }
    return false;
}

/* Read ids up to the next option; *at is the first of them, and then behind them. */
static const char *read_pool(struct route_config *route, RedisModuleString **argv, int argc,
                             int *at)
{
    for (; *at < argc && !is_option(arg_slice(argv[*at])); (*at)++) {
        if (route->pool_count == CONFIG_POOL_MAX) {
            return "a route has 1 to 64 backends";
        }
        if (!config_read_id(route->pool[route->pool_count++], arg_slice(argv[*at]))) {
            return "no such backend: add it first";
        }
    }
    return NULL;
}

/* Read one option and what belongs to it; *at moves behind. */
static const char *read_option(struct route_config *route, RedisModuleString **argv, int argc,
                               int *at)
{
    struct hl_slice word = arg_slice(argv[(*at)++]);
    if (hl_slice_is(word, "strip")) {
        route->strips = true;
        return NULL;
    }
    if (hl_slice_is(word, "backends")) {
        return read_pool(route, argv, argc, at);
    }
    if (*at == argc) {
        return "syntax error";
    }
    struct hl_slice value = arg_slice(argv[(*at)++]);
    if (hl_slice_is(word, "host")) {
        return config_read_host(route->host, value)
                   ? NULL
                   : "HOST is a name, *.domain for the names below, or * for any";
    }
    if (hl_slice_is(word, "path")) {
        return config_read_path(route->path, value) ? NULL : "PATH is a prefix such as /api";
    }
    if (hl_slice_is(word, "algorithm")) {
        return config_read_algorithm(&route->algorithm, value)
                   ? NULL
                   : "ALGORITHM is round-robin, weighted or least-conn";
    }
    return "syntax error";
}

int cmd_route_add(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    char pool[CONFIG_POOL_MAX][CONFIG_ID_MAX + 1];
    struct route_config route = {.path = "/", .pool = pool};
    const char *fault = NULL;
    if (argc < 4) {
        return RedisModule_WrongArity(ctx);
    }
    if (!config_read_id(route.id, arg_slice(argv[2]))) {
        fault = "an id is 1 to 64 letters, digits and \"-._\"";
    }
    for (int at = 3; at < argc && fault == NULL;) {
        fault = read_option(&route, argv, argc, &at);
    }
    if (fault != NULL) {
        return refuse(ctx, fault);
    }
    struct config *config = open(ctx);
    return config == NULL ? REDISMODULE_OK : changed(ctx, config_put_route(config, &route));
}

int cmd_route_del(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    struct config *config = open(ctx);
    return config == NULL ? REDISMODULE_OK
                          : changed(ctx, config_delete_route(config, arg_slice(argv[2])));
}

int cmd_put(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 3) {
        return RedisModule_WrongArity(ctx);
    }
    int flags = RedisModule_GetContextFlags(ctx);
    if ((flags & (REDISMODULE_CTX_FLAGS_REPLICATED | REDISMODULE_CTX_FLAGS_LOADING)) == 0) {
        return refuse(ctx, "PROXY._PUT applies effects of this module; it is not for clients");
    }
    if (!store_replace(ctx, argv[1], arg_slice(argv[2]))) {
        return refuse(ctx, "PROXY._PUT got no configuration");
    }
    RedisModule_ReplicateVerbatim(ctx);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}
