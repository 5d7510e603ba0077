/* Settings: registered by the module, loaded from presets, changed and read by tests. */
#include "kit/num.h"
#include "testing/fake_internal.h"

#include <strings.h>

/* Begin a setting; NULL when settings cannot be registered now or it is there already. */
static struct fake_config *add(RedisModuleCtx *ctx, const char *name, int kind, unsigned flags,
                               void *get, void *set, RedisModuleConfigApplyFunc apply,
                               void *privdata)
{
    struct fake *fake = ctx->fake;
    if (!fake->loading || get == NULL || set == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < fake->config_count; i++) {
        if (strcasecmp(fake->configs[i].name, name) == 0) {
            return NULL;
        }
    }
    HL_ASSERT(fake->config_count < FAKE_ITEMS_MAX);
    struct fake_config *config = &fake->configs[fake->config_count++];
    *config = (struct fake_config){
        .name = hl_strndup(name, strlen(name)),
        .kind = kind,
        .flags = flags,
        .get = get,
        .set = set,
        .apply = apply,
        .privdata = privdata,
    };
    fake->configs_loaded = false;
    return config;
}

static int fake_RegisterBoolConfig(RedisModuleCtx *ctx, const char *name, int initial,
                                   unsigned flags, RedisModuleConfigGetBoolFunc get,
                                   RedisModuleConfigSetBoolFunc set,
                                   RedisModuleConfigApplyFunc apply, void *privdata)
{
    struct fake_config *config = add(ctx, name, REDISMODULE_CONFIG_TYPE_BOOL, flags, (void *)get,
                                     (void *)set, apply, privdata);
    if (config == NULL) {
        return REDISMODULE_ERR;
    }
    config->initial = initial;
    return REDISMODULE_OK;
}

static int fake_RegisterNumericConfig(RedisModuleCtx *ctx, const char *name, long long initial,
                                      unsigned flags, long long min, long long max,
                                      RedisModuleConfigGetNumericFunc get,
                                      RedisModuleConfigSetNumericFunc set,
                                      RedisModuleConfigApplyFunc apply, void *privdata)
{
    struct fake_config *config = add(ctx, name, REDISMODULE_CONFIG_TYPE_NUMERIC, flags, (void *)get,
                                     (void *)set, apply, privdata);
    if (config == NULL || min > max) {
        return REDISMODULE_ERR;
    }
    config->initial = initial;
    config->min = min;
    config->max = max;
    return REDISMODULE_OK;
}

static int fake_RegisterStringConfig(RedisModuleCtx *ctx, const char *name, const char *initial,
                                     unsigned flags, RedisModuleConfigGetStringFunc get,
                                     RedisModuleConfigSetStringFunc set,
                                     RedisModuleConfigApplyFunc apply, void *privdata)
{
    struct fake_config *config = add(ctx, name, REDISMODULE_CONFIG_TYPE_STRING, flags, (void *)get,
                                     (void *)set, apply, privdata);
    if (config == NULL) {
        return REDISMODULE_ERR;
    }
    const char *text = initial == NULL ? "" : initial;
    config->initial_text = hl_strndup(text, strlen(text));
    return REDISMODULE_OK;
}

static int fake_RegisterEnumConfig(RedisModuleCtx *ctx, const char *name, int initial,
                                   unsigned flags, const char **words, const int *values, int count,
                                   RedisModuleConfigGetEnumFunc get,
                                   RedisModuleConfigSetEnumFunc set,
                                   RedisModuleConfigApplyFunc apply, void *privdata)
{
    struct fake_config *config = add(ctx, name, REDISMODULE_CONFIG_TYPE_ENUM, flags, (void *)get,
                                     (void *)set, apply, privdata);
    if (config == NULL) {
        return REDISMODULE_ERR;
    }
    config->initial = initial;
    config->words = hl_calloc((size_t)count, sizeof *config->words);
    config->word_values = hl_calloc((size_t)count, sizeof *config->word_values);
    config->word_count = count;
    for (int i = 0; i < count; i++) {
        config->words[i] = hl_strndup(words[i], strlen(words[i]));
        config->word_values[i] = values[i];
    }
    return REDISMODULE_OK;
}

void fake_configs_free(struct fake *fake)
{
    for (size_t i = 0; i < fake->config_count; i++) {
        struct fake_config *config = &fake->configs[i];
        for (int j = 0; j < config->word_count; j++) {
            hl_free(config->words[j]);
        }
        hl_free(config->words);
        hl_free(config->word_values);
        hl_free(config->initial_text);
        hl_free(config->name);
    }
}

/* ---- Changing ---- */

/* Call the setter with a number, or with `text` for a string. */
static int set_value(struct fake_config *config, long long number, const char *text,
                     RedisModuleString **err)
{
    if (config->kind == REDISMODULE_CONFIG_TYPE_NUMERIC) {
        RedisModuleConfigSetNumericFunc set = (RedisModuleConfigSetNumericFunc)config->set;
        return set(config->name, number, config->privdata, err);
    }
    if (config->kind != REDISMODULE_CONFIG_TYPE_STRING) {
        RedisModuleConfigSetBoolFunc set = (RedisModuleConfigSetBoolFunc)config->set;
        return set(config->name, (int)number, config->privdata, err);
    }
    RedisModuleConfigSetStringFunc set = (RedisModuleConfigSetStringFunc)config->set;
    RedisModuleString *str = fake_string_new(fake_current, text, strlen(text));
    int result = set(config->name, str, config->privdata, err);
    fake_string_unref(str);
    return result;
}

