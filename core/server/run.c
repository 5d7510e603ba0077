/* The life of the process: settings in, a serving node, an orderly end. */
#include "server/run.h"

#include "base/log.h"
#include "base/metrics.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/refetch.h"
#include "node/snapshot.h"
#include "server/cluster.h"
#include "server/config.h"
#include "server/disk_posix.h"
#include "server/identity.h"
#include "server/info.h"
#include "server/memory.h"
#include "server/metrics.h"
#include "server/modules.h"
#include "server/orders.h"
#include "server/raft_metrics.h"
#include "server/report.h"
#include "server/saver.h"
#include "server/secure.h"
#include "server/settings.h"
#include "server/shared.h"
#include "server/supervise.h"
#include "server/uptime_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define LOCK_TRIES_MAX 100 /* for the lock of the data directory */
#define SEGMENT_SIZE_MIN (64 * 1024)
#define SEGMENT_SHARE 8 /* of the free space that one file may take at most: an eighth */
#define LOCK_STEP_NS 10000000
#define SHUTDOWN_SAVE 1 /* values of the words of shutdown-on-sigterm */
#define SHUTDOWN_NOSAVE 2
#define PROGRESS_PERIOD_US 2000000

static struct hl_log server_log;
static int log_fd = STDOUT_FILENO;

/* --- log lines -------------------------------------------------------------------------------- */

