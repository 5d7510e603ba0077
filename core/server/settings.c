#include "server/settings.h"

#include "kit/assert.h"
#include "kit/num.h"
#include "node/observe.h"
#include "server/cluster.h"
#include "server/secure.h"

#include <stdlib.h>
#include <sys/resource.h>

#define FILES_RESERVED 64           /* descriptors that are not clients */
#define SPECULATION_MAX (64u << 20) /* bytes of entries that wait for the disk */

/* A request, and a transaction, must fit into one entry of the log whatever the settings say. */
#define REQUEST_MAX ((size_t)HL_WAL_BODY_MAX - (64u << 20))
#define TRANSACTION_MAX ((size_t)HL_WAL_BODY_MAX / 2)

static size_t at_most(int64_t value, size_t max)
{
    return (uint64_t)value < max ? (size_t)value : max;
}

/* `bind` is a list of words; cut it into an owned copy that lives as long as the process. */
static void split_bind(struct hl_server_options *options, const char *text)
{
    struct hl_slice rest = hl_slice_of(text);
    struct hl_slice word;
    free(options->bind_text);
    options->bind_text = strdup(text);
    HL_ASSERT(options->bind_text != NULL);
    options->bind_count = 0;
    while (options->bind_count < HL_LISTENERS_MAX && hl_config_next_word(&rest, &word)) {
        char *start = options->bind_text + (word.ptr - text);
        start[word.len] = '\0';
        options->bind[options->bind_count++] = start;
    }
}

bool hl_settings_protected(const struct hl_config *cfg)
{
    bool named = hl_config_source(cfg, HL_CFG_BIND) != HL_CFG_FROM_DEFAULT;
    bool asked = hl_config_source(cfg, HL_CFG_PROTECTED_MODE) != HL_CFG_FROM_DEFAULT;
    return hl_config_bool(cfg, HL_CFG_PROTECTED_MODE) && (asked || !named);
}

/* How many of `wanted` clients the limit of open files allows, once it was raised as far as may be.
 * It is never lowered. */
static int clients_possible(int64_t wanted)
{
    wanted = wanted > INT32_MAX ? INT32_MAX : wanted;
    rlim_t files = (rlim_t)wanted + FILES_RESERVED;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= files) {
        return (int)wanted;
    }
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = files < limit.rlim_max ? files : limit.rlim_max;
    rlim_t now = setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before;
    return now >= files ? (int)wanted : now > FILES_RESERVED ? (int)(now - FILES_RESERVED) : 1;
}

void hl_settings_options(struct hl_server *server)
{
    const struct hl_config *cfg = server->config;
    struct hl_server_options *o = &server->options;
    hl_config_output_limits(cfg, o->output_limits);
    split_bind(o, hl_config_text(cfg, HL_CFG_BIND));
    o->port = (int)hl_config_int(cfg, HL_CFG_PORT);
    o->tls_port = (int)hl_config_int(cfg, HL_CFG_TLS_PORT);
    hl_cluster_client_address(cfg, o->client_addr, sizeof o->client_addr);
    const char *path = hl_config_text(cfg, HL_CFG_UNIXSOCKET);
    o->unixsocket = path[0] != '\0' ? path : NULL;
    o->unixsocket_perm = (int)hl_config_int(cfg, HL_CFG_UNIXSOCKETPERM);
    o->dir = hl_config_text(cfg, HL_CFG_DIR);
    o->backlog = (int)hl_config_int(cfg, HL_CFG_TCP_BACKLOG);
    o->maxclients = clients_possible(hl_config_int(cfg, HL_CFG_MAXCLIENTS));
    o->tcp_keepalive_s = (int)hl_config_int(cfg, HL_CFG_TCP_KEEPALIVE);
    o->timeout_s = (int)hl_config_int(cfg, HL_CFG_TIMEOUT);
    o->protected_mode = hl_settings_protected(cfg);
    o->query_buffer_max =
        at_most(hl_config_int(cfg, HL_CFG_CLIENT_QUERY_BUFFER_LIMIT), REQUEST_MAX);
    o->bulk_max = (int64_t)at_most(hl_config_int(cfg, HL_CFG_PROTO_MAX_BULK_LEN), TRANSACTION_MAX);
    for (int in = 0; in < 2; in++) {
        for (int resp3 = 0; resp3 < 2; resp3++) {
            server->limits[in][resp3] = (struct hl_parser_limits){
                .bulk_max = o->bulk_max, .unauthenticated = in == 0, .resp3 = resp3 == 1};
        }
    }
}

enum hl_wal_sync hl_settings_sync(const struct hl_config *cfg)
{
    switch ((enum hl_cfg_fsync)hl_config_int(cfg, HL_CFG_APPENDFSYNC)) {
    case HL_FSYNC_ALWAYS:
        break;
    case HL_FSYNC_EVERYSEC:
        return HL_WAL_SYNC_INTERVAL;
    case HL_FSYNC_NO:
        return HL_WAL_SYNC_NONE;
    }
    return HL_WAL_SYNC_EVERY;
}

