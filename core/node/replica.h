/* Replica: the part of a node that is one of a group (PROTOCOL sections 4, 6, 9, 10).
 *
 * What the files replica*.c share with the rest of core/node.  Invariants, beside N1..N4 of node.h:
 *   C1  node->last is X, the execution index; the log's end L is hl_wal_last().  X = L as soon as a
 *       leader executes; before, it `inherits`.
 *   C2  a node that does not lead executes nothing: its keyspace's `expiry` is never
 *       HL_EXPIRY_DELETE.
 *   C3  `proposed` is what raft knows of the log; it is behind L only in an iteration of a leader.
 *   C4  X > commit on a node that does not lead only for what it applied while it was elected.
 *   C5  `configs` ascend; the newest is in force whether it is committed or not.
 */
#ifndef HL_NODE_REPLICA_H
#define HL_NODE_REPLICA_H

#include "node/cluster.h"
#include "node/level.h"
#include "raft/raft.h"

#include <stdbool.h>

#define HL_SIZES_RING 8192  /* newest entries whose size is remembered */
#define HL_BACKLOG_RING 128 /* batches that wait for the quorum and are told apart */

struct hl_wire_entries;
struct hl_wal_entry;
struct hl_session;
struct hl_command;
struct hl_transfers;
struct hl_install;

/* Members as of an entry of the log; 0 is the founding, before there is one. */
struct hl_config_at {
    hl_index index;
    struct hl_members members;
};

/* A batch proposed and not yet committed. */
struct hl_backlog {
    hl_index last;
    uint64_t bytes; /* of entries, since start, up to and with this batch */
    uint64_t at_us;
};

/* The entry that this node cannot apply (stopped.c). */
struct hl_stop {
    hl_index index; /* 0: there is none */
    bool told;      /* it has stopped; otherwise the entry only waits for something busy */
    bool begun;     /* a part of the entry was applied: only making the state anew can go on */
    uint64_t since_us, retry_us, wait_us;
    char why[320]; /* one line */
};

struct hl_cluster {
    bool joins;      /* hl_node_join() */
    bool live;       /* raft runs */
    bool leads;      /* this node executes: it leads and hands over to nobody */
    bool prove;      /* reads need a proof of leadership: it is not the only voter */
    bool rebuilding; /* the state is made anew while raft runs */
    bool inherits;   /* elected, and not all of the log is applied: nothing is executed yet */
    bool removed;    /* from the group: it sends nothing and takes nothing from others any more */
    bool retires;    /* that was committed, and is carried out at the end of the iteration */
    bool handing;    /* leadership is being given away: nothing is executed meanwhile */
    hl_peer hand_to;
    uint64_t hand_until_us;
    hl_term term;         /* current */
    hl_peer known_leader; /* the last one that was not 0 */
    struct {
        hl_index index; /* 0: none is watched */
        uint64_t at_us;
    } watched;          /* the newest entry of a batch, whose commit is timed */
    hl_term own_record; /* in which this node, leading, made sure what the members say of it */
    hl_peer leader;
    hl_index proposed;            /* C3 */
    struct hl_config_at *configs; /* C5 */
    uint32_t config_count, config_cap;

    bool flush_due;
    bool flush_held; /* something for the peers waits for the next batch of the own log */
    uint64_t wake_us;
    bool save_waits, save_flies; /* a hard state is in the log's next batch, in the one in flight */
    hl_term save_term, flying_term;
    hl_peer save_vote, flying_vote;

    uint64_t read_next;   /* id that reads of this iteration carry */
    bool read_wanted;     /* some do */
    uint64_t read_proved; /* up to this id leadership was proved ... */
    hl_index read_index;  /* ... as of this commit index */
    uint64_t read_done;   /* and the commit index has reached it */
    uint64_t read_failed;
    uint64_t readers_due;
    uint32_t readers; /* sessions that wait for a proof before they read */

    struct hl_levels levels;
    struct {
        uint64_t at_us; /* 0: none waits */
        hl_index commit;
        hl_term term;
    } contact;                /* a leader's word that this node's state has yet to come up to */
    uint64_t contact_seen_us; /* the newest that was taken notice of */
    uint64_t fresh_us; /* the state holds all that was committed when a leader said so then */
    struct hl_stop stop;
    bool resign_due; /* raft must hear whether this node may lead */

    uint64_t epoch;         /* raised when state is discarded */
    uint64_t park_until_us; /* when those who wait for an earlier term are let go */
    struct hl_backlog backlog[HL_BACKLOG_RING];
    uint32_t backlog_first, backlog_count;
    uint64_t sealed_bytes; /* of entries, since start */
    struct hl_buf frame;   /* being made */
    struct {
        hl_peer peer;
        uint64_t incarnation;
    } heard[HL_MEMBERS_MAX]; /* the newest start of each peer that was heard of */
    uint32_t heard_next;
    struct hl_transfers *transfers; /* snapshots being sent, or NULL */
    struct hl_install *install;     /* the one being received, or NULL */
    bool install_due;               /* hl_install_tick() has something to do */
    uint64_t install_syncs;         /* asked for of world->file_sync() */
    uint64_t installs_refused, install_said_us;
    struct hl_errmsg install_trouble; /* why the last one was refused; "" once one is installed */
    uint32_t sizes[HL_SIZES_RING]; /* of entry i at i % HL_SIZES_RING, for L - HL_SIZES_RING < i */
    hl_index sizes_from;           /* the first one noted */
};

