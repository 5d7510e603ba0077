/* RAFT.LATENCY, RAFT.UPTIME, RAFT.SNAPSHOTS, RAFT.EVENTS, RAFT.REPORT: for operators; each node
 * tells of itself. */
#include "command/args.h"
#include "server/report.h"

#include <string.h>

#define EVENTS_DEFAULT 100
#define SESSIONS_DEFAULT 50
#define SNAPSHOTS_DEFAULT 10
#define SNAPSHOTS_MAX 100

static struct hl_server *server_of(struct hl_call *call)
{
    return call->node->world->ctx;
}

static struct hl_rpc_now now_of(const struct hl_node *node)
{
    return (struct hl_rpc_now){.mono_us = node->world->mono_us(node->world->ctx),
                               .wall_ms = node->now_ms};
}

/* --- latency ---------------------------------------------------------------------------------- */

static void write_all_latencies(struct hl_call *call)
{
    struct hl_server *server = server_of(call);
    const struct hl_members *members = hl_node_members(call->node);
    struct hl_report_health health = hl_report_health(server);
    struct hl_report r = hl_report_begin(call->out);
    struct hl_report peers = hl_report_map(&r, "peers");
    for (uint32_t i = 0; i < members->count; i++) {
        if (members->at[i].id != call->node->node_id) {
            hl_write_bulk_text(call->out, members->at[i].name);
            hl_report_latency(server, &members->at[i], call->out);
            peers.fields++;
        }
    }
    hl_report_end(&peers);
    uint64_t calls = health.count + health.errors;
    struct hl_report all = hl_report_map(&r, "aggregated");
    hl_report_int(&all, "count", (int64_t)health.count);
    hl_report_int(&all, "error_count", (int64_t)health.errors);
    hl_report_double(&all, "avg_latency_ms", health.avg_ms);
    hl_report_double(&all, "max_latency_ms", health.max_ms);
    hl_report_double(&all, "error_rate", calls == 0 ? 0 : (double)health.errors / (double)calls);
    hl_report_end(&all);
    struct hl_report summary = hl_report_map(&r, "health_summary");
    hl_report_int(&summary, "healthy", health.healthy);
    hl_report_int(&summary, "unhealthy", health.unhealthy);
    hl_report_int(&summary, "total", health.healthy + health.unhealthy);
    hl_report_end(&summary);
    hl_report_end(&r);
}

static void cmd_latency(struct hl_call *call)
{
    const struct hl_members *members = hl_node_members(call->node);
    if (call->argc == 1) {
        write_all_latencies(call);
        return;
    }
    if (call->argc == 2 && hl_arg_is(call, 1, "reset")) {
        hl_rpc_reset(&call->node->rpc);
        hl_write_ok(call->out);
        return;
    }
    if (call->argc != 3 || !hl_arg_is(call, 1, "peer")) {
        hl_reply_error(call, HL_ERR_SYNTAX);
        return;
    }
    for (uint32_t i = 0; i < members->count; i++) {
        if (hl_slice_equal(call->argv[2], hl_slice_of(members->at[i].name)) &&
            members->at[i].id != call->node->node_id) {
            hl_report_latency(server_of(call), &members->at[i], call->out);
            return;
        }
    }
    hl_reply_error(call, "ERR there is no such member beside this node");
}

/* --- events ----------------------------------------------------------------------------------- */

static void write_event(const struct hl_event *event, struct hl_writer *out)
{
    struct hl_report r = hl_report_begin(out);
    hl_report_int(&r, "number", (int64_t)event->number);
    hl_report_text(&r, "type", hl_event_name(event->kind));
    hl_report_int(&r, "timestamp_ms", event->at_ms);
    hl_report_int(&r, "term", (int64_t)event->term);
    if (event->kind == HL_EVENT_STATE_CHANGED) {
        hl_report_text(&r, "old_state", hl_office_name(event->old_state));
        hl_report_text(&r, "new_state", hl_office_name(event->new_state));
    } else if (event->kind != HL_EVENT_STARTED) {
        hl_report_text(&r, "peer_id", event->name);
        hl_report_text(&r, "address", event->address);
    }
    hl_report_end(&r);
}

/* Events from number `from` on, at most `max`: one array. */
static void write_events(const struct hl_node *node, uint64_t from, uint64_t max,
                         struct hl_writer *out)
{
    size_t count = 0;
    struct hl_write_mark mark = hl_write_begin(out);
    for (uint64_t n = from == 0 ? 1 : from; n <= node->history.event_count && count < max; n++) {
        const struct hl_event *event = hl_history_event(&node->history, n);
        if (event != NULL) {
            write_event(event, out);
            count++;
        }
    }
    hl_write_end(out, mark, HL_ARRAY, count);
}

