/* See worker.h.
 *
 * Invariants:
 *   K1  JOB.PULL asks for no more jobs than there are free slots.
 *   K2  a slot that runs has a handler; one that settles has an order; one that is free has
 * neither. K3  a job whose lease is lost is never acknowledged.
 */
#include "worker/worker.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "worker/handler.h"
#include "worker/job.h"
#include "worker/session.h"

#include <signal.h>
#include <stdio.h>
#include <sys/random.h>

#define LAST_WORDS_MS 5000 /* after the grace: to kill what runs and to tell the server */
#define LEASE_MIN_MS 1000
#define LEASE_MAX_MS (INT64_C(28) * 24 * 3600 * 1000)
#define LOST_MARGIN_MS 50 /* a lease that has no more than this to live is given up */

enum state { FREE, RUNNING, SETTLING };

/* Why a handler was stopped. */
enum reason { NONE, TIMED_OUT, LOST, GIVEN_BACK };

struct worker;

struct slot {
    struct worker *worker;
    enum state state;
    enum reason reason;
    struct job job;
    struct handler *handler;
    uint64_t started_at; /* by the loop's clock, as all here */
    uint64_t lease_until;
    uint64_t beat_sent_at;
    int64_t span_ms;                  /* what a heartbeat extends the lease to */
    uv_timer_t beat, limit, patience; /* heartbeat, job-timeout, kill-after */
    struct order *beating, *settling; /* NULL: none */
    struct hl_buf text;               /* of the order: a result or an error */
    enum worker_end end;
    bool released; /* JOB.RELEASE was tried */
};

struct worker {
    uv_loop_t loop;
    const struct worker_options *options;
    struct hl_log *log;
    struct hl_rng rng;
    struct hl_tls_context *tls;
    struct session *session;
    const struct handler_kind *kind; /* NULL: only watch */
    uv_signal_t term, interrupt, hangup;
    uv_timer_t grace, look;
    struct slot *slots;
    size_t busy;
    bool stopping, ending, closed;
    unsigned signals;
    int status;
    uint64_t done, retried, failed, lost, given_back;
};

static void pull(struct worker *worker);
static void settle(struct slot *slot, enum worker_end end, int64_t delay_ms);

/* --- the log ---------------------------------------------------------------------------------- */

