#include "server/report.h"

#include "kit/num.h"
#include "server/cluster.h"
#include "server/disk_posix.h"
#include "wal/snapname.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define UNHEALTHY_ERRORS 3  /* in a row: a member that is connected is unhealthy all the same */
#define SESSIONS_SHOWN 10   /* session ids, when there are no more */
#define SNAPSHOTS_LISTED 16 /* files looked at, beyond which only their number is told */
#define SNAPSHOTS_KEPT 1    /* published snapshots: the older go when a newer is in place */

/* --- fields ----------------------------------------------------------------------------------- */

struct hl_report hl_report_begin(struct hl_writer *out)
{
    return (struct hl_report){.out = out, .mark = hl_write_begin(out)};
}

void hl_report_end(struct hl_report *report)
{
    hl_write_end(report->out, report->mark, HL_MAP, report->fields);
}

static void name_field(struct hl_report *report, const char *name)
{
    report->fields++;
    hl_write_bulk_text(report->out, name);
}

struct hl_report hl_report_map(struct hl_report *parent, const char *name)
{
    name_field(parent, name);
    return hl_report_begin(parent->out);
}

void hl_report_int(struct hl_report *report, const char *name, int64_t value)
{
    name_field(report, name);
    hl_write_int(report->out, value);
}

void hl_report_bool(struct hl_report *report, const char *name, bool value)
{
    name_field(report, name);
    hl_write_bool(report->out, value);
}

void hl_report_text(struct hl_report *report, const char *name, const char *value)
{
    name_field(report, name);
    hl_write_bulk_text(report->out, value);
}

void hl_report_double(struct hl_report *report, const char *name, double value)
{
    name_field(report, name);
    hl_write_double(report->out, round(value * 1000) / 1000);
}

static void format_duration(uint64_t ms, char *out, size_t size)
{
    uint64_t s = ms / 1000;
    if (ms < 1000) {
        (void)snprintf(out, size, "%llums", (unsigned long long)ms);
    } else if (s < 60) {
        (void)snprintf(out, size, "%llu.%03us", (unsigned long long)s, (unsigned)(ms % 1000));
    } else if (s < 3600) {
        (void)snprintf(out, size, "%llum%llus", (unsigned long long)(s / 60),
                       (unsigned long long)(s % 60));
    } else {
        (void)snprintf(out, size, "%lluh%llum%llus", (unsigned long long)(s / 3600),
                       (unsigned long long)(s / 60 % 60), (unsigned long long)(s % 60));
    }
}

void hl_report_duration(struct hl_report *report, const char *name, uint64_t ms)
{
    char field[64];
    char text[48];
    (void)snprintf(field, sizeof field, "%s_ms", name);
    hl_report_int(report, field, (int64_t)ms);
    format_duration(ms, text, sizeof text);
    (void)snprintf(field, sizeof field, "%s_str", name);
    hl_report_text(report, field, text);
}

/* --- members ---------------------------------------------------------------------------------- */

bool hl_report_reachable(struct hl_server *server, hl_peer id)
{
    return hl_cluster_reaches(server, id, HL_PEER_RAFT);
}

bool hl_report_healthy(struct hl_server *server, hl_peer id)
{
    const struct hl_rpc_peer *peer = hl_rpc_peer(&server->node->rpc, id);
    return peer != NULL && hl_report_reachable(server, id) &&
           peer->consecutive_errors < UNHEALTHY_ERRORS;
}

struct hl_report_health hl_report_health(struct hl_server *server)
{
    const struct hl_rpc_stats *rpc = &server->node->rpc;
    struct hl_report_health out = {0};
    double sum_ms = 0;
    for (uint32_t i = 0; i < rpc->count; i++) {
        const struct hl_rpc_peer *peer = rpc->peers[i];
        struct hl_rpc_summary all = hl_rpc_summarize(&peer->series[HL_RPC_AGGREGATED]);
        bool healthy = hl_report_healthy(server, peer->id);
        out.healthy += healthy;
        out.unhealthy += !healthy;
        out.count += all.count;
        out.errors += all.errors;
        sum_ms += all.avg_ms * (double)all.count;
        out.max_ms = all.max_ms > out.max_ms ? all.max_ms : out.max_ms;
    }
    out.avg_ms = out.count == 0 ? 0 : sum_ms / (double)out.count;
    return out;
}

