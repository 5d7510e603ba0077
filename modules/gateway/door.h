/* The ways from thread to thread: commands for the server, and work for the gateway's own thread.
 *
 *   D1  what was taken is run: work by the thread, calls by `done`, also when the door closes.
 *   D2  once closing has begun no thread is inside HeliosModule_Execute(), so the executor may end.
 */
#ifndef GATEWAY_DOOR_H
#define GATEWAY_DOOR_H

#include "helios/extensions.h"
#include "helios/module.h"

#include <stdbool.h>
#include <stdint.h>

/* Something to do on the gateway's thread; the caller's memory, until `run` is called. */
struct gw_work {
    struct gw_work *next;
    void (*run)(struct gw_work *work);
};

/* Start the thread.  In OnLoad; false, after logging why. */
bool gw_door_open(RedisModuleCtx *ctx);

/* No more calls: those under way are answered, then the thread does what it has and ends.  On the
 * server's thread. */
void gw_door_close(void);

/* Run it on the gateway's thread, in the order of posting.  Any thread.  False, with nothing taken,
 * when the thread has ended. */
bool gw_post(struct gw_work *work);

/* HeliosModule_Execute(); 0 also when the door closes (errno EPIPE). */
uint64_t gw_execute(const HeliosModuleExecuteRequest *request);

/* Counters of the executor, for INFO. */
HeliosModuleExecuteStats gw_execute_stats(void);

#endif