/* One line about a job; `extra` (may be NULL) is a further field. */
static void log_job(const struct slot *slot, enum hl_log_level level, const char *message,
                    const char *name, const char *value)
{
    char attempt[24];
    char took[24];
    (void)snprintf(attempt, sizeof attempt, "%lld", (long long)slot->job.attempt);
    uint64_t now = uv_now(&slot->worker->loop);
    (void)snprintf(took, sizeof took, "%llu",
                   (unsigned long long)(slot->started_at != 0 ? now - slot->started_at : 0));
    const struct hl_log_field fields[] = {{"job", hl_slice_of(slot->job.id)},
                                          {"queue", hl_slice_of(slot->job.queue)},
                                          {"attempt", hl_slice_of(attempt)},
                                          {"ms", hl_slice_of(took)},
                                          {name, hl_slice_of(value == NULL ? "" : value)}};
    size_t count = HL_ARRAY_LEN(fields) - (name == NULL ? 1 : 0);
    hl_log_event(slot->worker->log, level, "worker", message, fields, count, NULL);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void close_slot_timers(struct slot *slot)
{
    uv_close((uv_handle_t *)&slot->beat, NULL);
    uv_close((uv_handle_t *)&slot->limit, NULL);
    uv_close((uv_handle_t *)&slot->patience, NULL);
}

/* Let go of everything: the loop ends when the last handle is closed. */
static void close_down(struct worker *worker)
{
    if (worker->closed) {
        return;
    }
    worker->closed = true;
    session_destroy(worker->session);
    worker->session = NULL;
    uv_close((uv_handle_t *)&worker->term, NULL);
    uv_close((uv_handle_t *)&worker->interrupt, NULL);
    uv_close((uv_handle_t *)&worker->hangup, NULL);
    uv_close((uv_handle_t *)&worker->grace, NULL);
    uv_close((uv_handle_t *)&worker->look, NULL);
    for (int64_t i = 0; i < worker->options->concurrency; i++) {
        struct slot *slot = &worker->slots[i];
        close_slot_timers(slot);
        slot->beating = NULL; /* they went with the session */
        slot->settling = NULL;
        if (slot->handler != NULL) {
            worker->kind->stop(slot->handler, true);
        }
    }
}

static void end_if_idle(struct worker *worker)
{
    bool pulling = worker->session != NULL && session_is_pulling(worker->session);
    bool waits = pulling && session_is_up(worker->session) && !worker->ending;
    if (worker->stopping && worker->busy == 0 && !waits) {
        close_down(worker);
    }
}

/* --- one job ---------------------------------------------------------------------------------- */

static void free_slot(struct slot *slot)
{
    struct worker *worker = slot->worker;
    uv_timer_stop(&slot->beat);
    uv_timer_stop(&slot->limit);
    uv_timer_stop(&slot->patience);
    if (slot->beating != NULL) {
        session_cancel(slot->beating);
        slot->beating = NULL;
    }
    job_fini(&slot->job);
    hl_buf_fini(&slot->text);
    slot->state = FREE;
    slot->started_at = 0;
    worker->busy--;
    worker->stopping = worker->stopping || worker->options->once;
    if (worker->closed) {
        return;
    }
    end_if_idle(worker);
    pull(worker);
}

static void on_patience(uv_timer_t *timer)
{
    struct slot *slot = timer->data;
    if (slot->handler != NULL) {
        slot->worker->kind->stop(slot->handler, true);
    }
}

static void stop_handler(struct slot *slot, enum reason reason)
{
    if (slot->state != RUNNING || slot->reason != NONE) {
        return;
    }
    slot->reason = reason;
    slot->worker->kind->stop(slot->handler, false);
    uv_timer_start(&slot->patience, on_patience, (uint64_t)slot->worker->options->kill_after_ms, 0);
}

static void on_limit(uv_timer_t *timer)
{
    stop_handler(timer->data, TIMED_OUT);
}

static void lose(struct slot *slot, const char *why)
{
    if (slot->reason != LOST) {
        log_job(slot, HL_LOG_WARNING, "lease lost", "reason", why);
        slot->worker->lost++;
    }
    uv_timer_stop(&slot->beat);
    if (slot->state == RUNNING && slot->reason == NONE) {
        stop_handler(slot, LOST);
    }
    slot->reason = LOST;
}

static void on_beat(uv_timer_t *timer);

/* Wake up when the lease is to be extended, or when it has run out because that does not work. */
static void arm_beat(struct slot *slot)
{
    uint64_t now = uv_now(&slot->worker->loop);
    int64_t left_ms = slot->lease_until > now ? (int64_t)(slot->lease_until - now) : 0;
    int64_t wait_ms = slot->beating == NULL ? worker_beat_ms(left_ms) : left_ms;
    uv_timer_start(&slot->beat, on_beat, (uint64_t)wait_ms, 0);
}

static void on_beaten(void *ctx, const redisReply *reply)
{
    struct slot *slot = ctx;
    slot->beating = NULL;
    if (slot->state != RUNNING || slot->reason == LOST) {
        return;
    }
    if (reply->type == REDIS_REPLY_INTEGER) {
        slot->lease_until = slot->beat_sent_at + (uint64_t)slot->span_ms;
        arm_beat(slot);
    } else {
        lose(slot, reply->type == REDIS_REPLY_ERROR ? reply->str : "a strange answer");
    }
}

static void on_beat(uv_timer_t *timer)
{
    struct slot *slot = timer->data;
    struct worker *worker = slot->worker;
    if (slot->state != RUNNING || slot->reason == LOST) {
        return;
    }
    uint64_t now = uv_now(&worker->loop);
    if (slot->beating != NULL && now + LOST_MARGIN_MS >= slot->lease_until) {
        lose(slot, "it could not be extended in time");
        return;
    }
    if (slot->beating == NULL) {
        char span[HL_I64_TEXT_MAX];
        hl_format_i64(span, slot->span_ms);
        const struct hl_slice words[] = {hl_slice_of("JOB.EXTEND"), hl_slice_of(slot->job.id),
                                         hl_slice_of(slot->job.token), hl_slice_of(span)};
        slot->beat_sent_at = now;
        slot->beating = session_order(worker->session, 4, words, on_beaten, slot);
    }
    arm_beat(slot);
}

/* --- what came of it -------------------------------------------------------------------------- */

static void count_end(struct slot *slot, const char *state)
{
    struct worker *worker = slot->worker;
    switch (slot->end) {
    case WORKER_DONE:
        worker->done++;
        log_job(slot, HL_LOG_NOTICE, "job done", NULL, NULL);
        return;
    case WORKER_FAIL:
        worker->failed++;
        break;
    case WORKER_RETRY:
        worker->retried++;
        break;
    }
    log_job(slot, HL_LOG_VERBOSE, "job given up for now", "state", state);
}

static bool says(const redisReply *reply, const char *part)
{
    return reply->type == REDIS_REPLY_ERROR && strstr(reply->str, part) != NULL;
}

/* The server's last word on the job, or a reason to say it in another way. */
static void on_settled(void *ctx, const redisReply *reply)
{
    struct slot *slot = ctx;
    slot->settling = NULL;
    if (reply->type != REDIS_REPLY_ERROR) {
        count_end(slot, reply->str);
    } else if (says(reply, "max-payload") && slot->text.len != 0) {
        log_job(slot, HL_LOG_WARNING, "the server does not take the result", "reason", reply->str);
        hl_buf_clear(&slot->text);
        settle(slot, slot->end, -1);
        return;
    } else if (worker_judge_answer(hl_slice_of(reply->str)) == WORKER_GONE) {
        lose(slot, reply->str);
    } else {
        log_job(slot, HL_LOG_WARNING, "the server refuses the outcome", "reason", reply->str);
        slot->worker->lost++;
    }
    free_slot(slot);
}

static void settle(struct slot *slot, enum worker_end end, int64_t delay_ms)
{
    struct hl_slice words[7];
    size_t count = 0;
    char delay[HL_I64_TEXT_MAX];
    slot->state = SETTLING;
    slot->end = end;
    words[count++] = hl_slice_of(end == WORKER_DONE ? "JOB.ACK" : "JOB.NACK");
    words[count++] = hl_slice_of(slot->job.id);
    words[count++] = hl_slice_of(slot->job.token);
    struct hl_slice text = hl_buf_view(&slot->text);
    /* An error that is a word of the command would be taken for one. */
    bool word = end != WORKER_DONE && (hl_slice_is(text, "DELAY") || hl_slice_is(text, "FAIL"));
    if (text.len != 0 && !word) {
        words[count++] = text;
    }
    if (end == WORKER_FAIL) {
        words[count++] = hl_slice_of("FAIL");
    } else if (end == WORKER_RETRY && delay_ms >= 0) {
        hl_format_i64(delay, delay_ms);
        words[count++] = hl_slice_of("DELAY");
        words[count++] = hl_slice_of(delay);
    }
    slot->settling = session_order(slot->worker->session, count, words, on_settled, slot);
}

static void on_released(void *ctx, const redisReply *reply)
{
    struct slot *slot = ctx;
    slot->settling = NULL;
    if (says(reply, "unknown command")) { /* an older module: it costs an attempt */
        settle(slot, WORKER_RETRY, 0);
        return;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        lose(slot, reply->str);
    }
    free_slot(slot);
}

/* Give the lease back: somebody else shall have the job now. */
static void give_back(struct slot *slot)
{
    struct worker *worker = slot->worker;
    slot->state = SETTLING;
    worker->given_back++;
    log_job(slot, HL_LOG_NOTICE, "job given back", NULL, NULL);
    hl_buf_clear(&slot->text);
    hl_buf_append_text(&slot->text, "the worker was stopped");
    const struct hl_slice words[] = {hl_slice_of("JOB.RELEASE"), hl_slice_of(slot->job.id),
                                     hl_slice_of(slot->job.token)};
    slot->settling = session_order(worker->session, 3, words, on_released, slot);
}

static void on_end(void *ctx, const struct outcome *outcome)
{
    struct slot *slot = ctx;
    slot->handler = NULL;
    uv_timer_stop(&slot->limit);
    uv_timer_stop(&slot->patience);
    uv_timer_stop(&slot->beat);
    if (slot->worker->closed || slot->reason == LOST) { /* K3 */
        free_slot(slot);
        return;
    }
    if (slot->reason == GIVEN_BACK && outcome->verdict.end != WORKER_DONE) {
        give_back(slot);
        return;
    }
    hl_buf_clear(&slot->text);
    if (slot->reason == TIMED_OUT && outcome->verdict.end != WORKER_DONE) {
        hl_buf_printf(&slot->text, "took longer than %lld ms",
                      (long long)slot->worker->options->job_timeout_ms);
        log_job(slot, HL_LOG_WARNING, "job timed out", "handler", outcome->how);
        settle(slot, WORKER_RETRY, -1);
        return;
    }
    hl_buf_append_slice(&slot->text, outcome->text);
    if (outcome->truncated) {
        log_job(slot, HL_LOG_WARNING, "result cut", "handler", outcome->how);
    }
    if (outcome->verdict.end != WORKER_DONE) {
        log_job(slot, HL_LOG_WARNING, "job not done", "handler", outcome->how);
    }
    settle(slot, outcome->verdict.end, outcome->verdict.delay_ms);
}

/* --- taking jobs ------------------------------------------------------------------------------ */

static struct slot *find_free(struct worker *worker)
{
    for (int64_t i = 0; i < worker->options->concurrency; i++) {
        if (worker->slots[i].state == FREE) {
            return &worker->slots[i];
        }
    }
    return NULL;
}

/* How long the lease is follows from its end on the server's clock, which is not known exactly: a
 * whole number of seconds, as queues have them, and one at least. */
static void set_lease(struct slot *slot, uint64_t now)
{
    int64_t left_ms = slot->job.deadline_ms - session_server_ms(slot->worker->session);
    left_ms = left_ms < LEASE_MIN_MS ? LEASE_MIN_MS : left_ms;
    left_ms = left_ms > LEASE_MAX_MS ? LEASE_MAX_MS : left_ms;
    int64_t own_ms = (left_ms + 500) / 1000 * 1000;
    slot->span_ms = slot->worker->options->lease_ms != 0 ? slot->worker->options->lease_ms : own_ms;
    slot->lease_until = now + (uint64_t)left_ms;
}

static void begin(struct worker *worker, const redisReply *reply)
{
    struct slot *slot = find_free(worker);
    if (slot == NULL || !job_read(reply, &slot->job)) {
        hl_log(worker->log, HL_LOG_WARNING, "worker", "the server sent no job that can be read");
        return;
    }
    uint64_t now = uv_now(&worker->loop);
    worker->busy++;
    slot->state = RUNNING;
    slot->reason = NONE;
    slot->started_at = now;
    if (worker->stopping && !worker->options->once) {
        give_back(slot);
        return;
    }
    set_lease(slot, now);
    slot->handler = worker->kind->start(&worker->loop, worker->options, &slot->job, on_end, slot);
    if (worker->options->job_timeout_ms != 0) {
        uv_timer_start(&slot->limit, on_limit, (uint64_t)worker->options->job_timeout_ms, 0);
    }
    arm_beat(slot);
    log_job(slot, HL_LOG_VERBOSE, "job begun", NULL, NULL);
}

static void on_pull(void *ctx, const redisReply *reply)
{
    struct worker *worker = ctx;
    if (reply->type == REDIS_REPLY_ARRAY) {
        worker->stopping = worker->stopping || (worker->options->once && reply->elements > 0);
        for (size_t i = 0; i < reply->elements; i++) {
            begin(worker, reply->element[i]);
        }
    } else if (worker->options->drain && worker->busy == 0) {
        worker->stopping = true;
    }
    end_if_idle(worker);
    bool dry = reply->type != REDIS_REPLY_ARRAY && worker->options->drain;
    if (!dry) { /* else the end of a job asks again */
        pull(worker);
    }
}

static void pull(struct worker *worker)
{
    if (worker->closed || worker->stopping || worker->kind == NULL ||
        !session_is_up(worker->session) || session_is_pulling(worker->session)) {
        return;
    }
    int64_t room = worker->options->concurrency - (int64_t)worker->busy;
    if (room > 0) {
        room = worker->options->once ? 1 : room;
        session_pull(worker->session, room, worker->options->drain ? -1 : worker->options->poll_ms);
    }
}

static void on_seen(void *ctx, const redisReply *reply)
{
    struct worker *worker = ctx;
    if (reply->type == REDIS_REPLY_ERROR) {
        hl_log(worker->log, HL_LOG_WARNING, "worker", "JOB.STATS: %.200s", reply->str);
        return;
    }
    struct hl_buf line = {0};
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2) {
        const redisReply *name = reply->element[i];
        const redisReply *value = reply->element[i + 1];
        if (name->type == REDIS_REPLY_STRING && value->type == REDIS_REPLY_INTEGER) {
            hl_buf_printf(&line, "%s%s %lld", line.len == 0 ? "" : ", ", name->str, value->integer);
        }
    }
    hl_log(worker->log, HL_LOG_VERBOSE, "worker", "queues: %.*s", (int)line.len, line.ptr);
    hl_buf_fini(&line);
}

