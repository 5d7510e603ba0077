#include "sockets.h"

#include "access.h"
#include "admin.h"
#include "feed.h"
#include "routes.h"
#include "services.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/json.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define PROTOCOL "helios.cluster.v1"
#define CLOSE_POLICY 1008
#define TOPICS_AT_FIRST                                                                            \
    (1u << GW_TOPIC_STATUS | 1u << GW_TOPIC_STATE_CHANGES | 1u << GW_TOPIC_PEER_CHANGES)

struct client {
    struct client *next;
    struct helios_http_socket *socket;
    HeliosAuthIdentity who;
    unsigned topics, now; /* masks: wanted; due at once */
    unsigned said, untaken;
    bool greeted, over; /* K2 */
};

static struct {
    pthread_mutex_t mutex;
    struct client *first;
    atomic_uint count;
} all = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* --- telling ---------------------------------------------------------------------------------- */

static void append_now(struct hl_buf *out)
{
    struct timespec t;
    struct tm utc;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    (void)gmtime_r(&t.tv_sec, &utc);
    hl_buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", utc.tm_year + 1900, utc.tm_mon + 1,
                  utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, t.tv_nsec / 1000000);
}

static void make_message(struct hl_buf *out, const char *type, const json_t *data)
{
    hl_buf_printf(out, "{\"type\":\"%s\",\"timestamp\":\"", type);
    append_now(out);
    hl_buf_append_text(out, "\",\"data\":");
    if (data != NULL) {
        hl_json_append(out, data);
    } else {
        hl_buf_append_text(out, "{}");
    }
    hl_buf_append_text(out, "}");
}

static void end_client(struct client *client, const char *why)
{
    if (!client->over) {
        client->over = true;
        gw_http()->close(client->socket, CLOSE_POLICY, why);
    }
}

/* Under the lock.  Whoever is too slow misses messages, and is let go when that does not end. */
static void send_text(struct client *client, struct hl_slice text)
{
    if (client->over) {
        return;
    }
    int result = gw_http()->send(client->socket, 1, text.ptr, text.len);
    client->untaken = result == HELIOS_HTTP_EFULL ? client->untaken + 1 : 0;
    if (client->untaken >= GW_UNTAKEN_MAX) {
        end_client(client, "too slow");
    }
}

static void send_message(struct client *client, const char *type, const json_t *data)
{
    struct hl_buf text = {0};
    make_message(&text, type, data);
    send_text(client, hl_buf_view(&text));
    hl_buf_fini(&text);
}

void gw_sockets_tell(enum gw_topic topic, const char *type, const json_t *data, bool only_due)
{
    struct hl_buf text = {0};
    const unsigned bit = 1u << topic;
    make_message(&text, type, data);
    pthread_mutex_lock(&all.mutex);
    for (struct client *client = all.first; client != NULL; client = client->next) {
        bool due = (client->now & bit) != 0;
        if ((client->topics & bit) == 0 || (only_due && !due)) {
            continue;
        }
        client->now &= ~bit;
        if (topic == GW_TOPIC_STATUS && !client->greeted) {
            client->greeted = true;
            send_message(client, "status", data);
        } else {
            send_text(client, hl_buf_view(&text));
        }
    }
    pthread_mutex_unlock(&all.mutex);
    hl_buf_fini(&text);
}

bool gw_sockets_any(void)
{
    return atomic_load(&all.count) != 0;
}

unsigned gw_sockets_topics(unsigned *now)
{
    unsigned topics = 0;
    *now = 0;
    pthread_mutex_lock(&all.mutex);
    for (const struct client *client = all.first; client != NULL; client = client->next) {
        topics |= client->topics;
        *now |= client->now & client->topics;
    }
    pthread_mutex_unlock(&all.mutex);
    return topics;
}

void gw_sockets_tick(void)
{
    pthread_mutex_lock(&all.mutex);
    for (struct client *client = all.first; client != NULL; client = client->next) {
        client->said = 0;
    }
    pthread_mutex_unlock(&all.mutex);
}

/* --- listening: on http's thread -------------------------------------------------------------- */

static void complain(struct client *client, const char *why)
{
    json_t *error =
        json_pack("{s:s, s:o}", "code", "invalid", "message", gw_json_text(hl_slice_of(why)));
    send_message(client, "error", error);
    json_decref(error);
}

static void hear(struct client *client, struct hl_slice text)
{
    struct gw_said said = gw_feed_read(text);
    switch (said.saying) {
    case GW_SAYS_PING:
        send_message(client, "pong", NULL);
        break;
    case GW_SAYS_SUBSCRIBE:
        client->topics |= said.topics;
        client->now |= said.topics;
        break;
    case GW_SAYS_UNSUBSCRIBE:
        client->topics &= ~said.topics;
        client->now &= ~said.topics;
        break;
    case GW_SAYS_NONSENSE:
        complain(client, said.why);
        break;
    }
}

