/* See session.h.
 *
 * Invariants:
 *   S1  orders are answered in the order in which they were sent: the first `sent` ones of the list
 *       are those that the present control link has been given.
 *   S2  after fail() there are no links, and the retry timer runs.
 */
#include "worker/session.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/num.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define HELLO_MS 5000   /* to connect and be let in */
#define ANSWER_MS 10000 /* to answer an order, and a pull after the time it may wait */
#define WATCH_MS 250
#define HELLO_MAX 3
#define PULL_WORDS_MAX (WORKER_QUEUES_MAX + 8)

enum hello { HELLO_AUTH, HELLO_NAME, HELLO_TIME, HELLO_ID };

/* One of the two links. */
struct side {
    struct session *session;
    struct link *link;
    enum hello hello[HELLO_MAX]; /* replies to come before the first of ours */
    unsigned hello_count, hello_at;
    bool up; /* connected */
};

struct order {
    struct order *next;
    order_fn *done; /* NULL: cancelled */
    void *ctx;
    char *bytes;
    size_t len;
    uint64_t sent_at; /* by the loop's clock */
};

struct session {
    uv_loop_t *loop;
    const struct worker_options *options;
    struct hl_log *log;
    const struct hl_tls_context *tls;
    struct session_owner owner;
    struct hl_rng *rng;
    uv_timer_t retry, watch;
    unsigned timers; /* not yet closed */

    struct side pull, control;
    bool up, was_up;       /* both are let in; they were once */
    bool pulling, pulled;  /* JOB.PULL is not answered; one was answered once */
    bool destroyed, moved; /* `moved`: the next attempt goes to `target` */
    struct worker_server target;
    size_t at;           /* the server of the present attempt */
    uint64_t attempt;    /* since it last worked */
    uint64_t started_at; /* of the present attempt */
    uint64_t pull_by;    /* when JOB.PULL must have been answered */
    int64_t pull_client; /* CLIENT ID of the pull link, 0 unknown */
    int64_t clock_ms;    /* the server's clock minus the loop's */
    uint64_t time_asked_at;
    struct order *first, **last;
    size_t sent; /* S1 */
};

static void retry_later(struct session *session);
static void send_orders(struct session *session);

static uint64_t now(const struct session *session)
{
    uv_update_time(session->loop);
    return uv_now(session->loop);
}

/* The bytes of a command, which the caller ends with free(). */
static char *format(size_t argc, const struct hl_slice *argv, size_t *len)
{
    const char *words[PULL_WORDS_MAX];
    size_t lens[PULL_WORDS_MAX];
    HL_ASSERT(argc <= PULL_WORDS_MAX);
    for (size_t i = 0; i < argc; i++) {
        words[i] = argv[i].ptr == NULL ? "" : argv[i].ptr;
        lens[i] = argv[i].len;
    }
    char *bytes = NULL;
    long long size = redisFormatCommandArgv(&bytes, (int)argc, words, lens);
    HL_ASSERT(size > 0);
    *len = (size_t)size;
    return bytes;
}

static void side_send(struct side *side, size_t argc, const struct hl_slice *argv)
{
    if (side->link == NULL) {
        return; /* it failed while we were at it */
    }
    size_t len = 0;
    char *bytes = format(argc, argv, &len);
    link_send(side->link, (struct hl_slice){.ptr = bytes, .len = len});
    free(bytes);
}

static struct hl_slice text_of(const redisReply *reply)
{
    bool has = reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS ||
               reply->type == REDIS_REPLY_ERROR;
    return has ? (struct hl_slice){.ptr = reply->str, .len = (size_t)reply->len}
               : (struct hl_slice){.ptr = "", .len = 0};
}

static const struct worker_server *target(const struct session *session)
{
    return session->moved ? &session->target : &session->options->servers[session->at];
}

/* Take out what nobody waits for: only what the present link has not been given (S1). */
static void drop_cancelled(struct session *session)
{
    struct order **at = &session->first;
    for (size_t i = 0; *at != NULL;) {
        struct order *order = *at;
        if (i >= session->sent && order->done == NULL) {
            *at = order->next;
            free(order->bytes);
            hl_free(order);
        } else {
            at = &order->next;
            i++;
        }
    }
    session->last = at;
}

static void ignore_answer(void *ctx, const redisReply *reply)
{
    (void)ctx;
    (void)reply;
}

