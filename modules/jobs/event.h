/* event: everything that can happen to a queue, as data and as bytes.
 *
 * A command on the leader decides (decide.h) and says what happened as a list of events; the same
 * list, as bytes, is what the log, the append-only file and the replicas carry, and a snapshot is
 * such a list too.  Times, numbers and tokens are inside: applying one needs no clock.
 *
 * Bytes of an event: one byte of kind, then the kind's numbers and texts in the fixed order of
 * the table in event.c.  A number is zigzag LEB128, a text its length (LEB128) and its bytes.
 */
#ifndef JOBS_EVENT_H
#define JOBS_EVENT_H

#include "kit/bytes.h"
#include "kit/err.h"

#define JOBS_FORMAT 2     /* version of the bytes, carried by JOBS_EV_META */
#define JOBS_FORMAT_MIN 1 /* the oldest that is read: the kinds from JOBS_EV_SET on are newer */

#define JOBS_TIME_MAX (INT64_C(1) << 52)               /* milliseconds since the epoch */
#define JOBS_TOKEN_LEN 16                              /* bytes of a lease token */
#define JOBS_PAYLOAD_MAX (INT64_C(512) * 1024 * 1024)  /* bytes; what a client may send is less */
#define JOBS_NOTE_MAX JOBS_PAYLOAD_MAX                 /* bytes of a result or an error */
#define JOBS_DEDUP_MAX 512                             /* bytes of a dedup id */
#define JOBS_WORKER_MAX 256                            /* bytes of a worker's name */
#define JOBS_PROGRESS_MAX 1024                         /* bytes of a text of progress */
#define JOBS_TRIES_MAX 10000                           /* attempts */
#define JOBS_SPAN_MAX (INT64_C(28) * 24 * 3600 * 1000) /* ms of a lease or a back-off */

/* What a byte of kind means.  The numbers are part of the format: never reuse one. */
enum jobs_kind {
    JOBS_EV_META = 1,      /* the queue itself: first of every history and every snapshot */
    JOBS_EV_COUNTER = 2,   /* one counter of a snapshot */
    JOBS_EV_CLOCK = 3,     /* the time of the events that follow */
    JOBS_EV_PUSH = 4,      /* a job is born; due 0 means ready at once */
    JOBS_EV_LEASE = 5,     /* ready -> leased */
    JOBS_EV_DONE = 6,      /* leased -> done */
    JOBS_EV_RETRY = 7,     /* leased -> scheduled, or ready when due is 0 */
    JOBS_EV_BURY = 8,      /* leased or waiting -> dead or failed */
    JOBS_EV_CANCEL = 9,    /* leased or waiting -> cancelled */
    JOBS_EV_EXTEND = 10,   /* a lease ends later, or sooner */
    JOBS_EV_READY = 11,    /* scheduled -> ready */
    JOBS_EV_REVIVE = 12,   /* dead, failed or cancelled -> ready, attempts from 0 */
    JOBS_EV_REMOVE = 13,   /* the job is gone */
    JOBS_EV_FORGET = 14,   /* a dedup id may be used again */
    JOBS_EV_JOB = 15,      /* a whole job of a snapshot */
    JOBS_EV_USED = 16,     /* a dedup id of a snapshot */
    JOBS_EV_SET = 17,      /* an attribute of the queue has this value: enum jobs_attribute */
    JOBS_EV_TERMS = 18,    /* after PUSH or JOB: its unique key, and how long its result stays */
    JOBS_EV_PROGRESS = 19, /* how far the holder of a lease has come */
    JOBS_EV_BIND = 20,     /* after LEASE or JOB: the lease ends with its connection */
    JOBS_EV_RELEASE = 21,  /* leased -> ready, as if the lease had not been */
    JOBS_EV_FACT = 22,     /* one fact of a snapshot's feed */
    JOBS_EV_CRON = 40,     /* a schedule is made, changed or run: a record of cron.h */
    JOBS_EV_KINDS = 41,    /* one more than the last */
};

/* Why a lease or a job ended. */
enum jobs_cause {
    JOBS_BY_WORKER = 0,     /* NACK */
    JOBS_BY_LEASE = 1,      /* the lease ran out */
    JOBS_BY_TTL = 2,        /* not begun in time */
    JOBS_BY_PURGE = 3,      /* JOB.PURGE */
    JOBS_BY_AGE = 4,        /* kept long enough, or too many kept */
    JOBS_BY_CONNECTION = 5, /* the connection that held the lease is gone */
    JOBS_BY_REDRIVE = 6,    /* moved to another queue */
    JOBS_CAUSES = 7,
};

/* What a queue has beside jobs. */
enum jobs_attribute {
    JOBS_A_PAUSED = 0,    /* 0 or 1 */
    JOBS_A_DRAINING = 1,  /* 0 or 1 */
    JOBS_A_KEEP = 2,      /* keep_ms of results + 2, so that JOBS_KEEP_DEFAULT is 0 */
    JOBS_A_FEED_NEXT = 3, /* of a snapshot: number of the first fact that follows */
    JOBS_ATTRIBUTES = 4,
};

enum jobs_num {
    N_VERSION,
    N_EPOCH,
    N_AT,
    N_NEXT_SEQ,
    N_FENCE,
    N_WHICH,
    N_VALUE,
    N_SEQ,
    N_STATE,
    N_DUE,
    N_EXPIRES,
    N_CREATED,
    N_CHANGED,
    N_PRI,
    N_ATTEMPTS,
    N_TRIES,
    N_VIS,
    N_BACKOFF,
    N_BASE,
    N_CAP,
    N_JITTER,
    N_UNTIL,
    N_CAUSE,
    N_KEEP,
    N_SCOPE,
    N_PERCENT,
    N_COUNT
};

enum jobs_text { T_TOKEN, T_DEDUP, T_WORKER, T_NOTE, T_PAYLOAD, T_CRON, T_COUNT };

/* One event.  Fields that its kind does not have are 0 and are ignored. */
struct jobs_event {
    enum jobs_kind kind;
    int64_t num[N_COUNT];
    struct hl_slice text[T_COUNT]; /* borrowed */
};

/* Append the event's bytes.  Every field must be in range: a wrong one is our bug. */
void jobs_event_encode(struct hl_buf *out, const struct jobs_event *event);

/*
 * Read one event from the front of `in`, and advance `in` past it.
 *
 * event  filled on success; its texts borrow from the bytes of `in`.
 *
 * Returns HL_OK, or with `in` and `event` unspecified:
 *   HL_ECORRUPT  truncated, or a field out of its range
 *   HL_EVERSION  a kind this build does not know
 */
HL_MUST_USE hl_err jobs_event_decode(struct hl_slice *in, struct jobs_event *event);

#endif