/* Read `text` as the setting's kind; false when it is none of its values. */
static bool parse(const struct fake_config *config, const char *text, long long *number)
{
    int64_t value = 0;
    if (config->kind == REDISMODULE_CONFIG_TYPE_STRING) {
        return true;
    }
    if (config->kind == REDISMODULE_CONFIG_TYPE_BOOL) {
        *number = strcasecmp(text, "yes") == 0;
        return *number || strcasecmp(text, "no") == 0;
    }
    if (config->kind == REDISMODULE_CONFIG_TYPE_ENUM) {
        for (int i = 0; i < config->word_count; i++) {
            if (strcasecmp(config->words[i], text) == 0) {
                *number = config->word_values[i];
                return true;
            }
        }
        return false;
    }
    bool memory = (config->flags & REDISMODULE_CONFIG_MEMORY) != 0;
    bool good =
        memory ? hl_parse_size(hl_slice_of(text), &value) : hl_parse_i64(hl_slice_of(text), &value);
    *number = value;
    return good && value >= config->min && value <= config->max;
}

/* Set and apply; NULL, or the error as text in fake->reply_text. */
static const char *change(struct fake *fake, struct fake_config *config, const char *text)
{
    long long number = 0;
    RedisModuleString *err = NULL;
    hl_buf_clear(&fake->reply_text);
    if (!parse(config, text, &number)) {
        return "-ERR argument couldn't be parsed or is out of range";
    }
    int result = set_value(config, number, text, &err);
    if (result == REDISMODULE_OK && config->apply != NULL) {
        RedisModuleCtx ctx;
        fake_ctx_init(&ctx, fake);
        result = config->apply(&ctx, config->privdata, &err);
        fake_ctx_fini(&ctx);
    }
    if (result == REDISMODULE_OK) {
        return NULL;
    }
    hl_buf_printf(&fake->reply_text, "-ERR %s", err == NULL ? "refused" : err->ptr);
    hl_buf_append_u8(&fake->reply_text, 0);
    if (err != NULL) {
        fake->live--;
        fake_string_unref(err);
    }
    return fake->reply_text.ptr;
}

void fake_preset(struct fake *fake, const char *name, const char *value)
{
    HL_ASSERT(fake->preset_count < FAKE_ITEMS_MAX);
    fake->presets[fake->preset_count++] = (struct fake_pair){
        .name = hl_strndup(name, strlen(name)), .value = hl_strndup(value, strlen(value))};
}

static int fake_LoadConfigs(RedisModuleCtx *ctx)
{
    struct fake *fake = ctx->fake;
    for (size_t i = 0; i < fake->config_count; i++) {
        struct fake_config *config = &fake->configs[i];
        const char *preset = NULL;
        for (size_t j = 0; j < fake->preset_count; j++) {
            if (strcasecmp(fake->presets[j].name, config->name) == 0) {
                preset = fake->presets[j].value;
            }
        }
        RedisModuleString *err = NULL;
        if (preset != NULL ? change(fake, config, preset) != NULL
                           : set_value(config, config->initial, config->initial_text, &err) !=
                                 REDISMODULE_OK) {
            return REDISMODULE_ERR;
        }
    }
    fake->configs_loaded = true;
    return REDISMODULE_OK;
}

static struct fake_config *find(struct fake *fake, const char *name)
{
    for (size_t i = 0; i < fake->config_count; i++) {
        if (strcasecmp(fake->configs[i].name, name) == 0) {
            return &fake->configs[i];
        }
    }
    return NULL;
}

const char *fake_config_set(struct fake *fake, const char *name, const char *value)
{
    struct fake_config *config = find(fake, name);
    if (config == NULL) {
        return "-ERR unknown setting";
    }
    if ((config->flags & REDISMODULE_CONFIG_IMMUTABLE) != 0) {
        return "-ERR can't set immutable config";
    }
    const char *error = change(fake, config, value);
    return error == NULL ? "+OK" : error;
}

const char *fake_config_get(struct fake *fake, const char *name)
{
    struct fake_config *config = find(fake, name);
    hl_buf_clear(&fake->reply_text);
    if (config == NULL) {
        return "(null)";
    }
    if (config->kind == REDISMODULE_CONFIG_TYPE_STRING) {
        RedisModuleConfigGetStringFunc get = (RedisModuleConfigGetStringFunc)config->get;
        RedisModuleString *str = get(config->name, config->privdata);
        hl_buf_append_text(&fake->reply_text, str == NULL ? "" : str->ptr);
    } else if (config->kind == REDISMODULE_CONFIG_TYPE_NUMERIC) {
        RedisModuleConfigGetNumericFunc get = (RedisModuleConfigGetNumericFunc)config->get;
        hl_buf_printf(&fake->reply_text, "%lld", get(config->name, config->privdata));
    } else {
        RedisModuleConfigGetBoolFunc get = (RedisModuleConfigGetBoolFunc)config->get;
        int value = get(config->name, config->privdata);
        const char *word = value != 0 ? "yes" : "no";
        for (int i = 0; i < config->word_count; i++) {
            word = config->word_values[i] == value ? config->words[i] : word;
        }
        hl_buf_append_text(&fake->reply_text, word);
    }
    hl_buf_append_u8(&fake->reply_text, 0);
    return fake->reply_text.ptr;
}

void *fake_lookup_config(const char *name)
{
    static const struct fake_row rows[] = {
        FAKE_ROW(RegisterBoolConfig),   FAKE_ROW(RegisterNumericConfig),
        FAKE_ROW(RegisterStringConfig), FAKE_ROW(RegisterEnumConfig),
        FAKE_ROW(LoadConfigs),
    };
    return fake_find(rows, HL_ARRAY_LEN(rows), name);
}
