/* The node: keyspace, log, consensus and gate as one replicated state machine.
 *
 * Pure: it acts on the world only through struct hl_world.  The edge (core/server) drives it:
 *
 *     hl_node_create(), then hl_node_load_step() until it says it is done;
 *     each loop iteration: hl_node_begin(), any number of hl_node_execute(), then hl_node_end(),
 *     which seals the iteration's entries into a batch and asks the world to write it;
 *     when the log thread has written it: hl_node_log_done(), which releases what waited;
 *     hl_node_cron() about `hz` times a second.
 *
 * Invariants:
 *   N1  last is the execution index X; on a leader that executes commit <= last, and last is the
 *       log's end.
 *   N2  one execution unit makes at most one entry, and units never overlap.
 *   N3  bytes of a unit leave only when commit has reached its gate (gate.c).
 *   N4  an entry that cannot be applied is never skipped: the node stops there (stopped.c) rather
 *       than diverge, and when it is alone in its group it does not start.
 */
#ifndef HL_NODE_NODE_H
#define HL_NODE_NODE_H

#include "base/ids.h"
#include "base/list.h"
#include "base/rng.h"
#include "command/command.h"
#include "keyspace/dump.h"
#include "keyspace/keyspace.h"
#include "node/admin.h"
#include "node/history.h"
#include "node/keywait.h"
#include "node/once.h"
#include "node/replica.h"
#include "node/rpc_stats.h"
#include "node/scrub.h"
#include "node/session.h"
#include "node/tables.h"
#include "node/uptime.h"
#include "raft/raft.h"
#include "wal/wal.h"

struct hl_acl;
struct hl_slowlog;
struct hl_latency;
struct hl_watch_table;
struct hl_error_counts;
struct hl_forwarding;
struct hl_barrier;
struct hl_metric;

/* What the node asks of the machine, or of the simulator.  All functions are called on the loop
 * thread, and all are required but those that say so. */
struct hl_world {
    void *ctx;
    int64_t (*wall_us)(void *ctx);  /* microseconds since the epoch; may step */
    uint64_t (*mono_us)(void *ctx); /* microseconds of a clock that never steps */
    void (*entropy)(void *ctx, void *out, size_t len);
    /* A batch waits in the log: write it off the loop with hl_wal_batch_write(), then call
     * hl_node_log_done() on the loop.  There is one at a time, unless the world itself asked for
     * more with hl_wal_set_overlap().  `batch` is borrowed until then. */
    void (*log_write)(void *ctx, struct hl_wal_batch *batch);
    /* The session has bytes that may leave, or a flag to close: look at it before sleeping. */
    void (*output)(void *ctx, struct hl_session *session);
    /* The session takes input again (it was blocked or postponed). */
    void (*resume)(void *ctx, struct hl_session *session);
    /* Bytes the process has allocated, for maxmemory. */
    size_t (*memory_used)(void *ctx);
    /* The node cannot go on (N4, or the disk broke its promise): say why, loudly, and end. */
    void (*fatal)(void *ctx, const char *why) __attribute__((noreturn));
    /* One line of the log file: level 0 debug, 1 verbose, 2 notice, 3 warning. */
    void (*log)(void *ctx, int level, const char *line);
    /* Send a frame (node/wire.h) to a member over its connection of that class; borrowed for the
     * call.  Best effort: what is lost is sent again.  NULL: this node is always alone. */
    void (*send)(void *ctx, hl_peer to, enum hl_peer_class peer_class, struct hl_slice frame);
    /* Would a frame of that class to the member be sent now?  NULL: always. */
    bool (*reaches)(void *ctx, hl_peer to, enum hl_peer_class peer_class);
    /* The group has these members now, this node among them or not: keep connections to the others
     * and to nobody else.  Borrowed for the call.  NULL: this node is always alone. */
    void (*peers)(void *ctx, const struct hl_members *members);
    /* A new snapshot of this node would help another one: make one soon.  May be NULL. */
    void (*snapshot_wanted)(void *ctx);
    /* Values of shared settings may be others now: compare (admin.h).  May be NULL. */
    void (*settings_changed)(void *ctx);
    /* This node leads a group, in an open unit: put the shared settings that no entry named into
     * the log.  May be NULL. */
    void (*seed_settings)(void *ctx);
    /* Sync an open file of the disk off the loop, then call hl_node_file_synced() with `number` on
     * it; the file may be closed meanwhile.  NULL, or false when it cannot: the node does it. */
    bool (*file_sync)(void *ctx, int file, uint64_t number);
};

