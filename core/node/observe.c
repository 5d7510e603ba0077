#include "node/observe.h"

#include "kit/alloc.h"
#include "kit/assert.h"
#include "node/admit.h"
#include "node/node_internal.h"
#include "raft/mutant.h"

#include <stdio.h>

#define REDACTED "(redacted)"
#define SLOWLOG_FIRST 128 /* entries that the ring first has room for */

void hl_observe_init(struct hl_node *node)
{
    node->slowlog = hl_calloc(1, sizeof *node->slowlog);
    node->latency = hl_calloc(1, sizeof *node->latency);
    node->errors = hl_calloc(1, sizeof *node->errors);
}

void hl_observe_fini(struct hl_node *node)
{
    hl_slowlog_reset(node);
    hl_free(node->slowlog->entries);
    hl_free(node->slowlog);
    (void)hl_latency_reset(node->latency, NULL);
    hl_free(node->latency);
    hl_free(node->errors);
}

/* --- secrets ---------------------------------------------------------------------------------- */

static bool is_config_secret(struct hl_slice name)
{
    static const char *const secrets[] = {"requirepass", "masterauth", "tls-key-file-pass",
                                          "tls-client-key-file-pass", "masteruser"};
    for (size_t i = 0; i < HL_ARRAY_LEN(secrets); i++) {
        if (hl_slice_is(name, secrets[i])) {
            return true;
        }
    }
    return false;
}

/* HELLO 3 AUTH user password …: the two arguments after AUTH. */
static bool follows_auth(int argc, const struct hl_slice *argv, int i)
{
    for (int back = 1; back <= 2; back++) {
        if (i - back >= 2 && i < argc && hl_slice_is(argv[i - back], "auth")) {
            return true;
        }
    }
    return false;
}

bool hl_is_secret_arg(const struct hl_command *cmd, int argc, const struct hl_slice *argv, int i)
{
    const char *name = cmd->row->name;
    if (i == 0) {
        return false;
    }
    if ((cmd->flags & HL_CMD_SENSITIVE) != 0) {
        return cmd->parent == NULL || i > 1;
    }
    if (strcmp(name, "hello") == 0) {
        return follows_auth(argc, argv, i);
    }
    if (strcmp(name, "config|set") == 0) {
        return i >= 3 && i % 2 == 1 && is_config_secret(argv[i - 1]);
    }
    if (strcmp(name, "acl|setuser") == 0) {
        return i >= 3;
    }
    return strcmp(name, "migrate") == 0 && i > 5;
}

/* --- slow log --------------------------------------------------------------------------------- */

static void slow_entry_free(struct hl_slow_entry *entry)
{
    for (int i = 0; i < entry->argc; i++) {
        hl_free(entry->argv[i]);
    }
    hl_free(entry->name);
    hl_free(entry);
}

void hl_slowlog_reset(struct hl_node *node)
{
    struct hl_slowlog *log = node->slowlog;
    for (size_t i = 0; i < log->count; i++) {
        slow_entry_free(log->entries[(log->first + i) % log->cap]);
    }
    log->count = 0;
    log->first = 0;
}

const struct hl_slow_entry *hl_slowlog_at(const struct hl_slowlog *log, size_t i)
{
    HL_ASSERT(i < log->count);
    return log->entries[(log->first + i) % log->cap];
}

static void keep_arg(struct hl_slow_entry *entry, int at, struct hl_slice arg)
{
    struct hl_buf text = {0};
    if (arg.len <= HL_SLOWLOG_ARG_MAX) {
        hl_buf_append_slice(&text, arg);
    } else {
        hl_buf_append(&text, arg.ptr, HL_SLOWLOG_ARG_MAX);
        hl_buf_printf(&text, "... (%zu more bytes)", arg.len - HL_SLOWLOG_ARG_MAX);
    }
    entry->argv_len[at] = text.len;
    entry->argv[at] = hl_strndup(text.ptr != NULL ? text.ptr : "", text.len);
    hl_buf_fini(&text);
}

