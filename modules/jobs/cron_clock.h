/* cron_clock: when an expression fires next by the clocks of a named zone, whose files are read
 * from the machine.  Only a node that decides asks: what it answers travels as a number.
 */
#ifndef JOBS_CRON_CLOCK_H
#define JOBS_CRON_CLOCK_H

#include "cron_expr.h"
#include "helios/module.h"

/* The zone of that name (empty and "UTC": *zone is NULL), borrowed until the next call; a file that
 * changed is read again.  HL_OK; HL_ENOENT when there is none, HL_EINVAL for a name that none can
 * have, HL_ECORRUPT when its file is no zone. */
HL_MUST_USE hl_err cron_clock_zone(struct hl_slice name, const struct cron_zone **zone);

/* jobs_env.cron_next: the first firing after `after_ms`, in milliseconds; 0 for none, also when
 * expression or zone cannot be read, which is logged.  `ctx` is the RedisModuleCtx, or NULL. */
int64_t cron_clock_next(void *ctx, struct hl_slice cron, struct hl_slice zone, int64_t after_ms);

/* Forget all zones. */
void cron_clock_fini(void);

#endif
