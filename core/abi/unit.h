/* Module code inside execution units, and what it says about the log: where core/abi meets
 * core/node.
 *
 *   U1  module code runs only while a unit is open: the command's, or one begun here.
 *   U2  what a module states (Replicate, ReplicateVerbatim, Call with "!") is recorded as it says.
 *   U3  closure: a key that it changed and no statement of the same frame covers is recorded as a
 *       value when the frame ends.  A frame is the outermost command of a module, a callback, or a
 *       locked section of a thread.
 */
#ifndef HL_ABI_UNIT_H
#define HL_ABI_UNIT_H

#include "abi/internal.h"
#include "node/node.h"

/* Enter module code in `ctx`: opens a unit when none is open, and a frame when none is open. */
void hl_frame_begin(RedisModuleCtx *ctx);

/* Leave it: the frame that was opened closes over its changes (U3), the unit that was opened ends.
 * Returns the gate that output of `ctx` must wait for; 0 when an outer unit will tell. */
uint64_t hl_frame_end(RedisModuleCtx *ctx);

/* True when module code may change the keyspace now: a leader, or the log being applied. */
bool hl_frame_may_write(const struct hl_abi *abi);

/* A key was changed in the running frame: it needs a statement, or closure. */
void hl_frame_changed(struct hl_abi *abi, int db, struct hl_slice key);

/* Record an effect that the module stated, and note the keys it covers. */
void hl_frame_state(struct hl_abi *abi, int db, int argc, const struct hl_slice *argv);

/* node->hooks.effect_muted: a command that ran without "!" would have recorded this. */
void hl_frame_muted(void *ctx, int db, int argc, const struct hl_slice *argv);

#endif
