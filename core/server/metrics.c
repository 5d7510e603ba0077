#include "server/metrics.h"

#include "base/metrics.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/observe.h"
#include "server/memory.h"
#include "server/saver.h"

#include <stdio.h>
#include <sys/resource.h>

#define COMMANDS_PER_STEP 64
#define COMMAND_SERIES_MAX 1024

/* Seconds.  A command takes microseconds, a sync up to seconds, a snapshot minutes. */
static const double command_bounds[] = {0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005,
                                        0.001,   0.0025,   0.005,   0.01,   0.025,   0.05,
                                        0.1,     0.25,     0.5,     1,      2.5};
static const double disk_bounds[] = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                     0.025,   0.05,   0.1,     0.25,   0.5,   1,      2.5,   5};
static const double snapshot_bounds[] = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,  2.5,
                                         5,    10,    30,   60,  120,  300, 600};

#define COMMAND_BUCKETS (HL_ARRAY_LEN(command_bounds) + 1)

/* A number that is copied when metrics are read. */
typedef double value_fn(const struct hl_server *server);

struct hl_measures {
    struct hl_server *server;
    struct hl_metric *log_bytes, *log_entries, *snapshot_seconds;
    struct hl_metric **copied; /* of rows[] */
    struct hl_metric_family *db_keys, *db_expiring, *errors, *peer_lag;
    struct hl_metric_family *command_calls, *command_failures, *command_rejections, *command_time;
    uint64_t commands_seen;                       /* when counters were copied last */
    uint64_t command_epoch;                       /* of the table, when its series were made */
    uint8_t command_bucket[HL_HISTOGRAM_BUCKETS]; /* of command_bounds[], for one of the node's */
};

/* --- numbers that are kept elsewhere ---------------------------------------------------------- */

#define NODE_NUMBER(name, expression)                                                              \
    static double name(const struct hl_server *server)                                             \
    {                                                                                              \
        const struct hl_node *node = server->node;                                                 \
        return (double)(expression);                                                               \
    }

NODE_NUMBER(connections, node->stats.connections)
NODE_NUMBER(rejected_connections, node->stats.rejected_connections)
NODE_NUMBER(connected_clients, node->session_count)
NODE_NUMBER(blocked_clients, node->blocked_count)
NODE_NUMBER(net_in, node->stats.net_in)
NODE_NUMBER(net_out, node->stats.net_out)
NODE_NUMBER(commands, node->stats.commands)
NODE_NUMBER(error_replies, node->stats.error_replies)
NODE_NUMBER(keyspace_hits, node->ks.hits)
NODE_NUMBER(keyspace_misses, node->ks.misses)
NODE_NUMBER(expired_keys, node->ks.expired)
NODE_NUMBER(evicted_keys, node->stats.evicted_keys)
NODE_NUMBER(memory_limit, node->config.maxmemory)
NODE_NUMBER(log_batches, node->stats.batches)
NODE_NUMBER(log_last, node->last)
NODE_NUMBER(log_commit, node->commit)
NODE_NUMBER(log_durable, node->wal == NULL ? 0 : hl_wal_durable(node->wal))
NODE_NUMBER(log_size, node->wal == NULL ? 0 : hl_wal_size_used(node->wal))
NODE_NUMBER(log_broken, node->log_state != HL_LOG_GOOD)
NODE_NUMBER(loading, node->loading)
NODE_NUMBER(changes_unsaved, node->stats.changes_since_save)
NODE_NUMBER(snapshots_failed, node->stats.snapshots_failed)
NODE_NUMBER(raft_term, hl_raft_term(&node->raft))
NODE_NUMBER(raft_last, hl_raft_last(&node->raft))
NODE_NUMBER(raft_leads, node->cluster.leads)
NODE_NUMBER(raft_leader_changes, node->stats.leader_changes)
NODE_NUMBER(raft_members, hl_node_members(node)->count)