static void keep_args(struct hl_slow_entry *entry, const struct hl_command *cmd, int argc,
                      const struct hl_slice *argv)
{
    int shown = argc <= HL_SLOWLOG_ARGS_MAX ? argc : HL_SLOWLOG_ARGS_MAX - 1;
    for (int i = 0; i < shown; i++) {
        bool secret = hl_is_secret_arg(cmd, argc, argv, i);
        keep_arg(entry, i, secret ? hl_slice_of(REDACTED) : argv[i]);
    }
    entry->argc = shown;
    if (shown < argc) {
        char text[48];
        (void)snprintf(text, sizeof text, "... (%d more arguments)", argc - shown);
        keep_arg(entry, shown, hl_slice_of(text));
        entry->argc++;
    }
}

/* Make room for one more among at most `limit`, dropping the oldest.  The ring grows with what is
 * in it: the limit may be any number. */
static void fit_ring(struct hl_slowlog *log, size_t limit)
{
    size_t max = log->cap < limit ? log->cap : limit;
    if (log->count == max && max < limit) {
        max = max < SLOWLOG_FIRST / 2 ? SLOWLOG_FIRST : max * 2;
        max = max < limit ? max : limit;
    }
    if (log->cap == max) {
        return;
    }
    struct hl_slow_entry **entries = hl_calloc(max, sizeof *entries);
    size_t kept = log->count < max ? log->count : max;
    for (size_t i = 0; i < log->count; i++) {
        struct hl_slow_entry *entry = log->entries[(log->first + i) % log->cap];
        if (i < kept) {
            entries[i] = entry;
        } else {
            slow_entry_free(entry);
        }
    }
    hl_free(log->entries);
    *log =
        (struct hl_slowlog){.entries = entries, .count = kept, .cap = max, .next_id = log->next_id};
}

void hl_slowlog_note(struct hl_node *node, struct hl_session *session, struct hl_command *cmd,
                     int argc, const struct hl_slice *argv, int64_t took_us)
{
    struct hl_slowlog *log = node->slowlog;
    if ((cmd->flags & HL_CMD_SKIP_SLOWLOG) != 0 || node->config.slowlog_max_len == 0) {
        return;
    }
    fit_ring(log, node->config.slowlog_max_len);
    struct hl_slow_entry *entry = hl_calloc(1, sizeof *entry);
    entry->id = log->next_id++;
    entry->time_s = node->now_ms / 1000;
    entry->took_us = took_us;
    keep_args(entry, cmd, argc, argv);
    (void)snprintf(entry->addr, sizeof entry->addr, "%s", session->addr);
    entry->name = session->name != NULL ? hl_strndup(session->name, strlen(session->name)) : NULL;
    if (log->count == log->cap) {
        slow_entry_free(log->entries[(log->first + log->count - 1) % log->cap]);
        log->count--;
    }
    log->first = (log->first + log->cap - 1) % log->cap;
    log->entries[log->first] = entry;
    log->count++;
}

/* --- latency ---------------------------------------------------------------------------------- */

struct hl_latency_event *hl_latency_find(struct hl_latency *latency, struct hl_slice name)
{
    for (uint32_t i = 0; i < latency->count; i++) {
        if (hl_slice_is(name, latency->events[i]->name)) {
            return latency->events[i];
        }
    }
    return NULL;
}

