#include "server/raft_metrics.h"

#include "base/metrics.h"
#include "kit/alloc.h"
#include "kit/assert.h"
#include "server/report.h"

/* Seconds: of an answer, and of a snapshot. */
static const double rpc_bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                    0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};
static const double snapshot_bounds[] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1,  2.5,
                                         5,     10,    30,   60,   120, 300, 600};

/* Numbers that the figures of the node hold. */
struct values {
    struct hl_uptime_figures up;
    struct hl_report_health health;
    struct hl_report_snapshot latest; /* index 0: there is none */
    size_t on_disk;
    int64_t now_ms;
    hl_term latest_term;
};

typedef double value_fn(const struct values *v);

#define VALUE(name, expression)                                                                    \
    static double name(const struct values *v)                                                     \
    {                                                                                              \
        return (double)(expression);                                                               \
    }

VALUE(healthy_peers, v->health.healthy)
VALUE(unhealthy_peers, v->health.unhealthy)
VALUE(uptime, (double)v->up.session_ms / 1000)
VALUE(total_uptime, (double)v->up.totals.up_ms / 1000)
VALUE(total_downtime, (double)v->up.totals.down_ms / 1000)
VALUE(sessions, v->up.totals.sessions)
VALUE(restarts, v->up.restarts)
VALUE(crashes, v->up.totals.crashes)
VALUE(leader_time, (double)v->up.totals.office_ms[HL_OFFICE_LEADER] / 1000)
VALUE(follower_time, (double)v->up.totals.office_ms[HL_OFFICE_FOLLOWER] / 1000)
VALUE(candidate_time, (double)v->up.totals.office_ms[HL_OFFICE_CANDIDATE] / 1000)
VALUE(elections, v->up.totals.elections)
VALUE(terms_as_leader, v->up.totals.terms_as_leader)
VALUE(mtbf, (double)v->up.mtbf_ms / 1000)
VALUE(leadership_ratio, v->up.leadership_ratio)
VALUE(snapshot_size, v->latest.size)
VALUE(snapshot_index, v->latest.index)
VALUE(snapshot_term, v->latest_term)
VALUE(snapshots_on_disk, v->on_disk)

static double snapshot_age(const struct values *v)
{
    double age = (double)v->now_ms / 1000 - (double)v->latest.at_s;
    return v->latest.index == 0 || age < 0 ? 0 : age;
}

#define COUNTER HL_METRIC_COUNTER
#define GAUGE HL_METRIC_GAUGE

static const struct row {
    const char *name, *help;
    enum hl_metric_kind kind;
    value_fn *value;
} rows[] = {
    {"raft_cluster_healthy_peers", "Other members that are connected and answer.", GAUGE,
     healthy_peers},
    {"raft_cluster_unhealthy_peers", "Other members that are not.", GAUGE, unhealthy_peers},
    {"raft_node_uptime_seconds", "Since this start.", GAUGE, uptime},
    {"raft_node_total_uptime_seconds", "Over all starts.", GAUGE, total_uptime},
    {"raft_node_total_downtime_seconds", "Between starts.", GAUGE, total_downtime},
    {"raft_node_sessions_total", "Starts, this one included.", COUNTER, sessions},
    {"raft_node_restarts_total", "Starts after the first.", COUNTER, restarts},
    {"raft_node_crashes_total", "Ends without an orderly stop.", COUNTER, crashes},
    {"raft_node_leader_time_seconds", "Time as the leader, over all starts.", GAUGE, leader_time},
    {"raft_node_follower_time_seconds", "Time as a follower.", GAUGE, follower_time},
    {"raft_node_candidate_time_seconds", "Time as a candidate.", GAUGE, candidate_time},
    {"raft_node_elections_total", "Elections that this node stood for.", COUNTER, elections},
    {"raft_node_terms_as_leader_total", "Terms in which this node led.", COUNTER, terms_as_leader},
    {"raft_node_mtbf_seconds", "Uptime for each crash; all of it before the first.", GAUGE, mtbf},
    {"raft_node_leadership_ratio", "Share of the time as the leader, 0 to 1.", GAUGE,
     leadership_ratio},
    {"raft_snapshot_size_bytes", "Size of the newest snapshot.", GAUGE, snapshot_size},
    {"raft_snapshot_index", "Entry that the newest snapshot ends with.", GAUGE, snapshot_index},
    {"raft_snapshot_term", "Its term; 0 when it is not the one in use.", GAUGE, snapshot_term},
    {"raft_snapshot_age_seconds", "Age of the newest snapshot; 0 without one.", GAUGE,
     snapshot_age},
    {"raft_snapshots_on_disk", "Snapshots in the data directory.", GAUGE, snapshots_on_disk},
};

