/* Requests on their way, responses on the way back. */
#include "exchange.h"

#include "client.h"
#include "match.h"
#include "metrics.h"
#include "proxy.h"
#include "settings.h"
#include "stats.h"
#include "upstream.h"

#include "kit/assert.h"
#include "kit/http1_write.h"
#include "net/answer.h"

#include <stdio.h>

#define RETRY_AFTER_MAX_S 60

static int64_t now_of(const struct client *client)
{
    return net_loop_now_ms(&client->proxy->net);
}

/* --- parting ---------------------------------------------------------------------------------- */

/* The attempt is over: the backend has one request less, its connection goes back or ends. */
static void part(struct client *client, bool reusable)
{
    struct exchange *x = &client->x;
    struct upstream *up = x->up;
    if (up == NULL) {
        return;
    }
    HL_ASSERT(x->backend->active > 0);
    x->backend->active--;
    x->up = NULL;
    if (up->state == UP_TUNNEL) {
        client->proxy->tunnel_count--;
        stats_add(COUNT_tunnels_open, -1);
    }
    x->backend = NULL;
    upstream_part(up, reusable);
}

static void end(struct client *client)
{
    struct exchange *x = &client->x;
    HL_ASSERT(x->up == NULL);
    route_unref(x->route);
    hl_buf_fini(&x->head);
    *x = (struct exchange){0};
    stats_add(COUNT_requests_open, -1);
}

void exchange_abandon(struct client *client)
{
    struct exchange *x = &client->x;
    if (x->up != NULL) {
        if (!x->responding) {
            breaker_abandon(&x->backend->breaker, x->trial); /* PX3 */
        }
        if (x->up->state != UP_TUNNEL) {
            stats_add(COUNT_requests_abandoned, 1);
        }
        part(client, false);
    }
    end(client);
}

/* --- answers of our own ----------------------------------------------------------------------- */

/* Answer in the place of a backend; `retry_s` 0 for no Retry-After. */
static void answer(struct client *client, int status, const char *code, const char *why,
                   int64_t retry_s)
{
    struct exchange *x = &client->x;
    struct hl_buf *out = &client->s.out;
    struct hl_buf body = {0};
    HL_ASSERT(!x->responding);
    client->last = client->last || (client->body_open && x->wants_continue);
    net_put_error_body(&body, code, why);
    hl_http1_put_status(out, status);
    hl_http1_put(out, "Date", net_loop_date(&client->proxy->net));
    hl_http1_put(out, "Content-Type", "application/json");
    hl_http1_put(out, "X-Request-ID", x->trace.request_id);
    if (retry_s > 0) {
        hl_buf_printf(out, "Retry-After: %d\r\n", (int)retry_s);
    }
    hl_http1_put_length(out, body.len);
    if (client->last || client->proxy->draining) {
        client->last = true;
        hl_http1_put(out, "Connection", "close");
    } else if (x->answer.old_client) {
        hl_http1_put(out, "Connection", "keep-alive");
    }
    hl_http1_put_end(out);
    if (!x->answer.to_head) {
        hl_buf_append_slice(out, hl_buf_view(&body));
    }
    hl_buf_fini(&body);
    stats_response(status);
    end(client);
    client_answered(client);
}

/* Seconds until something may have changed: the soonest a breaker lets a trial through, or a check
 * can bring a backend back. */
static int64_t retry_after(const struct route *route, int64_t now_ms)
{
    int64_t open_ms = NET_NEVER_MS;
    for (size_t i = 0; i < route->config.pool_count; i++) {
        const struct backend *b = route->pool[i];
        int64_t left = b->breaker.opened_ms + setting(SETTING_BREAKER_COOLDOWN) - now_ms;
        if (b->breaker.state == BREAKER_OPEN && !b->check.down && left > 0) {
            open_ms = open_ms < left ? open_ms : left;
        }
    }
    int64_t wait_ms = open_ms != NET_NEVER_MS ? open_ms : setting(SETTING_HEALTH_INTERVAL);
    int64_t wait_s = (wait_ms + 999) / 1000;
    return wait_s > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : wait_s;
}

/* --- attempts --------------------------------------------------------------------------------- */