/* Settings that pure code needs; plain values that the edge changes at run time. */
struct hl_node_config {
    int databases;
    bool appendonly;  /* false: no log, nothing is gated, only snapshots remain */
    size_t maxmemory; /* 0: no limit */
    enum hl_evict_policy maxmemory_policy;
    int maxmemory_samples;
    int64_t slowlog_slower_than_us; /* negative: off */
    size_t slowlog_max_len;
    int64_t latency_threshold_ms; /* 0: off */
    bool latency_tracking;        /* per-command histograms */
    int hz;
    bool active_expire;             /* DEBUG SET-ACTIVE-EXPIRE */
    int active_expire_effort;       /* 1..10 */
    int64_t snapshot_interval_cmds; /* entries; 0: off */
    int64_t snapshot_interval_ms;   /* 0: off */
    size_t speculation_max;         /* uncommitted bytes before writes wait */
    size_t multi_queue_max;         /* bytes a MULTI may queue */
    size_t unit_max;                /* bytes of one unit's effects; 0: as many as an entry holds */
    uint32_t feature_level;         /* for tests: what this server understands; 0: what it does */
    bool stop_writes_unsaved;       /* without a log: refuse writes after a failed snapshot */
    bool users_from_files;          /* when it next leads, its files' users overrule the log */
    struct hl_cluster_config cluster;
};

struct hl_stats {
    uint64_t commands, connections, rejected_connections;
    uint64_t net_in, net_out;
    uint64_t evicted_keys, error_replies, unexpected_errors;
    uint64_t reads_processed, writes_processed;
    uint64_t forks, snapshots_saved, snapshots_failed;
    uint64_t expire_cycle_us, expire_stale_percent, expire_cap_reached;
    uint64_t entries, entry_bytes, batches; /* of the log, since start */
    uint64_t leader_changes;                /* times that another member led than was known last */
    int64_t last_fork_us;
    int64_t last_save_s; /* Unix time */
    int64_t save_started_ms, last_save_took_s;
    bool last_save_ok;
    uint64_t changes_since_save;
    size_t peak_memory, startup_memory;
    uint64_t ops_samples[16], in_samples[16], out_samples[16]; /* per second, for INFO */
    uint64_t sample_commands, sample_in, sample_out, sample_us;
    unsigned sample_at;
};

/* Why the log takes no writes at the moment. */
enum hl_log_state {
    HL_LOG_GOOD = 0,
    HL_LOG_FULL,   /* no space or descriptor: -MISCONF until a retry succeeds */
    HL_LOG_BROKEN, /* an fsync failed: the process is about to end */
};

/* What runs between hl_unit_begin() and hl_unit_end(). */
struct hl_unit {
    bool open;
    struct hl_buf *body; /* of the entry being built in the log's pending batch, or NULL */
    size_t body_start;   /* where it starts in there */
    uint32_t effects;
    bool verbatim; /* a planted fault: the command is recorded instead of its effects */
    bool made;     /* the unit that ended last made an entry */
    bool admin;    /* it changed users or shared settings (admin.h) */
    bool muted;    /* effects go to hooks.effect_muted instead of the entry (RM_Call without "!") */
};

/* What hooks.authenticate says of a login. */
enum hl_auth_answer {
    HL_AUTH_NEXT,     /* not its affair: look at the users */
    HL_AUTH_ACCEPTED, /* the session has its user */
    HL_AUTH_REFUSED,  /* the error was replied */
    HL_AUTH_LATER,    /* the session is blocked: its request will be run again */
};

