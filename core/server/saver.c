#include "server/saver.h"

#include "command/args.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/snapshot.h"
#include "server/config.h"
#include "server/disk_posix.h"
#include "server/metrics.h"
#include "server/settings.h"
#include "wal/snapname.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_SIZE_MIN (64u << 20) /* bytes of log that make a snapshot by count worth a fork */
#define QUIET_MS 60000           /* or this long since the last one */
#define RETRY_MS 5000            /* after a failure */
#define CONFIRM_MS 10000         /* that RAFT.SNAPSHOT waits for its label to commit */

enum saver_state {
    IDLE,
    RUNNING,         /* the child writes */
    PUBLISHED_LATER, /* the file is whole; its label has not committed yet */
};

struct hl_saver {
    struct hl_server *server;
    enum saver_state state;
    pid_t child;
    int pipe; /* the child's last words */
    struct hl_snap_label label;
    int64_t started_ms, written_ms, last_ms, failed_ms;
    uint64_t changes_at_fork;
    bool scheduled;
};

struct hl_saver *hl_saver_create(struct hl_server *server)
{
    struct hl_saver *saver = hl_calloc(1, sizeof *saver);
    saver->server = server;
    saver->pipe = -1;
    saver->last_ms = server->node->now_ms;
    return saver;
}

void hl_saver_stop(struct hl_saver *saver)
{
    if (saver->state == RUNNING) {
        (void)kill(saver->child, SIGKILL);
        (void)waitpid(saver->child, NULL, 0);
        (void)close(saver->pipe);
        saver->server->node->ks.forked = false;
    }
    saver->state = IDLE;
}

void hl_saver_destroy(struct hl_saver *saver)
{
    HL_ASSERT(saver == NULL || saver->state == IDLE);
    hl_free(saver);
}

void hl_saver_schedule(struct hl_saver *saver)
{
    saver->scheduled = true;
}

bool hl_saver_busy(const struct hl_saver *saver)
{
    return saver->state != IDLE;
}

int64_t hl_saver_running_ms(const struct hl_saver *saver)
{
    return saver->state == RUNNING ? saver->server->node->now_ms - saver->started_ms : -1;
}

/* In the child: let go of all that a server which starts after our parent's death needs, the lock
 * of the directory and the ports above all, and do not outlive the parent for long. */
static void leave_parent(int words, pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1);
    }
    if (words > 3) {
        (void)close_range(3, (unsigned)words - 1, 0);
    }
    (void)close_range((unsigned)words + 1, ~0U, 0);
}

/* In the child: only this thread exists, so nothing but the disk may be waited for. */
static void child_main(struct hl_saver *saver, int words, pid_t parent)
{
    struct hl_server *server = saver->server;
    struct hl_errmsg msg = {0};
    leave_parent(words, parent);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    hl_err err = hl_snapshot_write(server->node, hl_disk_posix(), server->options.dir,
                                   &saver->label, NULL, &msg);
    if (err != HL_OK) {
        ssize_t put = write(words, msg.text, strlen(msg.text));
        (void)put;
    }
    _exit(err == HL_OK ? 0 : 1);
}

bool hl_saver_start(struct hl_saver *saver, struct hl_errmsg *msg)
{
    struct hl_node *node = saver->server->node;
    if (saver->state != IDLE) {
        (void)hl_fail(msg, HL_EBUSY, "ERR Background save already in progress");
        return false;
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        (void)hl_fail(msg, HL_EIO, "ERR cannot make a pipe: %s", strerror(errno));
        return false;
    }
    saver->label = hl_snapshot_label(node);
    saver->started_ms = node->now_ms;
    saver->changes_at_fork = node->stats.changes_since_save;
    uint64_t before_us = node->world->mono_us(node->world->ctx);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        child_main(saver, ends[1], parent);
    }
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        saver->failed_ms = node->now_ms;
        (void)hl_fail(msg, HL_EIO, "ERR cannot fork: %s", strerror(errno));
        return false;
    }
    node->stats.last_fork_us = (int64_t)(node->world->mono_us(node->world->ctx) - before_us);
    node->stats.forks++;
    node->stats.save_started_ms = node->now_ms;
    saver->child = pid;
    saver->pipe = ends[0];
    saver->state = RUNNING;
    node->ks.forked = true;
    hl_node_log(node, 2, "Background saving started by pid %d", (int)pid);
    return true;
}