static struct backend *choose(struct client *client)
{
    struct exchange *x = &client->x;
    struct candidate candidates[CONFIG_POOL_MAX];
    struct route *route = x->route;
    int64_t now = now_of(client);
    for (size_t i = 0; i < route->config.pool_count; i++) {
        const struct backend *b = route->pool[i];
        candidates[i] = (struct candidate){
            .weight = b->config.weight,
            .active = b->active,
            .may = (x->tried >> i & 1) == 0 && backend_may(b, now),
        };
    }
    size_t at = balance_pick(&route->balance, route->config.algorithm, candidates,
                             route->config.pool_count);
    if (at == BALANCE_NONE) {
        return NULL;
    }
    x->tried |= (uint64_t)1 << at;
    return route->pool[at];
}

/* Send the request to a backend; false when there is none. */
static bool attempt(struct client *client)
{
    struct exchange *x = &client->x;
    struct backend *backend = choose(client);
    if (backend == NULL) {
        return false;
    }
    x->tries++;
    x->trial = breaker_begin(&backend->breaker);
    x->backend = backend;
    x->sent_ns = uv_hrtime();
    backend->active++;
    backend->requests++;
    x->up = upstream_take(backend, client);
    hl_http1_answers_head(x->up->http, x->answer.to_head);
    hl_buf_append_slice(&x->up->s.out, hl_buf_view(&x->head));
    net_stream_flush(&x->up->s);
    if (client->body_open && client->state == CLIENT_EXCHANGE) {
        net_stream_advance(&client->s);
    }
    return true;
}

enum fault { FAULT_CONNECT, FAULT_CONNECT_TIMEOUT, FAULT_LOST, FAULT_TIMEOUT, FAULT_MALFORMED };

/* The attempt failed before its response began: again elsewhere, or tell the client. */
static void fail(struct client *client, enum fault fault, const char *why)
{
    struct exchange *x = &client->x;
    struct upstream *up = x->up;
    struct backend *backend = x->backend;
    bool late = fault == FAULT_TIMEOUT || fault == FAULT_CONNECT_TIMEOUT;
    bool nothing_sent = fault == FAULT_CONNECT || fault == FAULT_CONNECT_TIMEOUT;
    bool silent = up->s.in.len == 0; /* nothing of a response came */
    bool stale = up->reused && fault == FAULT_LOST && silent;
    bool again =
        nothing_sent || (x->idempotent && !x->body_sent && silent && fault == FAULT_LOST); /* PX1 */
    HL_ASSERT(!x->responding);
    if (stale) { /* it may have closed as we sent: no fault of its */
        breaker_abandon(&backend->breaker, x->trial);
    } else {
        backend_failed(backend, x->trial, now_of(client));
    }
    stats_add(COUNT_backend_timeouts, late);
    part(client, false);
    if (stale && again && !x->stale_once) {
        x->stale_once = true;
        x->tried = 0;
        x->tries--;
        upstream_close_idle(backend); /* the others are as old */
        stats_add(COUNT_retries, 1);
        if (attempt(client)) {
            return;
        }
    } else if (again && x->tries <= (unsigned)setting(SETTING_RETRIES)) {
        if (attempt(client)) {
            stats_add(COUNT_retries, 1);
            return;
        }
    }
    answer(client, late ? 504 : 502, late ? "backend_timeout" : "backend_error", why, 0);
}

/* The response had begun: all that can be done is to let the client see that it is cut. */
static void cut(struct client *client)
{
    struct exchange *x = &client->x;
    backend_failed(x->backend, x->trial, now_of(client));
    part(client, false);
    net_stream_close(&client->s);
}

void exchange_lost(struct client *client)
{
    struct exchange *x = &client->x;
    struct upstream *up = x->up;
    if (up->state == UP_TUNNEL) {
        client->last = true;
        part(client, false);
        end(client);
        client_finish(client);
    } else if (x->responding) {
        cut(client);
    } else if (up->stalled) {
        fail(client, FAULT_TIMEOUT, "the backend did not take the request in time");
    } else if (up->state == UP_CONNECTING) {
        fail(client, FAULT_CONNECT, "the backend cannot be reached");
    } else {
        fail(client, FAULT_LOST, "the backend closed the connection");
    }
}