struct hl_raft_metrics {
    struct hl_server *server;
    struct hl_metric *copied[HL_ARRAY_LEN(rows)];
    struct hl_metric_family *latency, *rpcs, *healthy, *contact, *errors_in_row;
    struct hl_metric_family *percentage, *snapshots, *snapshot_time;
    struct hl_metric *snapshot_errors, *snapshot_bytes, *snapshot_compacted;
    uint64_t snaps_seen; /* number of the newest snapshot's event that was counted */
};

/* --- answers of others ------------------------------------------------------------------------ */

static struct hl_slice name_of(const struct hl_server *server, hl_peer id)
{
    const struct hl_member *member = hl_members_find(hl_node_members(server->node), id);
    return hl_slice_of(member == NULL ? "unknown" : member->name);
}

static void on_rpc(void *ctx, hl_peer peer, enum hl_rpc kind, bool ok, uint64_t took_us)
{
    struct hl_raft_metrics *m = ctx;
    const struct hl_slice values[] = {name_of(m->server, peer), hl_slice_of(hl_rpc_name(kind)),
                                      hl_slice_of(ok ? "success" : "error")};
    hl_metric_add(hl_metric_series(m->rpcs, values), 1);
    if (ok) {
        hl_metric_observe(hl_metric_series(m->latency, values), (double)took_us / 1e6);
    }
}

static void copy_peers(struct hl_raft_metrics *m)
{
    const struct hl_server *server = m->server;
    const struct hl_rpc_stats *rpc = &server->node->rpc;
    uint64_t now_us = server->world.mono_us(m->server);
    hl_metric_forget_all(m->healthy); /* who is no member any more is not shown */
    hl_metric_forget_all(m->contact);
    hl_metric_forget_all(m->errors_in_row);
    for (uint32_t i = 0; i < rpc->count; i++) {
        const struct hl_rpc_peer *peer = rpc->peers[i];
        const struct hl_slice name = name_of(server, peer->id);
        hl_metric_set(hl_metric_series(m->healthy, &name), hl_report_healthy(m->server, peer->id));
        hl_metric_set(hl_metric_series(m->errors_in_row, &name), (double)peer->consecutive_errors);
        if (peer->contact_us != 0) {
            hl_metric_set(hl_metric_series(m->contact, &name),
                          (double)(now_us - peer->contact_us) / 1e6);
        }
    }
}

/* --- snapshots -------------------------------------------------------------------------------- */

static const char *operation_of(enum hl_snap_event_kind kind)
{
    switch (kind) {
    case HL_SNAP_CREATED:
        return "create";
    case HL_SNAP_RECEIVED:
        return "receive";
    case HL_SNAP_RESTORED:
        return "restore";
    case HL_SNAP_SENT:
        return "send";
    case HL_SNAP_FAILED:
        break;
    }
    return NULL;
}

/* Each event once, also when the sums of RAFT.SNAPSHOTS were set to nothing meanwhile. */
static void count_snapshots(struct hl_raft_metrics *m)
{
    const struct hl_history *history = &m->server->node->history;
    while (m->snaps_seen < history->snap_count) {
        const struct hl_snap_event *event = hl_history_snap_event(history, ++m->snaps_seen);
        if (event == NULL) {
            continue; /* so many that the oldest are gone */
        }
        const struct hl_slice type = hl_slice_of(hl_snap_event_name(event->kind));
        const char *operation = operation_of(event->kind);
        hl_metric_add(hl_metric_series(m->snapshots, &type), 1);
        hl_metric_add(m->snapshot_errors, event->kind == HL_SNAP_FAILED);
        hl_metric_add(m->snapshot_compacted, (double)event->compacted);
        if (event->kind == HL_SNAP_CREATED || event->kind == HL_SNAP_RECEIVED) {
            hl_metric_add(m->snapshot_bytes, (double)event->size);
        }
        if (operation != NULL) {
            const struct hl_slice word = hl_slice_of(operation);
            hl_metric_observe(hl_metric_series(m->snapshot_time, &word),
                              (double)event->took_us / 1e6);
        }
    }
}

/* --- reading ---------------------------------------------------------------------------------- */

static void set_percentage(struct hl_raft_metrics *m, const char *period, double value)
{
    const struct hl_slice word = hl_slice_of(period);
    hl_metric_set(hl_metric_series(m->percentage, &word), value);
}

static bool collect(void *data, uint64_t *progress)
{
    struct hl_raft_metrics *m = data;
    struct hl_node *node = m->server->node;
    struct values v = {.now_ms = node->now_ms};
    (void)progress;
    v.up = hl_uptime_figures(&node->uptime, node->now_ms, m->server->world.mono_us(m->server));
    v.health = hl_report_health(m->server);
    v.on_disk = hl_report_find_snapshots(m->server, &v.latest, 1);
    v.latest_term = v.latest.index == node->snapshot_index ? node->snapshot_term : 0;
    for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
        hl_metric_set(m->copied[i], rows[i].value(&v));
    }
    set_percentage(m, "24h", v.up.percent_24h);
    set_percentage(m, "7d", v.up.percent_7d);
    set_percentage(m, "30d", v.up.percent_30d);
    set_percentage(m, "all", v.up.percent_all);
    copy_peers(m);
    count_snapshots(m);
    return false;
}

