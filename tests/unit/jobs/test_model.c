/* Goal: the queue behaves as a page of naive code says, whatever is done to it in whatever order.
 *
 * Method: a million random steps on the queue and on a model that keeps jobs in an array and looks
 * at all of them for everything; beside them a follower applies the effects.  After every step the
 * counts agree; often, every job, every invariant, and the follower's bytes.  The model checks:
 * no job in two states, no two leases under one token, first in first out within a priority,
 * counts equal to contents, attempts bounded, one holder of a unique key.
 */
#include "jobs_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { MODEL_MAX = 64, IDS = 6, KEYS = 5, STEPS = 1000000 };

struct model_job {
    bool used;
    enum jobs_state state;
    uint64_t seq, order, fence;
    int64_t due_ms, expires_ms;
    int pri, attempts, tries;
    int64_t vis_ms;
    int key; /* unique key */
    enum jobs_scope scope;
    char token[JOBS_TOKEN_LEN];
};

struct model {
    struct world w;
    struct jobs_queue *queue;
    struct jobs_queue *follower;
    struct model_job jobs[MODEL_MAX];
    uint64_t next_seq, next_order;
    int64_t id_until[IDS];
    uint64_t id_seq[IDS];
    uint64_t pulled, fence;
    const struct model_job *holder[KEYS]; /* of each unique key */
    bool paused;
};

static uint64_t draw(struct model *m, uint64_t below)
{
    return world_draw(&m->w) % below;
}

static bool finished(const struct model_job *job)
{
    return job->state >= JOBS_DONE;
}

static struct model_job *find(struct model *m, uint64_t seq)
{
    for (int i = 0; i < MODEL_MAX; i++) {
        if (m->jobs[i].used && m->jobs[i].seq == seq) {
            return &m->jobs[i];
        }
    }
    return NULL;
}

static bool holds(const struct model *m, const struct model_job *job)
{
    return job->scope != JOBS_NOT_UNIQUE && m->holder[job->key] == job;
}

/* The job came into this state, or is gone: may it keep its unique key? */
static void settle(struct model *m, const struct model_job *job)
{
    bool begun = job->state == JOBS_LEASED;
    bool ended = job->state == JOBS_DONE || job->state == JOBS_CANCELLED;
    bool gives = !job->used || (job->scope == JOBS_UNTIL_START && (begun || finished(job))) ||
                 (job->scope == JOBS_UNTIL_END && finished(job)) ||
                 (job->scope == JOBS_UNTIL_DONE && ended);
    if (holds(m, job) && gives) {
        m->holder[job->key] = NULL;
    }
}

static void make_ready(struct model *m, struct model_job *job)
{
    job->state = JOBS_READY;
    job->order = m->next_order++;
    job->due_ms = job->expires_ms;
}

static void finish(struct model *m, struct model_job *job, enum jobs_state state)
{
    bool well = state == JOBS_DONE || state == JOBS_CANCELLED;
    int64_t keep_ms = well ? m->w.env.done_keep_ms : m->w.env.dead_keep_ms;
    job->state = state;
    job->due_ms = keep_ms < 0 ? 0 : m->w.env.now_ms + keep_ms;
    job->used = keep_ms != 0;
    settle(m, job);
}

/* The pause is drawn by the queue: take it over, within its bounds. */
static void retry(struct model *m, struct model_job *job, int64_t delay_ms)
{
    if (job->attempts >= job->tries) {
        finish(m, job, JOBS_DEAD);
        return;
    }
    int64_t now_ms = m->w.env.now_ms;
    if (delay_ms == 0) {
        make_ready(m, job);
        return;
    }
    job->state = JOBS_SCHEDULED;
    if (delay_ms > 0) {
        job->due_ms = now_ms + delay_ms;
        return;
    }
    job->due_ms = now_ms + 1;
    const struct jobs_job *real = jobs_find(m->queue, job->seq);
    if (real == NULL || real->state != JOBS_SCHEDULED) {
        return; /* the command that found the lease expired has already changed the job again */
    }
    int64_t pause = real->base_ms;
    for (int i = 1; i < job->attempts; i++) {
        pause = pause * 2 > real->cap_ms ? real->cap_ms : pause * 2;
    }
    int64_t got = real->when.due_ms - now_ms;
    cr_assert(got <= pause && got >= pause - pause * real->jitter / 100, "back-off %lld of %lld",
              (long long)got, (long long)pause);
    job->due_ms = real->when.due_ms;
}

