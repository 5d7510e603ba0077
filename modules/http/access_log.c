/* The access log: two buffers, one filling while the other is written. */
#include "access_log.h"

#include "stats.h"

#include "kit/alloc.h"
#include "kit/json.h"
#include "net/desk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

struct access_log {
    uv_loop_t *loop;
    int fd;
    int next_fd; /* to go on in, once the write under way is over; else -1 */
    char *path;
    bool busy, failing;
    uv_fs_t write;
    struct hl_buf filling, writing;
};

static hl_err open_file(int *out, const char *path, struct hl_errmsg *msg)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0) {
        return hl_fail(msg, HL_EIO, "access log %s: %s", path, strerror(errno));
    }
    *out = fd;
    return HL_OK;
}

hl_err access_log_open(struct access_log **out, uv_loop_t *loop, const char *path,
                       struct hl_errmsg *msg)
{
    int fd = -1;
    hl_err err = open_file(&fd, path, msg);
    if (err != HL_OK) {
        return err;
    }
    struct access_log *log = hl_calloc(1, sizeof *log);
    log->loop = loop;
    log->fd = fd;
    log->next_fd = -1;
    log->path = hl_strndup(path, strlen(path));
    log->write.data = log;
    *out = log;
    return HL_OK;
}

static void begin_write(struct access_log *log);

/* Go on in the next file, unless the old one is being written. */
static void turn_page(struct access_log *log)
{
    if (!log->busy && log->next_fd >= 0) {
        close(log->fd);
        log->fd = log->next_fd;
        log->next_fd = -1;
    }
}

hl_err access_log_reopen(struct access_log *log, struct hl_errmsg *msg)
{
    int fd = -1;
    hl_err err = log == NULL ? HL_OK : open_file(&fd, log->path, msg);
    if (err != HL_OK || log == NULL) {
        return err;
    }
    if (log->next_fd >= 0) {
        close(log->next_fd);
    }
    log->next_fd = fd;
    turn_page(log);
    return HL_OK;
}

static void on_written(uv_fs_t *write)
{
    struct access_log *log = write->data;
    bool failed = write->result < 0;
    if (failed && !log->failing) {
        net_desk_log("warning", "the access log cannot be written: %s",
                     uv_strerror((int)write->result));
    }
    log->failing = failed;
    uv_fs_req_cleanup(write);
    hl_buf_clear(&log->writing);
    log->busy = false;
    turn_page(log);
    begin_write(log);
}

static void begin_write(struct access_log *log)
{
    if (log->busy || log->filling.len == 0) {
        return;
    }
    struct hl_buf empty = log->writing;
    log->writing = log->filling;
    log->filling = empty;
    uv_buf_t buf = uv_buf_init(log->writing.ptr, (unsigned)log->writing.len);
    log->busy = uv_fs_write(log->loop, &log->write, log->fd, &buf, 1, -1, on_written) == 0;
}

static void put_text(struct hl_buf *out, const char *name, struct helios_http_text text)
{
    hl_buf_printf(out, ",\"%s\":", name);
    hl_json_append_string(out, (struct hl_slice){.ptr = text.ptr, .len = text.len});
}

void access_log_write(struct access_log *log, const struct helios_http_done *done,
                      const char *traceparent)
{
    uv_timeval64_t now = {0};
    if (log == NULL) {
        return;
    }
    if (log->filling.len > ACCESS_LOG_WAITING_MAX) {
        stats_add(COUNT_access_log_dropped, 1);
        return;
    }
    (void)uv_gettimeofday(&now);
    struct hl_buf *out = &log->filling;
    hl_buf_printf(out, "{\"time_ms\":%" PRId64, now.tv_sec * 1000 + now.tv_usec / 1000);
    put_text(out, "remote", done->remote);
    put_text(out, "method", done->method);
    put_text(out, "path", done->path); /* not the query: secrets stand there */
    put_text(out, "route", done->pattern);
    hl_buf_printf(out, ",\"status\":%d,\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64,
                  done->status, done->bytes_in, done->bytes_out);
    hl_buf_printf(out, ",\"duration_us\":%" PRId64, done->duration_us);
    put_text(out, "user", done->user);
    put_text(out, "request_id", done->request_id);
    hl_buf_printf(out, ",\"trace\":\"%.32s\"}\n", traceparent + 3);
    begin_write(log);
}

void access_log_close(struct access_log *log)
{
    if (log == NULL) {
        return;
    }
    if (log->filling.len != 0) {
        ssize_t put = write(log->fd, log->filling.ptr, log->filling.len);
        (void)put; /* the last lines, and nobody left to hear of it */
    }
    close(log->fd);
    if (log->next_fd >= 0) {
        close(log->next_fd);
    }
    hl_free(log->path);
    hl_buf_fini(&log->filling);
    hl_buf_fini(&log->writing);
    hl_free(log);
}
