/* A key of the module's own, in database 0, whatever database the client has selected.
 *
 *   struct helios_home_key home = HeliosModule_OpenHome(ctx, "rbac:policy", 0);
 *   struct policy *policy = HeliosModule_HomeValue(&home, type);    // NULL: none of this type
 *   ...
 *   HeliosModule_CloseHome(&home);          // values that are not deleted live on
 */
#ifndef HELIOS_HOME_KEY_H
#define HELIOS_HOME_KEY_H

#include "helios/module.h"

#include <string.h>

struct helios_home_key {
    RedisModuleCtx *ctx;
    int db; /* what was selected */
    RedisModuleString *name;
    RedisModuleKey *key; /* NULL: absent, when opened for reading */
};

/* Open the key of a name (NUL-terminated), for reading, or for writing too; database 0 is selected
 * until it is closed. */
static inline struct helios_home_key HeliosModule_OpenHome(RedisModuleCtx *ctx, const char *name,
                                                           int write)
{
    struct helios_home_key home = {.ctx = ctx, .db = RedisModule_GetSelectedDb(ctx)};
    if (home.db != 0) {
        RedisModule_SelectDb(ctx, 0);
    }
    home.name = RedisModule_CreateString(ctx, name, strlen(name));
    home.key = RedisModule_OpenKey(ctx, home.name,
                                   write ? REDISMODULE_READ | REDISMODULE_WRITE : REDISMODULE_READ);
    return home;
}

/* Close it, and select what was selected before. */
static inline void HeliosModule_CloseHome(struct helios_home_key *home)
{
    if (home->key != NULL) {
        RedisModule_CloseKey(home->key);
    }
    RedisModule_FreeString(home->ctx, home->name);
    if (home->db != 0) {
        RedisModule_SelectDb(home->ctx, home->db);
    }
}

/* 1 when nothing is under the key. */
static inline int HeliosModule_HomeIsEmpty(const struct helios_home_key *home)
{
    return home->key == NULL || RedisModule_KeyType(home->key) == REDISMODULE_KEYTYPE_EMPTY;
}

/* The value under the key, borrowed; NULL when there is none, or one of another type. */
static inline void *HeliosModule_HomeValue(const struct helios_home_key *home,
                                           const RedisModuleType *type)
{
    if (HeliosModule_HomeIsEmpty(home) || RedisModule_ModuleTypeGetType(home->key) != type) {
        return NULL;
    }
    return RedisModule_ModuleTypeGetValue(home->key);
}

#endif
