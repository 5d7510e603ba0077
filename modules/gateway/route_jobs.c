/* /api/v1/jobs: queues over HTTP, for those who push and for those who work.  Each asks for the
 * permission on its queue before anything else. */
#include "jobs_json.h"
#include "routes.h"
#include "settings.h"

#include "kit/assert.h"

#define DEFAULT_QUEUE "default"
#define LIST_MAX 1000
#define PULL_MAX GW_COMMANDS_MAX /* their leases may have to be extended in one transaction */
#define WAIT_MAX_S 20            /* under http.handler-timeout */
#define SPAN_MAX_S (INT64_C(28) * 86400)
#define DELAY_MAX_S (INT64_C(365) * 86400)
#define TEXT_MAX_BYTES 512

static struct hl_slice or_default(struct hl_slice queue)
{
    return queue.ptr != NULL ? queue : hl_slice_of(DEFAULT_QUEUE);
}

/* The queue that the body names. */
static struct hl_slice queue_in_body(const struct gw_call *call)
{
    struct gw_form form = {.object = gw_body(call)};
    struct hl_slice name = or_default(gw_form_text_or(&form, "queue", 1, GW_QUEUE_MAX));
    return form.why[0] == '\0' ? name : (struct hl_slice){0};
}

static void check_queue(struct gw_call *call, const char *permission, struct hl_slice queue,
                        gw_go_on then)
{
    if (gw_queue_valid(queue)) {
        gw_check(call, permission, queue, then);
    } else {
        gw_fail(call, 400, "invalid_queue",
                "a queue's name has 1 to %d letters, digits, '.', '_', '-', '{' and '}'",
                GW_QUEUE_MAX);
    }
}

static void check_id(struct gw_call *call, const char *permission, gw_go_on then)
{
    struct hl_slice queue = gw_queue_of_id(gw_param(call, "id"));
    if (queue.ptr == NULL) {
        gw_fail(call, 404, "no_such_job", "this is no job's id");
    } else {
        gw_check(call, permission, queue, then);
    }
}

/* --- pushing ---------------------------------------------------------------------------------- */

static void answer_pushed(struct gw_call *call, RedisModuleCallReply *reply)
{
    struct hl_slice id = gw_reply_text(gw_reply_at(reply, 0));
    bool duplicate = gw_reply_number(gw_reply_at(reply, 1)) != 0;
    if (duplicate && gw_setting(GW_SETTING_STRICT_DUPLICATES) != 0) {
        gw_fail(call, 409, "duplicate", "the dedup_id was used by the job %.*s", (int)id.len,
                id.ptr);
        return;
    }
    json_t *answer = json_object();
    json_object_set_new(answer, "job_id", gw_json_text(id));
    if (duplicate) {
        json_object_set_new(answer, "duplicate", json_true());
    }
    gw_answer(call, duplicate ? 200 : 201, answer);
}

static void push(struct gw_call *call)
{
    struct gw_form form = {.object = gw_body(call)};
    struct gw_command command = {0};
    struct hl_buf payload = {0};
    if (!gw_stored_json(gw_body(call), "payload", &payload)) {
        gw_form_fault(&form, "'payload' is missing");
    }
    gw_arg_text(&command, "JOB.PUSH");
    gw_arg(&command, queue_in_body(call));
    gw_arg(&command, hl_buf_view(&payload));
    gw_push_options(&form, &command);
    if (!gw_is_bad(call, &form)) {
        gw_run(call, &command, 1, answer_pushed);
    }
    hl_buf_fini(&payload);
}

static void check_push(struct gw_call *call)
{
    check_queue(call, "job:create", queue_in_body(call), push);
}

/* --- looking ---------------------------------------------------------------------------------- */

static void answer_list(struct gw_call *call, RedisModuleCallReply *reply)
{
    json_t *jobs = json_array();
    RedisModuleCallReply *list = gw_reply_at(reply, 1);
    for (size_t i = 0; i < gw_reply_count(list); i++) {
        json_array_append_new(jobs, gw_job_json(gw_reply_at(list, i)));
    }
    json_t *answer = json_object();
    json_object_set_new(answer, "jobs", jobs);
    struct hl_slice cursor = gw_reply_text(gw_reply_at(reply, 0));
    if (!hl_slice_equal(cursor, hl_slice_of("0"))) {
        json_object_set_new(answer, "cursor", gw_json_text(cursor));
    }
    gw_answer(call, 200, answer);
}

