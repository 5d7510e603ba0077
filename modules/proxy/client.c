/* Clients' connections. */
#include "client.h"

#include "proxy.h"
#include "settings.h"
#include "stats.h"
#include "upstream.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "net/answer.h"
#include "net/desk.h"

static struct client *client_of(const struct net_stream *s)
{
    return (struct client *)s; /* its first member */
}

/* --- deadlines -------------------------------------------------------------------------------- */

/* Each byte of a body earns time, at a rate that a drip does not reach. */
static int64_t body_deadline(const struct client *client)
{
    return client->since_ms + setting(SETTING_BODY_TIMEOUT) +
           (int64_t)(client->body_in * 1000 / (uint64_t)setting(SETTING_BODY_RATE_MIN));
}

static int64_t exchange_end(const struct client *client)
{
    int64_t total = client->x.begun_ms + setting(SETTING_TOTAL_TIMEOUT);
    int64_t body = exchange_awaits_body(client) ? body_deadline(client) : NET_NEVER_MS;
    return body < total ? body : total;
}

static int64_t deadline(const struct net_stream *s)
{
    const struct client *client = client_of(s);
    switch (client->state) {
    case CLIENT_HANDSHAKE:
    case CLIENT_HEAD:
        return client->since_ms + setting(SETTING_HEAD_TIMEOUT);
    case CLIENT_IDLE:
        return client->since_ms + setting(SETTING_IDLE_TIMEOUT);
    case CLIENT_EXCHANGE:
        return exchange_end(client);
    case CLIENT_DISCARD:
        return body_deadline(client);
    case CLIENT_TUNNEL:
        return client->since_ms + setting(SETTING_TUNNEL_TIMEOUT);
    case CLIENT_LINGER:
    case CLIENT_CLOSING:
        break;
    }
    return NET_NEVER_MS;
}

void client_enter(struct client *client, enum client_state state)
{
    HL_ASSERT(client->state != CLIENT_CLOSING);
    client->state = state;
    client->since_ms = net_loop_now_ms(&client->proxy->net);
    client->body_in = 0;
    client->s.write_timeout_ms = setting(SETTING_WRITE_TIMEOUT);
    net_stream_arm(&client->s);
}

static void expire_exchange(struct client *client)
{
    bool late_body = exchange_awaits_body(client) &&
                     net_loop_now_ms(&client->proxy->net) >= body_deadline(client);
    if (!late_body) {
        exchange_overdue(client);
        return;
    }
    stats_add(COUNT_timeouts_body, 1);
    bool responding = client->x.responding;
    exchange_abandon(client);
    if (responding) {
        net_stream_close(&client->s);
    } else {
        client_refuse(client, 408, "the body did not come in time");
    }
}

static void expired(struct net_stream *s)
{
    struct client *client = client_of(s);
    switch (client->state) {
    case CLIENT_IDLE:
        stats_add(COUNT_timeouts_idle, 1);
        client_finish(client);
        break;
    case CLIENT_HEAD:
        stats_add(COUNT_timeouts_head, 1);
        client_refuse(client, 408, "the head of the request did not come in time");
        break;
    case CLIENT_EXCHANGE:
        expire_exchange(client);
        break;
    case CLIENT_TUNNEL:
        stats_add(COUNT_timeouts_idle, 1);
        net_stream_close(s);
        break;
    case CLIENT_HANDSHAKE:
        stats_add(COUNT_tls_failures, 1);
        net_stream_close(s);
        break;
    case CLIENT_DISCARD:
        net_stream_close(s);
        break;
    case CLIENT_LINGER:
    case CLIENT_CLOSING:
        break;
    }
}

/* --- messages --------------------------------------------------------------------------------- */

void client_finish(struct client *client)
{
    if (client->state != CLIENT_CLOSING && !client->s.finishing) {
        client_enter(client, CLIENT_LINGER);
        net_stream_finish(&client->s);
    }
}

void client_refuse(struct client *client, int status, const char *why)
{
    net_put_refusal(&client->s.out, status, why, net_loop_date(&client->proxy->net));
    stats_add(COUNT_requests_malformed, 1);
    stats_response(status);
    client_finish(client);
}

void client_answered(struct client *client)
{
    client->served++;
    if (client->last || client->proxy->draining ||
        client->served >= (uint64_t)setting(SETTING_REQUESTS_MAX)) {
        client_finish(client);
        return;
    }
    if (client->body_open) {
        client_enter(client, CLIENT_DISCARD);
    } else {
        hl_http1_next(client->http);
        client_enter(client, CLIENT_IDLE);
    }
    net_stream_flush(&client->s);
    net_stream_advance(&client->s);
}