/* --- making ----------------------------------------------------------------------------------- */

static struct hl_metric_family *define(struct hl_raft_metrics *m, const struct hl_metric_info *info)
{
    struct hl_metric_family *family = NULL;
    hl_err err = hl_metric_define(m->server->metrics, m->server, info, &family, NULL);
    HL_ASSERT(err == HL_OK); /* the names are ours */
    return family;
}

static struct hl_metric *define_number(struct hl_raft_metrics *m, const char *name,
                                       const char *help, enum hl_metric_kind kind)
{
    return hl_metric_series(
        define(m, &(struct hl_metric_info){.name = name, .help = help, .kind = kind}), NULL);
}

static struct hl_metric_family *define_by_peer(struct hl_raft_metrics *m, const char *name,
                                               const char *help)
{
    static const char *const labels[] = {"peer_id"};
    return define(
        m, &(struct hl_metric_info){
               .name = name, .help = help, .kind = GAUGE, .labels = labels, .label_count = 1});
}

static void define_rpcs(struct hl_raft_metrics *m)
{
    static const char *const labels[] = {"peer_id", "rpc_type", "result"};
    m->latency = define(m, &(struct hl_metric_info){.name = "raft_peer_latency_seconds",
                                                    .help = "Time until another member answered.",
                                                    .kind = HL_METRIC_HISTOGRAM,
                                                    .labels = labels,
                                                    .label_count = 2,
                                                    .bounds = rpc_bounds,
                                                    .bound_count = HL_ARRAY_LEN(rpc_bounds)});
    m->rpcs =
        define(m, &(struct hl_metric_info){.name = "raft_peer_rpc_total",
                                           .help = "Calls to other members that were watched.",
                                           .kind = COUNTER,
                                           .labels = labels,
                                           .label_count = 3});
    m->healthy = define_by_peer(m, "raft_peer_healthy", "1 while it is connected and answers.");
    m->contact = define_by_peer(m, "raft_peer_last_contact_seconds",
                                "Since the last message of that member.");
    m->errors_in_row = define_by_peer(m, "raft_peer_consecutive_errors",
                                      "Calls without an answer since the last one with.");
}

static void define_snapshots(struct hl_raft_metrics *m)
{
    static const char *const type[] = {"type"};
    static const char *const operation[] = {"operation"};
    m->snapshots = define(m, &(struct hl_metric_info){.name = "raft_snapshot_total",
                                                      .help = "Snapshots by what became of them.",
                                                      .kind = COUNTER,
                                                      .labels = type,
                                                      .label_count = 1});
    m->snapshot_time =
        define(m, &(struct hl_metric_info){.name = "raft_snapshot_duration_seconds",
                                           .help = "Time that was taken for a snapshot.",
                                           .kind = HL_METRIC_HISTOGRAM,
                                           .labels = operation,
                                           .label_count = 1,
                                           .bounds = snapshot_bounds,
                                           .bound_count = HL_ARRAY_LEN(snapshot_bounds)});
    m->snapshot_errors = define_number(m, "raft_snapshot_errors_total",
                                       "Snapshots that failed or were refused.", COUNTER);
    m->snapshot_bytes = define_number(m, "raft_snapshot_bytes_written_total",
                                      "Bytes of snapshots made and received.", COUNTER);
    m->snapshot_compacted = define_number(m, "raft_snapshot_entries_compacted_total",
                                          "Entries that left the log with a snapshot.", COUNTER);
}

void hl_raft_metrics_create(struct hl_server *server)
{
    static const char *const period[] = {"period"};
    HL_ASSERT(server->metrics != NULL);
    struct hl_raft_metrics *m = hl_calloc(1, sizeof *m);
    m->server = server;
    for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
        m->copied[i] = define_number(m, rows[i].name, rows[i].help, rows[i].kind);
    }
    define_rpcs(m);
    define_snapshots(m);
    m->percentage =
        define(m, &(struct hl_metric_info){.name = "raft_node_uptime_percentage",
                                           .help = "Share of a period it was up, 0-100.",
                                           .kind = GAUGE,
                                           .labels = period,
                                           .label_count = 1});
    bool added = hl_metrics_add_collector(server->metrics, server, collect, m);
    HL_ASSERT(added);
    server->node->rpc.observer = on_rpc;
    server->node->rpc.ctx = m;
    server->raft_metrics = m;
}

void hl_raft_metrics_destroy(struct hl_server *server)
{
    if (server->raft_metrics != NULL) {
        server->node->rpc.observer = NULL;
        hl_free(server->raft_metrics);
        server->raft_metrics = NULL;
    }
}