static double error_rate(uint64_t errors, uint64_t count)
{
    uint64_t calls = errors + count;
    return calls == 0 ? 0 : (double)errors / (double)calls;
}

static void write_contact(struct hl_server *server, hl_peer id, struct hl_report *report)
{
    const struct hl_rpc_peer *peer = hl_rpc_peer(&server->node->rpc, id);
    hl_report_int(report, "last_contact_unix", peer == NULL ? 0 : peer->contact_ms / 1000);
    hl_report_bool(report, "reachable", hl_report_reachable(server, id));
    hl_report_bool(report, "connection_healthy", hl_report_healthy(server, id));
    hl_report_int(report, "consecutive_errors",
                  peer == NULL ? 0 : (int64_t)peer->consecutive_errors);
}

static void write_series(const struct hl_rpc_summary *s, struct hl_report *report)
{
    hl_report_int(report, "count", (int64_t)s->count);
    hl_report_double(report, "last_value_ms", s->last_ms);
    hl_report_double(report, "min_value_ms", s->min_ms);
    hl_report_double(report, "max_value_ms", s->max_ms);
    hl_report_double(report, "avg_value_ms", s->avg_ms);
    hl_report_double(report, "p50_value_ms", s->p50_ms);
    hl_report_double(report, "p90_value_ms", s->p90_ms);
    hl_report_double(report, "p99_value_ms", s->p99_ms);
    hl_report_double(report, "std_dev_value_ms", s->std_dev_ms);
    hl_report_int(report, "error_count", (int64_t)s->errors);
    hl_report_int(report, "last_error_unix", s->last_error_ms / 1000);
}

void hl_report_latency(struct hl_server *server, const struct hl_member *member,
                       struct hl_writer *out)
{
    static const struct hl_rpc_series none;
    const struct hl_rpc_peer *peer = hl_rpc_peer(&server->node->rpc, member->id);
    struct hl_report report = hl_report_begin(out);
    hl_report_text(&report, "peer_id", member->name);
    hl_report_text(&report, "address", member->raft_addr);
    write_contact(server, member->id, &report);
    for (int kind = 0; kind < HL_RPC_KINDS; kind++) {
        struct hl_rpc_summary s = hl_rpc_summarize(peer == NULL ? &none : &peer->series[kind]);
        struct hl_report series = hl_report_map(&report, hl_rpc_name((enum hl_rpc)kind));
        write_series(&s, &series);
        hl_report_end(&series);
    }
    hl_report_end(&report);
}

/* --- uptime ----------------------------------------------------------------------------------- */

void hl_report_uptime(struct hl_server *server, struct hl_writer *out)
{
    struct hl_node *node = server->node;
    struct hl_uptime_figures f =
        hl_uptime_figures(&node->uptime, node->now_ms, node->world->mono_us(node->world->ctx));
    const struct hl_uptime_totals *t = &f.totals;
    struct hl_report r = hl_report_begin(out);
    hl_report_int(&r, "current_session_start_unix", f.start_ms / 1000);
    hl_report_duration(&r, "current_uptime", f.session_ms);
    hl_report_text(&r, "current_state", hl_office_name(node->uptime.office));
    hl_report_int(&r, "total_sessions", (int64_t)t->sessions);
    hl_report_duration(&r, "total_uptime", t->up_ms);
    hl_report_duration(&r, "total_downtime", t->down_ms);
    hl_report_duration(&r, "longest_session", t->longest_ms);
    hl_report_duration(&r, "shortest_session", t->shortest_ms);
    hl_report_duration(&r, "average_session", f.average_ms);
    hl_report_double(&r, "uptime_percentage_24h", f.percent_24h);
    hl_report_double(&r, "uptime_percentage_7d", f.percent_7d);
    hl_report_double(&r, "uptime_percentage_30d", f.percent_30d);
    hl_report_double(&r, "uptime_percentage_all", f.percent_all);
    hl_report_duration(&r, "leader_time", t->office_ms[HL_OFFICE_LEADER]);
    hl_report_duration(&r, "follower_time", t->office_ms[HL_OFFICE_FOLLOWER]);
    hl_report_duration(&r, "candidate_time", t->office_ms[HL_OFFICE_CANDIDATE]);
    hl_report_double(&r, "leadership_ratio", f.leadership_ratio);
    hl_report_int(&r, "elections", (int64_t)t->elections);
    hl_report_int(&r, "terms_as_leader", (int64_t)t->terms_as_leader);
    hl_report_int(&r, "restarts", (int64_t)f.restarts);
    hl_report_int(&r, "crashes", (int64_t)t->crashes);
    hl_report_int(&r, "last_restart_unix", (int64_t)(t->last_restart_ms / 1000));
    hl_report_int(&r, "last_crash_unix", (int64_t)(t->last_crash_ms / 1000));
    hl_report_duration(&r, "mtbf", f.mtbf_ms);
    hl_report_end(&r);
}

