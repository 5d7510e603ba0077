/* Forwarding: clients of a node that does not lead work as if they were connected to the leader
 * (PROTOCOL section 8).
 *
 * The node the client is connected to keeps a *line* for its session: the requests sent to the
 * leader and not yet answered.  The leader keeps a *guest* for each line: a session that runs these
 * requests in order, through the same admission, execution and gate as any other, and whose output
 * goes back to the line.  So MULTI, WATCH, blocking commands and SELECT behave as if connected
 * there.  Both ends are named by the line's handle, which is never used twice in a node's life.
 *
 * Messages (bodies of HL_FRAME_FORWARD and HL_FRAME_FORWARD_REPLY; little-endian; texts are u16
 * length and bytes):
 *
 *   to the leader     u8 1 REQUEST, u64 handle, u64 seq, u32 database, u8 protocol, u8 flags (1
 *                     disturbed, 2 trusted, 4 local),
 *                     text user, text client, text client session, u32 argc, argc times u32 length
 * and bytes u8 2 END, u64 handle: the client has gone to the client     u8 1 REPLY, u64 handle, u64
 * answered, u64 offset, u64 index, u32 database, u8 flags, text client session, bytes to the end:
 * output from `offset` on; requests up to `answered` are complete with it u8 2 REFUSED, u64 handle,
 * u64 seq: nothing from this request on was or will be executed u8 3 GONE, u64 handle: the guest
 * has ended, and what became of what it had been sent is not known
 *
 * Invariants:
 *   W1  a request is executed at most once: a guest takes seq 1, 2, 3 ... and nothing else.
 *   W2  replies reach the client whole and in order: a line takes output only at the offset where
 *       it has come to.  A gap in either direction ends the client's connection.
 *   W3  a request is sent to another leader only after a REFUSED said that it was not executed, or
 *       when it was never sent.
 *   W4  what waits is bounded: HL_FORWARD_WAITING_MAX bytes for each session, then its input rests.
 */
#ifndef HL_NODE_FORWARD_H
#define HL_NODE_FORWARD_H

#include "node/cluster.h"
#include "node/node.h"

#define HL_FORWARD_WAITING_MAX (1u << 20) /* bytes of requests that one session has under way */
#define HL_FORWARD_LINES_MAX (1u << 16)   /* of one node */
#define HL_FORWARD_REPLY_MAX (256u << 10) /* bytes of output in one message */
#define HL_FORWARD_LEADERLESS_MS 5000     /* that a request waits for a leader to be known */
#define HL_FORWARD_UNKNOWN_MS 5000 /* that a sent one waits for a leader that lost its office */

enum hl_forward_kind {
    HL_FORWARD_REQUEST = 1,
    HL_FORWARD_END,
};

enum hl_forward_answer {
    HL_FORWARD_REPLY = 1,
    HL_FORWARD_REFUSED,
    HL_FORWARD_GONE,
};

#define HL_FORWARD_STATEFUL (1u << 0) /* the guest is in MULTI or watches keys */
#define HL_FORWARD_IN_MULTI (1u << 1)
#define HL_FORWARD_CLOSE (1u << 2) /* close the client once this has left */

struct hl_forward_msg {
    enum hl_forward_kind kind;
    uint64_t handle;
    uint64_t seq;
    int db;
    int proto;
    struct hl_slice user, client;
    struct hl_slice once; /* id of the client session (once.h), or empty */
    bool local;           /* the client is on the machine of its node, which says so */
    bool disturbed;       /* what the session watched at another leader may have changed */
    bool trusted;         /* it has all rights, and no user */
    int argc;
    const struct hl_slice *argv;
};

struct hl_forward_reply {
    enum hl_forward_answer kind;
    uint64_t handle;
    uint64_t seq; /* answered up to here; REFUSED: from here on */
    uint64_t offset;
    struct hl_slice once; /* id of the client session */
    hl_index index;       /* the bytes tell of nothing later */
    int db;
    uint32_t flags; /* HL_FORWARD_* */
    struct hl_slice bytes;
};