/* The number from which on the newest `max` are. */
static uint64_t newest(uint64_t count, int64_t max)
{
    return count > (uint64_t)max ? count - (uint64_t)max + 1 : 1;
}

static void cmd_events(struct hl_call *call)
{
    const struct hl_history *history = &call->node->history;
    int64_t since = 0;
    int64_t max = HL_EVENTS_MAX;
    for (int i = 1; i < call->argc; i += 2) {
        bool is_since = hl_arg_is(call, i, "since");
        if (i + 1 >= call->argc || (!is_since && !hl_arg_is(call, i, "count"))) {
            hl_reply_error(call, HL_ERR_SYNTAX);
            return;
        }
        if (!hl_arg_i64_range(call, i + 1, 0, is_since ? INT64_MAX : HL_EVENTS_MAX,
                              is_since ? &since : &max)) {
            return;
        }
    }
    /* A number from an earlier life of this server: its reader starts again. */
    uint64_t from = (uint64_t)since > history->event_count ? 1 : (uint64_t)since + 1;
    struct hl_report r = hl_report_begin(call->out);
    hl_report_int(&r, "newest", (int64_t)history->event_count);
    hl_write_bulk_text(call->out, "events");
    r.fields++;
    write_events(call->node, from, (uint64_t)max, call->out);
    hl_report_end(&r);
}

/* --- uptime ----------------------------------------------------------------------------------- */

static void write_sessions(struct hl_node *node, int64_t max, struct hl_writer *out)
{
    const struct hl_uptime *uptime = &node->uptime;
    uint32_t count = uptime->past_count < (uint64_t)max ? uptime->past_count : (uint32_t)max;
    hl_write_array(out, count);
    for (uint32_t i = uptime->past_count - count; i < uptime->past_count; i++) {
        const struct hl_uptime_session *s = &uptime->past[i];
        struct hl_report r = hl_report_begin(out);
        hl_report_int(&r, "start_unix", s->start_ms / 1000);
        hl_report_int(&r, "end_unix", s->end_ms / 1000);
        hl_report_duration(&r, "duration", (uint64_t)(s->end_ms - s->start_ms));
        hl_report_bool(&r, "crashed", !s->clean);
        hl_report_end(&r);
    }
}

static void uptime_history(struct hl_call *call, int64_t max_events, int64_t max_sessions)
{
    struct hl_node *node = call->node;
    struct hl_server *server = server_of(call);
    struct hl_report r = hl_report_begin(call->out);
    hl_report_text(&r, "node_id", hl_config_text(server->config, HL_CFG_RAFT_NODE_ID));
    hl_write_bulk_text(call->out, "events");
    write_events(node, newest(node->history.event_count, max_events), (uint64_t)max_events,
                 call->out);
    hl_write_bulk_text(call->out, "stats");
    hl_report_uptime(server, call->out);
    hl_write_bulk_text(call->out, "recent_sessions");
    write_sessions(node, max_sessions, call->out);
    r.fields += 3;
    hl_report_end(&r);
}

static void cmd_uptime(struct hl_call *call)
{
    struct hl_node *node = call->node;
    int64_t events = EVENTS_DEFAULT;
    int64_t sessions = SESSIONS_DEFAULT;
    if (call->argc == 1) {
        hl_report_uptime(server_of(call), call->out);
    } else if (call->argc == 2 && hl_arg_is(call, 1, "reset")) {
        hl_uptime_reset(&node->uptime, node->now_ms, now_of(node).mono_us);
        hl_write_ok(call->out);
    } else if (call->argc > 4 || !hl_arg_is(call, 1, "history")) {
        hl_reply_error(call, HL_ERR_SYNTAX);
    } else if ((call->argc < 3 || hl_arg_i64_range(call, 2, 0, INT32_MAX, &events)) &&
               (call->argc < 4 || hl_arg_i64_range(call, 3, 0, INT32_MAX, &sessions))) {
        uptime_history(call, events, sessions);
    }
}

/* --- snapshots -------------------------------------------------------------------------------- */

static void write_snap_event(const struct hl_snap_event *event, struct hl_writer *out)
{
    struct hl_report r = hl_report_begin(out);
    hl_report_int(&r, "number", (int64_t)event->number);
    hl_report_text(&r, "type", hl_snap_event_name(event->kind));
    hl_report_int(&r, "timestamp_ms", event->at_ms);
    hl_report_int(&r, "index", (int64_t)event->index);
    hl_report_int(&r, "term", (int64_t)event->term);
    hl_report_int(&r, "size_bytes", (int64_t)event->size);
    hl_report_double(&r, "duration_ms", (double)event->took_us / 1000);
    hl_report_int(&r, "entries_compacted", (int64_t)event->compacted);
    if (event->kind == HL_SNAP_FAILED) {
        hl_report_text(&r, "error", event->why);
    }
    hl_report_end(&r);
}

