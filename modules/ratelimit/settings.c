#include "settings.h"

#include "kit/assert.h"
#include "sketch.h"

/* Any three values within these bounds are a limit: a full refill takes at most 10^9 seconds. */
#define CAPACITY_MAX 1000000
#define RATE_NUM_MAX 1000000
#define RATE_DEN_MAX 1000
HL_STATIC((int64_t)CAPACITY_MAX *RATE_DEN_MAX <= LIMIT_SPAN_MAX_MS / 1000);

static struct {
    long long capacity, num, den, top_size;
} current;

static const struct setting {
    const char *name;
    long long *value;
    long long fallback, min, max;
} table[] = {
    {"default-capacity", &current.capacity, 100, 1, CAPACITY_MAX},
    {"default-rate-num", &current.num, 1, 1, RATE_NUM_MAX},
    {"default-rate-den", &current.den, 1, 1, RATE_DEN_MAX},
    {"top-size", &current.top_size, 128, 0, SKETCH_SIZE_MAX},
};

struct limit settings_default_limit(void)
{
    struct limit limit = {.algorithm = LIMIT_TOKEN,
                          .capacity = current.capacity,
                          .num = current.num,
                          .den = current.den};
    HL_ASSERT(limit_valid(&limit));
    return limit;
}

size_t settings_top_size(void)
{
    return (size_t)current.top_size;
}

static long long get(const char *name, void *data)
{
    (void)name;
    return *(const long long *)data;
}

static int set(const char *name, long long value, void *data, RedisModuleString **error)
{
    (void)name;
    (void)error; /* the server checked the range */
    *(long long *)data = value;
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
        if (RedisModule_RegisterNumericConfig(ctx, s->name, s->fallback, REDISMODULE_CONFIG_DEFAULT,
                                              s->min, s->max, get, set, NULL,
                                              s->value) != REDISMODULE_OK) {
            RedisModule_Log(ctx, "warning", "cannot register the setting %s", s->name);
            return REDISMODULE_ERR;
        }
    }
    if (RedisModule_LoadConfigs != NULL && RedisModule_LoadConfigs(ctx) != REDISMODULE_OK) {
        RedisModule_Log(ctx, "warning", "the configuration of ratelimit.* is refused");
        return REDISMODULE_ERR;
    }
    return REDISMODULE_OK;
}
