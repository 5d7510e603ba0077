#include "server/cluster.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "kit/tls.h"
#include "node/bootstrap.h"
#include "node/forward.h"
#include "node/replica.h"
#include "server/identity.h"
#include "server/orders.h"
#include "server/peer.h"
#include "server/run.h"

#include <stdio.h>

#define BOOT_TICK_MS 20        /* between looks at how to begin */
#define LAST_REPLIES_US 300000 /* to tell the clients of others that this node leads no more */
#define UNANSWERED_MS_MIN 1000
#define UNANSWERED_MS_MAX 20000
#define LEADERLESS_ELECTIONS 20                /* election time-outs before a line in the log */
#define LEADERLESS_AGAIN_US (300 * 1000000ull) /* between two of them */

/* A connection that broke. */
struct lost {
    hl_peer peer;
    enum hl_peer_class peer_class;
};

struct hl_cluster_edge {
    struct hl_server *server;
    struct hl_peers *peers;
    struct hl_boot boot;
    bool begun;
    bool ending, gave_up_leading; /* leadership is being handed over, then the loop stops ... */
    uint64_t handed_us; /* since when somebody else leads; those who wait here are told first */
    uint64_t end_us;    /* ... at the latest */
    struct hl_tls_context *tls_server, *tls_client;
    uv_timer_t boot_timer, wake;
    uint64_t wake_us;                    /* what `wake` is set to; UINT64_MAX: it is off */
    uint64_t leaderless_us, complain_us; /* since when nobody leads, 0: somebody does; next line */
    int sending;                         /* the node sends, or changes its peers: inside its code */
    struct lost *lost;                   /* what broke meanwhile; each connection once */
    size_t lost_count, lost_cap;
};

/* --- addresses -------------------------------------------------------------------------------- */

void hl_cluster_client_address(const struct hl_config *cfg, char *out, size_t size)
{
    const char *advertised = hl_config_text(cfg, HL_CFG_ADVERTISE_ADDR);
    char host[256];
    int raft_port = 0;
    int64_t port = hl_config_int(cfg, HL_CFG_PORT);
    if (advertised[0] != '\0') {
        (void)snprintf(out, size, "%s", advertised);
        return;
    }
    out[0] = '\0';
    port = port != 0 ? port : hl_config_int(cfg, HL_CFG_TLS_PORT);
    if (port != 0 &&
        hl_config_split_address(hl_slice_of(hl_config_raft_address(cfg)), host, &raft_port)) {
        bool v6 = strchr(host, ':') != NULL;
        (void)snprintf(out, size, v6 ? "[%s]:%d" : "%s:%d", host, (int)port);
    }
}

/* --- beginning -------------------------------------------------------------------------------- */

static void log_line(struct hl_cluster_edge *cluster, int level, const char *text)
{
    hl_run_log(cluster->server, level, text);
}

static void found(struct hl_cluster_edge *cluster)
{
    struct hl_boot *boot = &cluster->boot;
    char line[128];
    (void)snprintf(line, sizeof line, "founding a cluster of %u node%s", boot->members.count,
                   boot->members.count == 1 ? "" : "s");
    log_line(cluster, 2, line);
    hl_node_bootstrap(cluster->server->node, boot->cluster_id, &boot->members, boot->level);
}

static void stop_server(struct hl_cluster_edge *cluster)
{
    log_line(cluster, 3, cluster->boot.why);
    cluster->server->exit_code = 1;
    cluster->server->stopping = true;
    uv_stop(&cluster->server->loop);
}

/* Do what was decided, once. */
static void begin_as(struct hl_cluster_edge *cluster, enum hl_boot_decision decision)
{
    struct hl_server *server = cluster->server;
    if (decision == HL_BOOT_NONE || cluster->begun) {
        return;
    }
    (void)uv_timer_stop(&cluster->boot_timer);
    switch (decision) {
    case HL_BOOT_NONE:
        break;
    case HL_BOOT_STOP:
        stop_server(cluster);
        return;
    case HL_BOOT_FOUND:
        found(cluster);
        break;
    case HL_BOOT_JOIN:
        log_line(cluster, 2, "waiting for the leader of a cluster to send its data");
        hl_node_join(server->node);
        break;
    case HL_BOOT_RESUME:
        if (hl_wal_last(server->wal) == 0) {
            hl_node_join(server->node); /* it had promised something, but has no data yet */
        }
        break;
    }
    cluster->begun = true;
    hl_server_begin_loading(server);
}

