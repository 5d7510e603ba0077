/* Forwarding: a client of a node that does not lead writes through it (PROTOCOL section 8).
 *
 * The request goes to the leader, where a session of its own acts for the client; its reply comes
 * back and is sent in its place.  MULTI and WATCH go there too, and everything after them until the
 * transaction is over, so that they behave as if the client were connected there.
 *
 * Invariants:
 *   O1  a client has at most one request under way; the next waits for its reply.
 *   O2  when the connection to the leader breaks while a request is under way, or while the leader
 *       holds state for the client, the client is closed: what became of it is unknown.
 *   O3  a request that could not be sent is refused as on a node that does not forward: definite.
 *   O4  a request is never forwarded twice: the leader's session runs it or refuses it.
 *   O5  a transaction is where it began: one that began here, when nobody could be asked, is
 *       refused here if it writes.
 */
#ifndef HL_SERVER_FORWARD_H
#define HL_SERVER_FORWARD_H

#include "server/cluster.h"
#include "server/conn.h"

/* Opaque: callers hold a pointer and never a field. */
struct hl_forward;

/* Make it; `server` is borrowed. */
struct hl_forward *hl_forward_create(struct hl_server *server);

/* End all sessions that act for others, and release it.  NULL is allowed. */
void hl_forward_destroy(struct hl_forward *forward);

/* Take a request to the leader, if that is where it belongs.  False: run it here. */
bool hl_forward_take(struct hl_forward *forward, struct hl_conn *conn, int argc,
                     const struct hl_slice *argv);

/* A FORWARD or FORWARD_REPLY frame arrived. */
void hl_forward_frame(struct hl_forward *forward, const struct hl_wire_frame *frame);

/* A connection for forwarding, to or from this node, broke. */
void hl_forward_lost(struct hl_forward *forward, hl_peer peer);

/* A client's connection ends. */
void hl_forward_client_gone(struct hl_forward *forward, struct hl_conn *conn);

/* world->output and world->resume for the session of a client elsewhere. */
void hl_forward_output(struct hl_session *session);

/* The same for world->resume. */
void hl_forward_resume(struct hl_session *session);

/* Before polling: send the replies that may leave. */
void hl_forward_flush(struct hl_forward *forward);

/* True when no request of another node's client is being answered. */
bool hl_forward_is_idle(const struct hl_forward *forward);

/* Append lines for INFO. */
void hl_forward_info(const struct hl_forward *forward, struct hl_buf *out);

#endif