/* Those who gave RAFT.SNAPSHOT wait with this owner, those who gave SAVE with the saver itself. */
static void *raft_waiters(struct hl_saver *saver)
{
    return &saver->label;
}

static void record(struct hl_saver *saver, enum hl_snap_event_kind kind, uint64_t compacted,
                   const char *why)
{
    struct hl_node *node = saver->server->node;
    char path[4096];
    char name[HL_DISK_NAME_MAX];
    struct stat st = {0};
    hl_snap_name(name, saver->label.index);
    (void)snprintf(path, sizeof path, "%s/%s", saver->server->options.dir, name);
    uint64_t size = kind == HL_SNAP_CREATED && stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
    hl_node_record_snapshot(
        node,
        (struct hl_snap_event){.kind = kind,
                               .index = saver->label.index,
                               .term = saver->label.term,
                               .size = size,
                               .took_us = (uint64_t)(node->now_ms - saver->started_ms) * 1000,
                               .compacted = compacted},
        why);
}

static hl_index log_start(const struct hl_node *node)
{
    return node->wal == NULL ? 0 : hl_wal_first(node->wal);
}

static void failed(struct hl_saver *saver, const char *why)
{
    char error[sizeof(struct hl_errmsg) + 32];
    struct hl_node *node = saver->server->node;
    record(saver, HL_SNAP_FAILED, 0, why);
    saver->state = IDLE;
    saver->failed_ms = node->now_ms;
    node->stats.last_save_ok = false;
    node->stats.snapshots_failed++;
    hl_node_log(node, 3, "Background saving error: %s", why);
    hl_sessions_answer(node, saver, "ERR the snapshot failed, see the log");
    (void)snprintf(error, sizeof error, "ERR the snapshot failed: %s", why);
    hl_sessions_answer(node, raft_waiters(saver), error);
}

static void write_position(struct hl_writer *out, const void *arg)
{
    const hl_index *index_term = arg;
    hl_write_map(out, 2);
    hl_write_bulk_text(out, "index");
    hl_write_int(out, (int64_t)index_term[0]);
    hl_write_bulk_text(out, "term");
    hl_write_int(out, (int64_t)index_term[1]);
}

static void publish(struct hl_saver *saver)
{
    struct hl_node *node = saver->server->node;
    if (node->wal != NULL && saver->label.index > node->commit) {
        if (saver->state != PUBLISHED_LATER) {
            saver->written_ms = node->now_ms;
        } else if (node->now_ms - saver->written_ms > CONFIRM_MS) {
            hl_sessions_answer(
                node, raft_waiters(saver),
                "NOQUORUM the snapshot is written, but no majority has confirmed what "
                "it holds; it is put in place when one does");
        }
        saver->state = PUBLISHED_LATER; /* P2 */
        return;
    }
    struct hl_errmsg msg = {0};
    hl_index first = log_start(node);
    if (hl_snapshot_publish(node, hl_disk_posix(), saver->server->options.dir, &saver->label,
                            &msg) != HL_OK) {
        failed(saver, msg.text);
        return;
    }
    record(saver, HL_SNAP_CREATED, log_start(node) - first, NULL);
    saver->state = IDLE;
    saver->last_ms = node->now_ms;
    node->stats.last_save_ok = true;
    node->stats.snapshots_saved++;
    node->stats.last_save_s = node->now_ms / 1000;
    node->stats.last_save_took_s = (node->now_ms - saver->started_ms) / 1000;
    node->stats.changes_since_save -= saver->changes_at_fork;
    hl_measure_snapshot(saver->server, node->now_ms - saver->started_ms);
    hl_node_log(node, 2, "Background saving terminated with success, log kept from entry %llu",
                (unsigned long long)saver->label.index + 1);
    hl_sessions_answer(node, saver, NULL);
    const hl_index at[] = {saver->label.index, saver->label.term};
    hl_sessions_answer_with(node, raft_waiters(saver), write_position, at);
}

