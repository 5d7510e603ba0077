/* Session: one caller of commands and what is held back for it.
 *
 * A session is the part of a client that must be decided in pure code: identity, protocol, selected
 * database, transaction, watches, and the replies that wait for their entries (PROTOCOL section 3).
 * Sockets belong to the edge, which keeps a pointer to its own connection in `edge`.
 *
 * Invariants:
 *   S1  replies leave in the order of their requests: bytes past `open` never leave.
 *   S2  open only moves past a mark whose gate is committed.
 *   S3  the marks' ends never decrease along the queue, nor do the gates of one term.
 */
#ifndef HL_NODE_SESSION_H
#define HL_NODE_SESSION_H

#include "base/list.h"
#include "command/command.h"
#include "kit/bytes.h"
#include "node/once.h"
#include "resp/writer.h"

#include <stdbool.h>
#include <stdint.h>

struct hl_node;
struct hl_user;

/* Bits of hl_session.flags. */
#define HL_SESSION_AUTHENTICATED (1u << 0)
#define HL_SESSION_MULTI (1u << 1)       /* between MULTI and EXEC */
#define HL_SESSION_DIRTY_EXEC (1u << 2)  /* a queued command was refused: EXEC aborts */
#define HL_SESSION_DIRTY_CAS (1u << 3)   /* a watched key changed: EXEC answers null */
#define HL_SESSION_CLOSE_AFTER (1u << 4) /* close once everything produced has left */
#define HL_SESSION_CLOSE_NOW (1u << 5)   /* close at the end of the loop iteration */
#define HL_SESSION_MONITOR (1u << 6)
#define HL_SESSION_REPLY_OFF (1u << 7)
#define HL_SESSION_REPLY_SKIP (1u << 8) /* drop the reply of this command */
#define HL_SESSION_SKIP_NEXT (1u << 9)  /* CLIENT REPLY SKIP was just given */
#define HL_SESSION_BLOCKED (1u << 10)   /* waits for something; no input is taken */
#define HL_SESSION_POSTPONED (1u << 11) /* its next command waits: it is asked for again */
#define HL_SESSION_INTERNAL (1u << 12)  /* made by a module or the server: no socket */
#define HL_SESSION_NO_EVICT (1u << 13)
#define HL_SESSION_NO_TOUCH (1u << 14)
#define HL_SESSION_PUBSUB (1u << 15)
#define HL_SESSION_UNIX (1u << 16)
#define HL_SESSION_TLS (1u << 17)
#define HL_SESSION_WRITING (1u << 18) /* queued with the edge for output */
#define HL_SESSION_EXECUTING (1u << 19)
#define HL_SESSION_GUEST                                                                           \
    (1u << 20) /* runs what another node forwards for its client (forward.h)                       \
                */

#define HL_SESSION_LOCAL (1u << 21) /* its client is on the machine of the node it talks to */
#define HL_SESSION_ERRAND (1u << 22) /* runs what a module wants done for somebody (errand.h) */

/* Sessions that are nobody's connection to this node. */
#define HL_SESSION_HIDDEN (HL_SESSION_INTERNAL | HL_SESSION_GUEST | HL_SESSION_ERRAND)

/* A stretch of output that waits for an entry to commit. */
struct hl_gate_mark {
    size_t end;     /* offset into `out` just past the stretch */
    uint64_t gate;  /* may leave when the commit index has reached this */
    uint64_t read;  /* and when leadership was proved for reads of this id; 0: no need */
    uint64_t first; /* the first entry that made a part of it; 0: it only reads */
    uint64_t term;  /* in which it was executed */
};

/* A command queued by MULTI; owns its argument bytes in one block. */
struct hl_queued {
    struct hl_command *cmd; /* ask hl_txn_command(): it may have gone since */
    uint64_t epoch;         /* of the command table when `cmd` was found */
    int argc;
    struct hl_slice *argv;
};

/* A key watched by WATCH. */
struct hl_watch {
    struct hl_list_node by_key;     /* in the node's list for the key */
    struct hl_list_node by_session; /* in the session's list */
    struct hl_session *session;
    struct hl_watched_key *key;
    bool expired_at_watch;
};

/* What a blocked session waits for. */
struct hl_blocked {
    void *owner;         /* core/abi: the blocked client behind it; NULL otherwise */
    int64_t deadline_ms; /* wall clock; 0: never */
    bool unblockable;    /* CLIENT UNBLOCK may end it */
    /* Called on the loop when the wait must end: `reason` says why. */
    void (*end)(struct hl_node *node, struct hl_session *session, int reason);
};

#define HL_UNBLOCK_TIMEOUT 1
#define HL_UNBLOCK_ERROR 2
#define HL_UNBLOCK_CLOSED 3

