#include "settings.h"

#include "net/settings.h"

#include <string.h>

#define LIMITS                                                                                     \
    "POST /api/v1/auth/login 10 1 6 replicated closed; "                                           \
    "POST /api/v1/auth/register 10 1 6 replicated closed; "                                        \
    "POST /api/v1/auth/bootstrap 10 1 6 replicated closed; "                                       \
    "POST /api/v1/auth/refresh 30 1 2 local open"

static struct net_number numbers[GW_SETTING_COUNT] = {
#define X(id, shown, least_at_first, least, most)                                                  \
    [GW_SETTING_##id] = {.name = shown, .initial = least_at_first, .min = least, .max = most},
    GW_SETTINGS(X)
#undef X
};
enum { TEXT_LIMITS, TEXT_PROXIES, TEXT_COUNT };
static struct net_text texts[TEXT_COUNT] = {
    [TEXT_LIMITS] = {.name = "endpoint-limits", .initial = LIMITS},
    [TEXT_PROXIES] = {.name = "trusted-proxies", .initial = ""},
};
static const struct net_settings all = {numbers, GW_SETTING_COUNT, texts, TEXT_COUNT};

static struct gw_limit limits[GW_LIMITS_MAX];
static size_t limit_count;

int64_t gw_setting(enum gw_setting which)
{
    return net_number(&numbers[which]);
}

const struct gw_limit *gw_setting_limit(const char *method, const char *pattern)
{
    for (size_t i = 0; i < limit_count; i++) {
        if (strcmp(limits[i].method, method) == 0 && strcmp(limits[i].path, pattern) == 0) {
            return &limits[i];
        }
    }
    return NULL;
}

const char *gw_setting_proxies(void)
{
    return texts[TEXT_PROXIES].value;
}

bool gw_settings_load(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    struct hl_errmsg msg = {0};
    limit_count = 0;
    if (!net_settings_load(ctx, &all, argv, argc)) {
        return false;
    }
    if (gw_limits_parse(hl_slice_of(texts[TEXT_LIMITS].value), limits, &limit_count, &msg) !=
        HL_OK) {
        RedisModule_Log(ctx, "warning", "endpoint-limits: %s", msg.text);
        return false;
    }
    return true;
}

void gw_settings_unload(void)
{
    net_settings_unload(&all);
}
