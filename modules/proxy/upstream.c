/* Connections to backends. */
#include "upstream.h"

#include "client.h"
#include "exchange.h"
#include "proxy.h"
#include "settings.h"
#include "stats.h"

#include "kit/alloc.h"
#include "kit/assert.h"

static struct upstream *upstream_of(const struct net_stream *s)
{
    return (struct upstream *)s; /* its first member */
}

static void enter(struct upstream *up, enum upstream_state state)
{
    up->state = state;
    up->since_ms = net_loop_now_ms(&up->proxy->net);
    net_stream_arm(&up->s);
}

/* --- pool ------------------------------------------------------------------------------------- */

static void unlink_idle(struct upstream *up)
{
    HL_ASSERT(up->state == UP_IDLE);
    if (up->prev != NULL) {
        up->prev->next = up->next;
    } else {
        up->backend->idle = up->next;
    }
    if (up->next != NULL) {
        up->next->prev = up->prev;
    }
    up->prev = up->next = NULL;
    up->backend->idle_count--;
}

void upstream_close_idle(struct backend *backend)
{
    while (backend->idle != NULL) {
        net_stream_close(&backend->idle->s);
    }
}

static void keep(struct upstream *up)
{
    struct backend *backend = up->backend;
    enter(up, UP_IDLE);
    up->next = backend->idle;
    if (up->next != NULL) {
        up->next->prev = up;
    }
    backend->idle = up;
    backend->idle_count++;
    net_stream_advance(&up->s); /* reads on, to hear of its end */
}

void upstream_part(struct upstream *up, bool reusable)
{
    up->client = NULL;
    bool good = reusable && !up->s.closed && !up->s.eof && up->s.in.len == 0 &&
                net_stream_backlog(&up->s) == 0 && !up->backend->retired && !up->proxy->draining &&
                up->backend->idle_count < (size_t)setting(SETTING_POOL_MAX);
    if (good) {
        hl_http1_next(up->http);
        keep(up);
    } else {
        up->state = UP_GONE;
        net_stream_close(&up->s);
    }
}

/* --- hooks ------------------------------------------------------------------------------------ */

static void opened(struct net_stream *s)
{
    struct upstream *up = upstream_of(s);
    enter(up, UP_BUSY);
}

static void ready(struct net_stream *s)
{
    struct upstream *up = upstream_of(s);
    switch (up->state) {
    case UP_IDLE:
        if (s->in.len != 0) {
            net_stream_close(s); /* PU2 */
        }
        break;
    case UP_BUSY:
        exchange_response(up->client);
        break;
    case UP_TUNNEL:
        client_tunnel(up->client);
        break;
    case UP_CONNECTING:
    case UP_GONE:
        break;
    }
}

static void ended(struct net_stream *s)
{
    struct upstream *up = upstream_of(s);
    switch (up->state) {
    case UP_BUSY:
        exchange_response_ended(up->client);
        break;
    case UP_TUNNEL:
        client_tunnel(up->client);
        break;
    case UP_CONNECTING:
    case UP_IDLE:
    case UP_GONE:
        net_stream_close(s);
        break;
    }
}

static int64_t deadline(const struct net_stream *s)
{
    const struct upstream *up = upstream_of(s);
    switch (up->state) {
    case UP_CONNECTING:
        return up->since_ms + setting(SETTING_CONNECT_TIMEOUT);
    case UP_BUSY:
        return exchange_deadline(up->client, up->since_ms);
    case UP_IDLE:
        return up->since_ms + setting(SETTING_POOL_TIMEOUT);
    case UP_TUNNEL: /* the client's connection counts for both */
    case UP_GONE:
        break;
    }
    return NET_NEVER_MS;
}

static void expired(struct net_stream *s)
{
    struct upstream *up = upstream_of(s);
    if (up->client != NULL) {
        exchange_expired(up->client);
    } else {
        net_stream_close(s);
    }
}

static void stalled(struct net_stream *s)
{
    upstream_of(s)->stalled = true;
}

static void lost(struct net_stream *s)
{
    struct upstream *up = upstream_of(s);
    if (up->state == UP_IDLE) {
        unlink_idle(up);
    }
    struct client *client = up->client;
    if (client != NULL) {
        exchange_lost(client);
    }
    HL_ASSERT(up->client == NULL);
    up->state = UP_GONE;
}

static void freed(struct net_stream *s)
{
    struct upstream *up = upstream_of(s);
    up->proxy->upstream_count--;
    hl_http1_destroy(up->http);
    backend_unref(up->backend);
    hl_free(up);
}

static const struct net_stream_hooks hooks = {
    .opened = opened,
    .ready = ready,
    .ended = ended,
    .deadline = deadline,
    .expired = expired,
    .stalled = stalled,
    .lost = lost,
    .freed = freed,
};

/* --- taking ----------------------------------------------------------------------------------- */

static struct hl_http1 *make_reader(void)
{
    struct hl_http1_limits limits = hl_http1_limits_default;
    limits.head_max = (size_t)setting(SETTING_HEAD_MAX);
    limits.line_max = limits.head_max;
    limits.headers_max = (size_t)setting(SETTING_HEADERS_MAX);
    limits.body_max = INT64_MAX;
    return hl_http1_create(false, &limits);
}

struct upstream *upstream_take(struct backend *backend, struct client *client)
{
    struct upstream *up = backend->idle;
    if (up != NULL) {
        unlink_idle(up);
        up->reused = true;
        up->client = client;
        enter(up, UP_BUSY);
        stats_add(COUNT_backend_reuses, 1);
        return up;
    }
    struct proxy *proxy = backend->proxy;
    up = hl_calloc(1, sizeof *up);
    up->proxy = proxy;
    up->backend = backend;
    up->client = client;
    up->http = make_reader();
    up->s.in_max = (size_t)setting(SETTING_BUFFER);
    up->s.write_timeout_ms = setting(SETTING_SEND_TIMEOUT);
    up->state = UP_CONNECTING;
    up->since_ms = net_loop_now_ms(&proxy->net);
    backend_ref(backend);
    proxy->upstream_count++;
    stats_add(COUNT_backend_connections, 1);
    net_stream_connect(&up->s, &hooks, &proxy->net, (struct sockaddr *)&backend->address, NULL,
                       NULL);
    return up;
}