/* --- snapshots -------------------------------------------------------------------------------- */

struct listing {
    const char *dir;
    struct hl_report_snapshot *out;
    size_t max, held, count;
};

/* Keep the newest of those seen, in order. */
static void on_name(void *arg, const char *name)
{
    struct listing *listing = arg;
    struct hl_report_snapshot found = {0};
    struct stat st;
    char path[4096];
    found.index = hl_snap_name_index(name);
    if (found.index == 0) {
        return;
    }
    int len = snprintf(path, sizeof path, "%s/%s", listing->dir, name);
    if (len < 0 || (size_t)len >= sizeof path || stat(path, &st) != 0) {
        return;
    }
    listing->count++;
    found.size = (uint64_t)st.st_size;
    found.at_s = st.st_mtim.tv_sec;
    size_t at = listing->held < listing->max ? listing->held++ : listing->max;
    for (; at > 0 && listing->out[at - 1].index < found.index; at--) {
        if (at < listing->max) {
            listing->out[at] = listing->out[at - 1];
        }
    }
    if (at < listing->max) {
        listing->out[at] = found;
    }
}

size_t hl_report_find_snapshots(struct hl_server *server, struct hl_report_snapshot *out,
                                size_t max)
{
    const struct hl_disk *disk = hl_disk_posix();
    struct listing listing = {.dir = server->options.dir, .out = out, .max = max};
    if (disk->list(disk->ctx, server->options.dir, on_name, &listing, NULL) != HL_OK) {
        return 0;
    }
    return listing.count;
}

static void write_latest(struct hl_server *server, struct hl_report *r)
{
    const struct hl_node *node = server->node;
    struct hl_report_snapshot found[SNAPSHOTS_LISTED] = {0};
    size_t count = hl_report_find_snapshots(server, found, SNAPSHOTS_LISTED);
    hl_report_bool(r, "has_snapshot", count != 0);
    if (count == 0) {
        hl_report_text(r, "message", "No snapshots available");
    } else {
        char id[64];
        int64_t age_ms = node->now_ms - found[0].at_s * 1000;
        bool current = found[0].index == node->snapshot_index;
        (void)snprintf(id, sizeof id, "%llu-%llu",
                       (unsigned long long)(current ? node->snapshot_term : 0),
                       (unsigned long long)found[0].index);
        hl_report_text(r, "latest_snapshot_id", id);
        hl_report_int(r, "latest_snapshot_index", (int64_t)found[0].index);
        hl_report_int(r, "latest_snapshot_term", current ? (int64_t)node->snapshot_term : 0);
        hl_report_int(r, "latest_snapshot_size_bytes", (int64_t)found[0].size);
        hl_report_int(r, "latest_snapshot_time_unix", found[0].at_s);
        hl_report_duration(r, "latest_snapshot_age", age_ms > 0 ? (uint64_t)age_ms : 0);
    }
    hl_report_int(r, "snapshots_on_disk", (int64_t)count);
}