/* Everything overdue happens, earliest first. */
static void tick(struct model *m)
{
    int64_t now_ms = m->w.env.now_ms;
    for (;;) {
        struct model_job *first = NULL;
        for (int i = 0; i < MODEL_MAX; i++) {
            struct model_job *job = &m->jobs[i];
            if (!job->used || finished(job) || job->due_ms == 0 || job->due_ms > now_ms) {
                continue;
            }
            if (first == NULL || job->due_ms < first->due_ms ||
                (job->due_ms == first->due_ms && job->seq < first->seq)) {
                first = job;
            }
        }
        if (first == NULL) {
            break;
        }
        if (first->state == JOBS_LEASED) {
            retry(m, first, -1);
        } else if (first->expires_ms != 0 && first->expires_ms <= now_ms) {
            finish(m, first, JOBS_DEAD);
        } else {
            make_ready(m, first);
        }
    }
    for (int i = 0; i < MODEL_MAX; i++) {
        struct model_job *job = &m->jobs[i];
        if (job->used && finished(job) && job->due_ms != 0 && job->due_ms <= now_ms) {
            job->used = false;
            settle(m, job);
        }
    }
    for (int i = 0; i < IDS; i++) {
        if (m->id_until[i] <= now_ms) {
            m->id_until[i] = 0; /* forgotten for good, even if the clock steps back */
        }
    }
}

static struct jobs_options any_options(struct model *m)
{
    return (struct jobs_options){.vis_ms = 1 + (int64_t)draw(m, 50),
                                 .delay_ms = draw(m, 2) * draw(m, 40),
                                 .ttl_ms = draw(m, 4) == 0 ? 1 + (int64_t)draw(m, 60) : 0,
                                 .base_ms = 5,
                                 .cap_ms = 18,
                                 .jitter = (int)draw(m, 61),
                                 .pri = (int)draw(m, 3) - 1,
                                 .tries = 1 + (int)draw(m, 3),
                                 .backoff = JOBS_EXPONENTIAL};
}

static void do_push(struct model *m)
{
    struct model_job *slot = NULL;
    for (int i = 0; i < MODEL_MAX && slot == NULL; i++) {
        slot = m->jobs[i].used ? NULL : &m->jobs[i];
    }
    if (slot == NULL) {
        return;
    }
    struct jobs_options options = any_options(m);
    char id[4] = "id0";
    uint64_t which = draw(m, IDS * 3);
    struct hl_slice dedup = {0};
    if (which < IDS) {
        id[2] = (char)('0' + which);
        dedup = hl_slice_of(id);
    }
    char key[4] = "k0";
    int unique = (int)draw(m, KEYS);
    key[1] = (char)('0' + unique);
    if (draw(m, 3) == 0) {
        options.scope = (enum jobs_scope)(1 + draw(m, JOBS_UNTIL_DONE));
        options.unique = hl_slice_of(key);
    }
    int64_t now_ms = m->w.env.now_ms;
    uint64_t seq = 0;
    bool duplicate = false;
    cr_assert_eq(jobs_push(m->queue, &m->w.env, hl_slice_of("payload"), dedup, 30, &options, &seq,
                           &duplicate),
                 JOBS_OK);
    tick(m);
    if (which < IDS && m->id_until[which] > now_ms) {
        cr_assert(duplicate);
        cr_assert_eq(seq, m->id_seq[which]);
        return;
    }
    if (options.scope != JOBS_NOT_UNIQUE && m->holder[unique] != NULL) {
        cr_assert(duplicate);
        cr_assert_eq(seq, m->holder[unique]->seq);
        return;
    }
    cr_assert_not(duplicate);
    cr_assert_eq(seq, m->next_seq);
    if (which < IDS) {
        m->id_until[which] = now_ms + 30;
        m->id_seq[which] = seq;
    }
    *slot = (struct model_job){.used = true,
                               .seq = m->next_seq++,
                               .pri = options.pri,
                               .key = unique,
                               .scope = options.scope,
                               .tries = options.tries,
                               .vis_ms = options.vis_ms};
    if (options.scope != JOBS_NOT_UNIQUE) {
        m->holder[unique] = slot;
    }
    slot->expires_ms = options.ttl_ms == 0 ? 0 : now_ms + options.ttl_ms;
    if (options.delay_ms == 0) {
        make_ready(m, slot);
    } else {
        slot->state = JOBS_SCHEDULED;
        slot->due_ms = now_ms + options.delay_ms;
    }
}

