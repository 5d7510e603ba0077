/* settings: what an operator may change, CONFIG SET ratelimit.<name>. */
#ifndef RATELIMIT_SETTINGS_H
#define RATELIMIT_SETTINGS_H

#include "helios/module.h"
#include "limit.h"

/* The limit of a call that names none, where no policy is called `default`. */
struct limit settings_default_limit(void);

/* Entries of the sketch of who asks most; 0: there is none. */
size_t settings_top_size(void);

/* Register the settings and load what the configuration says; in OnLoad only.  REDISMODULE_ERR,
 * having logged why, when the server refuses. */
int settings_register(RedisModuleCtx *ctx);

#endif
