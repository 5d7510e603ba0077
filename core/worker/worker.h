/* worker: takes jobs, gives each to a handler, and tells the server what came of it.
 *
 * A job is in a slot from the moment it is pulled until the server has answered its JOB.ACK or
 * JOB.NACK.  Its lease is extended after each third of its life; a lease that is lost, or that
 * could not be extended in time, stops the handler, since another worker may have the job by then.
 */
#ifndef HL_WORKER_WORKER_H
#define HL_WORKER_WORKER_H

#include "worker/options.h"

#include <uv.h>

#define WORKER_GOOD 0       /* ended in order */
#define WORKER_UNFINISHED 1 /* told to stop, and jobs were given back or left */
#define WORKER_FAILED 2     /* wrong use */
#define WORKER_UNWANTED 3   /* the server refused */

/* Work until told to stop by a signal, or as --once and --drain say.  `options` and `log` are
 * borrowed for the call.  Returns one of the statuses above, or WORKER_FAILED with the reason. */
int worker_run(const struct worker_options *options, struct hl_log *log, struct hl_errmsg *msg);

#endif