static double store_keys(const struct hl_server *server)
{
    size_t keys = 0;
    for (int i = 0; i < server->node->ks.db_count; i++) {
        keys += hl_db_count(hl_ks_db(&server->node->ks, i));
    }
    return (double)keys;
}

static double memory_used(const struct hl_server *server)
{
    (void)server;
    return (double)hl_memory_used();
}

static double memory_rss(const struct hl_server *server)
{
    (void)server;
    return (double)hl_memory_rss();
}

static double started_at(const struct hl_server *server)
{
    return (double)server->started_us / 1e6;
}

static double saving(const struct hl_server *server)
{
    return hl_saver_running_ms(server->saver) >= 0;
}

static double cpu_seconds(const struct hl_server *server)
{
    struct rusage self;
    (void)server;
    (void)getrusage(RUSAGE_SELF, &self);
    return (double)(self.ru_utime.tv_sec + self.ru_stime.tv_sec) +
           (double)(self.ru_utime.tv_usec + self.ru_stime.tv_usec) / 1e6;
}

#define COUNTER HL_METRIC_COUNTER
#define GAUGE HL_METRIC_GAUGE

static const struct row {
    const char *name, *help;
    enum hl_metric_kind kind;
    value_fn *value;
} rows[] = {
    {"atlas_store_keys", "Keys in all databases.", GAUGE, store_keys},
    {"helios_connections_total", "Connections that were accepted.", COUNTER, connections},
    {"helios_connections_rejected_total", "Connections that were refused: maxclients.", COUNTER,
     rejected_connections},
    {"helios_connected_clients", "Clients that are connected.", GAUGE, connected_clients},
    {"helios_blocked_clients", "Clients that wait in a blocking command.", GAUGE, blocked_clients},
    {"helios_network_receive_bytes_total", "Bytes received from clients.", COUNTER, net_in},
    {"helios_network_transmit_bytes_total", "Bytes sent to clients.", COUNTER, net_out},
    {"helios_commands_processed_total", "Commands that were executed.", COUNTER, commands},
    {"helios_error_replies_total", "Replies that were errors.", COUNTER, error_replies},
    {"helios_keyspace_hits_total", "Look-ups that found a key.", COUNTER, keyspace_hits},
    {"helios_keyspace_misses_total", "Look-ups that found none.", COUNTER, keyspace_misses},
    {"helios_expired_keys_total", "Keys that expired.", COUNTER, expired_keys},
    {"helios_evicted_keys_total", "Keys evicted for want of memory.", COUNTER, evicted_keys},
    {"helios_memory_used_bytes", "Memory that the server allocated.", GAUGE, memory_used},
    {"helios_memory_limit_bytes", "The setting maxmemory; 0 is no limit.", GAUGE, memory_limit},
    {"helios_loading", "1 while data is being loaded.", GAUGE, loading},
    {"helios_snapshot_running", "1 while a snapshot is being written.", GAUGE, saving},
    {"helios_snapshot_failures_total", "Snapshots that failed.", COUNTER, snapshots_failed},
    {"helios_changes_since_snapshot", "Changes since the last snapshot.", GAUGE, changes_unsaved},
    {"helios_log_batches_total", "Batches of entries given to the log.", COUNTER, log_batches},
    {"helios_log_size_bytes", "Bytes of the log, from its first entry on.", GAUGE, log_size},
    {"helios_log_durable_index", "Newest entry that is durable on this node.", GAUGE, log_durable},
    {"helios_log_refuses_writes", "1 while the log takes no writes: disk full or broken.", GAUGE,
     log_broken},
    {"process_cpu_seconds_total", "Processor time of all threads.", COUNTER, cpu_seconds},
    {"process_resident_memory_bytes", "Memory of the process that is resident.", GAUGE, memory_rss},
    {"process_start_time_seconds", "When the process started, since 1970.", GAUGE, started_at},
    {"raft_term", "Current term.", GAUGE, raft_term},
    {"raft_commit_index", "Newest entry known to be committed.", GAUGE, log_commit},
    {"raft_applied_index", "Newest entry that the state holds.", GAUGE, log_last},
    {"raft_last_log_index", "Newest entry of the log.", GAUGE, raft_last},
    {"raft_is_leader", "1 while this node leads.", GAUGE, raft_leads},
    {"raft_leader_changes_total", "Times that this node learned of another leader.", COUNTER,
     raft_leader_changes},
    {"raft_members", "Members of the group, this node included.", GAUGE, raft_members},
};