int64_t exchange_deadline(const struct client *client, int64_t since_ms)
{
    const struct exchange *x = &client->x;
    if (x->responding) {
        bool full = net_stream_backlog(&client->s) > (size_t)setting(SETTING_BUFFER);
        return full ? NET_NEVER_MS : since_ms + setting(SETTING_READ_TIMEOUT);
    }
    return client->body_open ? NET_NEVER_MS : since_ms + setting(SETTING_RESPONSE_TIMEOUT);
}

void exchange_expired(struct client *client)
{
    struct exchange *x = &client->x;
    if (x->responding) {
        stats_add(COUNT_backend_timeouts, 1);
        cut(client);
    } else if (x->up->state == UP_CONNECTING) {
        fail(client, FAULT_CONNECT_TIMEOUT, "the backend cannot be reached in time");
    } else {
        fail(client, FAULT_TIMEOUT, "the backend did not answer in time");
    }
}

void exchange_overdue(struct client *client)
{
    struct exchange *x = &client->x;
    stats_add(COUNT_backend_timeouts, 1);
    if (x->responding) {
        exchange_abandon(client);
        net_stream_close(&client->s);
        return;
    }
    breaker_abandon(&x->backend->breaker, x->trial);
    part(client, false);
    answer(client, 504, "timeout", "the request took too long", 0);
}

/* --- the request ------------------------------------------------------------------------------ */

bool exchange_awaits_body(const struct client *client)
{
    const struct exchange *x = &client->x;
    return client->body_open && x->up != NULL && x->up->s.opened && client->s.in.len == 0;
}

static void say_continue(struct client *client)
{
    struct exchange *x = &client->x;
    if (x->wants_continue && client->s.in.len == 0 && !x->responding) {
        hl_http1_put_status(&client->s.out, 100);
        hl_http1_put_end(&client->s.out);
        net_stream_flush(&client->s);
    }
    x->wants_continue = false;
}

/* A body that breaks the rules: the backend never gets its end. */
static void refuse_body(struct client *client, const char *why)
{
    bool responding = client->x.responding;
    int status = hl_http1_status(client->http);
    exchange_abandon(client);
    if (responding) {
        net_stream_close(&client->s);
    } else {
        client_refuse(client, status, why);
    }
}

/* Hand on one piece; false when nothing more can be done now. */
static bool hand_on_piece(struct client *client)
{
    struct exchange *x = &client->x;
    struct hl_errmsg msg = {0};
    struct hl_slice piece;
    size_t used = 0;
    bool done = false;
    hl_err err =
        hl_http1_body(client->http, hl_buf_view(&client->s.in), &used, &piece, &done, &msg);
    if (err != HL_OK) {
        refuse_body(client, msg.text);
        return false;
    }
    struct hl_buf *out = &x->up->s.out;
    if (x->chunked) {
        hl_http1_put_chunk(out, piece);
    } else {
        hl_buf_append_slice(out, piece);
    }
    x->body_sent = x->body_sent || piece.len != 0 || done;
    client->body_in += used;
    hl_buf_consume(&client->s.in, used);
    if (done) {
        client->body_open = false;
        if (x->chunked) {
            hl_http1_put_last_chunk(out);
        }
    }
    return used != 0 && !done;
}

void exchange_request(struct client *client)
{
    struct exchange *x = &client->x;
    size_t buffer = (size_t)setting(SETTING_BUFFER);
    if (x->up == NULL || !x->up->s.opened) {
        return;
    }
    say_continue(client);
    bool more = true;
    while (more && net_stream_backlog(&x->up->s) < buffer) {
        more = hand_on_piece(client);
    }
    if (x->up == NULL) {
        return;
    }
    if (net_stream_backlog(&x->up->s) >= buffer) { /* the backend is waited for, not the client */
        client->since_ms = now_of(client);
        client->body_in = 0;
    }
    if (!client->body_open) {
        x->up->since_ms = now_of(client); /* from now on it may be waited for */
    }
    net_stream_flush(&x->up->s);
}

static void prepare(struct client *client, const struct hl_http1_head *head, struct route *route)
{
    struct exchange *x = &client->x;
    route_ref(route);
    x->route = route;
    x->begun_ms = now_of(client);
    x->chunked = head->chunked;
    x->wants_continue = head->expects_continue;
    x->idempotent = headers_is_idempotent(head->method);
    x->websocket = headers_want_websocket(head);
    x->answer = (struct answer){
        .to_head = hl_slice_equal(head->method, hl_slice_of("HEAD")),
        .old_client = head->minor == 0,
    };
    const struct hl_slice *key = hl_http1_find(head, "sec-websocket-key");
    if (x->websocket && key->len <= EXCHANGE_KEY_MAX) {
        memcpy(x->key, key->ptr, key->len);
    } else {
        x->websocket = false;
    }
}

