#include "settings.h"

#define DEFAULT_ROLE "user"

static struct {
    char role[POLICY_NAME_MAX + 1];
    int bridge;
    RedisModuleString *shown; /* what the getter lends to the server */
} current;

struct hl_slice settings_default_role(void)
{
    return hl_slice_of(current.role);
}

bool settings_bridge(void)
{
    return current.bridge != 0;
}

static RedisModuleString *get_role(const char *name, void *data)
{
    (void)name;
    (void)data;
    settings_end();
    current.shown = RedisModule_CreateString(NULL, current.role, strlen(current.role));
    return current.shown;
}

static int set_role(const char *name, RedisModuleString *value, void *data,
                    RedisModuleString **error)
{
    static const char why[] = "must be a role's name, or empty";
    (void)name;
    (void)data;
    struct hl_slice text;
    text.ptr = RedisModule_StringPtrLen(value, &text.len);
    if (text.len != 0 && !policy_name_valid(text, false)) {
        *error = RedisModule_CreateString(NULL, why, sizeof why - 1);
        return REDISMODULE_ERR;
    }
    memset(current.role, 0, sizeof current.role);
    memcpy(current.role, text.ptr, text.len);
    return REDISMODULE_OK;
}

static int get_bridge(const char *name, void *data)
{
    (void)name;
    (void)data;
    return current.bridge;
}

static int set_bridge(const char *name, int value, void *data, RedisModuleString **error)
{
    (void)name;
    (void)data;
    (void)error;
    current.bridge = value;
    return REDISMODULE_OK;
}

int settings_register(RedisModuleCtx *ctx)
{
    memcpy(current.role, DEFAULT_ROLE, sizeof DEFAULT_ROLE);
    current.bridge = 1;
    if (RedisModule_RegisterStringConfig == NULL || RedisModule_RegisterBoolConfig == NULL ||
        RedisModule_LoadConfigs == NULL) {
        return REDISMODULE_OK; /* a server older than 7.0: the defaults */
    }
    if (RedisModule_RegisterStringConfig(ctx, "default-role", DEFAULT_ROLE,
                                         REDISMODULE_CONFIG_DEFAULT, get_role, set_role, NULL,
                                         NULL) != REDISMODULE_OK ||
        RedisModule_RegisterBoolConfig(ctx, "acl-bridge", 1, REDISMODULE_CONFIG_IMMUTABLE,
                                       get_bridge, set_bridge, NULL, NULL) != REDISMODULE_OK ||
        RedisModule_LoadConfigs(ctx) != REDISMODULE_OK) {
        RedisModule_Log(ctx, "warning", "the configuration of rbac.* is refused");
        return REDISMODULE_ERR;
    }
    return REDISMODULE_OK;
}

void settings_end(void)
{
    if (current.shown != NULL) {
        RedisModule_FreeString(NULL, current.shown);
        current.shown = NULL;
    }
}