/* Told to other layers of the core.  Any may be NULL. */
struct hl_node_hooks {
    void *ctx;
    void (*session_began)(void *ctx, struct hl_session *session); /* of a connection; its address
                                                                     is set */
    void (*session_ended)(void *ctx, struct hl_session *session);
    /* An execution unit is over; `changed` when it made an entry. */
    void (*unit_ended)(void *ctx, bool changed);
    /* What a muted part of the unit would have recorded. */
    void (*effect_muted)(void *ctx, int db, int argc, const struct hl_slice *argv);
    void (*notify)(void *ctx, uint32_t classes, const char *event, int db, struct hl_slice key);
    /* A command or a unit is about to end: what waited for that runs now, inside the unit. */
    void (*settle)(void *ctx);
    void (*key_ready)(void *ctx, int db, struct hl_slice key);
    void (*flushed)(void *ctx, int db, bool after); /* db -1: all */
    void (*swapped)(void *ctx, int a, int b);       /* two databases were exchanged */
    void (*loading)(void *ctx, bool ended);
    void (*snapshot_loaded)(void *ctx); /* all of it; the log behind it comes next */
    /* This node of several leads from now on, or does not any more. */
    void (*role_changed)(void *ctx, bool leads);
    /* What was executed after the commit index is undone. */
    void (*discarded)(void *ctx);
    void (*cron)(void *ctx);
    /* Could this node carry out the order that the question describes (barrier.h)?  HL_OK after
     * appending the answer, HL_EBUSY: not at the moment; any other error: no.  `why` says why. */
    hl_err (*asked)(void *ctx, struct hl_slice question, struct hl_buf *answer,
                    struct hl_errmsg *why);
    void (*list_modules)(void *ctx, struct hl_writer *out); /* one array, as MODULE LIST */
    /* Append modules' INFO sections: the named one ("module" or "module_section"), or all. */
    void (*info)(void *ctx, const struct hl_slice *section, struct hl_buf *out);
    /* Append "module:name=…" lines for INFO modules. */
    void (*info_modules)(void *ctx, const struct hl_slice *section, struct hl_buf *out);
    /* AUTH, or HELLO with AUTH: asked before the users are. */
    enum hl_auth_answer (*authenticate)(void *ctx, struct hl_call *call, struct hl_slice user,
                                        struct hl_slice password);
    /* May replace the request (command filters): sets *changed to other arguments, which live until
     * the next call, and returns their number. */
    int (*filter)(void *ctx, struct hl_session *session, int argc, const struct hl_slice *argv,
                  struct hl_slice **changed);
};

struct hl_node {
    const struct hl_world *world;
    struct hl_node_config config;
    struct hl_command_table *commands;
    struct hl_keyspace ks;
    struct hl_rng rng;
    struct hl_call_services services;
    struct hl_dump_modules modules;
    struct hl_node_hooks hooks;

    struct hl_wal *wal; /* NULL without a log */
    struct hl_raft raft;
    struct hl_wal_batch batches[HL_WAL_FLIGHTS_MAX]; /* a ring: in flight on the log thread */
    unsigned batch_oldest, batch_count;
    bool log_resting; /* the edge's: begin no batch, more entries are about to come */
    enum hl_log_state log_state;
    char log_full_why[96];          /* while HL_LOG_FULL, what the system said */
    uint64_t crowded_us;            /* since when writes wait for room in the log; 0: none does */
    hl_index last, commit, mingate; /* N1 */
    hl_index snapshot_index;        /* label of the base snapshot, 0: none */
    hl_term snapshot_term;
    struct hl_cluster cluster;
    struct hl_once_table once; /* requests of clients that are run once */
    struct hl_admin admin;
    struct hl_scrub scrub;
    struct hl_history history;
    struct hl_uptime uptime;
    struct hl_rpc_stats rpc;
    struct hl_unit unit;
    uint64_t iteration; /* counts hl_node_begin() */
    uint64_t mark_us;   /* when the last command ended: the next one's start */
    uint64_t begun_us;  /* when the iteration began, by the clock that never steps */

