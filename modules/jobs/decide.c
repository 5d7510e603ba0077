/* Decisions.  Every change goes through happen(): applied here, and written down for the others.
 *
 * Invariants:
 *   D1  an event that was applied is in env->effects, in order, and no other.
 *   D2  a lease is over from its deadline on, even before the timer says so: overdue() decides.
 *   D3  a job is leased only from the ready state, under a token drawn for that lease.
 */
#include "decide.h"

#include "cron.h"
#include "kit/assert.h"
#include "kit/glob.h"

#define SURPLUS_EACH 2 /* done jobs that one ACK forgets because there are too many */

HL_STATIC(JOBS_EV_REMOVE < 32);

static struct jobs_event about(enum jobs_kind kind, const struct jobs_job *job)
{
    struct jobs_event event = {.kind = kind};
    event.num[N_SEQ] = (int64_t)job->when.tie;
    return event;
}

/* Whether an event may take a job from its holder: what WATCH of the job's id is told.  A lease
 * begins only when none is held. */
static bool turns(const struct jobs_event *event)
{
    const uint32_t kinds = 1u << JOBS_EV_DONE | 1u << JOBS_EV_RETRY | 1u << JOBS_EV_BURY |
                           1u << JOBS_EV_CANCEL | 1u << JOBS_EV_RELEASE | 1u << JOBS_EV_REVIVE |
                           1u << JOBS_EV_REMOVE;
    return event->kind < 32 && (kinds >> event->kind & 1) != 0;
}

/* Apply an event and write it down, after the time if that is news. */
static hl_err happen(struct jobs_queue *queue, struct jobs_env *env, const struct jobs_event *event)
{
    if (queue->clock_ms != env->now_ms) {
        struct jobs_event clock = {.kind = JOBS_EV_CLOCK};
        clock.num[N_AT] = env->now_ms;
        hl_err err = jobs_apply(queue, &clock);
        HL_ASSERT(err == HL_OK);
        jobs_event_encode(env->effects, &clock);
    }
    /* Written first: applying may free what the event's texts view. */
    size_t before = env->effects->len;
    jobs_event_encode(env->effects, event);
    hl_err err = jobs_apply(queue, event);
    HL_ASSERT(err != HL_ECORRUPT && err != HL_EVERSION);
    if (err != HL_OK) {
        env->effects->len = before;
    } else if (env->turned != NULL && turns(event)) {
        env->turned(env->turned_ctx, (uint64_t)event->num[N_SEQ]);
    }
    return err;
}

hl_err jobs_happen(struct jobs_queue *queue, struct jobs_env *env, const struct jobs_event *event)
{
    return happen(queue, env, event);
}

/* For events that allocate nothing a client chose the size of. */
static void must_happen(struct jobs_queue *queue, struct jobs_env *env,
                        const struct jobs_event *event)
{
    hl_err err = happen(queue, env, event);
    HL_ASSERT(err == HL_OK);
}

static enum jobs_verdict verdict_of(hl_err err)
{
    return err == HL_OK ? JOBS_OK : err == HL_EFULL ? JOBS_FULL : JOBS_NO_MEMORY;
}

/* When a job that finishes now is forgotten; 0 for never. */
static int64_t keep_until(const struct jobs_queue *queue, const struct jobs_env *env,
                          const struct jobs_job *job, enum jobs_state state)
{
    int64_t keep_ms = env->dead_keep_ms;
    if (state == JOBS_DONE || state == JOBS_CANCELLED) {
        const struct jobs_extra *extra = jobs_job_extra(job);
        keep_ms = extra != NULL ? extra->keep_ms : JOBS_KEEP_DEFAULT;
        keep_ms = keep_ms != JOBS_KEEP_DEFAULT ? keep_ms : queue->keep_ms;
        keep_ms = keep_ms != JOBS_KEEP_DEFAULT ? keep_ms : env->done_keep_ms;
    }
    return keep_ms < 0 ? 0 : env->now_ms + keep_ms;
}

static void remove_job(struct jobs_queue *queue, struct jobs_env *env, const struct jobs_job *job,
                       enum jobs_cause cause)
{
    struct jobs_event event = about(JOBS_EV_REMOVE, job);
    event.num[N_CAUSE] = cause;
    must_happen(queue, env, &event);
}

/* Remove a job that has just finished and is not to be kept. */
static void forget_at_once(struct jobs_queue *queue, struct jobs_env *env,
                           const struct jobs_job *job)
{
    if (job->when.due_ms != 0 && job->when.due_ms <= env->now_ms) {
        remove_job(queue, env, job, JOBS_BY_AGE);
    }
}

