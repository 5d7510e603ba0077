/* What the module ABI asks of the edge: a table that core/server (or a test) fills.
 *
 *   V1  every function is called on the loop thread but `wake`, `lock`, `try_lock`, `unlock`,
 *       `wall_us`, `monotonic_us` and `log`, which any thread may call.
 *   V2  none may call back into the ABI before it returned.
 */
#ifndef HL_ABI_SERVICES_H
#define HL_ABI_SERVICES_H

#include "kit/bytes.h"
#include "kit/err.h"

#include <stdbool.h>
#include <stdint.h>

struct hl_metrics;
struct hl_session;

enum hl_abi_log { HL_ABI_LOG_DEBUG, HL_ABI_LOG_VERBOSE, HL_ABI_LOG_NOTICE, HL_ABI_LOG_WARNING };

/* A setting of a module, for CONFIG. */
struct hl_abi_config {
    const char *name; /* "module.setting" */
    bool immutable;
    bool secret; /* its value is not shown in logs */
    void *ctx;
    void (*get)(void *ctx, struct hl_buf *out);
    hl_err (*set)(void *ctx, struct hl_slice value, struct hl_errmsg *msg);
    hl_err (*apply)(void *ctx, struct hl_errmsg *msg); /* once per CONFIG SET */
};

/* A function that may be NULL says so; what the ABI does without it stands beside. */
struct hl_abi_services {
    void *ctx; /* handed to every function */

    /* Clocks, in microseconds: since 1970, and since some moment without steps. */
    int64_t (*wall_us)(void *ctx);
    int64_t (*monotonic_us)(void *ctx);

    /* Fill with random bytes from the system. */
    void (*entropy)(void *ctx, void *out, size_t len);

    /* A line for the log; `text` has no line end and is borrowed. */
    void (*log)(void *ctx, enum hl_abi_log level, const char *text);

    /* Call hl_abi_service() soon: something was handed over by a thread. */
    void (*wake)(void *ctx);

    /* The lock under which commands and modules run.  The loop holds
     * it whenever it calls the ABI; these are for modules' own threads.  Fair. */
    void (*lock)(void *ctx);
    bool (*try_lock)(void *ctx);
    void (*unlock)(void *ctx);

    /* Watch a descriptor: from now on call hl_abi_fd_ready() for REDISMODULE_EVENTLOOP_* in mask;
     * mask 0 ends it.  HL_EINVAL when it cannot be watched.  NULL: none can. */
    hl_err (*watch)(void *ctx, int fd, int mask);

    /* Append INFO `section` ("" for the default ones) as INFO prints it.  NULL: no fields. */
    void (*info)(void *ctx, struct hl_slice section, struct hl_buf *out);

    /* Take the value that the configuration file or MODULE LOADEX gives `name` ("module.setting");
     * false when there is none.  NULL: there never is. */
    bool (*config_take)(void *ctx, const char *name, struct hl_buf *value);

    /* Make a setting known to CONFIG GET, SET and REWRITE; copied but for its name, which lives
     * until it is removed.  HL_EBUSY when the name is taken.  NULL: settings live in modules alone.
     */
    hl_err (*config_add)(void *ctx, const struct hl_abi_config *config);

    /* Remove the settings of a module ("module.*"). */
    void (*config_remove)(void *ctx, const char *module);

    /* Used memory over maxmemory, 0 without a limit.  NULL: 0. */
    double (*memory_ratio)(void *ctx);

    /* Bits of REDISMODULE_CTX_FLAGS_* that only the edge knows (AOF, RDB, maxmemory, OOM, cluster,
     * loading, child).  NULL: none. */
    int (*context_flags)(void *ctx);

    /* Deliver a message to subscribers; returns how many there were.  NULL: 0. */
    int (*publish)(void *ctx, struct hl_slice channel, struct hl_slice message, bool shard);

    /* Whether this caller may use MODULE LOAD and UNLOAD (enable-module-command).  NULL: all may.
     */
    bool (*module_allowed)(void *ctx, const struct hl_session *session);

    /* Colon-separated folders where a bare name of MODULE LOAD is looked for as NAME.so. */
    const char *(*module_path)(void *ctx);

    /* Where modules' metrics are kept (base/metrics.h), borrowed as the table is.  NULL: they have
     * none. */
    struct hl_metrics *metrics;
};

#endif
