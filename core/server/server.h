/* The server: sockets, threads and time around one node.
 *
 * Everything runs on the loop's thread except what hl_wal_batch_write() does, which has threads of
 * its own (log_thread.c).  One iteration of libuv's loop is one iteration of the node: the first
 * callback after polling calls hl_server_enter(), the prepare handle before the next poll ends it.
 */
#ifndef HL_SERVER_SERVER_H
#define HL_SERVER_SERVER_H

#include "base/list.h"
#include "node/node.h"
#include "resp/parser.h"
#include "server/clock.h"
#include "server/config.h"
#include "server/users.h"

#include <uv.h>

#define HL_READ_SIZE (64 * 1024) /* bytes taken from a socket at once */
#define HL_LISTENERS_MAX 18

struct hl_log_thread;
struct hl_measures;
struct hl_metric;
struct hl_metrics;
struct hl_raft_metrics;
struct hl_tls_context;
struct hl_saver;
struct hl_modules;
struct hl_config;
struct hl_cluster_edge;
struct hl_orders;
struct hl_shared;
struct hl_server;

enum hl_listener_kind { HL_LISTEN_TCP, HL_LISTEN_TLS, HL_LISTEN_UNIX };

struct hl_listener {
    uv_poll_t poll;
    int fd;
    enum hl_listener_kind kind;
    struct hl_server *server;
};

/* Settings of the edge, read by the files of this folder. */
struct hl_server_options {
    const char *bind[HL_LISTENERS_MAX]; /* a leading '-' means "skip when unavailable" */
    int bind_count;
    char *bind_text; /* what `bind` points into; owned */
    int port;        /* 0: no TCP */
    int tls_port;
    const char *unixsocket; /* NULL: none */
    int unixsocket_perm;
    const char *dir;
    int backlog, maxclients, tcp_keepalive_s, timeout_s;
    bool protected_mode;
    size_t query_buffer_max;
    struct hl_config_output_limit output_limits[HL_CONFIG_OUTPUT_CLASSES];
    int64_t bulk_max;
    char client_addr[HL_MEMBER_ADDR_MAX + 1]; /* where clients of other nodes find this one */
};

struct hl_server {
    uv_loop_t loop;
    struct hl_world world;
    struct hl_clock clock;
    struct hl_node *node;
    struct hl_config *config;
    struct hl_wal *wal;
    bool barred;           /* the log may have forgotten promises: see identity.h */
    hl_index barred_until; /* what was lost for certain ends there */
    int dir_lock;          /* of the data directory, when no log holds it; else -1 */
    struct hl_log_thread *log_thread;
    struct hl_saver *saver;
    struct hl_metrics *metrics; /* of the server and its modules */
    struct hl_raft_metrics *raft_metrics;
    struct hl_measures *measures;
    struct hl_metric *sync_seconds; /* time that syncs of the log take */
    struct hl_modules *modules;
    struct hl_cluster_edge *cluster; /* NULL: not one of a cluster */
    struct hl_orders *orders;        /* NULL: the same */
    struct hl_shared *shared;        /* settings of the group */
    struct hl_users users;
    bool entered;     /* an iteration of the node is open */
    bool ending;      /* it was told to end */
    bool stopping;    /* the loop ends */
    bool save_at_end; /* SHUTDOWN may change it */
    int exit_code;

    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t again; /* active: the next poll does not wait */
    uv_timer_t cron;
    uv_idle_t loader;
    uv_async_t log_done;
    uv_signal_t sigterm, sigint, sighup;

    struct hl_server_options options;
    struct hl_listener *listeners[HL_LISTENERS_MAX]; /* each freed when its handle is closed */
    int listener_count;
    struct hl_tls_context *tls;      /* of the TLS port; NULL without one */
    uint64_t tls_turn_us;            /* spent on handshakes in this iteration */
    struct hl_list_node connections; /* of struct hl_conn */
    struct hl_list_node outputs;     /* those with something to write or close */
    struct hl_list_node resumes;     /* those that take input again */
    size_t connection_count;
    struct hl_parser_limits limits[2][2]; /* [authenticated][resp3] */
    char read_buf[HL_READ_SIZE];

