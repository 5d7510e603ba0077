/* The settings, in two tables. */
#include "settings.h"

#include "kit/assert.h"

static struct net_number numbers[SETTING_COUNT] = {
#define X(id, name, initial, min, max) [SETTING_##id] = {name, initial, min, max, 0},
    PROXY_NUMBERS(X)
#undef X
};

static struct net_text texts[TEXT_COUNT] = {
#define X(id, title, value) [TEXT_##id] = {.name = title, .initial = value},
    PROXY_TEXTS(X)
#undef X
};

static const struct net_settings settings = {numbers, SETTING_COUNT, texts, TEXT_COUNT};

int64_t setting(enum setting which)
{
    return net_number(&numbers[which]);
}

const char *setting_text(enum text which)
{
    HL_ASSERT(which < TEXT_COUNT);
    return texts[which].value;
}

bool settings_load(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    return net_settings_load(ctx, &settings, argv, argc);
}

void settings_unload(void)
{
    net_settings_unload(&settings);
}
