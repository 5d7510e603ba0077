#include "settings.h"

#include "event.h"
#include "kit/assert.h"

#define PAYLOAD_LIMIT (INT64_C(256) * 1024 * 1024) /* one argument of RESP must hold its event */
#define TEN_YEARS_S (INT64_C(10) * 365 * 24 * 3600)

HL_STATIC(PAYLOAD_LIMIT < JOBS_PAYLOAD_MAX);

struct settings jobs_settings;

static const struct setting {
    const char *name;
    int64_t *value;
    int64_t fallback, min, max;
    unsigned flags;
} table[] = {
    {"max-payload", &jobs_settings.max_payload, 1048576, 1, PAYLOAD_LIMIT,
     REDISMODULE_CONFIG_MEMORY},
    {"default-visibility", &jobs_settings.visibility_s, 300, 1, JOBS_SPAN_MAX / 1000, 0},
    {"default-max-attempts", &jobs_settings.max_attempts, 3, 1, JOBS_TRIES_MAX, 0},
    {"default-backoff-base", &jobs_settings.backoff_base_ms, 1000, 0, JOBS_SPAN_MAX, 0},
    {"default-backoff-max", &jobs_settings.backoff_cap_ms, 300000, 0, JOBS_SPAN_MAX, 0},
    {"default-backoff-jitter", &jobs_settings.backoff_jitter, 20, 0, 100, 0},
    {"default-dedup-window", &jobs_settings.dedup_window_s, 3600, 1, TEN_YEARS_S, 0},
    {"result-retention", &jobs_settings.result_retention_s, 3600, -1, TEN_YEARS_S, 0},
    {"dead-retention", &jobs_settings.dead_retention_s, 1209600, -1, TEN_YEARS_S, 0},
    {"max-results", &jobs_settings.max_results, 1000000, 0, JOBS_TIME_MAX, 0},
    {"max-queue-depth", &jobs_settings.max_depth, 0, 0, JOBS_TIME_MAX, 0},
    {"max-waiters", &jobs_settings.max_waiters, 10000, 0, 1000000, 0},
};

static long long get(const char *name, void *privdata)
{
    (void)name;
    return *(const int64_t *)privdata;
}

static int set(const char *name, long long value, void *privdata, RedisModuleString **error)
{
    (void)name;
    (void)error;
    *(int64_t *)privdata = value;
    return REDISMODULE_OK;
}

int settings_register(RedisModuleCtx *ctx)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(table); i++) {
        const struct setting *s = &table[i];
        *s->value = s->fallback;
        if (RedisModule_RegisterNumericConfig == NULL) {
            continue; /* a server older than 7.0: the defaults */
        }
        if (RedisModule_RegisterNumericConfig(ctx, s->name, s->fallback, s->flags, s->min, s->max,
                                              get, set, NULL, s->value) != REDISMODULE_OK) {
            RedisModule_Log(ctx, "warning", "cannot register the setting %s", s->name);
            return REDISMODULE_ERR;
        }
    }
    if (RedisModule_LoadConfigs != NULL && RedisModule_LoadConfigs(ctx) != REDISMODULE_OK) {
        RedisModule_Log(ctx, "warning", "the configuration of jobs.* is refused");
        return REDISMODULE_ERR;
    }
    return REDISMODULE_OK;
}
