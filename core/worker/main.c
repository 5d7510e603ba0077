/* helios-worker: leases jobs and runs a command or an HTTP call for each. */
#include "kit/assert.h"
#include "worker/worker.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int64_t now_us(void *ctx)
{
    (void)ctx;
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void write_line(void *ctx, enum hl_log_level level, struct hl_slice line)
{
    (void)ctx;
    (void)level;
    ssize_t put = write(STDOUT_FILENO, line.ptr, line.len);
    (void)put; /* a log that cannot be written cannot be complained about */
}

static int32_t utc_offset_s(void)
{
    time_t now = time(NULL);
    struct tm local;
    return localtime_r(&now, &local) != NULL ? (int32_t)local.tm_gmtoff : 0;
}

int main(int argc, char **argv)
{
    struct worker_options options;
    struct worker_request request;
    struct hl_errmsg msg = {0};
    int status = WORKER_FAILED;
    hl_err err = worker_options_read(&options, argc, argv, environ, &request, &msg);
    if (err != HL_OK) {
        fprintf(stderr, "helios-worker: %s\nhelios-worker --help says what there is.\n", msg.text);
    } else if (request.help) {
        worker_options_print_help(stdout);
        status = WORKER_GOOD;
    } else if (request.version) {
        puts("helios-worker " HELIOS_VERSION);
        status = WORKER_GOOD;
    } else {
        struct hl_log log = {.level = options.log_level,
                             .form = options.log_form,
                             .pid = getpid(),
                             .role = 'W',
                             .utc_offset_s = utc_offset_s(),
                             .now_us = now_us,
                             .write = write_line};
        status = worker_run(&options, &log, &msg);
        if (status == WORKER_FAILED) {
            fprintf(stderr, "helios-worker: %s\n", msg.text);
        }
    }
    worker_options_fini(&options);
    return status;
}
