/* INFO's sections, one function each, in the order and with the names of Redis 7.0. */
#include "server/info.h"

#include "kit/assert.h"
#include "node/observe.h"
#include "server/config.h"
#include "server/memory.h"
#include "server/saver.h"
#include "server/supervise.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

static const char *const supervisor_words[] = {"no", "systemd", "upstart"};

typedef void section_fn(struct hl_server *server, struct hl_buf *out);

/* "2.30M", as Redis prints sizes for people. */
static void human(char out[32], size_t bytes)
{
    static const char units[] = "BKMGTP";
    double v = (double)bytes;
    int unit = 0;
    while (v >= 1024 && unit < 5) {
        v /= 1024;
        unit++;
    }
    (void)snprintf(out, 32, unit == 0 ? "%.0f%c" : "%.2f%c", v, units[unit]);
}

static void size_pair(struct hl_buf *out, const char *name, size_t bytes)
{
    char text[32];
    human(text, bytes);
    hl_buf_printf(out, "%s:%zu\r\n%s_human:%s\r\n", name, bytes, name, text);
}

static void server_section(struct hl_server *server, struct hl_buf *out)
{
    struct hl_node *node = server->node;
    struct utsname os;
    (void)uname(&os);
    char exe[512] = "";
    ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[len > 0 ? len : 0] = '\0';
    int64_t uptime_s = (node->now_us - server->started_us) / 1000000;
    const char *file = hl_config_file(server->config);
    hl_buf_printf(out,
                  "# Server\r\nredis_version:7.2.0\r\nserver_name:helios\r\nhelios_version:%s\r\n"
                  "redis_git_sha1:00000000\r\nredis_git_dirty:0\r\nredis_build_id:0\r\n"
                  "redis_mode:standalone\r\nos:%s %s %s\r\narch_bits:64\r\n"
                  "monotonic_clock:POSIX clock_gettime\r\nmultiplexing_api:epoll\r\n"
                  "atomicvar_api:c11-builtin\r\ngcc_version:%d.%d.%d\r\nprocess_id:%d\r\n",
                  HELIOS_VERSION, os.sysname, os.release, os.machine, __GNUC__, __GNUC_MINOR__,
                  __GNUC_PATCHLEVEL__, (int)getpid());
    hl_buf_printf(out,
                  "process_supervised:%s\r\nrun_id:%s\r\ntcp_port:%d\r\n"
                  "server_time_usec:%lld\r\nuptime_in_seconds:%lld\r\nuptime_in_days:%lld\r\n"
                  "hz:%d\r\nconfigured_hz:%d\r\nlru_clock:%u\r\nexecutable:%s\r\n"
                  "config_file:%s\r\nio_threads_active:0\r\n",
                  supervisor_words[hl_supervisor_of(server->config)], node->run_id,
                  server->options.port != 0 ? server->options.port : server->options.tls_port,
                  (long long)node->now_us, (long long)uptime_s, (long long)(uptime_s / 86400),
                  node->config.hz, (int)hl_config_int(server->config, HL_CFG_HZ),
                  node->ks.lru_clock, exe, file != NULL ? file : "");
}

static void clients_section(struct hl_server *server, struct hl_buf *out)
{
    hl_buf_printf(out,
                  "# Clients\r\nconnected_clients:%llu\r\ncluster_connections:0\r\n"
                  "maxclients:%d\r\nclient_recent_max_input_buffer:0\r\n"
                  "client_recent_max_output_buffer:0\r\nblocked_clients:%llu\r\n"
                  "tracking_clients:0\r\nclients_in_timeout_table:0\r\n",
                  (unsigned long long)server->node->session_count, server->options.maxclients,
                  (unsigned long long)server->node->blocked_count);
}

