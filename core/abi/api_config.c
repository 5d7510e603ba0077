/* Settings of modules: registered in OnLoad, then known to CONFIG and the configuration file. */
#include "abi/unit.h"
#include "kit/num.h"

#include <errno.h>
#include <stdio.h>

#define NAME_MAX_BYTES 128 /* of "module.setting" */
#define WORDS_MAX 1024     /* of one enum */
#define FLAGS_ALL                                                                                  \
    (REDISMODULE_CONFIG_IMMUTABLE | REDISMODULE_CONFIG_SENSITIVE | REDISMODULE_CONFIG_HIDDEN |     \
     REDISMODULE_CONFIG_PROTECTED | REDISMODULE_CONFIG_DENY_LOADING | REDISMODULE_CONFIG_MEMORY |  \
     REDISMODULE_CONFIG_BITFLAGS)

struct config {
    struct hl_list_node node; /* in abi->configs */
    struct hl_module *module;
    RedisModuleConfigType kind;
    char full[NAME_MAX_BYTES]; /* "module.setting" */
    const char *name;          /* the part behind the dot, as the module knows it */
    unsigned flags;
    long long min, max, initial;
    char *initial_text; /* of a string; NULL: none */
    char **words;
    int *values;
    int word_count;
    union {
        RedisModuleConfigGetStringFunc string;
        RedisModuleConfigGetNumericFunc number;
        RedisModuleConfigGetBoolFunc boolean; /* of enums too: the same type */
    } get;
    union {
        RedisModuleConfigSetStringFunc string;
        RedisModuleConfigSetNumericFunc number;
        RedisModuleConfigSetBoolFunc boolean;
    } set;
    RedisModuleConfigApplyFunc apply;
    void *privdata;
};

static void free_config(struct config *config)
{
    for (int i = 0; i < config->word_count; i++) {
        hl_free(config->words[i]);
    }
    hl_free(config->words);
    hl_free(config->values);
    hl_free(config->initial_text);
    hl_free(config);
}

/* ---- Reading and changing ---- */

static void get_value(void *ctx, struct hl_buf *out)
{
    struct config *config = ctx;
    char text[HL_I64_TEXT_MAX];
    const char *between = "";
    switch (config->kind) {
    case REDISMODULE_CONFIG_TYPE_STRING: {
        RedisModuleString *str = config->get.string(config->name, config->privdata);
        if (str != NULL) {
            hl_buf_append_slice(out, hl_string_slice(str));
        }
        return;
    }
    case REDISMODULE_CONFIG_TYPE_NUMERIC:
        hl_format_i64(text, config->get.number(config->name, config->privdata));
        hl_buf_append_text(out, text);
        return;
    case REDISMODULE_CONFIG_TYPE_BOOL:
        hl_buf_append_text(out, config->get.boolean(config->name, config->privdata) ? "yes" : "no");
        return;
    case REDISMODULE_CONFIG_TYPE_ENUM:
        break;
    }
    int value = config->get.boolean(config->name, config->privdata);
    bool several = (config->flags & REDISMODULE_CONFIG_BITFLAGS) != 0;
    for (int i = 0; i < config->word_count; i++) {
        int bits = config->values[i];
        if (value == bits || (several && bits != 0 && (value & bits) == bits)) {
            hl_buf_printf(out, "%s%s", between, config->words[i]);
            between = " ";
        }
    }
}

/* Read a number; false with the reason. */
static bool parse_number(const struct config *config, struct hl_slice text, long long *number,
                         struct hl_errmsg *msg)
{
    int64_t value = 0;
    bool memory = (config->flags & REDISMODULE_CONFIG_MEMORY) != 0;
    if (!(memory ? hl_parse_size(text, &value) : hl_parse_i64(text, &value))) {
        (void)hl_fail(msg, HL_EINVAL,
                      memory ? "argument must be a memory value"
                             : "argument couldn't be parsed into an integer");
        return false;
    }
    if (value < config->min || value > config->max) {
        (void)hl_fail(msg, HL_EINVAL, "argument must be between %lld and %lld inclusive",
                      config->min, config->max);
        return false;
    }
    *number = value;
    return true;
}

static int word_value(const struct config *config, struct hl_slice word, bool *known)
{
    for (int i = 0; i < config->word_count; i++) {
        if (hl_slice_is(word, config->words[i])) {
            *known = true;
            return config->values[i];
        }
    }
    *known = false;
    return 0;
}

