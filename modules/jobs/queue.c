/* The state of a queue and the one door, jobs_apply().
 *
 * Invariants (checked by jobs_check() in check.c; cited by number elsewhere):
 *   Q1  a job is in exactly one state: the index's bits, count[] and job->state agree.
 *   Q2  the lanes hold exactly the ready jobs, each in the lane of its priority.
 *   Q3  a scheduled or leased job has a time and is in `due`; a ready one is there exactly when
 *       it has a TTL; a finished one is in `kept` exactly when it will be forgotten.
 *   Q4  attempts < tries while waiting; 1 <= attempts <= tries while leased.
 *   Q5  every number is below next_seq, every fence at most `fence`.
 *   Q6  job_bytes is the sum over the jobs.
 *
 * Memory whose size a client chose is allocated before anything changes, so that HL_ENOMEM
 * leaves the queue as it was.
 */
#include "queue.h"

#include "kit/alloc.h"
#include "kit/assert.h"

HL_STATIC(JOBS_STATES <= JOBS_INDEX_STATES);
HL_STATIC(JOBS_SPAN_MAX <= UINT32_MAX);
HL_STATIC(JOBS_TRIES_MAX <= UINT16_MAX);
HL_STATIC(JOBS_PAYLOAD_MAX <= UINT32_MAX);
HL_STATIC(sizeof(struct jobs_job) <= 112);

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

static void move(struct jobs_queue *queue, struct jobs_job *job, enum jobs_state state,
                 int64_t due_ms)
{
    enum jobs_state from = (enum jobs_state)job->state;
    leave(queue, job);
    HL_ASSERT(queue->count[from] > 0);
    queue->count[from]--;
    if (from != state) {
        jobs_index_move(&queue->index, job->when.tie, from, state);
    }
    job->changed_ms = queue->clock_ms;
    enter(queue, job, state, due_ms);
}

static size_t bytes_of(const struct jobs_job *job)
{
    size_t note =
        job->note == NULL ? 0 : sizeof *job->note + job->note->worker_len + job->note->text_len;
    return sizeof *job + job->dedup_len + job->when.len + note;
}

/* Remember who and what; NULL when there is nothing to remember or no memory. */
static struct jobs_note *new_note(struct hl_slice worker, struct hl_slice text)
{
    struct jobs_note *note = hl_try_malloc(sizeof *note + worker.len + text.len);
    if (note == NULL) {
        return NULL;
    }
    note->worker_len = (uint32_t)worker.len;
    note->text_len = (uint32_t)text.len;
    if (worker.len != 0) {
        memcpy(note->bytes, worker.ptr, worker.len);
    }
    if (text.len != 0) {
        memcpy(note->bytes + worker.len, text.ptr, text.len);
    }
    return note;
}

/* Replace the job's note.  The slices may view the old one. */
static hl_err set_note(struct jobs_queue *queue, struct jobs_job *job, struct hl_slice worker,
                       struct hl_slice text)
{
    struct jobs_note *note = NULL;
    if (worker.len != 0 || text.len != 0) {
        note = new_note(worker, text);
        if (note == NULL) {
            return HL_ENOMEM;
        }
    }
    queue->job_bytes -= bytes_of(job);
    hl_free(job->note);
    job->note = note;
    queue->job_bytes += bytes_of(job);
    return HL_OK;
}