    int64_t now_us, now_ms, log_time_us; /* of this iteration; log_time never decreases */
    bool loading;
    bool applying; /* inside hl_node_apply() */
    struct hl_loader *loader;
    struct hl_snapshot_loader *snapshot_loader;
    uint64_t load_total, load_done; /* keys, then entries */
    struct hl_state_table tables[HL_STATE_TABLES_MAX];
    size_t table_count;
    struct hl_buf genesis[HL_STATE_TABLES_MAX]; /* what the first genesis_count held at first */
    size_t genesis_count;
    const struct hl_disk *snapshot_disk; /* of hl_node_load_from() */
    const char *snapshot_dir;

    struct hl_list_node sessions; /* all, oldest first */
    struct hl_list_node waiting;  /* those with marks */
    struct hl_list_node monitors;
    struct hl_list_node postponed; /* sessions that are, and some that were */
    uint64_t next_session_id, session_count, blocked_count;
    struct hl_session *current; /* whose command is running, or NULL */
    struct hl_acl *acl;
    struct hl_watch_table *watched;
    struct hl_key_waits key_waits;
    struct hl_forwarding *forwarding;
    struct hl_barrier *barrier; /* while an order is being carried out, or NULL */

    int64_t pause_until_ms;
    bool pause_all; /* false: writes only */

    struct hl_stats stats;
    struct hl_slowlog *slowlog;
    struct hl_latency *latency;
    struct hl_error_counts *errors;
    struct hl_metric *commit_seconds; /* the edge's: time that commits take; NULL: not wanted */
    unsigned char cluster_id[16];
    uint64_t node_id;
    char run_id[41];
};

/*
 * Make a node that has not loaded anything yet.
 *
 * world   borrowed until hl_node_destroy().
 * wal     borrowed; open and recovered, or NULL for `appendonly no`.
 * config  copied.
 *
 * Registers the commands of core/command and core/node.  Never fails but by aborting on no memory.
 */
struct hl_node *hl_node_create(const struct hl_world *world, struct hl_wal *wal,
                               const struct hl_node_config *config);

/* Release everything; sessions must have ended (asserted).  NULL is allowed. */
void hl_node_destroy(struct hl_node *node);

/* --- the loop --------------------------------------------------------------------------------- */

/* Start an iteration: reads the clocks once for everything in it. */
void hl_node_begin(struct hl_node *node);

/* End an iteration: proposes its entries and hands the log its batch when the log takes one. */
void hl_node_end(struct hl_node *node);

/* The oldest batch given to world->log_write() was written, or not: HL_EFULL keeps it to be
 * retried, HL_EIO is fatal.  Commits what became durable and releases what waited for it. */
void hl_node_log_done(struct hl_node *node, hl_err err, const char *why);

/* Periodic work: expiry, eviction, statistics, retry of a full disk.  Within an iteration. */
void hl_node_cron(struct hl_node *node);

enum hl_exec_result {
    HL_EXEC_DONE,     /* answered, queued, or the session is now blocked */
    HL_EXEC_POSTPONE, /* not now (CLIENT PAUSE): keep the request, world->resume() will ask for it
                       */
};

/* Run one request of a session.  argv is borrowed for the call. */
enum hl_exec_result hl_node_execute(struct hl_node *node, struct hl_session *session, int argc,
                                    const struct hl_slice *argv);

/* --- sessions --------------------------------------------------------------------------------- */

/* A new session with the default user's rights, RESP2, database 0.  Owned by the node until
 * hl_session_destroy(). */
struct hl_session *hl_session_create(struct hl_node *node, uint32_t flags);

/* End it: leaves transactions, watches, blocking and lists.  Nothing it was owed leaves any more.
 */
void hl_session_destroy(struct hl_node *node, struct hl_session *session);