static enum hl_evict_policy policy_of(int64_t value)
{
    switch ((enum hl_cfg_policy)value) {
    case HL_POLICY_VOLATILE_LRU:
        return HL_EVICT_VOLATILE_LRU;
    case HL_POLICY_VOLATILE_LFU:
        return HL_EVICT_VOLATILE_LFU;
    case HL_POLICY_VOLATILE_RANDOM:
        return HL_EVICT_VOLATILE_RANDOM;
    case HL_POLICY_VOLATILE_TTL:
        return HL_EVICT_VOLATILE_TTL;
    case HL_POLICY_ALLKEYS_LRU:
        return HL_EVICT_ALLKEYS_LRU;
    case HL_POLICY_ALLKEYS_LFU:
        return HL_EVICT_ALLKEYS_LFU;
    case HL_POLICY_ALLKEYS_RANDOM:
        return HL_EVICT_ALLKEYS_RANDOM;
    case HL_POLICY_NOEVICTION:
        break;
    }
    return HL_EVICT_NOEVICTION;
}

bool hl_settings_snapshots(const struct hl_config *cfg)
{
    return hl_config_bool(cfg, HL_CFG_APPENDONLY) ||
           hl_config_source(cfg, HL_CFG_SAVE) == HL_CFG_FROM_DEFAULT ||
           hl_config_text(cfg, HL_CFG_SAVE)[0] != '\0';
}

static enum hl_follower_writes follower_writes(const struct hl_config *cfg)
{
    switch ((enum hl_cfg_follower_writes)hl_config_int(cfg, HL_CFG_FOLLOWER_WRITES)) {
    case HL_WRITES_FORWARD:
        break;
    case HL_WRITES_REDIRECT:
        return HL_FOLLOWER_WRITES_REDIRECT;
    case HL_WRITES_REFUSE:
        return HL_FOLLOWER_WRITES_REFUSE;
    }
    return HL_FOLLOWER_WRITES_FORWARD;
}

static enum hl_consistency follower_reads(const struct hl_config *cfg)
{
    switch ((enum hl_cfg_follower_reads)hl_config_int(cfg, HL_CFG_FOLLOWER_READS)) {
    case HL_READS_LINEARIZABLE:
        break;
    case HL_READS_SESSION:
        return HL_READ_SESSION;
    case HL_READS_BOUNDED:
        return HL_READ_BOUNDED;
    case HL_READS_STALE:
        return HL_READ_STALE;
    }
    return HL_READ_LINEARIZABLE;
}

static struct hl_cluster_config cluster_of(const struct hl_server *server)
{
    const struct hl_config *cfg = server->config;
    return (struct hl_cluster_config){
        .name = hl_config_text(cfg, HL_CFG_RAFT_NODE_ID),
        .enabled = hl_config_bool(cfg, HL_CFG_RAFT),
        .raft_addr = hl_config_raft_address(cfg),
        .client_addr = server->options.client_addr,
        .election_us = (uint64_t)hl_config_int(cfg, HL_CFG_RAFT_ELECTION_TIMEOUT) * 1000,
        .heartbeat_us = (uint64_t)hl_config_int(cfg, HL_CFG_RAFT_HEARTBEAT_TIMEOUT) * 1000,
        .drift_ppm = (uint32_t)hl_config_int(cfg, HL_CFG_RAFT_CLOCK_DRIFT),
        .lease = hl_config_bool(cfg, HL_CFG_RAFT_LEASE),
        .follower_writes = follower_writes(cfg),
        .follower_reads = follower_reads(cfg),
        .read_bound_us = (uint64_t)hl_config_int(cfg, HL_CFG_FOLLOWER_READS_MAX_STALENESS) * 1000,
        .scrub_us = (uint64_t)hl_config_int(cfg, HL_CFG_RAFT_SCRUB_INTERVAL) * 1000,
        .barred = server->barred,
        .barred_until = server->barred_until,
    };
}

#define TEST_LEVEL "HELIOS_TEST_FEATURE_LEVEL"

/* For tests of upgrades: a server that understands less, or more, than its build. */
static uint32_t test_level(void)
{
    const char *text = getenv(TEST_LEVEL);
    int64_t level = 0;
    bool good = text != NULL && hl_parse_i64(hl_slice_of(text), &level) && level >= 1 &&
                level <= UINT16_MAX;
    return good ? (uint32_t)level : 0;
}

