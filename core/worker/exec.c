/* A command per job: the payload on standard input, the result on standard output.
 *
 * Invariants:
 *   X1  the payload and its metadata are never part of a command line: no shell reads them.
 *   X2  the command leads a process group of its own; when it ends, or is stopped hard, the whole
 *       group is killed, so that no child outlives its job or keeps the pipes open.
 *   X3  however much the command prints, result_max bytes of it and WORKER_ERROR_MAX of its errors
 *       are kept.
 */
#include "kit/alloc.h"
#include "kit/assert.h"
#include "worker/handler.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHUNK (64 * 1024)
#define VARIABLES 7
#define DRAIN_MS 1000 /* for what is still in the pipes of a group that was killed */

extern char **environ;

struct handler {
    const struct worker_options *options;
    const struct job *job;
    handler_end_fn *end;
    void *ctx;
    uv_process_t process;
    uv_pipe_t in, out, err;
    uv_write_t write;
    uv_timer_t drain;
    unsigned handles; /* not yet closed */
    unsigned reading; /* pipes without their end */
    bool spawned, exited, closing;
    int64_t status;
    int signal_number;
    char refusal[128]; /* why it did not start */
    struct hl_buf result, errors;
    bool truncated;
    char chunk[CHUNK];
};

static void finish(struct handler *h)
{
    char how[160];
    if (h->refusal[0] != '\0') {
        (void)snprintf(how, sizeof how, "not started: %s", h->refusal);
    } else if (h->signal_number != 0) {
        (void)snprintf(how, sizeof how, "killed by signal %d", h->signal_number);
    } else {
        (void)snprintf(how, sizeof how, "exit status %lld", (long long)h->status);
    }
    struct outcome outcome = {.how = how, .truncated = h->truncated};
    outcome.verdict = worker_judge_exit(h->status, h->signal_number, h->options->permanent_exit);
    if (h->refusal[0] != '\0') {
        outcome.verdict = (struct worker_verdict){.end = WORKER_RETRY, .delay_ms = -1};
    }
    bool done = outcome.verdict.end == WORKER_DONE;
    outcome.text = hl_buf_view(done ? &h->result : &h->errors);
    if (!done && outcome.text.len == 0) {
        outcome.text = hl_slice_of(how);
    }
    h->end(h->ctx, &outcome);
    hl_buf_fini(&h->result);
    hl_buf_fini(&h->errors);
    hl_free(h);
}

static void on_closed(uv_handle_t *handle)
{
    struct handler *h = handle->data;
    if (--h->handles == 0) {
        finish(h);
    }
}

static void close_all(struct handler *h)
{
    if (h->closing) {
        return;
    }
    h->closing = true;
    uv_handle_t *all[] = {(uv_handle_t *)&h->process, (uv_handle_t *)&h->in, (uv_handle_t *)&h->out,
                          (uv_handle_t *)&h->err, (uv_handle_t *)&h->drain};
    for (size_t i = 0; i < HL_ARRAY_LEN(all); i++) {
        if (!uv_is_closing(all[i])) {
            uv_close(all[i], on_closed);
        }
    }
}

static void end_if_over(struct handler *h)
{
    if (h->exited && h->reading == 0) {
        close_all(h);
    }
}

static void on_drained(uv_timer_t *timer)
{
    close_all(timer->data); /* somebody outside the group holds a pipe */
}

static void signal_group(struct handler *h, int number)
{
    if (h->spawned && h->process.pid > 0) {
        (void)kill(-h->process.pid, number);
    }
}

static void on_ended(uv_process_t *process, int64_t status, int signal_number)
{
    struct handler *h = process->data;
    h->exited = true;
    h->status = status;
    h->signal_number = signal_number;
    signal_group(h, SIGKILL); /* X2 */
    uv_timer_start(&h->drain, on_drained, DRAIN_MS, 0);
    end_if_over(h);
}

static void give_chunk(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct handler *h = handle->data;
    *buf = uv_buf_init(h->chunk, sizeof h->chunk);
}

static void end_pipe(struct handler *h, uv_stream_t *stream)
{
    (void)uv_read_stop(stream);
    h->reading--;
    end_if_over(h);
}

static void on_result(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct handler *h = stream->data;
    if (got < 0) {
        end_pipe(h, stream);
        return;
    }
    size_t room = (size_t)h->options->result_max - h->result.len;
    size_t len = (size_t)got;
    h->truncated = h->truncated || len > room;
    hl_buf_append(&h->result, buf->base, len < room ? len : room);
}

/* The last of it is what says why. */
static void on_errors(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct handler *h = stream->data;
    if (got < 0) {
        end_pipe(h, stream);
        return;
    }
    hl_buf_append(&h->errors, buf->base, (size_t)got);
    if (h->errors.len > WORKER_ERROR_MAX) {
        hl_buf_consume(&h->errors, h->errors.len - WORKER_ERROR_MAX);
    }
}

