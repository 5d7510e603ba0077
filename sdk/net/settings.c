/* Settings: the callbacks that the server wants, over a module's tables. */
#include "net/settings.h"

#include "kit/bytes.h"
#include "kit/num.h"

#include <string.h>

static long long get_number(const char *name, void *data)
{
    (void)name;
    const struct net_number *number = data;
    return atomic_load(&number->value);
}

static int set_number(const char *name, long long value, void *data, RedisModuleString **err)
{
    (void)name;
    (void)err; /* the server checked the range */
    struct net_number *number = data;
    atomic_store(&number->value, value);
    return REDISMODULE_OK;
}

static RedisModuleString *get_text(const char *name, void *data)
{
    (void)name;
    struct net_text *text = data;
    if (text->shown != NULL) {
        RedisModule_FreeString(NULL, text->shown);
    }
    text->shown = RedisModule_CreateString(NULL, text->value, strlen(text->value));
    return text->shown;
}

static bool take_text(struct net_text *text, RedisModuleString *value)
{
    size_t len = 0;
    const char *bytes = RedisModule_StringPtrLen(value, &len);
    if (len > NET_TEXT_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] < ' ' || bytes[i] > '~') {
            return false;
        }
    }
    memcpy(text->value, bytes, len);
    text->value[len] = '\0';
    return true;
}

static int set_text(const char *name, RedisModuleString *value, void *data, RedisModuleString **err)
{
    (void)name;
    if (!take_text(data, value)) {
        static const char why[] = "must be printable ASCII of at most 1024 characters";
        *err = RedisModule_CreateString(NULL, why, sizeof why - 1);
        return REDISMODULE_ERR;
    }
    return REDISMODULE_OK;
}

static bool register_all(RedisModuleCtx *ctx, const struct net_settings *settings)
{
    bool good = true;
    for (size_t i = 0; i < settings->number_count; i++) {
        struct net_number *n = &settings->numbers[i];
        good = good && RedisModule_RegisterNumericConfig(
                           ctx, n->name, n->initial, REDISMODULE_CONFIG_DEFAULT, n->min, n->max,
                           get_number, set_number, NULL, n) == REDISMODULE_OK;
    }
    for (size_t i = 0; i < settings->text_count; i++) {
        struct net_text *t = &settings->texts[i];
        good = good && RedisModule_RegisterStringConfig(ctx, t->name, t->initial,
                                                        REDISMODULE_CONFIG_IMMUTABLE, get_text,
                                                        set_text, NULL, t) == REDISMODULE_OK;
    }
    return good;
}

/* Take one pair of the module's arguments; false when there is no such setting or value. */
static bool take_argument(const struct net_settings *settings, struct hl_slice name,
                          RedisModuleString *value)
{
    struct hl_slice text = {0};
    text.ptr = RedisModule_StringPtrLen(value, &text.len);
    for (size_t i = 0; i < settings->number_count; i++) {
        struct net_number *n = &settings->numbers[i];
        int64_t number = 0;
        if (hl_slice_is(name, n->name)) {
            bool good = hl_parse_i64(text, &number) && number >= n->min && number <= n->max;
            if (good) {
                atomic_store(&n->value, number);
            }
            return good;
        }
    }
    for (size_t i = 0; i < settings->text_count; i++) {
        if (hl_slice_is(name, settings->texts[i].name)) {
            return take_text(&settings->texts[i], value);
        }
    }
    return false;
}

static void set_initial(const struct net_settings *settings)
{
    for (size_t i = 0; i < settings->number_count; i++) {
        atomic_store(&settings->numbers[i].value, settings->numbers[i].initial);
    }
    for (size_t i = 0; i < settings->text_count; i++) {
        struct net_text *text = &settings->texts[i];
        memcpy(text->value, text->initial, strlen(text->initial) + 1);
    }
}

bool net_settings_load(RedisModuleCtx *ctx, const struct net_settings *settings,
                       RedisModuleString **argv, int argc)
{
    set_initial(settings);
    if (RedisModule_RegisterNumericConfig == NULL || RedisModule_RegisterStringConfig == NULL ||
        RedisModule_LoadConfigs == NULL) {
        RedisModule_Log(ctx, "notice", "the server has no module settings: give them as arguments");
    } else if (!register_all(ctx, settings) || RedisModule_LoadConfigs(ctx) != REDISMODULE_OK) {
        RedisModule_Log(ctx, "warning", "a setting was refused");
        return false;
    }
    for (int i = 0; i < argc; i += 2) {
        struct hl_slice name = {0};
        name.ptr = RedisModule_StringPtrLen(argv[i], &name.len);
        if (i + 1 == argc || !take_argument(settings, name, argv[i + 1])) {
            RedisModule_Log(ctx, "warning",
                            "argument %d: the arguments are pairs of a setting's name and its "
                            "value",
                            i + 1);
            return false;
        }
    }
    return true;
}

void net_settings_unload(const struct net_settings *settings)
{
    for (size_t i = 0; i < settings->text_count; i++) {
        if (settings->texts[i].shown != NULL) {
            RedisModule_FreeString(NULL, settings->texts[i].shown);
        }
        settings->texts[i].shown = NULL;
    }
}