struct hl_node_config hl_settings_node(const struct hl_server *server)
{
    const struct hl_config *cfg = server->config;
    int64_t hz = hl_config_int(cfg, HL_CFG_HZ);
    bool snapshots = hl_settings_snapshots(cfg);
    return (struct hl_node_config){
        .databases = (int)hl_config_int(cfg, HL_CFG_DATABASES),
        .appendonly = hl_config_bool(cfg, HL_CFG_APPENDONLY),
        .maxmemory = (size_t)hl_config_int(cfg, HL_CFG_MAXMEMORY),
        .maxmemory_policy = policy_of(hl_config_int(cfg, HL_CFG_MAXMEMORY_POLICY)),
        .maxmemory_samples = (int)hl_config_int(cfg, HL_CFG_MAXMEMORY_SAMPLES),
        .slowlog_slower_than_us = hl_config_int(cfg, HL_CFG_SLOWLOG_LOG_SLOWER_THAN),
        .slowlog_max_len = (size_t)hl_config_int(cfg, HL_CFG_SLOWLOG_MAX_LEN),
        .latency_threshold_ms = hl_config_int(cfg, HL_CFG_LATENCY_MONITOR_THRESHOLD),
        .latency_tracking = hl_config_bool(cfg, HL_CFG_LATENCY_TRACKING),
        .hz = hz < 1     ? 1
              : hz > 500 ? 500
                         : (int)hz,
        .active_expire = true,
        .active_expire_effort = (int)hl_config_int(cfg, HL_CFG_ACTIVE_EXPIRE_EFFORT),
        .snapshot_interval_cmds = snapshots ? hl_config_int(cfg, HL_CFG_SNAPSHOT_INTERVAL_CMDS) : 0,
        .snapshot_interval_ms = snapshots ? hl_config_int(cfg, HL_CFG_SNAPSHOT_INTERVAL_TIME) : 0,
        .feature_level = test_level(),
        .users_from_files = hl_config_bool(cfg, HL_CFG_USERS_FROM_FILES),
        .stop_writes_unsaved = snapshots && hl_config_bool(cfg, HL_CFG_STOP_WRITES_ON_BGSAVE_ERROR),
        .speculation_max = SPECULATION_MAX,
        .multi_queue_max =
            at_most(hl_config_int(cfg, HL_CFG_CLIENT_QUERY_BUFFER_LIMIT), TRANSACTION_MAX),
        .cluster = cluster_of(server),
    };
}

static void apply_keyspace(struct hl_node *node, const struct hl_config *cfg)
{
    node->ks.limits.hash_max_listpack_entries =
        (uint32_t)hl_config_int(cfg, HL_CFG_HASH_MAX_LISTPACK_ENTRIES);
    node->ks.limits.hash_max_listpack_value =
        (uint32_t)hl_config_int(cfg, HL_CFG_HASH_MAX_LISTPACK_VALUE);
    node->ks.limits.list_max_listpack_size =
        (int32_t)hl_config_int(cfg, HL_CFG_LIST_MAX_LISTPACK_SIZE);
    node->ks.lfu_log_factor = (uint32_t)hl_config_int(cfg, HL_CFG_LFU_LOG_FACTOR);
    node->ks.lfu_decay_minutes = (uint32_t)hl_config_int(cfg, HL_CFG_LFU_DECAY_TIME);
    enum hl_evict_policy policy = node->config.maxmemory_policy;
    node->ks.lfu = policy == HL_EVICT_ALLKEYS_LFU || policy == HL_EVICT_VOLATILE_LFU;
}

static hl_err on_change(void *ctx, struct hl_config *cfg, enum hl_cfg id, struct hl_errmsg *msg)
{
    struct hl_server *server = ctx;
    bool active_expire = server->node->config.active_expire;
    hl_settings_options(server);
    if (id == HL_CFG_MAXCLIENTS && server->options.maxclients < hl_config_int(cfg, id)) {
        return hl_fail(msg, HL_EINVAL,
                       "The operating system is not able to handle the specified number of "
                       "clients, try with %d",
                       server->options.maxclients);
    }
    server->node->config = hl_settings_node(server);
    server->node->config.active_expire = active_expire;
    apply_keyspace(server->node, cfg);
    return HL_OK;
}

static hl_err on_sync(void *ctx, struct hl_config *cfg, enum hl_cfg id, struct hl_errmsg *msg)
{
    (void)id;
    (void)msg;
    struct hl_server *server = ctx;
    if (server->wal != NULL) {
        hl_wal_set_sync(server->wal, hl_settings_sync(cfg));
    }
    return HL_OK;
}