static struct model_job *first_ready(struct model *m)
{
    struct model_job *first = NULL;
    for (int i = 0; i < MODEL_MAX; i++) {
        struct model_job *job = &m->jobs[i];
        if (job->used && job->state == JOBS_READY &&
            (first == NULL || job->pri > first->pri ||
             (job->pri == first->pri && job->order < first->order))) {
            first = job;
        }
    }
    return first;
}

static void do_pull(struct model *m)
{
    uint64_t seqs[3];
    size_t max = 1 + draw(m, 3);
    size_t count = jobs_pull(m->queue, &m->w.env, hl_slice_of("w"), seqs, max);
    tick(m);
    cr_assert(!m->paused || count == 0, "a paused queue gives out no lease");
    for (size_t i = 0; i < count; i++) {
        struct model_job *job = first_ready(m);
        cr_assert_not_null(job);
        cr_assert_eq(job->seq, seqs[i], "first in, first out, by priority");
        job->state = JOBS_LEASED;
        settle(m, job);
        if (draw(m, 4) == 0) {
            jobs_bind(m->queue, &m->w.env, job->seq);
        }
        job->attempts++;
        job->fence = ++m->fence;
        cr_assert_leq(job->attempts, job->tries);
        job->due_ms = m->w.env.now_ms + job->vis_ms;
        memcpy(job->token, jobs_find(m->queue, job->seq)->token, JOBS_TOKEN_LEN);
        for (int k = 0; k < MODEL_MAX; k++) {
            const struct model_job *other = &m->jobs[k];
            cr_assert(other == job || !other->used ||
                      memcmp(other->token, job->token, JOBS_TOKEN_LEN) != 0);
        }
        m->pulled++;
    }
    cr_assert(m->paused || count == max || first_ready(m) == NULL, "a ready job was held back");
    cr_assert_eq(m->queue->fence, m->pulled);
}

/* Any job there is, or now and then one there is not. */
static uint64_t any_seq(struct model *m)
{
    struct model_job *job = &m->jobs[draw(m, MODEL_MAX)];
    return job->used ? job->seq : 1 + draw(m, m->next_seq + 2);
}

/* The verdict that a holder of `token` deserves, after the tick. */
static enum jobs_verdict lease_verdict(struct model *m, uint64_t seq, const char *token)
{
    const struct model_job *job = find(m, seq);
    if (job == NULL) {
        return JOBS_NO_JOB;
    }
    bool holds = job->state == JOBS_LEASED && memcmp(job->token, token, JOBS_TOKEN_LEN) == 0;
    return holds ? JOBS_OK : JOBS_LEASE_LOST;
}