static void memory_section(struct hl_server *server, struct hl_buf *out)
{
    struct hl_node *node = server->node;
    size_t used = hl_memory_used();
    size_t rss = hl_memory_rss();
    size_t allocated = 0;
    size_t active = 0;
    size_t resident = 0;
    struct sysinfo machine;
    hl_memory_stats(&allocated, &active, &resident);
    (void)sysinfo(&machine);
    size_t peak = node->stats.peak_memory > used ? node->stats.peak_memory : used;
    size_t dataset = used > node->stats.startup_memory ? used - node->stats.startup_memory : 0;
    hl_buf_append_text(out, "# Memory\r\n");
    size_pair(out, "used_memory", used);
    size_pair(out, "used_memory_rss", rss);
    size_pair(out, "used_memory_peak", peak);
    hl_buf_printf(out,
                  "used_memory_peak_perc:%.2f%%\r\nused_memory_overhead:%zu\r\n"
                  "used_memory_startup:%zu\r\nused_memory_dataset:%zu\r\n"
                  "used_memory_dataset_perc:%.2f%%\r\nallocator_allocated:%zu\r\n"
                  "allocator_active:%zu\r\nallocator_resident:%zu\r\n",
                  100.0 * (double)used / (double)peak, used - dataset, node->stats.startup_memory,
                  dataset, 100.0 * (double)dataset / (double)used, allocated, active, resident);
    size_pair(out, "total_system_memory", (size_t)machine.totalram * machine.mem_unit);
    size_pair(out, "used_memory_lua", 0);
    size_pair(out, "used_memory_vm_total", 0); /* no scripts yet */
    size_pair(out, "used_memory_scripts", 0);
    size_pair(out, "maxmemory", node->config.maxmemory);
    struct hl_buf policy = {0};
    hl_config_format(server->config, HL_CFG_MAXMEMORY_POLICY, &policy);
    hl_buf_printf(out,
                  "used_memory_vm_eval:0\r\nused_memory_scripts_eval:0\r\n"
                  "used_memory_vm_functions:0\r\nused_memory_functions:0\r\n"
                  "number_of_cached_scripts:0\r\nnumber_of_functions:0\r\n"
                  "number_of_libraries:0\r\nmaxmemory_policy:%.*s\r\n"
                  "allocator_frag_ratio:%.2f\r\nallocator_frag_bytes:%zu\r\n"
                  "allocator_rss_ratio:%.2f\r\nallocator_rss_bytes:%lld\r\n",
                  (int)policy.len, policy.ptr,
                  allocated != 0 ? (double)active / (double)allocated : 0,
                  active > allocated ? active - allocated : 0,
                  active != 0 ? (double)resident / (double)active : 0,
                  (long long)resident - (long long)active);
    hl_buf_fini(&policy);
    hl_buf_printf(out,
                  "rss_overhead_ratio:%.2f\r\nrss_overhead_bytes:%lld\r\n"
                  "mem_fragmentation_ratio:%.2f\r\nmem_fragmentation_bytes:%lld\r\n"
                  "mem_not_counted_for_evict:0\r\nmem_replication_backlog:0\r\n"
                  "mem_total_replication_buffers:0\r\nmem_clients_slaves:0\r\n"
                  "mem_clients_normal:0\r\nmem_cluster_links:0\r\nmem_aof_buffer:%zu\r\n"
                  "mem_allocator:%s\r\nactive_defrag_running:0\r\nlazyfree_pending_objects:0\r\n"
                  "lazyfreed_objects:0\r\n",
                  resident != 0 ? (double)rss / (double)resident : 0,
                  (long long)rss - (long long)resident, used != 0 ? (double)rss / (double)used : 0,
                  (long long)rss - (long long)used,
                  node->wal != NULL ? hl_wal_pending_size(node->wal) : 0, hl_memory_allocator());
}

