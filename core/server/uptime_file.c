#include "server/uptime_file.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define PERIOD_MS 5000 /* between two writings: a crash is dated so precisely */

/* One writing on libuv's pool. */
struct writing {
    uv_work_t work;
    struct hl_server *server;
    struct hl_buf bytes;
    char path[PATH_MAX];
};

static bool path_of(const struct hl_server *server, const char *name, char *out)
{
    int len = snprintf(out, PATH_MAX, "%s/%s", server->options.dir, name);
    return len > 0 && len < PATH_MAX;
}

/* The old file stays until the new one is whole. */
static bool replace(const char *path, struct hl_slice bytes, bool sync)
{
    char fresh[PATH_MAX + 8];
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0) {
        return false;
    }
    bool good = write(fd, bytes.ptr, bytes.len) == (ssize_t)bytes.len;
    good = good && (!sync || fdatasync(fd) == 0);
    good = close(fd) == 0 && good;
    good = good && rename(fresh, path) == 0;
    if (!good) {
        (void)unlink(fresh);
    }
    return good;
}

static void encode(struct hl_server *server, bool clean, struct hl_buf *out)
{
    const struct hl_world *world = &server->world;
    hl_uptime_encode(&server->node->uptime, world->wall_us(world->ctx) / 1000,
                     world->mono_us(world->ctx), clean, out);
}

static size_t read_file(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return 0;
    }
    ssize_t got = read(fd, out, size);
    (void)close(fd);
    return got > 0 ? (size_t)got : 0;
}

void hl_uptime_file_begin(struct hl_server *server)
{
    char path[PATH_MAX];
    char text[HL_UPTIME_FILE_MAX];
    struct hl_node *node = server->node;
    struct hl_errmsg msg = {0};
    if (!path_of(server, HL_UPTIME_FILE, path)) {
        return;
    }
    struct hl_slice bytes = {.ptr = text, .len = read_file(path, text, sizeof text)};
    if (bytes.len != 0 && hl_uptime_decode(&node->uptime, bytes, &msg) != HL_OK) {
        char line[sizeof msg.text + 80];
        (void)snprintf(line, sizeof line, "%s: %s; the history of uptimes begins anew",
                       HL_UPTIME_FILE, msg.text);
        hl_run_log(server, 2, line);
    }
    hl_uptime_begin(&node->uptime, node->now_ms, server->world.mono_us(server->world.ctx));
}

static void run_writing(uv_work_t *work)
{
    struct writing *writing = work->data;
    (void)replace(writing->path, hl_buf_view(&writing->bytes), false);
}

static void end_writing(uv_work_t *work, int status)
{
    struct writing *writing = work->data;
    (void)status;
    writing->server->uptime_writing = false;
    hl_buf_fini(&writing->bytes);
    hl_free(writing);
}

void hl_uptime_file_cron(struct hl_server *server)
{
    uint64_t now_us = server->world.mono_us(server->world.ctx);
    if (server->uptime_writing || now_us - server->uptime_written_us < PERIOD_MS * 1000ull) {
        return;
    }
    struct writing *writing = hl_calloc(1, sizeof *writing);
    writing->server = server;
    writing->work.data = writing;
    server->uptime_written_us = now_us;
    if (!path_of(server, HL_UPTIME_FILE, writing->path)) {
        hl_free(writing);
        return;
    }
    encode(server, false, &writing->bytes);
    server->uptime_writing = true;
    int err = uv_queue_work(&server->loop, &writing->work, run_writing, end_writing);
    HL_ASSERT(err == 0); /* it fails without a function to run only */
}

void hl_uptime_file_end(struct hl_server *server)
{
    char path[PATH_MAX];
    HL_ASSERT(!server->uptime_writing);
    if (path_of(server, HL_UPTIME_FILE, path)) {
        struct hl_buf last = {0};
        encode(server, true, &last);
        (void)replace(path, hl_buf_view(&last), true);
        hl_buf_fini(&last);
    }
}