static void do_end_lease(struct model *m)
{
    uint64_t seq = any_seq(m);
    const struct model_job *before = find(m, seq);
    char bytes[JOBS_TOKEN_LEN] = {0};
    if (before != NULL && draw(m, 8) != 0) {
        memcpy(bytes, before->token, JOBS_TOKEN_LEN);
    }
    bool was_done = before != NULL && before->state == JOBS_DONE &&
                    memcmp(bytes, before->token, JOBS_TOKEN_LEN) == 0;
    struct hl_slice token = {bytes, JOBS_TOKEN_LEN};
    enum jobs_verdict got = JOBS_OK;
    struct jobs_nack how = {.error = hl_slice_of("e"),
                            .delay_ms = (int64_t)draw(m, 20) - 1,
                            .permanent = draw(m, 6) == 0};
    enum { ACK, NACK, EXTEND, RELEASE, DROP, PROGRESS, WAYS };
    uint64_t what = draw(m, WAYS);
    struct jobs_env *env = &m->w.env;
    switch (what) {
    case ACK:
        got = jobs_ack(m->queue, env, seq, token, hl_slice_of("r"));
        break;
    case NACK:
        got = jobs_nack(m->queue, env, seq, token, &how);
        break;
    case EXTEND:
        got = jobs_extend(m->queue, env, seq, token, 25);
        break;
    case RELEASE:
        got = jobs_release(m->queue, env, seq, token);
        break;
    case DROP:
        got = jobs_drop(m->queue, env, seq, token);
        break;
    default:
        got = jobs_progress(m->queue, env, seq, token, 50, hl_slice_of("half"));
    }
    tick(m);
    enum jobs_verdict expect = lease_verdict(m, seq, bytes);
    struct model_job *job = find(m, seq);
    if (what == ACK && was_done && job != NULL) {
        expect = JOBS_OK;
        job = NULL;
    }
    cr_assert_eq(got, expect);
    if (got != JOBS_OK || job == NULL) {
        return;
    }
    if (what == ACK) {
        finish(m, job, JOBS_DONE);
    } else if (what == EXTEND) {
        job->due_ms = m->w.env.now_ms + 25;
    } else if (what == RELEASE) {
        job->attempts--;
        make_ready(m, job);
    } else if (what == DROP) {
        retry(m, job, 0);
    } else if (what == NACK && how.permanent) {
        finish(m, job, JOBS_FAILED);
    } else if (what == NACK) {
        retry(m, job, how.delay_ms);
    }
}

static void do_cancel_or_revive(struct model *m)
{
    uint64_t seq = any_seq(m);
    bool cancel = draw(m, 2) == 0;
    enum jobs_verdict got =
        cancel ? jobs_cancel(m->queue, &m->w.env, seq) : jobs_revive(m->queue, &m->w.env, seq);
    tick(m);
    struct model_job *job = find(m, seq);
    if (job == NULL) {
        cr_assert_eq(got, JOBS_NO_JOB);
        return;
    }
    bool may = cancel ? !finished(job) : finished(job) && job->state != JOBS_DONE;
    bool wants = may && !cancel && job->scope >= JOBS_UNTIL_END && !holds(m, job);
    if (wants && m->holder[job->key] != NULL) {
        cr_assert_eq(got, JOBS_KEY_TAKEN);
        return;
    }
    if (wants) {
        m->holder[job->key] = job;
    }
    cr_assert_eq(got, may ? JOBS_OK : JOBS_WRONG_STATE);
    if (may && cancel) {
        finish(m, job, JOBS_CANCELLED);
    } else if (may) {
        job->attempts = 0;
        job->expires_ms = 0;
        make_ready(m, job);
    }
}

static void do_purge(struct model *m)
{
    unsigned states = draw(m, 8) == 0 ? JOBS_ANY : JOBS_FINISHED;
    size_t max = draw(m, 20);
    size_t got = jobs_purge(m->queue, &m->w.env, states, max);
    size_t expect = 0;
    for (uint64_t seq = 1; seq < m->next_seq && expect < max; seq++) {
        struct model_job *job = find(m, seq);
        if (job != NULL && (states & JOBS_IN(job->state)) != 0) {
            job->used = false;
            settle(m, job);
            expect++;
        }
        if (job == NULL && seq + 400 < m->next_seq) {
            uint64_t oldest = m->next_seq; /* skip the long gone */
            for (int i = 0; i < MODEL_MAX; i++) {
                if (m->jobs[i].used && m->jobs[i].seq > seq && m->jobs[i].seq < oldest) {
                    oldest = m->jobs[i].seq;
                }
            }
            seq = oldest - 1;
        }
    }
    cr_assert_eq(got, expect);
}

static void do_time(struct model *m)
{
    uint64_t how = draw(m, 100);
    int64_t step = how == 0  ? -(int64_t)draw(m, 30)
                   : how < 4 ? (int64_t)draw(m, 500)
                             : (int64_t)draw(m, 6);
    m->w.env.now_ms += step;
    if (draw(m, 2) == 0) {
        jobs_tick(m->queue, &m->w.env, 1000);
        tick(m);
    }
    if (draw(m, 50) == 0) {
        bool pause = draw(m, 8) == 0;
        cr_assert_eq(jobs_set(m->queue, &m->w.env, JOBS_A_PAUSED, pause), pause != m->paused);
        m->paused = pause;
    }
}

