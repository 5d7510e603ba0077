/* verdict: what the worker makes of what happened to it; arithmetic and tables only.
 *
 *   a handler ended       worker_judge_exit(), worker_judge_http()
 *   the server answered   worker_judge_answer()
 *   how long to wait      worker_backoff_ms(), worker_beat_ms()
 *   which queue first     worker_order_queues()
 */
#ifndef HL_WORKER_VERDICT_H
#define HL_WORKER_VERDICT_H

#include "base/rng.h"
#include "kit/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORKER_QUEUES_MAX 64   /* what one JOB.PULL takes */
#define WORKER_WEIGHT_MAX 1000 /* of a queue */

/* What a job's delivery comes to. */
enum worker_end {
    WORKER_DONE,  /* JOB.ACK with the result */
    WORKER_RETRY, /* JOB.NACK with the error */
    WORKER_FAIL,  /* JOB.NACK ... FAIL: trying again would not help */
};

struct worker_verdict {
    enum worker_end end;
    int64_t delay_ms; /* of a RETRY: at least this long; -1: the job's own back-off */
};

/* A handler process ended with `status`, or by signal `signal_number` when that is not 0.  0 is
 * done, `permanent` fails, anything else is tried again. */
struct worker_verdict worker_judge_exit(int64_t status, int signal_number, int64_t permanent);

/* An HTTP handler answered `status`; `retry_after_s` is what it asked to wait, 0 for nothing.  2xx
 * is done; 408, 425, 429 and everything from 500 is tried again; other 4xx fail; the rest (1xx,
 * 3xx: no redirect is followed) is tried again. */
struct worker_verdict worker_judge_http(int64_t status, int64_t retry_after_s);

/* What an error reply of the server means for the command that got it. */
enum worker_answer {
    WORKER_GONE,    /* the lease or the job is not ours any more: over */
    WORKER_AGAIN,   /* not executed, or nobody knows: send it again, if need be elsewhere */
    WORKER_REFUSED, /* it will never be accepted as it is */
};

/* Judge an error reply by its first word. */
enum worker_answer worker_judge_answer(struct hl_slice error);

/* Read host and port out of "MOVED 1234 host:port"; false when it is something else. */
bool worker_read_moved(struct hl_slice error, char host[256], int *port);

/* How long to wait before connection attempt `attempt` (0 is the first since it last worked) with
 * `servers` servers to choose from: each is tried once at once, then ever slower up to 5 s, less up
 * to half of it by chance, so that a thousand workers do not come back at one moment. */
int64_t worker_backoff_ms(uint64_t attempt, size_t servers, struct hl_rng *rng);

/* When to extend a lease that has `left_ms` to live: after a third, 20 ms at least. */
int64_t worker_beat_ms(int64_t left_ms);

/* Fill `order[count]` with positions of `weights` (1..WORKER_WEIGHT_MAX each): the first is drawn
 * by weight, the second by weight among the rest, and so on. */
void worker_order_queues(const uint32_t *weights, size_t count, struct hl_rng *rng, size_t *order);

#endif
