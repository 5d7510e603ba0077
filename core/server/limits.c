#include "server/limits.h"

/* Positions in server->options.output_limits. */
enum client_class { CLASS_NORMAL, CLASS_REPLICA, CLASS_PUBSUB };

/* MONITOR is never asked for what it gets, so it has a replica's limits unless normal clients are
 * limited: without any, one that does not read would take all memory. */
static enum client_class class_of(const struct hl_conn *conn)
{
    const struct hl_config_output_limit *normal =
        &hl_server_options(conn->server)->output_limits[CLASS_NORMAL];
    uint32_t flags = conn->session->flags;
    if ((flags & HL_SESSION_MONITOR) != 0 && normal->hard == 0 && normal->soft == 0) {
        return CLASS_REPLICA;
    }
    return (flags & HL_SESSION_PUBSUB) != 0 ? CLASS_PUBSUB : CLASS_NORMAL;
}

/* Note since when the soft limit is passed. */
static bool soft_exceeded(struct hl_conn *conn, const struct hl_config_output_limit *limit,
                          size_t held)
{
    int64_t now_ms = conn->server->node->now_ms;
    if (limit->soft == 0 || held <= (size_t)limit->soft) {
        conn->soft_since_ms = 0;
        return false;
    }
    if (conn->soft_since_ms == 0) {
        conn->soft_since_ms = now_ms;
    }
    return now_ms - conn->soft_since_ms > limit->soft_s * 1000;
}

bool hl_limits_exceeded(struct hl_conn *conn)
{
    const struct hl_config_output_limit *limit =
        &hl_server_options(conn->server)->output_limits[class_of(conn)];
    size_t held = hl_session_held(conn->session);
    bool hard = limit->hard != 0 && held > (size_t)limit->hard;
    bool soft = soft_exceeded(conn, limit, held);
    if (hard || soft) {
        hl_node_log(conn->server->node, 3,
                    "closing client %llu (%s): its replies outgrew the %s limit of "
                    "client-output-buffer-limit",
                    (unsigned long long)conn->session->id, conn->session->addr,
                    hard ? "hard" : "soft");
    }
    return hard || soft;
}

bool hl_limits_pause(struct hl_conn *conn)
{
    size_t held = hl_session_held(conn->session);
    conn->paused = held > (conn->paused ? HL_OUTPUT_PAUSE / 2 : HL_OUTPUT_PAUSE);
    return conn->paused;
}

/* --- all clients together -----------------------------------------------------------------------
 */

static size_t memory_of(const struct hl_conn *conn)
{
    return conn->in.cap + conn->session->out.cap + conn->session->queued_bytes;
}

/* 0: no limit. */
static size_t clients_max(const struct hl_server *server)
{
    int64_t limit = hl_config_int(server->config, HL_CFG_MAXMEMORY_CLIENTS);
    if (limit >= 0) {
        return (size_t)limit;
    }
    return server->node->config.maxmemory / 100 * (size_t)-limit;
}

static bool may_be_evicted(const struct hl_conn *conn)
{
    const uint32_t spared = HL_SESSION_NO_EVICT | HL_SESSION_CLOSE_NOW;
    return (conn->session->flags & spared) == 0;
}

static struct hl_conn *largest(struct hl_server *server, size_t *total)
{
    struct hl_conn *found = NULL;
    *total = 0;
    HL_LIST_EACH(it, &server->connections)
    {
        struct hl_conn *conn = HL_LIST_ENTRY(it, struct hl_conn, all);
        if (!may_be_evicted(conn)) {
            continue;
        }
        *total += memory_of(conn);
        if (found == NULL || memory_of(conn) > memory_of(found)) {
            found = conn;
        }
    }
    return found;
}

static void evict_clients(struct hl_server *server, size_t max)
{
    size_t total = 0;
    for (;;) {
        struct hl_conn *conn = largest(server, &total);
        if (conn == NULL || total <= max) {
            return;
        }
        hl_node_log(server->node, 2, "closing client %llu (%s): maxmemory-clients is exceeded",
                    (unsigned long long)conn->session->id, conn->session->addr);
        hl_session_close(server->node, conn->session, false);
    }
}

void hl_limits_cron(struct hl_server *server)
{
    HL_LIST_EACH(it, &server->connections)
    {
        struct hl_conn *conn = HL_LIST_ENTRY(it, struct hl_conn, all);
        if (may_be_evicted(conn) && hl_limits_exceeded(conn)) {
            hl_session_close(server->node, conn->session, false);
        }
    }
    size_t max = clients_max(server);
    if (max != 0) {
        evict_clients(server, max);
    }
}
