/* The functions that auth offers to other modules. */
#ifndef AUTH_SERVICE_H
#define AUTH_SERVICE_H

#include "helios/module.h"

/* Offer them, where the server lets modules share functions; logs when it does not.  In OnLoad
 * only. */
void service_load(RedisModuleCtx *ctx);

#endif