static void list(struct gw_call *call)
{
    struct gw_form form = {0};
    struct gw_command command = {0};
    struct hl_slice status = gw_query(call, "status");
    const char *state = status.ptr == NULL ? NULL : gw_jobs_state(status);
    if (status.ptr != NULL && state == NULL) {
        gw_form_fault(&form, "'status' is PENDING, IN_PROGRESS, DONE, DLQ, FAILED or CANCELLED");
    }
    int64_t limit = gw_form_query_number(&form, "limit", gw_query(call, "limit"), 20, 1, LIST_MAX);
    int64_t cursor =
        gw_form_query_number(&form, "cursor", gw_query(call, "cursor"), 0, 0, INT64_MAX);
    if (gw_is_bad(call, &form)) {
        return;
    }
    gw_arg_text(&command, "JOB.LIST");
    gw_arg(&command, or_default(gw_query(call, "queue")));
    if (state != NULL) {
        gw_arg_text(&command, "STATUS");
        gw_arg_text(&command, state);
    }
    gw_arg_text(&command, "CURSOR");
    gw_arg_number(&command, cursor);
    gw_arg_text(&command, "COUNT");
    gw_arg_number(&command, limit);
    gw_run(call, &command, 1, answer_list);
}

static void check_list(struct gw_call *call)
{
    check_queue(call, "job:view", or_default(gw_query(call, "queue")), list);
}

static void answer_job(struct gw_call *call, RedisModuleCallReply *reply)
{
    if (gw_reply_is_null(reply)) {
        gw_fail(call, 404, "no_such_job", "there is no such job");
    } else {
        gw_answer(call, 200, gw_job_json(reply));
    }
}

static void get(struct gw_call *call)
{
    struct gw_command command = {0};
    gw_arg_text(&command, "JOB.GET");
    gw_arg(&command, gw_param(call, "id"));
    gw_run(call, &command, 1, answer_job);
}

static void check_get(struct gw_call *call)
{
    check_id(call, "job:view", get);
}

/* --- changing --------------------------------------------------------------------------------- */

static void answer_cancelled(struct gw_call *call, RedisModuleCallReply *reply)
{
    if (gw_reply_number(reply) == 0) {
        gw_fail(call, 409, "job_finished", "the job was finished already");
    } else {
        gw_answer(call, 200, json_pack("{s:b}", "ok", 1));
    }
}

static void cancel(struct gw_call *call)
{
    struct gw_command command = {0};
    gw_arg_text(&command, "JOB.CANCEL");
    gw_arg(&command, gw_param(call, "id"));
    gw_run(call, &command, 1, answer_cancelled);
}

static void check_cancel(struct gw_call *call)
{
    check_id(call, "job:cancel", cancel);
}

static void answer_retried(struct gw_call *call, RedisModuleCallReply *reply)
{
    if (gw_reply_number(reply) == 0) {
        gw_fail(call, 409, "not_retriable", "only dead, failed and cancelled jobs are retried");
    } else {
        gw_answer(call, 200, json_pack("{s:b}", "ok", 1));
    }
}

static void retry(struct gw_call *call)
{
    struct gw_command command = {0};
    gw_arg_text(&command, "JOB.RETRY");
    gw_arg(&command, gw_param(call, "id"));
    gw_run(call, &command, 1, answer_retried);
}

static void check_retry(struct gw_call *call)
{
    check_id(call, "job:create", retry);
}

/* --- working ---------------------------------------------------------------------------------- */

static void answer_pulled(struct gw_call *call, RedisModuleCallReply *reply);

/* The jobs of a pull, kept while their leases are made as long as was asked. */
static void end_jobs(void *jobs)
{
    json_decref(jobs);
}