/* Mark a session to be closed now, or once its output has left, and tell the edge. */
void hl_session_close(struct hl_node *node, struct hl_session *session, bool after_output);

/* The session of this id, or NULL. */
struct hl_session *hl_session_by_id(struct hl_node *node, uint64_t id);

/* Append the session's line of CLIENT LIST, without a line end. */
void hl_session_describe(struct hl_node *node, const struct hl_session *session,
                         struct hl_buf *out);

/* Wait for something: takes no input until hl_session_unblock().  `blocked` is copied. */
void hl_session_block(struct hl_node *node, struct hl_session *session,
                      const struct hl_blocked *blocked);

/* Take input again. */
void hl_session_unblock(struct hl_node *node, struct hl_session *session);

/* The same for a session whose answer was written: it may leave when `gate` is committed. */
void hl_session_answered(struct hl_node *node, struct hl_session *session, uint64_t gate);

/* End the waits of all sessions whose `blocked.owner` is `owner`: OK, or the error when it is not
 * NULL (borrowed). */
void hl_sessions_answer(struct hl_node *node, const void *owner, const char *error);

/* The same with any reply: `write` writes it, once for each of them. */
void hl_sessions_answer_with(struct hl_node *node, const void *owner,
                             void (*write)(struct hl_writer *out, const void *arg),
                             const void *arg);

/* --- units and effects ------------------------------------------------------------------------ */

/* Open a unit for work that no session's request started (a timer, a module thread, the expiry
 * cycle); asserts N2.  hl_unit_end() makes its entry and returns the gate that bytes which depend
 * on it must wait for. */
void hl_unit_begin(struct hl_node *node);

/* Close the open unit: makes its entry if it changed anything, returns the gate. */
uint64_t hl_unit_end(struct hl_node *node);

/* Record an effect of the open unit.  Does nothing without a log or while applying. */
void hl_unit_effect(struct hl_node *node, int db, int argc, const struct hl_slice *argv);

/*
 * Run a command inside the open unit: for EXEC, and for modules' Call.  `session` gives database
 * and identity.  Writes the reply to `out` and records effects as the command's flags ask; `flags`
 * are HL_CALL_*.  Without HL_CALL_… checks: name, arity and rights are the caller's affair. Returns
 * true unless the reply was an error.
 */
bool hl_node_call(struct hl_node *node, struct hl_session *session, struct hl_command *cmd,
                  int argc, const struct hl_slice *argv, struct hl_writer *out, uint32_t flags);

/* --- loading and saving ----------------------------------------------------------------------- */

/* Load the next part of snapshot and log, working for about `budget_us`.  HL_ENOENT: there is more.
 * HL_OK: done, the node serves.  Anything else is final; `msg` names file and offset. */
HL_MUST_USE hl_err hl_node_load_step(struct hl_node *node, int64_t budget_us,
                                     struct hl_errmsg *msg);

/* Let snapshots carry a table; copied.  Register before loading. */
void hl_node_add_table(struct hl_node *node, const struct hl_state_table *table);

/* Apply the effects of a committed entry.  Any error is fatal for the node (N4). */
HL_MUST_USE hl_err hl_node_apply(struct hl_node *node, const struct hl_wal_entry *entry,
                                 struct hl_errmsg *msg);

/* A digest of the state: equal on every node that has applied the same entries.  Reads all keys. */
void hl_node_digest(struct hl_node *node, unsigned char out[20]);

/* Write down what became of a snapshot (history.h); `at_ms` and `why` of the event are filled in
 * here, the latter from `why` unless that is NULL. */
void hl_node_record_snapshot(struct hl_node *node, struct hl_snap_event event, const char *why);

/* True when anybody may act as the default user: it is on and needs no password. */
bool hl_node_default_is_open(const struct hl_node *node);

/* Format a line for the log file. */
void hl_node_log(struct hl_node *node, int level, const char *fmt, ...) HL_PRINTF(3, 4);

#endif