/* All of the payload is read, or the command does not want it. */
static void on_written(uv_write_t *write, int status)
{
    (void)status;
    struct handler *h = write->data;
    if (!uv_is_closing((uv_handle_t *)&h->in)) {
        uv_close((uv_handle_t *)&h->in, on_closed);
    }
}

/* Our environment without passwords, and what the job is; freed by the caller. */
static char **make_environment(const struct handler *h)
{
    static const char *const secrets[] = {"HELIOS_PASSWORD=", "REDISCLI_AUTH="};
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **all = hl_calloc(count + VARIABLES + 1, sizeof *all);
    size_t at = 0;
    const struct job *job = h->job;
    struct hl_buf texts[VARIABLES] = {{0}};
    hl_buf_printf(&texts[0], "JOB_ID=%s", job->id);
    hl_buf_printf(&texts[1], "JOB_QUEUE=%s", job->queue);
    hl_buf_printf(&texts[2], "JOB_ATTEMPT=%lld", (long long)job->attempt);
    hl_buf_printf(&texts[3], "JOB_TOKEN=%s", job->token);
    hl_buf_printf(&texts[4], "JOB_FENCE=%lld", (long long)job->fence);
    hl_buf_printf(&texts[5], "JOB_DEADLINE=%lld", (long long)job->deadline_ms);
    hl_buf_printf(&texts[6], "WORKER_ID=%s", h->options->id);
    for (; at < VARIABLES; at++) {
        hl_buf_append(&texts[at], "", 1);
        all[at] = texts[at].ptr;
    }
    for (size_t i = 0; i < count; i++) {
        bool kept =
            strncmp(environ[i], "JOB_", 4) != 0 && strncmp(environ[i], "WORKER_ID=", 10) != 0;
        for (size_t k = 0; k < HL_ARRAY_LEN(secrets); k++) {
            kept = kept && strncmp(environ[i], secrets[k], strlen(secrets[k])) != 0;
        }
        if (kept) {
            all[at++] = environ[i];
        }
    }
    return all;
}

static int spawn(struct handler *h, uv_loop_t *loop)
{
    char shell[] = "/bin/sh";
    char flag[] = "-c";
    char *command = hl_strndup(h->options->exec, strlen(h->options->exec));
    char *args[] = {shell, flag, command, NULL};
    char **env = make_environment(h);
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&h->in},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&h->out},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&h->err}};
    uv_process_options_t options = {.exit_cb = on_ended,
                                    .file = shell,
                                    .args = args,
                                    .env = env,
                                    .flags = UV_PROCESS_DETACHED, /* a session, so a group */
                                    .stdio_count = 3,
                                    .stdio = stdio};
    int rc = uv_spawn(loop, &h->process, &options);
    for (size_t i = 0; i < VARIABLES; i++) {
        hl_free(env[i]);
    }
    hl_free(env);
    hl_free(command);
    return rc;
}

static struct handler *start(uv_loop_t *loop, const struct worker_options *options,
                             const struct job *job, handler_end_fn *end, void *ctx)
{
    struct handler *h = hl_calloc(1, sizeof *h);
    h->options = options;
    h->job = job;
    h->end = end;
    h->ctx = ctx;
    (void)uv_pipe_init(loop, &h->in, 0);
    (void)uv_pipe_init(loop, &h->out, 0);
    (void)uv_pipe_init(loop, &h->err, 0);
    (void)uv_timer_init(loop, &h->drain);
    h->in.data = h->out.data = h->err.data = h->drain.data = h->process.data = h->write.data = h;
    int rc = spawn(h, loop);
    h->process.data = h;
    h->handles = 5;
    if (rc < 0) {
        (void)snprintf(h->refusal, sizeof h->refusal, "%s", uv_strerror(rc));
        close_all(h);
        return h;
    }
    h->spawned = true;
    h->reading = 2;
    int read_out = uv_read_start((uv_stream_t *)&h->out, give_chunk, on_result);
    int read_err = uv_read_start((uv_stream_t *)&h->err, give_chunk, on_errors);
    HL_ASSERT(read_out == 0 && read_err == 0);
    uv_buf_t buf = uv_buf_init(job->payload, (unsigned)job->payload_len);
    rc = uv_write(&h->write, (uv_stream_t *)&h->in, &buf, 1, on_written);
    if (rc < 0) {
        on_written(&h->write, rc);
    }
    return h;
}

static void stop(struct handler *handler, bool hard)
{
    if (!handler->exited) {
        signal_group(handler, hard ? SIGKILL : SIGTERM);
    }
}

const struct handler_kind handler_exec = {start, stop};
