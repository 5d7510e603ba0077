/* SLOWLOG, LATENCY, MONITOR, ROLE: looking at the node. */
#include "command/args.h"
#include "command/help.h"
#include "kit/assert.h"
#include "kit/num.h"
#include "node/node_internal.h"
#include "node/observe.h"

static void cmd_slowlog_get(struct hl_call *call)
{
    const struct hl_slowlog *log = call->node->slowlog;
    int64_t count = 10;
    if (call->argc == 3) {
        if (!hl_arg_i64(call, 2, &count)) {
            return;
        }
        if (count < -1) {
            hl_reply_error(call, "ERR count should be greater than or equal to -1");
            return;
        }
    }
    size_t shown = count < 0 || (uint64_t)count > log->count ? log->count : (size_t)count;
    hl_write_array(call->out, shown);
    for (size_t i = 0; i < shown; i++) {
        const struct hl_slow_entry *entry = hl_slowlog_at(log, i);
        hl_write_array(call->out, 6);
        hl_write_int(call->out, (int64_t)entry->id);
        hl_write_int(call->out, entry->time_s);
        hl_write_int(call->out, entry->took_us);
        hl_write_array(call->out, (size_t)entry->argc);
        for (int a = 0; a < entry->argc; a++) {
            hl_write_bulk(call->out, (struct hl_slice){entry->argv[a], entry->argv_len[a]});
        }
        hl_write_bulk_text(call->out, entry->addr);
        hl_write_bulk_text(call->out, entry->name != NULL ? entry->name : "");
    }
}

static void cmd_slowlog_len(struct hl_call *call)
{
    hl_write_int(call->out, (int64_t)call->node->slowlog->count);
}

static void cmd_slowlog_reset(struct hl_call *call)
{
    hl_slowlog_reset(call->node);
    hl_write_ok(call->out);
}

/* --- LATENCY ---------------------------------------------------------------------------------- */

static const struct hl_latency_sample *sample_at(const struct hl_latency_event *event, uint32_t i)
{
    uint32_t first = (event->next + HL_LATENCY_SAMPLES - event->count) % HL_LATENCY_SAMPLES;
    return &event->samples[(first + i) % HL_LATENCY_SAMPLES];
}

static void cmd_latency_latest(struct hl_call *call)
{
    const struct hl_latency *latency = call->node->latency;
    hl_write_array(call->out, latency->count);
    for (uint32_t i = 0; i < latency->count; i++) {
        const struct hl_latency_event *event = latency->events[i];
        const struct hl_latency_sample *last = sample_at(event, event->count - 1);
        hl_write_array(call->out, 4);
        hl_write_bulk_text(call->out, event->name);
        hl_write_int(call->out, last->time_s);
        hl_write_int(call->out, last->took_ms);
        hl_write_int(call->out, event->max_ms);
    }
}

static void cmd_latency_history(struct hl_call *call)
{
    const struct hl_latency_event *event = hl_latency_find(call->node->latency, call->argv[2]);
    uint32_t count = event != NULL ? event->count : 0;
    hl_write_array(call->out, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct hl_latency_sample *sample = sample_at(event, i);
        hl_write_array(call->out, 2);
        hl_write_int(call->out, sample->time_s);
        hl_write_int(call->out, sample->took_ms);
    }
}

static void cmd_latency_reset(struct hl_call *call)
{
    int64_t dropped = 0;
    if (call->argc == 2) {
        dropped = hl_latency_reset(call->node->latency, NULL);
    }
    for (int i = 2; i < call->argc; i++) {
        dropped += hl_latency_reset(call->node->latency, &call->argv[i]);
    }
    hl_write_int(call->out, dropped);
}

