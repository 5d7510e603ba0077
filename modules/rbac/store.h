/* store: the policy in the keyspace: `rbac:policy` in database 0, type hlrbacpol.
 *
 * Commands that change it replicate as they are: they depend on nothing but the policy.
 */
#ifndef RBAC_STORE_H
#define RBAC_STORE_H

#include "helios/module.h"
#include "policy.h"

/* Register the data type; in OnLoad only.  REDISMODULE_ERR, having logged why. */
int store_register(RedisModuleCtx *ctx);

/* The policy as it is; with no key the built-in roles.  Valid until the keyspace changes.  NULL
 * when the key holds something else, or, with `write`, when this node may not write. */
struct policy *store_policy(RedisModuleCtx *ctx, bool write);

/* The policy was changed: an empty one's key goes. */
void store_changed(RedisModuleCtx *ctx);

/* Put a policy, given as bytes of any kind, under a key; false when they are none. */
bool store_replace(RedisModuleCtx *ctx, RedisModuleString *name, struct hl_slice bytes);

/* Rises whenever a policy came, went or changed, for whatever reason. */
uint64_t store_changes(void);

/* Free what is kept for a keyspace without policy; at the end. */
void store_end(void);

#endif