/* A job with the fields that PUSH and JOB share, in no state yet; NULL without memory. */
static struct jobs_job *new_job(const struct jobs_event *event)
{
    struct hl_slice dedup = event->text[T_DEDUP];
    struct hl_slice payload = event->text[T_PAYLOAD];
    struct jobs_job *job = hl_try_malloc(sizeof *job + dedup.len + payload.len);
    if (job == NULL) {
        return NULL;
    }
    *job = (struct jobs_job){
        .when = {.tie = (uint64_t)event->num[N_SEQ], .len = (uint32_t)payload.len},
        .expires_ms = event->num[N_EXPIRES],
        .vis_ms = (uint32_t)event->num[N_VIS],
        .base_ms = (uint32_t)event->num[N_BASE],
        .cap_ms = (uint32_t)event->num[N_CAP],
        .tries = (uint16_t)event->num[N_TRIES],
        .dedup_len = (uint16_t)dedup.len,
        .pri = (int8_t)event->num[N_PRI],
        .backoff = (uint8_t)event->num[N_BACKOFF],
        .jitter = (uint8_t)event->num[N_JITTER],
    };
    if (dedup.len != 0) {
        memcpy(job->bytes, dedup.ptr, dedup.len);
    }
    if (payload.len != 0) {
        memcpy(job->bytes + dedup.len, payload.ptr, payload.len);
    }
    return job;
}

/* Take a new job in. */
static void admit(struct jobs_queue *queue, struct jobs_job *job, enum jobs_state state,
                  int64_t due_ms)
{
    jobs_index_put(&queue->index, job->when.tie, job, state);
    queue->job_bytes += bytes_of(job);
    enter(queue, job, state, due_ms);
}

