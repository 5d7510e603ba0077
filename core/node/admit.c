#include "node/admit.h"

#include "base/slot.h"
#include "command/args.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/node_internal.h"

#define CROWDED_US_MAX 10000000 /* that writes wait for the disk before they are refused */
#define SHOWN_ARGS_BYTES 128    /* of a request with an unknown command */

static bool refuse(struct hl_session *session, const char *text)
{
    hl_write_error(&session->writer, text);
    return false;
}

/* Arguments of an unknown command help to find a typo, but may be the secrets of a module's command
 * whose module is not loaded: those have a dot in their name. */
static bool refuse_unknown(struct hl_session *session, int argc, const struct hl_slice *argv)
{
    struct hl_buf text = {0};
    int shown = argv[0].len < SHOWN_ARGS_BYTES ? (int)argv[0].len : SHOWN_ARGS_BYTES;
    hl_buf_printf(&text, "ERR unknown command '%.*s', with args beginning with: ", shown,
                  argv[0].ptr);
    bool secret = argv[0].len != 0 && memchr(argv[0].ptr, '.', argv[0].len) != NULL;
    size_t room = SHOWN_ARGS_BYTES;
    for (int i = 1; i < argc && !secret && room > 0; i++) {
        int len = argv[i].len < room ? (int)argv[i].len : (int)room;
        size_t before = text.len;
        hl_buf_printf(&text, "'%.*s' ", len, argv[i].ptr);
        size_t used = text.len - before;
        room = used < room ? room - used : 0;
    }
    hl_write_error_slice(&session->writer, hl_buf_view(&text));
    hl_buf_fini(&text);
    return false;
}

static bool refuse_subcommand(struct hl_session *session, const struct hl_command *cmd,
                              const struct hl_slice *argv)
{
    char upper[HL_COMMAND_NAME_MAX + 1];
    size_t len = strlen(cmd->row->name);
    for (size_t i = 0; i <= len; i++) {
        char c = cmd->row->name[i];
        upper[i] = c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
    }
    int shown = argv[1].len < SHOWN_ARGS_BYTES ? (int)argv[1].len : SHOWN_ARGS_BYTES;
    hl_write_error_printf(&session->writer, "ERR unknown subcommand '%.*s'. Try %s HELP.", shown,
                          argv[1].ptr, upper);
    return false;
}

static bool name_and_arity_ok(struct hl_session *session, const struct hl_command *cmd, int argc,
                              const struct hl_slice *argv)
{
    if (cmd == NULL) {
        return refuse_unknown(session, argc, argv);
    }
    if (cmd->sub_count != 0 && argc >= 2) {
        return refuse_subcommand(session, cmd, argv);
    }
    if (!hl_command_arity_ok(cmd, argc) || cmd->run == NULL) {
        hl_write_error_printf(&session->writer, "ERR wrong number of arguments for '%s' command",
                              cmd->row->name);
        return false;
    }
    return true;
}

bool hl_admit_paused(struct hl_node *node, struct hl_session *session, const struct hl_command *cmd)
{
    if (node->now_ms >= node->pause_until_ms || (session->flags & HL_SESSION_INTERNAL) != 0) {
        return false;
    }
    bool writes = (cmd->flags & (HL_CMD_WRITE | HL_CMD_MAY_REPLICATE)) != 0;
    bool exec = cmd->parent == NULL && strcmp(cmd->row->name, "exec") == 0;
    if (exec && !node->pause_all) {
        writes = hl_txn_has(node, session, HL_CMD_WRITE | HL_CMD_MAY_REPLICATE);
    }
    bool unpause = cmd->parent != NULL && strcmp(cmd->row->name, "client|unpause") == 0;
    return !unpause && (node->pause_all || writes);
}

static bool memory_ok(struct hl_node *node, struct hl_session *session,
                      const struct hl_command *cmd)
{
    if (node->config.maxmemory == 0) {
        return true;
    }
    bool fits = hl_evict_until_fits(node);
    bool exec = cmd->run != NULL && strcmp(cmd->row->name, "exec") == 0;
    bool grows =
        (cmd->flags & HL_CMD_DENYOOM) != 0 || (exec && hl_txn_has(node, session, HL_CMD_DENYOOM));
    if (!fits && grows) {
        return refuse(session, "OOM command not allowed when used memory > 'maxmemory'.");
    }
    return true;
}

bool hl_admit_writes(struct hl_node *node, struct hl_session *session, const struct hl_command *cmd)
{
    const uint32_t writes = HL_CMD_WRITE | HL_CMD_MAY_REPLICATE | HL_CMD_LOGGED;
    return (cmd->flags & writes) != 0 ||
           (strcmp(cmd->row->name, "exec") == 0 && hl_txn_has(node, session, writes));
}

/* Bounded speculation: what is executed and not committed is bounded in bytes and in age. */
static bool is_crowded(const struct hl_node *node)
{
    if (node->wal == NULL || node->log_state != HL_LOG_GOOD) {
        return false;
    }
    return hl_wal_pending_size(node->wal) > node->config.speculation_max ||
           (node->cluster.backlog_count != 0 && hl_replica_is_crowded(node));
}

bool hl_admit_crowded(struct hl_node *node, struct hl_session *session,
                      const struct hl_command *cmd)
{
    if (!is_crowded(node) || (session->flags & HL_SESSION_INTERNAL) != 0 ||
        !hl_admit_writes(node, session, cmd)) {
        return false;
    }
    if ((session->flags & HL_SESSION_MULTI) != 0 && strcmp(cmd->row->name, "exec") != 0) {
        return false; /* it is only queued */
    }
    if (node->crowded_us == 0) {
        node->crowded_us = node->mark_us;
    }
    return node->mark_us - node->crowded_us < CROWDED_US_MAX;
}