void hl_report_snapshots(struct hl_server *server, struct hl_writer *out)
{
    const struct hl_node *node = server->node;
    const struct hl_snap_figures *f = &node->history.figures;
    struct hl_report r = hl_report_begin(out);
    write_latest(server, &r);
    hl_report_int(&r, "total_created", (int64_t)f->created);
    hl_report_int(&r, "total_received", (int64_t)f->received);
    hl_report_int(&r, "total_sent", (int64_t)f->sent);
    hl_report_int(&r, "total_restores", (int64_t)f->restored);
    hl_report_int(&r, "total_failed", (int64_t)f->failed);
    hl_report_int(&r, "total_bytes_written", (int64_t)f->bytes_written);
    hl_report_int(&r, "total_entries_compacted", (int64_t)f->compacted);
    double made = f->created == 0 ? 1 : (double)f->created;
    double read = f->restored == 0 ? 1 : (double)f->restored;
    hl_report_double(&r, "avg_creation_ms", (double)f->create_us / made / 1000);
    hl_report_double(&r, "max_creation_ms", (double)f->create_max_us / 1000);
    hl_report_double(&r, "last_creation_ms", (double)f->create_last_us / 1000);
    hl_report_double(&r, "avg_restore_ms", (double)f->restore_us / read / 1000);
    hl_report_double(&r, "last_restore_ms", (double)f->restore_last_us / 1000);
    hl_report_int(&r, "snapshot_interval_ms", node->config.snapshot_interval_ms);
    hl_report_int(&r, "snapshot_threshold",
                  server->cluster != NULL
                      ? hl_config_int(server->config, HL_CFG_RAFT_SNAPSHOT_THRESHOLD)
                      : node->config.snapshot_interval_cmds);
    hl_report_int(&r, "retention_count", SNAPSHOTS_KEPT);
    hl_report_end(&r);
}

/* --- the whole -------------------------------------------------------------------------------- */

static void write_status_latency(struct hl_server *server, hl_peer id, struct hl_report *parent)
{
    static const struct hl_rpc_series none;
    const struct hl_rpc_peer *peer = hl_rpc_peer(&server->node->rpc, id);
    struct hl_rpc_summary s =
        hl_rpc_summarize(peer == NULL ? &none : &peer->series[HL_RPC_AGGREGATED]);
    struct hl_report r = hl_report_map(parent, "latency");
    hl_report_double(&r, "avg_latency_ms", s.avg_ms);
    hl_report_double(&r, "min_latency_ms", s.min_ms);
    hl_report_double(&r, "max_latency_ms", s.max_ms);
    hl_report_double(&r, "p50_latency_ms", s.p50_ms);
    hl_report_double(&r, "p90_latency_ms", s.p90_ms);
    hl_report_double(&r, "p99_latency_ms", s.p99_ms);
    hl_report_double(&r, "last_latency_ms", s.last_ms);
    hl_report_int(&r, "sample_count", (int64_t)s.count);
    hl_report_int(&r, "error_count", (int64_t)s.errors);
    hl_report_double(&r, "error_rate", error_rate(s.errors, s.count));
    write_contact(server, id, &r);
    hl_report_end(&r);
}

static void write_peers(struct hl_server *server, struct hl_report *parent)
{
    const struct hl_node *node = server->node;
    const struct hl_members *members = hl_node_members(node);
    struct hl_writer *out = parent->out;
    size_t others = 0;
    hl_write_bulk_text(out, "peers");
    parent->fields++;
    struct hl_write_mark mark = hl_write_begin(out);
    for (uint32_t i = 0; i < members->count; i++) {
        const struct hl_member *m = &members->at[i];
        struct hl_raft_peer_status status;
        if (m->id == node->node_id) {
            continue;
        }
        others++;
        struct hl_report r = hl_report_begin(out);
        hl_report_text(&r, "id", m->name);
        hl_report_text(&r, "address", m->raft_addr);
        hl_report_text(&r, "client_address", m->client_addr);
        hl_report_bool(&r, "voter", m->voter);
        if (node->cluster.live && hl_raft_peer_status(&node->raft, m->id, &status)) {
            hl_report_int(&r, "match_index", (int64_t)status.match);
            hl_report_int(&r, "next_index", (int64_t)status.next);
            hl_report_int(&r, "lag", (int64_t)(hl_raft_last(&node->raft) - status.match));
        }
        write_status_latency(server, m->id, &r);
        hl_report_end(&r);
    }
    hl_write_end(out, mark, HL_ARRAY, others);
}

