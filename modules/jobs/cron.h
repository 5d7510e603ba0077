/* cron: the schedules of a queue, which push jobs at the times of cron expressions.
 *
 * A schedule lives in its queue: it is deleted, renamed, copied and saved with it.  It knows the
 * time of its next run.  When that has come, the leader pushes the job and computes the time after
 * it; both travel as one effect, so that a failover neither repeats nor loses a run.  Followers
 * compute nothing: expressions and zones matter where decisions are made.
 *
 * One event, JOBS_EV_CRON, carries a record (T_CRON): a byte of version, a byte of kind, numbers of
 * eight bytes and texts behind their lengths of four, all little-endian, in the order of cron.c's
 * tables.
 *
 * Invariants:
 *   C1  schedules are sorted by name, and no two have the same.
 *   C2  a schedule is in `due` exactly when it has a next time; a paused one has none.
 *   C3  `bytes` is the memory of all schedules.
 */
#ifndef JOBS_CRON_H
#define JOBS_CRON_H

#include "decide.h"

#define JOBS_CRON_MAX 10000         /* schedules of a queue */
#define JOBS_CRON_NAME_MAX 128      /* bytes of a name */
#define JOBS_CRON_TEXT_MAX 256      /* bytes of an expression */
#define JOBS_CRON_ZONE_MAX 64       /* bytes of a zone's name */
#define JOBS_CRON_LATE_MS 60000     /* a run later than this was missed */
#define JOBS_CRON_BURST_MAX 100     /* missed runs that JOBS_MISFIRE_ALL makes up for */
#define JOBS_CRON_WINDOW_MS 3600000 /* for which a run's dedup id is kept */

/* What becomes of runs that were missed while nobody decided. */
enum jobs_misfire {
    JOBS_MISFIRE_ONE = 0,  /* one job for all of them */
    JOBS_MISFIRE_SKIP = 1, /* none */
    JOBS_MISFIRE_ALL = 2,  /* one for each, at most JOBS_CRON_BURST_MAX */
    JOBS_MISFIRES = 3,
};

/* What a schedule is to do; texts are borrowed. */
struct jobs_cron_def {
    struct hl_slice name;    /* 1..JOBS_CRON_NAME_MAX bytes */
    struct hl_slice cron;    /* a text for cron_parse() */
    struct hl_slice zone;    /* a name; empty: UTC */
    struct hl_slice payload; /* of its jobs */
    enum jobs_misfire misfire;
    struct jobs_options options; /* of its jobs */
};

/* One schedule.  Read only outside cron.c; def's texts are its own. */
struct jobs_schedule {
    struct jobs_timed when; /* due_ms: the next run, 0: none */
    struct jobs_cron_def def;
    int64_t created_ms;
    int64_t last_ms;   /* the time of the last run that pushed a job, 0: none yet */
    uint64_t last_seq; /* that job's number */
    uint64_t runs;     /* runs that pushed a job */
    uint64_t skipped;  /* runs that did not: missed, or the queue took no job */
    uint64_t burst;    /* missed runs made up for without a break */
    bool paused;
    char bytes[]; /* of def's texts */
};

/* All schedules of a queue. */
struct jobs_cron {
    struct jobs_schedule **all; /* C1 */
    size_t count, cap;
    struct jobs_heap due;
    uint64_t next_tie;
    size_t bytes;
};

/* Release everything; NULL is allowed. */
void jobs_cron_destroy(struct jobs_cron *cron);

/* The schedule of that name, borrowed until the queue changes; NULL for none. */
const struct jobs_schedule *jobs_cron_find(const struct jobs_queue *queue, struct hl_slice name);

/* The schedule with the least name after `name` (empty: the first), or NULL. */
const struct jobs_schedule *jobs_cron_after(const struct jobs_queue *queue, struct hl_slice name);

/* How many schedules a queue has, their memory in bytes, and when the next one is due (0: never).
 */
size_t jobs_cron_count(const struct jobs_queue *queue);

/* Bytes of memory of the schedules. */
size_t jobs_cron_bytes(const struct jobs_queue *queue);

/* When jobs_cron_fire() has something to do next, 0 for never. */
int64_t jobs_cron_deadline(const struct jobs_queue *queue);

/* Make a schedule, or give the one of that name another definition; *next_ms is its next run.
 * JOBS_OK; JOBS_WRONG_STATE when it would never run; JOBS_FULL at JOBS_CRON_MAX; JOBS_NO_MEMORY. */
enum jobs_verdict jobs_cron_set(struct jobs_queue *queue, struct jobs_env *env,
                                const struct jobs_cron_def *def, int64_t *next_ms);

/* Remove a schedule.  JOBS_OK or JOBS_NO_JOB, as below. */
enum jobs_verdict jobs_cron_del(struct jobs_queue *queue, struct jobs_env *env,
                                struct hl_slice name);

/* Let a schedule rest, or go on with its next time from now.  JOBS_OK, JOBS_NO_JOB, or
 * JOBS_WRONG_STATE when it did so already. */
enum jobs_verdict jobs_cron_pause(struct jobs_queue *queue, struct jobs_env *env,
                                  struct hl_slice name, bool paused);

/* Push a schedule's job now, paused or not; its times stay.  *seq and *duplicate as jobs_push(),
 * verdicts too, or JOBS_NO_JOB. */
enum jobs_verdict jobs_cron_run(struct jobs_queue *queue, struct jobs_env *env,
                                struct hl_slice name, uint64_t *seq, bool *duplicate);

/* Whether a schedule is due at env's time. */
bool jobs_cron_is_due(const struct jobs_queue *queue, const struct jobs_env *env);

/* Run the schedule that is due first; one must be. */
void jobs_cron_fire(struct jobs_queue *queue, struct jobs_env *env);

/* Apply the record of a JOBS_EV_CRON event.  Errors as jobs_apply(). */
HL_MUST_USE hl_err jobs_cron_apply(struct jobs_queue *queue, struct hl_slice record);

/* Hand the schedules to `put` as events that make equal ones, in the order of their names. */
void jobs_cron_snapshot(const struct jobs_queue *queue,
                        void (*put)(void *ctx, const struct jobs_event *event), void *ctx);

/* Check C1 to C3: NULL, or the one that is broken. */
const char *jobs_cron_check(const struct jobs_queue *queue);

#endif
