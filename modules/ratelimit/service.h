/* What other modules are offered (helios/ratelimit_service.h). */
#ifndef RATELIMIT_SERVICE_H
#define RATELIMIT_SERVICE_H

#include "helios/module.h"

#include <stdbool.h>

/* Offer it.  In OnLoad. */
void service_load(RedisModuleCtx *ctx);

/* Calls of all sets since the module was loaded that were allowed, or denied; from any thread. */
unsigned long long service_count(bool allowed);

#endif