/* Answer a request that goes nowhere, as one that has no route. */
static void answer_unrouted(struct client *client, const struct hl_http1_head *head, int status,
                            const char *code, const char *why)
{
    static struct route nowhere = {.refs = 1}; /* touched on this thread alone */
    prepare(client, head, &nowhere);
    client->x.websocket = false;
    client_enter(client, CLIENT_EXCHANGE);
    answer(client, status, code, why, 0);
}

static struct hl_slice value_of(const struct hl_http1_head *head, const char *name)
{
    const struct hl_slice *value = hl_http1_find(head, name);
    return value == NULL ? (struct hl_slice){0} : *value;
}

void exchange_begin(struct client *client, const struct hl_http1_head *head)
{
    struct exchange *x = &client->x;
    struct proxy *proxy = client->proxy;
    unsigned char chance[NET_TRACE_CHANCE];
    stats_add(COUNT_requests_total, 1);
    stats_add(COUNT_requests_open, 1);
    proxy_chance(proxy, chance, sizeof chance);
    net_trace_init(&x->trace, value_of(head, "x-request-id"), value_of(head, "traceparent"),
                   chance);
    if (match_path_is_crooked(head->path)) {
        client->last = true;
        answer_unrouted(client, head, 400, "bad_request", "the path has dot segments");
        return;
    }
    if (head->length > (uint64_t)setting(SETTING_BODY_MAX)) {
        client->last = true;
        answer_unrouted(client, head, 413, net_refusal_code(413), "the body is too large");
        return;
    }
    struct route *route = fleet_route(proxy, head->host, head->path);
    if (route == NULL) {
        stats_add(COUNT_no_route, 1);
        answer_unrouted(client, head, 404, "no_route", "no route leads there");
        return;
    }
    prepare(client, head, route);
    client_enter(client, CLIENT_EXCHANGE);
    struct forward forward = {
        .remote = client->s.remote,
        .secure = client->secure,
        .trusts = setting(SETTING_TRUST) != 0,
        .websocket = x->websocket,
        .host = route->pool[0]->config.address,
        .request_id = x->trace.request_id,
        .traceparent = x->trace.parent,
        .strip =
            route->config.strips && route->config.path[1] != '\0' ? strlen(route->config.path) : 0,
    };
    if (headers_put_request(&x->head, head, &forward) != HL_OK) {
        client->last = true;
        answer(client, 400, "bad_request", "the request cannot be forwarded", 0);
        return;
    }
    if (!attempt(client)) {
        stats_add(COUNT_no_backend, 1);
        answer(client, 503, "no_backend", "no backend can take the request",
               retry_after(route, now_of(client)));
    }
}

/* --- the response ----------------------------------------------------------------------------- */

/* What a status says about the backend's health. */
static void judge(struct client *client, int status)
{
    struct exchange *x = &client->x;
    metrics_backend_latency(x->backend->metrics, uv_hrtime() - x->sent_ns);
    if (status == 502 || status == 503 || status == 504) {
        backend_failed(x->backend, x->trial, now_of(client));
    } else {
        backend_succeeded(x->backend, x->trial);
    }
    x->trial = false;
}

static void begin_tunnel(struct client *client, const struct hl_http1_head *head)
{
    struct exchange *x = &client->x;
    judge(client, 101);
    headers_put_switch(&client->s.out, head, x->trace.request_id);
    x->responding = true;
    x->up->state = UP_TUNNEL;
    client->proxy->tunnel_count++;
    stats_add(COUNT_tunnels_open, 1);
    stats_add(COUNT_tunnels_total, 1);
    client->s.in_max = (size_t)setting(SETTING_BUFFER);
    client_enter(client, CLIENT_TUNNEL);
    net_stream_flush(&client->s);
}