/* Without a handler: look at the queues now and then. */
static void on_look(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    if (session_is_up(worker->session)) {
        for (size_t i = 0; i < worker->options->queue_count; i++) {
            const struct hl_slice words[] = {hl_slice_of("JOB.STATS"),
                                             hl_slice_of(worker->options->queues[i])};
            (void)session_order(worker->session, 2, words, on_seen, worker);
        }
    }
}

static void on_up(void *ctx)
{
    struct worker *worker = ctx;
    end_if_idle(worker);
    pull(worker);
}

static void on_down(void *ctx)
{
    end_if_idle(ctx);
}

static void on_refused(void *ctx, const char *why)
{
    struct worker *worker = ctx;
    hl_log(worker->log, HL_LOG_WARNING, "worker", "the server refuses this worker: %s", why);
    worker->status = WORKER_UNWANTED;
    close_down(worker);
}

/* --- stopping --------------------------------------------------------------------------------- */

static void on_last_words(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    worker->status = WORKER_UNFINISHED;
    close_down(worker);
}

static void on_grace(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    worker->ending = true;
    for (int64_t i = 0; i < worker->options->concurrency; i++) {
        if (worker->slots[i].state == RUNNING) {
            worker->status = WORKER_UNFINISHED;
            stop_handler(&worker->slots[i], GIVEN_BACK);
        }
    }
    uint64_t wait_ms = (uint64_t)worker->options->kill_after_ms + LAST_WORDS_MS;
    uv_timer_start(&worker->grace, on_last_words, wait_ms, 0);
    end_if_idle(worker);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct worker *worker = signal->data;
    if (worker->closed) {
        return;
    }
    worker->signals++;
    const struct hl_slice name = hl_slice_of(number == SIGTERM  ? "SIGTERM"
                                             : number == SIGINT ? "SIGINT"
                                                                : "SIGHUP");
    const struct hl_log_field fields[] = {{"signal", name}};
    if (worker->signals > 1) {
        hl_log_event(worker->log, HL_LOG_WARNING, "worker", "stopping at once", fields, 1, NULL);
        worker->status = worker->busy != 0 ? WORKER_UNFINISHED : worker->status;
        close_down(worker);
        return;
    }
    hl_log_event(worker->log, HL_LOG_NOTICE, "worker", "stopping", fields, 1, NULL);
    worker->stopping = true;
    session_interrupt(worker->session);
    uv_timer_start(&worker->grace, on_grace, (uint64_t)worker->options->grace_ms, 0);
    end_if_idle(worker);
}

