/* job: a delivery as JOB.PULL answers it. */
#ifndef HL_WORKER_JOB_H
#define HL_WORKER_JOB_H

#include "kit/num.h"
#include "worker/handler.h"

#include <hiredis/hiredis.h>

/* Read one element of JOB.PULL's array into `job`, which the caller ends with job_fini().  False,
 * with nothing to end, when something is missing or would not be safe in a header or a variable. */
bool job_read(const redisReply *reply, struct job *job);

/* Release the texts. */
void job_fini(struct job *job);

#endif