static void begin_response(struct client *client, const struct hl_http1_head *head)
{
    struct exchange *x = &client->x;
    judge(client, head->status);
    stats_response(head->status);
    if (client->body_open) { /* the client may be told before it has said all */
        client->last = true;
    }
    x->answer.date = net_loop_date(&client->proxy->net);
    x->answer.request_id = x->trace.request_id;
    x->answer.close = client->last || client->proxy->draining ||
                      client->served + 1 >= (uint64_t)setting(SETTING_REQUESTS_MAX);
    x->framing = headers_put_response(&client->s.out, head, &x->answer);
    client->last = client->last || x->answer.close;
    x->reusable = head->keep_alive;
    x->responding = true;
}

/* Read the head; false when nothing more can be done now. */
static bool read_response(struct client *client)
{
    struct exchange *x = &client->x;
    struct upstream *up = x->up;
    struct hl_http1_head head;
    struct hl_errmsg msg = {0};
    size_t used = 0;
    if (up->s.in.len == 0) {
        return false;
    }
    hl_err err = hl_http1_head(up->http, hl_buf_view(&up->s.in), &head, &used, &msg);
    if (err == HL_ENOENT) {
        return false;
    }
    bool switches = err == HL_OK && head.status == 101;
    if (err != HL_OK ||
        (switches && !(x->websocket && headers_switch_to_websocket(&head, hl_slice_of(x->key))))) {
        stats_add(COUNT_responses_malformed, 1);
        fail(client, FAULT_MALFORMED, "the backend's response cannot be understood");
        return false;
    }
    if (switches) {
        begin_tunnel(client, &head);
        hl_buf_consume(&up->s.in, used);
        client_tunnel(client);
        return false;
    }
    if (head.status / 100 == 1) { /* "100 Continue" is said here, and hints may be left out */
        hl_buf_consume(&up->s.in, used);
        hl_http1_next(up->http);
        hl_http1_answers_head(up->http, x->answer.to_head);
        return true;
    }
    begin_response(client, &head);
    hl_buf_consume(&up->s.in, used);
    return true;
}

static void finish_response(struct client *client)
{
    struct exchange *x = &client->x;
    if (x->framing == FRAME_CHUNKED) {
        hl_http1_put_last_chunk(&client->s.out);
    }
    part(client, x->reusable && !client->body_open);
    end(client);
    client_answered(client);
}

/* Hand on one piece; false when nothing more can be done now. */
static bool read_body(struct client *client)
{
    struct exchange *x = &client->x;
    struct upstream *up = x->up;
    struct hl_slice piece;
    size_t used = 0;
    bool done = false;
    hl_err err = hl_http1_body(up->http, hl_buf_view(&up->s.in), &used, &piece, &done, NULL);
    if (err != HL_OK) {
        stats_add(COUNT_responses_malformed, 1);
        cut(client);
        return false;
    }
    if (x->framing == FRAME_CHUNKED) {
        hl_http1_put_chunk(&client->s.out, piece);
    } else if (x->framing != FRAME_NONE) {
        hl_buf_append_slice(&client->s.out, piece);
    }
    hl_buf_consume(&up->s.in, used);
    if (done) {
        finish_response(client);
    }
    return used != 0 && !done;
}

void exchange_response(struct client *client)
{
    struct exchange *x = &client->x;
    struct upstream *up = x->up;
    size_t before = up->s.in.len;
    if (client->body_open) {
        net_stream_advance(&client->s); /* there may be room for the request again */
        if (x->up != up) {
            return;
        }
    }
    bool more = true;
    while (more && x->up == up) {
        if (!x->responding) {
            more = read_response(client);
        } else {
            more = net_stream_backlog(&client->s) <= (size_t)setting(SETTING_BUFFER) &&
                   read_body(client);
        }
    }
    if (x->up != up || up->state != UP_BUSY) {
        return; /* over, or with another backend, or a tunnel */
    }
    if (up->s.in.len != before) {
        up->since_ms = now_of(client);
    }
    net_stream_flush(&client->s);
}

void exchange_response_ended(struct client *client)
{
    struct exchange *x = &client->x;
    bool done = false;
    if (x->up->s.in.len != 0 && x->responding) {
        return; /* there is more to hand on first */
    }
    if (!x->responding) {
        fail(client, FAULT_LOST, "the backend closed the connection");
    } else if (hl_http1_end(x->up->http, &done) == HL_OK && done) {
        x->reusable = false;
        finish_response(client);
    } else {
        cut(client);
    }
}
