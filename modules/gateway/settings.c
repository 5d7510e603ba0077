#include "settings.h"

#include <stdatomic.h>

static atomic_llong values[GW_SETTING_COUNT];

static const struct number {
    const char *name;
    long long initial, min, max;
} numbers[GW_SETTING_COUNT] = {
#define X(id, name, initial, min, max) [GW_SETTING_##id] = {name, initial, min, max},
    GW_SETTINGS(X)
#undef X
};

int64_t gw_setting(enum gw_setting which)
{
    return atomic_load_explicit(&values[which], memory_order_relaxed);
}

static long long get_number(const char *name, void *data)
{
    (void)name;
    const struct number *number = data;
    return atomic_load(&values[number - numbers]);
}

static int set_number(const char *name, long long value, void *data, RedisModuleString **err)
{
    (void)name;
    (void)err; /* the server checked the range */
    const struct number *number = data;
    atomic_store(&values[number - numbers], value);
    return REDISMODULE_OK;
}

bool gw_settings_load(RedisModuleCtx *ctx)
{
    bool good = true;
    for (size_t i = 0; i < GW_SETTING_COUNT; i++) {
        const struct number *n = &numbers[i];
        atomic_store(&values[i], n->initial);
        good = good && RedisModule_RegisterNumericConfig(
                           ctx, n->name, n->initial, REDISMODULE_CONFIG_DEFAULT, n->min, n->max,
                           get_number, set_number, NULL, (void *)n) == REDISMODULE_OK;
    }
    if (!good || RedisModule_LoadConfigs(ctx) != REDISMODULE_OK) {
        RedisModule_Log(ctx, "warning", "a setting was refused");
        return false;
    }
    return true;
}
