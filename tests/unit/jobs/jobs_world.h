/* What the job tests share: a clock, repeatable chance, and an environment over them. */
#ifndef JOBS_WORLD_H
#define JOBS_WORLD_H

#include "jobs/decide.h"
#include "kit/alloc.h"
#include "kit/assert.h"

#define T0 INT64_C(1700000000000)

struct world {
    uint64_t seed;
    struct hl_buf effects;
    struct jobs_env env;
};

/* A number that looks random and is the same in every run. */
static inline uint64_t world_draw(struct world *w)
{
    w->seed += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = w->seed;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline void world_random(void *ctx, void *out, size_t len)
{
    unsigned char *bytes = out;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (unsigned char)(world_draw(ctx) >> 24);
    }
}

/* Start at T0; done jobs are kept a minute, dead ones for ever.  `w` must not move afterwards. */
static inline void world_init(struct world *w, uint64_t seed)
{
    *w = (struct world){.seed = seed};
    w->env = (struct jobs_env){.now_ms = T0,
                               .random = world_random,
                               .random_ctx = w,
                               .done_keep_ms = 60000,
                               .dead_keep_ms = -1,
                               .effects = &w->effects};
}

static inline void world_fini(struct world *w)
{
    hl_buf_fini(&w->effects);
}

static inline struct jobs_queue *world_queue(struct world *w)
{
    uint64_t key[2] = {1, 2};
    struct jobs_queue *queue = jobs_create(key);
    jobs_begin(queue, &w->env);
    return queue;
}

/* A new queue that has seen nothing: what a follower starts with. */
static inline struct jobs_queue *world_follower(void)
{
    uint64_t key[2] = {3, 4};
    return jobs_create(key);
}

static inline struct jobs_options world_options(void)
{
    return (struct jobs_options){.vis_ms = 30000,
                                 .base_ms = 1000,
                                 .cap_ms = 300000,
                                 .tries = 3,
                                 .backoff = JOBS_EXPONENTIAL};
}

static inline void world_append(void *ctx, struct hl_slice piece)
{
    hl_buf_append_slice(ctx, piece);
}

/* The canonical bytes of a queue. */
static inline struct hl_buf world_dump(const struct jobs_queue *queue)
{
    struct hl_buf out = {0};
    jobs_snapshot(queue, world_append, &out);
    return out;
}

static inline bool world_equal(const struct jobs_queue *a, const struct jobs_queue *b)
{
    struct hl_buf left = world_dump(a);
    struct hl_buf right = world_dump(b);
    bool equal = hl_slice_equal(hl_buf_view(&left), hl_buf_view(&right));
    hl_buf_fini(&left);
    hl_buf_fini(&right);
    return equal;
}

/* The same extras; one that says nothing is as good as none. */
static inline bool world_same_extra(const struct jobs_job *a, const struct jobs_job *b)
{
    static const struct jobs_extra nothing = {.keep_ms = JOBS_KEEP_DEFAULT};
    const struct jobs_extra *left = jobs_job_extra(a);
    const struct jobs_extra *right = jobs_job_extra(b);
    left = left != NULL ? left : &nothing;
    right = right != NULL ? right : &nothing;
    return left->keep_ms == right->keep_ms && left->scope == right->scope &&
           left->percent == right->percent && left->holds == right->holds &&
           left->bound == right->bound && hl_slice_equal(jobs_unique_key(a), jobs_unique_key(b)) &&
           hl_slice_equal(jobs_progress_text(a), jobs_progress_text(b));
}

/* The same facts under the same numbers. */
static inline bool world_same_feed(const struct jobs_feed *a, const struct jobs_feed *b)
{
    if (a->next != b->next || a->count != b->count) {
        return false;
    }
    for (uint64_t n = jobs_feed_first(a); n < a->next; n++) {
        const struct jobs_fact *left = jobs_feed_at(a, n);
        const struct jobs_fact *right = jobs_feed_at(b, n);
        if (left->at_ms != right->at_ms || left->seq != right->seq || left->what != right->what ||
            left->state != right->state || left->attempts != right->attempts) {
            return false;
        }
    }
    return true;
}

/* Every field of a job, one by one: what a snapshot forgot, two snapshots of it forget alike. */
static inline bool world_same_job(const struct jobs_job *a, const struct jobs_job *b)
{
    bool keeps_token = a->state == JOBS_LEASED || a->state == JOBS_DONE;
    return a->state == b->state && a->when.due_ms == b->when.due_ms &&
           a->created_ms == b->created_ms && a->changed_ms == b->changed_ms &&
           a->expires_ms == b->expires_ms && a->fence == b->fence && a->vis_ms == b->vis_ms &&
           a->base_ms == b->base_ms && a->cap_ms == b->cap_ms && a->attempts == b->attempts &&
           a->tries == b->tries && a->pri == b->pri && a->backoff == b->backoff &&
           a->jitter == b->jitter && hl_slice_equal(jobs_payload(a), jobs_payload(b)) &&
           hl_slice_equal(jobs_dedup_id(a), jobs_dedup_id(b)) &&
           hl_slice_equal(jobs_worker(a), jobs_worker(b)) &&
           hl_slice_equal(jobs_note_text(a), jobs_note_text(b)) && world_same_extra(a, b) &&
           (!keeps_token || memcmp(a->token, b->token, JOBS_TOKEN_LEN) == 0);
}

static inline bool world_same_jobs(const struct jobs_queue *a, const struct jobs_queue *b)
{
    const struct jobs_job *job = jobs_next(a, JOBS_ANY, 1);
    while (job != NULL) {
        const struct jobs_job *other = jobs_find(b, job->when.tie);
        if (other == NULL || !world_same_job(job, other)) {
            return false;
        }
        job = jobs_next(a, JOBS_ANY, job->when.tie + 1);
    }
    return jobs_total(a) == jobs_total(b) && a->epoch == b->epoch && a->fence == b->fence &&
           a->next_seq == b->next_seq && a->clock_ms == b->clock_ms &&
           a->created_ms == b->created_ms && a->paused == b->paused && a->draining == b->draining &&
           a->keep_ms == b->keep_ms && a->unique.count == b->unique.count &&
           world_same_feed(&a->feed, &b->feed) &&
           memcmp(a->counters, b->counters, sizeof a->counters) == 0;
}

#endif