void hl_latency_note(struct hl_node *node, const char *event, uint64_t took_ms)
{
    if (node->config.latency_threshold_ms == 0 ||
        took_ms < (uint64_t)node->config.latency_threshold_ms) {
        return;
    }
    struct hl_latency *latency = node->latency;
    struct hl_latency_event *found = hl_latency_find(latency, hl_slice_of(event));
    if (found == NULL) {
        if (latency->count == HL_LATENCY_EVENTS_MAX) {
            return;
        }
        found = hl_calloc(1, sizeof *found);
        (void)snprintf(found->name, sizeof found->name, "%s", event);
        latency->events[latency->count++] = found;
    }
    int64_t now_s = node->now_ms / 1000;
    uint32_t took = took_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)took_ms;
    found->max_ms = took > found->max_ms ? took : found->max_ms;
    uint32_t last = (found->next + HL_LATENCY_SAMPLES - 1) % HL_LATENCY_SAMPLES;
    if (found->count != 0 && found->samples[last].time_s == now_s) {
        if (took > found->samples[last].took_ms) {
            found->samples[last].took_ms = took;
        }
        return; /* one sample a second: the worst */
    }
    found->samples[found->next] = (struct hl_latency_sample){.time_s = now_s, .took_ms = took};
    found->next = (found->next + 1) % HL_LATENCY_SAMPLES;
    found->count += found->count < HL_LATENCY_SAMPLES;
}

int hl_latency_reset(struct hl_latency *latency, const struct hl_slice *name)
{
    int dropped = 0;
    for (uint32_t i = 0; i < latency->count;) {
        if (name != NULL && !hl_slice_is(*name, latency->events[i]->name)) {
            i++;
            continue;
        }
        hl_free(latency->events[i]);
        latency->events[i] = latency->events[--latency->count];
        dropped++;
    }
    return dropped;
}

/* --- histograms ------------------------------------------------------------------------------- */

static uint32_t bucket_of(uint64_t us)
{
    if (us < HL_HISTOGRAM_SUB) {
        return (uint32_t)us;
    }
    uint32_t power = 63 - (uint32_t)__builtin_clzll(us); /* 4 or more */
    uint32_t sub = (uint32_t)(us >> (power - 4)) & (HL_HISTOGRAM_SUB - 1);
    uint32_t bucket = (power - 3) * HL_HISTOGRAM_SUB + sub;
    return bucket < HL_HISTOGRAM_BUCKETS ? bucket : HL_HISTOGRAM_BUCKETS - 1;
}

uint64_t hl_histogram_bound(uint32_t bucket)
{
    if (bucket < HL_HISTOGRAM_SUB) {
        return bucket;
    }
    uint32_t power = bucket / HL_HISTOGRAM_SUB + 3;
    uint64_t sub = bucket % HL_HISTOGRAM_SUB;
    return (1ull << power) + ((sub + 1) << (power - 4)) - 1;
}

void hl_histogram_note(struct hl_command *cmd, uint64_t took_us)
{
    if (cmd->histogram == NULL) {
        cmd->histogram = hl_calloc(1, sizeof(struct hl_histogram));
    }
    struct hl_histogram *histogram = cmd->histogram;
    histogram->total++;
    histogram->buckets[bucket_of(took_us)]++;
}

double hl_histogram_percentile(const struct hl_histogram *histogram, double percent)
{
    double want = percent / 100.0 * (double)histogram->total;
    double seen = 0;
    for (uint32_t i = 0; i < HL_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (histogram->buckets[i] != 0 && seen >= want) {
            return (double)hl_histogram_bound(i);
        }
    }
    return 0;
}

/* --- errors ----------------------------------------------------------------------------------- */

void hl_error_note(struct hl_node *node, const struct hl_buf *out, size_t start)
{
    node->stats.error_replies++;
    if (start >= out->len || out->ptr[start] != '-') {
        return;
    }
    const char *code = out->ptr + start + 1;
    size_t room = out->len - start - 1;
    char name[32];
    size_t len = 0;
    while (len < room && len < sizeof name - 1 && code[len] != ' ' && code[len] != '\r') {
        name[len] = code[len];
        len++;
    }
    name[len] = '\0';
    struct hl_error_counts *errors = node->errors;
    for (uint32_t i = 0; i < errors->count; i++) {
        if (strcmp(errors->items[i].code, name) == 0) {
            errors->items[i].seen++;
            return;
        }
    }
    if (errors->count < HL_ERRORS_MAX) {
        memcpy(errors->items[errors->count].code, name, len + 1);
        errors->items[errors->count++].seen = 1;
    }
}