/* When more done jobs are kept than may be, forget the oldest but for `seq`, the newest: a few, so
 * that no command pays for a limit that was lowered. */
static void forget_surplus(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq)
{
    for (int i = 0; i < SURPLUS_EACH; i++) {
        if (env->done_max == 0 || queue->count[JOBS_DONE] <= env->done_max) {
            return;
        }
        const struct jobs_job *oldest = jobs_next(queue, JOBS_IN(JOBS_DONE), 1);
        if (oldest != NULL && oldest->when.tie == seq) {
            oldest = jobs_next(queue, JOBS_IN(JOBS_DONE), seq + 1);
        }
        if (oldest == NULL) {
            return;
        }
        remove_job(queue, env, oldest, JOBS_BY_AGE);
    }
}

static hl_err bury(struct jobs_queue *queue, struct jobs_env *env, const struct jobs_job *job,
                   enum jobs_state state, enum jobs_cause cause, struct hl_slice error)
{
    struct jobs_event event = about(JOBS_EV_BURY, job);
    event.num[N_STATE] = state;
    event.num[N_CAUSE] = cause;
    event.num[N_DUE] = keep_until(queue, env, job, state);
    event.text[T_NOTE] = error;
    hl_err err = happen(queue, env, &event);
    if (err == HL_OK) {
        forget_at_once(queue, env, job);
    }
    return err;
}

/* The pause before the job's next attempt, drawn from the top `jitter` percent of its back-off. */
static int64_t backoff_ms(const struct jobs_env *env, const struct jobs_job *job)
{
    int64_t pause = job->base_ms;
    if (job->backoff == JOBS_EXPONENTIAL) {
        for (unsigned i = 1; i < job->attempts && pause < job->cap_ms && pause != 0; i++) {
            pause *= 2;
        }
    }
    if (pause > job->cap_ms) {
        pause = job->cap_ms;
    }
    uint64_t chance = 0;
    env->random(env->random_ctx, &chance, sizeof chance);
    uint64_t span = (uint64_t)pause * job->jitter / 100;
    return pause - (int64_t)(chance % (span + 1));
}

/* The attempt has ended without success. */
static hl_err end_attempt(struct jobs_queue *queue, struct jobs_env *env,
                          const struct jobs_job *job, enum jobs_cause cause, struct hl_slice error,
                          int64_t delay_ms)
{
    if (job->attempts >= job->tries) {
        return bury(queue, env, job, JOBS_DEAD, cause, error);
    }
    if (delay_ms < 0) {
        delay_ms = backoff_ms(env, job);
    }
    struct jobs_event event = about(JOBS_EV_RETRY, job);
    event.num[N_CAUSE] = cause;
    event.num[N_DUE] = delay_ms == 0 ? 0 : env->now_ms + delay_ms;
    event.text[T_NOTE] = error;
    return happen(queue, env, &event);
}

static bool is_overdue(const struct jobs_timed *timed, int64_t now_ms)
{
    return timed != NULL && timed->due_ms != 0 && timed->due_ms <= now_ms;
}

/* Let what the job's time says happen.  Out of memory only the error text is lost. */
static void come_due(struct jobs_queue *queue, struct jobs_env *env, const struct jobs_job *job)
{
    hl_err err = HL_OK;
    struct hl_slice none = {0};
    if (job->state == JOBS_LEASED) {
        err = end_attempt(queue, env, job, JOBS_BY_LEASE, hl_slice_of("lease expired"), -1);
        if (err != HL_OK) {
            err = end_attempt(queue, env, job, JOBS_BY_LEASE, none, -1);
        }
    } else if (job->expires_ms != 0 && job->expires_ms <= env->now_ms) {
        err = bury(queue, env, job, JOBS_DEAD, JOBS_BY_TTL, hl_slice_of("not begun in time"));
        if (err != HL_OK) {
            err = bury(queue, env, job, JOBS_DEAD, JOBS_BY_TTL, none);
        }
    } else {
        HL_ASSERT(job->state == JOBS_SCHEDULED);
        struct jobs_event event = about(JOBS_EV_READY, job);
        must_happen(queue, env, &event);
    }
    HL_ASSERT(err == HL_OK || err == HL_ENOMEM);
}

