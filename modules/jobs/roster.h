/* roster: which keys are queues, and the one timer for all their deadlines.
 *
 * The roster holds names, not values: a name may by now be deleted, renamed or something else, so
 * whoever uses an entry opens the key and looks.  That makes it robust against everything that can
 * happen to keys; a forgotten entry costs lateness at worst, never a job, since every command on a
 * queue clears what is overdue.
 */
#ifndef JOBS_ROSTER_H
#define JOBS_ROSTER_H

#include "helios/module.h"
#include "queue.h"

/* Subscribe to what happens to keys and to the server; in OnLoad only. */
int roster_register(RedisModuleCtx *ctx);

/* Stop the timer and forget everything. */
void roster_fini(RedisModuleCtx *ctx);

/* The queue `name` of the selected database exists and has this deadline; arms the timer on a
 * master. */
void roster_note(RedisModuleCtx *ctx, RedisModuleString *name, const struct jobs_queue *queue);

/* The same while loading, where no timer can be armed: the end of loading does it. */
void roster_note_loaded(RedisModuleIO *io, const struct jobs_queue *queue);

/* Call `visit` with the queues of the selected database in the order of their names, beginning
 * after `after` (may be NULL), until it returns false.  `queue` is borrowed for the call. */
void roster_visit(RedisModuleCtx *ctx, RedisModuleString *after,
                  bool (*visit)(void *arg, struct hl_slice name, const struct jobs_queue *queue),
                  void *arg);

#endif