/* Append a message.  Texts are at most UINT16_MAX bytes, arguments fewer than 4 GiB. */
void hl_forward_msg_encode(const struct hl_forward_msg *msg, struct hl_buf *out);

/* Read a message; its argv is an array of views into `body` that the caller frees with hl_free().
 * False, with nothing to free, unless it is well formed to its last byte. */
HL_MUST_USE bool hl_forward_msg_decode(struct hl_slice body, struct hl_forward_msg *out);

/* Append a message. */
void hl_forward_reply_encode(const struct hl_forward_reply *reply, struct hl_buf *out);

/* Read a message, of which `out` then holds views.  False unless it is well formed. */
HL_MUST_USE bool hl_forward_reply_decode(struct hl_slice body, struct hl_forward_reply *out);

/* Make what forwarding needs, before any session. */
void hl_forward_init(struct hl_node *node);

/* A FORWARD or FORWARD_REPLY frame of a member arrived. */
void hl_forward_on_frame(struct hl_node *node, hl_peer from, enum hl_wire_type type,
                         struct hl_slice body);

/* --- the node of the client ------------------------------------------------------------------- */

enum hl_forward_verdict {
    HL_FORWARD_LOCAL, /* this node runs it itself */
    HL_FORWARD_WAIT,  /* not before the requests under way are answered: postpone it */
    HL_FORWARD_SEND,  /* the leader runs it */
};

/* Where a request of this session belongs when this node does not lead, or did not a moment ago;
 * `cmd` is NULL for an unknown one. */
enum hl_forward_verdict hl_forward_verdict(const struct hl_node *node,
                                           const struct hl_session *session,
                                           const struct hl_command *cmd);

/* True while requests are under way. */
bool hl_forward_is_busy(const struct hl_session *session);

/* True when the newest request under way has not been sent to any leader. */
bool hl_forward_has_unsent(const struct hl_session *session);

/* True when this node decides whether a request that goes to the leader is admitted.  Otherwise the
 * leader does, so that an error comes in its place and spoils the transaction it is in. */
bool hl_forward_checks_here(const struct hl_session *session);

/* Put a request under way: copies it, sends it when a leader is known. */
void hl_forward_send(struct hl_node *node, struct hl_session *session, int argc,
                     const struct hl_slice *argv);

/* The session ends: so does its line.  Does nothing when it has none. */
void hl_forward_session_ended(struct hl_node *node, struct hl_session *session);

/* A message from the node that leads, or led. */
void hl_forward_on_reply(struct hl_node *node, hl_peer from, struct hl_slice body);

/* Another leader is known, or none, or this node leads now: what was not sent goes there. */
void hl_forward_leader_changed(struct hl_node *node);

/* --- the leader ------------------------------------------------------------------------------- */

/* A message from the node of a client. */
void hl_forward_on_message(struct hl_node *node, hl_peer from, struct hl_slice body);

/* This node leads no more: requests of guests that were not begun are refused. */
void hl_forward_deposed(struct hl_node *node);

/* True when every request that was taken from another node is answered. */
bool hl_forward_is_idle(const struct hl_node *node);

/* --- both ------------------------------------------------------------------------------------- */

/* Messages to and from a node may have been lost. */
void hl_forward_peer_lost(struct hl_node *node, hl_peer peer);

/* Send what guests have to say and go on with what they wait for: before an iteration ends. */
void hl_forward_pump(struct hl_node *node);

/* Give up what has waited too long. */
void hl_forward_cron(struct hl_node *node);

/* Release what forwarding holds; no session of a client is left. */
void hl_forward_fini(struct hl_node *node);

/* For INFO. */
struct hl_forward_stats {
    uint64_t lines, guests;                    /* now */
    uint64_t sent, received, refused, unknown; /* requests, since start */
};

/* What forwarding has done so far, and what it holds now. */
struct hl_forward_stats hl_forward_stats(const struct hl_node *node);

#endif
