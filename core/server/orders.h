/* Orders to a cluster: adding, removing and promoting members, moving leadership.
 *
 * One order at a time; whoever gave it is blocked until it is done, failed or has taken too long.
 * The same order may be given again after a failure: what was done already is not done twice.
 */
#ifndef HL_SERVER_ORDERS_H
#define HL_SERVER_ORDERS_H

#include "server/cluster.h"

/* Opaque: callers hold a pointer and never a field. */
struct hl_orders;

/* Make it; `server` is borrowed. */
struct hl_orders *hl_orders_create(struct hl_server *server);

/* Release it.  NULL is allowed. */
void hl_orders_destroy(struct hl_orders *orders);

/* Before every poll: is the order done? */
void hl_orders_look(struct hl_orders *orders);

/* `hz` times a second: a leader makes learners voters that have caught up. */
void hl_orders_cron(struct hl_orders *orders);

/* What a node said that was asked for an order; `hello` is NULL when it did not answer, and `why`
 * says why.  False when no order asked for `name`. */
bool hl_orders_answer(struct hl_orders *orders, const char *name, const struct hl_wire_frame *frame,
                      const struct hl_hello *hello, const char *why);

/* RAFT.*, ADDPEER, REMOVEPEER, LISTPEERS. */
extern const struct hl_command_row hl_commands_raft[];
extern const size_t hl_commands_raft_count;

/* A node has connected and says where it is reached.  When it is a member that the leader's list
 * has elsewhere, the leader makes an entry of it, so that all learn it and keep it. */
void hl_orders_announced(struct hl_orders *orders, hl_peer from, const struct hl_hello *hello);

#endif