static void on_boot_timer(uv_timer_t *timer)
{
    struct hl_cluster_edge *cluster = timer->data;
    struct hl_boot *boot = &cluster->boot;
    uint64_t now_us = uv_hrtime() / 1000;
    hl_server_enter(cluster->server);
    enum hl_boot_decision decision = hl_boot_tick(boot, now_us);
    const struct hl_boot_peer *peer;
    while ((peer = hl_boot_question(boot)) != NULL) {
        hl_peers_ask(cluster->peers, peer->name, peer->address);
    }
    const char *report = hl_boot_report(boot, now_us);
    if (report != NULL) {
        log_line(cluster, 2, report);
    }
    begin_as(cluster, decision);
}

static hl_err init_boot(struct hl_cluster_edge *cluster, struct hl_errmsg *msg)
{
    const struct hl_config *cfg = cluster->server->config;
    struct hl_config_peer listed[HL_CONFIG_PEERS_MAX];
    char addresses[HL_MEMBERS_MAX][HL_MEMBER_ADDR_MAX + 1];
    size_t count = hl_config_peers(cfg, listed);
    struct hl_boot_options options = {
        .id = cluster->server->node->node_id,
        .name = hl_config_text(cfg, HL_CFG_RAFT_NODE_ID),
        .raft_addr = hl_config_raft_address(cfg),
        .client_addr = cluster->server->options.client_addr,
        .level = hl_level_own(cluster->server->node),
        .has_state = !hl_boot_is_new(cluster->server->wal),
        .alone = hl_config_bool(cfg, HL_CFG_RAFT_BOOTSTRAP),
        .join = hl_config_bool(cfg, HL_CFG_RAFT_JOIN),
    };
    if (count > HL_MEMBERS_MAX) {
        return hl_fail(msg, HL_EINVAL, "raft-peers: more than %d nodes", HL_MEMBERS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        bool v6 = strchr(listed[i].host, ':') != NULL;
        int len = snprintf(addresses[i], sizeof addresses[i], v6 ? "[%s]:%d" : "%s:%d",
                           listed[i].host, listed[i].port);
        if (len < 0 || (size_t)len >= sizeof addresses[i]) {
            return hl_fail(msg, HL_EINVAL, "raft-peers: the address of '%s' is too long",
                           listed[i].id);
        }
        options.list[i].name = listed[i].id;
        options.list[i].raft_addr = addresses[i];
    }
    options.list_count = (uint32_t)count;
    return hl_boot_init(&cluster->boot, &options, msg);
}

/* --- what the transport asks and tells -------------------------------------------------------- */

static void on_enter(void *ctx)
{
    struct hl_cluster_edge *cluster = ctx;
    hl_server_enter(cluster->server);
}

static void give_self(void *ctx, struct hl_peers_self *out)
{
    struct hl_cluster_edge *cluster = ctx;
    const struct hl_node *node = cluster->server->node;
    const struct hl_boot *boot = &cluster->boot;
    bool joins = boot->decision == HL_BOOT_JOIN || boot->waits_for_list;
    *out = (struct hl_peers_self){
        .id = node->node_id,
        .incarnation = hl_wal_meta(cluster->server->wal)->incarnation,
        .empty = hl_boot_is_new(cluster->server->wal),
        .loading = cluster->begun && node->loading,
        .waiting = joins,
        .name = boot->self.name,
        .raft_addr = boot->self.raft_addr,
        .client_addr = boot->self.client_addr,
        .level = hl_level_own(node),
        .list_count = boot->count,
        .members_index = cluster->begun && !node->loading ? hl_node_members_index(node) : 0,
    };
    memcpy(out->cluster_id, node->cluster_id, sizeof out->cluster_id);
    for (uint32_t i = 0; i < boot->count; i++) {
        out->list[i] = boot->peers[i].listed;
    }
}

/* It reads what it had before the start.  One that makes its state anew later goes on as a member:
 * without messages and time it would never be done. */
static bool is_starting(const struct hl_node *node)
{
    return node->loading && !node->cluster.live;
}

static void tell_lost(struct hl_cluster_edge *cluster, const struct lost *lost)
{
    struct hl_node *node = cluster->server->node;
    if (!cluster->begun || is_starting(node)) {
        return;
    }
    if (lost->peer_class == HL_PEER_FORWARD) {
        hl_node_forward_lost(node, lost->peer);
    } else {
        hl_node_peer_lost(node, lost->peer);
    }
}

/* What broke while the node was sending. */
static void tell_all_lost(struct hl_cluster_edge *cluster)
{
    HL_ASSERT(cluster->sending == 0);
    for (size_t i = 0; i < cluster->lost_count; i++) {
        struct lost lost = cluster->lost[i]; /* telling may add some */
        tell_lost(cluster, &lost);
    }
    cluster->lost_count = 0;
}

/* A connection may break while the node sends, in the middle of what it does for that very peer: it
 * is told afterwards, and before it hears anything else. */
static void on_lost(void *ctx, hl_peer peer, enum hl_peer_class peer_class)
{
    struct hl_cluster_edge *cluster = ctx;
    struct lost lost = {.peer = peer, .peer_class = peer_class};
    if (cluster->sending == 0) {
        tell_all_lost(cluster);
        tell_lost(cluster, &lost);
        return;
    }
    for (size_t i = 0; i < cluster->lost_count; i++) {
        if (cluster->lost[i].peer == peer && cluster->lost[i].peer_class == peer_class) {
            return;
        }
    }
    if (cluster->lost_count == cluster->lost_cap) {
        cluster->lost_cap = cluster->lost_cap == 0 ? 8 : cluster->lost_cap * 2;
        cluster->lost = hl_realloc(cluster->lost, cluster->lost_cap * sizeof *cluster->lost);
    }
    cluster->lost[cluster->lost_count++] = lost;
}

static void on_message(void *ctx, hl_peer from, struct hl_slice frame)
{
    struct hl_cluster_edge *cluster = ctx;
    if (!cluster->begun) {
        hl_boot_was_called(&cluster->boot);
        begin_as(cluster, cluster->boot.decision);
        return; /* it is sent again */
    }
    tell_all_lost(cluster);
    if (!is_starting(cluster->server->node)) {
        hl_node_peer_message(cluster->server->node, from, frame);
    }
}

static void on_answer(void *ctx, const char *name, const struct hl_wire_frame *frame,
                      const struct hl_hello *hello, const char *why)
{
    struct hl_cluster_edge *cluster = ctx;
    if (hl_orders_answer(cluster->server->orders, name, frame, hello, why)) {
        return;
    }
    if (hello != NULL) {
        hl_boot_answered(&cluster->boot, name, frame, hello);
    } else {
        hl_boot_unanswered(&cluster->boot, name, why);
    }
}

static void on_greeted(void *ctx, hl_peer from, const struct hl_hello *hello)
{
    struct hl_cluster_edge *cluster = ctx;
    hl_orders_announced(cluster->server->orders, from, hello);
}

static void on_told(void *ctx, const struct hl_hello *hello)
{
    struct hl_cluster_edge *cluster = ctx;
    if (cluster->begun && !is_starting(cluster->server->node) && !hello->member) {
        hl_node_told_removed(cluster->server->node, hello->members_index);
    }
}

static void on_asked(void *ctx, const struct hl_wire_frame *frame, const struct hl_hello *hello)
{
    struct hl_cluster_edge *cluster = ctx;
    (void)frame;
    hl_boot_was_asked(&cluster->boot, hello);
}

static void on_level(void *ctx, hl_peer peer, uint32_t level)
{
    struct hl_cluster_edge *cluster = ctx;
    hl_node_peer_level(cluster->server->node, peer, level);
}

static void on_log(void *ctx, int level, const char *line)
{
    log_line(ctx, level, line);
}

bool hl_cluster_reaches(void *ctx, hl_peer to, enum hl_peer_class peer_class)
{
    struct hl_server *server = ctx;
    struct hl_peers *peers = server->cluster != NULL ? server->cluster->peers : NULL;
    return peers != NULL && hl_peers_is_linked(peers, to, peer_class);
}

void hl_cluster_send(void *ctx, hl_peer to, enum hl_peer_class peer_class, struct hl_slice frame)
{
    struct hl_server *server = ctx;
    if (server->cluster != NULL && server->cluster->peers != NULL) {
        server->cluster->sending++;
        hl_peers_send(server->cluster->peers, to, peer_class, frame);
        server->cluster->sending--;
    }
}

void hl_cluster_peers(void *ctx, const struct hl_members *members)
{
    struct hl_server *server = ctx;
    if (server->cluster != NULL && server->cluster->peers != NULL) {
        server->cluster->sending++;
        hl_peers_set(server->cluster->peers, members);
        server->cluster->sending--;
    }
}

/* --- TLS -------------------------------------------------------------------------------------- */

hl_err hl_cluster_load_tls(struct hl_server *server, struct hl_errmsg *msg)
{
    struct hl_cluster_edge *cluster = server->cluster;
    const struct hl_config *cfg = server->config;
    if (cluster == NULL || !hl_config_bool(cfg, HL_CFG_RAFT_TLS_ENABLED)) {
        return HL_OK;
    }
    bool verify = hl_config_bool(cfg, HL_CFG_RAFT_TLS_VERIFY_PEER) &&
                  !hl_config_bool(cfg, HL_CFG_RAFT_TLS_INSECURE_SKIP_VERIFY);
    struct hl_tls_options options = {
        .server = true,
        .cert_file = hl_config_text(cfg, HL_CFG_RAFT_TLS_CERT),
        .key_file = hl_config_text(cfg, HL_CFG_RAFT_TLS_KEY),
        .ca_file = hl_config_text(cfg, HL_CFG_RAFT_TLS_CA),
        .peer = verify ? HL_TLS_PEER_REQUIRED : HL_TLS_PEER_ANY,
    };
    struct hl_tls_context *fresh_server = NULL;
    struct hl_tls_context *fresh_client = NULL;
    hl_err err = hl_tls_context_create(&fresh_server, &options, msg);
    options.server = false;
    err = err == HL_OK ? hl_tls_context_create(&fresh_client, &options, msg) : err;
    if (err != HL_OK) {
        hl_tls_context_destroy(fresh_server);
        return err;
    }
    hl_tls_context_destroy(cluster->tls_server);
    hl_tls_context_destroy(cluster->tls_client);
    cluster->tls_server = fresh_server;
    cluster->tls_client = fresh_client;
    if (cluster->peers != NULL) {
        hl_peers_set_tls(cluster->peers, fresh_server, fresh_client);
    }
    return HL_OK;
}

/* --- time ------------------------------------------------------------------------------------- */

static void on_wake(uv_timer_t *timer)
{
    struct hl_cluster_edge *cluster = timer->data;
    cluster->wake_us = UINT64_MAX;
    hl_server_enter(cluster->server);
    hl_node_tick(cluster->server->node);
}

/* A new leader is known, or nobody took over in time: as long as an election takes, once this node
 * does not lead any more, for then there may be nobody left who could. */
static void look_at_end(struct hl_cluster_edge *cluster)
{
    const struct hl_raft *raft = &cluster->server->node->raft;
    bool leads = hl_raft_role(raft) == HL_RAFT_LEADER;
    bool handed = !leads && hl_raft_leader(raft) != 0;
    uint64_t now_us = cluster->server->world.mono_us(cluster->server);
    int64_t election_ms = hl_config_int(cluster->server->config, HL_CFG_RAFT_ELECTION_TIMEOUT);
    if (!leads && !cluster->gave_up_leading) {
        cluster->gave_up_leading = true;
        uint64_t end_us = now_us + 2 * (uint64_t)election_ms * 1000;
        cluster->end_us = end_us < cluster->end_us ? end_us : cluster->end_us;
    }
    if (handed && cluster->handed_us == 0) {
        cluster->handed_us = now_us;
    }
    bool told = handed && (hl_forward_is_idle(cluster->server->node) ||
                           now_us - cluster->handed_us >= LAST_REPLIES_US);
    if (told || now_us >= cluster->end_us) {
        log_line(cluster, 2, handed ? "leadership was handed over" : "nobody took leadership over");
        cluster->ending = false;
        cluster->server->stopping = true;
        uv_stop(&cluster->server->loop);
    }
}

bool hl_cluster_hand_over(struct hl_server *server)
{
    struct hl_cluster_edge *cluster = server->cluster;
    if (cluster == NULL || !cluster->begun || server->node->loading) {
        return false;
    }
    int64_t wait_s = hl_config_int(server->config, HL_CFG_SHUTDOWN_TIMEOUT);
    if (wait_s == 0 || hl_replica_hand_over(server->node, 0) != HL_OK) {
        return cluster->ending;
    }
    log_line(cluster, 2, "handing leadership over before ending");
    cluster->ending = true;
    cluster->end_us = server->world.mono_us(server) + (uint64_t)wait_s * 1000000;
    return true;
}

void hl_cluster_before_poll(struct hl_server *server)
{
    struct hl_cluster_edge *cluster = server->cluster;
    if (cluster == NULL || !cluster->begun || is_starting(server->node)) {
        return;
    }
    if (cluster->lost_count != 0) {
        hl_server_enter(server);
        tell_all_lost(cluster);
    }
    hl_orders_look(server->orders);
    if (cluster->ending) {
        look_at_end(cluster);
    }
    uint64_t wake_us = hl_node_wake_us(server->node);
    if (wake_us == cluster->wake_us) {
        return;
    }
    cluster->wake_us = wake_us;
    if (wake_us == UINT64_MAX) {
        (void)uv_timer_stop(&cluster->wake);
        return;
    }
    uint64_t now_us = server->world.mono_us(server);
    uint64_t wait_ms = wake_us > now_us ? (wake_us - now_us + 999) / 1000 : 0;
    (void)uv_timer_start(&cluster->wake, on_wake, wait_ms, 0);
}

void hl_cluster_ask(struct hl_server *server, const char *name, const char *address)
{
    hl_peers_ask(server->cluster->peers, name, address);
}

/* Who is missing, in words, for `out` of `size` bytes. */
static void list_missing(const struct hl_cluster_edge *cluster, char *out, size_t size)
{
    const struct hl_node *node = cluster->server->node;
    const struct hl_members *members = hl_node_members(node);
    size_t at = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < members->count; i++) {
        const struct hl_member *m = &members->at[i];
        if (!m->voter || m->id == node->node_id ||
            hl_peers_is_linked(cluster->peers, m->id, HL_PEER_RAFT)) {
            continue;
        }
        int len =
            snprintf(out + at, size - at, "%s%s (%s)", at == 0 ? "" : ", ", m->name, m->raft_addr);
        if (len < 0 || (size_t)len >= size - at) {
            return; /* as many as fit */
        }
        at += (size_t)len;
    }
}