static void persistence_section(struct hl_server *server, struct hl_buf *out)
{
    struct hl_node *node = server->node;
    struct hl_stats *s = &node->stats;
    int64_t running_ms = hl_saver_running_ms(server->saver);
    hl_buf_printf(out,
                  "# Persistence\r\nloading:%d\r\nasync_loading:0\r\ncurrent_cow_peak:0\r\n"
                  "current_cow_size:0\r\ncurrent_cow_size_age:0\r\ncurrent_fork_perc:0.00\r\n"
                  "current_save_keys_processed:0\r\ncurrent_save_keys_total:0\r\n"
                  "rdb_changes_since_last_save:%llu\r\nrdb_bgsave_in_progress:%d\r\n"
                  "rdb_last_save_time:%lld\r\nrdb_last_bgsave_status:%s\r\n"
                  "rdb_last_bgsave_time_sec:%lld\r\nrdb_current_bgsave_time_sec:%lld\r\n",
                  node->loading, (unsigned long long)s->changes_since_save, running_ms >= 0,
                  (long long)s->last_save_s, s->last_save_ok ? "ok" : "err",
                  s->snapshots_saved != 0 ? (long long)s->last_save_took_s : -1LL,
                  running_ms >= 0 ? (long long)(running_ms / 1000) : -1LL);
    hl_buf_printf(out,
                  "rdb_saves:%llu\r\nrdb_last_cow_size:0\r\nrdb_last_load_keys_expired:0\r\n"
                  "rdb_last_load_keys_loaded:0\r\naof_enabled:%d\r\naof_rewrite_in_progress:0\r\n"
                  "aof_rewrite_scheduled:0\r\naof_last_rewrite_time_sec:-1\r\n"
                  "aof_current_rewrite_time_sec:-1\r\naof_last_bgrewrite_status:ok\r\n"
                  "aof_rewrites:0\r\naof_rewrites_consecutive_failures:0\r\n"
                  "aof_last_write_status:%s\r\naof_last_cow_size:0\r\n"
                  "module_fork_in_progress:0\r\nmodule_fork_last_cow_size:0\r\n",
                  (unsigned long long)s->snapshots_saved, node->wal != NULL,
                  node->log_state == HL_LOG_GOOD ? "ok" : "err");
    if (node->loading) {
        hl_buf_printf(out,
                      "loading_start_time:%lld\r\nloading_total_bytes:%llu\r\n"
                      "loading_loaded_bytes:%llu\r\n",
                      (long long)(server->started_us / 1000000),
                      (unsigned long long)node->load_total, (unsigned long long)node->load_done);
    }
    if (node->wal != NULL) {
        hl_buf_printf(out,
                      "log_first_index:%llu\r\nlog_last_index:%llu\r\nlog_durable_index:%llu\r\n"
                      "log_commit_index:%llu\r\nlog_snapshot_index:%llu\r\nlog_size:%llu\r\n"
                      "log_size_on_disk:%llu\r\nlog_entries:%llu\r\nlog_batches:%llu\r\n",
                      (unsigned long long)hl_wal_first(node->wal), (unsigned long long)node->last,
                      (unsigned long long)hl_wal_durable(node->wal),
                      (unsigned long long)node->commit, (unsigned long long)node->snapshot_index,
                      (unsigned long long)hl_wal_size_used(node->wal),
                      (unsigned long long)hl_wal_size_on_disk(node->wal),
                      (unsigned long long)s->entries, (unsigned long long)s->batches);
    }
}

static uint64_t mean(const uint64_t *samples, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += samples[i];
    }
    return sum / count;
}

static void stats_section(struct hl_server *server, struct hl_buf *out)
{
    struct hl_node *node = server->node;
    struct hl_stats *s = &node->stats;
    hl_buf_printf(out,
                  "# Stats\r\ntotal_connections_received:%llu\r\n"
                  "total_commands_processed:%llu\r\ninstantaneous_ops_per_sec:%llu\r\n"
                  "total_net_input_bytes:%llu\r\ntotal_net_output_bytes:%llu\r\n"
                  "total_net_repl_input_bytes:0\r\ntotal_net_repl_output_bytes:0\r\n"
                  "instantaneous_input_kbps:%.2f\r\ninstantaneous_output_kbps:%.2f\r\n"
                  "instantaneous_input_repl_kbps:0.00\r\ninstantaneous_output_repl_kbps:0.00\r\n"
                  "rejected_connections:%llu\r\nsync_full:0\r\nsync_partial_ok:0\r\n"
                  "sync_partial_err:0\r\nexpired_keys:%llu\r\nexpired_stale_perc:%llu.00\r\n",
                  (unsigned long long)s->connections, (unsigned long long)s->commands,
                  (unsigned long long)mean(s->ops_samples, HL_ARRAY_LEN(s->ops_samples)),
                  (unsigned long long)s->net_in, (unsigned long long)s->net_out,
                  (double)mean(s->in_samples, HL_ARRAY_LEN(s->in_samples)) / 1024,
                  (double)mean(s->out_samples, HL_ARRAY_LEN(s->out_samples)) / 1024,
                  (unsigned long long)s->rejected_connections, (unsigned long long)node->ks.expired,
                  (unsigned long long)s->expire_stale_percent);
    hl_buf_printf(out,
                  "expired_time_cap_reached_count:%llu\r\nexpire_cycle_cpu_milliseconds:%llu\r\n"
                  "evicted_keys:%llu\r\nevicted_clients:0\r\ntotal_eviction_exceeded_time:0\r\n"
                  "current_eviction_exceeded_time:0\r\nkeyspace_hits:%llu\r\n"
                  "keyspace_misses:%llu\r\npubsub_channels:0\r\npubsub_patterns:0\r\n"
                  "pubsubshard_channels:0\r\nlatest_fork_usec:%lld\r\ntotal_forks:%llu\r\n"
                  "migrate_cached_sockets:0\r\nslave_expires_tracked_keys:0\r\n"
                  "active_defrag_hits:0\r\nactive_defrag_misses:0\r\nactive_defrag_key_hits:0\r\n"
                  "active_defrag_key_misses:0\r\ntotal_active_defrag_time:0\r\n"
                  "current_active_defrag_time:0\r\n",
                  (unsigned long long)s->expire_cap_reached,
                  (unsigned long long)(s->expire_cycle_us / 1000),
                  (unsigned long long)s->evicted_keys, (unsigned long long)node->ks.hits,
                  (unsigned long long)node->ks.misses, (long long)s->last_fork_us,
                  (unsigned long long)s->forks);
    hl_buf_printf(out,
                  "tracking_total_keys:0\r\ntracking_total_items:0\r\n"
                  "tracking_total_prefixes:0\r\nunexpected_error_replies:0\r\n"
                  "total_error_replies:%llu\r\ndump_payload_sanitizations:0\r\n"
                  "total_reads_processed:%llu\r\ntotal_writes_processed:%llu\r\n"
                  "io_threaded_reads_processed:0\r\nio_threaded_writes_processed:0\r\n"
                  "reply_buffer_shrinks:0\r\nreply_buffer_expands:0\r\n",
                  (unsigned long long)s->error_replies, (unsigned long long)s->reads_processed,
                  (unsigned long long)s->writes_processed);
}