/* --- the whole -------------------------------------------------------------------------------- */

static hl_err make_tls(struct worker *worker, struct hl_errmsg *msg)
{
    const struct worker_options *options = worker->options;
    if (!options->tls) {
        return HL_OK;
    }
    const struct hl_tls_options tls = {.cert_file = options->cert,
                                       .key_file = options->key,
                                       .ca_file = options->cacert,
                                       .peer = options->insecure ? HL_TLS_PEER_ANY
                                                                 : HL_TLS_PEER_REQUIRED};
    return hl_tls_context_create(&worker->tls, &tls, msg);
}

static void make_slots(struct worker *worker)
{
    worker->slots = hl_calloc((size_t)worker->options->concurrency, sizeof *worker->slots);
    for (int64_t i = 0; i < worker->options->concurrency; i++) {
        struct slot *slot = &worker->slots[i];
        slot->worker = worker;
        uv_timer_t *timers[] = {&slot->beat, &slot->limit, &slot->patience};
        for (size_t k = 0; k < HL_ARRAY_LEN(timers); k++) {
            (void)uv_timer_init(&worker->loop, timers[k]);
            timers[k]->data = slot;
        }
    }
}

static void start(struct worker *worker)
{
    uint64_t seed = 0;
    ssize_t got = getrandom(&seed, sizeof seed, 0);
    HL_ASSERT(got == (ssize_t)sizeof seed);
    hl_rng_seed(&worker->rng, seed);
    (void)signal(SIGPIPE, SIG_IGN); /* handlers get the default back: libuv sees to it */
    uv_signal_t *signals[] = {&worker->term, &worker->interrupt, &worker->hangup};
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < HL_ARRAY_LEN(signals); i++) {
        (void)uv_signal_init(&worker->loop, signals[i]);
        signals[i]->data = worker;
        (void)uv_signal_start(signals[i], on_signal, numbers[i]);
    }
    (void)uv_timer_init(&worker->loop, &worker->grace);
    (void)uv_timer_init(&worker->loop, &worker->look);
    worker->grace.data = worker->look.data = worker;
    if (worker->options->http != NULL) {
        handler_http_open(&worker->loop);
        worker->kind = &handler_http;
    } else if (worker->options->exec != NULL) {
        worker->kind = &handler_exec;
    } else {
        uint64_t poll_ms = (uint64_t)worker->options->poll_ms;
        uv_timer_start(&worker->look, on_look, poll_ms, poll_ms);
        hl_log(worker->log, HL_LOG_WARNING, "worker",
               "neither --exec nor --http: jobs are not taken, only watched");
    }
    const struct session_owner owner = {worker, on_up, on_down, on_pull, on_refused};
    worker->session = session_create(&worker->loop, worker->options, worker->log, worker->tls,
                                     &owner, &worker->rng);
}

