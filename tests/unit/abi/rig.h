/* A node without a log, and the module ABI on it with services that tests turn by hand. */
#ifndef TESTS_UNIT_ABI_RIG_H
#define TESTS_UNIT_ABI_RIG_H

#include "abi/unit.h"

#include <stdio.h>
#include <stdlib.h>

struct rig {
    struct hl_world world;
    struct hl_abi_services services;
    struct hl_metrics *metrics;
    struct hl_node *node;
    struct hl_abi *abi;
    struct hl_module *module; /* "rig", as if loaded */
    RedisModuleCtx ctx;       /* of that module */
    int64_t now_us;
    int wakes, locked;
    char logged[512];
};

static int64_t rig_wall(void *ctx)
{
    return ((struct rig *)ctx)->now_us;
}

static uint64_t rig_mono(void *ctx)
{
    return (uint64_t)((struct rig *)ctx)->now_us;
}

static void rig_entropy(void *ctx, void *out, size_t len)
{
    (void)ctx;
    memset(out, 7, len);
}

static void rig_no_write(void *ctx, struct hl_wal_batch *batch)
{
    (void)ctx;
    (void)batch;
}

static void rig_session(void *ctx, struct hl_session *session)
{
    (void)ctx;
    (void)session;
}

static size_t rig_memory(void *ctx)
{
    (void)ctx;
    return 0;
}

__attribute__((noreturn)) static void rig_fatal(void *ctx, const char *why)
{
    (void)ctx;
    fprintf(stderr, "%s\n", why);
    abort();
}

static void rig_node_log(void *ctx, int level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

static void rig_log(void *ctx, enum hl_abi_log level, const char *text)
{
    (void)level;
    snprintf(((struct rig *)ctx)->logged, sizeof((struct rig *)ctx)->logged, "%s", text);
}

static void rig_wake(void *ctx)
{
    ((struct rig *)ctx)->wakes++;
}

static void rig_lock(void *ctx)
{
    ((struct rig *)ctx)->locked++;
}

static bool rig_try_lock(void *ctx)
{
    struct rig *rig = ctx;
    if (rig->locked != 0) {
        return false;
    }
    rig->locked++;
    return true;
}

static void rig_unlock(void *ctx)
{
    ((struct rig *)ctx)->locked--;
}

/* Make it; a context of the module is open, inside a frame. */
__attribute__((unused)) static struct rig *rig_create(void)
{
    struct rig *rig = hl_calloc(1, sizeof *rig);
    rig->now_us = 1000000;
    rig->world = (struct hl_world){.ctx = rig,
                                   .wall_us = rig_wall,
                                   .mono_us = rig_mono,
                                   .entropy = rig_entropy,
                                   .log_write = rig_no_write,
                                   .output = rig_session,
                                   .resume = rig_session,
                                   .memory_used = rig_memory,
                                   .fatal = rig_fatal,
                                   .log = rig_node_log};
    rig->services = (struct hl_abi_services){.ctx = rig,
                                             .wall_us = rig_wall,
                                             .monotonic_us = rig_wall,
                                             .entropy = rig_entropy,
                                             .log = rig_log,
                                             .wake = rig_wake,
                                             .lock = rig_lock,
                                             .try_lock = rig_try_lock,
                                             .unlock = rig_unlock};
    rig->metrics = hl_metrics_create((const uint64_t[2]){1, 2});
    rig->services.metrics = rig->metrics;
    struct hl_node_config config = {.databases = 2, .maxmemory_samples = 5, .hz = 10};
    rig->node = hl_node_create(&rig->world, NULL, &config);
    rig->node->ks.expiry = HL_EXPIRY_DELETE;
    rig->node->loading = false;
    rig->abi = hl_abi_create(rig->node, &rig->services);
    rig->module = hl_module_create(rig->abi, "rig.so", NULL, 0);
    rig->module->name = hl_strndup("rig", 3);
    rig->module->loading = true;
    hl_list_append(&rig->abi->modules, &rig->module->node);
    hl_ctx_init(&rig->ctx, rig->abi, rig->module);
    hl_frame_begin(&rig->ctx);
    return rig;
}

/* End it, leaks and all: the sanitizer looks. */
__attribute__((unused)) static void rig_destroy(struct rig *rig)
{
    hl_ctx_fini(&rig->ctx);
    (void)hl_frame_end(&rig->ctx);
    (void)hl_abi_destroy(rig->abi);
    hl_metrics_destroy(rig->metrics);
    hl_node_destroy(rig->node);
    hl_free(rig);
}

#endif