static void name_place(const struct worker_server *server, char *out, size_t size)
{
    if (server->port == 0) {
        (void)snprintf(out, size, "%s", server->host);
    } else {
        (void)snprintf(out, size, "%s:%d", server->host, server->port);
    }
}

/* Close both links and try again, elsewhere. */
static void fail(struct session *session, const char *why)
{
    if (session->destroyed || session->pull.link == NULL) {
        return; /* it failed already */
    }
    char place[300];
    name_place(target(session), place, sizeof place);
    const struct hl_log_field fields[] = {{"server", hl_slice_of(place)},
                                          {"reason", hl_slice_of(why)}};
    bool first = session->up || session->attempt < session->options->server_count;
    hl_log_event(session->log, first ? HL_LOG_WARNING : HL_LOG_VERBOSE, "worker",
                 session->up ? "lost the server" : "cannot use the server", fields, 2, NULL);
    link_drop(session->pull.link);
    link_drop(session->control.link);
    session->pull = (struct side){.session = session};
    session->control = (struct side){.session = session};
    session->up = false;
    session->pulling = false;
    session->sent = 0;
    for (struct order *order = session->first; order != NULL; order = order->next) {
        /* Another server knows other clients by that number. */
        order->done = order->done == ignore_answer ? NULL : order->done;
    }
    drop_cancelled(session);
    if (session->moved) {
        session->moved = false;
    } else {
        session->at = (session->at + 1) % session->options->server_count;
    }
    session->attempt++;
    retry_later(session);
    session->owner.on_down(session->owner.ctx);
}

/* The server said no: another one may say yes, except at the very start. */
static void refuse(struct session *session, struct hl_slice why)
{
    char text[256];
    (void)snprintf(text, sizeof text, "%.*s", (int)(why.len < 200 ? why.len : 200), why.ptr);
    if (!session->was_up || !session->pulled) {
        session->owner.on_refused(session->owner.ctx, text);
    } else {
        fail(session, text);
    }
}

/* An error reply that asks for another try. */
static void try_elsewhere(struct session *session, struct hl_slice error)
{
    char host[256];
    int port = 0;
    bool moved = worker_read_moved(error, host, &port);
    char why[256];
    (void)snprintf(why, sizeof why, "%.*s", (int)(error.len < 200 ? error.len : 200), error.ptr);
    fail(session, why);
    if (moved && !session->destroyed) {
        session->moved = true;
        session->target.port = port;
        memcpy(session->target.host, host, sizeof host);
    }
}

static void come_up(struct session *session)
{
    if (session->up || !session->pull.up || !session->control.up ||
        session->pull.hello_at < session->pull.hello_count ||
        session->control.hello_at < session->control.hello_count) {
        return;
    }
    session->up = true;
    session->was_up = true;
    char place[300];
    name_place(target(session), place, sizeof place);
    const struct hl_log_field fields[] = {{"server", hl_slice_of(place)}};
    hl_log_event(session->log, HL_LOG_NOTICE, "worker", "connected", fields, 1, NULL);
    send_orders(session);
    if (session->up) {
        session->owner.on_up(session->owner.ctx);
    }
}

/* The n-th reply of the hello. */
static void take_hello(struct side *side, const redisReply *reply)
{
    struct session *session = side->session;
    enum hello hello = side->hello[side->hello_at++];
    if (reply->type == REDIS_REPLY_ERROR) {
        struct hl_slice error = text_of(reply);
        bool named = hello == HELLO_NAME || hello == HELLO_ID; /* mere comfort */
        if (worker_judge_answer(error) != WORKER_REFUSED) {
            try_elsewhere(session, error);
            return;
        }
        if (!named || hl_slice_is((struct hl_slice){.ptr = error.ptr, .len = 6}, "NOAUTH")) {
            refuse(session, error);
            return;
        }
    } else if (hello == HELLO_ID && reply->type == REDIS_REPLY_INTEGER) {
        session->pull_client = reply->integer;
    } else if (hello == HELLO_TIME && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        int64_t seconds = 0;
        int64_t us = 0;
        if (hl_parse_i64(text_of(reply->element[0]), &seconds) && seconds >= 0 &&
            seconds < INT64_MAX / 2000 && hl_parse_i64(text_of(reply->element[1]), &us)) {
            int64_t middle = (int64_t)((session->time_asked_at + now(session)) / 2);
            session->clock_ms = seconds * 1000 + us / 1000 - middle;
        }
    }
    come_up(session);
}