/* Without a majority nothing can be written: whoever reads the log must learn what to do. */
static void complain(struct hl_cluster_edge *cluster, uint64_t now_us)
{
    const struct hl_server *server = cluster->server;
    char missing[512];
    char line[1024];
    list_missing(cluster, missing, sizeof missing);
    uint32_t voters = hl_members_voters(hl_node_members(server->node));
    (void)snprintf(line, sizeof line,
                   "no leader for %llu seconds: %u of %u voters must reach one another.  Not "
                   "connected: %s.  Start those nodes again.  Only if a majority is lost for good: "
                   "stop this node and see `helios recover --help`",
                   (unsigned long long)((now_us - cluster->leaderless_us) / 1000000),
                   voters / 2 + 1, voters, missing[0] != '\0' ? missing : "none");
    log_line(cluster, 3, line);
}

static void look_for_leader(struct hl_cluster_edge *cluster)
{
    const struct hl_server *server = cluster->server;
    uint64_t now_us = server->world.mono_us(cluster->server);
    if (!cluster->begun || server->node->loading || hl_node_members(server->node)->count == 0 ||
        hl_raft_leader(&server->node->raft) != 0 || hl_node_is_removed(server->node)) {
        cluster->leaderless_us = 0;
        return;
    }
    if (cluster->leaderless_us == 0) {
        uint64_t election_us =
            (uint64_t)hl_config_int(server->config, HL_CFG_RAFT_ELECTION_TIMEOUT) * 1000;
        cluster->leaderless_us = now_us;
        cluster->complain_us = now_us + LEADERLESS_ELECTIONS * election_us;
    }
    if (now_us >= cluster->complain_us) {
        complain(cluster, now_us);
        cluster->complain_us = now_us + LEADERLESS_AGAIN_US;
    }
}

