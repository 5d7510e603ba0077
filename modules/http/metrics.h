/* What http counts, as metrics of the server: see sdk/include/helios/metrics.h. */
#ifndef HTTP_METRICS_H
#define HTTP_METRICS_H

#include "helios/http_service.h"
#include "helios/module.h"

/* Define them, in OnLoad; nothing happens where the server keeps none. */
void metrics_load(RedisModuleCtx *ctx);

/* An exchange is over; on http's thread. */
void metrics_exchange(const struct helios_http_done *done);

#endif