/* Read a word, or several of a bit field; false with the reason. */
static bool parse_words(const struct config *config, struct hl_slice text, long long *number,
                        struct hl_errmsg *msg)
{
    bool known = false;
    int value = 0;
    bool several = (config->flags & REDISMODULE_CONFIG_BITFLAGS) != 0;
    size_t at = 0;
    do {
        size_t end = at;
        while (end < text.len && !(several && text.ptr[end] == ' ')) {
            end++;
        }
        value |= word_value(config, (struct hl_slice){text.ptr + at, end - at}, &known);
        at = end + 1;
    } while (known && at < text.len);
    if (known) {
        *number = value;
        return true;
    }
    struct hl_buf list = {0};
    for (int i = 0; i < config->word_count; i++) {
        hl_buf_printf(&list, "%s%s", i == 0 ? "" : ", ", config->words[i]);
    }
    (void)hl_fail(msg, HL_EINVAL, "argument(s) must be one of the following: %.*s", (int)list.len,
                  list.ptr);
    hl_buf_fini(&list);
    return false;
}

/* Hand a value to the module's setter: `text` for strings, `number` for the others. */
static hl_err hand_over(struct config *config, struct hl_slice text, long long number,
                        struct hl_errmsg *msg)
{
    RedisModuleString *err = NULL;
    int result = REDISMODULE_OK;
    hl_abi_enter(config->module->abi);
    switch (config->kind) {
    case REDISMODULE_CONFIG_TYPE_STRING: {
        RedisModuleString *str = hl_string_new(text);
        result = config->set.string(config->name, str, config->privdata, &err);
        hl_string_unref(str);
        break;
    }
    case REDISMODULE_CONFIG_TYPE_NUMERIC:
        result = config->set.number(config->name, number, config->privdata, &err);
        break;
    case REDISMODULE_CONFIG_TYPE_BOOL:
    case REDISMODULE_CONFIG_TYPE_ENUM:
        result = config->set.boolean(config->name, (int)number, config->privdata, &err);
        break;
    }
    hl_err outcome = HL_OK;
    if (result != REDISMODULE_OK) {
        outcome =
            hl_fail(msg, HL_EINVAL, "%s", err == NULL ? "the module refused the value" : err->ptr);
    }
    hl_string_unref(err);
    return outcome;
}

static hl_err set_value(void *ctx, struct hl_slice text, struct hl_errmsg *msg)
{
    struct config *config = ctx;
    long long number = 0;
    bool good = true;
    if (config->kind == REDISMODULE_CONFIG_TYPE_NUMERIC) {
        good = parse_number(config, text, &number, msg);
    } else if (config->kind == REDISMODULE_CONFIG_TYPE_ENUM) {
        good = parse_words(config, text, &number, msg);
    } else if (config->kind == REDISMODULE_CONFIG_TYPE_BOOL) {
        number = hl_slice_is(text, "yes");
        good = number || hl_slice_is(text, "no");
        if (!good) {
            (void)hl_fail(msg, HL_EINVAL, "argument must be 'yes' or 'no'");
        }
    }
    return good ? hand_over(config, text, number, msg) : HL_EINVAL;
}

static hl_err apply_value(void *ctx, struct hl_errmsg *msg)
{
    struct config *config = ctx;
    if (config->apply == NULL) {
        return HL_OK;
    }
    RedisModuleString *err = NULL;
    RedisModuleCtx module_ctx;
    hl_ctx_init(&module_ctx, config->module->abi, config->module);
    hl_frame_begin(&module_ctx);
    int result = config->apply(&module_ctx, config->privdata, &err);
    hl_ctx_fini(&module_ctx);
    (void)hl_frame_end(&module_ctx);
    hl_err outcome = HL_OK;
    if (result != REDISMODULE_OK) {
        outcome = hl_fail(msg, HL_EINVAL, "%s", err == NULL ? "the module refused" : err->ptr);
    }
    hl_string_unref(err);
    return outcome;
}

/* ---- Registering ---- */

static bool name_ok(const char *name)
{
    return name != NULL && name[0] != '\0' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
               strlen(name);
}

static struct config *find(struct hl_abi *abi, const char *full)
{
    HL_LIST_EACH(c, &abi->configs)
    {
        struct config *config = HL_LIST_ENTRY(c, struct config, node);
        if (hl_slice_is(hl_slice_of(full), config->full)) {
            return config;
        }
    }
    return NULL;
}