static bool forget_one(struct jobs_queue *queue, struct jobs_env *env)
{
    struct jobs_timed *end = jobs_heap_first(&queue->dedup.ends);
    if (end != NULL && end->due_ms <= env->now_ms) {
        struct jobs_event event = {.kind = JOBS_EV_FORGET};
        event.text[T_DEDUP] = jobs_used_id((const struct jobs_used *)end);
        must_happen(queue, env, &event);
        return true;
    }
    struct jobs_timed *kept = jobs_heap_first(&queue->kept);
    if (is_overdue(kept, env->now_ms)) {
        forget_at_once(queue, env, (const struct jobs_job *)kept);
        return true;
    }
    return false;
}

size_t jobs_tick(struct jobs_queue *queue, struct jobs_env *env, size_t budget)
{
    HL_ASSERT(env->now_ms > 0 && env->now_ms <= JOBS_TIME_MAX / 2);
    size_t done = 0;
    if (env->frozen) {
        return 0;
    }
    while (done < budget && is_overdue(jobs_heap_first(&queue->due), env->now_ms)) {
        come_due(queue, env, (const struct jobs_job *)jobs_heap_first(&queue->due));
        done++;
    }
    while (done < budget && jobs_cron_is_due(queue, env)) {
        jobs_cron_fire(queue, env);
        done++;
    }
    while (done < budget && forget_one(queue, env)) {
        done++;
    }
    return done;
}

void jobs_begin(struct jobs_queue *queue, struct jobs_env *env)
{
    struct jobs_event event = {.kind = JOBS_EV_META};
    uint32_t epoch = 0;
    env->random(env->random_ctx, &epoch, sizeof epoch);
    event.num[N_VERSION] = JOBS_FORMAT;
    event.num[N_EPOCH] = epoch;
    event.num[N_CREATED] = env->now_ms;
    event.num[N_AT] = env->now_ms;
    event.num[N_NEXT_SEQ] = 1;
    hl_err err = jobs_apply(queue, &event);
    HL_ASSERT(err == HL_OK);
    jobs_event_encode(env->effects, &event);
}

/* The event that adds a job as `options` say. */
static struct jobs_event birth(const struct jobs_queue *queue, const struct jobs_env *env,
                               const struct jobs_options *options)
{
    struct jobs_event event = {.kind = JOBS_EV_PUSH};
    event.num[N_SEQ] = (int64_t)queue->next_seq;
    event.num[N_DUE] = options->delay_ms == 0 ? 0 : env->now_ms + options->delay_ms;
    event.num[N_EXPIRES] = options->ttl_ms == 0 ? 0 : env->now_ms + options->ttl_ms;
    event.num[N_PRI] = options->pri;
    event.num[N_TRIES] = options->tries;
    event.num[N_VIS] = options->vis_ms;
    event.num[N_BACKOFF] = options->backoff;
    event.num[N_BASE] = options->base_ms;
    event.num[N_CAP] = options->cap_ms;
    event.num[N_JITTER] = options->jitter;
    return event;
}

/* Say what else was agreed about a job that was just added. */
static void agree(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq,
                  const struct jobs_options *options)
{
    if (options->scope == JOBS_NOT_UNIQUE && !options->has_keep) {
        return;
    }
    struct jobs_event event = {.kind = JOBS_EV_TERMS};
    event.num[N_SEQ] = (int64_t)seq;
    event.num[N_VALUE] = options->scope != JOBS_NOT_UNIQUE;
    event.num[N_SCOPE] = options->scope;
    event.num[N_KEEP] = options->has_keep ? options->keep_ms : JOBS_KEEP_DEFAULT;
    if (options->scope != JOBS_NOT_UNIQUE) {
        event.text[T_DEDUP] = options->unique;
    }
    must_happen(queue, env, &event);
}

