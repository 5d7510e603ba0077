/* The configuration in the keyspace: `proxy:config` in database 0, type hlproxycf.
 *
 * Commands that change it replicate as they are: they depend on nothing but the configuration.
 */
#ifndef PROXY_STORE_H
#define PROXY_STORE_H

#include "config.h"

#include "helios/module.h"

struct proxy;

/* Register the data type, and watch for changes that no command of ours made; in OnLoad only.
 * False, having logged why. */
bool store_register(RedisModuleCtx *ctx);

/* The thread that shall work with the configuration; NULL for none. */
void store_serve(struct proxy *proxy);

/* The configuration as it is; with no key an empty one.  Valid until the keyspace changes.  NULL
 * when the key holds something else, or, with `write`, when this node may not write. */
struct config *store_config(RedisModuleCtx *ctx, bool write);

/* The configuration was changed by a command: replicate that, and hand it to the thread once it is
 * committed. */
void store_changed(RedisModuleCtx *ctx);

/* A command opened it for writing and changed nothing: the key of an empty one goes. */
void store_unchanged(RedisModuleCtx *ctx);

/* Put a configuration, given as bytes of any kind, under a key; false when they are none. */
bool store_replace(RedisModuleCtx *ctx, RedisModuleString *name, struct hl_slice bytes);

/* Free what is kept for a keyspace without configuration; at the end. */
void store_end(void);

#endif