/* Begin a setting; NULL with errno when it cannot be. */
static struct config *begin(RedisModuleCtx *ctx, const char *name, RedisModuleConfigType kind,
                            unsigned flags, RedisModuleConfigApplyFunc apply, void *privdata)
{
    struct hl_module *module = ctx->module;
    if (module == NULL || !module->loading) {
        errno = EBUSY;
        return NULL;
    }
    bool memory_only =
        (flags & REDISMODULE_CONFIG_MEMORY) != 0 && kind != REDISMODULE_CONFIG_TYPE_NUMERIC;
    bool bits_only =
        (flags & REDISMODULE_CONFIG_BITFLAGS) != 0 && kind != REDISMODULE_CONFIG_TYPE_ENUM;
    char full[NAME_MAX_BYTES];
    if (!name_ok(name) || (flags & ~(unsigned)FLAGS_ALL) != 0 || memory_only || bits_only ||
        (size_t)snprintf(full, sizeof full, "%s.%s", module->name, name) >= sizeof full) {
        errno = EINVAL;
        return NULL;
    }
    if (find(ctx->abi, full) != NULL) {
        errno = EALREADY;
        return NULL;
    }
    struct config *config = hl_calloc(1, sizeof *config);
    config->module = module;
    config->kind = kind;
    memcpy(config->full, full, sizeof full);
    config->name = config->full + strlen(module->name) + 1;
    config->flags = flags;
    config->apply = apply;
    config->privdata = privdata;
    return config;
}

/* Make it known to CONFIG; the struct is ended when that fails. */
static int finish(struct config *config)
{
    struct hl_abi *abi = config->module->abi;
    const struct hl_abi_services *services = abi->services;
    struct hl_abi_config row = {
        .name = config->full,
        .immutable = (config->flags & REDISMODULE_CONFIG_IMMUTABLE) != 0,
        .secret = (config->flags & REDISMODULE_CONFIG_SENSITIVE) != 0,
        .ctx = config,
        .get = get_value,
        .set = set_value,
        .apply = apply_value,
    };
    if (services->config_add != NULL && services->config_add(services->ctx, &row) != HL_OK) {
        free_config(config);
        errno = EALREADY;
        return REDISMODULE_ERR;
    }
    hl_list_append(&abi->configs, &config->node);
    config->module->configs_pending = true;
    return REDISMODULE_OK;
}

int hl_rm_RegisterBoolConfig(RedisModuleCtx *ctx, const char *name, int default_val,
                             unsigned int flags, RedisModuleConfigGetBoolFunc getfn,
                             RedisModuleConfigSetBoolFunc setfn, RedisModuleConfigApplyFunc applyfn,
                             void *privdata)
{
    struct config *config =
        begin(ctx, name, REDISMODULE_CONFIG_TYPE_BOOL, flags, applyfn, privdata);
    if (config == NULL) {
        return REDISMODULE_ERR;
    }
    config->initial = default_val != 0;
    config->get.boolean = getfn;
    config->set.boolean = setfn;
    return finish(config);
}

int hl_rm_RegisterNumericConfig(RedisModuleCtx *ctx, const char *name, long long default_val,
                                unsigned int flags, long long min, long long max,
                                RedisModuleConfigGetNumericFunc getfn,
                                RedisModuleConfigSetNumericFunc setfn,
                                RedisModuleConfigApplyFunc applyfn, void *privdata)
{
    struct config *config =
        begin(ctx, name, REDISMODULE_CONFIG_TYPE_NUMERIC, flags, applyfn, privdata);
    if (config == NULL) {
        return REDISMODULE_ERR;
    }
    config->initial = default_val;
    config->min = min;
    config->max = max;
    config->get.number = getfn;
    config->set.number = setfn;
    return finish(config);
}

int hl_rm_RegisterStringConfig(RedisModuleCtx *ctx, const char *name, const char *default_val,
                               unsigned int flags, RedisModuleConfigGetStringFunc getfn,
                               RedisModuleConfigSetStringFunc setfn,
                               RedisModuleConfigApplyFunc applyfn, void *privdata)
{
    struct config *config =
        begin(ctx, name, REDISMODULE_CONFIG_TYPE_STRING, flags, applyfn, privdata);
    if (config == NULL) {
        return REDISMODULE_ERR;
    }
    config->initial_text =
        default_val == NULL ? NULL : hl_strndup(default_val, strlen(default_val));
    config->get.string = getfn;
    config->set.string = setfn;
    return finish(config);
}