enum jobs_verdict jobs_push(struct jobs_queue *queue, struct jobs_env *env, struct hl_slice payload,
                            struct hl_slice dedup, int64_t window_ms,
                            const struct jobs_options *options, uint64_t *seq, bool *duplicate)
{
    (void)jobs_tick(queue, env, JOBS_TICK_COMMAND);
    if (queue->draining) {
        return JOBS_IS_DRAINING;
    }
    if (queue->next_seq > JOBS_SEQ_MAX) {
        return JOBS_FULL;
    }
    *duplicate = true;
    struct jobs_event event = birth(queue, env, options);
    event.text[T_PAYLOAD] = payload;
    event.text[T_DEDUP] = dedup;
    if (dedup.len != 0) {
        HL_ASSERT(window_ms > 0);
        const struct jobs_used *used = jobs_dedup_find(&queue->dedup, dedup);
        if (used != NULL && used->when.due_ms > env->now_ms) {
            *seq = used->when.tie;
            return JOBS_OK;
        }
    }
    if (options->scope != JOBS_NOT_UNIQUE) {
        *seq = jobs_unique_holder(queue, options->unique);
        if (*seq != 0) {
            return JOBS_OK;
        }
    }
    if (dedup.len != 0) {
        if (jobs_dedup_find(&queue->dedup, dedup) != NULL) {
            struct jobs_event forget = {.kind = JOBS_EV_FORGET};
            forget.text[T_DEDUP] = dedup;
            must_happen(queue, env, &forget);
        }
        event.num[N_UNTIL] = env->now_ms + window_ms;
    }
    enum jobs_verdict verdict = verdict_of(happen(queue, env, &event));
    if (verdict == JOBS_OK) {
        *seq = (uint64_t)event.num[N_SEQ];
        *duplicate = false;
        agree(queue, env, *seq, options);
    }
    return verdict;
}

size_t jobs_pull(struct jobs_queue *queue, struct jobs_env *env, struct hl_slice worker,
                 uint64_t *seqs, size_t max)
{
    size_t cleared = jobs_tick(queue, env, JOBS_TICK_COMMAND);
    if (queue->paused) {
        return 0;
    }
    if (cleared == JOBS_TICK_COMMAND && jobs_front(queue) == NULL) {
        (void)jobs_tick(queue, env, JOBS_TICK_PULL);
    }
    size_t count = 0;
    while (count < max) {
        const struct jobs_job *job = jobs_front(queue);
        if (job == NULL) {
            break;
        }
        if (job->expires_ms != 0 && job->expires_ms <= env->now_ms) {
            come_due(queue, env, job); /* the tick's budget did not reach it */
            if (jobs_front(queue) == job) {
                break; /* out of memory */
            }
            continue;
        }
        unsigned char token[JOBS_TOKEN_LEN];
        env->random(env->random_ctx, token, sizeof token);
        struct jobs_event event = about(JOBS_EV_LEASE, job);
        event.num[N_DUE] = env->now_ms + job->vis_ms;
        event.text[T_TOKEN] = (struct hl_slice){.ptr = (const char *)token, .len = sizeof token};
        event.text[T_WORKER] = worker;
        if (happen(queue, env, &event) != HL_OK) {
            break;
        }
        seqs[count++] = job->when.tie;
    }
    return count;
}

/* Compare in a time that does not tell where they differ. */
static bool same_token(const struct jobs_job *job, struct hl_slice token)
{
    if (token.len != JOBS_TOKEN_LEN) {
        return false;
    }
    unsigned differ = 0;
    for (size_t i = 0; i < JOBS_TOKEN_LEN; i++) {
        differ |= job->token[i] ^ (unsigned char)token.ptr[i];
    }
    return differ == 0;
}

/* The job when `token` holds its lease at this moment; otherwise NULL and the verdict. */
static const struct jobs_job *held(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq,
                                   struct hl_slice token, enum jobs_verdict *verdict)
{
    (void)jobs_tick(queue, env, JOBS_TICK_COMMAND);
    const struct jobs_job *job = jobs_find(queue, seq);
    if (job == NULL) {
        *verdict = JOBS_NO_JOB;
        return NULL;
    }
    if (job->state == JOBS_LEASED && !env->frozen && is_overdue(&job->when, env->now_ms)) {
        come_due(queue, env, job); /* D2 */
        *verdict = JOBS_LEASE_LOST;
        return NULL;
    }
    *verdict = JOBS_OK;
    if (job->state != JOBS_LEASED || !same_token(job, token)) {
        *verdict = JOBS_LEASE_LOST;
        return NULL;
    }
    return job;
}

enum jobs_verdict jobs_ack(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq,
                           struct hl_slice token, struct hl_slice result)
{
    enum jobs_verdict verdict = JOBS_OK;
    const struct jobs_job *job = held(queue, env, seq, token, &verdict);
    if (job == NULL) {
        const struct jobs_job *done = jobs_find(queue, seq);
        bool again = done != NULL && done->state == JOBS_DONE && same_token(done, token);
        return again ? JOBS_OK : verdict;
    }
    struct jobs_event event = about(JOBS_EV_DONE, job);
    event.num[N_DUE] = keep_until(queue, env, job, JOBS_DONE);
    event.text[T_NOTE] = result;
    verdict = verdict_of(happen(queue, env, &event));
    if (verdict == JOBS_OK) {
        forget_surplus(queue, env, seq);
        forget_at_once(queue, env, job);
    }
    return verdict;
}