static void snapshot_history(struct hl_call *call, int64_t max_events, int64_t max_snapshots)
{
    const struct hl_history *history = &call->node->history;
    struct hl_server *server = server_of(call);
    struct hl_report_snapshot found[SNAPSHOTS_MAX] = {0};
    size_t on_disk = hl_report_find_snapshots(server, found, SNAPSHOTS_MAX);
    size_t shown = on_disk < (size_t)max_snapshots ? on_disk : (size_t)max_snapshots;
    struct hl_report r = hl_report_begin(call->out);
    hl_report_text(&r, "node_id", hl_config_text(server->config, HL_CFG_RAFT_NODE_ID));
    hl_write_bulk_text(call->out, "events");
    size_t count = 0;
    struct hl_write_mark mark = hl_write_begin(call->out);
    uint64_t first = newest(history->snap_count, max_events);
    first = first > history->snap_base ? first : history->snap_base + 1;
    for (uint64_t n = first; n <= history->snap_count; n++) {
        const struct hl_snap_event *event = hl_history_snap_event(history, n);
        if (event != NULL) {
            write_snap_event(event, call->out);
            count++;
        }
    }
    hl_write_end(call->out, mark, HL_ARRAY, count);
    hl_write_bulk_text(call->out, "snapshots");
    hl_write_array(call->out, shown);
    for (size_t i = 0; i < shown; i++) {
        struct hl_report s = hl_report_begin(call->out);
        hl_report_int(&s, "index", (int64_t)found[i].index);
        hl_report_int(&s, "size_bytes", (int64_t)found[i].size);
        hl_report_int(&s, "created_unix", found[i].at_s);
        hl_report_end(&s);
    }
    r.fields += 2;
    hl_report_int(&r, "total_events", (int64_t)(history->snap_count - history->snap_base));
    hl_report_int(&r, "total_snapshots", (int64_t)on_disk);
    hl_report_end(&r);
}

static void cmd_snapshots(struct hl_call *call)
{
    int64_t events = EVENTS_DEFAULT;
    int64_t snapshots = SNAPSHOTS_DEFAULT;
    if (call->argc == 1) {
        hl_report_snapshots(server_of(call), call->out);
    } else if (call->argc == 2 && hl_arg_is(call, 1, "reset")) {
        hl_history_reset_snaps(&call->node->history);
        hl_write_ok(call->out);
    } else if (call->argc > 4 || !hl_arg_is(call, 1, "history")) {
        hl_reply_error(call, HL_ERR_SYNTAX);
    } else if ((call->argc < 3 || hl_arg_i64_range(call, 2, 0, INT32_MAX, &events)) &&
               (call->argc < 4 || hl_arg_i64_range(call, 3, 0, SNAPSHOTS_MAX, &snapshots))) {
        snapshot_history(call, events, snapshots);
    }
}

static void cmd_report(struct hl_call *call)
{
    hl_report_status(server_of(call), call->out);
}

#define LOOK (HL_CMD_ADMIN | HL_CMD_LOADING | HL_CMD_STALE)
#define ROW(cmd_name, fn, n, cost, words, grammar)                                                 \
    {                                                                                              \
        .name = (cmd_name), .run = (fn), .arity = (n), .flags = LOOK, .group = "cluster",          \
        .since = "0.1.0", .complexity = (cost), .summary = (words), .args = (grammar)              \
    }

const struct hl_command_row hl_commands_report[] = {
    ROW("raft.latency", cmd_latency, -1, "O(N) where N is the number of members",
        "Tell how long other members take to answer this node, or set these figures to zero.",
        "[PEER name:string|RESET]"),
    ROW("raft.uptime", cmd_uptime, -1, "O(1)",
        "Tell how long this node runs and in which office, over all its starts.",
        "[HISTORY [events:integer [sessions:integer]]|RESET]"),
    ROW("raft.snapshots", cmd_snapshots, -1, "O(N) where N is the number of files in the directory",
        "Tell what snapshots this node made, received and read.",
        "[HISTORY [events:integer [snapshots:integer]]|RESET]"),
    ROW("raft.events", cmd_events, -1, "O(N) where N is the number of events answered",
        "Answer what happened to this node and its group since an event.",
        "[SINCE number:integer] [COUNT count:integer]"),
    ROW("raft.report", cmd_report, 1, "O(N) where N is the number of members",
        "Tell all that this node knows of itself and its cluster, as nested maps.", NULL),
};
const size_t hl_commands_report_count = HL_ARRAY_LEN(hl_commands_report);
