/* job: one job as a value: its memory, what is noted about it, and how that is read.
 *
 * Only queue.c changes jobs.
 */
#ifndef JOBS_JOB_H
#define JOBS_JOB_H

#include "event.h"
#include "heap.h"

/* How long a job that was pushed with a unique key keeps others with that key away. */
enum jobs_scope {
    JOBS_NOT_UNIQUE = 0,
    JOBS_UNTIL_START = 1, /* until its first lease */
    JOBS_UNTIL_END = 2,   /* until it is finished, in whatever way */
    JOBS_UNTIL_DONE = 3,  /* until it is done or cancelled: a dead or failed one still does */
};

#define JOBS_KEEP_DEFAULT (-2) /* of keep_ms: as the queue, or the setting, says */
#define JOBS_KEEP_FOR_EVER (-1)

/* What few jobs have. */
struct jobs_extra {
    int64_t keep_ms; /* how long its result stays, or JOBS_KEEP_* */
    uint32_t progress_len;
    uint16_t unique_len;
    uint8_t scope;   /* enum jobs_scope */
    uint8_t percent; /* of its work, as its worker said */
    bool holds;      /* the unique key is this job's */
    bool bound;      /* leased: the lease ends with the connection that has it */
    char bytes[];    /* the unique key, then what the worker said of its progress */
};

/* Who worked on a job, and what came of it: the result when done, else the last error. */
struct jobs_note {
    struct jobs_extra *extra; /* NULL for most */
    uint32_t worker_len;
    uint32_t text_len;
    char bytes[]; /* worker, then text */
};

/* One job.  Read only outside queue.c. */
struct jobs_job {
    /* due_ms by state: scheduled: when it becomes ready; ready: end of its TTL; leased: end of
     * the lease; finished: when it is forgotten; 0: never.  tie: the job's number.  len: of the
     * payload. */
    struct jobs_timed when;
    union {
        struct {
            struct jobs_job *prev;
            struct jobs_job *next;
        };                                   /* ready: neighbours in its lane */
        unsigned char token[JOBS_TOKEN_LEN]; /* leased and done: whose it is, or was */
    };
    int64_t created_ms;
    int64_t changed_ms;
    int64_t expires_ms; /* end of the TTL, 0 for none */
    uint64_t fence;     /* of the last delivery: grows with every delivery of the queue */
    struct jobs_note *note;
    uint32_t vis_ms;
    uint32_t base_ms;
    uint32_t cap_ms;
    uint16_t attempts;
    uint16_t tries;
    uint16_t dedup_len;
    uint8_t state;   /* enum jobs_state */
    int8_t pri;      /* higher first */
    uint8_t backoff; /* enum jobs_backoff */
    uint8_t jitter;  /* percent */
    char bytes[];    /* dedup id, then payload */
};

/* A job with the fields that PUSH and JOB events share, in no state yet; NULL without memory. */
struct jobs_job *jobs_job_create(const struct jobs_event *event);

/* Free the job and its notes. */
void jobs_job_destroy(struct jobs_job *job);

/* Memory of the job and its notes in bytes. */
size_t jobs_job_bytes(const struct jobs_job *job);

/* Replace worker and text.  The slices may view the old ones.  HL_OK, or HL_ENOMEM with the job as
 * it was. */
HL_MUST_USE hl_err jobs_job_note(struct jobs_job *job, struct hl_slice worker,
                                 struct hl_slice text);

/* The job's extra, borrowed until the job changes; NULL when it has none. */
struct jobs_extra *jobs_job_extra(const struct jobs_job *job);

/* Give the job an extra with this unique key and this text of progress, at most
 * JOBS_DEDUP_MAX and JOBS_PROGRESS_MAX bytes, which may view the old ones; its other fields stay,
 * or have their defaults. */
struct jobs_extra *jobs_job_extend(struct jobs_job *job, struct hl_slice unique,
                                   struct hl_slice progress);

/* The job's payload; this view and those below are borrowed until the queue changes. */
struct hl_slice jobs_payload(const struct jobs_job *job);

/* The dedup id the job was pushed with; empty for none. */
struct hl_slice jobs_dedup_id(const struct jobs_job *job);

/* The unique key the job was pushed with, whether it still holds it or not; empty for none. */
struct hl_slice jobs_unique_key(const struct jobs_job *job);

/* What its worker said of its progress; empty for nothing. */
struct hl_slice jobs_progress_text(const struct jobs_job *job);

/* Who leased the job last; empty for nobody or somebody nameless. */
struct hl_slice jobs_worker(const struct jobs_job *job);

/* The result of a job that is done, else its last error; empty for none. */
struct hl_slice jobs_note_text(const struct jobs_job *job);

#endif