static int64_t log_now_us(void *ctx)
{
    (void)ctx;
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void log_write_line(void *ctx, enum hl_log_level level, struct hl_slice line)
{
    (void)ctx;
    (void)level;
    ssize_t put = write(log_fd, line.ptr, line.len);
    (void)put; /* a log that cannot be written cannot be complained about */
}

void hl_run_log(struct hl_server *server, int level, const char *line)
{
    (void)server;
    hl_log(&server_log, (enum hl_log_level)level, "server", "%s", line);
}

static int32_t utc_offset_s(void)
{
    time_t now = time(NULL);
    struct tm local;
    return localtime_r(&now, &local) != NULL ? (int32_t)local.tm_gmtoff : 0;
}

static hl_err open_log_file(const struct hl_config *cfg, struct hl_errmsg *msg)
{
    const char *path = hl_config_text(cfg, HL_CFG_LOGFILE);
    if (path[0] == '\0') {
        return HL_OK;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0) {
        return hl_fail(msg, HL_EIO, "logfile: cannot open %s: %s", path, strerror(errno));
    }
    if (log_fd != STDOUT_FILENO) {
        (void)close(log_fd);
    }
    log_fd = fd;
    return HL_OK;
}

/* loglevel and log-format may change at any time. */
static hl_err on_log_change(void *ctx, struct hl_config *cfg, enum hl_cfg id, struct hl_errmsg *msg)
{
    (void)ctx;
    (void)id;
    (void)msg;
    bool json = hl_config_int(cfg, HL_CFG_LOG_FORMAT) == HL_LOG_FORMAT_JSON;
    server_log.level = (enum hl_log_level)hl_config_int(cfg, HL_CFG_LOGLEVEL);
    server_log.form = json ? HL_LOG_JSON : HL_LOG_TEXT;
    return HL_OK;
}

static hl_err open_log(struct hl_config *cfg, struct hl_errmsg *msg)
{
    hl_err err = open_log_file(cfg, msg);
    if (err != HL_OK) {
        return err;
    }
    server_log = (struct hl_log){
        .pid = getpid(),
        .role = 'M',
        .utc_offset_s = utc_offset_s(),
        .now_us = log_now_us,
        .write = log_write_line,
    };
    hl_config_on_change(cfg, HL_CFG_LOGLEVEL, on_log_change, NULL);
    hl_config_on_change(cfg, HL_CFG_LOG_FORMAT, on_log_change, NULL);
    return on_log_change(NULL, cfg, HL_CFG_LOGLEVEL, msg);
}

/* --- the log on disk -------------------------------------------------------------------------- */

/* Files are allocated in advance, so on a small disk they must be small. */
static uint32_t segment_size(const struct hl_config *cfg)
{
    uint64_t size = (uint64_t)hl_config_int(cfg, HL_CFG_LOG_SEGMENT_SIZE);
    struct statvfs fs;
    if (statvfs(hl_config_text(cfg, HL_CFG_DIR), &fs) == 0) {
        uint64_t share = (uint64_t)fs.f_bavail * fs.f_frsize / SEGMENT_SHARE;
        size = share < size ? share : size;
    }
    return (uint32_t)(size < SEGMENT_SIZE_MIN ? SEGMENT_SIZE_MIN : size);
}

/* What a cut tail held, in words.  The mode in which it was written is taken to be today's. */
static const char *tail_held(enum hl_wal_sync sync)
{
    switch (sync) {
    case HL_WAL_SYNC_EVERY:
        return "no write in them was acknowledged";
    case HL_WAL_SYNC_INTERVAL:
        return "writes of the last second before the end may have been acknowledged (appendfsync "
               "everysec)";
    case HL_WAL_SYNC_NONE:
        break;
    }
    return "writes that the system had not stored may have been acknowledged (appendfsync no)";
}

/* Without a log the directory is still ours alone, since snapshots are written there.  One in which
 * nothing can be written needs no guard: saving fails and says so. */
static hl_err lock_dir(struct hl_server *server, struct hl_errmsg *msg)
{
    const struct hl_disk *disk = hl_disk_posix();
    const char *dir = hl_config_text(server->config, HL_CFG_DIR);
    hl_err err = disk->lock(disk->ctx, dir, &server->dir_lock, msg);
    for (int i = 0; err == HL_EBUSY && i < LOCK_TRIES_MAX; i++) {
        const struct timespec step = {.tv_nsec = LOCK_STEP_NS};
        (void)nanosleep(&step, NULL);
        err = disk->lock(disk->ctx, dir, &server->dir_lock, msg);
    }
    if (err != HL_OK && err != HL_EBUSY) {
        hl_log(&server_log, HL_LOG_WARNING, "server", "the data directory is not locked: %s",
               msg->text);
        return HL_OK;
    }
    return err;
}

static void unlock_dir(struct hl_server *server)
{
    const struct hl_disk *disk = hl_disk_posix();
    if (server->dir_lock >= 0) {
        disk->unlock(disk->ctx, server->dir_lock);
    }
}

/* A server that was killed a moment ago may have a child that has yet to notice, so a lock that is
 * held is asked for again, for a second.
 * With `appendonly no` a log that is there is still read, but nothing is made. */
static hl_err open_wal(struct hl_server *server, struct hl_errmsg *msg)
{
    const struct hl_config *cfg = server->config;
    struct hl_wal_options options = {
        .dir = hl_config_text(cfg, HL_CFG_DIR),
        .segment_size = segment_size(cfg),
        .sync = hl_settings_sync(cfg),
        .repair = HL_WAL_REPAIR_TORN,
    };
    if (!hl_config_bool(cfg, HL_CFG_APPENDONLY)) {
        char meta[4096];
        (void)snprintf(meta, sizeof meta, "%s/meta", options.dir);
        if (access(meta, F_OK) != 0) {
            return lock_dir(server, msg);
        }
    }
    ssize_t got = getrandom(&options.salt, sizeof options.salt, 0);
    HL_ASSERT(got == (ssize_t)sizeof options.salt);
    struct hl_wal_findings findings = {0};
    bool raft = hl_config_bool(cfg, HL_CFG_RAFT);
    hl_err (*const open)(struct hl_wal **, const struct hl_disk *, const struct hl_wal_options *,
                         struct hl_wal_findings *, struct hl_errmsg *) =
        raft ? hl_refetch_open : hl_wal_open;
    hl_err err = open(&server->wal, hl_disk_posix(), &options, &findings, msg);
    for (int i = 0; err == HL_EBUSY && i < LOCK_TRIES_MAX; i++) {
        const struct timespec step = {.tv_nsec = LOCK_STEP_NS};
        (void)nanosleep(&step, NULL);
        err = open(&server->wal, hl_disk_posix(), &options, &findings, msg);
    }
    if (err != HL_OK) {
        return err;
    }
    if (findings.damaged) {
        server->barred_until = findings.highest;
        hl_log(
            &server_log, HL_LOG_WARNING, "wal",
            "%s is damaged at offset %llu: the log was cut behind entry %llu, and entries up to "
            "%llu are fetched from the cluster; until then this node's vote counts only together "
            "with all others",
            findings.file, (unsigned long long)findings.offset, (unsigned long long)findings.last,
            (unsigned long long)findings.highest);
    } else if (findings.cut_size != 0) {
        hl_log(&server_log, HL_LOG_WARNING, "wal",
               "cut a torn tail: %llu bytes of %s from offset %llu on; %s",
               (unsigned long long)findings.cut_size, findings.file,
               (unsigned long long)findings.offset, tail_held(options.sync));
    }
    err = hl_identity_give(server, msg);
    if (err == HL_OK && server->barred && !hl_refetch_is_due(hl_wal_meta(server->wal))) {
        hl_run_log(server, 3,
                   "the machine was booted since the last run and sync-mode is not 'every': what "
                   "was acknowledged just before may be missing, so this node's vote counts only "
                   "together with all others until a leader has brought it up to date");
    }
    return err;
}

/* --- the life --------------------------------------------------------------------------------- */

bool hl_server_is_open(const struct hl_server *server)
{
    return hl_node_default_is_open(server->node);
}

/* The letter after the pid: leader, follower, learner; a server alone is a master. */
static char role_letter(const struct hl_server *server)
{
    const struct hl_node *node = server->node;
    if (server->cluster == NULL || node->loading) {
        return 'M';
    }
    return hl_node_leads(node) ? 'L' : hl_raft_is_voter(&node->raft) ? 'F' : 'N';
}

void hl_run_cron(struct hl_server *server)
{
    server_log.role = role_letter(server);
    hl_saver_cron(server->saver);
    hl_uptime_file_cron(server);
    bool barred = server->barred;
    hl_identity_cron(server);
    if (barred && !server->barred) {
        hl_run_log(server, 2, "this node is up to date again and votes as before");
    }
    hl_cluster_cron(server);
    if (server->wal != NULL && server->node->wal != NULL &&
        hl_settings_sync(server->config) == HL_WAL_SYNC_INTERVAL &&
        server->cron_runs % (uint64_t)server->node->config.hz == 0) {
        hl_wal_request_sync(server->wal);
    }
}

void hl_run_load_progress(struct hl_server *server)
{
    static int64_t last_us;
    if (server->node->now_us - last_us > PROGRESS_PERIOD_US) {
        last_us = server->node->now_us;
        hl_log(&server_log, HL_LOG_NOTICE, "server", "loading: %llu of %llu",
               (unsigned long long)server->node->load_done,
               (unsigned long long)server->node->load_total);
        char status[96];
        (void)snprintf(status, sizeof status, "STATUS=Loading: %llu of %llu\n",
                       (unsigned long long)server->node->load_done,
                       (unsigned long long)server->node->load_total);
        hl_supervise_tell(server->config, status);
    }
}

void hl_run_ready(struct hl_server *server)
{
    if (!server->options.protected_mode && hl_server_is_open(server) &&
        hl_config_source(server->config, HL_CFG_BIND) != HL_CFG_FROM_DEFAULT) {
        hl_run_log(server, 3,
                   "WARNING: no password is set, so whoever reaches the addresses that this "
                   "server listens on may do anything. Set requirepass, or users.");
    }
    hl_run_log(server, 2, "Ready to accept connections");
    hl_supervise_tell(server->config, "READY=1\nSTATUS=Ready to accept connections\n");
}

hl_err hl_run_reload(struct hl_server *server, bool strict, int *changed, struct hl_errmsg *msg)
{
    struct hl_config_reload reload = {0};
    if (open_log_file(server->config, msg) != HL_OK) { /* logrotate moved it away */
        hl_log(&server_log, HL_LOG_WARNING, "server", "%s", msg->text);
    }
    hl_err err = hl_config_reload(server->config, strict, &reload, msg);
    if (err != HL_OK && (strict || err != HL_ENOENT)) {
        hl_log(&server_log, HL_LOG_WARNING, "config", "reload refused: %s", msg->text);
    } else {
        hl_log(&server_log, HL_LOG_NOTICE, "config",
               "reloaded: %d settings changed, %d cannot change at run time%s%.*s", reload.changed,
               reload.refused, reload.refused != 0 ? ": " : "", (int)reload.refused_names.len,
               reload.refused_names.ptr);
        server->reload_count++;
        server->reloaded_ms = server->node->now_ms;
    }
    *changed = reload.changed;
    hl_buf_fini(&reload.refused_names);
    if (strict && err != HL_OK) {
        return err;
    }
    err = hl_secure_load(server, msg);
    err = err == HL_OK ? hl_cluster_load_tls(server, msg) : err;
    if (err != HL_OK) {
        hl_log(&server_log, HL_LOG_WARNING, "config",
               "the certificates in use stay, the new ones are refused: %s", msg->text);
    }
    return err;
}

/* shutdown-on-sigterm and -sigint: whether the end makes a snapshot. */
static void end_as_told(struct hl_server *server, int number)
{
    int64_t told = hl_config_int(server->config, number == SIGINT ? HL_CFG_SHUTDOWN_ON_SIGINT
                                                                  : HL_CFG_SHUTDOWN_ON_SIGTERM);
    if ((told & SHUTDOWN_SAVE) != 0) {
        server->save_at_end = true;
    } else if ((told & SHUTDOWN_NOSAVE) != 0) {
        server->save_at_end = false;
    }
}

void hl_run_end(struct hl_server *server, bool now)
{
    server->ending = true;
    if (now || !hl_cluster_hand_over(server)) {
        server->stopping = true;
        uv_stop(&server->loop);
    }
}

void hl_run_signal(struct hl_server *server, int number)
{
    if (number == SIGHUP) {
        struct hl_errmsg msg = {0};
        int changed = 0;
        hl_err err = hl_run_reload(server, false, &changed, &msg);
        HL_MAYBE(err != HL_OK); /* the log says why */
        return;
    }
    if (server->ending) {
        hl_run_log(server, 3, "second signal, ending at once");
        _exit(1);
    }
    end_as_told(server, number);
    hl_run_log(server, 3,
               number == SIGINT ? "Received SIGINT scheduling shutdown..."
                                : "Received SIGTERM scheduling shutdown...");
    hl_run_end(server, false);
}

/* And those above it that are missing. */
static hl_err make_dir(const char *dir, struct hl_errmsg *msg)
{
    char path[PATH_MAX];
    size_t len = strlen(dir);
    if (len >= sizeof path) {
        return hl_fail(msg, HL_EINVAL, "dir: the path is longer than %d bytes", PATH_MAX);
    }
    memcpy(path, dir, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        path[i] = '\0';
        if (mkdir(path, 0750) != 0 && errno != EEXIST) {
            return hl_fail(msg, HL_EIO, "dir: cannot make %s: %s", path, strerror(errno));
        }
        path[i] = dir[i];
    }
    return HL_OK;
}

/* Without a log the last snapshot is all that is left, so a regular end makes one. */
static void save_at_end(struct hl_server *server)
{
    struct hl_errmsg msg = {0};
    if (!server->node->loading && server->node->wal == NULL && server->save_at_end &&
        server->node->stats.changes_since_save != 0) {
        hl_run_log(server, 2, "Saving the final snapshot before exiting.");
        if (hl_saver_save_now(server->saver, &msg) != HL_OK) {
            hl_run_log(server, 3, msg.text);
            server->exit_code = 1;
        }
    }
}

/* Sync in every mode, then note that all of it counts: losing any of it later is damage. */
static hl_err flush_wal(struct hl_wal *wal, struct hl_errmsg *msg)
{
    hl_wal_request_sync(wal);
    hl_err err = hl_wal_flush(wal, msg);
    if (err == HL_OK) {
        hl_wal_note_watermark(wal);
        err = hl_wal_flush(wal, msg);
    }
    return err;
}

/* Write what waits and close the log: after this nothing is lost by ending. */
static void close_wal(struct hl_server *server)
{
    if (server->wal == NULL) {
        return;
    }
    struct hl_errmsg msg = {0};
    if (!hl_wal_is_poisoned(server->wal) && flush_wal(server->wal, &msg) != HL_OK) {
        hl_run_log(server, 3, msg.text);
        server->exit_code = 1;
    }
    hl_wal_close(server->wal);
}

static void register_commands(struct hl_server *server)
{
    hl_err err =
        hl_command_register(server->node->commands, hl_commands_save, hl_commands_save_count);
    HL_ASSERT(err == HL_OK);
    err = hl_command_register(server->node->commands, hl_commands_server, hl_commands_server_count);
    HL_ASSERT(err == HL_OK);
    err = hl_command_register(server->node->commands, hl_commands_raft, hl_commands_raft_count);
    HL_ASSERT(err == HL_OK);
    err = hl_command_register(server->node->commands, hl_commands_report, hl_commands_report_count);
    HL_ASSERT(err == HL_OK);
}

static hl_err start(struct hl_server *server, struct hl_errmsg *msg)
{
    hl_err err = open_log(server->config, msg);
    if (err != HL_OK) {
        return err;
    }
    hl_log(&server_log, HL_LOG_NOTICE, "server", "Helios %s is starting, pid %d, Redis %s",
           HELIOS_VERSION, (int)getpid(), "7.2.0 compatible");
    hl_settings_options(server);
    server->save_at_end = hl_settings_snapshots(server->config);
    int64_t wanted = hl_config_int(server->config, HL_CFG_MAXCLIENTS);
    if (server->options.maxclients < wanted) {
        hl_log(&server_log, HL_LOG_WARNING, "server",
               "maxclients is %d instead of %lld, for the system allows no more open files: see "
               "ulimit -n",
               server->options.maxclients, (long long)wanted);
    }
    err = make_dir(server->options.dir, msg);
    if (err == HL_OK) {
        err = open_wal(server, msg);
    }
    if (err != HL_OK) {
        return err;
    }
    struct hl_node_config config = hl_settings_node(server);
    server->node = hl_node_create(&server->world, server->wal, &config);
    server->node->stats.startup_memory = hl_memory_used();
    server->started_us = server->node->now_us;
    hl_uptime_file_begin(server);
    hl_measures_create(server);
    hl_raft_metrics_create(server);
    hl_settings_watch(server);
    server->shared = hl_shared_create(server);
    server->saver = hl_saver_create(server);
    hl_node_load_from(server->node, hl_disk_posix(), server->options.dir);
    register_commands(server);
    server->modules = hl_modules_create(server);
    err = hl_modules_load(server->modules, msg);
    if (err == HL_OK) {
        err = hl_users_start(&server->users, server->config, server->node, msg);
    }
    if (err != HL_OK) {
        return err;
    }
    err = hl_secure_load(server, msg);
    err = err == HL_OK ? hl_cluster_start(server, msg) : err;
    err = err == HL_OK ? hl_listen(server, msg) : err;
    if (err == HL_OK) {
        err = hl_supervise_write_pid(server->config, msg);
    }
    if (err == HL_OK) {
        hl_run_log(server, 2, "Server initialized");
    }
    return err;
}

static int serve(struct hl_config *cfg)
{
    struct hl_server *server = hl_calloc(1, sizeof *server);
    struct hl_errmsg msg = {0};
    server->config = cfg;
    server->dir_lock = -1;
    (void)signal(SIGPIPE, SIG_IGN);
    if (hl_supervise_detach(cfg, &msg) != HL_OK) {
        (void)fprintf(stderr, "helios: %s\n", msg.text);
        hl_free(server);
        return 1;
    }
    hl_server_init_loop(server);
    hl_server_init_world(server);
    hl_err err = start(server, &msg);
    if (err == HL_OK) {
        hl_supervise_started(0);
        hl_server_run(server);
        hl_supervise_tell(cfg, "STOPPING=1\nSTATUS=Stopping\n");
        hl_run_log(server, 3, "Helios is now ready to exit, bye bye...");
    } else {
        (void)fprintf(stderr, "helios: %s\n", msg.text);
        server->exit_code = 1;
    }
    hl_server_fini_loop(server);
    if (server->saver != NULL) {
        hl_saver_stop(server->saver);
        save_at_end(server);
        hl_saver_destroy(server->saver);
    }
    close_wal(server);
    if (err == HL_OK) {
        hl_uptime_file_end(server);
        hl_supervise_remove_pid(cfg);
    }
    unlock_dir(server);
    hl_secure_unload(server);
    hl_raft_metrics_destroy(server);
    hl_cluster_destroy(server);
    hl_shared_destroy(server->shared);
    if (hl_modules_destroy(server->modules)) {
        hl_metrics_destroy(server->metrics);
    }
    hl_measures_destroy(server);
    hl_node_destroy(server->node);
    int code = server->exit_code;
    free(server->options.bind_text);
    hl_free(server);
    return code;
}

static enum hl_cfg_role role_of(const char *program)
{
    const char *slash = strrchr(program, '/');
    const char *name = slash != NULL ? slash + 1 : program;
    if (strcmp(name, "helios-gateway") == 0) {
        return HL_ROLE_GATEWAY;
    }
    return strcmp(name, "helios-proxy") == 0 ? HL_ROLE_PROXY : HL_ROLE_SERVER;
}

int hl_run(int argc, char **argv, char **envp)
{
    struct hl_config *cfg = hl_config_create(role_of(argv[0]));
    struct hl_config_request request = {0};
    struct hl_errmsg msg = {0};
    int code = 0;
    hl_err err = hl_config_load(cfg, argc, argv, envp, &request, &msg);
    if (err != HL_OK) {
        (void)fprintf(stderr, "helios: %s\n", msg.text);
        code = 1;
    } else if (request.help) {
        hl_config_print_help(cfg, argv[0], stdout);
    } else if (request.version) {
        (void)printf(request.json ? "{\"name\":\"helios\",\"version\":\"%s\"}\n" : "Helios %s\n",
                     HELIOS_VERSION);
    } else if (request.test_only) {
        (void)printf("the settings are good\n");
    } else {
        code = serve(cfg);
    }
    hl_config_destroy(cfg);
    return code;
}
