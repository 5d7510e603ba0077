/* Commands that a node has the leader run, because it may not write itself: nobody waits for their
 * answers, and one that is lost is lost.
 */
#ifndef AUTH_LEADER_H
#define AUTH_LEADER_H

#include "helios/module.h"

#include <stdbool.h>

#define LEADER_WORDS_MAX 4

/* Run the command of `count` words, 1 to LEADER_WORDS_MAX, on whichever node leads; on a server
 * that cannot pass it on, only when that is this node. */
void leader_run(RedisModuleCtx *ctx, const char *const *words, size_t count);

/* In OnLoad, behind HeliosModule_LookUp(). */
void leader_load(RedisModuleCtx *ctx);

/* The end of leader_load(). */
void leader_unload(void);

#endif
