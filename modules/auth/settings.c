/* Settings: one table for numbers, one for texts, and the callbacks that the server wants. */
#include "settings.h"

#include "pool.h"

#include "kit/assert.h"
#include "kit/num.h"

#include <stdio.h>

#define DAY_S 86400LL

static struct settings current;
static RedisModuleString *shown[6]; /* what the text getters lend to the server */

static const struct number {
    const char *name;
    long long *value;
    long long initial, min, max;
    unsigned flags;
} numbers[] = {
    {"token-ttl", &current.token_ttl_s, 900, 1, DAY_S, 0},
    {"refresh-ttl", &current.refresh_ttl_s, 7 * DAY_S, 1, 366 * DAY_S, 0},
    {"refresh-leeway", &current.refresh_leeway_s, 10, 0, 60, 0},
    {"clock-skew", &current.clock_skew_s, 30, 0, TOKEN_SKEW_MAX_S, 0},
    {"bcrypt-cost", &current.bcrypt_cost, 10, PASSWORD_COST_MIN, PASSWORD_COST_MAX, 0},
    {"max-sessions", &current.max_sessions, 16, 1, RECORD_SESSIONS_MAX, 0},
    {"max-api-keys", &current.max_api_keys, 1000, 1, 100000, 0},
    {"key-publish", &current.key_publish_s, 300, 0, 30 * DAY_S, 0},
    {"key-lifetime", &current.key_lifetime_s, 0, 0, 3660 * DAY_S, 0},
    {"audit-max", &current.audit_max, 10000, 0, 1000000, 0},
    {"password-min", &current.password_min, PASSWORD_LEN_MIN, PASSWORD_LEN_MIN, PASSWORD_LEN_MAX,
     0},
    {"password-history", &current.password_history, 3, 0, RECORD_HISTORY_MAX, 0},
    {"threads", &current.threads, 2, 1, POOL_THREADS_MAX, REDISMODULE_CONFIG_IMMUTABLE},
    {"queue-max", &current.queue_max, 64, 1, POOL_QUEUE_MAX, 0},
    {"hash-timeout", &current.hash_timeout_s, 10, 1, 300, 0},
    {"lockout-threshold", &current.lockout_threshold, 5, 1, LOCKOUT_THRESHOLD_MAX / 10, 0},
    {"lockout-base", &current.lockout_base_s, 1, 1, DAY_S, 0},
    {"lockout-max", &current.lockout_max_s, 900, 1, DAY_S, 0},
    {"lockout-forget", &current.lockout_forget_s, 900, 1, DAY_S, 0},
};

static const struct text {
    const char *name;
    char *value;
    size_t cap;
    const char *initial;
    unsigned flags;
} texts[] = {
    {"issuer", current.issuer, sizeof current.issuer, "helios", 0},
    {"audience", current.audience, sizeof current.audience, "helios", 0},
    {"kek-file", current.kek_file, sizeof current.kek_file, "auth.kek",
     REDISMODULE_CONFIG_IMMUTABLE},
    {"bootstrap-file", current.bootstrap_file, sizeof current.bootstrap_file, "auth.bootstrap",
     REDISMODULE_CONFIG_IMMUTABLE},
    {"admin-password-file", current.admin_password_file, sizeof current.admin_password_file, "",
     REDISMODULE_CONFIG_IMMUTABLE},
    {"password-deny-file", current.password_deny_file, sizeof current.password_deny_file, "",
     REDISMODULE_CONFIG_IMMUTABLE},
};
HL_STATIC(HL_ARRAY_LEN(texts) == HL_ARRAY_LEN(shown));

const struct settings *settings(void)
{
    return &current;
}

static long long get_number(const char *name, void *data)
{
    (void)name;
    const struct number *number = data;
    return *number->value;
}

static int set_number(const char *name, long long value, void *data, RedisModuleString **err)
{
    (void)name;
    (void)err; /* the server checked the range */
    const struct number *number = data;
    *number->value = value;
    return REDISMODULE_OK;
}

static int get_flag(const char *name, void *data)
{
    (void)name;
    return *(int *)data;
}