int hl_rm_RegisterEnumConfig(RedisModuleCtx *ctx, const char *name, int default_val,
                             unsigned int flags, const char **enum_values, const int *int_values,
                             int num_enum_vals, RedisModuleConfigGetEnumFunc getfn,
                             RedisModuleConfigSetEnumFunc setfn, RedisModuleConfigApplyFunc applyfn,
                             void *privdata)
{
    if (num_enum_vals < 1 || num_enum_vals > WORDS_MAX) {
        errno = EINVAL;
        return REDISMODULE_ERR;
    }
    struct config *config =
        begin(ctx, name, REDISMODULE_CONFIG_TYPE_ENUM, flags, applyfn, privdata);
    if (config == NULL) {
        return REDISMODULE_ERR;
    }
    config->initial = default_val;
    config->words = hl_calloc((size_t)num_enum_vals, sizeof *config->words);
    config->values = hl_calloc((size_t)num_enum_vals, sizeof *config->values);
    config->word_count = num_enum_vals;
    for (int i = 0; i < num_enum_vals; i++) {
        config->words[i] = hl_strndup(enum_values[i], strlen(enum_values[i]));
        config->values[i] = int_values[i];
    }
    config->get.boolean = getfn;
    config->set.boolean = setfn;
    return finish(config);
}

/* ---- Loading values ---- */

/* The value that MODULE LOADEX gives, then the file's; false when neither has one. */
static bool given_value(const struct config *config, struct hl_buf *value)
{
    struct hl_abi *abi = config->module->abi;
    const struct hl_abi_services *services = abi->services;
    bool found = false;
    for (int i = 0; i < abi->setting_count; i++) { /* the last one counts */
        if (hl_slice_is(abi->settings[i].name, config->full)) {
            hl_buf_clear(value);
            hl_buf_append_slice(value, abi->settings[i].value);
            abi->settings_taken++;
            found = true;
        }
    }
    return found || (services->config_take != NULL &&
                     services->config_take(services->ctx, config->full, value));
}

static hl_err load_default(struct config *config, struct hl_errmsg *msg)
{
    if (config->kind == REDISMODULE_CONFIG_TYPE_STRING && config->initial_text == NULL) {
        return hand_over(config, (struct hl_slice){0}, 0, msg);
    }
    struct hl_slice text =
        config->initial_text == NULL ? (struct hl_slice){0} : hl_slice_of(config->initial_text);
    return hand_over(config, text, config->initial, msg);
}

static int load_all(RedisModuleCtx *ctx, bool defaults_only)
{
    if (ctx->module == NULL || !ctx->module->loading) {
        errno = EBUSY;
        return REDISMODULE_ERR;
    }
    HL_LIST_EACH(c, &ctx->abi->configs)
    {
        struct config *config = HL_LIST_ENTRY(c, struct config, node);
        if (config->module != ctx->module) {
            continue;
        }
        struct hl_buf value = {0};
        struct hl_errmsg msg = {{0}};
        bool given = !defaults_only && given_value(config, &value);
        hl_err err =
            given ? set_value(config, hl_buf_view(&value), &msg) : load_default(config, &msg);
        hl_buf_fini(&value);
        if (err == HL_OK) {
            err = apply_value(config, &msg);
        }
        if (err != HL_OK) {
            hl_rm_Log(ctx, "warning", "Issue during loading of configuration %s : %s", config->full,
                      msg.text);
            return REDISMODULE_ERR;
        }
    }
    if (!defaults_only) {
        ctx->module->configs_pending = false;
    }
    return REDISMODULE_OK;
}

int hl_rm_LoadConfigs(RedisModuleCtx *ctx)
{
    return load_all(ctx, false);
}

int hl_rm_LoadDefaultConfigs(RedisModuleCtx *ctx)
{
    return load_all(ctx, true);
}

void hl_config_save(const struct hl_module *module, struct hl_words *out)
{
    HL_LIST_EACH(c, &module->abi->configs)
    {
        struct config *config = HL_LIST_ENTRY(c, struct config, node);
        bool none = config->kind == REDISMODULE_CONFIG_TYPE_STRING &&
                    config->get.string(config->name, config->privdata) == NULL;
        if (config->module != module || none) {
            continue;
        }
        struct hl_buf value = {0};
        get_value(config, &value);
        hl_words_add(out, hl_slice_of(config->full));
        hl_words_add(out, hl_buf_view(&value));
        hl_buf_fini(&value);
    }
}

void hl_config_drop(struct hl_module *module)
{
    const struct hl_abi_services *services = module->abi->services;
    if (services->config_remove != NULL && module->name != NULL) {
        services->config_remove(services->ctx, module->name);
    }
    HL_LIST_EACH(c, &module->abi->configs)
    {
        struct config *config = HL_LIST_ENTRY(c, struct config, node);
        if (config->module == module) {
            hl_list_remove(c);
            free_config(config);
        }
    }
}
