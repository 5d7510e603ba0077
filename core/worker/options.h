/* options: what the command line, the environment and the configuration file ask of a worker.
 *
 * The worker's own flags are one table (options.c) that also prints --help.  Everything else, such
 * as --config, --worker-id, --poll-interval, --log-level, WORKER_ID and the `worker:` section of a
 * YAML file, is read by the server's configuration, so the two programs share files.
 */
#ifndef HL_WORKER_OPTIONS_H
#define HL_WORKER_OPTIONS_H

#include "base/log.h"
#include "kit/err.h"
#include "worker/verdict.h"

#include <stdio.h>

#define WORKER_SERVERS_MAX 16
#define WORKER_HEADERS_MAX 32
#define WORKER_CONCURRENCY_MAX 1000

/* Where a server is; `port` 0: `host` is the path of a Unix socket. */
struct worker_server {
    char host[256];
    int port;
};

/* Settings of a worker; filled by worker_options_read(), texts owned by it. */
struct worker_options {
    char *id;         /* the lease's owner: letters, digits, '_', '-', '.' */
    int64_t poll_ms;  /* how long one JOB.PULL waits */
    int64_t lease_ms; /* what a heartbeat extends a lease to; 0: to what it was */
    enum hl_log_level log_level;
    enum hl_log_form log_form;

    struct worker_server servers[WORKER_SERVERS_MAX];
    size_t server_count;
    char *user, *password; /* NULL: none */
    bool tls, insecure;
    const char *cacert, *cert, *key; /* NULL: none; borrowed from argv, as all below */

    char *queues[WORKER_QUEUES_MAX];
    uint32_t weights[WORKER_QUEUES_MAX];
    size_t queue_count;
    bool weighted; /* the order is drawn; otherwise it is as given */

    int64_t concurrency; /* jobs at once, 1..WORKER_CONCURRENCY_MAX */
    const char *exec;    /* a line for /bin/sh; NULL: none */
    const char *http;    /* a URL; NULL: none.  With neither the worker only watches */
    const char *headers[WORKER_HEADERS_MAX];
    size_t header_count;
    const char *http_cacert; /* NULL: whom the system trusts */
    int64_t job_timeout_ms;  /* 0: none */
    int64_t kill_after_ms;   /* between the polite signal and the other */
    int64_t grace_ms;        /* for jobs that run when the worker is told to stop */
    int64_t result_max;      /* bytes of a result that are kept */
    int64_t permanent_exit;  /* exit status of a handler that means: never again */
    bool once, drain;
};

/* What was asked instead of work. */
struct worker_request {
    bool help, version;
};

/*
 * Read everything.
 *
 * argv, envp  argv[0] is skipped; both borrowed as long as `out` lives.
 * out         filled on success, and ended with worker_options_fini(); also to be ended after a
 *             failure.  Untouched but zeroed when `request` is set.
 * msg         on failure which flag, variable or line, and why.
 *
 * HL_OK; HL_EINVAL for a wrong or missing setting; HL_EIO for a file that cannot be read.
 */
HL_MUST_USE hl_err worker_options_read(struct worker_options *out, int argc, char *const *argv,
                                       char *const *envp, struct worker_request *request,
                                       struct hl_errmsg *msg);

/* Release what the options own, and wipe the password. */
void worker_options_fini(struct worker_options *options);

/* Print usage: every flag with its default, the handler's contract, exit statuses. */
void worker_options_print_help(FILE *out);

#endif