/* Read a head; false when nothing more can be done now. */
static bool read_message(struct client *client)
{
    struct hl_http1_head head;
    struct hl_errmsg msg = {0};
    struct hl_buf *in = &client->s.in;
    size_t used = 0;
    if (in->len == 0 || net_stream_backlog(&client->s) > (size_t)setting(SETTING_BUFFER)) {
        return false;
    }
    if (client->state == CLIENT_IDLE) {
        client_enter(client, CLIENT_HEAD);
    }
    hl_err err = hl_http1_head(client->http, hl_buf_view(in), &head, &used, &msg);
    if (err == HL_ENOENT) {
        return false;
    }
    if (err != HL_OK) {
        client_refuse(client, hl_http1_status(client->http), msg.text);
        return false;
    }
    client->body_open = head.chunked || head.length != 0;
    client->last = client->last || !head.keep_alive;
    exchange_begin(client, &head);
    if (client->state == CLIENT_CLOSING) {
        return false;
    }
    hl_buf_consume(in, used < in->len ? used : in->len);
    return true;
}

/* Throw away what is left of an answered request's body; false when nothing more can be done. */
static bool discard(struct client *client)
{
    struct hl_slice piece;
    size_t used = 0;
    bool done = false;
    hl_err err =
        hl_http1_body(client->http, hl_buf_view(&client->s.in), &used, &piece, &done, NULL);
    client->body_in += used;
    if (err != HL_OK || client->body_in > CLIENT_DISCARD_MAX) {
        client_finish(client);
        return false;
    }
    hl_buf_consume(&client->s.in, used);
    if (done) {
        client->body_open = false;
        hl_http1_next(client->http);
        client_enter(client, CLIENT_IDLE);
    }
    return done || used != 0;
}

static void ready(struct net_stream *s)
{
    struct client *client = client_of(s);
    bool more = true;
    while (more) {
        switch (client->state) {
        case CLIENT_IDLE:
        case CLIENT_HEAD:
            more = read_message(client);
            break;
        case CLIENT_DISCARD:
            more = discard(client);
            break;
        case CLIENT_EXCHANGE:
            more = false;
            if (client->body_open) {
                exchange_request(client);
            }
            if (client->state == CLIENT_EXCHANGE && client->x.up != NULL) {
                net_stream_advance(&client->x.up->s); /* there may be room for the response again */
            }
            break;
        case CLIENT_TUNNEL:
            client_tunnel(client);
            more = false;
            break;
        case CLIENT_HANDSHAKE:
        case CLIENT_LINGER:
        case CLIENT_CLOSING:
            more = false;
            break;
        }
    }
}

/* The client sends nothing more. */
static void ended(struct net_stream *s)
{
    struct client *client = client_of(s);
    switch (client->state) {
    case CLIENT_EXCHANGE: /* it may still read */
        if (client->body_open && client->s.in.len == 0) {
            net_stream_close(s);
        }
        break;
    case CLIENT_IDLE:
    case CLIENT_HEAD:
        client_finish(client); /* what was answered may still be on its way */
        break;
    case CLIENT_TUNNEL:
        client_tunnel(client);
        break;
    case CLIENT_HANDSHAKE:
    case CLIENT_DISCARD:
        net_stream_close(s);
        break;
    case CLIENT_LINGER:
    case CLIENT_CLOSING:
        break;
    }
}

/* --- tunnels ---------------------------------------------------------------------------------- */

/* Move what fits; true when something moved. */
static bool move_bytes(struct net_stream *from, struct net_stream *to)
{
    bool room = net_stream_backlog(to) < (size_t)setting(SETTING_BUFFER);
    if (from->in.len == 0 || !room || to->shutting) {
        return false;
    }
    hl_buf_append_slice(&to->out, hl_buf_view(&from->in));
    hl_buf_clear(&from->in);
    net_stream_flush(to);
    return true;
}