static bool collect_rows(void *data, uint64_t *progress)
{
    const struct hl_measures *m = data;
    (void)progress;
    for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
        hl_metric_set(m->copied[i], rows[i].value(m->server));
    }
    return false;
}

/* --- databases, errors, peers ----------------------------------------------------------------- */

static void collect_databases(struct hl_measures *m)
{
    const struct hl_keyspace *ks = &m->server->node->ks;
    for (int i = 0; i < ks->db_count; i++) {
        const struct hl_db *db = hl_ks_db((struct hl_keyspace *)(uintptr_t)ks, i);
        char name[16];
        (void)snprintf(name, sizeof name, "%d", i);
        struct hl_slice value = hl_slice_of(name);
        if (hl_db_count(db) == 0) {
            hl_metric_forget(m->db_keys, &value);
            hl_metric_forget(m->db_expiring, &value);
            continue;
        }
        hl_metric_set(hl_metric_series(m->db_keys, &value), (double)hl_db_count(db));
        hl_metric_set(hl_metric_series(m->db_expiring, &value), (double)hl_db_expires_count(db));
    }
}

static void collect_errors(struct hl_measures *m)
{
    const struct hl_error_counts *errors = m->server->node->errors;
    for (uint32_t i = 0; i < errors->count; i++) {
        struct hl_slice code = hl_slice_of(errors->items[i].code);
        hl_metric_set(hl_metric_series(m->errors, &code), (double)errors->items[i].seen);
    }
}

/* How far the others are behind: a leader knows. */
static void collect_peers(struct hl_measures *m)
{
    struct hl_node *node = m->server->node;
    const struct hl_members *members = hl_node_members(node);
    hl_metric_forget_all(m->peer_lag);
    for (uint32_t i = 0; i < members->count; i++) {
        struct hl_raft_peer_status status;
        if (members->at[i].id != node->node_id &&
            hl_raft_peer_status(&node->raft, members->at[i].id, &status)) {
            struct hl_slice name = hl_slice_of(members->at[i].name);
            hl_metric_set(hl_metric_series(m->peer_lag, &name),
                          (double)(hl_raft_last(&node->raft) - status.match));
        }
    }
}

static bool collect_lists(void *data, uint64_t *progress)
{
    (void)progress;
    collect_databases(data);
    collect_errors(data);
    collect_peers(data);
    return false;
}

/* --- commands --------------------------------------------------------------------------------- */

/* Set the series of a family that counts something of the command, when it ever happened. */
static void set_count(struct hl_metric_family *family, struct hl_slice command, uint64_t count)
{
    if (count != 0) {
        hl_metric_set(hl_metric_series(family, &command), (double)count);
    }
}

static void collect_command(struct hl_measures *m, const struct hl_command *cmd)
{
    struct hl_slice name = hl_slice_of(cmd->row->name);
    set_count(m->command_calls, name, cmd->calls);
    set_count(m->command_failures, name, cmd->failed);
    set_count(m->command_rejections, name, cmd->rejected);
    const struct hl_histogram *histogram = cmd->histogram;
    if (histogram == NULL) {
        return;
    }
    uint64_t counts[COMMAND_BUCKETS] = {0};
    for (size_t i = 0; i < HL_HISTOGRAM_BUCKETS; i++) {
        counts[m->command_bucket[i]] += histogram->buckets[i];
    }
    hl_metric_set_histogram(hl_metric_series(m->command_time, &name), counts,
                            (double)cmd->usec / 1e6);
}