static void reap(struct hl_saver *saver)
{
    int status = 0;
    pid_t pid = waitpid(saver->child, &status, WNOHANG);
    if (pid == 0) {
        return;
    }
    saver->server->node->ks.forked = false;
    char words[256] = "the child was killed";
    ssize_t got = read(saver->pipe, words, sizeof words - 1);
    if (got > 0) {
        words[got] = '\0';
    }
    (void)close(saver->pipe);
    saver->pipe = -1;
    if (pid == saver->child && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        publish(saver);
    } else {
        failed(saver, words);
    }
}

/* Does a setting ask for a snapshot now? */
static bool due(struct hl_saver *saver)
{
    struct hl_node *node = saver->server->node;
    uint64_t changes = node->stats.changes_since_save;
    int64_t since_ms = node->now_ms - saver->last_ms;
    if (changes == 0 || (saver->failed_ms != 0 && node->now_ms - saver->failed_ms < RETRY_MS)) {
        return false;
    }
    bool large = node->wal != NULL && hl_wal_size_used(node->wal) >= LOG_SIZE_MIN;
    const struct hl_config *cfg = saver->server->config;
    if (saver->server->cluster != NULL && hl_settings_snapshots(cfg) &&
        node->last - node->snapshot_index >=
            (uint64_t)hl_config_int(cfg, HL_CFG_RAFT_SNAPSHOT_THRESHOLD) &&
        (large || since_ms >= QUIET_MS)) {
        return true;
    }
    if (node->config.snapshot_interval_cmds != 0 &&
        changes >= (uint64_t)node->config.snapshot_interval_cmds &&
        (large || since_ms >= QUIET_MS)) {
        return true;
    }
    if (node->config.snapshot_interval_ms != 0 && since_ms >= node->config.snapshot_interval_ms) {
        return true;
    }
    struct hl_config_save_point points[HL_CONFIG_SAVE_POINTS_MAX];
    size_t count = hl_config_save_points(saver->server->config, points);
    for (size_t i = 0; i < count; i++) {
        if (changes >= (uint64_t)points[i].changes && since_ms >= points[i].seconds * 1000) {
            return true;
        }
    }
    return false;
}

void hl_saver_cron(struct hl_saver *saver)
{
    if (saver->state == RUNNING) {
        reap(saver);
    } else if (saver->state == PUBLISHED_LATER) {
        publish(saver);
    }
    if (saver->state == IDLE && !saver->server->node->loading && (saver->scheduled || due(saver))) {
        struct hl_errmsg msg = {0};
        saver->scheduled = false;
        if (!hl_saver_start(saver, &msg)) {
            hl_node_log(saver->server->node, 3, "%s", msg.text);
        }
    }
}

hl_err hl_saver_save_now(struct hl_saver *saver, struct hl_errmsg *msg)
{
    struct hl_node *node = saver->server->node;
    saver->label = hl_snapshot_label(node);
    hl_err err = hl_snapshot_write(node, hl_disk_posix(), saver->server->options.dir, &saver->label,
                                   NULL, msg);
    if (err != HL_OK) {
        return err;
    }
    return hl_snapshot_publish(node, hl_disk_posix(), saver->server->options.dir, &saver->label,
                               msg);
}

/* --- commands --------------------------------------------------------------------------------- */

static struct hl_saver *saver_of(struct hl_call *call)
{
    struct hl_server *server = call->node->world->ctx;
    return server->saver;
}

static void end_wait(struct hl_node *node, struct hl_session *session, int reason)
{
    if (reason == HL_UNBLOCK_CLOSED) {
        hl_session_unblock(node, session); /* nobody waits for the answer any more */
    }
}

/* The connection waits for the child; everybody else is served meanwhile. */
static void cmd_save(struct hl_call *call)
{
    struct hl_saver *saver = saver_of(call);
    struct hl_errmsg msg = {0};
    if (!hl_saver_start(saver, &msg)) {
        hl_reply_error(call, msg.text);
        return;
    }
    if ((call->flags & HL_CALL_DENY_BLOCK) != 0) {
        hl_write_ok(call->out);
        return;
    }
    struct hl_blocked blocked = {.owner = saver, .end = end_wait};
    hl_session_block(call->node, call->session, &blocked);
}

