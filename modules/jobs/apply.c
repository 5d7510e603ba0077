/* The one door through which a queue changes, jobs_apply().
 *
 * Invariants (checked by jobs_check() in check.c; cited by number elsewhere):
 *   Q1  a job is in exactly one state: the index's bits, count[] and job->state agree.
 *   Q2  the lanes hold exactly the ready jobs, each in the lane of its priority.
 *   Q3  a scheduled or leased job has a time and is in `due`; a ready one is there exactly when
 *       it has a TTL; a finished one is in `kept` exactly when it will be forgotten.
 *   Q4  attempts < tries while waiting; 1 <= attempts <= tries while leased.
 *   Q5  every number is below next_seq, every fence at most `fence`.
 *   Q6  job_bytes is the sum over the jobs.
 *   Q7  `unique` holds exactly the unique keys of jobs whose extra says that they hold them.
 *
 * Memory whose size a client chose is allocated before anything changes, so that HL_ENOMEM
 * leaves the queue as it was.
 */
#include "queue.h"

#include "cron.h"
#include "kit/alloc.h"
#include "kit/assert.h"

static bool is_in(const struct jobs_job *job, unsigned states)
{
    return (states & JOBS_IN(job->state)) != 0;
}

/* The place of priority `pri` among the lanes, or where it belongs. */
static uint32_t lane_at(const struct jobs_queue *queue, int pri)
{
    uint32_t low = 0;
    uint32_t high = queue->lane_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (queue->lanes[middle].pri > pri) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct jobs_lane *lane_of(struct jobs_queue *queue, int pri)
{
    uint32_t at = lane_at(queue, pri);
    if (at < queue->lane_count && queue->lanes[at].pri == pri) {
        return &queue->lanes[at];
    }
    size_t size = (queue->lane_count + 1) * sizeof *queue->lanes;
    queue->lanes = hl_realloc(queue->lanes, size);
    memmove(&queue->lanes[at + 1], &queue->lanes[at],
            (queue->lane_count - at) * sizeof *queue->lanes);
    queue->lane_count++;
    queue->lanes[at] = (struct jobs_lane){.pri = pri};
    return &queue->lanes[at];
}

static void lane_append(struct jobs_queue *queue, struct jobs_job *job)
{
    struct jobs_lane *lane = lane_of(queue, job->pri);
    job->prev = lane->last;
    job->next = NULL;
    *(lane->last != NULL ? &lane->last->next : &lane->first) = job;
    lane->last = job;
}

static void lane_remove(struct jobs_queue *queue, struct jobs_job *job)
{
    struct jobs_lane *lane = lane_of(queue, job->pri);
    *(job->prev != NULL ? &job->prev->next : &lane->first) = job->next;
    *(job->next != NULL ? &job->next->prev : &lane->last) = job->prev;
    memset(job->token, 0, sizeof job->token);
}

static struct jobs_heap *heap_of(struct jobs_queue *queue, const struct jobs_job *job)
{
    return is_in(job, JOBS_FINISHED) ? &queue->kept : &queue->due;
}

/* Take the job out of what its state keeps it in: lane and heap.  Index and count stay. */
static void leave(struct jobs_queue *queue, struct jobs_job *job)
{
    jobs_heap_drop(heap_of(queue, job), &job->when);
    if (job->state == JOBS_READY) {
        lane_remove(queue, job);
    }
}

/* Put the job, which just left its state, into `state`, to come due at `due_ms` (0: never). */
static void enter(struct jobs_queue *queue, struct jobs_job *job, enum jobs_state state,
                  int64_t due_ms)
{
    job->state = (uint8_t)state;
    job->when.due_ms = due_ms;
    if (state == JOBS_READY) {
        lane_append(queue, job);
        job->when.due_ms = job->expires_ms;
    }
    if (job->when.due_ms != 0) {
        jobs_heap_put(heap_of(queue, job), &job->when, job->when.due_ms);
    }
    queue->count[state]++;
}

/* Whether a job that comes into `state` gives its unique key back. */
static bool ends_scope(enum jobs_scope scope, enum jobs_state state)
{
    unsigned ends = 0;
    switch (scope) {
    case JOBS_NOT_UNIQUE:
        break;
    case JOBS_UNTIL_START:
        ends = JOBS_IN(JOBS_LEASED) | JOBS_FINISHED;
        break;
    case JOBS_UNTIL_END:
        ends = JOBS_FINISHED;
        break;
    case JOBS_UNTIL_DONE:
        ends = JOBS_IN(JOBS_DONE) | JOBS_IN(JOBS_CANCELLED);
        break;
    }
    return (ends & JOBS_IN(state)) != 0;
}

static void hold_key(struct jobs_queue *queue, struct jobs_job *job)
{
    jobs_dedup_add(&queue->unique, jobs_unique_key(job), job->when.tie, 0);
    jobs_job_extra(job)->holds = true;
}

static void let_key_go(struct jobs_queue *queue, struct jobs_job *job)
{
    struct jobs_extra *extra = jobs_job_extra(job);
    if (extra != NULL && extra->holds) {
        struct jobs_used *used = jobs_dedup_find(&queue->unique, jobs_unique_key(job));
        HL_ASSERT(used != NULL);
        HL_ASSERT(used->when.tie == job->when.tie);
        jobs_dedup_drop(&queue->unique, used);
        extra->holds = false;
    }
}

static void move(struct jobs_queue *queue, struct jobs_job *job, enum jobs_state state,
                 int64_t due_ms)
{
    enum jobs_state from = (enum jobs_state)job->state;
    struct jobs_extra *extra = jobs_job_extra(job);
    leave(queue, job);
    HL_ASSERT(queue->count[from] > 0);
    queue->count[from]--;
    if (from != state) {
        jobs_index_move(&queue->index, job->when.tie, from, state);
    }
    job->changed_ms = queue->clock_ms;
    if (extra != NULL) {
        extra->bound = false;
        if (ends_scope((enum jobs_scope)extra->scope, state)) {
            let_key_go(queue, job);
        }
    }
    enter(queue, job, state, due_ms);
}

/* Tell those who follow the queue what has just happened to the job. */
static void tell(struct jobs_queue *queue, const struct jobs_job *job, enum jobs_happening what)
{
    struct jobs_fact fact = {.at_ms = queue->clock_ms,
                             .seq = job->when.tie,
                             .attempts = job->attempts,
                             .what = (uint8_t)what,
                             .state = job->state};
    jobs_feed_add(&queue->feed, &fact);
}

/* Replace the job's worker and text.  The slices may view the old ones. */
static hl_err set_note(struct jobs_queue *queue, struct jobs_job *job, struct hl_slice worker,
                       struct hl_slice text)
{
    size_t before = jobs_job_bytes(job);
    hl_err err = jobs_job_note(job, worker, text);
    queue->job_bytes += jobs_job_bytes(job) - before;
    return err;
}

/* Replace what the job's extra says in words. */
static struct jobs_extra *set_extra(struct jobs_queue *queue, struct jobs_job *job,
                                    struct hl_slice unique, struct hl_slice progress)
{
    size_t before = jobs_job_bytes(job);
    struct jobs_extra *extra = jobs_job_extend(job, unique, progress);
    queue->job_bytes += jobs_job_bytes(job) - before;
    return extra;
}

/* Take a new job in. */
static void admit(struct jobs_queue *queue, struct jobs_job *job, enum jobs_state state,
                  int64_t due_ms)
{
    jobs_index_put(&queue->index, job->when.tie, job, state);
    queue->job_bytes += jobs_job_bytes(job);
    enter(queue, job, state, due_ms);
}

static hl_err apply_meta(struct jobs_queue *queue, const struct jobs_event *event)
{
    if (event->num[N_VERSION] < JOBS_FORMAT_MIN || event->num[N_VERSION] > JOBS_FORMAT) {
        return HL_EVERSION;
    }
    if (queue->begun) {
        return HL_ECORRUPT;
    }
    queue->begun = true;
    queue->epoch = (uint32_t)event->num[N_EPOCH];
    queue->created_ms = event->num[N_CREATED];
    queue->clock_ms = event->num[N_AT];
    queue->next_seq = (uint64_t)event->num[N_NEXT_SEQ];
    queue->fence = (uint64_t)event->num[N_FENCE];
    return HL_OK;
}

static hl_err apply_push(struct jobs_queue *queue, const struct jobs_event *event)
{
    struct hl_slice dedup = event->text[T_DEDUP];
    bool unique = event->num[N_UNTIL] != 0;
    if ((uint64_t)event->num[N_SEQ] != queue->next_seq || unique != (dedup.len != 0) ||
        (unique && jobs_dedup_find(&queue->dedup, dedup) != NULL)) {
        return HL_ECORRUPT;
    }
    if (jobs_total(queue) >= JOBS_HEAP_MAX || queue->dedup.count >= JOBS_HEAP_MAX) {
        return HL_EFULL;
    }
    struct jobs_job *job = jobs_job_create(event);
    if (job == NULL) {
        return HL_ENOMEM;
    }
    job->created_ms = queue->clock_ms;
    job->changed_ms = queue->clock_ms;
    queue->next_seq++;
    if (unique) {
        jobs_dedup_add(&queue->dedup, dedup, job->when.tie, event->num[N_UNTIL]);
    }
    int64_t due_ms = event->num[N_DUE];
    admit(queue, job, due_ms != 0 ? JOBS_SCHEDULED : JOBS_READY, due_ms);
    queue->counters[JOBS_C_PUSHED]++;
    tell(queue, job, JOBS_H_ENQUEUED);
    return HL_OK;
}

static hl_err apply_lease(struct jobs_queue *queue, struct jobs_job *job,
                          const struct jobs_event *event)
{
    if (job->state != JOBS_READY || event->num[N_DUE] == 0 ||
        event->text[T_TOKEN].len != JOBS_TOKEN_LEN) {
        return HL_ECORRUPT;
    }
    if (queue->fence >= (uint64_t)JOBS_TIME_MAX) {
        return HL_EFULL;
    }
    hl_err err = set_note(queue, job, event->text[T_WORKER], jobs_note_text(job));
    if (err != HL_OK) {
        return err;
    }
    struct jobs_extra *extra = jobs_job_extra(job);
    if (extra != NULL) {
        extra->percent = 0;
        (void)set_extra(queue, job, jobs_unique_key(job), (struct hl_slice){0});
    }
    move(queue, job, JOBS_LEASED, event->num[N_DUE]);
    memcpy(job->token, event->text[T_TOKEN].ptr, JOBS_TOKEN_LEN);
    job->attempts++;
    job->fence = ++queue->fence;
    queue->counters[JOBS_C_PULLED]++;
    tell(queue, job, JOBS_H_DEQUEUED);
    return HL_OK;
}

static hl_err apply_done(struct jobs_queue *queue, struct jobs_job *job,
                         const struct jobs_event *event)
{
    if (job->state != JOBS_LEASED) {
        return HL_ECORRUPT;
    }
    hl_err err = set_note(queue, job, jobs_worker(job), event->text[T_NOTE]);
    if (err != HL_OK) {
        return err;
    }
    move(queue, job, JOBS_DONE, event->num[N_DUE]); /* the token stays: a second ACK is harmless */
    queue->counters[JOBS_C_ACKED]++;
    tell(queue, job, JOBS_H_ACKED);
    return HL_OK;
}

/* Count why a lease or a job ended, and tell it unless the job is gone (NULL). */
static void count_cause(struct jobs_queue *queue, const struct jobs_job *job, enum jobs_cause cause)
{
    static const struct {
        enum jobs_counter counter;
        enum jobs_happening what;
    } causes[JOBS_CAUSES] = {
        [JOBS_BY_WORKER] = {JOBS_C_NACKED, JOBS_H_NACKED},
        [JOBS_BY_LEASE] = {JOBS_C_LEASE_EXPIRED, JOBS_H_LEASE_EXPIRED},
        [JOBS_BY_TTL] = {JOBS_C_TTL_EXPIRED, JOBS_H_TTL_EXPIRED},
        [JOBS_BY_PURGE] = {JOBS_C_PURGED, JOBS_H_CANCELLED},
        [JOBS_BY_AGE] = {JOBS_C_AGED, JOBS_H_CANCELLED},
        [JOBS_BY_CONNECTION] = {JOBS_C_LEASE_DROPPED, JOBS_H_LEASE_DROPPED},
        [JOBS_BY_REDRIVE] = {JOBS_C_REDRIVEN, JOBS_H_CANCELLED},
    };
    queue->counters[causes[cause].counter]++;
    if (job != NULL) {
        tell(queue, job, causes[cause].what);
    }
}

static hl_err apply_retry(struct jobs_queue *queue, struct jobs_job *job,
                          const struct jobs_event *event)
{
    if (job->state != JOBS_LEASED || job->attempts >= job->tries) {
        return HL_ECORRUPT;
    }
    hl_err err = set_note(queue, job, jobs_worker(job), event->text[T_NOTE]);
    if (err != HL_OK) {
        return err;
    }
    memset(job->token, 0, sizeof job->token);
    int64_t due_ms = event->num[N_DUE];
    move(queue, job, due_ms != 0 ? JOBS_SCHEDULED : JOBS_READY, due_ms);
    count_cause(queue, job, (enum jobs_cause)event->num[N_CAUSE]);
    return HL_OK;
}

static hl_err apply_bury(struct jobs_queue *queue, struct jobs_job *job,
                         const struct jobs_event *event)
{
    int64_t state = event->num[N_STATE];
    if (is_in(job, JOBS_FINISHED) || (state != JOBS_DEAD && state != JOBS_FAILED)) {
        return HL_ECORRUPT;
    }
    hl_err err = set_note(queue, job, jobs_worker(job), event->text[T_NOTE]);
    if (err != HL_OK) {
        return err;
    }
    move(queue, job, (enum jobs_state)state, event->num[N_DUE]);
    memset(job->token, 0, sizeof job->token);
    count_cause(queue, job, (enum jobs_cause)event->num[N_CAUSE]);
    queue->counters[state == JOBS_DEAD ? JOBS_C_DEAD : JOBS_C_FAILED]++;
    return HL_OK;
}

static hl_err apply_cancel(struct jobs_queue *queue, struct jobs_job *job,
                           const struct jobs_event *event)
{
    if (is_in(job, JOBS_FINISHED)) {
        return HL_ECORRUPT;
    }
    move(queue, job, JOBS_CANCELLED, event->num[N_DUE]);
    memset(job->token, 0, sizeof job->token);
    queue->counters[JOBS_C_CANCELLED]++;
    tell(queue, job, JOBS_H_CANCELLED);
    return HL_OK;
}

static hl_err apply_extend(struct jobs_queue *queue, struct jobs_job *job,
                           const struct jobs_event *event)
{
    if (job->state != JOBS_LEASED || event->num[N_DUE] == 0) {
        return HL_ECORRUPT;
    }
    job->changed_ms = queue->clock_ms;
    jobs_heap_put(&queue->due, &job->when, event->num[N_DUE]);
    return HL_OK;
}

static hl_err apply_ready(struct jobs_queue *queue, struct jobs_job *job)
{
    if (job->state != JOBS_SCHEDULED) {
        return HL_ECORRUPT;
    }
    move(queue, job, JOBS_READY, 0);
    return HL_OK;
}

/* A revived job has its unique key again, unless that was only to last until its start. */
static hl_err apply_revive(struct jobs_queue *queue, struct jobs_job *job)
{
    if (!is_in(job, JOBS_FINISHED) || job->state == JOBS_DONE) {
        return HL_ECORRUPT;
    }
    const struct jobs_extra *extra = jobs_job_extra(job);
    if (extra != NULL && extra->scope >= JOBS_UNTIL_END && !extra->holds) {
        if (jobs_unique_holder(queue, jobs_unique_key(job)) != 0) {
            return HL_ECORRUPT;
        }
        hold_key(queue, job);
    }
    job->attempts = 0;
    job->expires_ms = 0;
    move(queue, job, JOBS_READY, 0);
    queue->counters[JOBS_C_REVIVED]++;
    tell(queue, job, JOBS_H_RETRIED);
    return HL_OK;
}

static hl_err apply_release(struct jobs_queue *queue, struct jobs_job *job)
{
    if (job->state != JOBS_LEASED) {
        return HL_ECORRUPT;
    }
    HL_ASSERT(job->attempts > 0);
    job->attempts--;
    memset(job->token, 0, sizeof job->token);
    move(queue, job, JOBS_READY, 0);
    queue->counters[JOBS_C_RELEASED]++;
    tell(queue, job, JOBS_H_RELEASED);
    return HL_OK;
}

static hl_err apply_bind(struct jobs_queue *queue, struct jobs_job *job)
{
    if (job->state != JOBS_LEASED) {
        return HL_ECORRUPT;
    }
    set_extra(queue, job, jobs_unique_key(job), jobs_progress_text(job))->bound = true;
    return HL_OK;
}

/* Of a job that is leased, or of a snapshot's job that was. */
static hl_err apply_progress(struct jobs_queue *queue, struct jobs_job *job,
                             const struct jobs_event *event)
{
    if (event->text[T_NOTE].len > JOBS_PROGRESS_MAX) {
        return HL_ECORRUPT;
    }
    struct jobs_extra *extra = set_extra(queue, job, jobs_unique_key(job), event->text[T_NOTE]);
    extra->percent = (uint8_t)event->num[N_PERCENT];
    return HL_OK;
}

static hl_err apply_terms(struct jobs_queue *queue, struct jobs_job *job,
                          const struct jobs_event *event)
{
    struct hl_slice key = event->text[T_DEDUP];
    bool unique = event->num[N_SCOPE] != JOBS_NOT_UNIQUE;
    bool holds = event->num[N_VALUE] != 0;
    if (unique != (key.len != 0) || (holds && !unique) || event->num[N_VALUE] > 1 ||
        jobs_job_extra(job) != NULL) {
        return HL_ECORRUPT;
    }
    enum jobs_scope scope = (enum jobs_scope)event->num[N_SCOPE];
    if (holds &&
        (ends_scope(scope, (enum jobs_state)job->state) || jobs_unique_holder(queue, key) != 0)) {
        return HL_ECORRUPT;
    }
    struct jobs_extra *extra = set_extra(queue, job, key, (struct hl_slice){0});
    extra->keep_ms = event->num[N_KEEP];
    extra->scope = (uint8_t)scope;
    if (holds) {
        hold_key(queue, job);
    }
    return HL_OK;
}

static hl_err apply_set(struct jobs_queue *queue, const struct jobs_event *event)
{
    int64_t value = event->num[N_VALUE];
    switch (event->num[N_WHICH]) {
    case JOBS_A_PAUSED:
        queue->paused = value != 0;
        return HL_OK;
    case JOBS_A_DRAINING:
        queue->draining = value != 0;
        return HL_OK;
    case JOBS_A_KEEP:
        queue->keep_ms = value + JOBS_KEEP_DEFAULT;
        return HL_OK;
    case JOBS_A_FEED_NEXT:
        if (queue->feed.count != 0 || value == 0) {
            return HL_ECORRUPT; /* of a snapshot, before its facts */
        }
        queue->feed.next = (uint64_t)value;
        return HL_OK;
    default:
        return HL_EVERSION;
    }
}

static hl_err apply_fact(struct jobs_queue *queue, const struct jobs_event *event)
{
    if (event->num[N_WHICH] >= JOBS_HAPPENINGS || event->num[N_STATE] >= JOBS_STATES ||
        (uint64_t)event->num[N_SEQ] >= queue->next_seq ||
        queue->feed.next >= (uint64_t)JOBS_TIME_MAX) {
        return HL_ECORRUPT;
    }
    struct jobs_fact fact = {.at_ms = event->num[N_AT],
                             .seq = (uint64_t)event->num[N_SEQ],
                             .attempts = (uint16_t)event->num[N_ATTEMPTS],
                             .what = (uint8_t)event->num[N_WHICH],
                             .state = (uint8_t)event->num[N_STATE]};
    jobs_feed_add(&queue->feed, &fact);
    return HL_OK;
}

static hl_err apply_remove(struct jobs_queue *queue, struct jobs_job *job,
                           const struct jobs_event *event)
{
    leave(queue, job);
    jobs_index_remove(&queue->index, job->when.tie, job->state);
    queue->count[job->state]--;
    let_key_go(queue, job);
    queue->job_bytes -= jobs_job_bytes(job);
    jobs_job_destroy(job);
    count_cause(queue, NULL, (enum jobs_cause)event->num[N_CAUSE]);
    return HL_OK;
}

static hl_err apply_forget(struct jobs_queue *queue, const struct jobs_event *event)
{
    struct jobs_used *used = jobs_dedup_find(&queue->dedup, event->text[T_DEDUP]);
    if (used == NULL) {
        return HL_ECORRUPT;
    }
    jobs_dedup_drop(&queue->dedup, used);
    return HL_OK;
}

/* Whether a snapshot's job satisfies Q3, Q4 and Q5. */
static bool is_plausible(const struct jobs_queue *queue, const struct jobs_event *event)
{
    int64_t state = event->num[N_STATE];
    int64_t attempts = event->num[N_ATTEMPTS];
    int64_t tries = event->num[N_TRIES];
    int64_t due_ms = event->num[N_DUE];
    size_t token_len = event->text[T_TOKEN].len;
    if (state >= JOBS_STATES || (uint64_t)event->num[N_FENCE] > queue->fence ||
        (uint64_t)event->num[N_SEQ] >= queue->next_seq || attempts > tries) {
        return false;
    }
    bool keeps_token = state == JOBS_LEASED || state == JOBS_DONE;
    if (token_len != (keeps_token ? JOBS_TOKEN_LEN : 0) || (keeps_token && attempts == 0)) {
        return false;
    }
    if ((JOBS_WAITING & JOBS_IN(state)) != 0 && attempts >= tries) {
        return false;
    }
    if (state == JOBS_READY) {
        return due_ms == event->num[N_EXPIRES];
    }
    return due_ms != 0 || (state != JOBS_SCHEDULED && state != JOBS_LEASED);
}

static hl_err apply_job(struct jobs_queue *queue, const struct jobs_event *event)
{
    if (!is_plausible(queue, event) ||
        jobs_index_get(&queue->index, (uint64_t)event->num[N_SEQ]) != NULL) {
        return HL_ECORRUPT;
    }
    if (jobs_total(queue) >= JOBS_HEAP_MAX) {
        return HL_EFULL;
    }
    struct jobs_job *job = jobs_job_create(event);
    if (job == NULL) {
        return HL_ENOMEM;
    }
    if (jobs_job_note(job, event->text[T_WORKER], event->text[T_NOTE]) != HL_OK) {
        jobs_job_destroy(job);
        return HL_ENOMEM;
    }
    job->created_ms = event->num[N_CREATED];
    job->changed_ms = event->num[N_CHANGED];
    job->attempts = (uint16_t)event->num[N_ATTEMPTS];
    job->fence = (uint64_t)event->num[N_FENCE];
    if (event->text[T_TOKEN].len != 0) {
        memcpy(job->token, event->text[T_TOKEN].ptr, JOBS_TOKEN_LEN);
    }
    admit(queue, job, (enum jobs_state)event->num[N_STATE], event->num[N_DUE]);
    return HL_OK;
}

static hl_err apply_used(struct jobs_queue *queue, const struct jobs_event *event)
{
    struct hl_slice id = event->text[T_DEDUP];
    uint64_t seq = (uint64_t)event->num[N_SEQ];
    const struct jobs_used *last = queue->dedup.last;
    if (id.len == 0 || event->num[N_UNTIL] == 0 || seq >= queue->next_seq ||
        (last != NULL && last->when.tie >= seq) || queue->dedup.count >= JOBS_HEAP_MAX ||
        jobs_dedup_find(&queue->dedup, id) != NULL) {
        return HL_ECORRUPT;
    }
    jobs_dedup_add(&queue->dedup, id, seq, event->num[N_UNTIL]);
    return HL_OK;
}

static hl_err apply_to_job(struct jobs_queue *queue, struct jobs_job *job,
                           const struct jobs_event *event)
{
    switch (event->kind) {
    case JOBS_EV_LEASE:
        return apply_lease(queue, job, event);
    case JOBS_EV_DONE:
        return apply_done(queue, job, event);
    case JOBS_EV_RETRY:
        return apply_retry(queue, job, event);
    case JOBS_EV_BURY:
        return apply_bury(queue, job, event);
    case JOBS_EV_CANCEL:
        return apply_cancel(queue, job, event);
    case JOBS_EV_EXTEND:
        return apply_extend(queue, job, event);
    case JOBS_EV_READY:
        return apply_ready(queue, job);
    case JOBS_EV_REVIVE:
        return apply_revive(queue, job);
    case JOBS_EV_REMOVE:
        return apply_remove(queue, job, event);
    case JOBS_EV_TERMS:
        return apply_terms(queue, job, event);
    case JOBS_EV_PROGRESS:
        return apply_progress(queue, job, event);
    case JOBS_EV_BIND:
        return apply_bind(queue, job);
    case JOBS_EV_RELEASE:
        return apply_release(queue, job);
    case JOBS_EV_META:
    case JOBS_EV_COUNTER:
    case JOBS_EV_CLOCK:
    case JOBS_EV_PUSH:
    case JOBS_EV_FORGET:
    case JOBS_EV_JOB:
    case JOBS_EV_USED:
    case JOBS_EV_SET:
    case JOBS_EV_FACT:
    case JOBS_EV_CRON:
    case JOBS_EV_KINDS:
        break;
    }
    return HL_ECORRUPT;
}

hl_err jobs_apply(struct jobs_queue *queue, const struct jobs_event *event)
{
    HL_ASSERT(event->kind < JOBS_EV_KINDS);
    if (event->kind == JOBS_EV_META) {
        return apply_meta(queue, event);
    }
    if (!queue->begun) {
        return HL_ECORRUPT;
    }
    if (event->kind == JOBS_EV_PUSH) {
        return apply_push(queue, event);
    }
    if (event->kind == JOBS_EV_FORGET) {
        return apply_forget(queue, event);
    }
    if (event->kind == JOBS_EV_JOB) {
        return apply_job(queue, event);
    }
    if (event->kind == JOBS_EV_USED) {
        return apply_used(queue, event);
    }
    if (event->kind == JOBS_EV_SET) {
        return apply_set(queue, event);
    }
    if (event->kind == JOBS_EV_FACT) {
        return apply_fact(queue, event);
    }
    if (event->kind == JOBS_EV_CRON) {
        return jobs_cron_apply(queue, event->text[T_CRON]);
    }
    if (event->kind == JOBS_EV_CLOCK) {
        queue->clock_ms = event->num[N_AT];
        return HL_OK;
    }
    if (event->kind == JOBS_EV_COUNTER) {
        if (event->num[N_WHICH] < JOBS_COUNTERS) { /* a later version may count more */
            queue->counters[event->num[N_WHICH]] = (uint64_t)event->num[N_VALUE];
        }
        return HL_OK;
    }
    struct jobs_job *job = jobs_index_get(&queue->index, (uint64_t)event->num[N_SEQ]);
    return job == NULL ? HL_ECORRUPT : apply_to_job(queue, job, event);
}

hl_err jobs_apply_bytes(struct jobs_queue *queue, struct hl_slice bytes)
{
    while (bytes.len != 0) {
        struct jobs_event event;
        hl_err err = jobs_event_decode(&bytes, &event);
        if (err != HL_OK) {
            return err;
        }
        err = jobs_apply(queue, &event);
        if (err != HL_OK) {
            return err;
        }
    }
    return HL_OK;
}