/* Ports and addresses: the listeners they concern are opened anew. */
static hl_err on_listen(void *ctx, struct hl_config *cfg, enum hl_cfg id, struct hl_errmsg *msg)
{
    (void)cfg;
    struct hl_server *server = ctx;
    hl_settings_options(server);
    hl_err err = HL_OK;
    if (id != HL_CFG_TLS_PORT) {
        err = hl_listen_again(server, HL_LISTEN_TCP, msg);
    }
    if (err == HL_OK && id != HL_CFG_PORT) {
        err = hl_secure_load(server, msg);
        err = err == HL_OK ? hl_listen_again(server, HL_LISTEN_TLS, msg) : err;
    }
    return err;
}

static hl_err on_raft_tls(void *ctx, struct hl_config *cfg, enum hl_cfg id, struct hl_errmsg *msg)
{
    (void)cfg;
    (void)id;
    return hl_cluster_load_tls(ctx, msg);
}

static hl_err on_tls(void *ctx, struct hl_config *cfg, enum hl_cfg id, struct hl_errmsg *msg)
{
    (void)cfg;
    (void)id;
    return hl_secure_load(ctx, msg);
}

static void on_resetstat(void *ctx)
{
    struct hl_server *server = ctx;
    hl_observe_reset(server->node);
}

void hl_settings_watch(struct hl_server *server)
{
    static const enum hl_cfg watched[] = {
        HL_CFG_MAXMEMORY,
        HL_CFG_MAXMEMORY_POLICY,
        HL_CFG_MAXMEMORY_SAMPLES,
        HL_CFG_SLOWLOG_LOG_SLOWER_THAN,
        HL_CFG_SLOWLOG_MAX_LEN,
        HL_CFG_LATENCY_MONITOR_THRESHOLD,
        HL_CFG_LATENCY_TRACKING,
        HL_CFG_HZ,
        HL_CFG_ACTIVE_EXPIRE_EFFORT,
        HL_CFG_SNAPSHOT_INTERVAL_CMDS,
        HL_CFG_SNAPSHOT_INTERVAL_TIME,
        HL_CFG_SAVE,
        HL_CFG_STOP_WRITES_ON_BGSAVE_ERROR,
        HL_CFG_CLIENT_QUERY_BUFFER_LIMIT,
        HL_CFG_CLIENT_OUTPUT_BUFFER_LIMIT,
        HL_CFG_PROTO_MAX_BULK_LEN,
        HL_CFG_MAXCLIENTS,
        HL_CFG_TIMEOUT,
        HL_CFG_TCP_KEEPALIVE,
        HL_CFG_PROTECTED_MODE,
        HL_CFG_HASH_MAX_LISTPACK_ENTRIES,
        HL_CFG_HASH_MAX_LISTPACK_VALUE,
        HL_CFG_LIST_MAX_LISTPACK_SIZE,
        HL_CFG_LFU_LOG_FACTOR,
        HL_CFG_LFU_DECAY_TIME,
        HL_CFG_RAFT_SCRUB_INTERVAL,
        HL_CFG_FOLLOWER_WRITES,
        HL_CFG_FOLLOWER_READS,
        HL_CFG_FOLLOWER_READS_MAX_STALENESS,
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(watched); i++) {
        hl_config_on_change(server->config, watched[i], on_change, server);
    }
    hl_config_on_change(server->config, HL_CFG_APPENDFSYNC, on_sync, server);
    static const enum hl_cfg tls[] = {
        HL_CFG_TLS_CERT_FILE,
        HL_CFG_TLS_KEY_FILE,
        HL_CFG_TLS_KEY_FILE_PASS,
        HL_CFG_TLS_CA_CERT_FILE,
        HL_CFG_TLS_CA_CERT_DIR,
        HL_CFG_TLS_AUTH_CLIENTS,
        HL_CFG_TLS_PROTOCOLS,
        HL_CFG_TLS_CIPHERS,
        HL_CFG_TLS_CIPHERSUITES,
        HL_CFG_TLS_PREFER_SERVER_CIPHERS,
        HL_CFG_TLS_SESSION_CACHING,
        HL_CFG_TLS_SESSION_CACHE_SIZE,
        HL_CFG_TLS_SESSION_CACHE_TIMEOUT,
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(tls); i++) {
        hl_config_on_change(server->config, tls[i], on_tls, server);
    }
    static const enum hl_cfg raft_tls[] = {
        HL_CFG_RAFT_TLS_CERT,
        HL_CFG_RAFT_TLS_KEY,
        HL_CFG_RAFT_TLS_CA,
    };
    for (size_t i = 0; i < HL_ARRAY_LEN(raft_tls); i++) {
        hl_config_on_change(server->config, raft_tls[i], on_raft_tls, server);
    }
    hl_config_on_change(server->config, HL_CFG_PORT, on_listen, server);
    hl_config_on_change(server->config, HL_CFG_TLS_PORT, on_listen, server);
    hl_config_on_change(server->config, HL_CFG_BIND, on_listen, server);
    hl_config_on_resetstat(server->config, on_resetstat, server);
    apply_keyspace(server->node, server->config);
}