void client_tunnel(struct client *client)
{
    struct net_stream *there = &client->x.up->s;
    struct net_stream *here = &client->s;
    bool moved = move_bytes(here, there);
    if (!there->closed && !here->closed) {
        moved = move_bytes(there, here) || moved;
    }
    if (there->closed || here->closed) {
        return; /* `lost` saw to the other */
    }
    if (moved) {
        client->since_ms = net_loop_now_ms(&client->proxy->net);
    }
    if (here->eof && here->in.len == 0) {
        net_stream_shut(there);
    }
    if (there->eof && there->in.len == 0) {
        net_stream_shut(here);
    }
    if (here->eof && there->eof && net_stream_backlog(here) + net_stream_backlog(there) == 0) {
        net_stream_close(here);
        return;
    }
    net_stream_advance(here);
    if (client->x.up != NULL) {
        net_stream_advance(&client->x.up->s);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

static void opened(struct net_stream *s)
{
    client_enter(client_of(s), CLIENT_IDLE);
}

static void stalled(struct net_stream *s)
{
    (void)s;
    stats_add(COUNT_timeouts_write, 1);
}

static void tls_failed(struct net_stream *s, const char *why)
{
    struct client *client = client_of(s);
    stats_add(COUNT_tls_failures, 1);
    net_desk_log("verbose", "TLS with %s failed: %s", s->remote, why);
    if (client->x.route != NULL) {
        net_stream_close(s);
    } else {
        client_finish(client);
    }
}

static void moved(struct net_stream *s, size_t in, size_t out)
{
    (void)s;
    stats_add(COUNT_bytes_in, (long long)in);
    stats_add(COUNT_bytes_out, (long long)out);
}

static void lost(struct net_stream *s)
{
    struct client *client = client_of(s);
    struct proxy *proxy = client->proxy;
    client->state = CLIENT_CLOSING;
    if (!client->listed) {
        return;
    }
    if (client->prev != NULL) {
        client->prev->next = client->next;
    } else {
        proxy->clients = client->next;
    }
    if (client->next != NULL) {
        client->next->prev = client->prev;
    }
    proxy->client_count--;
    stats_add(COUNT_connections_open, -1);
    net_peers_leave(&proxy->net.peers, s->address);
    if (client->x.route != NULL) {
        exchange_abandon(client);
    }
}

static void freed(struct net_stream *s)
{
    struct client *client = client_of(s);
    hl_http1_destroy(client->http);
    hl_free(client);
}

static const struct net_stream_hooks hooks = {
    .opened = opened,
    .ready = ready,
    .ended = ended,
    .deadline = deadline,
    .expired = expired,
    .stalled = stalled,
    .tls_failed = tls_failed,
    .lost = lost,
    .freed = freed,
    .moved = moved,
};

/* Whether there is room for one more, of its address too. */
static bool admit(struct client *client)
{
    struct proxy *proxy = client->proxy;
    return !proxy->draining && proxy->client_count < (size_t)setting(SETTING_MAX_CONNECTIONS) &&
           net_peers_enter(&proxy->net.peers, client->s.address,
                           (uint32_t)setting(SETTING_MAX_PER_ADDRESS));
}

static struct hl_http1 *make_reader(void)
{
    struct hl_http1_limits limits = hl_http1_limits_default;
    limits.head_max = (size_t)setting(SETTING_HEAD_MAX);
    limits.line_max = limits.line_max < limits.head_max ? limits.line_max : limits.head_max;
    limits.headers_max = (size_t)setting(SETTING_HEADERS_MAX);
    limits.body_max = (uint64_t)setting(SETTING_BODY_MAX);
    return hl_http1_create(true, &limits);
}

void client_accept(struct net_listener *listener)
{
    struct proxy *proxy = (struct proxy *)listener->loop; /* its first member */
    struct client *client = hl_calloc(1, sizeof *client);
    client->proxy = proxy;
    client->secure = listener->tls;
    client->s.in_max = (size_t)setting(SETTING_HEAD_MAX);
    client->s.write_timeout_ms = setting(SETTING_WRITE_TIMEOUT);
    hl_err err = net_stream_accept(&client->s, &hooks, listener, listener->tls ? proxy->tls : NULL);
    if (err != HL_OK || !admit(client)) {
        stats_add(COUNT_connections_refused, 1);
        net_stream_close(&client->s);
        return;
    }
    client->http = make_reader();
    client->next = proxy->clients;
    if (proxy->clients != NULL) {
        proxy->clients->prev = client;
    }
    proxy->clients = client;
    proxy->client_count++;
    client->listed = true;
    stats_add(COUNT_connections_open, 1);
    stats_add(COUNT_connections_total, 1);
    client_enter(client, client->secure ? CLIENT_HANDSHAKE : CLIENT_IDLE);
    net_stream_start(&client->s);
}

void client_drain_all(struct proxy *proxy)
{
    struct client *next;
    for (struct client *client = proxy->clients; client != NULL; client = next) {
        next = client->next;
        bool idle = client->state == CLIENT_HANDSHAKE || client->state == CLIENT_IDLE ||
                    client->state == CLIENT_HEAD || client->state == CLIENT_DISCARD;
        if (idle) {
            client_finish(client);
        } /* client_answered() ends the others; a tunnel goes on until it is cut */
    }
    for (struct backend *b = proxy->fleet.backends; b != NULL; b = b->next) {
        upstream_close_idle(b);
    }
}

void client_close_all(struct proxy *proxy)
{
    while (proxy->clients != NULL) {
        net_stream_close(&proxy->clients->s);
    }
}
