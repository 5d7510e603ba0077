/* A queue's life and what can be read of it.  How it changes is in apply.c. */
#include "queue.h"

#include "cron.h"
#include "kit/alloc.h"
#include "kit/assert.h"

HL_STATIC(JOBS_STATES <= JOBS_INDEX_STATES);

struct jobs_queue *jobs_create(const uint64_t hash_key[2])
{
    struct jobs_queue *queue = hl_calloc(1, sizeof *queue);
    jobs_dedup_init(&queue->dedup, hash_key);
    jobs_dedup_init(&queue->unique, hash_key);
    queue->feed.next = 1;
    queue->keep_ms = JOBS_KEEP_DEFAULT;
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
        jobs_job_destroy(job);
        job = jobs_index_next(&queue->index, JOBS_ANY, seq + 1);
    }
    jobs_index_fini(&queue->index);
    jobs_heap_fini(&queue->due);
    jobs_heap_fini(&queue->kept);
    jobs_dedup_fini(&queue->dedup);
    jobs_dedup_fini(&queue->unique);
    jobs_feed_fini(&queue->feed);
    jobs_cron_destroy(queue->cron);
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
    int64_t earliest = jobs_cron_deadline(queue);
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
           queue->lane_count * sizeof *queue->lanes + slots * sizeof(void *) + queue->dedup.bytes +
           queue->unique.bytes + jobs_feed_bytes(&queue->feed) + jobs_cron_bytes(queue);
}

uint64_t jobs_unique_holder(const struct jobs_queue *queue, struct hl_slice key)
{
    const struct jobs_used *used = jobs_dedup_find(&queue->unique, key);
    return used == NULL ? 0 : used->when.tie;
}

const char *jobs_state_name(enum jobs_state state)
{
    static const char *const names[JOBS_STATES] = {"scheduled", "ready",  "leased",   "done",
                                                   "dead",      "failed", "cancelled"};
    HL_ASSERT(state < JOBS_STATES);
    return names[state];
}