/* The answer to the oldest order. */
static void take_answer(struct session *session, const redisReply *reply)
{
    struct order *order = session->first;
    if (order == NULL || session->sent == 0) {
        fail(session, "an answer that nobody asked for");
        return;
    }
    if (reply->type == REDIS_REPLY_ERROR && worker_judge_answer(text_of(reply)) == WORKER_AGAIN) {
        try_elsewhere(session, text_of(reply));
        return;
    }
    session->first = order->next;
    session->last = session->first == NULL ? &session->first : session->last;
    session->sent--;
    session->attempt = 0;
    if (order->done != NULL) {
        order->done(order->ctx, reply);
    }
    free(order->bytes);
    hl_free(order);
}

static void take_pulled(struct session *session, const redisReply *reply)
{
    if (!session->pulling) {
        return;
    }
    session->pulling = false;
    if (reply->type == REDIS_REPLY_ERROR) {
        if (worker_judge_answer(text_of(reply)) == WORKER_REFUSED) {
            refuse(session, text_of(reply));
        } else {
            try_elsewhere(session, text_of(reply));
        }
        return;
    }
    session->pulled = true;
    session->attempt = 0;
    session->owner.on_pull(session->owner.ctx, reply);
}

static void on_reply(void *ctx, redisReply *reply)
{
    struct side *side = ctx;
    struct session *session = side->session;
    if (side->hello_at < side->hello_count) {
        take_hello(side, reply);
    } else if (side == &session->pull) {
        take_pulled(session, reply);
    } else {
        take_answer(session, reply);
    }
}

static void say_hello(struct side *side, enum hello hello, size_t argc, const struct hl_slice *argv)
{
    HL_ASSERT(side->hello_count < HELLO_MAX);
    side->hello[side->hello_count++] = hello;
    side_send(side, argc, argv);
}

static void on_link_up(void *ctx)
{
    struct side *side = ctx;
    struct session *session = side->session;
    const struct worker_options *options = session->options;
    if (options->password != NULL) {
        struct hl_slice words[3] = {hl_slice_of("AUTH")};
        size_t count = 1;
        if (options->user != NULL) {
            words[count++] = hl_slice_of(options->user);
        }
        words[count++] = hl_slice_of(options->password);
        say_hello(side, HELLO_AUTH, count, words);
    }
    const struct hl_slice name[] = {hl_slice_of("CLIENT"), hl_slice_of("SETNAME"),
                                    hl_slice_of(options->id)};
    say_hello(side, HELLO_NAME, 3, name);
    if (side == &session->pull) {
        const struct hl_slice id[] = {hl_slice_of("CLIENT"), hl_slice_of("ID")};
        say_hello(side, HELLO_ID, 2, id);
    } else {
        const struct hl_slice word = hl_slice_of("TIME");
        session->time_asked_at = now(session);
        say_hello(side, HELLO_TIME, 1, &word);
    }
    side->up = true;
}

static void on_link_down(void *ctx, const char *why)
{
    struct side *side = ctx;
    fail(side->session, why);
}

static void open_side(struct side *side)
{
    struct session *session = side->session;
    const struct worker_server *server = target(session);
    const struct link_owner owner = {side, on_link_up, on_reply, on_link_down};
    side->link = link_open(session->loop, server->host, server->port, session->tls, &owner);
}

static void on_retry(uv_timer_t *timer)
{
    struct session *session = timer->data;
    session->started_at = now(session);
    session->pull_client = 0;
    open_side(&session->pull);
    open_side(&session->control);
}

static void retry_later(struct session *session)
{
    int64_t wait_ms =
        worker_backoff_ms(session->attempt, session->options->server_count, session->rng);
    uv_timer_start(&session->retry, on_retry, (uint64_t)wait_ms, 0);
}

/* What should have happened by now. */
static void on_watch(uv_timer_t *timer)
{
    struct session *session = timer->data;
    uint64_t t = now(session);
    if (session->pull.link == NULL) {
        return;
    }
    if (!session->up) {
        if (t > session->started_at + HELLO_MS) {
            fail(session, "no answer while connecting");
        }
    } else if (session->pulling && t > session->pull_by) {
        fail(session, "no answer to JOB.PULL");
    } else if (session->sent > 0 && t > session->first->sent_at + ANSWER_MS) {
        fail(session, "no answer");
    }
}

