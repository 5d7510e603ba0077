/* metrics: what the module tells of all queues together: worker_jobs_* and worker_job_queue_depth.
 */
#ifndef JOBS_METRICS_H
#define JOBS_METRICS_H

#include "helios/module.h"
#include "queue.h"

/* Define the families; in OnLoad only.  A server without metrics does without. */
void metrics_register(RedisModuleCtx *ctx);

/* Count what was decided here: how far a queue's counters moved. */
void metrics_count(const uint64_t before[JOBS_COUNTERS], const uint64_t after[JOBS_COUNTERS]);

#endif
