/* A queue as the list of events that makes an equal one.
 *
 * The order is canonical: META, attributes, counters, the ready jobs lane by lane in their turn,
 * the other jobs by number, each with what is extra about it, the used dedup ids by number, the
 * facts of the feed, the schedules.  So equal queues give equal bytes, and a digest
 * of the bytes is a digest of the state.
 */
#include "cron.h"
#include "queue.h"

#define PIECE_LEN (64u * 1024)

struct writer {
    struct hl_buf buf;
    void (*write)(void *ctx, struct hl_slice piece);
    void *ctx;
};

static void put(struct writer *writer, const struct jobs_event *event)
{
    jobs_event_encode(&writer->buf, event);
    if (writer->buf.len >= PIECE_LEN) {
        writer->write(writer->ctx, hl_buf_view(&writer->buf));
        hl_buf_clear(&writer->buf);
    }
}

static void put_schedule(void *ctx, const struct jobs_event *event)
{
    put(ctx, event);
}

static void put_meta(struct writer *writer, const struct jobs_queue *queue)
{
    struct jobs_event meta = {.kind = JOBS_EV_META};
    meta.num[N_VERSION] = JOBS_FORMAT;
    meta.num[N_EPOCH] = queue->epoch;
    meta.num[N_CREATED] = queue->created_ms;
    meta.num[N_AT] = queue->clock_ms;
    meta.num[N_NEXT_SEQ] = (int64_t)queue->next_seq;
    meta.num[N_FENCE] = (int64_t)queue->fence;
    put(writer, &meta);
    for (unsigned i = 0; i < JOBS_COUNTERS; i++) {
        if (queue->counters[i] != 0) {
            struct jobs_event counter = {.kind = JOBS_EV_COUNTER};
            counter.num[N_WHICH] = i;
            bool fits = queue->counters[i] <= (uint64_t)JOBS_TIME_MAX;
            counter.num[N_VALUE] = fits ? (int64_t)queue->counters[i] : JOBS_TIME_MAX;
            put(writer, &counter);
        }
    }
}

static void put_attribute(struct writer *writer, enum jobs_attribute which, int64_t value,
                          int64_t usual)
{
    if (value != usual) {
        struct jobs_event event = {.kind = JOBS_EV_SET};
        event.num[N_WHICH] = which;
        event.num[N_VALUE] = value;
        put(writer, &event);
    }
}

static void put_extra(struct writer *writer, const struct jobs_job *job)
{
    const struct jobs_extra *extra = jobs_job_extra(job);
    if (extra == NULL) {
        return;
    }
    int64_t seq = (int64_t)job->when.tie;
    if (extra->scope != JOBS_NOT_UNIQUE || extra->keep_ms != JOBS_KEEP_DEFAULT) {
        struct jobs_event event = {.kind = JOBS_EV_TERMS};
        event.num[N_SEQ] = seq;
        event.num[N_VALUE] = extra->holds;
        event.num[N_SCOPE] = extra->scope;
        event.num[N_KEEP] = extra->keep_ms;
        event.text[T_DEDUP] = jobs_unique_key(job);
        put(writer, &event);
    }
    if (extra->percent != 0 || extra->progress_len != 0) {
        struct jobs_event event = {.kind = JOBS_EV_PROGRESS};
        event.num[N_SEQ] = seq;
        event.num[N_PERCENT] = extra->percent;
        event.text[T_NOTE] = jobs_progress_text(job);
        put(writer, &event);
    }
    if (extra->bound) {
        struct jobs_event event = {.kind = JOBS_EV_BIND};
        event.num[N_SEQ] = seq;
        put(writer, &event);
    }
}

static void put_feed(struct writer *writer, const struct jobs_feed *feed)
{
    uint64_t first = jobs_feed_first(feed);
    put_attribute(writer, JOBS_A_FEED_NEXT, (int64_t)first, 1);
    for (uint64_t n = first; n < feed->next; n++) {
        const struct jobs_fact *fact = jobs_feed_at(feed, n);
        struct jobs_event event = {.kind = JOBS_EV_FACT};
        event.num[N_AT] = fact->at_ms;
        event.num[N_WHICH] = fact->what;
        event.num[N_SEQ] = (int64_t)fact->seq;
        event.num[N_STATE] = fact->state;
        event.num[N_ATTEMPTS] = fact->attempts;
        put(writer, &event);
    }
}

static void put_job(struct writer *writer, const struct jobs_job *job)
{
    struct jobs_event event = {.kind = JOBS_EV_JOB};
    event.num[N_SEQ] = (int64_t)job->when.tie;
    event.num[N_STATE] = job->state;
    event.num[N_DUE] = job->when.due_ms;
    event.num[N_EXPIRES] = job->expires_ms;
    event.num[N_CREATED] = job->created_ms;
    event.num[N_CHANGED] = job->changed_ms;
    event.num[N_PRI] = job->pri;
    event.num[N_ATTEMPTS] = job->attempts;
    event.num[N_TRIES] = job->tries;
    event.num[N_VIS] = job->vis_ms;
    event.num[N_BACKOFF] = job->backoff;
    event.num[N_BASE] = job->base_ms;
    event.num[N_CAP] = job->cap_ms;
    event.num[N_JITTER] = job->jitter;
    event.num[N_FENCE] = (int64_t)job->fence;
    if (job->state == JOBS_LEASED || job->state == JOBS_DONE) {
        event.text[T_TOKEN] =
            (struct hl_slice){.ptr = (const char *)job->token, .len = JOBS_TOKEN_LEN};
    }
    event.text[T_DEDUP] = jobs_dedup_id(job);
    event.text[T_WORKER] = jobs_worker(job);
    event.text[T_NOTE] = jobs_note_text(job);
    event.text[T_PAYLOAD] = jobs_payload(job);
    put(writer, &event);
    put_extra(writer, job);
}

void jobs_snapshot(const struct jobs_queue *queue, void (*write)(void *ctx, struct hl_slice piece),
                   void *ctx)
{
    struct writer writer = {.write = write, .ctx = ctx};
    put_meta(&writer, queue);
    put_attribute(&writer, JOBS_A_PAUSED, queue->paused, 0);
    put_attribute(&writer, JOBS_A_DRAINING, queue->draining, 0);
    put_attribute(&writer, JOBS_A_KEEP, queue->keep_ms - JOBS_KEEP_DEFAULT, 0);
    for (uint32_t i = 0; i < queue->lane_count; i++) {
        for (struct jobs_job *job = queue->lanes[i].first; job != NULL; job = job->next) {
            put_job(&writer, job);
        }
    }
    unsigned others = JOBS_ANY & ~JOBS_IN(JOBS_READY);
    const struct jobs_job *job = jobs_next(queue, others, 1);
    while (job != NULL) {
        put_job(&writer, job);
        job = jobs_next(queue, others, job->when.tie + 1);
    }
    for (const struct jobs_used *used = queue->dedup.first; used != NULL; used = used->next) {
        struct jobs_event event = {.kind = JOBS_EV_USED};
        event.num[N_SEQ] = (int64_t)used->when.tie;
        event.num[N_UNTIL] = used->when.due_ms;
        event.text[T_DEDUP] = jobs_used_id(used);
        put(&writer, &event);
    }
    put_feed(&writer, &queue->feed);
    jobs_cron_snapshot(queue, put_schedule, &writer);
    if (writer.buf.len != 0) {
        write(ctx, hl_buf_view(&writer.buf));
    }
    hl_buf_fini(&writer.buf);
}
