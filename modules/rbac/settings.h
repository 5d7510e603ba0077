/* settings: what an operator may change, CONFIG SET rbac.<name>. */
#ifndef RBAC_SETTINGS_H
#define RBAC_SETTINGS_H

#include "helios/module.h"
#include "policy.h"

/* The role of users who were granted nothing; empty: none. */
struct hl_slice settings_default_role(void);

/* Whether ACL users are made and kept as the policy says. */
bool settings_bridge(void);

/* Register the settings and load what the configuration says; in OnLoad only.  REDISMODULE_ERR,
 * having logged why, when the server refuses. */
int settings_register(RedisModuleCtx *ctx);

/* Free what is lent to the server. */
void settings_end(void);

#endif