/* Calls and a cumulative distribution over powers of two. */
static void write_distribution(struct hl_call *call, const struct hl_command *cmd)
{
    const struct hl_histogram *histogram = cmd->histogram;
    hl_write_map(call->out, 2);
    hl_write_bulk_text(call->out, "calls");
    hl_write_int(call->out, (int64_t)histogram->total);
    hl_write_bulk_text(call->out, "histogram_usec");
    struct hl_write_mark mark = hl_write_begin(call->out);
    size_t pairs = 0;
    uint64_t seen = 0;
    uint64_t written = 0;
    uint32_t bucket = 0;
    for (uint64_t bound = 1; written < histogram->total; bound *= 2) {
        while (bucket < HL_HISTOGRAM_BUCKETS && hl_histogram_bound(bucket) <= bound) {
            seen += histogram->buckets[bucket++];
        }
        if (bound > UINT64_MAX / 4 || bucket == HL_HISTOGRAM_BUCKETS) {
            seen = histogram->total;
        }
        if (seen > written) {
            hl_write_int(call->out, (int64_t)bound);
            hl_write_int(call->out, (int64_t)seen);
            written = seen;
            pairs++;
        }
    }
    hl_write_end(call->out, mark, HL_MAP, pairs);
}

static size_t histogram_of(struct hl_call *call, const struct hl_command *cmd)
{
    size_t count = 0;
    if (cmd->histogram != NULL && cmd->calls != 0) {
        hl_write_bulk_text(call->out, cmd->row->name);
        write_distribution(call, cmd);
        count++;
    }
    for (uint32_t i = 0; i < cmd->sub_count; i++) {
        const struct hl_command *sub = cmd->subs[i];
        if (sub->histogram != NULL && sub->calls != 0) {
            hl_write_bulk_text(call->out, sub->row->name);
            write_distribution(call, sub);
            count++;
        }
    }
    return count;
}

static void cmd_latency_histogram(struct hl_call *call)
{
    const struct hl_command_table *commands = call->node->commands;
    struct hl_write_mark mark = hl_write_begin(call->out);
    size_t count = 0;
    if (call->argc == 2) {
        for (uint32_t id = 0; id < hl_command_id_end(commands); id++) {
            const struct hl_command *cmd = hl_command_by_id(commands, id);
            if (cmd != NULL && cmd->parent == NULL) {
                count += histogram_of(call, cmd);
            }
        }
    }
    for (int i = 2; i < call->argc; i++) {
        const struct hl_command *cmd = hl_command_find(commands, call->argv[i]);
        if (cmd != NULL) {
            count += histogram_of(call, cmd);
        }
    }
    hl_write_end(call->out, mark, HL_MAP, count);
}

static void cmd_latency_doctor(struct hl_call *call)
{
    const struct hl_latency *latency = call->node->latency;
    struct hl_buf text = {0};
    if (call->node->config.latency_threshold_ms == 0) {
        hl_buf_append_text(&text, "Latency monitoring is off. Turn it on with CONFIG SET "
                                  "latency-monitor-threshold <milliseconds>.\n");
    } else if (latency->count == 0) {
        hl_buf_append_text(&text, "No latency spike was seen.\n");
    }
    for (uint32_t i = 0; i < latency->count; i++) {
        const struct hl_latency_event *event = latency->events[i];
        uint64_t sum = 0;
        for (uint32_t s = 0; s < event->count; s++) {
            sum += sample_at(event, s)->took_ms;
        }
        hl_buf_printf(&text, "%s: %u spikes, %llu ms on average, %u ms at worst.\n", event->name,
                      event->count, (unsigned long long)(sum / event->count), event->max_ms);
    }
    hl_write_verbatim(call->out, "txt", hl_buf_view(&text));
    hl_buf_fini(&text);
}

/* --- MONITOR and ROLE ------------------------------------------------------------------------- */

static void cmd_monitor(struct hl_call *call)
{
    if ((call->flags & HL_CALL_DENY_BLOCK) != 0) {
        hl_reply_error(call, "ERR MONITOR isn't allowed for DENY BLOCKING client");
        return;
    }
    hl_write_ok(call->out);
    hl_monitor_add(call->node, call->session);
}