static void answer_jobs(struct gw_call *call, json_t *jobs)
{
    bool many = json_object_get(gw_body(call), "count") != NULL;
    json_t *answer = json_object();
    if (many) {
        json_object_set(answer, "jobs", jobs);
    } else {
        json_object_set(answer, "job", json_array_get(jobs, 0));
    }
    gw_answer(call, 200, answer);
}

static void answer_extended(struct gw_call *call, RedisModuleCallReply *reply)
{
    json_t *jobs = gw_kept(call);
    bool several = json_array_size(jobs) > 1;
    for (size_t i = 0; i < json_array_size(jobs); i++) {
        int64_t until = gw_reply_number(several ? gw_reply_at(reply, i) : reply);
        json_object_set_new(json_array_get(jobs, i), "lease_until", json_integer(until));
    }
    answer_jobs(call, jobs);
}

static void extend_all(struct gw_call *call, json_t *jobs, int64_t visibility_s)
{
    struct gw_command commands[PULL_MAX] = {0};
    size_t count = json_array_size(jobs);
    HL_ASSERT(count <= PULL_MAX);
    for (size_t i = 0; i < count; i++) {
        const json_t *job = json_array_get(jobs, i);
        gw_arg_text(&commands[i], "JOB.EXTEND");
        gw_arg_text(&commands[i], json_string_value(json_object_get(job, "id")));
        gw_arg_text(&commands[i], json_string_value(json_object_get(job, "token")));
        gw_arg_number(&commands[i], visibility_s * 1000);
    }
    gw_run(call, commands, count, answer_extended);
}

static void answer_pulled(struct gw_call *call, RedisModuleCallReply *reply)
{
    struct gw_form form = {.object = gw_body(call)};
    int64_t visibility_s = gw_form_number_or(&form, "visibility_timeout", 0, 1, SPAN_MAX_S);
    size_t count = gw_reply_count(reply);
    if (count == 0) {
        gw_answer_text(call, 204, NULL, (struct hl_slice){0});
        return;
    }
    json_t *jobs = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(jobs, gw_job_json(gw_reply_at(reply, i)));
    }
    gw_keep(call, jobs, end_jobs);
    if (visibility_s != 0) {
        extend_all(call, jobs, visibility_s);
    } else {
        answer_jobs(call, jobs);
    }
}

static void pull(struct gw_call *call)
{
    struct gw_form form = {.object = gw_body(call)};
    struct gw_command command = {0};
    struct hl_slice worker = gw_form_text_or(&form, "worker_id", 1, 256);
    int64_t count = gw_form_number_or(&form, "count", 1, 1, PULL_MAX);
    int64_t wait_s = gw_form_number_or(&form, "wait", 0, 0, WAIT_MAX_S);
    (void)gw_form_number_or(&form, "visibility_timeout", 0, 1, SPAN_MAX_S);
    if (gw_is_bad(call, &form)) {
        return;
    }
    gw_arg_text(&command, "JOB.PULL");
    gw_arg(&command, queue_in_body(call));
    gw_arg_text(&command, "COUNT");
    gw_arg_number(&command, count);
    if (wait_s != 0) {
        gw_arg_text(&command, "BLOCK");
        gw_arg_number(&command, wait_s * 1000);
    }
    gw_arg_text(&command, "WORKER");
    gw_arg(&command, worker.ptr != NULL     ? worker
                     : gw_who(call) != NULL ? hl_slice_of(gw_who(call)->name)
                                            : gw_remote(call));
    struct gw_how how = {.timeout_ms =
                             (uint64_t)(gw_setting(GW_SETTING_COMMAND_TIMEOUT) + wait_s * 1000)};
    gw_run_how(call, &command, 1, &how, answer_pulled);
}

static void check_pull(struct gw_call *call)
{
    check_queue(call, "job:work", queue_in_body(call), pull);
}

static void ack(struct gw_call *call)
{
    struct gw_form form = {.object = gw_body(call)};
    struct gw_command command = {0};
    struct hl_buf result = {0};
    gw_arg_text(&command, "JOB.ACK");
    gw_arg(&command, gw_param(call, "id"));
    gw_arg(&command, gw_form_text(&form, "token", 1, TEXT_MAX_BYTES));
    if (gw_stored_json(gw_body(call), "result", &result)) {
        gw_arg(&command, hl_buf_view(&result));
    }
    if (!gw_is_bad(call, &form)) {
        gw_run(call, &command, 1, gw_answer_ok);
    }
    hl_buf_fini(&result);
}