static void write_indices(const struct hl_node *node, struct hl_report *parent)
{
    hl_term last_term = 0;
    hl_index last = node->cluster.live ? hl_raft_last(&node->raft) : node->last;
    if (node->cluster.live && !hl_raft_term_at(&node->raft, last, &last_term)) {
        last_term = 0;
    }
    struct hl_report r = hl_report_map(parent, "indices");
    hl_report_int(&r, "last_log", (int64_t)last);
    hl_report_int(&r, "last_log_term", (int64_t)last_term);
    hl_report_int(&r, "commit_index", (int64_t)node->commit);
    hl_report_int(&r, "applied_index", (int64_t)node->last);
    hl_report_end(&r);
}

static void write_sessions(const struct hl_node *node, struct hl_report *parent)
{
    struct hl_report r = hl_report_map(parent, "sessions");
    hl_report_int(&r, "active_count", (int64_t)node->once.count);
    if (node->once.count <= SESSIONS_SHOWN) {
        hl_write_bulk_text(r.out, "session_ids");
        r.fields++;
        hl_write_array(r.out, node->once.count);
        HL_LIST_EACH(it, &node->once.used)
        {
            const struct hl_once *once = HL_LIST_ENTRY(it, struct hl_once, used);
            hl_write_bulk(r.out, (struct hl_slice){.ptr = once->id, .len = once->id_len});
        }
    }
    hl_report_end(&r);
}

static void write_who(struct hl_server *server, struct hl_report *parent)
{
    struct hl_node *node = server->node;
    bool cluster = server->cluster != NULL;
    const struct hl_member *leader = node->cluster.live ? hl_node_leader(node) : NULL;
    const struct hl_member *self = hl_members_find(hl_node_members(node), node->node_id);
    struct hl_report r = hl_report_map(parent, "node");
    hl_report_text(&r, "id", hl_config_text(server->config, HL_CFG_RAFT_NODE_ID));
    hl_report_text(&r, "address", cluster && self != NULL ? self->raft_addr : "");
    hl_report_bool(&r, "voter", self != NULL && self->voter);
    hl_report_text(&r, "state", node->loading ? "Loading" : hl_office_name(node->uptime.office));
    hl_report_int(&r, "term", (int64_t)node->cluster.term);
    hl_report_bool(&r, "raft_enabled", cluster);
    hl_report_end(&r);
    r = hl_report_map(parent, "leader");
    hl_report_text(&r, "id", leader != NULL ? leader->name : "");
    hl_report_text(&r, "address", leader != NULL ? leader->raft_addr : "");
    hl_report_text(&r, "client_address", leader != NULL ? leader->client_addr : "");
    hl_report_bool(&r, "is_leader", hl_node_leads(node));
    hl_report_end(&r);
}

void hl_report_status(struct hl_server *server, struct hl_writer *out)
{
    struct hl_node *node = server->node;
    struct hl_report status = hl_report_begin(out);
    write_who(server, &status);
    write_indices(node, &status);
    write_peers(server, &status);
    write_sessions(node, &status);
    struct hl_report r = hl_report_map(&status, "tls");
    bool tls = hl_config_bool(server->config, HL_CFG_RAFT_TLS_ENABLED);
    hl_report_bool(&r, "enabled", tls);
    hl_report_bool(&r, "verify_peer",
                   tls && hl_config_bool(server->config, HL_CFG_RAFT_TLS_VERIFY_PEER));
    hl_report_end(&r);
    char text[48];
    struct hl_uptime_figures f =
        hl_uptime_figures(&node->uptime, node->now_ms, node->world->mono_us(node->world->ctx));
    format_duration(f.session_ms, text, sizeof text);
    hl_report_text(&status, "uptime", text);
    hl_write_bulk_text(out, "uptime_stats");
    hl_report_uptime(server, out);
    status.fields++;
    struct hl_report_health health = hl_report_health(server);
    r = hl_report_map(&status, "cluster_health");
    hl_report_int(&r, "healthy_peers", health.healthy);
    hl_report_int(&r, "unhealthy_peers", health.unhealthy);
    hl_report_int(&r, "total_peers", health.healthy + health.unhealthy);
    hl_report_double(&r, "avg_cluster_latency_ms", health.avg_ms);
    hl_report_double(&r, "max_cluster_latency_ms", health.max_ms);
    hl_report_double(&r, "cluster_error_rate", error_rate(health.errors, health.count));
    hl_report_end(&r);
    hl_write_bulk_text(out, "snapshot");
    hl_report_snapshots(server, out);
    status.fields++;
    hl_report_end(&status);
}