/* What a client is told whose wait ends for HL_UNBLOCK_ERROR. */
#define HL_UNBLOCKED "UNBLOCKED client unblocked via CLIENT UNBLOCK"

/* Where a session's output and news go that has no connection to the edge. */
struct hl_session_port {
    void (*output)(void *ctx,
                   struct hl_session *session); /* as in struct hl_world; ctx: the node */
    void (*resume)(void *ctx, struct hl_session *session);
};

#define HL_LAST_NAME_MAX 16

struct hl_session {
    uint64_t id;
    uint32_t flags; /* HL_SESSION_* */
    int db;
    struct hl_writer writer; /* proto lives here; writes into `out` */
    struct hl_user *user;    /* whose rights the commands have; owned by the node's ACL */

    struct hl_buf out;          /* replies not yet taken by the edge */
    size_t open;                /* offset into `out`: what is before it may leave now (S2) */
    size_t left;                /* offset into `out`: what is before it has left; <= open */
    struct hl_gate_mark *marks; /* queue of what waits; marks[mark_first..mark_count) */
    uint32_t mark_first, mark_count, mark_cap;
    uint64_t mark_batch; /* the loop iteration that made the last mark: it may be extended */

    struct hl_queued *queued; /* of MULTI */
    int queued_count, queued_cap;
    size_t queued_bytes;
    struct hl_list_node watches; /* of struct hl_watch by_session */

    struct hl_blocked blocked;
    struct hl_command *last_cmd; /* for CLIENT LIST, and to save a lookup */
    uint64_t last_cmd_epoch;
    size_t last_name_len;             /* 0: its name alone does not find it again */
    char last_name[HL_LAST_NAME_MAX]; /* as the client spelled it */
    uint64_t last_gate; /* the newest entry that its commands made or waited for, unless undone */
    uint64_t told;      /* the newest change of users that an answer rested on (admin.h, M3) */
    uint64_t doomed;    /* its user is gone: it ends when this entry commits; 0: it has one (M2) */

    uint64_t read_id;       /* its next request waits for this proof; 0: for none */
    uint64_t read_since_us; /* how long */
    uint64_t read_shared;   /* the last proof that was asked for it ... */
    uint64_t read_upto;     /* ... when so much of its input had arrived; 0: it serves no other */
    bool own_consistency;   /* CLIENT CONSISTENCY: not the setting's */
    int consistency;        /* enum hl_consistency */
    uint64_t read_bound_us; /* of HL_READ_BOUNDED */
    uint64_t read_token;    /* of HL_READ_SESSION: an index */

    struct hl_list_node all;        /* in node->sessions */
    struct hl_list_node waiting;    /* in node->waiting while marks wait */
    struct hl_list_node monitoring; /* in node->monitors under MONITOR */
    struct hl_list_node postponed;  /* in node->postponed since it was HL_SESSION_POSTPONED */

    char *name, *lib_name, *lib_ver; /* NUL-terminated or NULL; owned */
    int64_t created_ms, last_ms;     /* wall clock */
    char *once_id;                   /* of CLIENT SESSION, or NULL; owned */
    size_t once_id_len;
    void *module_state; /* core/abi's, ended by node->hooks.session_ended */

    struct hl_line *line;               /* its requests to the leader (forward.h), or NULL */
    const struct hl_session_port *port; /* NULL: the edge's, which is struct hl_world */

    /* Told by the edge, for CLIENT LIST. */
    void *edge; /* or the port's own */
    char addr[64], laddr[64];
    int fd;
    size_t qbuf_len, qbuf_free, argv_len;
    uint64_t net_in, net_out;
    size_t behind; /* bytes of net_in that came behind the request it has executed */
};

/* The bytes that may leave now, in order; valid until the session next changes. */
struct hl_slice hl_session_output(const struct hl_session *session);

/* The edge took `len` bytes of hl_session_output(). */
void hl_session_taken(struct hl_session *session, size_t len);

/* Bytes held for the edge: those that may leave and those that wait. */
static inline size_t hl_session_held(const struct hl_session *session)
{
    return session->out.len - session->left;
}

/* The session has bytes that may leave, or a flag to close: its edge or port looks at it. */
void hl_session_tell_output(struct hl_node *node, struct hl_session *session);

/* The session takes input again. */
void hl_session_tell_resume(struct hl_node *node, struct hl_session *session);

/* Note that everything written to `out` so far, past the last mark, needs `gate` committed, and
 * leadership proved since now when `gate` is not 0. */
void hl_session_gate(struct hl_node *node, struct hl_session *session, uint64_t gate);

/* The same for what is known better: `need->end` is set here. */
void hl_session_hold(struct hl_node *node, struct hl_session *session,
                     const struct hl_gate_mark *need);

#endif
