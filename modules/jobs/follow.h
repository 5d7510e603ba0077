/* follow: clients that wait for news of a queue: the end of a job, or the next event. */
#ifndef JOBS_FOLLOW_H
#define JOBS_FOLLOW_H

#include "helios/module.h"
#include "queue.h"

/* The queue `name` of the selected database has changed: wake who waits for what it now has.
 * Costs nothing while nobody waits. */
void follow_changed(RedisModuleCtx *ctx, RedisModuleString *name, const struct jobs_queue *queue);

/* The key `name` of the selected database is gone: who waits for the end of a job in it waits for
 * nothing any more. */
void follow_gone(RedisModuleCtx *ctx, RedisModuleString *name);

/* The same of every key of a database, or of all databases when `db` is -1. */
void follow_flushed(int db);

/* How many clients wait for news now. */
int64_t follow_waiters(void);

#endif