static void replication_section(struct hl_server *server, struct hl_buf *out)
{
    hl_buf_printf(out,
                  "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n"
                  "master_failover_state:no-failover\r\nmaster_replid:%s\r\n"
                  "master_replid2:0000000000000000000000000000000000000000\r\n"
                  "master_repl_offset:%llu\r\nsecond_repl_offset:-1\r\nrepl_backlog_active:0\r\n"
                  "repl_backlog_size:0\r\nrepl_backlog_first_byte_offset:0\r\n"
                  "repl_backlog_histlen:0\r\n",
                  server->node->run_id, (unsigned long long)server->node->last);
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void cpu_section(struct hl_server *server, struct hl_buf *out)
{
    (void)server;
    struct rusage self;
    struct rusage children;
    struct rusage thread;
    (void)getrusage(RUSAGE_SELF, &self);
    (void)getrusage(RUSAGE_CHILDREN, &children);
    (void)getrusage(RUSAGE_THREAD, &thread);
    hl_buf_printf(out,
                  "# CPU\r\nused_cpu_sys:%.6f\r\nused_cpu_user:%.6f\r\n"
                  "used_cpu_sys_children:%.6f\r\nused_cpu_user_children:%.6f\r\n"
                  "used_cpu_sys_main_thread:%.6f\r\nused_cpu_user_main_thread:%.6f\r\n",
                  seconds(self.ru_stime), seconds(self.ru_utime), seconds(children.ru_stime),
                  seconds(children.ru_utime), seconds(thread.ru_stime), seconds(thread.ru_utime));
}

static void modules_section(struct hl_server *server, struct hl_buf *out)
{
    hl_buf_append_text(out, "# Modules\r\n");
    if (server->node->hooks.info_modules != NULL) {
        server->node->hooks.info_modules(server->node->hooks.ctx, NULL, out);
    }
}

static void commandstats_section(struct hl_server *server, struct hl_buf *out)
{
    hl_buf_append_text(out, "# Commandstats\r\n");
    const struct hl_command_table *table = server->node->commands;
    for (uint32_t id = 0; id < hl_command_id_end(table); id++) {
        const struct hl_command *cmd = hl_command_by_id(table, id);
        if (cmd == NULL || (cmd->calls == 0 && cmd->rejected == 0 && cmd->failed == 0)) {
            continue;
        }
        hl_buf_printf(out,
                      "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,"
                      "failed_calls=%llu\r\n",
                      cmd->row->name, (unsigned long long)cmd->calls, (unsigned long long)cmd->usec,
                      cmd->calls != 0 ? (double)cmd->usec / (double)cmd->calls : 0,
                      (unsigned long long)cmd->rejected, (unsigned long long)cmd->failed);
    }
}

static void errorstats_section(struct hl_server *server, struct hl_buf *out)
{
    const struct hl_error_counts *errors = server->node->errors;
    hl_buf_append_text(out, "# Errorstats\r\n");
    for (uint32_t i = 0; i < errors->count; i++) {
        hl_buf_printf(out, "errorstat_%s:count=%llu\r\n", errors->items[i].code,
                      (unsigned long long)errors->items[i].seen);
    }
}

/* Those that latency-tracking-info-percentiles names: "p50=1.003,p99.9=…". */
static void percentiles_of(const struct hl_config *cfg, const struct hl_histogram *histogram,
                           struct hl_buf *out)
{
    struct hl_slice rest =
        hl_slice_of(hl_config_text(cfg, HL_CFG_LATENCY_TRACKING_INFO_PERCENTILES));
    struct hl_slice word;
    const char *comma = "";
    while (hl_config_next_word(&rest, &word)) {
        char text[32];
        (void)snprintf(text, sizeof text, "%.*s", (int)word.len, word.ptr);
        hl_buf_printf(out, "%sp%s=%.3f", comma, text,
                      hl_histogram_percentile(histogram, strtod(text, NULL)));
        comma = ",";
    }
    hl_buf_append_text(out, "\r\n");
}

static void latencystats_section(struct hl_server *server, struct hl_buf *out)
{
    hl_buf_append_text(out, "# Latencystats\r\n");
    const struct hl_command_table *table = server->node->commands;
    for (uint32_t id = 0; id < hl_command_id_end(table); id++) {
        const struct hl_command *cmd = hl_command_by_id(table, id);
        if (cmd == NULL || cmd->histogram == NULL || cmd->calls == 0) {
            continue;
        }
        hl_buf_printf(out, "latency_percentiles_usec_%s:", cmd->row->name);
        percentiles_of(server->config, cmd->histogram, out);
    }
}

static void cluster_section(struct hl_server *server, struct hl_buf *out)
{
    hl_buf_printf(out, "# Cluster\r\ncluster_enabled:%d\r\n", hl_node_is_cluster(server->node));
}

static void keyspace_section(struct hl_server *server, struct hl_buf *out)
{
    hl_buf_append_text(out, "# Keyspace\r\n");
    for (int i = 0; i < server->node->ks.db_count; i++) {
        const struct hl_db *db = hl_ks_db(&server->node->ks, i);
        if (hl_db_count(db) != 0) {
            hl_buf_printf(out, "db%d:keys=%zu,expires=%zu,avg_ttl=0\r\n", i, hl_db_count(db),
                          hl_db_expires_count(db));
        }
    }
}

static const struct {
    const char *name;
    section_fn *write;
    bool by_default, in_all;
} sections[] = {
    {"server", server_section, true, true},
    {"clients", clients_section, true, true},
    {"memory", memory_section, true, true},
    {"persistence", persistence_section, true, true},
    {"stats", stats_section, true, true},
    {"replication", replication_section, true, true},
    {"raft", hl_info_raft, true, true},
    {"cpu", cpu_section, true, true},
    {"modules", modules_section, true, false},
    {"commandstats", commandstats_section, false, true},
    {"errorstats", errorstats_section, true, true},
    {"latencystats", latencystats_section, false, true},
    {"cluster", cluster_section, true, true},
    {"keyspace", keyspace_section, true, true},
};

static bool wanted(size_t section, const struct hl_slice *words, size_t count)
{
    if (count == 0) {
        return sections[section].by_default;
    }
    for (size_t i = 0; i < count; i++) {
        if (hl_slice_is(words[i], sections[section].name) || hl_slice_is(words[i], "everything") ||
            (hl_slice_is(words[i], "all") && sections[section].in_all) ||
            (hl_slice_is(words[i], "default") && sections[section].by_default)) {
            return true;
        }
    }
    return false;
}

static bool wants_modules(const struct hl_slice *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (hl_slice_is(words[i], "everything") || hl_slice_is(words[i], "modules")) {
            return true;
        }
    }
    return false;
}

void hl_info_write(struct hl_server *server, const struct hl_slice *words, size_t count,
                   struct hl_buf *out)
{
    for (size_t i = 0; i < HL_ARRAY_LEN(sections); i++) {
        if (wanted(i, words, count)) {
            if (out->len != 0) {
                hl_buf_append_text(out, "\r\n");
            }
            sections[i].write(server, out);
        }
    }
    const struct hl_node_hooks *hooks = &server->node->hooks;
    if (hooks->info == NULL) {
        return;
    }
    if (wants_modules(words, count)) {
        hooks->info(hooks->ctx, NULL, out);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        hooks->info(hooks->ctx, &words[i], out);
    }
}