struct session *session_create(uv_loop_t *loop, const struct worker_options *options,
                               struct hl_log *log, const struct hl_tls_context *tls,
                               const struct session_owner *owner, struct hl_rng *rng)
{
    struct session *session = hl_calloc(1, sizeof *session);
    session->loop = loop;
    session->options = options;
    session->log = log;
    session->tls = tls;
    session->owner = *owner;
    session->rng = rng;
    session->last = &session->first;
    session->pull.session = session;
    session->control.session = session;
    session->clock_ms = (int64_t)time(NULL) * 1000 - (int64_t)now(session);
    (void)uv_timer_init(loop, &session->retry);
    (void)uv_timer_init(loop, &session->watch);
    session->retry.data = session;
    session->watch.data = session;
    session->timers = 2;
    uv_timer_start(&session->watch, on_watch, WATCH_MS, WATCH_MS);
    uv_timer_start(&session->retry, on_retry, 0, 0);
    return session;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct session *session = handle->data;
    if (--session->timers == 0) {
        hl_free(session);
    }
}

void session_destroy(struct session *session)
{
    if (session == NULL || session->destroyed) {
        return;
    }
    session->destroyed = true;
    link_drop(session->pull.link);
    link_drop(session->control.link);
    while (session->first != NULL) {
        struct order *order = session->first;
        session->first = order->next;
        free(order->bytes);
        hl_free(order);
    }
    uv_close((uv_handle_t *)&session->retry, on_timer_closed);
    uv_close((uv_handle_t *)&session->watch, on_timer_closed);
}

void session_pull(struct session *session, int64_t count, int64_t block_ms)
{
    HL_ASSERT(session->up && !session->pulling);
    const struct worker_options *options = session->options;
    struct hl_slice words[PULL_WORDS_MAX];
    size_t order[WORKER_QUEUES_MAX];
    size_t argc = 0;
    words[argc++] = hl_slice_of("JOB.PULL");
    if (options->weighted) {
        worker_order_queues(options->weights, options->queue_count, session->rng, order);
    }
    for (size_t i = 0; i < options->queue_count; i++) {
        words[argc++] = hl_slice_of(options->queues[options->weighted ? order[i] : i]);
    }
    char count_text[HL_I64_TEXT_MAX];
    char block_text[HL_I64_TEXT_MAX];
    hl_format_i64(count_text, count);
    words[argc++] = hl_slice_of("COUNT");
    words[argc++] = hl_slice_of(count_text);
    if (block_ms >= 0) {
        hl_format_i64(block_text, block_ms);
        words[argc++] = hl_slice_of("BLOCK");
        words[argc++] = hl_slice_of(block_text);
    }
    words[argc++] = hl_slice_of("WORKER");
    words[argc++] = hl_slice_of(options->id);
    session->pulling = true;
    session->pull_by = now(session) + (uint64_t)(block_ms > 0 ? block_ms : 0) + ANSWER_MS;
    side_send(&session->pull, argc, words);
}

bool session_is_pulling(const struct session *session)
{
    return session->pulling;
}

bool session_is_up(const struct session *session)
{
    return session->up;
}

void session_interrupt(struct session *session)
{
    if (!session->up || !session->pulling || session->pull_client == 0) {
        return;
    }
    char id[HL_I64_TEXT_MAX];
    hl_format_i64(id, session->pull_client);
    const struct hl_slice words[] = {hl_slice_of("CLIENT"), hl_slice_of("UNBLOCK"),
                                     hl_slice_of(id)};
    (void)session_order(session, 3, words, ignore_answer, NULL);
}

static void send_orders(struct session *session)
{
    struct order *order = session->first;
    for (size_t i = 0; i < session->sent; i++) {
        order = order->next;
    }
    for (; order != NULL && session->up; order = order->next) {
        order->sent_at = now(session);
        session->sent++;
        link_send(session->control.link, (struct hl_slice){.ptr = order->bytes, .len = order->len});
    }
}

struct order *session_order(struct session *session, size_t argc, const struct hl_slice *argv,
                            order_fn *done, void *ctx)
{
    drop_cancelled(session);
    struct order *order = hl_calloc(1, sizeof *order);
    order->bytes = format(argc, argv, &order->len);
    order->done = done;
    order->ctx = ctx;
    *session->last = order;
    session->last = &order->next;
    if (session->up) {
        send_orders(session);
    }
    return order;
}

void session_cancel(struct order *order)
{
    order->done = NULL;
}

int64_t session_server_ms(const struct session *session)
{
    return session->clock_ms + (int64_t)now(session);
}