/* --- replica_config.c: members ---------------------------------------------------------------- */

/* What raft has to know of members. */
struct hl_raft_config hl_replica_config_of(const struct hl_members *members);

/* Members that the entry `index` names are in force from now on. */
void hl_replica_config_push(struct hl_node *node, hl_index index, const struct hl_members *members);

/* Entries from `index` on are gone: what they named is no longer in force. */
void hl_replica_config_drop_from(struct hl_node *node, hl_index index);

/* Forget those that nothing can bring back into force. */
void hl_replica_config_drop_old(struct hl_node *node);

/* The newest, or NULL. */
const struct hl_config_at *hl_replica_config_newest(const struct hl_node *node);

/* Is the newest configuration committed, without this node, which an earlier one had? */
bool hl_replica_config_removes(const struct hl_node *node);

/* This node was removed: write that down, and be silent from now on. */
void hl_replica_retire(struct hl_node *node);

/* Tell the edge who the members are. */
void hl_replica_config_changed(struct hl_node *node);

/* Once in a term that it leads: tell the members where this node is and how it is called, when they
 * know it by an older start, such as that of a server which was no member then. */
void hl_replica_config_correct(struct hl_node *node);

/* The members as a table of snapshots: `ctx` is the node. */
void hl_replica_config_save(void *ctx, struct hl_buf *out);

/* The other way.  HL_ECORRUPT, HL_EVERSION. */
HL_MUST_USE hl_err hl_replica_config_load(void *ctx, struct hl_slice contents,
                                          struct hl_errmsg *msg);

/* Read what hl_replica_config_save() wrote. */
HL_MUST_USE hl_err hl_replica_config_parse(struct hl_slice contents, struct hl_config_at *out,
                                           struct hl_errmsg *msg);

/* --- replica_wire.c: frames ------------------------------------------------------------------- */

/* Send a message of raft, with the entries that an APPEND takes. */
void hl_replica_send_message(struct hl_node *node, const struct hl_raft_msg *message);

/* hl_raft_start.fit: `ctx` is the node. */
hl_index hl_replica_fit(void *ctx, hl_index first, hl_index last);

/* --- replica.c: raft's events and duties ------------------------------------------------------ */

/* The log and the snapshot are open: learn who the members are.  Before replaying. */
HL_MUST_USE hl_err hl_replica_recover(struct hl_node *node, struct hl_errmsg *msg);

/* Is this node the only voter of its group? */
bool hl_replica_is_sole(const struct hl_node *node);

/* The state is loaded as far as it has to be: start raft. */
void hl_replica_start(struct hl_node *node);

/* Release what it holds. */
void hl_replica_fini(struct hl_node *node);

/* The end of an iteration: propose, confirm reads, apply, send. */
void hl_replica_end(struct hl_node *node);

/* A batch was taken from the log, for the first time if it has to be tried again. */
void hl_replica_batch_taken(struct hl_node *node);

/* A batch is on the disk. */
void hl_replica_batch_done(struct hl_node *node);

/* Note the size of the entry just appended. */
static inline void hl_replica_note_size(struct hl_cluster *cluster, hl_index index, size_t len)
{
    cluster->sizes[index % HL_SIZES_RING] = (uint32_t)len;
    cluster->sealed_bytes += len;
}

/* Step raft and do what it asks.  `entries` are those of a message, or NULL.  HL_EBUSY and
 * HL_EINVAL as hl_raft_step(), after which nothing has changed. */
hl_err hl_replica_step(struct hl_node *node, struct hl_raft_event *event,
                       struct hl_wire_entries *entries);

/* Propose what waits, so that raft knows the whole log. */
void hl_replica_propose(struct hl_node *node);

/* Change the members: appends the CFG entry and returns HL_OK, or says why not.  This node leads
 * and no entry is being built. */
HL_MUST_USE hl_err hl_replica_configure(struct hl_node *node, const struct hl_members *members,
                                        struct hl_errmsg *msg);

/* Give leadership to `peer` (0: the most caught-up voter): nothing is executed until all that was
 * executed is committed and somebody else leads, or a time limit passes.  As hl_raft_step(). */
HL_MUST_USE hl_err hl_replica_hand_over(struct hl_node *node, hl_peer peer);

/* Leadership was not given away after all: execute again, if it is still ours. */
void hl_replica_resume_leading(struct hl_node *node);

/* Is what was executed and not committed as much, or as old, as it may be? */
bool hl_replica_is_crowded(const struct hl_node *node);

/* The log before a new snapshot has gone: raft need not know it any more. */
void hl_replica_compacted(struct hl_node *node);

/* The members as of an entry, and which entry named them. */
const struct hl_config_at *hl_replica_config_at(const struct hl_node *node, hl_index index);