static void check_ack(struct gw_call *call)
{
    check_id(call, "job:work", ack);
}

static void answer_nacked(struct gw_call *call, RedisModuleCallReply *reply)
{
    gw_answer(call, 200,
              json_pack("{s:b, s:o}", "ok", 1, "state", gw_json_text(gw_reply_text(reply))));
}

static void nack(struct gw_call *call)
{
    struct gw_form form = {.object = gw_body(call)};
    struct gw_command command = {0};
    gw_arg_text(&command, "JOB.NACK");
    gw_arg(&command, gw_param(call, "id"));
    gw_arg(&command, gw_form_text(&form, "token", 1, TEXT_MAX_BYTES));
    struct hl_slice error = gw_form_text_or(&form, "error", 0, 65536);
    int64_t delay_s = gw_form_number_or(&form, "delay", -1, 0, DELAY_MAX_S);
    bool fail = gw_form_flag_or(&form, "fail", false);
    bool is_word = hl_slice_is(error, "DELAY") || hl_slice_is(error, "FAIL");
    gw_arg(&command, is_word ? hl_slice_of("(an error without a text of its own)") : error);
    if (delay_s >= 0) {
        gw_arg_text(&command, "DELAY");
        gw_arg_number(&command, delay_s * 1000);
    }
    if (fail) {
        gw_arg_text(&command, "FAIL");
    }
    if (!gw_is_bad(call, &form)) {
        gw_run(call, &command, 1, answer_nacked);
    }
}

static void check_nack(struct gw_call *call)
{
    check_id(call, "job:work", nack);
}

static void answer_lease(struct gw_call *call, RedisModuleCallReply *reply)
{
    gw_answer(call, 200,
              json_pack("{s:b, s:I}", "ok", 1, "lease_until", (json_int_t)gw_reply_number(reply)));
}

static void extend(struct gw_call *call)
{
    struct gw_form form = {.object = gw_body(call)};
    struct gw_command command = {0};
    gw_arg_text(&command, "JOB.EXTEND");
    gw_arg(&command, gw_param(call, "id"));
    gw_arg(&command, gw_form_text(&form, "token", 1, TEXT_MAX_BYTES));
    int64_t span_s = gw_form_number(&form, "visibility_timeout", 1, SPAN_MAX_S);
    gw_arg_number(&command, span_s * 1000);
    if (!gw_is_bad(call, &form)) {
        gw_run(call, &command, 1, answer_lease);
    }
}

static void check_extend(struct gw_call *call)
{
    check_id(call, "job:work", extend);
}

#define JOBS "/api/v1/jobs"
#define JOB JOBS "/{id}"
#define ASKS GW_IN_HANDLER, NULL

const struct gw_route gw_jobs_routes[] = {
    {"POST", JOBS, ASKS, check_push, GW_BODY | GW_ONCE, GW_BODY_MOST},
    {"GET", JOBS, ASKS, check_list, 0, 0},
    {"POST", JOBS "/dequeue", ASKS, check_pull, GW_BODY_MAYBE, 0},
    {"GET", JOB, ASKS, check_get, 0, 0},
    {"DELETE", JOB, ASKS, check_cancel, GW_ONCE, 0},
    {"POST", JOB "/cancel", ASKS, check_cancel, GW_ONCE, 0},
    {"POST", JOB "/retry", ASKS, check_retry, GW_ONCE, 0},
    {"POST", JOB "/ack", ASKS, check_ack, GW_BODY | GW_ONCE, 0},
    {"POST", JOB "/nack", ASKS, check_nack, GW_BODY | GW_ONCE, 0},
    {"POST", JOB "/extend", ASKS, check_extend, GW_BODY | GW_ONCE, 0},
};
const size_t gw_jobs_route_count = HL_ARRAY_LEN(gw_jobs_routes);