static void say_goodbye(const struct worker *worker)
{
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {{"done", worker->done},
                  {"retried", worker->retried},
                  {"failed", worker->failed},
                  {"lost", worker->lost},
                  {"given_back", worker->given_back}};
    char texts[HL_ARRAY_LEN(counts)][24];
    struct hl_log_field fields[HL_ARRAY_LEN(counts)];
    for (size_t i = 0; i < HL_ARRAY_LEN(counts); i++) {
        (void)snprintf(texts[i], sizeof texts[i], "%llu", (unsigned long long)counts[i].value);
        fields[i] = (struct hl_log_field){counts[i].name, hl_slice_of(texts[i])};
    }
    hl_log_event(worker->log, HL_LOG_NOTICE, "worker", "ended", fields, HL_ARRAY_LEN(fields), NULL);
}

int worker_run(const struct worker_options *options, struct hl_log *log, struct hl_errmsg *msg)
{
    struct worker *worker = hl_calloc(1, sizeof *worker);
    worker->options = options;
    worker->log = log;
    if (make_tls(worker, msg) != HL_OK) {
        hl_free(worker);
        return WORKER_FAILED;
    }
    int rc = uv_loop_init(&worker->loop);
    HL_ASSERT(rc == 0);
    make_slots(worker);
    start(worker);
    const struct hl_log_field fields[] = {{"worker", hl_slice_of(options->id)}};
    hl_log_event(log, HL_LOG_NOTICE, "worker", "started", fields, 1, NULL);
    (void)uv_run(&worker->loop, UV_RUN_DEFAULT);
    handler_http_close();
    (void)uv_run(&worker->loop, UV_RUN_DEFAULT);
    rc = uv_loop_close(&worker->loop);
    HL_ASSERT(rc == 0);
    say_goodbye(worker);
    hl_tls_context_destroy(worker->tls);
    int status = worker->status;
    for (int64_t i = 0; i < options->concurrency; i++) {
        job_fini(&worker->slots[i].job);
        hl_buf_fini(&worker->slots[i].text);
    }
    hl_free(worker->slots);
    hl_free(worker);
    return status;
}