void hl_cluster_cron(struct hl_server *server)
{
    if (server->cluster != NULL) {
        hl_orders_cron(server->orders);
        look_for_leader(server->cluster);
    }
}

/* --- INFO ------------------------------------------------------------------------------------- */

void hl_cluster_info(struct hl_server *server, struct hl_buf *out)
{
    if (server->cluster != NULL) {
        uint64_t since_us = server->cluster->leaderless_us;
        uint64_t now_us = server->world.mono_us(server);
        hl_buf_printf(out, "raft_leaderless_seconds:%llu\r\n",
                      (unsigned long long)(since_us == 0 ? 0 : (now_us - since_us) / 1000000));
        hl_peers_info(server->cluster->peers, out);
        struct hl_forward_stats stats = hl_forward_stats(server->node);
        hl_buf_printf(out,
                      "raft_forwarded:%llu\r\nraft_served_for_others:%llu\r\n"
                      "raft_clients_of_others:%llu\r\n",
                      (unsigned long long)stats.sent, (unsigned long long)stats.received,
                      (unsigned long long)stats.guests);
    }
}

/* --- making and ending ------------------------------------------------------------------------ */

static hl_err make_peers(struct hl_cluster_edge *cluster, struct hl_errmsg *msg)
{
    const struct hl_config *cfg = cluster->server->config;
    const struct hl_peers_hooks hooks = {
        .ctx = cluster,
        .enter = on_enter,
        .self = give_self,
        .message = on_message,
        .lost = on_lost,
        .answer = on_answer,
        .asked = on_asked,
        .level = on_level,
        .greeted = on_greeted,
        .told = on_told,
        .log = on_log,
    };
    struct hl_peers_options options = {
        .bind = hl_config_text(cfg, HL_CFG_RAFT_ADDR),
        .tls_server = cluster->tls_server,
        .tls_client = cluster->tls_client,
        .tls_name = hl_config_text(cfg, HL_CFG_RAFT_TLS_SERVER_NAME),
        .tls_any_name = !hl_config_bool(cfg, HL_CFG_RAFT_TLS_VERIFY_PEER),
    };
    /* Two election time-outs: after a short cut a connection is made anew sooner than TCP, which
     * waits longer each time, would send again. */
    int64_t election_ms = hl_config_int(cfg, HL_CFG_RAFT_ELECTION_TIMEOUT);
    options.unanswered_ms = election_ms < UNANSWERED_MS_MIN / 2   ? UNANSWERED_MS_MIN
                            : election_ms > UNANSWERED_MS_MAX / 2 ? UNANSWERED_MS_MAX
                                                                  : (unsigned)election_ms * 2;
    cluster->server->world.entropy(cluster->server, &options.seed, sizeof options.seed);
    return hl_peers_create(&cluster->peers, &cluster->server->loop, &options, &hooks, msg);
}