/* Commands came or went, or counters were set back: their series are made anew. */
static void begin_commands(struct hl_measures *m)
{
    const struct hl_node *node = m->server->node;
    uint64_t epoch = hl_command_table_epoch(node->commands);
    bool reset = node->stats.commands < m->commands_seen; /* CONFIG RESETSTAT */
    m->commands_seen = node->stats.commands;
    if (epoch == m->command_epoch && !reset) {
        return;
    }
    m->command_epoch = epoch;
    hl_metric_forget_all(m->errors);
    hl_metric_forget_all(m->command_calls);
    hl_metric_forget_all(m->command_failures);
    hl_metric_forget_all(m->command_rejections);
    hl_metric_forget_all(m->command_time);
}

static bool collect_commands(void *data, uint64_t *progress)
{
    struct hl_measures *m = data;
    const struct hl_command_table *table = m->server->node->commands;
    uint32_t end = hl_command_id_end(table);
    if (*progress == 0) {
        begin_commands(m);
    }
    for (int i = 0; i < COMMANDS_PER_STEP && *progress < end; i++) {
        const struct hl_command *cmd = hl_command_by_id(table, (uint32_t)(*progress)++);
        if (cmd != NULL) {
            collect_command(m, cmd);
        }
    }
    return *progress < end;
}

/* Which of our buckets a bucket of the node's histograms falls into. */
static void map_buckets(struct hl_measures *m)
{
    for (uint32_t i = 0; i < HL_HISTOGRAM_BUCKETS; i++) {
        uint8_t at = 0;
        while (at < HL_ARRAY_LEN(command_bounds) &&
               (double)hl_histogram_bound(i) / 1e6 > command_bounds[at] * (1 + 1e-9)) {
            at++;
        }
        m->command_bucket[i] = at;
    }
}

/* --- life ------------------------------------------------------------------------------------- */

/* Names are ours alone when the server starts: this cannot fail. */
static struct hl_metric_family *define(struct hl_server *server, const struct hl_metric_info *info)
{
    struct hl_metric_family *family = NULL;
    hl_err err = hl_metric_define(server->metrics, server, info, &family, NULL);
    HL_ASSERT(err == HL_OK);
    return family;
}

static struct hl_metric *plain(struct hl_server *server, const char *name, const char *help,
                               enum hl_metric_kind kind)
{
    struct hl_metric_info info = {.name = name, .help = help, .kind = kind};
    return hl_metric_series(define(server, &info), NULL);
}

static struct hl_metric *times(struct hl_server *server, const char *name, const char *help,
                               const double *bounds, size_t bound_count)
{
    struct hl_metric_info info = {.name = name,
                                  .help = help,
                                  .kind = HL_METRIC_HISTOGRAM,
                                  .bounds = bounds,
                                  .bound_count = bound_count};
    return hl_metric_series(define(server, &info), NULL);
}

static struct hl_metric_family *labelled(struct hl_server *server, const char *name,
                                         const char *help, enum hl_metric_kind kind,
                                         const char *label)
{
    struct hl_metric_info info = {.name = name,
                                  .help = help,
                                  .kind = kind,
                                  .labels = &label,
                                  .label_count = 1,
                                  .series_max = COMMAND_SERIES_MAX};
    if (kind == HL_METRIC_HISTOGRAM) {
        info.bounds = command_bounds;
        info.bound_count = HL_ARRAY_LEN(command_bounds);
    }
    return define(server, &info);
}

static void define_commands(struct hl_measures *m)
{
    struct hl_server *server = m->server;
    m->command_calls = labelled(server, "helios_commands_total", "Calls of a command.",
                                HL_METRIC_COUNTER, "command");
    m->command_failures =
        labelled(server, "helios_command_failures_total",
                 "Calls of a command that ended in an error.", HL_METRIC_COUNTER, "command");
    m->command_rejections = labelled(server, "helios_command_rejections_total",
                                     "Calls of a command that were refused before it ran.",
                                     HL_METRIC_COUNTER, "command");
    m->command_time =
        labelled(server, "helios_command_duration_seconds", "Time that a command took to execute.",
                 HL_METRIC_HISTOGRAM, "command");
}