static int set_flag(const char *name, int value, void *data, RedisModuleString **err)
{
    (void)name;
    (void)err;
    *(int *)data = value;
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

/* Take a text of at most cap - 1 printable ASCII characters; none only where none is the default.
 */
static bool take_text(const struct text *text, RedisModuleString *value)
{
    size_t len = 0;
    const char *bytes = RedisModule_StringPtrLen(value, &len);
    if ((len == 0 && *text->initial != '\0') || len >= text->cap) {
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
    const struct text *text = data;
    if (!take_text(text, value)) {
        static const char why[] = "must be printable ASCII, not empty and not so long";
        *err = RedisModule_CreateString(NULL, why, sizeof why - 1);
        return REDISMODULE_ERR;
    }
    return REDISMODULE_OK;
}

static bool register_all(RedisModuleCtx *ctx)
{
    static const char *algorithms[] = {"ES256", "EdDSA", "HS256"};
    static const int values[] = {JWS_ES256, JWS_EDDSA, JWS_HS256};
    bool good = true;
    for (size_t i = 0; i < HL_ARRAY_LEN(numbers); i++) {
        const struct number *n = &numbers[i];
        good = good && RedisModule_RegisterNumericConfig(ctx, n->name, n->initial, n->flags, n->min,
                                                         n->max, get_number, set_number, NULL,
                                                         (void *)n) == REDISMODULE_OK;
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(texts); i++) {
        const struct text *t = &texts[i];
        good =
            good && RedisModule_RegisterStringConfig(ctx, t->name, t->initial, t->flags, get_text,
                                                     set_text, NULL, (void *)t) == REDISMODULE_OK;
    }
    good = good &&
           RedisModule_RegisterBoolConfig(ctx, "acl-login", 0, REDISMODULE_CONFIG_DEFAULT, get_flag,
                                          set_flag, NULL, &current.acl_login) == REDISMODULE_OK;
    good = good && RedisModule_RegisterEnumConfig(
                       ctx, "algorithm", JWS_ES256, REDISMODULE_CONFIG_DEFAULT, algorithms, values,
                       3, get_flag, set_flag, NULL, &current.algorithm) == REDISMODULE_OK;
    return good;
}

/* The defaults, for a server without module settings. */
static void take_defaults(void)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(numbers); i++) {
        *numbers[i].value = numbers[i].initial;
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(texts); i++) {
        memcpy(texts[i].value, texts[i].initial, strlen(texts[i].initial) + 1);
    }
    current.acl_login = 0;
    current.algorithm = JWS_ES256;
}

/* Take one pair of the module's arguments; false when there is no such setting or value. */
static bool take_argument(struct hl_slice name, RedisModuleString *value)
{
    struct hl_slice text = {0};
    enum jws_alg algorithm = JWS_ES256;
    text.ptr = RedisModule_StringPtrLen(value, &text.len);
    for (size_t i = 0; i < HL_ARRAY_LEN(numbers); i++) {
        int64_t number = 0;
        if (hl_slice_is(name, numbers[i].name)) {
            bool good =
                hl_parse_i64(text, &number) && number >= numbers[i].min && number <= numbers[i].max;
            *numbers[i].value = good ? number : *numbers[i].value;
            return good;
        }
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(texts); i++) {
        if (hl_slice_is(name, texts[i].name)) {
            return take_text(&texts[i], value);
        }
    }
    if (hl_slice_is(name, "acl-login")) {
        current.acl_login = hl_slice_is(text, "yes");
        return current.acl_login || hl_slice_is(text, "no");
    }
    if (hl_slice_is(name, "algorithm") && jws_alg_parse(text, &algorithm)) {
        current.algorithm = (int)algorithm;
        return true;
    }
    return false;
}

bool settings_load(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    take_defaults();
    if (RedisModule_RegisterNumericConfig == NULL || RedisModule_RegisterStringConfig == NULL ||
        RedisModule_RegisterBoolConfig == NULL || RedisModule_RegisterEnumConfig == NULL ||
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
                            "argument %d: the arguments are pairs of a setting's "
                            "name and its value",
                            i + 1);
            return false;
        }
    }
    return true;
}

void settings_unload(RedisModuleCtx *ctx)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(shown); i++) {
        if (shown[i] != NULL) {
            RedisModule_FreeString(ctx, shown[i]);
        }
        shown[i] = NULL;
    }
}

struct token_policy settings_policy(void)
{
    return (struct token_policy){current.issuer, current.audience, current.clock_skew_s};
}

struct lockout_policy settings_lockout(bool address)
{
    long long base_s = current.lockout_base_s < current.lockout_max_s ? current.lockout_base_s
                                                                      : current.lockout_max_s;
    return (struct lockout_policy){
        .threshold = (uint32_t)current.lockout_threshold * (address ? 10 : 1),
        .base_ms = base_s * 1000,
        .max_ms = current.lockout_max_s * 1000,
        .forget_ms = current.lockout_forget_s * 1000,
    };
}
