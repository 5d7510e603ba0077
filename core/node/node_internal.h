/* What the files of core/node share and nobody else needs. */
#ifndef HL_NODE_NODE_INTERNAL_H
#define HL_NODE_NODE_INTERNAL_H

#include "node/node.h"
#include "wal/snapfile.h"

#define HL_REDIS_VERSION "7.2.0" /* what clients are told; chosen for what they then expect */
/* Flags of commands that tell or change something of the state; EXEC does so too. */
#define HL_REVEALING                                                                               \
    (HL_CMD_READONLY | HL_CMD_WRITE | HL_CMD_MODULE | HL_CMD_WHOLE_KEYSPACE | HL_CMD_MAY_REPLICATE)

/* Does the command tell or change something of the state? */
static inline bool hl_reveals(const struct hl_command *cmd)
{
    return (cmd->flags & HL_REVEALING) != 0 || strcmp(cmd->row->name, "exec") == 0;
}

/* --- record.c: what happens, for operators ---------------------------------------------------- */

/* Raft stepped: office, term and leader. */
void hl_record_ready(struct hl_node *node, const struct hl_raft_ready *ready);

/* This node runs without a log, and so alone. */
void hl_record_alone(struct hl_node *node);

/* These are the members now. */
void hl_record_members(struct hl_node *node, const struct hl_members *members);

/* A message of raft leaves. */
void hl_record_sent(struct hl_node *node, const struct hl_raft_msg *message);

/* One arrived. */
void hl_record_message(struct hl_node *node, const struct hl_raft_msg *message);

/* Any frame of a member arrived. */
void hl_record_heard(struct hl_node *node, hl_peer from);

/* The connection to a member broke. */
void hl_record_lost(struct hl_node *node, hl_peer peer);

/* Calls that nobody answers any more fail. */
void hl_record_cron(struct hl_node *node);

/* What became of a snapshot on its way to a member. */
enum hl_transfer_fate { HL_TRANSFER_BEGUN, HL_TRANSFER_DONE, HL_TRANSFER_FAILED };

/* Note it. */
void hl_record_transfer(struct hl_node *node, hl_peer to, enum hl_transfer_fate fate);

/* --- exec.c ----------------------------------------------------------------------------------- */

/* A call of a command for a session, inside the open unit. */
void hl_call_init(struct hl_call *call, struct hl_node *node, struct hl_session *session,
                  struct hl_command *cmd, int argc, const struct hl_slice *argv);

/* --- gate.c and others ------------------------------------------------------------------------ */

/* Open whatever the commit index has reached, for every waiting session. */
void hl_gate_release(struct hl_node *node);

/* Was the mark made by the term in which this node executes?  Otherwise an earlier one left it. */
bool hl_gate_is_own(const struct hl_node *node, const struct hl_gate_mark *mark);

/* Every name has changed (a flush): lookups wait for the entry of the running unit. */
void hl_gate_everything(struct hl_node *node);

/* Append a reply of the unit that just ended to the session and gate it. */
void hl_session_reply_done(struct hl_node *node, struct hl_session *session,
                           const struct hl_gate_mark *need);

/* Why a queued command may no longer run (its user lost the right), or NULL. */
const char *hl_exec_recheck(struct hl_node *node, struct hl_session *session,
                            const struct hl_queued *queued);

/* Forget queued commands and leave MULTI. */
void hl_txn_discard(struct hl_node *node, struct hl_session *session);

/* Queue a request inside MULTI: copies it.  False when the queue's bound is reached. */
bool hl_txn_queue(struct hl_node *node, struct hl_session *session, struct hl_command *cmd,
                  int argc, const struct hl_slice *argv);

/* The command of a queued request as the table has it now, or NULL: a module may have been unloaded
 * since, or another loaded. */
struct hl_command *hl_txn_command(struct hl_node *node, struct hl_queued *queued);

/* True when a queued command has one of these flags. */
bool hl_txn_has(struct hl_node *node, struct hl_session *session, uint32_t flags);

/* Stop watching everything. */
void hl_watch_clear(struct hl_node *node, struct hl_session *session);

/* hooks.modified of the keyspace: marks the sessions that watch the key. */
void hl_watch_modified(void *ctx, int db, struct hl_slice key);

/* Mark the sessions that watch keys of a database (-1: any), which was or will be flushed. */
void hl_watch_flushed(struct hl_node *node, int db);

/* Make the table of watched keys. */
void hl_watch_init(struct hl_node *node);

/* Free the table of watched keys, which must be empty. */
void hl_watch_fini(struct hl_node *node);

/* Show a request to the monitors. */
void hl_monitor_feed(struct hl_node *node, struct hl_session *session, struct hl_command *cmd,
                     int argc, const struct hl_slice *argv);