static void on_message(struct helios_http_socket *socket, int text, const char *bytes, size_t len,
                       void *data)
{
    struct client *client = data;
    (void)socket;
    pthread_mutex_lock(&all.mutex);
    if (++client->said > GW_SAID_MAX) { /* K1 */
        end_client(client, "too many messages");
    } else if (text == 0 || len > GW_FEED_MESSAGE_MAX) {
        complain(client, "a text of at most 4096 bytes is expected");
    } else {
        hear(client, (struct hl_slice){.ptr = bytes, .len = len});
    }
    pthread_mutex_unlock(&all.mutex);
    gw_feed_kick();
}

static void on_closed(struct helios_http_socket *socket, int code, void *data)
{
    struct client *client = data;
    (void)code;
    pthread_mutex_lock(&all.mutex);
    struct client **at = &all.first;
    while (*at != client) {
        HL_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = client->next;
    atomic_fetch_sub(&all.count, 1);
    pthread_mutex_unlock(&all.mutex);
    gw_http()->release(socket);
    hl_free(client);
}

/* --- taking: on http's thread ----------------------------------------------------------------- */

/* Does the client name our protocol among those that it speaks? */
static bool offers_protocol(struct hl_slice list)
{
    static const char name[] = PROTOCOL;
    return list.len != 0 && memmem(list.ptr, list.len, name, sizeof name - 1) != NULL;
}

/* False, after answering, when the request may not become a client. */
static bool may_be_taken(struct gw_call *call)
{
    struct hl_slice origin = gw_header(call, "Origin");
    if (gw_http()->wants_socket(gw_request(call)) == 0) {
        gw_add_header(call, "Upgrade", "websocket");
        gw_fail(call, 426, "upgrade_required", "this is a WebSocket");
        return false;
    }
    if (origin.ptr != NULL && !gw_is_same_origin(origin, gw_header(call, "Host"))) {
        gw_fail(call, 403, "foreign_origin", "pages of other sites may not connect");
        return false;
    }
    HL_ASSERT(gw_who(call) != NULL);
    return true;
}

void gw_sockets_accept(struct gw_call *call)
{
    static const struct helios_http_socket_events events = {.message = on_message,
                                                            .closed = on_closed};
    if (!may_be_taken(call)) {
        return;
    }
    bool speaks = offers_protocol(gw_header(call, "Sec-WebSocket-Protocol"));
    struct client *client = hl_calloc(1, sizeof *client);
    client->who = *gw_who(call);
    client->topics = TOPICS_AT_FIRST;
    client->now = 1u << GW_TOPIC_STATUS;
    pthread_mutex_lock(&all.mutex);
    bool full = atomic_load(&all.count) >= GW_CLIENTS_MAX;
    if (!full) {
        client->socket =
            gw_http()->upgrade(gw_request(call), &events, client, speaks ? PROTOCOL : NULL);
    }
    if (client->socket != NULL) { /* its events come later: on this thread */
        client->next = all.first;
        all.first = client;
        atomic_fetch_add(&all.count, 1);
    }
    pthread_mutex_unlock(&all.mutex);
    if (client->socket != NULL) {
        gw_done(call);
        gw_feed_kick();
        return;
    }
    hl_free(client);
    gw_fail(call, 503, "too_many_websockets", full ? "no more are taken now" : "http is leaving");
}

/* --- watching: on the server's thread --------------------------------------------------------- */

static bool stands(RedisModuleCtx *ctx, const HeliosAuthIdentity *who, int64_t now_ms)
{
    const struct gw_services *services = gw_services();
    if (services->auth == NULL || (who->expires_ms != 0 && who->expires_ms <= now_ms)) {
        return false;
    }
    return services->auth->stands(ctx, who) == 1 && gw_access_permits(ctx, who, ADMIN_PERMISSION);
}

int gw_cmd_watch(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    long long ended = 0;
    if (argc != 1) {
        return RedisModule_WrongArity(ctx);
    }
    int64_t now_ms = RedisModule_Milliseconds();
    pthread_mutex_lock(&all.mutex);
    for (struct client *client = all.first; client != NULL; client = client->next) {
        if (!client->over && !stands(ctx, &client->who, now_ms)) {
            end_client(client, "the token does not stand any more");
            ended++;
        }
    }
    pthread_mutex_unlock(&all.mutex);
    return RedisModule_ReplyWithLongLong(ctx, ended);
}

const struct gw_route gw_admin_socket_routes[] = {
    {"GET", "/ws/cluster", ADMIN_PERMISSION, NULL, gw_sockets_accept, GW_RAW | GW_QUERY_TOKEN, 0},
};
const size_t gw_admin_socket_route_count = HL_ARRAY_LEN(gw_admin_socket_routes);
