/* What other modules are offered (helios/ratelimit_service.h). */
#ifndef RATELIMIT_SERVICE_H
#define RATELIMIT_SERVICE_H

#include "helios/module.h"

/* Offer it.  In OnLoad. */
void service_load(RedisModuleCtx *ctx);

#endif
