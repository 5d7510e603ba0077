/* What the module does by itself, about once a second. */
#ifndef AUTH_TICK_H
#define AUTH_TICK_H

#include "helios/module.h"

/* Begin, where the server has a cron event.  In OnLoad only. */
void tick_load(RedisModuleCtx *ctx);

/* Stop.  In OnUnload only. */
void tick_unload(RedisModuleCtx *ctx);

#endif