void hl_observe_reset(struct hl_node *node)
{
    for (uint32_t id = 0; id < hl_command_id_end(node->commands); id++) {
        struct hl_command *cmd = hl_command_by_id(node->commands, id);
        if (cmd != NULL) {
            cmd->calls = cmd->usec = cmd->rejected = cmd->failed = 0;
            hl_free(cmd->histogram);
            cmd->histogram = NULL;
        }
    }
    node->errors->count = 0;
    struct hl_stats *s = &node->stats;
    s->commands = s->connections = s->rejected_connections = 0;
    s->net_in = s->net_out = s->sample_commands = s->sample_in = s->sample_out = 0;
    s->evicted_keys = s->error_replies = s->unexpected_errors = 0;
    s->reads_processed = s->writes_processed = s->forks = 0;
    s->expire_cycle_us = s->expire_cap_reached = 0;
    s->peak_memory = 0;
    node->ks.hits = node->ks.misses = node->ks.expired = 0;
}

/* --- monitors --------------------------------------------------------------------------------- */

void hl_monitor_add(struct hl_node *node, struct hl_session *session)
{
    if ((session->flags & HL_SESSION_MONITOR) == 0) {
        session->flags |= HL_SESSION_MONITOR;
        hl_list_append(&node->monitors, &session->monitoring);
    }
}

void hl_monitor_remove(struct hl_node *node, struct hl_session *session)
{
    HL_ASSERT(node != NULL);
    session->flags &= ~HL_SESSION_MONITOR;
    hl_list_remove(&session->monitoring);
}

/* Append `"…"` with the escapes of Redis's representation of strings. */
static void append_quoted(struct hl_buf *out, struct hl_slice bytes)
{
    hl_buf_append_text(out, "\"");
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        switch (c) {
        case '\\':
        case '"':
            hl_buf_printf(out, "\\%c", c);
            break;
        case '\n':
            hl_buf_append_text(out, "\\n");
            break;
        case '\r':
            hl_buf_append_text(out, "\\r");
            break;
        case '\t':
            hl_buf_append_text(out, "\\t");
            break;
        case '\a':
            hl_buf_append_text(out, "\\a");
            break;
        case '\b':
            hl_buf_append_text(out, "\\b");
            break;
        default:
            hl_buf_printf(out, c >= 32 && c < 127 ? "%c" : "\\x%02x", c);
        }
    }
    hl_buf_append_text(out, "\"");
}

void hl_monitor_feed(struct hl_node *node, struct hl_session *session, struct hl_command *cmd,
                     int argc, const struct hl_slice *argv)
{
    if ((cmd->flags & (HL_CMD_SKIP_MONITOR | HL_CMD_ADMIN)) != 0) {
        return;
    }
    struct hl_buf line = {0};
    hl_buf_printf(&line, "+%lld.%06lld [%d %s] ", (long long)(node->now_us / 1000000),
                  (long long)(node->now_us % 1000000), session->db,
                  session->addr[0] != '\0' ? session->addr : "internal");
    for (int i = 0; i < argc; i++) {
        bool secret = hl_is_secret_arg(cmd, argc, argv, i);
        append_quoted(&line, secret ? hl_slice_of(REDACTED) : argv[i]);
        hl_buf_append_text(&line, i + 1 < argc ? " " : "\r\n");
    }
    HL_LIST_EACH(it, &node->monitors)
    {
        struct hl_session *monitor = HL_LIST_ENTRY(it, struct hl_session, monitoring);
        if ((monitor->flags & HL_SESSION_EXECUTING) != 0) {
            continue; /* its own EXEC: a line would be inside the reply, and let it leave */
        }
        hl_buf_append_slice(&monitor->out, hl_buf_view(&line));
        /* 21: a push leaves before what it tells commits */
        struct hl_gate_mark need = {.gate = HL_MUTANT(EARLY_PUSH) ? 0 : node->last};
        hl_session_reply_done(node, monitor, &need);
    }
    hl_buf_fini(&line);
}
