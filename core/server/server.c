/* One node in the real world: clocks, entropy, the log thread, the loop's order of events. */
#include "server/server.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/cluster.h"
#include "server/config.h"
#include "server/memory.h"
#include "server/metrics.h"
#include "server/modules.h"
#include "server/run.h"
#include "server/saver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define LOAD_SLICE_US 20000 /* of loading between two looks at the clients */

const struct hl_server_options *hl_server_options(const struct hl_server *server)
{
    return &server->options;
}

/* --- the world -------------------------------------------------------------------------------- */

static int64_t wall_us(void *ctx)
{
    (void)ctx;
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static uint64_t mono_us(void *ctx)
{
    struct hl_server *server = ctx;
    return hl_clock_us(&server->clock);
}

static void entropy(void *ctx, void *out, size_t len)
{
    (void)ctx;
    ssize_t got = getrandom(out, len, 0);
    HL_ASSERT(got == (ssize_t)len);
}

static void log_write(void *ctx, struct hl_wal_batch *batch)
{
    struct hl_server *server = ctx;
    hl_log_thread_write(server->log_thread, batch);
    hl_measure_batch(server, batch);
    server->node->log_resting = hl_log_thread_resting(server->log_thread);
}

/* One sync of a file on libuv's pool. */
struct file_sync {
    uv_work_t work;
    struct hl_server *server;
    uint64_t number;
    int file; /* a descriptor of its own: the node may close the other meanwhile */
    int error;
};

static void run_sync(uv_work_t *work)
{
    struct file_sync *sync = work->data;
    sync->error = fdatasync(sync->file) == 0 ? 0 : errno;
    (void)close(sync->file);
}

static void end_sync(uv_work_t *work, int status)
{
    struct file_sync *sync = work->data;
    struct hl_server *server = sync->server;
    if (status == 0 && !server->stopping) {
        hl_server_enter(server);
        hl_node_file_synced(server->node, sync->number, sync->error == 0 ? HL_OK : HL_EIO,
                            strerror(sync->error));
    }
    hl_free(sync);
}

static bool file_sync(void *ctx, int file, uint64_t number)
{
    struct hl_server *server = ctx;
    struct file_sync *sync = hl_calloc(1, sizeof *sync);
    *sync = (struct file_sync){.server = server, .number = number};
    sync->work.data = sync;
    sync->file = fcntl(file, F_DUPFD_CLOEXEC, 0);
    if (sync->file == -1) {
        hl_free(sync);
        return false;
    }
    int err = uv_queue_work(&server->loop, &sync->work, run_sync, end_sync);
    HL_ASSERT(err == 0); /* it fails without a function to run only */
    return true;
}

static size_t memory_used(void *ctx)
{
    (void)ctx;
    return hl_memory_used();
}

static void fatal(void *ctx, const char *why) __attribute__((noreturn));

static void fatal(void *ctx, const char *why)
{
    struct hl_server *server = ctx;
    hl_run_log(server, 3,
               "FATAL: the log cannot be trusted any more, ending now so that nothing "
               "unsafe is answered");
    hl_run_log(server, 3, why);
    _exit(1); /* not exit(): nothing may be flushed or answered after a failed fsync */
}

static void log_line(void *ctx, int level, const char *line)
{
    hl_run_log(ctx, level, line);
}

static void snapshot_wanted(void *ctx)
{
    struct hl_server *server = ctx;
    hl_saver_schedule(server->saver);
}

void hl_server_init_world(struct hl_server *server)
{
    hl_clock_init(&server->clock, hl_config_bool(server->config, HL_CFG_RAFT));
    server->world = (struct hl_world){
        .ctx = server,
        .wall_us = wall_us,
        .mono_us = mono_us,
        .entropy = entropy,
        .log_write = log_write,
        .output = hl_conn_output,
        .resume = hl_conn_resume,
        .memory_used = memory_used,
        .fatal = fatal,
        .log = log_line,
        .send = hl_cluster_send,
        .reaches = hl_cluster_reaches,
        .peers = hl_cluster_peers,
        .file_sync = file_sync,
        .snapshot_wanted = snapshot_wanted,
    };
}

/* --- the loop --------------------------------------------------------------------------------- */

void hl_server_enter(struct hl_server *server)
{
    if (!server->entered) {
        server->entered = true;
        server->tls_turn_us = 0;
        hl_node_begin(server->node);
        if (server->log_thread != NULL) {
            hl_log_thread_unask(server->log_thread);
        }
    }
}

static void take_log_result(struct hl_server *server)
{
    if (server->log_thread == NULL) {
        return;
    }
    hl_err err = HL_OK;
    struct hl_errmsg msg;
    while (hl_log_thread_result(server->log_thread, &err, &msg)) {
        hl_server_enter(server);
        hl_node_log_done(server->node, err, msg.text);
    }
    bool resting = hl_log_thread_resting(server->log_thread);
    if (resting != server->node->log_resting) {
        hl_server_enter(server); /* so that the iteration's end begins the next batch */
        server->node->log_resting = resting;
    }
}

static void on_again(uv_idle_t *handle)
{
    (void)handle; /* its being active is all that is wanted */
}

/*
 * The last thing before polling: what the iteration did goes to the log and to the sockets.  A
 * batch that was written meanwhile is not taken here but after the poll, which then does not wait:
 * the next batch begins when the result is taken, and whoever has sent a request by now should be
 * in it.
 */
static void on_prepare(uv_prepare_t *handle)
{
    struct hl_server *server = handle->data;
    if (server->entered || !hl_list_empty(&server->outputs) || !hl_list_empty(&server->resumes)) {
        hl_server_enter(server);
        hl_modules_service(server->modules);
        hl_conns_flush(server);
        hl_node_end(server->node);
        server->entered = false;
        hl_conns_flush(server); /* without a log, or when it was already durable */
        hl_modules_go_on(server->modules);
    }
    hl_cluster_before_poll(server);
    if (server->entered) { /* somebody was resumed and did something: that iteration has to end */
        (void)uv_idle_start(&server->again, on_again);
    }
    if (server->log_thread != NULL && hl_log_thread_ask(server->log_thread)) {
        (void)uv_idle_start(&server->again, on_again);
    }
}

/* The first thing after the callbacks of a poll. */
static void on_check(uv_check_t *handle)
{
    struct hl_server *server = handle->data;
    (void)uv_idle_stop(&server->again);
    take_log_result(server);
}

static void on_log_done(uv_async_t *handle)
{
    (void)handle; /* it has ended the poll: on_check() takes the result */
}

static void log_thread_done(void *ctx)
{
    struct hl_server *server = ctx;
    (void)uv_async_send(&server->log_done);
}

static void on_cron(uv_timer_t *timer)
{
    struct hl_server *server = timer->data;
    hl_server_enter(server);
    server->cron_runs++;
    hl_node_cron(server->node);
    hl_conns_cron(server);
    uv_timer_set_repeat(timer, 1000u / (uint64_t)server->node->config.hz); /* it may change */
    hl_run_cron(server);
}

static void on_load(uv_idle_t *idle)
{
    struct hl_server *server = idle->data;
    hl_server_enter(server);
    struct hl_errmsg msg = {0};
    hl_err err = hl_node_load_step(server->node, LOAD_SLICE_US, &msg);
    if (err == HL_ENOENT) {
        hl_run_load_progress(server);
        return;
    }
    (void)uv_idle_stop(idle);
    if (err != HL_OK) {
        hl_run_log(server, 3, msg.text);
        server->exit_code = 1;
        uv_stop(&server->loop);
        return;
    }
    hl_run_ready(server);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct hl_server *server = signal->data;
    hl_server_enter(server);
    hl_run_signal(server, number);
}

static void start_signal(struct hl_server *server, uv_signal_t *signal, int number)
{
    (void)uv_signal_init(&server->loop, signal);
    signal->data = server;
    (void)uv_signal_start(signal, on_signal, number);
}

void hl_server_init_loop(struct hl_server *server)
{
    int rc = uv_loop_init(&server->loop);
    HL_ASSERT(rc == 0);
    server->loop.data = server;
    hl_list_init(&server->connections);
    hl_list_init(&server->outputs);
    hl_list_init(&server->resumes);
    (void)uv_prepare_init(&server->loop, &server->prepare);
    server->prepare.data = server;
    (void)uv_check_init(&server->loop, &server->check);
    server->check.data = server;
    (void)uv_idle_init(&server->loop, &server->again);
    (void)uv_timer_init(&server->loop, &server->cron);
    server->cron.data = server;
    (void)uv_idle_init(&server->loop, &server->loader);
    server->loader.data = server;
    (void)uv_async_init(&server->loop, &server->log_done, on_log_done);
    server->log_done.data = server;
    start_signal(server, &server->sigterm, SIGTERM);
    start_signal(server, &server->sigint, SIGINT);
    start_signal(server, &server->sighup, SIGHUP);
}

void hl_server_begin_loading(struct hl_server *server)
{
    (void)uv_idle_start(&server->loader, on_load);
}

void hl_server_run(struct hl_server *server)
{
    uint64_t period_ms = 1000u / (uint64_t)server->node->config.hz;
    if (server->wal != NULL) {
        server->log_thread = hl_log_thread_start(server->wal, log_thread_done, server);
        hl_log_thread_measure(server->log_thread, server->sync_seconds);
    }
    (void)uv_prepare_start(&server->prepare, on_prepare);
    (void)uv_check_start(&server->check, on_check);
    (void)uv_timer_start(&server->cron, on_cron, period_ms, period_ms);
    if (hl_cluster_has_begun(server)) {
        hl_server_begin_loading(server);
    }
    hl_modules_run_loop(server->modules);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

/* The loop has ended, so nobody else tells the node what became of the last batches. */
static void stop_log_thread(struct hl_server *server)
{
    hl_err err = HL_OK;
    struct hl_errmsg msg = {0};
    if (server->log_thread == NULL) {
        return;
    }
    hl_log_thread_stop(server->log_thread);
    while (hl_log_thread_result(server->log_thread, &err, &msg)) {
        hl_node_log_done(server->node, err, msg.text);
    }
    hl_log_thread_destroy(server->log_thread);
    server->log_thread = NULL;
}

void hl_server_fini_loop(struct hl_server *server)
{
    hl_listen_stop(server);
    hl_cluster_stop(server);
    hl_conns_close_all(server);
    stop_log_thread(server);
    if (server->modules != NULL) {
        hl_modules_stop(server->modules);
    }
    uv_walk(&server->loop, close_handle, NULL);
    (void)uv_run(&server->loop, UV_RUN_DEFAULT);
    int rc = uv_loop_close(&server->loop);
    HL_ASSERT(rc == 0);
}