/* The term of a committed or appended entry; false when the log no longer tells. */
bool hl_replica_term_at(const struct hl_node *node, hl_index index, hl_term *term);

/* Encode and send a frame whose body `fill` appends. */
void hl_replica_send(struct hl_node *node, hl_peer to, enum hl_peer_class peer_class,
                     enum hl_wire_type type, void (*fill)(struct hl_buf *out, const void *arg),
                     const void *arg);

/* The id that a read executed now must see confirmed: 0 when none is needed. */
uint64_t hl_replica_read(struct hl_node *node);

/* --- readers.c: reads on a node that does not lead -------------------------------------------- */

/* Must this command wait until the leader has confirmed that this node is up to date?  Then it is
 * postponed.  Not for longer than a named time: then hl_admit() refuses it. */
bool hl_replica_postpones(struct hl_node *node, struct hl_session *session,
                          const struct hl_command *cmd);

/* What the session's reads may see on a node that follows. */
enum hl_consistency hl_session_consistency(const struct hl_node *node,
                                           const struct hl_session *session);

/* The session's read waits no longer, and the next one needs a proof of its own. */
void hl_replica_forget_reader(struct hl_node *node, struct hl_session *session);

/* The iteration ends: those whose reads may go on are asked again. */
void hl_readers_look(struct hl_node *node);

/* --- load.c: state that follows the log ------------------------------------------------------- */

enum hl_applied {
    HL_APPLIED_ALL,     /* there is nothing more */
    HL_APPLIED_SOME,    /* go on */
    HL_APPLIED_STOPPED, /* an entry cannot be applied: this node must not lead */
};

/* Apply committed entries for about `budget_us`.  True when there is nothing more to apply. */
bool hl_replica_apply(struct hl_node *node, uint64_t budget_us);

/* The same with everything up to the log's end: before leading. */
HL_MUST_USE enum hl_applied hl_replica_apply_log(struct hl_node *node, uint64_t budget_us);

/* Entries from `index` on, which were executed, are gone: make the state anew from the snapshot and
 * the log, in slices by hl_replica_rebuild(). */
void hl_replica_discard(struct hl_node *node);

/* The same for another reason, which the caller tells. */
void hl_replica_make_anew(struct hl_node *node);

/* The next slice of making the state anew; true when it is done. */
bool hl_replica_rebuild(struct hl_node *node, uint64_t budget_us);

/* --- stopped.c: an entry that cannot be applied ----------------------------------------------- */

/* The entry behind X cannot be applied now, for the reason `why`; `begun` when a part of it was. */
void hl_stop_note(struct hl_node *node, hl_err err, bool begun, const char *why);

/* False while it is too early to try that entry again. */
bool hl_stop_may_try(const struct hl_node *node);

/* When to try it again; 0: at once. */
uint64_t hl_stop_wake_us(const struct hl_node *node);

/* The entry was applied, or is gone. */
void hl_stop_passed(struct hl_node *node);

/* Tell raft whether this node may lead, when that has changed. */
void hl_stop_resign(struct hl_node *node);

/* --- transfer.c, install.c: snapshots to and from peers ----------------------------------------
 */

/* Send the base snapshot to the peer, unless that is being done. */
void hl_transfer_start(struct hl_node *node, hl_peer to);

/* The peer answered. */
void hl_transfer_reply(struct hl_node *node, const struct hl_wire_frame *frame);

/* The connection to the peer broke: go on from what it has confirmed. */
void hl_transfer_lost(struct hl_node *node, hl_peer peer);

/* Send again what got lost, give up on those that are silent. */
void hl_transfers_tick(struct hl_node *node);

/* When hl_transfers_tick() has something to do. */
uint64_t hl_transfers_wake_us(const struct hl_node *node);

/* Stop sending. */
void hl_transfers_fini(struct hl_node *node);

/* A piece of a snapshot arrived. */
void hl_install_chunk(struct hl_node *node, const struct hl_wire_frame *frame);

/* The state was made anew; if a snapshot was installed so, tell its sender. */
void hl_install_done(struct hl_node *node);

/* Go on with a snapshot that was received wholly. */
void hl_install_tick(struct hl_node *node);

/* Forget what is being received. */
void hl_install_fini(struct hl_node *node);

/* --- depose.c: those who wait when leadership is lost ----------------------------------------- */

/* This node no longer leads: reads that wait are redirected, writes are parked. */
void hl_replica_depose(struct hl_node *node);

/* What becomes of a stretch of output that an earlier term left behind. */
enum hl_parked {
    HL_PARKED_WAITS,   /* its fate is not known yet */
    HL_PARKED_HOLDS,   /* its entries are committed: it may leave */
    HL_PARKED_UNDONE,  /* none of its entries ever will be: it was replaced by errors that say so */
    HL_PARKED_UNKNOWN, /* nobody can tell: the session is closed */
};

/* The fate of mark `at` of the session, which an earlier term left. */
enum hl_parked hl_parked_fate(struct hl_node *node, struct hl_session *session, uint32_t at);

/* Close the sessions that have waited for too long. */
void hl_parked_cron(struct hl_node *node);

#endif
