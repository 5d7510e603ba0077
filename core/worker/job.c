/* See job.h. */
#include "worker/job.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#define NAME_MAX_LEN 600 /* bytes of an id: a queue's name and two numbers */

/* A copy of a text that may stand in a header, an environment and a log; NULL for another. */
static char *copy_plain(const redisReply *value)
{
    if (value->type != REDIS_REPLY_STRING || value->len == 0 || value->len > NAME_MAX_LEN) {
        return NULL;
    }
    for (size_t i = 0; i < (size_t)value->len; i++) {
        if ((unsigned char)value->str[i] < 0x20 || value->str[i] == 0x7f) {
            return NULL;
        }
    }
    return hl_strndup(value->str, (size_t)value->len);
}

static void read_text(char **out, const redisReply *value)
{
    hl_free(*out);
    *out = copy_plain(value);
}

static void read_field(struct job *job, struct hl_slice name, const redisReply *value)
{
    const struct {
        const char *name;
        char **out;
    } texts[] = {{"id", &job->id}, {"queue", &job->queue}, {"token", &job->token}};
    const struct {
        const char *name;
        int64_t *out;
    } numbers[] = {
        {"attempt", &job->attempt}, {"deadline", &job->deadline_ms}, {"fence", &job->fence}};
    for (size_t i = 0; i < HL_ARRAY_LEN(texts); i++) {
        if (hl_slice_equal(name, hl_slice_of(texts[i].name))) {
            read_text(texts[i].out, value);
        }
    }
    for (size_t i = 0; i < HL_ARRAY_LEN(numbers); i++) {
        if (hl_slice_equal(name, hl_slice_of(numbers[i].name)) &&
            value->type == REDIS_REPLY_INTEGER && value->integer >= 0 &&
            value->integer < (INT64_C(1) << 53)) {
            *numbers[i].out = value->integer;
        }
    }
    if (hl_slice_equal(name, hl_slice_of("payload")) && value->type == REDIS_REPLY_STRING) {
        hl_free(job->payload);
        job->payload_len = (size_t)value->len;
        job->payload = hl_strndup(value->str, (size_t)value->len);
    }
}

bool job_read(const redisReply *reply, struct job *job)
{
    *job = (struct job){0};
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements % 2 != 0) {
        return false;
    }
    for (size_t i = 0; i < reply->elements; i += 2) {
        const redisReply *name = reply->element[i];
        if (name->type == REDIS_REPLY_STRING) {
            read_field(job, (struct hl_slice){.ptr = name->str, .len = (size_t)name->len},
                       reply->element[i + 1]);
        }
    }
    if (job->id != NULL && job->queue != NULL && job->token != NULL && job->payload != NULL) {
        return true;
    }
    job_fini(job);
    return false;
}

void job_fini(struct job *job)
{
    hl_free(job->id);
    hl_free(job->queue);
    hl_free(job->token);
    hl_free(job->payload);
    *job = (struct job){0};
}