enum jobs_verdict jobs_nack(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq,
                            struct hl_slice token, const struct jobs_nack *how)
{
    enum jobs_verdict verdict = JOBS_OK;
    const struct jobs_job *job = held(queue, env, seq, token, &verdict);
    if (job == NULL) {
        return verdict;
    }
    if (how->permanent) {
        return verdict_of(bury(queue, env, job, JOBS_FAILED, JOBS_BY_WORKER, how->error));
    }
    return verdict_of(end_attempt(queue, env, job, JOBS_BY_WORKER, how->error, how->delay_ms));
}

enum jobs_verdict jobs_extend(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq,
                              struct hl_slice token, int64_t span_ms)
{
    HL_ASSERT(span_ms > 0 && span_ms <= JOBS_SPAN_MAX);
    enum jobs_verdict verdict = JOBS_OK;
    const struct jobs_job *job = held(queue, env, seq, token, &verdict);
    if (job == NULL) {
        return verdict;
    }
    struct jobs_event event = about(JOBS_EV_EXTEND, job);
    event.num[N_DUE] = env->now_ms + span_ms;
    must_happen(queue, env, &event);
    return JOBS_OK;
}

void jobs_bind(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq)
{
    const struct jobs_job *job = jobs_find(queue, seq);
    HL_ASSERT(job != NULL && job->state == JOBS_LEASED);
    struct jobs_event event = about(JOBS_EV_BIND, job);
    must_happen(queue, env, &event);
}

enum jobs_verdict jobs_drop(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq,
                            struct hl_slice token)
{
    enum jobs_verdict verdict = JOBS_OK;
    const struct jobs_job *job = held(queue, env, seq, token, &verdict);
    if (job == NULL) {
        return verdict;
    }
    return verdict_of(
        end_attempt(queue, env, job, JOBS_BY_CONNECTION, hl_slice_of("connection closed"), 0));
}

enum jobs_verdict jobs_release(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq,
                               struct hl_slice token)
{
    enum jobs_verdict verdict = JOBS_OK;
    const struct jobs_job *job = held(queue, env, seq, token, &verdict);
    if (job != NULL) {
        struct jobs_event event = about(JOBS_EV_RELEASE, job);
        must_happen(queue, env, &event);
    }
    return verdict;
}

enum jobs_verdict jobs_progress(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq,
                                struct hl_slice token, int percent, struct hl_slice text)
{
    HL_ASSERT(percent >= 0 && percent <= 100);
    enum jobs_verdict verdict = JOBS_OK;
    const struct jobs_job *job = held(queue, env, seq, token, &verdict);
    if (job != NULL) {
        struct jobs_event event = about(JOBS_EV_PROGRESS, job);
        event.num[N_PERCENT] = percent;
        event.text[T_NOTE] = text;
        must_happen(queue, env, &event);
    }
    return verdict;
}

bool jobs_holds(const struct jobs_queue *queue, const struct jobs_env *env, uint64_t seq,
                struct hl_slice token)
{
    const struct jobs_job *job = jobs_find(queue, seq);
    return job != NULL && job->state == JOBS_LEASED && same_token(job, token) &&
           (env->frozen || !is_overdue(&job->when, env->now_ms));
}

bool jobs_set(struct jobs_queue *queue, struct jobs_env *env, enum jobs_attribute which,
              int64_t value)
{
    const int64_t now[JOBS_ATTRIBUTES] = {
        [JOBS_A_PAUSED] = queue->paused,
        [JOBS_A_DRAINING] = queue->draining,
        [JOBS_A_KEEP] = queue->keep_ms - JOBS_KEEP_DEFAULT,
    };
    HL_ASSERT(which < JOBS_A_FEED_NEXT);
    if (now[which] == value) {
        return false;
    }
    struct jobs_event event = {.kind = JOBS_EV_SET};
    event.num[N_WHICH] = which;
    event.num[N_VALUE] = value;
    must_happen(queue, env, &event);
    return true;
}

enum jobs_verdict jobs_cancel(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq)
{
    (void)jobs_tick(queue, env, JOBS_TICK_COMMAND);
    const struct jobs_job *job = jobs_find(queue, seq);
    if (job == NULL) {
        return JOBS_NO_JOB;
    }
    if ((JOBS_FINISHED & JOBS_IN(job->state)) != 0) {
        return JOBS_WRONG_STATE;
    }
    struct jobs_event event = about(JOBS_EV_CANCEL, job);
    event.num[N_DUE] = keep_until(queue, env, job, JOBS_CANCELLED);
    must_happen(queue, env, &event);
    forget_at_once(queue, env, job);
    return JOBS_OK;
}

