/* settings: what an operator may change, CONFIG SET jobs.<name>. */
#ifndef JOBS_SETTINGS_H
#define JOBS_SETTINGS_H

#include "helios/module.h"

#include <stdint.h>

/* The settings as they are now.  Read only outside settings.c. */
struct settings {
    int64_t max_payload; /* bytes */
    int64_t visibility_s;
    int64_t max_attempts;
    int64_t backoff_base_ms;
    int64_t backoff_cap_ms;
    int64_t backoff_jitter; /* percent */
    int64_t dedup_window_s;
    int64_t result_retention_s; /* -1: for ever */
    int64_t dead_retention_s;   /* -1: for ever */
    int64_t max_results;        /* done jobs that a queue keeps, 0: no limit */
    int64_t max_depth;          /* 0: no limit */
    int64_t max_waiters;
};

extern struct settings jobs_settings;

/* Register the settings and load what the configuration says; in OnLoad only.  REDISMODULE_ERR,
 * having logged why, when the server refuses. */
int settings_register(RedisModuleCtx *ctx);

#endif