/* Of this node, whatever the others do: the log before it can go. */
static void cmd_raft_snapshot(struct hl_call *call)
{
    struct hl_saver *saver = saver_of(call);
    struct hl_node *node = call->node;
    struct hl_errmsg msg = {0};
    if ((call->flags & HL_CALL_DENY_BLOCK) != 0) {
        hl_reply_error(call, "ERR this command waits, which is not possible here");
        return;
    }
    if (node->snapshot_index != 0 && node->last == node->snapshot_index) {
        const hl_index at[] = {node->snapshot_index, node->snapshot_term};
        write_position(call->out, at); /* nothing has happened since */
        return;
    }
    if (!hl_saver_start(saver, &msg)) {
        hl_reply_error(call, msg.text);
        return;
    }
    struct hl_blocked blocked = {.owner = raft_waiters(saver), .end = end_wait};
    hl_session_block(node, call->session, &blocked);
}

static void cmd_bgsave(struct hl_call *call)
{
    struct hl_saver *saver = saver_of(call);
    struct hl_errmsg msg = {0};
    bool schedule = hl_arg_is(call, 1, "schedule");
    if (call->argc > 2 || (call->argc == 2 && !schedule)) {
        hl_reply_error(call, HL_ERR_SYNTAX);
        return;
    }
    if (hl_saver_start(saver, &msg)) {
        hl_write_simple(call->out, "Background saving started");
    } else if (schedule && hl_saver_busy(saver)) {
        saver->scheduled = true;
        hl_write_simple(call->out, "Background saving scheduled");
    } else {
        hl_reply_error(call, msg.text);
    }
}

static void cmd_bgrewriteaof(struct hl_call *call)
{
    struct hl_saver *saver = saver_of(call);
    struct hl_errmsg msg = {0};
    if (hl_saver_busy(saver)) {
        saver->scheduled = true;
        hl_write_simple(call->out, "Background append only file rewriting scheduled");
    } else if (hl_saver_start(saver, &msg)) {
        hl_write_simple(call->out, "Background append only file rewriting started");
    } else {
        hl_reply_error(call, msg.text);
    }
}

static void cmd_lastsave(struct hl_call *call)
{
    hl_write_int(call->out, call->node->stats.last_save_s);
}

#define ROW(cmd_name, fn, n, cmd_flags, cats, version, cost, words, grammar)                       \
    {                                                                                              \
        .name = (cmd_name), .run = (fn), .arity = (n), .flags = (cmd_flags), .acl = (cats),        \
        .group = "server", .since = (version), .complexity = (cost), .summary = (words),           \
        .args = (grammar)                                                                          \
    }
#define FLAGS (HL_CMD_ADMIN | HL_CMD_NOSCRIPT)
#define CLUSTER_ROW(cmd_name, fn, n, cmd_flags, cost, words)                                       \
    {                                                                                              \
        .name = (cmd_name), .run = (fn), .arity = (n), .flags = (cmd_flags), .group = "cluster",   \
        .since = "0.1.0", .complexity = (cost), .summary = (words)                                 \
    }

const struct hl_command_row hl_commands_save[] = {
    ROW("save", cmd_save, 1, FLAGS | HL_CMD_NO_MULTI, 0, "1.0.0", "O(N) where N is the data",
        "Make a snapshot and answer when it is on disk.", NULL),
    ROW("bgsave", cmd_bgsave, -1, FLAGS, 0, "1.0.0", "O(1)", "Start making a snapshot.",
        "[SCHEDULE]"),
    ROW("bgrewriteaof", cmd_bgrewriteaof, 1, FLAGS, 0, "1.0.0", "O(1)",
        "Start making a snapshot, after which the log before it goes.", NULL),
    ROW("lastsave", cmd_lastsave, 1, HL_CMD_LOADING | HL_CMD_STALE | HL_CMD_FAST,
        HL_ACL_ADMIN | HL_ACL_DANGEROUS, "1.0.0", "O(1)",
        "Answer the Unix time of the last snapshot.", NULL),
    CLUSTER_ROW(
        "raft.snapshot", cmd_raft_snapshot, 1, FLAGS | HL_CMD_NO_MULTI, "O(N) where N is the data",
        "Make a snapshot of this node, after which the log before it goes; answer its index "
        "and term."),
};
const size_t hl_commands_save_count = HL_ARRAY_LEN(hl_commands_save);