enum jobs_verdict jobs_revive(struct jobs_queue *queue, struct jobs_env *env, uint64_t seq)
{
    (void)jobs_tick(queue, env, JOBS_TICK_COMMAND);
    const struct jobs_job *job = jobs_find(queue, seq);
    if (job == NULL) {
        return JOBS_NO_JOB;
    }
    if ((JOBS_FINISHED & JOBS_IN(job->state)) == 0 || job->state == JOBS_DONE) {
        return JOBS_WRONG_STATE;
    }
    const struct jobs_extra *extra = jobs_job_extra(job);
    if (extra != NULL && extra->scope >= JOBS_UNTIL_END && !extra->holds &&
        jobs_unique_holder(queue, jobs_unique_key(job)) != 0) {
        return JOBS_KEY_TAKEN;
    }
    struct jobs_event event = about(JOBS_EV_REVIVE, job);
    must_happen(queue, env, &event);
    return JOBS_OK;
}

size_t jobs_purge(struct jobs_queue *queue, struct jobs_env *env, unsigned states, size_t max)
{
    size_t count = 0;
    const struct jobs_job *job = jobs_next(queue, states, 1);
    while (job != NULL && count < max) {
        uint64_t seq = job->when.tie;
        remove_job(queue, env, job, JOBS_BY_PURGE);
        count++;
        job = jobs_next(queue, states, seq + 1);
    }
    return count;
}

/* Push the job to another queue as it was pushed here, and remove it. */
static enum jobs_verdict move_to(struct jobs_queue *queue, struct jobs_env *env,
                                 struct jobs_queue *to, struct jobs_env *to_env,
                                 const struct jobs_job *job)
{
    const struct jobs_extra *extra = jobs_job_extra(job);
    struct jobs_options options = {
        .vis_ms = job->vis_ms,
        .base_ms = job->base_ms,
        .cap_ms = job->cap_ms,
        .jitter = job->jitter,
        .pri = job->pri,
        .tries = job->tries,
        .backoff = (enum jobs_backoff)job->backoff,
    };
    if (extra != NULL) {
        options.scope = (enum jobs_scope)extra->scope;
        options.unique = jobs_unique_key(job);
        options.has_keep = extra->keep_ms != JOBS_KEEP_DEFAULT;
        options.keep_ms = extra->keep_ms;
    }
    uint64_t seq = 0;
    bool duplicate = false;
    enum jobs_verdict verdict = jobs_push(to, to_env, jobs_payload(job), (struct hl_slice){0}, 0,
                                          &options, &seq, &duplicate);
    if (verdict == JOBS_OK && duplicate) {
        return JOBS_KEY_TAKEN;
    }
    if (verdict == JOBS_OK) {
        remove_job(queue, env, job, JOBS_BY_REDRIVE);
    }
    return verdict;
}

enum jobs_verdict jobs_redrive(struct jobs_queue *queue, struct jobs_env *env,
                               struct jobs_queue *to, struct jobs_env *to_env,
                               const struct jobs_redrive *which, uint64_t *cursor, size_t *moved)
{
    HL_ASSERT((which->states & (JOBS_ANY & ~JOBS_FINISHED)) == 0);
    HL_ASSERT((which->states & JOBS_IN(JOBS_DONE)) == 0);
    *moved = 0;
    size_t bytes = 0;
    const struct jobs_job *job = jobs_next(queue, which->states, *cursor);
    for (size_t seen = 0;
         job != NULL && seen < which->scan_max && *moved < which->max && bytes < which->bytes_max;
         seen++) {
        uint64_t seq = job->when.tie;
        size_t len = to == NULL ? 0 : job->when.len;
        if (which->error.len == 0 || hl_glob_match(which->error, jobs_note_text(job), false)) {
            enum jobs_verdict verdict =
                to == NULL ? jobs_revive(queue, env, seq) : move_to(queue, env, to, to_env, job);
            if (verdict != JOBS_OK && verdict != JOBS_KEY_TAKEN && verdict != JOBS_NO_JOB) {
                *cursor = seq;
                return verdict;
            }
            *moved += verdict == JOBS_OK;
            bytes += len;
        }
        job = jobs_next(queue, which->states, seq + 1);
    }
    *cursor = job == NULL ? 0 : job->when.tie;
    return JOBS_OK;
}