static void define_log(struct hl_measures *m)
{
    struct hl_server *server = m->server;
    m->log_bytes =
        plain(server, "atlas_aof_bytes_total", "Bytes written to the log.", HL_METRIC_COUNTER);
    m->log_entries =
        plain(server, "helios_log_entries_total", "Entries written to the log.", HL_METRIC_COUNTER);
    m->snapshot_seconds = times(server, "atlas_snapshot_duration_seconds",
                                "Time from the start of a snapshot until it is in place.",
                                snapshot_bounds, HL_ARRAY_LEN(snapshot_bounds));
    server->sync_seconds = times(server, "helios_log_sync_duration_seconds",
                                 "Time that a sync of the log to the disk took.", disk_bounds,
                                 HL_ARRAY_LEN(disk_bounds));
    server->node->commit_seconds =
        times(server, "helios_commit_duration_seconds",
              "Time from the end of a batch's last command until it is committed; one batch at a "
              "time is watched.",
              disk_bounds, HL_ARRAY_LEN(disk_bounds));
}

static void define_build(struct hl_server *server)
{
    struct hl_slice version = hl_slice_of(HELIOS_VERSION);
    struct hl_metric_family *build = labelled(
        server, "helios_build_info", "1; the label is the version.", HL_METRIC_GAUGE, "version");
    hl_metric_set(hl_metric_series(build, &version), 1);
}

void hl_measures_create(struct hl_server *server)
{
    uint64_t seed[2];
    server->world.entropy(server->world.ctx, seed, sizeof seed);
    server->metrics = hl_metrics_create(seed);
    struct hl_measures *m = hl_calloc(1, sizeof *m);
    m->server = server;
    m->copied = hl_calloc(HL_ARRAY_LEN(rows), sizeof(struct hl_metric *));
    for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
        m->copied[i] = plain(server, rows[i].name, rows[i].help, rows[i].kind);
    }
    m->db_keys = labelled(server, "helios_db_keys", "Keys of a database.", HL_METRIC_GAUGE, "db");
    m->db_expiring = labelled(server, "helios_db_expiring_keys",
                              "Keys of a database that will expire.", HL_METRIC_GAUGE, "db");
    m->errors = labelled(server, "helios_errors_total", "Replies that were errors, by their code.",
                         HL_METRIC_COUNTER, "code");
    m->peer_lag =
        labelled(server, "raft_peer_lag_entries",
                 "Entries that a peer is behind, as its leader knows.", HL_METRIC_GAUGE, "peer_id");
    define_commands(m);
    define_log(m);
    define_build(server);
    map_buckets(m);
    server->measures = m;
    bool added = hl_metrics_add_collector(server->metrics, server, collect_commands, m) &&
                 hl_metrics_add_collector(server->metrics, server, collect_rows, m) &&
                 hl_metrics_add_collector(server->metrics, server, collect_lists, m);
    HL_ASSERT(added);
}

void hl_measures_destroy(struct hl_server *server)
{
    if (server->measures == NULL) {
        return;
    }
    hl_free(server->measures->copied);
    hl_free(server->measures);
    server->measures = NULL;
}

void hl_measure_batch(struct hl_server *server, const struct hl_wal_batch *batch)
{
    if (batch->again || server->measures == NULL) {
        return;
    }
    hl_metric_add(server->measures->log_bytes, (double)batch->size);
    if (batch->last != 0) {
        hl_metric_add(server->measures->log_entries, (double)(batch->last - batch->first + 1));
    }
}

void hl_measure_snapshot(struct hl_server *server, int64_t took_ms)
{
    if (server->measures != NULL) {
        hl_metric_observe(server->measures->snapshot_seconds, (double)took_ms / 1000);
    }
}
