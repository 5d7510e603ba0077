/* Barrier: orders that every node must be able to carry out at the same place of the log, such as
 * loading a module (PROTOCOL section 10).
 *
 * A command that gives such an order calls hl_barrier_begin().  From then on the leader executes
 * nothing new; what it is asked waits, for HL_BARRIER_US at most:
 *
 *   DRAINING    until all that was executed is committed, and this node says yes to the question
 *   ASKING      until every member has said yes
 *               then the command runs again, with HL_CALL_BARRIER: one unit, one entry
 *   COMMITTING  until that entry is committed
 *
 * A member that cannot be reached, or has not been heard of for HL_BARRIER_SILENT elections, is
 * left out, as long as a majority of the voters has said yes: a machine that is down must not stop
 * the others for ever.  When it comes back and cannot carry the order out, it stops at the entry
 * (stopped.c).
 *
 * Invariants:
 *   B1  one order at a time.
 *   B2  the command runs at most once, and only while this node leads and X is committed.
 *   B3  nothing is logged unless the command itself succeeds.
 *
 * Messages: QUESTION u64 id, bytes; ANSWER u64 id, u8 enum hl_barrier_word, bytes: the answer, or
 * why not.
 */
#ifndef HL_NODE_BARRIER_H
#define HL_NODE_BARRIER_H

#include "command/command.h"
#include "node/wire.h"

struct hl_node;
struct hl_session;

#define HL_BARRIER_US 5000000     /* that others wait for an order */
#define HL_BARRIER_AGAIN_US 50000 /* between two questions to one that is busy, or lost the first  \
                                   */
#define HL_BARRIER_SILENT 2       /* election time-outs without a word: it is taken to be down */
#define HL_BARRIER_ANSWER_MAX 256 /* bytes of an answer */
#define HL_BARRIER_QUESTION_MAX 8192 /* bytes of a question */

/* A call that runs behind the barrier; beside the flags of command.h. */
#define HL_CALL_BARRIER (1u << 16)

enum hl_barrier_word {
    HL_BARRIER_YES = 1,
    HL_BARRIER_NO,
    HL_BARRIER_BUSY, /* not at the moment: ask again */
};

struct hl_barrier;

/*
 * The call gives an order: its session is blocked until the barrier is down, and then its command
 * runs again with HL_CALL_BARRIER.  Replies with an error instead when it cannot wait here, or
 * another order is being carried out.
 *
 * question  what node->hooks.asked is asked on every member; copied, HL_BARRIER_QUESTION_MAX bytes
 *           at most (asserted).
 */
void hl_barrier_begin(struct hl_call *call, struct hl_slice question);

/* The answers of the members that said yes, this node's first; valid while the command runs behind
 * the barrier. */
const struct hl_slice *hl_barrier_answers(const struct hl_node *node, uint32_t *count);

/* Must this request of the session wait for an order? */
bool hl_barrier_holds(const struct hl_node *node, const struct hl_session *session,
                      const struct hl_command *cmd);

/* Go on with the order, when there is one: before an iteration ends. */
void hl_barrier_look(struct hl_node *node);

/* When hl_barrier_look() has something to do, on the monotonic clock; UINT64_MAX: never. */
uint64_t hl_barrier_wake_us(const struct hl_node *node);

/* A QUESTION or an ANSWER arrived. */
void hl_barrier_on_frame(struct hl_node *node, const struct hl_wire_frame *frame);

/* This node leads no more: the order is off, unless its entry is in the log. */
void hl_barrier_deposed(struct hl_node *node);

/* Release what it holds. */
void hl_barrier_fini(struct hl_node *node);

#endif
