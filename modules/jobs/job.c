/* Memory of jobs.  What a client may make large is allocated so that it can fail; what is small and
 * bounded (an extra) is not. */
#include "job.h"

#include "kit/alloc.h"
#include "kit/assert.h"

HL_STATIC(JOBS_SPAN_MAX <= UINT32_MAX);
HL_STATIC(JOBS_TRIES_MAX <= UINT16_MAX);
HL_STATIC(JOBS_PAYLOAD_MAX <= UINT32_MAX);
HL_STATIC(JOBS_DEDUP_MAX <= UINT16_MAX);
HL_STATIC(sizeof(struct jobs_job) <= 112);

static const struct hl_slice none;

struct jobs_job *jobs_job_create(const struct jobs_event *event)
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

void jobs_job_destroy(struct jobs_job *job)
{
    if (job->note != NULL) {
        hl_free(job->note->extra);
    }
    hl_free(job->note);
    hl_free(job);
}

size_t jobs_job_bytes(const struct jobs_job *job)
{
    size_t bytes = sizeof *job + job->dedup_len + job->when.len;
    if (job->note != NULL) {
        bytes += sizeof *job->note + job->note->worker_len + job->note->text_len;
    }
    const struct jobs_extra *extra = jobs_job_extra(job);
    if (extra != NULL) {
        bytes += sizeof *extra + extra->unique_len + extra->progress_len;
    }
    return bytes;
}

/* Put two texts one after the other. */
static void put_both(char *out, struct hl_slice first, struct hl_slice second)
{
    if (first.len != 0) {
        memcpy(out, first.ptr, first.len);
    }
    if (second.len != 0) {
        memcpy(out + first.len, second.ptr, second.len);
    }
}

hl_err jobs_job_note(struct jobs_job *job, struct hl_slice worker, struct hl_slice text)
{
    struct jobs_extra *extra = jobs_job_extra(job);
    struct jobs_note *note = NULL;
    if (worker.len != 0 || text.len != 0 || extra != NULL) {
        note = hl_try_malloc(sizeof *note + worker.len + text.len);
        if (note == NULL) {
            return HL_ENOMEM;
        }
        *note = (struct jobs_note){
            .extra = extra, .worker_len = (uint32_t)worker.len, .text_len = (uint32_t)text.len};
        put_both(note->bytes, worker, text);
    }
    hl_free(job->note);
    job->note = note;
    return HL_OK;
}

struct jobs_extra *jobs_job_extra(const struct jobs_job *job)
{
    return job->note == NULL ? NULL : job->note->extra;
}

struct jobs_extra *jobs_job_extend(struct jobs_job *job, struct hl_slice unique,
                                   struct hl_slice progress)
{
    HL_ASSERT(unique.len <= JOBS_DEDUP_MAX);
    HL_ASSERT(progress.len <= JOBS_PROGRESS_MAX);
    if (job->note == NULL) {
        job->note = hl_calloc(1, sizeof *job->note);
    }
    struct jobs_extra *old = job->note->extra;
    struct jobs_extra *extra = hl_malloc(sizeof *extra + unique.len + progress.len);
    *extra = old != NULL ? *old : (struct jobs_extra){.keep_ms = JOBS_KEEP_DEFAULT};
    extra->unique_len = (uint16_t)unique.len;
    extra->progress_len = (uint32_t)progress.len;
    put_both(extra->bytes, unique, progress);
    hl_free(old);
    job->note->extra = extra;
    return extra;
}

struct hl_slice jobs_payload(const struct jobs_job *job)
{
    return (struct hl_slice){.ptr = job->bytes + job->dedup_len, .len = job->when.len};
}

struct hl_slice jobs_dedup_id(const struct jobs_job *job)
{
    return (struct hl_slice){.ptr = job->bytes, .len = job->dedup_len};
}

struct hl_slice jobs_unique_key(const struct jobs_job *job)
{
    const struct jobs_extra *extra = jobs_job_extra(job);
    return extra == NULL ? none : (struct hl_slice){.ptr = extra->bytes, .len = extra->unique_len};
}

struct hl_slice jobs_progress_text(const struct jobs_job *job)
{
    const struct jobs_extra *extra = jobs_job_extra(job);
    return extra == NULL ? none
                         : (struct hl_slice){.ptr = extra->bytes + extra->unique_len,
                                             .len = extra->progress_len};
}

struct hl_slice jobs_worker(const struct jobs_job *job)
{
    return job->note == NULL
               ? none
               : (struct hl_slice){.ptr = job->note->bytes, .len = job->note->worker_len};
}

struct hl_slice jobs_note_text(const struct jobs_job *job)
{
    return job->note == NULL ? none
                             : (struct hl_slice){.ptr = job->note->bytes + job->note->worker_len,
                                                 .len = job->note->text_len};
}
