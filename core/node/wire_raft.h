/* Messages of core/raft as bodies of frames.
 *
 *     0  1  type of the message (enum hl_raft_msg_type)
 *     1  1  flags: 1 reject, 2 transfer, 4 barred
 *     2  2  number of runs
 *     4 96  twelve u64: term, prev, prev_term, last, last_term, commit, round, match, hint,
 *           hint_term, read_id, read_index
 *   100  .  for each run: u64 from, u64 term
 *        .  in an APPEND, for each of prev + 1 .. last:
 *              0  4  length of the body      8  4  feature level    20  .  body
 *              4  1  type, then 3 zeros     12  8  log_time
 *
 * An entry's index is its place, its term that of the run it lies in.
 */
#ifndef HL_NODE_WIRE_RAFT_H
#define HL_NODE_WIRE_RAFT_H

#include "node/cursor.h"
#include "node/wire.h"
#include "raft/raft.h"
#include "wal/codec.h"

#define HL_WIRE_ENTRIES_MAX                                                                        \
    (1u << 20)                  /* of one APPEND: bytes of their bodies, unless it is one          \
                                 */
#define HL_WIRE_ENTRY_HEADER 20 /* bytes before the body of an entry */

/* Append the message up to its entries. */
void hl_wire_raft_encode(const struct hl_raft_msg *msg, struct hl_buf *out);

/* Append the next entry of an APPEND: those of prev + 1 .. last must follow in order. */
void hl_wire_entry_encode(const struct hl_wal_entry *entry, struct hl_buf *out);

/* The entries of an APPEND, one after the other.  Fields are private. */
struct hl_wire_entries {
    struct hl_cursor in;
    const struct hl_raft_msg *msg;
    hl_index next;
    uint32_t run;
};

/* Read a message; `config` and `config_index` are left zero.  *entries walks over its entries, and
 * borrows `out` and `body`.  *cfg is the index of the only CFG entry among them, 0: none.  False,
 * with nothing to be used, unless the body is well formed to its last byte: then the runs ascend
 * and cover prev + 1 .. last, and at most one entry is a CFG. */
HL_MUST_USE bool hl_wire_raft_decode(const struct hl_wire_frame *frame, struct hl_raft_msg *out,
                                     struct hl_wire_entries *entries, hl_index *cfg);

/* The next entry, its body a view into the frame; false behind the last one. */
bool hl_wire_entry_next(struct hl_wire_entries *entries, struct hl_wal_entry *out);

#endif