/* Whoever speaks to the raft port without TLS can say that it is a node. */
static void warn_of_strangers(struct hl_cluster_edge *cluster)
{
    const struct hl_config *cfg = cluster->server->config;
    char host[256];
    int port = 0;
    bool local =
        hl_config_split_address(hl_slice_of(hl_config_text(cfg, HL_CFG_RAFT_ADDR)), host, &port) &&
        (strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
         strcmp(host, "localhost") == 0);
    if (!local && !hl_config_bool(cfg, HL_CFG_RAFT_TLS_ENABLED)) {
        log_line(cluster, 3,
                 "WARNING: other machines may reach raft-addr and raft-tls-enabled is no: whoever "
                 "does can act as a node of this cluster.");
    }
}

hl_err hl_cluster_start(struct hl_server *server, struct hl_errmsg *msg)
{
    if (!hl_config_bool(server->config, HL_CFG_RAFT)) {
        return HL_OK;
    }
    HL_ASSERT(server->wal != NULL);
    HL_ASSERT(server->cluster == NULL);
    struct hl_cluster_edge *cluster = hl_calloc(1, sizeof *cluster);
    cluster->server = server;
    cluster->wake_us = UINT64_MAX;
    server->cluster = cluster;
    server->orders = hl_orders_create(server);
    (void)uv_timer_init(&server->loop, &cluster->boot_timer);
    (void)uv_timer_init(&server->loop, &cluster->wake);
    cluster->boot_timer.data = cluster;
    cluster->wake.data = cluster;
    hl_err err = init_boot(cluster, msg);
    err = err == HL_OK ? hl_cluster_load_tls(server, msg) : err;
    err = err == HL_OK ? make_peers(cluster, msg) : err;
    if (err == HL_OK) {
        warn_of_strangers(cluster);
        (void)uv_timer_start(&cluster->boot_timer, on_boot_timer, 0, BOOT_TICK_MS);
    }
    return err;
}

bool hl_cluster_has_begun(const struct hl_server *server)
{
    return server->cluster == NULL || server->cluster->begun;
}

void hl_cluster_stop(struct hl_server *server)
{
    struct hl_cluster_edge *cluster = server->cluster;
    if (cluster != NULL) {
        hl_peers_destroy(cluster->peers);
        cluster->peers = NULL;
    }
}

void hl_cluster_destroy(struct hl_server *server)
{
    struct hl_cluster_edge *cluster = server->cluster;
    if (cluster != NULL) {
        hl_tls_context_destroy(cluster->tls_server);
        hl_tls_context_destroy(cluster->tls_client);
        hl_orders_destroy(server->orders);
        hl_free(cluster->lost);
        hl_free(cluster);
        server->cluster = NULL;
    }
}