static void compare_counts(struct model *m, int step)
{
    uint64_t count[JOBS_STATES] = {0};
    for (int i = 0; i < MODEL_MAX; i++) {
        if (m->jobs[i].used) {
            count[m->jobs[i].state]++;
        }
    }
    for (int s = 0; s < JOBS_STATES; s++) {
        cr_assert_eq(m->queue->count[s], count[s], "step %d: %llu %s jobs, the model has %llu",
                     step, (unsigned long long)m->queue->count[s],
                     jobs_state_name((enum jobs_state)s), (unsigned long long)count[s]);
    }
}

static void compare_all(struct model *m, int step)
{
    const char *broken = jobs_check(m->queue);
    cr_assert_null(broken, "step %d: %s", step, broken);
    for (int i = 0; i < MODEL_MAX; i++) {
        const struct model_job *job = &m->jobs[i];
        if (!job->used) {
            continue;
        }
        const struct jobs_job *real = jobs_find(m->queue, job->seq);
        cr_assert_not_null(real, "step %d: job %llu is lost", step, (unsigned long long)job->seq);
        cr_assert_eq(real->state, job->state, "step %d", step);
        cr_assert_eq(real->attempts, job->attempts, "step %d", step);
        cr_assert_eq(real->when.due_ms, job->due_ms, "step %d", step);
        cr_assert_eq(real->fence, job->fence, "step %d", step);
    }
    cr_assert(world_equal(m->queue, m->follower), "step %d: the follower differs", step);
}

/* The follower restarts from a snapshot, as one that was too far behind. */
static void restart_follower(struct model *m)
{
    struct hl_buf dump = world_dump(m->queue);
    jobs_destroy(m->follower);
    m->follower = world_follower();
    cr_assert_eq(jobs_apply_bytes(m->follower, hl_buf_view(&dump)), HL_OK);
    cr_assert(world_same_jobs(m->queue, m->follower), "the snapshot forgot something");
    hl_buf_fini(&dump);
}

static void run(uint64_t seed, int64_t done_keep_ms, int64_t dead_keep_ms)
{
    struct model *m = calloc(1, sizeof *m);
    world_init(&m->w, seed);
    m->w.env.done_keep_ms = done_keep_ms;
    m->w.env.dead_keep_ms = dead_keep_ms;
    m->next_seq = 1;
    m->queue = world_queue(&m->w);
    m->follower = world_follower();
    static void (*const steps[])(struct model *) = {
        do_push,      do_push,      do_pull,      do_pull,
        do_end_lease, do_end_lease, do_end_lease, do_cancel_or_revive,
        do_time,      do_time};
    for (int step = 0; step < STEPS / 4; step++) {
        if (draw(m, 60) == 0) {
            do_purge(m);
        } else {
            steps[draw(m, HL_ARRAY_LEN(steps))](m);
        }
        cr_assert_eq(jobs_apply_bytes(m->follower, hl_buf_view(&m->w.effects)), HL_OK,
                     "step %d: the follower refuses", step);
        hl_buf_clear(&m->w.effects);
        compare_counts(m, step);
        if (step % 64 == 0) {
            compare_all(m, step);
        }
        if (step % 4096 == 0) {
            restart_follower(m);
        }
    }
    compare_all(m, STEPS);
    printf("seed %llu: %llu jobs, %llu deliveries\n", (unsigned long long)seed,
           (unsigned long long)m->next_seq, (unsigned long long)m->pulled);
    cr_assert_gt(m->pulled, STEPS / 40u, "the walk must do something");
    jobs_destroy(m->queue);
    jobs_destroy(m->follower);
    world_fini(&m->w);
    free(m);
}

Test(jobs_model, agrees_for_a_million_steps)
{
    run(1, 40, 100);
    run(2, 0, 0);
    run(3, -1, -1);
    run(4, 5, 0);
}