/* As Redis says it: a leader names those that have its log, the others their leader. */
static void role_of_follower(struct hl_call *call)
{
    struct hl_node *node = call->node;
    const struct hl_member *leader = hl_node_leader(node);
    const char *addr = leader == NULL ? "" : leader->client_addr;
    const char *colon = strrchr(addr, ':');
    int64_t port = 0;
    struct hl_slice host = {.ptr = addr, .len = colon == NULL ? 0 : (size_t)(colon - addr)};
    if (colon == NULL || !hl_parse_i64(hl_slice_of(colon + 1), &port)) {
        port = 0;
    }
    hl_write_array(call->out, 5);
    hl_write_bulk_text(call->out, "slave");
    hl_write_bulk(call->out, host);
    hl_write_int(call->out, port);
    hl_write_bulk_text(call->out, leader == NULL  ? "connect"
                                  : node->loading ? "sync"
                                                  : "connected");
    hl_write_int(call->out, (int64_t)node->last);
}

static void cmd_role(struct hl_call *call)
{
    if (call->node->cluster.live && hl_raft_role(&call->node->raft) != HL_RAFT_LEADER) {
        role_of_follower(call);
        return;
    }
    hl_write_array(call->out, 3);
    hl_write_bulk_text(call->out, "master");
    hl_write_int(call->out, (int64_t)call->node->last);
    hl_write_array(call->out, 0);
}

#define FLAGS (HL_CMD_ADMIN | HL_CMD_LOADING | HL_CMD_STALE)
#define ROW(cmd_name, fn, n, more, cats, version, cost, words, grammar)                            \
    {                                                                                              \
        .name = (cmd_name), .run = (fn), .arity = (n), .flags = (more), .acl = (cats),             \
        .group = "server", .since = (version), .complexity = (cost), .summary = (words),           \
        .args = (grammar)                                                                          \
    }

const struct hl_command_row hl_commands_observe[] = {
    ROW("slowlog", NULL, -2, 0, 0, "2.2.12", "Depends on the subcommand",
        "Look at requests that took long.", NULL),
    ROW("slowlog|get", cmd_slowlog_get, -2, FLAGS, 0, "2.2.12",
        "O(N) where N is the number of entries answered", "Answer the newest slow requests.",
        "[count:integer]"),
    ROW("slowlog|len", cmd_slowlog_len, 2, FLAGS, 0, "2.2.12", "O(1)", "Count the slow requests.",
        NULL),
    ROW("slowlog|reset", cmd_slowlog_reset, 2, FLAGS, 0, "2.2.12",
        "O(N) where N is the number of entries", "Forget the slow requests.", NULL),
    HL_HELP_ROW("slowlog", 0, "server", "6.2.0"),
    ROW("latency", NULL, -2, 0, 0, "2.8.13", "Depends on the subcommand",
        "Look at latency spikes and distributions.", NULL),
    ROW("latency|latest", cmd_latency_latest, 2, FLAGS | HL_CMD_NOSCRIPT, 0, "2.8.13", "O(1)",
        "Answer the last spike of each event.", NULL),
    ROW("latency|history", cmd_latency_history, 3, FLAGS | HL_CMD_NOSCRIPT, 0, "2.8.13", "O(1)",
        "Answer the spikes of an event.", "event:string"),
    ROW("latency|reset", cmd_latency_reset, -2, FLAGS | HL_CMD_NOSCRIPT, 0, "2.8.13", "O(1)",
        "Forget spikes.", "[event:string...]"),
    ROW("latency|histogram", cmd_latency_histogram, -2, FLAGS | HL_CMD_NOSCRIPT, 0, "7.0.0",
        "O(N) where N is the number of commands", "Answer how long commands took.",
        "[command:string...]"),
    ROW("latency|doctor", cmd_latency_doctor, 2, FLAGS | HL_CMD_NOSCRIPT, 0, "2.8.13", "O(1)",
        "Describe the spikes in words.", NULL),
    HL_HELP_ROW("latency", 0, "server", "2.8.13"),
    ROW("monitor", cmd_monitor, 1, FLAGS | HL_CMD_NOSCRIPT, 0, "1.0.0", "O(1)",
        "Show every request of every connection, secrets hidden.", NULL),
    ROW("role", cmd_role, 1, HL_CMD_NOSCRIPT | HL_CMD_LOADING | HL_CMD_STALE | HL_CMD_FAST,
        HL_ACL_ADMIN | HL_ACL_DANGEROUS, "2.8.12", "O(1)",
        "Answer the role of this server and how far its log reaches.", NULL),
};
const size_t hl_commands_observe_count = HL_ARRAY_LEN(hl_commands_observe);
