/* Settings: one table for numbers, one for texts, and the callbacks that the server wants. */
#include "settings.h"

#include "kit/assert.h"
#include "kit/num.h"

#include <stdatomic.h>

static atomic_llong values[SETTING_COUNT];
static struct http_texts chosen;

static const struct number {
    const char *name;
    long long initial, min, max;
} numbers[SETTING_COUNT] = {
#define X(id, name, initial, min, max) [SETTING_##id] = {name, initial, min, max},
    HTTP_NUMBERS(X)
#undef X
};

static const struct text {
    const char *name;
    char *value;
    const char *initial;
} texts[] = {
    {"listen", chosen.listen, "127.0.0.1:8443"}, {"tls-listen", chosen.tls_listen, ""},
    {"tls-cert-file", chosen.tls_cert_file, ""}, {"tls-key-file", chosen.tls_key_file, ""},
    {"tls-ca-file", chosen.tls_ca_file, ""},     {"access-log", chosen.access_log, ""},
};
static RedisModuleString *shown[HL_ARRAY_LEN(texts)]; /* what the getter lends to the server */

int64_t setting(enum setting which)
{
    return atomic_load_explicit(&values[which], memory_order_relaxed);
}

const struct http_texts *settings_texts(void)
{
    return &chosen;
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

static RedisModuleString *get_text(const char *name, void *data)
{
    (void)name;
    const struct text *text = data;
    RedisModuleString **slot = &shown[text - texts];
    if (*slot != NULL) {
        RedisModule_FreeString(NULL, *slot);
    }
    *slot = RedisModule_CreateString(NULL, text->value, strlen(text->value));
    return *slot;
}

static bool take_text(const struct text *text, RedisModuleString *value)
{
    size_t len = 0;
    const char *bytes = RedisModule_StringPtrLen(value, &len);
    if (len > SETTINGS_TEXT_MAX) {
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

static bool register_all(RedisModuleCtx *ctx)
{
    bool good = true;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct number *n = &numbers[i];
        good = good && RedisModule_RegisterNumericConfig(
                           ctx, n->name, n->initial, REDISMODULE_CONFIG_DEFAULT, n->min, n->max,
                           get_number, set_number, NULL, (void *)n) == REDISMODULE_OK;
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(texts); i++) {
        const struct text *t = &texts[i];
        good = good && RedisModule_RegisterStringConfig(
                           ctx, t->name, t->initial, REDISMODULE_CONFIG_IMMUTABLE, get_text,
                           set_text, NULL, (void *)t) == REDISMODULE_OK;
    }
    return good;
}

/* Take one pair of the module's arguments; false when there is no such setting or value. */
static bool take_argument(struct hl_slice name, RedisModuleString *value)
{
    struct hl_slice text = {0};
    text.ptr = RedisModule_StringPtrLen(value, &text.len);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        int64_t number = 0;
        if (hl_slice_is(name, numbers[i].name)) {
            bool good =
                hl_parse_i64(text, &number) && number >= numbers[i].min && number <= numbers[i].max;
            if (good) {
                atomic_store(&values[i], number);
            }
            return good;
        }
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(texts); i++) {
        if (hl_slice_is(name, texts[i].name)) {
            return take_text(&texts[i], value);
        }
    }
    return false;
}

bool settings_load(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        atomic_store(&values[i], numbers[i].initial);
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(texts); i++) {
        memcpy(texts[i].value, texts[i].initial, strlen(texts[i].initial) + 1);
    }
    if (RedisModule_RegisterNumericConfig == NULL || RedisModule_RegisterStringConfig == NULL ||
        RedisModule_LoadConfigs == NULL) {
        RedisModule_Log(ctx, "notice", "the server has no module settings: give them as arguments");
    } else if (!register_all(ctx) || RedisModule_LoadConfigs(ctx) != REDISMODULE_OK) {
        RedisModule_Log(ctx, "warning", "a setting was refused");
        return false;
    }
    for (int i = 0; i < argc; i += 2) {
        struct hl_slice name = {0};
        name.ptr = RedisModule_StringPtrLen(argv[i], &name.len);
        if (i + 1 == argc || !take_argument(name, argv[i + 1])) {
            RedisModule_Log(ctx, "warning",
                            "argument %d: the arguments are pairs of a setting's name and its "
                            "value",
                            i + 1);
            return false;
        }
    }
    return true;
}

void settings_unload(void)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(shown); i++) {
        if (shown[i] != NULL) {
            RedisModule_FreeString(NULL, shown[i]);
        }
        shown[i] = NULL;
    }
}
