/* decide: what a command does, given the time and random numbers.
 *
 * Each function first lets overdue things happen (a few: see JOBS_TICK_COMMAND), decides, applies
 * its decision to the queue, and appends the bytes of every event that happened to `env->effects`.
 * Whoever applies those bytes (jobs_apply_bytes) to an equal queue has an equal queue again.
 * Only leaders call these.
 */
#ifndef JOBS_DECIDE_H
#define JOBS_DECIDE_H

#include "queue.h"

#define JOBS_TICK_COMMAND 64 /* overdue things that one command clears on its way */
#define JOBS_TICK_PULL 4096  /* the same for a PULL that would find nothing otherwise */

/* The world, as far as a decision sees it. */
struct jobs_env {
    int64_t now_ms;                                   /* 1..JOBS_TIME_MAX / 2 */
    void (*random)(void *ctx, void *out, size_t len); /* unguessable bytes */
    void *random_ctx;
    int64_t done_keep_ms;   /* how long done and cancelled jobs stay; 0: not at all, -1: for ever */
    int64_t dead_keep_ms;   /* the same for dead and failed ones */
    uint64_t done_max;      /* done jobs that a queue keeps at most; 0: no limit */
    struct hl_buf *effects; /* appended to */
    /* In a transaction or script: what is overdue waits, and a lease counts until its end was
     * recorded.  So what was looked at before is still so: only events change it. */
    bool frozen;
    /* Called when a lease may have ended by an event; may be NULL.  Must not look at the queue. */
    void (*turned)(void *ctx, uint64_t seq);
    void *turned_ctx;
    /* The first time after `after_ms` that a cron expression names by the clocks of a zone, in ms;
     * 0 for none.  For schedules only. */
    int64_t (*cron_next)(void *ctx, struct hl_slice cron, struct hl_slice zone, int64_t after_ms);
    void *cron_ctx;
};

/* How a job is to be run.  Ranges in event.h; the caller has checked them. */
struct jobs_options {
    int64_t delay_ms; /* 0: ready at once */
    int64_t ttl_ms;   /* 0: none; a job not begun by then dies */
    int64_t vis_ms;   /* length of a lease, 1..JOBS_SPAN_MAX */
    int64_t base_ms;  /* back-off after the first attempt */
    int64_t cap_ms;   /* back-off at most */
    int jitter;       /* 0..100: percent of the back-off that chance may take away */
    int pri;          /* -128..127, higher first */
    int tries;        /* attempts, 1..JOBS_TRIES_MAX */
    enum jobs_backoff backoff;
    enum jobs_scope scope;  /* how long the job keeps others with its unique key away */
    struct hl_slice unique; /* 1..JOBS_DEDUP_MAX bytes unless scope is JOBS_NOT_UNIQUE */
    bool has_keep;          /* keep_ms says how long its result stays, not queue and setting */
    int64_t keep_ms;        /* 0..JOBS_TIME_MAX / 2, or JOBS_KEEP_FOR_EVER */
};

enum jobs_verdict {
    JOBS_OK = 0,
    JOBS_NO_JOB,      /* no job has that number */
    JOBS_LEASE_LOST,  /* the job is not leased, or not under that token, or no longer */
    JOBS_WRONG_STATE, /* the job's state does not allow it */
    JOBS_FULL,        /* the queue holds as many jobs as it can */
    JOBS_NO_MEMORY,   /* nothing was changed */
    JOBS_IS_DRAINING, /* the queue takes no new jobs */
    JOBS_KEY_TAKEN,   /* another job holds the job's unique key */
};

/* Let a new queue begin: must be its first event.  Draws the queue's epoch. */
void jobs_begin(struct jobs_queue *queue, struct jobs_env *env);

/* Apply an event and write it down, after the time if that is news: for decisions made elsewhere.
 * Errors as jobs_apply(), and nothing is written down then; the impossible is a bug. */
HL_MUST_USE hl_err jobs_happen(struct jobs_queue *queue, struct jobs_env *env,
                               const struct jobs_event *event);

/* Let at most `budget` overdue things happen: delayed jobs become ready, schedules run, leases run
 * out, TTLs end, finished jobs and dedup ids are forgotten.  Returns how many did; fewer than
 * `budget` means that nothing overdue is left. */
size_t jobs_tick(struct jobs_queue *queue, struct jobs_env *env, size_t budget);

/* Add a job.  With a dedup id (`dedup.len` != 0) that was used within its window, or a unique key
 * that another job holds, nothing is added and *duplicate is true.  *seq is the new or the earlier
 * job's number.  JOBS_OK, JOBS_IS_DRAINING, JOBS_FULL or JOBS_NO_MEMORY. */