/* Make room below maxmemory by evicting; true when usage is below it afterwards. */
bool hl_evict_until_fits(struct hl_node *node);

/* Sleepers: end the waits whose time has come. */
void hl_blocked_cron(struct hl_node *node);

/* Requests that were postponed are asked for again. */
void hl_resume_postponed(struct hl_node *node);

/* CLIENT UNPAUSE, or the pause ran out: let everybody go on. */
void hl_pause_end(struct hl_node *node);

/* The default user's identity for a new or reset session. */
void hl_session_authenticate_default(struct hl_node *node, struct hl_session *session);

/* Set the connection's name; false after replying that it is malformed. */
bool hl_session_set_name(struct hl_call *call, struct hl_slice name);

/* Log the call's session in as `user`; false after replying with the error. */
bool hl_auth_password(struct hl_call *call, struct hl_slice user, struct hl_slice password);

/* The session acts as `user` from now on. */
void hl_auth_as(struct hl_session *session, struct hl_user *user);

/* The session is no user's: the server, or a module that answers for what it does.  All rights. */
void hl_auth_as_server(struct hl_session *session);

/* A user is about to be removed: its sessions are closed when the entry `when` commits (0: now;
 * `current`, which may be NULL, after its reply). */
void hl_auth_user_gone(struct hl_node *node, struct hl_user *user, struct hl_session *current,
                       hl_index when);

/* The open unit changes users or shared settings (admin.h). */
static inline void hl_unit_admin(struct hl_node *node)
{
    node->unit.admin = true;
}

/* May the session's user run this request?  False after replying with NOPERM and noting it. */
bool hl_auth_permits(struct hl_node *node, struct hl_session *session, struct hl_command *cmd,
                     int argc, const struct hl_slice *argv);

/* True when the default user needs a password. */
bool hl_auth_default_has_password(struct hl_node *node);

/* Load the next part of the newest snapshot: HL_OK when there is none or it is all in, HL_ENOENT
 * when there is more.  Sets node->snapshot_index. */
HL_MUST_USE hl_err hl_snapshot_load_step(struct hl_node *node, int64_t budget_us,
                                         struct hl_errmsg *msg);

/* Look at the beginning of a snapshot's stream: can this server load it?  Without a node it is not
 * asked whether its tables are known.  Fills *config with the
 * members it names.  HL_EVERSION, HL_EINVAL, HL_ECORRUPT or as the disk says, with the reason. */
HL_MUST_USE hl_err hl_snapshot_inspect(struct hl_node *node, struct hl_snap_reader *reader,
                                       struct hl_config_at *config, struct hl_errmsg *msg);

/* Release what loading a snapshot holds. */
void hl_snapshot_load_fini(struct hl_node *node);

/* The name of the user whose rights the session has. */
const char *hl_session_user_name(const struct hl_session *session);

/* Will hl_log_kick() at the end of this iteration start a batch? */
bool hl_log_kicks(struct hl_node *node);

/* Start writing the log's waiting batch, unless one is in flight. */
void hl_log_kick(struct hl_node *node);

/* Release what loading holds. */
void hl_load_fini(struct hl_node *node);

/* CLIENT CONSISTENCY (cmd_consistency.c). */
void hl_cmd_client_consistency(struct hl_call *call);

/* CLIENT TOKEN (cmd_consistency.c). */
void hl_cmd_client_token(struct hl_call *call);

/* CLIENT SESSION (cmd_once.c). */
void hl_cmd_client_session(struct hl_call *call);

extern const struct hl_command_row hl_commands_blocking[];
extern const size_t hl_commands_blocking_count;
extern const struct hl_command_row hl_commands_once[];
extern const size_t hl_commands_once_count;
extern const struct hl_command_row hl_commands_scrub[];
extern const size_t hl_commands_scrub_count;
extern const struct hl_command_row hl_commands_level[];
extern const size_t hl_commands_level_count;
extern const struct hl_command_row hl_commands_settings[];
extern const size_t hl_commands_settings_count;
extern const struct hl_command_row hl_commands_admin[];
extern const size_t hl_commands_admin_count;
extern const struct hl_command_row hl_commands_acl[];
extern const size_t hl_commands_acl_count;
extern const struct hl_command_row hl_commands_txn[];
extern const size_t hl_commands_txn_count;
extern const struct hl_command_row hl_commands_connection[];
extern const size_t hl_commands_connection_count;
extern const struct hl_command_row hl_commands_client[];
extern const size_t hl_commands_client_count;
extern const struct hl_command_row hl_commands_cluster[];
extern const size_t hl_commands_cluster_count;
extern const struct hl_command_row hl_commands_observe[];
extern const size_t hl_commands_observe_count;
extern const struct hl_command_row hl_commands_database[];
extern const size_t hl_commands_database_count;

#endif
