/* Every invariant of queue.c, recomputed the slow way. */
#include "cron.h"
#include "queue.h"

static bool heap_is_sound(const struct jobs_heap *heap)
{
    for (uint32_t i = 0; i < heap->count; i++) {
        const struct jobs_timed *item = heap->items[i];
        const struct jobs_timed *parent = heap->items[i == 0 ? 0 : (i - 1) / 4];
        if (item->pos != i + 1 || item->due_ms < parent->due_ms) {
            return false;
        }
    }
    return true;
}

static bool is_held_by(const struct jobs_heap *heap, const struct jobs_job *job)
{
    uint32_t pos = job->when.pos;
    return pos != 0 && pos <= heap->count && heap->items[pos - 1] == &job->when;
}

/* Q3 for one job. */
static bool is_timed_rightly(const struct jobs_queue *queue, const struct jobs_job *job)
{
    bool has_time = job->when.due_ms != 0;
    if ((JOBS_FINISHED & JOBS_IN(job->state)) != 0) {
        return has_time == is_held_by(&queue->kept, job);
    }
    if (job->state == JOBS_READY) {
        return job->when.due_ms == job->expires_ms && has_time == is_held_by(&queue->due, job);
    }
    return has_time && is_held_by(&queue->due, job);
}

static const char *check_job(const struct jobs_queue *queue, const struct jobs_job *job)
{
    if (!is_timed_rightly(queue, job)) {
        return "Q3: a job is in the wrong heap";
    }
    if ((JOBS_WAITING & JOBS_IN(job->state)) != 0 && job->attempts >= job->tries) {
        return "Q4: a waiting job has no attempt left";
    }
    if (job->state == JOBS_LEASED && (job->attempts == 0 || job->attempts > job->tries)) {
        return "Q4: a leased job's attempts are out of bounds";
    }
    if (job->when.tie == 0 || job->when.tie >= queue->next_seq || job->fence > queue->fence) {
        return "Q5: a number or fence is from the future";
    }
    return NULL;
}

/* Q2: walk the lanes, and count what they hold. */
static const char *check_lanes(const struct jobs_queue *queue)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < queue->lane_count; i++) {
        const struct jobs_lane *lane = &queue->lanes[i];
        if (i > 0 && queue->lanes[i - 1].pri <= lane->pri) {
            return "Q2: lanes out of order";
        }
        const struct jobs_job *prev = NULL;
        for (const struct jobs_job *job = lane->first; job != NULL; job = job->next) {
            if (job->state != JOBS_READY || job->pri != lane->pri || job->prev != prev) {
                return "Q2: a lane holds what it should not";
            }
            prev = job;
            count++;
        }
        if (lane->last != prev) {
            return "Q2: a lane has lost its end";
        }
    }
    return count == queue->count[JOBS_READY] ? NULL : "Q2: a ready job is in no lane";
}

/* Q1 for one state, adding to the memory that Q6 expects. */
static const char *check_state(const struct jobs_queue *queue, enum jobs_state state, size_t *bytes)
{
    uint64_t count = 0;
    const struct jobs_job *job = jobs_next(queue, JOBS_IN(state), 0);
    while (job != NULL) {
        if (job->state != state || jobs_find(queue, job->when.tie) != job) {
            return "Q1: the index disagrees with the job";
        }
        const char *broken = check_job(queue, job);
        if (broken != NULL) {
            return broken;
        }
        *bytes += jobs_job_bytes(job);
        count++;
        job = jobs_next(queue, JOBS_IN(state), job->when.tie + 1);
    }
    return count == queue->count[state] ? NULL : "Q1: the count disagrees with the index";
}

/* U2 of dedup.c. */
static const char *check_dedup(const struct jobs_queue *queue)
{
    const struct jobs_dedup *dedup = &queue->dedup;
    size_t count = 0;
    for (const struct jobs_used *used = dedup->first; used != NULL; used = used->next) {
        if (jobs_dedup_find(dedup, jobs_used_id(used)) != used) {
            return "U2: a dedup id is listed but not found";
        }
        if (used->next != NULL && used->next->when.tie <= used->when.tie) {
            return "U2: dedup ids out of order";
        }
        count++;
    }
    return count == dedup->count && count == dedup->ends.count && heap_is_sound(&dedup->ends)
               ? NULL
               : "U2: dedup ids miscounted";
}

/* Q7 */
static const char *check_unique(const struct jobs_queue *queue)
{
    size_t count = 0;
    const struct jobs_job *job = jobs_next(queue, JOBS_ANY, 0);
    for (; job != NULL; job = jobs_next(queue, JOBS_ANY, job->when.tie + 1)) {
        const struct jobs_extra *extra = jobs_job_extra(job);
        if (extra == NULL) {
            continue;
        }
        if (extra->bound && job->state != JOBS_LEASED) {
            return "Q7: a job without a lease is bound";
        }
        if (extra->holds && jobs_unique_holder(queue, jobs_unique_key(job)) != job->when.tie) {
            return "Q7: a unique key is held but not found";
        }
        count += extra->holds;
    }
    return count == queue->unique.count ? NULL : "Q7: unique keys miscounted";
}

const char *jobs_check(const struct jobs_queue *queue)
{
    size_t bytes = 0;
    for (unsigned s = 0; s < JOBS_STATES; s++) {
        const char *broken = check_state(queue, (enum jobs_state)s, &bytes);
        if (broken != NULL) {
            return broken;
        }
    }
    if (bytes != queue->job_bytes) {
        return "Q6: the memory is miscounted";
    }
    if (!heap_is_sound(&queue->due) || !heap_is_sound(&queue->kept)) {
        return "P1: a heap is broken";
    }
    const char *broken = check_lanes(queue);
    broken = broken != NULL ? broken : check_unique(queue);
    broken = broken != NULL ? broken : jobs_cron_check(queue);
    return broken != NULL ? broken : check_dedup(queue);
}
