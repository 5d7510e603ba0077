/* handler: what a worker does with a job: a process (exec.c) or an HTTP call (http.c).
 *
 * Both are started with a job and call back once, when nothing of them is left.
 */
#ifndef HL_WORKER_HANDLER_H
#define HL_WORKER_HANDLER_H

#include "worker/options.h"

#include <uv.h>

#define WORKER_ERROR_MAX                                                                           \
    4096 /* bytes of an error text that are kept: the last of standard error                       \
          */

/* One delivery of a job.  Texts are NUL-terminated, without control characters. */
struct job {
    char *id, *queue, *token;
    char *payload; /* any bytes */
    size_t payload_len;
    int64_t attempt, deadline_ms, fence;
};

/* How a handler ended. */
struct outcome {
    struct worker_verdict verdict;
    struct hl_slice text; /* the result, or the error; borrowed for the call */
    bool truncated;       /* the result was longer than result_max */
    const char *how;      /* for people: "exit status 3" */
};

typedef void handler_end_fn(void *ctx, const struct outcome *outcome);

/* Opaque: one run of a handler. */
struct handler;

/* The two kinds. */
struct handler_kind {
    /* Begin; `end` is called later, once, and never from within.  `job` and `options` outlive it.
     */
    struct handler *(*start)(uv_loop_t *loop, const struct worker_options *options,
                             const struct job *job, handler_end_fn *end, void *ctx);
    /* Stop it: politely, and later hard.  `end` is still called. */
    void (*stop)(struct handler *handler, bool hard);
};

/* A command in a process group of its own. */
extern const struct handler_kind handler_exec;

/* A POST to an address. */
extern const struct handler_kind handler_http;

/* Prepare what all HTTP handlers of the process share, on its one loop. */
void handler_http_open(uv_loop_t *loop);

/* End that, when no HTTP handler is left; harmless when it was not opened.  The loop must run once
 * more. */
void handler_http_close(void);

#endif
