/* A health check: one connection, GET, 200 is well. */
#ifndef PROXY_PROBER_H
#define PROXY_PROBER_H

#include "fleet.h"

/* Begin a check of a backend that has none on its way; its verdict goes into backend->check. */
void prober_start(struct backend *backend);

/* End a check without verdict. */
void prober_cancel(struct prober *prober);

#endif