static hl_err apply_meta(struct jobs_queue *queue, const struct jobs_event *event)
{
    if (event->num[N_VERSION] != JOBS_FORMAT) {
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
    struct jobs_job *job = new_job(event);
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
    move(queue, job, JOBS_LEASED, event->num[N_DUE]);
    memcpy(job->token, event->text[T_TOKEN].ptr, JOBS_TOKEN_LEN);
    job->attempts++;
    job->fence = ++queue->fence;
    queue->counters[JOBS_C_PULLED]++;
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
    return HL_OK;
}

static void count_cause(struct jobs_queue *queue, enum jobs_cause cause)
{
    static const enum jobs_counter counters[JOBS_CAUSES] = {[JOBS_BY_WORKER] = JOBS_C_NACKED,
                                                            [JOBS_BY_LEASE] = JOBS_C_LEASE_EXPIRED,
                                                            [JOBS_BY_TTL] = JOBS_C_TTL_EXPIRED,
                                                            [JOBS_BY_PURGE] = JOBS_C_PURGED,
                                                            [JOBS_BY_AGE] = JOBS_C_AGED};
    queue->counters[counters[cause]]++;
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
    count_cause(queue, (enum jobs_cause)event->num[N_CAUSE]);
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
    count_cause(queue, (enum jobs_cause)event->num[N_CAUSE]);
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

static hl_err apply_revive(struct jobs_queue *queue, struct jobs_job *job)
{
    if (!is_in(job, JOBS_FINISHED) || job->state == JOBS_DONE) {
        return HL_ECORRUPT;
    }
    job->attempts = 0;
    job->expires_ms = 0;
    move(queue, job, JOBS_READY, 0);
    queue->counters[JOBS_C_REVIVED]++;
    return HL_OK;
}

static hl_err apply_remove(struct jobs_queue *queue, struct jobs_job *job,
                           const struct jobs_event *event)
{
    leave(queue, job);
    jobs_index_remove(&queue->index, job->when.tie, job->state);
    queue->count[job->state]--;
    queue->job_bytes -= bytes_of(job);
    hl_free(job->note);
    hl_free(job);
    count_cause(queue, (enum jobs_cause)event->num[N_CAUSE]);
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
    struct jobs_job *job = new_job(event);
    if (job == NULL) {
        return HL_ENOMEM;
    }
    struct hl_slice worker = event->text[T_WORKER];
    struct hl_slice text = event->text[T_NOTE];
    if (worker.len != 0 || text.len != 0) {
        job->note = new_note(worker, text);
        if (job->note == NULL) {
            hl_free(job);
            return HL_ENOMEM;
        }
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
    if (id.len == 0 || seq >= queue->next_seq || (last != NULL && last->when.tie >= seq) ||
        queue->dedup.count >= JOBS_HEAP_MAX || jobs_dedup_find(&queue->dedup, id) != NULL) {
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
    case JOBS_EV_META:
    case JOBS_EV_COUNTER:
    case JOBS_EV_CLOCK:
    case JOBS_EV_PUSH:
    case JOBS_EV_FORGET:
    case JOBS_EV_JOB:
    case JOBS_EV_USED:
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

struct jobs_queue *jobs_create(const uint64_t hash_key[2])
{
    struct jobs_queue *queue = hl_calloc(1, sizeof *queue);
    jobs_dedup_init(&queue->dedup, hash_key);
    return queue;
}

void jobs_destroy(struct jobs_queue *queue)
{
    if (queue == NULL) {
        return;
    }
    struct jobs_job *job = jobs_index_next(&queue->index, JOBS_ANY, 1);
    while (job != NULL) {
        uint64_t seq = job->when.tie;
        hl_free(job->note);
        hl_free(job);
        job = jobs_index_next(&queue->index, JOBS_ANY, seq + 1);
    }
    jobs_index_fini(&queue->index);
    jobs_heap_fini(&queue->due);
    jobs_heap_fini(&queue->kept);
    jobs_dedup_fini(&queue->dedup);
    hl_free(queue->lanes);
    hl_free(queue);
}

const struct jobs_job *jobs_find(const struct jobs_queue *queue, uint64_t seq)
{
    return jobs_index_get(&queue->index, seq);
}

const struct jobs_job *jobs_next(const struct jobs_queue *queue, unsigned states, uint64_t from)
{
    return jobs_index_next(&queue->index, states, from);
}

const struct jobs_job *jobs_front(const struct jobs_queue *queue)
{
    for (uint32_t i = 0; i < queue->lane_count; i++) {
        if (queue->lanes[i].first != NULL) {
            return queue->lanes[i].first;
        }
    }
    return NULL;
}

int64_t jobs_deadline(const struct jobs_queue *queue)
{
    const struct jobs_heap *heaps[] = {&queue->due, &queue->kept, &queue->dedup.ends};
    int64_t earliest = 0;
    for (size_t i = 0; i < HL_ARRAY_LEN(heaps); i++) {
        const struct jobs_timed *first = jobs_heap_first(heaps[i]);
        if (first != NULL && (earliest == 0 || first->due_ms < earliest)) {
            earliest = first->due_ms;
        }
    }
    return earliest;
}

uint64_t jobs_total(const struct jobs_queue *queue)
{
    uint64_t total = 0;
    for (unsigned s = 0; s < JOBS_STATES; s++) {
        total += queue->count[s];
    }
    return total;
}

size_t jobs_bytes(const struct jobs_queue *queue)
{
    size_t slots = (size_t)queue->due.cap + queue->kept.cap + queue->dedup.ends.cap;
    return sizeof *queue + queue->job_bytes + jobs_index_bytes(&queue->index) +
           queue->lane_count * sizeof *queue->lanes + slots * sizeof(void *) + queue->dedup.bytes;
}

struct hl_slice jobs_payload(const struct jobs_job *job)
{
    return (struct hl_slice){.ptr = job->bytes + job->dedup_len, .len = job->when.len};
}

struct hl_slice jobs_dedup_id(const struct jobs_job *job)
{
    return (struct hl_slice){.ptr = job->bytes, .len = job->dedup_len};
}

struct hl_slice jobs_worker(const struct jobs_job *job)
{
    if (job->note == NULL) {
        return (struct hl_slice){0};
    }
    return (struct hl_slice){.ptr = job->note->bytes, .len = job->note->worker_len};
}

struct hl_slice jobs_note_text(const struct jobs_job *job)
{
    if (job->note == NULL) {
        return (struct hl_slice){0};
    }
    return (struct hl_slice){.ptr = job->note->bytes + job->note->worker_len,
                             .len = job->note->text_len};
}

const char *jobs_state_name(enum jobs_state state)
{
    static const char *const names[JOBS_STATES] = {"scheduled", "ready",  "leased",   "done",
                                                   "dead",      "failed", "cancelled"};
    HL_ASSERT(state < JOBS_STATES);
    return names[state];
}