    int64_t started_us;         /* wall clock */
    uint64_t reload_count;      /* of the settings' file, since the start; when the last was */
    int64_t reloaded_ms;        /* Unix time; 0: never */
    uint64_t uptime_written_us; /* uptime_file.c: the last time, and whether it is at it */
    bool uptime_writing;
    uint64_t cron_runs;
};

/* Load snapshot and log from now on, in slices. */
void hl_server_begin_loading(struct hl_server *server);

/* Open the node's iteration unless it is open.  Every callback calls it first. */
void hl_server_enter(struct hl_server *server);

/* Listen as the options say.  HL_EIO with the address and reason when nothing can be listened on.
 */
HL_MUST_USE hl_err hl_listen(struct hl_server *server, struct hl_errmsg *msg);

/* Close the listeners of one kind and listen again as the options say now.  When that fails, those
 * that were opened stay; the caller puts the old options back and calls again. */
HL_MUST_USE hl_err hl_listen_again(struct hl_server *server, enum hl_listener_kind kind,
                                   struct hl_errmsg *msg);

/* Stop listening. */
void hl_listen_stop(struct hl_server *server);

/* Take a connected socket as a client's.  Owns the descriptor from now on. */
void hl_conn_accept(struct hl_server *server, int fd, const struct hl_listener *listener);

/* Write what may leave, take input of the resumed, close the closing: before every poll. */
void hl_conns_flush(struct hl_server *server);

/* True when anybody may act as the default user: what protected mode guards. */
bool hl_server_is_open(const struct hl_server *server);

/* True for a client on this machine: a Unix socket or a loopback address. */
bool hl_server_session_is_local(const struct hl_session *session);

/* DEBUG. */
void hl_cmd_debug(struct hl_call *call);

/* Close every connection at once. */
void hl_conns_close_all(struct hl_server *server);

/* Close connections that were idle, or shaking hands, for too long. */
void hl_conns_cron(struct hl_server *server);

/* The options in force. */
const struct hl_server_options *hl_server_options(const struct hl_server *server);

/* world->output: look at this session before the next poll. */
void hl_conn_output(void *ctx, struct hl_session *session);

/* world->resume: take its input again. */
void hl_conn_resume(void *ctx, struct hl_session *session);

/* --- the log thread --------------------------------------------------------------------------- */

/* Start a thread that writes batches of `wal`; `done` is called from that thread for a result that
 * was asked for. */
struct hl_log_thread *hl_log_thread_start(struct hl_wal *wal, void (*done)(void *ctx), void *ctx);

/* Observe in `sync_seconds` how long each sync takes; NULL, the default: do not. */
void hl_log_thread_measure(struct hl_log_thread *thread, struct hl_metric *sync_seconds);

/* Hand over a batch that was just taken from the log; copied. */
void hl_log_thread_write(struct hl_log_thread *thread, const struct hl_wal_batch *batch);

/* The loop is about to sleep.  True when a result waits already, or a rest is over that the loop
 * takes for not yet over; otherwise `done` will be called when that is so, and perhaps more often.
 */
bool hl_log_thread_ask(struct hl_log_thread *thread);

/* The loop is awake and will look by itself: `done` need not be called. */
void hl_log_thread_unask(struct hl_log_thread *thread);

/* Take the result of the oldest batch; false when it has none yet. */
bool hl_log_thread_result(struct hl_log_thread *thread, hl_err *err, struct hl_errmsg *msg);

/* True for a moment after a batch for a slow disk: hand over none yet, so that the flushes in
 * flight are spread evenly. */
bool hl_log_thread_resting(struct hl_log_thread *thread);

/* Finish the batches in flight and end the threads.  Their results can still be taken; then call
 * hl_log_thread_destroy(). */
void hl_log_thread_stop(struct hl_log_thread *thread);

/* Release it once stopped.  NULL is allowed. */
void hl_log_thread_destroy(struct hl_log_thread *thread);

#endif