/* The log must be able to take what the command will change. */
static bool log_ok(struct hl_node *node, struct hl_session *session, const struct hl_command *cmd)
{
    if (node->wal == NULL) {
        bool unsafe = node->config.stop_writes_unsaved && !node->stats.last_save_ok;
        return !unsafe || !hl_admit_writes(node, session, cmd) ||
               refuse(session, "MISCONF Errors writing snapshots, and there is no log: writes are "
                               "refused until one succeeds (stop-writes-on-bgsave-error); reads "
                               "go on.");
    }
    bool full = node->log_state != HL_LOG_GOOD;
    if ((!full && !is_crowded(node)) || !hl_admit_writes(node, session, cmd)) {
        return true;
    }
    if (full) {
        hl_write_error_printf(
            &session->writer,
            "MISCONF Errors writing to the log: %s. Writes are refused until this "
            "is over; reads go on.",
            node->log_full_why);
        return false;
    }
    return refuse(session, "NOQUORUM too many writes wait for the disk or for other servers; this "
                           "one was not executed, try again");
}

/* Where clients are sent by slot, as Redis Cluster counts them. */
static unsigned slot_of(const struct hl_command *cmd, int argc, const struct hl_slice *argv)
{
    struct hl_key_ref *refs = hl_calloc((size_t)argc, sizeof *refs);
    int count = hl_command_keys(cmd, argv, argc, refs);
    unsigned slot = count > 0 ? hl_key_slot(argv[refs[0].index]) : 0;
    hl_free(refs);
    return slot;
}

/* A node that does not lead: what becomes of a write is decided here, before it runs. */
static bool leader_ok(struct hl_node *node, struct hl_session *session,
                      const struct hl_command *cmd, int argc, const struct hl_slice *argv)
{
    const struct hl_stop *stop = hl_node_stopped(node);
    if (stop != NULL && hl_reveals(cmd) && !hl_admit_writes(node, session, cmd)) {
        hl_write_error_printf(&session->writer,
                              "MASTERDOWN this server has stopped applying the log at entry %llu, "
                              "ask another one. The reason: %s",
                              (unsigned long long)stop->index, stop->why);
        return false;
    }
    if (session->read_id != 0) { /* it has waited for too long: hl_replica_postpones() */
        hl_replica_forget_reader(node, session);
        return refuse(session, "NOQUORUM no leader confirms that this server is up to date; try "
                               "again");
    }
    if (!hl_admit_writes(node, session, cmd)) {
        return true;
    }
    const struct hl_member *leader = hl_node_leader(node);
    if (leader == NULL) {
        return refuse(session, "NOQUORUM no leader is known; this was not executed, try again");
    }
    switch (node->config.cluster.follower_writes) {
    case HL_FOLLOWER_WRITES_FORWARD: /* to a leader that cannot be reached so, it is a redirect */
        hl_write_error_printf(&session->writer, "NOTLEADER %s %s",
                              leader->name[0] != '\0' ? leader->name : "?", leader->client_addr);
        return false;
    case HL_FOLLOWER_WRITES_REDIRECT:
        hl_write_error_printf(&session->writer, "MOVED %u %s", slot_of(cmd, argc, argv),
                              leader->client_addr);
        return false;
    case HL_FOLLOWER_WRITES_REFUSE:
        break;
    }
    return refuse(session, "READONLY You can't write against a read only replica.");
}

static bool server_state_ok(struct hl_node *node, struct hl_session *session,
                            const struct hl_command *cmd, int argc, const struct hl_slice *argv)
{
    if (node->scrub.differs && hl_reveals(cmd) && !hl_admit_writes(node, session, cmd)) {
        return refuse(session, "MASTERDOWN this server's data differs from that of the others and "
                               "is being replaced (see its log); ask another one");
    }
    if (!memory_ok(node, session, cmd) || !log_ok(node, session, cmd)) {
        return false;
    }
    bool exec = cmd->run != NULL && strcmp(cmd->row->name, "exec") == 0;
    bool loading_ok =
        (cmd->flags & HL_CMD_LOADING) != 0 && !(exec && hl_txn_has(node, session, HL_REVEALING));
    if (node->loading && !loading_ok) {
        return refuse(session, "LOADING Redis is loading the dataset in memory");
    }
    return node->cluster.leads || !node->cluster.live || node->loading ||
           leader_ok(node, session, cmd, argc, argv);
}

bool hl_admit_caller(struct hl_node *node, struct hl_session *session, struct hl_command *cmd,
                     int argc, const struct hl_slice *argv)
{
    if (!name_and_arity_ok(session, cmd, argc, argv)) {
        return false;
    }
    bool known = (session->flags & HL_SESSION_AUTHENTICATED) != 0 || hl_node_default_is_open(node);
    if (!known && (cmd->flags & HL_CMD_NO_AUTH) == 0) {
        return refuse(session, "NOAUTH Authentication required.");
    }
    if (!hl_auth_permits(node, session, cmd, argc, argv)) {
        return false;
    }
    if ((session->flags & HL_SESSION_MULTI) != 0 && (cmd->flags & HL_CMD_NO_MULTI) != 0) {
        return refuse(session, "ERR Command not allowed inside a transaction");
    }
    return true;
}

bool hl_admit(struct hl_node *node, struct hl_session *session, struct hl_command *cmd, int argc,
              const struct hl_slice *argv)
{
    return hl_admit_caller(node, session, cmd, argc, argv) &&
           server_state_ok(node, session, cmd, argc, argv);
}
