/* bound: leases that end with the connection that holds them.
 *
 * Which connection holds which lease is known to the node that gave it out, for as long as that
 * node leads: it is no part of the state.  A lease whose connection nobody knows any more, after a
 * failover or MODULE RELOAD, ends by its time like any other, or is taken up again by the first
 * JOB.EXTEND or JOB.PROGRESS of its holder.
 */
#ifndef JOBS_BOUND_H
#define JOBS_BOUND_H

#include "world.h"

/* Subscribe to the end of connections; in OnLoad only. */
void bound_register(RedisModuleCtx *ctx);

/* Stop the timer and forget everything. */
void bound_fini(RedisModuleCtx *ctx);

/* Whether the running command's client is a connection whose end will be told. */
bool bound_is_possible(RedisModuleCtx *ctx);

/* The client that runs the command now holds the lease of job `seq`, a bound one. */
void bound_note(const struct work *work, uint64_t seq);

/* The holder of job `seq` has proved to be alive: when the lease is a bound one, it is this
 * client's from now on. */
void bound_renew(const struct work *work, uint64_t seq);

#endif