enum jobs_verdict jobs_push(struct jobs_queue *queue, struct jobs_env *env, struct hl_slice payload,
                            struct hl_slice dedup, int64_t window_ms,
                            const struct jobs_options *options, uint64_t *seq, bool *duplicate);

/* Lease up to `max` jobs to `worker` (may be empty): highest priority first, and in the order in
 * which they became ready; none while the queue is paused.  Their numbers go to `seqs`; returns
 * how many. */
size_t jobs_pull(struct jobs_queue *queue, struct jobs_env *env, struct hl_slice worker,
                 uint64_t *seqs, size_t max);

/* Note that the lease of job `seq`, which must be leased, ends with its connection: whoever knows
 * the connection calls jobs_drop() then. */
void jobs_bind(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq);

/* The connection that holds the lease is gone: the attempt ends, and the next may begin at once.
 * Verdicts as jobs_ack(). */
enum jobs_verdict jobs_drop(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq,
                            struct hl_slice token);

/* The lease's holder gives the job back, as if it had never had it: ready, the attempt not spent.
 * Verdicts as jobs_ack(). */
enum jobs_verdict jobs_release(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq,
                               struct hl_slice token);

/* The lease's holder has come so far: `percent` 0..100, `text` at most JOBS_PROGRESS_MAX bytes.
 * Verdicts as jobs_ack(). */
enum jobs_verdict jobs_progress(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq,
                                struct hl_slice token, int percent, struct hl_slice text);

/* Whether `token` holds the lease of the job at this moment.  Changes nothing. */
bool jobs_holds(const struct jobs_queue *queue, const struct jobs_env *env, uint64_t seq,
                struct hl_slice token);

/* Give an attribute of the queue a value, in its range (enum jobs_attribute); false when it had it
 * already. */
bool jobs_set(struct jobs_queue *queue, struct jobs_env *env, enum jobs_attribute which,
              int64_t value);

/* The lease's holder is done; `result` is kept with the job.  Doing it twice under the same token
 * is harmless.  JOBS_OK, JOBS_NO_JOB, JOBS_LEASE_LOST, JOBS_NO_MEMORY. */
enum jobs_verdict jobs_ack(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq,
                           struct hl_slice token, struct hl_slice result);

/* How a NACK wants to go on. */
struct jobs_nack {
    struct hl_slice error;
    bool permanent;   /* fail for good, whatever attempts are left */
    int64_t delay_ms; /* until the next attempt; -1: by the job's back-off */
};

/* The lease's holder gives up this attempt: retry later, or the dead-letter queue when attempts
 * are spent, or failed when `permanent`.  Verdicts as jobs_ack(). */
enum jobs_verdict jobs_nack(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq,
                            struct hl_slice token, const struct jobs_nack *how);

/* The lease's holder needs `span_ms` (1..JOBS_SPAN_MAX) from now.  JOBS_OK, JOBS_NO_JOB,
 * JOBS_LEASE_LOST. */
enum jobs_verdict jobs_extend(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq,
                              struct hl_slice token, int64_t span_ms);

/* Nobody shall run the job; who holds its lease has lost it.  JOBS_OK, JOBS_NO_JOB, or
 * JOBS_WRONG_STATE when it is finished. */
enum jobs_verdict jobs_cancel(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq);

/* A dead, failed or cancelled job gets all its attempts again, without a TTL.  JOBS_OK,
 * JOBS_NO_JOB, JOBS_WRONG_STATE, or JOBS_KEY_TAKEN. */
enum jobs_verdict jobs_revive(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq);

/* Which jobs to try again. */
struct jobs_redrive {
    unsigned states;       /* JOBS_IN bits: dead, failed or cancelled */
    struct hl_slice error; /* pattern for the last error; empty for any */
    size_t max;            /* jobs */
    size_t scan_max;       /* jobs that are looked at */
    size_t bytes_max; /* of payloads that move to another queue: no more once there are as many */
};

/* Revive jobs from number *cursor on, oldest first.  With `to`, another queue, they are pushed
 * there instead, as they were first pushed but without delay, TTL and dedup id, and are removed
 * here; `to_env` collects what happens there.  Jobs whose unique key is taken stay.  *cursor is
 * where to go on, 0 at the end.  Returns how many were moved.  JOBS_OK, or why it stopped before
 * the end: JOBS_IS_DRAINING, JOBS_FULL, JOBS_NO_MEMORY. */
enum jobs_verdict jobs_redrive(struct jobs_queue *queue, struct jobs_env *env,
                               struct jobs_queue *to, struct jobs_env *to_env,
                               const struct jobs_redrive *which, uint64_t *cursor, size_t *moved);

/* Remove up to `max` jobs in `states` (JOBS_IN bits), oldest first; returns how many. */
size_t jobs_purge(struct jobs_queue *queue, struct jobs_env *env, unsigned states, size_t max);

#endif
