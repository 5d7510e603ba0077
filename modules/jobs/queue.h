/* queue: one job queue as a value, and the one door through which it changes.
 *
 * A job is in exactly one state:
 *
 *   scheduled --due--> ready --PULL--> leased --ACK--> done
 *       ^                ^               |
 *       +-----back-off---+---NACK, lease ran out, attempts left
 *                                        |
 *                        attempts spent: dead;  NACK FAIL: failed;  CANCEL: cancelled
 *
 * A lease that is given back (RELEASE) makes its job ready, as if it had not been.
 *
 * jobs_apply() is the only function that changes a queue.  decide.h turns commands and time into
 * events and applies them; followers and loaders apply the same events read from bytes.
 */
#ifndef JOBS_QUEUE_H
#define JOBS_QUEUE_H

#include "dedup.h"
#include "event.h"
#include "feed.h"
#include "heap.h"
#include "index.h"
#include "job.h"

enum jobs_state {
    JOBS_SCHEDULED = 0,
    JOBS_READY = 1,
    JOBS_LEASED = 2,
    JOBS_DONE = 3,
    JOBS_DEAD = 4,
    JOBS_FAILED = 5,
    JOBS_CANCELLED = 6,
    JOBS_STATES = 7, /* the eighth is kept for jobs that wait for other jobs */
};

#define JOBS_IN(state) (1u << (state))
#define JOBS_WAITING (JOBS_IN(JOBS_SCHEDULED) | JOBS_IN(JOBS_READY))
#define JOBS_FINISHED                                                                              \
    (JOBS_IN(JOBS_DONE) | JOBS_IN(JOBS_DEAD) | JOBS_IN(JOBS_FAILED) | JOBS_IN(JOBS_CANCELLED))
#define JOBS_ANY (JOBS_WAITING | JOBS_IN(JOBS_LEASED) | JOBS_FINISHED)

enum jobs_backoff { JOBS_FIXED = 0, JOBS_EXPONENTIAL = 1 };

/* Counters since the queue was made; what is counted is an event, so replicas agree. */
enum jobs_counter {
    JOBS_C_PUSHED,
    JOBS_C_PULLED,
    JOBS_C_ACKED,
    JOBS_C_NACKED,
    JOBS_C_LEASE_EXPIRED,
    JOBS_C_TTL_EXPIRED,
    JOBS_C_DEAD,
    JOBS_C_FAILED,
    JOBS_C_CANCELLED,
    JOBS_C_REVIVED,
    JOBS_C_PURGED,
    JOBS_C_AGED,
    JOBS_C_LEASE_DROPPED,
    JOBS_C_RELEASED,
    JOBS_C_REDRIVEN,
    JOBS_COUNTERS
};

/* The ready jobs of one priority, first in, first out. */
struct jobs_lane {
    int pri;
    struct jobs_job *first;
    struct jobs_job *last;
};

struct jobs_cron;

/* One queue.  Read only outside queue.c. */
struct jobs_queue {
    bool begun;     /* META was applied */
    uint32_t epoch; /* drawn when the queue was made: ids of an earlier queue never match */
    int64_t created_ms;
    int64_t clock_ms; /* time of the latest event */
    uint64_t next_seq;
    uint64_t fence; /* of the latest delivery */
    struct jobs_index index;
    struct jobs_lane *lanes; /* by descending priority; at most 256 */
    uint32_t lane_count;
    struct jobs_heap due;  /* waiting and leased jobs */
    struct jobs_heap kept; /* finished jobs that will be forgotten */
    struct jobs_dedup dedup;
    struct jobs_dedup unique; /* the unique keys that jobs hold */
    struct jobs_feed feed;
    struct jobs_cron *cron; /* schedules; NULL when there is none: cron.h */
    int64_t keep_ms; /* how long results stay, or JOBS_KEEP_* */
    bool paused;     /* no leases */
    bool draining;   /* no new jobs */
    uint64_t count[JOBS_STATES];
    uint64_t counters[JOBS_COUNTERS];
    size_t job_bytes; /* memory of jobs and notes */
};

/* A new queue, which the caller ends with jobs_destroy().  `hash_key`: any random numbers, not
 * part of the state.  It accepts nothing before its META event. */
struct jobs_queue *jobs_create(const uint64_t hash_key[2]);

/* Release everything; NULL is allowed. */
void jobs_destroy(struct jobs_queue *queue);

/*
 * Let one event happen.
 *
 * Returns HL_OK, or with the queue as before:
 *   HL_ECORRUPT  the event is impossible in this state: it was made for another history
 *   HL_EVERSION  a META of another format
 *   HL_EFULL     the queue holds as many jobs as it can
 *   HL_ENOMEM    no memory for the job's bytes
 */
HL_MUST_USE hl_err jobs_apply(struct jobs_queue *queue, const struct jobs_event *event);

/* Apply every event in `bytes`.  On an error, of jobs_apply() or jobs_event_decode(), the events
 * before the bad one have happened. */
HL_MUST_USE hl_err jobs_apply_bytes(struct jobs_queue *queue, struct hl_slice bytes);

/* Hand the queue as event bytes to `write` in pieces of about 64 KiB (larger only for one large
 * job): applied in order to a new queue they make an equal one.  Equal queues give equal bytes. */
void jobs_snapshot(const struct jobs_queue *queue, void (*write)(void *ctx, struct hl_slice piece),
                   void *ctx);

/* The job numbered `seq`, or NULL; borrowed until the queue changes. */
const struct jobs_job *jobs_find(const struct jobs_queue *queue, uint64_t seq);

/* The job with the least number >= `from` in one of `states` (JOBS_IN bits), or NULL. */
const struct jobs_job *jobs_next(const struct jobs_queue *queue, unsigned states, uint64_t from);

/* The ready job that is next in turn, or NULL. */
const struct jobs_job *jobs_front(const struct jobs_queue *queue);

/* When jobs_tick() has something to do next, 0 for never. */
int64_t jobs_deadline(const struct jobs_queue *queue);

/* Jobs in all states. */
uint64_t jobs_total(const struct jobs_queue *queue);

/* Memory of the queue in bytes, without the allocator's overhead.  O(1). */
size_t jobs_bytes(const struct jobs_queue *queue);

/* The number of the job that holds the unique key; 0 for none. */
uint64_t jobs_unique_holder(const struct jobs_queue *queue, struct hl_slice key);

/* The state's name in lower case. */
const char *jobs_state_name(enum jobs_state state);

/* Check every invariant, O(n log n): NULL, or the one that is broken.  For tests and fuzzers. */
const char *jobs_check(const struct jobs_queue *queue);

#endif
